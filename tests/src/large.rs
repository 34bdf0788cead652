//! Executions of many task runs on a real node whose guests end at once: what is left is what the server itself does.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Result;
use runtime::{Outcome, Request, RunMetrics, TapeSummary};
use server::{Config, Given, Node, Runs, Save, Seen, Start};
use store::Store;

use crate::simulation::Stage;

/// The task type whose guests end at once, without effects outside.
pub const TASK: &str = "com.example.sim.Pure";
/// Longest an execution may take.
const LONGEST: Duration = Duration::from_secs(3_600);

/// Guests that end at once, and give a text of so many bytes.
struct Quick(usize);

impl Runs for Quick {
    fn run(&self, _: Request) -> Pin<Box<dyn Future<Output = Outcome> + Send + '_>> {
        let result = Ok(format!(r#"{{"value":"{}"}}"#, "x".repeat(self.0)));
        let outcome = Outcome { result, metrics: RunMetrics::default(), tape: TapeSummary::default() };
        Box::pin(std::future::ready(outcome))
    }
}

/// A node over a store.
pub async fn node(stage: &Stage, store: Arc<dyn Store>) -> Result<Arc<Node>> {
    node_of_outputs(stage, store, 1).await
}

/// A node over a store, whose guests give texts of so many bytes.
pub async fn node_of_outputs(stage: &Stage, store: Arc<dyn Store>, bytes: usize) -> Result<Arc<Node>> {
    let config = Config::new(store, Arc::new(Quick(bytes)), stage.catalog.clone(), stage.scratch.clone());
    Ok(Node::open(config).await?)
}

/// Saves a flow and runs it to its end with an input `count`.
pub async fn run(node: &Arc<Node>, source: &str, count: usize) -> Result<Seen> {
    let saved = node.save_flow(source, Save::Any).await?;
    let start = start(saved.flow.key.namespace.as_str(), saved.flow.key.id.as_str(), count);
    Ok(node.run_to_end(start, LONGEST).await?)
}

/// A start with an input `count`.
pub fn start(namespace: &str, id: &str, count: usize) -> Start {
    Start { inputs: vec![("count".to_owned(), Given::Text(count.to_string()))], ..Start::of(namespace, id) }
}
