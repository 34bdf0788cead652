//! The disk of the operating system: one folder, nothing outside of it.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use jiff::Timestamp;

use super::{Disk, DiskFile};

/// A folder of the operating system.
#[derive(Debug)]
pub struct RealDisk {
    root: PathBuf,
    access: Access,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Access {
    Write,
    /// Nothing in the folder changes, whoever asks for it.
    Read,
}

impl RealDisk {
    /// A folder, made if it is not there. Its own name is made safe as well.
    pub fn new(root: impl Into<PathBuf>) -> io::Result<Self> {
        let root = root.into();
        if !root.is_dir() {
            fs::create_dir_all(&root)?;
            if let Some(above) = root.parent().filter(|above| !above.as_os_str().is_empty()) {
                File::open(above)?.sync_all()?;
            }
        }
        Ok(Self { root, access: Access::Write })
    }

    /// A folder that is there, to look at: whatever would change it fails.
    pub fn read_only(root: impl Into<PathBuf>) -> io::Result<Self> {
        let root = root.into();
        fs::read_dir(&root)?;
        Ok(Self { root, access: Access::Read })
    }

    fn may_write(&self) -> io::Result<()> {
        match self.access {
            Access::Write => Ok(()),
            Access::Read => Err(io::Error::new(io::ErrorKind::ReadOnlyFilesystem, "it is only looked at")),
        }
    }

    /// Where it is.
    pub fn root(&self) -> &Path {
        &self.root
    }
}

impl Disk for RealDisk {
    fn list(&self, folder: &str) -> io::Result<Vec<String>> {
        let entries = match fs::read_dir(self.root.join(folder)) {
            Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {
                return Ok(Vec::new());
            }
            entries => entries?,
        };
        entries.map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned())).collect()
    }

    fn make_folder(&self, folder: &str) -> io::Result<()> {
        self.may_write()?;
        fs::create_dir_all(self.root.join(folder))
    }

    fn create(&self, name: &str) -> io::Result<Box<dyn DiskFile>> {
        self.may_write()?;
        let file = OpenOptions::new().read(true).write(true).create_new(true).open(self.root.join(name))?;
        Ok(Box::new(RealFile(file)))
    }

    fn open(&self, name: &str) -> io::Result<Box<dyn DiskFile>> {
        let write = self.access == Access::Write;
        let file = OpenOptions::new().read(true).write(write).open(self.root.join(name))?;
        if file.metadata()?.is_dir() {
            return Err(io::Error::new(io::ErrorKind::IsADirectory, "it is a folder"));
        }
        Ok(Box::new(RealFile(file)))
    }

    fn rename(&self, from: &str, to: &str) -> io::Result<()> {
        self.may_write()?;
        fs::rename(self.root.join(from), self.root.join(to))
    }

    fn remove(&self, name: &str) -> io::Result<()> {
        self.may_write()?;
        fs::remove_file(self.root.join(name))
    }

    fn sync_folder(&self, folder: &str) -> io::Result<()> {
        self.may_write()?;
        File::open(self.root.join(folder))?.sync_all()
    }

    fn modified(&self, name: &str) -> io::Result<Timestamp> {
        let modified = fs::metadata(self.root.join(name))?.modified()?;
        Timestamp::try_from(modified).map_err(io::Error::other)
    }

    fn free_bytes(&self) -> io::Result<u64> {
        let stat = rustix::fs::statvfs(&self.root)?;
        Ok(stat.f_bavail.saturating_mul(stat.f_frsize))
    }

    fn lock(&self, name: &str) -> io::Result<Box<dyn Send + Sync>> {
        let mut options = OpenOptions::new();
        let options = match self.access {
            Access::Write => options.read(true).write(true).create(true).truncate(false),
            Access::Read => options.read(true),
        };
        let file = match options.open(self.root.join(name)) {
            // Nobody ever had it open, and who only looks makes no file.
            Err(error) if error.kind() == io::ErrorKind::NotFound && self.access == Access::Read => {
                return Ok(Box::new(()));
            }
            file => file?,
        };
        match file.try_lock() {
            Ok(()) => Ok(Box::new(file)),
            Err(fs::TryLockError::WouldBlock) => Err(io::Error::new(
                io::ErrorKind::ResourceBusy,
                "another process has this store open\nhint: one server per data directory; end the other one first",
            )),
            Err(fs::TryLockError::Error(error)) => Err(error),
        }
    }
}

struct RealFile(File);

impl DiskFile for RealFile {
    fn size(&self) -> io::Result<u64> {
        Ok(self.0.metadata()?.len())
    }

    fn write_at(&self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        self.0.write_all_at(bytes, offset)
    }

    fn read_at(&self, offset: u64, into: &mut [u8]) -> io::Result<usize> {
        let mut read = 0;
        while let Some(rest) = into.get_mut(read..).filter(|rest| !rest.is_empty()) {
            match self.0.read_at(rest, offset + read as u64) {
                Ok(0) => break,
                Ok(more) => read += more,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(read)
    }

    fn truncate(&self, len: u64) -> io::Result<()> {
        self.0.set_len(len)
    }

    fn set_modified(&self, at: Timestamp) -> io::Result<()> {
        self.0.set_modified(at.into())
    }

    fn sync(&self) -> io::Result<()> {
        // The length is part of what `fdatasync` makes safe; times are not needed.
        self.0.sync_data()
    }
}
