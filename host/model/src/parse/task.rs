//! What all tasks have in common, and tasks of plugins. Flow control is in `control`, the engine's other tasks in `engine_task`.

use std::sync::{Arc, LazyLock};

use regex::Regex;

use super::builtin::{self, Builtin};
use super::{Missing, Place, Reading, control, engine_task, flow, retry, schema};
use crate::ids::{TASK_ID_MAX, TaskId};
use crate::lookup::{Role, TypeInfo, Unknown};
use crate::node::{Fields, Node};
use crate::packages;
use crate::problem::{Problem, Problems, nearest_types, quoted_list, shown};
use crate::task::{Effects, LogLevel, Task, TaskKind};

/// Properties of every task that are known and not to be had.
const NOT_HERE: &[(&str, &str)] = &[
    ("workerGroup", "there are no worker groups here"),
    ("workerSelector", "there are no worker groups here"),
    ("taskCache", "keep results with `io.kestra.plugin.core.kv.Set`"),
    ("assets", "it belongs to Kestra's Enterprise Edition"),
    ("pluginDefaultsRef", "it is newer than Kestra 1.0; use `pluginDefaults`"),
    ("when", "it is newer than Kestra 1.0; use `runIf`"),
];

const EFFECTS: &[(&str, Effects)] = &[
    ("none", Effects::None),
    ("idempotent", Effects::Idempotent),
    ("at-least-once", Effects::AtLeastOnce),
    ("at-most-once", Effects::AtMostOnce),
];

pub(super) const LOG_LEVELS: &[(&str, LogLevel)] = &[
    ("TRACE", LogLevel::Trace),
    ("DEBUG", LogLevel::Debug),
    ("INFO", LogLevel::Info),
    ("WARN", LogLevel::Warn),
    ("ERROR", LogLevel::Error),
];

static TASK_ID: LazyLock<Regex> = LazyLock::new(|| flow::pattern("^[a-zA-Z0-9][a-zA-Z0-9_-]*$"));

/// The id of a task or trigger.
pub(super) fn id(node: &Node<'_>, what: &str, problems: &mut Problems) -> Option<String> {
    let rule = "letters, digits, `_` and `-`, a letter or digit first";
    flow::named(node, &TASK_ID, TASK_ID_MAX, what, rule, problems)
}

/// A list of tasks under a key.
pub(super) fn read_children(
    fields: &mut Fields<'_>,
    key: &'static str,
    required: bool,
    reading: &mut Reading<'_>,
) -> Vec<TaskId> {
    let given = fields.get(key);
    let nodes = fields.list(key, &mut reading.problems);
    if required && nodes.is_empty() {
        match given {
            Some(node) if node.value.as_list().is_some() => {
                reading.problems.push(
                    node.error("flow.required", format!("`{key}` must not be empty")).hint("give it at least one task"),
                );
            }
            Some(_) => {}
            None => reading.problems.push(fields.missing(key).hint("give it at least one task")),
        }
    }
    nodes.into_iter().filter_map(|node| read(node, reading)).collect()
}

/// One task with all below it. `None` where it is no task one could name; then there are problems.
pub(super) fn read(node: Node<'_>, reading: &mut Reading<'_>) -> Option<TaskId> {
    let at = node.at;
    let mut fields = Fields::open(node, &mut reading.problems)?;
    let id = fields.require("id", &mut reading.problems);
    let id = id.and_then(|node| self::id(&node, "a task id", &mut reading.problems)).map(TaskId::trusted);
    if let Some(id) = &id {
        claim(id, &fields, reading);
    }
    let type_name = fields.require_text("type", &mut reading.problems);
    let problems = &mut reading.problems;
    let version = fields.get("version").and_then(|node| requirement(&node, problems));
    let description = fields.text("description", problems);
    let disabled = fields.boolean("disabled", false, problems);
    let run_if = fields.dynamic("runIf");
    let timeout = fields.dynamic_duration("timeout", problems);
    let allow_failure = fields.boolean("allowFailure", false, problems);
    let allow_warning = fields.boolean("allowWarning", false, problems);
    let log_level = fields.choice("logLevel", LOG_LEVELS, problems);
    let log_to_file = fields.boolean("logToFile", false, problems);
    let effects = fields.choice("effects", EFFECTS, problems);
    flow::refuse_absent(&mut fields, NOT_HERE, problems);
    let retry = fields.get("retry").and_then(|node| retry::read(node, reading));
    let type_name = type_name?;
    let kind = kind(&type_name, version.as_deref(), fields, reading);
    let id = id?;
    let task = Task {
        id: id.clone(),
        type_name,
        version,
        description,
        disabled,
        run_if,
        timeout,
        retry,
        allow_failure,
        allow_warning,
        log_level,
        log_to_file,
        effects,
        kind: kind?,
        line: at.line,
    };
    reading.tasks.insert(id.clone(), Arc::new(task));
    Some(id)
}

