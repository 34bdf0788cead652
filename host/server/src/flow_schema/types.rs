//! Types as the schema knows them: the names that flows use, and a definition for each group of versions that say the same.

use std::collections::BTreeMap;

use catalog::{Catalog, Described, TaskType};
use model::Role;
use model::flow_schema::{OwnType, definition_of};
use semver::Version;
use serde_json::{Map, Value as Json, json};

use super::convert::{Converted, convert};

/// Most bytes of definitions. The largest registry we know needs a tenth; beyond it types are known by name alone, the older versions first.
const BYTES_MAX: usize = 32 << 20;
/// The definition of a type that there is no room for.
const NO_ROOM: &str = "NoRoom";

/// A type under all its names.
pub(super) struct Type {
    /// The present name.
    pub name: String,
    /// Others that mean the same.
    pub aliases: Vec<String>,
    /// A few words, as Markdown.
    pub title: String,
    /// Never empty, oldest first.
    pub variants: Vec<Variant>,
    /// The one of a task that asks for no version.
    pub usual: usize,
}

/// What some versions have in common.
pub(super) struct Variant {
    pub versions: Vec<String>,
    pub definition: String,
    pub required: Vec<String>,
    pub one_of: Vec<String>,
}

/// Names that mean the same type in the same versions, oldest first.
pub(super) struct Installed<'c> {
    names: Vec<&'c str>,
    described: Vec<Described<'c>>,
}

/// The plugin, and the type that a name means in each version.
type Meaning<'c> = (&'c str, Vec<(&'c str, &'c Version)>);

/// The types that some version has which runs here.
pub(super) fn installed(catalog: &Catalog) -> Vec<Installed<'_>> {
    let mut groups: BTreeMap<Meaning<'_>, Installed<'_>> = BTreeMap::new();
    for (name, owner) in catalog.types() {
        let described: Vec<Described<'_>> =
            catalog.described(name).filter(|described| catalog.is_usable(described.package)).collect();
        // A name that moved from one type to another in between is a group of its own.
        let key = described.iter().map(|one| (one.task.name.as_str(), &one.package.manifest().version)).collect();
        if !described.is_empty() {
            groups.entry((owner.as_str(), key)).or_insert(Installed { names: Vec::new(), described }).names.push(name);
        }
    }
    groups.into_values().collect()
}

/// All definitions, as they are made.
pub(super) struct All<'d> {
    pub definitions: &'d mut Map<String, Json>,
    pub bytes: usize,
}

