//! Conditions of listeners, and later of triggers: each a type with properties, all of which must hold.

use engine::State;
use expr::{Scope, Value};
use model::execution::Failure;
use model::ids::FlowKey;

use crate::node::Node;

/// What every condition type begins with.
const PREFIX: &str = "io.kestra.plugin.core.condition.";

/// Whether all conditions of a list hold for an execution.
pub(crate) async fn all_hold(
    node: &Node,
    state: &State,
    scope: &dyn Scope,
    conditions: &Value,
    flow: &FlowKey,
) -> Result<bool, Failure> {
    for condition in conditions.as_list().unwrap_or_default() {
        if !holds(node, state, scope, condition, flow).await? {
            return Ok(false);
        }
    }
    Ok(true)
}

async fn holds(
    node: &Node,
    state: &State,
    scope: &dyn Scope,
    condition: &Value,
    flow: &FlowKey,
) -> Result<bool, Failure> {
    let written = condition.get("type").and_then(|value| value.as_str().map(str::to_owned)).unwrap_or_default();
    let name = written.strip_prefix(PREFIX).unwrap_or(&written);
    let text = |key: &str| condition.get(key).and_then(|value| value.as_str().map(str::to_owned));
    let names = |key: &str| -> Vec<String> {
        let items = condition.get(key).and_then(|value| value.as_list().map(<[_]>::to_vec)).unwrap_or_default();
        items.iter().map(ToString::to_string).collect()
    };
    match name.strip_suffix("Condition").unwrap_or(name) {
        "ExecutionStatus" => {
            let current = state.status().map(|status| status.as_str()).unwrap_or_default();
            let (within, without) = (names("in"), names("notIn"));
            Ok((within.is_empty() || within.iter().any(|state| state == current)) && !without.iter().any(|state| state == current))
        }
        "ExecutionFlow" => Ok(text("namespace").as_deref() == Some(flow.namespace.as_str())
            && text("flowId").as_deref() == Some(flow.id.as_str())),
        "ExecutionNamespace" => {
            let wanted = text("namespace").unwrap_or_default();
            let own = flow.namespace.as_str();
            let prefix = condition.get("prefix").and_then(Value::as_bool) == Some(true);
            Ok(match text("comparison").as_deref() {
                Some("PREFIX") => own.starts_with(&wanted),
                Some("SUFFIX") => own.ends_with(&wanted),
                None if prefix => own.starts_with(&wanted),
                _ => own == wanted,
            })
        }
        "Expression" => {
            let Some(expression) = condition.get("expression") else { return Ok(false) };
            Ok(node.render_in(scope, expression, true, flow, None).await?.truthy())
        }
        other => Err(Failure::new("CONDITION", format!("condition `{other}` is not evaluated by this version of Sluice"))),
    }
}
