//! Values of inputs: from text, JSON or YAML to the type an input declares, and the rules it must satisfy. Pure; renders nothing.
//!
//! Reasons read as the end of a sentence: *input `count`: must be at least `10`*.

use std::cmp::Ordering;

use expr::Value;
use jiff::civil::{Date, DateTime, Time as Clock};
use jiff::{SignedDuration, Timestamp, Zoned};
use regex::{Regex, RegexBuilder};

use crate::duration;
use crate::input::{Input, InputType};
use crate::node::has_expression;
use crate::problem::{quoted_list, shown};

/// Compiled size of a pattern: one input must not take the memory of many.
const MAX_PATTERN_BYTES: usize = 1 << 20;
/// Schemes a FILE may name in place of an upload.
const FILE_SCHEMES: &[&str] = &["kestra:///", "nsfile:///", "file:///"];

/// A pattern that must match a whole text. The error is what is wrong with it.
pub(crate) fn full_match(pattern: &str) -> Result<Regex, String> {
    let build = |pattern: &str| RegexBuilder::new(pattern).size_limit(MAX_PATTERN_BYTES).build();
    // By itself first: `a)|(b` would fit into the brackets.
    let whole = build(pattern).and_then(|_| build(&format!("^(?:{pattern})$")));
    whole.map_err(|error| error.to_string().lines().last().unwrap_or_default().trim().to_owned())
}

/// Whether any text in it is rendered to something else.
pub(crate) fn holds_expression(value: &Value) -> bool {
    match value {
        Value::Text(_) => value.as_str().is_some_and(has_expression),
        Value::List(items) => items.iter().any(holds_expression),
        Value::Map(map) => map.iter().any(|(key, value)| has_expression(key) || holds_expression(value)),
        _ => false,
    }
}

/// Types a value and looks at the input's rules. `choices` are those that an `expression` made; without them, where there is an
/// expression, any choice will do.
pub fn read(input: &Input, value: &Value, choices: Option<&[Value]>) -> Result<Value, Vec<String>> {
    let typed = match input.kind {
        InputType::Multiselect => items(value).and_then(|items| each(input.rules.item_type.unwrap_or(InputType::String), &items)),
        InputType::Array => items(value).and_then(|items| each(input.rules.item_type.unwrap_or(InputType::Any), &items)),
        kind => of_type(kind, value),
    };
    let typed = typed.map_err(|reason| vec![reason])?;
    let choices = match (choices, &input.rules.expression) {
        (None, Some(_)) => None,
        (choices, _) => Some(choices.unwrap_or(&input.rules.values)),
    };
    let reasons = rules(input, value, &typed, choices);
    if reasons.is_empty() { Ok(typed) } else { Err(reasons) }
}

fn each(kind: InputType, values: &[Value]) -> Result<Value, String> {
    let typed = values.iter().enumerate().map(|(index, item)| of_type(kind, item).map_err(|reason| format!("item {index} {reason}")));
    typed.collect::<Result<Vec<_>, _>>().map(Value::list)
}

pub(crate) fn items(value: &Value) -> Result<Vec<Value>, String> {
    if let Some(items) = value.as_list() {
        return Ok(items.to_vec());
    }
    let text = value.as_str().ok_or_else(|| not("a list", value))?;
    let parsed = Value::parse_json(text).map_err(|_| not("a list, or the JSON text of one", value))?;
    parsed.as_list().map(<[_]>::to_vec).ok_or_else(|| not("a list, or the JSON text of one", value))
}

fn not(expected: &str, value: &Value) -> String {
    match value.as_str() {
        Some(text) => format!("must be {expected}, but is `{}`", shown(text)),
        None => format!("must be {expected}, but is a {}", value.kind()),
    }
}

