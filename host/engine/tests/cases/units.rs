//! Working directories, as their workers report them.

use engine::{Command, End, Event, JobId, Outcome, RejectCode, UnitReport};
use expr::Value;
use model::execution::Failure;
use model::ids::TaskId;
use model::state::State as Status;

use crate::hand::Hand;

const UNIT: &str = "tasks: [{id: w, type: UNIT, tasks: [{id: a, type: LOG}, {id: b, type: LOG}]}]";
const RETRIED: &str = "tasks: [{id: w, type: UNIT, retry: {type: constant, interval: PT1S, maxAttempts: 2}, tasks: [{id: a, type: LOG}]}]";

fn report(hand: &mut Hand, job: &JobId, task: &str, report: UnitReport) {
    hand.send(Event::UnitTask { job: job.clone(), epoch: 1, task: TaskId::trusted(task), report }).unwrap();
}

fn ended(end: End) -> UnitReport {
    UnitReport::Ended(Outcome { end, outputs: Value::Null })
}

fn failed(code: &str) -> End {
    End::Failed(Failure::new(code, code))
}

/// What was logged, by its code.
fn logged(hand: &Hand) -> Vec<&str> {
    let logs = hand.left.iter().filter_map(|command| match command {
        Command::Log { failure, .. } => Some(failure.code.as_str()),
        _ => None,
    });
    logs.collect()
}

fn attempts(hand: &Hand, task: &str) -> Vec<Status> {
    let run = hand.state.run_of(&TaskId::trusted(task), &[]).unwrap();
    run.attempts.iter().map(|attempt| attempt.history.current()).collect()
}

#[test]
fn tries_of_a_task_in_it_are_its_attempts() {
    let mut hand = Hand::new(UNIT);
    let job = hand.begin("w");
    report(&mut hand, &job, "a", UnitReport::Started);
    report(&mut hand, &job, "a", UnitReport::Retrying(Failure::new("first", "first")));
    assert_eq!(hand.shown(), "RUNNING: w=RUNNING a=RETRYING");
    report(&mut hand, &job, "a", UnitReport::Started);
    report(&mut hand, &job, "a", ended(End::Warning));
    assert_eq!(attempts(&hand, "a"), [Status::Failed, Status::Warning]);
    assert_eq!(logged(&hand), ["first"]);
    report(&mut hand, &job, "b", UnitReport::Skipped);
    hand.end(job, End::Success);
    assert_eq!(hand.shown(), "WARNING: w=WARNING a=WARNING/2 b=SKIPPED");
    assert_eq!(attempts(&hand, "w"), [Status::Success]);
}

#[test]
fn what_fails_in_it_is_told_once() {
    let mut hand = Hand::new(UNIT);
    let job = hand.begin("w");
    report(&mut hand, &job, "a", UnitReport::Started);
    report(&mut hand, &job, "a", ended(failed("inner")));
    let again = hand.send(Event::UnitTask {
        job: job.clone(),
        epoch: 1,
        task: TaskId::trusted("a"),
        report: UnitReport::Started,
    });
    assert_eq!(again.unwrap_err().code, RejectCode::Duplicate);
    hand.end(job, failed("outer"));
    assert_eq!(hand.shown(), "FAILED: w=FAILED a=FAILED");
    assert_eq!(logged(&hand), ["inner"]);
}

#[test]
fn failure_of_its_own_fails_it_though_its_tasks_ended_well() {
    let mut hand = Hand::new(UNIT);
    let job = hand.begin("w");
    report(&mut hand, &job, "a", UnitReport::Started);
    report(&mut hand, &job, "a", ended(End::Success));
    hand.end(job, failed("outer"));
    assert_eq!(hand.shown(), "FAILED: w=FAILED a=SUCCESS");
    assert_eq!(logged(&hand), ["outer"]);
}

#[test]
fn warning_of_its_own_is_no_failure() {
    let mut hand = Hand::new(UNIT);
    let job = hand.begin("w");
    hand.end(job, End::Warning);
    assert_eq!(hand.shown(), "WARNING: w=WARNING");
    assert!(logged(&hand).is_empty());
}

#[test]
fn task_that_nobody_ended_ends_with_it() {
    for (end, expected) in [
        (failed("outer"), "FAILED: w=FAILED a=FAILED"),
        // One that ended well has ended all it began: something is wrong with its worker.
        (End::Success, "KILLED: w=KILLED a=KILLED"),
    ] {
        let mut hand = Hand::new(UNIT);
        let job = hand.begin("w");
        report(&mut hand, &job, "a", UnitReport::Started);
        hand.end(job, end);
        assert_eq!(hand.shown(), expected);
    }
}

#[test]
fn its_outputs_are_kept() {
    let mut hand = Hand::new(UNIT);
    let job = hand.begin("w");
    let outputs = Value::map([("outputFiles", Value::map([("f", Value::text("kestra:///f"))]))]);
    let outcome = Outcome { end: End::Success, outputs: outputs.clone() };
    hand.send(Event::TaskEnded { job, epoch: 1, outcome }).unwrap();
    assert_eq!(hand.state.run_of(&TaskId::trusted("w"), &[]).map(|run| run.outputs.clone()), Some(outputs));
}

#[test]
fn it_is_tried_again_as_one_and_only_when_it_failed() {
    let mut hand = Hand::new(RETRIED);
    let job = hand.begin("w");
    report(&mut hand, &job, "a", UnitReport::Started);
    report(&mut hand, &job, "a", ended(failed("inner")));
    hand.end(job, failed("outer"));
    assert_eq!(hand.shown(), "RUNNING: w=RETRYING a=FAILED");

    let mut hand = Hand::new(RETRIED);
    let job = hand.begin("w");
    hand.end(job, End::Success);
    assert_eq!(hand.shown(), "SUCCESS: w=SUCCESS");

    let mut hand = Hand::new(RETRIED);
    let job = hand.begin("w");
    hand.end(job, End::Failed(Failure { retryable: Some(false), ..Failure::new("no", "no") }));
    assert_eq!(hand.shown(), "FAILED: w=FAILED");
}
