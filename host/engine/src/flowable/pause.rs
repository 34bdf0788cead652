//! Pause and Sleep: waiting, for somebody or for a time. Never a worker held open.

use expr::{Map, Value};
use jiff::SignedDuration;
use model::change::{Change, Cleanup, Evaluated, Phase, Place, Stop, TimerPurpose};
use model::ids::TaskRunId;
use model::state::State as Status;
use model::task::{FlowTask, Pause, PauseBehavior, TaskKind};

use crate::draft::{Draft, failure};
use crate::duration;
use crate::task::{bad_duration, text_of};

impl Draft {
    pub(crate) fn sleep(&mut self, run: &TaskRunId, values: &Map, timeout: Option<SignedDuration>) {
        self.start_attempt(run);
        let Some(length) = values.get("duration").and_then(duration::parse) else {
            return self.attempt_over(run, Err(bad_duration("duration", values.get("duration"))), Value::Null);
        };
        self.wait_for(run, TimerPurpose::Wake, length);
        if let Some(timeout) = timeout {
            self.wait_for(run, TimerPurpose::Timeout, timeout);
        }
    }

    fn wait_for(&mut self, run: &TaskRunId, purpose: TimerPurpose, length: SignedDuration) {
        self.set_timer(Some(run), purpose, self.now.saturating_add(length).unwrap_or(jiff::Timestamp::MAX));
    }

    pub(crate) fn pause(&mut self, run: &TaskRunId, pause: &Pause, values: &Map, timeout: Option<SignedDuration>) {
        self.enter_run(run, Status::Running);
        let length = match values.get("duration").map(duration::parse) {
            Some(None) => return self.fail(run, bad_duration("pauseDuration", values.get("duration"))),
            length => length.flatten(),
        };
        let Some(behavior) = text_of(values, "behavior").and_then(|name| PauseBehavior::from_name(&name)) else {
            return self.fail(run, failure("invalid-property", "`behavior` must be RESUME, WARN, FAIL or CANCEL"));
        };
        self.evaluated(run, Evaluated::Pause { behavior });
        self.enter_run(run, Status::Paused);
        if self.state.status() == Some(Status::Running) {
            self.enter_execution(Status::Paused);
        }
        self.change(Change::Phase { parent: Some(run.clone()), phase: Phase::OnPause });
        if let Some(task) = &pause.on_pause
            && super::enabled(&self.flow(), task)
        {
            self.create(Some(run), task, Place { phase: Phase::OnPause, lane: 0, position: 0 }, None);
        }
        if let Some(length) = length {
            self.wait_for(run, TimerPurpose::Wake, length);
        }
        if let Some(timeout) = timeout {
            self.wait_for(run, TimerPurpose::Timeout, timeout);
        }
    }

    /// A time is over: of a Sleep, or of a Pause.
    pub(crate) fn wake(&mut self, run: &TaskRunId) {
        let Some(task) = self.task(run) else { return };
        let TaskKind::Flow(flow) = &task.kind else { return };
        match flow.as_ref() {
            FlowTask::Sleep { .. } => self.attempt_over(run, Ok(Status::Success), Value::Null),
            FlowTask::Pause(_) => match self.behavior(run) {
                PauseBehavior::Resume => self.resume_run(run, &Map::new(), Status::Success),
                PauseBehavior::Warn => self.resume_run(run, &Map::new(), Status::Warning),
                PauseBehavior::Fail => self.resume_run(run, &Map::new(), Status::Failed),
                PauseBehavior::Cancel => {
                    self.leave_pause(run);
                    self.stop(Stop { state: Status::Cancelled, cleanup: Cleanup::None });
                }
            },
            _ => {}
        }
    }

    fn behavior(&self, run: &TaskRunId) -> PauseBehavior {
        match self.state.node(run).and_then(|node| node.evaluated.as_ref()) {
            Some(Evaluated::Pause { behavior }) => *behavior,
            _ => PauseBehavior::Resume,
        }
    }

    /// A pause ends; what it holds runs, and it ends no better than `verdict`.
    pub(crate) fn resume_run(&mut self, run: &TaskRunId, inputs: &Map, verdict: Status) {
        if self.run_status(run) != Some(Status::Paused) {
            return;
        }
        if !inputs.is_empty() {
            self.outputs(run, Value::map([("onResume", Value::from(inputs.clone()))]));
        }
        self.leave_pause(run);
        if verdict != Status::Success {
            self.change(Change::Verdict { parent: Some(run.clone()), state: verdict });
        }
        if verdict == Status::Failed {
            let problem = failure("pause-over", "the time of the pause was over before anybody resumed it");
            self.change(Change::RunFailed { run: run.clone(), failure: Some(problem.clone()) });
            self.log(Some(run), problem);
        }
        if self.has_active_on_pause(run) {
            self.enter_run(run, Status::Running);
            return;
        }
        self.after_pause(run);
    }

    fn after_pause(&mut self, run: &TaskRunId) {
        if self.frame(Some(run)).verdict == Some(Status::Failed) {
            return self.phase_over(Some(run), Phase::Main);
        }
        self.enter_run(run, Status::Running);
        self.go_to(Some(run.clone()), Phase::Main);
    }

    fn leave_pause(&mut self, run: &TaskRunId) {
        self.clear_timer(Some(run), TimerPurpose::Wake);
        self.clear_timer(Some(run), TimerPurpose::Timeout);
        let last = self.state.paused.len() <= 1;
        if last && self.state.status() == Some(Status::Paused) && !self.state.held {
            self.enter_execution(Status::Running);
        }
    }

    /// The task that runs beside a pause has ended, in this state.
    pub(crate) fn on_pause_over(&mut self, parent: Option<&TaskRunId>, state: Status) {
        let Some(run) = parent else { return };
        match self.run_status(run) {
            Some(Status::Running) => self.after_pause(run),
            // Both are being ended, and what it holds has not begun: it waited for this one.
            Some(Status::Killing) => {
                self.change(Change::Verdict { parent: Some(run.clone()), state });
                self.phase_over(parent, Phase::Main);
            }
            _ => {}
        }
    }

    pub(crate) fn is_pause(&self, run: &TaskRunId) -> bool {
        self.task(run).is_some_and(
            |task| matches!(&task.kind, TaskKind::Flow(flow) if matches!(flow.as_ref(), FlowTask::Pause(_))),
        )
    }

    fn has_active_on_pause(&self, run: &TaskRunId) -> bool {
        self.children_of(Some(run)).iter().any(|child| self.run_status(child).is_some_and(Status::is_active))
    }

    /// A task has run, or a pause has lasted, too long.
    pub(crate) fn timed_out(&mut self, run: &TaskRunId) {
        if self.state.jobs.contains_key(run) {
            return self.cancel_job(run, model::change::CancelReason::Timeout);
        }
        match self.run_status(run) {
            Some(Status::Paused) => self.resume_run(run, &Map::new(), Status::Failed),
            Some(Status::Running) if self.frame(Some(run)).limit.is_some() => self.expire(run),
            _ => {
                self.clear_timer(Some(run), TimerPurpose::Wake);
                self.drop_child(run);
                let problem = failure("timeout", "Timeout: the task ran longer than its timeout");
                self.attempt_over(run, Err(problem), Value::Null);
            }
        }
    }
}
