//! A replay: what the new execution has of the other, and what it has of its own.

use std::sync::Arc;

use engine::{State, replay};
use model::change::Change;
use model::execution::{Execution, SEMANTICS};
use model::state::History;

use super::*;

/// A replay of an execution from one of its task runs on, where it begins.
fn begun(sim: &Sim, source: &ExecutionId, from: &TaskRunId) -> State {
    let source = sim.state(source);
    let execution = Execution {
        id: ExecutionId::trusted("again"),
        history: History::new(Status::Created, sim.now),
        variables: Map::new(),
        original: None,
        semantics: 0,
        generation: 7,
        ..(**source.execution().unwrap()).clone()
    };
    let mut again = State::new(source.flow().clone());
    let decision = replay(source, source.flow().clone(), execution, Some(from), sim.now).unwrap();
    decision.changes.iter().for_each(|change| again.apply(change));
    again
}

fn run_of(sim: &Sim, id: &ExecutionId, task: &str) -> TaskRunId {
    sim.state(id).run_of(&TaskId::trusted(task), &[]).unwrap().id.clone()
}

#[test]
fn replay_goes_on_with_the_life_of_the_other() {
    let mut sim = world("variables: {v: 1}\ntasks: [{id: s, type: SET, variables: {v: 2}}, {id: a, type: LOG}]");
    let id = sim.start("test", "main", Map::new());
    sim.run();
    sim.now = sim.now.saturating_add(SignedDuration::from_secs(60)).unwrap();
    let again = begun(&sim, &id, &run_of(&sim, &id, "a"));
    let (source, again) = (sim.state(&id).execution().unwrap(), again.execution().unwrap());
    let (before, after) = (source.history.entries(), again.history.entries());
    assert_eq!(after[..before.len()], *before);
    assert_eq!(after[before.len()..], [(Status::Restarted, sim.now)]);
    assert_eq!(again.variables, source.variables);
    assert_eq!((again.semantics, again.generation), (SEMANTICS, 1));
}

#[test]
fn original_of_a_replay_is_the_first_of_its_row() {
    let mut sim = world("tasks: [{id: a, type: LOG}]");
    let first = sim.start("test", "main", Map::new());
    sim.run();
    let second = sim.replay(&first, &run_of(&sim, &first, "a")).unwrap();
    sim.run();
    let third = sim.replay(&second, &run_of(&sim, &second, "a")).unwrap();
    for again in [second, third] {
        assert_eq!(sim.state(&again).execution().unwrap().original.as_ref(), Some(&first));
    }
}

#[test]
fn task_runs_that_are_copied_are_shown_as_they_were() {
    let mut sim = world("tasks: [{id: a, type: LOG}, {id: b, type: LOG}, {id: c, type: LOG}]");
    sim.script("a", |attempt| if attempt == 1 { fails() } else { takes(2) });
    let id = sim.start("test", "main", Map::new());
    sim.run();
    sim.send(&id, Event::Restart { from: None }).unwrap();
    sim.run();
    let again = begun(&sim, &id, &run_of(&sim, &id, "b"));
    let (copy, source) = (again.runs().next().unwrap(), sim.state(&id).runs().next().unwrap());
    assert_eq!(copy.history, source.history);
    assert_eq!(copy.attempts, source.attempts);
    assert_eq!(copy.outputs, source.outputs);
    assert_ne!(copy.id, source.id);
    assert!(copy.history.entries().iter().any(|(state, _)| *state == Status::Failed));
}

#[test]
fn what_gave_nothing_has_no_outputs_in_a_replay() {
    let mut sim = world("tasks: [{id: s, type: SEQ, tasks: [{id: a, type: LOG}]}, {id: b, type: LOG}]");
    sim.script("a", |_| takes(0));
    let id = sim.start("test", "main", Map::new());
    sim.run();
    let again = sim.replay(&id, &run_of(&sim, &id, "b")).unwrap();
    let outputs = |task: &str| output(&sim, &again, task, "k");
    assert_eq!((outputs("s"), outputs("a")), (None, Some(Value::from("v"))));
    let written = sim.changes(&again).iter().filter(|change| matches!(change, Change::Outputs { .. }));
    assert_eq!(written.count(), 1);
}

