//! What a flow may say, as JSON Schema: the part that is the engine's own. Written by hand beside this file, an idea each, and held to
//! what the parser takes by tests. Knows no plugin: whoever knows them puts their types into the places named `Task`, `Trigger` and
//! `PluginDefaults`, which are not defined here.

mod dialect;
mod own;

use serde_json::{Map, Value as Json, json};

use crate::parse::former_names;

use dialect::Dialect;
pub use dialect::{or, or_null};

/// The definitions, and the types that the engine carries out itself.
#[derive(Clone, Debug)]
pub struct FlowSchema {
    /// By name, for `#/definitions/NAME`.
    pub definitions: Map<String, Json>,
    pub tasks: Vec<OwnType>,
    pub triggers: Vec<OwnType>,
}

/// A type of the engine.
#[derive(Clone, Debug, Default)]
pub struct OwnType {
    pub name: String,
    /// Names that it had before.
    pub former: Vec<String>,
    pub description: String,
    /// Its own, beside what all have.
    pub properties: Map<String, Json>,
    pub required: Vec<String>,
    /// Of these at least one is required.
    pub one_of: Vec<String>,
}

/// What the engine takes.
pub fn flow_schema() -> FlowSchema {
    let mut written = Map::new();
    for document in [
        include_str!("flow.json"),
        include_str!("values.json"),
        include_str!("task.json"),
        include_str!("trigger.json"),
        include_str!("condition.json"),
        include_str!("inputs.json"),
        include_str!("grants.json"),
    ] {
        written.extend(object(document));
    }
    let dialect = Dialect::of(&written, &["PluginDefaults"]);
    let mut definitions: Map<String, Json> =
        written.iter().map(|(name, schema)| (name.clone(), dialect.expand(schema))).collect();
    own::define(&dialect, &mut definitions);
    let tasks = types(&dialect, include_str!("tasks.json"));
    let triggers = types(&dialect, include_str!("triggers.json"));
    FlowSchema { definitions, tasks, triggers }
}

/// The definition of a type: what all types of its kind have (`common`: names of definitions) and what is its own, and nothing else.
pub fn definition_of(
    description: &str,
    common: &[&str],
    properties: Map<String, Json>,
    definitions: &Map<String, Json>,
) -> Json {
    let mut all = Map::new();
    for common in common {
        let names = definitions.get(*common).and_then(|common| common.get("properties")?.as_object());
        for name in names.into_iter().flat_map(Map::keys) {
            all.insert(name.clone(), json!({ "$ref": format!("#/definitions/{common}/properties/{name}") }));
        }
    }
    for (name, schema) in properties {
        all.entry(name).or_insert(schema);
    }
    json!({ "description": description, "type": "object", "properties": all, "additionalProperties": false })
}

/// What must be there: all of the one, and at least one of the other, with something in it. `None`: nothing must.
pub fn requiring(required: &[String], one_of: &[String]) -> Option<Json> {
    let mut keywords = Map::new();
    if !required.is_empty() {
        keywords.insert("required".to_owned(), json!(required));
    }
    if !one_of.is_empty() {
        let filled = |name: &String| {
            let filled = json!({ "not": { "type": "null" }, "minItems": 1, "minProperties": 1 });
            json!({ "required": [name], "properties": { name: filled } })
        };
        let alternatives: Json = one_of.iter().map(filled).collect();
        keywords.insert("anyOf".to_owned(), alternatives);
    }
    (!keywords.is_empty()).then(|| keywords.into())
}

/// One of these texts, where a schema asks which one it is. A pattern, since editors take what an `enum` begins with for a word of it.
pub fn exactly<'t>(texts: impl Iterator<Item = &'t str>) -> Json {
    let texts: Vec<String> = texts.map(regex::escape).map(|text| text.replace(r"\-", "-")).collect();
    json!({ "type": "string", "pattern": format!("^({})$", texts.join("|")) })
}

fn object(document: &str) -> Map<String, Json> {
    serde_json::from_str(document).expect("the documents of this crate are JSON objects")
}

fn texts(schema: &Json, keyword: &str) -> Vec<String> {
    let list = schema.get(keyword).and_then(Json::as_array).into_iter().flatten();
    list.filter_map(Json::as_str).map(str::to_owned).collect()
}

fn own_type(dialect: &Dialect, name: &str, written: &Json) -> OwnType {
    let required = texts(written, "required");
    let names: Vec<&str> = required.iter().map(String::as_str).collect();
    let properties = written.get("properties").and_then(Json::as_object);
    OwnType {
        name: name.to_owned(),
        former: former_names(name),
        description: written.get("description").and_then(Json::as_str).unwrap_or_default().to_owned(),
        properties: properties.map(|own| dialect.expand_properties(own, &names)).unwrap_or_default(),
        one_of: texts(written, "x-one-of"),
        required,
    }
}

/// Types by name. `x-same-as` is another type under whose properties this one is read.
fn types(dialect: &Dialect, document: &str) -> Vec<OwnType> {
    let document = object(document);
    let read = document.iter().map(|(name, written)| {
        let same = written.get("x-same-as").and_then(Json::as_str).and_then(|same| document.get(same));
        let one = own_type(dialect, name, same.unwrap_or(written));
        let description = written.get("description").and_then(Json::as_str).unwrap_or_default().to_owned();
        OwnType { description, ..one }
    });
    read.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_task_and_trigger_of_the_engine_is_there() {
        let schema = flow_schema();
        let names = |types: &[OwnType]| types.iter().map(|one| one.name.clone()).collect::<Vec<_>>();
        assert_eq!(names(&schema.tasks), crate::engine_tasks().collect::<Vec<_>>());
        assert_eq!(names(&schema.triggers), crate::parse::engine_triggers().collect::<Vec<_>>());
        let conditions = object(include_str!("conditions.json"));
        assert_eq!(conditions.keys().collect::<Vec<_>>(), crate::parse::conditions().collect::<Vec<_>>());
    }

    #[test]
    fn every_reference_leads_somewhere() {
        fn references<'s>(schema: &'s Json, found: &mut Vec<&'s str>) {
            match schema {
                Json::Object(keywords) => {
                    found.extend(keywords.get("$ref").and_then(Json::as_str));
                    keywords.values().for_each(|inner| references(inner, found));
                }
                Json::Array(items) => items.iter().for_each(|inner| references(inner, found)),
                _ => {}
            }
        }
        let schema = flow_schema();
        let types: Vec<Json> =
            schema.tasks.iter().chain(&schema.triggers).map(|one| one.properties.clone().into()).collect();
        let root = json!({ "definitions": schema.definitions, "types": types });
        let mut found = Vec::new();
        references(&root, &mut found);
        assert!(found.len() > 200, "{}", found.len());
        let left_open = ["Task", "Trigger", "PluginDefaults"].map(|name| format!("#/definitions/{name}"));
        for reference in found.into_iter().filter(|reference| !left_open.iter().any(|open| open == reference)) {
            assert!(root.pointer(reference.trim_start_matches('#')).is_some(), "{reference}");
        }
    }
}
