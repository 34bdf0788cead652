//! `/api/v1/{tenant}/flows`: one flow at a time (create, update, get, delete, its revisions and tasks), and searches.

use axum::Json;
use axum::extract::{Path, Query, RawQuery, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use expr::{Map, Value};
use serde::{Deserialize, Serialize};
use serde_json::{Value as Json_, json};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::App;
use super::flow_filters::OfFlows;
use super::life::Evaluated;
use super::openapi::tagged;
use super::shown::paged;
use super::wire::flow::{FlowBody, LockBody, TaskBody};
use super::wire::{self, value_json};
use crate::error::Error;
use crate::flow_search::{FlowSearch, FlowTest, fragments};
use crate::flows::{Save, SavedFlow, key};

pub(super) type OfFlow = Path<(String, String, String)>;

/// Which revision, and whether with the source.
#[derive(Deserialize, IntoParams)]
#[serde(rename_all = "camelCase")]
#[into_params(parameter_in = Query)]
pub struct GetQuery {
    revision: Option<u32>,
    #[serde(default)]
    source: bool,
    /// Whether a flow that was deleted is shown as it was last.
    #[serde(default)]
    allow_deleted: bool,
}

/// A page of a search.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct PageQuery {
    page: Option<usize>,
    size: Option<usize>,
    sort: Option<String>,
}

/// A page of results with the number of all.
#[derive(Serialize, ToSchema)]
pub struct Paged<T> {
    pub results: Vec<T>,
    pub total: usize,
}

pub fn routes() -> OpenApiRouter<App> {
    tagged(
        "Flows",
        OpenApiRouter::new()
            .routes(routes!(create))
            .routes(routes!(search))
            .routes(routes!(search_sources))
            .routes(routes!(distinct_namespaces))
            .routes(routes!(of_namespace))
            .routes(routes!(get, update, delete))
            .routes(routes!(revisions, delete_revisions))
            .routes(routes!(lock))
            .routes(routes!(task))
            .routes(routes!(update_task))
            .routes(routes!(render)),
    )
}

/// Saves a new flow from its YAML source.
#[utoipa::path(
    post, path = "/flows", operation_id = "createFlow",
    request_body(content = String, content_type = "application/x-yaml"),
    responses((status = 200, body = FlowBody)),
)]
async fn create(State(app): State<App>, source: String) -> Result<Response, Error> {
    let saved = app.node.save_flow(&source, Save::New).await?;
    Ok(with_etag(&saved, body(&saved, true)))
}

/// Saves a flow that is there from its YAML source; with `If-Match`, only if it still is what its ETag says.
#[utoipa::path(
    put, path = "/flows/{namespace}/{id}", operation_id = "updateFlow",
    params(("If-Match" = Option<String>, Header, description = "The ETag of the revision that the change was made from.")),
    request_body(content = String, content_type = "application/x-yaml"),
    responses((status = 200, body = FlowBody)),
)]
async fn update(
    State(app): State<App>,
    Path((_, namespace, id)): OfFlow,
    headers: HeaderMap,
    source: String,
) -> Result<Response, Error> {
    let expected = Save::Existing { flow: key(&namespace, &id), revision: if_match(&headers)? };
    let saved = app.node.save_flow(&source, expected).await?;
    Ok(with_etag(&saved, body(&saved, true)))
}

/// A flow, in its newest revision or another.
#[utoipa::path(
    get, path = "/flows/{namespace}/{id}", operation_id = "flow",
    params(GetQuery, ("If-None-Match" = Option<String>, Header, description = "The ETag of what is known already.")),
    responses((status = 200, body = FlowBody), (status = 304, description = "it is what is known already")),
)]
async fn get(
    State(app): State<App>,
    Path((_, namespace, id)): OfFlow,
    Query(query): Query<GetQuery>,
    headers: HeaderMap,
) -> Result<Response, Error> {
    let saved = match query.allow_deleted && query.revision.is_none() {
        true => app.node.last_flow(&namespace, &id).await?,
        false => app.node.flow(&namespace, &id, query.revision).await?,
    };
    let known = headers.get(header::IF_NONE_MATCH).and_then(|value| value.to_str().ok()).unwrap_or_default();
    if known.split(',').any(|tag| tag.trim().trim_start_matches("W/") == etag(&saved)) {
        return Ok((StatusCode::NOT_MODIFIED, [(header::ETAG, etag(&saved))]).into_response());
    }
    Ok(with_etag(&saved, body(&saved, query.source)))
}

