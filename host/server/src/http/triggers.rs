//! `/api/v1/{tenant}/triggers`: list, switch, free, begin anew, go through a past.

mod many;

use axum::Json;
use axum::extract::{Path, Query, RawQuery, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use expr::Map;
use jiff::Timestamp;
use model::flow::Label;
use serde::Deserialize;
use utoipa::openapi::path::{Parameter, ParameterIn};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::App;
use super::filters::{self, Filter, text_test};
use super::flows::Paged;
use super::openapi::tagged;
use super::shown::{attachment, paged};
use super::wire::named::LabelBody;
use super::wire::{TriggerContext, Triggers};
use crate::error::Error;
use crate::triggers::{BackfillAsk, TriggerSeen};

/// A page of a search.
#[derive(Deserialize, IntoParams)]
#[serde(rename_all = "camelCase")]
#[into_params(parameter_in = Query)]
struct SearchQuery {
    namespace: Option<String>,
    flow_id: Option<String>,
    /// A part of the name of a trigger, its flow or its namespace.
    q: Option<String>,
    /// From 1.
    page: Option<usize>,
    /// At most 1,000 are shown, whatever is asked for. By default 25.
    size: Option<usize>,
}

/// A trigger as clients send it back.
#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct TriggerAsk {
    namespace: String,
    flow_id: String,
    trigger_id: String,
    disabled: Option<bool>,
    backfill: Option<BackfillBody>,
}

/// A past that a trigger is to go through.
#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = BackfillAsk)]
struct BackfillBody {
    start: Timestamp,
    end: Option<Timestamp>,
    #[serde(default)]
    #[schema(value_type = Option<Object>)]
    inputs: Option<serde_json::Map<String, serde_json::Value>>,
    #[serde(default)]
    #[schema(value_type = Option<Vec<LabelBody>>)]
    labels: Option<Vec<Label>>,
}

impl BackfillBody {
    fn read(self) -> Result<BackfillAsk, Error> {
        let mut inputs: Map = Map::new();
        for (name, value) in self.inputs.unwrap_or_default() {
            let value = expr::Value::parse_json(&value.to_string());
            let value = value.map_err(|error| Error::bad_request("body.json", format!("input `{name}`: {error}")))?;
            inputs.insert(name.into(), value);
        }
        Ok(BackfillAsk { start: self.start, end: self.end, inputs, labels: self.labels.unwrap_or_default() })
    }
}

pub fn routes() -> OpenApiRouter<App> {
    tagged(
        "Triggers",
        OpenApiRouter::new()
            .routes(routes!(search))
            .routes(routes!(of_flow))
            .routes(routes!(update))
            .routes(routes!(backfill))
            .routes(routes!(pause_backfill))
            .routes(routes!(resume_backfill))
            .routes(routes!(end_backfill))
            .routes(routes!(unlock))
            .routes(routes!(restart))
            .routes(routes!(delete))
            .routes(routes!(export))
            .merge(many::routes()),
    )
}

/// The filters of triggers, as they are described.
struct OfTriggers;

impl IntoParams for OfTriggers {
    fn into_params(_: impl Fn() -> Option<ParameterIn>) -> Vec<Parameter> {
        vec![filters::described(&["namespace", "flowId", "triggerId", "q"])]
    }
}

/// Triggers of all flows, each with what its flow says of it.
#[utoipa::path(
    get, path = "/triggers/search", operation_id = "searchTriggers",
    params(SearchQuery, OfTriggers),
    responses((status = 200, body = Paged<Triggers<'_>>)),
)]
async fn search(
    State(app): State<App>,
    RawQuery(written): RawQuery,
    Query(query): Query<SearchQuery>,
) -> Result<Response, Error> {
    let mut seen = app.node.triggers_seen(query.namespace.as_deref(), query.flow_id.as_deref()).await?;
    narrow(&mut seen, filters::parse(written.as_deref().unwrap_or_default())?)?;
    let (seen, total) = page(seen, &query);
    let results: Vec<Triggers<'_>> = seen.iter().filter_map(Triggers::of).collect();
    Ok(Json(Paged { results, total }).into_response())
}

