//! What can change in an execution: the records the store keeps, and the names of what an execution waits for.
//!
//! A change says what happened, never how to compute it: folding the same changes always gives the same state. Variants are only ever
//! added; one that changes its meaning gets a new [`FORMAT`] and a line in [`Record::upcast`].

use std::sync::Arc;

use expr::{Map, Value};
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use crate::batch::{Batches, Batching};
use crate::execution::{Execution, Failure, Triggered};
use crate::flow::Label;
use crate::ids::{ExecutionId, FlowId, Namespace, TaskId, TaskRunId};
use crate::state::State;
use crate::task::PauseBehavior;

/// The version written in front of every change.
pub const FORMAT: u32 = 1;

/// A change as it is stored.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Record {
    pub version: u32,
    pub change: Change,
}

/// A record of a later format than this program knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "change of format {found}, this version of sluice knows up to {FORMAT} (hint: use the version that wrote it, or a later one)"
)]
pub struct NewerFormat {
    pub found: u32,
}

impl Record {
    /// A change in today's format.
    pub fn new(change: Change) -> Self {
        Self { version: FORMAT, change }
    }

    /// The change in today's meaning. Older formats are translated here.
    pub fn upcast(self) -> Result<Change, NewerFormat> {
        match self.version {
            0..=FORMAT => Ok(self.change),
            found => Err(NewerFormat { found }),
        }
    }
}

/// Outputs of a task run that are stored with it and not in the state of its execution.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Apart {
    pub names: Vec<Arc<str>>,
    /// The task run that had them first, in an execution that this one replays: they are copied from there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub of: Option<(ExecutionId, TaskRunId)>,
}

