//! The runtime: one fresh instance per run, under limits, with an outcome in every case.
//!
//! Whatever a guest does, `run` returns: it never panics, never waits longer than the run's wall clock, and leaves nothing behind.

use crate::calls::Shared;
use crate::compile::Compiler;
use crate::engine::{Engines, Slot, Status};
use crate::errors::Error;
use crate::failure::{Class, Failure, is_json};
use crate::plugins::{PluginSource, Plugins, Ready};
use crate::request::{Entry, Outcome, Request, RunMetrics};
use crate::sink::Level;
use crate::state::State;
use crate::{cache, egress, engine, plugins, ticker, wasi};
use futures::FutureExt as _;
use std::panic::AssertUnwindSafe;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};
use wasmtime::{PoolConcurrencyLimitError, Store, UpdateDeadline};

/// What a runtime is made with.
#[derive(Clone, Debug)]
pub struct Config {
    /// Private directory for compiled code.
    pub cache_dir: PathBuf,
    /// All compiled code together.
    pub cache_bytes: u64,
    /// Where code is compiled.
    pub compiler: Compiler,
    /// Runs in the pool at one time; 0: no pool.
    pub pool_slots: u32,
    /// Components whose code stays loaded.
    pub most_loaded: usize,
    /// Where names are resolved, and who is told what is dialled.
    pub outside: Arc<dyn egress::outside::Outside>,
}

impl Config {
    /// The defaults around the two things nobody can guess.
    pub fn new(cache_dir: impl Into<PathBuf>, compiler: Compiler) -> Self {
        Self {
            cache_dir: cache_dir.into(),
            cache_bytes: cache::CACHE_BYTES,
            compiler,
            pool_slots: engine::POOL_SLOTS,
            most_loaded: plugins::LOADED,
            outside: Arc::new(egress::outside::Internet),
        }
    }
}

/// Runs components.
pub struct Runtime {
    engines: Engines,
    plugins: Plugins,
    egress: Arc<egress::Clients>,
}

/// What only the run itself can time.
#[derive(Default)]
struct Timing {
    waited: AtomicU64,
    instantiate: AtomicU64,
}

impl Timing {
    fn set(field: &AtomicU64, since: Instant) {
        field.store(u64::try_from(since.elapsed().as_nanos()).unwrap_or(u64::MAX), Ordering::Relaxed);
    }
}

impl Runtime {
    /// Builds engines, opens the code cache, starts the ticker.
    pub fn new(config: Config) -> Result<Arc<Self>, Error> {
        let cache = cache::Cache::open(&config.cache_dir, config.cache_bytes)?;
        let engines = Engines::new(config.pool_slots)?;
        let plugins = Plugins::new(&engines, cache, config.compiler, config.most_loaded)?;
        Ok(Arc::new(Self { engines, plugins, egress: Arc::new(egress::Clients::new(config.outside)) }))
    }

    /// At installation: compiles into the cache and links, so that a plugin that cannot run is refused then.
    pub async fn prepare(&self, plugin: &PluginSource) -> Result<(), Error> {
        self.plugins.prepare(plugin).await
    }

    /// Which allocator is in use and why, and what is running.
    pub fn status(&self) -> Status {
        Status { connections_refused: self.egress.refused(), ..self.engines.status(self.plugins.loaded()) }
    }

    /// One attempt of one task run.
    pub async fn run(&self, request: Request) -> Outcome {
        self.call(Entry::Run, request).await
    }

    /// The same for any export.
    pub async fn call(&self, entry: Entry, mut request: Request) -> Outcome {
        let start = Instant::now();
        let timing = Timing::default();
        let admitted = self.admit(&entry, &request).await;
        Timing::set(&timing.waited, start);
        let deadline = request.limits.wall.and_then(|wall| Instant::now().checked_add(wall));
        let shared = Arc::new(Shared::new(&mut request, deadline));
        let result = match admitted {
            Ok((ready, slot)) => {
                let attempt = self.attempt(&entry, &request, &shared, &timing, ready, slot);
                // A panic below is a fault of the host; it must not take more than this run with it.
                AssertUnwindSafe(attempt).catch_unwind().await.unwrap_or_else(|_| {
                    tracing::error!(plugin = request.plugin.title(), "the host panicked while running a plugin");
                    Err(Failure::host("the host failed while running the plugin; its log says more"))
                })
            }
            Err(failure) => Err(failure),
        };
        outcome(result, &shared, &timing, start)
    }

