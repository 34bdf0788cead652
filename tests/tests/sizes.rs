//! Large executions: what is committed for each task run does not grow with their number, no row of theirs does, and they go on after a
//! restart as small ones do. Counts, never times.
#![expect(clippy::unwrap_used, reason = "tests")]

use std::sync::Arc;

use model::state::State;
use tests::counting::{Counting, Counts};
use tests::large::{TASK, node, node_of_outputs, run, start};
use tests::simulation::Stage;

fn each(limit: usize, after: &str) -> String {
    format!(
        "id: large\nnamespace: tests\ninputs:\n  - {{id: count, type: INT}}\ntasks:\n  - id: each\n    \
         type: io.kestra.plugin.core.flow.ForEach\n    values: '{{{{ range(1, inputs.count) }}}}'\n    \
         concurrencyLimit: {limit}\n    tasks:\n      - {{id: a, type: {TASK}}}\n      \
         - {{id: b, type: {TASK}, note: '{{{{ outputs.a[taskrun.value].value }}}}'}}\n{after}"
    )
}

async fn counted(stage: &Stage, source: &str, values: usize) -> Counts {
    let store = Arc::new(Counting::default());
    let node = node(stage, store.clone()).await.unwrap();
    let seen = run(&node, source, values).await.unwrap();
    assert_eq!(seen.execution.state(), State::Success, "{:?}", seen.execution.failure);
    assert_eq!(seen.runs.len(), 1 + 2 * values);
    node.shutdown().await;
    store.counts()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_committed_for_a_task_run_does_not_grow() {
    let stage = Stage::open().unwrap();
    for limit in [0, 4] {
        let source = each(limit, "");
        let small = counted(&stage, &source, 1_000).await;
        let large = counted(&stage, &source, 4_000).await;
        for (what, small, large) in [
            ("rows", small.steps, large.steps),
            ("changes", small.changes, large.changes),
            ("bytes", small.bytes, large.bytes),
        ] {
            // Four times the task runs, and little more than four times as much.
            assert!(large <= small * 9 / 2, "limit {limit}: {small} {what} for 1,000 values, {large} for 4,000");
        }
        // A snapshot is of what has changed since the one before; a commit has the events of one turn.
        assert!(
            large.largest_snapshot <= 2 * small.largest_snapshot,
            "limit {limit}: {small:?} for 1,000 values, {large:?} for 4,000"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn state_of_an_execution_does_not_grow_with_its_outputs() {
    const LARGE: usize = 20_000;
    let stage = Stage::open().unwrap();
    let mut snapshots = Vec::new();
    for bytes in [1, LARGE] {
        let store = Arc::new(Counting::default());
        let node = node_of_outputs(&stage, store.clone(), bytes).await.unwrap();
        let seen = run(&node, &each(4, ""), 600).await.unwrap();
        assert_eq!(seen.execution.state(), State::Success, "{:?}", seen.execution.failure);
        let lengths = seen.runs.iter().filter_map(|run| run.outputs.get("value")?.as_str().map(str::len));
        assert_eq!(lengths.filter(|length| *length == bytes).count(), 1_200, "who looks sees all of it");
        node.shutdown().await;
        snapshots.push(store.counts().largest_snapshot);
    }
    assert!(
        snapshots[0] > 0 && snapshots[1] < snapshots[0] + LARGE,
        "{snapshots:?}: a snapshot has one output or more"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn large_execution_goes_on_after_a_restart() {
    let stage = Stage::open().unwrap();
    let store = Arc::new(Counting::default());
    let first = node(&stage, store.clone()).await.unwrap();
    let source = each(
        0,
        "  - {id: wait, type: io.kestra.plugin.core.flow.Pause}\n  - {id: last, type: com.example.sim.Pure, note: '{{ outputs.a | keys | length }}'}\n",
    );
    first.save_flow(&source, server::Save::Any).await.unwrap();
    let id = first.start(start("tests", "large", 1_500)).await.unwrap();
    let mut changes = first.watch(id.as_str());
    while first.execution(id.as_str()).await.unwrap().execution.state() != State::Paused {
        changes.changed().await;
    }
    let before = first.execution(id.as_str()).await.unwrap();
    first.shutdown().await;
    drop(first);
    let second = node(&stage, store.clone()).await.unwrap();
    second.resume(id.as_str(), Vec::new()).await.unwrap();
    let seen = second.ended(&id).await.unwrap();
    assert_eq!(seen.execution.state(), State::Success, "{:?}", seen.execution.failure);
    assert_eq!(seen.runs.len(), before.runs.len() + 1);
    let kept = seen.runs.iter().take(3_001).map(|run| (&run.id, &run.outputs));
    assert!(kept.eq(before.runs.iter().take(3_001).map(|run| (&run.id, &run.outputs))), "what had run is as it was");
    second.shutdown().await;
}
