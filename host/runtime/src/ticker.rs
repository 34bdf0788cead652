//! The epoch ticker: a thread of the operating system, so that a guest that fills every worker still meets its ticks.
//!
//! It holds engines weakly and ends when the last of them is gone. It also looks at the machine's swap, being the one clock we have.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};
use wasmtime::EngineWeak;

/// How often a running guest is met: it bounds how long it can hold a worker, and how late it notices its end.
pub(crate) const TICK: Duration = Duration::from_millis(10);
/// How often the swap is looked at.
const SWAP_CHECK: Duration = Duration::from_secs(10);

/// Starts the thread. `swap_seen` is set, for good, once swap is active.
pub(crate) fn start(engines: Vec<EngineWeak>, swap_seen: Arc<AtomicBool>) -> std::io::Result<()> {
    std::thread::Builder::new().name("sluice-ticker".to_owned()).spawn(move || tick(&engines, &swap_seen)).map(|_| ())
}

fn tick(engines: &[EngineWeak], swap_seen: &AtomicBool) {
    let mut looked = Instant::now();
    loop {
        std::thread::sleep(TICK);
        let mut alive = false;
        for engine in engines.iter().filter_map(EngineWeak::upgrade) {
            engine.increment_epoch();
            alive = true;
        }
        if !alive {
            return;
        }
        if looked.elapsed() >= SWAP_CHECK {
            looked = Instant::now();
            if !swap_seen.load(Ordering::Relaxed) && crate::swap::is_active() {
                // Never taken back: a page of a guest that was swapped out may still lie in the pool when the swap is gone.
                swap_seen.store(true, Ordering::Relaxed);
                tracing::warn!("swap became active: new runs use the on-demand allocator from now on");
            }
        }
    }
}
