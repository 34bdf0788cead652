//! A base in memory for simulations: what is left of it after a power cut is for the test to say.

use std::collections::BTreeMap;
use std::ops::Bound;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::{Base, Change, Opening, Pair, Shelf};
use crate::Lsn;
use crate::error::Error;
use crate::index::encode::KeyBuf;

#[derive(Clone, Debug, Default)]
struct State {
    applied: Lsn,
    keys: BTreeMap<KeyBuf, Vec<u8>>,
}

/// What is left of a base after a power cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Left {
    /// Everything.
    All,
    /// What it was before its last changes.
    Older,
    /// Nothing.
    Nothing,
    /// Something that cannot be opened.
    Broken,
}

/// A base, and its shelf. Cloned, it is the same one.
#[derive(Clone, Debug, Default)]
pub struct SimulatedBase {
    now: Arc<Mutex<State>>,
    before: Arc<Mutex<State>>,
    broken: bool,
}

impl SimulatedBase {
    /// What is left after a power cut, as another base.
    pub fn after_power_cut(&self, left: Left) -> Self {
        let state = match left {
            Left::All => lock(&self.now).clone(),
            Left::Older => lock(&self.before).clone(),
            Left::Nothing | Left::Broken => State::default(),
        };
        Self { now: Arc::new(Mutex::new(state)), before: Arc::default(), broken: left == Left::Broken }
    }
}

fn lock(state: &Mutex<State>) -> MutexGuard<'_, State> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Base for SimulatedBase {
    fn applied(&self) -> Lsn {
        lock(&self.now).applied
    }

    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, Error> {
        Ok(lock(&self.now).keys.get(key).cloned())
    }

    fn first(&self, from: &[u8], upto: &[u8]) -> Result<Option<Pair>, Error> {
        let state = lock(&self.now);
        let mut range = state.keys.range::<[u8], _>((Bound::Included(from), Bound::Excluded(upto.max(from))));
        Ok(range.next().map(|(key, value)| (key.clone(), value.clone())))
    }

    fn last(&self, from: &[u8], upto: &[u8]) -> Result<Option<Pair>, Error> {
        let state = lock(&self.now);
        let mut range = state.keys.range::<[u8], _>((Bound::Included(from), Bound::Excluded(upto.max(from))));
        Ok(range.next_back().map(|(key, value)| (key.clone(), value.clone())))
    }

    fn apply(&self, upto: Lsn, changes: Vec<Change>) -> Result<(), Error> {
        let mut state = lock(&self.now);
        *lock(&self.before) = state.clone();
        state.applied = upto;
        for (key, value) in changes {
            match value {
                Some(value) => state.keys.insert(key, value),
                None => state.keys.remove(&key),
            };
        }
        Ok(())
    }

    fn verify(&self) -> Result<(), Error> {
        Ok(())
    }

    fn size_bytes(&self) -> u64 {
        lock(&self.now).keys.iter().map(|(key, value)| (key.len() + value.len()) as u64).sum()
    }

    fn close(&self) {}
}

impl Shelf for SimulatedBase {
    fn open(&self, _: &Opening<'_>) -> Result<Arc<dyn Base>, Error> {
        if self.broken {
            return Err(Error::Corrupt { what: "the simulated index is broken".into() });
        }
        Ok(Arc::new(self.clone()))
    }

    fn start_over(&self, _: &Opening<'_>) -> Result<Arc<dyn Base>, Error> {
        *lock(&self.now) = State::default();
        Ok(Arc::new(Self { broken: false, ..self.clone() }))
    }
}
