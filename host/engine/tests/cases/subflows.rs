//! Executions that tasks start: which of them counts, what they are given, and what becomes of both.

use engine::sim::{Sim, flow};
use engine::{ChildResult, Command, Event};
use expr::{Map, Value};
use model::ids::{ExecutionId, TaskId};
use model::state::State as Status;

use crate::hand::Hand;
use crate::{check_after, fails, output, short, shown, takes, world};

const UNWAITED: &str = "tasks: [{id: x, type: SUB, wait: false}]";

fn child(hand: &mut Hand) -> ExecutionId {
    let child = hand.take(|command| match command {
        Command::StartChild { child, .. } => Some(child.clone()),
        _ => None,
    });
    child.unwrap()
}

fn failed(child: &ExecutionId) -> Event {
    Event::ChildEnded { child: child.clone(), result: Ok(ChildResult { state: Status::Failed, outputs: Map::new() }) }
}

#[test]
fn execution_that_nobody_waits_for_need_only_exist() {
    let mut hand = Hand::new(UNWAITED);
    let child = child(&mut hand);
    // Its end is heard of before its start.
    hand.send(failed(&child)).unwrap();
    assert_eq!(hand.shown(), "SUCCESS: x=SUCCESS");
    let outputs = hand.state.runs().next().unwrap().outputs.clone();
    assert_eq!(outputs, Value::map([("executionId", Value::text(child.as_str()))]));
}

#[test]
fn end_of_an_execution_of_an_earlier_life_is_not_that_of_the_present_one() {
    let mut hand = Hand::new(UNWAITED);
    let first = child(&mut hand);
    hand.send(Event::ChildStarted { child: first.clone() }).unwrap();
    assert_eq!(hand.shown(), "SUCCESS: x=SUCCESS");
    let from = hand.state.runs().next().map(|run| run.id.clone());
    hand.send(Event::Restart { from }).unwrap();
    hand.send(Event::Continue).unwrap();
    let second = child(&mut hand);
    assert_ne!(first, second);
    hand.send(failed(&first)).unwrap();
    assert_eq!(hand.shown(), "RUNNING: x=RUNNING/2");
    hand.send(Event::ChildStarted { child: second }).unwrap();
    assert_eq!(hand.shown(), "SUCCESS: x=SUCCESS/2");
}

#[test]
fn execution_is_asked_for_until_it_has_started() {
    let mut hand = Hand::new("tasks: [{id: x, type: SUB}]");
    let asked =
        |hand: &Hand| hand.state.outstanding().into_iter().find(|found| matches!(found, Command::StartChild { .. }));
    let again = asked(&hand);
    assert!(again.is_some() && hand.left.contains(&again.unwrap()), "it is the same as the first time");
    let child = child(&mut hand);
    hand.send(Event::ChildStarted { child }).unwrap();
    assert_eq!(asked(&hand), None);
}

fn restarted(property: &str) -> (Sim, ExecutionId) {
    let mut sim = world(&format!("tasks: [{{id: x, type: SUB{property}, inputs: {{fails: true}}}}]"));
    sim.script("c1", |attempt| if attempt == 1 { fails() } else { takes(0) });
    let id = sim.start("test", "main", Map::new());
    sim.run();
    assert_eq!(shown(&sim, &id), "FAILED: x=FAILED");
    sim.send(&id, Event::Restart { from: None }).unwrap();
    sim.run();
    (sim, id)
}

#[test]
fn restart_restarts_the_execution_that_failed() {
    let (sim, id) = restarted("");
    assert_eq!((sim.made.len(), shown(&sim, &id).as_str()), (2, "SUCCESS: x=SUCCESS/2"));
    assert_eq!(shown(&sim, &sim.made[1]), "SUCCESS: c1=SUCCESS/2 c2=SUCCESS");
}

#[test]
fn restart_makes_an_execution_anew_where_asked_to() {
    let (sim, id) = restarted(", restartBehavior: NEW_EXECUTION");
    assert_eq!((sim.made.len(), shown(&sim, &id).as_str()), (3, "FAILED: x=FAILED/2"));
    assert_eq!(output(&sim, &id, "x", "executionId"), Some(Value::text(sim.made[2].as_str())));
}

#[test]
fn retry_makes_an_execution_anew() {
    let body =
        "tasks: [{id: x, type: SUB, inputs: {fails: true}, retry: {type: constant, interval: PT1S, maxAttempts: 2}}]";
    let mut sim = world(body);
    let id = sim.start("test", "main", Map::new());
    sim.run();
    assert_eq!((sim.made.len(), shown(&sim, &id).as_str()), (3, "FAILED: x=FAILED/2"));
}