/// A task that belongs to another one and stands nowhere in the source. What fails, how often and how long, is the other's to say.
pub(super) fn insert_inner(
    id: TaskId,
    type_name: String,
    kind: TaskKind,
    outer: &Fields<'_>,
    reading: &mut Reading<'_>,
) -> TaskId {
    claim(&id, outer, reading);
    let task = Task {
        id: id.clone(),
        type_name,
        version: None,
        description: None,
        disabled: false,
        run_if: None,
        timeout: None,
        retry: None,
        allow_failure: false,
        allow_warning: false,
        log_level: None,
        log_to_file: false,
        effects: None,
        kind,
        line: outer.node.at.line,
    };
    reading.tasks.insert(id.clone(), Arc::new(task));
    id
}

fn claim(id: &TaskId, fields: &Fields<'_>, reading: &mut Reading<'_>) {
    match reading.places.get(id) {
        Some(first) => {
            let hint = format!("the first one is in line {}; ids are unique over all tasks of a flow", first.at.line);
            let message = format!("task id `{id}` is used twice");
            reading.problems.push(fields.node.error("flow.duplicate_id", message).hint(hint));
        }
        None => {
            let place = Place { path: fields.node.path(), at: fields.node.at };
            reading.places.insert(id.clone(), place);
        }
    }
}

fn kind(type_name: &str, version: Option<&str>, fields: Fields<'_>, reading: &mut Reading<'_>) -> Option<TaskKind> {
    match builtin::task(type_name) {
        Some(builtin) => {
            check_own_version(version, &fields, reading);
            match builtin {
                Builtin::Action(action) => engine_task::read(action, fields, reading).map(TaskKind::Engine),
                control_task => control::read(control_task, fields, reading).map(|task| TaskKind::Flow(Box::new(task))),
            }
        }
        None => plugin(type_name, version, fields, reading),
    }
}

/// The engine's tasks have Sluice's own version.
fn check_own_version(version: Option<&str>, fields: &Fields<'_>, reading: &mut Reading<'_>) {
    const OWN: &str = env!("CARGO_PKG_VERSION");
    let Some(wanted) = version else { return };
    let own = semver::Version::parse(OWN).expect("cargo accepts only versions that parse");
    let fits = match (semver::Version::parse(wanted), semver::VersionReq::parse(wanted)) {
        (Ok(exact), _) => exact == own,
        (Err(_), Ok(range)) => range.matches(&own),
        // LATEST and OLDEST: there is one.
        (Err(_), Err(_)) => true,
    };
    if !fits {
        let node = fields.node.get("version").unwrap_or_else(|| fields.node.clone());
        let message = format!("this task belongs to the engine, whose version {OWN} does not match `{wanted}`");
        reading.problems.push(node.error("flow.version", message).hint("remove `version`"));
    }
}

fn plugin(type_name: &str, version: Option<&str>, fields: Fields<'_>, reading: &mut Reading<'_>) -> Option<TaskKind> {
    let node = fields.node.get("type").unwrap_or_else(|| fields.node.clone());
    if reading.problems.is_full() {
        // Nothing more would be told, and every unknown type costs a search for what was meant.
        reading.problems.push(node.error("flow.more_problems", "not looked at"));
        return None;
    }
    // What is known not to be here is not, whoever knows the types.
    let known = match builtin::not_here(type_name) {
        Some(_) => Err(Unknown::Type { nearest: Vec::new() }),
        None => reading.lookup(type_name, version),
    };
    let info = match known {
        Ok(info) => info,
        Err(unknown) => {
            // What is wrong is the version, not the type.
            let of_version = !matches!(unknown, Unknown::Type { .. });
            let node = fields.node.get("version").filter(|_| of_version).unwrap_or(node);
            let problem = reading.unknown_type(&node, "task", type_name, version, &unknown);
            reading.problems.push(problem);
            return None;
        }
    };
    let elsewhere = match info.role {
        Role::Trigger => Some(("a trigger", "move it to `triggers`")),
        Role::Provider => Some(("a provider of models", "name it in a task's `provider:`")),
        Role::Task | Role::AsSaved => None,
    };
    if let Some((what, hint)) = elsewhere {
        let message = format!("`{}` is {what}, not a task", shown(type_name));
        reading.problems.push(node.error("flow.unknown_type", message).hint(hint));
        return None;
    }
    schema::check_properties(&fields, &info, reading);
    let own = fields.node.get(DESCRIPTION).filter(|_| info.role == Role::AsSaved || has_description(&info));
    let own = own.map(|node| (Arc::from(DESCRIPTION), node));
    let properties = fields.rest().into_iter().chain(own).map(|(key, node)| (key, node.value.clone())).collect();
    Some(TaskKind::Plugin(Arc::new(properties)))
}

