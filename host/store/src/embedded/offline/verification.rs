//! Looks at everything that is stored and gathers all that is not as it was written.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::path::Path;
use std::time::Instant;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::{Looked, files, manifest_of};
use crate::Lsn;
use crate::embedded::base::{to_entry, to_value};
use crate::embedded::blobs;
use crate::embedded::checkpoint::KEYS_END;
use crate::embedded::disk::{Disk, SharedDisk, failed};
use crate::embedded::journal::{self, StoreId};
use crate::embedded::manifest::{Manifest, RunInfo};
use crate::embedded::packs::{Pack, Place};
use crate::embedded::runs::{self, Value};
use crate::error::Error;
use crate::index::keys;
use crate::index::table::{Entry, Ordered};
use crate::rows::Row;

/// Problems that are named one by one; of more only the number is told.
const NAMED_MOST: usize = 1_000;

/// What looking at everything has found.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Verification {
    /// The last commit that can be read.
    pub last: u64,
    /// Commits in the journal, rows and entries of lists in the runs, values in packs, files of content.
    pub commits: u64,
    pub rows: u64,
    pub entries: u64,
    pub values: u64,
    pub blobs: u64,
    /// Files that were read, and their bytes.
    pub files: u64,
    pub bytes: u64,
    /// Everything that is not as it was written.
    pub problems: Vec<Problem>,
    /// Problems beyond those that are named.
    pub more_problems: u64,
    /// What is no problem and yet worth knowing.
    pub notes: Vec<String>,
    pub took_ms: u64,
}

/// Something that is not as it was written.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Problem {
    /// The file, within the data directory.
    pub file: String,
    /// Where in it.
    pub offset: Option<u64>,
    /// What is wrong, and what to do.
    pub what: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.what)
    }
}

impl Verification {
    /// Whether everything is as it was written.
    pub fn is_sound(&self) -> bool {
        self.problems.is_empty()
    }

    fn problem(&mut self, file: &str, offset: Option<u64>, error: &Error) {
        if self.problems.len() >= NAMED_MOST {
            self.more_problems += 1;
            return;
        }
        // What the error says is what a person reads; file and offset are for who sorts.
        let what = match error {
            Error::Corrupt { what } => what.clone(),
            other => other.to_string(),
        };
        self.problems.push(Problem { file: file.to_owned(), offset, what });
    }

    /// The index in sled is a copy: it is checked when it is opened, and not part of what is true.
    pub(super) fn note_index(&mut self, path: &Path) {
        self.notes.push(format!("`{}` is a copy of the runs: it is checked when it is opened", path.display()));
    }
}

impl fmt::Display for Verification {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "looked at {} files of {} bytes in {} ms: {} commits in the journal, {} rows and {} entries of lists in runs, {} values in packs, {} blobs; the last commit is {}",
            self.files,
            self.bytes,
            self.took_ms,
            self.commits,
            self.rows,
            self.entries,
            self.values,
            self.blobs,
            self.last
        )?;
        for note in &self.notes {
            writeln!(f, "note: {note}")?;
        }
        for problem in &self.problems {
            writeln!(f, "problem: {problem}")?;
        }
        if self.more_problems > 0 {
            writeln!(f, "and {} more problems", self.more_problems)?;
        }
        match self.problems.len() {
            0 => write!(f, "everything is as it was written"),
            number => write!(f, "{} problems", number as u64 + self.more_problems),
        }
    }
}

/// Looks at a disk.
pub fn verify(shared: &SharedDisk) -> Result<Verification, Error> {
    let began = Instant::now();
    let disk = shared.as_ref();
    let mut found = Verification::default();
    let all = files(disk, "")?;
    found.files = all.len() as u64;
    found.bytes = all.iter().map(|(_, bytes)| bytes).sum();
    let manifest = match manifest_of(disk) {
        Ok(manifest) => manifest,
        Err(error) => {
            // Without it nobody can tell what belongs to the store.
            found.problem(crate::embedded::manifest::NAME, Some(0), &error);
            return Ok(found);
        }
    };
    let store = manifest.store_id()?;
    look_at_journal(disk, store, &manifest, &mut found)?;
    let mut places: BTreeMap<u64, BTreeSet<u64>> = BTreeMap::new();
    for run in &manifest.runs {
        look_at_run(disk, store, run, &mut places, &mut found);
    }
    for pack in manifest.packs() {
        let known = places.get(&pack.number).cloned().unwrap_or_default();
        match Pack::open(disk, store, pack) {
            Ok(open) => open.look_at_all(&known, |offset, error| found.problem(&pack.name(), Some(offset), &error)),
            Err(error) => found.problem(&pack.name(), None, &error),
        }
        found.values += pack.values;
    }
    look_at_blobs(disk, &mut found)?;
    if found.is_sound() {
        look_at_rows(shared, &mut found)?;
    }
    for (name, _) in all.iter().filter(|(name, _)| is_leftover(name, &manifest)) {
        found.notes.push(format!("`{name}` belongs to nothing: the next start removes it"));
    }
    found.took_ms = u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX);
    Ok(found)
}

fn is_leftover(name: &str, manifest: &Manifest) -> bool {
    let of_runs = name.starts_with(runs::FOLDER) && !manifest.runs.iter().any(|run| run.name() == name);
    let of_packs =
        name.starts_with(crate::embedded::packs::FOLDER) && !manifest.packs().any(|pack| pack.name() == name);
    of_runs || of_packs || name.starts_with(blobs::UNFINISHED)
}

