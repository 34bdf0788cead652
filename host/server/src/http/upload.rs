//! Files that come as `multipart/form-data`: one field of a form, read whole. Never keeps what was not asked for.

use axum::extract::Multipart;
use axum::extract::multipart::MultipartError;
use axum::http::StatusCode;
use bytes::Bytes;

use super::App;
use crate::error::Error;

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
