//! The one constructor of engines, and which of them a run gets.
//!
//! All engines of this process compile the same code, so that what one compiled any other may load. An engine built anywhere else would
//! break that. Nothing here runs a guest.

use crate::errors::Error;
use crate::ticker;
use std::hash::{Hash, Hasher};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use wasmtime::{Enabled, Engine, InstanceAllocationStrategy, PoolingAllocationConfig, WasmBacktraceDetails};

/// Slots of the pool where nobody says otherwise: runs that compute or wait at one time. 256 reserve 1 TiB of address space.
pub const POOL_SLOTS: u32 = 256;
/// Below this a pool is not worth having.
const POOL_SLOTS_LEAST: u32 = 8;
/// Core instances per slot: a Python guest has 14, its adapters more; three such may be in flight for every slot that holds a Rust guest.
const CORE_INSTANCES_PER_SLOT: u32 = 40;
/// Tables per slot: a Rust guest has one or two, a Python guest one per core instance.
const TABLES_PER_SLOT: u32 = 20;
/// Memories per slot: composed components have one each.
const MEMORIES_PER_SLOT: u32 = 2;
/// Elements of one pooled table: a Python guest has 30 thousand. A larger one runs on demand.
const POOL_TABLE_ELEMENTS: usize = 100_000;
/// Book-keeping of one component or core instance; the defaults of 1 MiB are too small for JavaScript guests.
const INSTANCE_BYTES: usize = 10 << 20;
/// One pooled memory. A run whose limit is higher runs on demand.
pub(crate) const POOL_MEMORY_BYTES: usize = crate::limits::MEMORY_BYTES;
/// What stays mapped in a slot between runs, with pagemap_scan: more than a Rust guest touches.
const KEEP_MEMORY_BYTES: usize = 2 << 20;
/// The same for tables.
const KEEP_TABLE_BYTES: usize = 256 << 10;
/// Stack of a guest. JavaScript and Python recurse deep.
const GUEST_STACK_BYTES: usize = 2 << 20;
/// Stack of a fiber: the guest's and what host functions need above it.
const FIBER_STACK_BYTES: usize = 3 << 20;
/// Runs on demand at one time, beside the pool: each costs a mapping and a lock of the kernel.
const ON_DEMAND_SLOTS: usize = 256;

/// Runs on behalf of other runs at one time, where the pool is full. Apart from the others, because those wait for these.
const INNER_SLOTS: usize = 256;

/// Which allocator new runs get.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Allocator {
    /// A pool whose slots are cleaned by scanning the page map: the fastest.
    PoolWithScan,
    /// A pool whose slots are cleaned by the kernel.
    Pool,
    /// Memory mapped for each run.
    OnDemand,
}

/// What the runtime is doing, for `health` and the start-up log.
#[derive(Clone, Debug)]
pub struct Status {
    /// Which allocator new runs get now.
    pub allocator: Allocator,
    /// Why that one.
    pub why: String,
    /// Slots of the pool.
    pub pool_slots: u32,
    /// Slots in use.
    pub pool_used: u32,
    /// Runs on demand now.
    pub on_demand_used: u32,
    /// Components whose code is loaded.
    pub components_loaded: usize,
    /// Connections that stood and led to where the run may not go: each is a hole in what is checked before.
    pub connections_refused: u64,
}

/// Which of the two engines. Code is loaded once for each.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    Pool,
    OnDemand,
}

/// Leave to run, given back when dropped.
pub(crate) struct Slot {
    pub(crate) place: Place,
    _permit: OwnedSemaphorePermit,
}

/// The engines of this process.
pub(crate) struct Engines {
    pool: Option<Engine>,
    on_demand: Engine,
    scan: bool,
    why: String,
    slots: u32,
    pool_gate: Arc<Semaphore>,
    on_demand_gate: Arc<Semaphore>,
    inner_gate: Arc<Semaphore>,
    swap_seen: Arc<AtomicBool>,
}

/// How an engine gets memory for instances.
enum Strategy {
    OnDemand,
    Pool { slots: u32, scan: bool },
}

