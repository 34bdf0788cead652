//! Derived secrets: what an operation makes of a secret is secret too, and is stored as how it was made.
//! Booleans and null carry no secret: conditions on secrets stay conditions.
use std::sync::Arc;

use crate::error::Error;
use crate::eval::{Args, Evaluator};
use crate::limits::Settings;
use crate::memo::Memo;
use crate::parse::ast::Param;
use crate::scope::Empty;
use crate::text::{Origin, Recipe, Secret, Span, Step, Text};
use crate::value::Value;
use crate::{filters, functions};

/// An operation that cannot be done again from its inputs alone.
pub(crate) const OPAQUE: &str = "opaque";

type Inputs = Arc<[(Arc<str>, Value)]>;

pub(crate) fn derived(operation: &str, inputs: Inputs, at: Vec<Step>, value: impl Into<Arc<str>>) -> Span {
    let recipe = Recipe { operation: operation.into(), inputs, at };
    Span::Secret(Secret::new(Origin::Derived(Arc::new(recipe)), value))
}

/// Makes every text and number in `result` a secret that was derived from `inputs`.
pub(crate) fn taint(result: Value, operation: &str, inputs: &Inputs) -> Result<Value, Error> {
    taint_at(result, operation, inputs, &mut Vec::new())
}

fn taint_at(result: Value, operation: &str, inputs: &Inputs, at: &mut Vec<Step>) -> Result<Value, Error> {
    Ok(match result {
        Value::Null | Value::Bool(_) => result,
        Value::List(items) => {
            let mut tainted = Vec::with_capacity(items.len());
            for (index, item) in items.iter().enumerate() {
                at.push(Step::Index(index));
                tainted.push(taint_at(item.clone(), operation, inputs, at)?);
                at.pop();
            }
            Value::List(Arc::new(tainted))
        }
        Value::Map(map) => {
            let mut tainted = crate::value::Map::with_capacity(map.len());
            for (key, item) in map.iter() {
                at.push(Step::Key(key.clone()));
                tainted.insert(key.clone(), taint_at(item.clone(), operation, inputs, at)?);
                at.pop();
            }
            tainted.into()
        }
        other => {
            let text = super::print::string_of(&other)?;
            Value::Text(Text::from_span(derived(operation, inputs.clone(), at.clone(), text)))
        }
    })
}

/// The error of an operation on a secret, without what it says: reasons quote what they are about.
pub(crate) fn conceal(error: Error, callee: &str) -> Error {
    match error {
        Error::Syntax(_) | Error::Unknown(_) | Error::Undefined(_) | Error::Invalid(_) => Error::invalid_hint(
            format!("`{callee}` failed on a value with a secret in it"),
            "the reason is not shown, since it may show the secret",
        ),
        Error::Missing(_) | Error::Limit { .. } | Error::Sealed { .. } => error,
    }
}

pub(crate) fn inputs_of(input: Option<&Value>, args: &Args) -> Inputs {
    input
        .map(|value| (Arc::from("input"), value.clone()))
        .into_iter()
        .chain(args.iter().map(|(name, value)| (name, value.clone())))
        .collect()
}

/// Does what a recipe says again. `inputs` are unsealed.
pub(crate) fn redo(recipe: &Recipe, inputs: &[(Arc<str>, Value)]) -> Result<String, Error> {
    let result = run(&recipe.operation, inputs)?;
    let found = recipe.at.iter().try_fold(&result, |value, step| match (value, step) {
        (Value::List(items), Step::Index(index)) => items.get(*index),
        (Value::Map(map), Step::Key(key)) => map.get(key),
        _ => None,
    });
    super::print::string_of(found.ok_or_else(|| lost(inputs))?)
}

fn lost(inputs: &[(Arc<str>, Value)]) -> Error {
    let mut names = Vec::new();
    inputs.iter().for_each(|(_, value)| value.collect_secret_names(&mut names));
    Error::Sealed { names }
}

fn run(operation: &str, inputs: &[(Arc<str>, Value)]) -> Result<Value, Error> {
    let input = |name: &str| inputs.iter().find(|(given, _)| given.as_ref() == name).map(|(_, value)| value);
    let (memo, settings) = (Memo::new(), Settings::default());
    let mut evaluator = Evaluator::new(&Empty, &memo, &settings);
    match operation.split_once(':') {
        Some(("filter", name)) => {
            let filter = filters::find(name).ok_or_else(|| lost(inputs))?;
            let args = args_of(filter.name, filter.params, inputs);
            (filter.run)(&mut evaluator, input("input").unwrap_or(&Value::Null), &args)
        }
        Some(("function", name)) => match functions::find(name) {
            Some(function) => {
                let args = args_of(function.name, function.params, inputs);
                match function.kind {
                    functions::Kind::Pure(run) => run(&mut evaluator, &args),
                    functions::Kind::Scoped(_) | functions::Kind::Ask => Err(lost(inputs)),
                }
            }
            None => Err(lost(inputs)),
        },
        Some(("operator", symbol)) => {
            let (left, right) = (input("left").unwrap_or(&Value::Null), input("right").unwrap_or(&Value::Null));
            let operator = super::ARITHMETIC.into_iter().find(|operator| super::ops::symbol(*operator) == symbol);
            super::ops::arithmetic(operator.ok_or_else(|| lost(inputs))?, left, right)
        }
        Some(("text", "json")) => {
            let text = super::print::string_of(input("input").unwrap_or(&Value::Null))?;
            Ok(Value::from(super::print::literal(&text)))
        }
        _ => Err(lost(inputs)),
    }
}

fn args_of(callee: &'static str, params: &'static [&'static str], inputs: &[(Arc<str>, Value)]) -> Args {
    let mut args = Args::new(callee, params);
    for (name, value) in inputs {
        if let Some(index) = params.iter().position(|param| *param == name.as_ref()) {
            args.push(Param::Index(index), value.clone());
        }
    }
    args
}
