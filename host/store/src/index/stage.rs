//! A commit being worked out: checks a batch against what is there and gathers what it changes, rows and index entries
//! alike. Changes nothing itself; dropped, it leaves no trace.

use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::Arc;

use model::ids::ExecutionId;

use super::encode::{KeyBuf, KeyBytes, after_prefix};
use super::keys;
use super::plan;
use super::table::{At, Entry, Ordered};
use crate::Lsn;
use crate::batch::{Batch, MAX_KEY_BYTES, Precondition, Step, within};
use crate::error::{Conflict, Error};
use crate::query::Query;
use crate::rows::{
    Change, Fence, Job, Key, Kind, Lease, LogLine, Message, MessageKey, Metric, Payload, Record, Row, Stored, UniqueKey,
};
use crate::store::{Claim, Clear};
use crate::watch::{Topic, topics_of_key, topics_of_row};

/// What a commit does to rows: enough to do it again.
#[derive(Clone, Debug, PartialEq)]
pub enum Effect {
    /// The row is written.
    Put(Row),
    /// The row with this key is removed.
    Delete(KeyBuf),
}

/// What a commit changes.
#[derive(Debug, Default)]
pub struct Outcome {
    /// Rows, in the order they were written.
    pub effects: Vec<Effect>,
    /// Every key that changes, rows and index entries.
    pub changes: BTreeMap<KeyBuf, Option<Entry>>,
    /// What to hint at.
    pub topics: Vec<Topic>,
}

/// A commit being worked out.
pub struct Stage<'a> {
    base: &'a dyn Ordered,
    lsn: Lsn,
    /// Messages sent so far.
    sent: u64,
    outcome: Outcome,
}

impl<'a> Stage<'a> {
    /// A commit with this number over what is there.
    pub fn new(base: &'a dyn Ordered, lsn: Lsn) -> Self {
        Self { base, lsn, sent: 0, outcome: Outcome::default() }
    }

    /// What it changes.
    pub fn done(self) -> Outcome {
        self.outcome
    }

    /// Works a whole batch out.
    pub fn batch(&mut self, batch: Batch) -> Result<(), Error> {
        for precondition in &batch.require {
            self.require(precondition)?;
        }
        self.outcome.effects.reserve(batch.steps.len());
        for step in batch.steps {
            match step {
                Step::Put(row) => self.put(row)?,
                Step::Delete(key) => self.delete(&keys::key_bytes(&key))?,
                Step::Append { execution, after, changes } => self.append(&execution, after, changes)?,
                Step::Take(key) => self.take(key)?,
                Step::Send(message) => self.send(message)?,
                Step::Drain(message) => self.drain(&message)?,
            }
        }
        Ok(())
    }

    fn require(&self, precondition: &Precondition) -> Result<(), Error> {
        match precondition {
            Precondition::Version(key, version) => match self.find(&keys::key_bytes(key))? {
                Some(found) if found.version == *version => Ok(()),
                found => {
                    let found = found.map(|found| found.version);
                    Err(Conflict::Version { key: key.clone(), found }.into())
                }
            },
            Precondition::Absent(key) => match self.find(&keys::key_bytes(key))? {
                None => Ok(()),
                Some(_) => Err(Conflict::Exists(key.clone()).into()),
            },
            Precondition::Fence(fence) => {
                self.leased(fence)?.map(drop).ok_or_else(|| Conflict::Fence(fence.clone()).into())
            }
        }
    }

    /// The job of a lease that is not over.
    pub fn leased(&self, fence: &Fence) -> Result<Option<Arc<Job>>, Error> {
        let found = self.find_as::<Job>(&Key::Job(fence.job.clone()))?;
        Ok(found.filter(|job| job.lease.is_some() && job.epoch == fence.epoch))
    }

    fn find(&self, key: &[u8]) -> Result<Option<Stored<Row>>, Error> {
        match self.get(key)? {
            Some(Entry::Row(row)) => Ok(Some(row)),
            Some(Entry::Points(_)) => Err(Error::Corrupt { what: "an index entry is where a row should be".into() }),
            None => Ok(None),
        }
    }

