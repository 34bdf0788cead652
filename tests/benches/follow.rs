//! What it takes to follow an execution of 100,000 task runs that goes on all the time: events and bytes a second, and the largest event. It is
//! written into the store as a server writes it. Prints figures; asserts nothing about time. `RUNS` makes it smaller.

#![expect(clippy::print_stdout, clippy::unwrap_used, reason = "a bench prints, and has nobody to hand errors to")]

use std::sync::Arc;
use std::time::{Duration, Instant};

use model::change::{Change, FORMAT, Record};
use model::ids::{ExecutionId, FlowKey};
use model::state::State;
use reqwest::Method;
use store::embedded::EmbeddedStore;
use store::{Batch, Payload, Store};
use tests::figures::size_from;
use tests::filled;
use tests::served::{Options, serving_with};

/// As in `sluice`.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const AT_ONCE: u32 = 100;
/// Between two commits: about 2,000 task runs a second end.
const PACE: Duration = Duration::from_millis(50);

fn main() {
    // `cargo test --benches` calls benches too; only `cargo bench` says `--bench`.
    if !std::env::args().any(|argument| argument == "--bench") {
        return;
    }
    let workers = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    workers.block_on(measured(u32::try_from(size_from("RUNS", 100_000)).unwrap()));
}

async fn measured(runs: u32) {
    let folder = tempfile::tempdir().unwrap();
    let (store, _) = EmbeddedStore::open_folder(folder.path(), store::embedded::Options::default()).unwrap();
    let store = Arc::new(store);
    let flow = filled::flow_key("bench", "wide");
    let mut sequence = 0;
    for chunk in 0..runs / AT_ONCE {
        sequence = commit(&store, &flow, sequence, chunk * AT_ONCE, State::Running, State::Running).await;
    }
    serving_with(Options { store: store.clone(), ..Options::default() }, async |api| {
        let began = Instant::now();
        let whole = api.get("executions/wide").await;
        println!(
            "the whole execution of {runs} task runs: {:.1} MB, in {:.0} ms",
            whole.text.len() as f64 / 1e6,
            began.elapsed().as_secs_f64() * 1e3
        );
        let writing = async {
            let mut sequence = sequence;
            for chunk in 0..runs / AT_ONCE {
                tokio::time::sleep(PACE).await;
                let is_last = (chunk + 1) * AT_ONCE >= runs;
                let state = if is_last { State::Success } else { State::Running };
                sequence = commit(&store, &flow, sequence, chunk * AT_ONCE, State::Success, state).await;
                store.durable(store.head()).await.unwrap();
            }
        };
        let following = async {
            let began = Instant::now();
            let mut response = api.request(Method::GET, "executions/wide/follow").send().await.unwrap();
            let (mut bytes, mut events, mut event, mut largest) = (0_usize, 0_usize, 0_usize, 0_usize);
            let mut first = None;
            while let Some(chunk) = response.chunk().await.unwrap() {
                first.get_or_insert_with(|| began.elapsed());
                bytes += chunk.len();
                event += chunk.len();
                if chunk.ends_with(b"\n\n") {
                    (events, largest, event) = (events + 1, largest.max(event), 0);
                }
            }
            let seconds = began.elapsed().as_secs_f64();
            println!(
                "followed for {seconds:.1} s: {events} events ({:.1}/s), {:.1} MB ({:.2} MB/s), the largest {:.0} kB, the first after {:.0} ms",
                events as f64 / seconds,
                bytes as f64 / 1e6,
                bytes as f64 / 1e6 / seconds,
                largest as f64 / 1e3,
                first.unwrap_or_default().as_secs_f64() * 1e3
            );
        };
        futures::join!(writing, following);
    })
    .await;
}

/// Some task runs enter a state, with a change each: as the engine's turn leaves them.
async fn commit(store: &EmbeddedStore, flow: &FlowKey, after: u64, first: u32, run: State, whole: State) -> u64 {
    let mut batch = Batch::new();
    let mut changes = Vec::new();
    for number in first..first + AT_ONCE {
        let row = filled::task_run("wide", number, run);
        changes.push(Change::RunEntered { run: row.record.id.clone(), state: run, at: filled::at(1) });
        batch.put(row);
    }
    if whole.is_terminal() {
        changes.push(Change::Closed);
    }
    let sequence = after + changes.len() as u64;
    let written =
        changes.into_iter().map(|change| (filled::at(1), Payload::of(FORMAT as u16, &Record::new(change)).unwrap()));
    batch.append(ExecutionId::trusted("wide"), after, written.collect());
    let mut row = filled::execution("wide", flow, 0, whole);
    row.sequence = sequence;
    batch.put(row);
    store.commit(batch).await.unwrap();
    sequence
}
