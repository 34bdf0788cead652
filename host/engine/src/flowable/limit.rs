//! The time that a task which holds others may take: what it holds is ended when it is over, and the task fails like any other that holds
//! a failure. Its `errors` and `finally` run, without a limit of their own.

use jiff::SignedDuration;
use model::change::{Change, Phase, TimerPurpose};
use model::ids::TaskRunId;
use model::state::State as Status;

use crate::draft::{Draft, failure};

impl Draft {
    /// The task has begun: its time runs.
    pub(crate) fn limit_time(&mut self, run: &TaskRunId, limit: Option<SignedDuration>) {
        if let Some(limit) = limit.filter(|_| self.run_status(run) == Some(Status::Running)) {
            self.change(Change::TimeLimit { run: run.clone(), limit });
            self.start_clock(run);
        }
    }

    /// The time of a task that runs again, from the beginning.
    pub(crate) fn start_clock(&mut self, run: &TaskRunId) {
        if let Some(limit) = self.frame(Some(run)).limit {
            let due = self.now.saturating_add(limit).unwrap_or(jiff::Timestamp::MAX);
            self.set_timer(Some(run), TimerPurpose::Timeout, due);
        }
    }

    /// The time of a task that holds others is over.
    pub(crate) fn expire(&mut self, run: &TaskRunId) {
        let frame = self.frame(Some(run));
        let Some(limit) = frame.limit.filter(|_| frame.phase != Phase::Done) else { return };
        let problem = failure("timeout", format!("Timeout: the task and what it holds ran longer than {limit:#}"));
        self.log(Some(run), problem);
        self.change(Change::Expired { run: run.clone() });
        self.drop_renders(Some(run));
        self.clear_timer(Some(run), TimerPurpose::Loop);
        self.halt_children(Some(run), Status::Killed);
        if self.frame(Some(run)).open == 0 {
            self.phase_over(Some(run), frame.phase);
        }
    }
}
