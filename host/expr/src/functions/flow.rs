//! Functions that look at the variables of the execution.
use std::sync::Arc;

use crate::error::Error;
use crate::eval::print::{print_json, string_of};
use crate::eval::{Args, Evaluator, secrets};
use crate::memo::Call;
use crate::text::TextBuilder;
use crate::value::{Map, Value};

/// A secret, by the answer to `secret(key, namespace)`; with `subkey`, that field of its JSON.
pub(super) fn secret(evaluator: &mut Evaluator<'_>, args: &Args) -> Result<Value, Error> {
    let mut call = Call::new("secret");
    call.args.push(("key".into(), args.required(0)?.clone()));
    if let Some(namespace) = args.get(1) {
        call.args.push(("namespace".into(), namespace.clone()));
    }
    let secret = evaluator.ask(call)?;
    let Some(subkey) = args.optional_text(2)?.filter(|subkey| !subkey.is_empty()) else { return Ok(secret) };
    let text = string_of(&secret)?;
    let parsed = crate::json::parse(&text).map_err(|_| Error::invalid("a secret with a `subkey` must be JSON"))?;
    let inputs = [("json".into(), secret.clone())].into();
    let fields = secrets::taint(parsed, "function:fromJson", &inputs)?;
    match fields.get(&subkey) {
        Some(field @ (Value::List(_) | Value::Map(_))) => {
            let mut out = TextBuilder::default();
            print_json(&mut out, field)?;
            Ok(Value::Text(out.finish()))
        }
        Some(field) => Ok(field.clone()),
        None => Err(Error::undefined(format!("there is no sub-key `{subkey}` in the secret"), None)),
    }
}

/// Renders text, or every text in a list or map; by default until nothing changes.
pub(super) fn render(evaluator: &mut Evaluator<'_>, args: &Args) -> Result<Value, Error> {
    let once = !args.flag(1, true)?;
    rendered(evaluator, args, once)
}

pub(super) fn render_once(evaluator: &mut Evaluator<'_>, args: &Args) -> Result<Value, Error> {
    rendered(evaluator, args, true)
}

fn rendered(evaluator: &mut Evaluator<'_>, args: &Args, once: bool) -> Result<Value, Error> {
    if args.given(0).is_none() {
        args.required(0)?;
    }
    evaluator.render_tree(args.given(0).unwrap_or(&Value::Null), once, false)
}

pub(super) fn print_context(evaluator: &mut Evaluator<'_>, _: &Args) -> Result<Value, Error> {
    let context = evaluator.context()?;
    evaluator.charge_print(&context)?;
    let mut out = TextBuilder::default();
    print_json(&mut out, &context)?;
    evaluator.charge_bytes(out.size_bytes())?;
    Ok(Value::Text(out.finish()))
}

pub(super) fn fetch_context(evaluator: &mut Evaluator<'_>, _: &Args) -> Result<Value, Error> {
    evaluator.context()
}

/// A variable of the environment that flows may see (`envs`); the default when it is not there or empty.
pub(super) fn env(evaluator: &mut Evaluator<'_>, args: &Args) -> Result<Value, Error> {
    if args.get(0).is_none() {
        return Err(Error::invalid("The 'env' function expects an argument 'name'."));
    }
    let name = args.text(0)?;
    let found = evaluator.variable("envs")?.and_then(|envs| envs.get(&name).cloned());
    let found = found.filter(|value| !value.is_null() && value.as_str() != Some(""));
    Ok(found.unwrap_or_else(|| args.given(1).cloned().unwrap_or_default()))
}

/// The values of the iterations that this task run is in, outermost first; `None` where it is in none.
pub(crate) fn iteration_values(evaluator: &Evaluator<'_>) -> Result<Option<Vec<String>>, Error> {
    let value = |taskrun: &Value| taskrun.get("value").filter(|value| !value.is_null()).map(Value::to_string);
    let parents = evaluator.variable("parents")?.unwrap_or_default();
    let around = parents.as_list().unwrap_or_default().iter().rev().filter_map(|parent| parent.get("taskrun"));
    let taskrun = evaluator.variable("taskrun")?.unwrap_or_default();
    Ok(around.map(value).chain([value(&taskrun)]).collect())
}

/// The outputs of the iteration that this task run is in.
pub(super) fn current_each_output(evaluator: &mut Evaluator<'_>, args: &Args) -> Result<Value, Error> {
    let mut outputs = args.required(0)?.clone();
    if outputs.as_map().is_none() {
        return Err(Error::invalid("argument `outputs` of `currentEachOutput` must be a map"));
    }
    let iteration = |taskrun: &Value| taskrun.get("value").filter(|value| !value.is_null()).map(Value::to_string);
    let parents = evaluator.variable("parents")?.unwrap_or_default();
    for parent in parents.as_list().unwrap_or_default().iter().rev() {
        let Some(taskrun) = parent.get("taskrun").filter(|taskrun| !taskrun.is_null()) else { continue };
        let inner = iteration(taskrun).and_then(|value| outputs.get(&value).cloned());
        outputs = inner.ok_or_else(|| Error::invalid("no outputs for the iteration of this task run"))?;
    }
    let taskrun = evaluator.variable("taskrun")?.unwrap_or_default();
    Ok(iteration(&taskrun).and_then(|value| outputs.get(&value).cloned()).unwrap_or_default())
}

/// Task runs in a state: `taskId`, `state`, and `value` for those of an iteration.
pub(super) fn tasks_with_state(evaluator: &mut Evaluator<'_>, args: &Args) -> Result<Value, Error> {
    let wanted = args.text(0)?.to_uppercase();
    let tasks = evaluator.variable("tasks")?.unwrap_or_default();
    let mut found = Vec::new();
    let in_state =
        |value: Option<&Value>| value.and_then(Value::as_str).is_some_and(|state| state.to_uppercase() == wanted);
    for (task, details) in tasks.as_map().unwrap_or(&Map::new()) {
        for (key, value) in details.as_map().unwrap_or(&Map::new()) {
            evaluator.charge(1)?;
            let mut entry = vec![("taskId", Value::from(task.clone())), ("state", wanted.clone().into())];
            if key.as_ref() == "state" && in_state(Some(value)) {
                found.push(Value::map(entry));
            } else if in_state(value.get("state")) {
                entry.push(("value", Value::from(Arc::clone(key))));
                found.push(Value::map(entry));
            }
        }
    }
    Ok(Value::list(found))
}
