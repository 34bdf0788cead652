//! What commits and lists of the memory store cost, and how lists grow with what is stored.

#![expect(clippy::print_stdout, reason = "a benchmark prints its figures")]

use std::hint::black_box;
use std::sync::Arc;
use std::time::Instant;

use store::conformance::samples::*;
use store::query::ExecutionFilter;
use store::{Batch, MemoryStore, Page, Query, Row, Store, View};

const STORED: i64 = 1_000_000;
const ROUNDS: usize = 200;

fn main() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(async {
        commits().await;
        lists().await;
    });
}

/// What one step of a sequential flow commits: a change, the record, a task run, a job in and one out.
async fn commits() {
    let store: Arc<dyn Store> = Arc::new(MemoryStore::default());
    let flow = flow_key("company.team", "bench");
    const EXECUTIONS: usize = 500;
    const STEPS: u64 = 40;
    let began = Instant::now();
    for number in 0..EXECUTIONS {
        let id = format!("execution-{number:06}");
        for step in 0..STEPS {
            let mut batch = Batch::new();
            batch.append(
                execution_id(&id),
                step,
                vec![(at(0), payload("a change of some length, as the engine writes it"))],
            );
            batch.put(execution(&id, &flow, number as i64, model::state::State::Running));
            batch.put(task_run(&id, &format!("run-{step}"), step));
            batch.put(job(&id, &format!("run-{step}"), 0));
            if step > 0 {
                batch.delete(store::Key::Job(job_key(&id, &format!("run-{}", step - 1))));
            }
            black_box(store.commit(batch).await.expect("no conflict"));
        }
    }
    let each = began.elapsed() / (EXECUTIONS as u32 * STEPS as u32);
    println!("commit of a step (5 rows, rows made included): {each:?}");
}

async fn lists() {
    let store: Arc<dyn Store> = Arc::new(MemoryStore::default());
    let began = Instant::now();
    for chunk in 0..STORED / 1_000 {
        let rows = (0..1_000).map(|n| chunk * 1_000 + n).map(|number| {
            let flow = flow_key(if number % 100 == 0 { "company.rare" } else { "company.team" }, "bench");
            let state = if number % 20 == 0 { model::state::State::Failed } else { model::state::State::Success };
            let mut row = execution(&format!("e{number}"), &flow, number, state);
            if number % 50_000 == 7 {
                row.record.labels = vec![label("rare", "yes")];
            }
            Row::from(row)
        });
        store.commit(puts(rows)).await.expect("no conflict");
    }
    println!("{STORED} executions stored in {:?}", began.elapsed());
    let any = ExecutionFilter::default;
    let rare = || vec![label("rare", "yes")];
    for (name, filter) in [
        ("all", any()),
        ("by state", ExecutionFilter { states: vec![model::state::State::Failed], ..any() }),
        ("by rare label", ExecutionFilter { labels: rare(), ..any() }),
        (
            "rare label, common state",
            ExecutionFilter { labels: rare(), states: vec![model::state::State::Success], ..any() },
        ),
        ("by date", ExecutionFilter { created: (at(STORED / 2)..at(STORED / 2 + 100)).into(), ..any() }),
        (
            "by flow and state",
            ExecutionFilter {
                flow: Some(flow_key("company.rare", "bench")),
                states: vec![model::state::State::Failed],
                ..any()
            },
        ),
    ] {
        let mut times: Vec<_> = Vec::new();
        for _ in 0..ROUNDS {
            let began = Instant::now();
            let rows =
                store.scan(View::Newest, Query::Executions(filter.clone()), Page::first(50)).await.expect("rows");
            black_box(rows);
            times.push(began.elapsed());
        }
        times.sort();
        println!("50 of {STORED}, {name}: p50 {:?}, p95 {:?}", times[ROUNDS / 2], times[ROUNDS * 95 / 100]);
    }
    let began = Instant::now();
    let count = store.count(View::Newest, Query::Executions(any()), 10_000).await.expect("a count");
    println!("{count:?} in {:?}", began.elapsed());
}
