//! Runs: what all keys were at a checkpoint, as immutable files sorted by key. They are the truth up to the checkpoint,
//! and can be looked things up in.
//!
//! A run is `header, block*, block index, filter, footer`, each with a checksum of its own, and the footer says how many
//! entries there are: neither a flipped bit nor a missing block goes unnoticed. Blocks are compressed; large values and
//! log lines are in packs, of which a run holds the places. Runs follow each other; a later one wins. Neighbours become
//! one when the older is not much larger, so that space and work stay proportional to what is live.

mod filter;
mod lookup;
mod merge;
mod reader;
mod writer;

pub use lookup::{Lookup, RunSet};
pub use merge::{Merged, to_copy, to_merge};
pub use reader::{Reader, exists, look, unpacked};
pub use writer::write;

use super::journal::StoreId;
use super::packs::Place;
use crate::Lsn;
use crate::index::encode::{KeyBuf, key_of};

/// Where they are.
pub const FOLDER: &str = "runs/";

const MAGIC: [u8; 8] = *b"SLUICERN";
const FORMAT: u16 = 1;
/// magic, format, store, number, after, upto, checksum.
const HEADER: usize = 8 + 2 + 16 + 8 + 8 + 8 + 4;
/// A block ends once it is so long: one read, one checksum, one place in the cache.
const BLOCK_BYTES: usize = 16 * 1024;
/// offsets of block index and filter, entries, checksums of block index, filter and of the footer itself.
const FOOTER: usize = 8 + 8 + 8 + 4 + 4 + 4;

/// What a run says of one key.
#[derive(Debug, PartialEq, Eq)]
pub struct RunEntry {
    pub key: KeyBuf,
    pub value: Value,
}

impl Clone for RunEntry {
    fn clone(&self) -> Self {
        Self { key: key_of(&self.key), value: self.value.clone() }
    }
}

/// What a key is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Value {
    /// It is there.
    Here(Vec<u8>),
    /// It is there, its value in a pack.
    Packed(Place),
    /// It is removed. Counts for as many bytes as it removes, so that runs of removals are merged with what they remove.
    Removed { bytes: u32 },
}

impl Value {
    /// The value that was taken out of its pack; `None`: it is removed.
    pub fn here(self) -> Option<Vec<u8>> {
        match self {
            Value::Here(value) => Some(value),
            Value::Packed(_) | Value::Removed { .. } => None,
        }
    }

    /// What it counts for.
    fn weight(&self) -> u64 {
        match self {
            Value::Here(value) => value.len() as u64,
            Value::Packed(place) => u64::from(place.len),
            Value::Removed { bytes } => u64::from(*bytes),
        }
    }
}

/// The name of a run.
pub fn run_name(number: u64) -> String {
    format!("{FOLDER}{number:016x}.run")
}

fn header(store: StoreId, number: u64, after: Lsn, upto: Lsn) -> Vec<u8> {
    let mut header = Vec::with_capacity(HEADER);
    header.extend_from_slice(&MAGIC);
    header.extend_from_slice(&FORMAT.to_le_bytes());
    header.extend_from_slice(&store.0);
    header.extend_from_slice(&number.to_le_bytes());
    header.extend_from_slice(&after.0.to_le_bytes());
    header.extend_from_slice(&upto.0.to_le_bytes());
    header.extend_from_slice(&crc32c::crc32c(&header).to_le_bytes());
    header
}

/// In place of a length: the value is in a pack, or removed.
const PACKED: u32 = u32::MAX - 1;
const REMOVED: u32 = u32::MAX;

/// Appends an entry to a block: the key without what it shares with the one before.
fn push(block: &mut Vec<u8>, before: &[u8], entry: &RunEntry) {
    let shared = before.iter().zip(entry.key.iter()).take_while(|(a, b)| a == b).count();
    let rest = entry.key.get(shared..).unwrap_or_default();
    let len = match &entry.value {
        Value::Here(value) => value.len() as u32,
        Value::Packed(_) => PACKED,
        Value::Removed { .. } => REMOVED,
    };
    block.extend_from_slice(&(shared as u32).to_le_bytes());
    block.extend_from_slice(&(rest.len() as u32).to_le_bytes());
    block.extend_from_slice(&len.to_le_bytes());
    block.extend_from_slice(rest);
    match &entry.value {
        Value::Here(value) => block.extend_from_slice(value),
        Value::Packed(place) => place.push(block),
        Value::Removed { bytes } => block.extend_from_slice(&bytes.to_le_bytes()),
    }
}

