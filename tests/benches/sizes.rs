//! What a task run costs in executions of many: a ForEach over 1,000, 10,000 and 100,000 values whose guests end at once, in memory and on
//! the durable store, and the memory it takes. Prints ratios of one run, since machines differ; asserts nothing.

#![expect(clippy::print_stdout, clippy::unwrap_used, reason = "a bench prints, and has nobody to hand errors to")]

use std::sync::Arc;
use std::time::{Duration, Instant};

use store::embedded::{EmbeddedStore, Options};
use store::{MemoryStore, Store};
use tests::large::{TASK, node, run};
use tests::simulation::Stage;

/// Numbers of task runs, where none are named as arguments.
const SIZES: [usize; 3] = [1_000, 10_000, 100_000];

fn each(limit: usize) -> String {
    format!(
        "id: large\nnamespace: bench\ninputs:\n  - {{id: count, type: INT}}\ntasks:\n  - id: each\n    \
         type: io.kestra.plugin.core.flow.ForEach\n    values: '{{{{ range(1, inputs.count) }}}}'\n    \
         concurrencyLimit: {limit}\n    tasks:\n      - {{id: a, type: {TASK}}}\n"
    )
}

fn main() {
    // `cargo test --benches` calls benches too; only `cargo bench` says `--bench`.
    if !std::env::args().any(|argument| argument == "--bench") {
        return;
    }
    let named: Vec<usize> = std::env::args().filter_map(|argument| argument.parse().ok()).collect();
    let sizes = if named.is_empty() { SIZES.to_vec() } else { named };
    let workers = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    workers.block_on(async {
        let stage = Stage::open().unwrap();
        for limit in [0, 16] {
            measured(&stage, "memory", limit, &sizes, || Arc::new(MemoryStore::default())).await;
        }
        let folder = tempfile::tempdir().unwrap();
        let mut number = 0;
        measured(&stage, "durable", 16, &sizes, || {
            number += 1;
            let (store, _) =
                EmbeddedStore::open_folder(&folder.path().join(number.to_string()), Options::default()).unwrap();
            Arc::new(store)
        })
        .await;
    });
}

async fn measured(stage: &Stage, name: &str, limit: usize, sizes: &[usize], mut store: impl FnMut() -> Arc<dyn Store>) {
    let mut first: Option<(Duration, usize)> = None;
    for count in sizes.iter().copied() {
        let node = node(stage, store()).await.unwrap();
        let before = resident_bytes();
        let begun = Instant::now();
        let seen = run(&node, &each(limit), count).await.unwrap();
        let took = begun.elapsed() / count as u32;
        let bytes = resident_bytes().saturating_sub(before) / count;
        assert_eq!(seen.runs.len(), count + 1);
        let (took_first, bytes_first) = *first.get_or_insert((took, bytes));
        println!(
            "{name}, limit {limit}, {count} task runs: {} µs and {} bytes each: {:.2} and {:.2} of the first",
            took.as_micros(),
            bytes,
            took.as_secs_f64() / took_first.as_secs_f64(),
            bytes as f64 / bytes_first.max(1) as f64,
        );
        drop(seen);
        node.shutdown().await;
    }
}

/// Memory of this process that is in use.
fn resident_bytes() -> usize {
    let pages = std::fs::read_to_string("/proc/self/statm").unwrap_or_default();
    let pages: usize = pages.split_whitespace().nth(1).and_then(|pages| pages.parse().ok()).unwrap_or(0);
    pages * rustix::param::page_size()
}
