//! What a task may know of its run, and what it may tell about it while it runs. Nothing here can fail a run.

use std::path::PathBuf;
use std::time::Duration;

use serde_json::Value;

use crate::{Failure, host};

/// How much a log line matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// Every step.
    Trace,
    /// What helps to find a mistake.
    Debug,
    /// What happened.
    Info,
    /// What somebody should look at.
    Warn,
    /// What went wrong.
    Error,
}

/// The run at hand. There is one for each call of a task function.
#[derive(Debug)]
pub struct Context {
    _private: (),
}

impl Context {
    /// The context of this run. Only the dispatcher of `plugin!` and the mock host make one.
    #[doc(hidden)]
    pub fn of_this_run() -> Self {
        Self { _private: () }
    }

    /// Logs one line at `level`.
    pub fn log(&self, level: Level, message: impl AsRef<str>) {
        host::log(level, message.as_ref(), &[]);
    }

    /// Logs one line with fields that can be searched.
    pub fn log_with(&self, level: Level, message: impl AsRef<str>, fields: &[(String, String)]) {
        host::log(level, message.as_ref(), fields);
    }

    /// Logs at `trace`.
    pub fn trace(&self, message: impl AsRef<str>) {
        self.log(Level::Trace, message);
    }

    /// Logs at `debug`.
    pub fn debug(&self, message: impl AsRef<str>) {
        self.log(Level::Debug, message);
    }

    /// Logs at `info`.
    pub fn info(&self, message: impl AsRef<str>) {
        self.log(Level::Info, message);
    }

    /// Logs at `warn`.
    pub fn warn(&self, message: impl AsRef<str>) {
        self.log(Level::Warn, message);
    }

    /// Logs at `error`. The failure a task returns is logged by the host: do not log it twice.
    pub fn error(&self, message: impl AsRef<str>) {
        self.log(Level::Error, message);
    }

    /// Adds to a counter.
    pub fn counter(&self, name: &str, value: f64, tags: &[(String, String)]) {
        host::metric("counter", name, value, tags);
    }

    /// Sets a gauge.
    pub fn gauge(&self, name: &str, value: f64, tags: &[(String, String)]) {
        host::metric("gauge", name, value, tags);
    }

    /// Reports how long something took.
    pub fn timer(&self, name: &str, duration: Duration, tags: &[(String, String)]) {
        host::metric("timer", name, duration.as_secs_f64(), tags);
    }

    /// Has the task run end in WARNING, unless it fails.
    pub fn end_in_warning(&self) {
        host::end_in_warning();
    }

    /// Says how far the run is. `percent` is from 0 to 100 where it can be known.
    pub fn progress(&self, percent: Option<u8>, note: impl AsRef<str>) {
        host::progress(percent.map(|percent| percent.min(100)), note.as_ref());
    }

    /// A fact of the run: `tenant`, `flow.namespace`, `flow.id`, `execution.id`, `task.id`, `taskrun.id`, `taskrun.value`, ...
    pub fn get(&self, key: &str) -> Option<String> {
        host::context(key)
    }

    /// The granted working directory, where there is one.
    pub fn working_dir(&self) -> Option<PathBuf> {
        host::context("working-dir").map(PathBuf::from)
    }

    /// Which attempt this is, from 1.
    pub fn attempt(&self) -> u32 {
        host::attempt()
    }

    /// The same for every attempt of this task run and for no other.
    pub fn idempotency_key(&self) -> String {
        host::idempotency_key()
    }

    /// How long the host lets this run go on, where a deadline is set.
    pub fn remaining(&self) -> Option<Duration> {
        host::remaining_ms().map(Duration::from_millis)
    }

    /// Waits. The instance is held meanwhile: for longer waits fail with `retryable`, and the task's own `retry` waits without one.
    pub fn sleep(&self, duration: Duration) {
        host::sleep(duration);
    }

    /// Whether somebody asked to end this execution.
    pub fn is_cancelled(&self) -> bool {
        host::cancelled()
    }

    /// Renders an expression with the variables of the run and, before them, `variables` (a JSON object).
    pub fn render(&self, template: &str, variables: &Value) -> Result<String, Failure> {
        Ok(host::render(template, &variables.to_string())?)
    }

    /// Renders the same expression once for each of up to 1,000 texts of variables, each a JSON object or a row of ION. An expression
    /// that fails for one is no failure of the others.
    pub fn render_each(&self, template: &str, variables: &[String]) -> Result<Vec<Result<String, Failure>>, Failure> {
        let answers = host::render_each(template, variables)?;
        Ok(answers.into_iter().map(|answer| answer.map_err(Failure::from)).collect())
    }
}
