//! ZIP archives that come from clients and go to them. What comes is hostile: it is counted while it is unpacked, and a name that leads
//! anywhere but down is refused. Never writes to a disk.

use std::io::{Cursor, Read as _, Write as _};

use zip::result::ZipError;
use zip::write::SimpleFileOptions;
use zip::{ZipArchive, ZipWriter};

use crate::error::Error;

/// Most entries of one archive, and most bytes of them all: what is unpacked is in memory.
const ENTRIES_MAX: usize = 10_000;
const BYTES_MAX: u64 = 256 << 20;

/// A file of an archive.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Entry {
    /// Its path, with `/` between its parts, none of which is `.` or `..`.
    pub name: String,
    pub content: Vec<u8>,
}

/// Whether these bytes begin like an archive.
pub(crate) fn is_archive(bytes: &[u8]) -> bool {
    bytes.starts_with(b"PK\x03\x04") || bytes.starts_with(b"PK\x05\x06")
}

/// The files of an archive, each of at most `file_max_bytes`. Folders are left out.
pub(crate) fn unpack(archive: &[u8], file_max_bytes: u64) -> Result<Vec<Entry>, Error> {
    let broken =
        |error: ZipError| Error::bad_request("archive.invalid", format!("the archive cannot be read: {error}"));
    let mut archive = ZipArchive::new(Cursor::new(archive)).map_err(broken)?;
    if archive.len() > ENTRIES_MAX {
        let message = format!("the archive has {} entries, at most {ENTRIES_MAX} are taken", archive.len());
        return Err(Error::TooLarge(message));
    }
    let (mut entries, mut left) = (Vec::new(), BYTES_MAX);
    for index in 0..archive.len() {
        let mut file = archive.by_index(index).map_err(broken)?;
        let name = file.name().map_err(broken)?.into_owned();
        if file.is_dir() {
            continue;
        }
        if file.is_symlink() || !leads_down(&name) {
            let message =
                format!("the archive has an entry `{}`, which is no path of a file in it", name.escape_debug());
            return Err(Error::bad_request("archive.path", message));
        }
        let most = file_max_bytes.min(left);
        let mut content = Vec::new();
        // What the archive says of its sizes is not believed.
        let read = file.by_ref().take(most + 1).read_to_end(&mut content);
        read.map_err(|error| broken(ZipError::Io(error)))?;
        let size_bytes = content.len() as u64;
        if size_bytes > file_max_bytes {
            let message = format!("`{name}` has more than {file_max_bytes} bytes, which is the most of one file");
            return Err(Error::TooLarge(message));
        }
        left = left.checked_sub(size_bytes).ok_or_else(|| {
            Error::TooLarge(format!("the archive unpacks to more than {BYTES_MAX} bytes, which is the most"))
        })?;
        entries.push(Entry { name, content });
    }
    Ok(entries)
}

/// Whether a path has parts, and each is a name.
fn leads_down(path: &str) -> bool {
    let is_name = |part: &str| !part.is_empty() && part != "." && part != "..";
    path.split('/').all(is_name) && !path.chars().any(|c| c == '\\' || c == ':' || c.is_control())
}

/// An archive of these files.
pub(crate) fn pack(files: impl IntoIterator<Item = Entry>) -> Result<Vec<u8>, Error> {
    let failed = |error: ZipError| Error::Internal(format!("an archive cannot be written: {error}"));
    let mut writer = ZipWriter::new(Cursor::new(Vec::new()));
    for file in files {
        writer.start_file(file.name, SimpleFileOptions::default()).map_err(failed)?;
        writer.write_all(&file.content).map_err(|error| failed(ZipError::Io(error)))?;
    }
    Ok(writer.finish().map_err(failed)?.into_inner())
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use super::*;

    fn entry(name: &str, content: &[u8]) -> Entry {
        Entry { name: name.to_owned(), content: content.to_vec() }
    }

    #[test]
    fn what_is_packed_is_unpacked() {
        let files = [entry("a.yml", b"a: 1"), entry("b/c.txt", &[0; 100_000])];
        let packed = pack(files.clone()).unwrap();
        assert!(is_archive(&packed) && packed.len() < 1_000, "{} bytes", packed.len());
        assert_eq!(unpack(&packed, 1 << 20).unwrap(), files);
        assert!(is_archive(&pack([]).unwrap()) && unpack(&pack([]).unwrap(), 1).unwrap().is_empty());
    }

    #[test]
    fn what_is_hostile_is_refused() {
        let refused = |files: Vec<Entry>, max: u64, code: &str| {
            assert_eq!(unpack(&pack(files).unwrap(), max).unwrap_err().code(), code);
        };
        for name in ["../a", "a/../../b", "/etc/passwd", "a//b", "./a", "a\\..\\b", "c:/x", "a\0b"] {
            refused(vec![entry(name, b"x")], 1 << 20, "archive.path");
        }
        refused(vec![entry("a", &[0; 1_001])], 1_000, "body.too_large");
        // A bomb: some KB that would be GB. It is refused at the first byte too many.
        let large = entry("a", &vec![0; 32 << 20]);
        let many = (0..9).map(|number| Entry { name: number.to_string(), ..large.clone() });
        refused(many.collect(), 64 << 20, "body.too_large");
        assert_eq!(unpack(b"PK\x03\x04 and nothing", 10).unwrap_err().code(), "archive.invalid");
    }
}
