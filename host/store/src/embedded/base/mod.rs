//! What lies under the overlay: every row and index entry as of a checkpoint, to look things up in. The runs have it
//! all; a base of its own is a copy that may be thrown away, so it need not be trusted: it is checked when a store is
//! opened.

mod runs;
#[cfg(any(test, feature = "simulated"))]
pub mod simulated;
mod sled;

use std::sync::Arc;

pub use self::runs::RunsShelf;
pub use self::sled::SledShelf;
use super::disk::SharedDisk;
use super::journal::StoreId;
use super::manifest::Manifest;

use crate::Lsn;
use crate::codec::{decode_row, encode_row};
use crate::error::Error;
use crate::index::encode::KeyBuf;
use crate::index::table::{Entry, Stretch};
use crate::rows::Stored;

/// A key and its stored value.
pub type Pair = (KeyBuf, Vec<u8>);
/// A key and what it becomes; `None`: it is removed.
pub type Change = (KeyBuf, Option<Vec<u8>>);

/// Ordered keys that survive the process, most of the time.
pub trait Base: Send + Sync {
    /// Up to which commit it has everything.
    fn applied(&self) -> Lsn;
    /// The value of a key.
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, Error>;
    /// The first key in `from..upto`.
    fn first(&self, from: &[u8], upto: &[u8]) -> Result<Option<Pair>, Error>;
    /// The last key in `from..upto`.
    fn last(&self, from: &[u8], upto: &[u8]) -> Result<Option<Pair>, Error>;
    /// The first keys in `from..upto`: at most `most`, and perhaps fewer, or none, with a place to go on from.
    fn stretch(&self, from: &[u8], upto: &[u8], _: usize) -> Result<Stretch<Vec<u8>>, Error> {
        let first = self.first(from, upto)?;
        let next = first.as_ref().map(|(key, _)| KeyBuf::from([&**key, &[0]].concat()));
        Ok(Stretch { found: first.into_iter().collect(), next })
    }
    /// Applies changes, all or nothing also after a crash; then it has everything up to `upto`.
    fn apply(&self, upto: Lsn, changes: Vec<Change>) -> Result<(), Error>;
    /// Other runs hold now what it has. They are there; the old ones may go after this.
    fn runs_changed(&self, _: &Manifest) -> Result<(), Error> {
        Ok(())
    }
    /// Looks at every key. An error says what is not as it was written.
    fn verify(&self) -> Result<(), Error>;
    /// What it takes on disk, in bytes.
    fn size_bytes(&self) -> u64;
    /// Whether it has failed in a way that only opening it again can mend.
    fn broken(&self) -> bool {
        false
    }
    /// The process ends in good order: makes the next opening fast.
    fn close(&self);
}

/// What a base is opened for.
pub struct Opening<'a> {
    pub disk: &'a SharedDisk,
    pub store: StoreId,
    pub manifest: &'a Manifest,
}

/// Where a base comes from.
pub trait Shelf: Send + Sync {
    /// The base that is there, checked. An error says why it cannot be used: it is then started over.
    fn open(&self, opening: &Opening<'_>) -> Result<Arc<dyn Base>, Error>;
    /// An empty base in its place; what was there is moved aside.
    fn start_over(&self, opening: &Opening<'_>) -> Result<Arc<dyn Base>, Error>;
    /// Whether it is a copy of the runs, which each can be made from the other, or the runs themselves.
    fn is_copy(&self) -> bool {
        true
    }
}

const ROW: u8 = 0;
const POINTS: u8 = 1;

/// An entry as a stored value.
pub fn to_value(entry: &Entry) -> Result<Vec<u8>, Error> {
    match entry {
        Entry::Row(stored) => {
            let mut value = Vec::with_capacity(256);
            value.push(ROW);
            value.extend_from_slice(&stored.version.0.to_le_bytes());
            encode_row(&stored.row, &mut value)?;
            Ok(value)
        }
        Entry::Points(key) => Ok([&[POINTS][..], key].concat()),
    }
}

/// A stored value as an entry.
pub fn to_entry(value: &[u8]) -> Result<Entry, Error> {
    if let Some((version, row)) = value.strip_prefix(&[ROW]).and_then(<[u8]>::split_first_chunk::<8>) {
        let version = Lsn(u64::from_le_bytes(*version));
        return Ok(Entry::Row(Stored { version, row: decode_row(row)? }));
    }
    match value.strip_prefix(&[POINTS]) {
        Some(key) => Ok(Entry::Points(key.into())),
        None => Err(Error::Corrupt { what: "the index has a value that is neither row nor pointer".into() }),
    }
}