/// A value as a value of the type. The reason ends a sentence that begins with the name.
pub fn of_type(kind: InputType, value: &Value) -> Result<Value, String> {
    use InputType::*;
    let text = value.as_str().map(str::trim);
    match kind {
        Any => Ok(value.clone()),
        String | Select | Secret => match value {
            Value::Text(_) => Ok(value.clone()),
            Value::List(_) | Value::Map(_) | Value::Null => Err(not("a text", value)),
            other => Ok(Value::from(scalar_text(other))),
        },
        Int => match (value, text) {
            (Value::Int(_), _) => Ok(value.clone()),
            (_, Some(text)) => text.parse().map(Value::Int).map_err(|_| not("a whole number", value)),
            _ => value.as_i64().map(Value::Int).ok_or_else(|| not("a whole number", value)),
        },
        Float => {
            let number = value.as_f64().or_else(|| text.and_then(|text| text.parse().ok()));
            number.and_then(Value::float).ok_or_else(|| not("a number", value))
        }
        Boolean | Bool => match (value, text.map(str::to_ascii_lowercase).as_deref()) {
            (Value::Bool(_), _) => Ok(value.clone()),
            (_, Some("true")) => Ok(Value::Bool(true)),
            (_, Some("false")) => Ok(Value::Bool(false)),
            _ => Err(not("`true` or `false`", value)),
        },
        Datetime => datetime(value).map(|instant| Value::time(expr::Time::Instant(instant))).ok_or_else(|| not("a date and time such as `2026-01-31T12:00:00Z`", value)),
        Date => date(value).map(|date| Value::time(expr::Time::Date(date))).ok_or_else(|| not("a date such as `2026-01-31`", value)),
        Time => clock(value).map(|time| Value::time(expr::Time::Clock(time))).ok_or_else(|| not("a time such as `12:30:00`", value)),
        Duration => {
            let duration = duration::of_value(value).map_err(|_| not("a duration such as `PT5M`", value))?;
            let span = duration::to_span(duration).ok_or_else(|| not("a duration of fewer hours", value))?;
            Ok(Value::time(expr::Time::Duration(span)))
        }
        File => match text {
            Some(text) if FILE_SCHEMES.iter().any(|scheme| text.starts_with(scheme)) => Ok(Value::from(text)),
            _ => Err(not(&format!("a file: an upload, or a URI that begins with {}", quoted_list(FILE_SCHEMES)), value)),
        },
        Json => match value.as_str() {
            Some(text) => Value::parse_json(text).map_err(|error| format!("must be JSON: {error}")),
            None => Ok(value.clone()),
        },
        Yaml => match value.as_str() {
            Some(text) => crate::yaml::read_value(text).map_err(|problem| format!("must be YAML: {problem}")),
            None => Ok(value.clone()),
        },
        Uri => match text {
            Some(text) if has_scheme(text) => Ok(Value::from(text)),
            _ => Err(not("a URI with a scheme, such as `https://example.com`", value)),
        },
        Email => match text {
            Some(text) if is_email(text) => Ok(Value::from(text)),
            _ => Err(not("an e-mail address", value)),
        },
        Array | Multiselect => items(value).map(Value::list),
    }
}

fn scalar_text(value: &Value) -> String {
    match value {
        Value::Bool(value) => value.to_string(),
        Value::Int(value) => value.to_string(),
        Value::Float(value) => format!("{value:?}"),
        Value::Number(value) => value.to_string(),
        Value::Time(time) => time.to_string(),
        Value::Text(_) | Value::List(_) | Value::Map(_) | Value::Null => String::new(),
    }
}

fn datetime(value: &Value) -> Option<Timestamp> {
    if let Value::Time(time) = value {
        return match time.as_ref() {
            expr::Time::Instant(instant) => Some(*instant),
            expr::Time::Zoned(zoned) => Some(zoned.timestamp()),
            _ => None,
        };
    }
    let text = value.as_str()?.trim();
    // Java's ZonedDateTime writes its zone in brackets behind the offset; jiff reads both forms.
    text.parse::<Timestamp>().ok().or_else(|| text.parse::<Zoned>().ok().map(|zoned| zoned.timestamp()))
}

fn date(value: &Value) -> Option<Date> {
    if let Value::Time(time) = value {
        return match time.as_ref() {
            expr::Time::Date(date) => Some(*date),
            _ => None,
        };
    }
    let text = value.as_str()?.trim();
    // jiff would read a date and time as well, and drop the time.
    (!text.contains([':', ' '])).then(|| text.parse().ok())?
}

fn clock(value: &Value) -> Option<Clock> {
    if let Value::Time(time) = value {
        return match time.as_ref() {
            expr::Time::Clock(clock) => Some(*clock),
            _ => None,
        };
    }
    let text = value.as_str()?.trim();
    let shaped = text.contains(':') && text.bytes().all(|byte| byte.is_ascii_digit() || matches!(byte, b':' | b'.'));
    shaped.then(|| format!("0001-01-01T{text}").parse::<DateTime>().ok().map(DateTime::time))?
}

fn has_scheme(text: &str) -> bool {
    let Some((scheme, rest)) = text.split_once(':') else { return false };
    let needs_host = ["http", "https", "ftp", "ws", "wss"].iter().any(|known| scheme.eq_ignore_ascii_case(known));
    if needs_host && rest.strip_prefix("//").is_none_or(|host| host.is_empty() || host.starts_with('/')) {
        return false;
    }
    let mut letters = scheme.chars();
    letters.next().is_some_and(|first| first.is_ascii_alphabetic())
        && letters.all(|c| c.is_ascii_alphanumeric() || matches!(c, '+' | '-' | '.'))
        && !rest.contains(|c: char| c.is_whitespace() || c.is_control())
        && !rest.is_empty()
}

