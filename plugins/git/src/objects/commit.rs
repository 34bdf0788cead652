//! Commits: what one names, and new ones that change some files of another.

use std::collections::BTreeMap;

use gix_hash::{Kind as Hash, ObjectId};
use gix_object::bstr::{BString, ByteSlice};
use gix_object::tree::{Editor, EntryKind};
use gix_object::{CommitRefIter, Kind, TagRefIter, TreeRef, WriteTo};
use sluice_sdk::Failure;

use super::tree::LeafKind;
use super::{Objects, corrupt};
use crate::failures::{self, chain, fault};

/// Tags of tags that are followed.
const TAGS_MAX: usize = 16;
/// Longest commit message that is written, in bytes.
const MESSAGE_BYTES_MAX: usize = 64 * 1024;

/// What becomes of a path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Edit {
    Put { content: Vec<u8>, kind: LeafKind },
    Remove,
}

/// Who made a commit, and when.
#[derive(Clone, Debug)]
pub struct Author {
    pub name: String,
    pub email: String,
}

/// The commit that an object is, or that a tag names.
pub fn peeled(objects: &Objects, id: ObjectId) -> Result<ObjectId, Failure> {
    let mut at = id;
    for _ in 0..TAGS_MAX {
        match objects.read(&at)? {
            (Kind::Commit, _) => return Ok(at),
            (Kind::Tag, bytes) => {
                at = TagRefIter::from_bytes(&bytes, Hash::Sha1)
                    .target_id()
                    .map_err(|error| corrupt(&at, &chain(&error)))?;
            }
            (kind, _) => {
                let message = format!("`{id}` is a {kind}, and no commit");
                return Err(fault(failures::COMMIT, message));
            }
        }
    }
    Err(corrupt(&id, "it is a tag of a tag without end"))
}

/// The tree of a commit.
pub fn tree_of(objects: &Objects, commit: ObjectId) -> Result<ObjectId, Failure> {
    let bytes = objects.read_as(Kind::Commit, &commit)?;
    CommitRefIter::from_bytes(&bytes, Hash::Sha1).tree_id().map_err(|error| corrupt(&commit, &chain(&error)))
}

/// The tree with some paths changed. The same tree if nothing is different.
pub fn edited(
    objects: &mut Objects,
    tree: Option<ObjectId>,
    edits: &BTreeMap<String, Edit>,
) -> Result<ObjectId, Failure> {
    let mut puts = Vec::new();
    for (path, edit) in edits {
        puts.push(match edit {
            Edit::Put { content, kind } => {
                let kind = match kind {
                    LeafKind::Program => EntryKind::BlobExecutable,
                    LeafKind::Link => EntryKind::Link,
                    LeafKind::File | LeafKind::Submodule => EntryKind::Blob,
                };
                Some((kind, objects.make(Kind::Blob, content.clone())?, path))
            }
            Edit::Remove => None,
        });
    }
    let root = match tree {
        Some(tree) => {
            let bytes = objects.read_as(Kind::Tree, &tree)?;
            TreeRef::from_bytes(&bytes, Hash::Sha1).map_err(|error| corrupt(&tree, &chain(&error)))?.into()
        }
        None => gix_object::Tree::empty(),
    };
    let parts = |path: &str| path.split('/').map(BString::from).collect::<Vec<_>>();
    let failed = |path: &str, error: &gix_error::Error| {
        fault(failures::PATH, format!("`{path}` cannot be changed: {}", chain(error)))
    };
    let mut trees = Vec::new();
    let id = {
        let mut editor = Editor::new(root, &*objects, Hash::Sha1);
        // What goes first makes room: a folder may take the place of a file.
        for (path, _) in edits.iter().filter(|(_, edit)| **edit == Edit::Remove) {
            editor
                .remove_if_leaf(parts(path).iter().map(|part| part.as_bstr()))
                .map_err(|error| failed(path, &error))?;
        }
        for (kind, id, path) in puts.into_iter().flatten() {
            editor
                .upsert(parts(path).iter().map(|part| part.as_bstr()), kind, id)
                .map_err(|error| failed(path, &error))?;
        }
        editor.write(|tree| {
            let mut bytes = Vec::new();
            tree.write_to(&mut bytes)
                .map_err(|error| fault(failures::CORRUPT, format!("a tree cannot be written: {error}")))?;
            let id = gix_object::compute_hash(Hash::Sha1, Kind::Tree, &bytes)
                .map_err(|error| fault(failures::CORRUPT, format!("a tree cannot be named: {}", chain(&error))))?;
            trees.push(bytes);
            Ok::<_, Failure>(id)
        })?
    };
    for bytes in trees {
        objects.make(Kind::Tree, bytes)?;
    }
    Ok(id)
}

/// A new commit.
pub fn commit(
    objects: &mut Objects,
    tree: ObjectId,
    parent: Option<ObjectId>,
    author: &Author,
    message: &str,
    at_seconds: u64,
) -> Result<ObjectId, Failure> {
    let who = format!("{} <{}> {at_seconds} +0000", plain(&author.name), plain(&author.email));
    let mut end = message.len().min(MESSAGE_BYTES_MAX);
    while !message.is_char_boundary(end) {
        end -= 1;
    }
    let message = message.get(..end).unwrap_or_default().replace('\0', "");
    let mut text = format!("tree {tree}\n");
    if let Some(parent) = parent {
        text.push_str(&format!("parent {parent}\n"));
    }
    text.push_str(&format!("author {who}\ncommitter {who}\n\n{}\n", message.trim_end()));
    objects.make(Kind::Commit, text.into_bytes())
}

/// A name as a commit may have it.
fn plain(text: &str) -> String {
    text.chars().filter(|c| !c.is_control() && !matches!(c, '<' | '>')).collect::<String>().trim().to_owned()
}
