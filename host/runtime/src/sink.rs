//! Where the words of a run go while it runs: log lines, measurements, progress.
//!
//! A sink must never block and never fail: a full one drops and counts.

use serde::{Deserialize, Serialize};

/// How much a log line matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum Level {
    /// Finer than debugging needs.
    Trace,
    /// For whoever looks for a fault.
    Debug,
    /// What happened.
    Info,
    /// What should not have happened.
    Warn,
    /// What went wrong.
    Error,
}

/// One line of a run's log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    /// How much it matters.
    pub level: Level,
    /// The text, cut to the limit.
    pub message: String,
    /// Searchable pairs beside it. Captured output has `stream` = `stdout` or `stderr`.
    pub fields: Vec<(String, String)>,
    /// When the host took it in.
    pub at: std::time::SystemTime,
}

/// What a measurement is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum MetricKind {
    /// Adds up.
    Counter,
    /// Stands for itself.
    Gauge,
    /// Seconds.
    Timer,
}

/// One measurement.
#[derive(Clone, Debug, PartialEq)]
pub struct Metric {
    /// What it is.
    pub kind: MetricKind,
    /// Its name.
    pub name: String,
    /// Finite.
    pub value: f64,
    /// Pairs that tell like ones apart.
    pub tags: Vec<(String, String)>,
}

/// How far a run is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Progress {
    /// 0 to 100, where it can be known.
    pub percent: Option<u8>,
    /// A short note.
    pub note: String,
}

/// Takes what a run says. Implementations are bounded and never wait.
pub trait Sink: Send + Sync {
    /// One line of the log.
    fn log(&self, line: Line);
    /// One measurement.
    fn metric(&self, metric: Metric);
    /// How far the run is.
    fn progress(&self, progress: Progress);
}

/// A sink that keeps nothing.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoSink;

impl Sink for NoSink {
    fn log(&self, _: Line) {}
    fn metric(&self, _: Metric) {}
    fn progress(&self, _: Progress) {}
}
