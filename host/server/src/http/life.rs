//! `/api/v1/{tenant}/executions/{id}/…`: what is done to an execution that is there, in Kestra 1.0's paths and shapes.

use axum::Json;
use axum::extract::{Path, Query, Request, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use model::execution::Failure;
use model::flow::Label;
use model::ids::TaskId;
use model::state::State as Status;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::App;
use super::executions::{inputs, show};
use super::openapi::tagged;
use super::wire::named::{LabelBody, StateName};
use super::wire::{ExecutionBody, value_json};
use crate::error::Error;
use crate::life::Replay;

/// `?isOnKillCascade=`
#[derive(Deserialize, IntoParams)]
#[serde(rename_all = "camelCase")]
#[into_params(parameter_in = Query)]
pub struct KillQuery {
    /// Whether what it started ends as well, which is the default.
    #[serde(default = "yes")]
    is_on_kill_cascade: bool,
}

fn yes() -> bool {
    true
}

/// `?revision=`
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct RestartQuery {
    /// By default the one it ran on.
    revision: Option<u32>,
}

/// `?taskRunId=&revision=&breakpoints=a,b`
#[derive(Deserialize, IntoParams)]
#[serde(rename_all = "camelCase")]
#[into_params(parameter_in = Query)]
pub struct ReplayQuery {
    /// Where to begin; by default at the first task.
    task_run_id: Option<String>,
    /// By default the one it ran on.
    revision: Option<u32>,
    /// Ids of tasks to stop before, separated by commas.
    breakpoints: Option<String>,
}

/// `?status=`
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct StatusQuery {
    #[param(inline, value_type = StateName)]
    status: Status,
}

/// `?state=`
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct StateQuery {
    /// By default RUNNING.
    #[param(inline, value_type = Option<StateName>)]
    state: Option<Status>,
}

/// A task run and the state it is to have.
#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct TaskRunState {
    task_run_id: String,
    #[schema(value_type = StateName)]
    state: Status,
}

/// What an expression is, or why it is nothing.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Evaluated {
    result: Value,
    error: Option<String>,
    stack_trace: Option<&'static str>,
}

impl Evaluated {
    pub fn of(rendered: Result<expr::Value, Failure>) -> Self {
        match rendered {
            Ok(value) => Self { result: value_json(&value), error: None, stack_trace: None },
            // There is no stack to trace: the message has the place in the template.
            Err(failure) => Self { result: Value::Null, error: Some(failure.message), stack_trace: Some("") },
        }
    }
}

pub fn routes() -> OpenApiRouter<App> {
    tagged(
        "Executions",
        OpenApiRouter::new()
            .routes(routes!(kill))
            .routes(routes!(pause))
            .routes(routes!(resume))
            .routes(routes!(resume_from_breakpoint))
            .routes(routes!(restart))
            .routes(routes!(replay))
            .routes(routes!(replay_with_inputs))
            .routes(routes!(change_state))
            .routes(routes!(change_status))
            .routes(routes!(set_labels))
            .routes(routes!(force_run))
            .routes(routes!(unqueue))
            .routes(routes!(evaluate))
            .routes(routes!(evaluate_in_run)),
    )
}

/// Asks an execution to end, and everything it started as well unless told not to.
#[utoipa::path(
    delete, path = "/executions/{executionId}/kill", operation_id = "killExecution",
    params(KillQuery),
    responses((status = 202, description = "it is being ended")),
)]
async fn kill(
    State(app): State<App>,
    Path((_, id)): Path<(String, String)>,
    Query(query): Query<KillQuery>,
) -> Result<StatusCode, Error> {
    match query.is_on_kill_cascade {
        true => app.node.kill(&id).await?,
        false => app.node.kill_alone(&id).await?,
    };
    Ok(StatusCode::ACCEPTED)
}

