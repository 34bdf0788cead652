//! `/api/v1/{tenant}/executions/webhook/{namespace}/{flow}/{key}`: requests that start executions. The key is all that is asked for.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, Request, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use expr::{Map, Value};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::App;
use super::executions::show;
use super::openapi::tagged;
use super::wire::map_json;
use crate::error::Error;
use crate::triggers::{Answered, Call, Outputs};

/// Largest body of a request to a webhook: it becomes part of an execution, and its sender is anybody (reliability.md, threats).
pub const BODY_MAX_BYTES: usize = 1 << 20;

type AtKey = Path<(String, String, String, String)>;
type AtPath = Path<(String, String, String, String, String)>;

pub fn routes() -> OpenApiRouter<App> {
    tagged(
        "Executions",
        OpenApiRouter::new().routes(routes!(get, post, put)).routes(routes!(
            get_with_path,
            post_with_path,
            put_with_path
        )),
    )
}

/// Starts an execution of the flow whose trigger has this key.
#[utoipa::path(
    get, path = "/executions/webhook/{namespace}/{id}/{key}", operation_id = "triggerExecutionByGetWebhook",
    responses(
        (status = 200, description = "the execution, or its outputs alone", content((Object = "application/json"), (String = "*/*"))),
        (status = 204, description = "nothing was started"),
    ),
)]
async fn get(app: State<App>, at: AtKey, request: Request) -> Result<Response, Error> {
    call(app, at, request).await
}

/// Starts an execution of the flow whose trigger has this key.
#[utoipa::path(
    post, path = "/executions/webhook/{namespace}/{id}/{key}", operation_id = "triggerExecutionByPostWebhook",
    request_body(content = Option<String>, content_type = "*/*", description = "Whatever the trigger is to have."),
    responses(
        (status = 200, description = "the execution, or its outputs alone", content((Object = "application/json"), (String = "*/*"))),
        (status = 204, description = "nothing was started"),
    ),
)]
async fn post(app: State<App>, at: AtKey, request: Request) -> Result<Response, Error> {
    call(app, at, request).await
}

/// Starts an execution of the flow whose trigger has this key.
#[utoipa::path(
    put, path = "/executions/webhook/{namespace}/{id}/{key}", operation_id = "triggerExecutionByPutWebhook",
    request_body(content = Option<String>, content_type = "*/*", description = "Whatever the trigger is to have."),
    responses(
        (status = 200, description = "the execution, or its outputs alone", content((Object = "application/json"), (String = "*/*"))),
        (status = 204, description = "nothing was started"),
    ),
)]
async fn put(app: State<App>, at: AtKey, request: Request) -> Result<Response, Error> {
    call(app, at, request).await
}

/// Starts an execution of the flow whose trigger has this key, and tells it the path behind the key.
#[utoipa::path(
    get, path = "/executions/webhook/{namespace}/{id}/{key}/{*path}", operation_id = "triggerExecutionByGetWebhookWithPath",
    responses(
        (status = 200, description = "the execution, or its outputs alone", content((Object = "application/json"), (String = "*/*"))),
        (status = 204, description = "nothing was started"),
    ),
)]
async fn get_with_path(app: State<App>, at: AtPath, request: Request) -> Result<Response, Error> {
    call_with_path(app, at, request).await
}

/// Starts an execution of the flow whose trigger has this key, and tells it the path behind the key.
#[utoipa::path(
    post, path = "/executions/webhook/{namespace}/{id}/{key}/{*path}", operation_id = "triggerExecutionByPostWebhookWithPath",
    request_body(content = Option<String>, content_type = "*/*", description = "Whatever the trigger is to have."),
    responses(
        (status = 200, description = "the execution, or its outputs alone", content((Object = "application/json"), (String = "*/*"))),
        (status = 204, description = "nothing was started"),
    ),
)]
async fn post_with_path(app: State<App>, at: AtPath, request: Request) -> Result<Response, Error> {
    call_with_path(app, at, request).await
}

