//! An ordered table in memory that remembers what was durable: each key has its newest entry and, while that is not
//! durable, the older ones a durable reader still sees.
//!
//! Never waits and never does IO: who owns a table holds its lock for as long as one call takes.

use std::collections::btree_map::Entry as Place;
use std::collections::{BTreeMap, VecDeque};
use std::ops::Bound;
use std::sync::Arc;

use super::encode::{KeyBuf, key_of};
use crate::Lsn;
use crate::error::Error;
use crate::rows::{Row, Stored};

/// What a key leads to.
#[derive(Clone, Debug)]
pub enum Entry {
    /// A row.
    Row(Stored<Row>),
    /// An index entry: the key of the row.
    Points(Arc<[u8]>),
}

/// A key that is there, and what it leads to.
pub type At = (KeyBuf, Entry);

/// The first keys of a range, in order, with what each leads to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stretch<T> {
    pub found: Vec<(KeyBuf, T)>,
    /// Where to go on; `None`: that was all of the range.
    pub next: Option<KeyBuf>,
}

impl<T> Stretch<T> {
    /// The first `most` of some keys.
    pub fn of(mut keys: impl Iterator<Item = (KeyBuf, T)>, most: usize) -> Self {
        let found = keys.by_ref().take(most).collect();
        Self { found, next: keys.next().map(|(key, _)| key) }
    }

    /// Several layers of one range as one, the upper ones first: of each key what the uppermost says that knows it.
    pub fn merged(layers: Vec<Self>) -> Self {
        // Beyond the place where the first of them stopped reading, that one may know better.
        let next = layers.iter().filter_map(|layer| layer.next.clone()).min();
        let mut found: Vec<_> = layers.into_iter().flat_map(|layer| layer.found).collect();
        found.sort_by(|(a, _), (b, _)| a.cmp(b));
        found.dedup_by(|(later, _), (kept, _)| later == kept);
        if let Some(next) = &next {
            found.truncate(found.partition_point(|(key, _)| key < next));
        }
        Self { found, next }
    }

    /// What is left of it.
    pub fn filtered<U, E>(self, mut keep: impl FnMut(T) -> Result<Option<U>, E>) -> Result<Stretch<U>, E> {
        let mut found = Vec::with_capacity(self.found.len());
        for (key, value) in self.found {
            if let Some(value) = keep(value)? {
                found.push((key, value));
            }
        }
        Ok(Stretch { found, next: self.next })
    }
}

/// Something with ordered keys that can be read.
pub trait Ordered {
    /// What a key leads to.
    fn get(&self, key: &[u8]) -> Result<Option<Entry>, Error>;
    /// The first key in `from..upto`.
    fn first(&self, from: &[u8], upto: &[u8]) -> Result<Option<At>, Error>;
    /// The last key in `from..upto`.
    fn last(&self, from: &[u8], upto: &[u8]) -> Result<Option<At>, Error>;

    /// The first keys in `from..upto`: at most `most`, and perhaps fewer, or none, with a place to go on from.
    fn stretch(&self, from: &[u8], upto: &[u8], _: usize) -> Result<Stretch<Entry>, Error> {
        let first = self.first(from, upto)?;
        let next = first.as_ref().map(|(key, _)| KeyBuf::from([&**key, &[0]].concat()));
        Ok(Stretch { found: first.into_iter().collect(), next })
    }

    /// Whether there is a key, and not the next one, which is never written before it.
    fn ends(&self, key: &[u8], next: &[u8]) -> Result<bool, Error> {
        Ok(self.get(key)?.is_some() && self.get(next)?.is_none())
    }
}

#[derive(Debug)]
struct Version {
    lsn: Lsn,
    /// `None`: removed.
    entry: Option<Entry>,
}

#[derive(Debug)]
struct Slot {
    newest: Version,
    /// Oldest first; empty as long as `newest` is durable.
    older: Vec<Version>,
}

impl Slot {
    fn at(&self, lsn: Lsn) -> Option<&Version> {
        if self.newest.lsn <= lsn {
            return Some(&self.newest);
        }
        self.older.iter().rev().find(|version| version.lsn <= lsn)
    }

    /// Forgets what nobody sees any more once everything up to a commit is durable.
    fn forget(&mut self, durable: Lsn) {
        if self.newest.lsn <= durable {
            self.older.clear();
        } else if let Some(last) = self.older.iter().rposition(|version| version.lsn <= durable) {
            self.older.drain(..last);
        }
    }
}

/// What becomes of removed keys once their removal is durable.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Removed {
    /// They vanish: the table is all there is.
    Vanish,
    /// They stay as removed: the table lies over something that may still have them.
    Stay,
}

/// The table.
#[derive(Debug)]
pub struct Table {
    slots: BTreeMap<KeyBuf, Slot>,
    /// Keys with something to forget once a commit is durable, in the order they were written. Of a table that lies over something none:
    /// it is gone at the next checkpoint, and until then a key forgets when it is written again. Every commit writes some again.
    touched: VecDeque<(Lsn, KeyBuf)>,
    durable: Lsn,
    removed: Removed,
}

impl Table {
    pub fn new(removed: Removed, durable: Lsn) -> Self {
        Self { slots: BTreeMap::new(), touched: VecDeque::new(), durable, removed }
    }

    /// Up to where it is durable.
    pub fn durable(&self) -> Lsn {
        self.durable
    }

    /// How many keys it has, removed ones that stay included.
    pub fn len(&self) -> usize {
        self.slots.len()
    }

