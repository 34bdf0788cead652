//! Runs: what the rows were at a checkpoint, as immutable files sorted by key. The index is rebuilt from them.
//!
//! A run is `header, block*, end`; blocks and the end carry checksums, and the end says how many entries there are, so
//! that neither a flipped bit nor a missing block goes unnoticed. Runs follow each other; a later one wins. Two
//! neighbours become one when the older is not much larger, so that space and work stay proportional to what is live.

use std::iter::Peekable;

use super::disk::{Disk, DiskFile, failed};
use super::journal::StoreId;
use super::manifest::RunInfo;
use crate::Lsn;
use crate::error::Error;

/// Where they are.
pub const FOLDER: &str = "runs/";

const MAGIC: [u8; 8] = *b"SLUICERN";
const FORMAT: u16 = 1;
/// magic, format, store, after, upto, checksum.
const HEADER: usize = 8 + 2 + 16 + 8 + 8 + 4;
/// A block ends once it is so long: one read, one checksum.
const BLOCK_BYTES: usize = 64 * 1024;
/// Length that stands for the end.
const END: u32 = u32::MAX;

/// What a run says of one key: the commit that wrote it, and the row in its stored form; `None`: removed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RunEntry {
    pub key: Box<[u8]>,
    pub version: Lsn,
    pub row: Option<Vec<u8>>,
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
    let mut writer = BlockWriter { file: file.as_ref(), offset: 0, block: Vec::new() };
    let mut rows = 0;
    let written = (|| {
        writer.put(&header(store, after, upto)).map_err(failed(&temporary))?;
        for entry in entries {
            push(&mut writer.block, &entry?);
            rows += 1;
            if writer.block.len() >= BLOCK_BYTES {
                writer.end_block().map_err(failed(&temporary))?;
            }
        }
        writer.end_block().and_then(|()| writer.end(rows)).and_then(|()| file.sync()).map_err(failed(&temporary))
    })();
    if let Err(error) = written {
        // Half a run takes room that a full disk needs; if it cannot be removed the next start does.
        drop(disk.remove(&temporary));
        return Err(error);
    }
    disk.rename(&temporary, &name).map_err(failed(&name))?;
    disk.sync_folder(FOLDER).map_err(failed(FOLDER))?;
    Ok(RunInfo { name, after, upto, bytes: writer.offset, rows })
}

struct BlockWriter<'a> {
    file: &'a dyn DiskFile,
    offset: u64,
    block: Vec<u8>,
}

impl BlockWriter<'_> {
    fn put(&mut self, bytes: &[u8]) -> std::io::Result<()> {
        self.file.write_at(self.offset, bytes)?;
        self.offset += bytes.len() as u64;
        Ok(())
    }

    fn end_block(&mut self) -> std::io::Result<()> {
        if self.block.is_empty() {
            return Ok(());
        }
        let block = std::mem::take(&mut self.block);
        let len = u32::try_from(block.len()).map_err(std::io::Error::other)?;
        let checksum = crc32c::crc32c_append(crc32c::crc32c(&len.to_le_bytes()), &block);
        self.put(&[&len.to_le_bytes()[..], &checksum.to_le_bytes()].concat())?;
        self.put(&block)
    }

    fn end(&mut self, rows: u64) -> std::io::Result<()> {
        let end = [&END.to_le_bytes()[..], &rows.to_le_bytes()].concat();
        let checksum = crc32c::crc32c(&end);
        self.put(&[&end[..], &checksum.to_le_bytes()].concat())
    }
}

fn push(block: &mut Vec<u8>, entry: &RunEntry) {
    let row = entry.row.as_deref();
    block.extend_from_slice(&(entry.key.len() as u32).to_le_bytes());
    block.extend_from_slice(&row.map_or(u32::MAX, |row| row.len() as u32).to_le_bytes());
    block.extend_from_slice(&entry.version.0.to_le_bytes());
    block.extend_from_slice(&entry.key);
    block.extend_from_slice(row.unwrap_or_default());
}

fn pop(block: &mut &[u8]) -> Option<RunEntry> {
    let (key, rest) = block.split_first_chunk::<4>()?;
    let (row, rest) = rest.split_first_chunk::<4>()?;
    let (version, rest) = rest.split_first_chunk::<8>()?;
    let (key, rest) = rest.split_at_checked(u32::from_le_bytes(*key) as usize)?;
    let (row, rest) = match u32::from_le_bytes(*row) {
        u32::MAX => (None, rest),
        len => {
            let (row, rest) = rest.split_at_checked(len as usize)?;
            (Some(row.to_vec()), rest)
        }
    };
    *block = rest;
    Some(RunEntry { key: key.into(), version: Lsn(u64::from_le_bytes(*version)), row })
}

