//! A host for tests on the machine at hand: it answers from what the test prepared and keeps what the task told it. One task runs
//! under it at a time, on the thread that called it; it never reaches a network or a disk.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use serde_json::Value;

use crate::http::{Headers, Timeouts};
use crate::{Context, Failure, Level, Plugin, Task, from_rendered};

thread_local! {
    static CURRENT: RefCell<Option<State>> = const { RefCell::new(None) };
}

/// A line a task logged.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogLine {
    /// Its level.
    pub level: Level,
    /// Its text.
    pub message: String,
    /// Its fields.
    pub fields: Vec<(String, String)>,
}

/// A measurement a task reported.
#[derive(Debug, Clone, PartialEq)]
pub struct Metric {
    /// `counter`, `gauge` or `timer`.
    pub kind: String,
    /// Its name.
    pub name: String,
    /// Its value.
    pub value: f64,
    /// Its tags.
    pub tags: Vec<(String, String)>,
}

/// How far a task said it was.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Progress {
    /// From 0 to 100.
    pub percent: Option<u8>,
    /// A short note.
    pub note: String,
}

/// A request a task sent.
#[derive(Debug, Clone)]
pub struct SentRequest {
    /// Method and URL: `GET https://host/path`.
    pub line: String,
    /// Its header fields.
    pub headers: Headers,
    /// Its whole body.
    pub body: Vec<u8>,
    /// Its timeouts.
    pub timeouts: Timeouts,
}

/// A response for a request a task will send.
#[derive(Debug, Clone, Default)]
pub struct Scripted {
    pub(crate) status: u16,
    pub(crate) headers: Headers,
    pub(crate) body: Vec<u8>,
    pub(crate) breaks: Option<Failure>,
}

impl Scripted {
    /// An empty response with this status.
    pub fn status(status: u16) -> Self {
        Self { status, ..Self::default() }
    }

    /// Adds a header field.
    #[must_use]
    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.append(name, value);
        self
    }

    /// Sets the body.
    #[must_use]
    pub fn body(mut self, body: impl Into<Vec<u8>>) -> Self {
        self.body = body.into();
        self
    }

    /// Breaks off behind the body.
    #[must_use]
    pub fn then_fails(mut self, failure: Failure) -> Self {
        self.breaks = Some(failure);
        self
    }
}

/// What the mock host was told and what it keeps.
#[derive(Debug, Clone, Default)]
pub struct State {
    pub(crate) context: BTreeMap<String, String>,
    pub(crate) attempt: u32,
    pub(crate) idempotency_key: String,
    pub(crate) remaining_ms: Option<u64>,
    pub(crate) cancelled: bool,
    pub(crate) rendered: BTreeMap<String, String>,
    pub(crate) files: BTreeMap<String, Vec<u8>>,
    pub(crate) kv: BTreeMap<(String, String), String>,
    pub(crate) kv_options: BTreeMap<(String, String), String>,
    pub(crate) rendered_with: BTreeMap<(String, String), String>,
    pub(crate) objects: BTreeMap<(String, String, String), String>,
    pub(crate) answered: Vec<(String, String)>,
    pub(crate) asked: Vec<(String, String)>,
    pub(crate) secrets: BTreeSet<String>,
    pub(crate) secret_fields: BTreeMap<(String, String), String>,
    pub(crate) answers: Vec<(String, Result<Scripted, Failure>)>,
    pub(crate) requests: Vec<SentRequest>,
    pub(crate) egress_options: Vec<String>,
    pub(crate) logs: Vec<LogLine>,
    pub(crate) metrics: Vec<Metric>,
    pub(crate) progress: Vec<Progress>,
    pub(crate) ends_in_warning: bool,
    pub(crate) slept: Vec<Duration>,
    pub(crate) refuses_users: bool,
    pub(crate) chats: Vec<(Vec<String>, Result<String, Failure>)>,
    pub(crate) parts: Vec<String>,
    pub(crate) parts_wanted: Option<usize>,
}

/// Calls `call` with the state of the mock host that runs on this thread.
pub(crate) fn with_state<T>(call: impl FnOnce(&mut State) -> T) -> Option<T> {
    CURRENT.with_borrow_mut(|state| state.as_mut().map(call))
}

/// A host for tests.
#[derive(Debug, Clone)]
pub struct MockHost {
    state: RefCell<State>,
}

impl Default for MockHost {
    fn default() -> Self {
        Self::new()
    }
}

impl MockHost {
    /// A host in its first attempt, with nothing prepared.
    pub fn new() -> Self {
        Self {
            state: RefCell::new(State {
                attempt: 1,
                idempotency_key: "mock-idempotency-key".to_owned(),
                ..State::default()
            }),
        }
    }

    fn set(mut self, change: impl FnOnce(&mut State)) -> Self {
        change(self.state.get_mut());
        self
    }

