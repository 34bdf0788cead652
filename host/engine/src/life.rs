//! What people and other executions do to an execution: start, kill, pause, resume, restart, change of state, labels.

use expr::Map;
use model::change::{Change, Cleanup, Phase, Stop, TimerId, TimerPurpose};
use model::execution::{Execution, SEMANTICS};
use model::flow::Label;
use model::ids::{TaskId, TaskRunId};
use model::state::{History, State as Status};

use crate::draft::{Draft, Step};
use crate::event::{RejectCode, Rejected};

/// The label that ties an execution to all it started.
pub const CORRELATION: &str = "system.correlationId";

impl Draft {
    pub(crate) fn start(&mut self, mut execution: Execution) -> Result<(), Rejected> {
        if self.state.execution().is_some() {
            return Err(Rejected::new(
                RejectCode::Duplicate,
                format!("execution `{}` has started already", execution.id),
            ));
        }
        execution.history = History::new(Status::Created, self.now);
        execution.semantics = SEMANTICS;
        execution.attempt = execution.attempt.max(1);
        if execution.variables.is_empty() {
            execution.variables = self.state.flow.variables.clone();
        }
        if !execution.labels.iter().any(|label| label.key == CORRELATION) {
            execution.labels.push(Label { key: CORRELATION.to_owned(), value: execution.id.as_str().to_owned() });
        }
        let scheduled = execution.scheduled.filter(|due| *due > self.now);
        let refused = execution.failure.clone();
        self.change(Change::Created { execution: Box::new(execution) });
        if let Some(problem) = refused {
            self.log(None, problem);
            self.stop(Stop { state: Status::Failed, cleanup: Cleanup::None });
            return Ok(());
        }
        self.watch_slas();
        match scheduled {
            Some(due) => self.set_timer(None, TimerPurpose::Schedule, due),
            None => self.begin_or_queue(),
        }
        Ok(())
    }

    /// Ends the execution before its time.
    pub(crate) fn stop(&mut self, stop: Stop) {
        self.change(Change::Stopping { stop });
        if self.state.held {
            self.change(Change::Held { on: false });
        }
        self.halt_children(None, stop.state);
        if self.frame(None).open == 0 {
            let phase = self.frame(None).phase;
            self.drop_renders(None);
            self.flow_phase_over(phase);
        }
    }

    pub(crate) fn kill(&mut self, cascade: bool) -> Result<(), Rejected> {
        if self.state.is_closed() {
            return Err(self.over("kill"));
        }
        if cascade {
            self.kill_children();
        }
        self.spares_children = !cascade;
        if self.state.stop.is_some_and(|stop| stop.state == Status::Killed) {
            return Err(Rejected::new(RejectCode::Duplicate, "the execution is being killed already"));
        }
        if self.state.status().is_some_and(|state| !state.is_terminal()) {
            self.enter_execution(Status::Killing);
        }
        self.stop(Stop { state: Status::Killed, cleanup: Cleanup::None });
        Ok(())
    }

    pub(crate) fn timer_due(&mut self, id: &TimerId) -> Result<(), Rejected> {
        match self.state.timers.get(id) {
            None => return Err(Rejected::new(RejectCode::Stale, "this timer is not, or no longer, set")),
            Some(due) if *due > self.now => {
                return Err(Rejected::new(RejectCode::Stale, "this timer was set anew for a later time"));
            }
            Some(_) => {}
        }
        self.change(Change::TimerCleared { id: id.clone() });
        match (&id.run, id.purpose) {
            (None, TimerPurpose::Schedule) => self.begin_or_queue(),
            (None, TimerPurpose::Sla(index)) => self.sla_broken(index),
            (Some(run), TimerPurpose::Wake) => self.wake(run),
            (Some(run), TimerPurpose::Timeout) => self.timed_out(run),
            (Some(run), TimerPurpose::Retry) => self.then(Step::Begin(run.clone())),
            (Some(run), TimerPurpose::Loop) => self.next_iteration(run),
            _ => {}
        }
        Ok(())
    }

