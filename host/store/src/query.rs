//! The questions a store answers: one closed list, so that every backend can have an index for each.

use std::fmt;
use std::ops::Range;
use std::str::FromStr;
use std::sync::Arc;

use jiff::Timestamp;
use model::execution::Kind as ExecutionKind;
use model::flow::Label;
use model::ids::{ExecutionId, FlowKey, TaskId, TaskRunId, TriggerId};
use model::state::State;
use model::task::LogLevel;

use crate::index::encode::{KeyBuf, KeyBytes};
use crate::rows::{BlobId, Holder, Kind, NamespaceKey, NodeId, Row, Stored, Target};

/// Most rows of one page.
pub const MAX_PAGE: usize = 1_000;
/// Rows looked at for one page before it is given back short: filters that no index serves must not hold a reader up.
pub const MAX_EXAMINED: usize = 10_000;

/// What to look for. The order of the answer is part of the question.
#[derive(Clone, Debug, PartialEq)]
pub enum Query {
    /// The newest revision of each flow, by namespace and id.
    Flows {
        namespace: NamespaceMatch,
        /// Also flows whose newest revision is their end.
        deleted: bool,
    },
    /// The revisions of a flow, newest first.
    Revisions(FlowKey),
    /// Executions, newest first.
    Executions(ExecutionFilter),
    /// The snapshots of an execution, newest first.
    Snapshots(ExecutionId),
    /// The changes of an execution after a sequence number, in order.
    Changes { execution: ExecutionId, after: u64 },
    /// The task runs of an execution, in their order.
    TaskRuns(ExecutionId),
    /// Jobs of a queue that nobody has and that are due, longest due first.
    Claimable { queue: Arc<str>, now: Timestamp },
    /// Jobs whose lease ended at or before `now`, longest ended first.
    ExpiredLeases { now: Timestamp },
    /// The jobs a node has, whatever its boot.
    LeasesOf(NodeId),
    /// The jobs of an execution.
    JobsOf(ExecutionId),
    /// Timers due at or before `until`, longest due first.
    TimersDue { until: Timestamp },
    /// The timers of a target.
    TimersOf(Target),
    /// Messages that wait for a target, in the order they were sent.
    Inbox(Target),
    /// Of each target that messages wait for, the first message.
    Recipients,
    /// Triggers to be looked at at or before `until`, longest due first.
    TriggersDue { until: Timestamp },
    /// The states of triggers, by flow and id.
    Triggers { namespace: NamespaceMatch, flow: Option<FlowKey> },
    /// The values of a namespace whose key begins so, by key. Expired ones too, until they are collected.
    KvIn { place: NamespaceKey, prefix: Arc<str> },
    /// The values of namespaces, by namespace and key. Expired ones too.
    Kv(NamespaceMatch),
    /// The values of every namespace that expired at or before `now`.
    KvExpired { now: Timestamp },
    /// Secrets, by namespace and name.
    Secrets(NamespaceMatch),
    /// The concurrency slots of a flow that are taken.
    SlotsOf(FlowKey),
    /// The unique keys somebody holds.
    HeldBy(Holder),
    /// Unique keys that may be collected at `now`.
    UniqueExpired { now: Timestamp },
    /// Log lines.
    Logs(LogFilter),
    /// The metrics of an execution after a position, in order.
    Metrics { execution: ExecutionId, after: u64 },
    /// The files whose path begins so, by path.
    Files { prefix: Arc<str> },
    /// The files with this content.
    FilesOf(BlobId),
    /// Every node, by name.
    Nodes,
    /// What was done, newest first.
    Audit(Within),
    /// The documents of a kind, by namespace and id.
    Documents { kind: Arc<str>, namespace: NamespaceMatch },
    /// The settings whose name begins so, by name.
    Settings { prefix: Arc<str> },
}

