//! Runs: what all keys were at a checkpoint, as immutable files sorted by key. They are the truth up to the checkpoint,
//! and can be looked things up in.
//!
//! A run is `header, block*, block index, filter, footer`, each with a checksum of its own, and the footer says how many
//! entries there are: neither a flipped bit nor a missing block goes unnoticed. Runs follow each other; a later one
//! wins. Neighbours become one when the older is not much larger, so that space and work stay proportional to what is
//! live.

mod filter;
mod lookup;
mod merge;
mod reader;
mod writer;

pub use lookup::{Lookup, RunSet};
pub use merge::{Merged, to_merge};
pub use reader::Reader;
pub use writer::write;

use super::journal::StoreId;
use crate::Lsn;

/// Where they are.
pub const FOLDER: &str = "runs/";

const MAGIC: [u8; 8] = *b"SLUICERN";
const FORMAT: u16 = 1;
/// magic, format, store, after, upto, checksum.
const HEADER: usize = 8 + 2 + 16 + 8 + 8 + 4;
/// A block ends once it is so long: one read, one checksum, one place in the cache.
const BLOCK_BYTES: usize = 16 * 1024;
/// length, checksum.
const BLOCK_HEAD: usize = 8;
/// offsets of block index and filter, entries, checksums of block index, filter and of the footer itself.
const FOOTER: usize = 8 + 8 + 8 + 4 + 4 + 4;

/// What a run says of one key; `None`: removed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RunEntry {
    pub key: Box<[u8]>,
    pub value: Option<Vec<u8>>,
}

/// The name of a run.
pub fn run_name(after: Lsn, upto: Lsn) -> String {
    format!("{FOLDER}{:016x}-{:016x}.run", after.0, upto.0)
}

fn header(store: StoreId, after: Lsn, upto: Lsn) -> Vec<u8> {
    let mut header = Vec::with_capacity(HEADER);
    header.extend_from_slice(&MAGIC);
    header.extend_from_slice(&FORMAT.to_le_bytes());
    header.extend_from_slice(&store.0);
    header.extend_from_slice(&after.0.to_le_bytes());
    header.extend_from_slice(&upto.0.to_le_bytes());
    header.extend_from_slice(&crc32c::crc32c(&header).to_le_bytes());
    header
}

/// Appends an entry to a block: the key without what it shares with the one before.
fn push(block: &mut Vec<u8>, before: &[u8], entry: &RunEntry) {
    let shared = before.iter().zip(entry.key.iter()).take_while(|(a, b)| a == b).count();
    let rest = entry.key.get(shared..).unwrap_or_default();
    let value = entry.value.as_deref();
    block.extend_from_slice(&(shared as u32).to_le_bytes());
    block.extend_from_slice(&(rest.len() as u32).to_le_bytes());
    block.extend_from_slice(&value.map_or(u32::MAX, |value| value.len() as u32).to_le_bytes());
    block.extend_from_slice(rest);
    block.extend_from_slice(value.unwrap_or_default());
}

/// Takes the next entry of a block.
fn pop(block: &mut &[u8], before: &[u8]) -> Option<RunEntry> {
    let (shared, rest) = block.split_first_chunk::<4>()?;
    let (key, rest) = rest.split_first_chunk::<4>()?;
    let (value, rest) = rest.split_first_chunk::<4>()?;
    let shared = before.get(..u32::from_le_bytes(*shared) as usize)?;
    let (key, rest) = rest.split_at_checked(u32::from_le_bytes(*key) as usize)?;
    let (value, rest) = match u32::from_le_bytes(*value) {
        u32::MAX => (None, rest),
        len => {
            let (value, rest) = rest.split_at_checked(len as usize)?;
            (Some(value.to_vec()), rest)
        }
    };
    *block = rest;
    Some(RunEntry { key: [shared, key].concat().into(), value })
}

