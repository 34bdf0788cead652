//! Between flows and the catalog: which plugin each task of a flow means. Resolves when a flow is saved, and never again.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::sync::Arc;

use catalog::{Ask, Catalog, Level, Wish};
use expr::{Map, Value};
use model::execution::Failure;
use model::flow::{Flow, PluginDefault};
use model::ids::TaskId;
use model::lock::{Lock, Locked};
use model::problem::Problem;
use model::task::TaskKind;
use model::trigger::TriggerKind;
use model::{Role, TypeInfo, Types, Unknown};
use runtime::{Limits, PluginSource, Wasm};
use serde_json::json;

use crate::namespaces::Namespaces;
use crate::policy::{self, Policies, Refusal};

/// Names offered for a type nobody has.
const NEAREST_MAX: usize = 3;

/// What parsing asks, answered by the catalog.
struct Installed<'a> {
    ground: &'a Ground<'a>,
    /// Of the flow that is read; empty where it says none.
    namespace: String,
}

impl Types for Installed<'_> {
    fn lookup(&self, type_name: &str, requirement: Option<&str>) -> Result<Arc<TypeInfo>, Unknown> {
        let catalog = self.ground.catalog;
        let owner = catalog.owner(type_name).map(ToString::to_string).unwrap_or_default();
        let mut wishes = self.ground.wishes_of(&self.namespace, type_name);
        wishes.extend(requirement.map(|text| Wish { level: Level::Task, text }));
        match catalog.resolve(type_name, &wishes) {
            Ok(resolution) => {
                let task = resolution.task();
                let unrendered = task.markers.render_never.iter().chain(&task.markers.render_later);
                Ok(Arc::new(TypeInfo {
                    name: task.name.clone(),
                    plugin: resolution.locked.plugin.clone(),
                    role: task.role,
                    properties: task.properties.clone(),
                    unrendered: unrendered
                        .filter_map(|path| path.segments().first())
                        .filter_map(|segment| match segment {
                            catalog::Segment::Name(name) => Some(name.clone()),
                            catalog::Segment::Any => None,
                        })
                        .collect(),
                }))
            }
            Err(catalog::Error::UnknownType { nearest, .. }) => {
                Err(Unknown::Type { nearest: nearest.into_iter().take(NEAREST_MAX).collect() })
            }
            Err(catalog::Error::BadRequirement { reason, .. }) => Err(Unknown::Requirement { reason }),
            Err(withheld @ (catalog::Error::Withheld { .. } | catalog::Error::Held { .. })) => {
                Err(Unknown::Requirement { reason: withheld.to_string() })
            }
            // Not the flow asks for it: the namespace does, or the server.
            Err(unmet @ catalog::Error::NoMatch { .. }) if requirement.is_none() => {
                Err(Unknown::Requirement { reason: unmet.to_string() })
            }
            Err(_) => {
                let versions = catalog.versions(&owner).map(|package| package.manifest().version.to_string());
                Err(Unknown::Version { available: versions.collect(), plugin: owner })
            }
        }
    }

    fn has_plugin(&self, plugin: &str) -> bool {
        self.ground.catalog.versions(plugin).next().is_some()
    }
}

/// The namespace that a source says it is of; read again, and rightly, with all else.
fn namespace_of(source: &str) -> String {
    let document = model::read_yaml(source).unwrap_or_default();
    document.get("namespace").and_then(Value::as_str).unwrap_or_default().to_owned()
}

/// A flow that may be saved: with what its tasks mean, and what is doubtful about it.
#[derive(Clone, Debug)]
pub struct Draft {
    pub flow: Flow,
    pub lock: Arc<Lock>,
    pub warnings: Vec<Problem>,
}

/// What a source is read with.
#[derive(Clone, Copy)]
pub struct Ground<'a> {
    pub catalog: &'a Catalog,
    pub policies: &'a Policies,
    /// What namespaces give their flows.
    pub namespaces: &'a Namespaces,
    /// What every run may use at most without asking.
    pub usual: &'a Limits,
}