/// The lock of a revision: which plugin bytes each task runs on.
#[utoipa::path(
    get, path = "/flows/{namespace}/{id}/lock", operation_id = "flowLock",
    params(GetQuery),
    responses((status = 200, body = LockBody)),
)]
async fn lock(
    State(app): State<App>,
    Path((_, namespace, id)): OfFlow,
    Query(query): Query<GetQuery>,
) -> Result<Response, Error> {
    let saved = app.node.flow(&namespace, &id, query.revision).await?;
    Ok(Json(&saved.lock).into_response())
}

/// Deletes a flow. Its executions stay, and its revisions.
#[utoipa::path(
    delete, path = "/flows/{namespace}/{id}", operation_id = "deleteFlow",
    responses((status = 204, description = "it is gone")),
)]
async fn delete(State(app): State<App>, Path((_, namespace, id)): OfFlow) -> Result<StatusCode, Error> {
    app.node.delete_flow(&namespace, &id).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// All revisions of a flow, oldest first.
#[utoipa::path(
    get, path = "/flows/{namespace}/{id}/revisions", operation_id = "listFlowRevisions",
    responses((status = 200, body = Vec<FlowBody>)),
)]
async fn revisions(State(app): State<App>, Path((_, namespace, id)): OfFlow) -> Result<Json<Vec<Json_>>, Error> {
    let all = app.node.flow_revisions(&namespace, &id).await?;
    Ok(Json(all.iter().map(|saved| body(saved, true)).collect()))
}

/// `?revisions=1,2`
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct RevisionsQuery {
    revisions: String,
}

/// Deletes revisions of a flow that are not its newest and that nothing runs on.
#[utoipa::path(
    delete, path = "/flows/{namespace}/{id}/revisions", operation_id = "deleteRevisions",
    params(RevisionsQuery),
    responses((status = 204, description = "they are gone")),
)]
async fn delete_revisions(
    State(app): State<App>,
    Path((_, namespace, id)): OfFlow,
    Query(query): Query<RevisionsQuery>,
) -> Result<StatusCode, Error> {
    let numbers = query.revisions.split(',').map(|number| number.trim().parse::<u32>());
    let numbers = numbers.collect::<Result<Vec<u32>, _>>().map_err(|_| {
        let message = format!("`{}` are no revisions; hint: revisions=1,2", query.revisions);
        Error::bad_request("query.invalid", message)
    })?;
    app.node.delete_revisions(&namespace, &id, &numbers).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// The flows of a namespace.
#[utoipa::path(
    get, path = "/flows/{namespace}", operation_id = "listFlowsByNamespace",
    responses((status = 200, body = Vec<FlowBody>)),
)]
async fn of_namespace(
    State(app): State<App>,
    Path((_, namespace)): Path<(String, String)>,
) -> Result<Json<Vec<Json_>>, Error> {
    let all = app.node.flows(Some(&namespace)).await?;
    Ok(Json(all.iter().map(|saved| body(saved, false)).collect()))
}

/// Flows by filters, by namespace and id unless another order is asked for.
#[utoipa::path(
    get, path = "/flows/search", operation_id = "searchFlows",
    params(OfFlows, PageQuery),
    responses((status = 200, body = Paged<FlowBody>)),
)]
async fn search(
    State(app): State<App>,
    RawQuery(written): RawQuery,
    Query(query): Query<PageQuery>,
) -> Result<Json<Paged<Json_>>, Error> {
    let mut found = app.node.search_flows(&FlowSearch::parse(written.as_deref().unwrap_or_default())?).await?;
    let (by, descending) = order(query.sort.as_deref())?;
    match by {
        By::Namespace => {}
        By::Id => found.sort_by(|a, b| a.key.id.cmp(&b.key.id)),
        By::Updated => found.sort_by_key(|row| row.created),
    }
    if descending {
        found.reverse();
    }
    let mut results = Vec::new();
    for row in page(&found, &query) {
        results.push(body(&*app.node.flow_revision(&row.key, row.revision).await?, false));
    }
    Ok(Json(Paged { results, total: found.len() }))
}

enum By {
    Namespace,
    Id,
    Updated,
}

fn order(sort: Option<&str>) -> Result<(By, bool), Error> {
    let sort = sort.unwrap_or_default();
    let (by, descending) = match sort.split_once(':') {
        None => (sort, false),
        Some((by, "asc")) => (by, false),
        Some((by, "desc")) => (by, true),
        Some(_) => ("?", false),
    };
    let by = match by {
        "" | "namespace" => By::Namespace,
        "id" => By::Id,
        "updated" => By::Updated,
        _ => {
            let message =
                format!("flows are not sorted by `{sort}`; hint: namespace, id or updated, with :asc or :desc");
            return Err(Error::bad_request("query.sort", message));
        }
    };
    Ok((by, descending))
}

