//! The JSON shapes of Kestra 1.0's API. Only this file knows them; everything inside uses `model`.

pub mod flow;
pub mod named;
mod outline;
pub mod plugin;
mod trigger;

use expr::{Map, Value};
use jiff::Timestamp;
use model::execution::{Attempt, Execution, Kind, TaskRun};
use model::flow::Label;
use model::state::History;
use serde::Serialize;
use serde_json::Value as Json;
use utoipa::ToSchema;

use named::{KindName, LabelBody, StateName};
pub use outline::{Outline, outline};
pub use trigger::{TriggerContext, Triggers};

/// How many it was done to.
#[derive(Serialize, ToSchema)]
pub struct Count {
    pub count: usize,
}

/// All there is of something, with its number.
#[derive(Serialize, ToSchema)]
pub struct Listed<T> {
    total: usize,
    results: Vec<T>,
}

impl<T> Listed<T> {
    pub fn all(results: impl IntoIterator<Item = T>) -> Self {
        let results: Vec<T> = results.into_iter().collect();
        Self { total: results.len(), results }
    }
}

/// An execution with its task runs.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = Execution)]
pub struct ExecutionBody<'a> {
    tenant_id: &'a str,
    id: &'a str,
    namespace: &'a str,
    flow_id: &'a str,
    flow_revision: u32,
    task_run_list: Vec<TaskRunBody<'a>>,
    #[schema(value_type = Object)]
    inputs: Json,
    #[serde(skip_serializing_if = "is_empty")]
    #[schema(value_type = Option<Object>)]
    outputs: Json,
    #[schema(value_type = Vec<LabelBody>)]
    labels: &'a [Label],
    #[serde(skip_serializing_if = "is_empty")]
    #[schema(value_type = Option<Object>)]
    variables: Json,
    state: StateBody,
    #[serde(skip_serializing_if = "Option::is_none")]
    parent_id: Option<&'a str>,
    original_id: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    trigger: Option<TriggerBody<'a>>,
    deleted: bool,
    metadata: Metadata,
    #[serde(skip_serializing_if = "Option::is_none")]
    schedule_date: Option<Timestamp>,
    #[schema(value_type = KindName)]
    kind: Kind,
    /// Ours: why it failed, where no task run tells.
    #[serde(skip_serializing_if = "Option::is_none")]
    failure: Option<FailureBody<'a>>,
}

#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = ExecutionMetadata)]
struct Metadata {
    attempt_number: u32,
    original_created_date: Timestamp,
}

#[derive(Serialize, ToSchema)]
#[schema(as = ExecutionTrigger)]
struct TriggerBody<'a> {
    id: &'a str,
    r#type: &'a str,
    #[schema(value_type = Object)]
    variables: Json,
}

/// A failure's code and message.
#[derive(Serialize, ToSchema)]
#[schema(as = Failure)]
pub struct FailureBody<'a> {
    code: &'a str,
    message: &'a str,
}

/// One task run.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = TaskRun)]
pub struct TaskRunBody<'a> {
    tenant_id: &'a str,
    id: &'a str,
    execution_id: &'a str,
    namespace: &'a str,
    flow_id: &'a str,
    task_id: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    parent_task_run_id: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    value: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    iteration: Option<u32>,
    attempts: Vec<AttemptBody<'a>>,
    /// A map; null where there are none.
    #[schema(value_type = Value)]
    outputs: Json,
    state: StateBody,
}

#[derive(Serialize, ToSchema)]
#[schema(as = TaskRunAttempt)]
struct AttemptBody<'a> {
    state: StateBody,
    /// Ours: why the attempt failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    failure: Option<FailureBody<'a>>,
}

/// A state with its history.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = StateHistory)]
pub struct StateBody {
    #[schema(value_type = StateName)]
    current: &'static str,
    histories: Vec<HistoryBody>,
    /// ISO 8601; for what has not ended, until now.
    duration: String,
    start_date: Timestamp,
    #[serde(skip_serializing_if = "Option::is_none")]
    end_date: Option<Timestamp>,
}

