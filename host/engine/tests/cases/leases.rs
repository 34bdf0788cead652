//! Leases of attempts: whose report counts, and how one that does not is refused.

use engine::{Effects, End, Event, JobId, RejectCode, Rejected};
use model::ids::TaskRunId;

use crate::jobs::{Driven, is_stale};

// How a report of each lease is taken, of an attempt that lease 2 holds, or held until it was given back.
fn check_leases(is_held: bool, report: impl Fn(&mut Driven, &JobId, u64) -> Result<(), Rejected>, expected: [bool; 4]) {
    for (epoch, is_taken) in (0..).zip(expected) {
        let mut driven = Driven::new("tasks: [{id: a, type: LOG}]");
        let job = driven.job();
        driven.started(&job, 2);
        if !is_held {
            driven.send(Event::TaskReturned { job: job.clone(), epoch: 2 }).unwrap();
        }
        let result = report(&mut driven, &job, epoch);
        assert!(result.as_ref().is_ok() == is_taken, "{is_held} {epoch}: {result:?}");
        assert!(is_taken || is_stale(result), "{is_held} {epoch}");
    }
}

#[test]
fn what_an_earlier_lease_tells_is_stale() {
    let ended = |driven: &mut Driven, job: &JobId, epoch| driven.ended(job, epoch, End::Success);
    let lost = |driven: &mut Driven, job: &JobId, epoch| driven.lost(job, epoch, Effects::Repeatable);
    // A later lease may be heard of by its end first.
    check_leases(true, ended, [false, false, true, true]);
    check_leases(true, lost, [false, false, true, true]);
    check_leases(false, ended, [false, false, false, true]);
    check_leases(false, lost, [false, false, false, true]);
    let began = |driven: &mut Driven, job: &JobId, epoch| driven.send(Event::EffectsBegan { job: job.clone(), epoch });
    check_leases(true, began, [false, false, true, false]);
    check_leases(false, began, [false; 4]);
    let returned =
        |driven: &mut Driven, job: &JobId, epoch| driven.send(Event::TaskReturned { job: job.clone(), epoch });
    check_leases(true, returned, [false, false, true, false]);
    let started = |driven: &mut Driven, job: &JobId, epoch| driven.send(Event::TaskStarted { job: job.clone(), epoch });
    check_leases(false, started, [false, false, false, true]);
}

#[test]
fn attempt_that_nobody_took_may_end_without_a_lease() {
    let mut driven = Driven::new("tasks: [{id: a, type: LOG}]");
    let job = driven.job();
    driven.ended(&job, 0, End::Warning).unwrap();
    assert_eq!(driven.shown(), "WARNING: a=WARNING");
}

#[test]
fn attempt_is_handed_out_under_the_lease_after_the_last() {
    let mut driven = Driven::new("tasks: [{id: a, type: LOG}]");
    let epoch = |driven: &Driven| driven.jobs.last().map(|(_, epoch)| *epoch);
    assert_eq!(epoch(&driven), Some(1));
    let job = driven.job();
    driven.started(&job, 4);
    driven.lost(&job, 4, Effects::Repeatable).unwrap();
    assert_eq!(epoch(&driven), Some(5));
}

#[test]
fn start_of_an_attempt_is_refused_for_what_it_is() {
    let mut driven = Driven::new("tasks: [{id: a, type: LOG}]");
    let job = driven.job();
    let start = |driven: &mut Driven, job: &JobId, epoch| {
        driven.send(Event::TaskStarted { job: job.clone(), epoch }).map_err(|rejected| rejected.code)
    };
    let nobody = JobId { run: TaskRunId::trusted("nobody"), ..job.clone() };
    assert_eq!(start(&mut driven, &nobody, 1), Err(RejectCode::Unknown));
    for other in [JobId { attempt: 2, ..job.clone() }, JobId { generation: 1, ..job.clone() }] {
        assert_eq!(start(&mut driven, &other, 1), Err(RejectCode::Stale));
    }
    assert_eq!(start(&mut driven, &job, 2), Ok(()));
    assert_eq!(start(&mut driven, &job, 2), Err(RejectCode::Duplicate));
    assert_eq!(start(&mut driven, &job, 1), Err(RejectCode::Stale));
    assert_eq!(start(&mut driven, &job, 3), Err(RejectCode::Conflict));
    let effects = Event::EffectsBegan { job: job.clone(), epoch: 2 };
    driven.send(effects.clone()).unwrap();
    assert_eq!(driven.send(effects).unwrap_err().code, RejectCode::Duplicate);
    driven.ended(&job, 2, End::Success).unwrap();
    assert_eq!(start(&mut driven, &job, 3), Err(RejectCode::Stale));
}

#[test]
fn job_of_an_earlier_life_is_stale() {
    let mut driven = Driven::new("tasks: [{id: a, type: LOG}]");
    let before = driven.job();
    driven.send(Event::Kill { cascade: true }).unwrap();
    driven.send(Event::Restart { from: None }).unwrap();
    driven.send(Event::Continue).unwrap();
    let now = driven.job();
    // Nobody had begun it, so it is the first attempt again.
    assert_eq!((before.attempt, now.attempt, now.generation), (1, 1, before.generation + 1));
    assert!(is_stale(driven.ended(&before, 1, End::Success)));
    driven.ended(&now, 1, End::Success).unwrap();
    assert_eq!(driven.shown(), "SUCCESS: a=SUCCESS");
}
