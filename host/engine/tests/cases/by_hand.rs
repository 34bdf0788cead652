//! What people do to an execution while something else is about to happen to it.

use engine::{Command, State, decide};
use model::change::{Change, RenderPurpose};

use super::*;

/// The state after the first change of an execution that is such.
fn after(sim: &Sim, id: &ExecutionId, is_it: impl Fn(&Change) -> bool) -> State {
    let end = sim.changes(id).iter().position(is_it).unwrap();
    let mut state = State::new(sim.state(id).flow().clone());
    sim.changes(id)[..=end].iter().for_each(|change| state.apply(change));
    state
}

fn send(state: &mut State, event: Event, sim: &Sim) -> Vec<Command> {
    let decision = decide(state, event, sim.now).unwrap();
    decision.changes.iter().for_each(|change| state.apply(change));
    decision.commands
}

#[test]
fn nothing_happens_to_an_execution_that_has_not_started() {
    let mut sim = world("tasks: [{id: a, type: LOG}]");
    let id = sim.start("test", "main", Map::new());
    let state = sim.state(&id).clone();
    let events = [
        Event::Kill { cascade: true },
        Event::SetLabels { labels: Vec::new() },
        Event::SetBreakpoints { tasks: Vec::new() },
        Event::Continue,
    ];
    for event in events {
        assert_eq!(decide(&state, event, sim.now).unwrap_err().code, RejectCode::Unknown);
    }
    sim.run();
    let execution = Box::new((**sim.state(&id).execution().unwrap()).clone());
    let again = decide(sim.state(&id), Event::Start { execution }, sim.now).unwrap_err();
    assert_eq!(again.code, RejectCode::Duplicate);
}

#[test]
fn execution_whose_time_has_come_begins_at_once() {
    let mut sim = world("tasks: [{id: a, type: SLEEP, duration: PT9S}]");
    let now = sim.now;
    let id = sim.start_as("test", "main", |execution| execution.scheduled = Some(now));
    sim.run_while(|_| false);
    assert_eq!(shown(&sim, &id), "RUNNING: a=RUNNING");
}

#[test]
fn one_pause_that_is_resumed_does_not_let_the_whole_execution_go_on() {
    let body = "variables: {long: PT9H}\ntasks: [{id: p, type: PAUSE, pauseDuration: '{{ vars.long }}', tasks: [{id: b, type: LOG}]}]";
    let mut sim = world(body);
    let id = sim.start("test", "main", Map::new());
    sim.run_while(|_| false);
    let is_asked = |change: &Change| matches!(change, Change::RenderAsked { id } if id.purpose == RenderPurpose::Begin);
    let mut state = after(&sim, &id, is_asked);
    send(&mut state, Event::Pause, &sim);
    let asked = state.outstanding().into_iter().find_map(|command| match command {
        Command::Render { id, templates, .. } => {
            let own = |name: &str, value: &Value| if name == "duration" { Value::text("PT9H") } else { value.clone() };
            Some((id, Map::from_iter(templates.iter().map(|(name, value, _)| ((*name).into(), own(name, value))))))
        }
        _ => None,
    });
    let (render, values) = asked.unwrap();
    send(&mut state, Event::Rendered { id: render, result: Ok(values) }, &sim);
    let run = state.run_of(&TaskId::trusted("p"), &[]).map(|run| run.id.clone());
    assert_eq!(shown_state(&state), "PAUSED: p=PAUSED");
    let begins = |state: &State| state.outstanding().iter().any(|command| matches!(command, Command::Run { .. }));
    send(&mut state, Event::Resume { run, inputs: Map::new() }, &sim);
    assert_eq!(shown_state(&state), "PAUSED: p=RUNNING b=CREATED");
    assert!(!begins(&state));
    send(&mut state, Event::Resume { run: None, inputs: Map::new() }, &sim);
    assert_eq!(shown_state(&state), "RUNNING: p=RUNNING b=CREATED");
    assert!(begins(&state));
}

#[test]
fn restarted_execution_is_continued_once() {
    let mut sim = world("concurrency: {limit: 1}\ntasks: [{id: a, type: FAIL}]");
    let id = sim.start("test", "main", Map::new());
    sim.run();
    let mut state = sim.state(&id).clone();
    send(&mut state, Event::Restart { from: None }, &sim);
    assert_eq!(shown_state(&state), "RESTARTED: a=RESTARTED");
    send(&mut state, Event::Continue, &sim);
    // It waits for its slot now.
    assert_eq!(decide(&state, Event::Continue, sim.now).unwrap_err().code, RejectCode::Stale);
    send(&mut state, Event::SlotGranted { slot: 0 }, &sim);
    assert!(shown_state(&state).starts_with("RUNNING:"), "{}", shown_state(&state));
    assert_eq!(decide(&state, Event::Continue, sim.now).unwrap_err().code, RejectCode::Stale);
}

