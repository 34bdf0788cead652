//! Executions of a node: started, read, waited for, ended. What happens in between is the engine's.

use std::sync::Arc;

use bytes::Bytes;
use engine::Event;
use expr::{Map, Value};
use jiff::Timestamp;
use model::change::Child;
use model::execution::{Execution, Failure, Kind, Parent, SEMANTICS, TaskRun, Triggered};
use model::flow::{CheckBehavior, Label};
use model::ids::{ExecutionId, TaskId, TaskRunId};
use model::inputs::{Missing, Resolved};
use model::state::{History, State};
use store::rows::{self, Holder, Key, Stored, Target, UniqueKey, UniqueName};
use store::{Query, Topic, View, Watch};

use crate::error::Error;
use crate::flows::SavedFlow;
use crate::inputs;
use crate::mailbox::Envelope;
use crate::node::Node;

/// How long an idempotency key is remembered: longer than clients retry.
const IDEMPOTENCY_LASTS: jiff::SignedDuration = jiff::SignedDuration::from_hours(24);
/// Longest idempotency key.
const IDEMPOTENCY_BYTES_MAX: usize = 255;
/// Task runs shown with one execution.
const RUNS_MAX: usize = 1_000_000;
/// How often to look when no hint came.
const LOOK: std::time::Duration = std::time::Duration::from_millis(500);
/// How long the start of a child waits that the store did not take.
const CHILD_AGAIN: std::time::Duration = std::time::Duration::from_millis(500);
/// Letters of an execution's id: base 62, so that it needs no escaping anywhere.
const LETTERS: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
/// Length of an execution's id: 22 letters of base 62 hold 128 bits.
const ID_LETTERS: usize = 22;

/// An input as it came in.
#[derive(Clone, Debug)]
pub enum Given {
    Text(String),
    Value(Value),
    File { name: String, bytes: Bytes },
}

/// What is to be started.
#[derive(Clone, Debug)]
pub struct Start {
    pub namespace: String,
    pub id: String,
    /// `None`: the newest.
    pub revision: Option<u32>,
    pub inputs: Vec<(String, Given)>,
    pub labels: Vec<Label>,
    pub kind: Kind,
    /// Not before this time.
    pub scheduled: Option<Timestamp>,
    pub trigger: Option<Triggered>,
    /// What tells a client's retry from a second wish: the same key for the same flow gives the same execution, for a day.
    pub idempotency_key: Option<String>,
    /// Tasks before which it stops.
    pub breakpoints: Vec<TaskId>,
}

impl Start {
    /// Of the newest revision of a flow, with nothing given.
    pub fn of(namespace: impl Into<String>, id: impl Into<String>) -> Self {
        Self {
            namespace: namespace.into(),
            id: id.into(),
            revision: None,
            inputs: Vec::new(),
            labels: Vec::new(),
            kind: Kind::Normal,
            scheduled: None,
            trigger: None,
            idempotency_key: None,
            breakpoints: Vec::new(),
        }
    }
}

/// An execution as readers see it: durable, with its task runs in order.
#[derive(Clone, Debug)]
pub struct Seen {
    pub execution: Execution,
    pub runs: Vec<TaskRun>,
    /// Grows whenever something of it changes.
    pub position: u64,
}

impl Seen {
    /// As a state shows it, at a commit.
    pub(crate) fn of(state: &engine::State, lsn: store::Lsn) -> Option<Self> {
        let execution = Execution::clone(state.execution()?);
        Some(Self { execution, runs: state.runs().cloned().collect(), position: lsn.0 })
    }

    /// Whether it has ended, and everything that runs after its end as well.
    pub fn is_over(&self) -> bool {
        self.execution.state().is_terminal() && self.runs.iter().all(|run| run.state().is_terminal())
    }
}

impl Node {
    /// Starts an execution. It is durable when this returns.
    pub async fn start(self: &Arc<Self>, start: Start) -> Result<ExecutionId, Error> {
        let (id, lsn) = self.begin(start).await?;
        self.store.durable(lsn).await?;
        Ok(id)
    }

