//! Packs: the large values and log lines of the runs, in append-only compressed files that merging does not copy.
//!
//! A pack is `header, block*, footer`; a block holds values that came one after the other, so lines of one task lie
//! together. A run names a value by pack, block and place, with a checksum of the value: neither a damaged pack nor one
//! of another store can answer for the right one. Packs are filled at checkpoints and named by the manifest beside the
//! run that refers to them; a pack belongs to exactly one run. Never changed once written: it goes when nothing in it
//! is referred to, and what little is left of a mostly dead one is copied.

mod reader;
mod writer;

pub use reader::{Pack, PackSet};
pub use writer::Writer;

use serde::{Deserialize, Serialize};

use super::journal::StoreId;

/// Where they are.
pub const FOLDER: &str = "packs/";
/// The format this program writes.
pub const FORMAT: u16 = 1;

const MAGIC: [u8; 8] = *b"SLUICEPK";
/// magic, format, store, number, checksum.
const HEADER: usize = 8 + 2 + 16 + 8 + 4;
/// values, bytes of values, checksum.
const FOOTER: usize = 8 + 8 + 4;
/// A block ends once it is so long: large enough that lines compress well, small enough that one read of a value
/// unpacks little else.
const BLOCK_BYTES: usize = 64 * 1024;
/// A pack ends once its values are so many bytes: bounds what is copied when it is mostly dead.
const PACK_BYTES: u64 = 256 << 20;
/// Values from this length on are kept in packs.
pub const PACKED_FROM: usize = 4 * 1024;

/// A pack, as the manifest names it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PackInfo {
    /// Its number: never used twice.
    pub number: u64,
    /// Its length.
    pub bytes: u64,
    /// How many values were written to it, and how many bytes they are.
    pub values: u64,
    pub value_bytes: u64,
    /// How many bytes of them were still referred to when its run was written.
    pub live_bytes: u64,
}

impl PackInfo {
    /// Its file.
    pub fn name(&self) -> String {
        pack_name(self.number)
    }

    /// Whether more of it is dead than alive.
    pub fn mostly_dead(&self) -> bool {
        self.live_bytes < self.value_bytes / 2
    }
}

/// Where a value is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    /// The pack's number.
    pub pack: u64,
    /// Where its block begins in the file.
    pub block: u64,
    /// Where it begins in the block.
    pub start: u32,
    /// How long it is.
    pub len: u32,
    /// Its checksum.
    pub checksum: u32,
}

impl Place {
    /// Length of the stored form.
    pub const BYTES: usize = 8 + 8 + 4 + 4 + 4;

    /// The stored form.
    pub fn push(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.pack.to_le_bytes());
        out.extend_from_slice(&self.block.to_le_bytes());
        out.extend_from_slice(&self.start.to_le_bytes());
        out.extend_from_slice(&self.len.to_le_bytes());
        out.extend_from_slice(&self.checksum.to_le_bytes());
    }

    /// From the stored form.
    pub fn from_bytes(bytes: &[u8; Self::BYTES]) -> Option<Self> {
        let (pack, rest) = bytes.split_first_chunk::<8>()?;
        let (block, rest) = rest.split_first_chunk::<8>()?;
        let (start, rest) = rest.split_first_chunk::<4>()?;
        let (len, checksum) = rest.split_first_chunk::<4>()?;
        Some(Self {
            pack: u64::from_le_bytes(*pack),
            block: u64::from_le_bytes(*block),
            start: u32::from_le_bytes(*start),
            len: u32::from_le_bytes(*len),
            checksum: u32::from_le_bytes(*checksum.first_chunk()?),
        })
    }
}

/// The name of a pack.
pub fn pack_name(number: u64) -> String {
    format!("{FOLDER}{number:016x}.pack")
}

fn header(store: StoreId, number: u64) -> Vec<u8> {
    let mut header = Vec::with_capacity(HEADER);
    header.extend_from_slice(&MAGIC);
    header.extend_from_slice(&FORMAT.to_le_bytes());
    header.extend_from_slice(&store.0);
    header.extend_from_slice(&number.to_le_bytes());
    header.extend_from_slice(&crc32c::crc32c(&header).to_le_bytes());
    header
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::embedded::disk::Disk;
    use crate::embedded::disk::simulated::SimulatedDisk;
    use crate::embedded::manifest::Numbers;
    use crate::error::Error;

    const STORE: StoreId = StoreId(*b"the store's id..");

    fn value(number: usize) -> Vec<u8> {
        format!("line {number} ").repeat(number % 40 + 1).into_bytes()
    }

    fn written(disk: &SimulatedDisk, count: usize) -> (Vec<PackInfo>, Vec<Place>) {
        let numbers = Numbers::from(7);
        let mut writer = Writer::new(disk, STORE, &numbers);
        let places = (0..count).map(|number| writer.put(&value(number)).unwrap()).collect();
        (writer.end().unwrap(), places)
    }

    fn read(disk: &SimulatedDisk, infos: &[PackInfo], places: &[Place]) -> Result<Vec<Vec<u8>>, Error> {
        let packs = PackSet::default().with(disk, STORE, infos.iter())?;
        places.iter().map(|place| packs.get(place)).collect()
    }

    #[test]
    fn values_come_back_and_take_less() {
        let disk = SimulatedDisk::new();
        let (infos, places) = written(&disk, 3_000);
        assert_eq!(read(&disk, &infos, &places).unwrap(), (0..3_000).map(value).collect::<Vec<_>>());
        let [info] = &*infos else { panic!("{infos:?}") };
        assert_eq!((info.number, info.values, info.live_bytes), (7, 3_000, info.value_bytes));
        assert!(info.bytes < info.value_bytes / 5, "{info:?}");
        assert_eq!(disk.files(), [(info.name(), info.bytes as usize)]);
        assert!(written(&SimulatedDisk::new(), 0).0.is_empty());
    }

    #[test]
    fn any_damage_is_noticed() {
        let disk = SimulatedDisk::new();
        let (infos, places) = written(&disk, 40);
        let name = infos[0].name();
        for offset in 0..infos[0].bytes as usize {
            let damaged = disk.copy();
            damaged.damage(&name, |content| content[offset] ^= 4);
            assert!(read(&damaged, &infos, &places).is_err(), "at {offset}");
            let damaged = disk.copy();
            damaged.damage(&name, |content| content.truncate(offset));
            assert!(read(&damaged, &infos, &places).is_err(), "cut at {offset}");
        }
        let other = PackSet::default().with(&disk, StoreId([0; 16]), infos.iter());
        assert!(other.is_err_and(|error| error.to_string().contains("header")), "a pack of another store");
        disk.remove(&name).unwrap();
        let error = read(&disk, &infos, &places).unwrap_err().to_string();
        assert!(error.contains(&name) && error.contains("missing") && error.contains("hint:"), "{error}");
    }

    #[test]
    fn newer_format_is_refused_in_words() {
        let disk = SimulatedDisk::new();
        let (infos, places) = written(&disk, 1);
        disk.damage(&infos[0].name(), |content| content[8] += 1);
        let error = read(&disk, &infos, &places).unwrap_err().to_string();
        assert!(error.contains("format 2") && error.contains("hint:"), "{error}");
    }
}
