//! What may stand after `is`: name to function.
use crate::error::Error;
use crate::eval::{Args, ops, print};
use crate::json;
use crate::value::Value;

/// A test of the language.
#[derive(Debug)]
pub(crate) struct Predicate {
    pub name: &'static str,
    pub params: &'static [&'static str],
    pub run: fn(&Value, &Args) -> Result<bool, Error>,
    /// Answers for what is not defined, too, as for null.
    pub catches_undefined: bool,
}

const fn predicate(name: &'static str, run: fn(&Value, &Args) -> Result<bool, Error>) -> Predicate {
    Predicate { name, params: &[], run, catches_undefined: false }
}

static PREDICATES: [Predicate; 10] = [
    Predicate { catches_undefined: true, ..predicate("defined", |value, _| Ok(!value.is_null())) },
    predicate("empty", |value, _| is_empty(value)),
    Predicate { params: &["value"], ..predicate("equalTo", equal_to) },
    Predicate { params: &["value"], ..predicate("equals", equal_to) },
    predicate("even", |value, _| Ok(remainder(value, "even")? == 0)),
    predicate("iterable", |value, _| Ok(matches!(value, Value::List(_)))),
    predicate("json", is_json),
    predicate("map", |value, _| Ok(matches!(value, Value::Map(_)))),
    predicate("null", |value, _| Ok(value.is_null())),
    predicate("odd", |value, _| Ok(remainder(value, "odd")? != 0)),
];

pub(crate) fn find(name: &str) -> Option<&'static Predicate> {
    PREDICATES.iter().find(|predicate| predicate.name == name)
}

pub(crate) fn names() -> impl Iterator<Item = &'static str> {
    PREDICATES.iter().map(|predicate| predicate.name)
}

/// Null, blank text, and lists and maps without items.
pub(crate) fn is_empty(value: &Value) -> Result<bool, Error> {
    Ok(match value {
        Value::Null => true,
        Value::Text(text) => text.reveal()?.trim().is_empty(),
        Value::List(items) => items.is_empty(),
        Value::Map(map) => map.is_empty(),
        _ => false,
    })
}

fn equal_to(value: &Value, args: &Args) -> Result<bool, Error> {
    ops::equal(value, args.given(0).unwrap_or(&Value::Null))
}

fn remainder(value: &Value, test: &str) -> Result<i64, Error> {
    let wrong = || Error::invalid(format!("`is {test}` needs a whole number, found {}", value.kind()));
    value.as_i64().map(|number| number % 2).ok_or_else(wrong)
}

fn is_json(value: &Value, _: &Args) -> Result<bool, Error> {
    match value {
        Value::Text(text) => Ok(json::parse(&text.reveal()?).is_ok()),
        Value::Null => Ok(false),
        other => Ok(json::parse(&print::string_of(other)?).is_ok()),
    }
}
