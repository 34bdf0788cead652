//! What the embedded store asks of a disk. The real one is the operating system; the simulated one can lose power.
//!
//! Nothing is promised beyond what POSIX promises: what was written is safe after [`DiskFile::sync`], and a name (made,
//! renamed, removed) is safe after [`Disk::sync_folder`] of its folder. Names are relative, parts joined by `/`.

mod real;
#[cfg(any(test, feature = "simulated"))]
pub mod simulated;

use std::io;
use std::sync::Arc;

use jiff::Timestamp;

pub use real::RealDisk;

use crate::error::Error;

/// A folder of files.
pub trait Disk: Send + Sync + 'static {
    /// Names in a folder, without order; none if there is no such folder.
    fn list(&self, folder: &str) -> io::Result<Vec<String>>;
    /// Makes a folder, if it is not there.
    fn make_folder(&self, folder: &str) -> io::Result<()>;
    /// Makes a new file; one of that name must not be there.
    fn create(&self, name: &str) -> io::Result<Box<dyn DiskFile>>;
    /// Opens a file to read and write.
    fn open(&self, name: &str) -> io::Result<Box<dyn DiskFile>>;
    /// Gives a file another name, in place of what had it.
    fn rename(&self, from: &str, to: &str) -> io::Result<()>;
    /// Removes a file.
    fn remove(&self, name: &str) -> io::Result<()>;
    /// Makes the names in a folder safe.
    fn sync_folder(&self, folder: &str) -> io::Result<()>;
    /// When a file was written, as its writer said.
    fn modified(&self, name: &str) -> io::Result<Timestamp>;
    /// Space left, in bytes.
    fn free_bytes(&self) -> io::Result<u64>;
    /// Keeps other processes out for as long as it is held.
    fn lock(&self, name: &str) -> io::Result<Box<dyn Send + Sync>>;
}

/// An open file.
pub trait DiskFile: Send + Sync {
    /// Its length.
    fn size(&self) -> io::Result<u64>;
    /// Writes all of it at an offset. After an error some of it may have been written.
    fn write_at(&self, offset: u64, bytes: &[u8]) -> io::Result<()>;
    /// Reads at an offset, fewer bytes at the end.
    fn read_at(&self, offset: u64, into: &mut [u8]) -> io::Result<usize>;
    /// Cuts it.
    fn truncate(&self, len: u64) -> io::Result<()>;
    /// Says when it was written.
    fn set_modified(&self, at: Timestamp) -> io::Result<()>;
    /// Makes what was written safe. After an error nothing is known, and trying again would lie.
    fn sync(&self) -> io::Result<()>;
}

/// A whole file.
pub fn read_all(file: &dyn DiskFile) -> io::Result<Vec<u8>> {
    let mut content = vec![0; usize::try_from(file.size()?).map_err(io::Error::other)?];
    let read = file.read_at(0, &mut content)?;
    content.truncate(read);
    Ok(content)
}

/// Writes a whole file under another name, syncs it, and only then gives it its name: all of it is there, or nothing.
pub fn replace(disk: &dyn Disk, folder: &str, name: &str, content: &[u8]) -> io::Result<()> {
    let (temporary, last) = (format!("{folder}{name}.new"), format!("{folder}{name}"));
    match disk.remove(&temporary) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let file = disk.create(&temporary)?;
    file.write_at(0, content)?;
    file.sync()?;
    disk.rename(&temporary, &last)?;
    disk.sync_folder(folder)
}

/// An error of a file, with its name.
pub fn failed(name: &str) -> impl Fn(io::Error) -> Error + '_ {
    move |source| Error::Io { path: name.to_owned(), source }
}

/// A disk that is shared by the parts of a store.
pub type SharedDisk = Arc<dyn Disk>;
