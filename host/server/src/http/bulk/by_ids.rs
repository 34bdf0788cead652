//! One thing done to the executions that are named. All of them must be there and fit, or it is done to none.

use axum::Json;
use axum::extract::{Query, State};
use model::flow::Label;
use model::state::State as Status;
use serde::Deserialize;
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::{Action, App, Deletion, ReplayAsk, StatusAsk};
use crate::error::Error;
use crate::http::wire::Count;
use crate::http::wire::named::{LabelBody, StateName};

/// How many it was done to.
type Done = Result<Json<Count>, Error>;

/// The state that executions leave the queue in.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct QueueAsk {
    /// By default RUNNING.
    #[param(inline, value_type = Option<StateName>)]
    state: Option<Status>,
}

/// Labels and whom they are for.
#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = LabelsOfExecutions)]
struct LabelAsk {
    executions_id: Vec<String>,
    #[schema(value_type = Vec<LabelBody>)]
    execution_labels: Vec<Label>,
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

/// Ends executions: those with these ids.
#[utoipa::path(
    delete, path = "/executions/kill/by-ids", operation_id = "killExecutionsByIds",
    request_body = Vec<String>,
    responses((status = 200, body = Count)),
)]
async fn kill(State(app): State<App>, Json(ids): Json<Vec<String>>) -> Done {
    Action::Kill.by_ids(&app, ids).await
}

/// Pauses executions that run: those with these ids.
#[utoipa::path(
    post, path = "/executions/pause/by-ids", operation_id = "pauseExecutionsByIds",
    request_body = Vec<String>,
    responses((status = 200, body = Count)),
)]
async fn pause(State(app): State<App>, Json(ids): Json<Vec<String>>) -> Done {
    Action::Pause.by_ids(&app, ids).await
}

/// Resumes executions that are paused: those with these ids.
#[utoipa::path(
    post, path = "/executions/resume/by-ids", operation_id = "resumeExecutionsByIds",
    request_body = Vec<String>,
    responses((status = 200, body = Count)),
)]
async fn resume(State(app): State<App>, Json(ids): Json<Vec<String>>) -> Done {
    Action::Resume.by_ids(&app, ids).await
}

/// Goes on with executions that have ended, each from where it failed: those with these ids.
#[utoipa::path(
    post, path = "/executions/restart/by-ids", operation_id = "restartExecutionsByIds",
    request_body = Vec<String>,
    responses((status = 200, body = Count)),
)]
async fn restart(State(app): State<App>, Json(ids): Json<Vec<String>>) -> Done {
    Action::Restart.by_ids(&app, ids).await
}

/// Runs executions that have ended again, as other executions: those with these ids.
#[utoipa::path(
    post, path = "/executions/replay/by-ids", operation_id = "replayExecutionsByIds",
    params(ReplayAsk),
    request_body = Vec<String>,
    responses((status = 200, body = Count)),
)]
async fn replay(State(app): State<App>, Query(ask): Query<ReplayAsk>, Json(ids): Json<Vec<String>>) -> Done {
    ask.action().by_ids(&app, ids).await
}

/// Has executions run that wait for their turn: those with these ids.
#[utoipa::path(
    post, path = "/executions/force-run/by-ids", operation_id = "forceRunByIds",
    request_body = Vec<String>,
    responses((status = 200, body = Count)),
)]
async fn force_run(State(app): State<App>, Json(ids): Json<Vec<String>>) -> Done {
    Action::ForceRun.by_ids(&app, ids).await
}

/// Takes executions out of the queues of their flows: those with these ids.
#[utoipa::path(
    post, path = "/executions/unqueue/by-ids", operation_id = "unqueueExecutionsByIds",
    params(QueueAsk),
    request_body = Vec<String>,
    responses((status = 200, body = Count)),
)]
async fn unqueue(State(app): State<App>, Query(ask): Query<QueueAsk>, Json(ids): Json<Vec<String>>) -> Done {
    Action::Unqueue(ask.state.unwrap_or(Status::Running)).by_ids(&app, ids).await
}

/// Changes the state of executions that have ended: those with these ids.
#[utoipa::path(
    post, path = "/executions/change-status/by-ids", operation_id = "updateExecutionsStatusByIds",
    params(StatusAsk),
    request_body = Vec<String>,
    responses((status = 200, body = Count)),
)]
async fn change_status(State(app): State<App>, Query(ask): Query<StatusAsk>, Json(ids): Json<Vec<String>>) -> Done {
    Action::ChangeStatus(ask.new_status).by_ids(&app, ids).await
}

/// Sets labels of executions that have ended: those with these ids.
#[utoipa::path(
    post, path = "/executions/labels/by-ids", operation_id = "setLabelsOnTerminatedExecutionsByIds",
    request_body = LabelAsk,
    responses((status = 200, body = Count)),
)]
async fn set_labels(State(app): State<App>, Json(ask): Json<LabelAsk>) -> Done {
    Action::SetLabels(ask.execution_labels).by_ids(&app, ask.executions_id).await
}

/// Deletes executions: those with these ids.
#[utoipa::path(
    delete, path = "/executions/by-ids", operation_id = "deleteExecutionsByIds",
    params(Deletion),
    request_body = Vec<String>,
    responses((status = 200, body = Count)),
)]
async fn delete(State(app): State<App>, Query(ask): Query<Deletion>, Json(ids): Json<Vec<String>>) -> Done {
    Action::Delete(ask).by_ids(&app, ids).await
}
