//! How each question is answered from ordered keys.
//!
//! A question becomes groups of prefixes: a row answers if, in every group, one of the prefixes has an entry with the
//! row's suffix. All lists of one question sort alike, so the groups are walked together, each jumping to where the
//! others are: the cost follows the rarest group, whichever that is. What no list serves is looked at row by row, and
//! bounded.

use super::encode::{KeyBuf, KeyBytes, after_prefix, texts_len};
use super::keys::{self, executions, tag};
use super::matches::matches;
use super::table::{At, Entry, Ordered};
use crate::error::Error;
use crate::query::{ExecutionFilter, LogFilter, LogScope, NamespaceMatch, Query, Within};
use crate::rows::{Kind, Row, Stored};

/// How the questions of one kind are walked.
struct Plan {
    /// All groups must have the suffix, in one of their prefixes.
    groups: Vec<Vec<Vec<u8>>>,
    /// The first suffix that can answer.
    from: Vec<u8>,
    /// The first suffix after all that can; `None`: no bound.
    upto: Option<Vec<u8>>,
    /// What to skip after a suffix was looked at.
    skip: Skip,
}

#[derive(Clone, Copy)]
enum Skip {
    /// Nothing but the suffix itself.
    Nothing,
    /// The other revisions of the same flow.
    Revisions,
    /// The other messages to the same target.
    Messages,
}

/// A part of an answer.
pub struct Part {
    pub rows: Vec<Stored<Row>>,
    /// The last suffix looked at, if there may be more after it.
    pub next: Option<KeyBuf>,
    /// How many suffixes were looked at.
    pub examined: usize,
}

/// The rows after a suffix: at most `size` of them, looking at no more than `budget`.
pub fn part(
    view: &dyn Ordered,
    query: &Query,
    after: Option<&[u8]>,
    size: usize,
    budget: usize,
) -> Result<Part, Error> {
    let plan = plan(query);
    let mut part = Part { rows: Vec::new(), next: None, examined: 0 };
    let mut from = match after {
        None => plan.from.clone(),
        Some(after) => match plan.skip.past(after) {
            Some(from) => from.max(plan.from.clone()),
            None => return Ok(part),
        },
    };
    loop {
        if part.rows.len() >= size || part.examined >= budget {
            return Ok(part);
        }
        let Some((suffix, entry)) = plan.next(view, &from)? else {
            part.next = None;
            return Ok(part);
        };
        part.examined += 1;
        let row = match entry {
            Entry::Row(row) => Some(row),
            Entry::Points(key) => match view.get(&key)? {
                Some(Entry::Row(row)) => Some(row),
                _ => None,
            },
        };
        part.rows.extend(row.filter(|row| matches(query, &row.row)));
        match plan.skip.past(&suffix) {
            Some(past) => from = past,
            None => {
                part.next = None;
                return Ok(part);
            }
        }
        part.next = Some(suffix);
    }
}

impl Plan {
    /// The first suffix from `from` on that every group has.
    fn next(&self, view: &dyn Ordered, from: &[u8]) -> Result<Option<At>, Error> {
        let mut at = from.to_vec();
        'again: loop {
            let mut found: Option<At> = None;
            for group in &self.groups {
                let Some((suffix, entry)) = self.first_of(view, group, &at)? else { return Ok(None) };
                match &found {
                    Some((agreed, _)) if *agreed != suffix => {
                        at = suffix.into_vec();
                        continue 'again;
                    }
                    Some(_) => {}
                    None => {
                        at = suffix.to_vec();
                        found = Some((suffix, entry));
                    }
                }
            }
            return Ok(found);
        }
    }

    /// The first suffix from `from` on that one of the prefixes has.
    fn first_of(&self, view: &dyn Ordered, group: &[Vec<u8>], from: &[u8]) -> Result<Option<At>, Error> {
        let mut first: Option<At> = None;
        for prefix in group {
            let start = [prefix, from].concat();
            let end = match (&self.upto, &first) {
                (_, Some((best, _))) => Some([prefix, &**best].concat()),
                (Some(upto), None) => Some([prefix, &**upto].concat()),
                (None, None) => after_prefix(prefix),
            };
            let Some(end) = end.filter(|end| start < *end) else { continue };
            if let Some((key, entry)) = view.first(&start, &end)? {
                first = Some((key.get(prefix.len()..).unwrap_or_default().into(), entry));
            }
        }
        Ok(first)
    }
}

