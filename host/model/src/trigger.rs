//! Triggers: what starts executions by itself.

use expr::{Map, Value};

use crate::ids::TriggerId;
use crate::state::State;
use crate::task::LogLevel;

/// One trigger of a flow.
#[derive(Clone, Debug, PartialEq)]
pub struct Trigger {
    pub id: TriggerId,
    pub type_name: String,
    pub version: Option<String>,
    pub description: Option<String>,
    pub disabled: bool,
    pub conditions: Vec<Value>,
    pub stop_after: Vec<State>,
    pub log_level: Option<LogLevel>,
    pub inputs: Map,
    /// Everything else, as written.
    pub properties: Map,
    /// Line in the source, from 1.
    pub line: u32,
}
