//! Files of the internal storage (`kestra:///…`, `nsfile:///…`), read and written in pieces. Never holds a whole file.

use std::io::{self, Read, Seek, SeekFrom, Write};

use crate::{Failure, host};

/// Bytes asked of the host at once: one call costs about as much as copying this much.
const PIECE_BYTES: u32 = 64 * 1024;

/// The size of a file in bytes.
pub fn size(uri: &str) -> Result<u64, Failure> {
    Ok(host::file_size(uri)?)
}

/// Opens a file for reading.
pub fn open(uri: &str) -> Result<Reader, Failure> {
    let size = size(uri)?;
    Ok(Reader { uri: uri.to_owned(), offset: 0, size })
}

/// Starts a file. `target` is a name without a separator, the last segment of the URI of a file of this task run; or `nsfile://…`, a
/// file of a namespace, which is there for others when the run has succeeded.
pub fn create(target: &str) -> Result<Writer, Failure> {
    Ok(Writer { inner: host::file_create(target)?, written: 0 })
}

/// Gives a file's content another place without copying it; `target` as for [`create`]. The answer is its URI.
pub fn copy(source: &str, target: &str) -> Result<String, Failure> {
    Ok(host::file_copy(source, target)?)
}

/// Deletes a file of this execution or of a namespace; says whether there was one.
pub fn delete(uri: &str) -> Result<bool, Failure> {
    Ok(host::file_delete(uri)?)
}

/// Marks a file of the working directory as a program. `path` is relative to it.
pub fn make_executable(path: &str) -> Result<(), Failure> {
    Ok(host::file_make_executable(path)?)
}

/// Whether there is such a file.
pub fn exists(uri: &str) -> Result<bool, Failure> {
    match host::file_size(uri) {
        Ok(_) => Ok(true),
        Err(error) if error.code == "NOT_FOUND" => Ok(false),
        Err(error) => Err(error.into()),
    }
}

/// All URIs that begin with `prefix`; an empty one means the files of this execution.
pub fn find(prefix: &str) -> Result<Vec<String>, Failure> {
    let mut found: Vec<String> = Vec::new();
    loop {
        let page = host::file_find(prefix, found.last().map(String::as_str))?;
        if page.is_empty() {
            return Ok(found);
        }
        found.extend(page);
    }
}

/// A file being read.
#[derive(Debug)]
pub struct Reader {
    uri: String,
    offset: u64,
    size: u64,
}

impl Reader {
    /// The size of the whole file in bytes.
    pub fn size(&self) -> u64 {
        self.size
    }
}

impl Read for Reader {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if buffer.is_empty() || self.offset >= self.size {
            return Ok(0);
        }
        let wanted = u32::try_from(buffer.len()).unwrap_or(PIECE_BYTES).min(PIECE_BYTES);
        let bytes = host::file_read(&self.uri, self.offset, wanted).map_err(Failure::from)?;
        let taken =
            buffer.get_mut(..bytes.len()).ok_or_else(|| io::Error::other("the host gave more than was asked for"))?;
        taken.copy_from_slice(&bytes);
        self.offset += bytes.len() as u64;
        Ok(bytes.len())
    }
}

impl Seek for Reader {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let offset = match to {
            SeekFrom::Start(offset) => Some(offset),
            SeekFrom::End(distance) => self.size.checked_add_signed(distance),
            SeekFrom::Current(distance) => self.offset.checked_add_signed(distance),
        };
        let offset = offset.ok_or_else(|| io::Error::from(io::ErrorKind::InvalidInput))?;
        self.offset = offset;
        Ok(offset)
    }
}

/// A file being written. Dropping it unfinished leaves nothing behind.
pub struct Writer {
    inner: host::FileWriter,
    written: u64,
}

impl Writer {
    /// How many bytes were written.
    pub fn written(&self) -> u64 {
        self.written
    }

    /// Ends the file and gives its URI.
    pub fn finish(self) -> Result<String, Failure> {
        Ok(self.inner.finish()?)
    }
}

impl Write for Writer {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let piece = bytes.get(..PIECE_BYTES as usize).unwrap_or(bytes);
        self.inner.write(piece).map_err(Failure::from)?;
        self.written += piece.len() as u64;
        Ok(piece.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
