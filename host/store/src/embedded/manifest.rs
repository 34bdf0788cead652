//! The manifest: which runs belong to the store, up to which commit, and what was known when it was written.
//!
//! One small file, replaced as a whole: its rename is what makes a checkpoint count. Everything it does not name is a
//! leftover of a crash.

use serde::{Deserialize, Serialize};

use super::disk::{Disk, failed, read_all, replace};
use super::journal::StoreId;
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
    /// Oldest first; they follow each other without gaps.
    pub runs: Vec<RunInfo>,
}

/// A run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunInfo {
    /// Its file.
    pub name: String,
    /// It holds what commits after this one wrote last,
    pub after: Lsn,
    /// up to this one.
    pub upto: Lsn,
    /// Its length.
    pub bytes: u64,
    /// How many rows and removals are in it.
    pub rows: u64,
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
            runs: Vec::new(),
        }
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
            return Err(Error::Corrupt {
                what: format!(
                    "the data directory has format {format}, this program knows up to {FORMAT}\nhint: use the version that wrote it, or a newer one"
                ),
            });
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
        manifest.runs.push(RunInfo { name: "runs/1".into(), after: Lsn(0), upto: Lsn(7), bytes: 9, rows: 2 });
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
