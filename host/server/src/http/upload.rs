//! Files that come as `multipart/form-data`: one field of a form, read whole. Never keeps what was not asked for.

use axum::extract::Multipart;
use axum::extract::multipart::MultipartError;
use axum::http::StatusCode;
use bytes::Bytes;
use utoipa::ToSchema;

use super::App;
use crate::error::Error;

/// A form with a file that is imported, as it is described.
#[derive(ToSchema)]
#[expect(dead_code, reason = "tells what is read by hand, so that it is bounded")]
#[schema(rename_all = "camelCase")]
pub struct FileForm {
    #[schema(value_type = String, format = Binary)]
    file_upload: Bytes,
}

/// A form with the content of a file, as it is described.
#[derive(ToSchema)]
#[expect(dead_code, reason = "tells what is read by hand, so that it is bounded")]
#[schema(rename_all = "camelCase")]
pub struct ContentForm {
    #[schema(value_type = String, format = Binary)]
    file_content: Bytes,
}

/// A form with files of sources, as it is described.
#[derive(ToSchema)]
#[expect(dead_code, reason = "tells what is read by hand, so that it is bounded")]
pub struct FilesForm {
    #[schema(value_type = Vec<String>, format = Binary)]
    flows: Vec<Bytes>,
}

/// A file of a form.
pub struct Upload {
    /// As its sender calls it; empty where it says nothing.
    pub name: String,
    pub content: Bytes,
}

/// The file in a field of a form.
pub async fn one(app: &App, mut form: Multipart, field: &str) -> Result<Upload, Error> {
    loop {
        let found = form.next_field().await.map_err(|error| broken(app, &error))?;
        let Some(found) = found else {
            let message = format!("the form has no file `{field}`; hint: -F {field}=@FILE");
            return Err(Error::bad_request("body.no_file", message));
        };
        if found.name() != Some(field) {
            continue;
        }
        let name = found.file_name().unwrap_or_default().to_owned();
        let content = found.bytes().await.map_err(|error| broken(app, &error))?;
        return Ok(Upload { name, content });
    }
}

/// Why a form cannot be read.
pub fn broken(app: &App, error: &MultipartError) -> Error {
    match error.status() {
        StatusCode::PAYLOAD_TOO_LARGE => {
            Error::TooLarge(format!("the body is larger than {} bytes", app.body_max_bytes))
        }
        _ => Error::bad_request("body.multipart", error.body_text()),
    }
}
