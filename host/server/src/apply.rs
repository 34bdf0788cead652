//! The only caller of the engine: events in, one commit out, then what was decided is done. Never waits for a guest.

mod commands;
mod failures;
mod left;
mod load;
mod slots;
mod snapshots;

pub(crate) use commands::touched;

use std::collections::{BTreeSet, VecDeque};
use std::sync::Arc;

use engine::{Command, Decision, Event, RejectCode, Rejected, State, decide};
use indexmap::IndexSet;
use model::change::{Change, Record};
use model::execution::Execution;
use model::ids::{ExecutionId, TaskRunId};
use store::rows::{self, Key, MessageKey, Payload};
use store::{Batch, Lsn, View};

use crate::error::Error;
use crate::flows::SavedFlow;
use crate::mailbox::{Envelope, Mail, Replaying, Told};
use crate::node::Node;
use crate::outputs::OfTurn;
use commands::After;
use snapshots::Snapshots;

/// Times a turn is made again after somebody else wrote in between, before its senders are told.
const TRIES: usize = 5;
/// Decisions of one turn that follow from one another without anything happening outside. A flow of ten thousand tasks that are all
/// skipped takes some of these each; an endless chain would be a defect of the engine.
const DECISIONS_PER_TURN: usize = 200_000;
/// The format of stored events and snapshots.
pub(crate) const FORMAT: u16 = 1;

/// The newest stored state of another execution.
pub(crate) async fn stored_state(node: &Node, id: &ExecutionId) -> Result<State, Error> {
    match load::load(node, id).await? {
        Some(hot) => Ok(hot.state),
        None => Err(Error::NotFound(format!("no execution `{id}`"))),
    }
}

/// Owns one execution: its state, and where its stored changes end.
pub struct Owner {
    node: Arc<Node>,
    id: ExecutionId,
    hot: Option<Hot>,
}

/// An execution in memory.
#[derive(Clone)]
struct Hot {
    state: State,
    saved: Arc<SavedFlow>,
    /// The last stored change.
    sequence: u64,
    snapshots: Snapshots,
    /// When the execution was created: its place in lists.
    created: jiff::Timestamp,
}

/// What one turn has decided so far.
struct Turn {
    hot: Hot,
    batch: Batch,
    changes: Vec<(jiff::Timestamp, Payload)>,
    /// Task runs whose shown row is out of date.
    touched: IndexSet<TaskRunId>,
    /// Messages that are taken in.
    drained: BTreeSet<MessageKey>,
    after: Vec<After>,
    queue: VecDeque<Event>,
    decisions: usize,
    /// Attempts that ended, and how.
    ended: Vec<(TaskRunId, model::state::State)>,
    /// Values that it has read or written.
    values: left::Values,
    outputs: OfTurn,
}

impl Owner {
    pub fn new(node: Arc<Node>, id: ExecutionId) -> Self {
        Self { node, id, hot: None }
    }

    /// Whether nothing will happen to the execution by itself any more, so that it need not stay in memory.
    pub fn is_done(&self) -> bool {
        self.hot.as_ref().is_none_or(|hot| hot.state.is_closed())
    }

    /// Takes mail in: decides, commits once, does what was decided. Gives back what the store did not take and nobody waits for; whoever
    /// waits is told at once.
    pub async fn turn(&mut self, mail: Vec<Envelope>) -> Vec<Envelope> {
        let mut events = Vec::new();
        for envelope in mail {
            match envelope.mail {
                Mail::Peek(reply) => self.show(reply).await,
                _ => events.push(envelope),
            }
        }
        if events.is_empty() {
            return Vec::new();
        }
        // What was sent to an execution before it was there comes after its start.
        events.sort_by_key(|envelope| !envelope.starts());
        for tries in 1..=TRIES {
            match self.try_turn(&events).await {
                Ok(answers) => {
                    for (envelope, answer) in events.into_iter().zip(answers) {
                        if let Some((reply, answer)) = envelope.reply.zip(answer) {
                            let _ = reply.send(answer);
                        }
                    }
                    return Vec::new();
                }
                Err(Error::Conflict { message, .. }) if tries < TRIES => {
                    tracing::debug!(execution = %self.id, %message, "somebody else wrote in between; deciding again");
                    self.hot = None;
                }
                Err(error) => {
                    self.hot = None;
                    // Mail that nobody waits for must not be lost because others wrote at the same moment.
                    let again = error.is_of_the_store() || matches!(error, Error::Conflict { .. });
                    match again {
                        true => tracing::warn!(execution = %self.id, %error, "a turn waits for the store"),
                        false => tracing::error!(execution = %self.id, %error, "a turn failed"),
                    }
                    let mut kept = Vec::new();
                    for envelope in events {
                        match envelope.reply {
                            Some(reply) => drop(reply.send(Err(error.clone()))),
                            None if again => kept.push(envelope),
                            None => {}
                        }
                    }
                    return kept;
                }
            }
        }
        Vec::new()
    }

