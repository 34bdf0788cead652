//! One thing done to the executions that a query finds, as far as it can be done to them.

use axum::Json;
use axum::extract::{Query, RawQuery, State};
use model::flow::Label;
use model::state::State as Status;
use serde::Deserialize;
use utoipa::IntoParams;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::{Action, App, Deletion, ReplayAsk, StatusAsk};
use crate::error::Error;
use crate::http::filters::OfExecutions;
use crate::http::wire::Count;
use crate::http::wire::named::{LabelBody, StateName};

/// How many it was done to.
type Done = Result<Json<Count>, Error>;

/// The state that executions leave the queue in: `state` is a filter here.
#[derive(Deserialize, IntoParams)]
#[serde(rename_all = "camelCase")]
#[into_params(parameter_in = Query)]
struct QueueAsk {
    /// By default RUNNING.
    #[param(inline, value_type = Option<StateName>)]
    new_state: Option<Status>,
}

pub fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(kill))
        .routes(routes!(pause))
        .routes(routes!(resume))
        .routes(routes!(restart))
        .routes(routes!(replay))
        .routes(routes!(force_run))
        .routes(routes!(unqueue))
        .routes(routes!(change_status))
        .routes(routes!(set_labels))
        .routes(routes!(delete))
}

/// Ends executions: those that a query finds.
#[utoipa::path(
    delete, path = "/executions/kill/by-query", operation_id = "killExecutionsByQuery",
    params(OfExecutions),
    responses((status = 200, body = Count)),
)]
async fn kill(State(app): State<App>, RawQuery(query): RawQuery) -> Done {
    Action::Kill.by_query(&app, query.as_deref()).await
}

/// Pauses executions that run: those that a query finds.
#[utoipa::path(
    post, path = "/executions/pause/by-query", operation_id = "pauseExecutionsByQuery",
    params(OfExecutions),
    responses((status = 200, body = Count)),
)]
async fn pause(State(app): State<App>, RawQuery(query): RawQuery) -> Done {
    Action::Pause.by_query(&app, query.as_deref()).await
}

/// Resumes executions that are paused: those that a query finds.
#[utoipa::path(
    post, path = "/executions/resume/by-query", operation_id = "resumeExecutionsByQuery",
    params(OfExecutions),
    responses((status = 200, body = Count)),
)]
async fn resume(State(app): State<App>, RawQuery(query): RawQuery) -> Done {
    Action::Resume.by_query(&app, query.as_deref()).await
}

/// Goes on with executions that have ended, each from where it failed: those that a query finds.
#[utoipa::path(
    post, path = "/executions/restart/by-query", operation_id = "restartExecutionsByQuery",
    params(OfExecutions),
    responses((status = 200, body = Count)),
)]
async fn restart(State(app): State<App>, RawQuery(query): RawQuery) -> Done {
    Action::Restart.by_query(&app, query.as_deref()).await
}

/// Runs executions that have ended again, as other executions: those that a query finds.
#[utoipa::path(
    post, path = "/executions/replay/by-query", operation_id = "replayExecutionsByQuery",
    params(ReplayAsk, OfExecutions),
    responses((status = 200, body = Count)),
)]
async fn replay(State(app): State<App>, Query(ask): Query<ReplayAsk>, RawQuery(query): RawQuery) -> Done {
    ask.action().by_query(&app, query.as_deref()).await
}

/// Has executions run that wait for their turn: those that a query finds.
#[utoipa::path(
    post, path = "/executions/force-run/by-query", operation_id = "forceRunExecutionsByQuery",
    params(OfExecutions),
    responses((status = 200, body = Count)),
)]
async fn force_run(State(app): State<App>, RawQuery(query): RawQuery) -> Done {
    Action::ForceRun.by_query(&app, query.as_deref()).await
}

/// Takes executions out of the queues of their flows: those that a query finds.
#[utoipa::path(
    post, path = "/executions/unqueue/by-query", operation_id = "unqueueExecutionsByQuery",
    params(QueueAsk, OfExecutions),
    responses((status = 200, body = Count)),
)]
async fn unqueue(State(app): State<App>, Query(ask): Query<QueueAsk>, RawQuery(query): RawQuery) -> Done {
    Action::Unqueue(ask.new_state.unwrap_or(Status::Running)).by_query(&app, query.as_deref()).await
}

/// Changes the state of executions that have ended: those that a query finds.
#[utoipa::path(
    post, path = "/executions/change-status/by-query", operation_id = "updateExecutionsStatusByQuery",
    params(StatusAsk, OfExecutions),
    responses((status = 200, body = Count)),
)]
async fn change_status(State(app): State<App>, Query(ask): Query<StatusAsk>, RawQuery(query): RawQuery) -> Done {
    Action::ChangeStatus(ask.new_status).by_query(&app, query.as_deref()).await
}

/// Sets labels of executions that have ended: those that a query finds.
#[utoipa::path(
    post, path = "/executions/labels/by-query", operation_id = "setLabelsOnTerminatedExecutionsByQuery",
    params(OfExecutions),
    request_body = Vec<LabelBody>,
    responses((status = 200, body = Count)),
)]
async fn set_labels(State(app): State<App>, RawQuery(query): RawQuery, Json(labels): Json<Vec<Label>>) -> Done {
    Action::SetLabels(labels).by_query(&app, query.as_deref()).await
}

/// Deletes executions: those that a query finds.
#[utoipa::path(
    delete, path = "/executions/by-query", operation_id = "deleteExecutionsByQuery",
    params(Deletion, OfExecutions),
    responses((status = 200, body = Count)),
)]
async fn delete(State(app): State<App>, Query(ask): Query<Deletion>, RawQuery(query): RawQuery) -> Done {
    Action::Delete(ask).by_query(&app, query.as_deref()).await
}
