//! What a response means: an answer or a failure.

use std::collections::BTreeMap;

use sluice_sdk::http::Response;
use sluice_sdk::prelude::*;

use crate::options::HttpOptions;
use crate::retry_after;

/// Bytes of a refused response's body that the failure shows.
const EXCERPT_BYTES: usize = 1_024;

/// Fails where the flow does not want this status.
pub fn check(mut response: Response, method: &str, options: &HttpOptions) -> Result<Response, Failure> {
    let status = response.status();
    let is_wanted = match &options.allowed_response_codes {
        _ if options.allow_failed == Some(true) => true,
        Some(codes) => codes.contains(&status),
        None => status < 400,
    };
    if is_wanted {
        return Ok(response);
    }
    // The reason is worth more than a second failure while reading it.
    let excerpt = response.read_start(EXCERPT_BYTES).unwrap_or_default();
    let excerpt = String::from_utf8_lossy(&excerpt).trim().to_owned();
    let line =
        format!("`{} {}` answered {status}{}", method.trim().to_ascii_uppercase(), response.url(), reason(status));
    let message = if excerpt.is_empty() { line } else { format!("{line}: {excerpt}") };
    let mut failure = Failure::new("HTTP_STATUS", message)
        .retryable(is_transient(status))
        .detail("status", status)
        .detail("body", excerpt);
    if let Some(seconds) = retry_after::seconds(response.headers()) {
        failure = failure.detail("retryAfterSeconds", seconds);
    }
    Err(failure)
}

/// Whether the same request may be answered otherwise later, as far as a status can say. One that is wanted by nobody and below 400 is
/// an answer to another question, which time does not change.
fn is_transient(status: u16) -> bool {
    matches!(status, 408 | 425 | 429 | 500 | 502 | 503 | 504)
}

/// Header fields as outputs: a list of values by name in lower case.
pub fn headers(response: &Response) -> BTreeMap<String, Vec<String>> {
    let mut headers: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for (name, value) in response.headers().iter() {
        headers.entry(name.to_owned()).or_default().push(value.to_owned());
    }
    headers
}

/// What a status means, where people should not have to look it up.
fn reason(status: u16) -> &'static str {
    match status {
        400 => " Bad Request",
        401 => " Unauthorized",
        403 => " Forbidden",
        404 => " Not Found",
        405 => " Method Not Allowed",
        408 => " Request Timeout",
        409 => " Conflict",
        413 => " Content Too Large",
        415 => " Unsupported Media Type",
        422 => " Unprocessable Content",
        429 => " Too Many Requests",
        500 => " Internal Server Error",
        501 => " Not Implemented",
        502 => " Bad Gateway",
        503 => " Service Unavailable",
        504 => " Gateway Timeout",
        _ => "",
    }
}
