//! What a run says, on its way to the store: collected, masked and written while the task runs. Never blocks the guest.

use std::future::Future;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use jiff::Timestamp;
use model::execution::Execution;
use model::ids::{TaskId, TaskRunId};
use model::task::LogLevel;
use runtime::{Level, Line, Metric, MetricKind, Progress, Sink};
use store::rows::{self, Target};

use super::Ready;
use super::alarms::{Alarms, Place};
use super::secrets::RunSecrets;
use crate::node::Node;

/// How often what was said is written while the run goes on.
const FLUSH: Duration = Duration::from_millis(100);
/// Lines held between two writes; what comes above is counted and said. A run's own quota is larger, but not at once.
const HELD_MAX: usize = 10_000;

/// Room that is kept for warnings and errors: what was refused or dropped is told even where a guest says too much of everything else.
const RESERVED: usize = 1_000;

/// The sink of one run.
pub struct RunSink {
    node: Arc<Node>,
    execution: Execution,
    task: TaskId,
    run: TaskRunId,
    attempt: u32,
    least: LogLevel,
    secrets: Arc<RunSecrets>,
    alarms: Arc<Alarms>,
    held: Mutex<Held>,
}

#[derive(Default)]
struct Held {
    lines: Vec<rows::LogLine>,
    metrics: Vec<rows::Metric>,
    dropped: u64,
}

impl RunSink {
    pub fn new(node: Arc<Node>, ready: &Ready<'_>, secrets: Arc<RunSecrets>, alarms: Arc<Alarms>) -> Self {
        Self {
            node,
            execution: ready.execution.clone(),
            task: ready.task.id.clone(),
            run: ready.run.id.clone(),
            attempt: ready.attempt,
            least: ready.task.log_level.unwrap_or(LogLevel::Trace),
            secrets,
            alarms,
            held: Mutex::default(),
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Held> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Drives a run, writing what it says; everything is written when this returns.
    pub async fn flushing<T>(&self, run: impl Future<Output = T>) -> T {
        let mut run = std::pin::pin!(run);
        let outcome = loop {
            match tokio::time::timeout(FLUSH, &mut run).await {
                Ok(outcome) => break outcome,
                Err(_) => self.flush().await,
            }
        };
        self.flush().await;
        outcome
    }

    fn push(&self, level: LogLevel, message: String, fields: Vec<(String, String)>, at: Timestamp) {
        if level < self.least {
            return;
        }
        // A placeholder in a log is a secret that was logged: it is masked like one.
        let message = self.secrets.masked(&message);
        let fields =
            fields.iter().map(|(name, field)| (self.secrets.masked(name), self.secrets.masked(field))).collect();
        let most = if level >= LogLevel::Warn { HELD_MAX + RESERVED } else { HELD_MAX };
        let mut held = self.lock();
        if held.lines.len() >= most {
            held.dropped += 1;
            return;
        }
        held.lines.push(self.line(level, message, fields, at));
    }

    fn line(&self, level: LogLevel, message: String, fields: Vec<(String, String)>, at: Timestamp) -> rows::LogLine {
        rows::LogLine {
            of: Target::Execution(self.execution.id.clone()),
            position: 0,
            at,
            level,
            flow: Some(self.execution.flow.clone()),
            task: Some(self.task.clone()),
            task_run: Some(self.run.clone()),
            attempt: self.attempt,
            message: message.into(),
            fields,
        }
    }

    async fn flush(&self) {
        let Held { mut lines, metrics, dropped } = std::mem::take(&mut *self.lock());
        if dropped > 0 {
            let message = format!("{dropped} lines and measurements were lost: they came faster than they are written");
            lines.push(self.line(LogLevel::Warn, message, Vec::new(), self.node.now()));
            tracing::warn!(execution = %self.execution.id, task = %self.task, dropped, "log lines came faster than they are written");
        }
        if !lines.is_empty()
            && let Err(error) = self.node.store.append_logs(lines).await
        {
            tracing::warn!(execution = %self.execution.id, %error, "log lines were lost");
        }
        if !metrics.is_empty()
            && let Err(error) = self.node.store.append_metrics(metrics).await
        {
            tracing::warn!(execution = %self.execution.id, %error, "metrics were lost");
        }
    }
}

/// The level of a line as it is stored.
pub(super) fn level_of(level: Level) -> LogLevel {
    match level {
        Level::Trace => LogLevel::Trace,
        Level::Debug => LogLevel::Debug,
        Level::Info => LogLevel::Info,
        Level::Warn => LogLevel::Warn,
        Level::Error => LogLevel::Error,
    }
}

impl Sink for RunSink {
    fn log(&self, line: Line) {
        self.alarms.hear(&line.message, Place::Log);
        line.fields.iter().for_each(|(name, field)| {
            self.alarms.hear(name, Place::Log);
            self.alarms.hear(field, Place::Log);
        });
        let level = level_of(line.level);
        let at = Timestamp::try_from(line.at).unwrap_or_else(|_| self.node.now());
        self.push(level, line.message, line.fields, at);
    }

    fn metric(&self, metric: Metric) {
        let tags = metric.tags.iter().flat_map(|(name, tag)| [name, tag]);
        std::iter::once(&metric.name).chain(tags).for_each(|text| self.alarms.hear(text, Place::Metric));
        let kind = match metric.kind {
            MetricKind::Timer => rows::MetricKind::Timer,
            MetricKind::Counter | MetricKind::Gauge => rows::MetricKind::Counter,
        };
        let mut held = self.lock();
        if held.metrics.len() >= HELD_MAX {
            held.dropped += 1;
            return;
        }
        held.metrics.push(rows::Metric {
            execution: self.execution.id.clone(),
            position: 0,
            at: self.node.now(),
            flow: self.execution.flow.clone(),
            task: self.task.clone(),
            task_run: self.run.clone(),
            name: self.secrets.masked(&metric.name).into(),
            kind,
            value: metric.value,
            tags: metric.tags.iter().map(|(name, tag)| (self.secrets.masked(name), self.secrets.masked(tag))).collect(),
        });
    }

    fn progress(&self, progress: Progress) {
        self.alarms.hear(&progress.note, Place::Progress);
        let percent = progress.percent.map(|percent| format!("{percent} % ")).unwrap_or_default();
        self.push(LogLevel::Debug, format!("{percent}{}", progress.note), Vec::new(), self.node.now());
    }
}
