//! The host's cost of a task run against the bare wasmtime cycle on the same component, allocator and async mode: printed as ratios of
//! one process, the two interleaved. The bar is 1.5.
#![expect(clippy::unwrap_used, clippy::print_stdout, reason = "a bench prints, and fails loudly")]

use runtime::{
    Allocator, Cancel, Compiler, Config, Facts, Grants, Limits, NoServices, NoSink, PluginSource, Request, Runtime,
    Services, Sink,
};
use std::sync::Arc;
use std::time::{Duration, Instant};

mod bare;

use bare::PROBE;

const INPUT: &str = r#"{"message":"a line of some length, as tasks have them","n":12345}"#;
/// Rounds of each kind in turn, so that a slow second hits both.
const ROUNDS: usize = 40;
const RUNS: usize = 250;

fn request(plugin: &PluginSource, grants: &Arc<Grants>, services: &Arc<dyn Services>, sink: &Arc<dyn Sink>) -> Request {
    Request {
        plugin: plugin.clone(),
        task_type: "bench".to_owned(),
        input: INPUT.to_owned(),
        facts: Facts::default(),
        grants: grants.clone(),
        limits: Limits::default(),
        working_dir: None,
        services: services.clone(),
        sink: sink.clone(),
        cancel: Cancel::new(),
    }
}

fn median(mut times: Vec<Duration>) -> Duration {
    times.sort_unstable();
    times[times.len() / 2]
}

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let directory = tempfile::tempdir().unwrap();
    let mut all_ok = true;
    for pool_slots in [256, 0] {
        let config = Config { pool_slots, ..Config::new(directory.path().join("code"), Compiler::InProcess) };
        let runtime = Runtime::new(config).unwrap();
        let status = runtime.status();
        let pre = bare::cycle(status.allocator == Allocator::PoolWithScan, pool_slots > 0);
        bare::tick(&pre);
        let run = bare::export(&pre);
        let plugin = PluginSource::of_bytes("probe", "1.0.0", PROBE.to_vec());
        let (grants, services, sink): (_, Arc<dyn Services>, Arc<dyn Sink>) =
            (Arc::new(Grants::none()), Arc::new(NoServices), Arc::new(NoSink));
        runtime.prepare(&plugin).await.unwrap();

        let (mut bare_times, mut ours_times) = (Vec::new(), Vec::new());
        let (mut bare_total, mut ours_total) = (Duration::ZERO, Duration::ZERO);
        for round in 0..=ROUNDS {
            let warm = round > 0;
            for _ in 0..RUNS {
                let start = Instant::now();
                bare::run(&pre, &run, INPUT).await;
                if warm {
                    bare_times.push(start.elapsed());
                    bare_total += start.elapsed();
                }
            }
            for _ in 0..RUNS {
                let request = request(&plugin, &grants, &services, &sink);
                let start = Instant::now();
                let outcome = runtime.run(request).await;
                if warm {
                    ours_times.push(start.elapsed());
                    ours_total += start.elapsed();
                }
                assert!(outcome.result.is_ok());
            }
        }
        let (bare_time, ours) = (median(bare_times), median(ours_times));
        let ratio = ours.as_secs_f64() / bare_time.as_secs_f64();
        let total = ours_total.as_secs_f64() / bare_total.as_secs_f64();
        all_ok &= ratio <= 1.5;
        println!(
            "task_run {:?}: bare p50 {bare_time:?}, sluice p50 {ours:?}, ratio p50 {ratio:.2}, ratio of means {total:.2} (bar 1.5)",
            status.allocator
        );
    }
    if !all_ok {
        println!("task_run: over the bar");
    }
}
