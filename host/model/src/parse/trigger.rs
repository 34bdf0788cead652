//! Triggers: what they have in common, those of the engine with their rules, those of plugins by their schema.

use std::sync::LazyLock;

use regex::Regex;

use super::{Reading, builtin, check, condition, flow, schema, task};
use crate::ids::TriggerId;
use crate::lookup::Role;
use crate::node::{Fields, Node, choice, unknown_key};
use crate::problem::{Problems, quoted_list, shown};
use crate::state::State;
use crate::trigger::{Trigger, TriggerKind};

/// Longest webhook key, in characters (Kestra's rule).
const KEY_MAX: usize = 256;

const NOT_HERE: &[(&str, &str)] = &[
    ("workerGroup", "there are no worker groups here"),
    ("workerSelector", "there are no worker groups here"),
    ("when", "it is newer than Kestra 1.0; use `conditions`"),
    ("failOnTriggerError", "it is newer than Kestra 1.0"),
];

const KINDS: &[(&str, TriggerKind)] = &[
    ("io.kestra.plugin.core.trigger.Schedule", TriggerKind::Schedule),
    ("io.kestra.plugin.core.trigger.ScheduleOnDates", TriggerKind::ScheduleOnDates),
    ("io.kestra.plugin.core.trigger.Webhook", TriggerKind::Webhook),
    ("io.kestra.plugin.core.trigger.Flow", TriggerKind::Flow),
];

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
    let kind = KINDS.iter().find(|(known, _)| *known == name).map_or(TriggerKind::Plugin, |(_, kind)| *kind);
    let place = if kind == TriggerKind::Webhook { condition::Place::Webhook } else { condition::Place::Flow };
    let conditions = fields.list("conditions", problems);
    let conditions = condition::read_all(conditions, place, problems);
    let known = fields.known().len();
    match kind {
        TriggerKind::Schedule => schedule(&mut fields, problems),
        TriggerKind::ScheduleOnDates => schedule_on_dates(&mut fields, problems),
        TriggerKind::Webhook => webhook(&mut fields, problems),
        TriggerKind::Flow => flow_trigger(&mut fields, problems),
        TriggerKind::Plugin => plugin(&type_name, version.as_deref(), &fields, reading)?,
    }
    let own: Vec<&str> = fields.known().get(known..).unwrap_or_default().to_vec();
    let mut properties = expr::Map::new();
    for (key, node) in fields.node.entries() {
        if own.contains(&key.as_ref()) {
            properties.insert(key, node.value.clone());
        }
    }
    for (key, node) in fields.rest() {
        if kind == TriggerKind::Plugin {
            properties.insert(key, node.value.clone());
        } else {
            reading.problems.push(unknown_key(&key, &node, fields.known().iter().copied()));
        }
    }
    Some(Trigger {
        id: TriggerId::trusted(id?),
        type_name,
        kind,
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
        properties,
        line,
    })
}

fn plugin(type_name: &str, version: Option<&str>, fields: &Fields<'_>, reading: &mut Reading<'_>) -> Option<()> {
    let node = fields.node.get("type").unwrap_or_else(|| fields.node.clone());
    match reading.lookup(type_name, version) {
        Ok(info) if info.role == Role::Trigger => {
            schema::check_properties(fields, &info, reading);
            Some(())
        }
        Ok(_) => {
            let problem = node.error("flow.unknown_type", format!("`{}` is a task, not a trigger", shown(type_name)));
            reading.problems.push(problem.hint("move it to `tasks`"));
            None
        }
        Err(unknown) => {
            let problem = reading.unknown_type(&node, "trigger", type_name, version, &unknown);
            reading.problems.push(problem);
            None
        }
    }
}

