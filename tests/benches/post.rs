//! What it costs to start an execution over HTTP when the answer waits for the disk: with one client, 16 and 256, on the durable store.
//! Prints requests a second, percentiles, and how many requests one sync is for; asserts nothing about time. `SECONDS` says how long.

#![expect(clippy::print_stdout, clippy::unwrap_used, reason = "a bench prints, and has nobody to hand errors to")]

use std::io::{Seek as _, Write as _};
use std::sync::Arc;
use std::time::{Duration, Instant};

use store::embedded::EmbeddedStore;
use tests::figures::{Percentiles, size_from};
use tests::served::{Api, Options, serving_with};

/// As in `sluice`.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const CLIENTS: [usize; 3] = [1, 16, 256];
/// One task that needs no plugin: what is measured is the start.
const FLOW: &str = "{id: post, namespace: bench, tasks: [{id: wait, type: io.kestra.plugin.core.flow.Pause}]}";
/// How often and how long between, when the server says that it has too many under way.
const AGAIN: Duration = Duration::from_millis(50);

fn main() {
    // `cargo test --benches` calls benches too; only `cargo bench` says `--bench`.
    if !std::env::args().any(|argument| argument == "--bench") {
        return;
    }
    let workers = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    workers.block_on(async {
        let lasting = Duration::from_secs(size_from("SECONDS", 10).unsigned_abs());
        for clients in CLIENTS {
            measured(clients, lasting).await;
        }
    });
}

async fn measured(clients: usize, lasting: Duration) {
    let folder = tempfile::tempdir().unwrap();
    let (store, _) = EmbeddedStore::open_folder(folder.path(), store::embedded::Options::default()).unwrap();
    let store = Arc::new(store);
    let options = Options { store: store.clone(), live_max: Some(usize::MAX), ..Options::default() };
    serving_with(options, async |api| {
        api.save(FLOW).await;
        api.post("executions/bench/post", "application/json", "{}").await.ok();
        let syncs = store.stats().syncs;
        let began = Instant::now();
        let all = futures::future::join_all((0..clients).map(|_| client(api, began + lasting))).await;
        let took = began.elapsed();
        let syncs = store.stats().syncs - syncs;
        let mut times = Percentiles::default();
        all.into_iter().for_each(|one| times.append(one));
        let sync = one_sync(folder.path());
        println!(
            "{clients:4} clients: {:7.0} requests/s, p50 {:7.2} p99 {:7.2} ms; {:.1} requests a sync; {:.0} % of the time are syncs (one alone: {:.2} ms)",
            times.len() as f64 / took.as_secs_f64(),
            times.ms(50),
            times.ms(99),
            times.len() as f64 / syncs.max(1) as f64,
            100.0 * sync.as_secs_f64() * syncs as f64 / took.as_secs_f64(),
            sync.as_secs_f64() * 1e3,
        );
    })
    .await;
}

async fn client(api: &Api, until: Instant) -> Percentiles {
    let mut times = Percentiles::default();
    while Instant::now() < until {
        let began = Instant::now();
        let answer = api.post("executions/bench/post", "application/json", "{}").await;
        match answer.status {
            200 => times.push(began.elapsed()),
            429 => tokio::time::sleep(AGAIN).await,
            _ => panic!("{}", answer.text),
        }
    }
    times
}

/// Bytes of the file that is written to: the journal makes room ahead as well, so that a sync writes no new length.
const PROBED_BYTES: usize = 1 << 20;

/// One write and fdatasync in the same folder, the middle of several.
fn one_sync(folder: &std::path::Path) -> Duration {
    let mut file = std::fs::File::create(folder.join("probe")).unwrap();
    file.write_all(&vec![0; PROBED_BYTES]).unwrap();
    file.sync_all().unwrap();
    file.rewind().unwrap();
    let mut times: Vec<Duration> = (0..50)
        .map(|_| {
            let began = Instant::now();
            file.write_all(&[7; 4096]).unwrap();
            file.sync_data().unwrap();
            began.elapsed()
        })
        .collect();
    times.sort_unstable();
    times.get(times.len() / 2).copied().unwrap_or_default()
}
