//! Fake plugins: a real catalog with one plugin in it, and guests that do what their task's properties say. Their outside effects go into
//! the ledger, through the same gate as those of real guests.

use std::future::Future;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use catalog::{Catalog, Check, Host, Source};
use runtime::{Class, Effect, Failure, Level, Line, Outcome, Request, RunMetrics, TapeSummary};
use serde_json::{Value, json};
use server::{Clock as _, Runs};
use store::embedded::EmbeddedStore;

use super::books;
use super::flows::PREFIX;
use super::ledger::{Ledger, Who};
use super::power::{Power, SimulatedClock};

/// The smallest component.
const COMPONENT: &[u8] = &[0x00, 0x61, 0x73, 0x6d, 0x0d, 0x00, 0x01, 0x00];
/// Kinds of tasks by what they do outside, as manifests say it.
const KINDS: [(&str, &str); 4] =
    [("Pure", "none"), ("Same", "idempotent"), ("Again", "at-least-once"), ("Once", "at-most-once")];
/// How long a task that hangs does.
const FOR_EVER: Duration = Duration::from_secs(1_000_000);
/// How soon a guest tries a host call again that the host could not do.
const AGAIN: Duration = Duration::from_millis(500);

/// What all worlds share.
pub struct Stage {
    pub catalog: Catalog,
    pub scratch: PathBuf,
    _folder: tempfile::TempDir,
}

impl Stage {
    /// Writes the plugin and reads it as a server would.
    pub fn open() -> Result<Self> {
        let folder = tempfile::tempdir().context("no temporary folder")?;
        let tasks = KINDS.map(|(kind, effects)| json!({ "type": format!("{PREFIX}{kind}"), "effects": effects }));
        let manifest = json!({ "abi": "1.0", "name": "sim", "version": "1.0.0", "title": "Simulated", "tasks": tasks });
        let component = catalog::embed(COMPONENT, manifest.to_string().as_bytes()).map_err(anyhow::Error::msg)?;
        let file = folder.path().join("sim.wasm");
        std::fs::write(&file, component).with_context(|| format!("cannot write `{}`", file.display()))?;
        let catalog = open(&file)?;
        Ok(Self { catalog, scratch: folder.path().join("scratch"), _folder: folder })
    }
}

fn open(file: &Path) -> Result<Catalog> {
    let host = Host { version: env!("CARGO_PKG_VERSION").parse()?, built_in: Vec::new() };
    let catalog = Catalog::open(vec![Source::File(file.to_owned())], host, Check::Digests);
    match catalog.problems().first() {
        Some(problem) => bail!("plugin `{}`: {}", problem.path.display(), problem.error),
        None => Ok(catalog),
    }
}

/// How one attempt of a task goes, by its properties and its number alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Deed {
    pub takes: Duration,
    pub fails: bool,
    pub hangs: bool,
    pub lines: u64,
}

impl Deed {
    pub fn of(properties: &Value, attempt: u32) -> Self {
        let number = |name: &str| properties.get(name).and_then(Value::as_u64).unwrap_or(0);
        let attempt = u64::from(attempt);
        let hangs = attempt <= number("hangs");
        let takes = if hangs { FOR_EVER } else { Duration::from_millis(number("takes")) };
        Self { takes, fails: attempt <= number("fails"), hangs, lines: number("lines") }
    }
}

/// What a task gives when it ends well: large enough to be kept apart from the state.
pub fn outputs(attempt: u32) -> Value {
    json!({ "attempt": attempt, "large": "x".repeat(5_000) })
}

/// The guests of one life of the machine.
pub struct Guests {
    pub clock: SimulatedClock,
    pub power: Arc<Power>,
    pub ledger: Arc<Ledger>,
    pub store: Arc<EmbeddedStore>,
}

impl Runs for Guests {
    fn run(&self, request: Request) -> Pin<Box<dyn Future<Output = Outcome> + Send + '_>> {
        Box::pin(async move {
            let who = Who::of(&request);
            let running = self.ledger.begins(&who);
            let wall = async {
                match request.limits.wall {
                    Some(wall) => tokio::time::sleep(wall).await,
                    None => std::future::pending().await,
                }
            };
            let result = tokio::select! {
                biased;
                () = request.cancel.cancelled() => Err(Failure::new(Class::Host, "CANCELLED", "it was cancelled")),
                () = wall => Err(Failure::new(Class::Deadline, "DEADLINE", "its time was over")),
                result = self.guest(&request, &who) => result,
            };
            drop(running);
            self.ledger.note(|| format!("guest {who} gives {}", if result.is_ok() { "outputs" } else { "a failure" }));
            Outcome { result, metrics: RunMetrics::default(), tape: TapeSummary::default() }
        })
    }
}

impl Guests {
    async fn guest(&self, request: &Request, who: &Who) -> Result<String, Failure> {
        let properties: Value = serde_json::from_str(&request.input).unwrap_or_default();
        let deed = Deed::of(&properties, request.facts.attempt);
        self.power.step().await;
        // One that hangs has acted before.
        tokio::time::sleep(if deed.hangs { AGAIN } else { deed.takes / 2 }).await;
        for line in 0..deed.lines {
            let message = format!("line {line} of {who}");
            let at = std::time::SystemTime::from(self.clock.now());
            request.sink.log(Line { level: Level::Info, message, fields: Vec::new(), at });
        }
        if who.kind != "Pure" {
            self.power.step().await;
            let effect = Effect::Request { method: "POST".to_owned(), origin: "https://outside.example".to_owned() };
            self.ledger.asks(who);
            while let Err(error) = request.services.before_effect(effect.clone()).await {
                self.ledger.note(|| format!("guest {who} may not act: {error}"));
                tokio::time::sleep(AGAIN).await;
            }
            if !books::is_durable(self.store.as_ref(), who).await {
                self.ledger.breaks(format!("{who} acts from a state that is not durable"));
            }
            self.ledger.acts(who);
        }
        tokio::time::sleep(deed.takes / 2).await;
        self.power.step().await;
        match deed.fails {
            true => Err(Failure::new(Class::Guest, "FAILS", "it was drawn to fail")),
            false => Ok(outputs(request.facts.attempt).to_string()),
        }
    }
}
