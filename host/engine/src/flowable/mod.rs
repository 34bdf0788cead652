//! Tasks that hold others: which of their children run, in what order, and how they end. The flow itself is one of them.

pub(crate) mod branch;
pub(crate) mod dag;
pub(crate) mod each;
pub(crate) mod items;
pub(crate) mod limit;
pub(crate) mod looping;
pub(crate) mod pause;
pub(crate) mod subflow;
pub(crate) mod unit;

use std::sync::Arc;

use model::change::{Branch, Change, Evaluated, Phase, Place};
use model::flow::Flow;
use model::ids::{TaskId, TaskRunId};
use model::state::State as Status;
use model::task::{Block, FlowTask, TaskKind};

use crate::draft::{Draft, STARTS_PER_DECISION, Step};
use crate::state::State;

/// How the children of a main phase run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Shape {
    /// One after the other; the first that fails is the last.
    Sequence,
    /// `lanes` of them at once, at most `limit` (0: no limit).
    Lanes { lanes: u32, limit: u32, iterations: bool, fail_fast: bool },
    /// As their dependencies allow.
    Dag { limit: u32 },
    /// A worker runs them.
    Unit,
}

impl Draft {
    /// From here on another phase counts: whatever else ends of the one before says nothing any more.
    pub(crate) fn go_to(&mut self, parent: Option<TaskRunId>, phase: Phase) {
        self.change(Change::Phase { parent: parent.clone(), phase });
        self.then(Step::Enter(parent, phase));
    }

    /// Begins a phase, or goes on to what follows it when there is nothing in it.
    pub(crate) fn enter_phase(&mut self, parent: Option<&TaskRunId>, phase: Phase) {
        if self.frame(parent).phase != phase {
            return;
        }
        match (phase, self.shape(parent)) {
            (Phase::Main, Shape::Lanes { .. }) => self.fill(parent),
            (Phase::Main, Shape::Dag { .. }) => self.fill_dag(parent),
            _ => {
                if !self.start_from(parent, Place { phase, lane: 0, position: 0 }, None) {
                    self.phase_over(parent, phase);
                }
            }
        }
    }

    /// A child has ended: the next begins, or the phase is over.
    pub(crate) fn child_ended(&mut self, run: &TaskRunId) {
        let Some(node) = self.state.node(run) else { return };
        let (parent, place, state) = (node.run.parent.clone(), node.place, node.run.state());
        let parent = parent.as_ref();
        if parent.is_some_and(|parent| self.run_status(parent).is_some_and(Status::is_terminal)) {
            return;
        }
        self.look_at_slas();
        if place.phase == Phase::OnPause {
            return self.on_pause_over(parent, state);
        }
        let frame = self.frame(parent);
        if frame.phase != place.phase {
            return;
        }
        if self.stopping() || self.is_halting(parent) || frame.expired == Some(place.phase) {
            // A unit that a worker holds is over when the worker, or its loss, is heard of.
            let held = parent.is_some_and(|parent| self.state.jobs.contains_key(parent));
            if frame.open == 0 && !held {
                self.phase_over(parent, place.phase);
            }
            return;
        }
        match (place.phase, self.shape(parent)) {
            (Phase::Main, Shape::Unit) => {}
            (Phase::Main, Shape::Dag { .. }) => self.fill_dag(parent),
            (Phase::Main, Shape::Lanes { iterations, fail_fast, .. }) => {
                if state.is_failed() && fail_fast {
                    self.halt_children(parent, Status::Cancelled);
                }
                let next = Place { position: place.position + 1, ..place };
                let goes_on = iterations
                    && !state.is_failed()
                    && self.start_from(parent, next, self.iteration(parent, place.lane));
                if !goes_on {
                    self.fill(parent);
                }
            }
            (phase, _) => {
                let next = Place { position: place.position + 1, ..place };
                if state.is_failed() || !self.start_from(parent, next, None) {
                    self.phase_over(parent, phase);
                }
            }
        }
    }

