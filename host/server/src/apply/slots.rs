//! Concurrency slots: unique keys taken and given back in the same commit as what they are for. Never a counter.

use engine::Event;
use model::ids::FlowKey;
use model::state::State;
use store::rows::{Holder, Key, UniqueKey, UniqueName};
use store::{Query, View};

use super::commands::After;
use super::{Owner, Turn};
use crate::error::Error;

/// Most slots of a flow: a limit above that is no limit.
const SLOTS_MAX: usize = 100_000;

/// Takes the lowest free slot, or says that none is.
pub(super) async fn take(owner: &Owner, turn: &mut Turn, flow: &FlowKey, limit: u32) -> Result<(), Error> {
    match free(owner, flow, limit).await? {
        Some(slot) => {
            let holder = Holder::Execution(owner.id.clone());
            let name = UniqueName::Slot(flow.clone(), slot);
            turn.batch.take(UniqueKey { name, holder, created: owner.node.now(), expires: None });
            turn.queue.push_back(Event::SlotGranted { slot });
        }
        None => turn.queue.push_back(Event::SlotRefused),
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

/// The lowest slot that nobody has; one that this execution has already comes first (it was taken before a crash).
async fn free(owner: &Owner, flow: &FlowKey, limit: u32) -> Result<Option<u32>, Error> {
    let query = Query::SlotsOf(flow.clone());
    let taken = owner.node.store.all::<UniqueKey>(View::Newest, query, SLOTS_MAX).await?;
    let mine = Holder::Execution(owner.id.clone());
    let slot = |key: &UniqueKey| match &key.name {
        UniqueName::Slot(_, slot) => Some(*slot),
        _ => None,
    };
    if let Some(held) = taken.iter().find(|key| key.holder == mine).and_then(|key| slot(key)) {
        return Ok(Some(held));
    }
    Ok((0..limit).find(|wanted| !taken.iter().any(|key| slot(key) == Some(*wanted))))
}
