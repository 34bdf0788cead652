//! `/api/v1/{tenant}/executions`: start, get, list, kill.

use axum::Json;
use axum::extract::{FromRequest, Path, Query, RawQuery, Request, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use jiff::Timestamp;
use model::execution::Kind;
use model::flow::Label;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::App;
use super::filters::OfExecutions;
use super::life::breakpoints;
use super::openapi::tagged;
use super::shown::paged;
use super::wire::named::{KindName, StateName};
use super::wire::{ExecutionBody, Outline, outline};
use crate::error::{Error, Issue};
use crate::executions::{Given, Seen, Start};
use crate::search::Search;

/// Most executions of one page.
const PAGE_MAX: usize = 1_000;
/// Most inputs of one request, declared or not.
const INPUTS_MAX: usize = 1_000;
/// Longest a client can wait for an execution to end in one request; it asks again after that.
const WAIT_MAX: std::time::Duration = std::time::Duration::from_secs(3_600);

/// How an execution is asked for.
#[derive(Deserialize, IntoParams)]
#[serde(rename_all = "camelCase")]
#[into_params(parameter_in = Query)]
struct CreateQuery {
    /// By default the newest.
    revision: Option<u32>,
    /// Answers when the execution has ended, or an hour later.
    #[serde(default)]
    wait: bool,
    /// When it is to begin.
    schedule_date: Option<Timestamp>,
    #[param(inline, value_type = Option<KindName>)]
    kind: Option<Kind>,
    /// Ids of tasks before which it stops, with commas between them.
    breakpoints: Option<String>,
}

/// A page of a search.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct PageQuery {
    /// From 1.
    page: Option<usize>,
    /// At most 1,000 are shown, whatever is asked for. By default 25.
    size: Option<usize>,
    /// `state.startDate:desc`: there is no other order.
    sort: Option<String>,
}

/// A page of executions with the number of all.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = ExecutionPage)]
pub struct Page<'a> {
    results: Vec<ExecutionBody<'a>>,
    total: usize,
    /// Ours: there are more than `total`.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    total_is_lower_bound: bool,
}

pub fn routes() -> OpenApiRouter<App> {
    tagged(
        "Executions",
        OpenApiRouter::new()
            .routes(routes!(search_by_flow))
            .routes(routes!(search))
            .routes(routes!(latest))
            .routes(routes!(get))
            .routes(routes!(flow_of))
            .routes(routes!(flow))
            .routes(routes!(create)),
    )
}

/// Starts an execution. Inputs come as multipart fields, or as one JSON object.
#[utoipa::path(
    post, path = "/executions/{namespace}/{id}", operation_id = "createExecution",
    params(
    CreateQuery,
    ("labels" = Option<Vec<String>>, Query, description = "`key:value`, repeated."),
    ("Idempotency-Key" = Option<String>, Header, description = "The same key starts one execution, however often it is sent."),
    ),
    request_body(
        content((Option<Object> = "application/json"), (Option<Object> = "multipart/form-data")),
        description = "Inputs by their ids; files are fields with a file name.",
    ),
    responses((status = 200, body = ExecutionBody<'_>)),
)]
async fn create(
    State(app): State<App>,
    Path((_, namespace, id)): Path<(String, String, String)>,
    request: Request,
) -> Result<Response, Error> {
    let pairs = query_pairs(request.uri().query().unwrap_or_default());
    let query: CreateQuery = Query::try_from_uri(request.uri())
        .map(|Query(query)| query)
        .map_err(|error| Error::bad_request("query.invalid", error.body_text()))?;
    let labels = labels(&pairs)?;
    let idempotency_key = idempotency_key(&request)?;
    let inputs = inputs(request, &app).await?;
    let start = Start {
        namespace,
        id,
        revision: query.revision,
        inputs,
        labels,
        kind: query.kind.unwrap_or_default(),
        scheduled: query.schedule_date,
        trigger: None,
        idempotency_key,
        breakpoints: breakpoints(query.breakpoints.as_deref()),
    };
    let seen = if query.wait {
        app.node.run_to_end(start, WAIT_MAX).await?
    } else {
        let execution = app.node.start(start).await?;
        app.node.execution(execution.as_str()).await?
    };
    Ok(show(&seen, app.node.now()))
}

/// An execution with its task runs.
#[utoipa::path(
    get, path = "/executions/{executionId}", operation_id = "execution",
    responses((status = 200, body = ExecutionBody<'_>)),
)]
async fn get(State(app): State<App>, Path((_, id)): Path<(String, String)>) -> Result<Response, Error> {
    let seen = app.node.execution(&id).await?;
    Ok(show(&seen, app.node.now()))
}

