//! `/namespaces/{namespace}/files`: the files of a namespace, in Kestra 1.0's paths and shapes.

use axum::Json;
use axum::body::Body;
use axum::extract::{Multipart, Path, Query, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};

use super::App;
use super::files::attachment;
use super::upload;
use crate::archive::is_archive;
use crate::error::Error;
use crate::namespace_files::Found;

type InNamespace = Path<(String, String)>;

/// `?path=`
#[derive(Deserialize)]
pub struct PathQuery {
    path: String,
}

/// `?path=`, of a folder: by default that of all files.
#[derive(Deserialize)]
pub struct FolderQuery {
    #[serde(default)]
    path: String,
}

/// A file or folder.
#[derive(Serialize)]
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

/// The content of a file.
pub async fn read(
    State(app): State<App>,
    Path((_, namespace)): InNamespace,
    Query(query): Query<PathQuery>,
) -> Result<Response, Error> {
    let (size_bytes, reader) = app.node.open_namespace_file(&namespace, &query.path).await?;
    Ok(attachment(&query.path, size_bytes, reader))
}

/// What is at a path.
pub async fn stats(
    State(app): State<App>,
    Path((_, namespace)): InNamespace,
    Query(query): Query<FolderQuery>,
) -> Result<Json<FileAttributes>, Error> {
    Ok(Json(FileAttributes::of(app.node.namespace_file(&namespace, &query.path).await?)))
}

/// What is directly in a folder, folders first.
pub async fn list(
    State(app): State<App>,
    Path((_, namespace)): InNamespace,
    Query(query): Query<FolderQuery>,
) -> Result<Json<Vec<FileAttributes>>, Error> {
    let found = app.node.files_of_folder(&namespace, &query.path).await?;
    Ok(Json(found.into_iter().map(FileAttributes::of).collect()))
}

/// `?q=`
#[derive(Deserialize)]
pub struct SearchQuery {
    #[serde(default)]
    q: String,
}

/// The paths of files that have a text, without regard to case.
pub async fn search(
    State(app): State<App>,
    Path((_, namespace)): InNamespace,
    Query(query): Query<SearchQuery>,
) -> Result<Json<Vec<String>>, Error> {
    Ok(Json(app.node.search_namespace_files(&namespace, &query.q).await?))
}

/// Writes the file of a form (`fileContent`) to a path. A ZIP archive that goes to a path that is not called so is unpacked into that folder.
pub async fn write(
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
pub async fn make_folder(
    State(app): State<App>,
    Path((_, namespace)): InNamespace,
    Query(query): Query<PathQuery>,
) -> Result<StatusCode, Error> {
    app.node.make_namespace_folder(&namespace, &query.path).await?;
    Ok(StatusCode::OK)
}

/// `?from=&to=`
#[derive(Deserialize)]
pub struct MoveQuery {
    from: String,
    to: String,
}

/// Gives a file, or a folder with all in it, another path.
pub async fn rename(
    State(app): State<App>,
    Path((_, namespace)): InNamespace,
    Query(query): Query<MoveQuery>,
) -> Result<StatusCode, Error> {
    app.node.move_namespace_files(&namespace, &query.from, &query.to).await?;
    Ok(StatusCode::OK)
}

/// Deletes a file, or a folder with all in it.
pub async fn delete(
    State(app): State<App>,
    Path((_, namespace)): InNamespace,
    Query(query): Query<PathQuery>,
) -> Result<StatusCode, Error> {
    app.node.delete_namespace_files(&namespace, &query.path).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// All files of the namespace as a ZIP archive.
pub async fn export(State(app): State<App>, Path((_, namespace)): InNamespace) -> Result<Response, Error> {
    let packed = app.node.pack_namespace_files(&namespace).await?;
    let headers = [
        (header::CONTENT_TYPE, "application/octet-stream".to_owned()),
        (header::CONTENT_DISPOSITION, "attachment; filename=\"files.zip\"".to_owned()),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff".to_owned()),
    ];
    Ok((headers, Body::from(packed)).into_response())
}
