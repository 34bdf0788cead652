//! Files of the internal storage (`kestra:///…`, `nsfile:///…`), read and written in pieces. Never holds a whole file.

use std::io::{self, Read, Write};

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

/// Starts a file of this task run. `name` is the last segment of its URI and may not contain a separator.
pub fn create(name: &str) -> Result<Writer, Failure> {
    Ok(Writer { inner: host::file_create(name)?, written: 0 })
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
