//! States that are stored in parts: what a part says, what it costs, and what the state is that was read back from them.

use engine::view::View;
use engine::{Snapshot, State};
use expr::{Memo, Scope};
use jiff::Timestamp;
use model::change::{Change, Phase, Place, RenderId, RenderPurpose, TimerId, TimerPurpose};

use super::*;

/// A flow of which nothing has happened.
fn fresh(body: &str) -> (State, Timestamp) {
    let mut sim = world(body);
    let id = sim.start("test", "main", Map::new());
    (sim.state(&id).clone(), sim.now)
}

fn created(run: &str, task: &str, at: Timestamp) -> Change {
    Change::RunCreated {
        run: TaskRunId::trusted(run),
        task: TaskId::trusted(task),
        parent: None,
        value: None,
        iteration: None,
        place: Place { phase: Phase::Main, lane: 0, position: 0 },
        at,
    }
}

fn fold(state: &mut State, changes: impl IntoIterator<Item = Change>) {
    changes.into_iter().for_each(|change| state.apply(&change));
}

fn read_back(parts: Vec<Snapshot>, flow: &State) -> State {
    let mut state = State::new(flow.flow().clone());
    for part in parts {
        let part = serde_json::from_str(&serde_json::to_string(&part).unwrap()).unwrap();
        state.restore_on_top(part);
    }
    state
}

#[test]
fn part_weighs_what_is_new_and_what_is_gone() {
    let (mut state, at) = fresh("tasks: [{id: a, type: LOG}]");
    let run = |index: usize| TaskRunId::trusted(format!("r{index}"));
    let timer = |index: usize| TimerId { run: Some(run(index)), purpose: TimerPurpose::Wake };
    let render = |index: usize| RenderId { run: Some(run(index)), purpose: RenderPurpose::Begin };
    let child = |index: usize| ExecutionId::trusted(format!("c{index}"));
    // Numbers that no other combination of sums gives.
    let (runs, jobs, timers, children, renders) = (100, 50, 20, 7, 3);
    let before = state.clone();
    assert!(state.snapshot_since(&before, 0).is_empty());
    fold(&mut state, (0..runs).map(|index| created(&format!("r{index}"), "a", at)));
    let sent = |index| Change::JobSent { run: run(index), attempt: 1, generation: 0, timeout: None };
    fold(&mut state, (0..jobs).map(sent));
    fold(&mut state, (0..timers).map(|index| Change::TimerSet { id: timer(index), due: at }));
    fold(&mut state, (0..children).map(|index| Change::ChildAsked { run: run(index), child: child(index) }));
    fold(&mut state, (0..renders).map(|index| Change::RenderAsked { id: render(index) }));
    let sum = runs + jobs + timers + children + renders;
    let part = state.snapshot_since(&before, 7);
    assert_eq!((part.base(), part.len(), part.is_empty()), (Some(7), sum, false));
    assert_eq!((state.weight(), state.snapshot().len(), state.snapshot().base()), (sum, sum, None));
    let full = state.clone();
    fold(&mut state, (0..timers).map(|index| Change::TimerCleared { id: timer(index) }));
    fold(&mut state, (0..children).map(|index| Change::ChildEnded { child: child(index) }));
    fold(&mut state, (0..renders).map(|index| Change::RenderAnswered { id: render(index) }));
    let part = state.snapshot_since(&full, 8);
    assert_eq!(part.len(), timers + children + renders);
    // With their task runs, jobs go as well.
    fold(&mut state, [Change::RunsRemoved { runs: (0..runs).map(run).collect() }]);
    let part = state.snapshot_since(&full, 8);
    assert_eq!((part.len(), part.is_empty(), state.weight()), (sum, false, 0));
    fold(&mut state, [created("new", "a", at), Change::TimerSet { id: timer(0), due: Timestamp::MAX }]);
    // One that is other than it was is new, and not gone.
    assert_eq!(state.snapshot_since(&full, 8).len(), sum + 1);
    let again = read_back(vec![full.snapshot(), state.snapshot_since(&full, 8)], &full);
    assert_eq!(again.snapshot(), state.snapshot());
    assert_eq!(again.timer(&timer(0)), Some(Timestamp::MAX));
}

#[test]
fn values_of_iterations_are_stored_once() {
    let mut sim = world(
        "tasks: [{id: x, type: EACH, concurrencyLimit: 1, values: [first-value, second-value], tasks: [{id: a, type: SLEEP, duration: PT1S}]}]",
    );
    let id = sim.start("test", "main", Map::new());
    sim.run_while(|_| false);
    let before = sim.state(&id).clone();
    sim.run();
    let after = sim.state(&id);
    let part = after.snapshot_since(&before, 1);
    let text = serde_json::to_string(&part).unwrap();
    // The task runs of the iterations have their own value; the list of all of them is not in it.
    assert_eq!(text.matches("first-value").count(), 1, "{text}");
    assert_eq!(text.matches("second-value").count(), 1, "{text}");
    let whole = serde_json::to_string(&after.snapshot()).unwrap();
    assert_eq!(whole.matches("first-value").count(), 2, "{whole}");
    let again = read_back(vec![before.snapshot(), part], after);
    assert_eq!(again.snapshot(), after.snapshot());
}

