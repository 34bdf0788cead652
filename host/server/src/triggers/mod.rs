//! Triggers of a node: their stored state, and what makes them fire. Dates, windows and conditions are decided by the model; here they are
//! looked at when their time comes.
//!
//! A firing is one commit: the trigger's row moves on, a unique key is taken, and the start of the execution is a message of the same
//! commit. Nothing in memory is more than a hint of when to look.

mod admin;
mod clock;
mod fire;
mod flows;
mod mail;
mod poll;
mod rows;
mod webhook;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use jiff::Timestamp;
use model::ids::{FlowKey, TriggerId};
use model::state::State;
use model::trigger::{Trigger, TriggerKind};
use tokio::sync::Notify;

use crate::flows::SavedFlow;

pub use admin::{BackfillAsk, TriggerSeen};
pub(crate) use mail::{post_switch, report};
pub(crate) use webhook::{Answered, Call, Outputs};

/// Times a change of a trigger's row is tried again after somebody else wrote it in between.
const TRIES: usize = 16;

/// What a node knows of its triggers, beside what is stored.
#[derive(Default)]
pub struct Triggers {
    due: Mutex<BTreeSet<Due>>,
    sooner: Notify,
    post: Notify,
    /// Triggers whose plugin is being asked.
    asked: Mutex<BTreeSet<(FlowKey, TriggerId)>>,
    known: RwLock<Known>,
}

/// When to look at a trigger.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Due {
    at: Timestamp,
    /// When this was noted: a date that was still to come then and is long past now was slept through.
    noted: Timestamp,
    flow: FlowKey,
    trigger: TriggerId,
}

/// The newest revisions of the flows that have triggers.
#[derive(Default)]
struct Known {
    flows: BTreeMap<FlowKey, Arc<SavedFlow>>,
    /// The states of executions that some Flow trigger looks at, a bit each.
    listened: u32,
}

impl Triggers {
    /// A flow was saved, or found at the start.
    pub(crate) fn learn(&self, saved: &Arc<SavedFlow>) {
        let mut known = self.known.write().unwrap_or_else(PoisonError::into_inner);
        match saved.flow.triggers.is_empty() {
            true => known.flows.remove(&saved.flow.key),
            false => known.flows.insert(saved.flow.key.clone(), saved.clone()),
        };
        known.listen();
    }

    /// A flow was deleted.
    pub(crate) fn forget(&self, flow: &FlowKey) {
        let mut known = self.known.write().unwrap_or_else(PoisonError::into_inner);
        known.flows.remove(flow);
        known.listen();
    }

    /// The newest revision of a flow that has triggers.
    pub(crate) fn flow(&self, flow: &FlowKey) -> Option<Arc<SavedFlow>> {
        self.known.read().unwrap_or_else(PoisonError::into_inner).flows.get(flow).cloned()
    }

    /// Whether a flow has such a trigger.
    pub(crate) fn has(&self, flow: &FlowKey, trigger: &TriggerId) -> bool {
        self.flow(flow).is_some_and(|saved| find(&saved, trigger).is_some())
    }

    /// Whether some Flow trigger looks at executions in this state.
    pub(crate) fn listens(&self, state: State) -> bool {
        self.known.read().unwrap_or_else(PoisonError::into_inner).listened & bit(state) != 0
    }

    /// The flows that look at executions of others, in the order of their names.
    fn listeners(&self) -> Vec<Arc<SavedFlow>> {
        let known = self.known.read().unwrap_or_else(PoisonError::into_inner);
        let listens =
            |saved: &&Arc<SavedFlow>| saved.flow.triggers.iter().any(|trigger| flow_trigger(trigger).is_some());
        known.flows.values().filter(listens).cloned().collect()
    }

    /// Notes when to look at a trigger.
    pub(crate) fn set(&self, due: Due) {
        let first = {
            let mut waiting = self.due.lock().unwrap_or_else(PoisonError::into_inner);
            let at = due.at;
            waiting.insert(due);
            waiting.first().is_some_and(|first| first.at >= at)
        };
        if first {
            self.sooner.notify_one();
        }
    }

    /// Somebody has written to a trigger.
    pub(crate) fn deliver(&self) {
        self.post.notify_one();
    }
}

impl Known {
    fn listen(&mut self) {
        let triggers = self.flows.values().flat_map(|saved| &saved.flow.triggers).filter_map(flow_trigger);
        self.listened = triggers.flat_map(|trigger| &trigger.states).fold(0, |bits, state| bits | bit(*state));
    }
}

fn bit(state: State) -> u32 {
    1 << (state as u32)
}

fn flow_trigger(trigger: &Trigger) -> Option<&model::trigger::FlowTrigger> {
    match &trigger.kind {
        TriggerKind::Flow(flow) => Some(flow),
        _ => None,
    }
}

/// A trigger of a flow by its id.
fn find<'s>(saved: &'s SavedFlow, trigger: &TriggerId) -> Option<&'s Trigger> {
    saved.flow.triggers.iter().find(|found| found.id == *trigger)
}

/// Whether a trigger may fire.
fn is_on(saved: &model::flow::Flow, trigger: &Trigger, row: &store::rows::TriggerState) -> bool {
    !saved.disabled && !trigger.disabled && !row.disabled
}
