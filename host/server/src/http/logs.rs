//! `/api/v1/{tenant}/logs`: the log of an execution.

use axum::Json;
use axum::extract::{Path, Query, State};
use axum::http::header;
use axum::response::{IntoResponse, Response};
use jiff::Timestamp;
use model::execution::Execution;
use model::task::LogLevel;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::App;
use super::openapi::tagged;
use super::wire::named::LevelName;
use crate::error::Error;
use crate::executions::LogLine;

/// Most lines of one answer. More are reached by following, or by `after`.
const LINES_MAX: usize = 10_000;

/// Which lines are shown.
#[derive(Deserialize, IntoParams)]
#[serde(rename_all = "camelCase")]
#[into_params(parameter_in = Query)]
pub struct LogsQuery {
    /// Lines that matter less are left out.
    #[param(inline, value_type = Option<LevelName>)]
    min_level: Option<String>,
    task_run_id: Option<String>,
    task_id: Option<String>,
    /// Ours: the position behind which to begin.
    after: Option<u64>,
}

/// One line as Kestra shows it.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = LogLine)]
pub struct LineBody<'a> {
    tenant_id: &'a str,
    namespace: &'a str,
    flow_id: &'a str,
    execution_id: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    task_id: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    task_run_id: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    attempt_number: Option<u32>,
    timestamp: Timestamp,
    #[schema(value_type = LevelName)]
    level: LogLevel,
    message: &'a str,
    /// Ours.
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    fields: &'a [(String, String)],
    /// Ours: where to go on from.
    position: u64,
}

/// Which lines are wanted.
pub struct Filter {
    least: LogLevel,
    task_run: Option<String>,
    task: Option<String>,
}

impl Filter {
    pub fn parse(least: Option<&str>, task_run: Option<String>, task: Option<String>) -> Result<Self, Error> {
        let least = match least.map(str::to_ascii_uppercase).as_deref() {
            None | Some("TRACE") => LogLevel::Trace,
            Some("DEBUG") => LogLevel::Debug,
            Some("INFO") => LogLevel::Info,
            Some("WARN") => LogLevel::Warn,
            Some("ERROR") => LogLevel::Error,
            Some(other) => {
                return Err(Error::bad_request(
                    "query.level",
                    format!("`{other}` is not a level; hint: TRACE, DEBUG, INFO, WARN, ERROR"),
                ));
            }
        };
        Ok(Self { least, task_run, task })
    }

    pub fn admits(&self, line: &LogLine) -> bool {
        line.level >= self.least
            && self
                .task_run
                .as_deref()
                .is_none_or(|wanted| line.task_run.as_ref().is_some_and(|id| id.as_str() == wanted))
            && self.task.as_deref().is_none_or(|wanted| line.task.as_ref().is_some_and(|id| id.as_str() == wanted))
    }
}

pub fn line_body<'a>(execution: &'a Execution, line: &'a LogLine) -> LineBody<'a> {
    LineBody {
        tenant_id: &execution.flow.tenant,
        namespace: execution.flow.namespace.as_str(),
        flow_id: execution.flow.id.as_str(),
        execution_id: execution.id.as_str(),
        task_id: line.task.as_ref().map(|id| id.as_str()),
        task_run_id: line.task_run.as_ref().map(|id| id.as_str()),
        attempt_number: line.attempt,
        timestamp: line.at,
        level: line.level,
        message: &line.message,
        fields: &line.fields,
        position: line.position,
    }
}

pub fn routes() -> OpenApiRouter<App> {
    tagged("Logs", OpenApiRouter::new().routes(routes!(of_execution)).routes(routes!(download)))
}

/// The log of an execution.
#[utoipa::path(
    get, path = "/logs/{executionId}", operation_id = "listLogsFromExecution",
    params(LogsQuery),
    responses((status = 200, body = Vec<LineBody<'_>>)),
)]
async fn of_execution(
    State(app): State<App>,
    Path((_, id)): Path<(String, String)>,
    Query(query): Query<LogsQuery>,
) -> Result<Response, Error> {
    let (execution, lines) = wanted(&app, &id, query).await?;
    let bodies: Vec<LineBody<'_>> = lines.iter().map(|line| line_body(&execution, line)).collect();
    Ok(Json(bodies).into_response())
}

/// The log of an execution as plain text, one line each.
#[utoipa::path(
    get, path = "/logs/{executionId}/download", operation_id = "downloadLogsFromExecution",
    params(LogsQuery),
    responses((status = 200, body = String, content_type = "text/plain")),
)]
async fn download(
    State(app): State<App>,
    Path((_, id)): Path<(String, String)>,
    Query(query): Query<LogsQuery>,
) -> Result<Response, Error> {
    let (_, lines) = wanted(&app, &id, query).await?;
    let mut text = String::new();
    for line in &lines {
        let task = line.task.as_ref().map(|id| id.as_str()).unwrap_or_default();
        let level = format!("{:?}", line.level).to_uppercase();
        text.push_str(&format!("{} {level} {task} {}\n", line.at, line.message));
    }
    let headers = [
        (header::CONTENT_TYPE, "text/plain; charset=utf-8".to_owned()),
        (header::CONTENT_DISPOSITION, "attachment; filename=\"execution.log\"".to_owned()),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff".to_owned()),
    ];
    Ok((headers, text).into_response())
}

async fn wanted(app: &App, id: &str, query: LogsQuery) -> Result<(Execution, Vec<LogLine>), Error> {
    let filter = Filter::parse(query.min_level.as_deref(), query.task_run_id, query.task_id)?;
    let seen = app.node.execution(id).await?;
    let mut lines = app.node.logs_from(id, query.after.unwrap_or(0), filter.least, LINES_MAX).await?;
    lines.retain(|line| filter.admits(line));
    Ok((seen.execution, lines))
}
