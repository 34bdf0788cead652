//! Commands of the engine: what each becomes in the commit, and what is done once the commit is made.

use std::sync::Arc;

use engine::{ChildResult, Command, Effects, Event, JobId, Message, Work};
use jiff::{SignedDuration, Timestamp};
use model::batch::Batching;
use model::change::{Change, Child, TimerId};
use model::execution::Failure;
use model::ids::{ExecutionId, FlowKey, TaskId, TaskRunId};
use store::rows::{self, JobKey, Key, Lease, MessageKey, Payload, Target, TimerKey};
use store::{Batch, Query, View};

use super::{FORMAT, Hot, Turn, unwritable};
use crate::error::Error;
use crate::leases::LEASE;
use crate::mailbox::Envelope;
use crate::node::Node;

/// The queue of workers that tasks go to unless they name another.
const QUEUE: &str = "default";
/// Jobs of one execution looked at when it is recovered: more than can be handed out at once.
const JOBS_MAX: usize = 100_000;

/// What is done after the commit.
pub(super) enum After {
    Run {
        job: JobId,
        task: TaskId,
        timeout: Option<SignedDuration>,
        work: Work,
        epoch: u64,
    },
    Cancel(JobId),
    Timer(TimerKey, Timestamp),
    StartChild {
        run: TaskRunId,
        child: ExecutionId,
        ask: Box<Child>,
    },
    Split {
        job: JobId,
        items: String,
        batching: Batching,
    },
    Merge {
        job: JobId,
        children: Vec<ExecutionId>,
    },
    /// Somebody has mail.
    Deliver(ExecutionId),
    /// Triggers have mail.
    TriggerMail,
    /// A slot was freed.
    WakeQueue(FlowKey),
    /// No slot of this flow was free, of so many.
    LookAgain {
        flow: FlowKey,
        limit: u32,
    },
    /// There is more to decide.
    Continue,
    Log {
        run: Option<TaskRunId>,
        failure: Failure,
    },
}

/// The key of an execution's timer.
pub(super) fn timer_key(id: &ExecutionId, timer: &TimerId) -> TimerKey {
    let run = timer.run.as_ref().map_or("", |run| run.as_str());
    TimerKey { target: Target::Execution(id.clone()), name: format!("{:?}/{run}", timer.purpose).into() }
}

/// The row by which an execution is found at the next start that has ended, and has something to do after its end: a timer that never fires.
fn after_end(id: &ExecutionId) -> TimerKey {
    TimerKey { target: Target::Execution(id.clone()), name: "after-end".into() }
}

/// From now on, a start has to look after the execution although it has ended.
pub(super) fn mark_after_end(id: &ExecutionId, turn: &mut Turn) -> Result<(), Error> {
    let body = Payload::of(FORMAT, &()).map_err(unwritable)?;
    turn.batch.put(rows::Timer { key: after_end(id), due: Timestamp::MAX, body });
    Ok(())
}

/// It need not any more.
pub(super) fn unmark_after_end(id: &ExecutionId, turn: &mut Turn) {
    turn.batch.delete(Key::Timer(after_end(id)));
}

/// The task runs whose shown row a change puts out of date.
pub(crate) fn touched(change: &Change, mut touch: impl FnMut(&TaskRunId)) {
    match change {
        Change::RunCreated { run, .. }
        | Change::RunEntered { run, .. }
        | Change::Outputs { run, .. }
        | Change::RunFailed { run, .. }
        | Change::AttemptStarted { run, .. }
        | Change::AttemptEnded { run, .. } => touch(run),
        Change::RunsRemoved { runs } => runs.iter().for_each(touch),
        _ => {}
    }
}

/// Rows that end with a change.
pub(super) fn rows_of(id: &ExecutionId, change: &Change, batch: &mut Batch) {
    match change {
        Change::AttemptEnded { run, attempt, .. } => {
            let key = JobKey { execution: id.clone(), task_run: run.clone(), attempt: *attempt };
            batch.delete(Key::Job(key));
        }
        Change::TimerCleared { id: timer } => {
            batch.delete(Key::Timer(timer_key(id, timer)));
        }
        _ => {}
    }
}