pub(super) fn states(fields: &mut Fields<'_>, key: &'static str, problems: &mut Problems) -> Vec<State> {
    let choices: Vec<(&'static str, State)> = STATES.iter().map(|state| (state.as_str(), *state)).collect();
    fields.list(key, problems).into_iter().filter_map(|node| choice(&node, &choices, problems)).collect()
}

fn recover(fields: &mut Fields<'_>, problems: &mut Problems) {
    fields.choice("recoverMissedSchedules", &[("ALL", ()), ("LAST", ()), ("NONE", ())], problems);
}

fn schedule(fields: &mut Fields<'_>, problems: &mut Problems) {
    let with_seconds = fields.boolean("withSeconds", false, problems);
    if let Some(node) = fields.require("cron", problems)
        && let Some(text) = crate::node::text(&node, problems)
        && let Err(reason) = check_cron(&text, with_seconds)
    {
        let hint = "write minute, hour, day, month and weekday, or `@hourly`, `@daily`, …; seconds in front need `withSeconds: true`";
        problems
            .push(node.error("flow.cron", format!("invalid cron expression `{}`: {reason}", shown(&text))).hint(hint));
    }
    timezone(fields, problems);
    fields.duration("lateMaximumDelay", problems);
    recover(fields, problems);
    if let Some(node) = fields.get("interval") {
        problems.push(node.error("flow.not_supported", "`interval` cannot be set on a schedule").hint("use `cron`"));
    }
    let old = fields.list("scheduleConditions", problems);
    condition::read_all(old, condition::Place::Flow, problems);
    fields.map("backfill", problems);
}

fn timezone(fields: &mut Fields<'_>, problems: &mut Problems) {
    let Some(node) = fields.get("timezone") else { return };
    let Some(text) = crate::node::text(&node, problems).filter(|_| !node.has_expression()) else { return };
    if let Err(error) = expr::zone(&text) {
        let problem = node.error("flow.timezone", format!("`{}` is no time zone", shown(&text)));
        problems.push(problem.hints(error.problem().and_then(|problem| problem.hint.clone())));
    }
}

fn schedule_on_dates(fields: &mut Fields<'_>, problems: &mut Problems) {
    if let Some(node) = fields.require("dates", problems)
        && !node.has_expression()
        && node.value.as_list().is_none_or(<[_]>::is_empty)
    {
        problems.push(node.wrong_type("a list of at least one date"));
    }
    timezone(fields, problems);
    fields.duration("lateMaximumDelay", problems);
    recover(fields, problems);
}

fn webhook(fields: &mut Fields<'_>, problems: &mut Problems) {
    if let Some(node) = fields.require("key", problems)
        && let Some(key) = crate::node::text(&node, problems)
        && (key.is_empty() || key.chars().count() > KEY_MAX)
    {
        problems.push(node.error("flow.webhook_key", format!("a webhook key has 1 to {KEY_MAX} characters")));
    }
    fields.boolean("wait", false, problems);
    fields.boolean("returnOutputs", false, problems);
    fields.text("responseContentType", problems);
}

fn flow_trigger(fields: &mut Fields<'_>, problems: &mut Problems) {
    states(fields, "states", problems);
    let Some(node) = fields.get("preconditions") else { return };
    let Some(mut fields) = Fields::open(node, problems) else { return };
    fields.require_text("id", problems);
    fields.boolean("resetOnSuccess", true, problems);
    if let Some(node) = fields.get("timeWindow") {
        time_window(node, problems);
    }
    for node in fields.list("flows", problems) {
        let Some(mut flow) = Fields::open(node, problems) else { continue };
        flow.require_text("namespace", problems);
        flow.text("flowId", problems);
        states(&mut flow, "states", problems);
        if let Some(node) = flow.get("labels") {
            flow::read_labels(&node, problems);
        }
        flow.finish(problems);
    }
    for node in fields.list("where", problems) {
        let Some(mut group) = Fields::open(node, problems) else { continue };
        group.require_text("id", problems);
        group.choice("operand", &[("AND", ()), ("OR", ())], problems);
        group.list("filters", problems).into_iter().for_each(|node| filter(node, problems));
        group.finish(problems);
    }
    fields.finish(problems);
}

fn filter(node: Node<'_>, problems: &mut Problems) {
    const TYPES: &[&str] = &[
        "EQUAL_TO",
        "NOT_EQUAL_TO",
        "IN",
        "NOT_IN",
        "IS_TRUE",
        "IS_FALSE",
        "IS_NULL",
        "IS_NOT_NULL",
        "STARTS_WITH",
        "ENDS_WITH",
        "REGEX",
        "CONTAINS",
    ];
    let Some(mut fields) = Fields::open(node, problems) else { return };
    if let Some(node) = fields.require("field", problems) {
        choice(&node, &[("FLOW_ID", ()), ("NAMESPACE", ()), ("STATE", ()), ("EXPRESSION", ())], problems);
    }
    let types: Vec<(&'static str, &'static str)> = TYPES.iter().map(|name| (*name, *name)).collect();
    let kind = fields.require("type", problems).and_then(|node| choice(&node, &types, problems));
    let (value, values) = (fields.get("value"), fields.get("values"));
    let Some(kind) = kind else { return };
    let (wanted, found, unwanted, other) = match kind {
        "IN" | "NOT_IN" => ("values", values, "value", value),
        _ => ("value", value, "values", values),
    };
    if found.is_none() {
        problems.push(fields.missing(wanted).hint(format!("filters of type `{kind}` take `{wanted}`")));
    }
    if let Some(node) = other {
        let message = format!("a filter of type `{kind}` takes no `{unwanted}`");
        problems.push(node.error("flow.conflict", message).hint(format!("write `{wanted}`")));
    }
    fields.finish(problems);
}

/// A type of time window: its name, what it must have and what it may have.
type Window = (&'static str, &'static [&'static str], &'static [&'static str]);

/// The rules of a time window.
pub(super) fn time_window(node: Node<'_>, problems: &mut Problems) {
    const TYPES: &[(&str, Window)] = &[
        ("DURATION_WINDOW", ("DURATION_WINDOW", &[], &["window", "windowAdvance"])),
        ("SLIDING_WINDOW", ("SLIDING_WINDOW", &[], &["window"])),
        ("DAILY_TIME_DEADLINE", ("DAILY_TIME_DEADLINE", &["deadline"], &[])),
        ("DAILY_TIME_WINDOW", ("DAILY_TIME_WINDOW", &["startTime", "endTime"], &[])),
    ];
    let Some(mut fields) = Fields::open(node, problems) else { return };
    let (name, required, optional) = match fields.get("type") {
        None => ("DURATION_WINDOW", &[][..], &["window", "windowAdvance"][..]),
        Some(node) => match choice(&node, TYPES, problems) {
            Some(found) => found,
            None => return,
        },
    };
    for key in required {
        fields.require(key, problems);
    }
    for key in ["window", "windowAdvance", "deadline", "startTime", "endTime"] {
        let Some(node) = fields.get(key) else { continue };
        if !required.contains(&key) && !optional.contains(&key) {
            let allowed: Vec<&str> = required.iter().chain(optional).copied().collect();
            let problem = node.error("flow.conflict", format!("a time window of type `{name}` has no `{key}`"));
            problems.push(problem.hint(format!("it takes {}", quoted_list(&allowed))));
        } else if key.starts_with("window") {
            crate::node::fixed_duration(&node, problems);
        }
    }
    fields.finish(problems);
}

static CRON_FIELD: LazyLock<Regex> =
    LazyLock::new(|| flow::pattern(r"^(\*|\?|[0-9A-Za-z#*-]+)(/[0-9]+)?(,(\*|\?|[0-9A-Za-z#*-]+)(/[0-9]+)?)*$"));

/// Refuses what is plainly no cron expression. What it means is for the scheduler.
fn check_cron(text: &str, with_seconds: bool) -> Result<(), String> {
    const NICKNAMES: &[&str] = &["@yearly", "@annually", "@monthly", "@weekly", "@daily", "@midnight", "@hourly"];
    /// Seconds, minutes, hours, days, months, weekdays: least and greatest number.
    const BOUNDS: &[(u32, u32)] = &[(0, 59), (0, 59), (0, 23), (1, 31), (1, 12), (0, 7)];
    let text = text.trim();
    if text.starts_with('@') {
        return if NICKNAMES.contains(&text) { Ok(()) } else { Err(format!("known are {}", quoted_list(NICKNAMES))) };
    }
    let fields: Vec<&str> = text.split_whitespace().collect();
    let bounds = if with_seconds { BOUNDS } else { BOUNDS.get(1..).unwrap_or_default() };
    if fields.len() != bounds.len() {
        return Err(format!("it has {} fields, not {}", fields.len(), bounds.len()));
    }
    for (field, (least, greatest)) in fields.iter().zip(bounds) {
        if !CRON_FIELD.is_match(field) {
            return Err(format!("`{field}` is no field"));
        }
        // What stands behind a slash or a # is a count, not a time.
        let times = field.split(',').filter_map(|part| part.split(['/', '#']).next());
        for number in times.flat_map(|part| part.split('-')).filter_map(|number| number.parse::<u32>().ok()) {
            if number < *least || number > *greatest {
                return Err(format!("`{number}` is not between {least} and {greatest}"));
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_cron_expressions_pass_and_plain_nonsense_does_not() {
        for fine in [
            "* * * * *",
            "*/5 0-6,12 1 JAN-MAR MON#2",
            "0 0 L * ?",
            "@daily",
            "0 11 * * 1-5",
            "1,2 * * * *",
            "0 0 15W * *",
        ] {
            assert_eq!(check_cron(fine, false), Ok(()), "{fine}");
        }
        assert_eq!(check_cron("*/10 * * * * *", true), Ok(()));
        for wrong in [
            "",
            "* * * *",
            "* * * * * *",
            "$ome Inv@lid Cr0n x y",
            "60 * * * *",
            "* 24 * * *",
            "* * 0 * *",
            "@sometimes",
        ] {
            assert!(check_cron(wrong, false).is_err(), "{wrong}");
        }
    }
}
