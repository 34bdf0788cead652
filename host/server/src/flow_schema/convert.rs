//! The JSON Schema of a plugin's type (2020-12, as schemars writes it) as a part of the schema of flows (draft 7). It takes what the parser
//! takes: an expression or null stands in for anything, numbers may be written as text and texts as numbers, a keyword that the parser
//! passes over is passed over. Where a plugin's schema is made of parts, their properties are known together.

use std::collections::BTreeMap;

use serde_json::{Map, Value as Json, json};

use super::written::widened;

/// Nesting, references followed. Manifests are refused that have more.
const NESTING_MAX: usize = 64;
/// Kept as they are: they say something to people, or bound what the parser bounds as well.
const KEPT: &[&str] = &[
    "title",
    "description",
    "default",
    "examples",
    "deprecated",
    "x-sluice-secret",
    "x-sluice-render",
    "x-sluice-unused",
    "minimum",
    "maximum",
    "minLength",
    "maxLength",
    "minItems",
    "maxItems",
];
const PARTS: [&str; 3] = ["allOf", "anyOf", "oneOf"];

/// What was made of a type's schema.
pub(super) struct Converted {
    pub properties: Map<String, Json>,
    /// Whether it has no other properties.
    pub closed: bool,
    /// What its references lead to, by the name of the definition.
    pub definitions: Vec<(String, Json)>,
}

/// Converts the schema of a type's properties. `name` is what the names of its definitions begin with.
pub(super) fn convert(name: &str, schema: &Json) -> Converted {
    let mut converter = Converter { root: schema, name, names: BTreeMap::new(), open: Vec::new() };
    let shape = converter.shape(schema, 0);
    let properties = converter.properties(&shape);
    let mut definitions = Vec::new();
    while let Some((name, target)) = converter.open.pop() {
        let converted = converter.value(target);
        definitions.push((name, converted));
    }
    Converted { properties, closed: shape.closed, definitions }
}

struct Converter<'s> {
    root: &'s Json,
    name: &'s str,
    /// The definition that each pointer is to lead to.
    names: BTreeMap<&'s str, String>,
    /// Definitions that are not made yet.
    open: Vec<(String, &'s Json)>,
}

/// The properties of an object, those of its parts among them.
#[derive(Default)]
struct Shape<'s> {
    properties: Vec<(&'s str, Vec<&'s Json>)>,
    required: Vec<String>,
    closed: bool,
}

impl<'s> Converter<'s> {
    fn target(&self, schema: &'s Json) -> Option<(&'s str, &'s Json)> {
        let pointer = schema.get("$ref")?.as_str()?.strip_prefix('#')?;
        Some((pointer, self.root.pointer(pointer)?))
    }

