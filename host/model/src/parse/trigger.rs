//! Triggers: what they have in common, those of the engine with their rules, those of plugins by their schema.

use expr::Value;
use jiff::SignedDuration;

use super::{Reading, builtin, check, condition, flow, schedule, schema, task, upstream};
use crate::flow::Dynamic;
use crate::ids::TriggerId;
use crate::lookup::Role;
use crate::node::{Fields, Node, choice, fixed_duration, unknown_key};
use crate::problem::{Problems, shown};
use crate::state::State;
use crate::trigger::{Polling, Signature, Trigger, TriggerKind, Webhook};

/// The header that has a signature where none is named: GitHub's.
const SIGNATURE_HEADER: &str = "x-hub-signature-256";
/// Longest webhook key, in characters (Kestra's rule).
const KEY_MAX: usize = 256;

const NOT_HERE: &[(&str, &str)] = &[
    ("workerGroup", "there are no worker groups here"),
    ("workerSelector", "there are no worker groups here"),
    ("when", "it is newer than Kestra 1.0; use `conditions`"),
    ("failOnTriggerError", "it is newer than Kestra 1.0"),
];

/// The triggers of the engine, by their present names.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Class {
    Schedule,
    ScheduleOnDates,
    Webhook,
    Flow,
    /// A plugin's.
    Plugin,
}

const CLASSES: &[(&str, Class)] = &[
    ("io.kestra.plugin.core.trigger.Schedule", Class::Schedule),
    ("io.kestra.plugin.core.trigger.ScheduleOnDates", Class::ScheduleOnDates),
    ("io.kestra.plugin.core.trigger.Webhook", Class::Webhook),
    ("io.kestra.plugin.core.trigger.Flow", Class::Flow),
];

/// The names of the engine's triggers.
#[cfg(test)]
pub(crate) fn names() -> impl Iterator<Item = &'static str> {
    CLASSES.iter().map(|(name, _)| *name)
}

/// How often a plugin is asked that says nothing about it (Kestra's).
const INTERVAL: SignedDuration = SignedDuration::from_secs(60);
/// The shortest time between two questions to a plugin: a question is a run of its own.
const INTERVAL_LEAST: SignedDuration = SignedDuration::from_secs(1);

const STATES: &[State] = &[
    State::Created,
    State::Running,
    State::Paused,
    State::Restarted,
    State::Killing,
    State::Success,
    State::Warning,
    State::Failed,
    State::Killed,
    State::Cancelled,
    State::Queued,
    State::Retrying,
    State::Retried,
    State::Skipped,
    State::Breakpoint,
];

