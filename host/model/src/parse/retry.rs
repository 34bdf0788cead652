//! `retry:` of tasks and flows.

use jiff::SignedDuration;

use super::Reading;
use crate::node::{Fields, Node};
use crate::task::{Delays, Retry, RetryBehavior};

/// Kestra's factor of exponential delays.
const FACTOR: f64 = 2.0;

#[derive(Clone, Copy)]
enum Kind {
    Constant,
    Exponential,
    Random,
}

const KINDS: &[(&str, Kind)] =
    &[("constant", Kind::Constant), ("exponential", Kind::Exponential), ("random", Kind::Random)];

const BEHAVIORS: &[(&str, RetryBehavior)] = &[
    ("RETRY_FAILED_TASK", RetryBehavior::RetryFailedTask),
    ("CREATE_NEW_EXECUTION", RetryBehavior::CreateNewExecution),
];

/// A retry and what it does.
pub(super) fn read(node: Node<'_>, reading: &mut Reading<'_>) -> Option<Retry> {
    let problems = &mut reading.problems;
    let mut fields = Fields::open(node, problems)?;
    let kind = match fields.get("type") {
        Some(node) => crate::node::choice(&node, KINDS, problems),
        None => {
            problems.push(fields.missing("type").hint("write `constant`, `exponential` or `random`"));
            None
        }
    };
    let max_attempts = match fields.get_renamed("maxAttempts", "maxAttempt", problems) {
        Some(node) => crate::node::number(&node, 1, problems),
        None => None,
    };
    let max_duration = fields.duration("maxDuration", problems);
    let warning_on_retry = fields.boolean("warningOnRetry", false, problems);
    let behavior = fields.choice("behavior", BEHAVIORS, problems).unwrap_or_default();
    let delays = kind.and_then(|kind| delays(kind, &mut fields, max_duration, reading));
    if kind.is_some() {
        fields.finish(&mut reading.problems);
    }
    Some(Retry { delays: delays?, max_attempts, max_duration, warning_on_retry, behavior })
}

fn delays(
    kind: Kind,
    fields: &mut Fields<'_>,
    max_duration: Option<SignedDuration>,
    reading: &mut Reading<'_>,
) -> Option<Delays> {
    let problems = &mut reading.problems;
    let (delays, shortest) = match kind {
        Kind::Constant => {
            let interval = fields.require_duration("interval", problems)?;
            (Delays::Constant { interval }, ("interval", interval))
        }
        Kind::Exponential => {
            let interval = fields.require_duration("interval", problems);
            let max_interval = fields.require_duration("maxInterval", problems);
            let factor = factor(fields, problems);
            let (interval, max_interval) = (interval?, max_interval?);
            less(fields, ("interval", interval), ("maxInterval", max_interval), problems);
            (Delays::Exponential { interval, max_interval, factor }, ("interval", interval))
        }
        Kind::Random => {
            let min = fields.require_duration("minInterval", problems);
            let max = fields.require_duration("maxInterval", problems);
            let (min, max) = (min?, max?);
            less(fields, ("minInterval", min), ("maxInterval", max), problems);
            if let Some(max_duration) = max_duration {
                less(fields, ("maxInterval", max), ("maxDuration", max_duration), problems);
            }
            (Delays::Random { min, max }, ("minInterval", min))
        }
    };
    if let Some(max_duration) = max_duration {
        less(fields, shortest, ("maxDuration", max_duration), problems);
    }
    Some(delays)
}

fn factor(fields: &mut Fields<'_>, problems: &mut crate::problem::Problems) -> f64 {
    let Some(node) = fields.get("delayFactor") else { return FACTOR };
    match node.value.as_f64() {
        Some(factor) if factor >= 1.0 => factor,
        _ => {
            problems.push(node.wrong_type("a number of at least 1"));
            FACTOR
        }
    }
}

fn less(
    fields: &Fields<'_>,
    (short, shorter): (&'static str, SignedDuration),
    (long, longer): (&'static str, SignedDuration),
    problems: &mut crate::problem::Problems,
) {
    if shorter >= longer {
        let node = fields.node.get(short).unwrap_or_else(|| fields.node.clone());
        let message = format!("`{short}` must be less than `{long}` ({shorter} is not less than {longer})");
        problems.push(node.error("flow.retry", message));
    }
}