    /// Compiled code and leave to run. Not under the run's wall clock: waiting is not the guest's doing.
    async fn admit(&self, entry: &Entry, request: &Request) -> Result<(Arc<Ready>, Slot), Failure> {
        let more = if let Entry::Chat { request } = entry { request.len() } else { 0 };
        let (size, most) = (request.input.len().saturating_add(more), request.limits.input_bytes);
        if size > most {
            return Err(Failure::input_too_large(size, most));
        }
        let admitted = async {
            let slot = match entry {
                Entry::Chat { .. } => self.engines.admit_inner(request.limits.memory_bytes).await,
                _ => self.engines.admit(request.limits.memory_bytes).await,
            };
            let ready =
                self.plugins.ready(&request.plugin, slot.place).await.map_err(|error| Failure::of_error(&error))?;
            Ok((ready, slot))
        };
        tokio::select! {
            biased;
            () = request.cancel.cancelled() => Err(Failure::cancelled()),
            admitted = admitted => admitted,
        }
    }

    async fn attempt(
        &self,
        entry: &Entry,
        request: &Request,
        shared: &Arc<Shared>,
        timing: &Timing,
        ready: Arc<Ready>,
        slot: Slot,
    ) -> Result<String, Failure> {
        let guest = self.guest(entry, request, shared, timing, ready, slot);
        let wall = async {
            match shared.deadline {
                Some(at) => tokio::time::sleep_until(at.into()).await,
                None => std::future::pending().await,
            }
        };
        // Dropping the guest's future is the end of it: epochs never fire while it waits inside a host call.
        tokio::select! {
            biased;
            () = shared.cancel.cancelled() => Err(Failure::cancelled()),
            () = wall => Err(Failure::deadline(request.limits.wall.unwrap_or_default())),
            result = guest => result,
        }
    }

    async fn guest(
        &self,
        entry: &Entry,
        request: &Request,
        shared: &Arc<Shared>,
        timing: &Timing,
        mut ready: Arc<Ready>,
        mut slot: Slot,
    ) -> Result<String, Failure> {
        let began = Instant::now();
        let mut store = self.store(&ready, shared)?;
        let mut instance = ready.pre.instantiate_async(&mut store).await;
        if instance.as_ref().is_err_and(|error| error.downcast_ref::<PoolConcurrencyLimitError>().is_some()) {
            // The pool counts core instances, tables and memories too: large guests can use those up before the slots.
            drop(store);
            slot = self.engines.admit_on_demand().await;
            ready = self.plugins.ready(&request.plugin, slot.place).await.map_err(|error| Failure::of_error(&error))?;
            store = self.store(&ready, shared)?;
            instance = ready.pre.instantiate_async(&mut store).await;
        }
        let instance = instance.map_err(|error| Failure::of_trap(&error, shared))?;
        Timing::set(&timing.instantiate, began);
        let answer = call(entry, request, &ready, &mut store, &instance).await;
        drop(store);
        drop(slot);
        match answer {
            Ok(Ok(text)) => checked(entry, text, request.limits.output_bytes),
            Ok(Err(failure)) => Err(failure.after(shared)),
            Err(error) => Err(Failure::of_trap(&error, shared)),
        }
    }

    fn store(&self, ready: &Ready, shared: &Arc<Shared>) -> Result<Store<State>, Failure> {
        let context = wasi::context(shared)?;
        let hooks = egress::Hooks::new(shared.clone(), self.egress.clone());
        let mut store = Store::new(ready.pre.engine(), State::new(shared.clone(), context, hooks));
        store.limiter(|state| &mut state.limiter);
        store.set_hostcall_fuel(shared.limits.call_bytes);
        store.set_epoch_deadline(1);
        store.epoch_deadline_callback(|context| {
            context.data().shared.marks.ticks.fetch_add(1, Ordering::Relaxed);
            Ok(UpdateDeadline::YieldCustom(1, Box::pin(tokio::task::yield_now())))
        });
        Ok(store)
    }
}

