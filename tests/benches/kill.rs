//! How long a guest in an endless loop goes on after a request to kill its execution, or that of its parent: from the request to the state
//! KILLED, which comes after the guest is gone. On the durable store. Prints figures; asserts nothing about time.

#![expect(clippy::print_stdout, clippy::unwrap_used, reason = "a bench prints, and has nobody to hand errors to")]

use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::Value;
use store::embedded::EmbeddedStore;
use tests::served::{Api, Options, serving_with};

/// As in `sluice`.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const TIMES: usize = 50;
const LOOK: Duration = Duration::from_millis(1);
const SPINS: &str = "{id: spins, namespace: bench, tasks: [{id: t, type: proof.http.Spin}]}";
const AROUND: &str = "{id: around, namespace: bench, tasks: [{id: child, type: io.kestra.plugin.core.flow.Subflow, namespace: bench, flowId: spins}]}";

fn main() {
    // `cargo test --benches` calls benches too; only `cargo bench` says `--bench`.
    if !std::env::args().any(|argument| argument == "--bench") {
        return;
    }
    let workers = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    workers.block_on(async {
        let folder = tempfile::tempdir().unwrap();
        let (store, _) = EmbeddedStore::open_folder(folder.path(), store::embedded::Options::default()).unwrap();
        let packed = folder.path().join("proof.wasm");
        let guest = tests::root().join("tests/guests/proof-http.wasm");
        tests::program::run(&["plugin", "pack", &guest.to_string_lossy(), "--out", &packed.to_string_lossy()]).exits(0);
        let plugins = vec![packed];
        serving_with(Options { store: Arc::new(store), plugins, ..Options::default() }, async |api| {
            api.save(SPINS).await;
            api.save(AROUND).await;
            measured(api, "its execution", "spins", "executions/search?namespace=bench&flowId=spins&size=1").await;
            measured(api, "its parent's", "around", "executions/search?namespace=bench&flowId=spins&size=1").await;
        })
        .await;
    });
}

async fn measured(api: &Api, what: &str, flow: &str, newest: &str) {
    let mut times = Vec::new();
    for _ in 0..TIMES {
        let begun = api.post(&format!("executions/bench/{flow}"), "application/json", "").await.ok();
        let running = until(api, newest, |shown| shown["results"][0]["state"]["current"] == "RUNNING").await;
        let guest = format!("executions/{}", running["results"][0]["id"].as_str().unwrap());
        until(api, &guest, |shown| shown["taskRunList"][0]["state"]["current"] == "RUNNING").await;
        // It has begun to count.
        tokio::time::sleep(Duration::from_millis(20)).await;
        let told = Instant::now();
        let answer = api.delete(&format!("executions/{}/kill", begun["id"].as_str().unwrap())).await;
        assert_eq!(answer.status, 202, "{}", answer.text);
        until(api, &guest, |shown| shown["state"]["current"] == "KILLED").await;
        times.push(told.elapsed());
    }
    times.sort();
    println!(
        "kill of {what}: a guest that counts is gone after {:.1} ms (middle of {TIMES}), {:.1} ms (the longest)",
        times[TIMES / 2].as_secs_f64() * 1e3,
        times[TIMES - 1].as_secs_f64() * 1e3
    );
}

async fn until(api: &Api, path: &str, holds: impl Fn(&Value) -> bool) -> Value {
    loop {
        let shown = api.get(path).await.ok();
        if holds(&shown) {
            return shown;
        }
        tokio::time::sleep(LOOK).await;
    }
}
