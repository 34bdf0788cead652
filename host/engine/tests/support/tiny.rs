//! A tiny renderer: paths, literals and a few operators. The engine's tests need conditions, not a language.
use std::sync::Arc;

use engine::Rendering;
use expr::{Scope, Value};

pub fn render(template: &Value, scope: &dyn Scope, how: Rendering) -> Result<Value, String> {
    match template {
        Value::Text(text) => {
            let text = text.reveal().map_err(|error| error.to_string())?;
            let value = of_text(&text, scope)?;
            Ok(match (how, value) {
                (Rendering::Text, value) => Value::text(shown(&value)),
                (_, value) => value,
            })
        }
        Value::List(items) => Ok(Value::list(items.iter().map(|item| render(item, scope, how)).collect::<Result<Vec<_>, _>>()?)),
        Value::Map(map) => {
            let entries: Result<Vec<(Arc<str>, Value)>, String> = map.iter().map(|(key, item)| Ok((key.clone(), render(item, scope, how)?))).collect();
            Ok(Value::map(entries?))
        }
        other => Ok(other.clone()),
    }
}

fn of_text(text: &str, scope: &dyn Scope) -> Result<Value, String> {
    let trimmed = text.trim();
    if let Some(inner) = trimmed.strip_prefix("{{").and_then(|rest| rest.strip_suffix("}}"))
        && !inner.contains("}}")
    {
        return value(inner.trim(), scope);
    }
    let mut out = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("{{") {
        let (inner, after) = after.split_once("}}").ok_or("unclosed expression")?;
        out.push_str(before);
        out.push_str(&shown(&value(inner.trim(), scope)?));
        rest = after;
    }
    out.push_str(rest);
    if out.contains("{%") { Err("no tags here".to_owned()) } else { Ok(Value::text(out)) }
}

fn shown(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::Text(text) => text.masked().into_owned(),
        other => other.to_json().to_string(),
    }
}

fn value(source: &str, scope: &dyn Scope) -> Result<Value, String> {
    let source = source.trim();
    if let Some((condition, branches)) = split(source, " ? ") {
        let (yes, no) = split(branches, " : ").ok_or("no else")?;
        return value(if value(condition, scope)?.truthy() { yes } else { no }, scope);
    }
    for operator in [" ?? ", " ??? ", " == ", " != ", " >= ", " < ", " > ", " + ", " / ", " contains "] {
        let Some((left, right)) = split(source, operator) else { continue };
        if operator.contains("??") {
            return value(left, scope).ok().filter(|value| !value.is_null()).map_or_else(|| value(right, scope), Ok);
        }
        let (left, right) = (value(left, scope)?, value(right, scope)?);
        let number = |value: &Value| value.as_f64().or_else(|| shown(value).parse().ok()).ok_or_else(|| "no number".to_owned());
        return Ok(match operator {
            " == " => Value::Bool(shown(&left) == shown(&right)),
            " != " => Value::Bool(shown(&left) != shown(&right)),
            " >= " => Value::Bool(number(&left)? >= number(&right)?),
            " < " => Value::Bool(number(&left)? < number(&right)?),
            " > " => Value::Bool(number(&left)? > number(&right)?),
            " + " => Value::Int((number(&left)? + number(&right)?) as i64),
            " / " if number(&right)? == 0.0 => return Err("division by zero".to_owned()),
            " / " => Value::Int((number(&left)? / number(&right)?) as i64),
            _ => Value::Bool(left.as_list().is_some_and(|items| items.contains(&right))),
        });
    }
    if let Some(inner) = source.strip_prefix('(').and_then(|rest| rest.strip_suffix(')')) {
        return value(inner, scope);
    }
    if let Some(path) = source.strip_suffix(" is defined") {
        return Ok(Value::Bool(path_value(path, scope).is_ok()));
    }
    for quote in ['\'', '"'] {
        if let Some(text) = source.strip_prefix(quote).and_then(|rest| rest.strip_suffix(quote)) {
            return Ok(Value::text(text));
        }
    }
    match source {
        "true" => Ok(Value::Bool(true)),
        "false" => Ok(Value::Bool(false)),
        number if number.parse::<i64>().is_ok() => Ok(Value::Int(number.parse().unwrap_or_default())),
        path => path_value(path.split(" | ").next().unwrap_or(path), scope),
    }
}

// At the first operator outside of quotes and brackets.
fn split<'a>(source: &'a str, operator: &str) -> Option<(&'a str, &'a str)> {
    let (mut depth, mut quote) = (0, None);
    for (at, c) in source.char_indices() {
        match (quote, c) {
            (Some(open), c) if c == open => quote = None,
            (Some(_), _) => {}
            (None, '\'' | '"') => quote = Some(c),
            (None, '(' | '[') => depth += 1,
            (None, ')' | ']') => depth -= 1,
            (None, _) if depth == 0 && source[at..].starts_with(operator) => return Some((&source[..at], &source[at + operator.len()..])),
            _ => {}
        }
    }
    None
}

fn path_value(path: &str, scope: &dyn Scope) -> Result<Value, String> {
    let mut steps: Vec<String> = Vec::new();
    let mut rest = path.trim();
    while !rest.is_empty() {
        if let Some(inner) = rest.strip_prefix('[') {
            let (key, after) = inner.split_once(']').ok_or("unclosed bracket")?;
            steps.push(shown(&value(key, scope)?));
            rest = after.trim_start_matches('.');
        } else {
            let end = rest.find(['.', '[']).unwrap_or(rest.len());
            steps.push(rest[..end].to_owned());
            rest = rest[end..].trim_start_matches('.');
        }
    }
    if steps.iter().any(|step| step.contains(['{', '%'])) {
        return Err(format!("cannot read `{path}`"));
    }
    let names: Vec<&str> = steps.iter().map(String::as_str).collect();
    let (found, used) = scope.lookup_path(&names).ok_or_else(|| format!("`{path}` is not defined"))?;
    found.get_path(names[used..].iter().copied()).cloned().ok_or_else(|| format!("`{path}` is not defined"))
}
