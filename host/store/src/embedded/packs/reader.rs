//! Reads packs: one value by its place, or all blocks to look at them.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use super::{FOOTER, FORMAT, HEADER, MAGIC, PackInfo, Place, header};
use crate::embedded::block::{self, damaged};
use crate::embedded::cache::Cache;
use crate::embedded::disk::{Disk, DiskFile, failed};
use crate::embedded::journal::StoreId;
use crate::error::Error;

/// What unpacked blocks in memory may take in all: whoever reads a log reads the next page soon.
const CACHE_BYTES: usize = 16 << 20;

/// An open pack.
pub struct Pack {
    name: String,
    file: Box<dyn DiskFile>,
    blocks_end: u64,
    value_bytes: u64,
}

impl Pack {
    /// Opens a pack that the manifest names.
    pub fn open(disk: &dyn Disk, store: StoreId, info: &PackInfo) -> Result<Self, Error> {
        let name = info.name();
        let file = match disk.open(&name) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                return Err(Error::Corrupt {
                    what: format!("`{name}` is missing\nhint: put the file back, or restore it from a copy"),
                });
            }
            file => file.map_err(failed(&name))?,
        };
        let found = block::read_exactly(file.as_ref(), &name, 0, HEADER)?;
        if let Some(format) = newer_format(&found) {
            return Err(crate::embedded::newer(&name, format, FORMAT));
        }
        if found != header(store, info.number) {
            return Err(damaged(&name, 0, "the header is not that of this pack"));
        }
        if file.size().map_err(failed(&name))? != info.bytes || info.bytes < (HEADER + FOOTER) as u64 {
            return Err(damaged(&name, 0, "its length is not what the manifest says"));
        }
        let blocks_end = info.bytes - FOOTER as u64;
        let footer = block::read_exactly(file.as_ref(), &name, blocks_end, FOOTER)?;
        let mut expected = Vec::with_capacity(FOOTER);
        expected.extend_from_slice(&info.values.to_le_bytes());
        expected.extend_from_slice(&info.value_bytes.to_le_bytes());
        expected.extend_from_slice(&crc32c::crc32c(&expected).to_le_bytes());
        if footer != expected {
            return Err(damaged(&name, blocks_end, "the footer does not fit"));
        }
        Ok(Self { name, file, blocks_end, value_bytes: info.value_bytes })
    }

    fn block(&self, offset: u64) -> Result<(Vec<u8>, u64), Error> {
        block::read(self.file.as_ref(), &self.name, offset, self.blocks_end)
    }

    /// Looks at every block, and says what is wrong with each that is not as it was written. `known`: where blocks
    /// begin, as the runs say, to go on behind a damaged one.
    pub fn look_at_all(&self, known: &BTreeSet<u64>, mut wrong: impl FnMut(u64, Error)) {
        let (mut offset, mut bytes, mut sound) = (HEADER as u64, 0, true);
        while offset < self.blocks_end {
            match self.block(offset) {
                Ok((block, next)) => {
                    bytes += block.len() as u64;
                    offset = next;
                }
                Err(error) => {
                    wrong(offset, error);
                    sound = false;
                    match known.range(offset + 1..).next() {
                        Some(next) => offset = *next,
                        None => return,
                    }
                }
            }
        }
        if sound && bytes != self.value_bytes {
            wrong(offset, damaged(&self.name, offset, "blocks are missing"));
        }
    }
}

fn newer_format(header: &[u8]) -> Option<u16> {
    let (magic, rest) = header.split_at_checked(8)?;
    let format = u16::from_le_bytes(*rest.first_chunk()?);
    (magic == MAGIC && format > FORMAT).then_some(format)
}

/// The packs of a store, to read values from.
#[derive(Clone, Default)]
pub struct PackSet {
    packs: HashMap<u64, Arc<Pack>>,
    cache: Arc<Cache<(u64, u64), Vec<u8>>>,
}

impl PackSet {
    /// Opens packs; those that are open in `self` stay as they are.
    pub fn with<'a>(
        &self,
        disk: &dyn Disk,
        store: StoreId,
        infos: impl Iterator<Item = &'a PackInfo>,
    ) -> Result<Self, Error> {
        let packs = infos.map(|info| match self.packs.get(&info.number) {
            Some(pack) => Ok((info.number, Arc::clone(pack))),
            None => Pack::open(disk, store, info).map(|pack| (info.number, Arc::new(pack))),
        });
        Ok(Self { packs: packs.collect::<Result<_, Error>>()?, cache: Arc::clone(&self.cache) })
    }

    /// The value at a place.
    pub fn get(&self, place: &Place) -> Result<Vec<u8>, Error> {
        let Some(pack) = self.packs.get(&place.pack) else {
            let name = super::pack_name(place.pack);
            return Err(Error::Corrupt {
                what: format!("`{name}` is referred to but not named by the manifest\nhint: restore both from a copy"),
            });
        };
        let at = (place.pack, place.block);
        let block = match self.cache.get(&at) {
            Some(block) => block,
            None => {
                let block = Arc::new(pack.block(place.block)?.0);
                self.cache.put(at, Arc::clone(&block), block.len(), CACHE_BYTES);
                block
            }
        };
        let range = place.start as usize..(place.start as usize).saturating_add(place.len as usize);
        match block.get(range).filter(|value| crc32c::crc32c(value) == place.checksum) {
            Some(value) => Ok(value.to_vec()),
            None => Err(damaged(&pack.name, place.block, "a value is not the one that was written")),
        }
    }
}
