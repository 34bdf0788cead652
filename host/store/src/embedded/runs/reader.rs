//! Reads a run from one end to the other, for merging and for looking at all of it.

use super::filter::{Filter, hash};
use super::{FOOTER, FORMAT, HEADER, MAGIC, RunEntry, Value, header, pop};
use crate::embedded::block::{self, damaged};
use crate::embedded::disk::{Disk, DiskFile, failed};
use crate::embedded::journal::StoreId;
use crate::embedded::manifest::RunInfo;
use crate::embedded::packs::PackSet;
use crate::error::Error;
use crate::index::encode::KeyBuf;

/// An open run, with what its footer says.
pub struct RunFile {
    pub name: String,
    pub file: Box<dyn DiskFile>,
    /// Where the blocks end and their index begins.
    pub blocks_end: u64,
    pub index: Vec<u8>,
    /// `None`: only the blocks are read.
    pub filter: Option<Filter>,
    pub rows: u64,
}

impl RunFile {
    /// Opens a run that the manifest names.
    pub fn open(disk: &dyn Disk, store: StoreId, info: &RunInfo) -> Result<Self, Error> {
        let mut run = Self::open_head(disk, store, info)?;
        if run.file.size().map_err(failed(&run.name))? != info.bytes || info.bytes < (HEADER + FOOTER) as u64 {
            return Err(run.damaged(0, "its length is not what the manifest says"));
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
        run.filter = Some(Filter::from_bytes(filter));
        Ok(run)
    }

    /// Opens a run for its blocks alone, whatever is behind them: what is there can be made again from the blocks.
    pub fn open_blocks(disk: &dyn Disk, store: StoreId, info: &RunInfo) -> Result<Self, Error> {
        let mut run = Self::open_head(disk, store, info)?;
        run.blocks_end = run.file.size().map_err(failed(&run.name))?;
        Ok(run)
    }

    fn open_head(disk: &dyn Disk, store: StoreId, info: &RunInfo) -> Result<Self, Error> {
        let name = info.name();
        let file = open_file(disk, &name)?;
        let run = Self { name, file, blocks_end: 0, index: Vec::new(), filter: None, rows: info.rows };
        let found = run.read(0, HEADER)?;
        if let Some(format) = newer_format(&found) {
            return Err(crate::embedded::newer(&run.name, format, FORMAT));
        }
        if found != header(store, info.number, info.after, info.upto) {
            return Err(run.damaged(0, "the header is not that of this run"));
        }
        Ok(run)
    }

    pub fn damaged(&self, offset: u64, what: &str) -> Error {
        damaged(&self.name, offset, what)
    }

    fn read(&self, offset: u64, len: usize) -> Result<Vec<u8>, Error> {
        block::read_exactly(self.file.as_ref(), &self.name, offset, len)
    }

    /// The block at an offset, and where it ends.
    pub fn block(&self, offset: u64) -> Result<(Vec<u8>, u64), Error> {
        block::read(self.file.as_ref(), &self.name, offset, self.blocks_end)
    }
}

fn newer_format(header: &[u8]) -> Option<u16> {
    let (magic, rest) = header.split_at_checked(8)?;
    let format = u16::from_le_bytes(*rest.first_chunk()?);
    (magic == MAGIC && format > FORMAT).then_some(format)
}

/// Reads a run, entry by entry. Ends with an error at the first thing that is not as it was written.
pub struct Reader {
    run: RunFile,
    offset: u64,
    block: Vec<u8>,
    at: usize,
    last: KeyBuf,
    rows: u64,
    ended: bool,
}

impl Reader {
    /// Opens a run that the manifest names.
    pub fn open(disk: &dyn Disk, store: StoreId, info: &RunInfo) -> Result<Self, Error> {
        Ok(Self::of(RunFile::open(disk, store, info)?))
    }

    /// Opens a run for its blocks alone: all of its entries, even if what is behind them is damaged.
    pub fn open_blocks(disk: &dyn Disk, store: StoreId, info: &RunInfo) -> Result<Self, Error> {
        Ok(Self::of(RunFile::open_blocks(disk, store, info)?))
    }

