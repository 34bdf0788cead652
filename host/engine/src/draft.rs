//! A decision being made: a copy of the state, the changes so far, and what is still to be looked at.
//!
//! Every change goes through [`Draft::change`], which records it and folds it at once: what a decision sees is exactly what a later fold of
//! its changes gives.

use std::collections::{HashSet, VecDeque};
use std::sync::Arc;

use expr::{Map, Value};
use jiff::Timestamp;
use model::change::{Change, Phase, Place, RenderId, RenderPurpose, TimerId, TimerPurpose};
use model::execution::Failure;
use model::flow::{Dynamic, Flow};
use model::ids::{TaskId, TaskRunId};
use model::state::State as Status;
use model::task::Task;

use crate::command::{Command, Message, RenderScope, Rendering};
use crate::ids::{RunKey, run_id};
use crate::state::{Frame, State};
use crate::templates::templates;

/// Task runs one decision may begin. More wait for `Event::Continue`, so that one commit stays small and others get their turn.
pub(crate) const STARTS_PER_DECISION: u32 = 1_000;

/// Steps one decision may take: far above what [`STARTS_PER_DECISION`] can cause, so reaching it is a fault of the engine.
const STEPS_PER_DECISION: u32 = 1_000_000;

pub(crate) struct Draft {
    pub state: State,
    pub now: Timestamp,
    pub changes: Vec<Change>,
    pub commands: Vec<Command>,
    pub starts: u32,
    /// A kill that leaves the executions alone that this one has started.
    pub spares_children: bool,
    todo: VecDeque<Step>,
    messages: HashSet<String>,
}

/// Something to look at within a decision. A queue in place of recursion: ten thousand iterations that end at once need no stack.
pub(crate) enum Step {
    /// A task run was created, or is to run again.
    Begin(TaskRunId),
    Answer(RenderId, Result<Map, Failure>),
    /// A task run has ended.
    Ended(TaskRunId),
    /// The children of this phase are to begin.
    Enter(Option<TaskRunId>, Phase),
}

impl Draft {
    pub fn new(state: &State, now: Timestamp) -> Self {
        Self {
            state: state.clone(),
            now,
            changes: Vec::new(),
            commands: Vec::new(),
            starts: 0,
            spares_children: false,
            todo: VecDeque::new(),
            messages: HashSet::new(),
        }
    }

    /// Records a change and folds it.
    pub fn change(&mut self, change: Change) {
        self.state.apply(&change);
        self.changes.push(change);
    }

    pub fn command(&mut self, command: Command) {
        self.commands.push(command);
    }

    pub fn then(&mut self, step: Step) {
        self.todo.push_back(step);
    }

    /// Looks at everything that follows from the changes so far.
    pub fn settle(&mut self) {
        for _ in 0..STEPS_PER_DECISION {
            let Some(step) = self.todo.pop_front() else { return };
            match step {
                Step::Begin(run) => self.begin(&run),
                Step::Answer(id, result) => self.answered(&id, result),
                Step::Ended(run) => self.child_ended(&run),
                Step::Enter(parent, phase) => self.enter_phase(parent.as_ref(), phase),
            }
        }
    }

    pub fn flow(&self) -> Arc<Flow> {
        self.state.flow.clone()
    }

    pub fn task(&self, run: &TaskRunId) -> Option<Arc<Task>> {
        self.state.task_of(run)
    }

    pub fn frame(&self, parent: Option<&TaskRunId>) -> Frame {
        self.state.frame(parent)
    }

    pub fn run_status(&self, run: &TaskRunId) -> Option<Status> {
        self.state.run(run).map(model::execution::TaskRun::state)
    }

    /// Whether the execution is being ended: nothing new begins.
    pub fn stopping(&self) -> bool {
        self.state.stop.is_some()
    }

    pub fn enter_run(&mut self, run: &TaskRunId, state: Status) {
        if self.run_status(run) != Some(state) {
            self.change(Change::RunEntered { run: run.clone(), state, at: self.now });
        }
    }

    pub fn enter_execution(&mut self, state: Status) {
        if self.state.status() != Some(state) {
            self.change(Change::Entered { state, at: self.now });
        }
    }

    /// The id a child has. It follows from where it is.
    pub fn child_run_id(
        &self,
        parent: Option<&TaskRunId>,
        task: &TaskId,
        iteration: Option<(u32, &str)>,
    ) -> Option<TaskRunId> {
        let execution = self.state.execution()?;
        let loop_count = parent
            .and_then(|run| self.state.node(run))
            .and_then(|node| node.frame.as_ref())
            .map_or(0, |frame| frame.iteration);
        Some(run_id(RunKey { execution: &execution.id, parent, task, iteration, loop_count }))
    }

