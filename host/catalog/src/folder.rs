//! Writing into a registry folder: one process at a time, everything synced, and what is half done in folders that scans skip.

use std::fs::{self, File, OpenOptions};
use std::io::Write as _;
use std::path::Path;
use std::time::{Duration, SystemTime};

use crate::error::Error;

/// Held while a registry folder is written to.
const LOCK_FILE: &str = ".lock";
/// Begins the names of folders that are not installed yet, or not any more. Scans skip them.
const WORK_PREFIX: &str = ".work-";
/// A work folder this old was left by a crash: installing takes seconds.
const LEFTOVER_AGE: Duration = Duration::from_secs(3600);

/// Waits until no other process writes to this registry. Given back when the file is dropped, also by a crash.
pub(crate) fn lock(root: &Path) -> Result<File, Error> {
    fs::create_dir_all(root).map_err(Error::io("create", root))?;
    let path = root.join(LOCK_FILE);
    let file =
        OpenOptions::new().create(true).truncate(false).write(true).open(&path).map_err(Error::io("open", &path))?;
    file.lock().map_err(Error::io("lock", &path))?;
    Ok(file)
}

/// A folder of our own in the same file system, gone when dropped. Takes away what crashes left.
pub(crate) fn work_folder(root: &Path) -> Result<tempfile::TempDir, Error> {
    remove_leftovers(root);
    tempfile::Builder::new().prefix(WORK_PREFIX).tempdir_in(root).map_err(Error::io("create a folder in", root))
}

/// Best effort: what cannot be removed now is tried again next time.
fn remove_leftovers(root: &Path) {
    let Ok(entries) = fs::read_dir(root) else {
        return;
    };
    let leftovers =
        entries.filter_map(Result::ok).filter(|entry| entry.file_name().to_string_lossy().starts_with(WORK_PREFIX));
    for entry in leftovers {
        let modified = entry.metadata().and_then(|meta| meta.modified()).ok();
        let age = modified.and_then(|modified| SystemTime::now().duration_since(modified).ok());
        if age.is_some_and(|age| age > LEFTOVER_AGE) {
            let _ = fs::remove_dir_all(entry.path());
        }
    }
}

/// Writes a file that is not there yet.
pub(crate) fn write_synced(path: &Path, bytes: &[u8]) -> Result<(), Error> {
    let mut file = File::create_new(path).map_err(Error::io("create", path))?;
    file.write_all(bytes).map_err(Error::io("write", path))?;
    file.sync_all().map_err(Error::io("sync", path))
}

/// Makes what was created, renamed or removed in a folder last.
pub(crate) fn sync_folder(path: &Path) -> Result<(), Error> {
    File::open(path).and_then(|folder| folder.sync_all()).map_err(Error::io("sync", path))
}
