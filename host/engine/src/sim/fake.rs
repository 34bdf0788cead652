//! What the fake tasks of the simulated world do: by the last word of their type.

use expr::Value;
use model::execution::Failure;
use model::ids::TaskRunId;
use model::task::TaskKind;

use crate::{End, Outcome, Rendering, State};

/// The outcome of a plugin task, as its type has it.
pub(super) fn outcome(
    state: &State,
    run: &TaskRunId,
    render: impl Fn(&Value, Rendering) -> Result<Value, String>,
) -> Outcome {
    match value(state, run, render) {
        Ok(outputs) => Outcome { end: End::Success, outputs },
        Err(message) => failed("fake", &message),
    }
}

pub(super) fn failed(code: &str, message: &str) -> Outcome {
    Outcome {
        end: End::Failed(Failure { code: code.to_owned(), message: message.to_owned(), retryable: None }),
        outputs: Value::Null,
    }
}

fn value(
    state: &State,
    run: &TaskRunId,
    render: impl Fn(&Value, Rendering) -> Result<Value, String>,
) -> Result<Value, String> {
    let task = state.task_of(run).ok_or("no such task")?;
    let TaskKind::Plugin(properties) = &task.kind else { return Err("no plugin task".to_owned()) };
    let property = |name: &str, how: Rendering| match properties.get(name) {
        Some(template) => render(template, how),
        None => Ok(Value::Null),
    };
    match task.type_name.rsplit('.').next().unwrap_or_default() {
        "Return" => Ok(Value::map([("value", property("format", Rendering::Text)?)])),
        "OutputValues" => Ok(Value::map([("values", property("values", Rendering::Text)?)])),
        "Fail" => match properties.contains_key("condition") && !property("condition", Rendering::Typed)?.truthy() {
            true => Ok(Value::Null),
            false => Err("Task failure".to_owned()),
        },
        _ => {
            for name in ["message", "format"] {
                property(name, Rendering::Text)?;
            }
            Ok(Value::Null)
        }
    }
}
