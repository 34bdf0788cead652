//! How each question is answered from ordered keys.
//!
//! A question becomes groups of prefixes: a row answers if, in every group, one of the prefixes has an entry with the
//! row's suffix. All lists of one question sort alike, so the groups are walked together, each jumping to where the
//! others are: the cost follows the rarest group, whichever that is. What no list serves is looked at row by row, and
//! bounded.

use std::collections::VecDeque;

use model::task::LogLevel;

use super::encode::{KeyBuf, KeyBytes, after_prefix, key_of, texts_len};
use super::keys::{self, executions, lines, tag};
use super::matches::matches;
use super::table::{At, Entry, Ordered};
use crate::error::Error;
use crate::query::{ExecutionFilter, LogFilter, LogScope, NamespaceMatch, Query, Within};
use crate::rows::{Kind, Row, Stored};

/// Most keys read ahead of one list: enough that a step costs little, and no more than is looked at under one hold of the lock.
const AHEAD_MAX: usize = 256;

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

/// A part of a count.
pub struct Counted {
    pub count: usize,
    /// As of a [`Part`].
    pub next: Option<KeyBuf>,
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
    let mut walk = Walk::new(view, &plan, after);
    let mut rows = Vec::new();
    while rows.len() < size && walk.examined < budget {
        let Some(entry) = walk.step()? else { break };
        rows.extend(row_of(view, entry)?.filter(|row| matches(query, &row.row)));
    }
    Ok(Part { rows, next: walk.last, examined: walk.examined })
}

/// How many rows there are after a suffix: as [`part`], without the rows where the lists say all.
pub fn count(
    view: &dyn Ordered,
    query: &Query,
    after: Option<&[u8]>,
    size: usize,
    budget: usize,
) -> Result<Counted, Error> {
    if !is_told_by_lists(query) {
        let part = part(view, query, after, size, budget)?;
        return Ok(Counted { count: part.rows.len(), next: part.next, examined: part.examined });
    }
    let plan = plan(query);
    let mut walk = Walk::new(view, &plan, after);
    let mut count = 0;
    while count < size && walk.examined < budget && walk.step()?.is_some() {
        count += 1;
    }
    Ok(Counted { count, next: walk.last, examined: walk.examined })
}

fn row_of(view: &dyn Ordered, entry: Entry) -> Result<Option<Stored<Row>>, Error> {
    match entry {
        Entry::Row(row) => Ok(Some(row)),
        Entry::Points(key) => match view.get(&key)? {
            Some(Entry::Row(row)) => Ok(Some(row)),
            _ => Ok(None),
        },
    }
}

/// A walk through the lists of a plan, suffix by suffix.
struct Walk<'a> {
    view: &'a dyn Ordered,
    plan: &'a Plan,
    /// By group and prefix of the plan.
    lists: Vec<Vec<Ahead<'a>>>,
    /// Where to go on; `None`: there is nothing more.
    from: Option<Vec<u8>>,
    /// The last suffix that was looked at, if there may be more after it.
    last: Option<KeyBuf>,
    examined: usize,
}

impl<'a> Walk<'a> {
    fn new(view: &'a dyn Ordered, plan: &'a Plan, after: Option<&[u8]>) -> Self {
        let from = match after {
            None => Some(plan.from.clone()),
            Some(after) => plan.skip.past(after).map(|from| from.max(plan.from.clone())),
        };
        let ahead = |prefix: &'a Vec<u8>| Ahead::new(prefix, plan.upto.as_deref());
        let lists = plan.groups.iter().map(|group| group.iter().map(ahead).collect()).collect();
        Self { view, plan, lists, from, last: None, examined: 0 }
    }

    /// The next suffix that every group has: what it leads to.
    fn step(&mut self) -> Result<Option<Entry>, Error> {
        let Some(from) = self.from.take() else { return Ok(None) };
        let Some((suffix, entry)) = self.agreed(from)? else {
            self.last = None;
            return Ok(None);
        };
        self.examined += 1;
        self.from = self.plan.skip.past(&suffix);
        self.last = self.from.is_some().then_some(suffix);
        Ok(Some(entry))
    }

    /// The first suffix from a place on that every group has.
    fn agreed(&mut self, mut at: Vec<u8>) -> Result<Option<At>, Error> {
        let mut found: Option<At> = None;
        'again: loop {
            for (number, group) in self.lists.iter_mut().enumerate() {
                let mut first: Option<&At> = None;
                for list in group {
                    let next = list.first(self.view, &at)?;
                    first = match (first, next) {
                        (Some(first), Some(next)) if next.0 >= first.0 => Some(first),
                        (first, None) => first,
                        (_, next) => next,
                    };
                }
                let Some(first) = first else { return Ok(None) };
                let agrees = *first.0 == *at;
                if !agrees {
                    at.clear();
                    at.extend_from_slice(&first.0);
                }
                match number {
                    0 => found = Some((key_of(&first.0), first.1.clone())),
                    _ if agrees => {}
                    _ => continue 'again,
                }
            }
            return Ok(found);
        }
    }
}