/// Reads the triggers of a flow.
pub(super) fn read_all(nodes: Vec<Node<'_>>, reading: &mut Reading<'_>) -> Vec<Trigger> {
    let read: Vec<_> = nodes.into_iter().map(|node| (node.clone(), read(node, reading))).collect();
    let ids: Vec<(String, &Node<'_>)> =
        read.iter().filter_map(|(node, _)| Some((node.get("id")?.text()?, node))).collect();
    check::unique("trigger", ids.iter().map(|(id, node)| (id.as_str(), *node)), &mut reading.problems);
    read.into_iter().filter_map(|(_, trigger)| trigger).collect()
}

fn read(node: Node<'_>, reading: &mut Reading<'_>) -> Option<Trigger> {
    let line = node.at.line;
    let problems = &mut reading.problems;
    let mut fields = Fields::open(node, problems)?;
    let id = fields.require("id", problems).and_then(|node| task::id(&node, "a trigger id", problems));
    let type_name = fields.require_text("type", problems);
    let version = fields.get("version").and_then(|node| task::requirement(&node, problems));
    let description = fields.text("description", problems);
    let disabled = fields.boolean("disabled", false, problems);
    let log_level = fields.choice("logLevel", task::LOG_LEVELS, problems);
    let log_to_file = fields.boolean("logToFile", false, problems);
    let allow_concurrent = fields.boolean("allowConcurrent", false, problems);
    let labels = fields.get("labels").map(|node| flow::read_labels(&node, problems)).unwrap_or_default();
    let stop_after = states(&mut fields, "stopAfter", problems);
    let inputs = fields.map("inputs", problems);
    flow::refuse_absent(&mut fields, NOT_HERE, problems);
    let type_name = type_name?;
    let name = builtin::canonical(&type_name);
    let class = CLASSES.iter().find(|(known, _)| *known == name).map_or(Class::Plugin, |(_, class)| *class);
    let place = if class == Class::Webhook { condition::Place::Webhook } else { condition::Place::Flow };
    let conditions = fields.list("conditions", problems);
    let mut conditions = condition::read_all(conditions, place, problems);
    let kind = match class {
        Class::Schedule => {
            let (schedule, old) = schedule::by_cron(&mut fields, problems);
            conditions.extend(old);
            schedule.map(TriggerKind::Schedule)
        }
        Class::ScheduleOnDates => schedule::on_dates(&mut fields, problems).map(TriggerKind::Schedule),
        Class::Webhook => Some(TriggerKind::Webhook(webhook(&mut fields, problems))),
        Class::Flow => Some(TriggerKind::Flow(upstream::read(&mut fields, &mut conditions, problems))),
        Class::Plugin => plugin(&type_name, version.as_deref(), &mut fields, reading).map(TriggerKind::Polling),
    };
    if class != Class::Plugin {
        for (key, node) in fields.rest() {
            reading.problems.push(unknown_key(&key, &node, fields.known().iter().copied()));
        }
    }
    Some(Trigger {
        id: TriggerId::trusted(id?),
        type_name,
        kind: kind?,
        version,
        description,
        disabled,
        conditions,
        stop_after,
        log_level,
        log_to_file,
        allow_concurrent,
        labels: labels.into_iter().map(|(label, _)| label).collect(),
        inputs,
        line,
    })
}

fn plugin(
    type_name: &str,
    version: Option<&str>,
    fields: &mut Fields<'_>,
    reading: &mut Reading<'_>,
) -> Option<Polling> {
    let node = fields.node.get("type").unwrap_or_else(|| fields.node.clone());
    let interval = interval(fields, &mut reading.problems);
    match reading.lookup(type_name, version) {
        Ok(info) if matches!(info.role, Role::Trigger | Role::AsSaved) => {
            schema::check_properties(fields, &info, reading);
            let properties = fields.rest().into_iter().map(|(key, node)| (key, node.value.clone())).collect();
            Some(Polling { interval, properties })
        }
        Ok(info) => {
            let (what, hint) = match info.role {
                Role::Provider => ("a provider of models", "name it in a task's `provider:`"),
                _ => ("a task", "move it to `tasks`"),
            };
            let problem = node.error("flow.unknown_type", format!("`{}` is {what}, not a trigger", shown(type_name)));
            reading.problems.push(problem.hint(hint));
            None
        }
        Err(unknown) => {
            let problem = reading.unknown_type(&node, "trigger", type_name, version, &unknown);
            reading.problems.push(problem);
            None
        }
    }
}

fn interval(fields: &mut Fields<'_>, problems: &mut Problems) -> SignedDuration {
    let Some(node) = fields.get("interval") else { return INTERVAL };
    match fixed_duration(&node, problems) {
        Some(interval) if interval < INTERVAL_LEAST => {
            let problem = node.error("flow.interval", "a trigger cannot be asked more than once a second");
            problems.push(problem.hint("write `PT1S` or more"));
            INTERVAL
        }
        found => found.unwrap_or(INTERVAL),
    }
}

pub(super) fn states(fields: &mut Fields<'_>, key: &'static str, problems: &mut Problems) -> Vec<State> {
    let choices: Vec<(&'static str, State)> = STATES.iter().map(|state| (state.as_str(), *state)).collect();
    fields.list(key, problems).into_iter().filter_map(|node| choice(&node, &choices, problems)).collect()
}

fn webhook(fields: &mut Fields<'_>, problems: &mut Problems) -> Webhook {
    let key = fields.require("key", problems);
    if let Some(node) = &key
        && let Some(key) = crate::node::text(node, problems)
        && (key.is_empty() || key.chars().count() > KEY_MAX)
    {
        problems.push(node.error("flow.webhook_key", format!("a webhook key has 1 to {KEY_MAX} characters")));
    }
    Webhook {
        key: Dynamic(key.and_then(|node| node.text()).map(Value::from).unwrap_or_default()),
        wait: fields.boolean("wait", false, problems),
        return_outputs: fields.boolean("returnOutputs", false, problems),
        response_content_type: fields.text("responseContentType", problems),
        signature: fields.get("signature").and_then(|node| signature(node, problems)),
    }
}

fn signature(node: Node<'_>, problems: &mut Problems) -> Option<Signature> {
    let mut fields = Fields::open(node, problems)?;
    let secret = fields.require_dynamic("secret", problems);
    let header_node = fields.get("header");
    let header = header_node.as_ref().and_then(|node| crate::node::text(node, problems));
    fields.finish(problems);
    let header = header.unwrap_or_else(|| SIGNATURE_HEADER.to_owned()).to_ascii_lowercase();
    let is_name = !header.is_empty() && header.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
    if let Some(node) = header_node.filter(|_| !is_name) {
        problems.push(node.error("flow.webhook_signature", "a header's name has letters, digits and `-`"));
    }
    Some(Signature { secret, header })
}