    async fn show(&mut self, reply: tokio::sync::oneshot::Sender<State>) {
        if self.hot.is_none() {
            self.hot = load::load(&self.node, &self.id).await.unwrap_or_default();
        }
        if let Some(hot) = &self.hot {
            let _ = reply.send(hot.state.clone());
        }
    }

    /// What is told to each sender that waits.
    async fn try_turn(&mut self, mail: &[Envelope]) -> Result<Vec<Option<Result<Told, Error>>>, Error> {
        let hot = match &self.hot {
            Some(hot) => Some(hot.clone()),
            None => load::load(&self.node, &self.id).await?,
        };
        let begins = hot.is_none();
        let hot = match hot {
            Some(hot) => hot,
            None => match load::begin(&self.node, mail).await? {
                Some(hot) => hot,
                None => {
                    let missing = || Some(Err(Error::NotFound(format!("no execution `{}`", self.id))));
                    return Ok(mail.iter().map(|_| missing()).collect());
                }
            },
        };
        let before = hot.state.execution().cloned();
        let was_after_end = is_after_end(&hot.state);
        let mut turn = Turn::new(hot, OfTurn::new(self.node.clone(), self.id.clone()));
        if begins {
            // Mail may have come before: whoever asked for it may have been killed already.
            turn.after.push(After::Deliver(self.id.clone()));
        }
        let mut answers = Vec::new();
        for envelope in mail {
            if let Some(key) = &envelope.drain {
                if !turn.drained.insert(key.clone()) || !self.waits(key).await? {
                    // Delivered twice: it has been taken in already.
                    answers.push(envelope.reply.as_ref().map(|_| Ok(turn.hot.state.clone())));
                    continue;
                }
                turn.batch.drain(key.clone());
            }
            let answer = self.take(&mut turn, envelope).await?;
            if let Some(key) = envelope.take.clone().filter(|_| answer.is_ok()) {
                turn.batch.take(key);
            }
            // A state that somebody holds is copied where it changes next: nobody else holds one.
            answers.push(envelope.reply.as_ref().map(|_| answer.map(|()| turn.hot.state.clone())));
        }
        match (was_after_end, is_after_end(&turn.hot.state)) {
            (false, true) => commands::mark_after_end(&self.id, &mut turn)?,
            (true, false) => commands::unmark_after_end(&self.id, &mut turn),
            _ => {}
        }
        // Before the commit that shows the failure: who sees an execution ended sees why.
        failures::log(&self.node, &self.id, &turn.hot, &turn.after).await;
        let lsn = self.commit(&mut turn, before.as_ref()).await?;
        let Turn { hot, after, outputs, .. } = turn;
        drop(outputs);
        self.hot = Some(hot.clone());
        for deed in after {
            commands::perform(&self.node, &self.id, &hot, deed);
        }
        let told = |answer: Result<State, Error>| answer.map(|state| Told { lsn, state });
        Ok(answers.into_iter().map(|answer| answer.map(told)).collect())
    }

    /// Whether a stored message has not been taken in.
    async fn waits(&self, key: &MessageKey) -> Result<bool, Error> {
        let found = self.node.store.find::<rows::Message>(View::Newest, Key::Message(key.clone())).await?;
        Ok(found.is_some_and(|message| !message.drained))
    }

