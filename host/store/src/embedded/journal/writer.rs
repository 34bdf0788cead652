//! Writes the journal: one group at a time, one write and one sync each. Used by one thread at a time.
//!
//! A failed sync is the end: what the kernel then thinks is written is unknown, and trying again would lie. A full disk
//! is not: what was half written is cut off again, and the group is kept for the next try.

use std::io;

use super::{
    FOLDER, HEADER, RecordKind, SegmentInfo, StoreId, push_effects, push_record, remove_upto, segment_name, write_tip,
};
use crate::Lsn;
use crate::embedded::disk::{DiskFile, SharedDisk, failed};
use crate::error::Error;
use crate::index::stage::Effect;

/// How far a segment is made longer at once, ahead of what is written: within a file of the same length a sync need not
/// write the length down, which is a third of its time.
const AHEAD: u64 = 1 << 20;
/// A group so long pays for its own length: making room for it would double what is written.
const LONG_GROUP: usize = 16 << 10;

/// How the journal is written.
#[derive(Clone, Debug)]
pub struct Options {
    /// A new segment is begun once one is so long.
    pub segment_bytes: u64,
}

impl Default for Options {
    fn default() -> Self {
        // Small enough that a checkpoint soon gives space back, large enough that making one is rare.
        Self { segment_bytes: 64 << 20 }
    }
}

/// Why a group was not written.
#[derive(Debug)]
pub enum WriteError {
    /// There is no room. Nothing of the group is in the journal; it can be tried again.
    Full(String),
    /// Nothing is known any more. Never try again.
    Fatal(Error),
}

/// The end of the journal.
pub struct Writer {
    disk: SharedDisk,
    store: StoreId,
    options: Options,
    segments: Vec<SegmentInfo>,
    file: Option<Box<dyn DiskFile>>,
    /// Where the next group goes in the present segment.
    offset: u64,
    /// Where the present segment ends; zeros fill the rest.
    length: u64,
    /// The last commit that was written and synced.
    last: Lsn,
    /// Whether a mark follows the last group.
    marked: bool,
    buffer: Vec<u8>,
    /// Something failed after which nothing is known.
    ended: bool,
    /// Syncs so far: what a server counts per task.
    pub syncs: u64,
}

impl Writer {
    /// Goes on after what was found. The first group makes a new segment, so that all older ones are whole.
    pub fn new(disk: SharedDisk, store: StoreId, options: Options, segments: Vec<SegmentInfo>, last: Lsn) -> Self {
        let buffer = Vec::new();
        Self {
            disk,
            store,
            options,
            segments,
            file: None,
            offset: 0,
            length: 0,
            last,
            marked: true,
            buffer,
            ended: false,
            syncs: 0,
        }
    }

    /// Everything up to a commit is safe elsewhere: removes the segments that hold nothing after it. With nothing left
    /// to say, the journal is empty, so that a store at rest takes no room for it.
    pub fn forget(&mut self, upto: Lsn) -> Result<(), Error> {
        let keep = if self.last <= upto {
            self.file = None;
            if !self.segments.is_empty() {
                write_tip(self.disk.as_ref(), None, self.last).map_err(failed(FOLDER))?;
            }
            0
        } else {
            1
        };
        remove_upto(self.disk.as_ref(), &mut self.segments, upto, keep).map(drop)
    }

    /// Bytes in all segments.
    pub fn bytes(&self) -> u64 {
        self.segments.iter().map(|segment| segment.bytes).sum()
    }

    /// Writes commits and makes them safe. They follow the last one without gaps.
    pub fn write(&mut self, commits: &[(Lsn, Vec<Effect>)]) -> Result<Lsn, WriteError> {
        if self.ended {
            return Err(WriteError::Fatal(Error::ReadOnly { reason: "the journal failed before".into() }));
        }
        let written = self.write_group(commits);
        self.ended = matches!(written, Err(WriteError::Fatal(_)));
        written
    }

    fn write_group(&mut self, commits: &[(Lsn, Vec<Effect>)]) -> Result<Lsn, WriteError> {
        let Some((group, _)) = commits.first() else { return Ok(self.last) };
        if group.0 != self.last.0 + 1 {
            return Err(WriteError::Fatal(Error::Misuse(format!("commit {group} does not follow {}", self.last))));
        }
        self.buffer.clear();
        for (lsn, effects) in commits {
            push_record(&mut self.buffer, *lsn, *group, RecordKind::Commit, |out| push_effects(out, effects))
                .map_err(WriteError::Fatal)?;
        }
        if self.file.is_none() || self.offset >= self.options.segment_bytes {
            self.begin_segment(*group)?;
        }
        if self.buffer.len() < LONG_GROUP {
            self.make_room();
        }
        self.append()?;
        let name = self.name();
        if let Some(file) = &self.file {
            file.sync().map_err(|error| WriteError::Fatal(failed(&name)(error)))?;
        }
        self.syncs += 1;
        self.marked = false;
        self.last = commits.last().map_or(self.last, |(lsn, _)| *lsn);
        Ok(self.last)
    }

