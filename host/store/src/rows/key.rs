//! Keys of rows. A caller names a row by its parts; how a backend spells that is the backend's own.

use std::fmt;
use std::sync::Arc;

use jiff::Timestamp;
use model::ids::{ExecutionId, FlowKey, Namespace, TENANT, TaskRunId, TriggerId};
use serde::{Deserialize, Serialize};

use super::{Kind, NodeId, UniqueName};

/// A namespace of a tenant.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct NamespaceKey {
    pub tenant: Arc<str>,
    pub namespace: Namespace,
}

impl NamespaceKey {
    /// A namespace of the one tenant.
    pub fn main(namespace: Namespace) -> Self {
        Self { tenant: TENANT.into(), namespace }
    }

    /// The namespace a flow is in.
    pub fn of(flow: &FlowKey) -> Self {
        Self { tenant: Arc::clone(&flow.tenant), namespace: flow.namespace.clone() }
    }
}

impl fmt::Display for NamespaceKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.namespace)
    }
}

/// Whom a message, a timer or a log line belongs to.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Target {
    /// An execution.
    Execution(ExecutionId),
    /// A trigger of a flow.
    Trigger(FlowKey, TriggerId),
    /// A part of the server, by name: `retention`, `kv`.
    Service(Arc<str>),
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Target::Execution(id) => write!(f, "execution {id}"),
            Target::Trigger(flow, id) => write!(f, "trigger {flow}.{id}"),
            Target::Service(name) => write!(f, "service {name}"),
        }
    }
}

/// Which job: there is one per attempt.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct JobKey {
    pub execution: ExecutionId,
    pub task_run: TaskRunId,
    /// From 1.
    pub attempt: u32,
}

impl fmt::Display for JobKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}/{}", self.execution, self.task_run, self.attempt)
    }
}

/// Which timer. Putting it again moves it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct TimerKey {
    pub target: Target,
    /// Unique within the target.
    pub name: Arc<str>,
}

/// Which message.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct MessageKey {
    pub to: Target,
    /// The same however often its sender decides to send it.
    pub unique: Arc<str>,
}

/// Which document.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct DocumentKey {
    pub place: NamespaceKey,
    /// `app`, `test`, `dashboard`, `blueprint`: an open list.
    pub kind: Arc<str>,
    pub id: Arc<str>,
}

/// Which row.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Key {
    /// A flow and its revision.
    Flow(FlowKey, u32),
    Execution(ExecutionId),
    /// The last change that is in the snapshot.
    Snapshot(ExecutionId, u64),
    /// The change's sequence number, from 1.
    Change(ExecutionId, u64),
    TaskRun(ExecutionId, TaskRunId),
    Job(JobKey),
    Timer(TimerKey),
    Trigger(FlowKey, TriggerId),
    Kv(NamespaceKey, Arc<str>),
    Message(MessageKey),
    Unique(UniqueName),
    Secret(NamespaceKey, Arc<str>),
    /// A position, given by the store.
    Log(Target, u64),
    /// A position, given by the store.
    Metric(ExecutionId, u64),
    /// A path of the internal storage.
    File(Arc<str>),
    Node(NodeId),
    /// When, and a unique id.
    Audit(Timestamp, Arc<str>),
    Document(DocumentKey),
    Setting(Arc<str>),
}

impl Key {
    /// The kind of row it names.
    pub fn kind(&self) -> Kind {
        match self {
            Key::Flow(..) => Kind::Flow,
            Key::Execution(..) => Kind::Execution,
            Key::Snapshot(..) => Kind::Snapshot,
            Key::Change(..) => Kind::Change,
            Key::TaskRun(..) => Kind::TaskRun,
            Key::Job(..) => Kind::Job,
            Key::Timer(..) => Kind::Timer,
            Key::Trigger(..) => Kind::Trigger,
            Key::Kv(..) => Kind::Kv,
            Key::Message(..) => Kind::Message,
            Key::Unique(..) => Kind::Unique,
            Key::Secret(..) => Kind::Secret,
            Key::Log(..) => Kind::Log,
            Key::Metric(..) => Kind::Metric,
            Key::File(..) => Kind::File,
            Key::Node(..) => Kind::Node,
            Key::Audit(..) => Kind::Audit,
            Key::Document(..) => Kind::Document,
            Key::Setting(..) => Kind::Setting,
        }
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Key::Flow(flow, revision) => write!(f, "flow {flow} revision {revision}"),
            Key::Execution(id) => write!(f, "execution {id}"),
            Key::Snapshot(id, sequence) => write!(f, "snapshot {sequence} of execution {id}"),
            Key::Change(id, sequence) => write!(f, "change {sequence} of execution {id}"),
            Key::TaskRun(execution, id) => write!(f, "task run {id} of execution {execution}"),
            Key::Job(job) => write!(f, "job {job}"),
            Key::Timer(timer) => write!(f, "timer {} of {}", timer.name, timer.target),
            Key::Trigger(flow, id) => write!(f, "trigger {flow}.{id}"),
            Key::Kv(place, key) => write!(f, "key {key} of namespace {place}"),
            Key::Message(message) => write!(f, "message {} to {}", message.unique, message.to),
            Key::Unique(name) => write!(f, "unique key {name}"),
            Key::Secret(place, name) => write!(f, "secret {name} of namespace {place}"),
            Key::Log(target, position) => write!(f, "log line {position} of {target}"),
            Key::Metric(execution, position) => write!(f, "metric {position} of execution {execution}"),
            Key::File(path) => write!(f, "file {path}"),
            Key::Node(id) => write!(f, "node {id}"),
            Key::Audit(at, id) => write!(f, "audit entry {id} of {at}"),
            Key::Document(key) => write!(f, "{} {} of namespace {}", key.kind, key.id, key.place),
            Key::Setting(name) => write!(f, "setting {name}"),
        }
    }
}
