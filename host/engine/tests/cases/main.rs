//! What is done to executions from outside, and what flows do that no case tells by itself (those are data, in the project's `tests/cases`).
//! Task runs are shown in the order they were created, as `task[value]=STATE/attempts`.
#![expect(clippy::unwrap_used, reason = "tests")]

mod acts;
mod apart;
mod beside_a_pause;
mod by_hand;
mod endings;
mod flowables;
mod halts;
mod hand;
mod items;
mod items_by_hand;
mod jobs;
mod leases;
mod life;
mod pauses;
mod promises;
mod replays;
mod restarts;
mod snapshots;
mod states;
mod subflows;
mod units;
mod views;

use engine::sim::{Sim, flow, render::texts};
use engine::{End, Event, Outcome, RejectCode, sim::Fake};
use expr::{Map, Value};
use jiff::SignedDuration;
use model::execution::Failure;
use model::ids::{ExecutionId, TaskId, TaskRunId};
use model::state::State as Status;

const CORE: &str = "io.kestra.plugin.core";

fn world(body: &str) -> Sim {
    let mut sim = Sim::new();
    sim.add(flow(&format!("id: main\nnamespace: test\n{}", short(body))));
    sim.add(flow(&short("id: child\nnamespace: test\ninputs: [{id: fails, type: BOOL, defaults: false}]\ntasks: [{id: c1, type: FAIL, condition: '{{ inputs.fails }}'}, {id: c2, type: SLEEP, duration: PT5S}]\noutputs: [{id: out, type: STRING, value: '{{ execution.id }}'}]")));
    sim.world.files.insert(ROWS.to_owned(), "1\n2\n3\n4\n5".to_owned());
    sim.world.files.insert("kestra:///empty.txt".to_owned(), String::new());
    sim
}

/// A file of five rows.
const ROWS: &str = "kestra:///rows.txt";

// Short names for types, so that a case fits on a page.
fn short(body: &str) -> String {
    let types = [
        ("LOG", "log.Log, message: m"),
        ("RETURN", "debug.Return"),
        ("FAIL", "execution.Fail"),
        ("SLEEP", "flow.Sleep"),
        ("SEQ", "flow.Sequential"),
        ("PAR", "flow.Parallel"),
        ("EACH", "flow.ForEach"),
        ("IF", "flow.If"),
        ("SWITCH", "flow.Switch"),
        ("LOOP", "flow.LoopUntil"),
        ("PAUSE", "flow.Pause"),
        ("DAG", "flow.Dag"),
        ("ALLOW", "flow.AllowFailure"),
        ("SUB", "flow.Subflow, namespace: test, flowId: child"),
        ("ITEMS", "flow.ForEachItem, items: 'kestra:///rows.txt', namespace: test, flowId: child"),
        ("NOITEMS", "flow.ForEachItem, namespace: test, flowId: child"),
        ("UNIT", "flow.WorkingDirectory"),
        ("EXIT", "execution.Exit"),
        ("KILL", "execution.Kill"),
        ("SET", "execution.SetVariables"),
        ("UNSET", "execution.UnsetVariables"),
        ("LABELS", "execution.Labels"),
        ("ASSERT", "execution.Assert"),
    ];
    types.iter().fold(body.to_owned(), |body, (name, class)| {
        body.replace(&format!("type: {name},"), &format!("type: {CORE}.{class},"))
            .replace(&format!("type: {name}}}"), &format!("type: {CORE}.{class}}}"))
    })
}

fn shown(sim: &Sim, id: &ExecutionId) -> String {
    shown_state(sim.state(id))
}

fn shown_state(state: &engine::State) -> String {
    let runs = state.runs().map(|run| {
        let value = run.value.as_ref().map(|value| format!("[{value}]")).unwrap_or_default();
        let attempts = if run.attempts.len() > 1 { format!("/{}", run.attempts.len()) } else { String::new() };
        format!(" {}{value}={}{attempts}", run.task, run.state())
    });
    format!("{}:{}", state.status().unwrap(), runs.collect::<String>())
}

fn fails() -> Fake {
    let failure = Failure { code: "x".to_owned(), message: "x".to_owned(), retryable: None };
    Fake { takes: SignedDuration::ZERO, outcome: Some(Outcome { end: End::Failed(failure), outputs: Value::Null }) }
}

fn takes(seconds: i64) -> Fake {
    Fake {
        takes: SignedDuration::from_secs(seconds),
        outcome: Some(Outcome { end: End::Success, outputs: Value::from(texts([("k", "v")])) }),
    }
}

fn check_after(
    body: &str,
    task: &str,
    script: impl Fn(u32) -> Fake + 'static,
    act: impl Fn(&mut Sim, &ExecutionId),
    expected: &str,
) {
    let mut sim = world(body);
    sim.script(task, script);
    let id = sim.start("test", "main", Map::new());
    act(&mut sim, &id);
    sim.run();
    assert_eq!(shown(&sim, &id), expected);
    assert!(sim.state(&id).is_closed());
}

fn output(sim: &Sim, id: &ExecutionId, task: &str, path: &str) -> Option<Value> {
    sim.state(id).run_of(&TaskId::trusted(task), &[])?.outputs.get_path(path.split('.')).cloned()
}