impl Skip {
    /// Where to go on after a suffix; `None`: there is nothing after it.
    fn past(self, suffix: &[u8]) -> Option<Vec<u8>> {
        let len = match self {
            Skip::Nothing => None,
            Skip::Revisions => texts_len(suffix, 3),
            Skip::Messages => keys::target_len(suffix),
        };
        match len.and_then(|len| suffix.get(..len)) {
            Some(shared) => after_prefix(shared),
            None => Some([suffix, &[0]].concat()),
        }
    }
}

impl Plan {
    /// All keys with a prefix.
    fn all(prefix: KeyBytes) -> Self {
        Self { groups: vec![vec![prefix.into_vec()]], from: Vec::new(), upto: None, skip: Skip::Nothing }
    }

    fn from(mut self, from: KeyBytes) -> Self {
        self.from = from.into_vec();
        self
    }

    fn upto(mut self, upto: Option<Vec<u8>>) -> Self {
        self.upto = upto;
        self
    }

    fn skip(mut self, skip: Skip) -> Self {
        self.skip = skip;
        self
    }

    /// Keys that go on with a tenant and a namespace: those that can match.
    fn in_namespace(mut self, namespace: &NamespaceMatch) -> Self {
        let start = match namespace {
            NamespaceMatch::Any => return self,
            NamespaceMatch::Exact(place) => keys::place(KeyBytes::suffix(), place),
            NamespaceMatch::Tree(place) => KeyBytes::suffix().text(&place.tenant).text_start(place.namespace.as_str()),
        };
        self.from = start.into_vec();
        self.upto = after_prefix(&self.from);
        self
    }

    /// An index that begins with a time: what is due at or before one.
    fn due(index: KeyBytes, until: jiff::Timestamp) -> Self {
        let upto = after_prefix(&KeyBytes::suffix().oldest(until).into_vec());
        Self::all(index).upto(upto)
    }

    /// An index that begins with a time, newest first: what is within a range.
    fn within(mut self, within: &Within) -> Self {
        // Newest first turns the ends around: `until` (exclusive) begins, `from` (inclusive) ends.
        let after = |at| after_prefix(&KeyBytes::suffix().newest(at).into_vec());
        self.from = within.until.and_then(after).unwrap_or_default();
        self.upto = within.from.and_then(after);
        self
    }
}

