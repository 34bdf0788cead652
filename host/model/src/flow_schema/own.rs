//! Inputs and conditions: what each of their types has. All of them are the engine's.

use serde_json::{Map, Value as Json, json};

use super::dialect::{Dialect, pattern};
use super::{definition_of, exactly, object, own_type, requiring, texts};
use crate::parse::condition_names;

/// Defines `Input` and `Condition`.
pub(super) fn define(dialect: &Dialect, definitions: &mut Map<String, Json>) {
    let input = input(dialect, definitions);
    definitions.insert("Input".to_owned(), input);
    let condition = condition(dialect, definitions);
    definitions.insert("Condition".to_owned(), condition);
}

fn input(dialect: &Dialect, definitions: &mut Map<String, Json>) -> Json {
    let types: Vec<Json> =
        serde_json::from_str(include_str!("input_types.json")).expect("the documents of this crate are JSON");
    let mut branches = Vec::new();
    for written in &types {
        let words = texts(written, "x-of");
        let own = own_type(dialect, "", written);
        let name = format!("Input.{}", words.first().map_or("", String::as_str));
        let definition = definition_of("", &["InputProperties"], own.properties, definitions);
        definitions.insert(name.clone(), definition);
        let fits = json!({ "type": "string", "pattern": pattern(words.iter().map(String::as_str)) });
        branches.push(branch(&fits, &name, requiring(&own.required, &own.one_of)));
    }
    // Under its present name or its former one.
    typed(&json!({ "$ref": "#/definitions/InputType" }), json!(["type"]), json!(["id", "name"]), branches)
}

fn condition(dialect: &Dialect, definitions: &mut Map<String, Json>) -> Json {
    let mut branches = Vec::new();
    let (mut names, mut descriptions) = (Vec::new(), Vec::new());
    for (class, written) in object(include_str!("conditions.json")) {
        let own = own_type(dialect, "", &written);
        let fits = condition_names(&class);
        for name in &fits {
            names.push(name.clone());
            descriptions.push(own.description.clone());
        }
        let name = format!("Condition.{class}");
        let definition = definition_of(&own.description, &["ConditionProperties"], own.properties, definitions);
        definitions.insert(name.clone(), definition);
        branches.push(branch(&exactly(fits.iter().map(String::as_str)), &name, requiring(&own.required, &[])));
    }
    let known = json!({ "enum": names, "markdownEnumDescriptions": descriptions });
    typed(&known, json!(["type"]), json!([]), branches)
}

fn branch(fits: &Json, definition: &str, requiring: Option<Json>) -> Json {
    let mut all = vec![json!({ "$ref": format!("#/definitions/{definition}") })];
    all.extend(requiring);
    json!({ "if": { "type": "object", "properties": { "type": fits }, "required": ["type"] }, "then": { "allOf": all } })
}

/// An object that is what its `type` says.
fn typed(known: &Json, required: Json, one_of: Json, branches: Vec<Json>) -> Json {
    let mut schema =
        json!({ "type": "object", "properties": { "type": known }, "required": required, "allOf": branches });
    let one_of = one_of.as_array().into_iter().flatten().map(|name| json!({ "required": [name] }));
    let one_of: Vec<Json> = one_of.collect();
    if let (Some(schema), false) = (schema.as_object_mut(), one_of.is_empty()) {
        schema.insert("anyOf".to_owned(), one_of.into());
    }
    schema
}
