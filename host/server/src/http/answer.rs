//! The one map from errors to HTTP: status, and the body `{message, code, problems}`. No refusal leaves in another shape.

use axum::Json;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use utoipa::ToSchema;

use crate::error::{Error, Issue};

/// When to ask again while the store takes nothing, in seconds: about as long as somebody needs to free space.
const STORE_RETRY_S: u64 = 10;

/// What a client is told when something did not work.
#[derive(Serialize, ToSchema)]
#[schema(as = Refusal)]
pub struct Body<'a> {
    /// For people.
    message: &'a str,
    /// Stable, for programs.
    code: &'a str,
    /// All that is wrong; none where the message says it all.
    problems: &'a [Issue],
}

impl Error {
    /// The status that a client is answered with.
    pub fn status(&self) -> StatusCode {
        match self {
            Self::NotFound(_) => StatusCode::NOT_FOUND,
            Self::Invalid { .. } => StatusCode::UNPROCESSABLE_ENTITY,
            Self::TooLarge(_) => StatusCode::PAYLOAD_TOO_LARGE,
            Self::Conflict { .. } => StatusCode::CONFLICT,
            Self::Unauthorized(_) => StatusCode::UNAUTHORIZED,
            Self::Changed(_) => StatusCode::PRECONDITION_FAILED,
            Self::Busy { .. } => StatusCode::TOO_MANY_REQUESTS,
            Self::Full(_) => StatusCode::INSUFFICIENT_STORAGE,
            Self::Store(_) => StatusCode::SERVICE_UNAVAILABLE,
            Self::Internal(_) => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }
}

impl IntoResponse for Error {
    fn into_response(self) -> Response {
        let status = self.status();
        let mut message = self.to_string();
        if let Self::Internal(detail) = &self {
            tracing::error!(%detail, "internal error");
            message = "something went wrong in the server; its log tells more".to_owned();
        }
        let mut response = refusal(status, self.code(), &message, self.issues());
        let retry_after_s = match self {
            Self::Busy { retry_after_s, .. } => Some(retry_after_s),
            Self::Full(_) | Self::Store(_) => Some(STORE_RETRY_S),
            _ => None,
        };
        if let Some(seconds) = retry_after_s {
            response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        response
    }
}

/// Most bytes read of a refusal that is to be put into our shape. They are a sentence.
const SENTENCE_BYTES_MAX: usize = 4_096;

/// Puts refusals that handlers never saw (a query that cannot be read, a method that is not there) into the shape of all others.
pub async fn in_shape(response: Response) -> Response {
    let status = response.status();
    let json = |value: &HeaderValue| value.as_bytes().starts_with(b"application/json");
    if !(status.is_client_error() || status.is_server_error())
        || response.headers().get(header::CONTENT_TYPE).is_some_and(json)
    {
        return response;
    }
    let (parts, body) = response.into_parts();
    let sentence = axum::body::to_bytes(body, SENTENCE_BYTES_MAX).await.unwrap_or_default();
    let code = match status {
        StatusCode::METHOD_NOT_ALLOWED => "method.unknown",
        StatusCode::PAYLOAD_TOO_LARGE => "body.too_large",
        StatusCode::BAD_REQUEST | StatusCode::UNPROCESSABLE_ENTITY => "request.invalid",
        _ => "refused",
    };
    let message = match String::from_utf8_lossy(&sentence) {
        text if text.is_empty() => status.canonical_reason().unwrap_or("refused").to_lowercase(),
        text => text.into_owned(),
    };
    let mut shaped = refusal(status, code, &message, &[]);
    // `Allow` and the like; the body's own description is of the new body.
    for (name, value) in &parts.headers {
        if name != header::CONTENT_TYPE && name != header::CONTENT_LENGTH {
            shaped.headers_mut().insert(name.clone(), value.clone());
        }
    }
    shaped
}

/// An answer that says no.
pub fn refusal(status: StatusCode, code: &str, message: &str, problems: &[Issue]) -> Response {
    (status, Json(Body { message, code, problems })).into_response()
}
