//! The end of an attempt, and whether there is another.

use expr::Value;
use jiff::{SignedDuration, Timestamp};
use model::change::{Change, TimerPurpose};
use model::execution::Failure;
use model::ids::TaskRunId;
use model::state::State as Status;
use model::task::{Delays, Retry, RetryBehavior};

use crate::draft::Draft;
use crate::ids::fraction;
use crate::state::State;

/// Attempts a task run may have where its retry names no limit: every one of them is kept in the state.
pub const ATTEMPTS_PER_RUN: u32 = 10_000;

impl Draft {
    /// Begins an attempt that the engine carries out itself.
    pub(crate) fn start_attempt(&mut self, run: &TaskRunId) {
        let attempt = self.next_attempt(run);
        self.change(Change::AttemptStarted { run: run.clone(), attempt, epoch: 0, at: self.now });
        self.enter_run(run, Status::Running);
    }

    /// An attempt is over: the task run ends, or waits for its next attempt.
    pub(crate) fn attempt_over(&mut self, run: &TaskRunId, result: Result<Status, Failure>, outputs: Value) {
        if !outputs.is_null() {
            self.outputs(run, outputs);
        }
        let attempt = self.state.jobs.get(run).map_or_else(|| self.next_attempt(run) - 1, |job| job.attempt);
        self.clear_timer(Some(run), TimerPurpose::Timeout);
        let (state, problem) = match result {
            Ok(state) => (state, None),
            Err(problem) => (Status::Failed, Some(problem)),
        };
        self.change(Change::AttemptEnded { run: run.clone(), attempt, state, failure: problem.clone(), at: self.now });
        if let Some(problem) = &problem {
            self.log(Some(run), problem.clone());
        }
        let gives_up = self.stopping() || problem.is_some_and(|problem| problem.retryable == Some(false));
        let warns = || retry_of(&self.state, run).is_some_and(|retry| retry.warning_on_retry);
        match state {
            Status::Failed => match self.another_try(run, attempt).filter(|_| !gives_up) {
                Some(due) => {
                    self.enter_run(run, Status::Retrying);
                    self.set_timer(Some(run), TimerPurpose::Retry, due);
                }
                None => self.finish(run, Status::Failed),
            },
            Status::Success if attempt > 1 && warns() => self.finish(run, Status::Warning),
            state => self.finish(run, state),
        }
    }

    /// When the attempt after this one is due, if the retry that holds for the task run has one.
    pub(crate) fn another_try(&self, run: &TaskRunId, attempt: u32) -> Option<Timestamp> {
        let retry = retry_of(&self.state, run).filter(|retry| retry.behavior == RetryBehavior::RetryFailedTask)?;
        let first = self.state.run(run)?.attempts.first()?.history.started();
        next_due(&retry, attempt, first, self.now, fraction(run, attempt))
    }
}

/// When the next attempt is due after `attempt` of them, if there is another.
pub(crate) fn next_due(
    retry: &Retry,
    attempt: u32,
    first: Timestamp,
    now: Timestamp,
    jitter: f64,
) -> Option<Timestamp> {
    if attempt >= retry.max_attempts.unwrap_or(ATTEMPTS_PER_RUN).min(ATTEMPTS_PER_RUN) {
        return None;
    }
    let due = now.saturating_add(delay(&retry.delays, attempt, jitter)).ok()?;
    let in_time = retry.max_duration.is_none_or(|limit| due.duration_since(first) < limit);
    in_time.then_some(due)
}

fn delay(delays: &Delays, attempt: u32, jitter: f64) -> SignedDuration {
    match delays {
        Delays::Constant { interval } => *interval,
        Delays::Exponential { interval, max_interval, factor } => {
            let grown = interval.as_secs_f64() * factor.max(1.0).powi(attempt.saturating_sub(1).min(1_000) as i32);
            if grown >= max_interval.as_secs_f64() {
                *max_interval
            } else {
                SignedDuration::try_from_secs_f64(grown).unwrap_or(*max_interval)
            }
        }
        Delays::Random { min, max } => {
            let spread = (*max - *min).as_secs_f64().max(0.0);
            *min + SignedDuration::try_from_secs_f64(spread * jitter).unwrap_or_default()
        }
    }
}

/// The retry that holds for a task run: its own, that of the nearest task around it, or the flow's.
pub(crate) fn retry_of(state: &State, run: &TaskRunId) -> Option<Retry> {
    let mut next = Some(run);
    while let Some(node) = next.and_then(|id| state.node(id)) {
        if let Some(retry) = state.flow.task(&node.run.task).and_then(|task| task.retry.as_ref()) {
            return Some(retry.clone());
        }
        next = node.run.parent.as_ref();
    }
    state.flow.retry.clone()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn due(retry: &Retry, attempt: u32, elapsed_ms: i64) -> Option<i64> {
        let now = Timestamp::from_millisecond(elapsed_ms).unwrap();
        next_due(retry, attempt, Timestamp::UNIX_EPOCH, now, 0.5).map(Timestamp::as_millisecond)
    }

    fn retry(delays: Delays) -> Retry {
        Retry {
            delays,
            max_attempts: Some(4),
            max_duration: Some(SignedDuration::from_secs(20)),
            warning_on_retry: false,
            behavior: RetryBehavior::default(),
        }
    }

    #[test]
    fn delays_follow_their_kind() {
        let second = SignedDuration::from_secs(1);
        let constant = retry(Delays::Constant { interval: second });
        assert_eq!(due(&constant, 1, 0), Some(1_000));
        assert_eq!(due(&constant, 4, 0), None);
        assert_eq!(due(&constant, 1, 19_000), None);
        let exponential =
            retry(Delays::Exponential { interval: second, max_interval: SignedDuration::from_secs(3), factor: 2.0 });
        assert_eq!([1, 2, 3].map(|attempt| due(&exponential, attempt, 0)), [Some(1_000), Some(2_000), Some(3_000)]);
        let random = retry(Delays::Random { min: second, max: SignedDuration::from_secs(3) });
        assert_eq!(due(&random, 1, 0), Some(2_000));
    }
}
