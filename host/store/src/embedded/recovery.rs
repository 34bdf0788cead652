//! Opening a store: what is there, whether it fits together, and what has to be done before it can be used.
//!
//! Repairs only what cannot lose anything: cuts a tail that was never synced, rebuilds the index, removes leftovers
//! that nothing names. Everything else is refused with the file's name.

use std::fmt;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::base::{Base, Change, Opening, Shelf};
use super::disk::{Disk, SharedDisk, failed};
use super::journal::{self, Cut, SegmentInfo, StoreId};
use super::layers::Layers;
use super::manifest::{self, Manifest};
use super::packs::{self, PackSet};
use super::runs::{self, Merged, Reader, unpacked};
use super::store::Core;
use crate::Lsn;
use crate::error::Error;
use crate::index::stage::{Effect, Stage};
use crate::index::table::Table;

/// What keeps a second server out.
pub const LOCK: &str = "lock";
/// Names a data directory may have before its manifest is written.
const OWN_NAMES: &[&str] = &[
    LOCK,
    "manifest.new",
    "journal",
    "runs",
    "packs",
    "index",
    "index.seal",
    "index.unsound",
    "index.damaged",
    "blobs",
];
/// Keys that go into an index at once: bounds the memory of a rebuild.
pub const COPIED_AT_ONCE: usize = 50_000;

/// What was found and done when a store was opened.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// The store was made just now.
    pub created: bool,
    /// The last commit.
    pub last: Lsn,
    /// Up to where the runs have it all.
    pub checkpoint: Lsn,
    /// Files it is made of.
    pub runs: usize,
    pub packs: usize,
    pub segments: usize,
    /// Commits that were read from the journal.
    pub replayed: u64,
    /// Why the index was rebuilt, if it was.
    pub rebuilt: Option<String>,
    /// What was cut from the journal: it was never synced.
    pub cut: Option<String>,
    /// Files that a crash had left behind.
    pub removed: Vec<String>,
    /// Room on the disk, and how much is kept in reserve, where there is less than that.
    pub crowded: Option<(u64, u64)>,
    pub took: Duration,
    /// How long it took to make a run of a journal that had become too long.
    pub settled: Option<Duration>,
}

/// Leftovers that are named one by one.
const NAMED_LEFTOVERS: usize = 5;

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.created {
            write!(f, "made a new store")?;
        } else {
            write!(
                f,
                "opened at commit {} in {} ms: {} runs and {} packs up to commit {}, {} commits from {} segments of the journal",
                self.last,
                self.took.as_millis(),
                self.runs,
                self.packs,
                self.checkpoint,
                self.replayed,
                self.segments
            )?;
        }
        if let Some(why) = &self.rebuilt {
            write!(f, "; rebuilt the index, which had not fitted: {}", why.replace('\n', ", "))?;
        }
        if let Some(cut) = &self.cut {
            write!(f, "; {cut}")?;
        }
        if !self.removed.is_empty() {
            let named: Vec<&str> = self.removed.iter().take(NAMED_LEFTOVERS).map(String::as_str).collect();
            write!(f, "; removed {} leftovers of a crash: {}", self.removed.len(), named.join(", "))?;
        }
        if let Some(settled) = self.settled {
            write!(f, "; the journal was long and is a run now, which took {} ms", settled.as_millis())?;
        }
        if let Some((free, reserve)) = self.crowded {
            write!(
                f,
                "; read-only until there is room: {free} bytes are free on its disk, {reserve} are kept in reserve"
            )?;
        }
        Ok(())
    }
}

/// What an opened store begins with.
pub struct Recovered {
    pub store: StoreId,
    pub manifest: Manifest,
    pub base: Arc<dyn Base>,
    pub overlay: Table,
    pub segments: Vec<SegmentInfo>,
    pub last: Lsn,
    pub lock: Box<dyn Send + Sync>,
}

/// Opens what is there, or makes a new store.
pub fn open(shared: &SharedDisk, shelf: &dyn Shelf) -> Result<(Recovered, Report), Error> {
    open_or_make(shared, shelf).map_err(|error| match error {
        // Whatever file it was about: what to do is the same, and is told where the reason is.
        Error::Io { path, source } => match hint_for(source.kind()) {
            Some(hint) if !source.to_string().contains("hint:") => {
                Error::Io { path, source: std::io::Error::new(source.kind(), format!("{source}\nhint: {hint}")) }
            }
            _ => Error::Io { path, source },
        },
        other => other,
    })
}

