//! WorkingDirectory: its tasks run one after the other on one worker, in one directory. The worker reports each; a loss begins anew.

use expr::Value;
use model::change::{Change, Phase, Place, TimerPurpose};
use model::execution::Failure;
use model::ids::{TaskId, TaskRunId};
use model::state::State as Status;

use super::tasks_in;
use crate::draft::{Draft, failure};
use crate::event::{End, JobId, RejectCode, Rejected, UnitReport};
use crate::job::leased;

impl Draft {
    /// A worker takes the unit: what an earlier worker did of it is gone with its directory.
    pub(crate) fn reset_unit(&mut self, run: &TaskRunId) {
        let gone = self.descendants(run);
        if !gone.is_empty() {
            for child in &gone {
                self.enter_run(child, Status::Killed);
            }
            self.change(Change::RunsRemoved { runs: gone });
            self.change(Change::Verdict { parent: Some(run.clone()), state: Status::Success });
        }
        self.change(Change::Phase { parent: Some(run.clone()), phase: Phase::Main });
    }

    pub(crate) fn unit_task(
        &mut self,
        id: &JobId,
        epoch: u64,
        task: &TaskId,
        report: UnitReport,
    ) -> Result<(), Rejected> {
        leased(&self.state, id, epoch)?;
        let unit = Some(&id.run);
        let flow = self.flow();
        let tasks = tasks_in(&self.state, &flow, unit, Place { phase: Phase::Main, lane: 0, position: 0 });
        let position = tasks.iter().position(|other| other == task);
        let (Some(position), true, Some(run)) = (position, self.is_unit(&id.run), self.child_run_id(unit, task, None))
        else {
            return Err(Rejected::new(RejectCode::Unknown, format!("task `{task}` is not in this working directory")));
        };
        if self.state.node(&run).is_none() {
            let place = Place { phase: Phase::Main, lane: 0, position: position as u32 };
            self.change(Change::RunCreated {
                run: run.clone(),
                task: task.clone(),
                parent: unit.cloned(),
                value: None,
                iteration: None,
                place,
                at: self.now,
            });
        }
        if self.run_status(&run).is_none_or(Status::is_terminal) {
            return Err(Rejected::new(RejectCode::Duplicate, format!("task `{task}` has ended already")));
        }
        match report {
            UnitReport::Skipped => self.enter_run(&run, Status::Skipped),
            UnitReport::Started => self.start_attempt(&run),
            UnitReport::Retrying(problem) => {
                self.end_unit_attempt(&run, Status::Failed, Some(problem));
                self.enter_run(&run, Status::Retrying);
            }
            UnitReport::Ended(outcome) => {
                if !outcome.outputs.is_null() {
                    self.outputs(&run, outcome.outputs);
                }
                let (state, problem) = match outcome.end {
                    End::Success => (Status::Success, None),
                    End::Warning => (Status::Warning, None),
                    End::Killed => (Status::Killed, None),
                    End::Failed(problem) => (Status::Failed, Some(problem)),
                };
                self.end_unit_attempt(&run, state, problem);
                self.finish(&run, state);
            }
        }
        Ok(())
    }

    fn end_unit_attempt(&mut self, run: &TaskRunId, state: Status, problem: Option<Failure>) {
        let attempt = self.next_attempt(run).saturating_sub(1);
        self.change(Change::AttemptEnded { run: run.clone(), attempt, state, failure: problem.clone(), at: self.now });
        if let Some(problem) = problem {
            self.log(Some(run), problem);
        }
    }

    /// The worker is done with the unit; errors and finally run as everywhere.
    pub(crate) fn unit_over(&mut self, run: &TaskRunId, result: Result<Status, Failure>, outputs: Value) {
        if !outputs.is_null() {
            self.outputs(run, outputs);
        }
        let (state, problem) = match result {
            Ok(state) => (state, None),
            Err(problem) => (Status::Failed, Some(problem)),
        };
        // What is still open of it ends as it does: a task that nobody ended was not killed.
        self.stop_unit(run, if state == Status::Failed { Status::Failed } else { Status::Killed });
        let attempt = self.next_attempt(run).saturating_sub(1);
        self.change(Change::AttemptEnded { run: run.clone(), attempt, state, failure: problem.clone(), at: self.now });
        self.clear_timer(Some(run), TimerPurpose::Timeout);
        let children = self.frame(Some(run)).verdict;
        if state == Status::Failed {
            let retryable = problem.as_ref().is_none_or(|problem| problem.retryable != Some(false));
            if let Some(due) = self.another_try(run, attempt).filter(|_| retryable) {
                self.enter_run(run, Status::Retrying);
                return self.set_timer(Some(run), TimerPurpose::Retry, due);
            }
        }
        if let Some(verdict) = crate::state::worse(children, state).filter(|verdict| Some(*verdict) != children) {
            let problem = problem.unwrap_or_else(|| failure("unit-failed", "the working directory did not end well"));
            if verdict == Status::Failed {
                self.change(Change::RunFailed { run: run.clone(), failure: Some(problem.clone()) });
                self.log(Some(run), problem);
            }
            self.change(Change::Verdict { parent: Some(run.clone()), state: verdict });
        }
        self.phase_over(Some(run), Phase::Main);
    }

    /// What the worker had begun and not ended ends with it.
    pub(crate) fn stop_unit(&mut self, run: &TaskRunId, state: Status) {
        for child in self.children_of(Some(run)) {
            self.halt(&child, state);
        }
    }
}
