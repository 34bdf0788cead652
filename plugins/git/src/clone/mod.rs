//! `git.Clone`: a repository in the working directory, with its `.git`, so that what runs next finds a clone as `git` makes them. Everything is
//! looked at before the first file is written, and what was written is taken away again if it cannot be finished.

mod checkout;
mod dot_git;
mod index;
mod submodules;

use std::fs;
use std::path::{Path, PathBuf};

use gix_hash::ObjectId;
use sluice_sdk::prelude::*;

use crate::access::{Access, properties_of_access};
use crate::failures::{self, fault};
use crate::objects::tree::{Leaves, folder_name, leaves};
use crate::objects::{Objects, commit};
use crate::remote::{Refs, Remote, Wanted};
use checkout::Checkout;
use dot_git::{DotGit, Head};

/// What becomes of symbolic links.
#[properties]
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Links {
    /// They are made. One that leads out of the clone fails the task.
    Keep,
    /// They are left out.
    Skip,
}

properties_of_access! {
    pub struct CloneProperties {
        /// The folder of the working directory to clone into. Without it: the working directory itself.
        directory: Option<String>,
        /// The branch. Without it: the one that the server says.
        branch: Option<String>,
        /// The tag to check out; wins over `branch`.
        tag: Option<String>,
        /// The commit to check out; wins over `tag`. Its whole name, or what it begins with.
        commit: Option<String>,
        /// Commits of history for each branch; `0`: all. With `commit` or `tag` all of it comes.
        #[default(1_u32)]
        depth: u32,
        /// Whether the other branches come as well.
        #[default(true)]
        clone_all_branches: bool,
        /// Whether tags are left out.
        #[default(false)]
        no_tags: bool,
        /// Whether submodules are cloned, up to five deep.
        #[default(false)]
        clone_submodules: bool,
        /// What becomes of symbolic links: one that leads out of the clone fails the task unless links are left out.
        #[default(Links::Keep)]
        symlinks: Links,
    }
}

#[outputs]
pub struct CloneOutputs {
    /// The folder of the clone, in the working directory.
    directory: String,
    /// The commit that is checked out.
    commit_id: String,
    /// The branch that is checked out, unless `commit` or `tag` were given.
    branch: Option<String>,
    /// How many files were written.
    files: u64,
}

