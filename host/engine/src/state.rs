//! The state of one execution, as the fold of its changes. Cheap to clone: every large part is persistent or shared, so a decision costs
//! what it changes, not what is there. Never decides anything.

use std::sync::Arc;

use imbl::{OrdMap, OrdSet};
use jiff::{SignedDuration, Timestamp};
use model::change::{CancelReason, Change, Child, Evaluated, Phase, Place, RenderId, Stop, TimerId};
use model::execution::{Execution, TaskRun};
use model::flow::Flow;
use model::ids::{ExecutionId, TaskId, TaskRunId};
use model::state::State as Status;
use model::task::Task;
use serde::{Deserialize, Serialize};

use crate::ids::child_id;
use crate::items::Items;

/// The state of one execution.
#[derive(Clone, Debug)]
pub struct State {
    pub(crate) flow: Arc<Flow>,
    pub(crate) execution: Option<Arc<Execution>>,
    pub(crate) root: Arc<Frame>,
    pub(crate) nodes: OrdMap<TaskRunId, Arc<Node>>,
    /// Task runs in the order they were created.
    pub(crate) order: OrdMap<u64, TaskRunId>,
    pub(crate) next_seq: u64,
    /// The newest task run of a task for these iteration values, outermost first.
    pub(crate) index: OrdMap<IndexKey, TaskRunId>,
    pub(crate) renders: OrdSet<RenderId>,
    pub(crate) timers: OrdMap<TimerId, Timestamp>,
    pub(crate) jobs: OrdMap<TaskRunId, Job>,
    pub(crate) children: OrdMap<ExecutionId, ChildWait>,
    /// The batches of ForEachItems, by their `_items` task runs.
    pub(crate) items: OrdMap<TaskRunId, Arc<Items>>,
    /// Task runs of ForEachItems that wait for files.
    pub(crate) files: OrdSet<TaskRunId>,
    pub(crate) paused: OrdSet<TaskRunId>,
    pub(crate) backlog: OrdSet<Option<TaskRunId>>,
    pub(crate) breached: OrdSet<u32>,
    pub(crate) stop: Option<Stop>,
    pub(crate) slot: Slot,
    /// Paused as a whole: task runs that have not begun are held back.
    pub(crate) held: bool,
    pub(crate) held_runs: OrdSet<TaskRunId>,
}

/// A task and the values of the iterations around it. Shared, so that copying a piece of the index copies no text.
pub(crate) type IndexKey = Arc<(TaskId, Vec<String>)>;

/// A task run and what the engine must know to go on with it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Node {
    pub run: TaskRun,
    pub(crate) place: Place,
    pub(crate) seq: u64,
    /// Of tasks with children.
    pub(crate) frame: Option<Frame>,
    pub(crate) evaluated: Option<Evaluated>,
    /// Why it failed beside its attempts and what it holds. With one, a ForEachItem begins no more batches.
    pub(crate) failure: Option<model::execution::Failure>,
}

/// How far the children of a flow or a flow-control task are.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Frame {
    pub phase: Phase,
    /// Children that have not ended, those of `OnPause` left out.
    pub open: u32,
    /// The next lane to begin.
    pub next: u32,
    /// The iteration of a loop.
    pub iteration: u32,
    /// The worst end of the children of the main phase. `None`: all well so far.
    pub verdict: Option<Status>,
    /// How long it may take, each time it begins.
    #[serde(default)]
    pub limit: Option<SignedDuration>,
    /// The phase in which it took longer.
    #[serde(default)]
    pub expired: Option<Phase>,
}

/// An attempt that was handed out.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Job {
    pub attempt: u32,
    pub generation: u32,
    pub started: bool,
    /// The newest lease seen.
    pub epoch: u64,
    pub effects: bool,
    pub losses: u32,
    pub cancel: Option<CancelReason>,
    pub timeout: Option<SignedDuration>,
}

/// An execution that a task run asked for.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct ChildWait {
    pub run: TaskRunId,
    pub started: bool,
    pub waits: bool,
    /// The batch of a ForEachItem that it stands for.
    #[serde(default)]
    pub batch: Option<u32>,
    /// What is asked for, until it has started, where the task run does not tell.
    #[serde(default)]
    pub ask: Option<Box<Child>>,
}

