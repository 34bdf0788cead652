//! `/api/v1/{tenant}/logs`: the log of an execution, read, searched, downloaded and removed. Whole logs are streamed, never held.

mod search;

use std::sync::Arc;

use axum::Json;
use axum::body::{Body, Bytes};
use axum::extract::{Path, Query, RawQuery, State};
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use jiff::Timestamp;
use model::ids::{TENANT, TaskId, TaskRunId};
use model::task::LogLevel;
use serde::{Deserialize, Serialize};
use store::query::{LogFilter, LogScope};
use store::rows::{self, Target};
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::App;
use super::filters;
use super::openapi::tagged;
use super::shown::{attachment, paged};
use super::wire::named::LevelName;
use crate::error::Error;
use crate::logs::{LineSearch, of_execution as all_of};
use search::OfLogs;

/// Most lines of one answer. More are reached by `after`, by following, or by a download.
const LINES_MAX: usize = 10_000;
/// Lines of one page of a search, where nothing else is asked for.
const PAGE: usize = 10;
/// Lines of one piece of a download: what is held of it at a time.
const LINES_PER_PIECE: usize = 1_000;
/// Levels by their names.
const LEVELS: [(&str, LogLevel); 5] = [
    ("TRACE", LogLevel::Trace),
    ("DEBUG", LogLevel::Debug),
    ("INFO", LogLevel::Info),
    ("WARN", LogLevel::Warn),
    ("ERROR", LogLevel::Error),
];
/// What names lines of an execution.
const NAMING: [&str; 4] = ["minLevel", "taskRunId", "taskId", "attempt"];

/// Which lines of an execution, and from where on.
#[derive(Deserialize, IntoParams)]
#[serde(rename_all = "camelCase")]
#[into_params(parameter_in = Query)]
pub struct LogsQuery {
    /// Lines that matter less are left out.
    #[param(inline, value_type = Option<LevelName>)]
    min_level: Option<String>,
    task_run_id: Option<String>,
    task_id: Option<String>,
    attempt: Option<u32>,
    /// Ours: the position behind which to begin.
    after: Option<u64>,
    /// Ours: at most so many.
    size: Option<usize>,
}

/// A page of a search.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct PageQuery {
    page: Option<usize>,
    size: Option<usize>,
    sort: Option<String>,
}

/// Which lines of a flow.
#[derive(Deserialize, IntoParams)]
#[serde(rename_all = "camelCase")]
#[into_params(parameter_in = Query)]
pub struct FlowLogsQuery {
    trigger_id: Option<String>,
}

/// One line as Kestra shows it.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = LogLine)]
pub struct LineBody<'a> {
    tenant_id: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    namespace: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    flow_id: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    execution_id: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    trigger_id: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    task_id: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    task_run_id: Option<&'a str>,
    /// From 0, as Kestra counts attempts of lines.
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

/// A page of lines with the number of all.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = LogPage)]
pub struct LinesPage<'a> {
    results: Vec<LineBody<'a>>,
    total: usize,
    /// Ours: there are more than `total`.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    total_is_lower_bound: bool,
}

impl<'a> From<&'a rows::LogLine> for LineBody<'a> {
    fn from(line: &'a rows::LogLine) -> Self {
        let (execution, trigger) = match &line.of {
            Target::Execution(id) => (Some(id.as_str()), None),
            Target::Trigger(_, id) => (None, Some(id.as_str())),
            Target::Service(_) => (None, None),
        };
        Self {
            tenant_id: line.flow.as_ref().map_or(TENANT, |flow| &flow.tenant),
            namespace: line.flow.as_ref().map(|flow| flow.namespace.as_str()),
            flow_id: line.flow.as_ref().map(|flow| flow.id.as_str()),
            execution_id: execution,
            trigger_id: trigger,
            task_id: line.task.as_ref().map(|id| id.as_str()),
            task_run_id: line.task_run.as_ref().map(|id| id.as_str()),
            attempt_number: line.attempt.checked_sub(1),
            timestamp: line.at,
            level: line.level,
            message: &line.message,
            fields: &line.fields,
            position: line.position,
        }
    }
}

/// A level by its name.
pub fn level(name: &str) -> Result<LogLevel, Error> {
    let upper = name.to_ascii_uppercase();
    let found = LEVELS.iter().find(|(known, _)| *known == upper);
    found.map(|(_, level)| *level).ok_or_else(|| {
        let names = LEVELS.map(|(name, _)| name).join(", ");
        Error::bad_request("query.level", format!("`{name}` is not a level; hint: {names}"))
    })
}

impl LogsQuery {
    /// The lines of an execution that are meant.
    fn filter(&self, id: &str) -> Result<LogFilter, Error> {
        let mut filter = all_of(id);
        if let Some(after) = self.after
            && let LogScope::Target { after: known, .. } = &mut filter.of
        {
            *known = after;
        }
        if let Some(name) = &self.min_level {
            filter.least = level(name)?;
        }
        filter.task = self.task_id.as_deref().map(TaskId::trusted);
        filter.task_run = self.task_run_id.as_deref().map(TaskRunId::trusted);
        filter.attempt = self.attempt.map(|attempt| attempt.saturating_add(1));
        Ok(filter)
    }
}

pub fn routes() -> OpenApiRouter<App> {
    tagged(
        "Logs",
        OpenApiRouter::new()
            .routes(routes!(search))
            .routes(routes!(of_execution, delete))
            .routes(routes!(download))
            .routes(routes!(delete_of_flow)),
    )
}

