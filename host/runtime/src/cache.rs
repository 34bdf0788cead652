//! Compiled code on disk, keyed by (sha256 of the component, what compiled code must agree on).
//!
//! The directory holds native code that this process will execute: it is private to its owner and nothing in it ever comes from a
//! registry or a client. A bad entry is a miss. The only place with `unsafe`.

use crate::errors::Error;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::time::SystemTime;
use wasmtime::Engine;
use wasmtime::component::Component;

/// All entries together: some hundred Rust plugins, or 20 of JavaScript or Python.
pub const CACHE_BYTES: u64 = 2 << 30;
/// Files looked at when making room; more than that nobody put there in earnest.
const ENTRIES: usize = 100_000;

/// What the cache had.
pub(crate) enum Loaded {
    /// Code for the first engine.
    Fits(Component),
    /// Code for the fallback; why it does not fit the first.
    FitsOnlyFallback(Component, String),
    /// Nothing, or a bad entry that is gone now.
    Missing,
}

/// A private directory of compiled code.
#[derive(Debug)]
pub struct Cache {
    directory: PathBuf,
    most_bytes: u64,
}

impl Cache {
    /// Opens or makes the directory. Refuses one that others may write to or that is somebody else's.
    pub fn open(directory: &Path, most_bytes: u64) -> Result<Self, Error> {
        std::fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(directory)
            .map_err(|cause| Error::io(directory, cause))?;
        let meta = std::fs::metadata(directory).map_err(|cause| Error::io(directory, cause))?;
        if !meta.is_dir() {
            return Err(Error::host(
                "the code cache cannot be used",
                format!("`{}` is no directory", directory.display()),
            ));
        }
        if meta.uid() != rustix::process::geteuid().as_raw() {
            return Err(Error::host(
                "the code cache cannot be used",
                format!("`{}` belongs to another user; hint: name another directory", directory.display()),
            ));
        }
        if meta.permissions().mode() & 0o077 != 0 {
            std::fs::set_permissions(directory, std::fs::Permissions::from_mode(0o700))
                .map_err(|cause| Error::io(directory, cause))?;
        }
        Ok(Self { directory: directory.to_owned(), most_bytes })
    }

    /// Where the code of a component belongs.
    pub(crate) fn path(&self, digest: &str, compatibility: &str) -> PathBuf {
        self.directory.join(format!("{digest}-{compatibility}.cwasm"))
    }

    /// A file beside the entries, to be filled and handed to [`Cache::keep`].
    pub(crate) fn draft(&self) -> Result<tempfile::NamedTempFile, Error> {
        tempfile::Builder::new()
            .prefix(".draft-")
            .tempfile_in(&self.directory)
            .map_err(|cause| Error::io(&self.directory, cause))
    }

    /// Makes a filled draft the entry, whole or not at all.
    pub(crate) fn keep(
        &self,
        draft: tempfile::NamedTempFile,
        digest: &str,
        compatibility: &str,
    ) -> Result<PathBuf, Error> {
        let path = self.path(digest, compatibility);
        draft.as_file().sync_all().map_err(|cause| Error::io(draft.path(), cause))?;
        draft.persist(&path).map_err(|cause| Error::io(&path, cause.error))?;
        self.make_room(&path);
        Ok(path)
    }

    /// Loads an entry. `fallback` tells a bad entry from a good one that does not fit the first engine's pool.
    pub(crate) fn load(&self, first: &Engine, fallback: &Engine, digest: &str, compatibility: &str) -> Loaded {
        let path = self.path(digest, compatibility);
        if !path.exists() {
            return Loaded::Missing;
        }
        match guarded(first, &path) {
            Ok(component) => Loaded::Fits(component),
            Err(cause) => match guarded(fallback, &path) {
                Ok(component) => Loaded::FitsOnlyFallback(component, cause),
                Err(cause) => {
                    tracing::warn!(path = %path.display(), cause, "bad entry in the code cache: it is compiled anew");
                    let _ = std::fs::remove_file(&path);
                    Loaded::Missing
                }
            },
        }
    }

