//! Files of a commit, written out. Which, and whether they may be, is known before the first is.

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::path::Path;

use gix_hash::ObjectId;
use gix_object::Kind;
use sluice_sdk::{Context, Failure};

use super::Links;
use crate::objects::Objects;
use crate::objects::names::{refused, stays_within};
use crate::objects::tree::{LeafKind, Leaves};

/// Files between two reports of progress.
const TOLD_EVERY: usize = 1_000;

/// What is written, in order.
pub struct Checkout<'a> {
    pub entries: Vec<Entry<'a>>,
}

pub struct Entry<'a> {
    pub path: &'a str,
    pub id: ObjectId,
    pub kind: LeafKind,
}

impl<'a> Checkout<'a> {
    /// Looks at all of it: links lead nowhere else, and everything is there.
    pub fn planned(objects: &Objects, leaves: &'a Leaves, links: Links) -> Result<Self, Failure> {
        let mut entries = Vec::with_capacity(leaves.len());
        for (path, leaf) in leaves {
            match leaf.kind {
                LeafKind::Link if links == Links::Skip => continue,
                LeafKind::Link => {
                    let target = objects.read_as(Kind::Blob, &leaf.id)?;
                    let folder = path.rsplit_once('/').map_or("", |(folder, _)| folder);
                    if !stays_within(folder, &target) {
                        let why = format!(
                            "it is a link to `{}`, which is not in the repository; hint: `symlinks: SKIP` leaves links out",
                            String::from_utf8_lossy(&target).escape_debug()
                        );
                        return Err(refused(path, &why));
                    }
                }
                LeafKind::File | LeafKind::Program if !objects.has(&leaf.id) => {
                    return Err(crate::objects::corrupt(&leaf.id, &format!("`{path}` is not there")));
                }
                LeafKind::File | LeafKind::Program | LeafKind::Submodule => {}
            }
            entries.push(Entry { path, id: leaf.id, kind: leaf.kind });
        }
        Ok(Self { entries })
    }

    /// Writes the files. Links come last: nothing is written through one. How many files.
    pub fn write(&self, root: &Path, objects: &Objects, cx: &Context) -> Result<usize, Failure> {
        let mut folders = BTreeSet::new();
        let mut files = 0;
        let (links, others): (Vec<_>, Vec<_>) = self.entries.iter().partition(|entry| entry.kind == LeafKind::Link);
        for entry in others.into_iter().chain(links) {
            let path = root.join(entry.path);
            if let Some((folder, _)) = entry.path.rsplit_once('/')
                && folders.insert(folder)
            {
                fs::create_dir_all(root.join(folder))?;
            }
            match entry.kind {
                LeafKind::Submodule => {
                    fs::create_dir_all(&path)?;
                    continue;
                }
                LeafKind::Link => {
                    let target = objects.read_as(Kind::Blob, &entry.id)?;
                    link(&String::from_utf8_lossy(&target), &path)?;
                }
                LeafKind::File | LeafKind::Program => {
                    fs::write(&path, objects.read_as(Kind::Blob, &entry.id)?)?;
                    if entry.kind == LeafKind::Program {
                        sluice_sdk::files::make_executable(&path.to_string_lossy())?;
                    }
                }
            }
            files += 1;
            if files % TOLD_EVERY == 0 {
                cx.progress(Some((files * 100 / self.entries.len()) as u8), format!("{files} files"));
            }
        }
        Ok(files)
    }
}

#[cfg(target_os = "wasi")]
fn link(target: &str, path: &Path) -> io::Result<()> {
    use wasip2::filesystem::preopens::get_directories;
    for (directory, name) in get_directories() {
        if let Ok(rest) = path.strip_prefix(&name) {
            return directory.symlink_at(target, &rest.to_string_lossy()).map_err(|code| {
                io::Error::other(format!("`{}` cannot be linked: {}", path.display(), code.message()))
            });
        }
    }
    Err(io::Error::other(format!("`{}` is in no directory of this task", path.display())))
}

#[cfg(not(target_os = "wasi"))]
fn link(target: &str, path: &Path) -> io::Result<()> {
    std::os::unix::fs::symlink(target, path)
}
