//! What a state tells those who hold it, and how the ends of what runs together add up.

use engine::State;
use model::change::{Change, TimerId, TimerPurpose};
use model::state::State::{Cancelled, Failed, Killed, Skipped, Success, Warning};

use super::*;

fn run_of(sim: &Sim, id: &ExecutionId, task: &str) -> TaskRunId {
    sim.state(id).run_of(&TaskId::trusted(task), &[]).unwrap().id.clone()
}

#[test]
fn timer_is_known_until_it_is_over() {
    let mut sim = world("tasks: [{id: a, type: SLEEP, duration: PT9S}]");
    let id = sim.start("test", "main", Map::new());
    sim.run_while(|_| false);
    let timer = TimerId { run: Some(run_of(&sim, &id, "a")), purpose: TimerPurpose::Wake };
    let due = sim.now.saturating_add(SignedDuration::from_secs(9)).unwrap();
    assert_eq!(sim.state(&id).timer(&timer), Some(due));
    assert_eq!(sim.state(&id).timer(&TimerId { purpose: TimerPurpose::Timeout, ..timer.clone() }), None);
    sim.run();
    assert_eq!(sim.state(&id).timer(&timer), None);
}

#[test]
fn place_of_a_task_run_is_not_given_away_again() {
    let mut sim = world("tasks: [{id: a, type: LOG}, {id: b, type: LOG}, {id: c, type: LOG}]");
    let id = sim.start("test", "main", Map::new());
    sim.run();
    let orders = |sim: &Sim| ["a", "b", "c"].map(|task| sim.state(&id).order_of(&run_of(sim, &id, task)));
    assert_eq!(orders(&sim), [Some(0), Some(1), Some(2)]);
    assert_eq!(sim.state(&id).order_of(&TaskRunId::trusted("nobody")), None);
    let from = Some(run_of(&sim, &id, "b"));
    sim.send(&id, Event::Restart { from }).unwrap();
    sim.run();
    assert_eq!(orders(&sim), [Some(0), Some(1), Some(3)]);
    assert_eq!(sim.state(&id).run_count(), 3);
}

#[test]
fn change_that_names_what_is_not_there_does_nothing() {
    let mut sim = world("tasks: [{id: a, type: LOG}]");
    let id = sim.start("test", "main", Map::new());
    sim.run();
    let (run, child, at) = (TaskRunId::trusted("nobody"), ExecutionId::trusted("none"), sim.now);
    let mut state = sim.state(&id).clone();
    for change in [
        Change::RunEntered { run: run.clone(), state: Failed, at },
        Change::RunsRemoved { runs: vec![run.clone()] },
        Change::AttemptStarted { run: run.clone(), attempt: 1, epoch: 1, at },
        Change::AttemptEnded { run: run.clone(), attempt: 0, state: Failed, failure: None, at },
        Change::EffectsBegan { run: run.clone() },
        Change::JobLost { run: run.clone() },
        Change::ChildStarted { run, child: child.clone() },
        Change::ChildEnded { child },
    ] {
        state.apply(&change);
        assert_eq!(state.snapshot(), sim.state(&id).snapshot(), "{change:?}");
    }
    let mut none = State::new(state.flow().clone());
    none.apply(&Change::Entered { state: Failed, at });
    assert_eq!((none.status(), none.execution().is_none(), none.is_closed()), (None, true, false));
}

#[test]
fn attempt_that_was_never_begun_does_not_end_another() {
    let mut sim = world("tasks: [{id: a, type: LOG, retry: {type: constant, interval: PT9S, maxAttempts: 3}}]");
    sim.script("a", |_| fails());
    let id = sim.start("test", "main", Map::new());
    sim.run_while(|_| false);
    let (run, mut state) = (run_of(&sim, &id, "a"), sim.state(&id).clone());
    let before = state.run(&run).unwrap().attempts.clone();
    let (at, failure) = (sim.now, None);
    state.apply(&Change::AttemptEnded { run: run.clone(), attempt: 2, state: Killed, failure, at });
    assert_eq!(state.run(&run).unwrap().attempts, before);
}

#[test]
fn worst_end_is_that_of_what_holds_it() {
    // From the best to the worst. A failure outweighs the cancelling that it caused, and a kill everything.
    let ranks = [Success, Warning, Cancelled, Failed, Killed];
    let body = "tasks: [{id: p, type: PAR, tasks: [{id: a, type: LOG}, {id: b, type: LOG}, {id: c, type: LOG, runIf: 'false'}]}]";
    for first in 0..ranks.len() {
        for second in 0..ranks.len() {
            let mut sim = world(body);
            let id = sim.start("test", "main", Map::new());
            sim.run();
            assert_eq!(sim.state(&id).run_of(&TaskId::trusted("c"), &[]).unwrap().state(), Skipped);
            for (task, rank) in [("a", first), ("b", second)] {
                let run = Some(run_of(&sim, &id, task));
                sim.send(&id, Event::ChangeState { run, state: ranks[rank] }).unwrap();
                sim.run();
            }
            let worst = ranks[first.max(second)];
            assert_eq!(sim.state(&id).status(), Some(worst), "{} and {}", ranks[first], ranks[second]);
            let group = sim.state(&id).run_of(&TaskId::trusted("p"), &[]).unwrap();
            assert_eq!(group.state(), worst);
        }
    }
}

#[test]
fn what_goes_round_begins_its_iterations_anew() {
    // What goes round begins anew each time, iterations within it as well.
    let body = "tasks: [{id: l, type: LOOP, condition: \"{{ outputs.n.k is defined and taskrun.attemptsCount > 9 }}\", checkFrequency: {interval: PT1S, maxIterations: 3}, tasks: [{id: x, type: EACH, concurrencyLimit: 1, values: [p, q], tasks: [{id: n, type: LOG}]}]}]";
    let mut sim = world(body);
    let id = sim.start("test", "main", Map::new());
    sim.run();
    assert_eq!(sim.attempts.len(), 6);
    assert_eq!(sim.state(&id).status(), Some(Success));
}

#[test]
fn end_that_is_another_now_is_counted_once() {
    let mut sim =
        world("tasks: [{id: p, type: PAR, tasks: [{id: a, type: LOG}, {id: b, type: SLEEP, duration: PT9S}]}]");
    let id = sim.start("test", "main", Map::new());
    sim.run_while(|sim| !shown(sim, &id).contains("a=SUCCESS"));
    let (run, mut state) = (run_of(&sim, &id, "a"), sim.state(&id).clone());
    assert_eq!(shown_state(&state), "RUNNING: p=RUNNING a=SUCCESS b=RUNNING");
    state.apply(&Change::RunEntered { run, state: Failed, at: sim.now });
    assert_eq!(shown_state(&state), "RUNNING: p=RUNNING a=FAILED b=RUNNING");
    // What is counted of `p` is still one task run that is open.
    let open = |state: &State| serde_json::to_value(state.snapshot()).unwrap()["nodes"][0]["frame"]["open"].clone();
    assert_eq!((open(sim.state(&id)), open(&state)), (1.into(), 1.into()));
}
