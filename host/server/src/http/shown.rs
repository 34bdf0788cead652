//! What answers have in common: which part of a list a page is, and files that are downloaded.

use axum::body::Body;
use axum::http::header;
use axum::response::{IntoResponse, Response};

/// Most entries of one page: it is built in memory.
pub const PAGE_MAX: usize = 1_000;

/// How many entries come before a page (from 1), and how many are on it. `usual`: where nothing is asked for.
pub fn paged(page: Option<usize>, size: Option<usize>, usual: usize) -> (usize, usize) {
    let size = size.unwrap_or(usual).clamp(1, PAGE_MAX);
    (page.unwrap_or(1).saturating_sub(1).saturating_mul(size), size)
}

/// A file that is downloaded, and that no browser looks into. `name`: letters that need no quoting.
pub fn attachment(content_type: &'static str, name: &str, content: impl Into<Body>) -> Response {
    let headers = [
        (header::CONTENT_TYPE, content_type.to_owned()),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff".to_owned()),
        (header::CONTENT_DISPOSITION, format!("attachment; filename=\"{name}\"")),
    ];
    (headers, content.into()).into_response()
}