/// Reads a run, entry by entry. Ends with an error at the first thing that is not as it was written.
pub struct Reader {
    name: String,
    file: Box<dyn DiskFile>,
    offset: u64,
    block: Vec<u8>,
    at: usize,
    rows: u64,
    ended: bool,
}

impl Reader {
    /// Opens a run that the manifest names.
    pub fn open(disk: &dyn Disk, store: StoreId, info: &RunInfo) -> Result<Self, Error> {
        let name = info.name.clone();
        let file = disk.open(&name).map_err(failed(&name))?;
        let reader =
            Self { name, file, offset: HEADER as u64, block: Vec::new(), at: 0, rows: 0, ended: false };
        let mut found = vec![0; HEADER];
        let read = reader.file.read_at(0, &mut found).map_err(failed(&reader.name))?;
        if read < HEADER || found != header(store, info.after, info.upto) {
            return Err(reader.damaged(0, "the header is not that of this run"));
        }
        if reader.file.size().map_err(failed(&reader.name))? != info.bytes {
            return Err(reader.damaged(0, "its length is not what the manifest says"));
        }
        Ok(reader)
    }

    fn damaged(&self, offset: u64, what: &str) -> Error {
        Error::Corrupt { what: format!("`{}` at offset {offset}: {what}", self.name) }
    }

    fn read(&self, offset: u64, len: usize) -> Result<Vec<u8>, Error> {
        let mut bytes = vec![0; len];
        let read = self.file.read_at(offset, &mut bytes).map_err(failed(&self.name))?;
        if read < len { Err(self.damaged(offset, "it ends too early")) } else { Ok(bytes) }
    }

    fn next_block(&mut self) -> Result<(), Error> {
        let offset = self.offset;
        let head = self.read(offset, 8)?;
        let len = head.first_chunk::<4>().map_or(0, |len| u32::from_le_bytes(*len));
        if len == END {
            let end = self.read(offset, 16)?;
            let checksum = crc32c::crc32c(end.get(..12).unwrap_or_default()).to_le_bytes();
            if end.get(4..12) != Some(&self.rows.to_le_bytes()[..]) || end.get(12..) != Some(&checksum[..]) {
                return Err(self.damaged(offset, "its end does not fit"));
            }
            self.ended = true;
            return Ok(());
        }
        // A damaged length must not become a huge buffer.
        if u64::from(len) > self.file.size().map_err(failed(&self.name))? {
            return Err(self.damaged(offset, "a block is longer than the file"));
        }
        let block = self.read(offset + 8, len as usize)?;
        let checksum = crc32c::crc32c_append(crc32c::crc32c(&len.to_le_bytes()), &block);
        if head.get(4..) != Some(&checksum.to_le_bytes()[..]) {
            return Err(self.damaged(offset, "the checksum of a block does not fit"));
        }
        self.offset += 8 + u64::from(len);
        self.block = block;
        self.at = 0;
        Ok(())
    }

    fn step(&mut self) -> Result<Option<RunEntry>, Error> {
        while !self.ended && self.at >= self.block.len() {
            self.next_block()?;
        }
        if self.ended {
            return Ok(None);
        }
        let whole = self.block.get(self.at..).unwrap_or_default();
        let mut rest = whole;
        let Some(entry) = pop(&mut rest) else { return Err(self.damaged(self.offset, "an entry does not fit")) };
        self.at += whole.len() - rest.len();
        self.rows += 1;
        Ok(Some(entry))
    }
}

impl Iterator for Reader {
    type Item = Result<RunEntry, Error>;

    fn next(&mut self) -> Option<Self::Item> {
        match self.step() {
            Ok(entry) => entry.map(Ok),
            Err(error) => {
                self.ended = true;
                Some(Err(error))
            }
        }
    }
}

/// Several sorted runs as one: of each key the entry of the latest run.
pub struct Merged<I: Iterator<Item = Result<RunEntry, Error>>> {
    /// Oldest first.
    runs: Vec<Peekable<I>>,
    /// Whether removals are left out: nothing older is there that they would remove.
    whole: bool,
}

impl<I: Iterator<Item = Result<RunEntry, Error>>> Merged<I> {
    /// Merges runs, oldest first. `whole`: nothing is older than the first.
    pub fn new(runs: impl IntoIterator<Item = I>, whole: bool) -> Self {
        Self { runs: runs.into_iter().map(Iterator::peekable).collect(), whole }
    }

