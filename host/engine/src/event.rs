//! What may happen to an execution: the one way in. An event that does not fit the state is rejected, never ignored in silence.

use expr::{Map, Value};
use model::batch::Batches;
use model::change::{RenderId, TimerId};
use model::execution::{Execution, Failure};
use model::flow::Label;
use model::ids::{ExecutionId, TaskId, TaskRunId};
use model::state::State;
use serde::{Deserialize, Serialize};

/// One handed-out attempt. A result that names another generation or attempt than the state knows is stale.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct JobId {
    pub run: TaskRunId,
    /// From 1.
    pub attempt: u32,
    pub generation: u32,
}

/// Something that happened.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Event {
    /// The execution as asked for: inputs typed, labels of the flow merged in. The engine fills in history, variables and generation.
    /// One with a `failure` fails without having run: a check of the flow (`FAIL_EXECUTION`) wants it so.
    Start {
        execution: Box<Execution>,
    },
    /// The answer to `Command::Render`: values by the names asked for.
    Rendered {
        id: RenderId,
        result: Result<Map, Failure>,
    },
    /// The answer to `Command::Continue`.
    Continue,
    TaskStarted {
        job: JobId,
        epoch: u64,
    },
    EffectsBegan {
        job: JobId,
        epoch: u64,
    },
    TaskEnded {
        job: JobId,
        epoch: u64,
        outcome: Outcome,
    },
    /// The lease ran out or the node is gone.
    TaskLost {
        job: JobId,
        epoch: u64,
        effects: Effects,
    },
    /// A worker that ends in good order gives an unfinished attempt back: no loss, and it may run again.
    TaskReturned {
        job: JobId,
        epoch: u64,
    },
    /// One task of a WorkingDirectory, reported by the worker that runs the unit `job`.
    UnitTask {
        job: JobId,
        epoch: u64,
        task: TaskId,
        report: UnitReport,
    },
    TimerDue {
        id: TimerId,
    },
    ChildStarted {
        child: ExecutionId,
    },
    ChildEnded {
        child: ExecutionId,
        result: Result<ChildResult, Failure>,
    },
    /// The answer to `Command::Split`.
    Split {
        job: JobId,
        result: Result<Batches, Failure>,
    },
    /// The answer to `Command::Merge`.
    Merged {
        job: JobId,
        result: Result<Option<String>, Failure>,
    },
    SlotGranted {
        slot: u32,
    },
    /// None is free now.
    SlotRefused,
    Kill {
        cascade: bool,
    },
    Pause,
    /// Of one paused task run, or of all, and of what a pause of the execution or a breakpoint holds back. `inputs` are typed by the task's `onResume`.
    Resume {
        run: Option<TaskRunId>,
        inputs: Map,
    },
    /// Failed and paused task runs run again, or, with `from`, that task run and what comes after it (replay).
    Restart {
        from: Option<TaskRunId>,
    },
    /// Of a task run, or of an execution that has ended.
    ChangeState {
        run: Option<TaskRunId>,
        state: State,
    },
    SetLabels {
        labels: Vec<Label>,
    },
    /// The tasks to stop before; those passed already are passed.
    SetBreakpoints {
        tasks: Vec<TaskId>,
    },
    /// What waits for its time, a slot or somebody runs now.
    ForceRun,
    /// A queued execution leaves the queue into this state.
    Unqueue {
        state: State,
    },
}

/// How an attempt ended. Outputs are kept whatever the end.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Outcome {
    pub end: End,
    pub outputs: Value,
}

/// The end of an attempt.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum End {
    Success,
    Warning,
    Failed(Failure),
    Killed,
}

/// What is known of the effects of an attempt whose worker is gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Effects {
    /// It may run again: it had none, or the task's effects may be repeated.
    Repeatable,
    /// Nobody knows, and the task must not run twice.
    Unknown,
}

/// What a worker tells of one task in a WorkingDirectory.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum UnitReport {
    /// Its condition was false.
    Skipped,
    Started,
    /// This try failed and another follows.
    Retrying(Failure),
    Ended(Outcome),
}

/// How another execution ended.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ChildResult {
    pub state: State,
    /// The outputs of its flow.
    pub outputs: Map,
}

/// An event that does not fit. Nothing has changed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct Rejected {
    pub code: RejectCode,
    pub message: String,
}

/// What the sender can make of a rejection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RejectCode {
    /// It belongs to an earlier attempt, lease or generation: drop it.
    Stale,
    /// It has been dealt with already: drop it.
    Duplicate,
    /// It names something that is not there.
    Unknown,
    /// The execution is in a state in which this cannot be done: tell who asked.
    Conflict,
    /// Its content cannot be used: tell who asked.
    Invalid,
}

impl Rejected {
    pub(crate) fn new(code: RejectCode, message: impl Into<String>) -> Self {
        Self { code, message: message.into() }
    }
}
