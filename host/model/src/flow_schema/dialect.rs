//! The short way in which the documents of this folder are written, and what stands for it in JSON Schema (draft 7, which is what editors
//! know): `x-words` are words without regard to case, `x-expression` lets an expression stand in for the value, and an optional property
//! may be null, which is as if it were not there.

use std::collections::BTreeSet;

use serde_json::{Map, Value as Json, json};

const WORDS: &str = "x-words";
const EXPRESSION: &str = "x-expression";
/// Says something and refuses nothing: it stays outside of alternatives.
const ANNOTATIONS: &[&str] = &[
    "title",
    "description",
    "doNotSuggest",
    "default",
    "examples",
    "deprecated",
    "x-sluice-secret",
    "x-sluice-render",
];

/// Names of definitions that take null by themselves: around them it would hide where a mistake is.
#[derive(Debug)]
pub(super) struct Dialect(BTreeSet<String>);

impl Dialect {
    /// Of all definitions as they are written, and of some that others make.
    pub fn of(definitions: &Map<String, Json>, others: &[&str]) -> Self {
        let takes_null = |schema: &Json| {
            schema.get("type").and_then(Json::as_array).is_some_and(|types| types.contains(&"null".into()))
        };
        let names = definitions.iter().filter(|(_, schema)| takes_null(schema)).map(|(name, _)| name.as_str());
        Self(names.chain(others.iter().copied()).map(str::to_owned).collect())
    }

    /// A schema of this folder as JSON Schema.
    pub fn expand(&self, schema: &Json) -> Json {
        let Some(keywords) = schema.as_object() else { return schema.clone() };
        let required: Vec<&str> =
            keywords.get("required").and_then(Json::as_array).into_iter().flatten().filter_map(Json::as_str).collect();
        let mut expanded = Map::new();
        for (keyword, value) in keywords {
            let value = match (keyword.as_str(), value) {
                (WORDS | EXPRESSION, _) => continue,
                ("properties", Json::Object(properties)) => self.expand_properties(properties, &required).into(),
                ("items" | "additionalProperties" | "if" | "then" | "else", schema) => self.expand(schema),
                ("anyOf" | "allOf", Json::Array(schemas)) => schemas.iter().map(|schema| self.expand(schema)).collect(),
                (_, other) => other.clone(),
            };
            expanded.insert(keyword.clone(), value);
        }
        let mut expanded = Json::Object(expanded);
        if let Some(Json::Array(words)) = keywords.get(WORDS) {
            for alternative in self::words(words.iter().filter_map(Json::as_str)) {
                expanded = or(expanded, alternative);
            }
        }
        match keywords.get(EXPRESSION) {
            Some(_) => or(expanded, json!({ "$ref": "#/definitions/Expression" })),
            None => expanded,
        }
    }

    pub fn expand_properties(&self, properties: &Map<String, Json>, required: &[&str]) -> Map<String, Json> {
        let properties = properties.iter().map(|(name, schema)| {
            let expanded = self.expand(schema);
            let as_it_is = required.contains(&name.as_str()) || self.takes_null(&expanded);
            (name.clone(), if as_it_is { expanded } else { or_null(expanded) })
        });
        properties.collect()
    }

    fn takes_null(&self, schema: &Json) -> bool {
        let name = schema.get("$ref").and_then(Json::as_str).and_then(|to| to.strip_prefix("#/definitions/"));
        name.is_some_and(|name| self.0.contains(name))
    }
}

/// The words themselves, for completion, and all ways to write them.
fn words<'w>(words: impl Iterator<Item = &'w str> + Clone) -> [Json; 2] {
    [words.clone().map(Json::from).collect::<Json>(), pattern(words).into()].map(|value| match value {
        Json::Array(words) => json!({ "enum": words }),
        pattern => json!({ "type": "string", "pattern": pattern }),
    })
}

/// A pattern of words without regard to case.
pub(super) fn pattern<'w>(words: impl Iterator<Item = &'w str>) -> String {
    let words: Vec<String> = words
        .map(|word| {
            word.chars().fold(String::new(), |pattern, letter| match letter.is_ascii_alphabetic() {
                true => format!("{pattern}[{}{}]", letter.to_ascii_lowercase(), letter.to_ascii_uppercase()),
                false => format!("{pattern}{letter}"),
            })
        })
        .collect();
    format!("^({})$", words.join("|"))
}

/// What fits a schema, or else an alternative.
pub fn or(schema: Json, alternative: Json) -> Json {
    let Json::Object(mut schema) = schema else { return json!({ "anyOf": [schema, alternative] }) };
    let mut whole = Map::new();
    for annotation in ANNOTATIONS {
        whole.extend(schema.remove(*annotation).map(|value| ((*annotation).to_owned(), value)));
    }
    let mut alternatives = match schema.get("anyOf") {
        None if schema.is_empty() => Vec::new(),
        Some(Json::Array(alternatives)) if schema.len() == 1 => alternatives.clone(),
        _ => vec![schema.into()],
    };
    alternatives.push(alternative);
    whole.insert("anyOf".to_owned(), alternatives.into());
    whole.into()
}

/// What fits a schema, or nothing.
pub fn or_null(schema: Json) -> Json {
    let Json::Object(mut keywords) = schema else { return schema };
    if keywords.keys().all(|keyword| ANNOTATIONS.contains(&keyword.as_str())) {
        return keywords.into();
    }
    let narrow = keywords.contains_key("enum") || keywords.contains_key("const");
    match keywords.get_mut("type") {
        Some(Json::Array(types)) if !narrow => types.push("null".into()),
        Some(one) if !narrow => *one = json!([one.clone(), "null"]),
        _ => return or(keywords.into(), json!({ "type": "null" })),
    }
    keywords.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn short_ways_are_written_out() {
        let short = json!({
            "type": "object",
            "properties": {
                "way": { "description": "How.", "x-words": ["A-b"], "x-expression": true },
                "must": { "type": "string" },
                "may": { "type": "string" },
            },
            "required": ["must"],
        });
        let ways = json!([
            { "enum": ["A-b"] },
            { "type": "string", "pattern": "^([aA]-[bB])$" },
            { "$ref": "#/definitions/Expression" },
            { "type": "null" },
        ]);
        assert_eq!(
            Dialect::of(&Map::new(), &[]).expand(&short),
            json!({
                "type": "object",
                "properties": {
                    "way": { "description": "How.", "anyOf": ways },
                    "must": { "type": "string" },
                    "may": { "type": ["string", "null"] },
                },
                "required": ["must"],
            })
        );
    }
}