#[derive(Serialize, ToSchema)]
#[schema(as = StateChange)]
struct HistoryBody {
    #[schema(value_type = StateName)]
    state: &'static str,
    date: Timestamp,
}

impl<'a> ExecutionBody<'a> {
    /// The body of an execution as of `now`.
    pub fn new(execution: &'a Execution, runs: impl IntoIterator<Item = &'a TaskRun>, now: Timestamp) -> Self {
        Self {
            tenant_id: &execution.flow.tenant,
            id: execution.id.as_str(),
            namespace: execution.flow.namespace.as_str(),
            flow_id: execution.flow.id.as_str(),
            flow_revision: execution.revision,
            task_run_list: runs.into_iter().map(|run| TaskRunBody::new(execution, run, now)).collect(),
            inputs: map_json(&execution.inputs),
            outputs: map_json(&execution.outputs),
            labels: &execution.labels,
            variables: map_json(&execution.variables),
            state: StateBody::new(&execution.history, now),
            parent_id: execution.parent.as_ref().map(|parent| parent.execution.as_str()),
            original_id: execution.original.as_ref().unwrap_or(&execution.id).as_str(),
            trigger: execution.trigger.as_ref().map(|trigger| TriggerBody {
                id: trigger.id.as_str(),
                r#type: &trigger.type_name,
                variables: map_json(&trigger.variables),
            }),
            deleted: false,
            metadata: Metadata {
                attempt_number: execution.attempt,
                original_created_date: execution.history.started(),
            },
            schedule_date: execution.scheduled,
            kind: execution.kind,
            failure: execution.failure.as_ref().map(FailureBody::new),
        }
    }
}

impl<'a> TaskRunBody<'a> {
    fn new(execution: &'a Execution, run: &'a TaskRun, now: Timestamp) -> Self {
        Self {
            tenant_id: &execution.flow.tenant,
            id: run.id.as_str(),
            execution_id: execution.id.as_str(),
            namespace: execution.flow.namespace.as_str(),
            flow_id: execution.flow.id.as_str(),
            task_id: run.task.as_str(),
            parent_task_run_id: run.parent.as_ref().map(|id| id.as_str()),
            value: run.value.as_deref(),
            iteration: run.iteration,
            attempts: run.attempts.iter().map(|attempt| AttemptBody::new(attempt, now)).collect(),
            outputs: value_json(&run.outputs),
            state: StateBody::new(&run.history, now),
        }
    }
}

impl<'a> AttemptBody<'a> {
    fn new(attempt: &'a Attempt, now: Timestamp) -> Self {
        Self { state: StateBody::new(&attempt.history, now), failure: attempt.failure.as_ref().map(FailureBody::new) }
    }
}

impl<'a> FailureBody<'a> {
    fn new(failure: &'a model::execution::Failure) -> Self {
        Self { code: &failure.code, message: &failure.message }
    }
}

impl StateBody {
    pub fn new(history: &History, now: Timestamp) -> Self {
        let end = history.ended();
        let duration = end.unwrap_or(now).duration_since(history.started());
        Self {
            current: history.current().as_str(),
            histories: history
                .entries()
                .iter()
                .map(|(state, date)| HistoryBody { state: state.as_str(), date: *date })
                .collect(),
            duration: format!("{duration}"),
            start_date: history.started(),
            end_date: end,
        }
    }
}

/// A map as clients see it: secrets masked.
pub fn map_json(map: &Map) -> Json {
    Json::Object(map.iter().map(|(key, value)| (key.to_string(), value_json(value))).collect())
}

/// A value as clients see it: secrets masked.
pub fn value_json(value: &Value) -> Json {
    value.to_json()
}

fn is_empty(json: &Json) -> bool {
    matches!(json, Json::Null) || json.as_object().is_some_and(serde_json::Map::is_empty)
}
