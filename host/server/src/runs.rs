//! What runs the components of tasks, behind one function: a simulation puts its own guests in its place. Knows no flow.

use std::future::Future;
use std::pin::Pin;

use runtime::{Outcome, Request, Runtime};

/// Runs one attempt of one task to its end.
pub trait Runs: Send + Sync + 'static {
    /// Runs it. Dropping the future ends it.
    fn run(&self, request: Request) -> Pin<Box<dyn Future<Output = Outcome> + Send + '_>>;
}

impl Runs for Runtime {
    fn run(&self, request: Request) -> Pin<Box<dyn Future<Output = Outcome> + Send + '_>> {
        Box::pin(Runtime::run(self, request))
    }
}
