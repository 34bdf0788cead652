//! Reads a run from one end to the other, for merging and for looking at all of it.

use super::filter::{Filter, hash};
use super::{BLOCK_HEAD, FOOTER, HEADER, RunEntry, block_checksum, header, pop};
use crate::embedded::disk::{Disk, DiskFile, failed};
use crate::embedded::journal::StoreId;
use crate::embedded::manifest::RunInfo;
use crate::error::Error;

/// An open run, with what its footer says.
pub struct RunFile {
    pub name: String,
    pub file: Box<dyn DiskFile>,
    /// Where the blocks end and their index begins.
    pub blocks_end: u64,
    pub index: Vec<u8>,
    pub filter: Filter,
    pub rows: u64,
}

impl RunFile {
    /// Opens a run that the manifest names.
    pub fn open(disk: &dyn Disk, store: StoreId, info: &RunInfo) -> Result<Self, Error> {
        let name = info.name.clone();
        let file = disk.open(&name).map_err(failed(&name))?;
        let mut run = Self { name, file, blocks_end: 0, index: Vec::new(), filter: Filter::new(&[]), rows: info.rows };
        if run.file.size().map_err(failed(&run.name))? != info.bytes || info.bytes < (HEADER + FOOTER) as u64 {
            return Err(run.damaged(0, "its length is not what the manifest says"));
        }
        if run.read(0, HEADER)? != header(store, info.after, info.upto) {
            return Err(run.damaged(0, "the header is not that of this run"));
        }
        let footer_at = info.bytes - FOOTER as u64;
        let footer = run.read(footer_at, FOOTER)?;
        let wrong = || run.damaged(footer_at, "the footer does not fit");
        let (numbers, checksums) = footer.split_at_checked(24).ok_or_else(wrong)?;
        let numbers: Vec<u64> =
            numbers.chunks_exact(8).filter_map(|chunk| Some(u64::from_le_bytes(*chunk.first_chunk()?))).collect();
        let checksums: Vec<u32> =
            checksums.chunks_exact(4).filter_map(|chunk| Some(u32::from_le_bytes(*chunk.first_chunk()?))).collect();
        let (&[index_at, filter_at, rows], &[of_index, of_filter, of_footer]) = (&*numbers, &*checksums) else {
            return Err(wrong());
        };
        let sum = crc32c::crc32c(footer.get(..FOOTER - 4).unwrap_or_default());
        if sum != of_footer || index_at > filter_at || filter_at > footer_at || rows != info.rows {
            return Err(wrong());
        }
        let index = run.read(index_at, (filter_at - index_at) as usize)?;
        let filter = run.read(filter_at, (footer_at - filter_at) as usize)?;
        if crc32c::crc32c(&index) != of_index || crc32c::crc32c(&filter) != of_filter {
            return Err(run.damaged(index_at, "the checksum of the block index or the filter does not fit"));
        }
        run.blocks_end = index_at;
        run.index = index;
        run.filter = Filter::from_bytes(filter);
        Ok(run)
    }

    pub fn damaged(&self, offset: u64, what: &str) -> Error {
        Error::Corrupt {
            what: format!("`{}` at offset {offset}: {what}\nhint: restore the file from a copy", self.name),
        }
    }

    fn read(&self, offset: u64, len: usize) -> Result<Vec<u8>, Error> {
        let mut bytes = vec![0; len];
        let read = self.file.read_at(offset, &mut bytes).map_err(failed(&self.name))?;
        if read < len { Err(self.damaged(offset, "it ends too early")) } else { Ok(bytes) }
    }

    /// The block at an offset, and where it ends.
    pub fn block(&self, offset: u64) -> Result<(Vec<u8>, u64), Error> {
        let head = self.read(offset, BLOCK_HEAD)?;
        let len = head.first_chunk::<4>().map_or(0, |len| u32::from_le_bytes(*len));
        let end = offset + BLOCK_HEAD as u64 + u64::from(len);
        // A damaged length must not become a huge buffer.
        if end > self.blocks_end {
            return Err(self.damaged(offset, "a block runs over the end of the blocks"));
        }
        let block = self.read(offset + BLOCK_HEAD as u64, len as usize)?;
        if head.get(4..) != Some(&block_checksum(&block).to_le_bytes()[..]) {
            return Err(self.damaged(offset, "the checksum of a block does not fit"));
        }
        Ok((block, end))
    }
}

/// Reads a run, entry by entry. Ends with an error at the first thing that is not as it was written.
pub struct Reader {
    run: RunFile,
    offset: u64,
    block: Vec<u8>,
    at: usize,
    last: Box<[u8]>,
    rows: u64,
    ended: bool,
}

impl Reader {
    /// Opens a run that the manifest names.
    pub fn open(disk: &dyn Disk, store: StoreId, info: &RunInfo) -> Result<Self, Error> {
        let run = RunFile::open(disk, store, info)?;
        Ok(Self { run, offset: HEADER as u64, block: Vec::new(), at: 0, last: Box::default(), rows: 0, ended: false })
    }

    fn step(&mut self) -> Result<Option<RunEntry>, Error> {
        while self.at >= self.block.len() {
            if self.offset >= self.run.blocks_end {
                self.ended = true;
                if self.rows != self.run.rows {
                    return Err(self.run.damaged(self.offset, "entries are missing"));
                }
                return Ok(None);
            }
            (self.block, self.offset) = self.run.block(self.offset)?;
            self.at = 0;
            self.last = Box::default();
        }
        let whole = self.block.get(self.at..).unwrap_or_default();
        let mut rest = whole;
        let Some(entry) = pop(&mut rest, &self.last) else {
            return Err(self.run.damaged(self.offset, "an entry does not fit"));
        };
        self.at += whole.len() - rest.len();
        self.rows += 1;
        self.last = entry.key.clone();
        // What the filter denies would never be found by a lookup.
        if !self.run.filter.may_have(hash(&entry.key)) {
            return Err(self.run.damaged(self.offset, "the filter does not know a key"));
        }
        Ok(Some(entry))
    }
}

impl Iterator for Reader {
    type Item = Result<RunEntry, Error>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.ended {
            return None;
        }
        let entry = self.step();
        self.ended |= entry.is_err();
        entry.transpose()
    }
}
