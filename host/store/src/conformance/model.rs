//! The naive store: every row in one map, every question answered by looking at all of them and sorting.
//!
//! Written to be obviously right, and to share nothing with the backends: no encoded keys, no lists, no plans.

use std::cmp::{Ordering, Reverse};
use std::collections::BTreeMap;

use model::task::LogLevel;

use crate::query::{ExecutionFilter, LogFilter, LogScope};
use crate::rows::*;
use crate::{Batch, Claim, Conflict, Lsn, Precondition, Query, Step};

#[derive(Clone, Debug, Default)]
pub struct Model {
    rows: BTreeMap<Key, (Lsn, Row)>,
    /// In the order they were appended.
    lines: Vec<LogLine>,
    /// Messages that wait, in the order they were sent.
    waiting: Vec<MessageKey>,
}

impl Model {
    pub fn get(&self, key: &Key) -> Option<&(Lsn, Row)> {
        self.rows.get(key)
    }

    /// The batch's conflict, or nothing. The rows get the number `lsn` in the end.
    pub fn commit(&mut self, batch: &Batch, lsn: Lsn) -> Result<(), Conflict> {
        let mut next = self.clone();
        for precondition in &batch.require {
            match precondition {
                Precondition::Version(key, version) => {
                    let found = self.rows.get(key).map(|(version, _)| *version);
                    if found != Some(*version) {
                        return Err(Conflict::Version { key: key.clone(), found });
                    }
                }
                Precondition::Absent(key) if self.rows.contains_key(key) => return Err(Conflict::Exists(key.clone())),
                Precondition::Absent(_) => {}
                Precondition::Fence(fence) if self.leased(fence).is_none() => {
                    return Err(Conflict::Fence(fence.clone()));
                }
                Precondition::Fence(_) => {}
            }
        }
        for step in &batch.steps {
            next.step(step, lsn)?;
        }
        *self = next;
        Ok(())
    }

    fn step(&mut self, step: &Step, lsn: Lsn) -> Result<(), Conflict> {
        match step {
            Step::Put(row) => self.put(row.clone(), lsn),
            Step::Delete(key) => {
                self.rows.remove(key);
                self.waiting.retain(|waiting| *key != Key::Message(waiting.clone()));
            }
            Step::Append { execution, after, changes } => {
                let of = |row: &Row| match row {
                    Row::Change(change) if change.execution == *execution => change.sequence,
                    _ => 0,
                };
                let found = self.rows.values().map(|(_, row)| of(row)).max().unwrap_or(0);
                if found != *after {
                    return Err(Conflict::Sequence { execution: execution.clone(), expected: *after, found });
                }
                for (number, (at, change)) in changes.iter().enumerate() {
                    let sequence = after + number as u64 + 1;
                    let change = Change { execution: execution.clone(), sequence, at: *at, change: change.clone() };
                    self.put(change.into(), lsn);
                }
            }
            Step::Take(key) => match self.rows.get(&Key::Unique(key.name.clone())) {
                Some((_, Row::Unique(held))) if held.holder == key.holder => {}
                Some((_, Row::Unique(held))) => {
                    return Err(Conflict::Held { name: key.name.clone(), holder: held.holder.clone() });
                }
                _ => self.put(key.clone().into(), lsn),
            },
            Step::Send(message) => {
                if !self.rows.contains_key(&Key::Message(message.key.clone())) {
                    self.waiting.push(message.key.clone());
                    self.put(message.clone().into(), lsn);
                }
            }
            Step::Drain(key) => {
                let Some(place) = self.waiting.iter().position(|waiting| waiting == key) else {
                    return Err(Conflict::Drained(Key::Message(key.clone())));
                };
                self.waiting.remove(place);
                if let Some((_, Row::Message(message))) = self.rows.get(&Key::Message(key.clone())) {
                    let drained = Message { drained: true, body: Payload::empty(), ..Message::clone(message) };
                    self.put(drained.into(), lsn);
                }
            }
        }
        Ok(())
    }

    fn put(&mut self, row: Row, lsn: Lsn) {
        self.rows.insert(row.key(), (lsn, row));
    }