    /// Sets a fact of the run.
    #[must_use]
    pub fn context(self, key: &str, value: &str) -> Self {
        self.set(|state| drop(state.context.insert(key.to_owned(), value.to_owned())))
    }

    /// Sets which attempt this is.
    #[must_use]
    pub fn attempt(self, attempt: u32) -> Self {
        self.set(|state| state.attempt = attempt)
    }

    /// Sets how long the run may go on.
    #[must_use]
    pub fn remaining_ms(self, remaining_ms: u64) -> Self {
        self.set(|state| state.remaining_ms = Some(remaining_ms))
    }

    /// Makes somebody ask for the end of the execution.
    #[must_use]
    pub fn cancelled(self) -> Self {
        self.set(|state| state.cancelled = true)
    }

    /// Puts a file into the internal storage.
    #[must_use]
    pub fn file(self, uri: &str, bytes: impl Into<Vec<u8>>) -> Self {
        self.set(|state| drop(state.files.insert(uri.to_owned(), bytes.into())))
    }

    /// Sets a key of the flow's own namespace.
    #[must_use]
    pub fn kv(self, key: &str, value: &Value) -> Self {
        self.set(|state| drop(state.kv.insert((String::new(), key.to_owned()), value.to_string())))
    }

    /// Adds a secret. Its placeholder is `mock-secret-NAME`.
    #[must_use]
    pub fn secret(self, name: &str) -> Self {
        self.set(|state| {
            state.secrets.insert(name.to_owned());
        })
    }

    /// Gives a secret a field that is not itself secret, at a JSON pointer.
    #[must_use]
    pub fn secret_field(self, name: &str, pointer: &str, value: &Value) -> Self {
        self.set(|state| drop(state.secret_fields.insert((name.to_owned(), pointer.to_owned()), value.to_string())))
    }

    /// Sets what a template is rendered to.
    #[must_use]
    pub fn rendered(self, template: &str, text: &str) -> Self {
        self.set(|state| drop(state.rendered.insert(template.to_owned(), text.to_owned())))
    }

    /// Sets what a template is rendered to with these variables.
    #[must_use]
    pub fn rendered_with(self, template: &str, variables: &str, text: &str) -> Self {
        self.set(|state| {
            drop(state.rendered_with.insert((template.to_owned(), variables.to_owned()), text.to_owned()));
        })
    }

    /// Answers one call of `kv.find`, `objects.find` or `objects.apply`. Answers for the same call are given in order. Calls about objects that
    /// no answer is left for are answered from what [`MockHost::object`] and [`MockHost::file`] (`nsfile://namespace/path`) have put there.
    #[must_use]
    pub fn answer_call(self, call: &str, answer: &Value) -> Self {
        self.set(|state| state.answered.push((call.to_owned(), answer.to_string())))
    }

    /// Refuses to let the run act as anybody.
    #[must_use]
    pub fn refuses_users(self) -> Self {
        self.set(|state| state.refuses_users = true)
    }

    /// The text of a document, put there by the test or by a plan.
    pub fn object_source(&self, kind: &str, namespace: &str, id: &str) -> Option<String> {
        self.state.borrow().objects.get(&(kind.to_owned(), namespace.to_owned(), id.to_owned())).cloned()
    }

    /// Puts a document where `objects.read` and `objects.find` find it.
    #[must_use]
    pub fn object(self, kind: &str, namespace: &str, id: &str, source: &str) -> Self {
        let key = (kind.to_owned(), namespace.to_owned(), id.to_owned());
        self.set(|state| drop(state.objects.insert(key, source.to_owned())))
    }

    /// Answers one request for `line`, as `GET https://host/path`. Answers for the same line are given in order.
    #[must_use]
    pub fn answer(self, line: &str, response: Scripted) -> Self {
        self.set(|state| state.answers.push((line.to_owned(), Ok(response))))
    }

    /// Lets one request for `line` fail.
    #[must_use]
    pub fn fail(self, line: &str, failure: Failure) -> Self {
        self.set(|state| state.answers.push((line.to_owned(), Err(failure))))
    }

    /// Has a model answer, in these parts and as a whole. Answers are given in order.
    #[must_use]
    pub fn model_answers(self, parts: &[Value], whole: Result<Value, Failure>) -> Self {
        let parts = parts.iter().map(Value::to_string).collect();
        self.set(|state| state.chats.push((parts, whole.map(|whole| whole.to_string()))))
    }

    /// Wants so many parts of an answer and no more.
    #[must_use]
    pub fn parts_wanted(self, count: usize) -> Self {
        self.set(|state| state.parts_wanted = Some(count))
    }