/// The triggers of a flow.
#[utoipa::path(
    get, path = "/triggers/{namespace}/{flowId}", operation_id = "searchTriggersForFlow",
    params(SearchQuery),
    responses((status = 200, body = Paged<TriggerContext<'_>>)),
)]
async fn of_flow(
    State(app): State<App>,
    Path((_, namespace, flow)): Path<(String, String, String)>,
    Query(query): Query<SearchQuery>,
) -> Result<Response, Error> {
    let seen = app.node.triggers_seen(Some(&namespace), Some(&flow)).await?;
    let (seen, total) = page(seen, &query);
    let results: Vec<TriggerContext<'_>> = seen.iter().map(TriggerContext::of).collect();
    Ok(Json(Paged { results, total }).into_response())
}

/// Whether a part of a name of a trigger, its flow or its namespace is this, without regard to case.
fn has(seen: &TriggerSeen, part: &str) -> bool {
    let (state, part) = (&seen.state, part.to_lowercase());
    let names = [state.trigger.as_str(), state.flow.id.as_str(), state.flow.namespace.as_str()];
    names.iter().any(|name| name.to_lowercase().contains(&part))
}

fn page(seen: Vec<TriggerSeen>, query: &SearchQuery) -> (Vec<TriggerSeen>, usize) {
    let fits = |seen: &TriggerSeen| query.q.as_deref().is_none_or(|part| has(seen, part));
    let found: Vec<TriggerSeen> = seen.into_iter().filter(fits).collect();
    let total = found.len();
    let (skipped, size) = paged(query.page, query.size, 25);
    (found.into_iter().skip(skipped).take(size).collect(), total)
}

/// Switches a trigger, or has it go through a past: what differs from how it is.
#[utoipa::path(
    put, path = "/triggers", operation_id = "updateTrigger",
    request_body = TriggerAsk,
    responses((status = 200, body = TriggerContext<'_>)),
)]
async fn update(State(app): State<App>, Json(ask): Json<TriggerAsk>) -> Result<Response, Error> {
    let (namespace, flow, id) = (ask.namespace.as_str(), ask.flow_id.as_str(), ask.trigger_id.as_str());
    let mut seen = None;
    if let Some(disabled) = ask.disabled {
        seen = Some(app.node.switch_trigger(namespace, flow, id, !disabled).await?);
    }
    // Clients send back the whole trigger: a backfill that is under way already is no new one.
    let under_way = seen.as_ref().and_then(|seen| seen.state.backfill.as_ref()).map(|backfill| backfill.start);
    if let Some(backfill) = ask.backfill
        && under_way != Some(backfill.start)
    {
        seen = Some(app.node.backfill(namespace, flow, id, backfill.read()?).await?);
    }
    match seen {
        Some(seen) => Ok(shown(&seen)),
        None => Err(Error::bad_request("trigger.update", "nothing is asked for; hint: give `disabled` or `backfill`")),
    }
}

/// Has a trigger go through a past.
#[utoipa::path(
    put, path = "/triggers/backfill/create", operation_id = "createBackfill",
    request_body = TriggerAsk,
    responses((status = 200, body = TriggerContext<'_>)),
)]
async fn backfill(State(app): State<App>, Json(ask): Json<TriggerAsk>) -> Result<Response, Error> {
    let Some(backfill) = ask.backfill else {
        return Err(Error::bad_request("backfill.none", "`backfill` is not given"));
    };
    let asked = backfill.read()?;
    Ok(shown(&app.node.backfill(&ask.namespace, &ask.flow_id, &ask.trigger_id, asked).await?))
}

/// Pauses the way of a trigger through a past.
#[utoipa::path(
    put, path = "/triggers/backfill/pause", operation_id = "pauseBackfill",
    request_body = TriggerAsk,
    responses((status = 200, body = TriggerContext<'_>)),
)]
async fn pause_backfill(State(app): State<App>, Json(ask): Json<TriggerAsk>) -> Result<Response, Error> {
    Ok(shown(&app.node.pause_backfill(&ask.namespace, &ask.flow_id, &ask.trigger_id).await?))
}

/// Goes on with the way of a trigger through a past.
#[utoipa::path(
    put, path = "/triggers/backfill/unpause", operation_id = "unpauseBackfill",
    request_body = TriggerAsk,
    responses((status = 200, body = TriggerContext<'_>)),
)]
async fn resume_backfill(State(app): State<App>, Json(ask): Json<TriggerAsk>) -> Result<Response, Error> {
    Ok(shown(&app.node.resume_backfill(&ask.namespace, &ask.flow_id, &ask.trigger_id).await?))
}

