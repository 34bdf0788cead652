//! The side of the repository: one branch, fetched without its history, and commits on top of it.

use std::collections::BTreeMap;

use gix_hash::ObjectId;
use gix_object::Kind as ObjectKind;
use glob::Glob;
use sluice_sdk::{Context, Failure};

use super::layout::{Layout, Place};
use super::model::{Side, Version};
use crate::access::Access;
use crate::clone::no_branch;
use crate::failures::{self, fault};
use crate::objects::commit::{self, Author, Edit};
use crate::objects::names::refused;
use crate::objects::tree::{LeafKind, Leaves, leaves};
use crate::objects::{Objects, pack};
use crate::remote::{Push, Remote, Wanted, push};

/// The file that says which paths are left alone.
pub const IGNORE: &str = ".kestraignore";
/// Most patterns of that file.
const PATTERNS_MAX: usize = 1_000;
/// Bytes of files of one side that are in memory to be compared.
const CONTENT_BYTES_MAX: usize = 96 << 20;

/// One branch of a repository.
pub struct Repository {
    access: Access,
    pub branch: String,
    objects: Objects,
    /// The branch's commit; `None`: the branch is not there.
    head: Option<ObjectId>,
    /// What a new commit builds on.
    parent: Option<ObjectId>,
    /// Files of the folder that is kept in step, by their path in it.
    pub leaves: Leaves,
    folder: String,
    /// Whether the folder is there.
    pub has_folder: bool,
    ignored: Vec<Glob>,
}

/// Whether a branch may be missing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Branch {
    MustBeThere,
    /// It begins where the default branch is, or with a first commit.
    MayBeNew,
}

impl Repository {
    /// Fetches a branch.
    pub fn fetch(access: &Access, branch: &str, folder: &str, rule: Branch, cx: &Context) -> Result<Self, Failure> {
        let branch = branch.trim().strip_prefix("refs/heads/").unwrap_or(branch.trim());
        if gix_validate::reference::name(format!("refs/heads/{branch}").as_str().into()).is_err() {
            return Err(Failure::bad_property(format!("`branch`: `{}` is no name of a branch", branch.escape_debug())));
        }
        let mut remote = Remote::connect(access)?;
        let refs = remote.refs()?;
        let head = refs.branch(branch);
        if rule == Branch::MustBeThere && head.is_none() {
            return Err(match refs.is_empty() {
                true => fault(failures::EMPTY, format!("`{}` has no commit yet; hint: push a first one", access.url)),
                false => no_branch(branch, access, &refs),
            });
        }
        let default = refs.default_branch.as_deref().and_then(|name| refs.branch(name));
        let parent = head.or(default);
        let mut repository = Self {
            access: access.clone(),
            branch: branch.to_owned(),
            objects: Objects::none(),
            head,
            parent,
            leaves: Leaves::new(),
            folder: folder.to_owned(),
            has_folder: false,
            ignored: Vec::new(),
        };
        if let Some(parent) = parent {
            let wanted = Wanted { objects: vec![parent], depth: Some(1), tags: false };
            repository.objects = Objects::of(remote.fetch(&wanted, cx)?.pack)?;
            let tree = commit::tree_of(&repository.objects, parent)?;
            if let Some(found) = leaves(&repository.objects, tree, folder)? {
                repository.leaves = found;
                repository.has_folder = true;
            }
            repository.ignored = repository.patterns()?;
        }
        Ok(repository)
    }

    /// The same branch as it is now.
    pub fn again(&self, cx: &Context) -> Result<Self, Failure> {
        Self::fetch(&self.access, &self.branch, &self.folder, Branch::MayBeNew, cx)
    }

    fn patterns(&self) -> Result<Vec<Glob>, Failure> {
        let Some(leaf) = self.leaves.get(IGNORE) else { return Ok(Vec::new()) };
        let bytes = self.objects.read_as(ObjectKind::Blob, &leaf.id)?;
        let text = String::from_utf8_lossy(&bytes);
        let lines = text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'));
        let mut patterns = Vec::new();
        for line in lines.take(PATTERNS_MAX) {
            // A folder is all that is in it; a name without a separator is one at any depth.
            let folder = line.strip_suffix('/').unwrap_or(line);
            let read = |pattern: &str| {
                Glob::anywhere(pattern).map_err(|why| fault(failures::INVALID, format!("`{IGNORE}`: {why}")))
            };
            patterns.push(read(folder)?);
            patterns.push(read(&format!("{folder}/**"))?);
        }
        Ok(patterns)
    }

