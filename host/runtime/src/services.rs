//! What only the server can answer a guest. This crate forwards after the granter agreed and before the tape closes the call.
//!
//! Every default refuses, so that a test or a tool needs to implement nothing. An implementation never panics and bounds its own waits.

use crate::secrets::Secrets;
use std::future::Future;
use std::pin::Pin;

/// A boxed future, so that the trait can be an object.
pub type Soon<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// Why a host call was refused or failed. The guest sees both texts.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct HostError {
    /// `NOT_GRANTED`, `NOT_OFFERED`, `NOT_FOUND`, `LIMIT`, `BAD_ARGUMENT`, `HOST`; open.
    pub code: String,
    /// One sentence that names the thing and says what to do.
    pub message: String,
}

impl HostError {
    /// An error with a code of its own.
    pub fn new(code: &str, message: impl Into<String>) -> Self {
        Self { code: code.to_owned(), message: message.into() }
    }
    /// The run has no right to it.
    pub fn not_granted(message: impl Into<String>) -> Self {
        Self::new("NOT_GRANTED", message)
    }
    /// Nobody could be granted it: this host has none.
    pub fn not_offered(message: impl Into<String>) -> Self {
        Self::new("NOT_OFFERED", message)
    }
    /// There is no such thing.
    pub fn not_found(message: impl Into<String>) -> Self {
        Self::new("NOT_FOUND", message)
    }
    /// A limit was hit.
    pub fn limit(message: impl Into<String>) -> Self {
        Self::new("LIMIT", message)
    }
    /// The guest asked for something that makes no sense.
    pub fn bad_argument(message: impl Into<String>) -> Self {
        Self::new("BAD_ARGUMENT", message)
    }
    /// The host failed.
    pub fn host(message: impl Into<String>) -> Self {
        Self::new("HOST", message)
    }
}

/// What is about to leave the sandbox; the gate is told, so that `EffectsBegan` can name it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Effect {
    /// An HTTP request.
    Request {
        /// The method.
        method: String,
        /// Scheme, host and port; no path, which may carry what is secret.
        origin: String,
    },
    /// A program is started.
    Process {
        /// Its name.
        program: String,
    },
    /// Documents of the engine change.
    Objects,
}

/// A file of the internal storage being written. Dropping it unfinished leaves nothing behind.
pub trait FileWriter: Send {
    /// Appends bytes.
    fn write<'a>(&'a mut self, bytes: Vec<u8>) -> Soon<'a, Result<(), HostError>>;
    /// Ends the file and hands out its URI.
    fn finish<'a>(&'a mut self) -> Soon<'a, Result<String, HostError>>;
}

/// Where a new file goes. Names and URIs are checked before.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FileTarget {
    /// A file of this task run: one clean path segment.
    Run(String),
    /// The URI of a namespace's file, `nsfile://…`.
    Namespace(String),
}

/// An answer of a model on its way.
pub trait Answer: Send {
    /// The next part as JSON, `None` when all have come.
    fn next<'a>(&'a mut self) -> Soon<'a, Option<String>>;
    /// The whole response.
    fn finish<'a>(&'a mut self) -> Soon<'a, Result<String, crate::Failure>>;
}

pub(crate) fn absent<'a, T: Send + 'a>(what: &str) -> Soon<'a, Result<T, HostError>> {
    let error = HostError::not_offered(format!("this host offers no {what} to this run"));
    Box::pin(async move { Err(error) })
}

