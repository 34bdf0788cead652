//! Large executions stay linear: an event costs what it changes, not what is there.
#![expect(clippy::unwrap_used, reason = "tests")]

use std::time::{Duration, Instant};

use engine::sim::{Sim, flow};
use engine::{Command, End, Event, Outcome, decide};
use expr::{Map, Value};
use model::change::Change;
use model::ids::ExecutionId;
use model::state::State as Status;

const NESTED: &str = r#"
id: f
namespace: n
tasks:
  - id: each
    type: io.kestra.plugin.core.flow.ForEach
    values: '{{ inputs.values }}'
    concurrencyLimit: LIMIT
    tasks:
      - {id: a, type: t.Return, format: x}
      - {id: b, type: t.Log, runIf: "{{ outputs.a[taskrun.value].value == 'x' }}"}
"#;

fn run(values: usize, limit: usize) -> (Duration, usize) {
    let (sim, id, took) = ended(values, limit);
    (took, sim.changes(&id).len())
}

fn ended(values: usize, limit: usize) -> (Sim, ExecutionId, Duration) {
    let mut sim = Sim::new();
    sim.add(flow(&NESTED.replace("LIMIT", &limit.to_string())));
    let list = Value::list((0..values).map(|value| Value::Int(value as i64)));
    let id = sim.start("n", "f", Map::from_iter([("values".into(), list)]));
    let began = Instant::now();
    sim.run();
    let took = began.elapsed();
    assert_eq!(sim.state(&id).status(), Some(Status::Success));
    assert_eq!(sim.state(&id).run_count(), 1 + 2 * values);
    (sim, id, took)
}

fn restart(values: usize) -> (Duration, usize) {
    let (mut sim, id, _) = ended(values, 0);
    let from = sim.state(&id).runs().nth(1).map(|run| run.id.clone());
    let began = Instant::now();
    sim.send(&id, Event::Restart { from }).unwrap();
    sim.run();
    let took = began.elapsed();
    assert_eq!(sim.state(&id).run_count(), 1 + 2 * values);
    (took, sim.changes(&id).len())
}

const BATCHES: &str = "
id: f
namespace: n
tasks:
  - id: each
    type: io.kestra.plugin.core.flow.ForEachItem
    items: kestra:///rows.txt
    namespace: n
    flowId: child
    inputs: {row: '{{ taskrun.items }}'}
";

fn run_batches(batches: usize) -> (Duration, usize) {
    let mut sim = Sim::new();
    sim.add(flow(BATCHES));
    sim.add(flow("{id: child, namespace: n, tasks: [{id: a, type: t.Log}]}"));
    sim.world.files.insert("kestra:///rows.txt".to_owned(), "x\n".repeat(batches));
    let id = sim.start("n", "f", Map::new());
    let began = Instant::now();
    sim.run();
    let took = began.elapsed();
    assert_eq!(sim.state(&id).status(), Some(Status::Success));
    assert_eq!(sim.made.len(), batches + 1);
    (took, sim.changes(&id).len())
}

// Wall time on a shared machine is a poor witness: only a gross loss of linearity (16 times the work for 4 times the values), seen more
// than once, fails.
fn check(run: impl Fn(usize) -> (Duration, usize)) {
    let mut seen = Vec::new();
    for _ in 0..3 {
        let ((small, changes), (large, more)) = (run(500), run(2_000));
        assert!(more < changes * 41 / 10, "{changes} changes, then {more}");
        if large < small * 10 {
            return;
        }
        seen.push((small, large));
    }
    panic!("500 and 2,000 values took {seen:?}");
}

#[test]
fn iterations_at_once_are_linear() {
    check(|values| run(values, 0));
}

#[test]
fn iterations_in_turn_are_linear() {
    check(|values| run(values, 1));
}

#[test]
fn restart_of_iterations_is_linear() {
    check(restart);
}

#[test]
fn batches_are_linear() {
    check(run_batches);
}

#[test]
fn one_decision_begins_a_bounded_number_of_task_runs() {
    let mut sim = Sim::new();
    sim.add(flow(&NESTED.replace("LIMIT", "0")));
    let list = Value::list((0..5_000).map(|value| Value::Int(value as i64)));
    let id = sim.start("n", "f", Map::from_iter([("values".into(), list)]));
    let before = sim.state(&id).clone();
    sim.run_while(|_| false);
    let started = sim.changes(&id).first().unwrap().clone();
    let Change::Created { execution } = started else { panic!("the first change creates the execution") };
    let now = sim.now;
    let first = decide(&before, Event::Start { execution }, now).unwrap();
    assert!(first.changes.len() < 4_000, "{} changes", first.changes.len());
    sim.run();
    assert_eq!(sim.state(&id).run_count(), 10_001);
}

#[test]
fn what_waits_for_its_turn_is_not_begun_by_other_events() {
    let mut sim = Sim::new();
    // Without the second task, the end of the first is that of the iteration.
    let one = NESTED.lines().filter(|line| !line.contains("id: b")).collect::<Vec<_>>().join("\n");
    sim.add(flow(&one.replace("LIMIT", "0")));
    let list = Value::list((0..5_000).map(|value| Value::Int(value as i64)));
    let id = sim.start("n", "f", Map::from_iter([("values".into(), list.clone())]));
    let mut state = sim.state(&id).clone();
    sim.run_while(|_| false);
    let Some(Change::Created { execution }) = sim.changes(&id).first().cloned() else {
        panic!("the first change creates the execution")
    };
    // Everything is answered but `Continue`, until the first iterations run.
    let (mut events, mut jobs) = (vec![Event::Start { execution }], Vec::new());
    while let Some(event) = events.pop() {
        let decision = decide(&state, event, sim.now).unwrap();
        decision.changes.iter().for_each(|change| state.apply(change));
        for command in decision.commands {
            match command {
                Command::Render { id, templates, .. } => {
                    let answers = templates.iter().map(|(name, _, _)| ((*name).into(), list.clone()));
                    events.push(Event::Rendered { id, result: Ok(Map::from_iter(answers)) });
                }
                Command::Run { job, epoch, .. } => jobs.push((job, epoch)),
                _ => {}
            }
        }
    }
    assert_eq!(jobs.len(), 1_000);
    // One commit takes many events: those that end begin what follows them, and not a thousand more each.
    let (job, epoch) = jobs.swap_remove(0);
    let ended = Event::TaskEnded { job, epoch, outcome: Outcome { end: End::Success, outputs: Value::Null } };
    let decision = decide(&state, ended, sim.now).unwrap();
    assert!(decision.changes.len() < 20, "{} changes", decision.changes.len());
}

#[test]
#[ignore = "a measurement: cargo test --release -p sluice-engine --test sizes -- --ignored --nocapture"]
#[expect(clippy::print_stdout, reason = "a measurement")]
fn hundred_thousand_task_runs() {
    for (values, limit) in [(5_000, 0), (50_000, 0), (5_000, 1), (50_000, 1)] {
        let (took, changes) = run(values, limit);
        println!(
            "{values} values, limit {limit}: {took:?}, {changes} changes, {:?} per task run",
            took / (2 * values as u32)
        );
    }
    for batches in [5_000, 50_000] {
        let (took, changes) = run_batches(batches);
        println!("{batches} batches: {took:?}, {changes} changes, {:?} per batch", took / batches as u32);
    }
}