/// Clone a Git repository into the working directory.
///
/// The clone has a `.git` as `git clone` makes it, with history as deep as `depth` says. Hooks and filters never run. SSH is not spoken: use an `https` URL, with
/// a token as the password.
///
/// Names that would be other files elsewhere (`.git` in disguise, `CON`, two that differ in their case alone), paths with `..` and links that lead out fail the
/// task, with nothing written.
///
/// Failure codes: `GIT_URL`, `GIT_SSH`, `GIT_AUTH`, `GIT_FORBIDDEN`, `GIT_NOT_FOUND`, `GIT_PROTOCOL`, `GIT_OBJECT_FORMAT`, `GIT_BRANCH`, `GIT_TAG`, `GIT_COMMIT`,
/// `GIT_EMPTY`, `GIT_TOO_LARGE`, `GIT_CORRUPT`, `GIT_PATH`, `GIT_EXISTS`, `NO_WORKING_DIRECTORY`.
///
/// # Clone a public repository
/// ```yaml
/// id: clone
/// type: io.kestra.plugin.git.Clone
/// url: https://github.com/kestra-io/blueprints
/// branch: main
/// ```
///
/// # Clone a private one, all of its history
/// ```yaml
/// id: clone
/// type: io.kestra.plugin.git.Clone
/// url: https://github.com/example/private
/// username: git
/// password: "{{ secret('GITHUB_TOKEN') }}"
/// depth: 0
/// ```
#[task("io.kestra.plugin.git.Clone", capabilities = crate::without_objects)]
pub fn clone(properties: CloneProperties, cx: &Context) -> Result<CloneOutputs, Failure> {
    let access = properties.access(cx)?;
    let work = cx.working_dir().ok_or_else(|| {
        let message = "this task has no working directory to clone into; hint: the policy has to allow `files: write`";
        fault(failures::NO_DIRECTORY, message)
    })?;
    let folder = folder_name("directory", properties.directory.as_deref().unwrap_or_default())?;
    let root = if folder.is_empty() { work } else { work.join(&folder) };
    let mut remote = Remote::connect(&access)?;
    let refs = remote.refs()?;
    let choice = Choice::of(&properties, &refs, &access)?;
    let fetched = remote.fetch(&choice.wanted, cx)?;
    cx.debug(format!("received {} bytes of objects", fetched.pack.len()));
    let objects = Objects::of(fetched.pack)?;
    let head = choice.commit(&objects)?;
    let found = files_of(&objects, head)?;
    let links = properties.symlinks;
    let checkout = Checkout::planned(&objects, &found, links)?;
    let modules = match properties.clone_submodules {
        true => submodules::planned(&objects, &found, &access)?,
        false => Vec::new(),
    };
    let dot_git = DotGit {
        objects: &objects,
        refs: &refs,
        shallow: &fetched.shallow,
        url: &access.url.to_string(),
        head: match &choice.branch {
            Some(branch) => Head::Branch(branch, head),
            None => Head::Detached(head),
        },
        tags: !properties.no_tags,
        config: access.config.as_ref(),
    };
    let mut written = Written::begin(&root, &found)?;
    let done = checkout.write(&root, &objects, cx).and_then(|files| {
        dot_git.write(&root, &checkout)?;
        modules.iter().try_for_each(|module| module.clone(&root, &access, links, cx, 1))?;
        Ok(files)
    });
    let files = match done {
        Ok(files) => files,
        Err(failure) => {
            written.undo();
            return Err(failure);
        }
    };
    cx.info(format!("cloned {files} files of `{}` at {head}", access.url));
    Ok(CloneOutputs {
        directory: if folder.is_empty() { ".".to_owned() } else { folder },
        commit_id: head.to_string(),
        branch: choice.branch,
        files: files as u64,
    })
}

/// All files of a commit.
fn files_of(objects: &Objects, head: ObjectId) -> Result<Leaves, Failure> {
    let tree = commit::tree_of(objects, head)?;
    Ok(leaves(objects, tree, "")?.unwrap_or_default())
}

/// What is checked out, and what is fetched for it.
struct Choice {
    wanted: Wanted,
    target: Target,
    branch: Option<String>,
}

enum Target {
    Object(ObjectId),
    /// A commit by the beginning of its name.
    Named(String),
}

