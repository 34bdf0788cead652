//! What a flow of 40 trivial tasks costs through the API in memory and with durability, where the time goes, and how the server starts. Prints
//! figures of one run, as ratios where machines differ; asserts nothing about time.

#![expect(clippy::print_stdout, clippy::unwrap_used, reason = "a bench prints, and has nobody to hand errors to")]

use std::io::Write as _;
use std::process::Stdio;
use std::sync::Arc;
use std::time::{Duration, Instant};

use engine::sim::Sim;
use runtime::{Cancel, Facts, Grants, Limits, NoServices, NoSink, PluginSource, Request, Wasm};
use store::Store;
use store::embedded::EmbeddedStore;
use tests::counting::Counting;
use tests::program;
use tests::served::{Options, serving_with};

/// As in `sluice`.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const TASKS: usize = 40;
const FLOWS: usize = 10;
const ROUNDS: usize = 25;
const RETURN: &str = "io.kestra.plugin.core.debug.Return";

fn flow() -> String {
    let mut source = String::from("id: w1\nnamespace: bench\ntasks:\n");
    for task in 0..TASKS {
        let format = if task == 0 { "start".to_owned() } else { format!("{{{{ outputs.t{}.value }}}}", task - 1) };
        source.push_str(&format!("  - id: t{task}\n    type: {RETURN}\n    format: \"{format}\"\n"));
    }
    source
}

fn middle(mut times: Vec<Duration>) -> Duration {
    times.sort();
    times.get(times.len() / 2).copied().unwrap_or_default()
}

fn main() {
    // `cargo test --benches` calls benches too; only `cargo bench` says `--bench`.
    if !std::env::args().any(|argument| argument == "--bench") {
        return;
    }
    let workers = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    workers.block_on(w1());
    start();
}

async fn w1() {
    let timing = Arc::new(Counting::timing());
    let memory = measured(timing.clone(), Some(&timing)).await;
    let folder = tempfile::tempdir().unwrap();
    let (store, _) = EmbeddedStore::open_folder(folder.path(), store::embedded::Options::default()).unwrap();
    let store = Arc::new(store);
    let syncs = store.stats().syncs;
    let durable = measured(store.clone(), None).await;
    let syncs = store.stats().syncs - syncs;
    let sync = one_sync(folder.path());
    println!("the same on the durable store, in the same run");
    println!(
        "  W1 {:.2}x the time on the memory store (one sync here: {:.2} ms, {:.2} of W1 in memory)",
        ratio(durable.w1, memory.w1),
        sync.as_secs_f64() * 1e3,
        ratio(sync, memory.w1),
    );
    println!("  W2 {:.2}x the time on the memory store", ratio(durable.w2, memory.w2));
    println!("  {:.3} syncs a task over both", syncs as f64 / durable.tasks as f64);
}

fn ratio(a: Duration, b: Duration) -> f64 {
    a.as_secs_f64() / b.as_secs_f64()
}

/// One write and fdatasync in a folder, the middle of several.
fn one_sync(folder: &std::path::Path) -> Duration {
    let mut file = std::fs::File::create(folder.join("probe")).unwrap();
    let times = (0..50).map(|_| {
        let begun = Instant::now();
        file.write_all(&[7; 4096]).unwrap();
        file.sync_data().unwrap();
        begun.elapsed()
    });
    middle(times.collect())
}

/// Middle times of W1 (one flow of 40 tasks) and W2 (ten of them at once), and how many tasks ran in all.
struct Measured {
    w1: Duration,
    w2: Duration,
    tasks: usize,
}

async fn measured(store: Arc<dyn Store>, timing: Option<&Counting>) -> Measured {
    let mut measured = Measured { w1: Duration::ZERO, w2: Duration::ZERO, tasks: TASKS };
    serving_with(Options { store, ..Options::default() }, async |api| {
        api.save(&flow()).await;
        api.run("bench/w1").await;
        let mut times = Vec::new();
        let before = timing.map(Counting::spent).unwrap_or_default();
        for _ in 0..ROUNDS {
            let begun = Instant::now();
            let ended = api.run("bench/w1").await;
            times.push(begun.elapsed());
            assert_eq!(ended["state"]["current"], "SUCCESS");
        }
        measured.w1 = middle(times);
        let stored = (timing.map(Counting::spent).unwrap_or_default() - before) / ROUNDS as u32;
        let mut times = Vec::new();
        for _ in 0..ROUNDS {
            let begun = Instant::now();
            futures::future::join_all((0..FLOWS).map(|_| api.run("bench/w1"))).await;
            times.push(begun.elapsed());
        }
        measured.w2 = middle(times);
        measured.tasks += ROUNDS * TASKS * (1 + FLOWS);
        if timing.is_some() {
            let whole = measured.w1;
            let (rendered, wasm) = (rendered_alone(), wasm_alone(api).await);
            let engine = decided_alone().saturating_sub(rendered);
            let parts = [
                ("engine (the same flow in the simulator, without its expressions)", engine),
                ("expressions (the same templates alone)", rendered),
                ("wasm (the same runs alone)", wasm),
                ("store (time within its calls)", stored),
                (
                    "shell, HTTP, logs, and waiting for another thread (the rest)",
                    whole.saturating_sub(engine + rendered + wasm + stored),
                ),
            ];
            println!(
                "W1: {TASKS} sequential Return tasks, API with wait=true, memory store, middle of {ROUNDS} rounds"
            );
            println!(
                "  {:.0} tasks/s, {:.0} µs a task",
                TASKS as f64 / whole.as_secs_f64(),
                whole.as_micros() as f64 / TASKS as f64
            );
            for (what, took) in parts {
                println!("  {:5.1} %  {what}", 100.0 * ratio(took, whole));
            }
            println!(
                "W2: {FLOWS} such flows at once: {:.0} tasks/s",
                (FLOWS * TASKS) as f64 / measured.w2.as_secs_f64()
            );
        }
    })
    .await;
    measured
}

