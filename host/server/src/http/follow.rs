//! Server-sent events of one execution: its state and its log, as they become durable. Coalesced, and resumable by id. An event has at most a
//! thousand task runs: of a larger execution it has those that changed since the last one, and says that they are a part.

use std::convert::Infallible;
use std::time::Duration;

use axum::extract::{Path, Query, State};
use axum::http::HeaderMap;
use axum::response::Sse;
use axum::response::sse::{Event, KeepAlive};
use futures::Stream;
use model::task::LogLevel;
use serde::{Deserialize, Serialize};
use store::query::LogFilter;
use store::rows::Target;
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::App;
use super::logs::{LineBody, level};
use super::openapi::tagged;
use super::wire::ExecutionBody;
use super::wire::named::LevelName;
use crate::error::Error;
use crate::following::{Follower, Glance};

/// Shortest time between two events to one client: at most five a second, whatever the execution does.
pub(super) const PACE: Duration = Duration::from_millis(200);
/// How often to look when no hint came: hints may be lost.
const LOOK: Duration = Duration::from_secs(2);
/// A comment this often keeps proxies from closing a quiet stream.
const KEEP_ALIVE: Duration = Duration::from_secs(15);
/// Log lines of one round; the rest follows in the next.
const LINES_PER_ROUND: usize = 500;

pub(super) type Events =
    Sse<axum::response::sse::KeepAliveStream<std::pin::Pin<Box<dyn Stream<Item = Result<Event, Infallible>> + Send>>>>;

pub fn routes() -> OpenApiRouter<App> {
    let execution = tagged("Executions", OpenApiRouter::new().routes(routes!(execution)));
    execution.merge(tagged("Logs", OpenApiRouter::new().routes(routes!(logs))))
}

/// One event, as it is described.
#[derive(ToSchema)]
#[schema(as = Event)]
#[expect(dead_code, reason = "events are written by axum")]
pub(super) struct ServerSent {
    /// `start`, `progress`, `log` or `state`, and `end` behind which nothing comes.
    event: String,
    /// What a client that comes back sends as `Last-Event-ID`.
    id: String,
    /// JSON: an execution or a line of a log; empty at the end of a log.
    data: String,
}

/// Where a client that comes back left off.
fn last_event_id(headers: &HeaderMap) -> Option<u64> {
    headers.get("last-event-id")?.to_str().ok()?.parse().ok()
}

/// The execution whenever it changed: `start` first, `progress`, and `end` when nothing more can come.
#[utoipa::path(
    get, path = "/executions/{executionId}/follow", operation_id = "followExecution",
    params(("Last-Event-ID" = Option<String>, Header, description = "The id of the last event that was seen: it is not sent again.")),
    responses((status = 200, body = ServerSent, content_type = "text/event-stream")),
)]
async fn execution(
    State(app): State<App>,
    Path((_, id)): Path<(String, String)>,
    headers: HeaderMap,
) -> Result<Events, Error> {
    let mut follower = Follower::new(app.node.clone(), &id);
    let first = follower.look().await?;
    let mut sent = last_event_id(&headers);
    let mut started = sent.is_some();
    let (send, receive) = tokio::sync::mpsc::channel::<Event>(1);
    let node = app.node.clone();
    // Ends when the execution does or the client is gone: `send` fails then.
    tokio::spawn(async move {
        let mut watch = node.watch(&id);
        let mut glance = first;
        loop {
            let (ended, position) = (glance.is_over, glance.seen.position);
            if sent != Some(position) || ended {
                let name = if ended {
                    "end"
                } else if started {
                    "progress"
                } else {
                    "start"
                };
                let Some(event) = event(name, &glance, node.now()) else { return };
                sent = Some(position);
                started = true;
                if send.send(event).await.is_err() || ended {
                    return;
                }
            }
            tokio::time::sleep(PACE).await;
            tokio::select! {
                () = watch.changed() => {}
                () = tokio::time::sleep(LOOK) => {}
                () = send.closed() => return,
            }
            match follower.look().await {
                Ok(now) => glance = now,
                Err(_) => return,
            }
        }
    });
    Ok(stream(receive))
}