/// What a command becomes in the commit.
pub(super) fn record(
    node: &Arc<Node>,
    id: &ExecutionId,
    turn: &mut Turn,
    command: Command,
    now: Timestamp,
) -> Result<(), Error> {
    match command {
        Command::Render { .. } | Command::TakeSlot { .. } | Command::FreeSlot { .. } => {}
        Command::Run { job, task, epoch, timeout, work } => {
            // The job is leased to this node in the commit that makes it, so that nobody need claim it.
            let key = JobKey { execution: id.clone(), task_run: job.run.clone(), attempt: job.attempt };
            let lease = Lease { node: node.id.clone(), boot: node.boot.clone(), until: now + LEASE };
            let work_row = Payload::of(FORMAT, &(&job, &task, &work)).map_err(unwritable)?;
            let mut row = rows::Job::waiting(key, QUEUE, now, work_row);
            row.epoch = u32::try_from(epoch).unwrap_or(u32::MAX);
            row.lease = Some(lease);
            turn.batch.put(row);
            turn.after.push(After::Run { job, task, timeout, work, epoch });
        }
        Command::Split { job, items, batching } => turn.after.push(After::Split { job, items, batching }),
        Command::Merge { job, children } => turn.after.push(After::Merge { job, children }),
        Command::CancelRun { job } => turn.after.push(After::Cancel(job)),
        Command::SetTimer { id: timer, due } => {
            let key = timer_key(id, &timer);
            let body = Payload::of(FORMAT, &timer).map_err(unwritable)?;
            turn.batch.put(rows::Timer { key: key.clone(), due, body });
            turn.after.push(After::Timer(key, due));
        }
        Command::ClearTimer { id: timer } => {
            turn.batch.delete(Key::Timer(timer_key(id, &timer)));
        }
        Command::StartChild { run, child, ask } => {
            turn.after.push(After::StartChild { run, child, ask });
        }
        Command::Message { key, message } => send(node, id, turn, key, message, now)?,
        Command::Continue => turn.after.push(After::Continue),
        Command::Ended { state, outputs } => {
            if let Some(execution) = turn.hot.state.execution().cloned()
                && let Some(parent) = execution.parent.as_ref().filter(|parent| parent.waits)
            {
                let event = Event::ChildEnded { child: id.clone(), result: Ok(ChildResult { state, outputs }) };
                let key = format!("child/{id}/{}", execution.generation);
                post_row(turn, &parent.execution, key, &event, now)?;
            }
        }
        Command::Closed => {}
        Command::Log { run, failure } => turn.after.push(After::Log { run, failure }),
    }
    Ok(())
}

/// A message to another execution, or to an object of the engine.
fn send(
    node: &Node,
    id: &ExecutionId,
    turn: &mut Turn,
    key: String,
    message: Message,
    now: Timestamp,
) -> Result<(), Error> {
    // The sender's id is part of the key: two executions may ask the same of a third.
    let key = format!("{id}/{key}");
    match message {
        Message::Kill { execution, cascade } => post_row(turn, &execution, key, &Event::Kill { cascade }, now),
        Message::Resume { execution, inputs } => {
            post_row(turn, &execution, key, &Event::Resume { run: None, inputs }, now)
        }
        Message::Restart { execution } => post_row(turn, &execution, key, &Event::Restart { from: None }, now),
        // The start of the one to come is a message of this commit, so that a crash cannot come between them.
        Message::Retry { execution: next, attempt, due, since } => {
            let Some(record) = turn.hot.state.execution().cloned() else { return Ok(()) };
            let again = node.next_try(&turn.hot.saved, &record, next.clone(), attempt, due, since);
            post_row(turn, &next, key, &Event::Start { execution: Box::new(again) }, now)
        }
        Message::Toggle { namespace, flow, trigger, enabled } => {
            let flow = crate::flows::key(&namespace, &flow);
            crate::triggers::post_switch(&mut turn.batch, key, flow, trigger, enabled, now)?;
            turn.after.push(After::TriggerMail);
            Ok(())
        }
    }
}