impl Ground<'_> {
    /// Reads a flow, resolves its tasks, and looks whether all they need is granted.
    pub(crate) fn read(&self, source: &str) -> Result<Draft, Vec<Problem>> {
        let mut draft = self.resolve(source)?;
        let refused = self.refusals(&draft.flow, &draft.lock);
        if refused.is_empty() {
            return Ok(draft);
        }
        draft.warnings.extend(refused.iter().map(Refusal::problem));
        Err(draft.warnings)
    }

    /// Reads a flow and resolves its tasks.
    pub(crate) fn resolve(&self, source: &str) -> Result<Draft, Vec<Problem>> {
        let namespace = namespace_of(source);
        let inherited = self.namespaces.defaults_for(&namespace);
        let parsed = model::parse_with(source, &Installed { ground: self, namespace }, &inherited)?;
        let flow = parsed.flow;
        let mut asks = Vec::new();
        for task in flow.all.values().filter(|task| matches!(task.kind, TaskKind::Plugin(_))) {
            let mut wishes = self.wishes(&flow, &task.type_name);
            wishes.extend(task.version.as_ref().map(|text| Wish { level: Level::Task, text }));
            asks.push(Ask { task: task.id.clone(), task_type: &task.type_name, wishes });
        }
        // Parsing asked for the same types with the same requirements, so this finds them.
        let mut lock = self.catalog.lock(&asks).map_err(|problems| {
            let line = |id: &TaskId| flow.task(id).map_or(0, |task| task.line);
            problems.iter().map(|(id, error)| wrong(format!("task `{id}`"), line(id), error)).collect::<Vec<_>>()
        })?;
        for trigger in flow.triggers.iter().filter(|trigger| matches!(trigger.kind, TriggerKind::Polling(_))) {
            let mut wishes = self.wishes(&flow, &trigger.type_name);
            wishes.extend(trigger.version.as_ref().map(|text| Wish { level: Level::Task, text }));
            let resolution = self
                .catalog
                .resolve(&trigger.type_name, &wishes)
                .map_err(|error| vec![wrong(format!("trigger `{}`", trigger.id), trigger.line, &error)])?;
            lock.triggers.insert(trigger.id.clone(), resolution.locked);
        }
        lock.providers = self.providers(&flow)?;
        Ok(Draft { flow, lock: Arc::new(lock), warnings: parsed.warnings })
    }

    /// What the providers run on that properties of tasks name.
    fn providers(&self, flow: &Flow) -> Result<BTreeMap<String, Locked>, Vec<Problem>> {
        let mut providers = BTreeMap::new();
        for task in flow.all.values() {
            let TaskKind::Plugin(properties) = &task.kind else { continue };
            for named in providers_in(properties, |name| self.is_provider(name)) {
                let Entry::Vacant(free) = providers.entry(named.type_name) else { continue };
                let resolution = self
                    .catalog
                    .resolve(free.key(), &self.wishes(flow, free.key()))
                    .map_err(|error| vec![wrong(format!("task `{}`", task.id), task.line, &error)])?;
                free.insert(resolution.locked);
            }
        }
        Ok(providers)
    }

    fn is_provider(&self, type_name: &str) -> bool {
        let newest = self.catalog.described(type_name).last();
        newest.is_some_and(|described| described.task.role == Role::Provider)
    }

    /// Reads defaults for tasks that are written outside a flow.
    pub(crate) fn defaults(&self, namespace: &str, source: &str) -> Result<Vec<PluginDefault>, Vec<Problem>> {
        model::plugin_defaults(source, &Installed { ground: self, namespace: namespace.to_owned() })
    }

    /// What is asked of a type's version beside the task: by the flow as a whole, its namespace, the server.
    fn wishes<'f>(&'f self, flow: &'f Flow, type_name: &str) -> Vec<Wish<'f>> {
        let mut wishes = self.wishes_of(flow.key.namespace.as_str(), type_name);
        let plugin = self.catalog.owner(type_name);
        let asked = plugin.and_then(|plugin| flow.plugins.get(plugin.as_str()));
        wishes.extend(asked.map(|text| Wish { level: Level::Flow, text }));
        wishes
    }

    /// What is asked of a type's version by a namespace and the server. Of a namespace, the operator's policy is heard first.
    fn wishes_of(&self, namespace: &str, type_name: &str) -> Vec<Wish<'_>> {
        let Some(plugin) = self.catalog.owner(type_name) else { return Vec::new() };
        let mut wishes = self.policies.version_wishes(namespace, plugin.as_str());
        let asked = self.namespaces.version_for(namespace, type_name);
        wishes.extend(asked.map(|text| Wish { level: Level::Namespace, text }));
        wishes
    }

    /// What a flow needs on a lock, and may not have.
    pub(crate) fn refusals(&self, flow: &Flow, lock: &Lock) -> Vec<Refusal> {
        let Self { catalog, policies, usual, .. } = *self;
        policy::refusals(&policy::Asking { flow, lock, catalog, policies, usual })
    }

    /// Everything that is to be said of a source: errors, or the warnings of one that can be saved.
    pub fn check(&self, source: &str) -> Vec<Problem> {
        self.read(source).map_or_else(|problems| problems, |draft| draft.warnings)
    }

    /// What a source that is valid needs and may not have.
    pub fn refused(&self, source: &str) -> Vec<Refusal> {
        self.resolve(source).map(|draft| self.refusals(&draft.flow, &draft.lock)).unwrap_or_default()
    }
}

