//! Memory mapping for a place that has none: a "map" is the file, read into memory. It has the part of memmap2's interface that
//! gitoxide calls and nothing more, so that a new call fails to compile instead of failing to run.

use std::fs::File;
use std::io::{self, Read as _, Seek as _};
use std::ops::Deref;

/// A file in memory.
#[derive(Debug)]
pub struct Mmap(Vec<u8>);

/// How a file is read: whole, from its start.
#[derive(Debug, Default)]
pub struct MmapOptions;

impl MmapOptions {
    /// The only options there are.
    pub fn new() -> Self {
        Self
    }

    /// The file's bytes. A copy has no rule to keep, so unlike the function it stands for, callers need promise nothing.
    pub fn map(&self, file: &File) -> io::Result<Mmap> {
        let mut file = file;
        file.rewind()?;
        let mut bytes = Vec::new();
        file.read_to_end(&mut bytes)?;
        Ok(Mmap(bytes))
    }

    /// The same.
    pub fn map_copy_read_only(&self, file: &File) -> io::Result<Mmap> {
        self.map(file)
    }
}

impl Deref for Mmap {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.0
    }
}

impl AsRef<[u8]> for Mmap {
    fn as_ref(&self) -> &[u8] {
        self
    }
}
