//! What real git reads in a repository: files of a commit, its history, its references, and whether all is in order.

use std::collections::BTreeMap;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use super::command::{text, tried};
use super::repository::Repository;

/// What lies at a path.
#[derive(Clone, PartialEq, Eq)]
pub enum Entry {
    File(Vec<u8>),
    Executable(Vec<u8>),
    /// A symbolic link, with what it points to.
    Link(Vec<u8>),
    /// A folder with nothing in it: git makes one where a submodule is.
    Folder,
}

impl std::fmt::Debug for Entry {
    /// Short: what differs is to be seen in a failed test.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (name, bytes) = match self {
            Self::File(bytes) => ("File", bytes),
            Self::Executable(bytes) => ("Executable", bytes),
            Self::Link(target) => ("Link", target),
            Self::Folder => return f.write_str("Folder"),
        };
        match bytes.get(..40) {
            None => write!(f, "{name}({:?})", String::from_utf8_lossy(bytes)),
            Some(begin) => write!(f, "{name}({:?}… {} bytes)", String::from_utf8_lossy(begin), bytes.len()),
        }
    }
}

/// A commit of a history.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Logged {
    pub hash: String,
    pub tree: String,
    pub parents: Vec<String>,
    pub author: String,
    pub email: String,
    /// Seconds since 1970.
    pub author_time: u64,
    pub committer: String,
    pub commit_time: u64,
    pub message: String,
}

/// What `git log` is asked for: as many fields as [`Logged`] has.
const LOG_FORMAT: &str = "--format=%H%x1f%T%x1f%P%x1f%an%x1f%ae%x1f%at%x1f%cn%x1f%ct%x1f%B";

impl Logged {
    fn parse(record: &str) -> Option<Self> {
        let mut fields = record.split('\u{1f}').map(str::to_owned);
        let mut next = || fields.next();
        Some(Self {
            hash: next()?,
            tree: next()?,
            parents: next()?.split_whitespace().map(str::to_owned).collect(),
            author: next()?,
            email: next()?,
            author_time: next()?.parse().ok()?,
            committer: next()?,
            commit_time: next()?.parse().ok()?,
            message: next()?,
        })
    }
}

impl Repository {
    /// The files of a commit as real git puts them down, in a fresh clone.
    #[track_caller]
    pub fn checkout(&self, revision: &str) -> BTreeMap<String, Entry> {
        self.try_checkout(revision)
            .unwrap_or_else(|complaint| panic!("`{revision}` cannot be checked out: {complaint}"))
    }

    /// The same of one that git may refuse.
    pub fn try_checkout(&self, revision: &str) -> Result<BTreeMap<String, Entry>, String> {
        let commit = self.resolve(&format!("{revision}^{{commit}}")).ok_or_else(|| format!("no `{revision}`"))?;
        let folder = tempfile::tempdir().expect("a temporary folder");
        let from = self.path().to_str().expect("temporary folders have names of text");
        tried(folder.path(), &["clone", "-q", "--local", "--no-checkout", from, "clone"], b"")?;
        let clone = folder.path().join("clone");
        tried(&clone, &["checkout", "-q", "--detach", &commit], b"")?;
        Ok(files(&clone))
    }

    /// Whether git finds nothing wrong, or what.
    pub fn fsck_strict(&self) -> Result<(), String> {
        tried(self.path(), &["fsck", "--strict", "--full", "--no-dangling", "--no-progress"], b"").map(drop)
    }

    /// The history of a revision, the newest first.
    #[track_caller]
    pub fn log(&self, revision: &str) -> Vec<Logged> {
        let printed = text(self.path(), &["log", "-z", "--topo-order", LOG_FORMAT, revision, "--"], b"");
        let records = printed.split('\0').filter(|record| !record.is_empty());
        records.map(|record| Logged::parse(record).expect("git prints what it is asked for")).collect()
    }

    #[track_caller]
    pub fn tree_hash(&self, revision: &str) -> String {
        self.hash(&format!("{revision}^{{tree}}"))
    }

    /// Names and hashes of all references but HEAD.
    #[track_caller]
    pub fn refs(&self) -> BTreeMap<String, String> {
        let printed = self.git(&["for-each-ref", "--format=%(objectname) %(refname)"]);
        let pairs = printed.lines().filter_map(|line| line.split_once(' '));
        pairs.map(|(hash, name)| (name.to_owned(), hash.to_owned())).collect()
    }

    /// Mode and path of all that a revision has, submodules and odd names included, or git's complaint.
    pub fn listed(&self, revision: &str) -> Result<Vec<(String, Vec<u8>)>, String> {
        let printed = tried(self.path(), &["ls-tree", "-r", "-z", "--full-tree", revision], b"")?;
        let lines = printed.split(|byte| *byte == 0).filter(|line| !line.is_empty());
        let parsed = |line: &[u8]| {
            let tab = line.iter().position(|byte| *byte == b'\t')?;
            let (head, path) = line.split_at_checked(tab)?;
            let mode = String::from_utf8_lossy(head.get(..6)?).into_owned();
            Some((mode, path.get(1..)?.to_vec()))
        };
        Ok(lines.map(|line| parsed(line).expect("git prints mode, kind, hash and path")).collect())
    }
}

/// What lies in a folder, without the `.git` of a clone. Folders are named only where they are empty.
///
/// Names have to be text; names of tests that are checked out are.
#[track_caller]
pub fn files(folder: &Path) -> BTreeMap<String, Entry> {
    let mut found = BTreeMap::new();
    let mut folders = vec![(folder.to_owned(), String::new())];
    while let Some((path, name)) = folders.pop() {
        let entries = std::fs::read_dir(&path).unwrap_or_else(|error| panic!("`{}`: {error}", path.display()));
        let mut is_empty = true;
        for entry in entries {
            let entry = entry.unwrap_or_else(|error| panic!("`{}`: {error}", path.display()));
            is_empty = false;
            let own = entry.file_name().into_string().unwrap_or_else(|name| panic!("{name:?} is no text"));
            if name.is_empty() && own == ".git" {
                continue;
            }
            let name = if name.is_empty() { own } else { format!("{name}/{own}") };
            match read(&entry.path()) {
                Some(entry) => drop(found.insert(name, entry)),
                None => folders.push((entry.path(), name)),
            }
        }
        if is_empty && !name.is_empty() {
            found.insert(name, Entry::Folder);
        }
    }
    found
}

/// A file or link; nothing for a folder.
#[track_caller]
fn read(path: &Path) -> Option<Entry> {
    let failed = |error: std::io::Error| -> ! { panic!("`{}` cannot be read: {error}", path.display()) };
    let about = path.symlink_metadata().unwrap_or_else(|error| failed(error));
    if about.is_dir() {
        return None;
    }
    if about.is_symlink() {
        let target = std::fs::read_link(path).unwrap_or_else(|error| failed(error));
        return Some(Entry::Link(target.as_os_str().as_bytes().to_vec()));
    }
    let bytes = std::fs::read(path).unwrap_or_else(|error| failed(error));
    match about.permissions().mode() & 0o111 {
        0 => Some(Entry::File(bytes)),
        _ => Some(Entry::Executable(bytes)),
    }
}