    pub fn leased(&self, fence: &Fence) -> Option<Job> {
        match self.rows.get(&Key::Job(fence.job.clone())) {
            Some((_, Row::Job(job))) if job.lease.is_some() && job.epoch == fence.epoch => Some(Job::clone(job)),
            _ => None,
        }
    }

    /// What a claim must give.
    pub fn claim(&mut self, claim: &Claim, lsn: Lsn) -> Vec<Job> {
        let due = Query::Claimable { queue: claim.queue.clone(), now: claim.now };
        let mut jobs = Vec::new();
        for row in self.answer(&due).into_iter().take(claim.limit) {
            let Row::Job(job) = row else { continue };
            let lease = Lease { node: claim.node.clone(), boot: claim.boot.clone(), until: claim.now + claim.lease };
            let job = Job { epoch: job.epoch + 1, lease: Some(lease), ..Job::clone(&job) };
            self.put(job.clone().into(), lsn);
            jobs.push(job);
        }
        jobs
    }

    /// Changes the leases that are not over; the others are the answer.
    pub fn each_leased(&mut self, fences: &[Fence], lsn: Lsn, change: impl Fn(&mut Job)) -> Vec<Fence> {
        let mut over = Vec::new();
        for fence in fences {
            match self.leased(fence) {
                None => over.push(fence.clone()),
                Some(mut job) => {
                    change(&mut job);
                    self.put(job.into(), lsn);
                }
            }
        }
        over
    }

    pub fn append_lines(&mut self, lines: &[LogLine]) {
        self.lines.extend_from_slice(lines);
    }

    /// What a removal of everything an execution has leaves.
    pub fn clear(&mut self, id: &model::ids::ExecutionId) {
        let target = Target::Execution(id.clone());
        self.rows.retain(|key, _| match key {
            Key::Execution(of) | Key::Snapshot(of, _) | Key::Change(of, _) | Key::TaskRun(of, _) => of != id,
            Key::Job(job) => job.execution != *id,
            Key::Timer(timer) => timer.target != target,
            Key::Message(message) => message.to != target,
            _ => true,
        });
        self.waiting.retain(|message| message.to != target);
        self.lines.retain(|line| line.of != target);
    }

    /// The messages of the lines that answer.
    pub fn lines(&self, filter: &LogFilter) -> Vec<String> {
        let mut lines: Vec<&LogLine> = match &filter.of {
            LogScope::Target { target, .. } => self.lines.iter().filter(|line| line.of == *target).collect(),
            LogScope::Flows { .. } => {
                let mut lines: Vec<&LogLine> = self.lines.iter().rev().collect();
                lines.sort_by_key(|line| Reverse(line.at));
                lines
            }
        };
        lines.retain(|line| line.level >= filter.least || filter.least == LogLevel::Trace);
        lines.iter().map(|line| line.message.to_string()).collect()
    }

    /// The rows that answer, in order.
    pub fn answer(&self, query: &Query) -> Vec<Row> {
        let all = self.rows.values().map(|(_, row)| row.clone()).filter(|row| row.kind() == query.kind());
        let mut rows: Vec<Row> = match query {
            Query::Recipients => return self.recipients(),
            Query::Inbox(target) => return self.inbox(target),
            Query::Flows { namespace, deleted } => {
                let mut newest = BTreeMap::new();
                for row in all {
                    if let Row::Flow(flow) = row {
                        newest.insert(flow.key.clone(), flow);
                    }
                }
                let shown =
                    newest.into_values().filter(|flow| (*deleted || !flow.deleted) && namespace.holds(&flow.key));
                return shown.map(Row::Flow).collect();
            }
            query => all.filter(|row| holds(query, row)).collect(),
        };
        rows.sort_by(|a, b| order(query, a, b));
        rows
    }

    fn inbox(&self, target: &Target) -> Vec<Row> {
        let to = self.waiting.iter().filter(|key| key.to == *target);
        to.filter_map(|key| self.rows.get(&Key::Message(key.clone()))).map(|(_, row)| row.clone()).collect()
    }

