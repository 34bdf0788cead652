//! From a task's `type`, and its `version`, to the definition that it is checked against.

use std::collections::BTreeSet;

use model::flow_schema::{exactly, requiring};
use serde_json::{Value as Json, json};

use super::copies::Way;
use super::types::{Type, Variant};

/// All names of types, for completion; former names behind present ones.
pub(super) fn names(types: &[Type]) -> Json {
    let present = types.iter().map(|one| (one.name.as_str(), one.title.clone()));
    let former = types.iter().flat_map(|one| {
        one.aliases.iter().map(|alias| (alias.as_str(), format!("Another name of `{}`.\n\n{}", one.name, one.title)))
    });
    let (names, titles): (Vec<&str>, Vec<String>) = present.chain(former).unzip();
    json!({ "description": "What it does.", "enum": names, "markdownEnumDescriptions": titles })
}

/// A task or trigger: `kind` names the definition of its types.
pub(super) fn dispatcher(kind: &str, types: &[Type], way: Way, copied: &BTreeSet<String>) -> Json {
    let branches: Vec<Json> =
        types.iter().map(|one| json!({ "if": of_type(one), "then": of_versions(one, way, copied) })).collect();
    json!({
        "type": "object",
        "properties": {
            "id": { "$ref": "#/definitions/TaskProperties/properties/id" },
            "type": { "$ref": format!("#/definitions/{kind}") },
        },
        "required": ["id", "type"],
        "allOf": branches,
    })
}

fn of_type(one: &Type) -> Json {
    let names = std::iter::once(&one.name).chain(&one.aliases).map(String::as_str);
    // An object, so that what is not written yet is of no type, and not of each.
    json!({ "type": "object", "properties": { "type": exactly(names) }, "required": ["type"] })
}

/// An exact version chooses its definition, none the usual one, anything else fits where any version fits.
fn of_versions(one: &Type, way: Way, copied: &BTreeSet<String>) -> Json {
    let schema = |variant: &Variant| {
        let definition = way.reference(&variant.definition, copied);
        match requiring(&variant.required, &variant.one_of).filter(|_| way != Way::Defaulted) {
            Some(required) => json!({ "allOf": [definition, required] }),
            None => definition,
        }
    };
    let usual = one.variants.get(one.usual).map_or_else(|| json!({}), schema);
    if one.variants.len() < 2 {
        return usual;
    }
    let others = one.variants.iter().enumerate().rev().filter(|(at, _)| *at != one.usual);
    let any: Vec<Json> = std::iter::once(usual.clone()).chain(others.map(|(_, variant)| schema(variant))).collect();
    let any = json!({ "anyOf": any });
    let latest = json!({ "properties": { "version": { "anyOf": [
        { "type": "null" }, { "type": "string", "pattern": r"^\s*[lL][aA][tT][eE][sS][tT]\s*$" },
    ] } } });
    let rest = match way {
        Way::Strict => json!({ "if": latest, "then": usual, "else": any }),
        Way::AnyVersion | Way::Defaulted => any,
    };
    one.variants.iter().rev().fold(rest, |rest, variant| {
        let exact = json!({ "properties": { "version": exactly(variant.versions.iter().map(String::as_str)) }, "required": ["version"] });
        json!({ "if": exact, "then": schema(variant), "else": rest })
    })
}

/// `pluginDefaults:`. What a default for a type of a plugin says is looked at; what is for several types, or for the engine's, is not.
pub(super) fn defaults<'t>(types: impl Iterator<Item = &'t Type>) -> Json {
    let branches: Vec<Json> = types
        .map(|one| {
            let any: Vec<Json> = one
                .variants
                .iter()
                .rev()
                .map(|variant| json!({ "$ref": format!("#/definitions/{}", variant.definition) }))
                .collect();
            let values = if let [only] = any.as_slice() { only.clone() } else { json!({ "anyOf": any }) };
            json!({ "if": of_type(one), "then": { "properties": { "values": values } } })
        })
        .collect();
    json!({
        "type": ["array", "null"],
        "items": {
            "type": "object",
            "properties": {
                "type": {
                    "description": "A type, or what the names of several types begin with.",
                    "anyOf": [
                        { "$ref": "#/definitions/TaskType" }, { "$ref": "#/definitions/TriggerType" },
                        { "$ref": "#/definitions/Text" },
                    ],
                },
                "forced": {
                    "description": "Whether it wins over what the task says.",
                    "anyOf": [{ "$ref": "#/definitions/Boolean" }, { "type": "null" }],
                },
                "version": {
                    "description": "The version of the plugin.",
                    "anyOf": [{ "$ref": "#/definitions/Text" }, { "type": "null" }],
                },
                "values": {
                    "description": "Values by property.",
                    "type": "object",
                    "additionalProperties": { "not": { "type": "null" } },
                },
            },
            "required": ["type", "values"],
            "additionalProperties": false,
            "allOf": branches,
        },
    })
}