#[test]
fn labels_are_inherited_where_asked_to_and_never_those_of_the_system() {
    let labels = |property: &str| {
        let mut sim = world(&format!("labels: {{mine: yes}}\ntasks: [{{id: x, type: SUB{property}}}]"));
        let id = sim.start_as("test", "main", |execution| {
            execution.labels.push(engine::sim::label("system.other", "o"));
        });
        sim.run();
        let labels = &sim.state(&sim.made[1]).execution().unwrap().labels;
        let told = labels.iter().map(|label| label.key.as_str().to_owned()).collect::<Vec<_>>();
        let correlation = labels.iter().find(|label| label.key == engine::CORRELATION).unwrap();
        assert_eq!(correlation.value, id.as_str());
        told
    };
    assert_eq!(labels(""), [engine::CORRELATION]);
    assert_eq!(labels(", inheritLabels: true"), ["mine", engine::CORRELATION]);
}

#[test]
fn warning_is_passed_on_where_failures_are() {
    let ends = |property: &str, expected: &str| {
        let body = format!(
            "tasks: [{{id: x, type: io.kestra.plugin.core.flow.Subflow, namespace: test, flowId: warns{property}}}]"
        );
        let mut sim = world(&body);
        sim.add(flow(&short("id: warns\nnamespace: test\ntasks: [{id: c, type: FAIL, allowFailure: true}]")));
        let id = sim.start("test", "main", Map::new());
        sim.run();
        assert_eq!(shown(&sim, &id), expected);
    };
    ends("", "WARNING: x=WARNING");
    ends(", transmitFailed: false", "SUCCESS: x=SUCCESS");
}

#[test]
fn timeout_ends_the_execution_that_is_waited_for() {
    let act = |sim: &mut Sim, _: &ExecutionId| {
        sim.run();
        assert_eq!(sim.state(&sim.made[1]).status(), Some(Status::Killed));
    };
    check_after("tasks: [{id: x, type: SUB, timeout: PT1S}]", "none", |_| fails(), act, "FAILED: x=FAILED");
}

#[test]
fn only_the_task_that_failed_by_an_execution_is_mended_by_it() {
    let sub = |id: &str| format!("{{id: {id}, type: SUB, inputs: {{fails: true}}}}");
    let mut sim =
        world(&format!("tasks: [{{id: p, type: PAR, tasks: [{{id: f, type: FAIL}}, {}, {}]}}]", sub("s"), sub("t")));
    sim.script("c1", |attempt| if attempt == 1 { fails() } else { takes(0) });
    let id = sim.start("test", "main", Map::new());
    sim.run();
    assert_eq!(shown(&sim, &id), "FAILED: p=FAILED f=FAILED s=FAILED t=FAILED");
    let of_t = output(&sim, &id, "t", "executionId").unwrap();
    let child = sim.made.iter().find(|made| Some(made.as_str()) == of_t.as_str()).unwrap().clone();
    sim.send(&child, Event::Restart { from: None }).unwrap();
    sim.run();
    assert_eq!(shown(&sim, &id), "FAILED: p=FAILED f=FAILED s=FAILED t=SUCCESS");
}

#[test]
fn execution_that_took_too_long_mends_nobody() {
    let mut sim = world("tasks: [{id: x, type: SUB, timeout: PT1S}]");
    let id = sim.start("test", "main", Map::new());
    sim.run();
    let child = sim.made[1].clone();
    sim.send(&child, Event::Restart { from: None }).unwrap();
    sim.run();
    assert_eq!(sim.state(&child).status(), Some(Status::Success));
    assert_eq!(shown(&sim, &id), "FAILED: x=FAILED");
    assert_eq!(sim.state(&id).execution().unwrap().attempt, 1, "it was not run again");
}

#[test]
fn execution_whose_failure_was_its_own_mends_nobody() {
    let mut sim =
        world("tasks: [{id: s, type: SUB, transmitFailed: false, inputs: {fails: true}}, {id: f, type: FAIL}]");
    sim.script("c1", |attempt| if attempt == 1 { fails() } else { takes(0) });
    let id = sim.start("test", "main", Map::new());
    sim.run();
    let child = sim.made[1].clone();
    sim.send(&child, Event::Restart { from: None }).unwrap();
    sim.run();
    assert_eq!(sim.state(&child).status(), Some(Status::Success));
    assert_eq!(shown(&sim, &id), "FAILED: s=SUCCESS f=FAILED");
    assert_eq!(sim.state(&id).execution().unwrap().attempt, 1, "it was not run again");
    let state = sim.state(&id).run_of(&TaskId::trusted("s"), &[]).and_then(|run| run.outputs.get("state").cloned());
    assert_eq!(state, Some(Value::text("FAILED")));
}