fn wrong(path: String, line: u32, error: &catalog::Error) -> Problem {
    let (message, severity) = (error.to_string(), model::Severity::Error);
    Problem { path, line, column: 0, code: "flow.version", message, hint: None, severity }
}

/// A provider that a property names, and where: the keys and positions that lead to it.
pub(crate) struct NamedProvider {
    pub type_name: String,
    pub path: Vec<String>,
}

/// The providers that properties name: maps with a `type` that is one, wherever they stand. None is looked for inside another.
pub(crate) fn providers_in(properties: &Map, is_provider: impl Fn(&str) -> bool) -> Vec<NamedProvider> {
    fn collect(
        value: &Value,
        is_provider: &dyn Fn(&str) -> bool,
        path: &mut Vec<String>,
        found: &mut Vec<NamedProvider>,
    ) {
        let mut inner = |name: String, item: &Value| {
            path.push(name);
            collect(item, is_provider, path, found);
            path.pop();
        };
        match value {
            Value::List(items) => items.iter().enumerate().for_each(|(at, item)| inner(at.to_string(), item)),
            Value::Map(entries) => match entries.get("type").and_then(Value::as_str).filter(|name| is_provider(name)) {
                Some(name) => found.push(NamedProvider { type_name: name.to_owned(), path: path.clone() }),
                None => entries.iter().for_each(|(key, item)| inner(key.to_string(), item)),
            },
            _ => {}
        }
    }
    let mut found = Vec::new();
    for (key, item) in properties {
        collect(item, &is_provider, &mut vec![key.to_string()], &mut found);
    }
    found
}

/// What somebody gets who brings a file of flows: one answer for each document in it.
pub fn survey(source: &str, catalog: &Catalog) -> Vec<model::survey::Survey> {
    let (policies, namespaces, usual) = (Policies::default(), Namespaces::default(), Limits::default());
    let ground = Ground { catalog, policies: &policies, namespaces: &namespaces, usual: &usual };
    model::survey::survey(source, &Installed { ground: &ground, namespace: String::new() })
}

/// Takes every type as it was when the flow was saved: what is stored was valid, and stays so without its plugins.
struct AsSaved;

impl Types for AsSaved {
    fn lookup(&self, type_name: &str, _: Option<&str>) -> Result<Arc<TypeInfo>, Unknown> {
        Ok(Arc::new(TypeInfo {
            name: type_name.to_owned(),
            plugin: String::new(),
            role: Role::AsSaved,
            properties: json!(true),
            unrendered: Vec::new(),
        }))
    }
}

/// Reads a stored source again, with what it inherited then, whatever is installed now.
pub(crate) fn reread(source: &str, inherited: &[PluginDefault]) -> Result<Flow, Vec<Problem>> {
    model::parse_with(source, &AsSaved, inherited).map(|parsed| parsed.flow)
}

/// Why a task cannot run on what its flow is locked to.
pub(crate) fn unusable(error: catalog::Error) -> Failure {
    let code = match error {
        catalog::Error::Withheld { .. } | catalog::Error::Held { .. } => error.code(),
        _ => "PLUGIN_MISSING",
    };
    Failure { retryable: Some(false), ..Failure::new(code, error.to_string()) }
}

/// The bytes a lock means, for the runtime.
pub(crate) fn source_of(catalog: &Catalog, locked: &Locked) -> Result<PluginSource, catalog::Error> {
    let package = catalog.locked(locked)?;
    Ok(PluginSource {
        name: locked.plugin.clone(),
        version: locked.version.to_string(),
        digest: locked.digest.to_string(),
        wasm: Wasm::Path(package.path.clone()),
    })
}
