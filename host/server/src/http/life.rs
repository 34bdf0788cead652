//! `/api/v1/{tenant}/executions/{id}/…`: what is done to an execution that is there, in Kestra 1.0's paths and shapes.

use axum::Json;
use axum::extract::{Path, Query, Request, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use model::flow::Label;
use model::state::State as Status;
use serde::Deserialize;
use serde_json::json;

use super::App;
use super::executions::{inputs, show};
use super::wire::value_json;
use crate::error::Error;
use crate::life::Replay;

/// `?isOnKillCascade=`
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct KillQuery {
    #[serde(default = "yes")]
    is_on_kill_cascade: bool,
}

fn yes() -> bool {
    true
}

/// `?revision=`
#[derive(Deserialize)]
pub struct RestartQuery {
    revision: Option<u32>,
}

/// `?taskRunId=&revision=&breakpoints=a,b`
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ReplayQuery {
    task_run_id: Option<String>,
    revision: Option<u32>,
    breakpoints: Option<String>,
}

/// `?status=`
#[derive(Deserialize)]
pub struct StatusQuery {
    status: Status,
}

/// `?state=`
#[derive(Deserialize)]
pub struct StateQuery {
    state: Option<Status>,
}

/// A task run and the state it is to have.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct TaskRunState {
    task_run_id: String,
    state: Status,
}

/// Asks an execution to end, and everything it started as well unless told not to.
pub async fn kill(
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

pub async fn pause(State(app): State<App>, Path((_, id)): Path<(String, String)>) -> Result<StatusCode, Error> {
    app.node.pause(&id).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Resumes, with inputs as multipart fields or as one JSON object.
pub async fn resume(
    State(app): State<App>,
    Path((_, id)): Path<(String, String)>,
    request: Request,
) -> Result<StatusCode, Error> {
    let given = inputs(request, &app).await?;
    app.node.resume(&id, given).await?;
    Ok(StatusCode::NO_CONTENT)
}

pub async fn resume_from_breakpoint(
    State(app): State<App>,
    Path((_, id)): Path<(String, String)>,
) -> Result<StatusCode, Error> {
    app.node.resume(&id, Vec::new()).await?;
    Ok(StatusCode::NO_CONTENT)
}

pub async fn restart(
    State(app): State<App>,
    Path((_, id)): Path<(String, String)>,
    Query(query): Query<RestartQuery>,
) -> Result<Response, Error> {
    let seen = app.node.restart(&id, query.revision).await?;
    Ok(show(&seen, app.node.now()))
}

pub async fn replay(
    State(app): State<App>,
    Path((_, id)): Path<(String, String)>,
    Query(query): Query<ReplayQuery>,
) -> Result<Response, Error> {
    let seen = app.node.replay(&id, query.replay()).await?;
    Ok(show(&seen, app.node.now()))
}

/// As [`replay`], with inputs in place of those it had.
pub async fn replay_with_inputs(
    State(app): State<App>,
    Path((_, id)): Path<(String, String)>,
    Query(query): Query<ReplayQuery>,
    request: Request,
) -> Result<Response, Error> {
    let given = inputs(request, &app).await?;
    let seen = app.node.replay(&id, Replay { inputs: Some(given), ..query.replay() }).await?;
    Ok(show(&seen, app.node.now()))
}

impl ReplayQuery {
    fn replay(self) -> Replay {
        let breakpoints = self.breakpoints.unwrap_or_default();
        let breakpoints = breakpoints.split(',').map(str::trim).filter(|task| !task.is_empty()).map(str::to_owned);
        Replay {
            from: self.task_run_id.filter(|run| !run.is_empty()),
            revision: self.revision,
            inputs: None,
            breakpoints: breakpoints.collect(),
        }
    }
}

/// Changes the state of a task run; the execution goes on from there.
pub async fn change_state(
    State(app): State<App>,
    Path((_, id)): Path<(String, String)>,
    Json(wanted): Json<TaskRunState>,
) -> Result<Response, Error> {
    let seen = app.node.change_state(&id, Some(&wanted.task_run_id), wanted.state).await?;
    Ok(show(&seen, app.node.now()))
}

/// Changes the state of an execution that has ended.
pub async fn change_status(
    State(app): State<App>,
    Path((_, id)): Path<(String, String)>,
    Query(query): Query<StatusQuery>,
) -> Result<Response, Error> {
    let seen = app.node.change_state(&id, None, query.status).await?;
    Ok(show(&seen, app.node.now()))
}

pub async fn set_labels(
    State(app): State<App>,
    Path((_, id)): Path<(String, String)>,
    Json(labels): Json<Vec<Label>>,
) -> Result<Response, Error> {
    let seen = app.node.set_labels(&id, labels).await?;
    Ok(show(&seen, app.node.now()))
}

pub async fn force_run(State(app): State<App>, Path((_, id)): Path<(String, String)>) -> Result<Response, Error> {
    let seen = app.node.force_run(&id).await?;
    Ok(show(&seen, app.node.now()))
}

pub async fn unqueue(
    State(app): State<App>,
    Path((_, id)): Path<(String, String)>,
    Query(query): Query<StateQuery>,
) -> Result<Response, Error> {
    let seen = app.node.unqueue(&id, query.state.unwrap_or(Status::Running)).await?;
    Ok(show(&seen, app.node.now()))
}

/// Evaluates the expression of the body in the eyes of the execution.
pub async fn evaluate(
    State(app): State<App>,
    Path((_, id)): Path<(String, String)>,
    expression: String,
) -> Result<Response, Error> {
    answer(&app, &id, None, &expression).await
}

/// Evaluates the expression of the body in the eyes of one task run.
pub async fn evaluate_in_run(
    State(app): State<App>,
    Path((_, id, run)): Path<(String, String, String)>,
    expression: String,
) -> Result<Response, Error> {
    answer(&app, &id, Some(&run), &expression).await
}

async fn answer(app: &App, id: &str, run: Option<&str>, expression: &str) -> Result<Response, Error> {
    let body = match app.node.evaluate_for(id, run, expression).await? {
        Ok(value) => json!({ "result": value_json(&value), "error": null, "stackTrace": null }),
        // There is no stack to trace: the message has the place in the template.
        Err(failure) => json!({ "result": null, "error": failure.message, "stackTrace": "" }),
    };
    Ok(Json(body).into_response())
}
