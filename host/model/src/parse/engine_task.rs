//! Tasks that only change an execution or another object of the engine: which properties they take. Values are rendered by the shell.

use std::sync::Arc;

use super::Reading;
use crate::node::{Fields, unknown_key};
use crate::problem::Problem;
use crate::task::{EngineAction, EngineTask};

/// Properties, each with whether it is required.
fn properties(action: EngineAction) -> &'static [(&'static str, bool)] {
    match action {
        EngineAction::Labels => &[("labels", true)],
        EngineAction::SetVariables => &[("variables", true), ("overwrite", false)],
        EngineAction::UnsetVariables => &[("variables", true), ("ignoreMissing", false)],
        EngineAction::Exit => &[("state", false)],
        EngineAction::Kill => &[("executionId", false), ("propagateKill", false)],
        EngineAction::Resume => &[("namespace", false), ("flowId", false), ("executionId", false), ("inputs", false)],
        EngineAction::Assert => &[("conditions", true), ("errorMessage", false)],
        EngineAction::Toggle => &[("trigger", true), ("namespace", false), ("flowId", false), ("enabled", false)],
    }
}

/// Reads the properties of one.
pub(super) fn read(action: EngineAction, mut fields: Fields<'_>, reading: &mut Reading<'_>) -> Option<EngineTask> {
    let mut found = expr::Map::new();
    for (key, required) in properties(action) {
        match fields.get(key) {
            Some(node) => {
                found.insert((*key).into(), node.value.clone());
            }
            None if *required => reading.problems.push(fields.missing(key)),
            None => {}
        }
    }
    for (key, node) in fields.rest() {
        reading.problems.push(unknown_key(&key, &node, fields.known().iter().copied()));
    }
    check_values(action, &mut fields, reading);
    Some(EngineTask { action, properties: Arc::new(found) })
}

fn check_values(action: EngineAction, fields: &mut Fields<'_>, reading: &mut Reading<'_>) {
    let problems = &mut reading.problems;
    match action {
        EngineAction::Labels => {
            let Some(node) = fields.get("labels").filter(|node| node.value.as_str().is_none()) else { return };
            for (label, problem) in super::flow::read_labels(&node, problems) {
                if label.key.starts_with("system.") {
                    let message = format!("`{}` is a system label, which only the server sets", label.key);
                    problems.push(Problem { message, ..problem });
                }
            }
        }
        EngineAction::Exit => {
            const STATES: &[(&str, ())] =
                &[("SUCCESS", ()), ("WARNING", ()), ("FAILED", ()), ("KILLED", ()), ("CANCELLED", ())];
            if let Some(node) = fields.get("state").filter(|node| !node.has_expression()) {
                crate::node::choice(&node, STATES, problems);
            }
        }
        EngineAction::Assert | EngineAction::UnsetVariables => {
            let key = if action == EngineAction::Assert { "conditions" } else { "variables" };
            if let Some(node) = fields.get(key).filter(|node| !node.has_expression() && node.value.as_list().is_none())
            {
                problems.push(node.wrong_type("a list"));
            }
        }
        EngineAction::SetVariables => {
            if let Some(node) =
                fields.get("variables").filter(|node| !node.has_expression() && node.value.as_map().is_none())
            {
                problems.push(node.wrong_type("a map"));
            }
        }
        EngineAction::Kill | EngineAction::Resume | EngineAction::Toggle => {}
    }
}