/// One thing that happened to an execution.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Change {
    /// The execution exists.
    Created {
        execution: Box<Execution>,
    },
    /// The execution entered a state.
    Entered {
        state: State,
        at: Timestamp,
    },
    /// Restart, change of state: what was sent before belongs to another life, and why that one failed is told no more.
    Generation {
        generation: u32,
    },
    /// Why it failed, where no task run tells.
    Failed {
        failure: Failure,
    },
    /// All labels, replaced.
    Labels {
        labels: Vec<Label>,
    },
    /// All variables, replaced.
    Variables {
        variables: Map,
    },
    /// The outputs of the flow.
    FlowOutputs {
        outputs: Map,
    },
    /// The number of tries at the execution as a whole.
    Attempt {
        attempt: u32,
    },
    /// The execution is being ended before its time.
    Stopping {
        stop: Stop,
    },
    /// What was being ended has ended.
    StopOver,
    /// The flow's listener that is looked at.
    Listener {
        index: u32,
    },
    /// Somebody paused the execution: what has not begun is held back.
    Held {
        on: bool,
    },
    /// The tasks to stop before, replaced.
    Breakpoints {
        tasks: Vec<TaskId>,
    },
    /// This task run is held back, or no longer.
    RunHeld {
        run: TaskRunId,
        on: bool,
    },
    /// Everything is done, afterExecution too.
    Closed,

    /// A task run exists. `parent` is `None` at the top of the flow.
    RunCreated {
        run: TaskRunId,
        task: TaskId,
        parent: Option<TaskRunId>,
        value: Option<String>,
        iteration: Option<u32>,
        place: Place,
        at: Timestamp,
    },
    /// A task run entered a state.
    RunEntered {
        run: TaskRunId,
        state: State,
        at: Timestamp,
    },
    /// What a task run gave so far.
    Outputs {
        run: TaskRunId,
        outputs: Value,
        /// Large ones that are stored with the task run and not told here.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        apart: Option<Apart>,
    },
    /// A task run fails for a reason no attempt tells.
    RunFailed {
        run: TaskRunId,
        failure: Option<Failure>,
    },
    /// Task runs that are gone: of an earlier iteration of a loop, of an errors branch before a restart.
    RunsRemoved {
        runs: Vec<TaskRunId>,
    },
    /// Children of this phase run from here on. `parent` is `None` for the flow itself.
    Phase {
        parent: Option<TaskRunId>,
        phase: Phase,
    },
    /// What the properties of a task of the engine came to.
    Evaluated {
        run: TaskRunId,
        evaluated: Evaluated,
    },
    /// A loop begins its next iteration.
    Iteration {
        run: TaskRunId,
        iteration: u32,
    },
    /// A frame that had ended is open again, with this many lanes begun.
    Reopened {
        parent: Option<TaskRunId>,
        lanes: u32,
    },
    /// A frame has more to begin than one decision may.
    Backlog {
        parent: Option<TaskRunId>,
        waiting: bool,
    },
    /// A frame fails whatever its children do from here on (fail-fast, limits of a loop).
    Verdict {
        parent: Option<TaskRunId>,
        state: State,
    },
    /// A task that holds others may take this long, from each time it begins.
    TimeLimit {
        run: TaskRunId,
        limit: SignedDuration,
    },
    /// It took longer: what it holds is being ended, and it fails.
    Expired {
        run: TaskRunId,
    },

    /// A job was handed out. `timeout` counts from its start.
    JobSent {
        run: TaskRunId,
        attempt: u32,
        generation: u32,
        timeout: Option<SignedDuration>,
    },
    /// A worker took it.
    AttemptStarted {
        run: TaskRunId,
        attempt: u32,
        epoch: u64,
        at: Timestamp,
    },
    /// Its first effect on the world outside is about to happen.
    EffectsBegan {
        run: TaskRunId,
    },
    /// Its worker is gone, and it waits for another.
    JobLost {
        run: TaskRunId,
    },
    /// Its worker gave it back, and it waits for another.
    JobReturned {
        run: TaskRunId,
    },
    /// It was told to end.
    JobCancelled {
        run: TaskRunId,
        why: CancelReason,
    },
    /// An attempt ended; the job is gone.
    AttemptEnded {
        run: TaskRunId,
        attempt: u32,
        state: State,
        failure: Option<Failure>,
        at: Timestamp,
    },

    RenderAsked {
        id: RenderId,
    },
    RenderAnswered {
        id: RenderId,
    },
    TimerSet {
        id: TimerId,
        due: Timestamp,
    },
    TimerCleared {
        id: TimerId,
    },

    /// An execution of another flow was asked for by a task run.
    ChildAsked {
        run: TaskRunId,
        child: ExecutionId,
    },
    /// It exists.
    ChildStarted {
        run: TaskRunId,
        child: ExecutionId,
    },
    /// It ended, or never came to be.
    ChildEnded {
        child: ExecutionId,
    },

    /// A file is to be cut, or files to be gathered, for a task of a ForEachItem.
    FilesAsked {
        run: TaskRunId,
    },
    FilesAnswered {
        run: TaskRunId,
    },
    /// The `_items` task of a ForEachItem has so many batches to run, none of which has begun.
    ItemsBegun {
        run: TaskRunId,
        batches: u32,
    },
    /// Batches that did not end well are to run again.
    ItemsAgain {
        run: TaskRunId,
        again: Again,
    },
    /// A batch is under way: what its execution gets is being rendered.
    BatchBegun {
        run: TaskRunId,
        batch: u32,
    },
    /// This execution stands for the batch from here on. `ask`: it is to be made.
    BatchAsked {
        run: TaskRunId,
        batch: u32,
        child: ExecutionId,
        waits: bool,
        ask: Option<Box<Child>>,
    },
    /// A batch is not under way any more. One that nobody waits for ended well when it began.
    BatchEnded {
        run: TaskRunId,
        batch: u32,
        state: State,
        /// Whether there is an execution that can be restarted.
        made: bool,
    },
    /// A batch that was under way has not begun after all.
    BatchDropped {
        run: TaskRunId,
        batch: u32,
    },

    /// A concurrency slot is asked for.
    SlotAsked,
    /// None was free: the execution waits for one.
    SlotRefused,
    /// It holds this slot.
    SlotTaken {
        slot: u32,
    },
    /// It runs without one, by request.
    SlotWaived,
    SlotFreed,
    /// A rule of the flow was broken; it is not looked at again.
    SlaBreached {
        index: u32,
    },
}