    fn find_as<T: Record>(&self, key: &Key) -> Result<Option<Arc<T>>, Error> {
        let found = self.find(&keys::key_bytes(key))?;
        Ok(found.as_ref().and_then(Stored::typed::<T>).map(|found| found.row))
    }

    /// Writes a row and its index entries.
    pub fn put(&mut self, row: Row) -> Result<(), Error> {
        let key = keys::key_bytes(&row.key());
        let old = self.find(&key)?;
        self.write(key, row, old)
    }

    /// Writes a row that cannot be there yet.
    fn put_new(&mut self, row: Row) -> Result<(), Error> {
        self.write(keys::key_bytes(&row.key()), row, None)
    }

    fn write(&mut self, key: KeyBuf, row: Row, old: Option<Stored<Row>>) -> Result<(), Error> {
        let mut entries = keys::entries(&row);
        let longest = entries.iter().map(|entry| entry.len()).chain([key.len()]).max().unwrap_or(0);
        within("a key (an id, a path, a label)", longest, MAX_KEY_BYTES)?;
        if let Some(old) = old {
            for stale in keys::entries(&old.row) {
                if !entries.contains(&stale) {
                    self.outcome.changes.insert(stale, None);
                } else if !self.outcome.changes.contains_key(&stale) {
                    // Already there and right.
                    entries.retain(|entry| *entry != stale);
                }
            }
        }
        if !entries.is_empty() {
            let points: Arc<[u8]> = Arc::from(&*key);
            for entry in entries {
                self.outcome.changes.insert(entry, Some(Entry::Points(Arc::clone(&points))));
            }
        }
        topics_of_row(&row, &mut self.outcome.topics);
        self.outcome.effects.push(Effect::Put(row.clone()));
        self.outcome.changes.insert(key, Some(Entry::Row(Stored { version: self.lsn, row })));
        Ok(())
    }

    /// Removes a row and its index entries; none there is no error.
    pub fn delete(&mut self, key: &[u8]) -> Result<(), Error> {
        let Some(old) = self.find(key)? else { return Ok(()) };
        for stale in keys::entries(&old.row) {
            self.outcome.changes.insert(stale, None);
        }
        topics_of_key(&old.row.key(), &mut self.outcome.topics);
        self.outcome.effects.push(Effect::Delete(key.into()));
        self.outcome.changes.insert(key.into(), None);
        Ok(())
    }

    fn append(
        &mut self,
        execution: &ExecutionId,
        after: u64,
        changes: Vec<(jiff::Timestamp, Payload)>,
    ) -> Result<(), Error> {
        if !self.ends_at(execution, after)? {
            let found = self.last_change(execution)?;
            return Err(Conflict::Sequence { execution: execution.clone(), expected: after, found }.into());
        }
        for (sequence, (at, change)) in (after + 1..).zip(changes) {
            self.put_new(Change { execution: execution.clone(), sequence, at, change }.into())?;
        }
        Ok(())
    }

    /// Whether the changes of an execution end there. They have no gaps and the last one always stays, so two lookups
    /// tell, which are cheaper than one search; only at the beginning there is nothing to look up.
    fn ends_at(&self, execution: &ExecutionId, after: u64) -> Result<bool, Error> {
        if after == 0 {
            return Ok(self.last_change(execution)? == 0);
        }
        let changes = keys::kind(Kind::Change).text(execution.as_str());
        let (key, next) = (changes.clone().u64(after).into_vec(), changes.u64(after.saturating_add(1)).into_vec());
        self.ends(&key, &next)
    }

    fn last_change(&self, execution: &ExecutionId) -> Result<u64, Error> {
        let prefix = keys::kind(Kind::Change).text(execution.as_str()).into_vec();
        match self.last_in(&prefix)? {
            Some((_, Entry::Row(row))) => Ok(row.typed::<Change>().map_or(0, |change| change.sequence)),
            _ => Ok(0),
        }
    }

    fn take(&mut self, key: UniqueKey) -> Result<(), Error> {
        match self.find_as::<UniqueKey>(&key.row_key())? {
            None => self.put(key.into()),
            Some(held) if held.holder == key.holder => Ok(()),
            Some(held) => Err(Conflict::Held { name: key.name, holder: held.holder.clone() }.into()),
        }
    }

