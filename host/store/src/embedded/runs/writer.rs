//! Writes a run, and what goes into packs beside it.

use std::collections::BTreeMap;

use super::filter::{Filter, hash};
use super::{BLOCK_BYTES, FOLDER, FOOTER, RunEntry, Value, header, push, run_name};
use crate::Lsn;
use crate::embedded::block::{Packer, QUICK};
use crate::embedded::disk::{Disk, DiskFile, failed};
use crate::embedded::journal::StoreId;
use crate::embedded::manifest::{Numbers, RunInfo};
use crate::embedded::packs::{self, PACKED_FROM, PackInfo};
use crate::error::Error;
use crate::index::encode::KeyBuf;
use crate::rows::Kind;

/// Blocks are handed to the system together, so that a run is not a million small writes.
const WRITTEN_AT_ONCE: usize = 1 << 20;

/// What a run counts for without any entries: or empty ones would never be merged.
const RUN_WEIGHT: u64 = 128;

/// Writes a run; its entries come sorted. It is safe, and named, when this returns; the manifest makes it count.
/// `known`: the packs that its entries already refer to.
pub fn write(
    disk: &dyn Disk,
    store: StoreId,
    (after, upto): (Lsn, Lsn),
    numbers: &Numbers,
    known: &[PackInfo],
    entries: impl Iterator<Item = Result<RunEntry, Error>>,
) -> Result<RunInfo, Error> {
    let number = numbers.take();
    let name = run_name(number);
    let temporary = format!("{name}.new");
    let file = disk.create(&temporary).map_err(failed(&temporary))?;
    let mut packs = packs::Writer::new(disk, store, numbers);
    let mut writer = Writer::new(file.as_ref(), header(store, number, after, upto)).map_err(failed(&temporary))?;
    let written = (|| {
        for entry in entries {
            let mut entry = entry?;
            if let Value::Here(value) = &entry.value
                && goes_into_a_pack(&entry.key, value)
            {
                entry.value = Value::Packed(packs.put(value)?);
            }
            writer.entry(&entry).map_err(failed(&temporary))?;
        }
        writer.end().and_then(|()| file.sync()).map_err(failed(&temporary))
    })();
    if let Err(error) = written {
        // Half a run takes room that a full disk needs; if it cannot be removed the next start does.
        packs.abandon();
        drop(disk.remove(&temporary));
        return Err(error);
    }
    let new = packs.end()?;
    disk.rename(&temporary, &name).map_err(failed(&name))?;
    disk.sync_folder(FOLDER).map_err(failed(FOLDER))?;
    let live = |pack: &PackInfo| writer.referred.get(&pack.number).copied().unwrap_or(0);
    let packs = known.iter().chain(&new).map(|pack| PackInfo { live_bytes: live(pack), ..pack.clone() });
    let packs = packs.filter(|pack| pack.live_bytes > 0).collect();
    let (bytes, rows, weight) = (writer.offset, writer.hashes.len() as u64, writer.weight);
    Ok(RunInfo { number, after, upto, bytes, rows, weight, packs })
}

/// Large values would be copied by every merge. Lines of log are many, are read page by page, and go together.
fn goes_into_a_pack(key: &[u8], value: &[u8]) -> bool {
    value.len() >= PACKED_FROM || key.first() == Some(&Kind::Log.code())
}

struct Writer<'a> {
    file: &'a dyn DiskFile,
    packer: Packer,
    /// Where the file ends once `waiting` is written.
    offset: u64,
    waiting: Vec<u8>,
    block: Vec<u8>,
    /// The first key of the block, and the last one.
    first: KeyBuf,
    last: KeyBuf,
    index: Vec<u8>,
    hashes: Vec<u64>,
    weight: u64,
    /// Bytes referred to, by pack.
    referred: BTreeMap<u64, u64>,
}

impl<'a> Writer<'a> {
    fn new(file: &'a dyn DiskFile, header: Vec<u8>) -> std::io::Result<Self> {
        Ok(Self {
            file,
            packer: Packer::new(QUICK)?,
            offset: header.len() as u64,
            waiting: header,
            block: Vec::new(),
            first: KeyBuf::new(),
            last: KeyBuf::new(),
            index: Vec::new(),
            hashes: Vec::new(),
            weight: RUN_WEIGHT,
            referred: BTreeMap::new(),
        })
    }

    fn entry(&mut self, entry: &RunEntry) -> std::io::Result<()> {
        if self.block.is_empty() {
            self.first = entry.key.clone();
            self.last = KeyBuf::new();
        }
        push(&mut self.block, &self.last, entry);
        self.last = entry.key.clone();
        self.hashes.push(hash(&entry.key));
        self.weight += entry.key.len() as u64 + entry.value.weight();
        if let Value::Packed(place) = &entry.value {
            *self.referred.entry(place.pack).or_default() += u64::from(place.len);
        }
        if self.block.len() >= BLOCK_BYTES { self.end_block() } else { Ok(()) }
    }

    fn end_block(&mut self) -> std::io::Result<()> {
        if self.block.is_empty() {
            return Ok(());
        }
        let block = self.packer.block(&self.block)?;
        self.block.clear();
        self.index.extend_from_slice(&(self.first.len() as u32).to_le_bytes());
        self.index.extend_from_slice(&self.first);
        self.index.extend_from_slice(&self.offset.to_le_bytes());
        self.put(&block)
    }

    fn put(&mut self, bytes: &[u8]) -> std::io::Result<()> {
        self.waiting.extend_from_slice(bytes);
        self.offset += bytes.len() as u64;
        if self.waiting.len() >= WRITTEN_AT_ONCE { self.flush() } else { Ok(()) }
    }

    fn flush(&mut self) -> std::io::Result<()> {
        self.file.write_at(self.offset - self.waiting.len() as u64, &self.waiting)?;
        self.waiting.clear();
        Ok(())
    }

    fn end(&mut self) -> std::io::Result<()> {
        self.end_block()?;
        let index = std::mem::take(&mut self.index);
        let filter = Filter::new(&self.hashes);
        let (index_at, filter_at) = (self.offset, self.offset + index.len() as u64);
        self.put(&index)?;
        self.put(filter.bytes())?;
        let mut footer = Vec::with_capacity(FOOTER);
        footer.extend_from_slice(&index_at.to_le_bytes());
        footer.extend_from_slice(&filter_at.to_le_bytes());
        footer.extend_from_slice(&(self.hashes.len() as u64).to_le_bytes());
        footer.extend_from_slice(&crc32c::crc32c(&index).to_le_bytes());
        footer.extend_from_slice(&crc32c::crc32c(filter.bytes()).to_le_bytes());
        footer.extend_from_slice(&crc32c::crc32c(&footer).to_le_bytes());
        self.put(&footer)?;
        self.flush()
    }
}
