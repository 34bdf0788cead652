//! One task run from its creation to its end: its condition, its properties, and the way to what its kind does.

use std::sync::Arc;

use expr::{Map, Value};
use model::change::{Change, Evaluated, Phase, RenderId, RenderPurpose, TimerPurpose};
use model::execution::Failure;
use model::ids::TaskRunId;
use model::state::State as Status;
use model::task::{FlowTask, Task, TaskKind};

use crate::draft::{Draft, Step, failure};
use crate::duration;
use crate::flowable::block;

impl Draft {
    /// Begins a task run that was created or is to run again.
    pub(crate) fn begin(&mut self, run: &TaskRunId) {
        if self.run_status(run).is_none_or(Status::is_terminal) {
            return;
        }
        if let Some(stop) = self.state.stop {
            return self.halt(run, stop.state);
        }
        if self.state.held {
            return self.change(Change::RunHeld { run: run.clone(), on: true });
        }
        if self.meets_breakpoint(run) {
            return;
        }
        let Some(task) = self.task(run) else {
            let problem = failure(
                "task-missing",
                "this revision of the flow has no such task (hint: restart it on the revision it was started with)",
            );
            return self.fail(run, problem);
        };
        match &task.run_if {
            Some(_) => self.ask_for(run, RenderPurpose::RunIf),
            None => self.ask_for(run, RenderPurpose::Begin),
        }
    }

    /// Goes on where a render was waited for.
    pub(crate) fn answered(&mut self, id: &RenderId, result: Result<Map, Failure>) {
        let Some(run) = &id.run else { return self.flow_answered(id.purpose, result) };
        if self.run_status(run).is_none_or(Status::is_terminal) {
            return;
        }
        let Some(task) = self.task(run) else { return };
        match (id.purpose, result) {
            (RenderPurpose::RunIf, Ok(values)) if !values.get("runIf").is_some_and(Value::truthy) => {
                self.finish(run, Status::Skipped)
            }
            (RenderPurpose::RunIf, Ok(_)) => self.ask_for(run, RenderPurpose::Begin),
            (RenderPurpose::Begin, Ok(values)) => self.go(run, &task, &values),
            (RenderPurpose::Batch(batch), result) => self.batch_rendered(run, batch, result),
            (RenderPurpose::LoopCondition, Ok(values)) => {
                self.loop_decides(run, &task, values.get("condition").is_some_and(Value::truthy))
            }
            (RenderPurpose::ChildOutputs, result) => self.child_outputs(run, result),
            (RenderPurpose::Begin, Err(problem)) if has_attempts(&task) => {
                self.start_attempt(run);
                self.attempt_over(run, Err(problem), Value::Null);
            }
            (_, Err(problem)) => self.fail(run, problem),
            (RenderPurpose::FlowOutputs | RenderPurpose::Sla(_) | RenderPurpose::Listener(_), Ok(_)) => {}
        }
    }

    fn go(&mut self, run: &TaskRunId, task: &Task, values: &Map) {
        let timeout = match values.get("timeout").map(duration::parse) {
            Some(None) => return self.fail(run, bad_duration("timeout", values.get("timeout"))),
            timeout => timeout.flatten(),
        };
        match &task.kind {
            TaskKind::Plugin(_) => self.send_job(run, timeout),
            TaskKind::Engine(engine) => self.act(run, engine, values),
            TaskKind::Flow(flow) => match flow.as_ref() {
                FlowTask::Sleep { .. } => self.sleep(run, values, timeout),
                FlowTask::Subflow(_) => self.ask_child(run, values, timeout),
                FlowTask::Pause(pause) => self.pause(run, pause, values, timeout),
                FlowTask::WorkingDirectory { .. } => self.send_job(run, timeout),
                FlowTask::SplitItems { .. } => self.ask_split(run, values),
                FlowTask::RunItems(_) => self.begin_items(run, values),
                FlowTask::MergeItems => self.ask_merge(run),
                FlowTask::Template { .. } => {
                    let name = |name| text_of(values, name).unwrap_or_default();
                    let name = format!("{}.{}", name("namespace"), name("templateId"));
                    let message =
                        format!("Can't find flow template '{name}' (hint: make it a flow, and start it with Subflow)");
                    self.fail(run, failure("no-template", message));
                }
                FlowTask::Sequential(_)
                | FlowTask::AllowFailure(_)
                | FlowTask::ForEachItem(_)
                | FlowTask::Parallel { .. }
                | FlowTask::Dag { .. } => self.open_frame(run),
                FlowTask::If { .. } => self.branch_if(run, values),
                FlowTask::Switch { cases, defaults, .. } => self.branch_switch(run, cases, defaults, values),
                FlowTask::ForEach { .. } => self.each(run, values),
                FlowTask::LoopUntil { .. } => self.begin_loop(run, values),
            },
        }
        // The time of what holds others. A pause waits by itself, and a working directory is one job: neither runs yet.
        if block(&task.kind).is_some() {
            self.limit_time(run, timeout);
        }
    }

