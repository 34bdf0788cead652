//! A flow as it is shown beside its executions: its inputs and what its tasks are, without their properties.

use expr::Value;
use serde_json::{Map, Value as Json, json};

use super::value_json;
use crate::flows::SavedFlow;

/// Where the tasks of a flow are, by the phases of an execution.
const PHASES: [&str; 4] = ["tasks", "errors", "finally", "afterExecution"];
/// Where tasks have tasks.
const CHILDREN: [&str; 6] = ["tasks", "then", "else", "defaults", "errors", "finally"];
/// What of a flow is shown as it is written.
const SHOWN: [&str; 4] = ["description", "inputs", "outputs", "variables"];

/// The flow.
pub fn outline(saved: &SavedFlow) -> Json {
    let (flow, document) = (&saved.flow, &saved.document);
    let labels: Map<String, Json> =
        flow.labels.iter().map(|label| (label.key.clone(), label.value.as_str().into())).collect();
    let mut shown = json!({
        "id": flow.key.id.as_str(),
        "namespace": flow.key.namespace.as_str(),
        "revision": flow.revision,
        "updated": saved.created,
        "disabled": flow.disabled,
        "deleted": saved.deleted,
        "labels": labels,
    });
    for name in SHOWN {
        if let Some(value) = document.get(name) {
            shown[name] = value_json(value);
        }
    }
    for phase in PHASES {
        if let Some(tasks) = document.get(phase).and_then(Value::as_list) {
            shown[phase] = tasks.iter().map(task).collect();
        }
    }
    if let Some(triggers) = document.get("triggers").and_then(Value::as_list) {
        shown["triggers"] = triggers.iter().map(task).collect();
    }
    shown
}

/// A task or trigger: what it is, and the tasks within.
fn task(written: &Value) -> Json {
    let mut shown = json!({});
    for name in ["id", "type", "version"] {
        if let Some(value) = written.get(name) {
            shown[name] = value_json(value);
        }
    }
    let lists = CHILDREN.iter().filter_map(|name| written.get(name)?.as_list());
    let cases = written.get("cases").and_then(Value::as_map).into_iter().flat_map(|cases| cases.values());
    let children = lists.chain(cases.filter_map(Value::as_list)).flatten();
    // A Dag has its tasks one level deeper.
    let children: Vec<Json> = children.map(|child| task(child.get("task").unwrap_or(child))).collect();
    if !children.is_empty() {
        shown["tasks"] = children.into();
    }
    shown
}