fn plan(query: &Query) -> Plan {
    let of = keys::kind;
    match query {
        Query::Flows { namespace, .. } => Plan::all(of(Kind::Flow)).skip(Skip::Revisions).in_namespace(namespace),
        Query::Revisions(key) => Plan::all(keys::flow(of(Kind::Flow), key)),
        Query::Executions(filter) => plan_executions(filter),
        Query::Snapshots(id) => Plan::all(of(Kind::Snapshot).text(id.as_str())),
        Query::Changes { execution, after } => {
            Plan::all(of(Kind::Change).text(execution.as_str())).from(KeyBytes::suffix().u64(after.saturating_add(1)))
        }
        Query::TaskRuns(id) => Plan::all(KeyBytes::new(tag::TASK_RUNS).text(id.as_str())),
        Query::Claimable { queue, now } => Plan::due(KeyBytes::new(tag::CLAIMABLE).text(queue), *now),
        Query::ExpiredLeases { now } => Plan::due(KeyBytes::new(tag::LEASES_UNTIL), *now),
        Query::LeasesOf(node) => Plan::all(KeyBytes::new(tag::LEASES_NODE).text(&node.0)),
        Query::JobsOf(id) => Plan::all(of(Kind::Job).text(id.as_str())),
        Query::TimersDue { until } => Plan::due(KeyBytes::new(tag::TIMERS_DUE), *until),
        Query::TimersOf(target) => Plan::all(keys::target(of(Kind::Timer), target)),
        Query::Inbox(target) => Plan::all(keys::target(KeyBytes::new(tag::INBOX), target)),
        Query::Recipients => Plan::all(KeyBytes::new(tag::INBOX)).skip(Skip::Messages),
        Query::TriggersDue { until } => Plan::due(KeyBytes::new(tag::TRIGGERS_DUE), *until),
        Query::Triggers { flow: Some(flow), .. } => Plan::all(keys::flow(of(Kind::Trigger), flow)),
        Query::Triggers { namespace, flow: None } => Plan::all(of(Kind::Trigger)).in_namespace(namespace),
        Query::KvIn { place, prefix } => Plan::all(keys::place(of(Kind::Kv), place).text_start(prefix)),
        Query::Kv(namespace) => Plan::all(of(Kind::Kv)).in_namespace(namespace),
        Query::KvExpired { now } => Plan::due(KeyBytes::new(tag::KV_EXPIRES), *now),
        Query::Secrets(namespace) => Plan::all(of(Kind::Secret)).in_namespace(namespace),
        Query::SlotsOf(flow) => Plan::all(keys::slots(of(Kind::Unique), flow)),
        Query::HeldBy(holder) => Plan::all(keys::holder(KeyBytes::new(tag::HELD_BY), holder)),
        Query::UniqueExpired { now } => Plan::due(KeyBytes::new(tag::UNIQUE_EXPIRES), *now),
        Query::Logs(filter) => plan_logs(filter),
        Query::Metrics { execution, after } => {
            Plan::all(of(Kind::Metric).text(execution.as_str())).from(KeyBytes::suffix().u64(after.saturating_add(1)))
        }
        Query::Files { prefix } => Plan::all(of(Kind::File).text_start(prefix)),
        Query::FilesOf(blob) => Plan::all(KeyBytes::new(tag::FILES_BLOB).text(&blob.0)),
        Query::Nodes => Plan::all(of(Kind::Node)),
        Query::Audit(within) => Plan::all(of(Kind::Audit)).within(within),
        Query::Documents { kind, namespace } => Plan::all(of(Kind::Document).text(kind)).in_namespace(namespace),
        Query::Settings { prefix } => Plan::all(of(Kind::Setting).text_start(prefix)),
    }
}

fn plan_executions(filter: &ExecutionFilter) -> Plan {
    let kinds = if filter.kinds.is_empty() { &executions::KINDS[..] } else { &filter.kinds };
    let per_kind = |list: &dyn Fn(model::execution::Kind) -> KeyBytes| -> Vec<Vec<u8>> {
        kinds.iter().map(|kind| list(*kind).into_vec()).collect()
    };
    let mut groups = Vec::new();
    if let Some(parent) = &filter.parent {
        groups.push(per_kind(&|kind| executions::children(kind, parent)));
    }
    for label in &filter.labels {
        groups.push(per_kind(&|kind| executions::labelled(kind, label)));
    }
    match (&filter.flow, &filter.namespace) {
        (Some(flow), _) => groups.push(per_kind(&|kind| executions::of_flow(kind, flow))),
        (None, NamespaceMatch::Exact(place) | NamespaceMatch::Tree(place)) => {
            groups.push(per_kind(&|kind| executions::in_tree(kind, &place.tenant, place.namespace.as_str())));
        }
        (None, NamespaceMatch::Any) => {}
    }
    if !filter.states.is_empty() {
        let in_states =
            kinds.iter().flat_map(|kind| filter.states.iter().map(|state| executions::in_state(*kind, *state)));
        groups.push(in_states.map(KeyBytes::into_vec).collect());
    }
    if groups.is_empty() {
        groups.push(per_kind(&executions::all));
    }
    Plan { groups, from: Vec::new(), upto: None, skip: Skip::Nothing }.within(&filter.created)
}

fn plan_logs(filter: &LogFilter) -> Plan {
    match &filter.of {
        LogScope::Target { target, after } => {
            let from = KeyBytes::suffix().u64(after.saturating_add(1));
            Plan::all(keys::target(keys::kind(Kind::Log), target)).from(from)
        }
        LogScope::Flows { .. } => Plan::all(KeyBytes::new(tag::LOGS)).within(&filter.at),
    }
}