fn block_checksum(block: &[u8]) -> u32 {
    crc32c::crc32c_append(crc32c::crc32c(&(block.len() as u32).to_le_bytes()), block)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::embedded::disk::simulated::SimulatedDisk;
    use crate::embedded::manifest::RunInfo;
    use crate::error::Error;

    const STORE: StoreId = StoreId([3; 16]);

    fn entry(key: &str, value: Option<&str>) -> RunEntry {
        RunEntry { key: key.as_bytes().into(), value: value.map(|value| value.as_bytes().to_vec()) }
    }

    fn written(disk: &SimulatedDisk, after: u64, upto: u64, entries: Vec<RunEntry>) -> RunInfo {
        write(disk, STORE, (Lsn(after), Lsn(upto)), entries.into_iter().map(Ok)).unwrap()
    }

    fn read(disk: &SimulatedDisk, info: &RunInfo) -> Result<Vec<RunEntry>, Error> {
        Reader::open(disk, STORE, info)?.collect()
    }

    #[test]
    fn runs_come_back_and_merge() {
        let disk = SimulatedDisk::new();
        let large = "x".repeat(BLOCK_BYTES);
        let old = vec![entry("a", Some("old")), entry("b", Some(&large)), entry("c", Some("c")), entry("d", None)];
        let new = vec![entry("a", Some("new")), entry("c", None), entry("e", Some(""))];
        let runs = [written(&disk, 0, 3, old.clone()), written(&disk, 3, 6, new.clone())];
        assert_eq!((read(&disk, &runs[0]).unwrap(), read(&disk, &runs[1]).unwrap()), (old, new));
        let open = || runs.iter().map(|info| Reader::open(&disk, STORE, info).unwrap());
        let merged: Vec<RunEntry> = Merged::new(open(), true).map(Result::unwrap).collect();
        assert_eq!(merged, [entry("a", Some("new")), entry("b", Some(&large)), entry("e", Some(""))]);
        let kept: Vec<RunEntry> = Merged::new(open(), false).map(Result::unwrap).collect();
        assert_eq!(kept.iter().filter(|entry| entry.value.is_none()).count(), 2);
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
        let set = RunSet::new(lookups);
        let readers = runs.iter().map(|info| Reader::open(&disk, STORE, info).unwrap());
        let all: Vec<RunEntry> = Merged::new(readers, true).map(Result::unwrap).collect();
        for n in 0..9_010 {
            let key = name(n);
            let found = set.get(key.as_bytes()).unwrap();
            let expected = all.iter().find(|entry| &*entry.key == key.as_bytes()).and_then(|entry| entry.value.clone());
            assert_eq!(found, expected, "{key}");
        }
        let upto = name(8_500);
        for n in (0..9_010).step_by(37) {
            let from = name(n);
            let within = |entry: &&RunEntry| *entry.key >= *from.as_bytes() && *entry.key < *upto.as_bytes();
            let key = |found: Option<(Box<[u8]>, Vec<u8>)>| found.map(|(key, _)| key);
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
            let lookup = RunSet::new(vec![Arc::new(Lookup::open(disk, STORE, &info)?)]);
            (0..50).try_for_each(|n| {
                lookup.get(format!("{n:03}").as_bytes()).map(|found| assert_eq!(found, Some(vec![b'v'; n])))
            })
        };
        look_at_all(&disk).unwrap();
        for offset in 0..info.bytes as usize {
            let damaged = disk.copy();
            damaged.damage(&info.name, |content| content[offset] ^= 1);
            assert!(read(&damaged, &info).is_err(), "read at {offset}");
            assert!(look_at_all(&damaged).is_err(), "lookup at {offset}");
            let damaged = disk.copy();
            damaged.damage(&info.name, |content| content.truncate(offset));
            assert!(read(&damaged, &info).is_err(), "cut at {offset}");
            assert!(look_at_all(&damaged).is_err(), "cut at {offset}");
        }
        let empty = written(&disk, 50, 60, Vec::new());
        assert_eq!(read(&disk, &empty).unwrap(), []);
        let set = RunSet::new(vec![Arc::new(Lookup::open(&disk, STORE, &empty).unwrap())]);
        assert_eq!(set.first(b"", &[0xff]).unwrap(), None);
    }
}
