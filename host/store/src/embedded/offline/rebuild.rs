//! Makes everything again that follows from rows: the entries of lists, block indexes, filters. What it reads are the
//! blocks of the runs alone, so whatever else is damaged in them does not matter.

use std::cell::RefCell;
use std::fmt;
use std::time::Instant;

use serde::{Deserialize, Serialize};

use super::manifest_of;
use crate::Lsn;
use crate::embedded::base::{to_entry, to_value};
use crate::embedded::disk::{SharedDisk, failed};
use crate::embedded::manifest::{Manifest, Numbers, RunInfo};
use crate::embedded::packs::{self, PackInfo, PackSet};
use crate::embedded::runs::{self, Merged, Reader, RunEntry, Value};
use crate::error::Error;
use crate::index::keys;
use crate::index::table::Entry;
use crate::rows::Kind;

/// Entries of lists that are sorted in memory at once.
const SORTED_AT_ONCE: usize = 500_000;

/// What was made again.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Rebuilt {
    /// Runs that became one.
    pub runs: u64,
    pub rows: u64,
    /// Entries of lists, made from the rows; and how many there were.
    pub entries: u64,
    pub entries_before: u64,
    /// Where the index in sled was made again, if it was.
    pub index: Option<String>,
    pub took_ms: u64,
}

impl fmt::Display for Rebuilt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "made one run of {} in {} ms: {} rows, and {} entries of lists in place of {}",
            self.runs, self.took_ms, self.rows, self.entries, self.entries_before
        )?;
        match &self.index {
            Some(index) => write!(f, "; made `{index}` again"),
            None => Ok(()),
        }
    }
}

/// Makes one run of all, with lists made from its rows.
pub fn rebuild(shared: &SharedDisk) -> Result<Rebuilt, Error> {
    let began = Instant::now();
    let disk = shared.as_ref();
    let mut manifest = manifest_of(disk)?;
    let store = manifest.store_id()?;
    // What a crash has left may have the numbers that are given out next.
    crate::embedded::recovery::remove_leftovers(disk, &manifest)?;
    let numbers = Numbers::from(manifest.next_file);
    let known: Vec<PackInfo> = manifest.packs().cloned().collect();
    let packs = PackSet::default().with(disk, store, known.iter())?;
    let readers: Vec<Reader> =
        manifest.runs.iter().map(|run| Reader::open_blocks(disk, store, run)).collect::<Result<_, _>>()?;
    let mut rebuilt = Rebuilt { runs: manifest.runs.len() as u64, ..Rebuilt::default() };
    // The lists in sorted pieces, each a run of its own until all are one.
    let lists = RefCell::new(Lists { entries: Vec::new(), pieces: Vec::new(), count: 0 });
    let write_piece = || -> Result<(), Error> {
        let mut entries = std::mem::take(&mut lists.borrow_mut().entries);
        entries.sort_unstable_by(|a, b| a.key.cmp(&b.key));
        let piece =
            runs::write(disk, store, (Lsn::START, manifest.checkpoint), &numbers, &[], entries.into_iter().map(Ok))?;
        lists.borrow_mut().pieces.push(piece);
        Ok(())
    };
    let mut rows_of = |entry: Result<RunEntry, Error>| -> Option<Result<RunEntry, Error>> {
        let entry = match entry {
            Ok(entry) => entry,
            Err(error) => return Some(Err(error)),
        };
        if !is_row(&entry.key) {
            rebuilt.entries_before += 1;
            return None;
        }
        rebuilt.rows += 1;
        let pushed = lists.borrow_mut().push(&entry, &packs);
        let full = lists.borrow().entries.len() >= SORTED_AT_ONCE;
        let written = pushed.and_then(|()| if full { write_piece() } else { Ok(()) });
        Some(written.map(|()| entry))
    };
    let rows = Merged::new(readers, true).filter_map(&mut rows_of);
    let of_rows = runs::write(disk, store, (Lsn::START, manifest.checkpoint), &numbers, &known, rows)?;
    write_piece()?;
    let lists = lists.into_inner();
    rebuilt.entries = lists.count;
    let pieces = || std::iter::once(&of_rows).chain(&lists.pieces);
    let readers: Vec<Reader> = pieces().map(|run| Reader::open(disk, store, run)).collect::<Result<_, _>>()?;
    let all = Merged::new(readers, true);
    let run = runs::write(disk, store, (Lsn::START, manifest.checkpoint), &numbers, &known, all)?;
    let before: Vec<RunInfo> =
        if manifest.checkpoint > Lsn::START { std::mem::replace(&mut manifest.runs, vec![run]) } else { vec![run] };
    manifest.next_file = numbers.next();
    manifest.write(disk)?;
    let old = before.iter().map(RunInfo::name).chain(pieces().map(RunInfo::name));
    remove(shared, &manifest, old.chain(known.iter().map(PackInfo::name)))?;
    rebuilt.took_ms = u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX);
    Ok(rebuilt)
}

fn is_row(key: &[u8]) -> bool {
    key.first().is_some_and(|tag| Kind::from_code(*tag).is_some())
}

struct Lists {
    entries: Vec<RunEntry>,
    pieces: Vec<RunInfo>,
    count: u64,
}

impl Lists {
    fn push(&mut self, entry: &RunEntry, packs: &PackSet) -> Result<(), Error> {
        let packed;
        let value = match &entry.value {
            Value::Here(value) => value,
            Value::Packed(place) => {
                packed = packs.get(place)?;
                &packed
            }
            Value::Removed { .. } => return Ok(()),
        };
        let Entry::Row(stored) = to_entry(value)? else {
            return Err(Error::Corrupt { what: "an entry of a list is where a row should be".into() });
        };
        let points = to_value(&Entry::Points(entry.key.as_ref().into()))?;
        for key in keys::entries(&stored.row) {
            self.entries.push(RunEntry { key, value: Value::Here(points.clone()) });
            self.count += 1;
        }
        Ok(())
    }
}

fn remove(disk: &SharedDisk, manifest: &Manifest, names: impl Iterator<Item = String>) -> Result<(), Error> {
    let named: Vec<String> =
        manifest.runs.iter().map(RunInfo::name).chain(manifest.packs().map(PackInfo::name)).collect();
    for name in names.filter(|name| !named.contains(name)) {
        disk.remove(&name).map_err(failed(&name))?;
    }
    for folder in [runs::FOLDER, packs::FOLDER] {
        disk.sync_folder(folder).map_err(failed(folder))?;
    }
    Ok(())
}
