//! Attempts on workers that nobody simulates: lost, given back, told to end before and after they were taken.

use engine::sim::Sim;
use engine::{Command, Effects, End, Event, JobId, Outcome, RejectCode, Rejected, State, UnitReport, Work, decide};
use expr::{Map, Value};
use jiff::Timestamp;
use model::change::Change;
use model::execution::Failure;
use model::ids::TaskId;
use model::state::State as Status;

use crate::{shown_state, world};

/// An execution whose jobs nobody runs. Templates stand for themselves.
pub(crate) struct Driven {
    pub(crate) state: State,
    pub(crate) now: Timestamp,
    /// Handed out, with the epoch of the lease.
    pub(crate) jobs: Vec<(JobId, u64)>,
    pub(crate) cancelled: Vec<JobId>,
    pub(crate) said: Vec<Failure>,
}

impl Driven {
    pub(crate) fn new(body: &str) -> Self {
        let mut sim: Sim = world(body);
        let id = sim.start("test", "main", Map::new());
        let (state, now) = (sim.state(&id).clone(), sim.now);
        sim.run_while(|_| false);
        let Some(Change::Created { execution }) = sim.changes(&id).first().cloned() else {
            panic!("the first change creates the execution")
        };
        let mut driven = Self { state, now, jobs: Vec::new(), cancelled: Vec::new(), said: Vec::new() };
        driven.send(Event::Start { execution }).unwrap();
        driven
    }

    pub(crate) fn send(&mut self, event: Event) -> Result<(), Rejected> {
        let decision = decide(&self.state, event, self.now)?;
        decision.changes.iter().for_each(|change| self.state.apply(change));
        for command in decision.commands {
            match command {
                Command::Render { id, templates, .. } => {
                    let values = templates.iter().map(|(name, value, _)| ((*name).into(), value.clone()));
                    self.send(Event::Rendered { id, result: Ok(Map::from_iter(values)) }).unwrap();
                }
                Command::Run { job, epoch, work, .. } => {
                    assert!(matches!(work, Work::Task | Work::Unit { .. }));
                    self.jobs.push((job, epoch));
                }
                Command::CancelRun { job } => self.cancelled.push(job),
                Command::Log { failure, .. } => self.said.push(failure),
                _ => {}
            }
        }
        Ok(())
    }

    /// The job that was handed out last, which must be the only one since.
    pub(crate) fn job(&mut self) -> JobId {
        let (job, _) = self.jobs.pop().expect("a job was handed out");
        assert!(self.jobs.is_empty());
        job
    }

    pub(crate) fn started(&mut self, job: &JobId, epoch: u64) {
        self.send(Event::TaskStarted { job: job.clone(), epoch }).unwrap();
    }

    pub(crate) fn lost(&mut self, job: &JobId, epoch: u64, effects: Effects) -> Result<(), Rejected> {
        self.send(Event::TaskLost { job: job.clone(), epoch, effects })
    }

    pub(crate) fn ended(&mut self, job: &JobId, epoch: u64, end: End) -> Result<(), Rejected> {
        let outcome = Outcome { end, outputs: Value::Null };
        self.send(Event::TaskEnded { job: job.clone(), epoch, outcome })
    }

    pub(crate) fn shown(&self) -> String {
        shown_state(&self.state)
    }
}

pub(crate) fn is_stale(result: Result<(), Rejected>) -> bool {
    result.is_err_and(|rejected| rejected.code == RejectCode::Stale)
}

#[test]
fn lost_attempts_are_handed_out_again_and_not_for_ever() {
    let mut driven = Driven::new("tasks: [{id: a, type: LOG}]");
    let mut handed_out = 0;
    for epoch in 1..10 {
        if driven.jobs.is_empty() {
            break;
        }
        handed_out += 1;
        let job = driven.job();
        driven.started(&job, epoch);
        // An earlier lease says nothing of this one.
        assert!(is_stale(driven.lost(&job, epoch - 1, Effects::Repeatable)));
        driven.lost(&job, epoch, Effects::Repeatable).unwrap();
    }
    assert_eq!((handed_out, driven.shown().as_str()), (3, "FAILED: a=FAILED"));
    assert_eq!(driven.said.last().map(|failure| failure.code.as_str()), Some("workers-lost"));
}

#[test]
fn attempt_that_may_have_done_something_is_not_made_again() {
    let mut driven =
        Driven::new("tasks: [{id: a, type: LOG, retry: {type: constant, interval: PT1S, maxAttempts: 3}}]");
    let job = driven.job();
    driven.started(&job, 1);
    driven.lost(&job, 1, Effects::Unknown).unwrap();
    assert_eq!(driven.shown(), "FAILED: a=FAILED");
    assert_eq!(
        driven.said.last().map(|failure| (failure.code.as_str(), failure.retryable)),
        Some(("outcome-unknown", Some(false)))
    );
}

#[test]
fn attempt_that_is_given_back_is_handed_out_again() {
    let mut driven = Driven::new("tasks: [{id: a, type: LOG}]");
    let job = driven.job();
    driven.started(&job, 1);
    driven.send(Event::TaskReturned { job: job.clone(), epoch: 1 }).unwrap();
    let again = driven.job();
    assert_eq!(again.attempt, job.attempt, "it is the same attempt");
    assert!(is_stale(driven.ended(&job, 0, End::Success)));
    driven.started(&again, 2);
    driven.ended(&again, 2, End::Success).unwrap();
    assert_eq!(driven.shown(), "SUCCESS: a=SUCCESS");
}

