//! A task: what it has in common with all others, and what kind it is.

use std::sync::Arc;

use expr::Map;
use jiff::SignedDuration;
use serde::{Deserialize, Serialize};

use crate::flow::Dynamic;
use crate::ids::TaskId;
use crate::input::Input;

/// One task of a flow. Children are named by id and found in [`crate::flow::Flow::all`].
#[derive(Clone, Debug, PartialEq)]
pub struct Task {
    pub id: TaskId,
    /// The type as the flow writes it.
    pub type_name: String,
    /// `version:` as written.
    pub version: Option<String>,
    pub description: Option<String>,
    pub disabled: bool,
    /// Rendered before the task starts; falsy skips it.
    pub run_if: Option<Dynamic>,
    /// Longest time of one attempt, rendered to a duration.
    pub timeout: Option<Dynamic>,
    pub retry: Option<Retry>,
    pub allow_failure: bool,
    pub allow_warning: bool,
    /// Lines below this level are not kept.
    pub log_level: Option<LogLevel>,
    pub log_to_file: bool,
    /// What a repeat may do to the world, in place of what the plugin says. Sluice's own property.
    pub effects: Option<Effects>,
    pub kind: TaskKind,
    /// Line of the task in the source, from 1.
    pub line: u32,
}

impl Task {
    /// Whether its tasks run as one unit on one worker.
    pub fn is_unit(&self) -> bool {
        matches!(&self.kind, TaskKind::Flow(flow) if matches!(flow.as_ref(), FlowTask::WorkingDirectory { .. }))
    }
}

/// What running a task twice may do to the world.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Effects {
    /// Nothing outside is touched.
    None,
    /// A repeat changes nothing more.
    Idempotent,
    /// A repeat may act again; the host repeats after a lost attempt.
    AtLeastOnce,
    /// A repeat would do harm; the host never repeats after a lost attempt.
    AtMostOnce,
}

/// What a task does.
#[derive(Clone, Debug, PartialEq)]
pub enum TaskKind {
    /// Flow control, carried out by the engine itself.
    Flow(Box<FlowTask>),
    /// A change of an execution or another engine object, carried out by the engine itself.
    Engine(EngineTask),
    /// A plugin's task: properties as written, plugin defaults merged in.
    Plugin(Arc<Map>),
}

/// The flow-control tasks (`io.kestra.plugin.core.flow.*`).
#[derive(Clone, Debug, PartialEq)]
pub enum FlowTask {
    Sequential(Block),
    AllowFailure(Block),
    /// `concurrent` 0: no limit.
    Parallel {
        block: Block,
        concurrent: u32,
        fail_fast: bool,
    },
    /// `block.tasks` are the tasks in order; `depends_on[i]` are the positions task `i` waits for. Free of cycles.
    Dag {
        block: Block,
        depends_on: Vec<Vec<usize>>,
        concurrent: u32,
    },
    /// `then` is `block.tasks`.
    If {
        condition: Dynamic,
        block: Block,
        otherwise: Vec<TaskId>,
    },
    /// `block.tasks` is empty; the branch comes from `cases` or `defaults`.
    Switch {
        value: Dynamic,
        cases: Vec<(String, Vec<TaskId>)>,
        defaults: Vec<TaskId>,
        block: Block,
    },
    /// ForEach, EachSequential (limit 1) and EachParallel. `concurrent` 0: no limit.
    ForEach {
        values: Dynamic,
        concurrent: u32,
        block: Block,
        style: EachStyle,
    },
    /// One execution of another flow per batch of a file's items. `block.tasks` are its own three: `<id>_split`, `<id>_items`,
    /// `<id>_merge`.
    ForEachItem(Block),
    /// `<id>_split` of a ForEachItem: cuts the file. `batch` holds the properties of [`crate::batch::Batching`] as written.
    SplitItems {
        items: Dynamic,
        batch: Map,
    },
    /// `<id>_items` of a ForEachItem: an execution per batch.
    RunItems(Box<Subflow>),
    /// `<id>_merge` of a ForEachItem: gathers the outputs of those executions.
    MergeItems,
    /// LoopUntil and WaitFor.
    LoopUntil {
        condition: Dynamic,
        block: Block,
        fail_on_max_reached: bool,
        frequency: Frequency,
    },
    Pause(Box<Pause>),
    Sleep {
        duration: Dynamic,
    },
    Subflow(Box<Subflow>),
    WorkingDirectory {
        block: Block,
        properties: Arc<Map>,
    },
    /// Deprecated: the tasks of a stored template. There are none, so it fails.
    Template {
        namespace: Dynamic,
        template_id: Dynamic,
    },
}

