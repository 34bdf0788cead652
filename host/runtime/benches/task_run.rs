//! The host's cost of a task run against the bare wasmtime cycle on the same component, allocator and async mode: printed as ratios of
//! one process, the two interleaved. The bar is 1.5.
#![expect(clippy::unwrap_used, clippy::print_stdout, reason = "a bench prints, and fails loudly")]

use runtime::{
    Allocator, Cancel, Compiler, Config, Facts, Grants, Limits, NoServices, NoSink, PluginSource, Request, Runtime,
    Services, Sink,
};
use std::sync::Arc;
use std::time::{Duration, Instant};
use wasmtime::component::types::{ComponentInstance, ComponentItem};
use wasmtime::component::{
    Component, ComponentType, InstancePre, Lift, Linker, ResourceTable, ResourceType, TypedFunc,
};
use wasmtime::{
    Config as EngineConfig, Enabled, Engine, InstanceAllocationStrategy, PoolingAllocationConfig, Store, UpdateDeadline,
};
use wasmtime_wasi::{WasiCtx, WasiCtxView, WasiView};
use wasmtime_wasi_http::{Error, RequestOptions, WasiBody, WasiHttpCtx, WasiHttpCtxView, WasiHttpHooks, WasiHttpView};

const PROBE: &[u8] = include_bytes!("../tests/guests/probe.wasm");
const LOG: &str = "sluice:host/log@1.0.0";
const INPUT: &str = r#"{"message":"a line of some length, as tasks have them","n":12345}"#;
/// Rounds of each kind in turn, so that a slow second hits both.
const ROUNDS: usize = 40;
const RUNS: usize = 250;

type Sent = Result<(http::Response<WasiBody>, Box<dyn Future<Output = Result<(), Error>> + Send>), Error>;

struct Bare {
    wasi: WasiCtx,
    http: WasiHttpCtx,
    hooks: Refuse,
    table: ResourceTable,
}

struct Refuse;

impl WasiHttpHooks for Refuse {
    fn send_request(
        &mut self,
        _: http::Request<WasiBody>,
        _: Option<RequestOptions>,
        _: Box<dyn Future<Output = Result<(), Error>> + Send>,
    ) -> Box<dyn Future<Output = Sent> + Send> {
        Box::new(async { Err(Error::HttpRequestDenied) })
    }
}

impl WasiView for Bare {
    fn ctx(&mut self) -> WasiCtxView<'_> {
        WasiCtxView { ctx: &mut self.wasi, table: &mut self.table }
    }
}

impl WasiHttpView for Bare {
    fn http(&mut self) -> WasiHttpCtxView<'_> {
        WasiHttpCtxView { ctx: &mut self.http, table: &mut self.table, hooks: &mut self.hooks }
    }
}

#[derive(ComponentType, Lift)]
#[component(enum)]
#[repr(u8)]
#[expect(dead_code, reason = "only lifted")]
enum BareLevel {
    #[component(name = "trace")]
    Trace,
    #[component(name = "debug")]
    Debug,
    #[component(name = "info")]
    Info,
    #[component(name = "warn")]
    Warn,
    #[component(name = "error")]
    Error,
}

#[derive(ComponentType, Lift)]
#[component(record)]
#[expect(dead_code, reason = "only lifted")]
struct BareFailure {
    code: String,
    message: String,
    retryable: Option<bool>,
    details: Option<String>,
}

type Run = TypedFunc<(&'static str, &'static str), (Result<String, BareFailure>,)>;

/// What wasmtime needs and no more: no limits, no grants, no tape, no sink.
fn bare(scan: bool, pooled: bool) -> InstancePre<Bare> {
    let mut config = EngineConfig::new();
    config.epoch_interruption(true);
    if pooled {
        let mut pool = PoolingAllocationConfig::new();
        pool.max_memory_size(256 << 20)
            .table_elements(100_000)
            .max_component_instance_size(10 << 20)
            .max_core_instance_size(10 << 20);
        if scan {
            pool.pagemap_scan(Enabled::Yes).linear_memory_keep_resident(2 << 20).table_keep_resident(256 << 10);
        }
        config.allocation_strategy(InstanceAllocationStrategy::Pooling(pool));
    }
    let engine = Engine::new(&config).unwrap();
    let component = Component::new(&engine, PROBE).unwrap();
    let mut linker = Linker::<Bare>::new(&engine);
    wasmtime_wasi::p2::add_to_linker_async(&mut linker).unwrap();
    linker
        .instance(LOG)
        .unwrap()
        .func_wrap("log", |_, (_, _, _): (BareLevel, String, Vec<(String, String)>)| Ok(()))
        .unwrap();
    wasmtime_wasi_http::p2::add_only_http_to_linker_async(&mut linker).unwrap();
    for (name, item) in component.component_type().imports(&engine) {
        match item.ty {
            ComponentItem::ComponentInstance(interface) if name.starts_with("sluice:") && name != LOG => {
                absent(&mut linker, &engine, name, &interface)
            }
            _ => {}
        }
    }
    linker.instantiate_pre(&component).unwrap()
}

/// An interface whose functions trap: the bench calls none of them.
fn absent(linker: &mut Linker<Bare>, engine: &Engine, name: &str, interface: &ComponentInstance) {
    let mut instance = linker.instance(name).unwrap();
    for (name, item) in interface.exports(engine) {
        match item.ty {
            ComponentItem::ComponentFunc(_) => {
                instance.func_new(name, |_, _, _, _| Err(wasmtime::Error::msg("not here"))).unwrap()
            }
            ComponentItem::Resource(_) => instance.resource(name, ResourceType::host::<()>(), |_, _| Ok(())).unwrap(),
            _ => {}
        }
    }
}

async fn bare_run(pre: &InstancePre<Bare>, run: &wasmtime::component::ComponentExportIndex) {
    let state =
        Bare { wasi: WasiCtx::builder().build(), http: WasiHttpCtx::new(), hooks: Refuse, table: ResourceTable::new() };
    let mut store = Store::new(pre.engine(), state);
    store.set_epoch_deadline(1);
    store.epoch_deadline_callback(|_| Ok(UpdateDeadline::Yield(1)));
    let instance = pre.instantiate_async(&mut store).await.unwrap();
    let run: Run = instance.get_typed_func(&mut store, run).unwrap();
    let (answer,) = run.call_async(&mut store, ("bench", INPUT)).await.unwrap();
    assert!(answer.is_ok_and(|text| text == INPUT));
}

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
        let pre = bare(status.allocator == Allocator::PoolWithScan, pool_slots > 0);
        let ticking = pre.engine().weak();
        std::thread::spawn(move || {
            while let Some(engine) = ticking.upgrade() {
                engine.increment_epoch();
                drop(engine);
                std::thread::sleep(Duration::from_millis(10));
            }
        });
        let interface = pre.component().get_export_index(None, "sluice:task/run@1.0.0").unwrap();
        let run = pre.component().get_export_index(Some(&interface), "run").unwrap();
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
                bare_run(&pre, &run).await;
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
        let (bare, ours) = (median(bare_times), median(ours_times));
        let ratio = ours.as_secs_f64() / bare.as_secs_f64();
        let total = ours_total.as_secs_f64() / bare_total.as_secs_f64();
        all_ok &= ratio <= 1.5;
        println!(
            "task_run {:?}: bare p50 {bare:?}, sluice p50 {ours:?}, ratio p50 {ratio:.2}, ratio of means {total:.2} (bar 1.5)",
            status.allocator
        );
    }
    if !all_ok {
        println!("task_run: over the bar");
    }
}
