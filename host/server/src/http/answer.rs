//! The one map from errors to HTTP: status, and the body `{message, code, problems}`.

use axum::Json;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;

use crate::error::{Error, Issue};

/// What a client is told when something did not work.
#[derive(Serialize)]
struct Body<'a> {
    message: &'a str,
    code: &'a str,
    problems: &'a [Issue],
}

impl IntoResponse for Error {
    fn into_response(self) -> Response {
        let status = match &self {
            Self::NotFound(_) => StatusCode::NOT_FOUND,
            Self::Invalid { .. } => StatusCode::UNPROCESSABLE_ENTITY,
            Self::Conflict { .. } => StatusCode::CONFLICT,
            Self::Busy { .. } => StatusCode::TOO_MANY_REQUESTS,
            Self::Store(_) => StatusCode::SERVICE_UNAVAILABLE,
            Self::Internal(_) => StatusCode::INTERNAL_SERVER_ERROR,
        };
        let mut message = self.to_string();
        if let Self::Internal(detail) = &self {
            tracing::error!(%detail, "internal error");
            message = "something went wrong in the server; its log tells more".to_owned();
        }
        let mut response = refusal(status, self.code(), &message, self.issues());
        if let Self::Busy { retry_after_s, .. } = self {
            response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(retry_after_s));
        }
        response
    }
}

/// An answer that says no.
pub fn refusal(status: StatusCode, code: &str, message: &str, problems: &[Issue]) -> Response {
    (status, Json(Body { message, code, problems })).into_response()
}
