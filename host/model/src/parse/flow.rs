//! The properties of a flow itself.

use std::collections::HashMap;
use std::sync::{Arc, LazyLock};

use regex::Regex;

use super::{Reading, check, defaults, input, policy, retry, task, trigger};
use crate::flow::{
    Check, CheckBehavior, Concurrency, Dynamic, Flow, Label, Listener, ModelBudget, Output, Overflow, PluginDefault,
    Sla, SlaBehavior, SlaRule,
};
use crate::ids::{FLOW_ID_MAX, FlowId, FlowKey, NAMESPACE_MAX, Namespace, TENANT, TaskId};
use crate::node::{Fields, Node};
use crate::problem::{Problem, Problems, quoted_list, shown};

/// Ids that are words of the HTTP paths (Kestra 1.0).
const RESERVED: &[&str] =
    &["pause", "resume", "force-run", "change-status", "kill", "executions", "search", "source", "disable", "enable"];
/// The label a flow may set although it belongs to the system.
const READ_ONLY: &str = "system.readOnly";
const SYSTEM_PREFIX: &str = "system.";
/// Properties of newer or other editions, with what to do.
const NOT_HERE: &[(&str, &str)] = &[
    ("workerGroup", "there are no worker groups here"),
    ("workerSelector", "there are no worker groups here"),
    ("quota", "use `concurrency` to limit executions"),
    ("quotas", "use `concurrency` to limit executions"),
    ("draft", "save the flow with `disabled: true`"),
];

static FLOW_ID: LazyLock<Regex> = LazyLock::new(|| pattern("^[a-zA-Z0-9][a-zA-Z0-9._-]*$"));
static NAMESPACE: LazyLock<Regex> = LazyLock::new(|| pattern("^[a-z0-9][a-z0-9._-]*$"));

pub(super) fn pattern(pattern: &str) -> Regex {
    Regex::new(pattern).expect("the patterns of this crate are constants that compile")
}

/// Reads the flow. `None` only where its id or namespace cannot be told; then there are problems.
pub(super) fn read(
    root: Node<'_>,
    plugin_defaults: Vec<PluginDefault>,
    source: Arc<str>,
    reading: &mut Reading<'_>,
) -> Option<Flow> {
    let mut fields = Fields::open(root, &mut reading.problems)?;
    let key = key(&mut fields, &mut reading.problems);
    ignored(&mut fields);
    // Read before everything else, by `defaults`.
    fields.get(defaults::PRESENT);
    fields.get(defaults::FORMER);
    refuse_absent(&mut fields, NOT_HERE, &mut reading.problems);
    let description = fields.text("description", &mut reading.problems);
    let disabled = fields.boolean("disabled", false, &mut reading.problems);
    let labels = labels(&mut fields, &mut reading.problems);
    let grants = policy::sections(&mut fields, "grants", &mut reading.problems);
    let models = fields.get("models").map(|node| models(node, &mut reading.problems)).unwrap_or_default();
    reading.plugins = plugins(&mut fields, &mut reading.problems);
    let inputs = fields.list("inputs", &mut reading.problems);
    let inputs = input::read_all(inputs, reading);
    let outputs = fields.list("outputs", &mut reading.problems);
    let outputs = outputs.into_iter().filter_map(|node| output(node, &mut reading.problems)).collect::<Vec<_>>();
    check::unique("output", outputs.iter().map(|(output, at)| (output.id.as_str(), at)), &mut reading.problems);
    let variables = fields.map("variables", &mut reading.problems);
    let tasks = task::read_children(&mut fields, "tasks", true, reading);
    let errors = task::read_children(&mut fields, "errors", false, reading);
    let finally = task::read_children(&mut fields, "finally", false, reading);
    let after_execution = task::read_children(&mut fields, "afterExecution", false, reading);
    let listeners = fields.list("listeners", &mut reading.problems);
    let listeners = listeners.into_iter().filter_map(|node| listener(node, reading)).collect();
    let triggers = fields.list("triggers", &mut reading.problems);
    let triggers = trigger::read_all(triggers, reading);
    let concurrency = fields.get("concurrency").and_then(|node| concurrency(node, &mut reading.problems));
    let retry = fields.get("retry").and_then(|node| retry::read(node, reading));
    let sla = fields.list("sla", &mut reading.problems);
    let sla = sla.into_iter().filter_map(|node| read_sla(node, &mut reading.problems)).collect();
    let checks = fields.list("checks", &mut reading.problems);
    let checks = checks.into_iter().filter_map(|node| read_check(node, &mut reading.problems)).collect();
    fields.finish(&mut reading.problems);
    let key = key?;
    check::subflows(&key, reading);
    Some(Flow {
        key,
        revision: 1,
        description,
        disabled,
        labels,
        inputs,
        outputs: outputs.into_iter().map(|(output, _)| output).collect(),
        variables,
        tasks,
        errors,
        finally,
        after_execution,
        listeners,
        triggers,
        plugin_defaults,
        inherited_defaults: Vec::new(),
        plugins: std::mem::take(&mut reading.plugins),
        grants,
        models,
        concurrency,
        retry,
        sla,
        checks,
        all: std::mem::take(&mut reading.tasks),
        source,
    })
}

