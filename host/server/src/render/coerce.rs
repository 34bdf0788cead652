//! Rendered values to what a property's JSON Schema asks for, as Kestra's own binding does: an expression gives text where text is
//! wanted, a number where a number is wanted, and text where nothing is said. Never refuses: what does not fit is the plugin's to judge.

use expr::{Map, Value};
use serde_json::Value as Schema;

/// How deep schemas are followed; deeper values are left as they are.
const DEPTH_MAX: usize = 32;

/// A property of an object schema: as it was written, and what it was rendered to.
pub(super) fn property(schema: &Schema, name: &str, written: &Value, value: Value) -> Value {
    let root = schema;
    let known = schema.get("properties").and_then(|properties| properties.get(name));
    match known.or_else(|| schema.get("additionalProperties")) {
        Some(schema) => fit(root, schema, Some(written), value, 0),
        None => untyped(Some(written), value),
    }
}

/// A value of any type: a template in it gives text, a value that was written as such stays what it is.
fn untyped(written: Option<&Value>, value: Value) -> Value {
    match (written, value) {
        (Some(Value::Text(_)), value @ Value::Text(_)) => value,
        (Some(Value::Text(_)), Value::Null) => Value::from(""),
        (Some(Value::Text(_)), value) => Value::from(value.to_string()),
        (Some(written @ Value::List(_)), Value::List(items)) => {
            Value::list(items.iter().enumerate().map(|(at, item)| untyped(part(written, at), item.clone())))
        }
        (Some(written @ Value::Map(_)), Value::Map(entries)) => Value::map(
            entries.iter().enumerate().map(|(at, (key, item))| (key.clone(), untyped(part(written, at), item.clone()))),
        ),
        (_, value) => value,
    }
}

/// What stands in the same place of what was written. Keys are rendered too, so places are counted.
fn part(written: &Value, at: usize) -> Option<&Value> {
    match written {
        Value::List(items) => items.get(at),
        Value::Map(entries) => entries.get_index(at).map(|(_, value)| value),
        _ => None,
    }
}

/// Whether a property may be text, directly or as one of several.
pub(super) fn takes_text(schema: &Schema, name: &str) -> bool {
    let known = schema.get("properties").and_then(|properties| properties.get(name));
    let alternatives = |schema: &Schema| schema.get("anyOf").and_then(Schema::as_array).cloned().unwrap_or_default();
    let text = |schema: &Schema| types(schema).iter().any(|kind| kind == "string");
    known.is_some_and(|schema| text(schema) || alternatives(schema).iter().any(text))
}

fn fit(root: &Schema, schema: &Schema, written: Option<&Value>, value: Value, depth: usize) -> Value {
    if depth > DEPTH_MAX {
        return value;
    }
    if let Some(target) = schema.get("$ref").and_then(Schema::as_str) {
        let found = target.strip_prefix('#').and_then(|pointer| root.pointer(pointer));
        return match found {
            Some(schema) => fit(root, schema, written, value, depth + 1),
            None => value,
        };
    }
    let alternatives = ["anyOf", "oneOf"].iter().find_map(|key| schema.get(key)).and_then(Schema::as_array);
    if let Some(alternatives) = alternatives {
        return fit_one(root, alternatives, written, value, depth);
    }
    let types = types(schema);
    let wants = |kind: &str| types.iter().any(|known| known == kind);
    if types.is_empty() {
        return untyped(written, value);
    }
    if value.is_null() && wants("null") {
        return value;
    }
    let inner = |at: usize| written.and_then(|written| part(written, at));
    match &value {
        Value::Map(entries) if wants("object") => {
            let fitted: Map = entries
                .iter()
                .enumerate()
                .map(|(at, (key, item))| {
                    (key.clone(), property_of(root, schema, key, (inner(at), item.clone()), depth))
                })
                .collect();
            Value::from(fitted)
        }
        Value::List(items) if wants("array") => match schema.get("items") {
            Some(schema) => Value::list(
                items.iter().enumerate().map(|(at, item)| fit(root, schema, inner(at), item.clone(), depth + 1)),
            ),
            // A template of the whole list was asked for a list, and gave one.
            None => match written {
                Some(Value::Text(_)) => value,
                _ => untyped(written, value),
            },
        },
        Value::Text(_) if wants("string") => value,
        Value::Text(text) => match text.as_plain().and_then(|plain| parsed(plain.trim(), &wants)) {
            Some(typed) => fit(root, schema, None, typed, depth + 1),
            None => value,
        },
        Value::Bool(_) if wants("boolean") => value,
        Value::Int(_) if wants("integer") || wants("number") => value,
        Value::Float(_) | Value::Number(_) if wants("number") => value,
        // Text is wanted and something else came: what it prints as. Null prints as nothing.
        _ if wants("string") => Value::from(value.to_string()),
        _ => value,
    }
}

fn property_of(
    root: &Schema,
    schema: &Schema,
    name: &str,
    (written, value): (Option<&Value>, Value),
    depth: usize,
) -> Value {
    let known = schema.get("properties").and_then(|properties| properties.get(name));
    match known.or_else(|| schema.get("additionalProperties").filter(|schema| schema.is_object())) {
        Some(inner) => fit(root, inner, written, value, depth + 1),
        None => untyped(written, value),
    }
}

