//! Rows that make things happen: jobs with their leases, timers, messages and unique keys.

use std::fmt;
use std::sync::Arc;

use jiff::Timestamp;
use model::ids::{ExecutionId, FlowKey, TriggerId};
use serde::{Deserialize, Serialize};

use super::{Boot, JobKey, Key, MessageKey, NodeId, Payload, TimerKey};

/// Work for a worker: one attempt of a task run.
///
/// An expired lease is not given to the next worker: whether the attempt is lost, and what follows, is the engine's
/// decision. Find them by [`crate::Query::ExpiredLeases`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Job {
    pub key: JobKey,
    /// Which workers may take it: `default`, or the group a task names.
    pub queue: Arc<str>,
    /// Not before this time.
    pub due: Timestamp,
    /// How often it was leased: part of the fence. Grows, also over releases and restarts.
    pub epoch: u32,
    /// Who has it; `None`: nobody, it can be claimed.
    pub lease: Option<Lease>,
    /// What to do.
    pub work: Payload,
}

impl Job {
    /// A job nobody has yet.
    pub fn waiting(key: JobKey, queue: impl Into<Arc<str>>, due: Timestamp, work: Payload) -> Self {
        Self { key, queue: queue.into(), due, epoch: 0, lease: None, work }
    }

    /// The fence of the present lease; `None` if nobody has it.
    pub fn fence(&self) -> Option<Fence> {
        self.lease.as_ref().map(|_| Fence { job: self.key.clone(), epoch: self.epoch })
    }

    pub(super) fn stored_at(&self) -> Key {
        Key::Job(self.key.clone())
    }
}

/// Who has a job, and until when.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lease {
    pub node: NodeId,
    /// The node's start it belongs to: leases of an older one are void at once.
    pub boot: Boot,
    pub until: Timestamp,
}

/// What a worker's result must carry. It is stale as soon as the job is leased again, released or gone.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Fence {
    pub job: JobKey,
    pub epoch: u32,
}

/// Something to do at a time. Putting it again moves it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Timer {
    pub key: TimerKey,
    pub due: Timestamp,
    /// What its target is told.
    pub body: Payload,
}

impl Timer {
    pub(super) fn stored_at(&self) -> Key {
        Key::Timer(self.key.clone())
    }
}

/// An effect on somebody else. Sent in the commit that decides it ([`crate::Batch::send`]), drained in the commit that
/// takes it in ([`crate::Batch::drain`]); its key is remembered, so that sending it again does nothing.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Message {
    pub key: MessageKey,
    /// Its place in the order of sending, over all commits. Given by the store; 0 before.
    pub sent: u64,
    pub at: Timestamp,
    /// Empty once it is drained.
    pub body: Payload,
    pub drained: bool,
}

impl Message {
    /// A message that waits for its recipient.
    pub fn new(key: MessageKey, at: Timestamp, body: Payload) -> Self {
        Self { key, sent: 0, at, body, drained: false }
    }

    pub(super) fn stored_at(&self) -> Key {
        Key::Message(self.key.clone())
    }
}

/// A name that only one holder can have.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum UniqueName {
    /// One of the concurrency slots of a flow, from 0.
    Slot(FlowKey, u32),
    /// What a client sent to be told apart from its own retry: where, and its key.
    Idempotency(Arc<str>, Arc<str>),
    /// A trigger's firing at one scheduled time.
    Scheduled(FlowKey, TriggerId, Timestamp),
    /// Anything else, by name: singletons of the server.
    Named(Arc<str>),
}

impl fmt::Display for UniqueName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            UniqueName::Slot(flow, slot) => write!(f, "slot/{flow}/{slot}"),
            UniqueName::Idempotency(at, key) => write!(f, "idempotency/{at}/{key}"),
            UniqueName::Scheduled(flow, trigger, at) => write!(f, "scheduled/{flow}.{trigger}/{at}"),
            UniqueName::Named(name) => write!(f, "named/{name}"),
        }
    }
}

/// Who holds a unique key.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Holder {
    Execution(ExecutionId),
    /// Anybody else, by name.
    Named(Arc<str>),
}

impl fmt::Display for Holder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Holder::Execution(id) => write!(f, "execution {id}"),
            Holder::Named(name) => write!(f, "{name}"),
        }
    }
}

/// A unique key and its holder. Taken by [`crate::Batch::take`], given back by [`crate::Batch::delete`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct UniqueKey {
    pub name: UniqueName,
    pub holder: Holder,
    pub created: Timestamp,
    /// When it may be collected; it holds until it is.
    pub expires: Option<Timestamp>,
}

impl UniqueKey {
    pub(super) fn stored_at(&self) -> Key {
        Key::Unique(self.name.clone())
    }
}
