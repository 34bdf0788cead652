//! Components made ready to run: loaded from the code cache, linked once per engine, kept by digest.
//!
//! Nothing here runs guest code. What is loaded is bounded; the longest unused goes first.

use crate::bindings::Everything;
use crate::bindings::exports::sluice as exports;
use crate::cache::{Cache, Loaded};
use crate::compile::{self, Compiler};
use crate::engine::{self, Engines, Place};
use crate::errors::Error;
use crate::inspect::{self, Shape};
use crate::state::State;
use sha2::{Digest as _, Sha256};
use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::{OnceCell, Semaphore};
use wasmtime::component::{Component, HasSelf, InstancePre, Linker};

/// Components whose code stays mapped; each costs its code once (0.2 MB for Rust, 40 MB for Python).
pub const LOADED: usize = 128;
/// Compilations at one time: each may use every core and 350 MB.
const COMPILING: usize = 1;

/// Which component, and where its bytes are.
#[derive(Clone, Debug)]
pub struct PluginSource {
    /// The plugin's name.
    pub name: String,
    /// Its version.
    pub version: String,
    /// sha256 of the component, 64 lower-case hexadecimal digits.
    pub digest: String,
    /// The component itself; not touched while its compiled code is in the cache.
    pub wasm: Wasm,
}

/// The bytes of a component.
#[derive(Clone, Debug)]
pub enum Wasm {
    /// In a file.
    Path(PathBuf),
    /// At hand.
    Bytes(Arc<[u8]>),
}

impl PluginSource {
    /// A component at hand; the digest is computed.
    pub fn of_bytes(name: &str, version: &str, wasm: impl Into<Arc<[u8]>>) -> Self {
        let wasm = wasm.into();
        Self {
            name: name.to_owned(),
            version: version.to_owned(),
            digest: crate::tape::hex(&Sha256::digest(&wasm)),
            wasm: Wasm::Bytes(wasm),
        }
    }

    /// `name version`, for messages.
    pub(crate) fn title(&self) -> String {
        format!("{} {}", self.name, self.version)
    }

    /// The bytes, of the right size and digest.
    async fn bytes(&self) -> Result<Arc<[u8]>, Error> {
        let wasm: Arc<[u8]> = match &self.wasm {
            Wasm::Bytes(bytes) => bytes.clone(),
            Wasm::Path(path) => {
                let meta = tokio::fs::metadata(path).await.map_err(|cause| Error::io(path, cause))?;
                if meta.len() > inspect::COMPONENT_BYTES as u64 {
                    return Err(Error::BadComponent {
                        plugin: self.title(),
                        why: format!("it has {} bytes, more than {}", meta.len(), inspect::COMPONENT_BYTES),
                        hint: "strip debug data from the component".to_owned(),
                    });
                }
                tokio::fs::read(path).await.map_err(|cause| Error::io(path, cause))?.into()
            }
        };
        let found = crate::tape::hex(&Sha256::digest(&wasm));
        if found != self.digest {
            return Err(Error::Digest { plugin: self.title(), expected: self.digest.clone(), found });
        }
        Ok(wasm)
    }
}

/// A component linked for one engine.
pub(crate) struct Ready {
    pub(crate) pre: InstancePre<State>,
    pub(crate) run: Option<exports::task::run::GuestIndices>,
    pub(crate) check: Option<exports::task::check::GuestIndices>,
    pub(crate) poll: Option<exports::task::poll::GuestIndices>,
    pub(crate) describe: Option<exports::task::describe::GuestIndices>,
    pub(crate) chat: Option<exports::llm::chat::GuestIndices>,
}

#[derive(Default)]
struct Entry {
    pool: OnceCell<Arc<Ready>>,
    on_demand: OnceCell<Arc<Ready>>,
    used: AtomicU64,
}

/// All components of this process.
pub(crate) struct Plugins {
    cache: Arc<Cache>,
    compiler: Compiler,
    compatibility: String,
    pool: Linker<State>,
    on_demand: Linker<State>,
    loaded: Mutex<HashMap<String, Arc<Entry>>>,
    most_loaded: usize,
    clock: AtomicU64,
    gate: Semaphore,
}

impl Plugins {
    pub(crate) fn new(engines: &Engines, cache: Cache, compiler: Compiler, most_loaded: usize) -> Result<Self, Error> {
        Ok(Self {
            cache: Arc::new(cache),
            compiler,
            compatibility: engine::compatibility(engines.get(Place::OnDemand)),
            pool: linker(engines.get(Place::Pool))?,
            on_demand: linker(engines.get(Place::OnDemand))?,
            loaded: Mutex::default(),
            most_loaded: most_loaded.max(1),
            clock: AtomicU64::new(0),
            gate: Semaphore::new(COMPILING),
        })
    }