    /// Closed as the parser has it: also without `additionalProperties: false`, where properties are named.
    fn shape(&self, schema: &'s Json, nesting: usize) -> Shape<'s> {
        let mut shape = Shape::default();
        if nesting > NESTING_MAX {
            return shape;
        }
        for (name, property) in schema.get("properties").and_then(Json::as_object).into_iter().flatten() {
            shape.properties.push((name, vec![property]));
        }
        let required = schema.get("required").and_then(Json::as_array).into_iter().flatten();
        shape.required = required.filter_map(Json::as_str).map(str::to_owned).collect();
        let mut all_closed = true;
        let target = self.target(schema).map(|(_, target)| ("allOf", target));
        let parts = PARTS.iter().flat_map(|keyword| {
            let parts = schema.get(*keyword).and_then(Json::as_array).into_iter().flatten();
            parts.map(move |part| (*keyword, part))
        });
        let parts: Vec<(&str, &Json)> = parts.chain(target).filter(|(_, part)| !is_null(part)).collect();
        for (keyword, part) in &parts {
            let inner = self.shape(part, nesting + 1);
            all_closed &= inner.closed;
            if *keyword == "allOf" {
                shape.required.extend(inner.required);
            }
            for (name, schemas) in inner.properties {
                match shape.properties.iter_mut().find(|(known, _)| *known == name) {
                    Some((_, known)) => known.extend(schemas),
                    None => shape.properties.push((name, schemas)),
                }
            }
        }
        shape.closed = all_closed
            && match schema.get("additionalProperties") {
                Some(Json::Bool(open)) => !open,
                Some(_) => false,
                None => !shape.properties.is_empty() || !parts.is_empty(),
            };
        shape
    }

    fn properties(&mut self, shape: &Shape<'s>) -> Map<String, Json> {
        let mut properties = Map::new();
        for (name, schemas) in &shape.properties {
            let schema = match schemas.as_slice() {
                [one] => self.value(one),
                several => json!({ "anyOf": several.iter().map(|schema| self.value(schema)).collect::<Vec<_>>() }),
            };
            properties.insert((*name).to_owned(), schema);
        }
        properties
    }

    /// A value that may be an expression, or null.
    fn value(&mut self, schema: &'s Json) -> Json {
        let Some(keywords) = schema.as_object() else {
            let nothing = json!({ "anyOf": [{ "type": "null" }, { "$ref": "#/definitions/Expression" }] });
            return if schema == &Json::Bool(false) { nothing } else { json!({}) };
        };
        let mut kept: Map<String, Json> = KEPT
            .iter()
            .filter_map(|keyword| keywords.get(*keyword).map(|value| ((*keyword).to_owned(), value.clone())))
            .collect();
        if keywords.contains_key("$ref") {
            let description = kept.remove("description").map(|value| ("description".to_owned(), value));
            let reference = self.target(schema).map(|(pointer, target)| self.reference(pointer, target));
            return description
                .into_iter()
                .chain(reference.map(|to| ("$ref".to_owned(), to.into())))
                .collect::<Map<_, _>>()
                .into();
        }
        let shape = self.shape(schema, 0);
        let has_own = keywords.get("properties").and_then(Json::as_object).is_some_and(|own| !own.is_empty());
        let parts: Vec<&'s Json> =
            PARTS.iter().filter_map(|keyword| keywords.get(*keyword)?.as_array()).flatten().collect();
        let is_object = has_own || (keywords.contains_key("allOf") && !shape.properties.is_empty());
        if !is_object && !parts.is_empty() {
            return self.parts(keywords, kept);
        }
        if is_object {
            kept.insert("properties".to_owned(), self.properties(&shape).into());
            if !shape.required.is_empty() {
                kept.insert("required".to_owned(), json!(shape.required));
            }
        }
        match keywords.get("additionalProperties") {
            Some(of_all @ Json::Object(_)) => {
                let of_all = self.value(of_all);
                kept.insert("additionalProperties".to_owned(), of_all);
            }
            _ if shape.closed => drop(kept.insert("additionalProperties".to_owned(), false.into())),
            _ => {}
        }
        self.items(keywords, &mut kept);
        widened(keywords, kept)
    }

    fn items(&mut self, keywords: &'s Map<String, Json>, kept: &mut Map<String, Json>) {
        let rest = keywords.get("items").map(|items| self.value(items));
        let first = keywords.get("prefixItems").and_then(Json::as_array);
        let first: Option<Vec<Json>> = first.map(|first| first.iter().map(|item| self.value(item)).collect());
        let (items, others) = match first {
            Some(first) => (Some(first.into()), rest),
            None => (rest, None),
        };
        kept.extend(items.map(|items| ("items".to_owned(), items)));
        kept.extend(others.map(|others| ("additionalItems".to_owned(), others)));
    }

    /// Alternatives, and parts that are no objects. Each takes expressions by itself.
    fn parts(&mut self, keywords: &'s Map<String, Json>, mut kept: Map<String, Json>) -> Json {
        let mut all: Vec<Json> = Vec::new();
        for keyword in PARTS {
            let Some(parts) = keywords.get(keyword).and_then(Json::as_array) else { continue };
            let parts: Vec<Json> = parts.iter().map(|part| self.value(part)).collect();
            match keyword {
                "allOf" => all.extend(parts),
                // Of several that fit the parser takes the first.
                _ => all.push(json!({ "anyOf": parts })),
            }
        }
        match all.as_slice() {
            [Json::Object(one)] => kept.extend(one.clone()),
            _ => drop(kept.insert("allOf".to_owned(), all.into())),
        }
        kept.into()
    }

    fn reference(&mut self, pointer: &'s str, target: &'s Json) -> String {
        let next = self.names.len();
        let name = self.names.entry(pointer).or_insert_with(|| {
            let name = format!("{}:{next}", self.name);
            self.open.push((name.clone(), target));
            name
        });
        format!("#/definitions/{name}")
    }
}

fn is_null(part: &Json) -> bool {
    part.get("type").and_then(Json::as_str) == Some("null")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(schema: &Json, expected: &Json) {
        let root = json!({ "properties": { "p": schema }, "$defs": { "D": { "type": "boolean" } } });
        assert_eq!(convert("t", &root).properties.get("p"), Some(expected), "{schema}");
    }

    #[test]
    fn values_may_be_expressions_and_are_read_as_the_parser_reads_them() {
        let expression = json!({ "$ref": "#/definitions/Expression" });
        check(&json!({ "type": "string" }), &json!({ "type": ["string", "number", "boolean", "null"] }));
        check(
            &json!({ "type": ["integer", "null"], "format": "uint16", "minimum": 0, "description": "d" }),
            &json!({
                "description": "d", "minimum": 0, "type": ["integer", "null", "string"], "pattern": r"\{[{%#]|^\s*([-+]?[0-9]+\s*$)",
                "patternErrorMessage": "expected a whole number, or an expression",
            }),
        );
        check(
            &json!({ "type": "string", "enum": ["A"], "default": "A" }),
            &json!({ "default": "A", "anyOf": [
                { "type": ["string", "number", "boolean"], "enum": ["A"] }, expression, { "type": "null" },
            ] }),
        );
        check(
            &json!({ "type": ["string", "null"], "format": "duration" }),
            &json!({ "anyOf": [{ "$ref": "#/definitions/Duration" }, expression, { "type": "null" }] }),
        );
        check(
            &json!({ "description": "d", "$ref": "#/$defs/D" }),
            &json!({ "description": "d", "$ref": "#/definitions/t:0" }),
        );
        check(&json!(true), &json!({}));
        check(&json!({ "pattern": "x", "x-sluice-secret": true }), &json!({ "x-sluice-secret": true }));
    }

    #[test]
    fn properties_of_parts_are_known_together() {
        let root = json!({
            "type": "object", "properties": { "a": true }, "required": ["a"],
            "allOf": [{ "$ref": "#/$defs/B" }], "anyOf": [{ "properties": { "c": true }, "required": ["c"] }, { "type": "null" }],
            "$defs": { "B": { "properties": { "b": { "items": { "$ref": "#/$defs/B" } } }, "required": ["b"] } },
        });
        let converted = convert("t", &root);
        assert_eq!(converted.properties.keys().collect::<Vec<_>>(), ["a", "b", "c"]);
        assert!(converted.closed);
        // A schema that contains itself is one definition.
        assert_eq!(converted.definitions.len(), 1);
        assert!(
            !convert("t", &json!({ "type": "object", "additionalProperties": true, "properties": { "a": true } }))
                .closed
        );
        assert!(convert("t", &json!({ "type": "object", "additionalProperties": false })).closed);
        assert!(!convert("t", &json!({ "type": "object" })).closed);
    }
}
