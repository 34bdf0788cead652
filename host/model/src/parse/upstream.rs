//! Flow triggers: preconditions, conditions over several executions, and windows of time.

use expr::Value;
use jiff::SignedDuration;
use regex::Regex;

use super::flow;
use super::trigger::states;
use crate::node::{Fields, Node, choice};
use crate::problem::{Problems, quoted_list, shown};
use crate::state::State;
use crate::trigger::{Field, Filter, FilterGroup, FilterTest, FlowTrigger, Multiple, Preconditions, UpstreamFlow};
use crate::window::{TimeOfDay, Window};

/// What is looked at unless the trigger says otherwise: an end, or a wait for somebody.
const STATES: &[State] = &[
    State::Success,
    State::Warning,
    State::Failed,
    State::Killed,
    State::Cancelled,
    State::Retried,
    State::Skipped,
    State::Paused,
];
/// The class of conditions over several executions.
const MULTIPLE: &str = "io.kestra.plugin.core.condition.MultipleCondition";

/// Reads a Flow trigger. Conditions over several executions are taken out of the list of conditions.
pub(super) fn read(fields: &mut Fields<'_>, conditions: &mut Vec<Value>, problems: &mut Problems) -> FlowTrigger {
    let written = states(fields, "states", problems);
    let mut multiple = Vec::new();
    conditions.retain(|condition| {
        let is_multiple = condition.get("type").and_then(Value::as_str) == Some(MULTIPLE);
        if is_multiple {
            multiple.extend(multiple_of(condition));
        }
        !is_multiple
    });
    FlowTrigger {
        states: if written.is_empty() { STATES.to_vec() } else { written },
        preconditions: fields.get("preconditions").and_then(|node| preconditions(node, problems)),
        multiple,
    }
}

/// What a condition says that was checked before; problems have been told.
fn multiple_of(condition: &Value) -> Option<Multiple> {
    let mut told = Problems::default();
    let mut fields = Fields::open(Node::root(condition, None), &mut told)?;
    let id = fields.require_text("id", &mut told)?;
    let window = match fields.get("timeWindow") {
        Some(node) => time_window(node, &mut told)?,
        None => {
            let length = fields.duration("window", &mut told).unwrap_or(SignedDuration::from_hours(24));
            let advance = advance(&mut fields, &mut told);
            Window::Tumbling { length, advance }
        }
    };
    Some(Multiple {
        id,
        window,
        reset_on_success: fields.boolean("resetOnSuccess", true, &mut told),
        conditions: condition.get("conditions").and_then(Value::as_list).unwrap_or_default().to_vec(),
    })
}

fn preconditions(node: Node<'_>, problems: &mut Problems) -> Option<Preconditions> {
    let mut fields = Fields::open(node, problems)?;
    let id = fields.require_text("id", problems);
    let reset_on_success = fields.boolean("resetOnSuccess", true, problems);
    let window = match fields.get("timeWindow") {
        Some(node) => time_window(node, problems),
        None => Some(Window::default()),
    };
    let mut flows = Vec::new();
    for node in fields.list("flows", problems) {
        let Some(mut flow) = Fields::open(node, problems) else { continue };
        let namespace = flow.require_text("namespace", problems);
        let id = flow.text("flowId", problems);
        let states = states(&mut flow, "states", problems);
        let labels = flow.get("labels").map(|node| flow::read_labels(&node, problems)).unwrap_or_default();
        flow.finish(problems);
        let labels = labels.into_iter().map(|(label, _)| label).collect();
        flows.extend(namespace.map(|namespace| UpstreamFlow { namespace, flow: id, states, labels }));
    }
    let mut groups = Vec::new();
    for node in fields.list("where", problems) {
        let Some(mut group) = Fields::open(node, problems) else { continue };
        let id = group.require_text("id", problems);
        let any = group.choice("operand", &[("AND", false), ("OR", true)], problems).unwrap_or(false);
        let filters = group.list("filters", problems);
        let filters = filters.into_iter().filter_map(|node| filter(node, problems)).collect();
        group.finish(problems);
        groups.extend(id.map(|id| FilterGroup { id, any, filters }));
    }
    fields.finish(problems);
    Some(Preconditions { id: id?, window: window?, reset_on_success, flows, filters: groups })
}

const FIELDS: &[(&str, Field)] = &[
    ("FLOW_ID", Field::FlowId),
    ("NAMESPACE", Field::Namespace),
    ("STATE", Field::State),
    ("EXPRESSION", Field::Expression),
];