/// Takes the next entry of a block.
fn pop(block: &mut &[u8], before: &[u8]) -> Option<RunEntry> {
    let (shared, rest) = block.split_first_chunk::<4>()?;
    let (key, rest) = rest.split_first_chunk::<4>()?;
    let (len, rest) = rest.split_first_chunk::<4>()?;
    let shared = before.get(..u32::from_le_bytes(*shared) as usize)?;
    let (key, rest) = rest.split_at_checked(u32::from_le_bytes(*key) as usize)?;
    let (value, rest) = match u32::from_le_bytes(*len) {
        REMOVED => {
            let (bytes, rest) = rest.split_first_chunk::<4>()?;
            (Value::Removed { bytes: u32::from_le_bytes(*bytes) }, rest)
        }
        PACKED => {
            let (place, rest) = rest.split_first_chunk::<{ Place::BYTES }>()?;
            (Value::Packed(Place::from_bytes(place)?), rest)
        }
        len => {
            let (value, rest) = rest.split_at_checked(len as usize)?;
            (Value::Here(value.to_vec()), rest)
        }
    };
    *block = rest;
    Some(RunEntry { key: [shared, key].concat().into(), value })
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::embedded::disk::simulated::SimulatedDisk;
    use crate::embedded::manifest::{Numbers, RunInfo};
    use crate::embedded::packs::PackSet;
    use crate::error::Error;

    const STORE: StoreId = StoreId([3; 16]);

    fn entry(key: &str, value: Option<&str>) -> RunEntry {
        let value = value.map_or(Value::Removed { bytes: 3 }, |value| Value::Here(value.as_bytes().to_vec()));
        RunEntry { key: key.as_bytes().into(), value }
    }

    fn written(disk: &SimulatedDisk, after: u64, upto: u64, entries: Vec<RunEntry>) -> RunInfo {
        write(disk, STORE, (Lsn(after), Lsn(upto)), &Numbers::from(after * 10 + 1), &[], entries.into_iter().map(Ok))
            .unwrap()
    }

    fn packs(disk: &SimulatedDisk, info: &RunInfo) -> Result<PackSet, Error> {
        PackSet::default().with(disk, STORE, info.packs.iter())
    }

    fn read(disk: &SimulatedDisk, info: &RunInfo) -> Result<Vec<RunEntry>, Error> {
        unpacked(Reader::open(disk, STORE, info)?, &packs(disk, info)?, |_| true).collect()
    }

    #[test]
    fn runs_come_back_and_merge() {
        let disk = SimulatedDisk::new();
        let large = "x".repeat(BLOCK_BYTES);
        let old = vec![entry("a", Some("old")), entry("b", Some(&large)), entry("c", Some("c")), entry("d", None)];
        let new = vec![entry("a", Some("new")), entry("c", None), entry("e", Some(""))];
        let runs = [written(&disk, 0, 3, old.clone()), written(&disk, 3, 6, new.clone())];
        assert_eq!((read(&disk, &runs[0]).unwrap(), read(&disk, &runs[1]).unwrap()), (old, new));
        assert_eq!((runs[0].packs.len(), runs[1].packs.len()), (1, 0), "the large value is in a pack");
        let packs = packs(&disk, &runs[0]).unwrap();
        let open = || runs.iter().map(|info| unpacked(Reader::open(&disk, STORE, info).unwrap(), &packs, |_| true));
        let merged: Vec<RunEntry> = Merged::new(open(), true).map(Result::unwrap).collect();
        assert_eq!(merged, [entry("a", Some("new")), entry("b", Some(&large)), entry("e", Some(""))]);
        let kept: Vec<RunEntry> = Merged::new(open(), false).map(Result::unwrap).collect();
        assert_eq!(kept.iter().filter(|entry| matches!(entry.value, Value::Removed { .. })).count(), 2);
    }

    #[test]
    fn lookups_find_what_reading_finds() {
        let disk = SimulatedDisk::new();
        let name = |n: u32| format!("key/{n:05}");
        // Every third key, over many blocks; the second run removes some and adds others.
        let old = (0..3_000).map(|n| entry(&name(n * 3), Some(&n.to_string().repeat(8)))).collect();
        let new = (0..500).map(|n| entry(&name(n * 9 + n % 2), (n % 5 != 0).then_some("new"))).collect();
        let runs = [written(&disk, 0, 3, old), written(&disk, 3, 6, new)];
        let lookups = runs.iter().map(|info| Arc::new(Lookup::open(&disk, STORE, info).unwrap())).collect();
        let set = RunSet::new(lookups, PackSet::default());
        let readers = runs.iter().map(|info| Reader::open(&disk, STORE, info).unwrap());
        let all: Vec<RunEntry> = Merged::new(readers, true).map(Result::unwrap).collect();
        for n in 0..9_010 {
            let key = name(n);
            let found = set.get(key.as_bytes()).unwrap();
            let expected = all.iter().find(|entry| &*entry.key == key.as_bytes());
            let expected = expected.map(|entry| match &entry.value {
                Value::Here(value) => value.clone(),
                other => panic!("{other:?}"),
            });
            assert_eq!(found, expected, "{key}");
        }
        let upto = name(8_500);
        for n in (0..9_010).step_by(37) {
            let from = name(n);
            let within = |entry: &&RunEntry| *entry.key >= *from.as_bytes() && *entry.key < *upto.as_bytes();
            let key = |found: Option<(KeyBuf, Vec<u8>)>| found.map(|(key, _)| key);
            let first = key(set.first(from.as_bytes(), upto.as_bytes()).unwrap());
            assert_eq!(first, all.iter().find(within).map(|entry| entry.key.clone()));
            let last = key(set.last(from.as_bytes(), upto.as_bytes()).unwrap());
            assert_eq!(last, all.iter().rfind(within).map(|entry| entry.key.clone()));
        }
    }

    #[test]
    fn any_damage_is_noticed() {
        let disk = SimulatedDisk::new();
        let entries = (0..50).map(|n| entry(&format!("{n:03}"), Some(&"v".repeat(n)))).collect();
        let info = written(&disk, 0, 50, entries);
        let look_at_all = |disk: &SimulatedDisk| {
            let lookup = RunSet::new(vec![Arc::new(Lookup::open(disk, STORE, &info)?)], packs(disk, &info)?);
            (0..50).try_for_each(|n| {
                lookup.get(format!("{n:03}").as_bytes()).map(|found| assert_eq!(found, Some(vec![b'v'; n])))
            })
        };
        look_at_all(&disk).unwrap();
        for offset in 0..info.bytes as usize {
            let damaged = disk.copy();
            damaged.damage(&info.name(), |content| content[offset] ^= 1);
            assert!(read(&damaged, &info).is_err(), "read at {offset}");
            assert!(look_at_all(&damaged).is_err(), "lookup at {offset}");
            let damaged = disk.copy();
            damaged.damage(&info.name(), |content| content.truncate(offset));
            assert!(read(&damaged, &info).is_err(), "cut at {offset}");
            assert!(look_at_all(&damaged).is_err(), "cut at {offset}");
        }
        assert_eq!(read(&disk, &info).unwrap().len(), 50);
        // What is behind the blocks can be made again from them.
        let broken = disk.copy();
        broken.damage(&info.name(), |content| {
            let end = content.len();
            content[end - 100..].fill(0);
        });
        assert!(read(&broken, &info).is_err());
        assert_eq!(
            Reader::open_blocks(&broken, STORE, &info).unwrap().collect::<Result<Vec<_>, _>>().unwrap().len(),
            50
        );
        let empty = written(&disk, 50, 60, Vec::new());
        assert_eq!(read(&disk, &empty).unwrap(), []);
        let set = RunSet::new(vec![Arc::new(Lookup::open(&disk, STORE, &empty).unwrap())], PackSet::default());
        assert_eq!(set.first(b"", &[0xff]).unwrap(), None);
    }
}