fn open_or_make(shared: &SharedDisk, shelf: &dyn Shelf) -> Result<(Recovered, Report), Error> {
    let began = Instant::now();
    let disk = shared.as_ref();
    refuse_foreign(disk)?;
    let lock = disk.lock(LOCK).map_err(cannot_lock)?;
    let mut report = Report::default();
    let manifest = match Manifest::read(disk)? {
        Some(manifest) => manifest,
        None => {
            report.created = true;
            make(disk)?
        }
    };
    // Names that an earlier process gave may not be safe yet either.
    for folder in ["", runs::FOLDER] {
        disk.sync_folder(folder).map_err(failed(if folder.is_empty() { "." } else { folder }))?;
    }
    let store = manifest.store_id()?;
    report.removed = remove_leftovers(disk, &manifest)?;
    disk.sync_folder(packs::FOLDER).map_err(failed(packs::FOLDER))?;
    let base = open_base(shared, shelf, store, &manifest, &mut report)?;
    let mut overlay = Core::empty_overlay(manifest.checkpoint);
    let found = journal::read(disk, store, manifest.checkpoint, |lsn, payload| {
        replay(&mut overlay, base.as_ref(), lsn, journal::effects(payload)?)
    })?;
    let known = manifest.known.max(base.applied());
    if found.last < known {
        return Err(too_short(found.last, known, found.cut.as_ref()));
    }
    report.last = found.last;
    report.checkpoint = manifest.checkpoint;
    report.runs = manifest.runs.len();
    report.packs = manifest.packs().count();
    report.segments = found.segments.len();
    report.replayed = found.replayed;
    report.cut = found.cut.as_ref().map(cut_in_words);
    report.took = began.elapsed();
    let recovered = Recovered { store, manifest, base, overlay, segments: found.segments, last: found.last, lock };
    Ok((recovered, report))
}

/// What to do about a kind of failure that has nothing to do with one file.
fn hint_for(kind: std::io::ErrorKind) -> Option<&'static str> {
    use std::io::ErrorKind;
    match kind {
        ErrorKind::NotFound => Some("check the path: nothing is there"),
        ErrorKind::NotADirectory => Some("check the path: a file is where the data directory should be"),
        ErrorKind::PermissionDenied => Some("give the user that runs this the right to read and write there"),
        ErrorKind::ReadOnlyFilesystem => Some("mount its file system to write, or name another directory"),
        ErrorKind::StorageFull | ErrorKind::QuotaExceeded => Some("free space on its disk, then start again"),
        _ => None,
    }
}

/// A folder that cannot be used at all.
pub fn cannot_use(path: &Path) -> impl Fn(std::io::Error) -> Error + '_ {
    move |source| {
        let hint = hint_for(source.kind()).unwrap_or("name a directory on a local disk");
        let source = std::io::Error::new(source.kind(), format!("{source}\nhint: {hint}"));
        Error::Io { path: path.display().to_string(), source }
    }
}

/// The lock is the first file that is written: what cannot be written to is noticed here.
pub fn cannot_lock(source: std::io::Error) -> Error {
    match source.kind() {
        std::io::ErrorKind::ResourceBusy => failed(LOCK)(source),
        _ => cannot_use(Path::new(LOCK))(source),
    }
}

/// The journal lacks commits that are known to have been safe.
pub fn too_short(last: Lsn, known: Lsn, cut: Option<&Cut>) -> Error {
    let cut = cut.map(|cut| format!(" ({})", cut_in_words(cut))).unwrap_or_default();
    Error::Corrupt {
        what: format!(
            "the journal ends at commit {last}, but commit {known} was safe{cut}\nhint: restore the newest file of `{}` from a copy; `sluice store repair --accept-loss` gives up what is missing",
            journal::FOLDER,
        ),
    }
}

fn cut_in_words(cut: &Cut) -> String {
    format!(
        "cut the last {} bytes of `{}` at offset {}: they were never synced, nobody was told of what was in them",
        cut.bytes, cut.name, cut.offset
    )
}

/// Of a folder that is somebody else's nothing is touched: not even a lock is put there.
fn refuse_foreign(disk: &dyn Disk) -> Result<(), Error> {
    let names = disk.list("").map_err(failed("."))?;
    if names.iter().any(|name| name == manifest::NAME) {
        return Ok(());
    }
    match names.into_iter().find(|name| !OWN_NAMES.contains(&name.as_str())) {
        Some(found) => Err(Error::Foreign { found, missing: manifest::NAME }),
        None => Ok(()),
    }
}

fn make(disk: &dyn Disk) -> Result<Manifest, Error> {
    for folder in [journal::FOLDER, runs::FOLDER, packs::FOLDER] {
        if let Some(name) = disk.list(folder).map_err(failed(folder))?.iter().find(|name| !name.ends_with(".new")) {
            return Err(Error::Corrupt {
                what: format!(
                    "`{folder}{name}` is there, but `{}` is missing\nhint: restore it from a copy",
                    manifest::NAME
                ),
            });
        }
        disk.make_folder(folder).map_err(failed(folder))?;
    }
    disk.sync_folder("").map_err(failed("."))?;
    let manifest = Manifest::new(StoreId(uuid::Uuid::new_v4().into_bytes()));
    manifest.write(disk)?;
    Ok(manifest)
}