    fn send(&mut self, message: Message) -> Result<(), Error> {
        match self.find(&keys::key_bytes(&message.row_key()))? {
            Some(_) => Ok(()),
            None => {
                let sent = first_position(self.lsn) + self.sent;
                self.sent += 1;
                self.put(Message { sent, drained: false, ..message }.into())
            }
        }
    }

    fn drain(&mut self, key: &MessageKey) -> Result<(), Error> {
        let key = Key::Message(key.clone());
        match self.find_as::<Message>(&key)? {
            Some(message) if !message.drained => {
                let mut message = Message::clone(&message);
                message.drained = true;
                message.body = Payload::empty();
                self.put(message.into())
            }
            _ => Err(Conflict::Drained(key).into()),
        }
    }

    /// Appends log lines. Their positions come from the number of the commit, so that they grow without being counted.
    pub fn logs(&mut self, lines: Vec<LogLine>) -> Result<(), Error> {
        for (position, line) in (first_position(self.lsn)..).zip(lines) {
            self.put_new(LogLine { position, ..line }.into())?;
        }
        Ok(())
    }

    /// Appends metrics.
    pub fn metrics(&mut self, metrics: Vec<Metric>) -> Result<(), Error> {
        for (position, metric) in (first_position(self.lsn)..).zip(metrics) {
            self.put_new(Metric { position, ..metric }.into())?;
        }
        Ok(())
    }

    /// Leases due jobs.
    pub fn claim(&mut self, claim: &Claim, due: &Query) -> Result<Vec<Arc<Job>>, Error> {
        let found = plan::part(self.base, due, None, claim.limit, claim.limit)?;
        let until = claim.now.saturating_add(claim.lease).unwrap_or(claim.now);
        let mut jobs = Vec::with_capacity(found.rows.len());
        for job in found.rows.iter().filter_map(Stored::typed::<Job>) {
            let lease = Lease { node: claim.node.clone(), boot: claim.boot.clone(), until };
            let job = Arc::new(Job { epoch: job.epoch + 1, lease: Some(lease), ..Job::clone(&job.row) });
            self.put(Arc::clone(&job).into())?;
            jobs.push(job);
        }
        Ok(jobs)
    }

    /// Makes leases last longer. Which are over.
    pub fn renew(&mut self, fences: Vec<Fence>, until: jiff::Timestamp) -> Result<Vec<Fence>, Error> {
        let mut over = Vec::new();
        for fence in fences {
            match self.leased(&fence)? {
                None => over.push(fence),
                Some(job) => {
                    let lease = job.lease.clone().map(|lease| Lease { until, ..lease });
                    self.put(Job { lease, ..Job::clone(&job) }.into())?;
                }
            }
        }
        Ok(over)
    }

    /// Gives leases back.
    pub fn release(&mut self, fences: Vec<Fence>) -> Result<(), Error> {
        for fence in fences {
            if let Some(job) = self.leased(&fence)? {
                self.put(Job { lease: None, ..Job::clone(&job) }.into())?;
            }
        }
        Ok(())
    }

    /// Removes what a target has, at most `limit` rows. How many, and whether there is more.
    pub fn clear(&mut self, what: &Clear, limit: usize) -> Result<(usize, bool), Error> {
        let mut removed = 0;
        for (mut from, upto) in clear_ranges(what) {
            while let Some((key, _)) = self.base.first(&from, &upto)? {
                if removed == limit {
                    return Ok((removed, true));
                }
                removed += 1;
                self.delete(&key)?;
                from = key.into_vec();
                from.push(0);
            }
        }
        Ok((removed, false))
    }

    fn last_in(&self, prefix: &[u8]) -> Result<Option<At>, Error> {
        let upto = after_prefix(prefix).unwrap_or_default();
        self.last(prefix, &upto)
    }
}

/// Places a commit has for its lines or messages, as a power of two: more than a batch has steps, and room for 2^44
/// commits.
const PLACES: u32 = 20;
const _: () = assert!(crate::store::MAX_LINES < 1 << PLACES && crate::batch::MAX_BATCH_STEPS < 1 << PLACES);

fn first_position(lsn: Lsn) -> u64 {
    (lsn.0 << PLACES) + 1
}

