//! Triggers of a whole node, on a clock that jumps: what fires, when, how often, and what of it outlives the node.

mod flows;
mod people;
mod schedules;

use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use catalog::{Catalog, Check, Host};
use expr::Value;
use jiff::{SignedDuration, Timestamp};
use model::execution::Execution;
use runtime::{Outcome, Request};
use server::{Clock as _, Config, Node, Runs, Save};
use store::{Durability, MemoryStore};
use tests::simulation::SimulatedClock;

/// Most executions a test looks at.
const EXECUTIONS_MAX: usize = 2_000;

/// Nothing here is a plugin's.
struct NoRuns;

impl Runs for NoRuns {
    fn run(&self, _: Request) -> Pin<Box<dyn Future<Output = Outcome> + Send + '_>> {
        unreachable!("no flow of these tests has a task of a plugin")
    }
}

/// A node whose lives follow one another on one store.
struct World {
    store: Arc<MemoryStore>,
    clock: SimulatedClock,
    node: Mutex<Arc<Node>>,
}

/// Runs a test in a world that begins at a time.
fn world(start: &str, test: impl AsyncFnOnce(&World)) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build();
    runtime.expect("a runtime").block_on(async {
        let clock = SimulatedClock::starting_at(start.parse().expect("a time"));
        let store = Arc::new(MemoryStore::new(Durability::AtOnce));
        let node = Mutex::new(open(&store, clock).await);
        let world = World { store, clock, node };
        test(&world).await;
        world.node().shutdown().await;
    });
}

async fn open(store: &Arc<MemoryStore>, clock: SimulatedClock) -> Arc<Node> {
    let version = env!("CARGO_PKG_VERSION").parse().expect("the package has a version");
    let catalog = Catalog::open(Vec::new(), Host { version, built_in: Vec::new() }, Check::Sizes);
    let config = Config::new(store.clone(), Arc::new(NoRuns), catalog, std::env::temp_dir());
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
        let next = open(&self.store, self.clock).await;
        *self.node.lock().unwrap_or_else(PoisonError::into_inner) = next;
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
        let (listed, _) =
            self.node().executions(Some("w"), Some(flow), 0, EXECUTIONS_MAX).await.expect("the store reads");
        listed.into_iter().rev().collect()
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
