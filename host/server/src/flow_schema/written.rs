//! All ways to write a value of a type of JSON Schema that the parser takes: a number as text, a text as a number, a list or a map as its JSON,
//! an expression for anything, null for what is not there.

use model::flow_schema::{or, or_null};
use serde_json::{Map, Value as Json, json};

/// The types of a schema, and all that may be written for them.
pub(super) fn widened(keywords: &Map<String, Json>, mut kept: Map<String, Json>) -> Json {
    let expression = json!({ "$ref": "#/definitions/Expression" });
    if keywords.get("format").and_then(Json::as_str) == Some("duration") {
        kept.insert("anyOf".to_owned(), json!([{ "$ref": "#/definitions/Duration" }, expression, { "type": "null" }]));
        return kept.into();
    }
    let types: Vec<&str> = match keywords.get("type") {
        Some(Json::String(name)) => vec![name],
        Some(Json::Array(names)) => names.iter().filter_map(Json::as_str).collect(),
        _ => Vec::new(),
    };
    let mut wide = types.clone();
    if types.contains(&"string") {
        // A number that is written as one is read as its text.
        wide.retain(|name| !["integer", "number", "boolean"].contains(name));
        wide.extend(["number", "boolean"]);
    }
    if !types.is_empty() {
        kept.insert("type".to_owned(), if let [one] = wide.as_slice() { json!(one) } else { json!(wide) });
    }
    let choices = match (keywords.get("enum"), keywords.get("const")) {
        (Some(choices), _) => Some(choices.clone()),
        (_, Some(only)) => Some(json!([only])),
        _ => None,
    };
    let has_null = |choices: &Json| choices.as_array().is_some_and(|choices| choices.contains(&Json::Null));
    let takes_null = types.contains(&"null") && choices.as_ref().is_none_or(has_null);
    let bounded = choices.is_some() || kept.contains_key("minLength") || kept.contains_key("maxLength");
    kept.extend(choices.map(|choices| ("enum".to_owned(), choices)));
    let takes_text = types.is_empty() || types.contains(&"string");
    let written: Vec<&str> = types.iter().filter_map(|name| as_text(name)).collect();
    let schema = match (takes_text, bounded) {
        (true, false) => kept.into(),
        (true, true) => or(kept.into(), expression),
        (false, _) if written.is_empty() => or(kept.into(), expression),
        (false, true) => or(kept.into(), json!({ "type": "string", "pattern": pattern(&written) })),
        // One schema and no alternatives: mistakes inside are shown where they are.
        (false, false) => {
            wide.push("string");
            kept.insert("type".to_owned(), json!(wide));
            kept.insert("pattern".to_owned(), pattern(&written).into());
            kept.insert("patternErrorMessage".to_owned(), expected(&types).into());
            kept.into()
        }
    };
    if takes_null || (types.is_empty() && !bounded) { schema } else { or_null(schema) }
}

fn pattern(written: &[&str]) -> String {
    format!(r"\{{[{{%#]|^\s*({})", written.join("|"))
}

/// What is said of a text that is nothing of all that it may be.
fn expected(types: &[&str]) -> String {
    let words = types.iter().filter_map(|name| match *name {
        "integer" => Some("a whole number"),
        "number" => Some("a number"),
        "boolean" => Some("`true` or `false`"),
        "array" => Some("a list"),
        "object" => Some("a map"),
        _ => None,
    });
    format!("expected {}, or an expression", words.collect::<Vec<_>>().join(" or "))
}

/// How the text of a value of a type looks.
fn as_text(name: &str) -> Option<&'static str> {
    match name {
        "integer" => Some(r"[-+]?[0-9]+\s*$"),
        "number" => Some(r"[-+]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][-+]?[0-9]+)?\s*$"),
        "boolean" => Some(r"(true|false)\s*$"),
        "array" => Some(r"\["),
        "object" => Some(r"\{"),
        _ => None,
    }
}
