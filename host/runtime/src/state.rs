//! What a store holds while one guest runs. It lives as long as the instance and is dropped with it.

use crate::calls::Shared;
use crate::egress;
use crate::limits::Limiter;
use std::sync::Arc;
use wasmtime::component::ResourceTable;
use wasmtime_wasi::{Rng, WasiCtx, WasiCtxView, WasiView};
use wasmtime_wasi_http::{WasiHttpCtx, WasiHttpCtxView, WasiHttpView};

/// Data of one store.
pub(crate) struct State {
    pub(crate) shared: Arc<Shared>,
    pub(crate) table: ResourceTable,
    pub(crate) limiter: Limiter,
    pub(crate) egress: egress::Hooks,
    /// Seeded when first asked: most guests never draw.
    pub(crate) random: Option<Box<dyn Rng + Send>>,
    wasi: WasiCtx,
    http: WasiHttpCtx,
}

impl State {
    pub(crate) fn new(shared: Arc<Shared>, wasi: WasiCtx, egress: egress::Hooks) -> Self {
        let mut table = ResourceTable::new();
        table.set_max_capacity(shared.limits.handles);
        let mut http = WasiHttpCtx::new();
        http.set_field_size_limit(crate::limits::HTTP_HEADER_BYTES);
        Self { limiter: Limiter::new(shared.clone()), shared, table, egress, random: None, wasi, http }
    }
}

impl WasiView for State {
    fn ctx(&mut self) -> WasiCtxView<'_> {
        WasiCtxView { ctx: &mut self.wasi, table: &mut self.table }
    }
}

impl WasiHttpView for State {
    fn http(&mut self) -> WasiHttpCtxView<'_> {
        WasiHttpCtxView { ctx: &mut self.http, table: &mut self.table, hooks: &mut self.egress }
    }
}
