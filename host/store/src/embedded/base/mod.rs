//! What lies under the overlay: every row and index entry as of a checkpoint, to look things up in. It is a copy and may
//! be thrown away: the runs have it all. So it may be fast and need not be trusted; what it says is checked when a
//! store is opened.

#[cfg(any(test, feature = "conformance"))]
pub mod simulated;
mod sled;

use std::sync::Arc;

pub use self::sled::SledShelf;

use crate::Lsn;
use crate::codec::{decode_row, encode_row};
use crate::error::Error;
use crate::index::table::Entry;
use crate::rows::Stored;

/// A key and its stored value.
pub type Pair = (Box<[u8]>, Vec<u8>);
/// A key and what it becomes; `None`: it is removed.
pub type Change = (Box<[u8]>, Option<Vec<u8>>);

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
    /// Applies changes, all or nothing also after a crash; then it has everything up to `upto`.
    fn apply(&self, upto: Lsn, changes: Vec<Change>) -> Result<(), Error>;
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

/// Where a base comes from.
pub trait Shelf: Send + Sync {
    /// The base that is there, checked. An error says why it cannot be used: it is then started over.
    fn open(&self) -> Result<Arc<dyn Base>, Error>;
    /// An empty base in its place; what was there is moved aside.
    fn start_over(&self) -> Result<Arc<dyn Base>, Error>;
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

/// A stored value of a row that is in its stored form already.
pub fn row_value(version: Lsn, row: &[u8]) -> Vec<u8> {
    [&[ROW][..], &version.0.to_le_bytes(), row].concat()
}

/// The version and the stored form of a row; `None`: it is no row.
pub fn split_row(value: &[u8]) -> Option<(Lsn, &[u8])> {
    let rest = value.strip_prefix(&[ROW])?;
    let (version, row) = rest.split_first_chunk::<8>()?;
    Some((Lsn(u64::from_le_bytes(*version)), row))
}

/// A stored value as an entry.
pub fn to_entry(value: &[u8]) -> Result<Entry, Error> {
    if let Some((version, row)) = split_row(value) {
        return Ok(Entry::Row(Stored { version, row: decode_row(row)? }));
    }
    match value.strip_prefix(&[POINTS]) {
        Some(key) => Ok(Entry::Points(key.into())),
        None => Err(Error::Corrupt { what: "the index has a value that is neither row nor pointer".into() }),
    }
}
