//! Server-sent events about several executions: those that a chain of flows leads to, and those of a namespace. Each event is the state of one.
//! Coalesced; a client that comes back gives the id of the last event, and may be told some states again.

use std::collections::HashMap;
use std::time::Duration;

use axum::extract::{Path, Query, State};
use axum::http::HeaderMap;
use axum::response::sse::Event;
use jiff::Timestamp;
use model::execution::Execution;
use model::flow::Label;
use model::ids::{ExecutionId, FlowKey};
use model::state::State as Status;
use serde::Serialize;
use store::query::{ExecutionFilter, NamespaceMatch, Within};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::App;
use super::follow::{Events, PACE, ServerSent, stream};
use super::graph::FollowQuery;
use super::openapi::tagged;
use super::wire::StateBody;
use crate::dependencies::Follow;
use crate::error::Error;
use crate::search::Search;
use crate::secrets::place;

/// How often to look when no hint came: hints may be lost.
const LOOK: Duration = Duration::from_secs(2);
/// Executions of one round, and those whose states are remembered: of more, the newest are told of.
const EXECUTIONS_MAX: usize = 1_000;
/// Events that wait for a slow client. It is told of what is newest then.
const WAITING_MAX: usize = 64;
/// Rounds without anything under way before a chain is over: what an end starts is there with it, and durable a little later.
const QUIET_ROUNDS: u32 = 5;

/// The state of an execution.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub struct StatusEvent<'a> {
    execution_id: &'a str,
    tenant_id: &'a str,
    namespace: &'a str,
    flow_id: &'a str,
    state: StateBody,
}

/// What a client has been told.
#[derive(Default)]
struct Told(HashMap<ExecutionId, Status>);

impl Told {
    /// The event, if it is news.
    fn event(&mut self, name: &str, execution: &Execution, now: Timestamp) -> Option<Event> {
        let state = execution.state();
        if self.0.insert(execution.id.clone(), state) == Some(state) {
            return None;
        }
        let body = StatusEvent {
            execution_id: execution.id.as_str(),
            tenant_id: &execution.flow.tenant,
            namespace: execution.flow.namespace.as_str(),
            flow_id: execution.flow.id.as_str(),
            state: StateBody::new(&execution.history, now),
        };
        Event::default().event(name).id(execution.history.started().to_string()).json_data(body).ok()
    }

    fn under_way(&self) -> impl Iterator<Item = &ExecutionId> {
        self.0.iter().filter(|(_, state)| !state.is_terminal()).map(|(id, _)| id)
    }
}

pub fn routes() -> OpenApiRouter<App> {
    tagged("Executions", OpenApiRouter::new().routes(routes!(dependencies)).routes(routes!(namespace)))
}