    fn step(&mut self) -> Result<Option<RunEntry>, Error> {
        let mut least: Option<Box<[u8]>> = None;
        for run in &mut self.runs {
            match run.peek() {
                Some(Ok(entry)) if least.as_ref().is_none_or(|least| entry.key < *least) => least = Some(entry.key.clone()),
                Some(Err(_)) => return run.next().transpose(),
                _ => {}
            }
        }
        let Some(key) = least else { return Ok(None) };
        let mut latest = None;
        for run in &mut self.runs {
            if let Some(Ok(entry)) = run.next_if(|entry| matches!(entry, Ok(entry) if entry.key == key)) {
                latest = Some(entry);
            }
        }
        Ok(latest)
    }
}

impl<I: Iterator<Item = Result<RunEntry, Error>>> Iterator for Merged<I> {
    type Item = Result<RunEntry, Error>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            match self.step() {
                Ok(Some(entry)) if self.whole && entry.row.is_none() => {}
                other => return other.transpose(),
            }
        }
    }
}

/// How much larger the older of two neighbours may be and still be merged: bounds the runs to about twice what is live,
/// and what merging writes to a few times what was written.
const MERGE_RATIO: u64 = 2;

/// Which runs to merge: the latest ones, from this place on. `None`: they are fine.
pub fn to_merge(runs: &[RunInfo]) -> Option<usize> {
    let mut from = runs.len().checked_sub(1)?;
    let mut bytes = runs.get(from)?.bytes;
    while let Some(older) = from.checked_sub(1).and_then(|at| runs.get(at)) {
        if older.bytes > bytes.saturating_mul(MERGE_RATIO) {
            break;
        }
        bytes += older.bytes;
        from -= 1;
    }
    (from + 1 < runs.len()).then_some(from)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::embedded::disk::simulated::SimulatedDisk;

    const STORE: StoreId = StoreId([3; 16]);

    fn entry(key: &str, version: u64, row: Option<&str>) -> RunEntry {
        RunEntry { key: key.as_bytes().into(), version: Lsn(version), row: row.map(|row| row.as_bytes().to_vec()) }
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
        let old: Vec<RunEntry> =
            vec![entry("a", 1, Some("old")), entry("b", 2, Some(&large)), entry("c", 2, Some("c")), entry("d", 3, None)];
        let new = vec![entry("a", 5, Some("new")), entry("c", 6, None), entry("e", 6, Some(""))];
        let runs = [written(&disk, 0, 3, old.clone()), written(&disk, 3, 6, new.clone())];
        assert_eq!((read(&disk, &runs[0]).unwrap(), read(&disk, &runs[1]).unwrap()), (old, new));
        let open = || runs.iter().map(|info| Reader::open(&disk, STORE, info).unwrap());
        let merged: Vec<RunEntry> = Merged::new(open(), true).map(Result::unwrap).collect();
        assert_eq!(merged, [entry("a", 5, Some("new")), entry("b", 2, Some(&large)), entry("e", 6, Some(""))]);
        let kept: Vec<RunEntry> = Merged::new(open(), false).map(Result::unwrap).collect();
        assert_eq!(kept.iter().filter(|entry| entry.row.is_none()).count(), 2);
    }

    #[test]
    fn any_damage_is_noticed() {
        let disk = SimulatedDisk::new();
        let entries = (0..50).map(|n| entry(&format!("{n:03}"), n, Some(&"v".repeat(n as usize)))).collect();
        let info = written(&disk, 0, 50, entries);
        for offset in 0..info.bytes as usize {
            let damaged = disk.copy();
            damaged.damage(&info.name, |content| content[offset] ^= 1);
            assert!(read(&damaged, &info).is_err(), "at {offset}");
            let damaged = disk.copy();
            damaged.damage(&info.name, |content| content.truncate(offset));
            assert!(read(&damaged, &info).is_err(), "cut at {offset}");
        }
        let empty = written(&disk, 50, 60, Vec::new());
        assert_eq!(read(&disk, &empty).unwrap(), []);
    }

    #[test]
    fn neighbours_merge_when_alike() {
        let run = |bytes| RunInfo { name: String::new(), after: Lsn(0), upto: Lsn(0), bytes, rows: 0 };
        for (bytes, expected) in [
            (&[][..], None),
            (&[100], None),
            (&[100, 10], None),
            (&[100, 10, 10], Some(1)),
            (&[100, 60, 10, 10], Some(2)),
            (&[100, 40, 30, 10, 5], Some(0)),
            (&[10, 100], Some(0)),
        ] {
            assert_eq!(to_merge(&bytes.iter().map(|bytes| run(*bytes)).collect::<Vec<_>>()), expected, "{bytes:?}");
        }
    }
}