/// Pauses an execution that runs.
#[utoipa::path(
    post, path = "/executions/{executionId}/pause", operation_id = "pauseExecution",
    responses((status = 204, description = "it pauses")),
)]
async fn pause(State(app): State<App>, Path((_, id)): Path<(String, String)>) -> Result<StatusCode, Error> {
    app.node.pause(&id).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Resumes an execution that is paused, with inputs as multipart fields or as one JSON object.
#[utoipa::path(
    post, path = "/executions/{executionId}/resume", operation_id = "resumeExecution",
    request_body(
        content((Option<Object> = "application/json"), (Option<Object> = "multipart/form-data")),
        description = "Inputs by their ids; files are fields with a file name.",
    ),
    responses((status = 204, description = "it goes on")),
)]
async fn resume(
    State(app): State<App>,
    Path((_, id)): Path<(String, String)>,
    request: Request,
) -> Result<StatusCode, Error> {
    let given = inputs(request, &app).await?;
    app.node.resume(&id, given).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Resumes an execution that stands before a task with a breakpoint.
#[utoipa::path(
    post, path = "/executions/{executionId}/resume-from-breakpoint", operation_id = "resumeExecutionFromBreakpoint",
    responses((status = 204, description = "it goes on")),
)]
async fn resume_from_breakpoint(
    State(app): State<App>,
    Path((_, id)): Path<(String, String)>,
) -> Result<StatusCode, Error> {
    app.node.resume(&id, Vec::new()).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Goes on with an execution that has ended, from where it failed.
#[utoipa::path(
    post, path = "/executions/{executionId}/restart", operation_id = "restartExecution",
    params(RestartQuery),
    responses((status = 200, body = ExecutionBody<'_>)),
)]
async fn restart(
    State(app): State<App>,
    Path((_, id)): Path<(String, String)>,
    Query(query): Query<RestartQuery>,
) -> Result<Response, Error> {
    let seen = app.node.restart(&id, query.revision).await?;
    Ok(show(&seen, app.node.now()))
}

/// Runs an execution that has ended again, as another execution.
#[utoipa::path(
    post, path = "/executions/{executionId}/replay", operation_id = "replayExecution",
    params(ReplayQuery),
    responses((status = 200, body = ExecutionBody<'_>)),
)]
async fn replay(
    State(app): State<App>,
    Path((_, id)): Path<(String, String)>,
    Query(query): Query<ReplayQuery>,
) -> Result<Response, Error> {
    let seen = app.node.replay(&id, query.replay()).await?;
    Ok(show(&seen, app.node.now()))
}

/// Runs an execution that has ended again, with inputs in place of those it had.
#[utoipa::path(
    post, path = "/executions/{executionId}/replay-with-inputs", operation_id = "replayExecutionWithinputs",
    params(ReplayQuery),
    request_body(
        content((Option<Object> = "application/json"), (Option<Object> = "multipart/form-data")),
        description = "Inputs by their ids; files are fields with a file name.",
    ),
    responses((status = 200, body = ExecutionBody<'_>)),
)]
async fn replay_with_inputs(
    State(app): State<App>,
    Path((_, id)): Path<(String, String)>,
    Query(query): Query<ReplayQuery>,
    request: Request,
) -> Result<Response, Error> {
    let given = inputs(request, &app).await?;
    let seen = app.node.replay(&id, Replay { inputs: Some(given), ..query.replay() }).await?;
    Ok(show(&seen, app.node.now()))
}

/// Task ids with commas between them.
pub fn breakpoints(written: Option<&str>) -> Vec<TaskId> {
    let ids = written.unwrap_or_default().split(',').map(str::trim).filter(|task| !task.is_empty());
    ids.map(TaskId::trusted).collect()
}

impl ReplayQuery {
    fn replay(self) -> Replay {
        Replay {
            from: self.task_run_id.filter(|run| !run.is_empty()),
            revision: self.revision,
            inputs: None,
            breakpoints: breakpoints(self.breakpoints.as_deref()),
        }
    }
}

/// Changes the state of a task run; the execution goes on from there.
#[utoipa::path(
    post, path = "/executions/{executionId}/state", operation_id = "updateTaskRunState",
    request_body = TaskRunState,
    responses((status = 200, body = ExecutionBody<'_>)),
)]
async fn change_state(
    State(app): State<App>,
    Path((_, id)): Path<(String, String)>,
    Json(wanted): Json<TaskRunState>,
) -> Result<Response, Error> {
    let seen = app.node.change_state(&id, Some(&wanted.task_run_id), wanted.state).await?;
    Ok(show(&seen, app.node.now()))
}

/// Changes the state of an execution that has ended.
#[utoipa::path(
    post, path = "/executions/{executionId}/change-status", operation_id = "updateExecutionStatus",
    params(StatusQuery),
    responses((status = 200, body = ExecutionBody<'_>)),
)]
async fn change_status(
    State(app): State<App>,
    Path((_, id)): Path<(String, String)>,
    Query(query): Query<StatusQuery>,
) -> Result<Response, Error> {
    let seen = app.node.change_state(&id, None, query.status).await?;
    Ok(show(&seen, app.node.now()))
}

/// Sets labels of an execution that has ended.
#[utoipa::path(
    post, path = "/executions/{executionId}/labels", operation_id = "setLabelsOnTerminatedExecution",
    request_body = Vec<LabelBody>,
    responses((status = 200, body = ExecutionBody<'_>)),
)]
async fn set_labels(
    State(app): State<App>,
    Path((_, id)): Path<(String, String)>,
    Json(labels): Json<Vec<Label>>,
) -> Result<Response, Error> {
    let seen = app.node.set_labels(&id, labels).await?;
    Ok(show(&seen, app.node.now()))
}

/// Has an execution run that waits for its turn.
#[utoipa::path(
    post, path = "/executions/{executionId}/force-run", operation_id = "forceRunExecution",
    responses((status = 200, body = ExecutionBody<'_>)),
)]
async fn force_run(State(app): State<App>, Path((_, id)): Path<(String, String)>) -> Result<Response, Error> {
    let seen = app.node.force_run(&id).await?;
    Ok(show(&seen, app.node.now()))
}

/// Takes an execution out of the queue of its flow.
#[utoipa::path(
    post, path = "/executions/{executionId}/unqueue", operation_id = "unqueueExecution",
    params(StateQuery),
    responses((status = 200, body = ExecutionBody<'_>)),
)]
async fn unqueue(
    State(app): State<App>,
    Path((_, id)): Path<(String, String)>,
    Query(query): Query<StateQuery>,
) -> Result<Response, Error> {
    let seen = app.node.unqueue(&id, query.state.unwrap_or(Status::Running)).await?;
    Ok(show(&seen, app.node.now()))
}

/// Evaluates the expression of the body in the eyes of the execution.
#[utoipa::path(
    post, path = "/executions/{executionId}/eval", operation_id = "evaluateExpression",
    request_body(content = String, content_type = "text/plain"),
    responses((status = 200, body = Evaluated)),
)]
async fn evaluate(
    State(app): State<App>,
    Path((_, id)): Path<(String, String)>,
    expression: String,
) -> Result<Response, Error> {
    answer(&app, &id, None, &expression).await
}

/// Evaluates the expression of the body in the eyes of one task run.
#[utoipa::path(
    post, path = "/executions/{executionId}/eval/{taskRunId}", operation_id = "evaluateTaskRunExpression",
    request_body(content = String, content_type = "text/plain"),
    responses((status = 200, body = Evaluated)),
)]
async fn evaluate_in_run(
    State(app): State<App>,
    Path((_, id, run)): Path<(String, String, String)>,
    expression: String,
) -> Result<Response, Error> {
    answer(&app, &id, Some(&run), &expression).await
}

async fn answer(app: &App, id: &str, run: Option<&str>, expression: &str) -> Result<Response, Error> {
    Ok(Json(Evaluated::of(app.node.evaluate_for(id, run, expression).await?)).into_response())
}