impl Choice {
    fn of(properties: &CloneProperties, refs: &Refs, access: &Access) -> Result<Self, Failure> {
        let given =
            |text: &Option<String>| text.as_deref().map(str::trim).filter(|text| !text.is_empty()).map(str::to_owned);
        if refs.is_empty() {
            let message = format!("`{}` has no commit yet; hint: push a first one", access.url);
            return Err(fault(failures::EMPTY, message));
        }
        let (commit, tag, branch) = (given(&properties.commit), given(&properties.tag), given(&properties.branch));
        let (target, branch) = if let Some(commit) = commit {
            let is_name = (4..=40).contains(&commit.len()) && commit.bytes().all(|byte| byte.is_ascii_hexdigit());
            if !is_name {
                let message = format!("`commit`: `{commit}` is no name of a commit: 4 to 40 hexadecimal digits");
                return Err(Failure::bad_property(message));
            }
            (Target::Named(commit.to_ascii_lowercase()), None)
        } else if let Some(name) = tag {
            let tag = refs.tag(&name).ok_or_else(|| {
                unknown(failures::TAG, "tag", &name, access, refs.tags.iter().map(|tag| tag.name.as_str()))
            })?;
            (Target::Object(tag.object), None)
        } else {
            let name = branch.or_else(|| refs.default_branch.clone());
            match (name, refs.detached) {
                (Some(name), _) => {
                    let id = refs.branch(&name).ok_or_else(|| no_branch(&name, access, refs))?;
                    (Target::Object(id), Some(name.strip_prefix("refs/heads/").unwrap_or(&name).to_owned()))
                }
                (None, Some(id)) => (Target::Object(id), None),
                (None, None) => return Err(no_branch("HEAD", access, refs)),
            }
        };
        let whole = branch.is_none() || properties.depth == 0;
        let mut objects = match &target {
            Target::Object(id) => vec![*id],
            Target::Named(_) => Vec::new(),
        };
        if properties.clone_all_branches || objects.is_empty() {
            objects.extend(refs.branches.iter().map(|(_, id)| *id));
        }
        if whole && !properties.no_tags {
            objects.extend(refs.tags.iter().map(|tag| tag.object));
        }
        objects.sort_unstable();
        objects.dedup();
        let depth = (!whole).then_some(properties.depth);
        Ok(Self { wanted: Wanted { objects, depth, tags: !properties.no_tags }, target, branch })
    }

    fn commit(&self, objects: &Objects) -> Result<ObjectId, Failure> {
        match &self.target {
            Target::Object(id) => commit::peeled(objects, *id),
            Target::Named(name) => {
                let found = objects.by_prefix(name)?.ok_or_else(|| {
                    let message = format!(
                        "no commit `{name}` on any branch or tag; hint: look at `commit`, and whether it was pushed"
                    );
                    fault(failures::COMMIT, message)
                })?;
                commit::peeled(objects, found)
            }
        }
    }
}

/// No such branch, and which there are.
pub fn no_branch(name: &str, access: &Access, refs: &Refs) -> Failure {
    unknown(failures::BRANCH, "branch", name, access, refs.branches.iter().map(|(name, _)| name.as_str()))
}

fn unknown<'a>(code: &str, what: &str, name: &str, access: &Access, there: impl Iterator<Item = &'a str>) -> Failure {
    let there: Vec<&str> = there.take(11).collect();
    let more = if there.len() > 10 { ", …" } else { "" };
    let known = match there.get(..there.len().min(10)) {
        Some(names) if !names.is_empty() => format!("; hint: there are `{}`{more}", names.join("`, `")),
        _ => format!("; hint: there is no {what} at all"),
    };
    fault(code, format!("`{}` has no {what} `{}`{known}", access.url, name.escape_debug()))
}

/// What a clone makes in its folder, to be taken away if it cannot be finished.
pub(crate) struct Written {
    made: Vec<PathBuf>,
}

impl Written {
    /// Makes the folder; refuses one in which something is in the way.
    pub fn begin(root: &Path, leaves: &Leaves) -> Result<Self, Failure> {
        let is_new = !root.is_dir();
        fs::create_dir_all(root)?;
        let mut names: Vec<&str> = leaves.keys().filter_map(|path| path.split('/').next()).collect();
        names.push(".git");
        names.dedup();
        let mut made = Vec::new();
        for name in names {
            let path = root.join(name);
            if !is_new && fs::symlink_metadata(&path).is_ok() {
                let message = format!(
                    "`{name}` is in the working directory already; hint: clone into another folder with `directory`"
                );
                return Err(fault(failures::EXISTS, message));
            }
            made.push(path);
        }
        Ok(Self { made })
    }

    fn undo(&mut self) {
        for path in self.made.drain(..) {
            // What cannot be taken away stays in a directory that ends with the task or the unit.
            let _ = match fs::symlink_metadata(&path) {
                Ok(found) if found.is_dir() => fs::remove_dir_all(&path),
                Ok(_) => fs::remove_file(&path),
                Err(_) => Ok(()),
            };
        }
    }
}
