//! `/api/v1/{tenant}/triggers`: list, switch, free, begin anew, go through a past.

use axum::Json;
use axum::extract::{Path, Query, State};
use axum::response::{IntoResponse, Response};
use expr::Map;
use jiff::Timestamp;
use model::flow::Label;
use serde::Deserialize;

use super::App;
use super::flows::Paged;
use super::wire::{TriggerContext, Triggers};
use crate::error::Error;
use crate::triggers::{BackfillAsk, TriggerSeen};

/// Most triggers of one page.
const PAGE_MAX: usize = 1_000;

/// A page of a search.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SearchQuery {
    namespace: Option<String>,
    flow_id: Option<String>,
    q: Option<String>,
    page: Option<usize>,
    size: Option<usize>,
}

/// A trigger as clients send it back.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct TriggerAsk {
    namespace: String,
    flow_id: String,
    trigger_id: String,
    disabled: Option<bool>,
    backfill: Option<BackfillBody>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct BackfillBody {
    start: Timestamp,
    end: Option<Timestamp>,
    #[serde(default)]
    inputs: Option<serde_json::Map<String, serde_json::Value>>,
    #[serde(default)]
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

/// Triggers of all flows, each with what its flow says of it.
pub async fn search(State(app): State<App>, Query(query): Query<SearchQuery>) -> Result<Response, Error> {
    let seen = app.node.triggers_seen(query.namespace.as_deref(), query.flow_id.as_deref()).await?;
    let (seen, total) = page(seen, &query);
    let results: Vec<Triggers<'_>> = seen.iter().filter_map(Triggers::of).collect();
    Ok(Json(Paged { results, total }).into_response())
}

/// The triggers of a flow.
pub async fn of_flow(
    State(app): State<App>,
    Path((_, namespace, flow)): Path<(String, String, String)>,
    Query(query): Query<SearchQuery>,
) -> Result<Response, Error> {
    let seen = app.node.triggers_seen(Some(&namespace), Some(&flow)).await?;
    let (seen, total) = page(seen, &query);
    let results: Vec<TriggerContext<'_>> = seen.iter().map(TriggerContext::of).collect();
    Ok(Json(Paged { results, total }).into_response())
}

fn page(seen: Vec<TriggerSeen>, query: &SearchQuery) -> (Vec<TriggerSeen>, usize) {
    let wanted = query.q.as_deref().unwrap_or_default().to_lowercase();
    let fits = |seen: &TriggerSeen| {
        let state = &seen.state;
        let names = [state.trigger.as_str(), state.flow.id.as_str(), state.flow.namespace.as_str()];
        names.iter().any(|name| name.to_lowercase().contains(&wanted))
    };
    let found: Vec<TriggerSeen> = seen.into_iter().filter(fits).collect();
    let total = found.len();
    let size = query.size.unwrap_or(25).clamp(1, PAGE_MAX);
    let skipped = query.page.unwrap_or(1).saturating_sub(1).saturating_mul(size);
    (found.into_iter().skip(skipped).take(size).collect(), total)
}

/// Switches a trigger, or has it go through a past: what differs from how it is.
pub async fn update(State(app): State<App>, Json(ask): Json<TriggerAsk>) -> Result<Response, Error> {
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
pub async fn backfill(State(app): State<App>, Json(ask): Json<TriggerAsk>) -> Result<Response, Error> {
    let Some(backfill) = ask.backfill else {
        return Err(Error::bad_request("backfill.none", "`backfill` is not given"));
    };
    let asked = backfill.read()?;
    Ok(shown(&app.node.backfill(&ask.namespace, &ask.flow_id, &ask.trigger_id, asked).await?))
}

pub async fn pause_backfill(State(app): State<App>, Json(ask): Json<TriggerAsk>) -> Result<Response, Error> {
    Ok(shown(&app.node.pause_backfill(&ask.namespace, &ask.flow_id, &ask.trigger_id).await?))
}

pub async fn resume_backfill(State(app): State<App>, Json(ask): Json<TriggerAsk>) -> Result<Response, Error> {
    Ok(shown(&app.node.resume_backfill(&ask.namespace, &ask.flow_id, &ask.trigger_id).await?))
}

pub async fn end_backfill(State(app): State<App>, Json(ask): Json<TriggerAsk>) -> Result<Response, Error> {
    Ok(shown(&app.node.end_backfill(&ask.namespace, &ask.flow_id, &ask.trigger_id).await?))
}

pub async fn unlock(
    State(app): State<App>,
    Path((_, namespace, flow, id)): Path<(String, String, String, String)>,
) -> Result<Response, Error> {
    Ok(shown(&app.node.unlock_trigger(&namespace, &flow, &id).await?))
}

pub async fn restart(
    State(app): State<App>,
    Path((_, namespace, flow, id)): Path<(String, String, String, String)>,
) -> Result<Response, Error> {
    Ok(shown(&app.node.restart_trigger(&namespace, &flow, &id).await?))
}

fn shown(seen: &TriggerSeen) -> Response {
    Json(TriggerContext::of(seen)).into_response()
}
