//! What a flow of 40 trivial tasks costs through the API on the memory store, where the time goes, and how the server starts. Prints
//! figures of one run, as ratios where machines differ; asserts nothing about time.

#![expect(clippy::print_stdout, clippy::unwrap_used, reason = "a bench prints, and has nobody to hand errors to")]

use std::process::Stdio;
use std::sync::Arc;
use std::time::{Duration, Instant};

use engine::sim::Sim;
use runtime::{Cancel, Facts, Grants, Limits, NoServices, NoSink, PluginSource, Request, Wasm};
use tests::program;
use tests::served::serving;

const TASKS: usize = 40;
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
    serving(async |api| {
        api.save(&flow()).await;
        api.run("bench/w1").await;
        let mut whole = Vec::new();
        for _ in 0..ROUNDS {
            let begun = Instant::now();
            let ended = api.run("bench/w1").await;
            whole.push(begun.elapsed());
            assert_eq!(ended["state"]["current"], "SUCCESS");
        }
        let whole = middle(whole);
        let wasm = wasm_alone(api).await;
        let decided = decided_alone();
        let share = |part: Duration| 100.0 * part.as_secs_f64() / whole.as_secs_f64();
        let per_second = TASKS as f64 / whole.as_secs_f64();
        println!("W1: {TASKS} sequential Return tasks, API with wait=true, memory store, middle of {ROUNDS} rounds");
        println!("  {:.0} tasks/s, {:.0} µs a task", per_second, whole.as_micros() as f64 / TASKS as f64);
        println!("  wasm (the same {TASKS} runs alone)                  {:5.1} %", share(wasm));
        println!("  engine and expressions (the same flow in the simulator) {:5.1} %", share(decided));
        println!(
            "  store, shell, HTTP and waiting (the rest)           {:5.1} %",
            100.0 - share(wasm) - share(decided)
        );
    })
    .await;
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
        let begun = Instant::now();
        let mut server = program::command(&["server", "--listen", "127.0.0.1:0", "--store", store])
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
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
