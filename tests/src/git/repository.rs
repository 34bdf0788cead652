//! A repository that real git makes, bare and in a temporary folder. Every function runs git and waits for it.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use tempfile::TempDir;

use super::command::{done, text, tried};
use super::commit::Commit;
use super::stream::Stream;

/// A repository. Cloned, it is the same one; gone with the last of them.
#[derive(Clone, Debug)]
pub struct Repository {
    path: PathBuf,
    /// How many commits it has had: their dates.
    commits: Arc<AtomicU64>,
    _folder: Option<Arc<TempDir>>,
}

impl Repository {
    /// An empty one, whose default branch is `main`.
    pub fn new() -> Self {
        Self::made(&["--initial-branch=main"])
    }

    /// An empty one with another default branch.
    pub fn with_branch(branch: &str) -> Self {
        Self::made(&[&format!("--initial-branch={branch}")])
    }

    /// An empty one whose hashes are SHA-256.
    pub fn sha256() -> Self {
        Self::made(&["--initial-branch=main", "--object-format=sha256"])
    }

    fn made(options: &[&str]) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let arguments = [&["init", "-q", "--bare", "--template="], options, &["repository.git"]].concat();
        done(folder.path(), &arguments, b"");
        let path = folder.path().join("repository.git");
        Self { path, commits: Arc::default(), _folder: Some(Arc::new(folder)) }
    }

    /// One that is there already: of a server, or what a plugin made.
    pub fn open(path: impl Into<PathBuf>) -> Self {
        let opened = Self { path: path.into(), commits: Arc::default(), _folder: None };
        // Dates go on where they were.
        let count = opened.tried(&["rev-list", "--all", "--count"]).ok().and_then(|count| count.parse().ok());
        opened.commits.store(count.unwrap_or(0), Ordering::Relaxed);
        opened
    }

    /// Its folder: what is `.git` elsewhere.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// What any command of git prints.
    #[track_caller]
    pub fn git(&self, arguments: &[&str]) -> String {
        text(&self.path, arguments, b"")
    }

    /// The same of one that may fail; then it is the complaint.
    pub fn tried(&self, arguments: &[&str]) -> Result<String, String> {
        let printed = tried(&self.path, arguments, b"")?;
        Ok(String::from_utf8_lossy(&printed).trim_end_matches('\n').to_owned())
    }

    /// The same of one that reads, as it is printed.
    #[track_caller]
    pub(super) fn fed(&self, arguments: &[&str], input: &[u8]) -> Vec<u8> {
        done(&self.path, arguments, input)
    }

    /// The hash that a revision has, if there is one.
    pub fn resolve(&self, revision: &str) -> Option<String> {
        self.tried(&["rev-parse", "--quiet", "--verify", "--end-of-options", revision]).ok()
    }

    /// The hash of a revision that is there.
    #[track_caller]
    pub fn hash(&self, revision: &str) -> String {
        self.resolve(revision).unwrap_or_else(|| panic!("`{revision}` is not in `{}`", self.path.display()))
    }

    /// Makes a commit, and says its hash.
    #[track_caller]
    pub fn commit(&self, commit: Commit) -> String {
        let at = self.commits.fetch_add(1, Ordering::Relaxed);
        let reference = format!("refs/heads/{}", commit.branch);
        let mut stream = Stream::default();
        stream.commit(&reference, 1, at, format!("{}\n", commit.message).as_bytes());
        let first = commit.from.clone().or_else(|| self.resolve(&reference));
        if let Some(first) = first {
            stream.from(&self.hash(&format!("{first}^{{commit}}")));
        }
        for merged in &commit.merged {
            stream.merge(&self.hash(&format!("{merged}^{{commit}}")));
        }
        commit.write(&mut stream);
        self.import(&stream, &[]);
        self.hash(&reference)
    }

    /// Takes in what a stream says.
    #[track_caller]
    pub(super) fn import(&self, stream: &Stream, settings: &[&str]) {
        // Branches may go where they could not go forward.
        let arguments = [settings, &["fast-import", "--quiet", "--force"]].concat();
        done(&self.path, &arguments, stream.bytes());
    }

    /// Puts a branch somewhere.
    #[track_caller]
    pub fn branch(&self, name: &str, revision: &str) {
        self.reference(&format!("refs/heads/{name}"), revision);
    }

    #[track_caller]
    pub fn delete_branch(&self, name: &str) {
        self.git(&["update-ref", "-d", &format!("refs/heads/{name}")]);
    }

    /// Puts any reference somewhere.
    #[track_caller]
    pub fn reference(&self, name: &str, revision: &str) {
        self.git(&["update-ref", name, revision]);
    }

    /// A light tag, of whatever a revision is: a commit, a tree, a blob, a tag.
    #[track_caller]
    pub fn tag(&self, name: &str, revision: &str) {
        self.reference(&format!("refs/tags/{name}"), revision);
    }

    /// A tag that is an object of its own, of whatever a revision is. Says the tag's hash.
    #[track_caller]
    pub fn annotated(&self, name: &str, revision: &str, message: &str) -> String {
        self.git(&["tag", "-f", "-a", "-m", message, name, revision]);
        self.hash(&format!("refs/tags/{name}"))
    }

    /// The default branch, which need not be there.
    #[track_caller]
    pub fn head(&self, branch: &str) {
        self.git(&["symbolic-ref", "HEAD", &format!("refs/heads/{branch}")]);
    }

    /// HEAD is a commit and no branch.
    #[track_caller]
    pub fn detach(&self, revision: &str) {
        self.git(&["update-ref", "--no-deref", "HEAD", &format!("{revision}^{{commit}}")]);
    }

    /// One pack with long chains of deltas, and packed references.
    #[track_caller]
    pub fn gc(&self) {
        self.git(&["gc", "-q", "--aggressive", "--prune=now"]);
    }

    /// One pack, made anew.
    #[track_caller]
    pub fn repack(&self) {
        self.git(&["repack", "-q", "-a", "-d", "-f"]);
    }

    #[track_caller]
    pub fn pack_refs(&self) {
        self.git(&["pack-refs", "--all"]);
    }

    /// A pack of all its objects, none of which is looked into: it is made even where git could not walk from commit to file.
    #[track_caller]
    pub fn pack(&self) -> Vec<u8> {
        let list = ["cat-file", "--batch-all-objects", "--batch-check=%(objectname)"];
        let objects = self.fed(&list, b"");
        self.fed(&["pack-objects", "-q", "--stdout"], &objects)
    }

    /// A copy of its folder, byte by byte, elsewhere.
    #[track_caller]
    pub(super) fn copy(&self, to: &Path) {
        copy(&self.path, to).unwrap_or_else(|error| panic!("`{}` cannot be copied: {error}", self.path.display()));
    }
}

impl Default for Repository {
    fn default() -> Self {
        Self::new()
    }
}

/// Of a folder that git made: folders in it are as deep as names of references have steps.
fn copy(from: &Path, to: &Path) -> std::io::Result<()> {
    std::fs::create_dir_all(to)?;
    for entry in std::fs::read_dir(from)? {
        let entry = entry?;
        let to = to.join(entry.file_name());
        match entry.file_type()?.is_dir() {
            true => copy(&entry.path(), &to)?,
            false => drop(std::fs::copy(entry.path(), &to)?),
        }
    }
    Ok(())
}
