//! Filters on lists and maps. Most only move values about, so secrets stay where they are.
use std::cmp::Ordering;
use std::collections::HashSet;
use std::sync::Arc;

use super::wrong_input;
use crate::error::Error;
use crate::eval::ops::{compare, is_number};
use crate::eval::print::{join_item, string_of, text_of};
use crate::eval::{Args, Evaluator};
use crate::predicates::is_empty;
use crate::text::{Span, Text, TextBuilder};
use crate::value::{Map, Value};

fn list<'a>(input: &'a Value, args: &Args) -> Result<&'a Arc<Vec<Value>>, Error> {
    match input {
        Value::List(items) => Ok(items),
        other => Err(wrong_input(args, "a list", other)),
    }
}

pub(super) fn default(_: &mut Evaluator<'_>, input: &Value, args: &Args) -> Result<Value, Error> {
    match is_empty(input)? {
        true => Ok(args.given(0).cloned().unwrap_or_default()),
        false => Ok(input.clone()),
    }
}

pub(super) fn length(_: &mut Evaluator<'_>, input: &Value, _: &Args) -> Result<Value, Error> {
    let length = match input {
        Value::Text(text) => text.reveal()?.encode_utf16().count(),
        Value::List(items) => items.len(),
        Value::Map(map) => map.len(),
        _ => 0,
    };
    Ok(Value::Int(length as i64))
}

pub(super) fn first(evaluator: &mut Evaluator<'_>, input: &Value, args: &Args) -> Result<Value, Error> {
    match input {
        Value::List(items) => Ok(items.first().cloned().unwrap_or_default()),
        Value::Map(map) => Ok(map.values().next().cloned().unwrap_or_default()),
        Value::Text(text) => {
            part(evaluator, text, args, |text| text.chars().next().map(String::from).unwrap_or_default())
        }
        other => Err(wrong_input(args, "a list or text", other)),
    }
}

pub(super) fn last(evaluator: &mut Evaluator<'_>, input: &Value, args: &Args) -> Result<Value, Error> {
    match input {
        Value::List(items) => Ok(items.last().cloned().unwrap_or_default()),
        Value::Text(text) => {
            part(evaluator, text, args, |text| text.chars().next_back().map(String::from).unwrap_or_default())
        }
        other => Err(wrong_input(args, "a list or text", other)),
    }
}

/// A part of a text: of secret text a derived secret.
fn part(_: &mut Evaluator<'_>, text: &Text, args: &Args, cut: impl FnOnce(&str) -> String) -> Result<Value, Error> {
    let cut = Value::from(cut(&text.reveal()?));
    match text.is_secret() {
        false => Ok(cut),
        true => {
            let inputs = crate::eval::secrets::inputs_of(Some(&Value::Text(text.clone())), args);
            crate::eval::secrets::taint(cut, &format!("filter:{}", args.callee), &inputs)
        }
    }
}

pub(super) fn slice(evaluator: &mut Evaluator<'_>, input: &Value, args: &Args) -> Result<Value, Error> {
    let length = match input {
        Value::List(items) => items.len(),
        Value::Text(text) => text.reveal()?.chars().count(),
        other => return Err(wrong_input(args, "a list or text", other)),
    };
    let from = args.get(0).map_or(Ok(0), |_| args.size(0))?;
    let to = args.get(1).map_or(Ok(length), |_| args.size(1))?;
    if to > length {
        return Err(Error::invalid(format!("`toIndex` {to} is beyond the length {length}")));
    }
    if from > to || (from == to && args.get(1).is_some()) {
        return Err(Error::invalid(format!("`fromIndex` {from} must be before `toIndex` {to}")));
    }
    match input {
        Value::List(items) => Ok(Value::list(items.iter().skip(from).take(to - from).cloned())),
        Value::Text(text) => part(evaluator, text, args, |text| text.chars().skip(from).take(to - from).collect()),
        other => Err(wrong_input(args, "a list or text", other)),
    }
}

pub(super) fn reverse(evaluator: &mut Evaluator<'_>, input: &Value, args: &Args) -> Result<Value, Error> {
    match input {
        Value::List(items) => Ok(Value::list(items.iter().rev().cloned())),
        Value::Text(text) => part(evaluator, text, args, |text| text.chars().rev().collect()),
        other => Err(wrong_input(args, "a list or text", other)),
    }
}

pub(super) fn chunk(_: &mut Evaluator<'_>, input: &Value, args: &Args) -> Result<Value, Error> {
    let items = list(input, args)?;
    match args.size(0)? {
        0 => Err(Error::invalid("argument `size` of `chunk` must be at least 1")),
        size => Ok(Value::list(items.chunks(size).map(|chunk| Value::list(chunk.iter().cloned())))),
    }
}

/// Lists in the list are replaced by their items, one level deep.
pub(super) fn flatten(evaluator: &mut Evaluator<'_>, input: &Value, args: &Args) -> Result<Value, Error> {
    let mut out = Vec::new();
    for item in list(input, args)?.iter() {
        match item {
            Value::List(inner) => out.extend(inner.iter().cloned()),
            other => out.push(other.clone()),
        }
    }
    evaluator.charge(out.len())?;
    Ok(Value::list(out))
}

