//! `/executions/{id}/file`: files that the tasks of an execution made or may read, whole or by their size.

use axum::Json;
use axum::body::Body;
use axum::extract::{Path, Query, State};
use axum::http::header;
use axum::response::{IntoResponse, Response};
use model::ids::ExecutionId;
use serde::Deserialize;
use serde_json::{Value, json};

use super::App;
use crate::error::Error;

/// Which file: its URI, as outputs have it.
#[derive(Deserialize)]
pub struct FileQuery {
    path: String,
}

/// The content, as it is read from the store: a large file is never in memory as a whole.
pub async fn download(
    State(app): State<App>,
    Path((_, id)): Path<(String, String)>,
    Query(query): Query<FileQuery>,
) -> Result<Response, Error> {
    let (size_bytes, reader) = app.node.open_file(&ExecutionId::trusted(id), &query.path).await?;
    Ok(attachment(&query.path, size_bytes, reader))
}

/// A file that is downloaded.
pub(super) fn attachment(path: &str, size_bytes: u64, reader: Box<dyn store::BlobReader>) -> Response {
    let pieces = futures::stream::try_unfold(reader, async |mut reader| {
        let piece = reader.read().await?;
        Ok::<_, store::Error>(piece.map(|piece| (piece, reader)))
    });
    let headers = [
        // Whatever a task wrote is downloaded, and nothing a browser would run.
        (header::CONTENT_TYPE, "application/octet-stream".to_owned()),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff".to_owned()),
        (header::CONTENT_LENGTH, size_bytes.to_string()),
        (header::CONTENT_DISPOSITION, format!("attachment; filename=\"{}\"", file_name(path))),
    ];
    (headers, Body::from_stream(pieces)).into_response()
}

/// What is said about a file.
pub async fn metas(
    State(app): State<App>,
    Path((_, id)): Path<(String, String)>,
    Query(query): Query<FileQuery>,
) -> Result<Json<Value>, Error> {
    let (size_bytes, _) = app.node.open_file(&ExecutionId::trusted(id), &query.path).await?;
    Ok(Json(json!({ "size": size_bytes })))
}

/// The last part of a URI, of letters that need no quoting.
fn file_name(uri: &str) -> String {
    let last = uri.rsplit('/').next().unwrap_or_default();
    last.chars().map(|c| if c.is_ascii_alphanumeric() || "._- ".contains(c) { c } else { '_' }).collect()
}
