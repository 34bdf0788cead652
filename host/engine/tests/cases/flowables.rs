//! What holds others: which of its children begin, and when they do not any more.

use engine::{End, Event};
use expr::Map;
use model::change::{Change, Phase};
use model::ids::TaskId;
use model::state::State as Status;

use crate::hand::Hand;
use crate::{check_after, shown, takes, world};

#[test]
fn what_fails_with_another_branch_begins_nothing_more() {
    // When `f` fails, `q` has failed already, two of its tasks run, and one would be next.
    let q = "{id: q, type: PAR, concurrent: 2, tasks: [{id: g, type: FAIL}, {id: a, type: LOG}, {id: b, type: LOG}, {id: c, type: LOG}], errors: [{id: e, type: LOG}]}";
    let s = "{id: s, type: SEQ, tasks: [{id: w, type: SLEEP, duration: PT1S}, {id: f, type: FAIL}]}";
    let mut sim = world(&format!("tasks: [{{id: p, type: PAR, failFast: true, tasks: [{s}, {q}]}}]"));
    sim.script("a", |_| takes(5));
    sim.script("b", |_| takes(5));
    let id = sim.start("test", "main", Map::new());
    sim.run();
    assert_eq!(
        shown(&sim, &id),
        "FAILED: p=FAILED s=FAILED q=FAILED w=SUCCESS g=FAILED a=CANCELLED b=CANCELLED f=FAILED"
    );
}

#[test]
fn nothing_follows_what_an_exit_ended() {
    let exit = "{id: s, type: SEQ, tasks: [{id: w, type: SLEEP, duration: PT1S}, {id: x, type: EXIT}]}";
    let body = format!("tasks: [{{id: p, type: PAR, tasks: [{exit}, {{id: a, type: LOG}}]}}, {{id: b, type: LOG}}]");
    let expected = "SUCCESS: p=SUCCESS s=SUCCESS a=SUCCESS w=SUCCESS x=SUCCESS";
    check_after(&body, "a", |_| takes(5), |_, _| {}, expected);
}

#[test]
fn kill_waits_for_every_worker() {
    let mut hand = Hand::new("tasks: [{id: p, type: PAR, tasks: [{id: a, type: LOG}, {id: b, type: LOG}]}]");
    let jobs = ["a", "b"].map(|task| hand.begin(task));
    hand.send(Event::Kill { cascade: true }).unwrap();
    let [first, second] = jobs;
    hand.end(first, End::Killed);
    assert_eq!(hand.shown(), "KILLING: p=KILLING a=KILLED b=KILLING");
    hand.end(second, End::Killed);
    assert_eq!(hand.shown(), "KILLED: p=KILLED a=KILLED b=KILLED");
}

#[test]
fn execution_does_not_end_before_a_group_that_was_opened_again() {
    // `c` ran although `s` had failed, and is the last.
    let s = "{id: s, type: SEQ, allowFailure: true, tasks: [{id: a, type: FAIL}, {id: b, type: LOG}]}";
    let mut sim = world(&format!("tasks: [{s}, {{id: c, type: LOG}}]"));
    sim.script("b", |_| takes(5));
    let id = sim.start("test", "main", Map::new());
    sim.run();
    assert_eq!(shown(&sim, &id), "WARNING: s=WARNING a=FAILED c=SUCCESS");
    let run = sim.state(&id).run_of(&TaskId::trusted("a"), &[]).map(|run| run.id.clone());
    sim.send(&id, Event::ChangeState { run, state: Status::Success }).unwrap();
    assert_eq!(shown(&sim, &id), "RUNNING: s=RUNNING a=SUCCESS c=SUCCESS b=RUNNING");
    sim.run();
    assert_eq!(shown(&sim, &id), "SUCCESS: s=SUCCESS a=SUCCESS c=SUCCESS b=SUCCESS");
}

#[test]
fn phases_without_tasks_are_not_written_down() {
    let mut sim = world("tasks: [{id: s, type: SEQ, tasks: [{id: a, type: FAIL}]}]");
    let id = sim.start("test", "main", Map::new());
    sim.run();
    let entered = sim.changes(&id).iter().filter_map(|change| match change {
        Change::Phase { parent: Some(_), phase } => Some(*phase),
        _ => None,
    });
    assert_eq!(entered.collect::<Vec<_>>(), [Phase::Main, Phase::Done]);
}

#[test]
fn what_holds_others_is_tried_once_and_counts_no_attempts() {
    let retry = "retry: {type: constant, interval: PT1S, maxAttempts: 3}";
    let body = format!(
        "tasks: [{{id: a, type: SWITCH, value: '{{{{ nothing }}}}', {retry}, cases: {{x: [{{id: b, type: LOG}}]}}}}]"
    );
    let mut sim = world(&body);
    let id = sim.start("test", "main", Map::new());
    sim.run();
    assert_eq!(shown(&sim, &id), "FAILED: a=FAILED");
    assert_eq!(sim.state(&id).runs().next().unwrap().attempts.len(), 0);
}
