//! Conditions of triggers and listeners: their types, properties, and rules that hold before anything runs.

use expr::{Map, Value};

use super::builtin;
use crate::node::{Fields, Node, choice, unknown_key};
use crate::problem::{Problems, nearest_types, quoted_list, shown};

/// Where a condition stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// Triggers and listeners that look at executions or dates.
    Flow,
    /// Webhooks answer one request and cannot wait for several executions.
    Webhook,
}

const PACKAGE: &str = "io.kestra.plugin.core.condition.";
/// What the names of classes may end with.
const SUFFIX: &str = "Condition";

/// Class, required properties, optional properties.
const CONDITIONS: &[(&str, &[&str], &[&str])] = &[
    ("DateTimeBetween", &[], &["date", "after", "before"]),
    ("DayWeek", &["dayOfWeek"], &["date"]),
    ("DayWeekInMonth", &["dayOfWeek", "dayInMonth"], &["date"]),
    ("Weekend", &[], &["date"]),
    ("PublicHoliday", &[], &["date", "country", "subDivision"]),
    ("TimeBetween", &[], &["date", "after", "before"]),
    ("ExecutionFlow", &["namespace", "flowId"], &[]),
    ("ExecutionNamespace", &["namespace"], &["comparison", "prefix"]),
    ("ExecutionLabels", &["labels"], &[]),
    ("ExecutionOutputs", &["expression"], &[]),
    ("ExecutionStatus", &[], &["in", "notIn"]),
    ("Expression", &["expression"], &[]),
    ("HasRetryAttempt", &[], &["in", "notIn"]),
    ("MultipleCondition", &["id", "conditions"], &["timeWindow", "resetOnSuccess", "window", "windowAdvance"]),
    ("Not", &["conditions"], &[]),
    ("Or", &["conditions"], &[]),
    ("FlowCondition", &["namespace", "flowId"], &[]),
    ("FlowNamespaceCondition", &["namespace"], &["prefix"]),
];

const DAYS: &[&str] = &["MONDAY", "TUESDAY", "WEDNESDAY", "THURSDAY", "FRIDAY", "SATURDAY", "SUNDAY"];

/// The classes of conditions.
#[cfg(test)]
pub(crate) fn classes() -> impl Iterator<Item = &'static str> {
    CONDITIONS.iter().map(|(class, ..)| *class)
}

/// All names of a class of conditions, the present one first.
pub(crate) fn names(class: &str) -> Vec<String> {
    let mut names = vec![format!("{PACKAGE}{class}")];
    if !class.ends_with(SUFFIX) {
        names.push(format!("{PACKAGE}{class}{SUFFIX}"));
    }
    let former: Vec<String> = names.iter().flat_map(|name| builtin::former_names(name)).collect();
    names.extend(former);
    names
}

/// Reads conditions. Each keeps its properties; its type gets its present name.
pub(super) fn read_all(nodes: Vec<Node<'_>>, place: Place, problems: &mut Problems) -> Vec<Value> {
    nodes.into_iter().filter_map(|node| read(node, place, problems)).collect()
}

fn read(node: Node<'_>, place: Place, problems: &mut Problems) -> Option<Value> {
    let mut fields = Fields::open(node, problems)?;
    let type_name = fields.require_text("type", problems)?;
    let Some((class, required, optional)) = class(&type_name) else {
        let names: Vec<String> = CONDITIONS.iter().map(|(class, ..)| format!("{PACKAGE}{class}")).collect();
        let near = nearest_types(&type_name, names.iter().map(String::as_str));
        let problem = fields.node.error("flow.unknown_type", format!("unknown condition type `{}`", shown(&type_name)));
        problems.push(if near.is_empty() {
            problem
        } else {
            problem.hint(format!("did you mean {}?", quoted_list(&near)))
        });
        return None;
    };
    if place == Place::Webhook && class == "MultipleCondition" {
        let problem =
            fields.node.error("flow.condition", "a webhook cannot have a condition of type `MultipleCondition`");
        problems.push(problem.hint("use a trigger of type `io.kestra.plugin.core.trigger.Flow`"));
        return None;
    }
    fields.get("description");
    fields.get("id");
    for key in required {
        if let Some(node) = fields.require(key, problems) {
            check_value(key, &node, problems);
        }
    }
    for key in optional {
        if let Some(node) = fields.get(key) {
            check_value(key, &node, problems);
        }
    }
    for (key, node) in fields.rest() {
        problems.push(unknown_key(&key, &node, fields.known().iter().copied()));
    }
    let mut condition: Map = fields.node.value.as_map().cloned().unwrap_or_default();
    condition.insert("type".into(), Value::from(format!("{PACKAGE}{class}")));
    for key in ["conditions"] {
        if let Some(inner) = fields.get(key) {
            condition.insert(key.into(), Value::list(inner_conditions(&inner, place, problems)));
        }
    }
    Some(condition.into())
}

/// A list of conditions, or (MultipleCondition) a map of name to condition.
fn inner_conditions(node: &Node<'_>, place: Place, problems: &mut Problems) -> Vec<Value> {
    match node.value {
        Value::List(_) => read_all(node.items(), place, problems),
        Value::Map(_) => read_all(node.entries().into_iter().map(|(_, node)| node).collect(), place, problems),
        _ => {
            problems.push(node.wrong_type("a list of conditions"));
            Vec::new()
        }
    }
}

type Class = (&'static str, &'static [&'static str], &'static [&'static str]);

fn class(type_name: &str) -> Option<Class> {
    let name = builtin::canonical(type_name);
    let name = name.strip_prefix(PACKAGE)?;
    let short = name.strip_suffix(SUFFIX).unwrap_or(name);
    let find = |wanted: &str| CONDITIONS.iter().find(|(class, ..)| *class == wanted).copied();
    find(name).or_else(|| find(short))
}

fn check_value(key: &str, node: &Node<'_>, problems: &mut Problems) {
    const PLACES: &[(&str, ())] = &[("FIRST", ()), ("SECOND", ()), ("THIRD", ()), ("FOURTH", ()), ("LAST", ())];
    const COMPARISONS: &[(&str, ())] = &[("EQUALS", ()), ("PREFIX", ()), ("SUFFIX", ())];
    if node.has_expression() {
        return;
    }
    match key {
        "in" | "notIn" if node.value.as_list().is_none() => problems.push(node.wrong_type("a list")),
        "dayOfWeek" => {
            let days: Vec<(&'static str, ())> = DAYS.iter().map(|day| (*day, ())).collect();
            choice(node, &days, problems);
        }
        "dayInMonth" => {
            choice(node, PLACES, problems);
        }
        "comparison" => {
            choice(node, COMPARISONS, problems);
        }
        "timeWindow" => {
            super::upstream::time_window(node.clone(), problems);
        }
        "window" | "windowAdvance" => {
            crate::node::fixed_duration(node, problems);
        }
        _ => {}
    }
}