impl All<'_> {
    /// Types of the engine.
    pub fn own(&mut self, types: Vec<OwnType>, common: &[&str]) -> Vec<Type> {
        const OWN: &str = env!("CARGO_PKG_VERSION");
        self.define("OwnVersion".to_owned(), offered(&[OWN.to_owned()]));
        let own = types.into_iter().map(|own| {
            let OwnType { name, former, description, mut properties, required, one_of } = own;
            properties.insert("version".to_owned(), json!({ "$ref": "#/definitions/OwnVersion" }));
            let definition = definition_of(&description, common, properties, self.definitions);
            self.define(name.clone(), definition);
            let variant = Variant { versions: Vec::new(), definition: name.clone(), required, one_of };
            Type { name, aliases: former, title: description, variants: vec![variant], usual: 0 }
        });
        own.collect()
    }

    /// Types of plugins: of tasks, and of triggers.
    pub fn plugins(&mut self, catalog: &Catalog, installed: Vec<Installed<'_>>) -> (Vec<Type>, Vec<Type>) {
        let plugins: Vec<(Vec<Vec<Described<'_>>>, usize, Installed<'_>)> = installed
            .into_iter()
            .map(|installed| {
                let groups = groups(&installed.described);
                let usual = usual(catalog, &installed, &groups);
                (groups, usual, installed)
            })
            .collect();
        // What most tasks run on comes first: there may not be room for all.
        for (groups, usual, _) in &plugins {
            groups.get(*usual).into_iter().for_each(|group| self.describe(group));
        }
        let (mut tasks, mut triggers) = (Vec::new(), Vec::new());
        for (groups, usual, installed) in plugins {
            groups.iter().for_each(|group| self.describe(group));
            let Some(newest) = groups.get(usual).and_then(|group| group.last()) else { continue };
            let task = newest.task;
            let versions: Vec<String> = installed.described.iter().rev().map(version).collect();
            self.define(format!("{}@versions", task.name), offered(&versions));
            let variants = groups.iter().filter_map(|group| self.variant(group)).collect();
            let aliases = installed.names.iter().filter(|name| **name != task.name).map(|name| (*name).to_owned());
            let known =
                Type { name: task.name.clone(), aliases: aliases.collect(), title: title(task), variants, usual };
            match task.role {
                Role::Trigger => triggers.push(known),
                Role::Task | Role::AsSaved => tasks.push(known),
                // Named in a property, not in a list.
                Role::Provider => {}
            }
        }
        (tasks, triggers)
    }

    fn variant(&self, group: &[Described<'_>]) -> Option<Variant> {
        let definition = definition_name(group.last()?);
        let room = self.definitions.contains_key(&definition);
        let required = group.last()?.task.properties.get("required").and_then(Json::as_array);
        let required = required.into_iter().flatten().filter_map(Json::as_str).map(str::to_owned);
        Some(Variant {
            versions: group.iter().map(version).collect(),
            required: required.collect(),
            definition: if room { definition } else { NO_ROOM.to_owned() },
            one_of: Vec::new(),
        })
    }

    /// Makes the definition of some versions that say the same, unless it is there.
    fn describe(&mut self, group: &[Described<'_>]) {
        let Some(newest) = group.last() else { return };
        let name = definition_name(newest);
        if self.definitions.contains_key(&name) {
            return;
        }
        if self.bytes > BYTES_MAX {
            self.definitions.entry(NO_ROOM).or_insert_with(|| json!({ "type": "object" }));
            return;
        }
        let task = newest.task;
        let common: &[&str] = match task.role {
            Role::Trigger => &["TriggerProperties", "PollingProperties"],
            _ => &["TaskProperties"],
        };
        let Converted { mut properties, closed, definitions, .. } = convert(&name, &task.properties);
        properties.insert("version".to_owned(), json!({ "$ref": format!("#/definitions/{}@versions", task.name) }));
        let mut definition = definition_of(&title(task), common, properties, self.definitions);
        if let (false, Some(definition)) = (closed, definition.as_object_mut()) {
            definition.remove("additionalProperties");
        }
        self.define(name, definition);
        definitions.into_iter().for_each(|(name, definition)| self.define(name, definition));
    }

    fn define(&mut self, name: String, definition: Json) {
        self.bytes += definition.to_string().len();
        self.definitions.insert(name, definition);
    }
}

/// What is offered after `version:`; anything else may be a range.
fn offered(versions: &[String]) -> Json {
    let offered: Vec<&str> = versions.iter().map(String::as_str).chain(["LATEST", "OLDEST"]).collect();
    json!({
        "description": "The version of the plugin: `1.2.0`, a range (`^1.2`), `LATEST` or `OLDEST`.",
        "anyOf": [{ "enum": offered }, { "type": ["string", "null"] }],
    })
}

fn definition_name(described: &Described<'_>) -> String {
    format!("{}@{}", described.task.name, version(described))
}

fn version(described: &Described<'_>) -> String {
    described.package.manifest().version.to_string()
}

fn title(task: &TaskType) -> String {
    let parts = [task.title.trim(), task.description.trim()].into_iter().filter(|part| !part.is_empty());
    parts.collect::<Vec<_>>().join("\n\n")
}

/// Versions that say the same of a type, oldest first.
fn groups<'c>(described: &[Described<'c>]) -> Vec<Vec<Described<'c>>> {
    let mut groups: Vec<Vec<Described<'c>>> = Vec::new();
    for one in described {
        let same = |group: &&mut Vec<Described<'c>>| {
            group
                .last()
                .is_some_and(|last| last.task.properties == one.task.properties && last.task.name == one.task.name)
        };
        match groups.iter_mut().find(same) {
            Some(group) => group.push(*one),
            None => groups.push(vec![*one]),
        }
    }
    groups
}

/// The group of the version that a task runs on which asks for none.
fn usual(catalog: &Catalog, installed: &Installed<'_>, groups: &[Vec<Described<'_>>]) -> usize {
    let name = installed.names.first().copied().unwrap_or_default();
    let resolved = catalog.resolve(name, &[]).ok().map(|resolution| resolution.locked.version);
    let version = resolved.or_else(|| Some(catalog.describe(name)?.package.manifest().version.clone()));
    let has = |group: &Vec<Described<'_>>| {
        group.iter().any(|described| Some(&described.package.manifest().version) == version.as_ref())
    };
    groups.iter().position(has).unwrap_or(groups.len().saturating_sub(1))
}
