//! Rules about the flow as a whole: names that must be unique, a flow that must not call itself.

use std::collections::HashMap;

use super::Reading;
use crate::ids::FlowKey;
use crate::node::Node;
use crate::problem::{Problem, Problems};
use crate::task::{FlowTask, Task, TaskKind};

/// Every name once.
pub(super) fn unique<'n>(what: &str, named: impl Iterator<Item = (&'n str, &'n Node<'n>)>, problems: &mut Problems) {
    let mut first: HashMap<&str, u32> = HashMap::new();
    for (name, node) in named {
        if name.is_empty() {
            continue;
        }
        if let Some(line) = first.get(name) {
            let message = format!("{what} id `{name}` is used twice");
            problems.push(
                node.error("flow.duplicate_id", message)
                    .hint(format!("the first one is in line {line}; rename one of them")),
            );
        } else {
            first.insert(name, node.at.line);
        }
    }
}

/// A flow that starts itself would never end.
pub(super) fn subflows(key: &FlowKey, reading: &mut Reading<'_>) {
    for task in reading.tasks.values().filter(|task| calls(task, key)) {
        // Of a ForEachItem, the task as it is written.
        let name = task.id.as_str();
        let name = name.strip_suffix("_items").filter(|_| is_inner(task)).unwrap_or(name);
        let message = format!("task `{name}` starts the flow `{key}` that it belongs to, without end");
        let problem = Problem::error("flow.recursive", message).hint("use `LoopUntil` or `ForEach` to repeat tasks");
        let place = reading.places.get(&task.id);
        reading.problems.push(match place {
            Some(place) => problem.at(place.at).path(place.path.clone()),
            None => problem,
        });
    }
}

fn is_inner(task: &Task) -> bool {
    matches!(&task.kind, TaskKind::Flow(flow_task) if matches!(flow_task.as_ref(), FlowTask::RunItems(_)))
}

fn calls(task: &Task, key: &FlowKey) -> bool {
    let TaskKind::Flow(flow_task) = &task.kind else { return false };
    let subflow = match flow_task.as_ref() {
        FlowTask::Subflow(subflow) | FlowTask::RunItems(subflow) => subflow,
        _ => return false,
    };
    subflow.namespace.0.as_str() == Some(key.namespace.as_str()) && subflow.flow_id.0.as_str() == Some(key.id.as_str())
}