/// Lines of an execution, oldest first.
#[utoipa::path(
    get, path = "/logs/{executionId}", operation_id = "listLogsFromExecution",
    params(LogsQuery),
    responses((status = 200, body = Vec<LineBody<'_>>)),
)]
async fn of_execution(
    State(app): State<App>,
    Path((_, id)): Path<(String, String)>,
    RawQuery(written): RawQuery,
    Query(query): Query<LogsQuery>,
) -> Result<Response, Error> {
    let known = [&NAMING[..], &["after", "size"]].concat();
    filters::nothing_but(written.as_deref().unwrap_or_default(), &known)?;
    let filter = query.filter(&id)?;
    app.node.execution_alone(&id).await?;
    let size = query.size.unwrap_or(LINES_MAX).clamp(1, LINES_MAX);
    let lines = app.node.log_lines(filter, size).await?;
    let bodies: Vec<LineBody<'_>> = lines.iter().map(|line| LineBody::from(line.as_ref())).collect();
    Ok(Json(bodies).into_response())
}

/// The whole log as plain text, a line each. It is sent as it is read; what is written meanwhile may be in it or not.
#[utoipa::path(
    get, path = "/logs/{executionId}/download", operation_id = "downloadLogsFromExecution",
    params(LogsQuery),
    responses((status = 200, body = String, content_type = "text/plain")),
)]
async fn download(
    State(app): State<App>,
    Path((_, id)): Path<(String, String)>,
    RawQuery(written): RawQuery,
    Query(query): Query<LogsQuery>,
) -> Result<Response, Error> {
    filters::nothing_but(written.as_deref().unwrap_or_default(), &NAMING)?;
    let filter = query.filter(&id)?;
    let execution = app.node.execution_alone(&id).await?;
    let pieces = futures::stream::try_unfold(Some(filter), move |filter| {
        let node = app.node.clone();
        async move {
            let Some(filter) = filter else { return Ok::<_, Error>(None) };
            let lines = node.log_lines(filter.clone(), LINES_PER_PIECE).await?;
            let rest = lines.last().filter(|_| lines.len() == LINES_PER_PIECE).map(|last| {
                let of = LogScope::Target { target: last.of.clone(), after: last.position };
                LogFilter { of, ..filter }
            });
            Ok(Some((Bytes::from(text(&lines)), rest)))
        }
    });
    // Ids of executions are letters and digits.
    let name = format!("{}.log", execution.id);
    let mut response = attachment("text/plain; charset=utf-8", &name, Body::from_stream(pieces));
    if !execution.state().is_terminal() {
        response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    }
    Ok(response)
}

fn text(lines: &[Arc<rows::LogLine>]) -> String {
    let mut text = String::new();
    for line in lines {
        let task = line.task.as_ref().map(|id| id.as_str()).unwrap_or_default();
        let level = format!("{:?}", line.level).to_uppercase();
        text.push_str(&format!("{} {level} {task} {}\n", line.at, line.message));
    }
    text
}

/// Lines of all flows by filters, newest first.
#[utoipa::path(
    get, path = "/logs/search", operation_id = "searchLogs",
    params(OfLogs, PageQuery),
    responses((status = 200, body = LinesPage<'_>)),
)]
async fn search(
    State(app): State<App>,
    RawQuery(written): RawQuery,
    Query(query): Query<PageQuery>,
) -> Result<Response, Error> {
    let sort = query.sort.as_deref().filter(|sort| !sort.is_empty());
    if let Some(sort) = sort.filter(|sort| *sort != "timestamp:desc") {
        let message = format!("log lines are not sorted by `{sort}`; hint: timestamp:desc, which is the default");
        return Err(Error::bad_request("query.sort", message));
    }
    let search = LineSearch::parse(written.as_deref().unwrap_or_default(), app.node.now())?;
    let (skipped, size) = paged(query.page, query.size, PAGE);
    let found = app.node.search_lines(&search, skipped, size).await?;
    let results = found.rows.iter().map(|line| LineBody::from(line.as_ref())).collect();
    let page = LinesPage { results, total: found.total, total_is_lower_bound: found.is_lower_bound };
    Ok(Json(page).into_response())
}

/// Removes lines of an execution.
#[utoipa::path(
    delete, path = "/logs/{executionId}", operation_id = "deleteLogsFromExecution",
    params(LogsQuery),
    responses((status = 200, description = "they are gone")),
)]
async fn delete(
    State(app): State<App>,
    Path((_, id)): Path<(String, String)>,
    RawQuery(written): RawQuery,
    Query(query): Query<LogsQuery>,
) -> Result<StatusCode, Error> {
    filters::nothing_but(written.as_deref().unwrap_or_default(), &NAMING)?;
    let filter = query.filter(&id)?;
    app.node.execution_alone(&id).await?;
    app.node.delete_lines(&id, filter).await?;
    Ok(StatusCode::OK)
}

/// Removes the lines of a flow, or those that one of its triggers wrote without an execution.
#[utoipa::path(
    delete, path = "/logs/{namespace}/{flowId}", operation_id = "deleteLogsFromFlow",
    params(FlowLogsQuery),
    responses((status = 200, description = "they are gone")),
)]
async fn delete_of_flow(
    State(app): State<App>,
    Path((_, namespace, flow)): Path<(String, String, String)>,
    RawQuery(written): RawQuery,
    Query(query): Query<FlowLogsQuery>,
) -> Result<StatusCode, Error> {
    filters::nothing_but(written.as_deref().unwrap_or_default(), &["triggerId"])?;
    let flow = app.node.known_flow(&namespace, &flow).await?;
    match query.trigger_id {
        Some(trigger) => app.node.delete_lines_of_trigger(flow, &trigger).await?,
        None => app.node.delete_lines_of_flow(&flow).await?,
    }
    Ok(StatusCode::OK)
}
