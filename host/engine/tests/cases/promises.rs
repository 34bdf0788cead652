//! SLAs and slots: asked for once, and without a say in what has been decided already.

use engine::{Command, End, Event, RejectCode, decide};
use expr::{Map, Value};
use model::change::{RenderId, RenderPurpose, TimerPurpose};
use model::state::State as Status;

use crate::hand::Hand;
use crate::{takes, world};

fn is_assertion(command: &Command) -> bool {
    matches!(command, Command::Render { id: RenderId { purpose: RenderPurpose::Sla(_), .. }, .. })
}

fn labelled(hand: &Hand) -> bool {
    hand.state.execution().unwrap().labels.iter().any(|label| label.key == "late")
}

#[test]
fn assertion_is_asked_for_once_at_a_time_and_until_it_is_broken() {
    let sla = "{id: s, type: EXECUTION_ASSERTION, assert: '{{ x }}', behavior: NONE, labels: {late: 'yes'}}";
    let tasks = "{id: a, type: LOG}, {id: b, type: LOG}, {id: c, type: LOG}";
    let mut hand = Hand::new(&format!("sla: [{sla}]\ntasks: [{tasks}]"));
    assert_eq!(hand.count(is_assertion), 1);
    let job = hand.begin("a");
    hand.end(job, End::Success);
    assert_eq!(hand.count(is_assertion), 1, "the answer to the first is still to come");
    hand.render();
    assert!(!labelled(&hand), "text is true");
    let job = hand.begin("b");
    hand.end(job, End::Success);
    assert_eq!(hand.count(is_assertion), 1);
    let id = RenderId { run: None, purpose: RenderPurpose::Sla(0) };
    let result = Ok(Map::from_iter([("assert".into(), Value::Bool(false))]));
    hand.send(Event::Rendered { id, result }).unwrap();
    hand.left.retain(|command| !is_assertion(command));
    assert!(labelled(&hand));
    assert_eq!(hand.shown(), "RUNNING: a=SUCCESS b=SUCCESS c=CREATED");
    let job = hand.begin("c");
    hand.end(job, End::Success);
    assert_eq!((hand.count(is_assertion), hand.shown().as_str()), (0, "SUCCESS: a=SUCCESS b=SUCCESS c=SUCCESS"));
}

#[test]
fn broken_promise_does_not_change_how_a_kill_ends() {
    let sla = "{id: s, type: MAX_DURATION, duration: PT1S, behavior: FAIL, labels: {late: 'yes'}}";
    let mut hand = Hand::new(&format!("sla: [{sla}]\ntasks: [{{id: a, type: LOG}}]\nerrors: [{{id: e, type: LOG}}]"));
    let job = hand.begin("a");
    hand.send(Event::Kill { cascade: true }).unwrap();
    let timer = hand.take(|command| match command {
        Command::SetTimer { id, due } if matches!(id.purpose, TimerPurpose::Sla(_)) => Some((id.clone(), *due)),
        _ => None,
    });
    let (id, due) = timer.unwrap();
    hand.now = due;
    hand.send(Event::TimerDue { id }).unwrap();
    assert!(labelled(&hand), "it is broken, and that is told");
    hand.end(job, End::Killed);
    assert_eq!(hand.shown(), "KILLED: a=KILLED");
    assert_eq!(hand.state.execution().unwrap().failure, None);
}

#[test]
fn promises_are_not_of_what_runs_after_the_end() {
    let sla = "{id: s, type: EXECUTION_ASSERTION, assert: '{{ x }}', behavior: FAIL}";
    let after = "afterExecution: [{id: y, type: LOG}, {id: z, type: LOG}]";
    let mut hand = Hand::new(&format!("sla: [{sla}]\ntasks: [{{id: a, type: LOG}}]\n{after}"));
    hand.render();
    let job = hand.begin("a");
    hand.end(job, End::Success);
    hand.render();
    let job = hand.begin("y");
    hand.end(job, End::Success);
    assert_eq!((hand.count(is_assertion), hand.shown().as_str()), (0, "SUCCESS: a=SUCCESS y=SUCCESS z=CREATED"));
}

#[test]
fn one_slot_is_enough() {
    let mut sim = world("concurrency: {limit: 2}\ntasks: [{id: a, type: LOG}]");
    sim.script("a", |_| takes(5));
    let id = sim.start("test", "main", Map::new());
    sim.run_while(|_| false);
    let state = sim.state(&id);
    let again = decide(state, Event::SlotGranted { slot: 0 }, sim.now).unwrap_err();
    assert_eq!(again.code, RejectCode::Duplicate);
    let another = decide(state, Event::SlotGranted { slot: 1 }, sim.now).unwrap();
    let flow = state.flow().key.clone();
    assert_eq!((another.changes, another.commands), (Vec::new(), vec![Command::FreeSlot { flow, slot: 1 }]));
}

#[test]
fn force_leaves_what_runs_as_it_is() {
    let mut sim = world("tasks: [{id: a, type: LOG}]");
    sim.script("a", |_| takes(5));
    let id = sim.start("test", "main", Map::new());
    sim.run_while(|_| false);
    let decision = decide(sim.state(&id), Event::ForceRun, sim.now).unwrap();
    assert!(decision.changes.is_empty() && decision.commands.is_empty());
    assert_eq!(sim.state(&id).status(), Some(Status::Running));
}
