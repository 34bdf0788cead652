//! Which files of a folder may hold flows, and their text. Bounded; links to folders are not followed, so there is no going round.

use std::ffi::OsStr;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail};
use model::problem::{Problem, Severity};

/// Files of one check: the largest collections of flows are a hundredth of it.
const FILES_MAX: usize = 100_000;
/// Folders within folders: below that nobody keeps flows.
const DEPTH_MAX: usize = 64;
/// Bytes of one file: a flow has at most 1 MiB, a file of several may have more.
const BYTES_MAX: u64 = 4 << 20;

/// All YAML files under some paths, in the order of their names. A path that is a file is taken whatever its name.
pub fn under(paths: &[PathBuf]) -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for path in paths {
        let about = std::fs::metadata(path).with_context(|| format!("cannot look at `{}`", path.display()))?;
        if about.is_dir() {
            walk(path, 0, &mut found)?;
        } else {
            found.push(path.clone());
        }
    }
    Ok(found)
}

fn walk(folder: &Path, depth: usize, found: &mut Vec<PathBuf>) -> Result<()> {
    let failed = || format!("cannot read the folder `{}`", folder.display());
    if depth > DEPTH_MAX {
        bail!("`{}` lies more than {DEPTH_MAX} folders deep\n  hint: name a folder further down", folder.display());
    }
    let mut entries =
        std::fs::read_dir(folder).and_then(Iterator::collect::<Result<Vec<_>, _>>).with_context(failed)?;
    entries.sort_by_key(std::fs::DirEntry::file_name);
    for entry in entries {
        let (path, name) = (entry.path(), entry.file_name());
        if name.as_encoded_bytes().starts_with(b".") {
            continue;
        }
        let kind = entry.file_type().with_context(failed)?;
        if kind.is_dir() {
            walk(&path, depth + 1, found)?;
        } else if is_yaml(&path) && path.is_file() {
            if found.len() == FILES_MAX {
                bail!("there are more than {FILES_MAX} YAML files\n  hint: check one folder after the other");
            }
            found.push(path);
        }
    }
    Ok(())
}

fn is_yaml(path: &Path) -> bool {
    let extension = path.extension().and_then(OsStr::to_str);
    extension.is_some_and(|extension| extension.eq_ignore_ascii_case("yaml") || extension.eq_ignore_ascii_case("yml"))
}

/// The text of a file, or why there is none.
pub fn read(path: &Path) -> Result<String, Problem> {
    let mut bytes = Vec::new();
    let read = std::fs::File::open(path).and_then(|file| file.take(BYTES_MAX + 1).read_to_end(&mut bytes));
    if let Err(error) = read {
        return Err(unreadable(format!("cannot be read: {error}")));
    }
    if bytes.len() as u64 > BYTES_MAX {
        return Err(unreadable(format!("has more than {BYTES_MAX} bytes")));
    }
    String::from_utf8(bytes).map_err(|_| unreadable("is not UTF-8".to_owned()))
}

fn unreadable(message: String) -> Problem {
    Problem {
        path: String::new(),
        line: 0,
        column: 0,
        code: "file.unreadable",
        message,
        hint: None,
        severity: Severity::Error,
    }
}