/// Every task may have one, and so may what it makes: then it is of both. Of a flow that was saved the plugin says so when the task runs.
const DESCRIPTION: &str = "description";

fn has_description(info: &TypeInfo) -> bool {
    info.properties.pointer("/properties/description").is_some()
}

impl Reading<'_> {
    /// A type nobody has, in words. What would be needed for it is noted.
    pub(super) fn unknown_type(
        &mut self,
        node: &Node<'_>,
        what: &str,
        type_name: &str,
        version: Option<&str>,
        unknown: &Unknown,
    ) -> Problem {
        match unknown {
            Unknown::Type { nearest } => self.no_such_type(node, what, type_name, nearest),
            Unknown::Version { plugin, available } => {
                self.note(node, type_name, plugin);
                let of_flow = self.plugins.get(plugin).map(String::as_str);
                let wanted = version.or(of_flow).unwrap_or("LATEST");
                let message = format!("no version of plugin `{plugin}` matches `{wanted}`");
                let available: Vec<&str> = available.iter().map(String::as_str).collect();
                let hint = if available.is_empty() {
                    "none is installed".to_owned()
                } else {
                    format!("installed are {}", available.join(", "))
                };
                node.error("flow.version", message).hint(hint)
            }
            Unknown::Requirement { reason } => node.error("flow.version", reason.clone()),
        }
    }

    fn no_such_type(&mut self, node: &Node<'_>, what: &str, type_name: &str, nearest: &[String]) -> Problem {
        let problem = node.error("flow.unknown_type", format!("unknown {what} type `{}`", shown(type_name)));
        if let Some(advice) = builtin::not_here(type_name) {
            return Problem { code: "flow.not_supported", ..problem }.hint(advice);
        }
        let plugin = packages::plugin_of(type_name);
        if let Some(plugin) = plugin.as_deref().filter(|plugin| !self.types.has_plugin(plugin)) {
            self.note(node, type_name, plugin);
            let message =
                format!("{what} type `{}` belongs to the plugin `{plugin}`, which is not installed", shown(type_name));
            return Problem { code: "flow.missing_plugin", message, ..problem }
                .hint("`sluice plugin list` shows what is installed");
        }
        if let Some(advice) = builtin::not_yet(type_name) {
            let message = format!("{what} type `{}` is not there yet", shown(type_name));
            return Problem { code: "flow.not_supported", message, ..problem }.hint(advice);
        }
        if packages::is_core(type_name) {
            let hint = "Kestra 1.0 has it, and no installed plugin does";
            let message = format!("{what} type `{}` is not there yet", shown(type_name));
            return Problem { code: "flow.not_supported", message, ..problem }.hint(hint);
        }
        let known = nearest.iter().map(String::as_str).chain(builtin::names());
        let near = nearest_types(type_name, known);
        match (near.is_empty(), plugin) {
            (false, _) => problem.hint(format!("did you mean {}?", quoted_list(&near))),
            (true, Some(plugin)) => problem.hint(format!("no installed version of plugin `{plugin}` has it")),
            (true, None) => {
                if let Some(package) = packages::package_of(type_name) {
                    self.note(node, type_name, package);
                }
                problem
            }
        }
    }

    fn note(&mut self, node: &Node<'_>, type_name: &str, plugin: &str) {
        let missing = Missing { plugin: plugin.to_owned(), type_name: type_name.to_owned(), path: node.path() };
        self.missing.push(missing);
    }
}

/// A version requirement: exact, a semver range, LATEST or OLDEST.
pub(super) fn requirement(node: &Node<'_>, problems: &mut Problems) -> Option<String> {
    let Some(text) = node.value.as_str() else {
        problems
            .push(node.wrong_type("a version in quotes").hint("`1.0` without quotes is a number, which drops zeros"));
        return None;
    };
    let fine =
        matches!(text.to_ascii_uppercase().as_str(), "LATEST" | "OLDEST") || semver::VersionReq::parse(text).is_ok();
    if !fine {
        let message = format!("`{}` is no version requirement", shown(text));
        problems
            .push(node.error("flow.version", message).hint("write for example `1.2.0`, `^1.2`, `LATEST` or `OLDEST`"));
        return None;
    }
    Some(text.to_owned())
}