/// Of several schemas: one that takes the value as it is, else the first that it can be made to fit.
fn fit_one(root: &Schema, alternatives: &[Schema], written: Option<&Value>, value: Value, depth: usize) -> Value {
    let resolved: Vec<&Schema> = alternatives
        .iter()
        .map(|schema| {
            let target = schema.get("$ref").and_then(Schema::as_str).and_then(|target| target.strip_prefix('#'));
            target.and_then(|pointer| root.pointer(pointer)).unwrap_or(schema)
        })
        .collect();
    let kind = match &value {
        Value::Null => "null",
        Value::Bool(_) => "boolean",
        Value::Int(_) => "integer",
        Value::Float(_) | Value::Number(_) => "number",
        Value::Text(_) | Value::Time(_) => "string",
        Value::List(_) => "array",
        Value::Map(_) => "object",
    };
    let takes = |schema: &&&Schema| {
        let types = types(schema);
        types.is_empty() || types.iter().any(|known| known == kind || (known == "number" && kind == "integer"))
    };
    if value.is_null() && resolved.iter().any(|schema| takes(&schema)) {
        return value;
    }
    let chosen = resolved.iter().find(takes).or_else(|| resolved.iter().find(|schema| types(schema) != ["null"]));
    match chosen {
        Some(schema) => fit(root, schema, written, value, depth + 1),
        None => value,
    }
}

fn types(schema: &Schema) -> Vec<String> {
    match schema.get("type") {
        Some(Schema::String(one)) => vec![one.clone()],
        Some(Schema::Array(many)) => many.iter().filter_map(|kind| kind.as_str().map(str::to_owned)).collect(),
        _ if schema.get("enum").is_some() || schema.get("const").is_some_and(Schema::is_string) => {
            vec!["string".to_owned()]
        }
        _ => Vec::new(),
    }
}

/// Text as the type that is wanted, where it is one.
fn parsed(text: &str, wants: &dyn Fn(&str) -> bool) -> Option<Value> {
    if wants("boolean") && matches!(text, "true" | "false") {
        return Some(Value::Bool(text == "true"));
    }
    if (wants("integer") || wants("number"))
        && let Ok(number) = text.parse::<i64>()
    {
        return Some(Value::Int(number));
    }
    if wants("number")
        && let Some(number) = text.parse::<f64>().ok().and_then(Value::float)
    {
        return Some(number);
    }
    if (wants("object") && text.starts_with('{')) || (wants("array") && text.starts_with('[')) {
        return Value::parse_json(text).ok();
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn check(schema: Schema, given: Schema, expected: Schema) {
        check_written(schema, Value::Null, given, expected);
    }

    fn check_written(schema: Schema, written: Value, given: Schema, expected: Schema) {
        let schema =
            json!({ "type": "object", "properties": { "p": schema }, "$defs": { "Level": { "enum": ["A", "B"] } } });
        let fitted = property(&schema, "p", &written, Value::from_json(&given).expect("finite"));
        assert_eq!(fitted.to_json(), expected, "{schema} {given}");
    }

    #[test]
    fn values_become_what_the_schema_wants() {
        check(json!({ "type": "string" }), json!(12), json!("12"));
        check(json!({ "type": "string" }), json!({ "a": 1 }), json!("{\"a\":1}"));
        check(json!({ "type": "string" }), json!(null), json!(""));
        check(json!({ "type": ["string", "null"] }), json!(null), json!(null));
        check(json!({ "type": "integer" }), json!("12"), json!(12));
        check(json!({ "type": "boolean" }), json!("true"), json!(true));
        check(json!({ "type": "boolean" }), json!("yes"), json!("yes"));
        check(json!({ "type": "array", "items": { "type": "string" } }), json!("[1, 2]"), json!(["1", "2"]));
        check(
            json!({ "type": "object", "additionalProperties": { "type": "string" } }),
            json!({ "a": 1 }),
            json!({ "a": "1" }),
        );
        check(json!({ "anyOf": [{ "type": "string" }, { "type": "array" }] }), json!(["a"]), json!(["a"]));
        check(json!({ "anyOf": [{ "type": "integer" }, { "type": "null" }] }), json!("7"), json!(7));
        check(json!({ "$ref": "#/$defs/Level" }), json!("A"), json!("A"));
        check(json!(true), json!({ "free": [1, "x"] }), json!({ "free": [1, "x"] }));
    }

    #[test]
    fn templates_give_text_where_no_type_is_named() {
        let written = Value::map([("a", Value::from("{{ 1 + 1 }}")), ("b", Value::Int(2))]);
        let free = json!({ "type": "object", "additionalProperties": true });
        check_written(free, written.clone(), json!({ "a": 2, "b": 2 }), json!({ "a": "2", "b": 2 }));
        check_written(json!(true), written, json!({ "a": [1], "b": 2 }), json!({ "a": "[1]", "b": 2 }));
        check_written(json!(true), Value::from("{{ null }}"), json!(null), json!(""));
        check_written(json!({ "type": "array" }), Value::from("{{ [1] }}"), json!([1]), json!([1]));
    }
}