fn models(node: Node<'_>, problems: &mut Problems) -> ModelBudget {
    let Some(mut fields) = Fields::open(node, problems) else { return ModelBudget::default() };
    let max_tokens = fields.number("maxTokens", 1, problems);
    let max_cost = fields.get("maxCost").and_then(|node| {
        let text = node.text();
        let cost = node.value.as_f64().or_else(|| text.and_then(|text| text.trim().parse().ok()));
        let cost = cost.filter(|cost: &f64| cost.is_finite() && *cost > 0.0);
        if cost.is_none() {
            problems.push(node.wrong_type("a number above 0"));
        }
        cost
    });
    fields.finish(problems);
    ModelBudget { max_tokens, max_cost }
}

fn key(fields: &mut Fields<'_>, problems: &mut Problems) -> Option<FlowKey> {
    let id = fields.require("id", problems).and_then(|node| {
        let id = named(
            &node,
            &FLOW_ID,
            FLOW_ID_MAX,
            "a flow id",
            "letters, digits, `.`, `_` and `-`, a letter or digit first",
            problems,
        )?;
        if RESERVED.contains(&id.as_str()) {
            let message = format!("`{id}` is also a word of the HTTP paths; Kestra 1.0 refuses it as the id of a flow");
            problems.push(
                node.warning("flow.reserved_id", message).hint(format!("such words are {}", quoted_list(RESERVED))),
            );
        }
        Some(id)
    });
    let namespace = fields.require("namespace", problems).and_then(|node| {
        let rule = "lower-case letters, digits, `.`, `_` and `-`, a letter or digit first";
        named(&node, &NAMESPACE, NAMESPACE_MAX, "a namespace", rule, problems)
    });
    if let Some(node) = fields.get("tenantId")
        && node.value.as_str() != Some(TENANT)
    {
        problems.push(node.error("flow.tenant", format!("the only tenant is `{TENANT}`")).hint("remove `tenantId`"));
    }
    Some(FlowKey { tenant: TENANT.into(), namespace: Namespace::trusted(namespace?), id: FlowId::trusted(id?) })
}

/// A text that must match a pattern and have a length.
pub(super) fn named(
    node: &Node<'_>,
    pattern: &Regex,
    longest: usize,
    what: &str,
    rule: &str,
    problems: &mut Problems,
) -> Option<String> {
    let text = crate::node::text(node, problems)?;
    if text.is_empty() {
        problems.push(node.error("flow.id", format!("{what} must not be empty")));
        return None;
    }
    if text.chars().count() > longest {
        problems.push(node.error("flow.id", format!("{what} must not be longer than {longest} characters")));
        return None;
    }
    if !pattern.is_match(&text) {
        problems.push(
            node.error("flow.id", format!("`{}` is not {what}", shown(&text)))
                .hint(format!("{what} is made of {rule}")),
        );
        return None;
    }
    Some(text)
}

