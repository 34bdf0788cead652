//! One thing done to many triggers: those that are named, of which all must be there, or those that filters find.

use axum::Json;
use axum::extract::{Query, RawQuery, State};
use serde::Deserialize;
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::{App, OfTriggers, narrow};
use crate::error::{Error, Issue};
use crate::http::filters::{self, Filter};
use crate::http::shown::PAGE_MAX;
use crate::http::wire::Count;
use crate::triggers::TriggerSeen;

/// How many it was done to.
type Done = Result<Json<Count>, Error>;

/// A trigger that something is to be done to; clients send all of it.
#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = NamedTrigger)]
struct Named {
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

/// Triggers that are switched, and how.
#[derive(Deserialize, ToSchema)]
#[schema(as = SwitchedTriggers)]
struct Switched {
    triggers: Vec<Named>,
    disabled: bool,
}

/// How triggers are switched.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct SwitchQuery {
    disabled: bool,
}

pub fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(unlock_by_ids))
        .routes(routes!(unlock_by_query))
        .routes(routes!(pause_backfill_by_ids))
        .routes(routes!(pause_backfill_by_query))
        .routes(routes!(resume_backfill_by_ids))
        .routes(routes!(resume_backfill_by_query))
        .routes(routes!(end_backfill_by_ids))
        .routes(routes!(end_backfill_by_query))
        .routes(routes!(switch_by_ids))
        .routes(routes!(switch_by_query))
        .routes(routes!(delete_by_ids))
        .routes(routes!(delete_by_query))
}

/// Frees triggers from the executions that they wait for: those that are named.
#[utoipa::path(
    post, path = "/triggers/unlock/by-triggers", operation_id = "unlockTriggersByIds",
    request_body = Vec<Named>,
    responses((status = 200, body = Count)),
)]
async fn unlock_by_ids(State(app): State<App>, Json(named): Json<Vec<Named>>) -> Done {
    Action::Unlock.by_ids(&app, named).await
}

/// Frees triggers from the executions that they wait for: those that filters find.
#[utoipa::path(
    post, path = "/triggers/unlock/by-query", operation_id = "unlockTriggersByQuery",
    params(OfTriggers),
    responses((status = 200, body = Count)),
)]
async fn unlock_by_query(State(app): State<App>, RawQuery(query): RawQuery) -> Done {
    Action::Unlock.by_query(&app, query.as_deref()).await
}

/// Pauses the ways of triggers through a past: those that are named.
#[utoipa::path(
    post, path = "/triggers/backfill/pause/by-triggers", operation_id = "pauseBackfillByIds",
    request_body = Vec<Named>,
    responses((status = 200, body = Count)),
)]
async fn pause_backfill_by_ids(State(app): State<App>, Json(named): Json<Vec<Named>>) -> Done {
    Action::PauseBackfill.by_ids(&app, named).await
}

/// Pauses the ways of triggers through a past: those that filters find.
#[utoipa::path(
    post, path = "/triggers/backfill/pause/by-query", operation_id = "pauseBackfillByQuery",
    params(OfTriggers),
    responses((status = 200, body = Count)),
)]
async fn pause_backfill_by_query(State(app): State<App>, RawQuery(query): RawQuery) -> Done {
    Action::PauseBackfill.by_query(&app, query.as_deref()).await
}

/// Goes on with the ways of triggers through a past: those that are named.
#[utoipa::path(
    post, path = "/triggers/backfill/unpause/by-triggers", operation_id = "unpauseBackfillByIds",
    request_body = Vec<Named>,
    responses((status = 200, body = Count)),
)]
async fn resume_backfill_by_ids(State(app): State<App>, Json(named): Json<Vec<Named>>) -> Done {
    Action::ResumeBackfill.by_ids(&app, named).await
}

/// Goes on with the ways of triggers through a past: those that filters find.
#[utoipa::path(
    post, path = "/triggers/backfill/unpause/by-query", operation_id = "unpauseBackfillByQuery",
    params(OfTriggers),
    responses((status = 200, body = Count)),
)]
async fn resume_backfill_by_query(State(app): State<App>, RawQuery(query): RawQuery) -> Done {
    Action::ResumeBackfill.by_query(&app, query.as_deref()).await
}