    /// Leaves a proof that the last group was synced, for the case that nothing follows it. Not synced itself: it is
    /// worth something as soon as the system gets to it.
    pub fn mark(&mut self) {
        if self.marked || self.ended || self.file.is_none() {
            return;
        }
        self.buffer.clear();
        let next = Lsn(self.last.0 + 1);
        let pushed = push_record(&mut self.buffer, next, next, RecordKind::Mark, |_| Ok(()));
        // Without the mark nothing is lost but the proof.
        self.marked = pushed.is_ok() && self.append().is_ok();
    }

    /// Writes down what is safe, where a damaged end of the journal cannot be taken for one that was never synced. Costs
    /// a sync, so only when nobody is in a hurry.
    pub fn rest(&mut self) -> Result<(), Error> {
        let newest = self.segments.last().map(|segment| segment.first).filter(|_| self.file.is_some());
        if self.ended || newest.is_none() {
            return Ok(());
        }
        self.cut_room();
        self.syncs += 2;
        write_tip(self.disk.as_ref(), newest, self.last).map_err(failed(FOLDER))
    }

    /// Zeros behind the next group, if it would make the segment longer.
    fn make_room(&mut self) {
        let Some(file) = &self.file else { return };
        let needed = self.offset + self.buffer.len() as u64;
        if needed <= self.length {
            return;
        }
        let ahead = AHEAD.min(self.options.segment_bytes / 4);
        let zeros = vec![0; (needed + ahead - self.length) as usize];
        // Without them all is as well, and slower. Half written they are zeros too.
        if file.write_at(self.length, &zeros).is_ok() {
            self.length = needed + ahead;
        }
    }

    /// Cuts the zeros off a segment that gets no more groups.
    fn cut_room(&mut self) {
        if let Some(file) = self.file.as_ref().filter(|_| self.length > self.offset) {
            // They are no harm, but take room.
            if file.truncate(self.offset).is_ok() {
                self.length = self.offset;
            }
        }
    }

    fn append(&mut self) -> Result<(), WriteError> {
        let name = self.name();
        let Some(file) = &self.file else { return Ok(()) };
        match file.write_at(self.offset, &self.buffer) {
            Ok(()) => {}
            Err(error) if is_full(&error) => {
                // What was half written must not look like a record that was synced.
                file.truncate(self.offset).map_err(|error| WriteError::Fatal(failed(&name)(error)))?;
                self.length = self.offset;
                return Err(WriteError::Full(format!("`{name}`: {error}")));
            }
            Err(error) => return Err(WriteError::Fatal(failed(&name)(error))),
        }
        self.offset += self.buffer.len() as u64;
        self.length = self.length.max(self.offset);
        if let Some(segment) = self.segments.last_mut() {
            segment.bytes = self.offset;
        }
        Ok(())
    }

    fn name(&self) -> String {
        self.segments.last().map(|segment| segment.name.clone()).unwrap_or_default()
    }

    /// Begins a segment: its header and its name are safe before anything is written to it.
    fn begin_segment(&mut self, first: Lsn) -> Result<(), WriteError> {
        self.cut_room();
        let name = segment_name(first);
        let made = self.make_segment(&name, first);
        let file = match made {
            Ok(file) => file,
            Err(error) => {
                // It holds nothing yet: away with it, so that the next try finds its name free.
                if is_full(&error) && self.disk.remove(&name).is_ok() {
                    return Err(WriteError::Full(format!("`{name}`: {error}")));
                }
                return Err(WriteError::Fatal(failed(&name)(error)));
            }
        };
        // The segment, its name, and the tip with its name.
        self.syncs += 4;
        self.file = Some(file);
        self.offset = HEADER as u64;
        self.length = self.offset;
        self.segments.push(SegmentInfo { name, first, bytes: self.offset });
        Ok(())
    }

    fn make_segment(&mut self, name: &str, first: Lsn) -> io::Result<Box<dyn DiskFile>> {
        // Begun before a crash, but nothing was written to it: it is whole, and goes on from its header.
        let begun = self.segments.last().is_some_and(|segment| segment.name == name);
        let file = if begun {
            self.segments.pop();
            let file = self.disk.open(name)?;
            file.truncate(HEADER as u64)?;
            file
        } else {
            let file = self.disk.create(name)?;
            file.write_at(0, &super::header(self.store, first))?;
            file
        };
        file.sync()?;
        self.disk.sync_folder(FOLDER)?;
        write_tip(self.disk.as_ref(), Some(first), self.last)?;
        Ok(file)
    }
}

fn is_full(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
}