    /// Runs code under this host.
    pub fn with<T>(&self, run: impl FnOnce(&Context) -> T) -> T {
        /// Hands the state back even when the task panics.
        struct Restore<'a>(&'a MockHost);
        impl Drop for Restore<'_> {
            fn drop(&mut self) {
                if let Some(state) = CURRENT.take() {
                    self.0.state.replace(state);
                }
            }
        }
        let before = CURRENT.replace(Some(self.state.take()));
        assert!(before.is_none(), "one mock host runs on a thread at a time");
        let _restore = Restore(self);
        run(&Context::of_this_run())
    }

    /// Runs a task with rendered properties, as the host would; gives its outputs as JSON.
    pub fn run_task<T: Task>(&self, properties: Value) -> Result<Value, Failure> {
        self.with(|context| {
            let outputs = T::run(from_rendered(properties)?, context)?;
            Ok(serde_json::to_value(outputs).expect("outputs are JSON"))
        })
    }

    /// Calls a plugin as the host would, text in and text out.
    pub fn run<P: Plugin>(&self, task: &str, input: &str) -> Result<String, Failure> {
        self.with(|_| P::run(task, input))
    }

    /// Polls a trigger of a plugin as the host would, text in and text out.
    pub fn poll<P: Plugin>(&self, trigger: &str, input: &str, cursor: Option<&str>) -> Result<Option<String>, Failure> {
        self.with(|_| P::poll(trigger, input, cursor))
    }

    /// Has a provider of a plugin answer as the host would, text in and text out.
    pub fn chat<P: Plugin>(&self, provider: &str, configuration: &str, request: &str) -> Result<String, Failure> {
        self.with(|_| P::chat(provider, configuration, request))
    }

    /// The parts of its answer that a provider handed over, in order.
    pub fn parts(&self) -> Vec<Value> {
        self.state.borrow().parts.iter().filter_map(|part| serde_json::from_str(part).ok()).collect()
    }

    /// What was logged.
    pub fn logs(&self) -> Vec<LogLine> {
        self.state.borrow().logs.clone()
    }

    /// What was measured.
    pub fn metrics(&self) -> Vec<Metric> {
        self.state.borrow().metrics.clone()
    }

    /// Whether the run is to end in WARNING.
    pub fn ends_in_warning(&self) -> bool {
        self.state.borrow().ends_in_warning
    }

    /// How far the run said it was, in order.
    pub fn progress(&self) -> Vec<Progress> {
        self.state.borrow().progress.clone()
    }

    /// How long the task waited, each time: it never really does.
    pub fn slept(&self) -> Vec<Duration> {
        self.state.borrow().slept.clone()
    }

    /// The requests that were sent, in order.
    pub fn requests(&self) -> Vec<SentRequest> {
        self.state.borrow().requests.clone()
    }

    /// The egress options that were asked for, as JSON.
    pub fn egress_options(&self) -> Vec<String> {
        self.state.borrow().egress_options.clone()
    }

    /// The bytes of a file, put there by the test or by the task.
    pub fn file_bytes(&self, uri: &str) -> Option<Vec<u8>> {
        self.state.borrow().files.get(uri).cloned()
    }

    /// The URIs of all files, put there by the test or by the task.
    pub fn file_uris(&self) -> Vec<String> {
        self.state.borrow().files.keys().cloned().collect()
    }

    /// The value of a key in the flow's own namespace.
    pub fn kv_value(&self, key: &str) -> Option<Value> {
        self.kv_value_of("", key)
    }

    /// The value of a key in a namespace that was named; the empty name is the flow's own.
    pub fn kv_value_of(&self, namespace: &str, key: &str) -> Option<Value> {
        let text = self.state.borrow().kv.get(&(namespace.to_owned(), key.to_owned())).cloned()?;
        serde_json::from_str(&text).ok()
    }

    /// The options a key was set with.
    pub fn kv_options_of(&self, namespace: &str, key: &str) -> Option<Value> {
        let text = self.state.borrow().kv_options.get(&(namespace.to_owned(), key.to_owned())).cloned()?;
        serde_json::from_str(&text).ok()
    }

    /// What was asked of a call that [`MockHost::answer_call`] answers, in order: plans of `objects.apply`, users of `objects.act-as`; of
    /// `secrets.sign`, the parameters.
    pub fn asked(&self, call: &str) -> Vec<Value> {
        let state = self.state.borrow();
        let texts = state.asked.iter().filter(|(known, _)| known == call).map(|(_, asked)| asked);
        texts.filter_map(|text| serde_json::from_str(text).ok()).collect()
    }
}

/// Fails when the committed manifest is not what the plugin's types yield. With `SLUICE_BLESS` in the environment it is written first.
pub fn assert_manifest<P: Plugin>(path: &str) {
    let manifest: Value = serde_json::from_str(&P::manifest().to_json()).expect("a manifest is JSON");
    let fresh = format!("{manifest:#}\n");
    if std::env::var_os("SLUICE_BLESS").is_some() {
        std::fs::write(path, &fresh).expect("the manifest can be written");
    }
    let committed = std::fs::read_to_string(path).unwrap_or_default();
    assert!(
        committed == fresh,
        "`manifest.json` is not what the types yield: run `SLUICE_BLESS=1 cargo test`, read the difference and commit it"
    );
}