    /// The things of the folder, by a layout. Links and submodules are none.
    pub fn side(
        &self,
        layout: &Layout,
        wanted: impl Fn(&super::model::Key) -> bool,
        cx: &Context,
    ) -> Result<Side, Failure> {
        let mut side = Side::new();
        let mut bytes = 0;
        for (path, leaf) in &self.leaves {
            let Place::Thing(key) = layout.place(path) else { continue };
            if !wanted(&key) || self.is_ignored(path) {
                continue;
            }
            if matches!(leaf.kind, LeafKind::Link | LeafKind::Submodule) {
                cx.warn(format!("`{}` is a link or a submodule, and left alone", self.shown(path)));
                continue;
            }
            let content = self.content(path)?;
            bytes += content.len();
            if bytes > CONTENT_BYTES_MAX {
                let message = format!(
                    "the folder has more than {} MiB of files; hint: keep less of it in step with `gitDirectory`",
                    CONTENT_BYTES_MAX >> 20
                );
                return Err(fault(failures::TOO_LARGE, message));
            }
            let version = Version { content, etag: None, path: Some(path.clone()) };
            if let Some(other) = side.insert(key.clone(), version) {
                let message = format!(
                    "{} `{key}` is in the repository twice: `{}` and `{}`; hint: delete one of them",
                    key.kind.name(),
                    self.shown(&other.path.unwrap_or_default()),
                    self.shown(path)
                );
                return Err(fault(failures::CONFLICT, message));
            }
        }
        Ok(side)
    }

    /// Whether a path is to be left alone.
    pub fn is_ignored(&self, path: &str) -> bool {
        self.ignored.iter().any(|pattern| pattern.fits(path))
    }

    /// The content of a file.
    pub fn content(&self, path: &str) -> Result<Vec<u8>, Failure> {
        let leaf = self.leaves.get(path).ok_or_else(|| refused(path, "it is not there"))?;
        self.objects.read_as(ObjectKind::Blob, &leaf.id)
    }

    /// A path from the root of the repository.
    pub fn shown(&self, path: &str) -> String {
        if self.folder.is_empty() { path.to_owned() } else { format!("{}/{path}", self.folder) }
    }

    /// The branch's commit, where it has one.
    pub fn head(&self) -> Option<ObjectId> {
        self.head
    }

    /// What the repository is called by people at a commit.
    pub fn commit_url(&self, commit: ObjectId) -> String {
        self.access.commit_url(&commit.to_string())
    }

    /// Commits edits, by their paths in the folder, and moves the branch. `None`: nothing is different.
    pub fn commit(
        &mut self,
        edits: &BTreeMap<String, Edit>,
        author: &Author,
        message: &str,
        at: u64,
        cx: &Context,
    ) -> Result<Option<ObjectId>, Failure> {
        let edits: BTreeMap<String, Edit> = edits
            .iter()
            .map(|(path, edit)| {
                // A file that is a program stays one.
                let edit = match (edit, self.leaves.get(path)) {
                    (Edit::Put { content, .. }, Some(leaf)) if leaf.kind == LeafKind::Program => {
                        Edit::Put { content: content.clone(), kind: LeafKind::Program }
                    }
                    (edit, _) => edit.clone(),
                };
                (self.shown(path), edit)
            })
            .collect();
        let old_tree = self.parent.map(|parent| commit::tree_of(&self.objects, parent)).transpose()?;
        let tree = commit::edited(&mut self.objects, old_tree, &edits)?;
        if Some(tree) == old_tree && self.head.is_some() {
            return Ok(None);
        }
        if old_tree.is_none() && edits.is_empty() {
            return Ok(None);
        }
        let new = commit::commit(&mut self.objects, tree, self.parent, author, message, at)?;
        let pack = pack::written(self.objects.made())?;
        push(&self.access, &Push { branch: &self.branch, old: self.head, new, pack: &pack }, cx)?;
        Ok(Some(new))
    }
}