    /// What the inputs of a flow would become: each with its value, or what is wrong with it. Nothing is stored.
    pub async fn check_inputs(
        self: &Arc<Self>,
        namespace: &str,
        flow: &str,
        revision: Option<u32>,
        given: Vec<(String, Given)>,
    ) -> Result<Vec<Resolved>, Error> {
        let saved = self.flow(namespace, flow, revision).await?;
        let scope = inputs::FlowScope { node: self, flow: &saved.flow };
        let asked = inputs::Asked {
            flow: &saved.flow.key,
            execution: None,
            declared: &saved.flow.inputs,
            scope: &scope,
            missing: Missing::Wrong,
        };
        let (outcome, issues) = inputs::typed(self, &asked, given).await?;
        if issues.is_empty() { Ok(outcome.inputs) } else { Err(Error::inputs(issues)) }
    }

    /// Starts an execution and waits for its end, for at most so long. Nothing is told in between, so one sync may do for all of it.
    pub async fn run_to_end(self: &Arc<Self>, start: Start, longest: std::time::Duration) -> Result<Seen, Error> {
        let (id, lsn) = self.begin(start).await?;
        match tokio::time::timeout(longest, self.ended(&id)).await {
            Ok(seen) => {
                let seen = seen?;
                self.let_triggers_hear(&seen.execution).await?;
                Ok(seen)
            }
            Err(_) => {
                self.store.durable(lsn).await?;
                self.execution(id.as_str()).await
            }
        }
    }

    /// Whether another execution can begin; otherwise when to ask again.
    pub(crate) fn has_room(&self) -> Result<(), Error> {
        if self.is_ending() {
            return Err(Error::Busy { message: "the server is shutting down".to_owned(), retry_after_s: 5 });
        }
        let most = self.config.live_max;
        if self.mailboxes.len() >= most {
            let message = format!("{most} executions are under way, which is the most this server takes at once");
            return Err(Error::Busy { message, retry_after_s: 1 });
        }
        Ok(())
    }

    /// Starts an execution: committed, but perhaps not durable.
    async fn begin(self: &Arc<Self>, start: Start) -> Result<(ExecutionId, store::Lsn), Error> {
        self.has_room()?;
        crate::life::check_labels(&start.labels)?;
        let saved = self.flow(&start.namespace, &start.id, start.revision).await?;
        if saved.flow.disabled {
            return Err(Error::Conflict {
                code: "flow.disabled",
                message: format!("flow `{}` is disabled", saved.flow.key),
            });
        }
        let wish = start.idempotency_key.as_ref().map(|key| wish_of(&saved.flow.key, key)).transpose()?;
        if let Some(wish) = &wish
            && let Some(known) = self.granted(wish).await?
        {
            return Ok((known, self.store.head()));
        }
        let id = new_id(self.entropy.number());
        let inputs = self.type_inputs(&saved, &id, start.inputs).await?;
        let mut execution = Execution {
            kind: start.kind,
            scheduled: start.scheduled,
            trigger: start.trigger,
            breakpoints: start.breakpoints,
            ..self.fresh(&saved, id.clone(), inputs, start.labels)
        };
        self.check(&saved, &mut execution).await?;
        let take = wish.clone().map(|name| UniqueKey {
            name,
            holder: Holder::Execution(id.clone()),
            created: self.now(),
            expires: Some(self.now() + IDEMPOTENCY_LASTS),
        });
        match (self.tell_and_take(&id, Event::Start { execution: Box::new(execution) }, take).await, wish) {
            (Ok(told), _) => Ok((id, told.lsn)),
            // Another request with the same key was faster.
            (Err(error), Some(wish)) => match self.granted(&wish).await? {
                Some(known) => Ok((known, self.store.head())),
                None => Err(error),
            },
            (Err(error), None) => Err(error),
        }
    }

    /// The checks of a flow, before an execution is made: one that does not hold refuses it, or makes it one that has failed.
    pub(crate) async fn check(&self, saved: &SavedFlow, execution: &mut Execution) -> Result<(), Error> {
        if saved.flow.checks.is_empty() {
            return Ok(());
        }
        let mut state = engine::State::new(saved.flow.clone());
        let begun = engine::decide(&state, Event::Start { execution: Box::new(execution.clone()) }, self.now());
        begun.iter().flat_map(|decision| &decision.changes).for_each(|change| state.apply(change));
        let mut failing = Vec::new();
        for (index, check) in saved.flow.checks.iter().enumerate() {
            // One that cannot be rendered does not hold.
            if !self.holds(&state, saved, &check.condition.0).await.is_ok_and(|value| value.truthy()) {
                failing.push(index);
            }
        }
        match saved.flow.strictest_check(&failing) {
            Some(check) if check.behavior == CheckBehavior::BlockExecution => {
                Err(Error::bad_request("flow.check", check.message.clone()))
            }
            Some(check) if check.behavior == CheckBehavior::FailExecution => {
                execution.failure = Some(Failure::new("check", check.message.clone()));
                Ok(())
            }
            _ => Ok(()),
        }
    }

