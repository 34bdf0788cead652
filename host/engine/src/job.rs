//! Attempts that a worker carries out: handed out, started, lost, ended. What names another attempt, lease or generation is stale.

use expr::Value;
use jiff::SignedDuration;
use model::change::{CancelReason, Change, TimerPurpose};
use model::execution::Failure;
use model::ids::TaskRunId;
use model::state::State as Status;
use model::task::{FlowTask, TaskKind};

use crate::command::{Command, Work};
use crate::draft::{Draft, failure};
use crate::event::{Effects, End, JobId, Outcome, RejectCode, Rejected};
use crate::state::{Job, State};

/// Workers one attempt may lose before it fails: a task that kills its node must not go round the cluster for ever.
pub const LOSSES_PER_ATTEMPT: u32 = 3;

impl Draft {
    /// Hands an attempt out.
    pub(crate) fn send_job(&mut self, run: &TaskRunId, timeout: Option<SignedDuration>) {
        let attempt = self.next_attempt(run);
        self.change(Change::JobSent { run: run.clone(), attempt, generation: self.state.generation(), timeout });
        self.command_job(run);
    }

    fn command_job(&mut self, run: &TaskRunId) {
        if let Some(command) = run_command(&self.state, run) {
            self.command(command);
        }
    }

    pub(crate) fn next_attempt(&self, run: &TaskRunId) -> u32 {
        self.state.run(run).map_or(1, |run| run.attempts.len() as u32 + 1)
    }

    pub(crate) fn job_started(&mut self, id: &JobId, epoch: u64) -> Result<(), Rejected> {
        let job = known(&self.state, id)?;
        if job.started && job.epoch == epoch {
            return Err(Rejected::new(
                RejectCode::Duplicate,
                format!("attempt {} of task run `{}` has started already", id.attempt, id.run),
            ));
        }
        if epoch <= job.epoch {
            return Err(stale(id));
        }
        if job.started {
            let message = format!(
                "attempt {} of task run `{}` is under a lease (hint: report it lost first)",
                id.attempt, id.run
            );
            return Err(Rejected::new(RejectCode::Conflict, message));
        }
        if job.cancel.is_some() {
            return Err(Rejected::new(
                RejectCode::Conflict,
                format!("attempt {} of task run `{}` is being ended", id.attempt, id.run),
            ));
        }
        self.started(id, epoch, job.timeout);
        Ok(())
    }

    fn started(&mut self, id: &JobId, epoch: u64, timeout: Option<SignedDuration>) {
        self.change(Change::AttemptStarted { run: id.run.clone(), attempt: id.attempt, epoch, at: self.now });
        self.enter_run(&id.run, Status::Running);
        if let Some(timeout) = timeout {
            self.set_timer(
                Some(&id.run),
                TimerPurpose::Timeout,
                self.now.saturating_add(timeout).unwrap_or(jiff::Timestamp::MAX),
            );
        }
        self.is_unit(&id.run).then(|| self.reset_unit(&id.run));
    }

    pub(crate) fn effects_began(&mut self, id: &JobId, epoch: u64) -> Result<(), Rejected> {
        let job = leased(&self.state, id, epoch)?;
        if job.effects {
            return Err(Rejected::new(
                RejectCode::Duplicate,
                format!("effects of task run `{}` are known to have begun", id.run),
            ));
        }
        self.change(Change::EffectsBegan { run: id.run.clone() });
        Ok(())
    }

    pub(crate) fn job_ended(&mut self, id: &JobId, epoch: u64, outcome: Outcome) -> Result<(), Rejected> {
        let job = known(&self.state, id)?;
        if epoch < job.epoch || !job.started && epoch == job.epoch && epoch != 0 {
            return Err(stale(id));
        }
        if !job.started {
            self.started(id, epoch, None);
        }
        let result = match (job.cancel, outcome.end) {
            (Some(CancelReason::Timeout), _) => Err(timed_out(job.timeout)),
            (Some(CancelReason::Stopped(state)), _) => {
                return {
                    self.job_stopped(id, state, outcome.outputs);
                    Ok(())
                };
            }
            (None, End::Success) => Ok(Status::Success),
            (None, End::Warning) => Ok(Status::Warning),
            (None, End::Killed) => Ok(Status::Killed),
            (None, End::Failed(problem)) => Err(problem),
        };
        if self.is_unit(&id.run) {
            self.unit_over(&id.run, result, outcome.outputs);
        } else {
            self.attempt_over(&id.run, result, outcome.outputs);
        }
        Ok(())
    }