fn page<'a, T>(found: &'a [T], query: &PageQuery) -> impl Iterator<Item = &'a T> {
    let (skipped, size) = paged(query.page, query.size, 25);
    found.iter().skip(skipped).take(size)
}

/// A flow that a text was found in.
#[derive(Serialize, ToSchema)]
#[schema(as = FoundInSource)]
pub struct Hit {
    model: Json_,
    /// The lines that have it, each with `[mark]…[/mark]` around it.
    fragments: Vec<String>,
}

/// What is looked for in sources.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct SourceQuery {
    q: Option<String>,
}

/// Flows whose sources have a text (`q`), in a namespace and those below it (`namespace`).
#[utoipa::path(
    get, path = "/flows/source", operation_id = "searchFlowsBySourceCode",
    params(SourceQuery, PageQuery),
    responses((status = 200, body = Paged<Hit>)),
)]
async fn search_sources(
    State(app): State<App>,
    RawQuery(written): RawQuery,
    Query(query): Query<SourceQuery>,
    Query(paged): Query<PageQuery>,
) -> Result<Json<Paged<Hit>>, Error> {
    order(paged.sort.as_deref())?;
    let mut search = FlowSearch::parse(written.as_deref().unwrap_or_default())?;
    // `q` is of the sources here.
    search.tests.retain(|test| !matches!(test, FlowTest::Name(_)));
    let mut found = Vec::new();
    let text = query.q.unwrap_or_default();
    for row in app.node.search_flows(&search).await? {
        let lines = if text.is_empty() { Vec::new() } else { fragments(&row.source, &text) };
        if text.is_empty() || !lines.is_empty() {
            found.push((row, lines));
        }
    }
    let mut results = Vec::new();
    for (row, lines) in page(&found, &paged) {
        let saved = app.node.flow_revision(&row.key, row.revision).await?;
        results.push(Hit { model: body(&saved, false), fragments: lines.clone() });
    }
    Ok(Json(Paged { results, total: found.len() }))
}

/// A part of the names that are wanted.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct NameQuery {
    q: Option<String>,
}

/// The namespaces that have flows.
#[utoipa::path(
    get, path = "/flows/distinct-namespaces", operation_id = "listDistinctNamespaces",
    params(NameQuery),
    responses((status = 200, body = Vec<String>)),
)]
async fn distinct_namespaces(
    State(app): State<App>,
    Query(query): Query<NameQuery>,
) -> Result<Json<Vec<String>>, Error> {
    let all = app.node.search_flows(&FlowSearch::default()).await?;
    // They come by namespace.
    let mut names: Vec<String> = all.iter().map(|row| row.key.namespace.to_string()).collect();
    names.dedup();
    if let Some(part) = query.q.as_deref().map(str::to_lowercase) {
        names.retain(|name| name.to_lowercase().contains(&part));
    }
    Ok(Json(names))
}

/// A task as the flow has it, wherever in the flow it stands.
#[utoipa::path(
    get, path = "/flows/{namespace}/{id}/tasks/{taskId}", operation_id = "taskFromFlow",
    params(GetQuery),
    responses((status = 200, body = TaskBody)),
)]
async fn task(
    State(app): State<App>,
    Path((_, namespace, id, task)): Path<(String, String, String, String)>,
    Query(query): Query<GetQuery>,
) -> Result<Json<Json_>, Error> {
    let saved = app.node.flow(&namespace, &id, query.revision).await?;
    let found = model::edit::task(&saved.document, &task);
    found.map(|found| Json(value_json(found))).ok_or_else(|| no_task(&saved, &task))
}

/// Puts another task into the place of one, and leaves the rest of the source as it is written.
#[utoipa::path(
    patch, path = "/flows/{namespace}/{id}/{taskId}", operation_id = "updateTask",
    params(("If-Match" = Option<String>, Header, description = "The ETag of the revision that the change was made from.")),
    request_body = TaskBody,
    responses((status = 200, body = FlowBody)),
)]
async fn update_task(
    State(app): State<App>,
    Path((_, namespace, id, task)): Path<(String, String, String, String)>,
    headers: HeaderMap,
    Json(new): Json<Json_>,
) -> Result<Response, Error> {
    let wrong = |message: String| Error::bad_request("flow.update", message);
    let new = Value::from_json(&new).ok_or_else(|| wrong("a number of the task is none".to_owned()))?;
    if new.get("id").and_then(Value::as_str) != Some(task.as_str()) {
        return Err(wrong(format!("the task must have the id `{task}`: it cannot be renamed here")));
    }
    let before = app.node.flow(&namespace, &id, None).await?;
    let changed = model::edit::replace_task(&before.flow.source, &task, &new)
        .map_err(|problem| Error::flow(&[problem]))?
        .ok_or_else(|| no_task(&before, &task))?;
    let revision = if_match(&headers)?.unwrap_or(before.flow.revision);
    let expected = Save::Existing { flow: key(&namespace, &id), revision: Some(revision) };
    let saved = app.node.save_flow(&changed, expected).await?;
    Ok(with_etag(&saved, body(&saved, false)))
}

