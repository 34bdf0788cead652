//! `/namespaces/{namespace}/files`: the files of a namespace, in Kestra 1.0's paths and shapes.

use axum::Json;
use axum::extract::{Multipart, Path, Query, State};
use axum::http::StatusCode;
use axum::response::Response;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::App;
use super::files::content;
use super::openapi::tagged;
use super::shown::attachment;
use super::upload::{self, ContentForm};
use crate::archive::is_archive;
use crate::error::Error;
use crate::namespace_files::Found;

type InNamespace = Path<(String, String)>;

/// `?path=`
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct PathQuery {
    path: String,
}

/// `?path=`, of a folder: by default that of all files.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct FolderQuery {
    #[serde(default)]
    path: String,
}

/// A file or folder.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct FileAttributes {
    file_name: String,
    /// `File` or `Directory`.
    r#type: &'static str,
    /// In bytes; of a folder 0.
    size: u64,
    /// In milliseconds since 1970.
    creation_time: i64,
    last_modified_time: i64,
}

impl FileAttributes {
    fn of(found: Found) -> Self {
        Self {
            r#type: if found.size_bytes.is_some() { "File" } else { "Directory" },
            size: found.size_bytes.unwrap_or_default(),
            creation_time: found.created.as_millisecond(),
            last_modified_time: found.updated.as_millisecond(),
            file_name: found.name,
        }
    }
}

pub fn routes() -> OpenApiRouter<App> {
    tagged(
        "Namespaces",
        OpenApiRouter::new()
            .routes(routes!(read, write, rename, delete))
            .routes(routes!(stats))
            .routes(routes!(search))
            .routes(routes!(export))
            .routes(routes!(list, make_folder)),
    )
}

/// The content of a file.
#[utoipa::path(
    get, path = "/namespaces/{namespace}/files", operation_id = "fileContent",
    params(PathQuery),
    responses((status = 200, body = String, content_type = "application/octet-stream")),
)]
async fn read(
    State(app): State<App>,
    Path((_, namespace)): InNamespace,
    Query(query): Query<PathQuery>,
) -> Result<Response, Error> {
    let (size_bytes, reader) = app.node.open_namespace_file(&namespace, &query.path).await?;
    Ok(content(&query.path, size_bytes, reader))
}

/// What is at a path.
#[utoipa::path(
    get, path = "/namespaces/{namespace}/files/stats", operation_id = "fileMetadatas",
    params(FolderQuery),
    responses((status = 200, body = FileAttributes)),
)]
async fn stats(
    State(app): State<App>,
    Path((_, namespace)): InNamespace,
    Query(query): Query<FolderQuery>,
) -> Result<Json<FileAttributes>, Error> {
    Ok(Json(FileAttributes::of(app.node.namespace_file(&namespace, &query.path).await?)))
}

/// What is directly in a folder, folders first.
#[utoipa::path(
    get, path = "/namespaces/{namespace}/files/directory", operation_id = "listNamespaceDirectoryFiles",
    params(FolderQuery),
    responses((status = 200, body = Vec<FileAttributes>)),
)]
async fn list(
    State(app): State<App>,
    Path((_, namespace)): InNamespace,
    Query(query): Query<FolderQuery>,
) -> Result<Json<Vec<FileAttributes>>, Error> {
    let found = app.node.files_of_folder(&namespace, &query.path).await?;
    Ok(Json(found.into_iter().map(FileAttributes::of).collect()))
}

/// `?q=`
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct SearchQuery {
    #[serde(default)]
    q: String,
}

/// The paths of files that have a text, without regard to case.
#[utoipa::path(
    get, path = "/namespaces/{namespace}/files/search", operation_id = "searchNamespaceFiles",
    params(SearchQuery),
    responses((status = 200, body = Vec<String>)),
)]
async fn search(
    State(app): State<App>,
    Path((_, namespace)): InNamespace,
    Query(query): Query<SearchQuery>,
) -> Result<Json<Vec<String>>, Error> {
    Ok(Json(app.node.search_namespace_files(&namespace, &query.q).await?))
}

/// Writes the file of a form (`fileContent`) to a path. A ZIP archive that goes to a path that is not called so is unpacked into that folder.
#[utoipa::path(
    post, path = "/namespaces/{namespace}/files", operation_id = "createNamespaceFile",
    params(FolderQuery),
    request_body(content = ContentForm, content_type = "multipart/form-data"),
    responses((status = 200, description = "it is written")),
)]
async fn write(
    State(app): State<App>,
    Path((_, namespace)): InNamespace,
    Query(query): Query<FolderQuery>,
    form: Multipart,
) -> Result<StatusCode, Error> {
    let file = upload::one(&app, form, "fileContent").await?;
    let packed = file.name.to_ascii_lowercase().ends_with(".zip") && is_archive(&file.content);
    match packed && !query.path.to_ascii_lowercase().ends_with(".zip") {
        true => drop(app.node.unpack_namespace_files(&namespace, &query.path, file.content).await?),
        false => app.node.write_namespace_files(&namespace, vec![(query.path, file.content)]).await?,
    }
    Ok(StatusCode::OK)
}

/// Makes a folder. It has a file `.keep` until another is put into it.
#[utoipa::path(
    post, path = "/namespaces/{namespace}/files/directory", operation_id = "createNamespaceDirectory",
    params(PathQuery),
    responses((status = 200, description = "it is there")),
)]
async fn make_folder(
    State(app): State<App>,
    Path((_, namespace)): InNamespace,
    Query(query): Query<PathQuery>,
) -> Result<StatusCode, Error> {
    app.node.make_namespace_folder(&namespace, &query.path).await?;
    Ok(StatusCode::OK)
}

/// `?from=&to=`
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct MoveQuery {
    from: String,
    to: String,
}

/// Gives a file, or a folder with all in it, another path.
#[utoipa::path(
    put, path = "/namespaces/{namespace}/files", operation_id = "moveFileDirectory",
    params(MoveQuery),
    responses((status = 200, description = "it is moved")),
)]
async fn rename(
    State(app): State<App>,
    Path((_, namespace)): InNamespace,
    Query(query): Query<MoveQuery>,
) -> Result<StatusCode, Error> {
    app.node.move_namespace_files(&namespace, &query.from, &query.to).await?;
    Ok(StatusCode::OK)
}

/// Deletes a file, or a folder with all in it.
#[utoipa::path(
    delete, path = "/namespaces/{namespace}/files", operation_id = "deleteFileDirectory",
    params(PathQuery),
    responses((status = 204, description = "it is gone")),
)]
async fn delete(
    State(app): State<App>,
    Path((_, namespace)): InNamespace,
    Query(query): Query<PathQuery>,
) -> Result<StatusCode, Error> {
    app.node.delete_namespace_files(&namespace, &query.path).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// All files of the namespace as a ZIP archive.
#[utoipa::path(
    get, path = "/namespaces/{namespace}/files/export", operation_id = "exportNamespaceFiles",
    responses((status = 200, body = String, content_type = "application/octet-stream")),
)]
async fn export(State(app): State<App>, Path((_, namespace)): InNamespace) -> Result<Response, Error> {
    let packed = app.node.pack_namespace_files(&namespace).await?;
    Ok(attachment("application/octet-stream", "files.zip", packed))
}