fn post_row(turn: &mut Turn, to: &ExecutionId, key: String, event: &Event, now: Timestamp) -> Result<(), Error> {
    let key = MessageKey { to: Target::Execution(to.clone()), unique: key.into() };
    turn.batch.send(rows::Message::new(key, now, Payload::of(FORMAT, event).map_err(unwritable)?));
    turn.after.push(After::Deliver(to.clone()));
    Ok(())
}

/// Does what was decided. The commit is made but perhaps not durable: nothing of it may leave the process here.
pub(super) fn perform(node: &Arc<Node>, id: &ExecutionId, hot: &Hot, after: After) {
    match after {
        After::Run { job, task, timeout, work, epoch } => {
            let assignment = crate::worker::Assignment {
                execution: id.clone(),
                state: hot.state.clone(),
                saved: hot.saved.clone(),
                job,
                task,
                timeout,
                epoch,
            };
            match work {
                Work::Task => node.run_task(assignment),
                Work::Unit { tasks } => node.run_unit(assignment, tasks),
            }
        }
        After::Cancel(job) => node.workers.cancel(&job),
        After::Timer(key, due) => node.timers.set(key, due),
        After::StartChild { run, child, ask } => {
            let (node, parent) = (node.clone(), id.clone());
            let waits = ask.wait;
            node.clone().tasks.spawn(async move { node.start_child(parent, run, child, *ask, waits).await });
        }
        After::Split { job, items, batching } => {
            node.tasks.spawn(node.clone().split_items(hot.state.clone(), job, items, batching));
        }
        After::Merge { job, children } => {
            node.tasks.spawn(node.clone().merge_outputs(hot.state.clone(), job, children));
        }
        After::Deliver(to) => {
            let node = node.clone();
            node.clone().tasks.spawn(async move {
                if let Err(error) = node.deliver_inbox(&to).await {
                    tracing::error!(execution = %to, %error, "mail waits in the store and was not delivered");
                }
            });
        }
        After::TriggerMail => node.triggers.deliver(),
        After::WakeQueue(flow) => {
            let node = node.clone();
            node.clone().tasks.spawn(async move { node.wake_queue(&flow).await });
        }
        After::LookAgain { flow, limit } => {
            let node = node.clone();
            node.clone().tasks.spawn(async move { node.look_again(&flow, limit).await });
        }
        After::Continue => node.post(id, Envelope::event(Event::Continue)),
        // Written by `failures::log`, before anything else is done.
        After::Log { .. } => {}
    }
}

/// Attempts whose worker is gone, as events: with an earlier life of this node, or with another node whose lease is over.
pub(super) async fn lost_jobs(
    node: &Arc<Node>,
    hot: &Hot,
    id: &ExecutionId,
    now: Timestamp,
) -> Result<Vec<Event>, Error> {
    let rows = node.store.all::<rows::Job>(View::Newest, Query::JobsOf(id.clone()), JOBS_MAX).await?;
    let mut events = Vec::new();
    for (job, epoch) in hot.state.running() {
        if node.workers.has(&job) {
            continue;
        }
        let key = JobKey { execution: id.clone(), task_run: job.run.clone(), attempt: job.attempt };
        let lease = rows.iter().find(|row| row.key == key).and_then(|row| row.lease.as_ref());
        if lease.is_some_and(|lease| lease.node != node.id && lease.until > now) {
            continue;
        }
        let effects = match hot.state.effects_began(&job) && node.at_most_once(&hot.state, &hot.saved, &job) {
            true => Effects::Unknown,
            false => Effects::Repeatable,
        };
        events.push(Event::TaskLost { job, epoch, effects });
    }
    Ok(events)
}