/// An execution, or as much of it as an event has.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct GlanceBody<'a> {
    #[serde(flatten)]
    execution: ExecutionBody<'a>,
    /// Ours: `taskRunList` has what changed; all of it is at `/executions/{id}`.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    task_run_list_is_part: bool,
}

fn event(name: &str, glance: &Glance, now: jiff::Timestamp) -> Option<Event> {
    let Glance { seen, is_part, .. } = glance;
    let execution = ExecutionBody::new(&seen.execution, seen.runs.iter(), now);
    let body = GlanceBody { execution, task_run_list_is_part: *is_part };
    Event::default().event(name).id(seen.position.to_string()).json_data(body).ok()
}

/// Which lines to follow.
#[derive(Deserialize, IntoParams)]
#[serde(rename_all = "camelCase")]
#[into_params(parameter_in = Query)]
pub struct LogsQuery {
    /// Lines that matter less are left out.
    #[param(inline, value_type = Option<LevelName>)]
    min_level: Option<String>,
}

/// The log of an execution, line by line. The id of an event is the line's position.
#[utoipa::path(
    get, path = "/logs/{executionId}/follow", operation_id = "followLogsFromExecution",
    params(LogsQuery, ("Last-Event-ID" = Option<String>, Header, description = "The position behind which to go on.")),
    responses((status = 200, body = ServerSent, content_type = "text/event-stream")),
)]
async fn logs(
    State(app): State<App>,
    Path((_, id)): Path<(String, String)>,
    Query(query): Query<LogsQuery>,
    headers: HeaderMap,
) -> Result<Events, Error> {
    let execution = app.node.execution_alone(&id).await?.id;
    let least = query.min_level.as_deref().map(level).transpose()?.unwrap_or(LogLevel::Trace);
    let mut after = last_event_id(&headers).unwrap_or(0);
    let (send, receive) = tokio::sync::mpsc::channel::<Event>(LINES_PER_ROUND);
    let node = app.node.clone();
    tokio::spawn(async move {
        let mut watch = node.watch(&id);
        let mut over = false;
        loop {
            // Looked at before the lines: lines written before the end are then never missed.
            if !over {
                let Ok(now) = node.is_over(&execution).await else { return };
                over = now;
            }
            let lines = LogFilter::of(Target::Execution(execution.clone()), after);
            let Ok(page) = node.log_lines(lines, LINES_PER_ROUND).await else { return };
            let full = page.len() == LINES_PER_ROUND;
            for line in page {
                after = line.position;
                if line.level < least {
                    continue;
                }
                let body = LineBody::from(line.as_ref());
                let Ok(event) = Event::default().event("log").id(after.to_string()).json_data(body) else { return };
                if send.send(event).await.is_err() {
                    return;
                }
            }
            if over && !full {
                let _ = send.send(Event::default().event("end").id(after.to_string()).data("")).await;
                return;
            }
            if !full {
                tokio::time::sleep(PACE).await;
                tokio::select! {
                    () = watch.changed() => {}
                    () = tokio::time::sleep(LOOK) => {}
                    () = send.closed() => return,
                }
            }
        }
    });
    Ok(stream(receive))
}

pub(super) fn stream(receive: tokio::sync::mpsc::Receiver<Event>) -> Events {
    let events = futures::stream::unfold(receive, |mut receive| async move {
        receive.recv().await.map(|event| (Ok::<_, Infallible>(event), receive))
    });
    let boxed: std::pin::Pin<Box<dyn Stream<Item = Result<Event, Infallible>> + Send>> = Box::pin(events);
    Sse::new(boxed).keep_alive(KeepAlive::new().interval(KEEP_ALIVE))
}