/// Ends the way of a trigger through a past.
#[utoipa::path(
    post, path = "/triggers/backfill/delete", operation_id = "deleteBackfill",
    request_body = TriggerAsk,
    responses((status = 200, body = TriggerContext<'_>)),
)]
async fn end_backfill(State(app): State<App>, Json(ask): Json<TriggerAsk>) -> Result<Response, Error> {
    Ok(shown(&app.node.end_backfill(&ask.namespace, &ask.flow_id, &ask.trigger_id).await?))
}

/// Frees a trigger from the execution that it waits for.
#[utoipa::path(
    post, path = "/triggers/{namespace}/{flowId}/{triggerId}/unlock", operation_id = "unlockTrigger",
    responses((status = 200, body = TriggerContext<'_>)),
)]
async fn unlock(
    State(app): State<App>,
    Path((_, namespace, flow, id)): Path<(String, String, String, String)>,
) -> Result<Response, Error> {
    Ok(shown(&app.node.unlock_trigger(&namespace, &flow, &id).await?))
}

/// Has a trigger begin anew.
#[utoipa::path(
    post, path = "/triggers/{namespace}/{flowId}/{triggerId}/restart", operation_id = "restartTrigger",
    responses((status = 200, body = TriggerContext<'_>)),
)]
async fn restart(
    State(app): State<App>,
    Path((_, namespace, flow, id)): Path<(String, String, String, String)>,
) -> Result<Response, Error> {
    Ok(shown(&app.node.restart_trigger(&namespace, &flow, &id).await?))
}

/// Forgets all that is known of a trigger. Its flow still has it: it begins as if it had just been saved.
#[utoipa::path(
    delete, path = "/triggers/{namespace}/{flowId}/{triggerId}", operation_id = "deleteTrigger",
    responses((status = 204, description = "it begins anew")),
)]
async fn delete(
    State(app): State<App>,
    Path((_, namespace, flow, id)): Path<(String, String, String, String)>,
) -> Result<StatusCode, Error> {
    app.node.forget_trigger(&namespace, &flow, &id).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// The triggers that filters find as CSV (RFC 4180). No field needs quotes: they are ids, times and truth values.
#[utoipa::path(
    get, path = "/triggers/export/by-query/csv", operation_id = "exportTriggers",
    params(OfTriggers),
    responses((status = 200, body = String, content_type = "text/csv")),
)]
async fn export(State(app): State<App>, RawQuery(query): RawQuery) -> Result<Response, Error> {
    let query = query.unwrap_or_default();
    filters::only(&query, &[])?;
    let mut triggers = app.node.triggers_seen(None, None).await?;
    narrow(&mut triggers, filters::parse(&query)?)?;
    let mut text = format!("{}\r\n", TriggerContext::CSV_HEAD);
    for seen in &triggers {
        TriggerContext::of(seen).write_csv(&mut text);
    }
    Ok(attachment("text/csv; charset=utf-8", "triggers.csv", text))
}

/// Leaves those that pass all filters.
fn narrow(triggers: &mut Vec<TriggerSeen>, filters: Vec<Filter>) -> Result<(), Error> {
    let mut issues = Vec::new();
    for filter in filters {
        let of: fn(&TriggerSeen) -> &str = match filter.field.as_str() {
            "namespace" => |seen| seen.state.flow.namespace.as_str(),
            "flowId" => |seen| seen.state.flow.id.as_str(),
            "triggerId" => |seen| seen.state.trigger.as_str(),
            "q" | "query" => {
                triggers.retain(|seen| has(seen, &filter.value));
                continue;
            }
            other => {
                let message = format!("triggers are not searched by `{other}`");
                issues.push(filter.issue(message, "they are by namespace, flowId, triggerId and q"));
                continue;
            }
        };
        match text_test(&filter) {
            Ok(test) => triggers.retain(|seen| test.holds(of(seen))),
            Err(issue) => issues.push(issue),
        }
    }
    filters::refuse(issues)
}

fn shown(seen: &TriggerSeen) -> Response {
    Json(TriggerContext::of(seen)).into_response()
}