    /// A task run of the flow's control begins, and its children with it.
    pub(crate) fn open_frame(&mut self, run: &TaskRunId) {
        self.enter_run(run, Status::Running);
        self.go_to(Some(run.clone()), Phase::Main);
    }

    pub(crate) fn evaluated(&mut self, run: &TaskRunId, evaluated: Evaluated) {
        self.change(Change::Evaluated { run: run.clone(), evaluated });
    }

    pub(crate) fn outputs(&mut self, run: &TaskRunId, outputs: Value) {
        self.change(Change::Outputs { run: run.clone(), outputs, apart: None });
    }

    /// A task run fails before or beside its attempts: a condition or property of the engine's that cannot be evaluated.
    pub(crate) fn fail(&mut self, run: &TaskRunId, problem: Failure) {
        self.change(Change::RunFailed { run: run.clone(), failure: Some(problem.clone()) });
        self.log(Some(run), problem);
        self.finish(run, Status::Failed);
    }

    /// A task run ends. `allowFailure` and `allowWarning` have their say here and nowhere else.
    pub(crate) fn finish(&mut self, run: &TaskRunId, state: Status) {
        let state = match (self.task(run), state) {
            (Some(task), Status::Failed) if allows_failure(&task) => allow_warning(&task, Status::Warning),
            (Some(task), Status::Warning) => allow_warning(&task, Status::Warning),
            (_, state) => state,
        };
        self.finish_as(run, state);
    }

    /// A task run ends in exactly this state.
    pub(crate) fn finish_as(&mut self, run: &TaskRunId, state: Status) {
        if self.run_status(run).is_none_or(Status::is_terminal) {
            return;
        }
        for purpose in [TimerPurpose::Wake, TimerPurpose::Timeout, TimerPurpose::Retry, TimerPurpose::Loop] {
            self.clear_timer(Some(run), purpose);
        }
        self.enter_run(run, state);
        self.then(Step::Ended(run.clone()));
    }
}

fn allows_failure(task: &Task) -> bool {
    task.allow_failure
        || matches!(&task.kind, TaskKind::Flow(flow) if matches!(flow.as_ref(), FlowTask::AllowFailure(_)))
}

fn allow_warning(task: &Task, state: Status) -> Status {
    if task.allow_warning { Status::Success } else { state }
}

/// Whether its tries are counted: tasks that do something, as against those that only hold others.
pub(crate) fn has_attempts(task: &Task) -> bool {
    match &task.kind {
        TaskKind::Plugin(_) | TaskKind::Engine(_) => true,
        TaskKind::Flow(flow) => matches!(
            flow.as_ref(),
            FlowTask::Sleep { .. }
                | FlowTask::Subflow(_)
                | FlowTask::SplitItems { .. }
                | FlowTask::RunItems(_)
                | FlowTask::MergeItems
        ),
    }
}

pub(crate) fn bad_duration(name: &str, value: Option<&Value>) -> Failure {
    let found = value.map_or_else(String::new, |value| value.to_json().to_string());
    failure("invalid-duration", format!("`{name}` is no duration: {found} (hint: write ISO-8601, such as PT30S)"))
}

pub(crate) fn text_of(values: &Map, name: &str) -> Option<Arc<str>> {
    match values.get(name)? {
        Value::Text(text) => text.reveal().ok().map(|text| Arc::from(text.as_ref())),
        Value::Null => None,
        other => Some(Arc::from(other.to_json().to_string())),
    }
}