fn is_email(text: &str) -> bool {
    let Some((name, host)) = text.rsplit_once('@') else { return false };
    let plain = |c: char| c.is_alphanumeric() || matches!(c, '.' | '_' | '%' | '+' | '-' | '\'' | '&' | '*' | '/' | '=' | '?' | '^' | '{' | '}' | '~');
    let label = |label: &str| !label.is_empty() && label.chars().all(|c| c.is_alphanumeric() || c == '-');
    let top = host.rsplit('.').next().unwrap_or_default();
    !name.is_empty() && name.chars().all(plain) && host.contains('.') && host.split('.').all(label) && top.chars().count() >= 2
}

/// Which of two values of a type comes first.
pub(crate) fn compare(kind: InputType, one: &Value, other: &Value) -> Option<Ordering> {
    match kind {
        InputType::Int | InputType::Float => number(one)?.partial_cmp(&number(other)?),
        InputType::Duration => Some(span(one)?.cmp(&span(other)?)),
        InputType::Datetime => Some(datetime(one)?.cmp(&datetime(other)?)),
        InputType::Date => Some(date(one)?.cmp(&date(other)?)),
        InputType::Time => Some(clock(one)?.cmp(&clock(other)?)),
        _ => None,
    }
}

fn number(value: &Value) -> Option<f64> {
    value.as_f64().or_else(|| value.as_str()?.trim().parse().ok())
}

fn span(value: &Value) -> Option<SignedDuration> {
    duration::of_value(value).ok()
}

fn rules(input: &Input, raw: &Value, typed: &Value, choices: Option<&[Value]>) -> Vec<String> {
    let rules = &input.rules;
    let mut reasons = Vec::new();
    let given = if input.kind == InputType::Secret { "******".to_owned() } else { shown(&shown_value(raw)) };
    if let (Some(pattern), Some(text)) = (&rules.validator, typed.as_str())
        && full_match(pattern).is_ok_and(|regex| !regex.is_match(text))
    {
        reasons.push(format!("it must match the pattern `{pattern}`, but received `{given}`"));
    }
    let mut bound = |bound: &Option<Value>, wrong: &[Ordering], words: &str| {
        let Some(bound) = bound else { return };
        if compare(input.kind, typed, bound).is_some_and(|order| wrong.contains(&order)) {
            reasons.push(format!("it must be {words} `{}`, but received `{given}`", shown_value(bound)));
        }
    };
    bound(&rules.min, &[Ordering::Less], "more than");
    bound(&rules.max, &[Ordering::Greater], "less than");
    bound(&rules.after, &[Ordering::Less], "after");
    bound(&rules.before, &[Ordering::Greater], "before");
    let is_choice = matches!(input.kind, InputType::Select | InputType::Multiselect) && !rules.allow_custom_value;
    if let (true, Some(choices)) = (is_choice, choices) {
        let chosen = if input.kind == InputType::Select { vec![typed.clone()] } else { typed.as_list().unwrap_or_default().to_vec() };
        for value in chosen {
            let text = shown_value(&value);
            if !choices.iter().any(|choice| shown_value(choice) == text) {
                let names: Vec<String> = choices.iter().map(shown_value).collect();
                let names: Vec<&str> = names.iter().map(String::as_str).collect();
                reasons.push(format!("it must match the values {}, but received `{}`", shown(&quoted_list(&names)), shown(&text)));
            }
        }
    }
    if let (false, Some(name)) = (rules.extensions.is_empty(), typed.as_str())
        && !rules.extensions.iter().any(|extension| ends_with(name, extension))
    {
        let names: Vec<&str> = rules.extensions.iter().map(String::as_str).collect();
        reasons.push(format!("it must be a file that ends in {}, but received `{given}`", quoted_list(&names)));
    }
    reasons
}

fn ends_with(name: &str, extension: &str) -> bool {
    let extension = extension.trim_start_matches('.').to_lowercase();
    name.to_lowercase().rsplit('.').next() == Some(extension.as_str())
}

pub(crate) fn shown_value(value: &Value) -> String {
    match value {
        Value::Text(text) => text.masked().into_owned(),
        Value::List(_) | Value::Map(_) => value.to_json().to_string(),
        other => scalar_text(other),
    }
}
