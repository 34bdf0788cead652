//! Which batches of a ForEachItem have executions and how those ended, as the fold of changes. Holds only what does not follow from a
//! rule: a hundred thousand batches that end well take no more room than ten.

use imbl::{OrdMap, OrdSet};
use model::change::Again;
use model::ids::ExecutionId;
use model::state::State as Status;
use serde::{Deserialize, Serialize};

/// The batches of one `_items` task run.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Items {
    pub batches: u32,
    /// Batches from this one on have not begun.
    pub next: u32,
    /// Batches before `next` that are to run again, by an execution of their own.
    pub anew: OrdSet<u32>,
    /// Batches before `next` whose execution is to be restarted.
    pub restart: OrdSet<u32>,
    /// Batches under way.
    pub open: u32,
    /// Of those, the ones whose execution is known to exist.
    pub running: u32,
    /// How many batches ended how. One that nobody waits for ended well when it began.
    pub ended: OrdMap<Status, u32>,
    /// Batches that did not end well.
    pub bad: OrdMap<u32, Bad>,
    /// Executions of batches whose id is not the one that follows from the first attempt.
    pub ids: OrdMap<u32, ExecutionId>,
}

/// A batch that did not end well.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Bad {
    pub state: Status,
    /// Whether there is an execution that can be restarted.
    pub made: bool,
}

impl Items {
    pub fn new(batches: u32) -> Self {
        Self { batches, ..Self::default() }
    }

    /// The batch to begin next, if there is one.
    pub fn waiting(&self) -> Option<u32> {
        let again = self.restart.get_min().or_else(|| self.anew.get_min()).copied();
        again.or_else(|| (self.next < self.batches).then_some(self.next))
    }

    /// Batches that have not begun.
    pub fn not_begun(&self) -> u32 {
        self.batches - self.next + self.anew.len() as u32 + self.restart.len() as u32
    }

    pub fn begin(&mut self, batch: u32) {
        if self.restart.remove(&batch).is_none() && self.anew.remove(&batch).is_none() {
            self.next = self.next.max(batch.saturating_add(1)).min(self.batches);
        }
        self.open += 1;
    }

    pub fn drop_batch(&mut self, batch: u32) {
        self.open = self.open.saturating_sub(1);
        self.anew.insert(batch);
    }

    pub fn end(&mut self, batch: u32, state: Status, made: bool) {
        self.open = self.open.saturating_sub(1);
        self.count(state, 1);
        if state.is_failed() {
            self.bad.insert(batch, Bad { state, made });
        }
    }

    pub fn again(&mut self, how: Again) {
        for (batch, bad) in std::mem::take(&mut self.bad) {
            self.count(bad.state, -1);
            match how {
                Again::Restart if bad.made => self.restart.insert(batch),
                _ => self.anew.insert(batch),
            };
        }
    }

    fn count(&mut self, state: Status, by: i32) {
        let count = self.ended.get(&state).copied().unwrap_or(0).saturating_add_signed(by);
        match count {
            0 => self.ended.remove(&state),
            count => self.ended.insert(state, count),
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn batches_begin_in_order_and_those_that_run_again_first() {
        let mut items = Items::new(4);
        for batch in 0..3 {
            assert_eq!(items.waiting(), Some(batch));
            items.begin(batch);
        }
        assert_eq!((items.open, items.not_begun()), (3, 1));
        items.end(0, Status::Failed, true);
        items.end(1, Status::Killed, false);
        items.drop_batch(2);
        assert_eq!((items.open, items.not_begun()), (0, 2));
        assert_eq!(items.ended, [(Status::Failed, 1u32), (Status::Killed, 1)].into_iter().collect());
        items.again(Again::Restart);
        assert_eq!((items.restart.clone(), items.anew.clone()), (OrdSet::unit(0), [1u32, 2].into_iter().collect()));
        assert!(items.ended.is_empty() && items.bad.is_empty());
        assert_eq!(items.not_begun(), 4);
        for batch in 0..4 {
            assert_eq!(items.waiting(), Some(batch));
            items.begin(batch);
            items.end(batch, Status::Success, true);
        }
        assert_eq!((items.waiting(), items.not_begun(), items.open), (None, 0, 0));
        assert_eq!(items.ended, OrdMap::unit(Status::Success, 4));
    }

    #[test]
    fn batches_made_anew_are_not_restarted() {
        let mut items = Items::new(1);
        items.begin(0);
        items.end(0, Status::Cancelled, true);
        items.again(Again::Anew);
        assert_eq!((items.restart.len(), items.anew.len()), (0, 1));
    }
}