fn look_at_journal(
    disk: &dyn Disk,
    store: StoreId,
    manifest: &Manifest,
    found: &mut Verification,
) -> Result<(), Error> {
    let mut unread: Vec<(Lsn, Error)> = Vec::new();
    let looked = journal::look(disk, store, manifest.checkpoint, |lsn, payload| {
        if let Err(error) = journal::effects(payload) {
            unread.push((lsn, error));
        }
        Ok(())
    });
    let looked = match looked {
        Ok(looked) => looked,
        Err(error) => {
            found.problem(journal::FOLDER, None, &error);
            return Ok(());
        }
    };
    for damage in &looked.damage {
        found.problem(&damage.name, Some(damage.offset), &damage.error());
    }
    for (lsn, error) in unread {
        let error = Error::Corrupt { what: format!("commit {lsn} in the journal: {error}") };
        found.problem(journal::FOLDER, None, &error);
    }
    if let Some(cut) = &looked.cut {
        found.notes.push(format!(
            "the last {} bytes of `{}`, from offset {} on, were never synced: the next start cuts them",
            cut.bytes, cut.name, cut.offset
        ));
    }
    if looked.damage.is_empty() && looked.last < manifest.known {
        let error = crate::embedded::recovery::too_short(looked.last, manifest.known, looked.cut.as_ref());
        found.problem(journal::FOLDER, None, &error);
    }
    found.last = looked.last.0;
    found.commits = looked.replayed;
    Ok(())
}

/// Reads a run block by block, going on behind a damaged one.
fn look_at_run(
    disk: &dyn Disk,
    store: StoreId,
    info: &RunInfo,
    places: &mut BTreeMap<u64, BTreeSet<u64>>,
    found: &mut Verification,
) {
    let name = info.name();
    let mut rows = 0;
    let looked = runs::look(disk, store, info, |offset, entry| match entry {
        Err(error) => found.problem(&name, Some(offset), &error),
        Ok(entry) => {
            rows += 1;
            match &entry.value {
                Value::Packed(Place { pack, block, .. }) => {
                    places.entry(*pack).or_default().insert(*block);
                }
                Value::Here(value) => {
                    if let Err(error) = to_entry(value) {
                        found.problem(&name, Some(offset), &error);
                    }
                }
                Value::Removed { .. } => {}
            }
        }
    });
    match looked {
        Err(error) => found.problem(&name, None, &error),
        Ok(()) if rows != info.rows && found.problems.iter().all(|problem| problem.file != name) => {
            let what = format!("`{name}` has {rows} entries of {}\nhint: restore the file from a copy", info.rows);
            found.problem(&name, None, &Error::Corrupt { what });
        }
        Ok(()) => {}
    }
}

fn look_at_blobs(disk: &dyn Disk, found: &mut Verification) -> Result<(), Error> {
    for (name, bytes) in files(disk, blobs::FOLDER)? {
        if name.starts_with(blobs::UNFINISHED) {
            continue;
        }
        let file = disk.open(&name).map_err(failed(&name))?;
        let mut hash = Sha256::new();
        let mut offset = 0;
        let mut piece = vec![0; crate::BLOB_PIECE];
        while offset < bytes {
            let read = file.read_at(offset, &mut piece).map_err(failed(&name))?;
            if read == 0 {
                break;
            }
            hash.update(piece.get(..read).unwrap_or_default());
            offset += read as u64;
        }
        found.blobs += 1;
        if name.rsplit('/').next() != Some(&crate::hex(&hash.finalize())) {
            let what = format!("`{name}` is not what was written\nhint: restore it from a copy");
            found.problem(&name, Some(0), &Error::Corrupt { what });
        }
    }
    Ok(())
}

/// Whether the lists say what the rows say, and every file's content is there.
fn look_at_rows(disk: &SharedDisk, found: &mut Verification) -> Result<(), Error> {
    let looked = Looked::at(disk)?;
    let layers = looked.layers();
    let mut from: Vec<u8> = Vec::new();
    let (mut entries, mut expected) = (0_u64, 0_u64);
    while let Some((key, entry)) = layers.first(&from, KEYS_END)? {
        match entry {
            Entry::Points(_) => entries += 1,
            Entry::Row(stored) => {
                found.rows += 1;
                if keys::key_bytes(&stored.row.key()) != key {
                    let what = format!("`{}` is kept under another key", stored.row.key());
                    found.problem(runs::FOLDER, None, &Error::Corrupt { what });
                }
                let points = to_value(&Entry::Points(key.as_ref().into()))?;
                for index in keys::entries(&stored.row) {
                    expected += 1;
                    let there = layers.get(&index)?.map(|entry| to_value(&entry)).transpose()?;
                    if there.as_ref() != Some(&points) {
                        let what = format!(
                            "`{}` is not in all its lists\nhint: `sluice store rebuild` makes them again",
                            stored.row.key()
                        );
                        found.problem(runs::FOLDER, None, &Error::Corrupt { what });
                    }
                }
                if let Row::File(file) = &stored.row
                    && !blobs::is_there(disk.as_ref(), &file.content)?
                {
                    let name = blobs::name_of(&file.content.id);
                    let what = format!(
                        "`{name}` is missing or not as long as it was: it is the content of file `{}`\nhint: restore it from a copy",
                        file.path
                    );
                    found.problem(&name, None, &Error::Corrupt { what });
                }
            }
        }
        from = [&*key, &[0]].concat();
    }
    found.entries = entries;
    if entries != expected {
        let what = format!(
            "the lists have {entries} entries, the rows need {expected}\nhint: `sluice store rebuild` makes them again"
        );
        found.problem(runs::FOLDER, None, &Error::Corrupt { what });
    }
    Ok(())
}