fn no_task(saved: &SavedFlow, task: &str) -> Error {
    Error::NotFound(format!("flow `{}` has no task `{task}`", saved.flow.key))
}

/// An expression, and what it may speak of.
#[derive(Deserialize, ToSchema)]
pub struct Expression {
    expression: String,
    /// `{{ inputs.… }}`
    #[serde(default)]
    inputs: serde_json::Map<String, Json_>,
}

/// Renders an expression in the eyes of a flow that is not started yet. Ours.
#[utoipa::path(
    post, path = "/flows/{namespace}/{id}/render-expression", operation_id = "renderExpression",
    params(GetQuery),
    request_body = Expression,
    responses((status = 200, body = Evaluated)),
)]
async fn render(
    State(app): State<App>,
    Path((_, namespace, id)): OfFlow,
    Query(query): Query<GetQuery>,
    Json(asked): Json<Expression>,
) -> Result<Json<Evaluated>, Error> {
    let saved = app.node.flow(&namespace, &id, query.revision).await?;
    let inputs = Value::from_json(&Json_::Object(asked.inputs));
    let inputs = inputs.ok_or_else(|| Error::bad_request("inputs.invalid", "a number of the inputs is none"))?;
    let front: Map = [("inputs".into(), inputs)].into_iter().collect();
    Ok(Json(Evaluated::of(app.node.render_before(&saved, &front, &asked.expression).await)))
}

/// The revision that a request is about (RFC 9110, `If-Match`).
fn if_match(headers: &HeaderMap) -> Result<Option<u32>, Error> {
    let Some(value) = headers.get(header::IF_MATCH) else { return Ok(None) };
    let text = value.to_str().unwrap_or_default().trim();
    if text == "*" {
        return Ok(None);
    }
    let revision = text.strip_prefix('"').and_then(|text| text.strip_suffix('"')).and_then(|text| text.parse().ok());
    match revision {
        Some(revision) => Ok(Some(revision)),
        // No flow ever had that tag.
        None => Err(Error::Changed(format!("no revision of the flow has the ETag `{text}`; hint: send it as it came"))),
    }
}

fn etag(saved: &SavedFlow) -> String {
    format!("\"{}\"", saved.flow.revision)
}

fn with_etag(saved: &SavedFlow, body: Json_) -> Response {
    let mut response = Json(body).into_response();
    if let Ok(tag) = HeaderValue::from_str(&etag(saved)) {
        response.headers_mut().insert(header::ETAG, tag);
    }
    response
}

/// A flow as Kestra shows it: its own properties, and what the server knows of it.
pub(super) fn body(saved: &SavedFlow, with_source: bool) -> Json_ {
    let mut body = wire::value_json(&saved.document);
    if let Some(entries) = body.as_object_mut() {
        entries.insert("tenantId".into(), saved.flow.key.tenant.as_ref().into());
        entries.insert("revision".into(), saved.flow.revision.into());
        entries.insert("updated".into(), saved.created.to_string().into());
        entries.insert("deleted".into(), saved.deleted.into());
        entries.entry("disabled").or_insert(false.into());
        // Kestra's clients read labels as a list of pairs, whichever way the flow writes them.
        let labels: Vec<Json_> =
            saved.flow.labels.iter().map(|label| json!({ "key": label.key, "value": label.value })).collect();
        entries.insert("labels".into(), labels.into());
        for input in entries.get_mut("inputs").and_then(Json_::as_array_mut).into_iter().flatten() {
            // They may be expressions: Kestra's clients read text or a map, whatever the input is.
            if let Some(defaults) = input.get_mut("defaults").filter(|defaults| !defaults.is_object()) {
                let text = defaults.as_str().map_or_else(|| defaults.to_string(), str::to_owned);
                *defaults = text.into();
            }
        }
        if let Some(concurrency) = entries.get_mut("concurrency").and_then(Json_::as_object_mut) {
            concurrency.entry("behavior").or_insert("QUEUE".into());
        }
        if with_source {
            entries.insert("source".into(), saved.flow.source.as_ref().into());
        }
    }
    body
}
