//! `/executions/{id}/file`: files that the tasks of an execution made or may read, whole or by their size.

use axum::Json;
use axum::body::Body;
use axum::extract::{Path, Query, State};
use axum::http::header;
use axum::response::Response;
use model::ids::ExecutionId;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::App;
use super::openapi::tagged;
use super::shown::attachment;
use crate::error::Error;

/// Which file: its URI, as outputs have it.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct FileQuery {
    /// As outputs have it: `kestra:///…`.
    path: String,
}

/// What is said about a file.
#[derive(Serialize, ToSchema)]
struct FileMetas {
    /// In bytes.
    size: u64,
}

pub fn routes() -> OpenApiRouter<App> {
    tagged("Executions", OpenApiRouter::new().routes(routes!(download)).routes(routes!(metas)))
}

/// The content of a file, as it is read from the store: a large file is never in memory as a whole.
#[utoipa::path(
    get, path = "/executions/{executionId}/file", operation_id = "downloadFileFromExecution",
    params(FileQuery),
    responses((status = 200, body = String, content_type = "application/octet-stream")),
)]
async fn download(
    State(app): State<App>,
    Path((_, id)): Path<(String, String)>,
    Query(query): Query<FileQuery>,
) -> Result<Response, Error> {
    let (size_bytes, reader) = app.node.open_file(&ExecutionId::trusted(id), &query.path).await?;
    Ok(content(&query.path, size_bytes, reader))
}

/// A file that is downloaded.
pub(super) fn content(path: &str, size_bytes: u64, reader: Box<dyn store::BlobReader>) -> Response {
    let pieces = futures::stream::try_unfold(reader, async |mut reader| {
        let piece = reader.read().await?;
        Ok::<_, store::Error>(piece.map(|piece| (piece, reader)))
    });
    // Whatever a task wrote is downloaded, and nothing a browser would run.
    let mut response = attachment("application/octet-stream", &file_name(path), Body::from_stream(pieces));
    response.headers_mut().insert(header::CONTENT_LENGTH, size_bytes.into());
    response
}

/// How large a file is.
#[utoipa::path(
    get, path = "/executions/{executionId}/file/metas", operation_id = "fileMetadatasFromExecution",
    params(FileQuery),
    responses((status = 200, body = FileMetas)),
)]
async fn metas(
    State(app): State<App>,
    Path((_, id)): Path<(String, String)>,
    Query(query): Query<FileQuery>,
) -> Result<Json<FileMetas>, Error> {
    let (size_bytes, _) = app.node.open_file(&ExecutionId::trusted(id), &query.path).await?;
    Ok(Json(FileMetas { size: size_bytes }))
}

/// The last part of a URI, of letters that need no quoting.
fn file_name(uri: &str) -> String {
    let last = uri.rsplit('/').next().unwrap_or_default();
    last.chars().map(|c| if c.is_ascii_alphanumeric() || "._- ".contains(c) { c } else { '_' }).collect()
}