#[test]
fn cleanup_of_a_group_that_stays_stays_with_it() {
    let group = "{id: s, type: SEQ, tasks: [{id: a, type: LOG}], finally: [{id: f, type: LOG}]}";
    let body = format!(
        "tasks: [{group}, {{id: b, type: FAIL, condition: \"{{{{ outputs.f.k == 'v' }}}}\"}}]\nfinally: [{{id: g, type: LOG}}]"
    );
    let mut sim = world(&body);
    sim.script("f", |_| takes(0));
    let id = sim.start("test", "main", Map::new());
    sim.run();
    assert_eq!(shown(&sim, &id), "FAILED: s=SUCCESS a=SUCCESS f=SUCCESS b=FAILED g=SUCCESS");
    let from_after = sim.replay(&id, &run_of(&sim, &id, "b")).unwrap();
    let from_within = sim.replay(&id, &run_of(&sim, &id, "a")).unwrap();
    assert_eq!(shown(&sim, &from_after), "RESTARTED: s=SUCCESS a=SUCCESS f=SUCCESS b=RESTARTED");
    assert_eq!(shown(&sim, &from_within), "RESTARTED: s=RUNNING a=RESTARTED");
    // That of the flow is not even copied: it would be stored, and shown, only to be taken away.
    let is_of_flow = |change: &Change| matches!(change, Change::RunCreated { task, .. } if task.as_str() == "g");
    assert!(!sim.changes(&from_after).iter().any(is_of_flow));
    sim.run();
    assert_eq!(shown(&sim, &from_after), "FAILED: s=SUCCESS a=SUCCESS f=SUCCESS b=FAILED/2 g=SUCCESS");
    assert_eq!(shown(&sim, &from_within), "FAILED: s=SUCCESS a=SUCCESS/2 f=SUCCESS b=FAILED g=SUCCESS");
}

#[test]
fn replay_within_a_loop_stays_in_its_iteration() {
    let body = "tasks: [{id: l, type: LOOP, condition: \"{{ outputs.a.n > 2 }}\", checkFrequency: {interval: PT1S}, tasks: [{id: a, type: LOG}, {id: b, type: LOG}]}, {id: c, type: LOG}]";
    let mut sim = world(body);
    let count = std::cell::Cell::new(0);
    sim.script("a", move |_| {
        count.set(count.get() + 1);
        let outputs = Value::map([("n", Value::Int(count.get()))]);
        Fake { takes: SignedDuration::ZERO, outcome: Some(Outcome { end: End::Success, outputs }) }
    });
    let id = sim.start("test", "main", Map::new());
    sim.run();
    let again = sim.replay(&id, &run_of(&sim, &id, "b")).unwrap();
    assert_eq!(shown(&sim, &again), "RESTARTED: l=RUNNING a=SUCCESS b=RESTARTED");
    sim.run();
    assert_eq!(shown(&sim, &again), "SUCCESS: l=SUCCESS a=SUCCESS b=SUCCESS/2 c=SUCCESS");
    // Iterations are counted from 0.
    for id in [id, again] {
        assert_eq!(output(&sim, &id, "l", "iterationCount"), Some(Value::Int(2)));
    }
}

#[test]
fn another_revision_may_have_fewer_lanes_before_those_that_ran() {
    let mut sim =
        world("tasks: [{id: p, type: PAR, tasks: [{id: x, type: LOG}, {id: a, type: LOG}, {id: b, type: FAIL}]}]");
    let id = sim.start("test", "main", Map::new());
    sim.run();
    let next = "id: main\nnamespace: test\ntasks: [{id: p, type: PAR, tasks: [{id: a, type: LOG}, {id: b, type: LOG}, {id: c, type: LOG}]}]";
    let again = sim.replay_on(&id, Arc::new(flow(&short(next))), None).unwrap();
    assert_eq!(shown(&sim, &again), "RESTARTED: p=RUNNING a=SUCCESS b=RESTARTED");
    sim.run();
    assert_eq!(shown(&sim, &again), "SUCCESS: p=SUCCESS a=SUCCESS b=SUCCESS/2 c=SUCCESS");
}

#[test]
fn time_limit_of_a_group_holds_in_a_replay() {
    let mut sim = world("tasks: [{id: s, type: SEQ, timeout: PT3S, tasks: [{id: a, type: LOG}, {id: b, type: LOG}]}]");
    sim.script("b", |_| takes(9));
    let id = sim.start("test", "main", Map::new());
    sim.run();
    assert_eq!(shown(&sim, &id), "FAILED: s=FAILED a=SUCCESS b=KILLED");
    let again = sim.replay(&id, &run_of(&sim, &id, "b")).unwrap();
    sim.run();
    assert_eq!(shown(&sim, &again), "FAILED: s=FAILED a=SUCCESS b=KILLED/2");
}