    /// Writes a key as of a commit later than all before.
    pub fn write(&mut self, lsn: Lsn, key: KeyBuf, entry: Option<Entry>) {
        let vanishes = entry.is_none() && self.removed == Removed::Vanish;
        let version = Version { lsn, entry };
        match self.slots.entry(key) {
            Place::Vacant(place) => {
                // Most keys are new, and for ever: there is nothing to come back for.
                if vanishes {
                    self.touched.push_back((lsn, place.key().clone()));
                }
                place.insert(Slot { newest: version, older: Vec::new() });
            }
            Place::Occupied(mut place) => {
                let slot = place.get_mut();
                slot.forget(self.durable);
                let before = std::mem::replace(&mut slot.newest, version);
                let another = before.lsn != lsn;
                if another {
                    slot.older.push(before);
                }
                if (another || vanishes) && self.removed == Removed::Vanish {
                    self.touched.push_back((lsn, place.key().clone()));
                }
            }
        }
    }

    /// Writes a key as of a commit that is durable already.
    pub fn write_durable(&mut self, lsn: Lsn, key: KeyBuf, entry: Option<Entry>) {
        if entry.is_none() && self.removed == Removed::Vanish {
            self.slots.remove(&key);
            return;
        }
        self.slots.insert(key, Slot { newest: Version { lsn, entry }, older: Vec::new() });
    }

    /// Everything up to a commit is durable: forgets what only older readers would see.
    pub fn advance(&mut self, durable: Lsn) {
        self.durable = self.durable.max(durable);
        while self.touched.front().is_some_and(|(lsn, _)| *lsn <= self.durable) {
            let Some((_, key)) = self.touched.pop_front() else { break };
            let Some(slot) = self.slots.get_mut(&key) else { continue };
            slot.forget(self.durable);
            if slot.newest.lsn <= self.durable && slot.newest.entry.is_none() && self.removed == Removed::Vanish {
                self.slots.remove(&key);
            }
        }
    }

    /// Forgets everything that is not durable.
    pub fn roll_back(&mut self) {
        self.touched.clear();
        let (durable, removed) = (self.durable, self.removed);
        self.slots.retain(|_, slot| {
            if slot.newest.lsn <= durable {
                return true;
            }
            while slot.older.last().is_some_and(|version| version.lsn > durable) {
                slot.older.pop();
            }
            match slot.older.pop() {
                Some(version) if version.entry.is_some() || removed == Removed::Stay => slot.newest = version,
                _ => return false,
            }
            true
        });
    }

    /// The table as it was at a commit, which must not be older than the durable one.
    pub fn at(&self, lsn: Lsn) -> TableView<'_> {
        TableView { table: self, lsn }
    }

    /// What a key is at a commit: `None` if the table knows nothing of it, `Some(None)` if it is removed.
    pub fn known(&self, key: &[u8], lsn: Lsn) -> Option<Option<&Entry>> {
        let version = self.slots.get(key)?.at(lsn)?;
        Some(version.entry.as_ref())
    }

    /// Whether the table has a key at a commit and not the next one; `None`: it knows neither. One search for both: every commit of an
    /// execution asks.
    pub fn known_end(&self, key: &[u8], next: &[u8], lsn: Lsn) -> Option<bool> {
        let both = self.slots.range::<[u8], _>((Bound::Included(key), Bound::Included(next)));
        let mut known = both.filter_map(|(found, slot)| Some((&**found == next, slot.at(lsn)?.entry.is_some())));
        let (is_next, there) = known.next()?;
        let next_there = if is_next { there } else { known.next().is_some_and(|(_, there)| there) };
        // Of a key that is not here, only a lower layer could tell; that the next one is there is enough to know.
        match (is_next, next_there) {
            (_, true) => Some(false),
            (true, false) => None,
            (false, false) => Some(there),
        }
    }

    /// The keys the table knows in a range at a commit, removed ones included.
    pub fn known_range<'a>(
        &'a self,
        from: &[u8],
        upto: &[u8],
        lsn: Lsn,
    ) -> impl DoubleEndedIterator<Item = (&'a [u8], Option<&'a Entry>)> + use<'a> {
        // An empty or reversed range would panic in `range`.
        let upto = if upto < from { from } else { upto };
        self.slots
            .range::<[u8], _>((Bound::Included(from), Bound::Excluded(upto)))
            .filter_map(move |(key, slot)| Some((key.as_ref(), slot.at(lsn)?.entry.as_ref())))
    }
}

/// A table as it was at a commit.
#[derive(Debug)]
pub struct TableView<'a> {
    table: &'a Table,
    lsn: Lsn,
}

impl Ordered for TableView<'_> {
    fn get(&self, key: &[u8]) -> Result<Option<Entry>, Error> {
        Ok(self.table.known(key, self.lsn).flatten().cloned())
    }

    fn first(&self, from: &[u8], upto: &[u8]) -> Result<Option<At>, Error> {
        let mut range = self.table.known_range(from, upto, self.lsn);
        Ok(range.find_map(|(key, entry)| Some((key_of(key), entry?.clone()))))
    }

    fn last(&self, from: &[u8], upto: &[u8]) -> Result<Option<At>, Error> {
        let mut range = self.table.known_range(from, upto, self.lsn).rev();
        Ok(range.find_map(|(key, entry)| Some((key_of(key), entry?.clone()))))
    }

    fn stretch(&self, from: &[u8], upto: &[u8], most: usize) -> Result<Stretch<Entry>, Error> {
        let range = self.table.known_range(from, upto, self.lsn);
        Ok(Stretch::of(range.filter_map(|(key, entry)| Some((key_of(key), entry?.clone()))), most))
    }

    fn ends(&self, key: &[u8], next: &[u8]) -> Result<bool, Error> {
        Ok(self.table.known_end(key, next, self.lsn).unwrap_or(false))
    }
}