#[test]
fn what_was_evaluated_anew_is_stored_anew() {
    let mut sim = world(
        "tasks: [{id: i, type: IF, condition: \"{{ labels.go is defined }}\", then: [{id: a, type: LOG}], else: [{id: b, type: FAIL}]}]",
    );
    let id = sim.start("test", "main", Map::new());
    sim.run();
    let before = sim.state(&id).clone();
    sim.send(&id, Event::SetLabels { labels: vec![engine::sim::label("go", "1")] }).unwrap();
    let from = before.run_of(&TaskId::trusted("i"), &[]).map(|run| run.id.clone());
    sim.send(&id, Event::Restart { from }).unwrap();
    sim.run();
    let after = sim.state(&id);
    assert_eq!(shown_state(after), "SUCCESS: i=SUCCESS a=SUCCESS");
    let again = read_back(vec![before.snapshot(), after.snapshot_since(&before, 1)], after);
    assert_eq!(again.snapshot(), after.snapshot());
}

#[test]
fn task_stays_known_by_its_newest_run() {
    let (mut state, at) = fresh("tasks: [{id: a, type: LOG}]");
    let task = TaskId::trusted("a");
    let known = |state: &State| state.run_of(&task, &[]).map(|run| run.id.as_str().to_owned());
    let first = state.clone();
    fold(&mut state, [created("old", "a", at), created("new", "a", at)]);
    let second = state.clone();
    let run = TaskRunId::trusted("old");
    fold(&mut state, [Change::RunEntered { run: run.clone(), state: Status::Running, at }]);
    let parts = vec![second.snapshot_since(&first, 0), state.snapshot_since(&second, 1)];
    let again = read_back(parts, &state);
    assert_eq!((known(&state).as_deref(), known(&again).as_deref()), (Some("new"), Some("new")));
    // Nor is it known by none when the older one goes.
    fold(&mut state, [Change::RunsRemoved { runs: vec![run] }]);
    assert_eq!(known(&state).as_deref(), Some("new"));
}

#[test]
fn what_is_gone_is_known_no_more() {
    let mut sim = world("tasks: [{id: x, type: EACH, values: [p, q], tasks: [{id: a, type: LOG}]}]");
    sim.script("a", |_| takes(0));
    let id = sim.start("test", "main", Map::new());
    sim.run();
    let mut state = sim.state(&id).clone();
    let first = state.run_of(&TaskId::trusted("a"), &["p".to_owned()]).unwrap().id.clone();
    state.apply(&Change::RunsRemoved { runs: vec![first] });
    let part = state.snapshot_since(sim.state(&id), 1);
    for state in [&state, &read_back(vec![sim.state(&id).snapshot(), part], &state)] {
        let view = View::of_execution(state);
        // The tasks that have outputs are found by the first of their task runs.
        let (names, _) = view.lookup_path(&["outputs", "nobody"], &Memo::new()).unwrap().unwrap();
        assert_eq!(names.to_json().to_string(), r#"{"a":null}"#);
        let (outputs, _) = view.lookup_path(&["outputs", "a"], &Memo::new()).unwrap().unwrap();
        assert_eq!(outputs.to_json().to_string(), r#"{"q":{"k":"v"}}"#);
    }
}

#[test]
fn pause_that_is_over_in_a_part_cannot_be_resumed_again() {
    let mut sim = world("tasks: [{id: p, type: PAUSE}, {id: q, type: PAUSE}]");
    let id = sim.start("test", "main", Map::new());
    sim.run();
    let mut parts = vec![sim.state(&id).snapshot()];
    for expected in ["PAUSED: p=SUCCESS q=PAUSED", "SUCCESS: p=SUCCESS q=SUCCESS"] {
        let before = sim.state(&id).clone();
        sim.send(&id, Event::Resume { run: None, inputs: Map::new() }).unwrap();
        parts.push(sim.state(&id).snapshot_since(&before, parts.len() as u64));
        let again = read_back(parts.clone(), sim.state(&id));
        assert_eq!(shown_state(&again), expected);
        let resume = Event::Resume { run: None, inputs: Map::new() };
        let (kept, read) =
            (engine::decide(sim.state(&id), resume.clone(), sim.now), engine::decide(&again, resume, sim.now));
        assert_eq!(kept, read);
    }
}
