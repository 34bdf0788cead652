//! The ways in which a flow is read, and the copies of definitions for them: of all that leads to a task or a trigger, since JSON Schema
//! cannot hand on in which way it is being read.

use std::collections::BTreeSet;

use serde_json::{Map, Value as Json, json};

const REQUIRED: &str = "required";

/// How a flow is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Way {
    Strict,
    /// The flow says in another place on which versions its tasks run.
    AnyVersion,
    /// So it may, and what is required may stand in another place as well.
    Defaulted,
}

impl Way {
    fn suffix(self) -> &'static str {
        match self {
            Self::Strict => "",
            Self::AnyVersion => ":plugins",
            Self::Defaulted => ":defaults",
        }
    }

    /// The name of a definition's copy.
    pub fn name(self, name: &str) -> String {
        format!("{name}{}", self.suffix())
    }

    /// A reference to a definition, or to its copy if it has one.
    pub fn reference(self, name: &str, copied: &BTreeSet<String>) -> Json {
        let suffix = if copied.contains(name) { self.suffix() } else { "" };
        json!({ "$ref": format!("#/definitions/{name}{suffix}") })
    }

    /// Which definitions it has copies of.
    pub fn copied(self, definitions: &Map<String, Json>) -> BTreeSet<String> {
        let mut copied: BTreeSet<String> = ["Task", "Trigger"].map(str::to_owned).into();
        if self == Self::Defaulted {
            let asking = definitions.iter().filter(|(name, schema)| of_plugin(name) && asks(schema));
            copied.extend(asking.map(|(name, _)| name.clone()));
        }
        let leads: Vec<(&String, BTreeSet<&str>)> = definitions
            .iter()
            .map(|(name, schema)| {
                let mut found = BTreeSet::new();
                references(schema, &mut found);
                (name, found)
            })
            .collect();
        loop {
            let before = copied.len();
            for (name, found) in &leads {
                if found.iter().any(|name| copied.contains(*name)) {
                    copied.insert((*name).clone());
                }
            }
            if copied.len() == before {
                return copied;
            }
        }
    }

    /// The copies, without those that nobody has defined yet.
    pub fn copies(self, definitions: &Map<String, Json>, copied: &BTreeSet<String>) -> Map<String, Json> {
        if self == Self::Strict {
            return Map::new();
        }
        let originals = definitions.iter().filter(|(name, _)| copied.contains(*name));
        let copies = originals.map(|(name, schema)| {
            let asks = !(self == Self::Defaulted && of_plugin(name));
            (self.name(name), self.copy(schema, asks, copied))
        });
        copies.collect()
    }

    fn copy(self, schema: &Json, asks: bool, copied: &BTreeSet<String>) -> Json {
        match schema {
            Json::Object(keywords) => {
                let kept = keywords.iter().filter(|(keyword, value)| asks || *keyword != REQUIRED || !value.is_array());
                let copies = kept.map(|(keyword, value)| match (keyword.as_str(), value.as_str().and_then(target)) {
                    ("$ref", Some(name)) if copied.contains(name) => {
                        (keyword.clone(), format!("#/definitions/{}", self.name(name)).into())
                    }
                    _ => (keyword.clone(), self.copy(value, asks, copied)),
                });
                copies.collect::<Map<_, _>>().into()
            }
            Json::Array(items) => items.iter().map(|item| self.copy(item, asks, copied)).collect(),
            other => other.clone(),
        }
    }
}

/// Whether a definition comes from a plugin: its name has the version.
fn of_plugin(name: &str) -> bool {
    name.contains('@')
}

/// Whether anything is required in it.
fn asks(schema: &Json) -> bool {
    match schema {
        Json::Object(keywords) => keywords.get(REQUIRED).is_some_and(Json::is_array) || keywords.values().any(asks),
        Json::Array(items) => items.iter().any(asks),
        _ => false,
    }
}

fn target(reference: &str) -> Option<&str> {
    reference.strip_prefix("#/definitions/")
}

fn references<'s>(schema: &'s Json, found: &mut BTreeSet<&'s str>) {
    match schema {
        Json::Object(keywords) => {
            found.extend(keywords.get("$ref").and_then(Json::as_str).and_then(target));
            keywords.values().for_each(|inner| references(inner, found));
        }
        Json::Array(items) => items.iter().for_each(|inner| references(inner, found)),
        _ => {}
    }
}
