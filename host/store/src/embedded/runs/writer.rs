//! Writes a run.

use super::filter::{Filter, hash};
use super::{BLOCK_BYTES, FOLDER, FOOTER, RunEntry, block_checksum, header, push, run_name};
use crate::Lsn;
use crate::embedded::disk::{Disk, DiskFile, failed};
use crate::embedded::journal::StoreId;
use crate::embedded::manifest::RunInfo;
use crate::error::Error;

/// Blocks are handed to the system together, so that a run is not a million small writes.
const WRITTEN_AT_ONCE: usize = 1 << 20;

/// Writes a run; its entries come sorted. It is safe, and named, when this returns; the manifest makes it count.
pub fn write(
    disk: &dyn Disk,
    store: StoreId,
    (after, upto): (Lsn, Lsn),
    entries: impl Iterator<Item = Result<RunEntry, Error>>,
) -> Result<RunInfo, Error> {
    let name = run_name(after, upto);
    let temporary = format!("{name}.new");
    for leftover in [&temporary, &name] {
        match disk.remove(leftover) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(failed(leftover)(error)),
            _ => {}
        }
    }
    let file = disk.create(&temporary).map_err(failed(&temporary))?;
    let mut writer = Writer::new(file.as_ref(), header(store, after, upto));
    let written = (|| {
        for entry in entries {
            writer.entry(&entry?).map_err(failed(&temporary))?;
        }
        writer.end().and_then(|()| file.sync()).map_err(failed(&temporary))
    })();
    if let Err(error) = written {
        // Half a run takes room that a full disk needs; if it cannot be removed the next start does.
        drop(disk.remove(&temporary));
        return Err(error);
    }
    disk.rename(&temporary, &name).map_err(failed(&name))?;
    disk.sync_folder(FOLDER).map_err(failed(FOLDER))?;
    Ok(RunInfo { name, after, upto, bytes: writer.offset, rows: writer.hashes.len() as u64 })
}

struct Writer<'a> {
    file: &'a dyn DiskFile,
    /// Where the file ends once `waiting` is written.
    offset: u64,
    waiting: Vec<u8>,
    block: Vec<u8>,
    /// The first key of the block, and the last one.
    first: Box<[u8]>,
    last: Box<[u8]>,
    index: Vec<u8>,
    hashes: Vec<u64>,
}

impl<'a> Writer<'a> {
    fn new(file: &'a dyn DiskFile, header: Vec<u8>) -> Self {
        Self {
            file,
            offset: header.len() as u64,
            waiting: header,
            block: Vec::new(),
            first: Box::default(),
            last: Box::default(),
            index: Vec::new(),
            hashes: Vec::new(),
        }
    }

    fn entry(&mut self, entry: &RunEntry) -> std::io::Result<()> {
        if self.block.is_empty() {
            self.first = entry.key.clone();
            self.last = Box::default();
        }
        push(&mut self.block, &self.last, entry);
        self.last = entry.key.clone();
        self.hashes.push(hash(&entry.key));
        if self.block.len() >= BLOCK_BYTES { self.end_block() } else { Ok(()) }
    }

    fn end_block(&mut self) -> std::io::Result<()> {
        if self.block.is_empty() {
            return Ok(());
        }
        let block = std::mem::take(&mut self.block);
        let len = u32::try_from(block.len()).map_err(std::io::Error::other)?;
        self.index.extend_from_slice(&(self.first.len() as u32).to_le_bytes());
        self.index.extend_from_slice(&self.first);
        self.index.extend_from_slice(&self.offset.to_le_bytes());
        self.index.extend_from_slice(&len.to_le_bytes());
        self.put(&len.to_le_bytes())?;
        self.put(&block_checksum(&block).to_le_bytes())?;
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
