//! The manifest: which runs belong to the store, up to which commit, and what was known when it was written.
//!
//! One small file, replaced as a whole: its rename is what makes a checkpoint count. Everything it does not name is a
//! leftover of a crash.

use std::sync::atomic::{AtomicU64, Ordering};

use serde::{Deserialize, Serialize};

use super::disk::{Disk, failed, read_all, replace};
use super::journal::StoreId;
use super::packs::PackInfo;
use crate::Lsn;
use crate::error::Error;

/// Its name.
pub const NAME: &str = "manifest";
/// The format of the data directory that this program writes.
pub const FORMAT: u16 = 1;

/// What belongs to the store.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Manifest {
    /// The format of the data directory.
    pub format: u16,
    /// The store's own number, as hexadecimal digits: its files carry it.
    pub store: String,
    /// The program that wrote it, for people.
    pub program: String,
    /// Everything up to this commit is in the runs.
    pub checkpoint: Lsn,
    /// The highest commit that was known to be safe. A journal that ends earlier has lost something.
    pub known: Lsn,
    /// The number of the next file: none is used twice.
    pub next_file: u64,
    /// Oldest first; they follow each other without gaps.
    pub runs: Vec<RunInfo>,
}

/// A run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunInfo {
    /// Its number.
    pub number: u64,
    /// It holds what commits after this one wrote last,
    pub after: Lsn,
    /// up to this one.
    pub upto: Lsn,
    /// Its length.
    pub bytes: u64,
    /// How many rows and removals are in it.
    pub rows: u64,
    /// The bytes of its keys and values before they were compressed, those in packs included, and of what it removes.
    pub weight: u64,
    /// The packs that its values are in. No other run refers to them.
    pub packs: Vec<PackInfo>,
}

impl RunInfo {
    /// A run without entries.
    pub fn empty(number: u64, after: Lsn, upto: Lsn) -> Self {
        Self { number, after, upto, bytes: 0, rows: 0, weight: 0, packs: Vec::new() }
    }

    /// Its file.
    pub fn name(&self) -> String {
        super::runs::run_name(self.number)
    }
}

impl Manifest {
    /// That of a new store.
    pub fn new(store: StoreId) -> Self {
        Self {
            format: FORMAT,
            store: crate::hex(&store.0),
            program: env!("CARGO_PKG_VERSION").to_owned(),
            checkpoint: Lsn::START,
            known: Lsn::START,
            next_file: 1,
            runs: Vec::new(),
        }
    }

    /// All packs.
    pub fn packs(&self) -> impl Iterator<Item = &PackInfo> {
        self.runs.iter().flat_map(|run| &run.packs)
    }

    /// The store's number.
    pub fn store_id(&self) -> Result<StoreId, Error> {
        let bytes: Option<Vec<u8>> = (0..self.store.len() / 2)
            .map(|at| u8::from_str_radix(self.store.get(at * 2..at * 2 + 2)?, 16).ok())
            .collect();
        let id = bytes.and_then(|bytes| <[u8; 16]>::try_from(bytes).ok());
        id.map(StoreId).ok_or_else(|| damaged("the store's number is not one"))
    }

    /// Reads it; `None`: there is none.
    pub fn read(disk: &dyn Disk) -> Result<Option<Self>, Error> {
        let file = match disk.open(NAME) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            file => file.map_err(failed(NAME))?,
        };
        let content = read_all(file.as_ref()).map_err(failed(NAME))?;
        let text = String::from_utf8(content).map_err(|_| damaged("it is not text"))?;
        let (checksum, json) = text.split_once('\n').ok_or_else(|| damaged("it has no checksum"))?;
        // The format is looked at first: a newer one may be written otherwise.
        if let Some(format) = format_of(json).filter(|format| *format > FORMAT) {
            return Err(super::newer("the data directory", format, FORMAT));
        }
        if checksum != checksum_of(json) {
            return Err(damaged("its checksum does not fit"));
        }
        serde_json::from_str(json).map(Some).map_err(|error| damaged(&error.to_string()))
    }

    /// Replaces the present one.
    pub fn write(&self, disk: &dyn Disk) -> Result<(), Error> {
        let json = serde_json::to_string_pretty(self)
            .map_err(|error| Error::Misuse(format!("the manifest cannot be written: {error}")))?;
        replace(disk, "", NAME, format!("{}\n{json}", checksum_of(&json)).as_bytes()).map_err(failed(NAME))
    }
}

/// Gives out the numbers of files. A number that was given out for a file that then was not made is not used again:
/// whatever a failing disk has left under it is in nobody's way.
#[derive(Debug)]
pub struct Numbers(AtomicU64);

impl Numbers {
    /// Numbers from one on.
    pub fn from(next: u64) -> Self {
        Self(AtomicU64::new(next))
    }

    /// One that nobody else gets.
    pub fn take(&self) -> u64 {
        self.0.fetch_add(1, Ordering::Relaxed)
    }

    /// The next one, without taking it.
    pub fn next(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

fn format_of(json: &str) -> Option<u16> {
    #[derive(Deserialize)]
    struct Format {
        format: u16,
    }
    serde_json::from_str::<Format>(json).ok().map(|found| found.format)
}

fn checksum_of(json: &str) -> String {
    format!("crc32c {:08x}", crc32c::crc32c(json.as_bytes()))
}

fn damaged(what: &str) -> Error {
    Error::Corrupt { what: format!("`{NAME}`: {what}\nhint: restore the data directory from a copy") }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::embedded::disk::simulated::SimulatedDisk;

    #[test]
    fn any_flipped_bit_is_noticed() {
        let disk = SimulatedDisk::new();
        assert_eq!(Manifest::read(&disk).unwrap(), None);
        let mut manifest = Manifest::new(StoreId([0xa5; 16]));
        manifest.write(&disk).unwrap();
        manifest.checkpoint = Lsn(7);
        let pack = PackInfo { number: 1, bytes: 5, values: 1, value_bytes: 9, live_bytes: 9 };
        manifest.runs.push(RunInfo { bytes: 9, rows: 2, packs: vec![pack], ..RunInfo::empty(2, Lsn(0), Lsn(7)) });
        manifest.write(&disk).unwrap();
        assert_eq!(Manifest::read(&disk).unwrap().as_ref(), Some(&manifest));
        assert_eq!(manifest.store_id().unwrap(), StoreId([0xa5; 16]));
        let len = disk.files().iter().find(|(name, _)| name == NAME).unwrap().1;
        for offset in 0..len {
            let damaged = disk.copy();
            damaged.damage(NAME, |content| content[offset] ^= 4);
            assert!(Manifest::read(&damaged).is_err(), "at {offset}");
            let damaged = disk.copy();
            damaged.damage(NAME, |content| content.truncate(offset));
            assert!(Manifest::read(&damaged).is_err(), "cut at {offset}");
        }
    }

    #[test]
    fn newer_format_is_refused_in_words() {
        let disk = SimulatedDisk::new();
        let mut manifest = Manifest::new(StoreId([0; 16]));
        manifest.format = 2;
        manifest.write(&disk).unwrap();
        let error = Manifest::read(&disk).unwrap_err().to_string();
        assert!(error.contains("format 2") && error.contains("hint:"), "{error}");
    }
}
