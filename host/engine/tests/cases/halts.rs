//! Ending what runs: how far it reaches, and what is left of it.

use engine::{State, decide};
use model::change::Change;

use super::*;

/// The state of an execution when this was true of it first, in the middle of a commit or not.
fn when(sim: &Sim, id: &ExecutionId, is_so: impl Fn(&State) -> bool) -> State {
    let mut state = State::new(sim.state(id).flow().clone());
    for change in sim.changes(id) {
        state.apply(change);
        if is_so(&state) {
            return state;
        }
    }
    panic!("it never was so: {}", shown(sim, id));
}

fn send(state: &mut State, event: Event, sim: &Sim) {
    let decision = decide(state, event, sim.now).unwrap();
    decision.changes.iter().for_each(|change| state.apply(change));
}

fn child(sim: &Sim) -> Option<Status> {
    sim.state(&sim.made[1]).status()
}

#[test]
fn kill_reaches_children_as_far_as_it_is_told_to() {
    for (waits, cascade, expected) in [
        (true, true, Status::Killed),
        (true, false, Status::Success),
        (false, true, Status::Killed),
        (false, false, Status::Success),
    ] {
        let mut sim =
            world(&format!("tasks: [{{id: s, type: SUB, wait: {waits}}}, {{id: z, type: SLEEP, duration: PT9S}}]"));
        let id = sim.start("test", "main", Map::new());
        sim.run_while(|_| false);
        sim.send(&id, Event::Kill { cascade }).unwrap();
        assert_eq!(sim.state(&id).status(), Some(Status::Killed));
        sim.run();
        assert_eq!(child(&sim), Some(expected), "wait {waits}, cascade {cascade}");
    }
}

#[test]
fn execution_that_kills_itself_reaches_children_as_far_as_it_says() {
    for (cascade, expected) in [(true, Status::Killed), (false, Status::Success)] {
        let kill = format!("{{id: k, type: KILL, propagateKill: {cascade}, runIf: '{{{{ true }}}}'}}");
        let mut sim = world(&format!(
            "tasks: [{{id: p, type: PAR, tasks: [{{id: s, type: SUB}}, {{id: q, type: SEQ, tasks: [{{id: w, type: SLEEP, duration: PT1S}}, {kill}]}}]}}]"
        ));
        let id = sim.start("test", "main", Map::new());
        sim.run();
        assert_eq!(shown(&sim, &id), "KILLED: p=KILLED s=KILLED q=KILLED w=SUCCESS k=KILLED");
        assert_eq!(child(&sim), Some(expected), "cascade {cascade}");
    }
}

#[test]
fn subflow_of_a_branch_that_is_cancelled_is_killed() {
    let mut sim = world("tasks: [{id: p, type: PAR, failFast: true, tasks: [{id: s, type: SUB}, {id: f, type: LOG}]}]");
    sim.script("f", |_| Fake { takes: SignedDuration::from_secs(1), ..fails() });
    let id = sim.start("test", "main", Map::new());
    sim.run();
    assert_eq!(shown(&sim, &id), "FAILED: p=FAILED s=CANCELLED f=FAILED");
    assert_eq!(child(&sim), Some(Status::Killed));
}

#[test]
fn attempt_that_waits_ends_as_its_task_run_does() {
    let mut sim =
        world("tasks: [{id: p, type: PAR, tasks: [{id: w, type: SLEEP, duration: PT9S}, {id: s, type: SUB}]}]");
    let id = sim.start("test", "main", Map::new());
    sim.run_while(|_| false);
    sim.send(&id, Event::Kill { cascade: true }).unwrap();
    for task in ["w", "s"] {
        let run = sim.state(&id).run_of(&TaskId::trusted(task), &[]).unwrap();
        let attempts: Vec<Status> = run.attempts.iter().map(|attempt| attempt.history.current()).collect();
        assert_eq!(attempts, [Status::Killed], "{task}");
    }
}

#[test]
fn iterations_that_are_being_ended_begin_no_more() {
    let mut sim = world(
        "tasks: [{id: p, type: PAR, failFast: true, tasks: [{id: x, type: EACH, concurrencyLimit: 2, values: [1, 2, 3, 4], tasks: [{id: a, type: LOG}]}, {id: f, type: LOG}]}]",
    );
    sim.script("a", |_| takes(60));
    sim.script("f", |_| Fake { takes: SignedDuration::from_secs(1), ..fails() });
    let id = sim.start("test", "main", Map::new());
    sim.run();
    assert_eq!(shown(&sim, &id), "FAILED: p=FAILED x=CANCELLED f=FAILED a[1]=CANCELLED a[2]=CANCELLED");
}