const TESTS: &[(&str, (&str, FilterTest))] = &[
    ("EQUAL_TO", ("EQUAL_TO", FilterTest::EqualTo)),
    ("NOT_EQUAL_TO", ("NOT_EQUAL_TO", FilterTest::NotEqualTo)),
    ("IN", ("IN", FilterTest::In)),
    ("NOT_IN", ("NOT_IN", FilterTest::NotIn)),
    ("IS_TRUE", ("IS_TRUE", FilterTest::IsTrue)),
    ("IS_FALSE", ("IS_FALSE", FilterTest::IsFalse)),
    ("IS_NULL", ("IS_NULL", FilterTest::IsNull)),
    ("IS_NOT_NULL", ("IS_NOT_NULL", FilterTest::IsNotNull)),
    ("STARTS_WITH", ("STARTS_WITH", FilterTest::StartsWith)),
    ("ENDS_WITH", ("ENDS_WITH", FilterTest::EndsWith)),
    ("REGEX", ("REGEX", FilterTest::Regex)),
    ("CONTAINS", ("CONTAINS", FilterTest::Contains)),
];

fn filter(node: Node<'_>, problems: &mut Problems) -> Option<Filter> {
    let mut fields = Fields::open(node, problems)?;
    let field = fields.require("field", problems).and_then(|node| choice(&node, FIELDS, problems));
    let test = fields.require("type", problems).and_then(|node| choice(&node, TESTS, problems));
    let (value, values) = (fields.get("value"), fields.get("values"));
    let (name, test) = test?;
    let many = matches!(test, FilterTest::In | FilterTest::NotIn);
    let (wanted, found, unwanted, other) =
        if many { ("values", values, "value", value) } else { ("value", value, "values", values) };
    if found.is_none() {
        problems.push(fields.missing(wanted).hint(format!("filters of type `{name}` take `{wanted}`")));
    }
    if let Some(node) = other {
        let message = format!("a filter of type `{name}` takes no `{unwanted}`");
        problems.push(node.error("flow.conflict", message).hint(format!("write `{wanted}`")));
    }
    fields.finish(problems);
    let found = found?;
    if test == FilterTest::Regex
        && !found.has_expression()
        && let Some(pattern) = found.text()
        && let Err(error) = Regex::new(&pattern)
    {
        problems.push(found.error("flow.pattern", format!("`{}` is no pattern: {error}", shown(&pattern))));
    }
    let values = if many { found.value.as_list().unwrap_or_default().to_vec() } else { vec![found.value.clone()] };
    Some(Filter { field: field?, test, values })
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Shape {
    Tumbling,
    Sliding,
    Until,
    Between,
}

/// A type of time window: its name, what it must have and what it may have.
type WindowType = (&'static str, Shape, &'static [&'static str], &'static [&'static str]);

const WINDOWS: &[(&str, WindowType)] = &[
    ("DURATION_WINDOW", ("DURATION_WINDOW", Shape::Tumbling, &[], &["window", "windowAdvance"])),
    ("SLIDING_WINDOW", ("SLIDING_WINDOW", Shape::Sliding, &[], &["window"])),
    ("DAILY_TIME_DEADLINE", ("DAILY_TIME_DEADLINE", Shape::Until, &["deadline"], &[])),
    ("DAILY_TIME_WINDOW", ("DAILY_TIME_WINDOW", Shape::Between, &["startTime", "endTime"], &[])),
];

/// A time window.
pub(super) fn time_window(node: Node<'_>, problems: &mut Problems) -> Option<Window> {
    let mut fields = Fields::open(node, problems)?;
    let (name, shape, required, optional) = match fields.get("type") {
        None => WINDOWS.first().map(|(_, window)| *window)?,
        Some(node) => choice(&node, WINDOWS, problems)?,
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
        }
    }
    let length = fields.duration("window", problems).unwrap_or(SignedDuration::from_hours(24));
    let advance = advance(&mut fields, problems);
    let mut clock = |key: &'static str| fields.get(key).and_then(|node| time_of_day(&node, problems));
    let window = match shape {
        Shape::Tumbling => Some(Window::Tumbling { length, advance }),
        Shape::Sliding => Some(Window::Sliding { length }),
        Shape::Until => clock("deadline").map(Window::Until),
        Shape::Between => clock("startTime").zip(clock("endTime")).map(|(from, to)| Window::Between(from, to)),
    };
    fields.finish(problems);
    window
}

fn advance(fields: &mut Fields<'_>, problems: &mut Problems) -> SignedDuration {
    fields.duration("windowAdvance", problems).unwrap_or(SignedDuration::ZERO)
}

fn time_of_day(node: &Node<'_>, problems: &mut Problems) -> Option<TimeOfDay> {
    let text = crate::node::text(node, problems)?;
    let found = TimeOfDay::parse(&text);
    if found.is_none() {
        let problem = node.error("flow.time", format!("`{}` is no time of day", shown(&text)));
        problems.push(problem.hint("write `09:00:00`, or `09:00:00+02:00` for another offset than UTC"));
    }
    found
}