/// The one constructor.
fn engine(strategy: Strategy) -> wasmtime::Result<Engine> {
    let mut config = wasmtime::Config::new();
    config
        .epoch_interruption(true)
        // A NaN's bits and relaxed SIMD must not differ between machines, or a tape could not be replayed.
        .cranelift_nan_canonicalization(true)
        .relaxed_simd_deterministic(true)
        .memory_init_cow(true)
        .wasm_backtrace_details(WasmBacktraceDetails::Enable)
        .max_wasm_stack(GUEST_STACK_BYTES)
        .async_stack_size(FIBER_STACK_BYTES);
    if let Strategy::Pool { slots, scan } = strategy {
        let mut pool = PoolingAllocationConfig::new();
        pool.total_component_instances(slots)
            .total_core_instances(slots.saturating_mul(CORE_INSTANCES_PER_SLOT))
            .total_memories(slots.saturating_mul(MEMORIES_PER_SLOT))
            .total_tables(slots.saturating_mul(TABLES_PER_SLOT))
            .total_stacks(slots)
            .max_unused_warm_slots(slots)
            .max_component_instance_size(INSTANCE_BYTES)
            .max_core_instance_size(INSTANCE_BYTES)
            .table_elements(POOL_TABLE_ELEMENTS)
            .max_memory_size(POOL_MEMORY_BYTES);
        if scan {
            // Without the scan, keeping pages means clearing them blindly, which is slower than giving them back.
            pool.pagemap_scan(Enabled::Yes)
                .linear_memory_keep_resident(KEEP_MEMORY_BYTES)
                .table_keep_resident(KEEP_TABLE_BYTES);
        }
        config.allocation_strategy(InstanceAllocationStrategy::Pooling(pool));
    }
    Engine::new(&config)
}

/// An engine that only compiles. Its code is good for every engine here.
pub(crate) fn compiling_engine() -> Result<Engine, Error> {
    engine(Strategy::OnDemand)
        .map_err(|cause| Error::host("no engine can be built on this machine", format!("{cause:#}")))
}

/// What compiled code must agree on, as text for a file name.
pub(crate) fn compatibility(engine: &Engine) -> String {
    struct Sha(sha2::Sha256);
    impl Hasher for Sha {
        fn finish(&self) -> u64 {
            0
        }
        fn write(&mut self, bytes: &[u8]) {
            use sha2::Digest as _;
            self.0.update(bytes);
        }
    }
    use sha2::Digest as _;
    let mut hasher = Sha(sha2::Sha256::new());
    engine.precompile_compatibility_hash().hash(&mut hasher);
    crate::tape::hex(hasher.0.finalize().get(..8).unwrap_or_default())
}

impl Engines {
    /// Builds what this machine can have, and starts the ticker. `slots` of 0: no pool.
    pub(crate) fn new(slots: u32) -> Result<Self, Error> {
        let on_demand = compiling_engine()?;
        let (scan, mut why) = scan_decision();
        let (pool, slots) = match largest_pool(slots, scan) {
            Ok((pool, slots)) => (Some(pool), slots),
            Err(cause) => {
                why = format!("no pool: {cause}");
                (None, 0)
            }
        };
        let swap_seen = Arc::new(AtomicBool::new(false));
        let watched = if scan && pool.is_some() { swap_seen.clone() } else { Arc::new(AtomicBool::new(true)) };
        let weak = pool.iter().chain([&on_demand]).map(Engine::weak).collect();
        ticker::start(weak, watched).map_err(|cause| Error::host("the epoch ticker cannot be started", cause))?;
        Ok(Self {
            pool,
            on_demand,
            scan,
            why,
            slots,
            pool_gate: Arc::new(Semaphore::new(slots as usize)),
            on_demand_gate: Arc::new(Semaphore::new(ON_DEMAND_SLOTS)),
            inner_gate: Arc::new(Semaphore::new(INNER_SLOTS)),
            swap_seen,
        })
    }

    pub(crate) fn get(&self, place: Place) -> &Engine {
        match (place, &self.pool) {
            (Place::Pool, Some(pool)) => pool,
            (Place::Pool, None) | (Place::OnDemand, _) => &self.on_demand,
        }
    }

    /// The pool while it has room and the run fits it, else on demand; waits where both are full.
    pub(crate) async fn admit(&self, memory_bytes: usize) -> Slot {
        let pool_usable =
            self.pool.is_some() && memory_bytes <= POOL_MEMORY_BYTES && !self.swap_seen.load(Ordering::Relaxed);
        if pool_usable && let Ok(permit) = self.pool_gate.clone().try_acquire_owned() {
            return Slot { place: Place::Pool, _permit: permit };
        }
        self.admit_on_demand().await
    }