    pub(crate) fn job_lost(&mut self, id: &JobId, epoch: u64, effects: Effects) -> Result<(), Rejected> {
        let job = known(&self.state, id)?;
        if epoch < job.epoch || !job.started && epoch == job.epoch && epoch != 0 {
            return Err(stale(id));
        }
        match job.cancel {
            Some(CancelReason::Timeout) => self.lost_for_good(&id.run, timed_out(job.timeout)),
            Some(CancelReason::Stopped(state)) => self.job_stopped(id, state, Value::Null),
            None if effects == Effects::Unknown => {
                let message =
                    "the worker of this task was lost while its effects had begun, and the task must not run twice";
                self.lost_for_good(&id.run, Failure { retryable: Some(false), ..failure("outcome-unknown", message) });
            }
            None if job.losses + 1 >= LOSSES_PER_ATTEMPT => {
                let message = format!("{LOSSES_PER_ATTEMPT} workers were lost while running this task");
                self.lost_for_good(&id.run, failure("workers-lost", message));
            }
            None => {
                self.clear_timer(Some(&id.run), TimerPurpose::Timeout);
                self.change(Change::JobLost { run: id.run.clone() });
                self.command_job(&id.run);
            }
        }
        Ok(())
    }

    /// An attempt whose worker is gone is over. Of a unit, so is what the worker had begun of it.
    fn lost_for_good(&mut self, run: &TaskRunId, problem: Failure) {
        match self.is_unit(run) {
            true => self.unit_over(run, Err(problem), Value::Null),
            false => self.attempt_over(run, Err(problem), Value::Null),
        }
    }

    pub(crate) fn job_returned(&mut self, id: &JobId, epoch: u64) -> Result<(), Rejected> {
        if leased(&self.state, id, epoch)?.cancel.is_some() {
            return self.job_lost(id, epoch, Effects::Repeatable);
        }
        self.clear_timer(Some(&id.run), TimerPurpose::Timeout);
        self.change(Change::JobReturned { run: id.run.clone() });
        self.command_job(&id.run);
        Ok(())
    }

    fn job_stopped(&mut self, id: &JobId, state: Status, outputs: Value) {
        if !outputs.is_null() {
            self.outputs(&id.run, outputs);
        }
        if self.is_unit(&id.run) {
            self.stop_unit(&id.run, state);
        }
        self.change(Change::AttemptEnded {
            run: id.run.clone(),
            attempt: id.attempt,
            state,
            failure: None,
            at: self.now,
        });
        self.finish_as(&id.run, state);
    }

    /// Tells a running attempt to end. It stays until its worker, or the loss of it, is heard of.
    pub(crate) fn cancel_job(&mut self, run: &TaskRunId, why: CancelReason) {
        let Some(job) = self.state.jobs.get(run).cloned() else { return };
        let id = JobId { run: run.clone(), attempt: job.attempt, generation: job.generation };
        if job.cancel.is_none() {
            self.command(Command::CancelRun { job: id.clone() });
        }
        match why {
            // Nobody has taken it: there is nobody to wait for. A worker that takes it now is told that it is stale.
            CancelReason::Stopped(state) if !job.started => {
                self.change(Change::AttemptEnded {
                    run: run.clone(),
                    attempt: job.attempt,
                    state,
                    failure: None,
                    at: self.now,
                });
                self.finish_as(run, state);
            }
            why => self.change(Change::JobCancelled { run: run.clone(), why }),
        }
    }

    pub(crate) fn is_unit(&self, run: &TaskRunId) -> bool {
        self.task(run).is_some_and(|task| task.is_unit())
    }
}

/// The command that hands a job out, from the state alone.
pub(crate) fn run_command(state: &State, run: &TaskRunId) -> Option<Command> {
    let job = state.jobs.get(run)?;
    let task = state.task_of(run)?;
    let work = match &task.kind {
        TaskKind::Flow(flow) => match flow.as_ref() {
            FlowTask::WorkingDirectory { block, .. } => {
                let enabled = |id: &&model::ids::TaskId| state.flow.task(id).is_some_and(|task| !task.disabled);
                Work::Unit { tasks: block.tasks.iter().filter(enabled).cloned().collect() }
            }
            _ => Work::Task,
        },
        _ => Work::Task,
    };
    let job_id = JobId { run: run.clone(), attempt: job.attempt, generation: job.generation };
    Some(Command::Run { job: job_id, task: task.id.clone(), epoch: job.epoch + 1, timeout: job.timeout, work })
}

pub(crate) fn known(state: &State, id: &JobId) -> Result<Job, Rejected> {
    match state.jobs.get(&id.run) {
        Some(job) if job.attempt == id.attempt && job.generation == id.generation => Ok(job.clone()),
        Some(_) => Err(stale(id)),
        None if state.node(&id.run).is_none() => {
            Err(Rejected::new(RejectCode::Unknown, format!("there is no task run `{}`", id.run)))
        }
        None => Err(stale(id)),
    }
}

pub(crate) fn leased(state: &State, id: &JobId, epoch: u64) -> Result<Job, Rejected> {
    known(state, id).and_then(|job| if job.started && job.epoch == epoch { Ok(job) } else { Err(stale(id)) })
}

fn stale(id: &JobId) -> Rejected {
    Rejected::new(
        RejectCode::Stale,
        format!("attempt {} of task run `{}` is not, or no longer, under this lease", id.attempt, id.run),
    )
}

/// What a task that ran longer than it may ends with.
pub fn timed_out(timeout: Option<SignedDuration>) -> Failure {
    failure("timeout", format!("Timeout: the task ran longer than {:#}", timeout.unwrap_or_default()))
}