    /// The execution that a wish was granted by.
    async fn granted(&self, wish: &UniqueName) -> Result<Option<ExecutionId>, Error> {
        let found = self.store.find::<UniqueKey>(View::Newest, Key::Unique(wish.clone())).await?;
        Ok(found.and_then(|key| match &key.holder {
            Holder::Execution(id) => Some(id.clone()),
            Holder::Named(_) => None,
        }))
    }

    /// An id nobody has.
    pub(crate) fn new_execution_id(&self) -> ExecutionId {
        new_id(self.entropy.number())
    }

    /// An execution that nothing has happened to.
    pub(crate) fn fresh(&self, saved: &SavedFlow, id: ExecutionId, inputs: Map, labels: Vec<Label>) -> Execution {
        let mut all: Vec<Label> = saved.flow.labels.clone();
        for label in labels {
            all.retain(|known| known.key != label.key);
            all.push(label);
        }
        Execution {
            id,
            flow: saved.flow.key.clone(),
            revision: saved.flow.revision,
            kind: Kind::Normal,
            semantics: SEMANTICS,
            history: History::new(State::Created, self.now()),
            labels: all,
            inputs,
            variables: saved.flow.variables.clone(),
            outputs: Map::new(),
            trigger: None,
            parent: None,
            original: None,
            attempt: 1,
            generation: 0,
            scheduled: None,
            failure: None,
            breakpoints: Vec::new(),
            retried_since: None,
        }
    }

    /// An execution without its task runs, of which there may be a hundred thousand.
    pub(crate) async fn execution_alone(&self, id: &str) -> Result<Execution, Error> {
        Ok(self.shown(&ExecutionId::trusted(id)).await?.record.clone())
    }

    pub(crate) async fn shown(&self, id: &ExecutionId) -> Result<Stored<Arc<rows::Execution>>, Error> {
        let found = self.store.find::<rows::Execution>(View::Durable, Key::Execution(id.clone())).await?;
        found.ok_or_else(|| Error::NotFound(format!("no execution `{id}`")))
    }

    /// An execution with its task runs.
    pub async fn execution(&self, id: &str) -> Result<Seen, Error> {
        let id = ExecutionId::trusted(id);
        let found = self.shown(&id).await?;
        let runs = self.store.all::<rows::TaskRun>(View::Durable, Query::TaskRuns(id), RUNS_MAX).await?;
        let newest = runs.iter().map(|run| run.version.0).max().unwrap_or(0);
        Ok(Seen {
            execution: found.record.clone(),
            runs: runs.iter().map(|run| run.record.clone()).collect(),
            position: newest.max(found.version.0),
        })
    }

    /// An execution without its task runs.
    pub async fn execution_record(&self, id: &ExecutionId) -> Result<Option<Execution>, Error> {
        let found = self.store.find::<rows::Execution>(View::Durable, Key::Execution(id.clone())).await?;
        Ok(found.map(|found| found.record.clone()))
    }

    /// Hints that any execution has changed.
    pub fn watch_executions(&self) -> store::Watch {
        self.store.watch(Topic::Executions)
    }

    /// Hints that an execution or its log has changed.
    pub fn watch(&self, id: &str) -> Changes {
        let id = ExecutionId::trusted(id);
        Changes {
            execution: self.store.watch(Topic::Execution(id.clone())),
            logs: self.store.watch(Topic::Logs(Target::Execution(id))),
        }
    }

    /// Waits until an execution and everything after it has ended.
    pub async fn ended(&self, id: &ExecutionId) -> Result<Seen, Error> {
        let mut watch = self.store.watch(Topic::Execution(id.clone()));
        loop {
            // The shown record alone tells whether it is worth reading the task runs.
            let found = self.store.find::<rows::Execution>(View::Newest, Key::Execution(id.clone())).await?;
            if found.is_some_and(|row| row.record.state().is_terminal()) {
                self.store.durable(self.store.head()).await?;
                let seen = self.execution(id.as_str()).await?;
                if seen.is_over() {
                    return Ok(seen);
                }
            }
            let _ = tokio::time::timeout(LOOK, watch.changed()).await;
        }
    }

