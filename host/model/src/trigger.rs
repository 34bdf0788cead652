//! Triggers: what starts executions by itself.

use expr::{Map, Value};

use crate::flow::Label;
use crate::ids::TriggerId;
use crate::state::State;
use crate::task::LogLevel;

/// One trigger of a flow.
#[derive(Clone, Debug, PartialEq)]
pub struct Trigger {
    pub id: TriggerId,
    /// The type as the flow writes it.
    pub type_name: String,
    pub kind: TriggerKind,
    pub version: Option<String>,
    pub description: Option<String>,
    pub disabled: bool,
    /// Checked; each a map whose `type` has its present name.
    pub conditions: Vec<Value>,
    pub stop_after: Vec<State>,
    pub log_level: Option<LogLevel>,
    pub log_to_file: bool,
    /// Whether it may start an execution while one of its runs.
    pub allow_concurrent: bool,
    /// Given to the executions it starts.
    pub labels: Vec<Label>,
    pub inputs: Map,
    /// Everything else, as written.
    pub properties: Map,
    /// Line in the source, from 1.
    pub line: u32,
}

/// Who carries a trigger out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TriggerKind {
    Schedule,
    ScheduleOnDates,
    Webhook,
    Flow,
    /// A plugin's: polled.
    Plugin,
}
