//! The files of a commit, with every path checked before any is used.

use std::collections::BTreeMap;

use gix_hash::{Kind as Hash, ObjectId};
use gix_object::tree::EntryKind;
use gix_object::{Kind, TreeRefIter};
use sluice_sdk::Failure;

use super::names::{self, DEPTH_MAX, Folder, PATH_BYTES_MAX};
use super::{Objects, corrupt};
use crate::failures::{self, chain, fault};

/// Most files of a commit: as many as a working directory takes.
const FILES_MAX: usize = 500_000;

/// What is at a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Leaf {
    pub id: ObjectId,
    pub kind: LeafKind,
}

/// What a path of a tree names, folders aside.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LeafKind {
    File,
    Program,
    Link,
    /// A commit of another repository.
    Submodule,
}

/// Paths of a commit, in order.
pub type Leaves = BTreeMap<String, Leaf>;

/// All files of a tree, or of the folder `within` it; `None`: there is no such folder.
pub fn leaves(objects: &Objects, root: ObjectId, within: &str) -> Result<Option<Leaves>, Failure> {
    let Some(start) = folder(objects, root, within)? else { return Ok(None) };
    let mut leaves = Leaves::new();
    let mut open = vec![(String::new(), start, 0)];
    while let Some((path, id, depth)) = open.pop() {
        let bytes = objects.read_as(Kind::Tree, &id)?;
        let mut names = Folder::default();
        for entry in TreeRefIter::from_bytes(&bytes, Hash::Sha1) {
            let entry = entry.map_err(|error| corrupt(&id, &chain(&error)))?;
            let kind = entry.mode.kind();
            let shown = || format!("{path}{}", String::from_utf8_lossy(entry.filename));
            let name = names::checked(entry.filename, kind == EntryKind::Link)
                .map_err(|why| names::refused(&shown(), &why))?;
            if !names.takes(name) {
                return Err(names::refused(&shown(), "another name of its folder differs in nothing but its case"));
            }
            let path = format!("{path}{name}");
            if path.len() > PATH_BYTES_MAX || depth >= DEPTH_MAX {
                let start: String = path.chars().take(60).collect();
                return Err(names::refused(
                    &format!("{start}…"),
                    &format!("it is longer than {PATH_BYTES_MAX} bytes or in more than {DEPTH_MAX} folders"),
                ));
            }
            let kind = match kind {
                EntryKind::Tree => {
                    open.push((format!("{path}/"), entry.oid.to_owned(), depth + 1));
                    continue;
                }
                EntryKind::Blob => LeafKind::File,
                EntryKind::BlobExecutable => LeafKind::Program,
                EntryKind::Link => LeafKind::Link,
                EntryKind::Commit => LeafKind::Submodule,
            };
            leaves.insert(path, Leaf { id: entry.oid.to_owned(), kind });
            if leaves.len() + open.len() > FILES_MAX {
                return Err(fault(failures::TOO_LARGE, format!("the repository has more than {FILES_MAX} files")));
            }
        }
    }
    Ok(Some(leaves))
}

/// The tree of a folder, by its path.
fn folder(objects: &Objects, root: ObjectId, path: &str) -> Result<Option<ObjectId>, Failure> {
    let mut at = root;
    for part in path.split('/').filter(|part| !part.is_empty()) {
        let bytes = objects.read_as(Kind::Tree, &at)?;
        let mut found = None;
        for entry in TreeRefIter::from_bytes(&bytes, Hash::Sha1) {
            let entry = entry.map_err(|error| corrupt(&at, &chain(&error)))?;
            if entry.filename == part.as_bytes() {
                found = entry.mode.is_tree().then(|| entry.oid.to_owned());
                break;
            }
        }
        let Some(next) = found else { return Ok(None) };
        at = next;
    }
    Ok(Some(at))
}

/// A folder of the repository as a flow names it, without separators at its ends.
pub fn folder_name(property: &str, text: &str) -> Result<String, Failure> {
    let path = text.trim().trim_start_matches("./").trim_matches('/');
    let path = if path == "." { "" } else { path };
    for part in path.split('/').filter(|_| !path.is_empty()) {
        names::checked(part.as_bytes(), false).map_err(|why| {
            Failure::bad_property(format!(
                "`{property}`: `{}` is no folder of a repository: {why}",
                text.escape_debug()
            ))
        })?;
    }
    Ok(path.to_owned())
}
