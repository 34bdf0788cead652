//! What runs beside a pause (`onPause`): waited for, ended with what is around it, and run again with it.

use super::*;

#[test]
fn what_a_pause_holds_waits_for_what_runs_beside_it() {
    let mut sim = world("tasks: [{id: p, type: PAUSE, onPause: {id: o, type: LOG}, tasks: [{id: a, type: LOG}]}]");
    sim.script("o", |_| takes(60));
    let id = sim.start("test", "main", Map::new());
    sim.run_while(|_| false);
    sim.send(&id, Event::Resume { run: None, inputs: Map::new() }).unwrap();
    assert_eq!(shown(&sim, &id), "RUNNING: p=RUNNING o=RUNNING");
    sim.run();
    assert_eq!(shown(&sim, &id), "SUCCESS: p=SUCCESS o=SUCCESS a=SUCCESS");
}

#[test]
fn kill_reaches_what_runs_beside_a_pause() {
    let mut sim = world("tasks: [{id: p, type: PAUSE, onPause: {id: o, type: LOG}, tasks: [{id: a, type: LOG}]}]");
    sim.script("o", |_| takes(60));
    let id = sim.start("test", "main", Map::new());
    sim.run_while(|_| false);
    assert_eq!(shown(&sim, &id), "PAUSED: p=PAUSED o=RUNNING");
    sim.send(&id, Event::Kill { cascade: true }).unwrap();
    assert_eq!(shown(&sim, &id), "KILLED: p=KILLED o=KILLED");
    assert!(sim.state(&id).is_closed());
}

#[test]
fn failing_sibling_cancels_what_runs_beside_a_pause() {
    let pause = "{id: p, type: PAUSE, onPause: {id: o, type: LOG}}";
    let body = format!("tasks: [{{id: x, type: PAR, failFast: true, tasks: [{pause}, {{id: f, type: LOG}}]}}]");
    let mut sim = world(&body);
    sim.script("o", |_| takes(60));
    sim.script("f", |_| Fake { takes: SignedDuration::from_secs(1), ..fails() });
    let id = sim.start("test", "main", Map::new());
    sim.run();
    assert_eq!(shown(&sim, &id), "FAILED: x=FAILED p=CANCELLED f=FAILED o=CANCELLED");
}

#[test]
fn pause_that_cancels_ends_what_runs_beside_it() {
    let body = "tasks: [{id: p, type: PAUSE, pauseDuration: PT5S, behavior: CANCEL, onPause: {id: o, type: LOG}}]";
    check_after(body, "o", |_| takes(60), |_, _| {}, "CANCELLED: p=CANCELLED o=CANCELLED");
}

#[test]
fn what_runs_beside_a_pause_runs_again_with_it() {
    let body =
        "tasks: [{id: p, type: PAUSE, pauseDuration: PT5S, onPause: {id: o, type: LOG}, tasks: [{id: a, type: LOG}]}]";
    let act = |sim: &mut Sim, id: &ExecutionId| {
        sim.run();
        assert_eq!(shown(sim, id), "SUCCESS: p=SUCCESS o=SUCCESS a=SUCCESS");
        let from = sim.state(id).runs().next().map(|run| run.id.clone());
        sim.send(id, Event::Restart { from }).unwrap();
        sim.run();
        assert_eq!(sim.attempts.len(), 4);
    };
    check_after(body, "none", |_| fails(), act, "SUCCESS: p=SUCCESS o=SUCCESS a=SUCCESS");
}