    /// The same for a run that another run waits for: it never waits for the slots of such.
    pub(crate) async fn admit_inner(&self, memory_bytes: usize) -> Slot {
        tokio::select! {
            biased;
            slot = self.admit(memory_bytes) => slot,
            permit = self.inner_gate.clone().acquire_owned() => {
                Slot { place: Place::OnDemand, _permit: permit.expect("the semaphore is never closed") }
            }
        }
    }

    /// A slot beside the pool.
    pub(crate) async fn admit_on_demand(&self) -> Slot {
        let permit = self.on_demand_gate.clone().acquire_owned().await.expect("the semaphore is never closed");
        Slot { place: Place::OnDemand, _permit: permit }
    }

    pub(crate) fn status(&self, components_loaded: usize) -> Status {
        let swapped = self.swap_seen.load(Ordering::Relaxed);
        let (allocator, why) = match (&self.pool, swapped) {
            (None, _) => (Allocator::OnDemand, self.why.clone()),
            (Some(_), true) => {
                (Allocator::OnDemand, "swap became active while the pool with pagemap_scan was in use".to_owned())
            }
            (Some(_), false) if self.scan => (Allocator::PoolWithScan, self.why.clone()),
            (Some(_), false) => (Allocator::Pool, self.why.clone()),
        };
        let used = |gate: &Semaphore, of: usize| {
            u32::try_from(of.saturating_sub(gate.available_permits())).unwrap_or(u32::MAX)
        };
        Status {
            allocator,
            why,
            pool_slots: self.slots,
            pool_used: used(&self.pool_gate, self.slots as usize),
            on_demand_used: used(&self.on_demand_gate, ON_DEMAND_SLOTS),
            components_loaded,
            connections_refused: 0,
        }
    }
}

/// Whether slots may be cleaned by scanning the page map, and why.
fn scan_decision() -> (bool, String) {
    if !PoolingAllocationConfig::is_pagemap_scan_available() {
        return (false, "this kernel has no pagemap_scan (6.7 has it)".to_owned());
    }
    if crate::swap::is_active() {
        // A page that was swapped out would be neither cleaned nor dropped, and the next guest would read it.
        return (false, "swap is active, with which pagemap_scan is not safe".to_owned());
    }
    (true, "the kernel has pagemap_scan and no swap is active".to_owned())
}

/// Halves the pool until the machine grants its address space.
fn largest_pool(slots: u32, scan: bool) -> Result<(Engine, u32), String> {
    let mut slots = slots;
    let mut cause = "none was asked for".to_owned();
    while slots >= POOL_SLOTS_LEAST {
        match engine(Strategy::Pool { slots, scan }) {
            Ok(engine) => return Ok((engine, slots)),
            Err(error) => cause = format!("{error:#}"),
        }
        slots /= 2;
    }
    Err(cause)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_engines_agree_on_compiled_code() {
        let plain = compiling_engine().expect("an engine");
        for scan in [false, true] {
            if scan && !PoolingAllocationConfig::is_pagemap_scan_available() {
                continue;
            }
            let pool = engine(Strategy::Pool { slots: 8, scan }).expect("a pool");
            assert_eq!(compatibility(&plain), compatibility(&pool));
        }
    }

    #[test]
    fn no_pool_falls_back_to_on_demand() {
        let engines = Engines::new(0).expect("engines");
        let status = engines.status(0);
        assert_eq!(status.allocator, Allocator::OnDemand);
        assert!(status.why.starts_with("no pool"), "{}", status.why);
    }

    #[tokio::test]
    async fn full_pool_and_large_runs_go_on_demand() {
        let engines = Engines::new(8).expect("engines");
        if engines.pool.is_none() {
            return;
        }
        let mut held = Vec::new();
        for _ in 0..8 {
            held.push(engines.admit(1).await);
        }
        assert!(held.iter().all(|slot| slot.place == Place::Pool));
        assert_eq!(engines.admit(1).await.place, Place::OnDemand);
        held.pop();
        assert_eq!(engines.admit(POOL_MEMORY_BYTES + 1).await.place, Place::OnDemand);
        assert_eq!(engines.admit(1).await.place, Place::Pool);
    }

    #[tokio::test]
    async fn swap_moves_new_runs_for_good() {
        let engines = Engines::new(8).expect("engines");
        engines.swap_seen.store(true, Ordering::Relaxed);
        assert_eq!(engines.admit(1).await.place, Place::OnDemand);
        assert_eq!(engines.status(0).allocator, Allocator::OnDemand);
    }
}