/// How the children of an each-task run within one iteration.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum EachStyle {
    /// ForEach: the children of one iteration run in order, iterations up to the limit at once.
    Iterations,
    /// EachParallel: iterations at once, children of one iteration in order.
    Parallel,
    /// EachSequential: one iteration after the other.
    Sequential,
}

/// What every task with children has.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Block {
    pub tasks: Vec<TaskId>,
    pub errors: Vec<TaskId>,
    pub finally: Vec<TaskId>,
}

/// How often a loop looks, and how long.
#[derive(Clone, Debug, PartialEq)]
pub struct Frequency {
    pub max_iterations: Option<Dynamic>,
    pub max_duration: Option<Dynamic>,
    pub interval: Dynamic,
}

/// Waits for somebody, or for a time.
#[derive(Clone, Debug, PartialEq)]
pub struct Pause {
    /// `pauseDuration` (old: `delay`).
    pub duration: Option<Dynamic>,
    /// Renders to a [`PauseBehavior`].
    pub behavior: Dynamic,
    pub on_pause: Option<TaskId>,
    pub on_resume: Vec<Input>,
    pub block: Block,
}

/// What a pause does when its time is over.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum PauseBehavior {
    #[default]
    Resume,
    Warn,
    Fail,
    Cancel,
}

impl PauseBehavior {
    /// Every behaviour with its name.
    pub const NAMES: &[(&str, Self)] =
        &[("RESUME", Self::Resume), ("WARN", Self::Warn), ("FAIL", Self::Fail), ("CANCEL", Self::Cancel)];

    /// The behaviour of this name, without regard to case.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::NAMES.iter().find(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, behavior)| *behavior)
    }
}

/// Starts an execution of another flow.
#[derive(Clone, Debug, PartialEq)]
pub struct Subflow {
    pub namespace: Dynamic,
    pub flow_id: Dynamic,
    pub revision: Option<u32>,
    pub inputs: Map,
    pub labels: Option<Dynamic>,
    pub wait: Dynamic,
    pub transmit_failed: Dynamic,
    pub inherit_labels: Dynamic,
    pub schedule_date: Option<Dynamic>,
    /// Deprecated `outputs:` of the task itself.
    pub outputs: Map,
    pub restart_new: bool,
}

/// Tasks that only change executions or other engine objects.
#[derive(Clone, Debug, PartialEq)]
pub struct EngineTask {
    pub action: EngineAction,
    /// Properties as written, plugin defaults merged in.
    pub properties: Arc<Map>,
}

/// Which change.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum EngineAction {
    Labels,
    SetVariables,
    UnsetVariables,
    Exit,
    Kill,
    Resume,
    Assert,
    Toggle,
}

/// How a failed task is tried again.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Retry {
    pub delays: Delays,
    /// All attempts, the first included. `None`: no limit but the engine's own.
    pub max_attempts: Option<u32>,
    /// From the first attempt on.
    pub max_duration: Option<SignedDuration>,
    /// A task that succeeded after a retry ends WARNING.
    pub warning_on_retry: bool,
    pub behavior: RetryBehavior,
}

/// What a retry, of a task or of a flow, does.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum RetryBehavior {
    #[default]
    RetryFailedTask,
    CreateNewExecution,
}

/// How long to wait between attempts.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Delays {
    Constant { interval: SignedDuration },
    Exponential { interval: SignedDuration, max_interval: SignedDuration, factor: f64 },
    Random { min: SignedDuration, max: SignedDuration },
}

/// How much a log line matters, least first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum LogLevel {
    Trace,
    Debug,
    Info,
    Warn,
    Error,
}