    pub(crate) fn loaded(&self) -> usize {
        self.loaded.lock().unwrap_or_else(PoisonError::into_inner).len()
    }

    /// Compiles into the cache if need be, links, and so finds what would fail at run time.
    pub(crate) async fn prepare(&self, source: &PluginSource) -> Result<(), Error> {
        self.ready(source, Place::OnDemand).await.map(|_| ())
    }

    /// The component, linked for one engine.
    pub(crate) async fn ready(&self, source: &PluginSource, place: Place) -> Result<Arc<Ready>, Error> {
        let entry = self.entry(&source.digest);
        let cell = match place {
            Place::Pool => &entry.pool,
            Place::OnDemand => &entry.on_demand,
        };
        if let Some(ready) = cell.get() {
            return Ok(ready.clone());
        }
        let made = cell.get_or_try_init(|| self.make(source, place)).await.cloned();
        if made.is_err() {
            self.forget(&source.digest, &entry);
        }
        made
    }

    fn entry(&self, digest: &str) -> Arc<Entry> {
        let now = self.clock.fetch_add(1, Ordering::Relaxed);
        let mut loaded = self.loaded.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(entry) = loaded.get(digest) {
            entry.used.store(now, Ordering::Relaxed);
            return entry.clone();
        }
        if loaded.len() >= self.most_loaded {
            let oldest = loaded
                .iter()
                .min_by_key(|(_, entry)| entry.used.load(Ordering::Relaxed))
                .map(|(digest, _)| digest.clone());
            if let Some(oldest) = oldest {
                // Runs that use it hold it; its code goes with the last of them.
                loaded.remove(&oldest);
            }
        }
        let entry = Arc::new(Entry { used: AtomicU64::new(now), ..Entry::default() });
        loaded.insert(digest.to_owned(), entry.clone());
        entry
    }

    fn forget(&self, digest: &str, entry: &Arc<Entry>) {
        let mut loaded = self.loaded.lock().unwrap_or_else(PoisonError::into_inner);
        if loaded.get(digest).is_some_and(|kept| Arc::ptr_eq(kept, entry)) {
            loaded.remove(digest);
        }
    }

    async fn make(&self, source: &PluginSource, place: Place) -> Result<Arc<Ready>, Error> {
        if source.digest.len() != 64
            || !source.digest.bytes().all(|byte| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte))
        {
            // It becomes a file name.
            return Err(Error::Digest {
                plugin: source.title(),
                expected: source.digest.clone(),
                found: "64 hexadecimal digits are a digest".to_owned(),
            });
        }
        let linker = match place {
            Place::Pool => &self.pool,
            Place::OnDemand => &self.on_demand,
        };
        let (linker, component) = match self.load(source, linker).await {
            Some(found) => found,
            None => {
                let _one = self.gate.acquire().await.expect("the semaphore is never closed");
                // Somebody else may have compiled it while we waited.
                match self.load(source, linker).await {
                    Some(found) => found,
                    None => {
                        let wasm = source.bytes().await?;
                        let title = source.title();
                        inspect::inspect(&title, &wasm)?;
                        compile::compile(
                            &self.compiler,
                            &self.cache,
                            &title,
                            &wasm,
                            &source.digest,
                            &self.compatibility,
                        )
                        .await?;
                        self.load(source, linker).await.ok_or_else(|| Error::Compile {
                            plugin: source.title(),
                            why: "its code was compiled but cannot be loaded".to_owned(),
                            hint: "is the disk of the code cache full? see the log".to_owned(),
                        })?
                    }
                }
            }
        };
        link(source, linker, &component).map(Arc::new)
    }

    /// Code from the cache, and the linker of the engine it is for: a component too large for any slot is loaded for the other engine.
    async fn load<'a>(
        &'a self,
        source: &PluginSource,
        linker: &'a Linker<State>,
    ) -> Option<(&'a Linker<State>, Component)> {
        let (cache, first, fallback) = (self.cache.clone(), linker.engine().clone(), self.on_demand.engine().clone());
        let (digest, compatibility) = (source.digest.clone(), self.compatibility.clone());
        let loaded =
            tokio::task::spawn_blocking(move || cache.load(&first, &fallback, &digest, &compatibility)).await.ok()?;
        match loaded {
            Loaded::Fits(component) => Some((linker, component)),
            Loaded::FitsOnlyFallback(component, why) => {
                tracing::info!(plugin = source.title(), why, "too large for the pool: it runs on demand");
                Some((&self.on_demand, component))
            }
            Loaded::Missing => None,
        }
    }
}

