//! The working directory, through the interface itself (a C library would refuse much of this before the host sees it), and the
//! internal storage.

use crate::answers::{Answer, failed, number, refused, variant};
use crate::sluice::host::files as storage;
use wasip2::filesystem::preopens::get_directories;
use wasip2::filesystem::types::{Descriptor, DescriptorFlags, OpenFlags, PathFlags};

const PIECE: usize = 64 << 10;
/// What a file is made with that is to be found again.
const CONTENT: &[u8] = b"by the guest";

fn directory() -> Result<Descriptor, crate::exports::sluice::task::run::Failure> {
    let mut all = get_directories();
    (!all.is_empty()).then(|| all.swap_remove(0).0).ok_or_else(|| failed("NoDirectory", "there is no directory"))
}

fn open(at: &Descriptor, path: &str, how: OpenFlags, write: bool) -> Result<Descriptor, crate::exports::sluice::task::run::Failure> {
    let flags = if write { DescriptorFlags::READ | DescriptorFlags::WRITE } else { DescriptorFlags::READ };
    at.open_at(PathFlags::SYMLINK_FOLLOW, path, how, flags).map_err(variant)
}

fn make(at: &Descriptor, path: &str) -> Result<Descriptor, crate::exports::sluice::task::run::Failure> {
    let file = open(at, path, OpenFlags::CREATE, true)?;
    file.write(CONTENT, 0).map_err(variant)?;
    Ok(file)
}