/// The concurrency slot of an execution.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Slot {
    #[default]
    None,
    Asked,
    /// Refused, and waiting for one.
    Waiting,
    Held(u32),
}

impl State {
    /// The state before anything happened.
    pub fn new(flow: Arc<Flow>) -> Self {
        Self {
            flow,
            execution: None,
            root: Arc::default(),
            nodes: OrdMap::new(),
            order: OrdMap::new(),
            next_seq: 0,
            index: OrdMap::new(),
            renders: OrdSet::new(),
            timers: OrdMap::new(),
            jobs: OrdMap::new(),
            children: OrdMap::new(),
            items: OrdMap::new(),
            files: OrdSet::new(),
            paused: OrdSet::new(),
            backlog: OrdSet::new(),
            breached: OrdSet::new(),
            stop: None,
            slot: Slot::None,
            held: false,
            held_runs: OrdSet::new(),
        }
    }

    /// Folds one change. Total: a change that names what is not there does nothing.
    pub fn apply(&mut self, change: &Change) {
        match change {
            Change::Created { execution } => self.execution = Some(Arc::new((**execution).clone())),
            Change::Entered { state, at } => self.edit(|execution| execution.history.enter(*state, *at)),
            Change::Generation { generation } => {
                self.edit(|execution| {
                    execution.generation = *generation;
                    execution.failure = None;
                });
                self.stop = None;
            }
            Change::Failed { failure } => self.edit(|execution| execution.failure = Some(failure.clone())),
            Change::Labels { labels } => self.edit(|execution| execution.labels = labels.clone()),
            Change::Variables { variables } => self.edit(|execution| execution.variables = variables.clone()),
            Change::FlowOutputs { outputs } => self.edit(|execution| execution.outputs = outputs.clone()),
            Change::Attempt { attempt } => self.edit(|execution| execution.attempt = *attempt),
            Change::Stopping { stop } => self.stop = Some(*stop),
            Change::StopOver => self.stop = None,
            Change::Listener { index } => Arc::make_mut(&mut self.root).next = *index,
            Change::Held { on } => self.held = *on,
            Change::Breakpoints { tasks } => self.edit(|execution| execution.breakpoints = tasks.clone()),
            Change::RunHeld { run, on: true } => drop(self.held_runs.insert(run.clone())),
            Change::RunHeld { run, on: false } => drop(self.held_runs.remove(run)),
            Change::Closed => Arc::make_mut(&mut self.root).phase = Phase::Done,
            Change::RunCreated { run, task, parent, value, iteration, place, at } => self.create(
                TaskRun {
                    id: run.clone(),
                    task: task.clone(),
                    parent: parent.clone(),
                    value: value.clone(),
                    iteration: *iteration,
                    history: model::state::History::new(Status::Created, *at),
                    attempts: Vec::new(),
                    outputs: expr::Value::Null,
                    apart: Vec::new(),
                },
                *place,
            ),
            Change::RunEntered { run, state, at } => self.enter(run, *state, *at),
            Change::Outputs { run, outputs, apart } => self.edit_node(run, |node| {
                node.run.outputs = outputs.clone();
                node.run.apart = apart.as_ref().map(|apart| apart.names.clone()).unwrap_or_default();
            }),
            Change::RunFailed { run, failure } => self.edit_node(run, |node| node.failure = failure.clone()),
            Change::RunsRemoved { runs } => runs.iter().for_each(|run| self.remove(run)),
            Change::Phase { parent, phase } => self.edit_frame(parent.as_ref(), |frame| {
                frame.phase = *phase;
                if *phase == Phase::Main {
                    frame.next = 0;
                }
            }),
            Change::Evaluated { run, evaluated } => {
                self.edit_node(run, |node| node.evaluated = Some(evaluated.clone()))
            }
            Change::Iteration { run, iteration } => self.edit_frame(Some(run), |frame| {
                frame.iteration = *iteration;
                frame.verdict = None;
            }),
            Change::Reopened { parent, lanes } => self.edit_frame(parent.as_ref(), |frame| {
                frame.phase = Phase::Main;
                frame.next = *lanes;
                frame.expired = None;
            }),
            Change::Backlog { parent, waiting: true } => drop(self.backlog.insert(parent.clone())),
            Change::Backlog { parent, waiting: false } => drop(self.backlog.remove(parent)),
            Change::Verdict { parent, state } => {
                self.edit_frame(parent.as_ref(), |frame| frame.verdict = (*state != Status::Success).then_some(*state))
            }
            Change::TimeLimit { run, limit } => self.edit_frame(Some(run), |frame| frame.limit = Some(*limit)),
            Change::Expired { run } => self.edit_frame(Some(run), |frame| {
                frame.expired = Some(frame.phase);
                frame.verdict = Some(Status::Failed);
            }),
            Change::JobSent { run, attempt, generation, timeout } => {
                let job = Job {
                    attempt: *attempt,
                    generation: *generation,
                    started: false,
                    epoch: 0,
                    effects: false,
                    losses: 0,
                    cancel: None,
                    timeout: *timeout,
                };
                self.jobs.insert(run.clone(), job);
            }
            Change::AttemptStarted { run, attempt, epoch, at } => {
                self.edit_job(run, |job| {
                    job.started = true;
                    job.epoch = *epoch;
                });
                self.edit_node(run, |node| {
                    if node.run.attempts.len() < *attempt as usize {
                        let history = model::state::History::new(Status::Running, *at);
                        node.run.attempts.push(model::execution::Attempt { history, failure: None });
                    }
                });
            }
            Change::EffectsBegan { run } => self.edit_job(run, |job| job.effects = true),
            Change::JobLost { run } => self.edit_job(run, |job| {
                job.started = false;
                job.losses += 1;
            }),
            Change::JobReturned { run } => self.edit_job(run, |job| job.started = false),
            Change::JobCancelled { run, why } => self.edit_job(run, |job| job.cancel = Some(*why)),
            Change::AttemptEnded { run, attempt, state, failure, at } => {
                self.jobs.remove(run);
                self.edit_node(run, |node| {
                    // One that was handed out and never begun has no entry.
                    let index = (*attempt as usize).checked_sub(1);
                    if let Some(attempt) = index.and_then(|index| node.run.attempts.get_mut(index)) {
                        attempt.history.enter(*state, *at);
                        attempt.failure = failure.clone();
                    }
                });
            }
            Change::RenderAsked { id } => drop(self.renders.insert(id.clone())),
            Change::RenderAnswered { id } => drop(self.renders.remove(id)),
            Change::TimerSet { id, due } => drop(self.timers.insert(id.clone(), *due)),
            Change::TimerCleared { id } => drop(self.timers.remove(id)),
            Change::ChildAsked { run, child } => {
                let waits = self
                    .node(run)
                    .is_some_and(|node| matches!(&node.evaluated, Some(Evaluated::Subflow(ask)) if ask.wait));
                let wait = ChildWait { run: run.clone(), started: false, waits, batch: None, ask: None };
                self.children.insert(child.clone(), wait);
            }
            Change::ChildStarted { child, .. } => {
                let Some(wait) = self.children.get_mut(child) else { return };
                // Of batches those are counted; of another task run there is nothing to count in.
                let first = !std::mem::replace(&mut wait.started, true) && wait.waits;
                wait.ask = None;
                let run = wait.run.clone();
                if first {
                    self.edit_items(&run, |items| items.running += 1);
                }
            }
            Change::ChildEnded { child } => {
                let Some(wait) = self.children.remove(child) else { return };
                if wait.started && wait.waits {
                    self.edit_items(&wait.run, |items| items.running = items.running.saturating_sub(1));
                }
            }
            Change::FilesAsked { run } => drop(self.files.insert(run.clone())),
            Change::FilesAnswered { run } => drop(self.files.remove(run)),
            Change::ItemsBegun { run, batches } => {
                drop(self.items.insert(run.clone(), Arc::new(Items::new(*batches))));
            }
            Change::ItemsAgain { run, again } => self.edit_items(run, |items| items.again(*again)),
            Change::BatchBegun { run, batch } => self.edit_items(run, |items| items.begin(*batch)),
            Change::BatchAsked { run, batch, child, waits, ask } => self.ask_batch(run, *batch, child, *waits, ask),
            Change::BatchEnded { run, batch, state, made } => {
                self.edit_items(run, |items| items.end(*batch, *state, *made));
            }
            Change::BatchDropped { run, batch } => self.edit_items(run, |items| items.drop_batch(*batch)),
            Change::SlotAsked => self.slot = Slot::Asked,
            Change::SlotRefused => self.slot = Slot::Waiting,
            Change::SlotTaken { slot } => self.slot = Slot::Held(*slot),
            Change::SlotWaived | Change::SlotFreed => self.slot = Slot::None,
            Change::SlaBreached { index } => drop(self.breached.insert(*index)),
        }
    }