    /// Begins lanes as far as the limit allows; with none left and none open, the phase is over.
    pub(crate) fn fill(&mut self, parent: Option<&TaskRunId>) {
        let Shape::Lanes { lanes, limit, iterations, fail_fast } = self.shape(parent) else { return };
        if self.state.backlog.contains(&parent.cloned()) {
            // It goes on when its turn comes. Otherwise each of the events of one commit would begin as many as a decision may.
            return;
        }
        loop {
            let frame = self.frame(parent);
            let failed = frame.verdict.is_some_and(Status::is_failed);
            let held_back = failed && (fail_fast || iterations && limit == 1) || self.stopping();
            if frame.next >= lanes || held_back {
                if frame.open == 0 {
                    self.phase_over(parent, Phase::Main);
                }
                return;
            }
            if limit > 0 && frame.open >= limit {
                return;
            }
            if self.starts >= STARTS_PER_DECISION {
                return self.wait_in_backlog(parent);
            }
            let begun = if iterations {
                let place = Place { phase: Phase::Main, lane: frame.next, position: 0 };
                self.start_from(parent, place, self.iteration(parent, frame.next))
            } else {
                self.start_branch(parent, frame.next)
            };
            if !begun {
                if self.frame(parent).open == 0 {
                    self.phase_over(parent, Phase::Main);
                }
                return;
            }
        }
    }

    fn wait_in_backlog(&mut self, parent: Option<&TaskRunId>) {
        if self.state.backlog.is_empty() {
            self.command(crate::command::Command::Continue);
        }
        if !self.state.backlog.contains(&parent.cloned()) {
            self.change(Change::Backlog { parent: parent.cloned(), waiting: true });
        }
    }

    // Of a Parallel, each task is a lane of its own; disabled ones are passed over.
    fn start_branch(&mut self, parent: Option<&TaskRunId>, from: u32) -> bool {
        let flow = self.flow();
        let tasks = tasks_in(&self.state, &flow, parent, Place { phase: Phase::Main, lane: 0, position: 0 });
        let next = tasks.iter().enumerate().skip(from as usize).find(|(_, id)| enabled(&flow, id));
        let Some((index, task)) = next else { return false };
        self.create(parent, task, Place { phase: Phase::Main, lane: index as u32, position: index as u32 }, None);
        true
    }

    /// Begins the first enabled task from a position on. False: there is none.
    pub(crate) fn start_from(
        &mut self,
        parent: Option<&TaskRunId>,
        place: Place,
        iteration: Option<(u32, String)>,
    ) -> bool {
        let flow = self.flow();
        let tasks = tasks_in(&self.state, &flow, parent, place);
        let next = tasks.iter().enumerate().skip(place.position as usize).find(|(_, id)| enabled(&flow, id));
        let Some((position, task)) = next else { return false };
        self.create(parent, task, Place { position: position as u32, ..place }, iteration);
        true
    }

    /// Whether iterations run one after the other.
    pub(crate) fn is_one_by_one(&self, parent: Option<&TaskRunId>) -> bool {
        matches!(self.shape(parent), Shape::Lanes { iterations: true, limit: 1, .. })
    }

    /// Everything in a phase has ended.
    pub(crate) fn phase_over(&mut self, parent: Option<&TaskRunId>, phase: Phase) {
        let Some(run) = parent else { return self.flow_phase_over(phase) };
        let Some(task) = self.task(run) else { return self.close(run) };
        let verdict = self.frame(parent).verdict;
        if self.stopping() || self.is_halting(parent) || matches!(verdict, Some(Status::Killed | Status::Cancelled)) {
            return self.close(run);
        }
        let flow = self.flow();
        let block = block(&task.kind);
        let has = |tasks: &[TaskId]| tasks.iter().any(|id| enabled(&flow, id));
        let is_loop = matches!(&task.kind, TaskKind::Flow(flow) if matches!(flow.as_ref(), FlowTask::LoopUntil { .. }));
        match phase {
            Phase::Main if is_loop && verdict != Some(Status::Failed) && self.loop_goes_on(run) => {}
            Phase::Main if verdict == Some(Status::Failed) && block.is_some_and(|block| has(&block.errors)) => {
                self.go_to(parent.cloned(), Phase::Errors);
            }
            Phase::Main | Phase::Errors if block.is_some_and(|block| has(&block.finally)) => {
                self.go_to(parent.cloned(), Phase::Finally);
            }
            _ => self.close(run),
        }
    }

    /// A task that holds others ends the way its children of the main phase did.
    fn close(&mut self, run: &TaskRunId) {
        let verdict = self.frame(Some(run)).verdict.unwrap_or(Status::Success);
        self.change(Change::Phase { parent: Some(run.clone()), phase: Phase::Done });
        self.finish(run, verdict);
    }

    pub(crate) fn iteration(&self, parent: Option<&TaskRunId>, lane: u32) -> Option<(u32, String)> {
        match &self.state.node(parent?)?.evaluated {
            Some(Evaluated::Values { values }) => Some((lane, each::value_text(values.as_list()?.get(lane as usize)?))),
            _ => None,
        }
    }