/// Starts an execution of the flow whose trigger has this key, and tells it the path behind the key.
#[utoipa::path(
    put, path = "/executions/webhook/{namespace}/{id}/{key}/{*path}", operation_id = "triggerExecutionByPutWebhookWithPath",
    request_body(content = Option<String>, content_type = "*/*", description = "Whatever the trigger is to have."),
    responses(
        (status = 200, description = "the execution, or its outputs alone", content((Object = "application/json"), (String = "*/*"))),
        (status = 204, description = "nothing was started"),
    ),
)]
async fn put_with_path(app: State<App>, at: AtPath, request: Request) -> Result<Response, Error> {
    call_with_path(app, at, request).await
}

/// A request without anything behind the key.
async fn call(
    State(app): State<App>,
    Path((_, namespace, flow, key)): AtKey,
    request: Request,
) -> Result<Response, Error> {
    answer(&app, (&namespace, &flow, &key), None, request).await
}

/// A request with a path of its own behind the key.
async fn call_with_path(
    State(app): State<App>,
    Path((_, namespace, flow, key, path)): AtPath,
    request: Request,
) -> Result<Response, Error> {
    answer(&app, (&namespace, &flow, &key), Some(&path), request).await
}

async fn answer(
    app: &App,
    (namespace, flow, key): (&str, &str, &str),
    path: Option<&str>,
    request: Request,
) -> Result<Response, Error> {
    let (head, body) = request.into_parts();
    let bytes = axum::body::to_bytes(body, BODY_MAX_BYTES).await.map_err(|error| {
        let cause = std::error::Error::source(&error);
        match cause.is_some_and(|cause| cause.is::<http_body_util::LengthLimitError>()) {
            true => Error::TooLarge(format!(
                "the body is larger than {BODY_MAX_BYTES} bytes; hint: send where the data is to be found"
            )),
            false => Error::bad_request("body.unreadable", error.to_string()),
        }
    })?;
    let mut variables: Map = Map::new();
    variables.insert("body".into(), body_value(&bytes));
    variables.insert("headers".into(), headers(&head.headers));
    variables.insert("parameters".into(), parameters(head.uri.query().unwrap_or_default()));
    if let Some(path) = path {
        variables.insert("path".into(), Value::from(path));
    }
    match app.node.call_webhook(Call { namespace, flow, key, variables, body: &bytes, headers: &head.headers }).await? {
        Answered::Nothing => Ok(StatusCode::NO_CONTENT.into_response()),
        Answered::Execution(seen, Outputs::Whole) => Ok(show(&seen, app.node.now())),
        Answered::Execution(seen, Outputs::Alone { content_type }) => {
            let mut response = Json(map_json(&seen.execution.outputs)).into_response();
            if let Some(content_type) = content_type.and_then(|text| text.parse().ok()) {
                response.headers_mut().insert(header::CONTENT_TYPE, content_type);
            }
            Ok(response)
        }
    }
}

/// A map or a list where the body is the JSON of one, else the text; none where it is empty.
fn body_value(bytes: &[u8]) -> Value {
    if bytes.is_empty() {
        return Value::Null;
    }
    let text = String::from_utf8_lossy(bytes);
    match Value::parse_json(&text) {
        Ok(value @ (Value::Map(_) | Value::List(_))) => value,
        _ => Value::from(text.as_ref()),
    }
}

/// Each header with all its values.
fn headers(headers: &HeaderMap) -> Value {
    let entry = |name: &header::HeaderName| {
        let values =
            headers.get_all(name).iter().map(|value| Value::from(String::from_utf8_lossy(value.as_bytes()).as_ref()));
        (name.as_str().to_owned(), Value::list(values))
    };
    Value::map(headers.keys().map(entry))
}

/// Each parameter with all its values.
fn parameters(query: &str) -> Value {
    let mut all: indexmap::IndexMap<Arc<str>, Vec<Value>> = indexmap::IndexMap::new();
    for (name, value) in url::form_urlencoded::parse(query.as_bytes()) {
        all.entry(Arc::from(name.as_ref())).or_default().push(Value::from(value.as_ref()));
    }
    Value::map(all.into_iter().map(|(name, values)| (name, Value::list(values))))
}