#[test]
fn kill_waits_for_a_worker_and_for_nobody_else() {
    let mut taken = Driven::new("tasks: [{id: a, type: LOG}]");
    let job = taken.job();
    taken.started(&job, 1);
    taken.send(Event::Kill { cascade: true }).unwrap();
    assert_eq!((taken.shown().as_str(), taken.cancelled.len()), ("KILLING: a=KILLING", 1));
    // What it has done meanwhile does not count.
    taken.ended(&job, 1, End::Success).unwrap();
    assert_eq!(taken.shown(), "KILLED: a=KILLED");

    let mut waiting = Driven::new("tasks: [{id: a, type: LOG}]");
    let job = waiting.job();
    waiting.send(Event::Kill { cascade: true }).unwrap();
    assert_eq!(waiting.shown(), "KILLED: a=KILLED");
    assert!(waiting.send(Event::TaskStarted { job, epoch: 1 }).is_err());
}

#[test]
fn effects_are_of_the_attempt_that_has_them() {
    let mut driven = Driven::new("tasks: [{id: a, type: LOG}]");
    let job = driven.job();
    driven.started(&job, 1);
    assert!(!driven.state.effects_began(&job));
    driven.send(Event::EffectsBegan { job: job.clone(), epoch: 1 }).unwrap();
    assert!(driven.state.effects_began(&job));
    let other = JobId { attempt: job.attempt + 1, ..job };
    assert!(!driven.state.effects_began(&other));
}

#[test]
fn what_was_given_before_a_kill_is_kept() {
    let mut driven = Driven::new("tasks: [{id: a, type: LOG}]");
    let job = driven.job();
    driven.started(&job, 1);
    driven.send(Event::Kill { cascade: true }).unwrap();
    let outputs = Value::map([("part", Value::Int(1))]);
    driven
        .send(Event::TaskEnded { job, epoch: 1, outcome: Outcome { end: End::Killed, outputs: outputs.clone() } })
        .unwrap();
    assert_eq!(driven.shown(), "KILLED: a=KILLED");
    assert_eq!(driven.state.runs().next().map(|run| run.outputs.clone()), Some(outputs));
}

#[test]
fn unit_begins_anew_with_another_worker() {
    let mut driven = Driven::new("tasks: [{id: w, type: UNIT, tasks: [{id: a, type: LOG}, {id: b, type: LOG}]}]");
    let unit = |job: &JobId, epoch: u64, task: &str, report: UnitReport| Event::UnitTask {
        job: job.clone(),
        epoch,
        task: TaskId::trusted(task),
        report,
    };
    let good = || UnitReport::Ended(Outcome { end: End::Success, outputs: Value::Null });
    let job = driven.job();
    driven.started(&job, 1);
    driven.send(unit(&job, 1, "a", UnitReport::Started)).unwrap();
    driven.send(unit(&job, 1, "a", good())).unwrap();
    driven.send(unit(&job, 1, "b", UnitReport::Started)).unwrap();
    driven.lost(&job, 1, Effects::Repeatable).unwrap();
    let job = driven.job();
    driven.started(&job, 2);
    // What was done in the directory of the first went with it.
    assert_eq!(driven.shown(), "RUNNING: w=RUNNING");
    assert!(is_stale(driven.send(unit(&job, 1, "b", good()))));
    for task in ["a", "b"] {
        driven.send(unit(&job, 2, task, UnitReport::Started)).unwrap();
        driven.send(unit(&job, 2, task, good())).unwrap();
    }
    driven.ended(&job, 2, End::Success).unwrap();
    assert_eq!(driven.shown(), "SUCCESS: w=SUCCESS a=SUCCESS b=SUCCESS");
    assert_eq!(driven.state.status(), Some(Status::Success));
}

#[test]
fn worker_of_an_attempt_that_is_being_ended_may_go_without_a_word() {
    for effects in [Effects::Unknown, Effects::Repeatable] {
        let mut driven = Driven::new("tasks: [{id: a, type: LOG}]");
        let job = driven.job();
        driven.started(&job, 1);
        driven.send(Event::Kill { cascade: true }).unwrap();
        driven.lost(&job, 1, effects).unwrap();
        assert_eq!((driven.shown().as_str(), driven.jobs.len()), ("KILLED: a=KILLED", 0));
    }
    let mut driven = Driven::new("tasks: [{id: a, type: LOG}]");
    let job = driven.job();
    driven.started(&job, 1);
    driven.send(Event::Kill { cascade: true }).unwrap();
    driven.send(Event::TaskReturned { job, epoch: 1 }).unwrap();
    assert_eq!((driven.shown().as_str(), driven.jobs.len()), ("KILLED: a=KILLED", 0));
}

#[test]
fn tasks_of_a_unit_are_handed_out_in_order_without_those_disabled() {
    let body = "tasks: [{id: w, type: UNIT, tasks: [{id: a, type: LOG}, {id: b, type: LOG, disabled: true}, {id: c, type: LOG}]}]";
    let driven = Driven::new(body);
    let work = driven.state.outstanding().into_iter().find_map(|command| match command {
        Command::Run { work, .. } => Some(work),
        _ => None,
    });
    assert_eq!(work, Some(Work::Unit { tasks: ["a", "c"].map(TaskId::trusted).into() }));
}