    /// Makes the execution of another flow that a task run asked for. Its id is derived, so that asking twice makes one.
    pub(crate) async fn start_child(
        self: Arc<Self>,
        parent: ExecutionId,
        run: TaskRunId,
        child: ExecutionId,
        ask: Child,
        waits: bool,
    ) {
        let answer = loop {
            match self.make_child(&parent, &run, &child, &ask, waits).await {
                // No reason for the task to fail: there may be room soon, and the next start asks again.
                Err(error) if error.is_of_the_store() && self.is_ending() => return,
                Err(error) if error.is_of_the_store() => tokio::time::sleep(CHILD_AGAIN).await,
                made => break made,
            }
        };
        let answer = match answer {
            Ok(()) | Err(Error::Conflict { code: "execution.duplicate", .. }) => Event::ChildStarted { child },
            Err(error) => {
                let failure = Failure::new("SUBFLOW", error.to_string());
                Event::ChildEnded { child, result: Err(failure) }
            }
        };
        self.post(&parent, Envelope::event(answer));
    }

    async fn make_child(
        self: &Arc<Self>,
        parent: &ExecutionId,
        run: &TaskRunId,
        child: &ExecutionId,
        ask: &Child,
        waits: bool,
    ) -> Result<(), Error> {
        let saved = self.flow(ask.namespace.as_str(), ask.flow.as_str(), ask.revision).await?;
        if saved.flow.disabled {
            return Err(Error::bad_request("flow.disabled", format!("flow `{}` is disabled", saved.flow.key)));
        }
        let given = ask.inputs.iter().map(|(name, value)| (name.to_string(), Given::Value(value.clone()))).collect();
        let inputs = self.type_inputs(&saved, child, given).await?;
        let execution = Execution {
            trigger: ask.trigger.clone(),
            scheduled: ask.scheduled,
            parent: Some(Parent { execution: parent.clone(), task_run: run.clone(), waits }),
            ..self.fresh(&saved, child.clone(), inputs, ask.labels.clone())
        };
        self.tell(child, Event::Start { execution: Box::new(execution) }).await.map(|_| ())
    }

    /// Another try at an execution: of the same revision, with the same inputs, labels, trigger and parent.
    pub(crate) fn next_try(
        &self,
        saved: &SavedFlow,
        last: &Execution,
        id: ExecutionId,
        attempt: u32,
        due: Timestamp,
        since: Timestamp,
    ) -> Execution {
        Execution {
            kind: last.kind,
            trigger: last.trigger.clone(),
            original: Some(last.original.clone().unwrap_or_else(|| last.id.clone())),
            attempt,
            scheduled: Some(due),
            retried_since: Some(since),
            parent: last.parent.clone(),
            ..self.fresh(saved, id, last.inputs.clone(), last.labels.clone())
        }
    }

    pub(crate) async fn type_inputs(
        self: &Arc<Self>,
        saved: &SavedFlow,
        id: &ExecutionId,
        given: Vec<(String, Given)>,
    ) -> Result<Map, Error> {
        let scope = inputs::FlowScope { node: self, flow: &saved.flow };
        let asked = inputs::Asked {
            flow: &saved.flow.key,
            execution: Some(id),
            declared: &saved.flow.inputs,
            scope: &scope,
            missing: Missing::Wrong,
        };
        inputs::resolve(self, asked, given).await
    }
}

/// What a key names: per flow, so that clients of different flows need not know of each other.
fn wish_of(flow: &model::ids::FlowKey, key: &str) -> Result<UniqueName, Error> {
    if key.is_empty() || key.len() > IDEMPOTENCY_BYTES_MAX {
        return Err(Error::bad_request(
            "idempotency.key",
            format!("an idempotency key has 1 to {IDEMPOTENCY_BYTES_MAX} bytes, this one has {}", key.len()),
        ));
    }
    Ok(UniqueName::Idempotency(flow.to_string().into(), key.into()))
}

/// Waits for hints about one execution.
pub struct Changes {
    execution: Watch,
    logs: Watch,
}

impl Changes {
    /// Returns when something may have changed.
    pub async fn changed(&mut self) {
        tokio::select! {
            biased;
            () = self.execution.changed() => {}
            () = self.logs.changed() => {}
        }
    }
}

pub(crate) fn new_id(number: u128) -> ExecutionId {
    let mut rest = number;
    let mut text = String::with_capacity(ID_LETTERS);
    for _ in 0..ID_LETTERS {
        let letter = LETTERS.get((rest % 62) as usize).copied().unwrap_or(b'0');
        text.push(char::from(letter));
        rest /= 62;
    }
    ExecutionId::trusted(text)
}