    fn of(run: RunFile) -> Self {
        Self { run, offset: HEADER as u64, block: Vec::new(), at: 0, last: KeyBuf::new(), rows: 0, ended: false }
    }

    fn step(&mut self) -> Result<Option<RunEntry>, Error> {
        while self.at >= self.block.len() {
            // Without a footer the number of entries tells where the blocks end.
            let all = self.run.filter.is_none() && self.rows == self.run.rows;
            if all || self.offset >= self.run.blocks_end {
                self.ended = true;
                if self.rows != self.run.rows {
                    return Err(self.run.damaged(self.offset, "entries are missing"));
                }
                return Ok(None);
            }
            (self.block, self.offset) = self.run.block(self.offset)?;
            self.at = 0;
            self.last = KeyBuf::new();
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
        if self.run.filter.as_ref().is_some_and(|filter| !filter.may_have(hash(&entry.key))) {
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

/// Looks at all of a run, and goes on behind a damaged block: `each` gets every entry, and what is wrong, with the offset
/// of its block. An error: not even the beginning is that of the run.
pub fn look(
    disk: &dyn Disk,
    store: StoreId,
    info: &RunInfo,
    mut each: impl FnMut(u64, Result<RunEntry, Error>),
) -> Result<(), Error> {
    let (run, index) = match RunFile::open(disk, store, info) {
        Ok(run) => {
            let index = super::lookup::block_index(&run)?;
            (run, index)
        }
        Err(error) => {
            let run = RunFile::open_blocks(disk, store, info)?;
            each(run.blocks_end.min(info.bytes), Err(error));
            (run, Vec::new())
        }
    };
    let (mut offset, mut rows) = (HEADER as u64, 0);
    while offset < run.blocks_end && (run.filter.is_some() || rows < info.rows) {
        let next = match run.block(offset) {
            Ok((block, next)) => {
                let mut rest = block.as_slice();
                let mut last = KeyBuf::new();
                while !rest.is_empty() {
                    let Some(entry) = pop(&mut rest, &last) else {
                        each(offset, Err(run.damaged(offset, "an entry does not fit")));
                        break;
                    };
                    last = entry.key.clone();
                    rows += 1;
                    if run.filter.as_ref().is_some_and(|filter| !filter.may_have(hash(&entry.key))) {
                        each(offset, Err(run.damaged(offset, "the filter does not know a key")));
                    }
                    each(offset, Ok(entry));
                }
                Some(next)
            }
            Err(error) => {
                each(offset, Err(error));
                index.iter().map(|(_, at)| *at).find(|at| *at > offset)
            }
        };
        match next {
            Some(next) => offset = next,
            None => break,
        }
    }
    Ok(())
}

/// The entries of a run with their values, wherever those are.
pub fn unpacked<'a>(
    entries: impl Iterator<Item = Result<RunEntry, Error>> + 'a,
    packs: &'a PackSet,
    wanted: impl Fn(u64) -> bool + 'a,
) -> impl Iterator<Item = Result<RunEntry, Error>> + 'a {
    entries.map(move |entry| match entry {
        Ok(RunEntry { key, value: Value::Packed(place) }) if wanted(place.pack) => {
            packs.get(&place).map(|value| RunEntry { key, value: Value::Here(value) })
        }
        other => other,
    })
}

/// Whether a run is there, as long as it was written: what can be told of it without reading it.
pub fn exists(disk: &dyn Disk, info: &RunInfo) -> Result<(), Error> {
    let name = info.name();
    let file = open_file(disk, &name)?;
    match file.size().map_err(failed(&name))? {
        bytes if bytes == info.bytes => Ok(()),
        bytes => Err(damaged(&name, bytes.min(info.bytes), &format!("it has {bytes} bytes of {}", info.bytes))),
    }
}

fn open_file(disk: &dyn Disk, name: &str) -> Result<Box<dyn DiskFile>, Error> {
    match disk.open(name) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Err(Error::Corrupt {
            what: format!("`{name}` is missing\nhint: put the file back, or restore it from a copy"),
        }),
        file => file.map_err(failed(name)),
    }
}
