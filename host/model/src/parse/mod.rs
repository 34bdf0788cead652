//! A source to a [`Flow`]: everything that is wrong is found at once, each with its path and line.
//!
//! Never asks a network, a store or a clock; what plugins are installed is asked of the caller's [`Types`].

mod builtin;
mod check;
mod condition;
mod control;
mod defaults;
mod engine_task;
mod flow;
mod input;
mod policy;
mod retry;
mod schedule;
mod schema;
mod task;
mod texts;
mod trigger;
mod upstream;

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use expr::Value;

use crate::flow::{Flow, PluginDefault};
use crate::ids::TaskId;
use crate::lookup::{TypeInfo, Types, Unknown};
use crate::node::Node;
use crate::problem::{Position, Problem, Problems};
use crate::task::Task;
use crate::yaml;

pub(crate) use builtin::former_names;
pub(crate) use condition::names as condition_names;
pub use policy::policy;
#[cfg(test)]
pub(crate) use {condition::classes as conditions, trigger::names as engine_triggers};

/// The names of all task types that the engine carries out itself.
pub fn engine_tasks() -> impl Iterator<Item = &'static str> {
    builtin::names()
}

/// A flow that may be saved, and what is doubtful about it.
#[derive(Clone, Debug)]
pub struct Parsed {
    pub flow: Flow,
    pub warnings: Vec<Problem>,
}

/// A plugin that a flow needs and nobody has installed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Missing {
    /// Its name; where only the package of its type is known, that (it has dots, which no name has).
    pub plugin: String,
    /// The type that the flow names.
    pub type_name: String,
    /// Where: `tasks[0].type`.
    pub path: String,
}

/// All that a source says.
pub(crate) struct Read {
    /// Only where nothing prevents saving it.
    pub flow: Option<Flow>,
    pub problems: Vec<Problem>,
    pub missing: Vec<Missing>,
}

/// Reads a flow. The error holds every problem found, warnings among them, in the order of the source.
pub fn parse(source: &str, types: &dyn Types) -> Result<Parsed, Vec<Problem>> {
    parse_with(source, types, &[])
}

/// Reads a flow with the defaults that its namespace gives it, nearest first: what it says itself comes before them.
pub fn parse_with(source: &str, types: &dyn Types, inherited: &[PluginDefault]) -> Result<Parsed, Vec<Problem>> {
    let read = read(source, types, inherited);
    match read.flow {
        Some(flow) => Ok(Parsed { flow, warnings: read.problems }),
        None => Err(read.problems),
    }
}

pub(crate) fn read(source: &str, types: &dyn Types, inherited: &[PluginDefault]) -> Read {
    let mut problems = Problems::default();
    let nothing = |problems: Problems| Read { flow: None, problems: problems.finish(), missing: Vec::new() };
    let Some(document) = yaml::read(source, &mut problems) else { return nothing(problems) };
    let raw = Node::root(&document.value, document.outline.as_deref());
    if raw.value.as_map().is_none() {
        let problem =
            if raw.value.is_null() { raw.error("flow.empty", "the source is empty") } else { raw.wrong_type("a map") };
        problems.push(problem.hint("a flow has at least `id`, `namespace` and `tasks`"));
        return nothing(problems);
    }
    let defaults = defaults::read(&raw, types, &mut problems);
    let all: Vec<PluginDefault> = defaults.iter().chain(inherited).cloned().collect();
    let merged: Value = defaults::merge(raw.value, &all);
    let root = Node::root(&merged, document.outline.as_deref());
    let mut reading = Reading {
        problems,
        types,
        known_types: HashMap::new(),
        plugins: HashMap::new(),
        tasks: HashMap::new(),
        places: HashMap::new(),
        unrendered: HashSet::new(),
        missing: Vec::new(),
    };
    let flow = flow::read(root.clone(), defaults, Arc::from(source), &mut reading);
    texts::check(&root, &reading.unrendered, &mut reading.problems);
    let problems = reading.problems.finish();
    let flow = flow.filter(|_| !problems.iter().any(Problem::is_error));
    let flow = flow.map(|flow| Flow { inherited_defaults: inherited.to_vec(), ..flow });
    Read { flow, problems, missing: reading.missing }
}

/// Reads the `pluginDefaults` of a document that is no flow.
pub fn plugin_defaults(source: &str, types: &dyn Types) -> Result<Vec<PluginDefault>, Vec<Problem>> {
    let mut problems = Problems::default();
    let document = yaml::read(source, &mut problems);
    let read = document.map(|document| {
        let root = Node::root(&document.value, document.outline.as_deref());
        defaults::read(&root, types, &mut problems)
    });
    match (problems.finish(), read) {
        (problems, Some(defaults)) if !problems.iter().any(Problem::is_error) => Ok(defaults),
        (problems, _) => Err(problems),
    }
}

/// What may not change when a flow is saved again: its id and its namespace.
pub fn updates(old: &Flow, new: &Flow) -> Result<(), Vec<Problem>> {
    let mut problems = Vec::new();
    let mut compare = |path: &str, old: &str, new: &str| {
        if old != new {
            let message = format!("the {path} of a flow cannot change from `{old}` to `{new}`");
            problems.push(
                Problem::error("flow.update", message).path(path).hint("save it as a new flow and delete the old one"),
            );
        }
    };
    compare("id", old.key.id.as_str(), new.key.id.as_str());
    compare("namespace", old.key.namespace.as_str(), new.key.namespace.as_str());
    if problems.is_empty() { Ok(()) } else { Err(problems) }
}

/// What reading a flow carries along.
struct Reading<'t> {
    problems: Problems,
    types: &'t dyn Types,
    /// Answers of `types`: a flow of 1,000 tasks has few types.
    known_types: HashMap<(String, Option<String>), Result<Arc<TypeInfo>, Unknown>>,
    /// `plugins:` of the flow.
    plugins: HashMap<String, String>,
    tasks: HashMap<TaskId, Arc<Task>>,
    /// Where each task id was first seen.
    places: HashMap<TaskId, Place>,
    /// Paths whose texts are no expressions.
    unrendered: HashSet<String>,
    missing: Vec<Missing>,
}

/// Where a task stands.
struct Place {
    path: String,
    at: Position,
}

impl Reading<'_> {
    /// The type at the version the task, else the flow's `plugins:`, asks for.
    fn lookup(&mut self, type_name: &str, requirement: Option<&str>) -> Result<Arc<TypeInfo>, Unknown> {
        let found = self.ask(type_name, requirement)?;
        match self.plugins.get(&found.plugin).cloned() {
            Some(of_flow) if requirement.is_none() => self.ask(type_name, Some(&of_flow)),
            _ => Ok(found),
        }
    }

    fn ask(&mut self, type_name: &str, requirement: Option<&str>) -> Result<Arc<TypeInfo>, Unknown> {
        let types = self.types;
        let key = (type_name.to_owned(), requirement.map(str::to_owned));
        self.known_types.entry(key).or_insert_with(|| types.lookup(type_name, requirement)).clone()
    }
}