#[test]
fn answer_that_nobody_waits_for_is_stale() {
    let mut sim = world("tasks: [{id: a, type: SLEEP, duration: '{{ vars.d }}'}]\nvariables: {d: PT9S}");
    let id = sim.start("test", "main", Map::new());
    sim.run_while(|_| false);
    let answered = sim.changes(&id).iter().find_map(|change| match change {
        Change::RenderAnswered { id } => Some(id.clone()),
        _ => None,
    });
    let again = Event::Rendered { id: answered.unwrap(), result: Ok(Map::new()) };
    assert_eq!(sim.send(&id, again).unwrap_err().code, RejectCode::Stale);
    assert_eq!(shown(&sim, &id), "RUNNING: a=RUNNING");
}

#[test]
fn state_that_is_entered_already_is_not_entered_again() {
    let mut sim = world("tasks: [{id: a, type: FAIL}]");
    let id = sim.start("test", "main", Map::new());
    sim.run();
    let entries = |sim: &Sim| sim.state(&id).execution().unwrap().history.entries().len();
    let before = entries(&sim);
    for _ in 0..2 {
        sim.send(&id, Event::ChangeState { run: None, state: Status::Warning }).unwrap();
    }
    assert_eq!(entries(&sim), before + 1);
    let states = |sim: &Sim| sim.state(&id).runs().next().unwrap().history.entries().len();
    let (before, run) = (states(&sim), sim.state(&id).runs().next().map(|run| run.id.clone()));
    sim.send(&id, Event::ChangeState { run, state: Status::Failed }).unwrap();
    assert_eq!(states(&sim), before);
}

#[test]
fn kill_after_the_end_leaves_the_end_as_it_is() {
    let mut sim = world(
        "tasks: [{id: a, type: LOG}]\nafterExecution: [{id: z, type: SLEEP, duration: PT9S}, {id: y, type: LOG}]",
    );
    let id = sim.start("test", "main", Map::new());
    sim.run_while(|sim| sim.state(&id).status() != Some(Status::Success));
    sim.send(&id, Event::Kill { cascade: true }).unwrap();
    assert_eq!(shown(&sim, &id), "SUCCESS: a=SUCCESS z=KILLED");
    assert!(sim.state(&id).is_closed());
    assert!(sim.state(&id).outstanding().is_empty());
}

#[test]
fn timer_that_was_set_anew_is_not_due_at_its_old_time() {
    let mut sim = world("tasks: [{id: a, type: SLEEP, duration: PT9S}]");
    let id = sim.start("test", "main", Map::new());
    sim.run_while(|_| false);
    let timer = sim.changes(&id).iter().find_map(|change| match change {
        Change::TimerSet { id, .. } => Some(id.clone()),
        _ => None,
    });
    let due = Event::TimerDue { id: timer.unwrap() };
    assert_eq!(sim.send(&id, due.clone()).unwrap_err().code, RejectCode::Stale);
    assert_eq!(shown(&sim, &id), "RUNNING: a=RUNNING");
    sim.run();
    assert_eq!(sim.send(&id, due).unwrap_err().code, RejectCode::Stale);
}

#[test]
fn kill_takes_over_from_another_end_and_is_taken_once() {
    let mut sim = world(
        "tasks: [{id: p, type: PAR, tasks: [{id: a, type: LOG}, {id: q, type: SEQ, tasks: [{id: w, type: SLEEP, duration: PT1S}, {id: x, type: EXIT}]}]}]",
    );
    sim.script("a", |_| takes(60));
    let id = sim.start("test", "main", Map::new());
    sim.run();
    // The worker of `a` is told to end, and has not yet answered.
    let mut state = after(&sim, &id, |change| matches!(change, Change::JobCancelled { .. }));
    send(&mut state, Event::Kill { cascade: true }, &sim);
    assert_eq!(state.status(), Some(Status::Killing));
    let again = decide(&state, Event::Kill { cascade: true }, sim.now).unwrap_err();
    assert_eq!(again.code, RejectCode::Duplicate);
    let (job, epoch) = state.running().remove(0);
    let outcome = Outcome { end: End::Success, outputs: Value::Null };
    send(&mut state, Event::TaskEnded { job, epoch, outcome }, &sim);
    assert!(shown_state(&state).starts_with("KILLED: p=KILLED a=KILLED"), "{}", shown_state(&state));
}

#[test]
fn execution_is_tied_to_what_it_starts_by_the_first_of_them() {
    let mut sim = world("tasks: [{id: x, type: SUB}]");
    let id = sim.start("test", "main", Map::new());
    let tied = sim.start_as("test", "main", |execution| {
        execution.labels.push(engine::sim::label(engine::CORRELATION, "another"));
    });
    sim.run();
    let tie = |id: &ExecutionId| {
        let labels = sim.state(id).execution().unwrap().labels.clone();
        let ties: Vec<String> =
            labels.into_iter().filter(|label| label.key == engine::CORRELATION).map(|label| label.value).collect();
        ties.join(" ")
    };
    let ties: Vec<String> = sim.made.iter().map(tie).collect();
    assert_eq!((tie(&id), tie(&tied)), ("execution-0".to_owned(), "another".to_owned()));
    let mut others = ties[2..].to_vec();
    others.sort();
    assert_eq!(others, ["another", "execution-0"]);
}
