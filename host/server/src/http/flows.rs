//! `/api/v1/{tenant}/flows`: create, update, get, list, delete, validate.

use axum::Json;
use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use model::problem::Severity;
use serde::{Deserialize, Serialize};
use serde_json::Value as Json_;
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::App;
use super::openapi::tagged;
use super::wire;
use super::wire::flow::{FlowBody, LockBody};
use crate::error::Error;
use crate::flows::{Save, SavedFlow};

/// Most flows of one page: the page is built in memory.
const PAGE_MAX: usize = 1_000;

/// Which revision, and whether with the source.
#[derive(Deserialize, IntoParams)]
#[serde(rename_all = "camelCase")]
#[into_params(parameter_in = Query)]
pub struct GetQuery {
    /// By default the newest.
    revision: Option<u32>,
    /// Whether the source is shown as well.
    #[serde(default)]
    source: bool,
}

/// A page of a search.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct SearchQuery {
    namespace: Option<String>,
    /// A part of `namespace.id`.
    q: Option<String>,
    /// From 1.
    page: Option<usize>,
    /// At most 1,000 are shown, whatever is asked for. By default 25.
    size: Option<usize>,
}

/// A page of results with the number of all.
#[derive(Serialize, ToSchema)]
pub struct Paged<T> {
    pub results: Vec<T>,
    pub total: usize,
}

/// Kestra's answer to a validation, one per document.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = ValidatedFlow)]
pub struct Validated {
    index: usize,
    #[serde(skip_serializing_if = "Option::is_none")]
    namespace: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    flow: Option<String>,
    /// All errors as one text, a line each; absent when the flow is valid.
    #[serde(skip_serializing_if = "Option::is_none")]
    constraints: Option<String>,
    outdated: bool,
    deprecation_paths: Vec<String>,
    warnings: Vec<String>,
    infos: Vec<String>,
    /// Ours: the same, for programs.
    problems: Vec<crate::error::Issue>,
}

pub fn routes() -> OpenApiRouter<App> {
    tagged(
        "Flows",
        OpenApiRouter::new()
            .routes(routes!(create))
            .routes(routes!(search))
            .routes(routes!(validate))
            .routes(routes!(distinct_namespaces))
            .routes(routes!(of_namespace))
            .routes(routes!(get, update, delete))
            .routes(routes!(revisions))
            .routes(routes!(lock)),
    )
}

/// Saves a new flow.
#[utoipa::path(
    post, path = "/flows", operation_id = "createFlow",
    request_body(content = String, content_type = "application/x-yaml"),
    responses((status = 200, body = FlowBody)),
)]
async fn create(State(app): State<App>, source: String) -> Result<Json<Json_>, Error> {
    let saved = app.node.save_flow(&source, Save::New).await?;
    Ok(Json(body(&saved, true)))
}

/// Saves another revision of a flow.
#[utoipa::path(
    put, path = "/flows/{namespace}/{id}", operation_id = "updateFlow",
    request_body(content = String, content_type = "application/x-yaml"),
    responses((status = 200, body = FlowBody)),
)]
async fn update(
    State(app): State<App>,
    Path((_, namespace, id)): Path<(String, String, String)>,
    source: String,
) -> Result<Json<Json_>, Error> {
    let saved = app.node.save_flow(&source, Save::Existing { namespace: &namespace, id: &id }).await?;
    Ok(Json(body(&saved, true)))
}

/// A flow.
#[utoipa::path(
    get, path = "/flows/{namespace}/{id}", operation_id = "flow",
    params(GetQuery),
    responses((status = 200, body = FlowBody)),
)]
async fn get(
    State(app): State<App>,
    Path((_, namespace, id)): Path<(String, String, String)>,
    Query(query): Query<GetQuery>,
) -> Result<Json<Json_>, Error> {
    let saved = app.node.flow(&namespace, &id, query.revision).await?;
    Ok(Json(body(&saved, query.source)))
}

/// The lock of a revision: which plugin bytes each task runs on.
#[utoipa::path(
    get, path = "/flows/{namespace}/{id}/lock", operation_id = "flowLock",
    params(GetQuery),
    responses((status = 200, body = LockBody)),
)]
async fn lock(
    State(app): State<App>,
    Path((_, namespace, id)): Path<(String, String, String)>,
    Query(query): Query<GetQuery>,
) -> Result<Response, Error> {
    let saved = app.node.flow(&namespace, &id, query.revision).await?;
    Ok(Json(&saved.lock).into_response())
}