pub(super) fn distinct(_: &mut Evaluator<'_>, input: &Value, args: &Args) -> Result<Value, Error> {
    if input.is_null() {
        return Ok("null".into());
    }
    let mut seen = HashSet::new();
    Ok(Value::list(list(input, args)?.iter().filter(|item| seen.insert((*item).clone())).cloned()))
}

pub(super) fn join(evaluator: &mut Evaluator<'_>, input: &Value, args: &Args) -> Result<Value, Error> {
    let separator = args.get(0).map(text_of).transpose()?;
    let mut out = TextBuilder::default();
    for (index, item) in list(input, args)?.iter().enumerate() {
        if let (true, Some(separator)) = (index > 0, &separator) {
            out.push_text(separator);
        }
        join_item(&mut out, item)?;
        evaluator.charge(1)?;
        if out.size_bytes() > evaluator.settings.limits.output_bytes {
            evaluator.charge_bytes(out.size_bytes())?;
        }
    }
    Ok(Value::Text(out.finish()))
}

/// The keys of a map, the indices of a list.
pub(super) fn keys(_: &mut Evaluator<'_>, input: &Value, args: &Args) -> Result<Value, Error> {
    match input {
        Value::Map(map) => Ok(Value::list(map.keys().cloned().map(Value::from))),
        Value::List(items) => Ok(Value::list((0..items.len()).map(|index| Value::Int(index as i64)))),
        other => Err(wrong_input(args, "a map or a list", other)),
    }
}

pub(super) fn values(_: &mut Evaluator<'_>, input: &Value, args: &Args) -> Result<Value, Error> {
    match input {
        Value::Map(map) => Ok(Value::list(map.values().cloned())),
        Value::List(_) => Ok(input.clone()),
        other => Err(wrong_input(args, "a map or a list", other)),
    }
}

pub(super) fn merge(evaluator: &mut Evaluator<'_>, input: &Value, args: &Args) -> Result<Value, Error> {
    let items = args.given(0).unwrap_or(&Value::Null);
    let size = |value: &Value| value.as_list().map_or(0, <[Value]>::len) + value.as_map().map_or(0, Map::len);
    evaluator.charge(size(input) + size(items))?;
    match (input, items) {
        (Value::Null, Value::Null) => Err(Error::invalid("`merge` of null with null")),
        (one, Value::Null) | (Value::Null, one) => Ok(one.clone()),
        (Value::Map(a), Value::Map(b)) => {
            let mut map = a.as_ref().clone();
            map.extend(b.iter().map(|(key, value)| (key.clone(), value.clone())));
            Ok(map.into())
        }
        (Value::Map(a), Value::List(b)) => {
            let mut map = a.as_ref().clone();
            for item in b.iter() {
                map.insert(string_of(item)?.into(), item.clone());
            }
            Ok(map.into())
        }
        (Value::List(a), Value::List(b)) => Ok(Value::list(a.iter().chain(b.iter()).cloned())),
        (Value::List(a), Value::Map(b)) => {
            let entries = b.iter().map(|(key, value)| Value::map([(key.clone(), value.clone())]));
            Ok(Value::list(a.iter().cloned().chain(entries)))
        }
        (Value::List(_) | Value::Map(_), other) => Err(wrong_input(args, "lists or maps", other)),
        (other, _) => Err(wrong_input(args, "lists or maps", other)),
    }
}

pub(super) fn sort(evaluator: &mut Evaluator<'_>, input: &Value, args: &Args) -> Result<Value, Error> {
    sorted(evaluator, input, args).map(Value::list)
}

pub(super) fn rsort(evaluator: &mut Evaluator<'_>, input: &Value, args: &Args) -> Result<Value, Error> {
    sorted(evaluator, input, args).map(|items| Value::list(items.into_iter().rev()))
}

fn sorted(evaluator: &mut Evaluator<'_>, input: &Value, args: &Args) -> Result<Vec<Value>, Error> {
    let mut items = list(input, args)?.as_ref().clone();
    evaluator.charge(items.len().saturating_mul(4))?;
    let comparable = items.iter().all(is_number)
        || items.iter().all(|item| matches!(item, Value::Text(_)))
        || items.iter().all(|item| matches!(item, Value::Time(_)));
    let plain = |item: &Value| !matches!(item, Value::Text(text) if sealed(text));
    if !comparable || !items.iter().all(plain) {
        return Err(Error::invalid_hint(
            format!("`{}` needs items that are all numbers, all text or all dates", args.callee),
            "make them text with `jq('map(tostring)')`",
        ));
    }
    items.sort_by(|a, b| compare(a, b).ok().flatten().unwrap_or(Ordering::Equal));
    Ok(items)
}

fn sealed(text: &Text) -> bool {
    text.spans().any(|span| matches!(span.as_ref(), Span::Secret(secret) if secret.value().is_none()))
}
