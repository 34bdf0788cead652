//! What is stored of an execution's state, so that not every change is folded again when it is loaded. Each snapshot says what has changed
//! since the one below it: together they cost what the changes cost, however many task runs there are.

use engine::{Snapshot, State};
use model::ids::ExecutionId;
use store::rows::{self, Key, Payload};
use store::{Batch, MAX_TEXT_BYTES, Page, Query, View};

use super::{FORMAT, unwritable};
use crate::error::Error;
use crate::node::Node;

/// Changes between two snapshots of an execution's state (design.md, section 3).
const EVERY: u64 = 1_000;
/// Entries that a snapshot of everything may have: more are not written in one piece, and need not be.
const WHOLE_MAX: usize = 2_000;
/// Snapshots on top of each other; more mean that they go round in a circle.
const CHAIN_MAX: usize = 100_000;

/// The snapshots of an execution.
#[derive(Clone)]
pub struct Snapshots {
    /// The state that the last snapshot was made of.
    state: State,
    /// Sequences of the snapshots it takes, the last one last.
    chain: Vec<u64>,
    /// Entries of all but the first.
    on_top: usize,
    /// When one was last thought of.
    tried: u64,
}

impl Snapshots {
    /// Nothing is stored yet.
    pub fn nothing(state: State) -> Self {
        Self { state, chain: Vec::new(), on_top: 0, tried: 0 }
    }

    /// Reads what is stored: the state as the last snapshot has it.
    pub async fn load(node: &Node, id: &ExecutionId, empty: State) -> Result<Self, Error> {
        let newest = Query::Snapshots(id.clone());
        let newest = node.store.list::<rows::Snapshot>(View::Newest, newest, Page::first(1)).await?;
        let mut next = newest.items.first().map(|row| row.row.clone());
        let mut parts: Vec<(u64, Snapshot)> = Vec::new();
        while let Some(row) = next {
            let part: Snapshot = row.state.read().map_err(super::unreadable)?;
            next = match part.base().filter(|_| parts.len() < CHAIN_MAX) {
                None => None,
                Some(base) => {
                    let key = Key::Snapshot(id.clone(), base);
                    let found = node.store.find::<rows::Snapshot>(View::Newest, key).await?;
                    let missing = || Error::Internal(format!("execution `{id}` lacks its snapshot at change {base}"));
                    Some(found.ok_or_else(missing)?.row.clone())
                }
            };
            parts.push((row.sequence, part));
        }
        let mut snapshots = Self::nothing(empty);
        for (sequence, part) in parts.into_iter().rev() {
            snapshots.on_top += if snapshots.chain.is_empty() { 0 } else { part.len() };
            snapshots.chain.push(sequence);
            snapshots.tried = sequence;
            snapshots.state.restore_on_top(part);
        }
        Ok(snapshots)
    }

    /// The state as the last snapshot has it.
    pub fn state(&self) -> &State {
        &self.state
    }

    /// The sequence of the last snapshot; 0: there is none.
    pub fn sequence(&self) -> u64 {
        self.chain.last().copied().unwrap_or(0)
    }

    /// Writes a snapshot when it is time for one. Whether it was.
    pub fn write(&mut self, id: &ExecutionId, state: &State, sequence: u64, batch: &mut Batch) -> Result<bool, Error> {
        if sequence - self.tried < EVERY {
            return Ok(false);
        }
        self.tried = sequence;
        // Written whole when what is on top has cost as much: what is read at a load stays within twice the state.
        let whole = self.chain.is_empty() || self.on_top >= state.weight() && state.weight() <= WHOLE_MAX;
        if whole && self.put(id, &state.snapshot(), sequence, batch)? {
            for old in self.chain.drain(..) {
                batch.delete(Key::Snapshot(id.clone(), old));
            }
            self.on_top = 0;
        } else {
            let part = match self.chain.last() {
                None => return Ok(false),
                Some(base) => state.snapshot_since(&self.state, *base),
            };
            if !self.put(id, &part, sequence, batch)? {
                return Ok(false);
            }
            self.on_top += part.len();
        }
        self.chain.push(sequence);
        self.state = state.clone();
        Ok(true)
    }

    /// One that is too large for a row is not written: the changes say the same, and are read in its place.
    fn put(&self, id: &ExecutionId, part: &Snapshot, sequence: u64, batch: &mut Batch) -> Result<bool, Error> {
        let state = Payload::of(FORMAT, part).map_err(unwritable)?;
        if state.json.len() > MAX_TEXT_BYTES {
            return Ok(false);
        }
        batch.put(rows::Snapshot { execution: id.clone(), sequence, state });
        Ok(true)
    }
}
