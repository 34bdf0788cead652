//! Rows of a file, one after the other, without their ends. A row is held in memory; a file is not.

use std::io::{BufRead as _, BufReader, Read as _};

use sluice_sdk::files::{self, Reader};
use sluice_sdk::prelude::*;

/// Longest row.
const ROW_MAX_BYTES: u64 = 16 << 20;
/// What is read at once.
const BUFFER_BYTES: usize = 64 << 10;

/// The rows of a file.
pub struct Rows {
    uri: String,
    reader: BufReader<Reader>,
    row: Vec<u8>,
}

impl Rows {
    pub fn open(uri: &str) -> Result<Self, Failure> {
        let reader = BufReader::with_capacity(BUFFER_BYTES, files::open(uri)?);
        Ok(Self { uri: uri.to_owned(), reader, row: Vec::new() })
    }

    /// The next row; `None` at the end. An end of row at the very end of the file begins no other row.
    pub fn next(&mut self) -> Result<Option<&[u8]>, Failure> {
        self.row.clear();
        let read = (&mut self.reader).take(ROW_MAX_BYTES + 1).read_until(b'\n', &mut self.row)? as u64;
        if read == 0 {
            return Ok(None);
        }
        if read > ROW_MAX_BYTES {
            let message =
                format!("a row of `{}` has more than {ROW_MAX_BYTES} bytes; hint: is it a file of rows?", self.uri);
            return Err(Failure::new("ROW_TOO_LONG", message).retryable(false));
        }
        if self.row.ends_with(b"\n") {
            self.row.pop();
            if self.row.ends_with(b"\r") {
                self.row.pop();
            }
        }
        Ok(Some(&self.row))
    }

    /// The next row as text.
    pub fn next_text(&mut self) -> Result<Option<&str>, Failure> {
        let uri = self.uri.clone();
        match self.next()? {
            None => Ok(None),
            Some(row) => std::str::from_utf8(row)
                .map(Some)
                .map_err(|_| Failure::new("NO_TEXT", format!("a row of `{uri}` is not UTF-8 text")).retryable(false)),
        }
    }
}

/// The end of a URI's last segment, from its point on; empty where it has none.
pub fn extension(uri: &str) -> &str {
    let name = uri.rsplit('/').next().unwrap_or_default();
    name.rfind('.').and_then(|at| name.get(at..)).unwrap_or_default()
}

/// A name for a file of the run. Names of one run differ.
pub fn name(stem: &str, extension: &str) -> String {
    // An extension is the flow's: only what a name may hold gets into it.
    let clean: String = extension.chars().filter(|sign| !matches!(sign, '/' | '\\') && !sign.is_control()).collect();
    let point = if clean.is_empty() || clean.starts_with('.') { "" } else { "." };
    format!("{stem}{point}{clean}")
}