#[test]
fn what_is_rendered_for_something_that_was_ended_is_not_waited_for() {
    let mut sim = world("tasks: [{id: w, type: SLEEP, duration: '{{ vars.length }}'}]\nvariables: {length: PT9S}");
    let id = sim.start("test", "main", Map::new());
    sim.run();
    let mut state = when(&sim, &id, |state| !state.outstanding().is_empty());
    send(&mut state, Event::Kill { cascade: true }, &sim);
    assert_eq!(shown_state(&state), "KILLED: w=KILLED");
    assert!(state.is_closed());
    assert_eq!(state.outstanding(), []);
}

#[test]
fn outputs_of_a_flow_that_is_killed_are_not_waited_for() {
    let mut sim = world("tasks: [{id: a, type: LOG}]\noutputs: [{id: o, type: STRING, value: '{{ flow.id }}'}]");
    let id = sim.start("test", "main", Map::new());
    sim.run();
    let is_asked =
        |state: &State| state.runs().all(|run| run.state() == Status::Success) && !state.outstanding().is_empty();
    let mut state = when(&sim, &id, |state| state.run_count() == 1 && is_asked(state));
    send(&mut state, Event::Kill { cascade: true }, &sim);
    assert_eq!(shown_state(&state), "KILLED: a=SUCCESS");
    assert!(state.is_closed());
    assert_eq!(state.outstanding(), []);
}

#[test]
fn kill_reaches_what_any_listener_runs() {
    let mut sim = world(
        "tasks: [{id: a, type: LOG}]\nlisteners: [{tasks: [{id: l, type: LOG}]}, {tasks: [{id: m, type: LOG}]}]\nafterExecution: [{id: z, type: LOG}]",
    );
    sim.script("m", |_| takes(60));
    let id = sim.start("test", "main", Map::new());
    sim.run_while(|sim| sim.attempts.len() < 3);
    assert_eq!(shown(&sim, &id), "SUCCESS: a=SUCCESS l=SUCCESS m=RUNNING");
    sim.send(&id, Event::Kill { cascade: true }).unwrap();
    // What has ended keeps its state.
    assert_eq!(shown(&sim, &id), "SUCCESS: a=SUCCESS l=SUCCESS m=KILLED");
    assert!(sim.state(&id).is_closed());
}

#[test]
fn what_a_pause_held_back_is_held_no_more_in_another_life() {
    let mut sim = world("tasks: [{id: a, type: LOG}, {id: b, type: LOG}]");
    sim.script("a", |_| takes(5));
    sim.script("b", |_| takes(5));
    let id = sim.start("test", "main", Map::new());
    sim.run_while(|_| false);
    sim.send(&id, Event::Pause).unwrap();
    sim.run();
    assert_eq!(shown(&sim, &id), "PAUSED: a=SUCCESS b=CREATED");
    sim.send(&id, Event::Kill { cascade: true }).unwrap();
    assert_eq!(shown(&sim, &id), "KILLED: a=SUCCESS b=KILLED");
    sim.send(&id, Event::Restart { from: None }).unwrap();
    sim.send(&id, Event::Pause).unwrap();
    sim.send(&id, Event::Resume { run: None, inputs: Map::new() }).unwrap();
    sim.run();
    assert_eq!(shown(&sim, &id), "SUCCESS: a=SUCCESS b=SUCCESS");
    assert_eq!(sim.attempts.len(), 2);
}

#[test]
fn execution_that_is_being_ended_cannot_be_paused() {
    let mut sim = world(
        "tasks: [{id: p, type: PAR, tasks: [{id: a, type: LOG}, {id: q, type: SEQ, tasks: [{id: w, type: SLEEP, duration: PT1S}, {id: x, type: EXIT}]}]}]",
    );
    sim.script("a", |_| takes(60));
    let id = sim.start("test", "main", Map::new());
    sim.run();
    assert_eq!(shown(&sim, &id), "SUCCESS: p=SUCCESS a=SUCCESS q=SUCCESS w=SUCCESS x=SUCCESS");
    let is_cancelled = |change: &Change| matches!(change, Change::JobCancelled { .. });
    let until = sim.changes(&id).iter().position(is_cancelled).unwrap();
    let mut state = State::new(sim.state(&id).flow().clone());
    sim.changes(&id)[..=until].iter().for_each(|change| state.apply(change));
    assert_eq!(state.status(), Some(Status::Running));
    assert_eq!(decide(&state, Event::Pause, sim.now).unwrap_err().code, RejectCode::Conflict);
}
