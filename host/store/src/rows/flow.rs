//! Rows of what people write: flows, and the state of their triggers.

use std::sync::Arc;

use jiff::Timestamp;
use model::flow::{Label, PluginDefault};
use model::ids::{ExecutionId, FlowKey, TriggerId};
use model::lock::Lock;
use serde::{Deserialize, Serialize};

use super::{Key, Payload};

/// One revision of a flow. Written once; a deleted flow is one more revision that says so.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Flow {
    pub key: FlowKey,
    /// From 1.
    pub revision: u32,
    /// The text, byte for byte.
    pub source: Arc<str>,
    /// What each of its task types means, for ever.
    pub lock: Arc<Lock>,
    /// What its namespaces gave it when it was saved, nearest first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub inherited_defaults: Vec<PluginDefault>,
    pub labels: Vec<Label>,
    pub disabled: bool,
    /// Whether this revision is the flow's end. It can be followed by another that brings it back.
    pub deleted: bool,
    /// When the revision was saved.
    pub created: Timestamp,
}

impl Flow {
    pub(super) fn stored_at(&self) -> Key {
        Key::Flow(self.key.clone(), self.revision)
    }
}

/// The state of one trigger of a flow.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TriggerState {
    pub flow: FlowKey,
    pub trigger: TriggerId,
    /// When it is to be looked at next; `None`: not by itself.
    pub next: Option<Timestamp>,
    /// When it last fired, in its own time (the scheduled one).
    pub fired: Option<Timestamp>,
    /// The execution it waits for before it fires again.
    pub locked_by: Option<ExecutionId>,
    /// Switched off by somebody, beside what the flow says.
    pub disabled: bool,
    pub backfill: Option<Backfill>,
    /// What the trigger keeps for itself: windows, polling positions.
    pub memory: Payload,
    pub updated: Timestamp,
}

impl TriggerState {
    pub(super) fn stored_at(&self) -> Key {
        Key::Trigger(self.flow.clone(), self.trigger.clone())
    }
}

/// A past that a schedule is catching up with.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Backfill {
    pub start: Timestamp,
    pub end: Timestamp,
    /// How far it is.
    pub current: Timestamp,
    pub paused: bool,
    pub inputs: expr::Map,
    pub labels: Vec<Label>,
    /// When the schedule would have fired next without it.
    pub resume_at: Option<Timestamp>,
}