/// What the server sets and sends back, and what clients therefore send again.
fn ignored(fields: &mut Fields<'_>) {
    for key in ["revision", "deleted", "updated", "created"] {
        fields.get(key);
    }
}

/// Properties that are known and not to be had.
pub(super) fn refuse_absent(fields: &mut Fields<'_>, absent: &[(&'static str, &str)], problems: &mut Problems) {
    for (key, advice) in absent {
        if let Some(node) = fields.get(key) {
            problems.push(node.error("flow.not_supported", format!("`{key}` is not supported")).hint(*advice));
        }
    }
}

fn labels(fields: &mut Fields<'_>, problems: &mut Problems) -> Vec<Label> {
    let Some(node) = fields.get("labels") else { return Vec::new() };
    let labels = read_labels(&node, problems);
    for (label, problem) in &labels {
        if label.key.starts_with(SYSTEM_PREFIX) && label.key != READ_ONLY {
            let message = format!("`{}` is a system label, which only the server sets", label.key);
            problems.push(Problem { message, ..problem.clone() });
        }
    }
    labels.into_iter().map(|(label, _)| label).collect()
}

/// Labels as a map or as a list of `{key, value}`, each with a problem made for its place.
pub(super) fn read_labels(node: &Node<'_>, problems: &mut Problems) -> Vec<(Label, Problem)> {
    let problem = |node: &Node<'_>| node.error("flow.system_label", "").hint("remove it, or give it another name");
    if node.value.as_map().is_some() {
        let entries = node.entries().into_iter().filter_map(|(key, node)| {
            let value = crate::node::text(&node, problems)?;
            Some((Label { key: key.to_string(), value }, problem(&node)))
        });
        return entries.collect();
    }
    if node.value.as_list().is_none() {
        problems.push(node.wrong_type("a map, or a list of `key` and `value`"));
    }
    let mut labels = Vec::new();
    for item in node.items() {
        let Some(mut fields) = Fields::open(item.clone(), problems) else { continue };
        let key = fields.require_text("key", problems);
        let value = fields.require_text("value", problems);
        fields.finish(problems);
        if let (Some(key), Some(value)) = (key, value) {
            labels.push((Label { key, value }, problem(&item)));
        }
    }
    labels
}

fn plugins(fields: &mut Fields<'_>, problems: &mut Problems) -> HashMap<String, String> {
    let Some(node) = fields.get("plugins") else { return HashMap::new() };
    if node.value.as_map().is_none() {
        problems.push(node.wrong_type("a map of plugin name to version requirement"));
    }
    let entries = node.entries().into_iter();
    entries.filter_map(|(name, node)| Some((name.to_string(), task::requirement(&node, problems)?))).collect()
}

fn output<'a>(node: Node<'a>, problems: &mut Problems) -> Option<(Output, Node<'a>)> {
    let at = node.clone();
    let mut fields = Fields::open(node, problems)?;
    let id = fields.require("id", problems);
    let id = id.and_then(|node| input::id(&node, problems));
    let kind = fields.require("type", problems).and_then(|node| input::kind(&node, problems));
    let value = fields.require_dynamic("value", problems);
    let output = Output {
        required: fields.boolean("required", true, problems),
        display_name: fields.text("displayName", problems),
        description: fields.text("description", problems),
        id: id.unwrap_or_default(),
        kind: kind.unwrap_or(crate::input::InputType::Any),
        value,
    };
    // `itemType` of an ARRAY output says nothing that is checked.
    fields.get("itemType");
    fields.finish(problems);
    Some((output, at))
}

