//! The bare wasmtime cycle on the probe guest: what wasmtime needs and no more. Shared by the benches that compare with it.

use wasmtime::component::types::{ComponentInstance, ComponentItem};
use wasmtime::component::{
    Component, ComponentType, InstancePre, Lift, Linker, ResourceTable, ResourceType, TypedFunc,
};
use wasmtime::{
    Config as EngineConfig, Enabled, Engine, InstanceAllocationStrategy, PoolingAllocationConfig, Store, UpdateDeadline,
};
use wasmtime_wasi::{WasiCtx, WasiCtxView, WasiView};
use wasmtime_wasi_http::{Error, RequestOptions, WasiBody, WasiHttpCtx, WasiHttpCtxView, WasiHttpHooks, WasiHttpView};

pub const PROBE: &[u8] = include_bytes!("../../tests/guests/probe.wasm");
const LOG: &str = "sluice:host/log@1.0.0";

type Sent = Result<(http::Response<WasiBody>, Box<dyn Future<Output = Result<(), Error>> + Send>), Error>;

pub struct Bare {
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

type Run<'a> = TypedFunc<(&'a str, &'a str), (Result<String, BareFailure>,)>;

/// What wasmtime needs and no more: no limits, no grants, no tape, no sink.
pub fn cycle(scan: bool, pooled: bool) -> InstancePre<Bare> {
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

/// One cycle: a store, an instance, a call of `run`, whose input comes back.
pub async fn run(pre: &InstancePre<Bare>, run: &wasmtime::component::ComponentExportIndex, input: &str) {
    let state =
        Bare { wasi: WasiCtx::builder().build(), http: WasiHttpCtx::new(), hooks: Refuse, table: ResourceTable::new() };
    let mut store = Store::new(pre.engine(), state);
    store.set_epoch_deadline(1);
    store.epoch_deadline_callback(|_| Ok(UpdateDeadline::Yield(1)));
    let instance = pre.instantiate_async(&mut store).await.unwrap();
    let run: Run<'_> = instance.get_typed_func(&mut store, run).unwrap();
    let (answer,) = run.call_async(&mut store, ("bench", input)).await.unwrap();
    assert!(answer.is_ok_and(|text| text == input));
}

/// Ticks the epoch of an engine as long as it is there.
pub fn tick(pre: &InstancePre<Bare>) {
    let ticking = pre.engine().weak();
    std::thread::spawn(move || {
        while let Some(engine) = ticking.upgrade() {
            engine.increment_epoch();
            drop(engine);
            std::thread::sleep(std::time::Duration::from_millis(10));
        }
    });
}

/// The function that is called.
pub fn export(pre: &InstancePre<Bare>) -> wasmtime::component::ComponentExportIndex {
    let interface = pre.component().get_export_index(None, "sluice:task/run@1.0.0").unwrap();
    pre.component().get_export_index(Some(&interface), "run").unwrap()
}