impl Query {
    /// What kind of rows answer it.
    pub fn kind(&self) -> Kind {
        match self {
            Query::Flows { .. } | Query::Revisions(_) => Kind::Flow,
            Query::Executions(_) => Kind::Execution,
            Query::Snapshots(_) => Kind::Snapshot,
            Query::Changes { .. } => Kind::Change,
            Query::TaskRuns(_) => Kind::TaskRun,
            Query::Claimable { .. } | Query::ExpiredLeases { .. } | Query::LeasesOf(_) | Query::JobsOf(_) => Kind::Job,
            Query::TimersDue { .. } | Query::TimersOf(_) => Kind::Timer,
            Query::Inbox(_) | Query::Recipients => Kind::Message,
            Query::TriggersDue { .. } | Query::Triggers { .. } => Kind::Trigger,
            Query::KvIn { .. } | Query::Kv(_) | Query::KvExpired { .. } => Kind::Kv,
            Query::Secrets(_) => Kind::Secret,
            Query::SlotsOf(_) | Query::HeldBy(_) | Query::UniqueExpired { .. } => Kind::Unique,
            Query::Logs(_) => Kind::Log,
            Query::Metrics { .. } => Kind::Metric,
            Query::Files { .. } | Query::FilesOf(_) => Kind::File,
            Query::Nodes => Kind::Node,
            Query::Audit(_) => Kind::Audit,
            Query::Documents { .. } => Kind::Document,
            Query::Settings { .. } => Kind::Setting,
        }
    }
}

/// Which namespaces.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum NamespaceMatch {
    /// All of them.
    #[default]
    Any,
    /// This one alone.
    Exact(NamespaceKey),
    /// This one and those below it: `a.b` and `a.b.c`, not `a.bc`.
    Tree(NamespaceKey),
}

impl NamespaceMatch {
    /// Whether a flow's namespace is among them.
    pub fn holds(&self, flow: &FlowKey) -> bool {
        self.holds_in(&flow.tenant, flow.namespace.as_str())
    }

    /// Whether a namespace is among them.
    pub fn holds_in(&self, tenant: &str, namespace: &str) -> bool {
        match self {
            NamespaceMatch::Any => true,
            NamespaceMatch::Exact(place) => *place.tenant == *tenant && place.namespace.as_str() == namespace,
            NamespaceMatch::Tree(place) => {
                *place.tenant == *tenant
                    && namespace
                        .strip_prefix(place.namespace.as_str())
                        .is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
            }
        }
    }
}

/// A range of time, each end open if `None`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Within {
    /// Not before.
    pub from: Option<Timestamp>,
    /// Before.
    pub until: Option<Timestamp>,
}

impl Within {
    /// Any time.
    pub const ALWAYS: Within = Within { from: None, until: None };

    /// What of it is not before a time.
    #[must_use]
    pub fn not_before(self, from: Timestamp) -> Self {
        Self { from: Some(self.from.map_or(from, |known| known.max(from))), ..self }
    }

    /// What of it is before a time.
    #[must_use]
    pub fn before(self, until: Timestamp) -> Self {
        Self { until: Some(self.until.map_or(until, |known| known.min(until))), ..self }
    }

    /// Whether it holds a time.
    pub fn holds(&self, at: Timestamp) -> bool {
        self.from.is_none_or(|from| from <= at) && self.until.is_none_or(|until| at < until)
    }
}

impl From<Range<Timestamp>> for Within {
    fn from(range: Range<Timestamp>) -> Self {
        Self { from: Some(range.start), until: Some(range.end) }
    }
}

/// Which executions. Everything must hold; what is empty or `None` holds for all.
#[derive(Clone, Debug, PartialEq)]
pub struct ExecutionFilter {
    /// NORMAL alone unless said otherwise. Empty: every kind.
    pub kinds: Vec<ExecutionKind>,
    pub namespace: NamespaceMatch,
    pub flow: Option<FlowKey>,
    /// One of these.
    pub states: Vec<State>,
    /// All of these.
    pub labels: Vec<Label>,
    pub created: Within,
    /// Executions that a task run of this one started.
    pub parent: Option<ExecutionId>,
    /// The trigger of its flow that started it.
    pub trigger: Option<TriggerId>,
    /// Part of the execution's, the flow's or the namespace's id, without regard to case. No index serves it.
    pub text: Option<String>,
}

