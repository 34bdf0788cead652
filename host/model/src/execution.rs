//! Executions and task runs as they are stored and shown.

use std::sync::Arc;

use expr::{Map, Value};
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::flow::Label;
use crate::ids::{ExecutionId, FlowKey, TaskId, TaskRunId, TriggerId};
use crate::state::{History, State};

/// The engine's semantics an execution was started under. It keeps them to its end.
pub const SEMANTICS: u32 = 1;

/// What an execution is for. Only NORMAL ones show in lists and count in statistics.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum Kind {
    #[default]
    Normal,
    Test,
    Playground,
}

/// One execution of a flow revision.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Execution {
    pub id: ExecutionId,
    pub flow: FlowKey,
    pub revision: u32,
    pub kind: Kind,
    /// See [`SEMANTICS`].
    pub semantics: u32,
    pub history: History,
    pub labels: Vec<Label>,
    /// Typed and validated; secrets in it are references.
    pub inputs: Map,
    /// The flow's variables as the execution sees them; `SetVariables` changes them.
    pub variables: Map,
    pub outputs: Map,
    pub trigger: Option<Triggered>,
    /// The task run of another execution that started this one.
    pub parent: Option<Parent>,
    /// The execution this one is a replay or a retry of.
    pub original: Option<ExecutionId>,
    /// From 1; a restart adds one.
    pub attempt: u32,
    /// Grows by one with every restart or change of state. Terminal wins within a generation.
    pub generation: u32,
    /// When the first of a row of executions started that a flow's retry makes in place of each other.
    pub retried_since: Option<Timestamp>,
    /// Not before this time.
    pub scheduled: Option<Timestamp>,
    /// Why it failed, where no task run tells.
    pub failure: Option<Failure>,
    /// Task ids to stop before.
    pub breakpoints: Vec<TaskId>,
}

impl Execution {
    /// The state now.
    pub fn state(&self) -> State {
        self.history.current()
    }
}

/// What started an execution.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Triggered {
    pub id: TriggerId,
    pub type_name: String,
    /// What expressions see as `trigger.*`.
    pub variables: Map,
    /// How many Flow triggers have started one another up to this execution; 0: none.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub depth: u32,
}

fn is_zero(number: &u32) -> bool {
    *number == 0
}

/// Who waits for an execution.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Parent {
    pub execution: ExecutionId,
    pub task_run: TaskRunId,
    /// Whether the parent's task run ends when this execution does.
    pub waits: bool,
}

/// One run of one task within an execution.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TaskRun {
    pub id: TaskRunId,
    pub task: TaskId,
    pub parent: Option<TaskRunId>,
    /// The value of the iteration, as text, where it is part of one.
    pub value: Option<String>,
    /// The position of the iteration, from 0.
    pub iteration: Option<u32>,
    pub history: History,
    pub attempts: Vec<Attempt>,
    pub outputs: Value,
    /// Names of outputs that are not among `outputs`, because they are large. A stored task run has all of them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub apart: Vec<Arc<str>>,
}

impl TaskRun {
    /// The state now.
    pub fn state(&self) -> State {
        self.history.current()
    }

    /// Whether it gave anything.
    pub fn has_outputs(&self) -> bool {
        !self.outputs.is_null() || !self.apart.is_empty()
    }
}

/// One try at a task run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Attempt {
    pub history: History,
    pub failure: Option<Failure>,
}

/// Why something failed, for people and programs.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Failure {
    /// Stable and open.
    pub code: String,
    pub message: String,
    /// `None`: nobody knows.
    pub retryable: Option<bool>,
}

impl Failure {
    /// A failure of which nobody knows whether another try would help.
    pub fn new(code: impl Into<String>, message: impl Into<String>) -> Self {
        Self { code: code.into(), message: message.into(), retryable: None }
    }
}