    /// Deletes the entries longest untouched until all fit. `spare` was just written. Failures are left for the next time.
    fn make_room(&self, spare: &Path) {
        let Ok(entries) = std::fs::read_dir(&self.directory) else { return };
        let mut files: Vec<(SystemTime, u64, PathBuf)> = entries
            .take(ENTRIES)
            .flatten()
            .filter_map(|entry| {
                let meta = entry.metadata().ok().filter(std::fs::Metadata::is_file)?;
                Some((meta.modified().ok()?, meta.len(), entry.path()))
            })
            .collect();
        files.sort();
        let mut total: u64 = files.iter().map(|(_, size, _)| size).sum();
        for (_, size, path) in files {
            if total <= self.most_bytes {
                break;
            }
            // Code that is mapped stays valid when its name goes.
            if path != spare && std::fs::remove_file(&path).is_ok() {
                total = total.saturating_sub(size);
            }
        }
    }
}

/// Reading must not panic on any bytes, but it is not our code.
fn guarded(engine: &Engine, path: &Path) -> Result<Component, String> {
    match std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| load_native(engine, path))) {
        Ok(loaded) => loaded.map_err(|cause| format!("{cause:#}")),
        Err(_) => Err("reading it panicked".to_owned()),
    }
}

#[expect(unsafe_code, reason = "wasmtime cannot prove that a file is code it compiled; this directory is the proof")]
fn load_native(engine: &Engine, path: &Path) -> wasmtime::Result<Component> {
    // SAFETY: the file was written by `compile` of this program into a directory of mode 0700 that belongs to this user, renamed into
    // place only when whole and synced; no path of a registry, an upload or a guest leads there. It is never changed in place. wasmtime
    // refuses code of another version or other settings.
    unsafe { Component::deserialize_file(engine, path) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::{compatibility, compiling_engine};
    use std::io::Write as _;

    const DIGEST: &str = "00";

    fn fill(cache: &Cache, engine: &Engine, bytes: &[u8]) -> PathBuf {
        let draft = cache.draft().expect("a draft");
        draft.as_file().write_all(bytes).expect("written");
        cache.keep(draft, DIGEST, &compatibility(engine)).expect("kept")
    }

    #[test]
    fn bad_entry_is_a_miss_and_goes() {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let cache = Cache::open(&directory.path().join("code"), CACHE_BYTES).expect("a cache");
        let engine = compiling_engine().expect("an engine");
        let load = || cache.load(&engine, &engine, DIGEST, &compatibility(&engine));
        assert!(matches!(load(), Loaded::Missing));

        let good = engine.precompile_component(&wat::parse_str("(component)").expect("wat")).expect("code");
        for bad in [&b""[..], b"garbage", &good[..good.len() / 2]] {
            let path = fill(&cache, &engine, bad);
            assert!(matches!(load(), Loaded::Missing));
            assert!(!path.exists());
        }
        fill(&cache, &engine, &good);
        assert!(matches!(load(), Loaded::Fits(_)));
    }

    #[test]
    fn directory_is_private() {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let path = directory.path().join("code");
        std::fs::create_dir(&path).expect("made");
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o777)).expect("set");
        Cache::open(&path, CACHE_BYTES).expect("a cache");
        assert_eq!(std::fs::metadata(&path).expect("there").permissions().mode() & 0o777, 0o700);
        assert!(Cache::open(Path::new("/proc/version"), CACHE_BYTES).is_err());
    }

    #[test]
    fn room_is_made_for_the_newest() {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let cache = Cache::open(directory.path(), 10).expect("a cache");
        for name in ["a", "b", "c"] {
            let draft = cache.draft().expect("a draft");
            draft.as_file().write_all(&[0; 8]).expect("written");
            cache.keep(draft, name, "x").expect("kept");
        }
        let left: Vec<_> =
            std::fs::read_dir(directory.path()).expect("read").flatten().map(|entry| entry.file_name()).collect();
        assert_eq!(left, ["c-x.cwasm"]);
    }
}
