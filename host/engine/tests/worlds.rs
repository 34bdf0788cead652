//! Executions that start, wait for, kill and restart each other: whatever somebody does to any of them at any time, all come to an end,
//! nobody waits for anybody who has ended, and every slot is given back.
#![expect(clippy::unwrap_used, reason = "tests")]

use engine::sim::{Fake, Sim, check::check, flow};
use engine::{End, Event, Outcome};
use expr::{Map, Value};
use jiff::SignedDuration;
use model::execution::Failure;
use model::ids::{ExecutionId, TaskRunId};
use model::state::State as Status;
use proptest::prelude::*;

/// Executions one world may have: what restarts, replays and retries make of a few.
const EXECUTIONS_MAX: usize = 400;

const PARENT: &str = "
id: parent
namespace: n
tasks:
  - id: par
    type: io.kestra.plugin.core.flow.Parallel
    timeout: PT40S
    tasks:
      - {id: sub, type: io.kestra.plugin.core.flow.Subflow, namespace: n, flowId: child, timeout: PT20S}
      - {id: loose, type: io.kestra.plugin.core.flow.Subflow, namespace: n, flowId: child, wait: false}
      - id: items
        type: io.kestra.plugin.core.flow.ForEachItem
        items: kestra:///rows.txt
        namespace: n
        flowId: again
        retry: {type: constant, interval: PT1S, maxAttempts: 2}
      - {id: anew, type: io.kestra.plugin.core.flow.Subflow, namespace: n, flowId: child, restartBehavior: NEW_EXECUTION, allowFailure: true}
  - {id: last, type: t.Log}
errors: [{id: wrong, type: t.Log}]
";
const CHILD: &str = "
id: child
namespace: n
concurrency: {limit: 2}
tasks:
  - {id: wait, type: io.kestra.plugin.core.flow.Pause, pauseDuration: PT5S}
  - {id: flaky, type: t.Log}
outputs: [{id: o, type: STRING, value: '{{ execution.id }}'}]
";
const AGAIN: &str = "
id: again
namespace: n
retry: {type: constant, interval: PT1S, maxAttempts: 2, behavior: CREATE_NEW_EXECUTION}
sla: [{id: s, type: MAX_DURATION, behavior: CANCEL, duration: PT15S}]
tasks:
  - {id: flaky, type: t.Log}
afterExecution: [{id: after, type: t.Log}]
";

fn world(failing: u8) -> Sim {
    let mut sim = Sim::new();
    [PARENT, CHILD, AGAIN].iter().for_each(|source| sim.add(flow(source)));
    sim.world.files.insert("kestra:///rows.txt".to_owned(), "1\n2\n3\n".to_owned());
    let tries = std::cell::Cell::new(0u32);
    sim.script("flaky", move |_| {
        tries.set(tries.get() + 1);
        let fails = failing > 0 && tries.get().is_multiple_of(u32::from(failing));
        let failure = Failure::new("flaky", "flaky");
        let end = if fails { End::Failed(failure) } else { End::Success };
        Fake { takes: SignedDuration::from_secs(2), outcome: Some(Outcome { end, outputs: Value::Null }) }
    });
    sim
}

fn disturbance(sim: &Sim, id: &ExecutionId, what: u8) -> Event {
    let runs: Vec<TaskRunId> = sim.state(id).runs().map(|run| run.id.clone()).collect();
    let run = runs.get(usize::from(what) % runs.len().max(1)).cloned();
    match what % 9 {
        0 | 1 => Event::Kill { cascade: what > 128 },
        2 | 3 => Event::Restart { from: None },
        4 => Event::Restart { from: run },
        5 => Event::ChangeState { run, state: if what > 128 { Status::Success } else { Status::Failed } },
        6 => Event::Pause,
        7 => Event::Resume { run: None, inputs: Map::new() },
        _ => Event::ForceRun,
    }
}

fn all_end(sim: &mut Sim) {
    for _ in 0..50 {
        sim.run();
        let open: Vec<ExecutionId> = sim.made.iter().filter(|id| !sim.state(id).is_closed()).cloned().collect();
        if open.is_empty() {
            return;
        }
        // What somebody has paused waits for somebody.
        let resumed =
            open.iter().filter(|id| sim.send(id, Event::Resume { run: None, inputs: Map::new() }).is_ok()).count();
        if resumed == 0 {
            let shown: Vec<String> = open
                .iter()
                .map(|id| {
                    let state = sim.state(id);
                    let runs = state.runs().map(|run| format!(" {}={}", run.task, run.state()));
                    let outstanding = state.outstanding();
                    format!("{id} {:?}{} {outstanding:?}", state.status(), runs.collect::<String>())
                })
                .collect();
            panic!("do not end:\n{}", shown.join("\n"));
        }
    }
    panic!("does not end");
}

fn play(failing: u8, acts: &[(u8, u8, u8)]) {
    let mut sim = world(failing);
    sim.start("n", "parent", Map::new());
    for (delay, which, what) in acts {
        let until = sim.now.saturating_add(SignedDuration::from_millis(i64::from(*delay) * 50)).unwrap();
        sim.run_while(|sim| sim.now < until);
        if sim.made.len() > EXECUTIONS_MAX {
            break;
        }
        let Some(id) = sim.made.get(usize::from(*which) % sim.made.len()).cloned() else { continue };
        if sim.state(&id).execution().is_some() {
            let event = disturbance(&sim, &id, *what);
            let _ = sim.send(&id, event);
        }
    }
    all_end(&mut sim);
    for id in &sim.made {
        let state = sim.state(id);
        check(state).unwrap();
        assert_eq!(sim.held_slots(&state.flow().key), 0, "slots of {}", state.flow().key);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: std::env::var("CASES").ok().and_then(|n| n.parse().ok()).unwrap_or(60), failure_persistence: None, ..ProptestConfig::default() })]
    #[test]
    fn executions_that_depend_on_each_other_end(failing in 0u8..6, acts in prop::collection::vec(any::<(u8, u8, u8)>(), 0..25)) {
        play(failing, &acts);
    }
}