    fn shape(&self, parent: Option<&TaskRunId>) -> Shape {
        let Some(node) = parent.and_then(|run| self.state.node(run)) else { return Shape::Sequence };
        let Some(task) = self.state.flow.task(&node.run.task) else { return Shape::Sequence };
        let TaskKind::Flow(flow) = &task.kind else { return Shape::Sequence };
        match (flow.as_ref(), &node.evaluated) {
            (FlowTask::Parallel { block, concurrent, fail_fast }, _) => Shape::Lanes {
                lanes: block.tasks.len() as u32,
                limit: *concurrent,
                iterations: false,
                fail_fast: *fail_fast,
            },
            (FlowTask::ForEach { concurrent, .. }, Some(Evaluated::Values { values })) => Shape::Lanes {
                lanes: values.as_list().map_or(0, <[_]>::len) as u32,
                limit: *concurrent,
                iterations: true,
                fail_fast: false,
            },
            (FlowTask::Dag { concurrent, .. }, _) => Shape::Dag { limit: *concurrent },
            (FlowTask::WorkingDirectory { .. }, _) => Shape::Unit,
            _ => Shape::Sequence,
        }
    }
}

/// Whether a task takes part at all.
pub(crate) fn enabled(flow: &Flow, id: &TaskId) -> bool {
    flow.task(id).is_none_or(|task| !task.disabled)
}

/// What a task with children has in common with others of its kind.
pub(crate) fn block(kind: &TaskKind) -> Option<&Block> {
    let TaskKind::Flow(flow) = kind else { return None };
    match flow.as_ref() {
        FlowTask::Sequential(block) | FlowTask::AllowFailure(block) | FlowTask::ForEachItem(block) => Some(block),
        FlowTask::Parallel { block, .. }
        | FlowTask::Dag { block, .. }
        | FlowTask::If { block, .. }
        | FlowTask::Switch { block, .. }
        | FlowTask::ForEach { block, .. }
        | FlowTask::LoopUntil { block, .. }
        | FlowTask::WorkingDirectory { block, .. } => Some(block),
        FlowTask::Pause(pause) => Some(&pause.block),
        FlowTask::SplitItems { .. }
        | FlowTask::RunItems(_)
        | FlowTask::MergeItems
        | FlowTask::Sleep { .. }
        | FlowTask::Subflow(_)
        | FlowTask::Template { .. } => None,
    }
}

/// The tasks of a phase, in order, disabled ones among them.
pub(crate) fn tasks_in<'a>(
    state: &State,
    flow: &'a Arc<Flow>,
    parent: Option<&TaskRunId>,
    place: Place,
) -> &'a [TaskId] {
    let Some(run) = parent else {
        return match place.phase {
            Phase::Main => &flow.tasks,
            Phase::Errors => &flow.errors,
            Phase::Finally => &flow.finally,
            Phase::Listeners => flow.listeners.get(place.lane as usize).map_or(&[], |listener| &listener.tasks),
            Phase::After => &flow.after_execution,
            Phase::OnPause | Phase::Outputs | Phase::Done => &[],
        };
    };
    let Some(node) = state.node(run) else { return &[] };
    let Some(task) = flow.task(&node.run.task) else { return &[] };
    let Some(block) = block(&task.kind) else { return &[] };
    match place.phase {
        Phase::Main => main_tasks(&task.kind, node.evaluated.as_ref(), block),
        Phase::Errors => &block.errors,
        Phase::Finally => &block.finally,
        Phase::OnPause => on_pause(&task.kind),
        Phase::Outputs | Phase::Listeners | Phase::After | Phase::Done => &[],
    }
}

fn on_pause(kind: &TaskKind) -> &[TaskId] {
    match kind {
        TaskKind::Flow(flow) => match flow.as_ref() {
            FlowTask::Pause(pause) => pause.on_pause.as_slice(),
            _ => &[],
        },
        _ => &[],
    }
}

fn main_tasks<'a>(kind: &'a TaskKind, evaluated: Option<&Evaluated>, block: &'a Block) -> &'a [TaskId] {
    let TaskKind::Flow(flow) = kind else { return &[] };
    match (flow.as_ref(), evaluated) {
        (FlowTask::If { otherwise, .. }, Some(Evaluated::If { holds: false })) => otherwise,
        (FlowTask::Switch { defaults, .. }, Some(Evaluated::Switch { branch: Branch::Defaults })) => defaults,
        (FlowTask::Switch { cases, .. }, Some(Evaluated::Switch { branch: Branch::Case(case) })) => {
            cases.get(*case as usize).map_or(&[], |(_, tasks)| tasks)
        }
        _ => &block.tasks,
    }
}