/// Ends the ways of triggers through a past: those that are named.
#[utoipa::path(
    post, path = "/triggers/backfill/delete/by-triggers", operation_id = "deleteBackfillByIds",
    request_body = Vec<Named>,
    responses((status = 200, body = Count)),
)]
async fn end_backfill_by_ids(State(app): State<App>, Json(named): Json<Vec<Named>>) -> Done {
    Action::EndBackfill.by_ids(&app, named).await
}

/// Ends the ways of triggers through a past: those that filters find.
#[utoipa::path(
    post, path = "/triggers/backfill/delete/by-query", operation_id = "deleteBackfillByQuery",
    params(OfTriggers),
    responses((status = 200, body = Count)),
)]
async fn end_backfill_by_query(State(app): State<App>, RawQuery(query): RawQuery) -> Done {
    Action::EndBackfill.by_query(&app, query.as_deref()).await
}

/// Switches triggers on or off: those that are named.
#[utoipa::path(
    post, path = "/triggers/set-disabled/by-triggers", operation_id = "disabledTriggersByIds",
    request_body = Switched,
    responses((status = 200, body = Count)),
)]
async fn switch_by_ids(State(app): State<App>, Json(asked): Json<Switched>) -> Done {
    Action::Switch { on: !asked.disabled }.by_ids(&app, asked.triggers).await
}

/// Switches triggers on or off: those that filters find.
#[utoipa::path(
    post, path = "/triggers/set-disabled/by-query", operation_id = "disabledTriggersByQuery",
    params(SwitchQuery, OfTriggers),
    responses((status = 200, body = Count)),
)]
async fn switch_by_query(State(app): State<App>, Query(asked): Query<SwitchQuery>, RawQuery(query): RawQuery) -> Done {
    Action::Switch { on: !asked.disabled }.by_query(&app, query.as_deref()).await
}

/// Forgets all that is known of triggers: of those that are named.
#[utoipa::path(
    delete, path = "/triggers/delete/by-triggers", operation_id = "deleteTriggersByIds",
    request_body = Vec<Named>,
    responses((status = 200, body = Count)),
)]
async fn delete_by_ids(State(app): State<App>, Json(named): Json<Vec<Named>>) -> Done {
    Action::Forget.by_ids(&app, named).await
}

/// Filters in a body.
#[derive(Deserialize, ToSchema)]
#[schema(as = TriggerFilters)]
struct FiltersBody {
    filters: Option<Vec<filters::Written>>,
}

/// Forgets all that is known of triggers: of those that filters find, in the body or in the query. Without any, none is meant.
#[utoipa::path(
    delete, path = "/triggers/delete/by-query", operation_id = "deleteTriggersByQuery",
    params(OfTriggers),
    request_body = FiltersBody,
    responses((status = 200, body = Count)),
)]
async fn delete_by_query(State(app): State<App>, RawQuery(query): RawQuery, Json(body): Json<FiltersBody>) -> Done {
    let query = query.unwrap_or_default();
    filters::only_meant(&query, &[])?;
    let mut all = filters::parse(&query)?;
    all.extend(filters::read(&body.filters.unwrap_or_default())?);
    if all.is_empty() {
        let message = "no filter says which triggers are meant; hint: give at least one";
        return Err(Error::bad_request("query.invalid", message));
    }
    Action::Forget.to_found(&app, all).await
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
    async fn to_all(self, app: &App, triggers: Vec<TriggerSeen>) -> Done {
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
        Ok(Json(Count { count }))
    }

    /// All that are named must be there, or it is done to none.
    async fn by_ids(self, app: &App, named: Vec<Named>) -> Done {
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

    async fn by_query(self, app: &App, query: Option<&str>) -> Done {
        let parameters: &[&str] = if matches!(self, Self::Switch { .. }) { &["disabled"] } else { &[] };
        filters::only_meant(query.unwrap_or_default(), parameters)?;
        self.to_found(app, filters::parse(query.unwrap_or_default())?).await
    }

    async fn to_found(self, app: &App, filters: Vec<Filter>) -> Done {
        let mut triggers = app.node.triggers_seen(None, None).await?;
        narrow(&mut triggers, filters)?;
        self.to_all(app, triggers).await
    }
}