/// The ranges of keys that a removal is about, in the order they are removed.
fn clear_ranges(what: &Clear) -> Vec<(Vec<u8>, Vec<u8>)> {
    let all = |prefix: KeyBytes| {
        let from = prefix.into_vec();
        let upto = after_prefix(&from).unwrap_or_default();
        (from, upto)
    };
    match what {
        Clear::Changes { execution, upto } => {
            let changes = keys::kind(Kind::Change).text(execution.as_str());
            vec![(changes.clone().into_vec(), changes.u64(*upto).into_vec())]
        }
        Clear::Snapshots { execution, before } => {
            // Newest first: those before one are after it.
            let snapshots = keys::kind(Kind::Snapshot).text(execution.as_str());
            let upto = after_prefix(&snapshots.clone().into_vec()).unwrap_or_default();
            vec![(snapshots.u64(!before.saturating_sub(1)).into_vec(), upto)]
        }
        Clear::Logs(target) => vec![all(keys::target(keys::kind(Kind::Log), target))],
        Clear::Metrics(execution) => vec![all(keys::kind(Kind::Metric).text(execution.as_str()))],
        Clear::Inbox(target) => vec![all(keys::target(keys::kind(Kind::Message), target))],
        Clear::Execution(id) => {
            let target = crate::rows::Target::Execution(id.clone());
            vec![
                all(keys::kind(Kind::Job).text(id.as_str())),
                all(keys::target(keys::kind(Kind::Timer), &target)),
                all(keys::target(keys::kind(Kind::Message), &target)),
                all(keys::target(keys::kind(Kind::Log), &target)),
                all(keys::kind(Kind::Metric).text(id.as_str())),
                all(keys::kind(Kind::TaskRun).text(id.as_str())),
                all(keys::kind(Kind::Change).text(id.as_str())),
                all(keys::kind(Kind::Snapshot).text(id.as_str())),
                all(keys::kind(Kind::Execution).text(id.as_str())),
            ]
        }
    }
}

/// What is there together with what the commit has changed so far.
impl Ordered for Stage<'_> {
    fn ends(&self, key: &[u8], next: &[u8]) -> Result<bool, Error> {
        if self.outcome.changes.contains_key(key) || self.outcome.changes.contains_key(next) {
            return Ok(self.get(key)?.is_some() && self.get(next)?.is_none());
        }
        self.base.ends(key, next)
    }

    fn get(&self, key: &[u8]) -> Result<Option<Entry>, Error> {
        match self.outcome.changes.get(key) {
            Some(changed) => Ok(changed.clone()),
            None => self.base.get(key),
        }
    }

    fn first(&self, from: &[u8], upto: &[u8]) -> Result<Option<At>, Error> {
        let mut from = from.to_vec();
        loop {
            let below = self.base.first(&from, upto)?;
            let over = self.outcome.changes.range::<[u8], _>((Bound::Included(&*from), Bound::Excluded(upto))).next();
            let (key, entry) = match (below, over) {
                (None, None) => return Ok(None),
                (Some(below), None) => return Ok(Some(below)),
                (Some(below), Some((key, _))) if below.0 < *key => return Ok(Some(below)),
                (_, Some(over)) => over,
            };
            match entry {
                Some(entry) => return Ok(Some((key.clone(), entry.clone()))),
                None => from = [key, &[0][..]].concat(),
            }
        }
    }

    fn last(&self, from: &[u8], upto: &[u8]) -> Result<Option<At>, Error> {
        let mut upto = upto.to_vec();
        loop {
            if *from >= *upto {
                return Ok(None);
            }
            let below = self.base.last(from, &upto)?;
            let over =
                self.outcome.changes.range::<[u8], _>((Bound::Included(from), Bound::Excluded(&*upto))).next_back();
            let (key, entry) = match (below, over) {
                (None, None) => return Ok(None),
                (Some(below), None) => return Ok(Some(below)),
                (Some(below), Some((key, _))) if below.0 > *key => return Ok(Some(below)),
                (_, Some(over)) => over,
            };
            match entry {
                Some(entry) => return Ok(Some((key.clone(), entry.clone()))),
                None => upto = key.to_vec(),
            }
        }
    }
}