/// Where among its parent's children a task run belongs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Place {
    pub phase: Phase,
    /// The iteration of a ForEach, the branch of a Parallel or Dag, the number of a listener.
    pub lane: u32,
    /// The position in the list of tasks.
    pub position: u32,
}

/// The parts of a flow or a flow-control task, in the order they run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Phase {
    /// Only of Pause: runs beside the waiting.
    OnPause,
    #[default]
    Main,
    Errors,
    Finally,
    /// Only of the flow: its outputs are rendered.
    Outputs,
    /// Only of the flow, after its end.
    Listeners,
    /// Only of the flow: afterExecution.
    After,
    Done,
}

/// What the properties of an engine task came to.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Evaluated {
    If {
        holds: bool,
    },
    Switch {
        branch: Branch,
    },
    /// ForEach: a list.
    Values {
        values: Value,
    },
    Loop {
        interval: SignedDuration,
        max_iterations: Option<u32>,
        max_duration: Option<SignedDuration>,
    },
    Pause {
        behavior: PauseBehavior,
    },
    Subflow(Box<Child>),
    Timeout {
        timeout: SignedDuration,
    },
    /// The `_split` of a ForEachItem.
    Split {
        items: String,
        batching: Batching,
    },
    /// ForEachItem: what its `_split` came to.
    Batches(Batches),
    /// The `_items` of a ForEachItem: what its executions have in common. Inputs and labels are each batch's own.
    Items(Box<Child>),
}

/// How batches that did not end well run again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Again {
    /// Their executions are restarted, where there are any.
    Restart,
    /// By other executions.
    Anew,
}

/// The branch a Switch takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Branch {
    Case(u32),
    Defaults,
}

/// An execution to be made of another flow.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Child {
    pub namespace: Namespace,
    pub flow: FlowId,
    /// `None`: the newest.
    pub revision: Option<u32>,
    pub inputs: Map,
    /// On top of those of the flow itself.
    pub labels: Vec<Label>,
    pub trigger: Option<Triggered>,
    /// Whether the task run ends when the execution does.
    pub wait: bool,
    /// Whether the task run takes over how the execution ended.
    pub transmit_failed: bool,
    /// Not before this time.
    pub scheduled: Option<Timestamp>,
}

/// Why a job was told to end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CancelReason {
    /// Its time was over.
    Timeout,
    /// Somebody or something ends it: it goes to this state.
    Stopped(State),
}

/// How an execution is ended before its time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stop {
    /// How it ends.
    pub state: State,
    /// Whether `errors` and `finally` of the flow run before the end.
    pub cleanup: Cleanup,
}

/// Which parts of the flow still run when an execution is stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Cleanup {
    None,
    Finally,
    ErrorsAndFinally,
}

/// What is to be rendered, and for what. The templates follow from it and the flow.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct RenderId {
    /// In whose eyes; `None`: the execution's.
    pub run: Option<TaskRunId>,
    pub purpose: RenderPurpose,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RenderPurpose {
    /// `runIf` of a task.
    RunIf,
    /// The properties the engine needs before the task begins, its timeout among them.
    Begin,
    /// The condition of a loop, after an iteration.
    LoopCondition,
    /// The old `outputs` of a Subflow task, in the eyes of the child execution.
    ChildOutputs,
    /// The outputs of the flow.
    FlowOutputs,
    /// The assertion of this SLA of the flow.
    Sla(u32),
    /// The conditions of this listener of the flow: a list of condition objects, answered by one boolean.
    Listener(u32),
    /// Inputs and labels of the execution for this batch of a ForEachItem.
    Batch(u32),
}

/// A moment an execution waits for.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct TimerId {
    pub run: Option<TaskRunId>,
    pub purpose: TimerPurpose,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TimerPurpose {
    /// The execution was asked for at a later time.
    Schedule,
    /// A SLA's longest duration is over.
    Sla(u32),
    /// A Sleep is over, a Pause's duration is over.
    Wake,
    /// A task has run too long.
    Timeout,
    /// The next attempt is due.
    Retry,
    /// The next iteration of a loop is due.
    Loop,
}
