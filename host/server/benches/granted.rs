//! What a task run costs with its grants and secrets on, against the bare wasmtime cycle on the same component, allocator and async mode: the
//! policy of a server and a namespace, the flow's own grants, a secret in the properties that comes back in the outputs. Ratios of one process,
//! the two interleaved. The bar is 1.3, for a task without HTTP.
#![expect(clippy::unwrap_used, clippy::print_stdout, reason = "a bench prints, and fails loudly")]

#[path = "../../runtime/benches/bare/mod.rs"]
mod bare;

use std::sync::Arc;
use std::time::{Duration, Instant};

use catalog::{Catalog, Check, Host, Source};
use expr::{Text, Value};
use runtime::{Allocator, Cancel, Compiler, Config, Facts, Limits, NoServices, NoSink, PluginSource, Request, Runtime};
use server::{Around, Node, Policies, Save};
use store::MemoryStore;

/// As in `sluice`.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const ROUNDS: usize = 40;
const RUNS: usize = 250;
const MESSAGE: &str = "a line of some length, as tasks have them";
const POLICY: &str = "
profile: standard
plugins:
  '*': {objects: [flow]}
  probe: {network: ['api.internal:8443', '10.0.0.0/8:443'], processes: [git], kv: [write team.*]}
namespaces:
  bench: {plugins: {probe: {secrets: ['API_*']}}}
secrets:
  API_TOKEN: {hosts: [api.example.com]}
";
const FLOW: &str = "
id: granted
namespace: bench
grants: {probe: {network: [api.example.com], kv: write, secrets: [API_TOKEN], files: write}}
tasks: [{id: t, type: com.example.probe.Bench}]
";

fn median(mut times: Vec<Duration>) -> Duration {
    times.sort_unstable();
    times[times.len() / 2]
}

fn main() {
    // `cargo test --benches` calls benches too; only `cargo bench` says `--bench`.
    if !std::env::args().any(|argument| argument == "--bench") {
        return;
    }
    let here = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    here.block_on(measured());
}

async fn measured() {
    let scratch = tempfile::tempdir().unwrap();
    let manifest = serde_json::json!({
        "abi": "1.0", "name": "probe", "version": "1.0.0", "title": "Probe",
        "capabilities": { "kv": ["get", "set"], "secrets": true, "http": [{ "hosts": "flow" }] },
        "tasks": [{ "type": "com.example.probe.Bench" }],
    });
    let component = catalog::embed(bare::PROBE, manifest.to_string().as_bytes()).unwrap();
    let file = scratch.path().join("probe.wasm");
    std::fs::write(&file, component).unwrap();
    for pool_slots in [256, 0] {
        ratio(&file, pool_slots).await;
    }
}

async fn ratio(plugin: &std::path::Path, pool_slots: u32) {
    let folder = tempfile::tempdir().unwrap();
    let runtime = Runtime::new(Config { pool_slots, ..Config::new(folder.path().join("code"), Compiler::InProcess) });
    let runtime = runtime.unwrap();
    let status = runtime.status();
    let policy = folder.path().join("policy.yaml");
    std::fs::write(&policy, POLICY).unwrap();
    let host = Host { version: env!("CARGO_PKG_VERSION").parse().unwrap(), built_in: Vec::new() };
    let catalog = Catalog::open(vec![Source::File(plugin.to_owned())], host, Check::Digests);
    let store = Arc::new(MemoryStore::default());
    // On this runtime and no other: a second one would be in the way of both that are measured.
    let node = server::Config {
        policies: Policies::read(&policy).unwrap(),
        secrets: [("API_TOKEN".to_owned(), "a-key-of-a-usual-length-0123456789".to_owned())].into(),
        ..server::Config::new(store, runtime.clone(), catalog, folder.path().join("scratch"))
    };
    let node = Node::open(node).await.unwrap();
    let saved = node.save_flow(FLOW, Save::Any).await.unwrap();
    let token = Text::secret("API_TOKEN", "a-key-of-a-usual-length-0123456789");
    let properties = &Value::map([("message", Value::from(MESSAGE)), ("token", Value::Text(token))]);
    let (node, saved) = (&node, &saved);
    let pre = bare::cycle(status.allocator == Allocator::PoolWithScan, pool_slots > 0);
    bare::tick(&pre);
    let run = bare::export(&pre);
    let plugin = PluginSource::of_bytes("probe", "1.0.0", bare::PROBE.to_vec());
    runtime.prepare(&plugin).await.unwrap();
    // As long as what the guest gets: the secret is a placeholder there.
    let input = Around::begin(node, saved, "t", properties).unwrap().input();
    let (mut bare_times, mut our_times, mut around_times) = (Vec::new(), Vec::new(), Vec::new());
    for round in 0..=ROUNDS {
        let warm = round > 0;
        for _ in 0..RUNS {
            let start = Instant::now();
            bare::run(&pre, &run, &input).await;
            if warm {
                bare_times.push(start.elapsed());
            }
        }
        for _ in 0..RUNS {
            let start = Instant::now();
            let around = Around::begin(node, saved, "t", properties).unwrap();
            let request = Request {
                plugin: plugin.clone(),
                task_type: "bench".to_owned(),
                input: around.input(),
                facts: Facts::default(),
                grants: around.grants(),
                limits: Limits::default(),
                working_dir: None,
                services: Arc::new(NoServices),
                sink: Arc::new(NoSink),
                cancel: Cancel::new(),
            };
            let begun = start.elapsed();
            let outputs = runtime.run(request).await.result.unwrap();
            let ended = Instant::now();
            let outputs = around.end(&outputs).unwrap();
            if warm {
                our_times.push(start.elapsed());
                around_times.push(begun + ended.elapsed());
            }
            assert!(outputs.has_secret());
        }
    }
    let (bare, ours, around) = (median(bare_times), median(our_times), median(around_times));
    let ratio = ours.as_secs_f64() / bare.as_secs_f64();
    println!(
        "granted {:?}: bare p50 {bare:?}, sluice with grants and secrets p50 {ours:?} (of it grants and secrets {around:?}), ratio {ratio:.2} (bar 1.3)",
        status.allocator
    );
    if ratio > 1.3 {
        println!("granted: over the bar");
    }
    node.shutdown().await;
}
