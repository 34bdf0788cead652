//! LoopUntil and WaitFor: the children again and again until a condition holds.
//!
//! The task runs of an iteration are removed when the next begins: a loop that waits for days must not fill the state.

use expr::{Map, Value};
use jiff::SignedDuration;
use model::change::{Change, Evaluated, Phase, RenderPurpose, TimerPurpose};
use model::ids::TaskRunId;
use model::state::State as Status;
use model::task::{FlowTask, Task, TaskKind};

use crate::draft::{Draft, failure};
use crate::duration;
use crate::task::bad_duration;

/// Shortest time between two iterations: without one, a loop whose children need no worker would never leave its decision.
const SHORTEST_INTERVAL: SignedDuration = SignedDuration::from_millis(1);

impl Draft {
    pub(crate) fn begin_loop(&mut self, run: &TaskRunId, values: &Map) {
        let Some(interval) = values.get("interval").and_then(duration::parse) else {
            return self.fail(run, bad_duration("checkFrequency.interval", values.get("interval")));
        };
        let max_duration = match values.get("maxDuration").map(duration::parse) {
            Some(None) => return self.fail(run, bad_duration("checkFrequency.maxDuration", values.get("maxDuration"))),
            limit => limit.flatten(),
        };
        let max_iterations = values.get("maxIterations").and_then(count);
        self.evaluated(
            run,
            Evaluated::Loop { interval: interval.max(SHORTEST_INTERVAL), max_iterations, max_duration },
        );
        self.loop_count(run, 0);
        self.open_frame(run);
    }

    /// An iteration is over and has not failed. True: the loop has more to do.
    pub(crate) fn loop_goes_on(&mut self, run: &TaskRunId) -> bool {
        let decided = self
            .state
            .node(run)
            .is_some_and(|node| node.frame.as_ref().is_some_and(|frame| frame.phase != Phase::Main));
        if !decided {
            self.ask_for(run, RenderPurpose::LoopCondition);
        }
        !decided
    }

    pub(crate) fn loop_decides(&mut self, run: &TaskRunId, task: &Task, holds: bool) {
        let Some(Evaluated::Loop { interval, max_iterations, max_duration }) =
            self.state.node(run).and_then(|node| node.evaluated.clone())
        else {
            return;
        };
        if holds {
            return self.leave_loop(run);
        }
        let due = self.now.saturating_add(interval).unwrap_or(jiff::Timestamp::MAX);
        let iterations = self.frame(Some(run)).iteration.saturating_add(1);
        let started = self.state.run(run).map_or(self.now, |run| run.history.started());
        let reached = max_iterations.is_some_and(|limit| iterations >= limit)
            || max_duration.is_some_and(|limit| due.duration_since(started) >= limit);
        if !reached {
            return self.set_timer(Some(run), TimerPurpose::Loop, due);
        }
        if fails_at_limit(task) {
            let problem = failure(
                "loop-limit",
                format!("the condition did not hold within {iterations} iterations or the longest duration"),
            );
            self.change(Change::RunFailed { run: run.clone(), failure: Some(problem.clone()) });
            self.change(Change::Verdict { parent: Some(run.clone()), state: Status::Failed });
            self.log(Some(run), problem);
        }
        self.leave_loop(run);
    }

    fn leave_loop(&mut self, run: &TaskRunId) {
        // Past the last iteration: what follows is what follows a main phase.
        self.change(Change::Phase { parent: Some(run.clone()), phase: Phase::Outputs });
        self.phase_over(Some(run), Phase::Main);
    }

    pub(crate) fn next_iteration(&mut self, run: &TaskRunId) {
        let gone = self.descendants(run);
        self.change(Change::RunsRemoved { runs: gone });
        let iteration = self.frame(Some(run)).iteration.saturating_add(1);
        self.change(Change::Iteration { run: run.clone(), iteration });
        self.loop_count(run, iteration);
        self.go_to(Some(run.clone()), Phase::Main);
    }

    fn loop_count(&mut self, run: &TaskRunId, iteration: u32) {
        self.outputs(run, Value::map([("iterationCount", Value::Int(iteration.into()))]));
    }

    /// Everything under a task run, children before what is under them.
    pub(crate) fn descendants(&self, run: &TaskRunId) -> Vec<TaskRunId> {
        let mut found = self.children_of(Some(run));
        let mut next = 0;
        while let Some(child) = found.get(next).cloned() {
            found.extend(self.children_of(Some(&child)));
            next += 1;
        }
        found
    }
}

fn fails_at_limit(task: &Task) -> bool {
    match &task.kind {
        TaskKind::Flow(flow) => matches!(flow.as_ref(), FlowTask::LoopUntil { fail_on_max_reached: true, .. }),
        _ => false,
    }
}

fn count(value: &Value) -> Option<u32> {
    let number = match value {
        Value::Text(text) => text.as_plain()?.trim().parse().ok()?,
        other => other.as_i64()?,
    };
    u32::try_from(number).ok()
}