/// Executions by filters, newest first.
#[utoipa::path(
    get, path = "/executions/search", operation_id = "searchExecutions",
    params(PageQuery, OfExecutions),
    responses((status = 200, body = Page<'_>)),
)]
async fn search(
    State(app): State<App>,
    RawQuery(written): RawQuery,
    Query(query): Query<PageQuery>,
) -> Result<Response, Error> {
    let sort = query.sort.as_deref().filter(|sort| !sort.is_empty());
    if let Some(sort) = sort.filter(|sort| !matches!(*sort, "state.startDate:desc" | "startDate:desc")) {
        let message =
            format!("executions are not sorted by `{sort}`; hint: state.startDate:desc, which is the default");
        return Err(Error::bad_request("query.sort", message));
    }
    let now = app.node.now();
    let search = Search::parse(written.as_deref().unwrap_or_default(), now)?;
    let (skipped, size) = paged(query.page, query.size, 25);
    let found = app.node.search_executions(&search, skipped, size).await?;
    let results = found.executions.iter().map(|execution| ExecutionBody::new(execution, [], now)).collect();
    let page = Page { results, total: found.total, total_is_lower_bound: found.is_lower_bound };
    Ok(Json(page).into_response())
}

/// Executions by filters, newest first, where older clients look for those of one flow.
#[utoipa::path(
    get, path = "/executions", operation_id = "searchExecutionsByFlowId",
    params(PageQuery, OfExecutions),
    responses((status = 200, body = Page<'_>)),
)]
async fn search_by_flow(app: State<App>, written: RawQuery, query: Query<PageQuery>) -> Result<Response, Error> {
    search(app, written, query).await
}

/// A flow whose newest execution is asked for.
#[derive(Deserialize, ToSchema)]
#[schema(as = FlowName)]
pub struct FlowAsk {
    namespace: String,
    id: String,
}

/// The newest execution of a flow.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = LatestExecution)]
struct Latest {
    id: String,
    namespace: String,
    flow_id: String,
    start_date: Timestamp,
    #[schema(value_type = StateName)]
    status: model::state::State,
}

/// The newest execution of each of these flows that has one.
#[utoipa::path(
    post, path = "/executions/latest", operation_id = "latestExecutions",
    request_body = Vec<FlowAsk>,
    responses((status = 200, body = Vec<Latest>)),
)]
async fn latest(State(app): State<App>, Json(flows): Json<Vec<FlowAsk>>) -> Result<Response, Error> {
    if flows.len() > PAGE_MAX {
        let message = format!("there are {} flows, at most {PAGE_MAX} are taken", flows.len());
        return Err(Error::bad_request("query.invalid", message));
    }
    let mut latest = Vec::new();
    for flow in flows {
        let found = app.node.search_executions(&Search::of_flow(&flow.namespace, &flow.id), 0, 1).await?;
        latest.extend(found.executions.first().map(|execution| Latest {
            id: execution.id.to_string(),
            namespace: flow.namespace,
            flow_id: flow.id,
            start_date: execution.history.started(),
            status: execution.state(),
        }));
    }
    Ok(Json(latest).into_response())
}

/// `?revision=`
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct RevisionQuery {
    /// By default the newest.
    revision: Option<u32>,
}

/// A flow as who starts it or looks at its executions needs it.
#[utoipa::path(
    get, path = "/executions/flows/{namespace}/{flowId}", operation_id = "flowFromExecution",
    params(RevisionQuery),
    responses((status = 200, body = Outline)),
)]
async fn flow(
    State(app): State<App>,
    Path((_, namespace, flow)): Path<(String, String, String)>,
    Query(query): Query<RevisionQuery>,
) -> Result<Response, Error> {
    let saved = app.node.flow(&namespace, &flow, query.revision).await?;
    Ok(Json(outline(&saved)).into_response())
}

/// The flow of an execution in the revision it runs on, as who looks at it needs it.
#[utoipa::path(
    get, path = "/executions/{executionId}/flow", operation_id = "flowFromExecutionById",
    responses((status = 200, body = Outline)),
)]
async fn flow_of(State(app): State<App>, Path((_, id)): Path<(String, String)>) -> Result<Response, Error> {
    let execution = app.node.execution(&id).await?.execution;
    let (namespace, flow) = (execution.flow.namespace.as_str(), execution.flow.id.as_str());
    let saved = app.node.flow(namespace, flow, Some(execution.revision)).await?;
    Ok(Json(outline(&saved)).into_response())
}

/// The body of an execution.
pub fn show(seen: &Seen, now: Timestamp) -> Response {
    Json(ExecutionBody::new(&seen.execution, seen.runs.iter(), now)).into_response()
}

fn query_pairs(query: &str) -> Vec<(String, String)> {
    url::form_urlencoded::parse(query.as_bytes()).into_owned().collect()
}

