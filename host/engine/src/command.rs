//! What the engine wants done. Every command but the notices can be derived again from the state (`State::outstanding`), so a crash
//! between a commit and the deed loses nothing.

use expr::{Map, Value};
use jiff::{SignedDuration, Timestamp};
use model::batch::Batching;
use model::change::{Child, RenderId, TimerId};
use model::execution::Failure;
use model::flow::Overflow;
use model::ids::{ExecutionId, FlowKey, TaskId, TaskRunId, TriggerId};
use model::state::State;
use serde::{Deserialize, Serialize};

use crate::event::JobId;

/// One thing to do.
#[derive(Clone, Debug, PartialEq)]
pub enum Command {
    /// Evaluate the templates and answer with `Event::Rendered`. Names keep their order.
    Render {
        id: RenderId,
        scope: RenderScope,
        templates: Vec<(&'static str, Value, Rendering)>,
    },
    /// Hand the attempt to a worker, which renders the task's own properties. Its lease must have this epoch or a higher one.
    Run {
        job: JobId,
        task: TaskId,
        epoch: u64,
        timeout: Option<SignedDuration>,
        work: Work,
    },
    /// End a running attempt: answered with `TaskEnded` or `TaskLost`.
    CancelRun {
        job: JobId,
    },
    SetTimer {
        id: TimerId,
        due: Timestamp,
    },
    ClearTimer {
        id: TimerId,
    },
    /// Make an execution; answer with `ChildStarted`, and with `ChildEnded` if it is waited for or cannot be made.
    StartChild {
        run: TaskRunId,
        child: ExecutionId,
        ask: Box<Child>,
    },
    /// Cut the file `items` (the URI of a file this execution may read) into batches, row by row: a row is what stands before each
    /// `batching.separator`, and what is left after the last one, if that is not empty; `batching.deal()` says for each row which batch
    /// it belongs to, `None` that there are too many. Each row is written to its batch with a separator behind it. The batches are files
    /// of the execution, under `<files of the execution>/tasks/<id of the _split task>/<job.run>/`, named by their number and with the
    /// extension of the file; the names follow from the job's run alone, so that cutting twice writes the same files again.
    /// Answer with `Event::Split`. A file that is not there, or not for this execution, is a failure of the task.
    Split {
        job: JobId,
        items: String,
        batching: Batching,
    },
    /// Write one file of this execution (`outputs.ion` in the folder of the job's run) with a line for each of these executions, in this order, that has outputs: the outputs of its
    /// flow as a JSON object. They all have ended. Answer with `Event::Merged`: the file's URI, or `None` where none of them has any.
    Merge {
        job: JobId,
        children: Vec<ExecutionId>,
    },
    /// Something for another execution or object, drained once by its key.
    Message {
        key: String,
        message: Message,
    },
    /// Take a slot of the flow: answered with `SlotGranted` or `SlotRefused`; a refused one is granted when a slot is freed.
    TakeSlot {
        flow: FlowKey,
        limit: u32,
        behavior: Overflow,
    },
    /// Give a slot back, if it is this execution's.
    FreeSlot {
        flow: FlowKey,
        slot: u32,
    },
    /// There is more to do than one decision may: answer with `Event::Continue`.
    Continue,
    /// Notice: the execution reached its end state; whoever waits may be told. A restart may follow.
    Ended {
        state: State,
        outputs: Map,
    },
    /// Notice: everything after the end is done as well.
    Closed,
    /// Notice: a line for the log of the task run or the execution.
    Log {
        run: Option<TaskRunId>,
        failure: Failure,
    },
}

/// In whose eyes templates are evaluated.
#[derive(Clone, Debug, PartialEq)]
pub enum RenderScope {
    Execution,
    Run(TaskRunId),
    /// Another execution's.
    Child(ExecutionId),
    /// The task run's, for one batch of a ForEachItem: `taskrun.items` and `taskrun.iteration` are the batch's.
    Batch {
        run: TaskRunId,
        batch: u32,
    },
}

/// What the answer to a template must be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rendering {
    /// The value of the expression, with its type; templates inside lists and maps too.
    Typed,
    /// Text.
    Text,
    /// A list of trigger conditions, answered by whether all hold.
    Conditions,
}

/// What a worker is to do.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Work {
    /// Run a plugin's task.
    Task,
    /// Run these tasks in order in one directory, reporting each by `Event::UnitTask`; the first that fails ends the unit.
    Unit { tasks: Vec<TaskId> },
}

/// What one execution asks of another, or of an object of the engine.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Message {
    Kill {
        execution: ExecutionId,
        cascade: bool,
    },
    Resume {
        execution: ExecutionId,
        inputs: Map,
    },
    /// A child that failed runs again, in place of a new one.
    Restart {
        execution: ExecutionId,
    },
    Toggle {
        namespace: String,
        flow: String,
        trigger: TriggerId,
        enabled: bool,
    },
    /// Make `execution` in place of the sender, not before `due`: the same flow revision, inputs, labels, trigger and parent, `attempt` and
    /// `retried_since` as given. The sender has ended RETRIED; who waits for it waits for the new one.
    Retry {
        execution: ExecutionId,
        attempt: u32,
        since: Timestamp,
        due: Timestamp,
    },
}
