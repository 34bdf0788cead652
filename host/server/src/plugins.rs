//! Between flows and the catalog: which plugin each task of a flow means. Resolves when a flow is saved, and never again.

use std::sync::Arc;

use catalog::{Ask, Catalog, Level, Wish};
use expr::Value;
use model::execution::Failure;
use model::flow::Flow;
use model::lock::{Lock, Locked};
use model::problem::Problem;
use model::task::TaskKind;
use model::trigger::TriggerKind;
use model::{Role, TypeInfo, Types, Unknown};
use runtime::{Limits, PluginSource, Wasm};
use serde_json::json;

use crate::policy::{self, Policies, Refusal};

/// Names offered for a type nobody has.
const NEAREST_MAX: usize = 3;

/// What parsing asks, answered by the catalog.
struct Installed<'a> {
    catalog: &'a Catalog,
    policies: &'a Policies,
    /// Of the flow that is read; empty where it says none.
    namespace: String,
}

impl Types for Installed<'_> {
    fn lookup(&self, type_name: &str, requirement: Option<&str>) -> Result<Arc<TypeInfo>, Unknown> {
        let owner = self.catalog.owner(type_name).map(ToString::to_string).unwrap_or_default();
        let mut wishes = self.policies.version_wishes(&self.namespace, &owner);
        wishes.extend(requirement.map(|text| Wish { level: Level::Task, text }));
        match self.catalog.resolve(type_name, &wishes) {
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
            Err(_) => {
                let versions = self.catalog.versions(&owner).map(|package| package.manifest().version.to_string());
                Err(Unknown::Version { available: versions.collect(), plugin: owner })
            }
        }
    }

    fn has_plugin(&self, plugin: &str) -> bool {
        self.catalog.versions(plugin).next().is_some()
    }
}

/// Reads a flow and resolves its tasks. The problems beside a flow are warnings.
pub(crate) fn parse(
    source: &str,
    catalog: &Catalog,
    policies: &Policies,
) -> Result<(Flow, Lock, Vec<Problem>), Vec<Problem>> {
    let parsed = model::parse(source, &Installed { catalog, policies, namespace: namespace_of(source) })?;
    let flow = parsed.flow;
    let mut asks = Vec::new();
    for task in flow.all.values().filter(|task| matches!(task.kind, TaskKind::Plugin(_))) {
        let mut wishes = wishes(&flow, catalog, policies, &task.type_name);
        wishes.extend(task.version.as_ref().map(|text| Wish { level: Level::Task, text }));
        asks.push(Ask { task: task.id.clone(), task_type: &task.type_name, wishes });
    }
    // Parsing asked for the same types with the same requirements, so this finds them.
    let mut lock = catalog.lock(&asks).map_err(|problems| {
        problems
            .iter()
            .map(|(id, error)| Problem {
                path: format!("task `{id}`"),
                line: flow.task(id).map_or(0, |task| task.line),
                column: 0,
                code: "flow.version",
                message: error.to_string(),
                hint: None,
                severity: model::Severity::Error,
            })
            .collect::<Vec<_>>()
    })?;
    for trigger in flow.triggers.iter().filter(|trigger| matches!(trigger.kind, TriggerKind::Polling(_))) {
        let mut wishes = wishes(&flow, catalog, policies, &trigger.type_name);
        wishes.extend(trigger.version.as_ref().map(|text| Wish { level: Level::Task, text }));
        let resolution = catalog.resolve(&trigger.type_name, &wishes).map_err(|error| {
            vec![Problem {
                path: format!("trigger `{}`", trigger.id),
                line: trigger.line,
                column: 0,
                code: "flow.version",
                message: error.to_string(),
                hint: None,
                severity: model::Severity::Error,
            }]
        })?;
        lock.triggers.insert(trigger.id.clone(), resolution.locked);
    }
    Ok((flow, lock, parsed.warnings))
}

/// What is asked of a type's version beside the task: by the flow as a whole, its namespace, the server.
fn wishes<'f>(flow: &'f Flow, catalog: &Catalog, policies: &'f Policies, type_name: &str) -> Vec<Wish<'f>> {
    let Some(plugin) = catalog.owner(type_name) else { return Vec::new() };
    let mut wishes = policies.version_wishes(flow.key.namespace.as_str(), plugin.as_str());
    wishes.extend(flow.plugins.get(plugin.as_str()).map(|text| Wish { level: Level::Flow, text }));
    wishes
}

/// The namespace that a source says it is of; read again, and rightly, with all else.
fn namespace_of(source: &str) -> String {
    let document = model::read_yaml(source).unwrap_or_default();
    document.get("namespace").and_then(Value::as_str).unwrap_or_default().to_owned()
}

/// What a source is read with.
pub struct Ground<'a> {
    pub catalog: &'a Catalog,
    pub policies: &'a Policies,
    /// What every run may use at most without asking.
    pub usual: &'a Limits,
}

impl Ground<'_> {
    /// Reads a flow, resolves its tasks, and looks whether all they need is granted. The problems beside a flow are warnings.
    pub(crate) fn read(&self, source: &str) -> Result<(Flow, Lock, Vec<Problem>), Vec<Problem>> {
        let (flow, lock, mut problems) = parse(source, self.catalog, self.policies)?;
        let refused = self.refusals(&flow, &lock);
        if refused.is_empty() {
            return Ok((flow, lock, problems));
        }
        problems.extend(refused.iter().map(Refusal::problem));
        Err(problems)
    }

    /// What a flow needs on a lock, and may not have.
    pub(crate) fn refusals(&self, flow: &Flow, lock: &Lock) -> Vec<Refusal> {
        let Self { catalog, policies, usual } = *self;
        policy::refusals(&policy::Asking { flow, lock, catalog, policies, usual })
    }

    /// Everything that is to be said of a source: errors, or the warnings of one that can be saved.
    pub fn check(&self, source: &str) -> Vec<Problem> {
        match self.read(source) {
            Ok((_, _, warnings)) => warnings,
            Err(problems) => problems,
        }
    }

    /// What a source that is valid needs and may not have.
    pub fn refused(&self, source: &str) -> Vec<Refusal> {
        parse(source, self.catalog, self.policies)
            .map(|(flow, lock, _)| self.refusals(&flow, &lock))
            .unwrap_or_default()
    }
}

/// What somebody gets who brings a file of flows: one answer for each document in it.
pub fn survey(source: &str, catalog: &Catalog) -> Vec<model::survey::Survey> {
    model::survey::survey(source, &Installed { catalog, policies: &Policies::default(), namespace: String::new() })
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

/// Reads a stored source again, whatever is installed now.
pub(crate) fn reread(source: &str) -> Result<Flow, Vec<Problem>> {
    model::parse(source, &AsSaved).map(|parsed| parsed.flow)
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