fn listener(node: Node<'_>, reading: &mut Reading<'_>) -> Option<Listener> {
    let mut fields = Fields::open(node, &mut reading.problems)?;
    let conditions = fields.list("conditions", &mut reading.problems);
    let conditions = super::condition::read_all(conditions, super::condition::Place::Flow, &mut reading.problems);
    fields.text("description", &mut reading.problems);
    let tasks: Vec<TaskId> = task::read_children(&mut fields, "tasks", true, reading);
    fields.finish(&mut reading.problems);
    Some(Listener { conditions, tasks })
}

fn concurrency(node: Node<'_>, problems: &mut Problems) -> Option<Concurrency> {
    const BEHAVIORS: &[(&str, Overflow)] =
        &[("QUEUE", Overflow::Queue), ("CANCEL", Overflow::Cancel), ("FAIL", Overflow::Fail)];
    let mut fields = Fields::open(node, problems)?;
    let given = fields.require("limit", problems).is_some();
    let limit = if given { fields.number("limit", 1, problems) } else { None };
    let behavior = fields.choice("behavior", BEHAVIORS, problems).unwrap_or_default();
    fields.finish(problems);
    Some(Concurrency { limit: limit?, behavior })
}

fn read_sla(node: Node<'_>, problems: &mut Problems) -> Option<Sla> {
    #[derive(Clone, Copy)]
    enum Kind {
        MaxDuration,
        Assertion,
    }
    const KINDS: &[(&str, Kind)] = &[("MAX_DURATION", Kind::MaxDuration), ("EXECUTION_ASSERTION", Kind::Assertion)];
    const BEHAVIORS: &[(&str, SlaBehavior)] =
        &[("FAIL", SlaBehavior::Fail), ("CANCEL", SlaBehavior::Cancel), ("NONE", SlaBehavior::None)];
    let mut fields = Fields::open(node, problems)?;
    let id = fields.require_text("id", problems);
    let kind = fields.require("type", problems).and_then(|node| crate::node::choice(&node, KINDS, problems));
    let behavior =
        fields.require("behavior", problems).and_then(|node| crate::node::choice(&node, BEHAVIORS, problems));
    let labels = fields.get("labels").map(|node| read_labels(&node, problems)).unwrap_or_default();
    let rule = match kind {
        Some(Kind::MaxDuration) => fields.require_duration("duration", problems).map(SlaRule::MaxDuration),
        Some(Kind::Assertion) => {
            fields.require("assert", problems).map(|node| SlaRule::Assertion(Dynamic(node.value.clone())))
        }
        None => None,
    };
    if kind.is_some() {
        fields.finish(problems);
    }
    Some(Sla {
        id: id?,
        rule: rule?,
        behavior: behavior?,
        labels: labels.into_iter().map(|(label, _)| label).collect(),
    })
}

fn read_check(node: Node<'_>, problems: &mut Problems) -> Option<Check> {
    const BEHAVIORS: &[(&str, CheckBehavior)] = &[
        ("BLOCK_EXECUTION", CheckBehavior::BlockExecution),
        ("FAIL_EXECUTION", CheckBehavior::FailExecution),
        ("CREATE_EXECUTION", CheckBehavior::CreateExecution),
    ];
    const STYLES: &[(&str, &str)] =
        &[("ERROR", "ERROR"), ("SUCCESS", "SUCCESS"), ("WARNING", "WARNING"), ("INFO", "INFO")];
    let mut fields = Fields::open(node, problems)?;
    let condition = fields.require_dynamic("condition", problems);
    let message = fields.require_text("message", problems);
    let style = fields.choice("style", STYLES, problems).unwrap_or("INFO").to_owned();
    let behavior = fields.choice("behavior", BEHAVIORS, problems).unwrap_or_default();
    fields.finish(problems);
    Some(Check { condition, message: message?, style, behavior })
}
