//! Pauses: when they are over, what runs beside them, and what follows.

use engine::{Command, End, Event};
use expr::Map;
use model::ids::{ExecutionId, TaskId};
use model::state::State as Status;

use engine::sim::Sim;

use crate::hand::Hand;
use crate::{check_after, fails, shown, takes, world};

#[test]
fn execution_is_paused_until_the_last_of_its_pauses_ends() {
    let mut sim = world("tasks: [{id: p, type: PAR, tasks: [{id: a, type: PAUSE}, {id: b, type: PAUSE}]}]");
    let id = sim.start("test", "main", Map::new());
    sim.run();
    for (task, expected) in
        [("a", "PAUSED: p=RUNNING a=SUCCESS b=PAUSED"), ("b", "SUCCESS: p=SUCCESS a=SUCCESS b=SUCCESS")]
    {
        let run = sim.state(&id).run_of(&TaskId::trusted(task), &[]).map(|run| run.id.clone());
        sim.send(&id, Event::Resume { run, inputs: Map::new() }).unwrap();
        assert_eq!(shown(&sim, &id), expected);
    }
}

#[test]
fn end_of_a_pause_does_not_resume_what_somebody_has_paused() {
    let mut hand = Hand::new("tasks: [{id: p, type: PAUSE, pauseDuration: '{{ x }}'}, {id: a, type: LOG}]");
    hand.send(Event::Pause).unwrap();
    let render = hand.take(|command| match command {
        Command::Render { id, templates, .. } => {
            let named = |name| templates.iter().find(|(known, ..)| *known == name).map(|(_, value, _)| value.clone());
            Some((id.clone(), named("behavior").unwrap()))
        }
        _ => None,
    });
    let (id, behavior) = render.unwrap();
    let values = Map::from_iter([("behavior".into(), behavior), ("duration".into(), expr::Value::text("PT1S"))]);
    hand.send(Event::Rendered { id, result: Ok(values) }).unwrap();
    let timer = hand.take(|command| match command {
        Command::SetTimer { id, due } => Some((id.clone(), *due)),
        _ => None,
    });
    let (id, due) = timer.unwrap();
    hand.now = due;
    hand.send(Event::TimerDue { id }).unwrap();
    assert_eq!(hand.shown(), "PAUSED: p=SUCCESS a=CREATED");
    hand.send(Event::Resume { run: None, inputs: Map::new() }).unwrap();
    assert_eq!(hand.shown(), "RUNNING: p=SUCCESS a=CREATED");
    let job = hand.begin("a");
    hand.end(job, End::Success);
    assert_eq!(hand.shown(), "SUCCESS: p=SUCCESS a=SUCCESS");
}

#[test]
fn timeout_of_a_pause_is_of_the_waiting_alone() {
    let body = "tasks: [{id: p, type: PAUSE, timeout: PT2S, pauseDuration: PT1S, tasks: [{id: a, type: LOG}]}]";
    check_after(body, "a", |_| takes(60), |_, _| {}, "SUCCESS: p=SUCCESS a=SUCCESS");
    check_after(body, "a", |_| fails(), |_, _| {}, "FAILED: p=FAILED a=FAILED");
}

#[test]
fn what_a_pause_holds_waits_for_what_runs_beside_it() {
    let body =
        "tasks: [{id: p, type: PAUSE, pauseDuration: PT1S, onPause: {id: o, type: LOG}, tasks: [{id: a, type: LOG}]}]";
    let act = |sim: &mut Sim, id: &ExecutionId| {
        let began = sim.now;
        sim.run_while(|sim| sim.now.duration_since(began).as_secs() < 1);
        assert_eq!(shown(sim, id), "RUNNING: p=RUNNING o=RUNNING");
        sim.run();
        assert_eq!(sim.now.duration_since(began).as_secs(), 5);
    };
    check_after(body, "o", |_| takes(5), act, "SUCCESS: p=SUCCESS o=SUCCESS a=SUCCESS");
}

#[test]
fn kill_of_a_pause_waits_for_what_runs_beside_it() {
    let mut hand = Hand::new("tasks: [{id: p, type: PAUSE, onPause: {id: o, type: LOG}}]");
    let job = hand.begin("o");
    hand.send(Event::Kill { cascade: true }).unwrap();
    assert_eq!(hand.shown(), "KILLING: p=KILLING o=KILLING");
    hand.end(job, End::Killed);
    assert_eq!(hand.shown(), "KILLED: p=KILLED o=KILLED");
}

#[test]
fn restart_of_what_followed_a_pause_does_not_wait_again() {
    let body = "tasks: [{id: p, type: PAUSE, pauseDuration: PT1S, tasks: [{id: a, type: LOG}], finally: [{id: f, type: LOG}]}]";
    let act = |sim: &mut Sim, id: &ExecutionId| {
        sim.run_while(|sim| sim.state(id).run_of(&TaskId::trusted("f"), &[]).is_none());
        sim.send(id, Event::Kill { cascade: true }).unwrap();
        assert_eq!(shown(sim, id), "KILLED: p=KILLED a=SUCCESS f=KILLED");
        sim.send(id, Event::Restart { from: None }).unwrap();
        assert_eq!(sim.state(id).status(), Some(Status::Running));
    };
    check_after(body, "f", |_| takes(60), act, "SUCCESS: p=SUCCESS a=SUCCESS f=SUCCESS");
}

#[test]
fn pause_that_fails_says_why_and_others_say_nothing() {
    for (behavior, expected) in [("RESUME", vec![]), ("WARN", vec![]), ("FAIL", vec!["pause-over"])] {
        let body = format!("tasks: [{{id: p, type: PAUSE, pauseDuration: PT1S, behavior: {behavior}}}]");
        let mut sim = world(&body);
        sim.start("test", "main", Map::new());
        sim.run();
        assert_eq!(sim.logs.iter().map(|(_, _, failure)| failure.code.as_str()).collect::<Vec<_>>(), expected);
    }
}
