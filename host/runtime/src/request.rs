//! What goes into a run and what comes out.

use crate::failure::Failure;
use crate::grants::Grants;
use crate::limits::Limits;
use crate::plugins::PluginSource;
use crate::services::Services;
use crate::sink::Sink;
use crate::tape::TapeSummary;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio::sync::Notify;

/// One attempt of one task run.
pub struct Request {
    /// Which component.
    pub plugin: PluginSource,
    /// The task type as the flow writes it.
    pub task_type: String,
    /// The rendered properties: a JSON object.
    pub input: String,
    /// What the guest may know of the run.
    pub facts: Facts,
    /// What it may do.
    pub grants: Arc<Grants>,
    /// What it may use.
    pub limits: Limits,
    /// Opened as `.` where the grants have `working-dir`.
    pub working_dir: Option<PathBuf>,
    /// What only the server can answer.
    pub services: Arc<dyn Services>,
    /// Where logs, metrics and progress go while it runs.
    pub sink: Arc<dyn Sink>,
    /// Ends it early.
    pub cancel: Cancel,
}

/// What a guest may know of its run (`sluice:host/context`).
#[derive(Clone, Debug)]
pub struct Facts {
    /// Answers of `context.get`: `flow.id`, `execution.id`, `task.id`, …
    pub keys: BTreeMap<String, String>,
    /// From 1.
    pub attempt: u32,
    /// The same for every attempt of this task run.
    pub idempotency_key: String,
}

impl Default for Facts {
    fn default() -> Self {
        Self { keys: BTreeMap::new(), attempt: 1, idempotency_key: String::new() }
    }
}

/// Which export is called.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Entry {
    /// `sluice:task/run`: outputs as a JSON object.
    Run,
    /// `sluice:task/check`: problems as a JSON list.
    Check,
    /// `sluice:task/poll`: the answer is a JSON object, or `null` when nothing happened.
    Poll {
        /// What the last poll that fired handed back.
        cursor: Option<String>,
    },
    /// `sluice:llm/chat`: `task_type` is the provider, `input` its configuration; the response as JSON.
    Chat {
        /// The request as JSON.
        request: String,
    },
    /// `sluice:task/describe`: the manifest as JSON.
    Describe,
}

/// What a run ended in.
#[derive(Debug)]
pub struct Outcome {
    /// The outputs as JSON text, or why there are none.
    pub result: Result<String, Failure>,
    /// What it took.
    pub metrics: RunMetrics,
    /// The host calls in short.
    pub tape: TapeSummary,
}

/// What a run took.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RunMetrics {
    /// From the call of `run` to its end.
    pub wall: Duration,
    /// Of which loading compiled code and waiting for a slot.
    pub waited: Duration,
    /// Of which instantiating.
    pub instantiate: Duration,
    /// Processor time of the guest, to 10 ms: epoch ticks that met it running.
    pub guest_cpu: Duration,
    /// Highest sum over the linear memories, in bytes.
    pub memory_peak_bytes: u64,
    /// Host calls in all.
    pub host_calls: u64,
    /// Log lines taken in.
    pub log_lines: u64,
    /// Log lines over the quota.
    pub log_lines_dropped: u64,
    /// HTTP requests that left.
    pub http_requests: u64,
    /// Body bytes sent.
    pub http_bytes_out: u64,
    /// Body bytes received.
    pub http_bytes_in: u64,
    /// Whether its good end is one in WARNING.
    pub ends_in_warning: bool,
}

/// Ends a run early: a guest that computes stops within two epoch ticks, one that waits at once. Cloning shares it.
#[derive(Clone, Debug, Default)]
pub struct Cancel(Arc<CancelInner>);

#[derive(Debug, Default)]
struct CancelInner {
    asked: AtomicBool,
    bell: Notify,
}

impl Cancel {
    /// One that nobody has asked for yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Asks for the end. Twice is once.
    pub fn cancel(&self) {
        self.0.asked.store(true, Ordering::SeqCst);
        self.0.bell.notify_waiters();
    }

    /// Whether somebody asked.
    pub fn is_cancelled(&self) -> bool {
        self.0.asked.load(Ordering::SeqCst)
    }

    /// Waits until somebody asks.
    pub async fn cancelled(&self) {
        let mut bell = std::pin::pin!(self.0.bell.notified());
        loop {
            // Register before looking, or a call between the two would be missed.
            bell.as_mut().enable();
            if self.is_cancelled() {
                return;
            }
            bell.as_mut().await;
            bell.set(self.0.bell.notified());
        }
    }
}
