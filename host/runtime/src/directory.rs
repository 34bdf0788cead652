//! The working directory as a guest has it: the library's, with a limit on what is written and words for what is refused.
//!
//! What leads out of the directory the library refuses by itself. Here it is only told, and what a policy would change is told with the line.

use crate::calls::{Shared, cut};
use crate::grants::{Access, Need};
use crate::state::State;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use wasmtime::component::{LinkerInstance, Resource};
use wasmtime::{StoreContextMut, component::Linker};
use wasmtime_wasi::async_trait;
use wasmtime_wasi::filesystem::{Descriptor, WasiFilesystemView as _};
use wasmtime_wasi::p2::bindings::filesystem::types::{
    DescriptorFlags, ErrorCode, HostDescriptor as _, OpenFlags, PathFlags,
};
use wasmtime_wasi::p2::{DynOutputStream, FsResult, OutputStream, Pollable, StreamError, StreamResult};

/// As the library names it; a guest's older one is the same.
const TYPES: &str = "wasi:filesystem/types@0.2.12";
/// Of a path that is told in a refusal.
const TOLD_BYTES: usize = 200;

/// How much of a limit a write takes, and whether there was room.
fn take(used: &AtomicU64, much: u64, most: u64) -> bool {
    used.fetch_add(much, Ordering::Relaxed).saturating_add(much) <= most
}

impl Shared {
    /// Whether the directory may be changed at all: said with the line that a policy lacks.
    fn may_write(&self) -> Result<(), ErrorCode> {
        self.grants.allow(&Need::WorkingDir).map_err(|refused| {
            self.denied(&refused.message);
            ErrorCode::NotPermitted
        })
    }

    /// Room for bytes that end at `end` in their file. What is deleted does not come back: it may still be open.
    fn room_for(&self, length: u64, end: u64) -> Result<(), ErrorCode> {
        let most = self.limits.working_dir_bytes;
        // A file with a hole costs its reader what it costs nobody to write.
        if end <= most && take(&self.marks.working_dir_bytes, length, most) {
            return Ok(());
        }
        self.denied(&format!(
            "a run writes at most {most} bytes to its working directory, and no file beyond them; hint: split the work over several tasks"
        ));
        Err(ErrorCode::Quota)
    }

    /// Room for one more file, folder or link.
    fn room_for_entry(&self) -> Result<(), ErrorCode> {
        let most = self.limits.working_dir_entries;
        if take(&self.marks.working_dir_entries, 1, most) {
            return Ok(());
        }
        self.denied(&format!(
            "a run makes at most {most} files, folders and links in its working directory; hint: put many small files into one"
        ));
        Err(ErrorCode::Quota)
    }
}

/// What is answered: the outer error is a trap.
type Answer<T> = wasmtime::Result<(Result<T, ErrorCode>,)>;

/// An answer of the library, told to the log where it refused a path.
fn told<T>(shared: &Shared, paths: &[&str], answer: FsResult<T>) -> Answer<T> {
    let error = match answer {
        Ok(value) => return Ok((Ok(value),)),
        Err(error) => error.downcast()?,
    };
    if error == ErrorCode::NotPermitted && !paths.is_empty() {
        let named: Vec<String> = paths
            .iter()
            .map(|path| {
                let mut shown = path.escape_debug().to_string();
                cut(&mut shown, TOLD_BYTES);
                format!("`{shown}`")
            })
            .collect();
        shared.denied(&format!(
            "{} leads out of the working directory: refused; hint: only what is in it can be reached, by relative paths",
            named.join(" or ")
        ));
    }
    Ok((Err(error),))
}

fn refused<T>(code: ErrorCode) -> Answer<T> {
    Ok((Err(code),))
}

/// The function under a name, which asks first and does then what the library does.
macro_rules! guarded {
    ($types:expr, $name:literal, ($($argument:ident: $kind:ty),*) -> $answer:ty,
     ask $shared:ident $ask:block, paths [$($path:ident),*], $filesystem:ident => $work:expr) => {
        $types.func_wrap_async(
            concat!("[method]descriptor.", $name),
            |mut store: StoreContextMut<'_, State>, ($($argument,)*): ($($kind,)*)| {
                Box::new(async move {
                    let $shared = store.data().shared.clone();
                    let asked: Result<(), ErrorCode> = $ask;
                    if let Err(code) = asked {
                        return refused::<$answer>(code);
                    }
                    $(let $path = std::sync::Arc::<str>::from($path);)*
                    let answer: FsResult<$answer> = {
                        let mut $filesystem = store.data_mut().filesystem();
                        $work
                    };
                    told(&$shared, &[$(&*$path),*], answer)
                })
            },
        )?
    };
}

