//! What runs the components of tasks, behind one function: a simulation puts its own guests in its place. Knows no flow.

use std::future::Future;
use std::pin::Pin;

use runtime::{Class, Entry, Failure, Outcome, PluginSource, Request, RunMetrics, Runtime, TapeSummary};

/// Runs one attempt of one task to its end.
pub trait Runs: Send + Sync + 'static {
    /// Runs it. Dropping the future ends it.
    fn run(&self, request: Request) -> Pin<Box<dyn Future<Output = Outcome> + Send + '_>>;

    /// Makes a component ready to run, or says why it cannot.
    fn prepare<'a>(
        &'a self,
        plugin: &'a PluginSource,
    ) -> Pin<Box<dyn Future<Output = Result<(), String>> + Send + 'a>> {
        let _ = plugin;
        Box::pin(std::future::ready(Ok(())))
    }

    /// Has a provider answer a request, which is JSON. What has no models need not know of it.
    fn chat(&self, request: Request, asked: String) -> Pin<Box<dyn Future<Output = Outcome> + Send + '_>> {
        let _ = (request, asked);
        let failure = Failure::new(Class::Host, "NO_MODELS", "this host has no providers of models");
        let outcome = Outcome { result: Err(failure), metrics: RunMetrics::default(), tape: TapeSummary::default() };
        Box::pin(std::future::ready(outcome))
    }

    /// Asks a polling trigger once; `cursor` is what the last poll that fired handed back. What has no triggers need not know of it.
    fn poll(&self, request: Request, cursor: Option<String>) -> Pin<Box<dyn Future<Output = Outcome> + Send + '_>> {
        let _ = (request, cursor);
        let failure = Failure::new(Class::Host, "NOT_POLLED", "this host polls no triggers");
        let outcome = Outcome { result: Err(failure), metrics: RunMetrics::default(), tape: TapeSummary::default() };
        Box::pin(std::future::ready(outcome))
    }
}

impl Runs for Runtime {
    fn prepare<'a>(
        &'a self,
        plugin: &'a PluginSource,
    ) -> Pin<Box<dyn Future<Output = Result<(), String>> + Send + 'a>> {
        Box::pin(async move { Runtime::prepare(self, plugin).await.map_err(|error| error.to_string()) })
    }

    fn run(&self, request: Request) -> Pin<Box<dyn Future<Output = Outcome> + Send + '_>> {
        Box::pin(Runtime::run(self, request))
    }

    fn poll(&self, request: Request, cursor: Option<String>) -> Pin<Box<dyn Future<Output = Outcome> + Send + '_>> {
        Box::pin(Runtime::call(self, Entry::Poll { cursor }, request))
    }

    fn chat(&self, request: Request, asked: String) -> Pin<Box<dyn Future<Output = Outcome> + Send + '_>> {
        Box::pin(Runtime::call(self, Entry::Chat { request: asked }, request))
    }
}
