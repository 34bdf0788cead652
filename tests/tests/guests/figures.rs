//! What guests cost, as in wit/PROOF.md. Prints and asserts little, so it runs only when asked:
//! `cargo test --release -p tests --test guests -- --ignored --nocapture`.

use crate::support::*;
use runtime::{Compiler, Config, PluginSource, Runtime};
use std::path::Path;
use std::time::Instant;

/// Runs of which the middle one is told.
const RUNS: usize = 15;

#[tokio::test(flavor = "multi_thread")]
#[ignore = "measures; see wit/PROOF.md"]
async fn figures() {
    let how = "see wit/PROOF.md";
    let guests = [
        (built("proof-gix", how), "proof.gix.None"),
        (Some(prebuilt("proof-http")), "proof.http.Fail"),
        (built("proof-js", how), "proof.js.Greet"),
        (built("proof-py", how), "proof.py.Greet"),
    ];
    for (plugin, task) in guests {
        let Some(plugin) = plugin else { continue };
        measure(&plugin, task).await;
    }
}

async fn measure(plugin: &PluginSource, task: &str) {
    let directory = tempfile::tempdir().unwrap();
    let start = Instant::now();
    runtime_in(directory.path()).prepare(plugin).await.unwrap();
    let compile = start.elapsed();
    let runtime = runtime_in(directory.path());
    let start = Instant::now();
    runtime.prepare(plugin).await.unwrap();
    let load = start.elapsed();
    let mut whole = Vec::new();
    let mut instantiate = Vec::new();
    let mut memory = 0;
    for _ in 0..RUNS {
        let outcome = runtime.run(request(plugin, task, r#"{"name":"Ada"}"#)).await;
        whole.push(outcome.metrics.wall);
        instantiate.push(outcome.metrics.instantiate);
        memory = outcome.metrics.memory_peak_bytes;
    }
    whole.sort();
    instantiate.sort();
    let code: u64 = sizes(directory.path());
    let runtime::Wasm::Bytes(bytes) = &plugin.wasm else { panic!("at hand") };
    eprintln!(
        "{}: component {} KiB, native code {} KiB, compile {compile:.2?}, load {load:.2?}, instantiate {:.2?}, run {:.2?}, memory {} KiB, {:?}",
        plugin.name,
        bytes.len() >> 10,
        code >> 10,
        instantiate[RUNS / 2],
        whole[RUNS / 2],
        memory >> 10,
        runtime.status().allocator,
    );
}

fn runtime_in(directory: &Path) -> std::sync::Arc<Runtime> {
    Runtime::new(Config::new(directory, Compiler::InProcess)).unwrap()
}

fn sizes(directory: &Path) -> u64 {
    std::fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().metadata().unwrap().len()).sum()
}