/// The same component, as often, with nothing around it.
async fn wasm_alone(api: &tests::served::Api) -> Duration {
    let catalog = api.node.catalog();
    let resolution = catalog.resolve(RETURN, &[]).unwrap();
    let plugin = PluginSource {
        name: resolution.locked.plugin.clone(),
        version: resolution.locked.version.to_string(),
        digest: resolution.locked.digest.to_string(),
        wasm: Wasm::Path(resolution.package.path.clone()),
    };
    let mut times = Vec::new();
    for _ in 0..ROUNDS {
        let begun = Instant::now();
        for _ in 0..TASKS {
            let request = Request {
                plugin: plugin.clone(),
                task_type: RETURN.to_owned(),
                input: r#"{"format":"start"}"#.to_owned(),
                facts: Facts::default(),
                grants: Arc::new(Grants::none()),
                limits: Limits::default(),
                working_dir: None,
                services: Arc::new(NoServices),
                sink: Arc::new(NoSink),
                cancel: Cancel::new(),
            };
            let outcome = api.node.runtime().run(request).await;
            assert!(outcome.result.is_ok(), "{:?}", outcome.result);
        }
        times.push(begun.elapsed());
    }
    middle(times)
}

/// The templates of the flow, with what they read at hand.
fn rendered_alone() -> Duration {
    let templates: Vec<expr::Value> =
        (1..TASKS).map(|task| expr::Value::from(format!("{{{{ outputs.t{}.value }}}}", task - 1))).collect();
    let outputs =
        (0..TASKS).map(|task| (format!("t{task}"), expr::Value::map([("value", expr::Value::from("start"))])));
    let scope = expr::Map::from_iter([("outputs".into(), expr::Value::map(outputs))]);
    let mut times = Vec::new();
    for _ in 0..ROUNDS {
        let begun = Instant::now();
        for template in &templates {
            let rendered = expr::render_value(template, &scope, &expr::Memo::new(), &expr::Settings::default());
            assert_eq!(rendered.unwrap().as_str(), Some("start"));
        }
        times.push(begun.elapsed());
    }
    middle(times)
}

/// The same flow decided and rendered, with tasks that cost nothing.
fn decided_alone() -> Duration {
    let mut times = Vec::new();
    for _ in 0..ROUNDS {
        let mut sim = Sim::new();
        sim.add(engine::sim::flow(&flow()));
        let begun = Instant::now();
        let id = sim.start("bench", "w1", expr::Map::new());
        sim.run();
        times.push(begun.elapsed());
        assert_eq!(sim.state(&id).status(), Some(model::state::State::Success));
    }
    middle(times)
}

/// `sluice server` to ready, with compiled code at hand.
fn start() {
    let folder = tempfile::tempdir().unwrap();
    let store = folder.path().to_str().unwrap();
    let mut times = Vec::new();
    let mut memory_kb = 0;
    for _ in 0..5 {
        // What has to be built first is no part of a start.
        let mut server = program::command(&["server", "--listen", "127.0.0.1:0", "--store", store]);
        let begun = Instant::now();
        let mut server = server.stdout(Stdio::piped()).spawn().unwrap();
        let mut lines = std::io::BufRead::lines(std::io::BufReader::new(server.stdout.take().unwrap()));
        // The line is printed when the listener is bound and the node is open.
        let first = lines.next().unwrap().unwrap();
        times.push(begun.elapsed());
        assert!(first.contains("listens on"), "{first}");
        std::thread::sleep(Duration::from_millis(300));
        let status = std::fs::read_to_string(format!("/proc/{}/status", server.id())).unwrap_or_default();
        let line = status.lines().find(|line| line.starts_with("VmRSS")).unwrap_or_default();
        memory_kb = line.split_whitespace().nth(1).and_then(|text| text.parse::<u64>().ok()).unwrap_or(0);
        program::interrupt(&server);
        server.wait().unwrap();
    }
    println!("sluice server: ready after {} ms (middle of 5), idle {} MB", middle(times).as_millis(), memory_kb / 1024);
}