fn text(file: &Descriptor) -> Answer {
    let (bytes, _) = file.read(1 << 16, 0).map_err(variant)?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

/// `OPERATION PATH [PATH]`.
pub fn file(with: &[&str]) -> Answer {
    let at = directory()?;
    let [operation, path] = with.first_chunk::<2>().ok_or_else(|| failed("BAD_INPUT", "OPERATION PATH"))?;
    let other = with.get(2).copied().unwrap_or_default();
    let none = PathFlags::empty();
    match *operation {
        "read" => text(&open(&at, path, OpenFlags::empty(), false)?),
        "write" => make(&at, path).map(|_| String::new()),
        "make-and-read" => {
            make(&at, path)?;
            text(&open(&at, path, OpenFlags::empty(), false)?)
        }
        "truncate" => {
            make(&at, other)?;
            open(&at, path, OpenFlags::TRUNCATE, true).map(|_| String::new())
        }
        "set-times" => {
            let now = wasip2::filesystem::types::NewTimestamp::Now;
            make(&at, other)?;
            at.set_times_at(PathFlags::SYMLINK_FOLLOW, path, now, now).map_err(variant).map(|()| String::new())
        }
        "stat" => at.stat_at(PathFlags::SYMLINK_FOLLOW, path).map_err(variant).map(|_| String::new()),
        "folder" => at.create_directory_at(path).map_err(variant).map(|()| String::new()),
        "remove-folder" => {
            let _ = at.create_directory_at(other);
            at.remove_directory_at(path).map_err(variant).map(|()| String::new())
        }
        "unlink" => {
            make(&at, other)?;
            at.unlink_file_at(path).map_err(variant).map(|()| String::new())
        }
        "rename" => {
            make(&at, path)?;
            at.rename_at(path, &at, other).map_err(variant).map(|()| String::new())
        }
        "rename-in" => {
            make(&at, "own")?;
            at.rename_at(path, &at, other).map_err(variant).map(|()| String::new())
        }
        "hard-link" => {
            make(&at, "own")?;
            at.link_at(none, path, &at, other).map_err(variant)?;
            text(&open(&at, other, OpenFlags::empty(), false)?)
        }
        "link" => at.symlink_at(path, other).map_err(variant).map(|()| String::new()),
        "link-and-read" => {
            make(&at, "own")?;
            at.symlink_at(path, "way").map_err(variant)?;
            text(&open(&at, other, OpenFlags::empty(), false)?)
        }
        "link-and-write" => {
            make(&at, "own")?;
            at.symlink_at(path, "way").map_err(variant)?;
            make(&at, other).map(|_| String::new())
        }
        "many" => {
            for number in 0..number(Some(path)) {
                open(&at, &format!("file-{number}"), OpenFlags::CREATE, true)?;
            }
            Ok(String::new())
        }
        "folders" => {
            for number in 0..number(Some(path)) {
                at.create_directory_at(&format!("folder-{number}")).map_err(variant)?;
            }
            Ok(String::new())
        }
        "large" => {
            let file = open(&at, "large", OpenFlags::CREATE, true)?;
            let piece = vec![7; PIECE];
            let mut written = 0;
            while written < number(Some(path)) {
                written += file.write(&piece, written).map_err(variant)?;
            }
            Ok(String::new())
        }
        "stream" => {
            let file = open(&at, "stream", OpenFlags::CREATE, true)?;
            let stream = file.write_via_stream(0).map_err(variant)?;
            let piece = vec![7; 4_096];
            let mut written = 0;
            while written < number(Some(path)) {
                stream.blocking_write_and_flush(&piece).map_err(|error| failed("Stream", format!("{error:?}")))?;
                written += piece.len() as u64;
            }
            Ok(String::new())
        }
        "far" => {
            let file = open(&at, "far", OpenFlags::CREATE, true)?;
            file.write(CONTENT, number(Some(path))).map_err(variant).map(|_| String::new())
        }
        // Files of little that are large to whoever reads them.
        "holes" => {
            for count in 0..number(Some(path)) {
                let file = open(&at, &format!("hole-{count}"), OpenFlags::CREATE, true)?;
                file.write(CONTENT, number(Some(&other))).map_err(variant)?;
            }
            Ok(String::new())
        }
        "size" => {
            let file = open(&at, "size", OpenFlags::CREATE, true)?;
            file.set_size(number(Some(path))).map_err(variant).map(|()| String::new())
        }
        other => Err(failed("NO_OPERATION", other)),
    }
}

/// `OPERATION [URI] [MORE]`.
pub fn storage(with: &[&str]) -> Answer {
    let text = |at: usize| with.get(at).copied().unwrap_or_default();
    let write = |name: &str, bytes: &[u8]| -> Answer {
        let writer = storage::create(name).map_err(refused)?;
        writer.write(bytes).map_err(refused)?;
        writer.finish().map_err(refused)
    };
    match text(0) {
        "read" => storage::read(text(1), 0, 1 << 16).map_err(refused).map(|bytes| String::from_utf8_lossy(&bytes).into_owned()),
        "write" => write(text(1), CONTENT),
        "write-and-read" => {
            let uri = write("own", CONTENT)?;
            storage::read(&uri, 0, 1 << 16).map_err(refused).map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
        }
        "copy" => storage::copy(text(1), text(2)).map_err(refused),
        "copy-own" => {
            let uri = write("own", CONTENT)?;
            storage::copy(&uri, text(1)).map_err(refused)
        }
        "delete" => storage::delete(text(1)).map_err(refused).map(|was| was.to_string()),
        "delete-own" => {
            let uri = write("own", CONTENT)?;
            storage::delete(&uri).map_err(refused).map(|was| was.to_string())
        }
        "find" => storage::find(text(1), None).map_err(refused).map(|uris| uris.join(" ")),
        "many" => {
            for number in 0..number(with.get(1)) {
                write(&format!("file-{number}"), b"")?;
            }
            Ok(String::new())
        }
        "large" => {
            let writer = storage::create("large").map_err(refused)?;
            let piece = vec![7; PIECE];
            for _ in 0..number(with.get(1)) / PIECE as u64 {
                writer.write(&piece).map_err(refused)?;
            }
            writer.finish().map_err(refused)
        }
        other => Err(failed("NO_OPERATION", other)),
    }
}