/// Calls the export. The outer error is a trap, the inner one the guest's own or a misfit.
async fn call(
    entry: &Entry,
    request: &Request,
    ready: &Ready,
    store: &mut Store<State>,
    instance: &wasmtime::component::Instance,
) -> wasmtime::Result<Result<String, Failure>> {
    let (kind, input) = (request.task_type.as_str(), request.input.as_str());
    let plugin = &request.plugin;
    // The five exports have a type each, so what is alike in calling them is a macro.
    macro_rules! guest {
        ($export:expr, $interface:literal) => {
            match &$export {
                None => return Ok(Err(misfit(plugin, format!("has no `{}`", $interface)))),
                Some(export) => match export.load(&mut *store, instance) {
                    Ok(guest) => guest,
                    Err(cause) => {
                        return Ok(Err(misfit(
                            plugin,
                            format!("has `{}` in another shape than agreed: {cause:#}", $interface),
                        )));
                    }
                },
            }
        };
    }
    Ok(match entry {
        Entry::Run => {
            guest!(ready.run, "sluice:task/run").call_run(store, kind, input).await?.map_err(Failure::of_guest)
        }
        Entry::Check => Ok(guest!(ready.check, "sluice:task/check").call_check(store, kind, input).await?),
        Entry::Poll { cursor } => {
            let answer =
                guest!(ready.poll, "sluice:task/poll").call_poll(store, kind, input, cursor.as_deref()).await?;
            answer.map(|fired| fired.unwrap_or_else(|| "null".to_owned())).map_err(Failure::of_guest)
        }
        Entry::Chat { request } => guest!(ready.chat, "sluice:llm/chat")
            .call_chat(store, kind, input, request)
            .await?
            .map_err(Failure::of_guest),
        Entry::Describe => Ok(guest!(ready.describe, "sluice:task/describe").call_describe(store).await?),
    })
}

/// A component without the export that is called.
fn misfit(plugin: &PluginSource, why: String) -> Failure {
    let mut failure = Failure::new(Class::Link, "NO_EXPORT", format!("plugin `{}` {why}", plugin.title()));
    failure.retryable = Some(false);
    failure.hint = Some("implement it with the SDK, or name a plugin that has it".to_owned());
    failure
}

/// The answer, if it is of the agreed size and shape.
fn checked(entry: &Entry, text: String, most: usize) -> Result<String, Failure> {
    if text.len() > most {
        return Err(Failure::output_too_large(text.len(), most));
    }
    let fits = match entry {
        Entry::Run | Entry::Describe | Entry::Chat { .. } => is_json(&text, '{'),
        Entry::Check => is_json(&text, '['),
        Entry::Poll { .. } => text == "null" || is_json(&text, '{'),
    };
    if fits {
        return Ok(text);
    }
    let wanted = if *entry == Entry::Check { "a list" } else { "an object" };
    let mut seen = text;
    crate::calls::cut(&mut seen, 80);
    Err(Failure::bad_output(format!("wanted {wanted}, got `{seen}`")))
}

fn outcome(result: Result<String, Failure>, shared: &Shared, timing: &Timing, start: Instant) -> Outcome {
    let marks = &shared.marks;
    let read = |mark: &AtomicU64| mark.load(Ordering::Relaxed);
    let tape = shared.tape.summary();
    let dropped = read(&marks.log_dropped);
    if dropped > 0 {
        shared.sink.log(crate::Line {
            level: Level::Warn,
            message: format!("{dropped} more lines were dropped: the run is over its log quota"),
            fields: Vec::new(),
            at: std::time::SystemTime::now(),
        });
    }
    let metrics = RunMetrics {
        wall: start.elapsed(),
        waited: Duration::from_nanos(read(&timing.waited)),
        instantiate: Duration::from_nanos(read(&timing.instantiate)),
        guest_cpu: ticker::TICK.saturating_mul(u32::try_from(read(&marks.ticks)).unwrap_or(u32::MAX)),
        memory_peak_bytes: read(&marks.memory_peak),
        host_calls: tape.calls,
        log_lines: read(&marks.log_lines).saturating_sub(dropped),
        log_lines_dropped: dropped,
        http_requests: read(&marks.http_requests),
        http_bytes_out: read(&marks.http_bytes_out),
        http_bytes_in: read(&marks.http_bytes_in),
        ends_in_warning: marks.ends_in_warning.load(Ordering::Relaxed),
    };
    Outcome { result, metrics, tape }
}