    /// One piece of mail, and everything that follows from it at once.
    async fn take(&self, turn: &mut Turn, envelope: &Envelope) -> Result<Result<(), Error>, Error> {
        match &envelope.mail {
            Mail::Event(event) => {
                let mut happened = (**event).clone();
                if let Some(kept) = &envelope.keeps
                    && let Some(failure) = left::refusal(&self.node, turn, kept).await?
                {
                    happened = left::failed(happened, failure);
                }
                let ended_before = turn.ended.len();
                if let Err(rejected) = self.decide(turn, happened).await? {
                    self.forget_stale(turn, event);
                    return Ok(Err(refusal(rejected)));
                }
                if let Some(kept) = envelope.keeps.as_ref().filter(|kept| turn.ended_well(ended_before, &kept.run)) {
                    left::write(&self.node, turn, kept, self.node.now()).await?;
                }
            }
            Mail::Replay(replaying) => {
                if let Err(rejected) = self.replay(turn, replaying).await? {
                    return Ok(Err(refusal(rejected)));
                }
            }
            Mail::TrySlot => slots::try_again(self, turn).await?,
            Mail::Recover => self.recover(turn).await?,
            Mail::Peek(_) => {}
        }
        while let Some(event) = turn.queue.pop_front() {
            turn.decisions += 1;
            if turn.decisions > DECISIONS_PER_TURN {
                return Err(Error::Internal(format!("execution `{}` decides without end", self.id)));
            }
            if let Err(rejected) = self.decide(turn, event).await? {
                tracing::warn!(execution = %self.id, %rejected, "an answer did not fit the state");
            }
        }
        Ok(Ok(()))
    }

    /// A timer that came too late is removed; nothing else needs to be done about a rejected event. One that was set anew meanwhile has the
    /// same name, and stays.
    fn forget_stale(&self, turn: &mut Turn, event: &Event) {
        if let Event::TimerDue { id } = event
            && turn.hot.state.timer(id).is_none()
        {
            turn.batch.delete(Key::Timer(commands::timer_key(&self.id, id)));
        }
    }

    /// What was asked for before the node went down and has not been answered.
    async fn recover(&self, turn: &mut Turn) -> Result<(), Error> {
        let now = self.node.now();
        for event in commands::lost_jobs(&self.node, &turn.hot, &self.id, now).await? {
            if let Err(rejected) = self.decide(turn, event).await? {
                tracing::debug!(execution = %self.id, %rejected, "a lost job was dealt with before");
            }
        }
        for command in turn.hot.state.outstanding() {
            self.command(turn, command).await?;
        }
        Ok(())
    }

    async fn decide(&self, turn: &mut Turn, event: Event) -> Result<Result<(), Rejected>, Error> {
        let now = self.node.now();
        match decide(&turn.hot.state, event, now) {
            Ok(decision) => self.carry_out(turn, decision, now).await.map(Ok),
            Err(rejected) => Ok(Err(rejected)),
        }
    }

    async fn replay(&self, turn: &mut Turn, replaying: &Replaying) -> Result<Result<(), Rejected>, Error> {
        if turn.hot.state.execution().is_some() {
            let message = format!("execution `{}` has begun already", self.id);
            return Ok(Err(Rejected { code: RejectCode::Duplicate, message }));
        }
        let now = self.node.now();
        let Replaying { source, execution, from } = replaying;
        match engine::replay(source, turn.hot.saved.flow.clone(), execution.clone(), from.as_ref(), now) {
            Ok(decision) => self.carry_out(turn, decision, now).await.map(Ok),
            Err(rejected) => Ok(Err(rejected)),
        }
    }

    async fn carry_out(&self, turn: &mut Turn, decision: Decision, now: jiff::Timestamp) -> Result<(), Error> {
        for change in decision.changes {
            turn.change(&self.id, change, now)?;
        }
        for command in decision.commands {
            self.command(turn, command).await?;
        }
        Ok(())
    }

    /// Commands that are answered at once are answered here; the others become rows, and deeds for after the commit.
    async fn command(&self, turn: &mut Turn, command: Command) -> Result<(), Error> {
        let now = self.node.now();
        match command {
            Command::Render { id, scope, templates } => {
                let result = self.node.render(&turn.hot.state, &turn.hot.saved, &scope, templates).await;
                turn.queue.push_back(Event::Rendered { id, result });
            }
            Command::TakeSlot { flow, limit, .. } => slots::take(self, turn, &flow, limit).await?,
            Command::FreeSlot { flow, slot } => {
                slots::give_back(self, turn, &flow, slot).await?;
                turn.after.push(After::WakeQueue(flow));
            }
            other => commands::record(&self.node, &self.id, turn, other, now)?,
        }
        Ok(())
    }