/// Removes what a crash in a checkpoint has left: runs and packs that the manifest does not name.
pub fn remove_leftovers(disk: &dyn Disk, manifest: &Manifest) -> Result<Vec<String>, Error> {
    let mut removed = Vec::new();
    for name in disk.list(runs::FOLDER).map_err(failed(runs::FOLDER))? {
        let name = format!("{}{name}", runs::FOLDER);
        let is_run = name.ends_with(".run") || name.ends_with(".run.new");
        if is_run && !manifest.runs.iter().any(|run| run.name() == name) {
            disk.remove(&name).map_err(failed(&name))?;
            removed.push(name);
        }
    }
    disk.make_folder(packs::FOLDER).map_err(failed(packs::FOLDER))?;
    for name in disk.list(packs::FOLDER).map_err(failed(packs::FOLDER))? {
        let name = format!("{}{name}", packs::FOLDER);
        let is_pack = name.ends_with(".pack") || name.ends_with(".pack.new");
        if is_pack && !manifest.packs().any(|pack| pack.name() == name) {
            disk.remove(&name).map_err(failed(&name))?;
            removed.push(name);
        }
    }
    let mut after = Lsn::START;
    for run in &manifest.runs {
        if run.after != after {
            return Err(Error::Corrupt { what: format!("`{}` does not follow commit {after}", run.name()) });
        }
        after = run.upto;
        runs::exists(disk, run)?;
    }
    if after != manifest.checkpoint {
        return Err(Error::Corrupt { what: format!("the runs end at commit {after}, not at {}", manifest.checkpoint) });
    }
    Ok(removed)
}

fn open_base(
    disk: &SharedDisk,
    shelf: &dyn Shelf,
    store: StoreId,
    manifest: &Manifest,
    report: &mut Report,
) -> Result<Arc<dyn Base>, Error> {
    let opening = Opening { disk, store, manifest };
    let why = match shelf.open(&opening) {
        Ok(base) if base.applied() == manifest.checkpoint => return Ok(base),
        Ok(base) => match catch_up(disk.as_ref(), base.as_ref(), store, manifest)? {
            true => return Ok(base),
            false => format!("it ends at commit {}, the checkpoint is {}", base.applied(), manifest.checkpoint),
        },
        Err(error) if !shelf.is_copy() => return Err(error),
        Err(error) => error.to_string(),
    };
    let base = shelf.start_over(&opening)?;
    if manifest.checkpoint > Lsn::START {
        report.rebuilt = Some(why);
    }
    copy(disk.as_ref(), base.as_ref(), store, manifest, 0)?;
    Ok(base)
}

/// Gives an index that is behind what the later runs have. Whether it could be done: a run that nothing is older than
/// does not say what was removed.
fn catch_up(disk: &dyn Disk, base: &dyn Base, store: StoreId, manifest: &Manifest) -> Result<bool, Error> {
    let applied = base.applied();
    let later = manifest.runs.iter().position(|run| run.after <= applied && applied < run.upto);
    match later.filter(|first| *first > 0) {
        Some(later) => copy(disk, base, store, manifest, later).map(|()| true),
        None => Ok(false),
    }
}

/// Copies the runs from a place on into an index.
pub fn copy(disk: &dyn Disk, base: &dyn Base, store: StoreId, manifest: &Manifest, from: usize) -> Result<(), Error> {
    let runs = manifest.runs.get(from..).unwrap_or_default();
    let readers: Result<Vec<Reader>, Error> = runs.iter().map(|run| Reader::open(disk, store, run)).collect();
    let packs = PackSet::default().with(disk, store, runs.iter().flat_map(|run| &run.packs))?;
    // Until all is there it is up to where it was: a crash now means doing it again.
    let before = base.applied();
    let mut changes: Vec<Change> = Vec::new();
    for entry in unpacked(Merged::new(readers?, from == 0), &packs, |_| true) {
        let entry = entry?;
        changes.push((entry.key, entry.value.here()));
        if changes.len() >= COPIED_AT_ONCE {
            base.apply(before, std::mem::take(&mut changes))?;
        }
    }
    base.apply(manifest.checkpoint, changes)
}

pub fn replay(overlay: &mut Table, base: &dyn Base, lsn: Lsn, effects: Vec<Effect>) -> Result<(), Error> {
    let layers = Layers { tables: [Some(overlay), None], base, lsn };
    let mut stage = Stage::new(&layers, lsn);
    for effect in effects {
        match effect {
            Effect::Put(row) => stage.put(row)?,
            Effect::Delete(key) => stage.delete(&key)?,
        }
    }
    for (key, entry) in stage.done().changes {
        overlay.write_durable(lsn, key, entry);
    }
    overlay.advance(lsn);
    Ok(())
}