    fn create(&mut self, run: TaskRun, place: Place) {
        let values = self.values_path(run.parent.as_ref(), run.value.as_ref());
        self.index.insert(Arc::new((run.task.clone(), values)), run.id.clone());
        self.order.insert(self.next_seq, run.id.clone());
        if place.phase != Phase::OnPause {
            self.edit_frame(run.parent.as_ref(), |frame| {
                frame.open += 1;
                if place.phase == Phase::Main {
                    frame.next = frame.next.max(place.lane.saturating_add(1));
                }
            });
        }
        let node = Node { place, seq: self.next_seq, frame: None, evaluated: None, failure: None, run };
        self.nodes.insert(node.run.id.clone(), Arc::new(node));
        self.next_seq += 1;
    }

    fn enter(&mut self, run: &TaskRunId, status: Status, at: Timestamp) {
        let Some(node) = self.node(run) else { return };
        let (was, place, parent) = (node.run.state(), node.place, node.run.parent.clone());
        self.edit_node(run, |node| node.run.history.enter(status, at));
        if status == Status::Paused {
            self.paused.insert(run.clone());
        } else if was == Status::Paused {
            self.paused.remove(run);
        }
        if place.phase == Phase::OnPause || was.is_terminal() && status.is_terminal() {
            return;
        }
        self.edit_frame(parent.as_ref(), |frame| {
            if status.is_terminal() {
                frame.open = frame.open.saturating_sub(1);
                if place.phase == Phase::Main {
                    // What is ended because its time is over ends as a failure of what holds it.
                    let status = if frame.expired.is_some() { Status::Failed } else { status };
                    frame.verdict = worse(frame.verdict, status);
                }
            } else if was.is_terminal() {
                frame.open += 1;
            }
        });
    }

