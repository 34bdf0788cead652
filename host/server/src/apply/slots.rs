//! Concurrency slots: unique keys taken and given back in the same commit as what they are for. Never a counter.

use std::sync::Arc;

use engine::Event;
use model::ids::FlowKey;
use model::state::State;
use store::rows::{self, Holder, Key, UniqueKey, UniqueName};
use store::{Query, Stored, View};

use super::commands::After;
use super::{Owner, Turn};
use crate::error::Error;
use crate::mailbox::{Envelope, Mail};
use crate::node::Node;

/// Most slots of a flow: a limit above that is no limit.
const SLOTS_MAX: usize = 100_000;
/// Most executions of a flow's queue that are looked through for the oldest one.
const QUEUED_MAX: usize = 100_000;

/// Takes the lowest free slot, or says that none is.
pub(super) async fn take(owner: &Owner, turn: &mut Turn, flow: &FlowKey, limit: u32) -> Result<(), Error> {
    match free(owner, flow, limit).await? {
        Some(slot) => {
            let holder = Holder::Execution(owner.id.clone());
            let name = UniqueName::Slot(flow.clone(), slot);
            turn.batch.take(UniqueKey { name, holder, created: owner.node.now(), expires: None });
            turn.queue.push_back(Event::SlotGranted { slot });
        }
        None => {
            turn.queue.push_back(Event::SlotRefused);
            turn.after.push(After::LookAgain { flow: flow.clone(), limit });
        }
    }
    Ok(())
}

/// A slot was freed: a queued execution tries again. Finding none changes nothing.
pub(super) async fn try_again(owner: &Owner, turn: &mut Turn) -> Result<(), Error> {
    let flow = turn.hot.saved.flow.clone();
    let Some(concurrency) = flow.concurrency else { return Ok(()) };
    if turn.hot.state.status() != Some(State::Queued) {
        // It has left the queue in the meantime, perhaps without a slot: the next one is to look.
        turn.after.push(After::WakeQueue(flow.key.clone()));
        return Ok(());
    }
    if let Some(slot) = free(owner, &flow.key, concurrency.limit).await? {
        let holder = Holder::Execution(owner.id.clone());
        let name = UniqueName::Slot(flow.key.clone(), slot);
        turn.batch.take(UniqueKey { name, holder, created: owner.node.now(), expires: None });
        turn.queue.push_back(Event::SlotGranted { slot });
    }
    Ok(())
}

/// Gives a slot back in this commit. One that somebody else holds by now is theirs.
pub(super) async fn give_back(owner: &Owner, turn: &mut Turn, flow: &FlowKey, slot: u32) -> Result<(), Error> {
    let key = Key::Unique(UniqueName::Slot(flow.clone(), slot));
    let held = owner.node.store.find::<UniqueKey>(View::Newest, key.clone()).await?;
    // Not there: it was taken in this very commit, or is gone already.
    if held.is_none_or(|held| held.holder == Holder::Execution(owner.id.clone())) {
        turn.batch.delete(key);
    }
    Ok(())
}

impl Node {
    /// Lets queued executions of a flow look for a slot, oldest first.
    pub(super) async fn wake_queue(self: &Arc<Self>, flow: &FlowKey) {
        let filter = store::query::ExecutionFilter {
            kinds: Vec::new(),
            flow: Some(flow.clone()),
            states: vec![State::Queued],
            ..store::query::ExecutionFilter::default()
        };
        match self.store.all::<rows::Execution>(View::Newest, Query::Executions(filter), QUEUED_MAX).await {
            // Newest first is the order of the answer. One is enough: it frees its own slot in turn.
            Ok(queued) => {
                if let Some(oldest) = queued.last() {
                    self.post(&oldest.record.id, Envelope::new(Mail::TrySlot));
                }
            }
            Err(error) => tracing::error!(%flow, %error, "queued executions were not woken"),
        }
    }

    /// How many executions of a flow hold a slot.
    pub(crate) async fn slots_taken(&self, flow: &FlowKey) -> Result<usize, Error> {
        let query = Query::SlotsOf(flow.clone());
        Ok(self.store.all::<UniqueKey>(View::Durable, query, SLOTS_MAX).await?.len())
    }

    /// An execution of the flow found no slot, and is in the queue by now. Whoever gave one back between its look and its commit did not see
    /// it in the queue, and woke nobody.
    pub(super) async fn look_again(self: &Arc<Self>, flow: &FlowKey, limit: u32) {
        match self.store.all::<UniqueKey>(View::Newest, Query::SlotsOf(flow.clone()), SLOTS_MAX).await {
            Ok(taken) if lowest_free(&taken, limit).is_none() => {}
            Ok(_) => self.wake_queue(flow).await,
            Err(error) => tracing::error!(%flow, %error, "the slots of a flow were not looked at again"),
        }
    }
}

/// The slot that nobody has and this execution may; one that it has already comes first (it was taken before a crash).
async fn free(owner: &Owner, flow: &FlowKey, limit: u32) -> Result<Option<u32>, Error> {
    let query = Query::SlotsOf(flow.clone());
    let taken = owner.node.store.all::<UniqueKey>(View::Newest, query, SLOTS_MAX).await?;
    let mine = Holder::Execution(owner.id.clone());
    let held = taken.iter().find(|key| key.holder == mine).and_then(|key| number(key));
    Ok(held.or_else(|| lowest_free(&taken, limit)))
}

fn lowest_free(taken: &[Stored<Arc<UniqueKey>>], limit: u32) -> Option<u32> {
    (0..limit).find(|wanted| !taken.iter().any(|key| number(key) == Some(*wanted)))
}

fn number(key: &UniqueKey) -> Option<u32> {
    match &key.name {
        UniqueName::Slot(_, slot) => Some(*slot),
        _ => None,
    }
}