    async fn commit(&self, turn: &mut Turn, before: Option<&Arc<Execution>>) -> Result<Lsn, Error> {
        let hot = &mut turn.hot;
        if !turn.changes.is_empty() {
            let count = turn.changes.len() as u64;
            turn.batch.append(self.id.clone(), hot.sequence, std::mem::take(&mut turn.changes));
            hot.sequence += count;
        }
        for id in std::mem::take(&mut turn.touched) {
            let key = Key::TaskRun(self.id.clone(), id.clone());
            match hot.state.run(&id) {
                Some(run) => {
                    let order = hot.state.order_of(&id).unwrap_or_default();
                    let record = turn.outputs.whole(run).await?;
                    turn.batch.put(rows::TaskRun { execution: self.id.clone(), record, order });
                }
                None => {
                    turn.batch.delete(key);
                }
            }
        }
        let due = hot.snapshots.write(&self.id, &hot.state, hot.sequence, &mut turn.batch)?;
        if let Some(record) = hot.state.execution() {
            let same = before.is_some_and(|before| Arc::ptr_eq(before, record));
            if !same || due {
                turn.batch.put(rows::Execution {
                    record: (**record).clone(),
                    sequence: hot.sequence,
                    snapshot: hot.snapshots.sequence(),
                    lock: None,
                    created: hot.created,
                });
            }
        }
        if crate::triggers::report(&self.node, &hot.state, before, &mut turn.batch)? {
            turn.after.push(After::TriggerMail);
        }
        if turn.batch.is_empty() {
            return Ok(self.node.store.head());
        }
        Ok(self.node.store.commit(std::mem::take(&mut turn.batch)).await?)
    }
}

impl Turn {
    fn new(hot: Hot, outputs: OfTurn) -> Self {
        Self {
            hot,
            batch: Batch::new(),
            changes: Vec::new(),
            touched: IndexSet::new(),
            drained: BTreeSet::new(),
            after: Vec::new(),
            queue: VecDeque::new(),
            decisions: 0,
            ended: Vec::new(),
            values: left::Values::new(),
            outputs,
        }
    }

    /// Whether an attempt of a task run has ended well since `from`. What the worker said is not enough: it may have come too late.
    fn ended_well(&self, from: usize, run: &TaskRunId) -> bool {
        use model::state::State::{Success, Warning};
        let ended = self.ended.iter().skip(from).find(|(ended, _)| ended == run);
        ended.is_some_and(|(_, state)| matches!(state, Success | Warning))
    }

    /// Folds a change, and notes what has to be written for it.
    fn change(&mut self, id: &ExecutionId, change: Change, now: jiff::Timestamp) -> Result<(), Error> {
        let change = self.outputs.without_large(change);
        self.hot.state.apply(&change);
        if let Change::AttemptEnded { run, state, .. } = &change {
            self.ended.push((run.clone(), *state));
        }
        touched(&change, |run| {
            self.touched.insert(run.clone());
        });
        commands::rows_of(id, &change, &mut self.batch);
        let payload = Payload::of(FORMAT, &Record::new(change)).map_err(unwritable)?;
        self.changes.push((now, payload));
        Ok(())
    }
}

/// Whether an execution has ended and what comes after its end has not.
fn is_after_end(state: &State) -> bool {
    state.status().is_some_and(model::state::State::is_terminal) && !state.is_closed()
}

pub(crate) fn unreadable(error: rows::PayloadError) -> Error {
    Error::Internal(format!("a stored record cannot be read: {error}"))
}

pub(crate) fn unwritable(error: rows::PayloadError) -> Error {
    Error::Internal(error.to_string())
}

fn refusal(rejected: Rejected) -> Error {
    match rejected.code {
        RejectCode::Unknown => Error::NotFound(rejected.message),
        RejectCode::Invalid => Error::bad_request("execution.invalid", rejected.message),
        RejectCode::Stale => Error::Conflict { code: "execution.stale", message: rejected.message },
        RejectCode::Duplicate => Error::Conflict { code: "execution.duplicate", message: rejected.message },
        RejectCode::Conflict => Error::Conflict { code: "execution.state", message: rejected.message },
    }
}
