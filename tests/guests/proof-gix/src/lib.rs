//! Proof for `wit/`: gitoxide as a guest. It makes a repository in the working directory, and checks one out by walking its tree.
//! It never opens an index, starts a program or reads configuration from outside the repository.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Component, Path, PathBuf};

use gix::objs::tree::EntryKind;
use sluice_sdk::prelude::*;

/// Trees nest as deep as folders do; deeper is an attack on the stack.
const DEPTH: usize = 64;

#[properties]
pub struct Write {
    /// Where the repository is, or will be.
    directory: String,
    /// Contents by path.
    files: BTreeMap<String, String>,
    /// The commit message.
    message: String,
}

#[outputs]
pub struct Written {
    commit: String,
    tree: String,
}

/// Commits files to `main`.
#[task("proof.gix.Write")]
pub fn write(properties: Write, cx: &Context) -> Result<Written, Failure> {
    let directory = Path::new(&properties.directory);
    let repository = match directory.join(".git").is_dir() {
        true => open(directory)?,
        false => {
            fs::create_dir_all(directory).map_err(|error| failed("make the folder", error))?;
            gix::create::into(directory, gix::create::Kind::WithWorktree, gix::create::Options::default())
                .map_err(|error| failed("make the repository", error))?;
            open(directory)?
        }
    };
    let parent = repository.head_id().ok().map(|id| id.detach());
    let base = match parent {
        Some(parent) => repository
            .find_object(parent)
            .and_then(|object| object.peel_to_tree())
            .map_err(|error| failed("read the tree of the parent", error))?,
        None => repository.empty_tree(),
    };
    let mut editor = base.edit().map_err(|error| failed("edit the tree", error))?;
    for (path, content) in &properties.files {
        let blob = repository.write_blob(content).map_err(|error| failed("write a blob", error))?;
        editor
            .upsert(path.as_str(), EntryKind::Blob, blob)
            .map_err(|error| failed("put a file into the tree", error))?;
        cx.info(format!("{path} is blob {blob}"));
    }
    let tree = editor.write().map_err(|error| failed("write the trees", error))?;
    let signature = gix::actor::Signature {
        name: "Sluice".into(),
        email: "sluice@example.com".into(),
        time: gix::date::Time::now_utc(),
    };
    let commit = gix::objs::Commit {
        tree: tree.detach(),
        parents: parent.into_iter().collect(),
        author: signature.clone(),
        committer: signature,
        encoding: None,
        message: properties.message.as_str().into(),
        extra_headers: Vec::new(),
    };
    let commit = repository.write_object(&commit).map_err(|error| failed("write the commit", error))?;
    // gitoxide's own lock files ask for the process id, which a guest has not: std panics. One guest owns its working directory.
    let branch = repository.git_dir().join("refs/heads/main");
    let draft = branch.with_extension("lock");
    fs::write(&draft, format!("{commit}\n"))
        .and_then(|()| fs::rename(&draft, &branch))
        .map_err(|error| failed("move the branch", error))?;
    cx.info(format!("commit {commit}"));
    Ok(Written { commit: commit.to_string(), tree: tree.to_string() })
}

#[properties]
pub struct Checkout {
    /// Where the repository is.
    directory: String,
    /// Where its files go.
    into: String,
}

#[outputs]
pub struct CheckedOut {
    commit: String,
    files: u64,
    bytes: u64,
}

/// Writes the files of `HEAD`.
#[task("proof.gix.Checkout")]
pub fn checkout(properties: Checkout, cx: &Context) -> Result<CheckedOut, Failure> {
    let repository = open(Path::new(&properties.directory))?;
    let head = repository.head_id().map_err(|error| failed("find HEAD", error))?;
    let tree = head
        .object()
        .and_then(|object| object.peel_to_tree())
        .map_err(|error| failed("read the tree of HEAD", error))?;
    let mut done = CheckedOut { commit: head.to_string(), files: 0, bytes: 0 };
    walk(&tree, Path::new(&properties.into), 0, &mut done)?;
    cx.info(format!("{} files, {} bytes", done.files, done.bytes));
    Ok(done)
}

fn walk(tree: &gix::Tree<'_>, into: &Path, depth: usize, done: &mut CheckedOut) -> Result<(), Failure> {
    if depth > DEPTH {
        return Err(Failure::new("GIT", format!("`{}` is deeper than {DEPTH} folders", into.display())));
    }
    fs::create_dir_all(into).map_err(|error| failed("make a folder", error))?;
    for entry in tree.iter() {
        let entry = entry.map_err(|error| failed("read a tree", error))?;
        let path = into.join(safe_name(entry.filename().to_string())?);
        let object = || entry.object().map_err(|error| failed("read an object", error));
        match entry.mode().kind() {
            EntryKind::Tree => walk(&object()?.into_tree(), &path, depth + 1, done)?,
            EntryKind::Blob | EntryKind::BlobExecutable => {
                let blob = object()?;
                fs::write(&path, &blob.data).map_err(|error| failed("write a file", error))?;
                done.files += 1;
                done.bytes += blob.data.len() as u64;
            }
            // A proof writes no links and fetches no submodules.
            EntryKind::Link | EntryKind::Commit => {}
        }
    }
    Ok(())
}

/// One ordinary path segment, and not git's own.
fn safe_name(name: String) -> Result<PathBuf, Failure> {
    let path = PathBuf::from(&name);
    let mut parts = path.components();
    match (parts.next(), parts.next()) {
        (Some(Component::Normal(_)), None) if !name.eq_ignore_ascii_case(".git") => Ok(path),
        _ => Err(Failure::new("GIT", format!("`{name}` is no name of a file")).retryable(false)),
    }
}

fn open(directory: &Path) -> Result<gix::Repository, Failure> {
    gix::open_opts(directory, gix::open::Options::isolated().open_path_as_is(false).with(gix::sec::Trust::Full))
        .map_err(|error| failed("open the repository", error))
}

fn failed(what: &str, error: impl std::fmt::Display + std::fmt::Debug) -> Failure {
    Failure::new("GIT", format!("cannot {what}: {error}")).retryable(false)
}

plugin! {
    tasks: [write, checkout],
    title: "Proof: gitoxide",
    effects: Effects::Idempotent,
}