    pub(crate) fn set_labels(&mut self, labels: &[Label]) -> Result<(), Rejected> {
        self.existing()?;
        self.add_labels(labels);
        Ok(())
    }

    pub(crate) fn existing(&self) -> Result<(), Rejected> {
        match self.state.execution() {
            Some(_) => Ok(()),
            None => Err(Rejected::new(RejectCode::Unknown, "the execution has not started")),
        }
    }

    pub(crate) fn over(&self, what: &str) -> Rejected {
        let state = self.state.status().unwrap_or(Status::Created);
        Rejected::new(RejectCode::Conflict, format!("cannot {what} an execution that is {state}"))
    }

    pub(crate) fn resume(&mut self, run: Option<&TaskRunId>, inputs: &Map) -> Result<(), Rejected> {
        let paused: Vec<TaskRunId> = match run {
            Some(run) if self.state.paused.contains(run) => vec![run.clone()],
            Some(_) => return Err(Rejected::new(RejectCode::Conflict, "this task run is not paused")),
            None => self.state.paused.iter().cloned().collect(),
        };
        let held = self.state.held && run.is_none();
        if held {
            self.begin_held();
            if paused.is_empty() {
                self.enter_execution(Status::Running);
            }
        }
        if paused.is_empty() && !held {
            return Err(Rejected::new(RejectCode::Conflict, "nothing in this execution is paused"));
        }
        for run in paused {
            self.resume_run(&run, inputs, Status::Success);
        }
        Ok(())
    }

    /// Somebody pauses the execution: what runs goes on to its end, nothing new begins.
    pub(crate) fn hold(&mut self) -> Result<(), Rejected> {
        if self.state.status() != Some(Status::Running) || self.stopping() {
            return Err(self.over("pause"));
        }
        self.change(Change::Held { on: true });
        self.enter_execution(Status::Paused);
        Ok(())
    }

    /// Stops the execution before a task somebody put a breakpoint on. What runs goes on to its end.
    pub(crate) fn meets_breakpoint(&mut self, run: &TaskRunId) -> bool {
        let Some(execution) = self.state.execution() else { return false };
        let meets = self.state.run(run).is_some_and(|run| execution.breakpoints.contains(&run.task));
        // Where the execution is not running, as beside a pause, the pause of it as a whole would be nobody's to end.
        let meets = meets && execution.state() == Status::Running;
        if meets {
            self.change(Change::Held { on: true });
            self.change(Change::RunHeld { run: run.clone(), on: true });
            self.enter_execution(Status::Breakpoint);
        }
        meets
    }

    fn begin_held(&mut self) {
        self.change(Change::Held { on: false });
        let held: Vec<TaskRunId> = self.state.held_runs.iter().cloned().collect();
        let passed: Vec<TaskId> =
            held.iter().filter_map(|run| self.state.run(run)).map(|run| run.task.clone()).collect();
        let breakpoints = self.state.execution().map(|execution| execution.breakpoints.clone()).unwrap_or_default();
        let left: Vec<TaskId> = breakpoints.iter().filter(|task| !passed.contains(task)).cloned().collect();
        if left.len() != breakpoints.len() {
            self.change(Change::Breakpoints { tasks: left });
        }
        for run in held {
            self.change(Change::RunHeld { run: run.clone(), on: false });
            self.then(Step::Begin(run));
        }
        let items: Vec<TaskRunId> = self.state.items.keys().cloned().collect();
        items.iter().for_each(|run| self.fill_items(run));
    }

    /// Begins what more there was than one decision may.
    pub(crate) fn continue_backlog(&mut self) {
        let waiting: Vec<Option<TaskRunId>> = self.state.backlog.iter().cloned().collect();
        for parent in waiting {
            self.change(Change::Backlog { parent: parent.clone(), waiting: false });
            self.fill(parent.as_ref());
        }
    }
}

/// The phases whose children a kill must reach.
pub(crate) const PHASES: [Phase; 6] =
    [Phase::OnPause, Phase::Main, Phase::Errors, Phase::Finally, Phase::Listeners, Phase::After];
