//! A flow as it is shown beside its executions: its inputs and what its tasks are, without their properties.

use expr::Value as Written;
use jiff::Timestamp;
use serde::Serialize;
use serde_json::{Map, Value};
use utoipa::ToSchema;

use super::value_json;
use crate::flows::SavedFlow;

/// Where tasks have tasks.
const CHILDREN: [&str; 6] = ["tasks", "then", "else", "defaults", "errors", "finally"];

/// A flow without the properties of its tasks.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = FlowOutline)]
pub struct Outline {
    id: String,
    namespace: String,
    revision: u32,
    updated: Timestamp,
    disabled: bool,
    deleted: bool,
    #[schema(value_type = Object)]
    labels: Map<String, Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    description: Option<Value>,
    /// As they are written, and so the outputs and variables.
    #[serde(skip_serializing_if = "Option::is_none")]
    inputs: Option<Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    outputs: Option<Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    variables: Option<Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tasks: Option<Vec<OutlinedTask>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    errors: Option<Vec<OutlinedTask>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    finally: Option<Vec<OutlinedTask>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    after_execution: Option<Vec<OutlinedTask>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    triggers: Option<Vec<OutlinedTask>>,
}

/// A task or trigger: what it is, and the tasks within.
#[derive(Serialize, ToSchema)]
struct OutlinedTask {
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    r#type: Option<Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    version: Option<Value>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schema(no_recursion)]
    tasks: Vec<OutlinedTask>,
}

/// The flow.
pub fn outline(saved: &SavedFlow) -> Outline {
    let (flow, document) = (&saved.flow, &saved.document);
    let written = |name: &str| document.get(name).map(value_json);
    let tasks = |name: &str| Some(document.get(name)?.as_list()?.iter().map(task).collect());
    Outline {
        id: flow.key.id.to_string(),
        namespace: flow.key.namespace.to_string(),
        revision: flow.revision,
        updated: saved.created,
        disabled: flow.disabled,
        deleted: saved.deleted,
        labels: flow.labels.iter().map(|label| (label.key.clone(), label.value.as_str().into())).collect(),
        description: written("description"),
        inputs: written("inputs"),
        outputs: written("outputs"),
        variables: written("variables"),
        tasks: tasks("tasks"),
        errors: tasks("errors"),
        finally: tasks("finally"),
        after_execution: tasks("afterExecution"),
        triggers: tasks("triggers"),
    }
}

fn task(written: &Written) -> OutlinedTask {
    let shown = |name: &str| written.get(name).map(value_json);
    let lists = CHILDREN.iter().filter_map(|name| written.get(name)?.as_list());
    let cases = written.get("cases").and_then(Written::as_map).into_iter().flat_map(|cases| cases.values());
    let children = lists.chain(cases.filter_map(Written::as_list)).flatten();
    // A Dag has its tasks one level deeper.
    let tasks = children.map(|child| task(child.get("task").unwrap_or(child))).collect();
    OutlinedTask { id: shown("id"), r#type: shown("type"), version: shown("version"), tasks }
}
