//! How fast pages of an execution's log come when it has a million lines: the first, one in the middle, errors alone, a search over all, and
//! the whole of it. On the durable store, over HTTP. Prints figures; asserts nothing about time. `LINES` makes it smaller.

#![expect(clippy::print_stdout, clippy::unwrap_used, reason = "a bench prints, and has nobody to hand errors to")]

use std::sync::Arc;
use std::time::Instant;

use model::state::State;
use model::task::LogLevel;
use reqwest::Method;
use store::embedded::EmbeddedStore;
use store::{Batch, Store};
use tests::figures::{Percentiles, size_from};
use tests::filled;
use tests::served::{Api, Options, serving_with};

/// As in `sluice`.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const ROUNDS: usize = 20;
/// What a first page may take.
const BAR_MS: f64 = 300.0;
const AT_ONCE: i64 = 10_000;

fn main() {
    // `cargo test --benches` calls benches too; only `cargo bench` says `--bench`.
    if !std::env::args().any(|argument| argument == "--bench") {
        return;
    }
    let workers = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    workers.block_on(measured(size_from("LINES", 1_000_000)));
}

async fn measured(lines: i64) {
    let folder = tempfile::tempdir().unwrap();
    let (store, _) = EmbeddedStore::open_folder(folder.path(), store::embedded::Options::default()).unwrap();
    let store = Arc::new(store);
    let began = Instant::now();
    fill(&store, lines).await;
    println!("{lines} lines stored in {:.1} s", began.elapsed().as_secs_f64());
    serving_with(Options { store, ..Options::default() }, async |api| {
        let first = api.get("logs/long?size=1").await.ok();
        let begin = first[0]["position"].as_u64().unwrap();
        // Positions grow with the lines of an append, and jump from one to the next.
        let end = api.get("logs/search?size=1").await.ok()["results"][0]["position"].as_u64().unwrap();
        let middle = begin + (end - begin) / 2;
        for (what, query) in [
            ("the first 10,000 lines", "logs/long".to_owned()),
            ("the first 500", "logs/long?size=500".to_owned()),
            ("500 from the middle", format!("logs/long?size=500&after={middle}")),
            ("errors, one in 100,000", "logs/long?minLevel=ERROR".to_owned()),
            ("warnings and errors, one in 1,000", "logs/long?minLevel=WARN".to_owned()),
            ("the first 500 of a task", "logs/long?size=500&taskId=say".to_owned()),
            ("a search, newest 50", "logs/search?size=50".to_owned()),
            ("a search of errors", "logs/search?size=50&minLevel=ERROR".to_owned()),
            ("a search of a text that is nowhere", "logs/search?size=50&q=nowhere".to_owned()),
        ] {
            paged(api, what, &query).await;
        }
        let began = Instant::now();
        let mut response = api.request(Method::GET, "logs/long/download").send().await.unwrap();
        let (mut bytes, mut first) = (0, None);
        while let Some(chunk) = response.chunk().await.unwrap() {
            first.get_or_insert_with(|| began.elapsed());
            bytes += chunk.len();
        }
        println!(
            "the whole of it: {} MB in {:.1} s, the first byte after {:.1} ms",
            bytes >> 20,
            began.elapsed().as_secs_f64(),
            first.unwrap_or_default().as_secs_f64() * 1e3
        );
    })
    .await;
}

async fn paged(api: &Api, what: &str, path: &str) {
    let mut times = Percentiles::default();
    let began = Instant::now();
    let shown = api.get(path).await.ok();
    let cold = began.elapsed().as_secs_f64() * 1e3;
    for _ in 0..ROUNDS {
        let began = Instant::now();
        api.get(path).await.ok();
        times.push(began.elapsed());
    }
    let lines = shown.as_array().or(shown["results"].as_array()).map_or(0, Vec::len);
    println!("{} the first time {cold:8.2} ms, {what}: {lines} lines", times.against(BAR_MS));
}

/// Lines of one execution: one in a thousand a warning, one in a hundred thousand an error.
async fn fill(store: &EmbeddedStore, lines: i64) {
    let flow = filled::flow_key("bench", "long");
    let mut batch = Batch::new();
    batch.put(filled::execution("long", &flow, 0, State::Success));
    store.commit(batch).await.unwrap();
    for chunk in 0..lines.div_euclid(AT_ONCE).max(1) {
        let numbers = (0..AT_ONCE).map(|number| chunk * AT_ONCE + number);
        let made = numbers.map(|number| {
            let level = match number {
                number if number % 100_000 == 99_999 => LogLevel::Error,
                number if number % 1_000 == 500 => LogLevel::Warn,
                _ => LogLevel::Info,
            };
            let message = format!("line {number}: a message of some length, as tasks write them");
            filled::line("long", &flow, number / 100, level, &message)
        });
        let lsn = store.append_logs(made.collect()).await.unwrap();
        if chunk % 10 == 9 {
            store.durable(lsn).await.unwrap();
        }
    }
    store.durable(store.head()).await.unwrap();
    store.checkpoint().unwrap();
}