/// Puts our own in place of the library's functions that change a directory or open what is in it.
pub(crate) fn link(linker: &mut Linker<State>) -> wasmtime::Result<()> {
    let mut types = linker.instance(TYPES)?;
    contents(&mut types)?;
    entries(&mut types)
}

type This = Resource<Descriptor>;

fn contents(types: &mut LinkerInstance<'_, State>) -> wasmtime::Result<()> {
    guarded!(types, "write", (this: This, bytes: Vec<u8>, offset: u64) -> u64,
        ask shared {
            let length = bytes.len() as u64;
            shared.may_write().and_then(|()| shared.room_for(length, offset.saturating_add(length)))
        },
        paths [], files => files.write(this, bytes, offset).await);
    guarded!(types, "set-size", (this: This, size: u64) -> (),
        ask shared { shared.may_write().and_then(|()| shared.room_for(size, size)) },
        paths [], files => files.set_size(this, size).await);
    types.func_wrap(
        "[method]descriptor.write-via-stream",
        |mut store: StoreContextMut<'_, State>, (this, offset): (This, u64)| {
            streamed(&mut store, Some(offset), |state| state.filesystem().write_via_stream(this, offset))
        },
    )?;
    types.func_wrap(
        "[method]descriptor.append-via-stream",
        |mut store: StoreContextMut<'_, State>, (this,): (This,)| {
            streamed(&mut store, None, |state| state.filesystem().append_via_stream(this))
        },
    )
}

fn entries(types: &mut LinkerInstance<'_, State>) -> wasmtime::Result<()> {
    guarded!(types, "open-at",
        (this: This, follow: PathFlags, path: String, how: OpenFlags, flags: DescriptorFlags) -> Resource<Descriptor>,
        ask shared {
            let changes = how.intersects(OpenFlags::CREATE | OpenFlags::TRUNCATE | OpenFlags::EXCLUSIVE)
                || flags.intersects(DescriptorFlags::WRITE | DescriptorFlags::MUTATE_DIRECTORY);
            let makes = how.contains(OpenFlags::CREATE);
            let may = if changes && shared.grants.working_dir() != Access::Write { shared.may_write() } else { Ok(()) };
            may.and_then(|()| if makes { shared.room_for_entry() } else { Ok(()) })
        },
        paths [path], files => files.open_at(this, follow, path.to_string(), how, flags).await);
    guarded!(types, "create-directory-at", (this: This, path: String) -> (),
        ask shared { shared.may_write().and_then(|()| shared.room_for_entry()) },
        paths [path], files => files.create_directory_at(this, path.to_string()).await);
    guarded!(types, "symlink-at", (this: This, old: String, new: String) -> (),
        ask shared { shared.may_write().and_then(|()| shared.room_for_entry()) },
        paths [old, new], files => files.symlink_at(this, old.to_string(), new.to_string()).await);
    guarded!(types, "link-at", (this: This, follow: PathFlags, old: String, other: This, new: String) -> (),
        ask shared { shared.may_write().and_then(|()| shared.room_for_entry()) },
        paths [old, new], files => files.link_at(this, follow, old.to_string(), other, new.to_string()).await);
    guarded!(types, "rename-at", (this: This, old: String, other: This, new: String) -> (),
        ask shared { shared.may_write() },
        paths [old, new], files => files.rename_at(this, old.to_string(), other, new.to_string()).await);
    guarded!(types, "unlink-file-at", (this: This, path: String) -> (),
        ask shared { shared.may_write() },
        paths [path], files => files.unlink_file_at(this, path.to_string()).await);
    guarded!(types, "remove-directory-at", (this: This, path: String) -> (),
        ask shared { shared.may_write() },
        paths [path], files => files.remove_directory_at(this, path.to_string()).await);
    guarded!(types, "stat-at", (this: This, follow: PathFlags, path: String) -> wasmtime_wasi::p2::bindings::filesystem::types::DescriptorStat,
        ask _shared { Ok(()) },
        paths [path], files => files.stat_at(this, follow, path.to_string()).await);
    Ok(())
}