    fn recipients(&self) -> Vec<Row> {
        let mut targets: Vec<&Target> = self.waiting.iter().map(|key| &key.to).collect();
        targets.sort();
        targets.dedup();
        targets.into_iter().filter_map(|target| self.inbox(target).into_iter().next()).collect()
    }
}

fn holds(query: &Query, row: &Row) -> bool {
    match (query, row) {
        (Query::Revisions(key), Row::Flow(flow)) => flow.key == *key,
        (Query::Executions(filter), Row::Execution(execution)) => execution_holds(filter, execution),
        (Query::Changes { execution, after }, Row::Change(change)) => {
            change.execution == *execution && change.sequence > *after
        }
        (Query::TaskRuns(id), Row::TaskRun(run)) => run.execution == *id,
        (Query::Claimable { queue, now }, Row::Job(job)) => {
            job.lease.is_none() && job.queue == *queue && job.due <= *now
        }
        (Query::ExpiredLeases { now }, Row::Job(job)) => job.lease.as_ref().is_some_and(|lease| lease.until <= *now),
        (Query::LeasesOf(node), Row::Job(job)) => job.lease.as_ref().is_some_and(|lease| lease.node == *node),
        (Query::JobsOf(id), Row::Job(job)) => job.key.execution == *id,
        (Query::TimersDue { until }, Row::Timer(timer)) => timer.due <= *until,
        (Query::TimersOf(target), Row::Timer(timer)) => timer.key.target == *target,
        (Query::TriggersDue { until }, Row::Trigger(state)) => state.next.is_some_and(|next| next <= *until),
        (Query::KvIn { place, prefix }, Row::Kv(kv)) => kv.place == *place && kv.key.starts_with(&**prefix),
        (Query::Kv(namespace), Row::Kv(kv)) => namespace.holds_in(&kv.place.tenant, kv.place.namespace.as_str()),
        (Query::SlotsOf(flow), Row::Unique(key)) => matches!(&key.name, UniqueName::Slot(of, _) if of == flow),
        (Query::HeldBy(holder), Row::Unique(key)) => key.holder == *holder,
        (Query::Settings { prefix }, Row::Setting(setting)) => setting.name.starts_with(&**prefix),
        (query, _) => panic!("the model does not know {query:?}"),
    }
}

fn execution_holds(filter: &ExecutionFilter, execution: &Execution) -> bool {
    let record = &execution.record;
    (filter.kinds.is_empty() || filter.kinds.contains(&record.kind))
        && filter.namespace.holds(&record.flow)
        && (filter.flow.is_none() || filter.flow.as_ref() == Some(&record.flow))
        && (filter.states.is_empty() || filter.states.contains(&record.state()))
        && filter.labels.iter().all(|label| record.labels.contains(label))
        && filter.created.holds(execution.created)
}

fn order(query: &Query, a: &Row, b: &Row) -> Ordering {
    match (query, a, b) {
        (Query::Revisions(_), Row::Flow(a), Row::Flow(b)) => b.revision.cmp(&a.revision),
        (_, Row::Execution(a), Row::Execution(b)) => {
            (Reverse(a.created), &a.record.id).cmp(&(Reverse(b.created), &b.record.id))
        }
        (_, Row::TaskRun(a), Row::TaskRun(b)) => (a.order, &a.record.id).cmp(&(b.order, &b.record.id)),
        (Query::Claimable { .. }, Row::Job(a), Row::Job(b)) => (a.due, &a.key).cmp(&(b.due, &b.key)),
        (Query::ExpiredLeases { .. }, Row::Job(a), Row::Job(b)) => {
            let until = |job: &Job| job.lease.as_ref().map(|lease| lease.until);
            (until(a), &a.key).cmp(&(until(b), &b.key))
        }
        (Query::TimersDue { .. }, Row::Timer(a), Row::Timer(b)) => (a.due, &a.key).cmp(&(b.due, &b.key)),
        (Query::TriggersDue { .. }, Row::Trigger(a), Row::Trigger(b)) => {
            (a.next, &a.flow, &a.trigger).cmp(&(b.next, &b.flow, &b.trigger))
        }
        (_, a, b) => a.key().cmp(&b.key()),
    }
}