/// What only the server can answer. One object per run, so it knows whose run it is.
pub trait Services: Send + Sync {
    /// `kv.get`.
    fn kv_get<'a>(&'a self, namespace: Option<String>, key: String) -> Soon<'a, Result<Option<String>, HostError>> {
        let _ = (namespace, key);
        absent("key-value store")
    }
    /// `kv.set`; `options` is the JSON object the guest gave.
    fn kv_set<'a>(
        &'a self,
        namespace: Option<String>,
        key: String,
        value: String,
        options: String,
    ) -> Soon<'a, Result<(), HostError>> {
        let _ = (namespace, key, value, options);
        absent("key-value store")
    }
    /// `kv.delete`.
    fn kv_delete<'a>(&'a self, namespace: Option<String>, key: String) -> Soon<'a, Result<bool, HostError>> {
        let _ = (namespace, key);
        absent("key-value store")
    }
    /// `kv.keys`: at most 1,000.
    fn kv_keys<'a>(
        &'a self,
        namespace: Option<String>,
        prefix: String,
        after: Option<String>,
    ) -> Soon<'a, Result<Vec<String>, HostError>> {
        let _ = (namespace, prefix, after);
        absent("key-value store")
    }
    /// `kv.find`; `query` is the JSON object the guest gave.
    fn kv_find<'a>(&'a self, query: String) -> Soon<'a, Result<String, HostError>> {
        let _ = query;
        absent("key-value store")
    }
    /// `files.size`.
    fn file_size<'a>(&'a self, uri: String) -> Soon<'a, Result<u64, HostError>> {
        let _ = uri;
        absent("internal storage")
    }
    /// `files.read`; `length` is already cut to the limit of one read.
    fn file_read<'a>(&'a self, uri: String, offset: u64, length: u32) -> Soon<'a, Result<Vec<u8>, HostError>> {
        let _ = (uri, offset, length);
        absent("internal storage")
    }
    /// `files.create`.
    fn file_create<'a>(&'a self, target: FileTarget) -> Soon<'a, Result<Box<dyn FileWriter>, HostError>> {
        let _ = target;
        absent("internal storage")
    }
    /// `files.copy`.
    fn file_copy<'a>(&'a self, source: String, target: FileTarget) -> Soon<'a, Result<String, HostError>> {
        let _ = (source, target);
        absent("internal storage")
    }
    /// `files.delete`.
    fn file_delete<'a>(&'a self, uri: String) -> Soon<'a, Result<bool, HostError>> {
        let _ = uri;
        absent("internal storage")
    }
    /// `files.find`: at most 1,000.
    fn file_find<'a>(&'a self, prefix: String, after: Option<String>) -> Soon<'a, Result<Vec<String>, HostError>> {
        let _ = (prefix, after);
        absent("internal storage")
    }
    /// `template.render`.
    fn render<'a>(&'a self, template: String, variables: String) -> Soon<'a, Result<String, HostError>> {
        let _ = (template, variables);
        absent("template rendering")
    }
    /// `template.render-each`: an answer for each of the variables.
    fn render_each<'a>(
        &'a self,
        template: String,
        variables: Vec<String>,
    ) -> Soon<'a, Result<Vec<Result<String, HostError>>, HostError>> {
        let _ = (template, variables);
        absent("template rendering")
    }
    /// Secrets, and what is done with them on the way out.
    fn secrets(&self) -> &dyn Secrets {
        &NoServices
    }
    /// `objects.find`.
    fn objects_find<'a>(&'a self, query: String) -> Soon<'a, Result<String, HostError>> {
        let _ = query;
        absent("documents of the engine")
    }
    /// `objects.read`.
    fn objects_read<'a>(
        &'a self,
        kind: String,
        namespace: String,
        id: String,
    ) -> Soon<'a, Result<Option<String>, HostError>> {
        let _ = (kind, namespace, id);
        absent("documents of the engine")
    }
    /// `objects.act-as`; `user` is the JSON object the guest gave, with placeholders. What is to be logged of it at DEBUG.
    fn objects_act_as<'a>(&'a self, user: String) -> Soon<'a, Result<String, HostError>> {
        let _ = user;
        absent("users")
    }
    /// `objects.apply`.
    fn objects_apply<'a>(&'a self, plan: String) -> Soon<'a, Result<String, HostError>> {
        let _ = plan;
        absent("documents of the engine")
    }
    /// `broker.chat`.
    fn chat<'a>(
        &'a self,
        provider: String,
        configuration: String,
        request: String,
    ) -> Soon<'a, Result<Box<dyn Answer>, crate::Failure>> {
        let _ = (configuration, request);
        Box::pin(async move {
            Err(crate::Failure::denied(HostError::not_offered(format!(
                "this host offers no model provider `{provider}` to this run"
            ))))
        })
    }
    /// `parts.emit`, for a provider that streams. `false`: nobody wants more.
    fn emit_part<'a>(&'a self, part: String) -> Soon<'a, bool> {
        let _ = part;
        Box::pin(async { false })
    }
    /// Awaited before anything leaves the sandbox: the gate of external synchrony.
    fn before_effect<'a>(&'a self, effect: Effect) -> Soon<'a, Result<(), HostError>> {
        let _ = effect;
        Box::pin(async { Ok(()) })
    }
}

/// Refuses everything.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoServices;

impl Services for NoServices {}

impl Secrets for NoServices {}