/// A stream into a file that counts what goes through it.
fn streamed(
    store: &mut StoreContextMut<'_, State>,
    offset: Option<u64>,
    open: impl FnOnce(&mut State) -> FsResult<Resource<DynOutputStream>>,
) -> Answer<Resource<DynOutputStream>> {
    let shared = store.data().shared.clone();
    if let Err(code) = shared.may_write() {
        return refused(code);
    }
    let opened = open(store.data_mut()).and_then(|opened| {
        let table = &mut store.data_mut().table;
        let inner = table.delete(opened)?;
        let counted: DynOutputStream = Box::new(Counted { inner, shared: shared.clone(), end: offset.unwrap_or(0) });
        Ok(table.push(counted)?)
    });
    told(&shared, &[], opened)
}

struct Counted {
    inner: DynOutputStream,
    shared: Arc<Shared>,
    /// Where the next byte goes in the file; of one that is appended to, how much was appended.
    end: u64,
}

impl Counted {
    fn room(&mut self, length: usize) -> StreamResult<()> {
        self.end = self.end.saturating_add(length as u64);
        self.shared.room_for(length as u64, self.end).map_err(|_| {
            StreamError::LastOperationFailed(std::io::Error::from(std::io::ErrorKind::QuotaExceeded).into())
        })
    }
}

impl OutputStream for Counted {
    fn write(&mut self, bytes: bytes::Bytes) -> StreamResult<()> {
        self.room(bytes.len())?;
        self.inner.write(bytes)
    }

    fn flush(&mut self) -> StreamResult<()> {
        self.inner.flush()
    }

    fn check_write(&mut self) -> StreamResult<usize> {
        self.inner.check_write()
    }
}

#[async_trait]
impl Pollable for Counted {
    async fn ready(&mut self) {
        self.inner.ready().await;
    }
}

/// Marks a file of a working directory as a program for whoever may read it. No part of the path may be a link: it could lead out.
#[cfg(unix)]
pub(crate) fn make_executable(root: &std::path::Path, path: &str) -> std::io::Result<()> {
    use rustix::fs::{FileType, Mode, OFlags, fchmod, fstat, open, openat};
    use std::path::Component;
    let (folder, file) = (OFlags::DIRECTORY | OFlags::NOFOLLOW, OFlags::NOFOLLOW | OFlags::NONBLOCK);
    let flags = |own: OFlags| OFlags::RDONLY | OFlags::CLOEXEC | own;
    let outside = || std::io::Error::other("it is no path of a file in the working directory");
    let mut parts = std::path::Path::new(path).components().filter(|part| *part != Component::CurDir).peekable();
    let mut at = open(root, flags(OFlags::DIRECTORY), Mode::empty())?;
    while let Some(part) = parts.next() {
        let Component::Normal(name) = part else { return Err(outside()) };
        let own = if parts.peek().is_some() { folder } else { file };
        at = openat(&at, name, flags(own), Mode::empty())?;
    }
    let found = fstat(&at)?;
    if FileType::from_raw_mode(found.st_mode) != FileType::RegularFile {
        return Err(outside());
    }
    let readers = found.st_mode & 0o444;
    fchmod(&at, Mode::from_raw_mode((found.st_mode & 0o777) | readers >> 2))?;
    Ok(())
}

/// Where files have no modes there is nothing to do.
#[cfg(not(unix))]
pub(crate) fn make_executable(_root: &std::path::Path, _path: &str) -> std::io::Result<()> {
    Ok(())
}

#[cfg(all(test, unix))]
mod tests {
    use super::make_executable;
    use std::os::unix::fs::{PermissionsExt as _, symlink};

    #[test]
    fn a_file_becomes_a_program_and_nothing_beyond_the_directory_does() {
        let around = tempfile::tempdir().expect("a temporary folder");
        let root = around.path().join("work");
        std::fs::create_dir_all(root.join("a/b")).expect("folders");
        for file in ["work/a/b/run.sh", "out.sh"] {
            std::fs::write(around.path().join(file), "x").expect("a file");
        }
        symlink("../out.sh", root.join("out")).expect("a link");
        symlink("..", root.join("up")).expect("a link");
        let mode =
            |path: &str| std::fs::metadata(around.path().join(path)).expect("it is there").permissions().mode() & 0o777;
        let before = mode("work/a/b/run.sh");
        make_executable(&root, "./a/b/run.sh").expect("a file");
        assert_eq!(mode("work/a/b/run.sh"), before | (before & 0o444) >> 2);
        let plain = mode("out.sh");
        for path in ["../out.sh", "out", "up/out.sh", "/etc/hosts", "a", "", "nothing", "a/../../out.sh"] {
            assert!(make_executable(&root, path).is_err(), "{path}");
        }
        assert_eq!(mode("out.sh"), plain);
    }
}
