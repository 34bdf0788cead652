//! Rows of an execution: its shown record, its changes and snapshots, its task runs, logs and metrics.
//!
//! The changes are the truth of an execution; the other rows are written for readers in the same commit. A commit
//! puts the shown record only when what is shown has changed.

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::Timestamp;
use model::ids::{ExecutionId, FlowKey, TaskId, TaskRunId};
use model::lock::Lock;
use model::task::LogLevel;
use serde::{Deserialize, Serialize};

use super::{Key, Payload, Target};

/// An execution as it is shown and listed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Execution {
    pub record: model::execution::Execution,
    /// The last change that is in `record`.
    pub sequence: u64,
    /// The last snapshot, as the sequence it holds; 0: none yet.
    pub snapshot: u64,
    /// The lock it runs with, where that is not the lock of its flow revision (a candidate on trial, an unsaved flow).
    pub lock: Option<Arc<Lock>>,
    /// When it was created: lists are in this order, newest first. Never changes.
    pub created: Timestamp,
}

impl Execution {
    pub(super) fn stored_at(&self) -> Key {
        Key::Execution(self.record.id.clone())
    }
}

/// The whole state of an execution up to one of its changes: reading begins here.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Snapshot {
    pub execution: ExecutionId,
    /// The last change that is in it.
    pub sequence: u64,
    pub state: Payload,
}

impl Snapshot {
    pub(super) fn stored_at(&self) -> Key {
        Key::Snapshot(self.execution.clone(), self.sequence)
    }
}

/// One change of an execution. Only appended ([`crate::Batch::append`]), never put.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Change {
    pub execution: ExecutionId,
    /// From 1, without gaps.
    pub sequence: u64,
    pub at: Timestamp,
    /// The engine's change.
    pub change: Payload,
}

impl Change {
    pub(super) fn stored_at(&self) -> Key {
        Key::Change(self.execution.clone(), self.sequence)
    }
}

/// A task run as it is shown.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TaskRun {
    pub execution: ExecutionId,
    pub record: model::execution::TaskRun,
    /// Its place among the task runs of the execution: they are listed in this order.
    pub order: u64,
}

impl TaskRun {
    pub(super) fn stored_at(&self) -> Key {
        Key::TaskRun(self.execution.clone(), self.record.id.clone())
    }
}

/// One line of log, masked before it comes here. Only appended ([`crate::Store::append_logs`]), never put.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LogLine {
    /// An execution, or the trigger or service that spoke without one.
    pub of: Target,
    /// Where it is in the log: grows with every line of a store, with gaps. Given by the store; 0 before.
    pub position: u64,
    pub at: Timestamp,
    pub level: LogLevel,
    /// The flow it belongs to, for searching across executions.
    pub flow: Option<FlowKey>,
    pub task: Option<TaskId>,
    pub task_run: Option<TaskRunId>,
    /// From 1; 0 where there is none.
    pub attempt: u32,
    pub message: Arc<str>,
    /// Pairs beside the message, as the plugin gave them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub fields: Vec<(String, String)>,
}

impl LogLine {
    pub(super) fn stored_at(&self) -> Key {
        Key::Log(self.of.clone(), self.position)
    }
}

/// One measurement of a task run. Only appended ([`crate::Store::append_metrics`]), never put.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Metric {
    pub execution: ExecutionId,
    /// As [`LogLine::position`].
    pub position: u64,
    pub at: Timestamp,
    pub flow: FlowKey,
    pub task: TaskId,
    pub task_run: TaskRunId,
    pub name: Arc<str>,
    pub kind: MetricKind,
    /// Timers: seconds.
    pub value: f64,
    pub tags: BTreeMap<String, String>,
}

impl Metric {
    pub(super) fn stored_at(&self) -> Key {
        Key::Metric(self.execution.clone(), self.position)
    }
}

/// What a metric measures.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum MetricKind {
    Counter,
    Timer,
}