    pub(crate) fn remove(&mut self, run: &TaskRunId) {
        let Some(node) = self.nodes.remove(run) else { return };
        self.order.remove(&node.seq);
        self.paused.remove(run);
        self.jobs.remove(run);
        self.items.remove(run);
        self.files.remove(run);
        let key =
            Arc::new((node.run.task.clone(), self.values_path(node.run.parent.as_ref(), node.run.value.as_ref())));
        if self.index.get(&key) == Some(run) {
            self.index.remove(&key);
        }
    }

    fn edit(&mut self, change: impl FnOnce(&mut Execution)) {
        if let Some(execution) = &mut self.execution {
            change(Arc::make_mut(execution));
        }
    }

    fn edit_node(&mut self, run: &TaskRunId, change: impl FnOnce(&mut Node)) {
        if let Some(node) = self.nodes.get_mut(run) {
            change(Arc::make_mut(node));
        }
    }

    fn edit_job(&mut self, run: &TaskRunId, change: impl FnOnce(&mut Job)) {
        if let Some(job) = self.jobs.get_mut(run) {
            change(job);
        }
    }

    fn edit_items(&mut self, run: &TaskRunId, change: impl FnOnce(&mut Items)) {
        if let Some(items) = self.items.get_mut(run) {
            change(Arc::make_mut(items));
        }
    }

