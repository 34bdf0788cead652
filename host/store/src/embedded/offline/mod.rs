//! What can be done with a data directory that nobody has open: look at all of it, count, make derived files again,
//! and, if a human says so, give up what is damaged.
//!
//! Looking never changes anything. What changes something keeps other processes out, and does it in steps that can be
//! done again after a crash.

mod figures;
mod rebuild;
mod repair;
mod verification;

use std::path::Path;
use std::sync::Arc;

pub use figures::{Figures, FileFigures, RowFigures};
pub use rebuild::Rebuilt;
#[cfg(test)]
pub use rebuild::rebuild as rebuild_disk;
#[cfg(test)]
pub use repair::repair as repair_disk;
pub use repair::{AcceptLoss, Repaired};
#[cfg(test)]
pub use verification::verify as verify_disk;
pub use verification::{Problem, Verification};

use super::base::{Base, Opening, RunsShelf, Shelf, SledShelf};
use super::disk::{Disk, RealDisk, SharedDisk, failed};
use super::journal::{self, StoreId};
use super::layers::Layers;
use super::manifest::{self, Manifest};
use super::recovery;
use super::store::{Core, INDEX_FOLDER, Index};
use crate::Lsn;
use crate::error::Error;
use crate::index::table::Table;

/// Looks at everything in a data directory and says all that is wrong with it.
pub fn verify(path: &Path) -> Result<Verification, Error> {
    let (disk, _lock) = to_look(path)?;
    let mut verification = verification::verify(&disk)?;
    let index = path.join(INDEX_FOLDER);
    if index.exists() {
        verification.note_index(&index);
    }
    Ok(verification)
}

/// Counts what is in a data directory.
pub fn stats(path: &Path) -> Result<Figures, Error> {
    let (disk, _lock) = to_look(path)?;
    let mut figures = figures::figures(&disk)?;
    figures.add_files("index", &path.join(INDEX_FOLDER));
    Ok(figures)
}

/// Makes everything again that can be made from something else: one run of all runs, with its lists, its block index
/// and its filter; and the index in sled, where that is used.
pub fn rebuild(path: &Path, index: Index) -> Result<Rebuilt, Error> {
    let (disk, _lock) = to_change(path)?;
    let mut rebuilt = rebuild::rebuild(&disk)?;
    let folder = path.join(INDEX_FOLDER);
    if index == Index::Sled || folder.exists() {
        rebuilt.index = Some(rebuild_sled(&disk, &folder)?);
    }
    Ok(rebuilt)
}

/// Gives up what is damaged in the journal, and everything after it, so that the store opens again. The files as they
/// were are kept aside, in a folder of their own.
pub fn repair(path: &Path, accept: AcceptLoss) -> Result<Repaired, Error> {
    let (disk, _lock) = to_change(path)?;
    repair::repair(&disk, accept)
}

type Lock = Box<dyn Send + Sync>;

fn to_look(path: &Path) -> Result<(SharedDisk, Lock), Error> {
    let disk: SharedDisk = Arc::new(RealDisk::read_only(path).map_err(recovery::cannot_use(path))?);
    lock(disk)
}

fn to_change(path: &Path) -> Result<(SharedDisk, Lock), Error> {
    // One that is not there is not made by who wants to repair it.
    RealDisk::read_only(path).map_err(recovery::cannot_use(path))?;
    let disk: SharedDisk = Arc::new(RealDisk::new(path).map_err(recovery::cannot_use(path))?);
    lock(disk)
}

fn lock(disk: SharedDisk) -> Result<(SharedDisk, Lock), Error> {
    let lock = disk.lock(recovery::LOCK).map_err(recovery::cannot_lock)?;
    Ok((disk, lock))
}

fn manifest_of(disk: &dyn Disk) -> Result<Manifest, Error> {
    Manifest::read(disk)?.ok_or_else(|| Error::Corrupt {
        what: format!(
            "`{}` is missing: this is not a data directory, or its most important file is gone\nhint: check the path; restore the file from a copy",
            manifest::NAME
        ),
    })
}

fn rebuild_sled(disk: &SharedDisk, folder: &Path) -> Result<String, Error> {
    let manifest = manifest_of(disk.as_ref())?;
    let store = manifest.store_id()?;
    let base = SledShelf::new(folder).start_over(&Opening { disk, store, manifest: &manifest })?;
    recovery::copy(disk.as_ref(), base.as_ref(), store, &manifest, 0)?;
    base.verify()?;
    base.close();
    Ok(folder.display().to_string())
}

/// A store as it would be opened, without opening it.
struct Looked {
    manifest: Manifest,
    base: Arc<dyn Base>,
    overlay: Table,
    last: Lsn,
}

impl Looked {
    fn at(disk: &SharedDisk) -> Result<Self, Error> {
        let manifest = manifest_of(disk.as_ref())?;
        let store: StoreId = manifest.store_id()?;
        let base = RunsShelf.open(&Opening { disk, store, manifest: &manifest })?;
        let mut overlay = Core::empty_overlay(manifest.checkpoint);
        let found = journal::look(disk.as_ref(), store, manifest.checkpoint, |lsn, payload| {
            recovery::replay(&mut overlay, base.as_ref(), lsn, journal::effects(payload)?)
        })?;
        match found.damage.first() {
            Some(damage) => Err(damage.error()),
            None => Ok(Self { manifest, base, overlay, last: found.last }),
        }
    }

    fn layers(&self) -> Layers<'_> {
        Layers { tables: [Some(&self.overlay), None], base: self.base.as_ref(), lsn: self.last }
    }
}

/// All files in a folder of the store and below it, with their lengths.
fn files(disk: &dyn Disk, folder: &str) -> Result<Vec<(String, u64)>, Error> {
    let mut found = Vec::new();
    for name in disk.list(folder).map_err(failed(folder))? {
        let name = format!("{folder}{name}");
        let below = files(disk, &format!("{name}/"))?;
        match disk.open(&name).and_then(|file| file.size()) {
            Ok(bytes) if below.is_empty() => found.push((name, bytes)),
            _ => found.extend(below),
        }
    }
    Ok(found)
}