/// The `Idempotency-Key` header (draft-ietf-httpapi-idempotency-key-header): ours.
fn idempotency_key(request: &Request) -> Result<Option<String>, Error> {
    let Some(key) = request.headers().get("idempotency-key") else { return Ok(None) };
    let text = key.to_str().map_err(|_| Error::bad_request("idempotency.key", "an idempotency key is plain text"))?;
    Ok(Some(text.to_owned()))
}

/// `labels=key:value`, repeated.
fn labels(pairs: &[(String, String)]) -> Result<Vec<Label>, Error> {
    let mut issues = Vec::new();
    let mut labels = Vec::new();
    for (_, text) in pairs.iter().filter(|(name, _)| name == "labels") {
        match text.split_once(':') {
            Some((key, value)) if !key.is_empty() => {
                labels.push(Label { key: key.to_owned(), value: value.to_owned() })
            }
            _ => issues.push(Issue {
                path: "labels".to_owned(),
                line: None,
                code: "query.label".to_owned(),
                message: format!("`{text}` is not a label"),
                hint: Some("write labels=key:value".to_owned()),
            }),
        }
    }
    if issues.is_empty() {
        return Ok(labels);
    }
    Err(Error::Invalid { code: "query.invalid", message: "invalid labels".to_owned(), issues })
}

pub(super) async fn inputs(request: Request, app: &App) -> Result<Vec<(String, Given)>, Error> {
    let content_type = request
        .headers()
        .get(header::CONTENT_TYPE)
        .and_then(|value| value.to_str().ok())
        .unwrap_or_default()
        .to_ascii_lowercase();
    if content_type.starts_with("multipart/form-data") {
        return multipart(request, app).await;
    }
    let body =
        axum::body::to_bytes(request.into_body(), app.body_max_bytes).await.map_err(|error| unreadable(&error, app))?;
    if body.iter().all(u8::is_ascii_whitespace) {
        return Ok(Vec::new());
    }
    if !content_type.starts_with("application/json") {
        return Err(Error::bad_request(
            "body.content_type",
            format!("inputs come as `multipart/form-data` or `application/json`, not as `{content_type}`"),
        ));
    }
    let text = std::str::from_utf8(&body).map_err(|error| Error::bad_request("body.json", error.to_string()))?;
    let value =
        expr::Value::parse_json(text).map_err(|error| Error::bad_request("body.json", format!("not JSON: {error}")))?;
    let Some(entries) = value.as_map() else {
        return Err(Error::bad_request("body.json", "the body must be one JSON object of inputs by name"));
    };
    if entries.len() > INPUTS_MAX {
        return Err(too_many());
    }
    Ok(entries.iter().map(|(name, value)| (name.to_string(), Given::Value(value.clone()))).collect())
}

async fn multipart(request: Request, app: &App) -> Result<Vec<(String, Given)>, Error> {
    let mut form = axum::extract::Multipart::from_request(request, &())
        .await
        .map_err(|error| Error::bad_request("body.multipart", error.body_text()))?;
    let broken = |error: axum::extract::multipart::MultipartError| match error.status() {
        StatusCode::PAYLOAD_TOO_LARGE => too_large(app),
        _ => Error::bad_request("body.multipart", error.body_text()),
    };
    let mut inputs: Vec<(String, Given)> = Vec::new();
    loop {
        let field = form.next_field().await.map_err(broken)?;
        let Some(field) = field else { return Ok(inputs) };
        if inputs.len() == INPUTS_MAX {
            return Err(too_many());
        }
        let name = field.name().unwrap_or_default().to_owned();
        let file = field.file_name().map(str::to_owned);
        let bytes = field.bytes().await.map_err(broken)?;
        match file {
            // Old clients send every file as a field `files` whose file name is the input's id.
            Some(file) if name == "files" => inputs.push((file.clone(), Given::File { name: file, bytes })),
            Some(file) => inputs.push((name, Given::File { name: file, bytes })),
            None => {
                let text = String::from_utf8(bytes.to_vec())
                    .map_err(|_| Error::bad_request("body.multipart", format!("input `{name}` is not UTF-8 text")))?;
                inputs.push((name, Given::Text(text)));
            }
        }
    }
}

fn unreadable(error: &axum::Error, app: &App) -> Error {
    let cause = std::error::Error::source(error);
    match cause.is_some_and(|cause| cause.is::<http_body_util::LengthLimitError>()) {
        true => too_large(app),
        false => Error::bad_request("body.unreadable", error.to_string()),
    }
}

fn too_large(app: &App) -> Error {
    Error::TooLarge(format!(
        "the body is larger than {} bytes; hint: put large data where tasks can fetch it",
        app.body_max_bytes
    ))
}

fn too_many() -> Error {
    Error::bad_request("body.too_many", format!("more than {INPUTS_MAX} inputs"))
}