/// Deletes a flow. Its executions and revisions stay.
#[utoipa::path(
    delete, path = "/flows/{namespace}/{id}", operation_id = "deleteFlow",
    responses((status = 204, description = "it is gone")),
)]
async fn delete(
    State(app): State<App>,
    Path((_, namespace, id)): Path<(String, String, String)>,
) -> Result<StatusCode, Error> {
    app.node.delete_flow(&namespace, &id).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// All revisions of a flow, with their sources.
#[utoipa::path(
    get, path = "/flows/{namespace}/{id}/revisions", operation_id = "listFlowRevisions",
    responses((status = 200, body = Vec<FlowBody>)),
)]
async fn revisions(
    State(app): State<App>,
    Path((_, namespace, id)): Path<(String, String, String)>,
) -> Result<Json<Vec<Json_>>, Error> {
    let all = app.node.flow_revisions(&namespace, &id).await?;
    Ok(Json(all.iter().map(|saved| body(saved, true)).collect()))
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

/// Flows by namespace and by a part of their name.
#[utoipa::path(
    get, path = "/flows/search", operation_id = "searchFlows",
    params(SearchQuery),
    responses((status = 200, body = Paged<FlowBody>)),
)]
async fn search(State(app): State<App>, Query(query): Query<SearchQuery>) -> Result<Json<Paged<Json_>>, Error> {
    let mut all = app.node.flows(query.namespace.as_deref()).await?;
    if let Some(text) = query.q.as_deref().filter(|text| !text.is_empty()) {
        all.retain(|saved| saved.flow.key.to_string().contains(text));
    }
    let size = query.size.unwrap_or(25).clamp(1, PAGE_MAX);
    let skipped = query.page.unwrap_or(1).saturating_sub(1).saturating_mul(size);
    let results = all.iter().skip(skipped).take(size).map(|saved| body(saved, false)).collect();
    Ok(Json(Paged { results, total: all.len() }))
}

/// The namespaces that have flows.
#[utoipa::path(
    get, path = "/flows/distinct-namespaces", operation_id = "listDistinctNamespaces",
    responses((status = 200, body = Vec<String>)),
)]
async fn distinct_namespaces(State(app): State<App>) -> Result<Json<Vec<String>>, Error> {
    let all = app.node.flows(None).await?;
    let mut names: Vec<String> = all.iter().map(|saved| saved.flow.key.namespace.to_string()).collect();
    names.sort();
    names.dedup();
    Ok(Json(names))
}

/// Validates every document of a YAML stream.
#[utoipa::path(
    post, path = "/flows/validate", operation_id = "validateFlows",
    request_body(content = String, content_type = "application/x-yaml"),
    responses((status = 200, body = Vec<Validated>)),
)]
async fn validate(State(app): State<App>, source: String) -> Json<Vec<Validated>> {
    let mut answers = Vec::new();
    for (index, document) in documents(&source).enumerate() {
        let validation = app.node.validate_flow(document).await;
        let errors: Vec<String> = validation
            .problems
            .iter()
            .filter(|problem| problem.severity == Severity::Error)
            .map(ToString::to_string)
            .collect();
        let warnings = validation
            .problems
            .iter()
            .filter(|problem| problem.severity == Severity::Warning)
            .map(ToString::to_string)
            .collect();
        answers.push(Validated {
            index,
            namespace: validation.namespace,
            flow: validation.id,
            constraints: (!errors.is_empty()).then(|| errors.join("\n")),
            outdated: false,
            deprecation_paths: Vec::new(),
            warnings,
            infos: Vec::new(),
            problems: validation.problems.iter().map(crate::error::Issue::from).collect(),
        });
    }
    Json(answers)
}

/// The documents of a YAML stream: what lies between lines that are `---`. Kept as text, so that each document's own limits apply.
fn documents(source: &str) -> impl Iterator<Item = &str> {
    let mut rest = Some(source);
    std::iter::from_fn(move || {
        let text = rest?;
        let end = text.match_indices("\n---").find(|(at, _)| {
            let behind = text.get(at + 4..).unwrap_or_default();
            behind.is_empty() || behind.starts_with(['\n', '\r', ' '])
        });
        match end {
            Some((at, _)) => {
                rest = text.get(at + 4..);
                text.get(..at)
            }
            None => {
                rest = None;
                Some(text)
            }
        }
    })
    .filter(|document| !document.trim().is_empty())
    .chain(source.trim().is_empty().then_some(source))
}

/// A flow as Kestra shows it: its own properties, and what the server knows of it.
fn body(saved: &SavedFlow, with_source: bool) -> Json_ {
    let mut body = wire::value_json(&saved.document);
    if let Some(entries) = body.as_object_mut() {
        entries.insert("tenantId".into(), saved.flow.key.tenant.as_ref().into());
        entries.insert("revision".into(), saved.flow.revision.into());
        entries.insert("updated".into(), saved.created.to_string().into());
        entries.insert("deleted".into(), saved.deleted.into());
        entries.entry("disabled").or_insert(false.into());
        // Kestra's clients read labels as a list of pairs, whichever way the flow writes them.
        let labels: Vec<Json_> = saved
            .flow
            .labels
            .iter()
            .map(|label| serde_json::json!({ "key": label.key, "value": label.value }))
            .collect();
        entries.insert("labels".into(), labels.into());
        if with_source {
            entries.insert("source".into(), saved.flow.source.as_ref().into());
        }
    }
    body
}

#[cfg(test)]
mod tests {
    use super::documents;

    #[test]
    fn documents_are_split_at_their_marks() {
        let check = |source: &str, expected: &[&str]| assert_eq!(documents(source).collect::<Vec<_>>(), expected);
        check("a: 1", &["a: 1"]);
        check("a: 1\n---\nb: 2\n", &["a: 1", "\nb: 2\n"]);
        check("---\na: 1", &["---\na: 1"]);
        check("a: |\n  ---x\n", &["a: |\n  ---x\n"]);
        check("", &[""]);
    }
}
