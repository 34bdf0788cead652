//! A batch: what one commit requires and does. All of it happens, or nothing.

use jiff::Timestamp;
use model::ids::ExecutionId;

use crate::Lsn;
use crate::error::Error;
use crate::rows::{Fence, Key, Kind, Message, MessageKey, Payload, Record, Row, UniqueKey};

/// Most steps of one batch: a ForEach over 10,000 values decides some rows for each in one go.
pub const MAX_BATCH_STEPS: usize = 100_000;
/// Longest text in a row. Larger values are blobs that the row names.
pub const MAX_TEXT_BYTES: usize = 16 * 1024 * 1024;
/// Longest key of a row or of a list it is in: ids, paths and labels are names, not texts.
pub const MAX_KEY_BYTES: usize = 4 * 1024;
/// Most changes of one append: the mailbox drains up to 256 events into one commit, and an event makes many changes.
pub const MAX_APPEND: usize = 65_536;

/// What must be so for a batch to be committed. Looked at before any of its steps.
#[derive(Clone, Debug, PartialEq)]
pub enum Precondition {
    /// The row is there, in this version.
    Version(Key, Lsn),
    /// The row is not there.
    Absent(Key),
    /// The job is leased, in this epoch.
    Fence(Fence),
}

/// One thing a batch does. In order: a later step sees the earlier ones.
#[derive(Clone, Debug, PartialEq)]
pub enum Step {
    /// Writes a row, whether it is there or not.
    Put(Row),
    /// Removes a row; none there is no error.
    Delete(Key),
    /// Appends to the changes of an execution, which must end at `after`.
    Append {
        /// Whose changes.
        execution: ExecutionId,
        /// The last one before these; 0: there is none.
        after: u64,
        /// They get the numbers after `after`.
        changes: Vec<(Timestamp, Payload)>,
    },
    /// Takes a unique key. Held by another: the batch is refused. Held by the same: nothing happens.
    Take(UniqueKey),
    /// Sends a message. Sent before, drained or not: nothing happens.
    Send(Message),
    /// Takes a message in. Not there, or drained before: the batch is refused.
    Drain(MessageKey),
}

/// What one commit requires and does.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Batch {
    /// All must be so.
    pub require: Vec<Precondition>,
    /// All are done, in order.
    pub steps: Vec<Step>,
}

impl Batch {
    /// Nothing yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Whether committing it would do nothing.
    pub fn is_empty(&self) -> bool {
        self.require.is_empty() && self.steps.is_empty()
    }

    /// Requires something.
    pub fn require(&mut self, precondition: Precondition) -> &mut Self {
        self.require.push(precondition);
        self
    }

    /// Writes a row, whatever is there.
    pub fn put(&mut self, row: impl Into<Row>) -> &mut Self {
        self.steps.push(Step::Put(row.into()));
        self
    }

    /// Writes a row that must not be there yet.
    pub fn create(&mut self, row: impl Into<Row>) -> &mut Self {
        let row = row.into();
        self.require.push(Precondition::Absent(row.key()));
        self.steps.push(Step::Put(row));
        self
    }

    /// Writes a row that must still have this version.
    pub fn replace(&mut self, version: Lsn, row: impl Into<Row>) -> &mut Self {
        let row = row.into();
        self.require.push(Precondition::Version(row.key(), version));
        self.steps.push(Step::Put(row));
        self
    }

    /// Removes a row.
    pub fn delete(&mut self, key: Key) -> &mut Self {
        self.steps.push(Step::Delete(key));
        self
    }

    /// Appends changes of an execution after its last one.
    pub fn append(&mut self, execution: ExecutionId, after: u64, changes: Vec<(Timestamp, Payload)>) -> &mut Self {
        self.steps.push(Step::Append { execution, after, changes });
        self
    }

    /// Takes a unique key.
    pub fn take(&mut self, key: UniqueKey) -> &mut Self {
        self.steps.push(Step::Take(key));
        self
    }

    /// Sends a message.
    pub fn send(&mut self, message: Message) -> &mut Self {
        self.steps.push(Step::Send(message));
        self
    }

    /// Takes a message in.
    pub fn drain(&mut self, message: MessageKey) -> &mut Self {
        self.steps.push(Step::Drain(message));
        self
    }

    /// What every backend refuses alike, before it looks at anything stored.
    pub(crate) fn check(&self) -> Result<(), Error> {
        within("a batch's number of steps", self.steps.len(), MAX_BATCH_STEPS)?;
        within("a batch's number of preconditions", self.require.len(), MAX_BATCH_STEPS)?;
        for step in &self.steps {
            match step {
                Step::Put(row) => check_put(row)?,
                Step::Append { changes, .. } => {
                    within("an append's number of changes", changes.len(), MAX_APPEND)?;
                    changes.iter().try_for_each(|(_, change)| check_payload(change))?;
                }
                Step::Send(message) => check_payload(&message.body)?,
                Step::Delete(Key::Change(..)) => {
                    return Err(Error::Misuse("changes are not deleted one by one: clear them".into()));
                }
                Step::Delete(_) | Step::Take(_) | Step::Drain(_) => {}
            }
        }
        Ok(())
    }
}

fn check_put(row: &Row) -> Result<(), Error> {
    match row {
        Row::Change(_) | Row::Log(_) | Row::Metric(_) | Row::Message(_) | Row::Unique(_) => {
            Err(Error::Misuse(format!("a `{:?}` is not put: append, send or take it", row.kind())))
        }
        Row::Flow(flow) => within("a flow's source", flow.source.len(), MAX_TEXT_BYTES),
        Row::Document(document) => within("a document's source", document.source.len(), MAX_TEXT_BYTES),
        Row::Secret(secret) => within("a sealed secret", secret.sealed.len(), MAX_TEXT_BYTES),
        Row::Snapshot(snapshot) => check_payload(&snapshot.state),
        Row::Job(job) => check_payload(&job.work),
        Row::Timer(timer) => check_payload(&timer.body),
        Row::Trigger(trigger) => check_payload(&trigger.memory),
        Row::Audit(audit) => check_payload(&audit.details),
        Row::Setting(setting) => check_payload(&setting.value),
        Row::Execution(_) | Row::TaskRun(_) | Row::Kv(_) | Row::File(_) | Row::Node(_) => Ok(()),
    }
}

fn check_payload(payload: &Payload) -> Result<(), Error> {
    within("a payload", payload.json.len(), MAX_TEXT_BYTES)
}

/// Refuses what is over a limit.
pub(crate) fn within(what: &'static str, found: usize, limit: usize) -> Result<(), Error> {
    if found > limit { Err(Error::Limit { what, found, limit }) } else { Ok(()) }
}

/// The version a row was read with, for `replace`.
impl<T: Record> crate::rows::Stored<std::sync::Arc<T>> {
    /// Requires that the row is still as it was read.
    pub fn unchanged(&self) -> Precondition {
        Precondition::Version(self.row.row_key(), self.version)
    }

    /// Its kind.
    pub fn kind(&self) -> Kind {
        T::KIND
    }
}