impl Default for ExecutionFilter {
    fn default() -> Self {
        Self {
            kinds: vec![ExecutionKind::Normal],
            namespace: NamespaceMatch::Any,
            flow: None,
            states: Vec::new(),
            labels: Vec::new(),
            created: Within::ALWAYS,
            parent: None,
            trigger: None,
            text: None,
        }
    }
}

/// Which log lines. Everything must hold.
#[derive(Clone, Debug, PartialEq)]
pub struct LogFilter {
    pub of: LogScope,
    /// This level and above.
    pub least: LogLevel,
    pub task: Option<TaskId>,
    pub task_run: Option<TaskRunId>,
    pub attempt: Option<u32>,
    pub at: Within,
    /// Part of the message, without regard to case. No index serves it.
    pub text: Option<String>,
}

impl LogFilter {
    /// All lines of a target after a position.
    pub fn of(target: Target, after: u64) -> Self {
        Self::within(LogScope::Target { target, after })
    }

    /// All lines of a scope.
    pub fn within(of: LogScope) -> Self {
        Self { of, least: LogLevel::Trace, task: None, task_run: None, attempt: None, at: Within::ALWAYS, text: None }
    }
}

/// Whose log lines, and thereby in which order.
#[derive(Clone, Debug, PartialEq)]
pub enum LogScope {
    /// Those of one target after a position, in the order they were written.
    Target {
        target: Target,
        /// The last position that is known already; 0: from the beginning.
        after: u64,
    },
    /// Those of many flows, newest first.
    Flows { namespace: NamespaceMatch, flow: Option<FlowKey> },
}

/// How much of an answer, and from where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Page {
    /// At most this many rows, at most [`MAX_PAGE`].
    pub size: usize,
    /// Where the last page ended.
    pub after: Option<Position>,
}

impl Page {
    /// The first rows of an answer.
    pub fn first(size: usize) -> Self {
        Self { size, after: None }
    }

    /// The rows after a position.
    pub fn after(position: Position, size: usize) -> Self {
        Self { size, after: Some(position) }
    }
}

/// A part of an answer. It can be short, or even empty, and still have a `next`: ask again until there is none.
#[derive(Clone, Debug, PartialEq)]
pub struct Rows<T = Row> {
    pub items: Vec<Stored<T>>,
    /// Where to go on; `None`: that was all there is at the moment.
    pub next: Option<Position>,
}

/// A place in an answer, for the next page. Opaque; as text it can be given to a client and taken back.
///
/// Going on from it gives every row that was there all the time exactly once, whatever was written in between.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Position(pub(crate) KeyBuf);

impl Position {
    /// In the answer to [`Query::Files`] with a prefix: behind all paths that begin with `folder`, which begins with the prefix as well. `None`:
    /// it does not. For who steps over what is in a folder.
    pub fn behind_files(prefix: &str, folder: &str) -> Option<Self> {
        let rest = folder.strip_prefix(prefix)?;
        // No text has this byte.
        Some(Self(KeyBytes::suffix().text_start(rest).byte(0xff).done()))
    }
}

/// Longest position in bytes: the parts of the longest key.
const MAX_POSITION: usize = 8 * 1024;

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Position({self})")
    }
}

/// A text that is no position.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a position\nhint: give back the text of the last page as it was")]
pub struct BadPosition(String);

impl FromStr for Position {
    type Err = BadPosition;

    fn from_str(text: &str) -> Result<Self, BadPosition> {
        let bad = || BadPosition(text.chars().take(80).collect());
        if !text.len().is_multiple_of(2) || text.len() / 2 > MAX_POSITION || !text.is_ascii() {
            return Err(bad());
        }
        let digits = text.as_bytes().chunks_exact(2);
        let bytes: Option<KeyBuf> = digits
            .map(|pair| match pair {
                [high, low] => Some((hex(*high)? << 4) | hex(*low)?),
                _ => None,
            })
            .collect();
        bytes.map(Position).ok_or_else(bad)
    }
}

fn hex(digit: u8) -> Option<u8> {
    match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'a'..=b'f' => Some(digit - b'a' + 10),
        _ => None,
    }
}

/// How many rows answer a question.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Count {
    /// So many.
    Exactly(usize),
    /// So many and perhaps more: counting ended at its limit.
    AtLeast(usize),
}