/// Everything the host offers.
fn linker(engine: &wasmtime::Engine) -> Result<Linker<State>, Error> {
    let build = || -> wasmtime::Result<Linker<State>> {
        let mut linker = Linker::new(engine);
        crate::wasi::link(&mut linker)?;
        wasmtime_wasi_http::p2::add_only_http_to_linker_async(&mut linker)?;
        Everything::add_to_linker::<State, HasSelf<State>>(&mut linker, |state| state)?;
        Ok(linker)
    };
    build().map_err(|cause| Error::host("the host interfaces cannot be linked", format!("{cause:#}")))
}

fn link(source: &PluginSource, linker: &Linker<State>, component: &Component) -> Result<Ready, Error> {
    let shape = shape_of(component);
    let title = source.title();
    let pre = linker
        .instantiate_pre(component)
        .map_err(|cause| inspect::missing_import(&title, &shape, &offered(), &format!("{cause:#}")))?;
    let wanted = |interface: &str| shape.exports.iter().any(|name| name == interface);
    let wrong = |interface: &str, cause: wasmtime::Error| Error::Link {
        plugin: title.clone(),
        why: format!("exports `{interface}` in another shape than agreed: {cause:#}"),
        hint: "build it with the SDK of this host's version".to_owned(),
    };
    macro_rules! export {
        ($module:path, $name:literal) => {{
            use $module as module;
            match wanted($name) {
                true => Some(module::GuestIndices::new(&pre).map_err(|cause| wrong($name, cause))?),
                false => None,
            }
        }};
    }
    Ok(Ready {
        run: export!(exports::task::run, "sluice:task/run@1.0.0"),
        check: export!(exports::task::check, "sluice:task/check@1.0.0"),
        poll: export!(exports::task::poll, "sluice:task/poll@1.0.0"),
        describe: export!(exports::task::describe, "sluice:task/describe@1.0.0"),
        chat: export!(exports::llm::chat, "sluice:llm/chat@1.0.0"),
        pre,
    })
}

fn shape_of(component: &Component) -> Shape {
    let (kind, engine) = (component.component_type(), component.engine());
    Shape {
        imports: kind.imports(engine).map(|(name, _)| name.to_owned()).collect(),
        exports: kind.exports(engine).map(|(name, _)| name.to_owned()).collect(),
    }
}

/// The interfaces this host has, for messages about those it has not.
const SLUICE: [&str; 12] = [
    "context", "log", "report", "files", "kv", "template", "objects", "secrets", "reveal", "egress", "process",
    "errors",
];
/// WASI 0.2 as linked.
const WASI: [&str; 28] = [
    "wasi:cli/environment",
    "wasi:cli/exit",
    "wasi:cli/stdin",
    "wasi:cli/stdout",
    "wasi:cli/stderr",
    "wasi:cli/terminal-input",
    "wasi:cli/terminal-output",
    "wasi:cli/terminal-stdin",
    "wasi:cli/terminal-stdout",
    "wasi:cli/terminal-stderr",
    "wasi:clocks/monotonic-clock",
    "wasi:clocks/wall-clock",
    "wasi:filesystem/preopens",
    "wasi:filesystem/types",
    "wasi:io/error",
    "wasi:io/poll",
    "wasi:io/streams",
    "wasi:random/insecure",
    "wasi:random/insecure-seed",
    "wasi:random/random",
    "wasi:sockets/instance-network",
    "wasi:sockets/ip-name-lookup",
    "wasi:sockets/network",
    "wasi:sockets/tcp",
    "wasi:sockets/tcp-create-socket",
    "wasi:sockets/udp",
    "wasi:http/outgoing-handler",
    "wasi:http/types",
];
/// The WASI version the linker's names carry; any 0.2 fits.
const WASI_VERSION: &str = "0.2.6";

fn offered() -> Vec<String> {
    let host = SLUICE.iter().map(|name| format!("sluice:host/{name}@1.0.0"));
    let model = ["sluice:llm/broker@1.0.0", "sluice:llm/parts@1.0.0", "sluice:task/run@1.0.0"].map(str::to_owned);
    host.chain(model).chain(WASI.iter().map(|name| format!("{name}@{WASI_VERSION}"))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Each name on the list links, so that a message never blames the wrong import.
    #[test]
    fn everything_offered_links() {
        let engine = engine::compiling_engine().expect("an engine");
        let linker = linker(&engine).expect("a linker");
        for name in offered() {
            let text = format!("(component (import \"{name}\" (instance)))");
            let component = Component::new(&engine, text.as_bytes())
                .or_else(|_| Component::new(&engine, wat::parse_str(&text).expect("wat")));
            let linked = linker.instantiate_pre(&component.expect("a component"));
            assert!(linked.is_ok(), "{name} is not linked");
        }
    }
}
