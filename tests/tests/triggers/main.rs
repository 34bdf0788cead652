//! Triggers of a whole node, on a clock that jumps: what fires, when, how often, and what of it outlives the node.

mod flows;
mod people;
mod polls;
mod schedules;

use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use catalog::{Catalog, Check, Host};
use expr::Value;
use jiff::{SignedDuration, Timestamp};
use model::execution::Execution;
use runtime::{Failure, Outcome, Request, RunMetrics, TapeSummary};
use server::{Clock as _, Config, Node, Runs, Save, Search};
use store::{Durability, MemoryStore};
use tests::simulation::SimulatedClock;

/// Most executions a test looks at.
const EXECUTIONS_MAX: usize = 2_000;

/// What plugins answer to polls, one answer after the other, and what they were asked.
#[derive(Default)]
struct Polled {
    answers: Mutex<Vec<Result<String, Failure>>>,
    asked: Mutex<Vec<(String, Option<String>)>>,
}

impl Runs for Polled {
    fn run(&self, _: Request) -> Pin<Box<dyn Future<Output = Outcome> + Send + '_>> {
        unreachable!("no flow of these tests has a task of a plugin")
    }

    fn poll(&self, request: Request, cursor: Option<String>) -> Pin<Box<dyn Future<Output = Outcome> + Send + '_>> {
        lock(&self.asked).push((request.input, cursor));
        let mut answers = lock(&self.answers);
        let result = if answers.is_empty() { Ok("null".to_owned()) } else { answers.remove(0) };
        Box::pin(async { Outcome { result, metrics: RunMetrics::default(), tape: TapeSummary::default() } })
    }
}

fn lock<T>(what: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    what.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A node whose lives follow one another on one store.
struct World {
    store: Arc<MemoryStore>,
    clock: SimulatedClock,
    node: Mutex<Arc<Node>>,
    polled: Arc<Polled>,
}

/// Runs a test in a world that begins at a time.
fn world(start: &str, test: impl AsyncFnOnce(&World)) {
    world_on(Durability::AtOnce, start, test);
}

/// As [`world`], with commits that become durable so.
fn world_on(durability: Durability, start: &str, test: impl AsyncFnOnce(&World)) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build();
    runtime.expect("a runtime").block_on(async {
        let clock = SimulatedClock::starting_at(start.parse().expect("a time"));
        let store = Arc::new(MemoryStore::new(durability));
        let polled = Arc::new(Polled::default());
        let node = Mutex::new(open(&store, clock, &polled).await);
        let world = World { store, clock, node, polled };
        test(&world).await;
        world.node().shutdown().await;
    });
}

/// The smallest component.
const COMPONENT: &[u8] = &[0x00, 0x61, 0x73, 0x6d, 0x0d, 0x00, 0x01, 0x00];

async fn open(store: &Arc<MemoryStore>, clock: SimulatedClock, polled: &Arc<Polled>) -> Arc<Node> {
    let version = env!("CARGO_PKG_VERSION").parse().expect("the package has a version");
    let manifest = serde_json::json!({ "abi": "1.0", "name": "mail", "version": "1.0.0", "title": "Mail",
        "triggers": [{ "type": "com.example.mail.Inbox", "properties": { "type": "object",
            "properties": { "box": { "type": "string" } }, "additionalProperties": false } }] });
    let component = catalog::embed(COMPONENT, manifest.to_string().as_bytes()).expect("a component");
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("mail.wasm");
    std::fs::write(&file, component).expect("it can be written");
    let host = Host { version, built_in: Vec::new() };
    let catalog = Catalog::open(vec![catalog::Source::File(file)], host, Check::Sizes);
    assert!(catalog.problems().is_empty(), "{:?}", catalog.problems());
    let config = Config::new(store.clone(), polled.clone(), catalog, std::env::temp_dir());
    let grace = Duration::from_millis(10);
    Node::open(Config { clock: Arc::new(clock), grace, ..config }).await.expect("the node opens")
}

impl World {
    fn node(&self) -> Arc<Node> {
        self.node.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Ends the node, and begins another after a while.
    async fn restart_after(&self, down: SignedDuration) {
        self.node().shutdown().await;
        self.pass(down).await;
        let next = open(&self.store, self.clock, &self.polled).await;
        *self.node.lock().unwrap_or_else(PoisonError::into_inner) = next;
    }

    /// How many executions there are, durable or not.
    async fn begun_inside(&self) -> usize {
        let filter = store::query::ExecutionFilter { kinds: Vec::new(), ..store::query::ExecutionFilter::default() };
        let store: &dyn store::Store = self.store.as_ref();
        let count = store.count(store::View::Newest, store::Query::Executions(filter), EXECUTIONS_MAX).await;
        match count.expect("the store counts") {
            store::Count::Exactly(count) | store::Count::AtLeast(count) => count,
        }
    }

    async fn save(&self, source: &str) {
        if let Err(error) = self.node().save_flow(source, Save::Any).await {
            panic!("the flow is refused: {error} {:?}", error.issues());
        }
    }

    /// Lets time pass; everything that is due in it happens.
    async fn pass(&self, time: SignedDuration) {
        tokio::time::sleep(time.try_into().expect("time goes forward")).await;
    }

    /// Lets time pass up to a moment, and a little more, for what happens then.
    async fn until(&self, moment: &str) {
        let moment: Timestamp = moment.parse().expect("a time");
        self.pass(moment.duration_since(self.clock.now()) + SignedDuration::from_secs(1)).await;
    }

    /// The executions of a flow, oldest first.
    async fn executions(&self, flow: &str) -> Vec<Execution> {
        let found = self.node().found_executions(&Search::of_flow("w", flow), EXECUTIONS_MAX).await;
        found.expect("the store reads").into_iter().rev().collect()
    }

    /// One value of each execution's trigger, oldest first.
    async fn told(&self, flow: &str, name: &str) -> Vec<String> {
        let told = |execution: &Execution| {
            let by = execution.trigger.as_ref().expect("it was triggered");
            shown(by.variables.get(name).unwrap_or(&Value::Null))
        };
        self.executions(flow).await.iter().map(told).collect()
    }
}

fn shown(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_json().to_string(), str::to_owned)
}

fn minutes(minutes: i64) -> SignedDuration {
    SignedDuration::from_mins(minutes)
}

fn hours(hours: i64) -> SignedDuration {
    SignedDuration::from_hours(hours)
}
