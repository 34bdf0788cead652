//! `/api/v1/{tenant}/triggers`: list, switch, free, begin anew, go through a past.

use axum::Json;
use axum::extract::{Path, Query, RawQuery, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use expr::Map;
use jiff::Timestamp;
use model::flow::Label;
use serde::Deserialize;
use serde_json::{Value, json};

use super::App;
use super::filters::{self, Filter, text_test};
use super::flows::Paged;
use super::wire::{TriggerContext, Triggers};
use crate::error::{Error, Issue};
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
pub async fn search(
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

/// Forgets all that is known of a trigger. Its flow still has it: it begins as if it had just been saved.
pub async fn delete(
    State(app): State<App>,
    Path((_, namespace, flow, id)): Path<(String, String, String, String)>,
) -> Result<StatusCode, Error> {
    app.node.forget_trigger(&namespace, &flow, &id).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Forgets all that is known of these triggers.
pub async fn delete_by_ids(State(app): State<App>, Json(named): Json<Vec<Named>>) -> Result<Json<Value>, Error> {
    Action::Forget.by_ids(&app, named).await
}

/// Filters in a body.
#[derive(Deserialize)]
pub struct FiltersBody {
    #[serde(default)]
    filters: Option<Vec<filters::Written>>,
}

/// Forgets all that is known of the triggers that filters find; they come in the body or in the query, and not all triggers are meant by none.
pub async fn delete_by_query(
    State(app): State<App>,
    RawQuery(query): RawQuery,
    Json(body): Json<FiltersBody>,
) -> Result<Json<Value>, Error> {
    let query = query.unwrap_or_default();
    filters::only(&query, &[])?;
    let mut all = filters::parse(&query)?;
    all.extend(filters::read(&body.filters.unwrap_or_default())?);
    if all.is_empty() {
        return Err(Error::bad_request(
            "query.invalid",
            "no filter says which triggers are meant; hint: give at least one",
        ));
    }
    Action::Forget.to_found(&app, all).await
}

/// The triggers that filters find as CSV (RFC 4180). No field needs quotes: they are ids, times and truth values.
pub async fn export(State(app): State<App>, RawQuery(query): RawQuery) -> Result<Response, Error> {
    let query = query.unwrap_or_default();
    filters::only(&query, &[])?;
    let mut triggers = app.node.triggers_seen(None, None).await?;
    narrow(&mut triggers, filters::parse(&query)?)?;
    let mut text =
        "tenantId,namespace,flowId,triggerId,date,nextExecutionDate,updatedDate,executionId,disabled\r\n".to_owned();
    for seen in &triggers {
        TriggerContext::of(seen).write_csv(&mut text);
    }
    let headers = [
        (header::CONTENT_TYPE, "text/csv; charset=utf-8"),
        (header::CONTENT_DISPOSITION, "attachment; filename=\"triggers.csv\""),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    ];
    Ok((headers, text).into_response())
}

/// What is done to many triggers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Action {
    Unlock,
    PauseBackfill,
    ResumeBackfill,
    EndBackfill,
    Switch { on: bool },
    Forget,
}

impl Action {
    /// Whether it changes anything about a trigger.
    fn applies(self, seen: &TriggerSeen) -> bool {
        let backfill = seen.state.backfill.as_ref();
        match self {
            Self::Unlock => seen.state.locked_by.is_some(),
            Self::PauseBackfill => backfill.is_some_and(|backfill| !backfill.paused),
            Self::ResumeBackfill => backfill.is_some_and(|backfill| backfill.paused),
            Self::EndBackfill => backfill.is_some(),
            Self::Switch { on } => seen.state.disabled == on,
            Self::Forget => true,
        }
    }

    /// Does it to those that it applies to, and says to how many.
    async fn to_all(self, app: &App, triggers: Vec<TriggerSeen>) -> Result<Json<Value>, Error> {
        let mut count = 0;
        for seen in triggers.iter().filter(|seen| self.applies(seen)) {
            let key = &seen.state.flow;
            let (namespace, flow, id) = (key.namespace.as_str(), key.id.as_str(), seen.state.trigger.as_str());
            match self {
                Self::Unlock => app.node.unlock_trigger(namespace, flow, id).await?,
                Self::PauseBackfill => app.node.pause_backfill(namespace, flow, id).await?,
                Self::ResumeBackfill => app.node.resume_backfill(namespace, flow, id).await?,
                Self::EndBackfill => app.node.end_backfill(namespace, flow, id).await?,
                Self::Switch { on } => app.node.switch_trigger(namespace, flow, id, on).await?,
                Self::Forget => app.node.forget_trigger(namespace, flow, id).await?,
            };
            count += 1;
        }
        Ok(Json(json!({ "count": count })))
    }

    /// All that are named must be there, or it is done to none.
    async fn by_ids(self, app: &App, named: Vec<Named>) -> Result<Json<Value>, Error> {
        if named.len() > PAGE_MAX {
            let message = format!("there are {} triggers, at most {PAGE_MAX} are taken", named.len());
            return Err(Error::bad_request("triggers.refused", message));
        }
        let all = app.node.triggers_seen(None, None).await?;
        let (mut triggers, mut issues) = (Vec::new(), Vec::new());
        for (index, one) in named.iter().enumerate() {
            let found = all.iter().find(|seen| one.names(seen));
            match found {
                Some(seen) => triggers.push(seen.clone()),
                None => issues.push(Issue {
                    path: format!("[{index}]"),
                    line: None,
                    code: "not_found".to_owned(),
                    message: format!("no trigger `{}` of flow `{}.{}`", one.trigger_id, one.namespace, one.flow_id),
                    hint: None,
                }),
            }
        }
        if issues.is_empty() {
            return self.to_all(app, triggers).await;
        }
        let message = "nothing was done: these triggers are not there".to_owned();
        Err(Error::Invalid { code: "triggers.refused", message, issues })
    }

    async fn by_query(self, app: &App, query: Option<&str>) -> Result<Json<Value>, Error> {
        let parameters: &[&str] = if matches!(self, Self::Switch { .. }) { &["disabled"] } else { &[] };
        filters::only(query.unwrap_or_default(), parameters)?;
        self.to_found(app, filters::parse(query.unwrap_or_default())?).await
    }

    async fn to_found(self, app: &App, filters: Vec<Filter>) -> Result<Json<Value>, Error> {
        let mut triggers = app.node.triggers_seen(None, None).await?;
        narrow(&mut triggers, filters)?;
        self.to_all(app, triggers).await
    }
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

/// A trigger that something is to be done to; clients send all of it.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Named {
    namespace: String,
    flow_id: String,
    trigger_id: String,
}

impl Named {
    fn names(&self, seen: &TriggerSeen) -> bool {
        let key = &seen.state.flow;
        self.namespace == key.namespace.as_str()
            && self.flow_id == key.id.as_str()
            && self.trigger_id == seen.state.trigger.as_str()
    }
}

/// Both ways of doing something to many.
macro_rules! many {
    ($($by_ids:ident, $by_query:ident: $action:expr;)+) => {$(
        pub async fn $by_ids(State(app): State<App>, Json(named): Json<Vec<Named>>) -> Result<Json<Value>, Error> {
            $action.by_ids(&app, named).await
        }

        pub async fn $by_query(State(app): State<App>, RawQuery(query): RawQuery) -> Result<Json<Value>, Error> {
            $action.by_query(&app, query.as_deref()).await
        }
    )+};
}

many! {
    unlock_by_ids, unlock_by_query: Action::Unlock;
    pause_backfill_by_ids, pause_backfill_by_query: Action::PauseBackfill;
    resume_backfill_by_ids, resume_backfill_by_query: Action::ResumeBackfill;
    end_backfill_by_ids, end_backfill_by_query: Action::EndBackfill;
}

/// Triggers that are switched, and how.
#[derive(Deserialize)]
pub struct Switched {
    triggers: Vec<Named>,
    disabled: bool,
}

/// `?disabled=`
#[derive(Deserialize)]
pub struct SwitchQuery {
    disabled: bool,
}

pub async fn switch_by_ids(State(app): State<App>, Json(asked): Json<Switched>) -> Result<Json<Value>, Error> {
    Action::Switch { on: !asked.disabled }.by_ids(&app, asked.triggers).await
}

pub async fn switch_by_query(
    State(app): State<App>,
    Query(asked): Query<SwitchQuery>,
    RawQuery(query): RawQuery,
) -> Result<Json<Value>, Error> {
    Action::Switch { on: !asked.disabled }.by_query(&app, query.as_deref()).await
}

fn shown(seen: &TriggerSeen) -> Response {
    Json(TriggerContext::of(seen)).into_response()
}
