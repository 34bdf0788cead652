//! `/executions/{id}/file/preview`: the beginning of a file as a page can show it. What is cut off is said to be.

use axum::Json;
use axum::extract::{Path, Query, State};
use base64::Engine as _;
use model::ids::ExecutionId;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::App;
use super::openapi::tagged;
use super::wire::value_json;
use crate::error::Error;

/// Rows or lines without being asked, and at most.
const ROWS: usize = 100;
const ROWS_MAX: usize = 5_000;
/// Read of a file of text, in bytes.
const TEXT_BYTES_MAX: u64 = 1 << 20;
/// Largest picture or document that is shown, in bytes.
const PICTURE_BYTES_MAX: u64 = 8 << 20;
const PICTURES: [&str; 7] = ["png", "jpg", "jpeg", "gif", "svg", "bmp", "webp"];

/// Which file, and how much of it.
#[derive(Deserialize, IntoParams)]
#[serde(rename_all = "camelCase")]
#[into_params(parameter_in = Query)]
struct PreviewQuery {
    /// As outputs have it: `kestra:///…`.
    path: String,
    /// At most 5,000 are shown, whatever is asked for. By default 100.
    max_rows: Option<usize>,
    /// UTF-8, which is the default, is the only one.
    encoding: Option<String>,
}

/// How a preview is to be shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "UPPERCASE")]
#[schema(as = PreviewType)]
enum Kind {
    /// `content` is a list of rows.
    List,
    Text,
    Markdown,
    /// `content` is base64.
    Image,
    /// `content` is base64.
    Pdf,
}

/// The beginning of a file.
#[derive(Serialize, ToSchema)]
struct Preview {
    /// Without its dot.
    extension: String,
    r#type: Kind,
    content: Value,
    /// Whether there is more.
    truncated: bool,
}

pub fn routes() -> OpenApiRouter<App> {
    tagged("Executions", OpenApiRouter::new().routes(routes!(preview)))
}

/// The beginning of a file of an execution.
#[utoipa::path(
    get, path = "/executions/{executionId}/file/preview", operation_id = "previewFileFromExecution",
    params(PreviewQuery),
    responses((status = 200, body = Preview)),
)]
async fn preview(
    State(app): State<App>,
    Path((_, id)): Path<(String, String)>,
    Query(query): Query<PreviewQuery>,
) -> Result<Json<Preview>, Error> {
    if let Some(other) = query.encoding.as_deref().filter(|name| !name.eq_ignore_ascii_case("utf-8")) {
        let message = format!("`{other}` is not an encoding that is read; hint: UTF-8");
        return Err(Error::bad_request("query.invalid", message));
    }
    let (size_bytes, mut reader) = app.node.open_file(&ExecutionId::trusted(id), &query.path).await?;
    let name = query.path.rsplit('/').next().unwrap_or_default();
    let extension = name.rsplit_once('.').map(|(_, end)| end.to_ascii_lowercase()).unwrap_or_default();
    let kind = match extension.as_str() {
        "ion" | "jsonl" => Kind::List,
        "md" => Kind::Markdown,
        "pdf" => Kind::Pdf,
        picture if PICTURES.contains(&picture) => Kind::Image,
        _ => Kind::Text,
    };
    let most = match kind {
        Kind::Image | Kind::Pdf => PICTURE_BYTES_MAX,
        _ => TEXT_BYTES_MAX,
    };
    let is_part = size_bytes > most;
    if is_part && most == PICTURE_BYTES_MAX {
        let message = format!("`{name}` has {size_bytes} bytes, at most {most} are shown; hint: download it");
        return Err(Error::TooLarge(message));
    }
    let mut bytes = Vec::new();
    while let Some(piece) = reader.read().await?
        && (bytes.len() as u64) < most
    {
        bytes.extend_from_slice(&piece);
    }
    bytes.truncate(usize::try_from(most).unwrap_or(usize::MAX));
    let rows = query.max_rows.unwrap_or(ROWS).clamp(1, ROWS_MAX);
    let (content, truncated) = app.node.blocking(move || shown(kind, &bytes, rows, is_part)).await?;
    Ok(Json(Preview { extension, r#type: kind, content, truncated }))
}

fn shown(kind: Kind, bytes: &[u8], rows: usize, is_part: bool) -> (Value, bool) {
    if matches!(kind, Kind::Image | Kind::Pdf) {
        return (base64::engine::general_purpose::STANDARD.encode(bytes).into(), false);
    }
    let text = String::from_utf8_lossy(bytes);
    // A last line that is cut off is no row.
    let whole = if is_part { text.rsplit_once('\n').map_or(&*text, |(whole, _)| whole) } else { &*text };
    let truncated = is_part || whole.lines().count() > rows;
    let lines = whole.lines().take(rows);
    match kind {
        Kind::List => (lines.filter(|line| !line.trim().is_empty()).map(row).collect(), truncated),
        _ => (lines.collect::<Vec<_>>().join("\n").into(), truncated),
    }
}

/// A row of Ion or JSON; what is neither is shown as text.
fn row(line: &str) -> Value {
    expr::Value::parse_ion(line).map_or_else(|_| line.into(), |value| value_json(&value))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn beginnings_are_shown_and_what_is_cut_off_is_said() {
        let check = |kind, text: &str, rows, is_part, expected: Value, cut| {
            assert_eq!(shown(kind, text.as_bytes(), rows, is_part), (expected, cut), "{text}");
        };
        check(Kind::Text, "a\nb\n", 9, false, json!("a\nb"), false);
        check(Kind::Text, "a\nb\n", 1, false, json!("a"), true);
        check(Kind::Text, "a\nbc", 9, true, json!("a"), true);
        check(Kind::List, "{a:1}\n{\"a\":2}\n", 9, false, json!([{ "a": 1 }, { "a": 2 }]), false);
        check(Kind::Image, "x", 9, false, json!("eA=="), false);
    }
}
