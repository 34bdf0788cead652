//! How fast a server lists executions when it has a million: the first fifty by state, label, date and what is rare among what is common, over
//! HTTP, on the durable store. Prints figures, with the bar of each; asserts nothing about time. `EXECUTIONS` makes it smaller.

#![expect(clippy::print_stdout, clippy::unwrap_used, reason = "a bench prints, and has nobody to hand errors to")]

use std::sync::Arc;
use std::time::Instant;

use model::ids::FlowKey;
use model::state::State;
use store::embedded::EmbeddedStore;
use store::rows::Execution;
use store::{Batch, Store};
use tests::figures::{Percentiles, size_from};
use tests::filled;
use tests::served::{Api, Options, serving_with};

/// As in `sluice`.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const ROUNDS: usize = 100;
/// What a list may take.
const BAR_MS: f64 = 20.0;
const AT_ONCE: i64 = 1_000;

fn main() {
    // `cargo test --benches` calls benches too; only `cargo bench` says `--bench`.
    if !std::env::args().any(|argument| argument == "--bench") {
        return;
    }
    let workers = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    workers.block_on(measured(size_from("EXECUTIONS", 1_000_000)));
}

async fn measured(stored: i64) {
    let folder = tempfile::tempdir().unwrap();
    let (store, _) = EmbeddedStore::open_folder(folder.path(), store::embedded::Options::default()).unwrap();
    let store = Arc::new(store);
    let began = Instant::now();
    fill(&store, stored).await;
    println!("{stored} executions stored in {:.1} s", began.elapsed().as_secs_f64());
    serving_with(Options { store: store.clone(), ..Options::default() }, async |api| {
        let half = filled::at(stored / 2);
        let later = filled::at(stored / 2 + 3_600);
        for (what, query) in [
            ("all", String::new()),
            ("a common state", "filters[state][EQUALS]=SUCCESS".to_owned()),
            ("a rare state", "filters[state][EQUALS]=FAILED".to_owned()),
            ("a common label", "filters[labels][EQUALS][team]=red".to_owned()),
            ("a rare label", "filters[labels][EQUALS][case]=odd".to_owned()),
            (
                "a range of dates",
                format!("filters[startDate][GREATER_THAN]={half}&filters[startDate][LESS_THAN]={later}"),
            ),
            (
                "a rare label and a common state",
                "filters[labels][EQUALS][case]=odd&filters[state][EQUALS]=SUCCESS".to_owned(),
            ),
            (
                "a common label and a common state",
                "filters[labels][EQUALS][team]=red&filters[state][EQUALS]=SUCCESS".to_owned(),
            ),
            ("a flow", "filters[namespace][EQUALS]=bench.few&filters[flowId][EQUALS]=lists".to_owned()),
            ("a namespace and those below", "filters[namespace][PREFIX]=bench".to_owned()),
        ] {
            listed(api, what, &query).await;
        }
    })
    .await;
    let stats = store.stats();
    println!("the store: {} MB of runs, {} keys in memory", stats.run_bytes >> 20, stats.overlay_keys);
}

async fn listed(api: &Api, what: &str, query: &str) {
    let mut times = Percentiles::default();
    let path = format!("executions/search?size=50&{query}");
    let shown = api.get(&path).await.ok();
    for _ in 0..ROUNDS {
        let began = Instant::now();
        api.get(&path).await.ok();
        times.push(began.elapsed());
    }
    let bound = if shown["totalIsLowerBound"] == true { "at least " } else { "" };
    let found = shown["results"].as_array().map_or(0, Vec::len);
    println!("{} {what}: {found} of {bound}{}", times.against(BAR_MS), shown["total"]);
}

/// One a second, newest last: one in twenty failed, one in ten of team red is not, one in 50,000 is odd.
async fn fill(store: &EmbeddedStore, stored: i64) {
    let (many, few) = (filled::flow_key("bench.many", "lists"), filled::flow_key("bench.few", "lists"));
    for chunk in 0..stored.div_euclid(AT_ONCE).max(1) {
        let mut batch = Batch::new();
        for number in (0..AT_ONCE).map(|number| chunk * AT_ONCE + number) {
            batch.put(one(if number % 100 == 0 { &few } else { &many }, number));
        }
        let lsn = store.commit(batch).await.unwrap();
        // As fast as the disk takes it, and no faster.
        if chunk % 100 == 99 {
            store.durable(lsn).await.unwrap();
        }
    }
    store.durable(store.head()).await.unwrap();
    store.checkpoint().unwrap();
}

fn one(flow: &FlowKey, number: i64) -> Execution {
    let state = if number % 20 == 0 { State::Failed } else { State::Success };
    let mut row = filled::execution(&format!("{number:022}"), flow, number, state);
    row.record.labels.push(filled::label("team", if number % 10 == 3 { "blue" } else { "red" }));
    if number % 50_000 == 7 {
        row.record.labels.push(filled::label("case", "odd"));
    }
    row
}