    fn ask_batch(&mut self, run: &TaskRunId, batch: u32, child: &ExecutionId, waits: bool, ask: &Option<Box<Child>>) {
        let wait = ChildWait { run: run.clone(), started: false, waits, batch: Some(batch), ask: ask.clone() };
        self.children.insert(child.clone(), wait);
        let rule = self.execution.as_ref().map(|execution| child_id(&execution.id, run, 1, batch));
        self.edit_items(run, |items| match rule.as_ref() == Some(child) {
            true => drop(items.ids.remove(&batch)),
            false => drop(items.ids.insert(batch, child.clone())),
        });
    }

    fn edit_frame(&mut self, parent: Option<&TaskRunId>, change: impl FnOnce(&mut Frame)) {
        match parent {
            None => change(Arc::make_mut(&mut self.root)),
            Some(run) => self.edit_node(run, |node| change(node.frame.get_or_insert_default())),
        }
    }

    // The values of the iterations around a child of `parent`, outermost first.
    pub(crate) fn values_path(&self, parent: Option<&TaskRunId>, value: Option<&String>) -> Vec<String> {
        let mut values: Vec<String> = value.into_iter().cloned().collect();
        let mut next = parent;
        while let Some(node) = next.and_then(|id| self.node(id)) {
            values.extend(node.run.value.iter().cloned());
            next = node.run.parent.as_ref();
        }
        values.reverse();
        values
    }
}

impl State {
    /// The flow revision it runs.
    pub fn flow(&self) -> &Arc<Flow> {
        &self.flow
    }

    /// The execution, once it was started.
    pub fn execution(&self) -> Option<&Arc<Execution>> {
        self.execution.as_ref()
    }

    /// The state the execution is in; `None` before its start.
    pub fn status(&self) -> Option<Status> {
        self.execution.as_ref().map(|execution| execution.state())
    }

    /// A task run.
    pub fn run(&self, id: &TaskRunId) -> Option<&TaskRun> {
        self.node(id).map(|node| &node.run)
    }

    /// When a timer is due; `None`: it is not, or no longer, set.
    pub fn timer(&self, id: &TimerId) -> Option<Timestamp> {
        self.timers.get(id).copied()
    }

    /// All task runs in the order they were created.
    pub fn runs(&self) -> impl Iterator<Item = &TaskRun> {
        self.order.values().filter_map(|id| self.run(id))
    }

    /// The place of a task run among all, in the order they were created. Never changes, and is not used again.
    pub fn order_of(&self, id: &TaskRunId) -> Option<u64> {
        self.node(id).map(|node| node.seq)
    }

    /// How many task runs there are.
    pub fn run_count(&self) -> usize {
        self.nodes.len()
    }

    /// The newest task run of a task in the iteration with these values, outermost first.
    pub fn run_of(&self, task: &TaskId, values: &[String]) -> Option<&TaskRun> {
        self.index.get(&Arc::new((task.clone(), values.to_vec()))).and_then(|id| self.run(id))
    }

    /// Whether nothing is left to do, afterExecution included.
    pub fn is_closed(&self) -> bool {
        self.root.phase == Phase::Done
    }

    pub(crate) fn node(&self, id: &TaskRunId) -> Option<&Node> {
        self.nodes.get(id).map(Arc::as_ref)
    }

    pub(crate) fn task_of(&self, id: &TaskRunId) -> Option<Arc<Task>> {
        self.node(id).and_then(|node| self.flow.task(&node.run.task)).cloned()
    }

    pub(crate) fn frame(&self, parent: Option<&TaskRunId>) -> Frame {
        match parent {
            None => (*self.root).clone(),
            Some(run) => self.node(run).and_then(|node| node.frame.clone()).unwrap_or_default(),
        }
    }

    pub(crate) fn generation(&self) -> u32 {
        self.execution.as_ref().map_or(0, |execution| execution.generation)
    }
}

/// The worse of two ends. A failure outweighs the cancelling of its siblings that it caused.
pub(crate) fn worse(so_far: Option<Status>, status: Status) -> Option<Status> {
    let rank = |status: Status| match status {
        Status::Killed => 4,
        Status::Failed => 3,
        Status::Cancelled => 2,
        Status::Warning => 1,
        _ => 0,
    };
    let worst = so_far.filter(|so_far| rank(*so_far) >= rank(status)).unwrap_or(status);
    (rank(worst) > 0).then_some(worst)
}