    /// Creates a task run. One that exists already, from before a restart, stays as it is: what follows it goes on.
    pub fn create(
        &mut self,
        parent: Option<&TaskRunId>,
        task: &TaskId,
        place: Place,
        iteration: Option<(u32, String)>,
    ) {
        let key = iteration.as_ref().map(|(index, value)| (*index, value.as_str()));
        let Some(run) = self.child_run_id(parent, task, key) else { return };
        if let Some(state) = self.run_status(&run) {
            if state.is_terminal() {
                self.then(Step::Ended(run));
            }
            return;
        }
        let (iteration, value) = iteration.unzip();
        self.change(Change::RunCreated {
            run: run.clone(),
            task: task.clone(),
            parent: parent.cloned(),
            value,
            iteration,
            place,
            at: self.now,
        });
        self.starts += 1;
        self.then(Step::Begin(run));
    }

    /// Asks for what a decision needs rendered. What holds no template is answered on the spot.
    pub fn ask(&mut self, id: RenderId) {
        let templates = templates(&self.state, &id);
        if templates.iter().all(|(_, value, how)| *how != Rendering::Conditions && is_literal(value)) {
            let values = templates.into_iter().map(|(name, value, _)| (Arc::from(name), value)).collect();
            return self.then(Step::Answer(id, Ok(values)));
        }
        self.change(Change::RenderAsked { id: id.clone() });
        let scope = render_scope(&self.state, &id);
        self.command(Command::Render { id, scope, templates });
    }

    pub fn ask_for(&mut self, run: &TaskRunId, purpose: RenderPurpose) {
        self.ask(RenderId { run: Some(run.clone()), purpose });
    }

    pub fn set_timer(&mut self, run: Option<&TaskRunId>, purpose: TimerPurpose, due: Timestamp) {
        let id = TimerId { run: run.cloned(), purpose };
        self.change(Change::TimerSet { id: id.clone(), due });
        self.command(Command::SetTimer { id, due });
    }

    pub fn clear_timer(&mut self, run: Option<&TaskRunId>, purpose: TimerPurpose) {
        let id = TimerId { run: run.cloned(), purpose };
        if self.state.timers.contains_key(&id) {
            self.change(Change::TimerCleared { id: id.clone() });
            self.command(Command::ClearTimer { id });
        }
    }

    pub fn log(&mut self, run: Option<&TaskRunId>, failure: Failure) {
        self.command(Command::Log { run: run.cloned(), failure });
    }

    /// Sends a message, once; `key` tells it apart from every other of this execution.
    pub fn message(&mut self, key: &str, message: Message) {
        let execution = self.state.execution().map_or("", |execution| execution.id.as_str());
        let key = format!("{execution}/{}/{key}", self.state.generation());
        if self.messages.insert(key.clone()) {
            self.command(Command::Message { key, message });
        }
    }
}

/// In whose eyes a render happens.
pub(crate) fn render_scope(state: &State, id: &RenderId) -> RenderScope {
    match (&id.run, id.purpose) {
        (None, _) => RenderScope::Execution,
        (Some(run), RenderPurpose::ChildOutputs) => match crate::flowable::subflow::current_child(state, run) {
            Some(child) => RenderScope::Child(child),
            None => RenderScope::Run(run.clone()),
        },
        (Some(run), RenderPurpose::Batch(batch)) => RenderScope::Batch { run: run.clone(), batch },
        (Some(run), _) => RenderScope::Run(run.clone()),
    }
}

/// Whether a value holds no template: then it is what it says.
pub(crate) fn is_literal(value: &Value) -> bool {
    match value {
        Value::Text(text) => match text.as_plain() {
            Some(text) => !text.contains("{{") && !text.contains("{%") && !text.contains("{#"),
            None => true,
        },
        Value::List(items) => items.iter().all(is_literal),
        Value::Map(map) => map.iter().all(|(key, item)| is_literal(&Value::text(key.clone())) && is_literal(item)),
        _ => true,
    }
}

/// A template by name, if the property is there.
pub(crate) fn optional(
    name: &'static str,
    property: Option<&Dynamic>,
    how: Rendering,
) -> Option<(&'static str, Value, Rendering)> {
    property.map(|property| (name, property.0.clone(), how))
}

/// A failure of the engine's own making.
pub(crate) fn failure(code: &str, message: impl Into<String>) -> Failure {
    Failure { code: code.to_owned(), message: message.into(), retryable: None }
}