/// What stands next in one list. Who goes on step by step is read ahead for, twice as far each time; who jumps is read ahead for less.
struct Ahead<'a> {
    prefix: &'a [u8],
    /// Of suffixes; `None`: no bound.
    upto: Option<&'a [u8]>,
    /// By suffix, in order.
    found: VecDeque<At>,
    /// The suffix that was first until the last step.
    before: KeyBuf,
    size: usize,
    /// Where the rest of the list is read from; `None`: there is none.
    rest: Option<Vec<u8>>,
}

impl<'a> Ahead<'a> {
    fn new(prefix: &'a [u8], upto: Option<&'a [u8]>) -> Self {
        let before = KeyBuf::new();
        Self { prefix, upto, found: VecDeque::new(), before, size: 1, rest: Some(Vec::new()) }
    }

    /// The first suffix from a place on, which is never before the last one that was asked for.
    fn first(&mut self, view: &dyn Ordered, from: &[u8]) -> Result<Option<&At>, Error> {
        while self.found.front().is_some_and(|(suffix, _)| **suffix < *from) {
            if let Some((suffix, _)) = self.found.pop_front() {
                self.before = suffix;
            }
        }
        while self.found.is_empty() {
            let Some(rest) = self.rest.take() else { return Ok(None) };
            let is_next = from.strip_suffix(&[0]) == Some(&*self.before);
            // A jump now and then is no reason to begin again: two lists that agree nearly everywhere are walked step by step.
            self.size = if is_next { (self.size * 2).min(AHEAD_MAX) } else { (self.size / 4).max(1) };
            let from = if *rest > *from { &*rest } else { from };
            let start = [self.prefix, from].concat();
            let end = match self.upto {
                Some(upto) => Some([self.prefix, upto].concat()),
                None => after_prefix(self.prefix),
            };
            let Some(end) = end.filter(|end| start < *end) else { return Ok(None) };
            let suffix = |key: &[u8]| key_of(key.get(self.prefix.len()..).unwrap_or_default());
            let stretch = view.stretch(&start, &end, self.size)?;
            self.found = stretch.found.into_iter().map(|(key, entry)| (suffix(&key), entry)).collect();
            self.rest = stretch.next.map(|key| KeyBuf::into_vec(suffix(&key)));
        }
        Ok(self.found.front())
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
        Self::of(vec![vec![prefix.into_vec()]])
    }

    /// What all groups have.
    fn of(groups: Vec<Vec<Vec<u8>>>) -> Self {
        Self { groups, from: Vec::new(), upto: None, skip: Skip::Nothing }
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
    Plan::of(groups).within(&filter.created)
}

fn plan_logs(filter: &LogFilter) -> Plan {
    let is_listed = lines::LISTED.contains(&filter.least);
    let listed = |list: &dyn Fn(LogLevel) -> KeyBytes| {
        let levels = lines::LISTED.iter().filter(|level| **level >= filter.least);
        Plan::of(vec![levels.map(|level| list(*level).into_vec()).collect()])
    };
    match &filter.of {
        LogScope::Target { target, after } => {
            let from = KeyBytes::suffix().u64(after.saturating_add(1));
            let plan = match is_listed {
                true => listed(&|level| lines::of_target(level, target)),
                false => Plan::all(keys::target(keys::kind(Kind::Log), target)),
            };
            plan.from(from)
        }
        LogScope::Flows { .. } => {
            let plan = if is_listed { listed(&lines::all) } else { Plan::all(KeyBytes::new(tag::LOGS)) };
            plan.within(&filter.at)
        }
    }
}

/// Whether the lists of a question say all of it: a row that is in them need not be looked at.
fn is_told_by_lists(query: &Query) -> bool {
    match query {
        Query::Executions(filter) => {
            let in_lists =
                matches!((&filter.namespace, &filter.flow), (NamespaceMatch::Any, _) | (NamespaceMatch::Tree(_), None));
            in_lists && filter.trigger.is_none() && filter.text.is_none()
        }
        Query::Logs(filter) => {
            let of = match &filter.of {
                LogScope::Target { .. } => filter.at == Within::ALWAYS,
                LogScope::Flows { namespace, flow } => *namespace == NamespaceMatch::Any && flow.is_none(),
            };
            let level = filter.least == LogLevel::Trace || lines::LISTED.contains(&filter.least);
            let rest =
                filter.task.is_none() && filter.task_run.is_none() && filter.attempt.is_none() && filter.text.is_none();
            of && level && rest
        }
        Query::TaskRuns(_) => true,
        _ => false,
    }
}
