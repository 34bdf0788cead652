//! Asks a component what it is, in a sandbox without any grant. Only for packing: installing and documenting never run guest code.

use crate::errors::Error;
use crate::plugins::PluginSource;
use crate::request::{Cancel, Entry, Facts, Request};
use crate::{Failure, Grants, Limits, NoServices, NoSink, Runtime};
use std::sync::Arc;
use std::time::Duration;

/// A manifest is text of the component's own; whoever needs longer computes what it should know.
const DESCRIBE_TIME: Duration = Duration::from_secs(10);
/// A manifest with the schemas of some hundred task types.
const DESCRIBE_BYTES: usize = 8 << 20;

impl Runtime {
    /// The manifest's JSON text. Called twice, for it must be the same on every call.
    pub async fn describe(&self, wasm: &[u8]) -> Result<String, Error> {
        let plugin = PluginSource::of_bytes("at hand", "0.0.0", wasm.to_vec());
        // Errors about the component itself keep their own shape.
        self.prepare(&plugin).await?;
        let first = self.describe_once(&plugin).await?;
        let second = self.describe_once(&plugin).await?;
        if first != second {
            return Err(Error::Describe(Box::new(Failure::bad_output("two calls gave two different texts"))));
        }
        Ok(first)
    }

    async fn describe_once(&self, plugin: &PluginSource) -> Result<String, Error> {
        let request = Request {
            plugin: plugin.clone(),
            task_type: String::new(),
            input: String::new(),
            facts: Facts::default(),
            grants: Arc::new(Grants::none()),
            limits: Limits { wall: Some(DESCRIBE_TIME), output_bytes: DESCRIBE_BYTES, ..Limits::default() },
            working_dir: None,
            services: Arc::new(NoServices),
            sink: Arc::new(NoSink),
            cancel: Cancel::new(),
        };
        self.call(Entry::Describe, request).await.result.map_err(|failure| Error::Describe(Box::new(failure)))
    }
}