/// The executions that an execution has led to, of the flows that depend on its flow, until all of them have ended.
#[utoipa::path(
    get, path = "/executions/{executionId}/follow-dependencies", operation_id = "followDependenciesExecutions",
    params(FollowQuery),
    responses((status = 200, body = ServerSent, content_type = "text/event-stream")),
)]
async fn dependencies(
    State(app): State<App>,
    Path((_, id)): Path<(String, String)>,
    Query(query): Query<FollowQuery>,
) -> Result<Events, Error> {
    let first = app.node.execution(&id).await?.execution;
    let (namespace, flow) = (first.flow.namespace.as_str(), first.flow.id.as_str());
    let follow = query.follow();
    let flows = match app.node.dependencies_of(namespace, flow, follow).await {
        Ok(found) => found.flows.into_iter().collect(),
        // Its flow was deleted: nothing is known to depend on it.
        Err(Error::NotFound(_)) => vec![first.flow.clone()],
        Err(error) => return Err(error),
    };
    let key = engine::CORRELATION;
    let label = first.labels.iter().find(|label| label.key == key).cloned();
    let label = label.unwrap_or_else(|| Label { key: key.to_owned(), value: id.clone() });
    let (send, receive) = tokio::sync::mpsc::channel::<Event>(WAITING_MAX);
    tokio::spawn(async move {
        let mut watch = app.node.watch_executions();
        let mut told = Told::default();
        let mut quiet = 0;
        loop {
            let Ok(found) = chain(&app, &first, &label, &flows, follow).await else { return };
            for execution in &found {
                if let Some(event) = told.event("progress", execution, app.node.now())
                    && send.send(event).await.is_err()
                {
                    return;
                }
            }
            quiet = if told.under_way().next().is_none() { quiet + 1 } else { 0 };
            if quiet >= QUIET_ROUNDS {
                let _ = send.send(Event::default().event("end").data("{}")).await;
                return;
            }
            tokio::time::sleep(PACE).await;
            if quiet == 0 {
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

/// The execution itself, and those of the flows that carry its correlation.
async fn chain(
    app: &App,
    first: &Execution,
    label: &Label,
    flows: &[FlowKey],
    follow: Follow,
) -> Result<Vec<Execution>, Error> {
    let asked = ExecutionFilter { labels: vec![label.clone()], kinds: Vec::new(), ..ExecutionFilter::default() };
    let mut found = app.node.found_executions(&Search { asked, rest: Vec::new() }, EXECUTIONS_MAX).await?;
    found.retain(|execution| flows.contains(&execution.flow) && execution.id != first.id);
    if follow.onwards_only {
        found.retain(|execution| execution.history.started() >= first.history.started());
    }
    found.push(app.node.execution(first.id.as_str()).await?.execution);
    Ok(found)
}

/// The states of the executions of a namespace and those below it, as they change from now on. Ours.
#[utoipa::path(
    get, path = "/namespaces/{namespace}/executions/follow", operation_id = "followNamespace",
    params(("Last-Event-ID" = Option<String>, Header, description = "The id of the last event that was seen: what came after it is sent.")),
    responses((status = 200, body = ServerSent, content_type = "text/event-stream")),
)]
async fn namespace(
    State(app): State<App>,
    Path((_, namespace)): Path<(String, String)>,
    headers: HeaderMap,
) -> Result<Events, Error> {
    let within = NamespaceMatch::Tree(place(&namespace)?);
    let last = headers.get("last-event-id").and_then(|value| value.to_str().ok()?.parse().ok());
    let mut from: Timestamp = last.unwrap_or_else(|| app.node.now());
    let (send, receive) = tokio::sync::mpsc::channel::<Event>(WAITING_MAX);
    tokio::spawn(async move {
        let mut watch = app.node.watch_executions();
        let mut told = Told::default();
        // What runs already is told of when it changes.
        let Ok(running) = unfinished(&app, &within).await else { return };
        if last.is_none() {
            told.0.extend(running.into_iter().map(|execution| (execution.id.clone(), execution.state())));
        }
        loop {
            let Ok(mut found) = since(&app, &within, from).await else { return };
            // What was restarted is older.
            let Ok(running) = unfinished(&app, &within).await else { return };
            let newer: Vec<ExecutionId> = found.iter().map(|execution| execution.id.clone()).collect();
            found.extend(running.into_iter().filter(|execution| !newer.contains(&execution.id)));
            from = found.iter().map(|execution| execution.history.started()).max().unwrap_or(from).max(from);
            let known: Vec<ExecutionId> = told.under_way().cloned().collect();
            for id in known {
                if found.iter().any(|execution| execution.id == id) {
                    continue;
                }
                match app.node.execution_record(&id).await {
                    Ok(Some(execution)) => found.push(execution),
                    // Deleted since.
                    Ok(None) => drop(told.0.remove(&id)),
                    Err(_) => return,
                }
            }
            found.sort_by_key(|execution| execution.history.started());
            for execution in &found {
                if let Some(event) = told.event("state", execution, app.node.now())
                    && send.send(event).await.is_err()
                {
                    return;
                }
            }
            // What has ended is known as long as it may be found again.
            told.0.retain(|id, state| {
                !state.is_terminal() || found.iter().any(|one| one.id == *id && one.history.started() >= from)
            });
            tokio::time::sleep(PACE).await;
            tokio::select! {
                () = watch.changed() => {}
                () = tokio::time::sleep(LOOK) => {}
                () = send.closed() => return,
            }
        }
    });
    Ok(stream(receive))
}

async fn since(app: &App, within: &NamespaceMatch, from: Timestamp) -> Result<Vec<Execution>, Error> {
    let created = Within { from: Some(from), until: None };
    let asked = ExecutionFilter { namespace: within.clone(), created, ..ExecutionFilter::default() };
    app.node
        .search_executions(&Search { asked, rest: Vec::new() }, 0, EXECUTIONS_MAX)
        .await
        .map(|found| found.executions)
}

async fn unfinished(app: &App, within: &NamespaceMatch) -> Result<Vec<Execution>, Error> {
    let states = crate::node::unfinished_states();
    let asked = ExecutionFilter { namespace: within.clone(), states, ..ExecutionFilter::default() };
    app.node
        .search_executions(&Search { asked, rest: Vec::new() }, 0, EXECUTIONS_MAX)
        .await
        .map(|found| found.executions)
}
