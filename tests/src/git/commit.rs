//! A commit that is to be made: what it changes, and what it follows.

use super::reading::Entry;
use super::stream::Stream;

/// A commit, said in the words of whoever tests. Nothing happens before [`super::Repository::commit`].
#[derive(Clone, Debug)]
pub struct Commit {
    pub(super) branch: String,
    pub(super) message: String,
    /// Its first parent, where that is not where the branch is.
    pub(super) from: Option<String>,
    pub(super) merged: Vec<String>,
    changes: Vec<Change>,
}

#[derive(Clone, Debug)]
enum Change {
    Put(Vec<u8>, Entry),
    Submodule(Vec<u8>, String),
    Delete(Vec<u8>),
    Rename(Vec<u8>, Vec<u8>),
}

impl Commit {
    /// One that a branch gets; a branch that is not there begins with it.
    pub fn on(branch: &str) -> Self {
        let (message, from) = (format!("A commit on {branch}"), None);
        Self { branch: branch.to_owned(), message, from, merged: Vec::new(), changes: Vec::new() }
    }

    pub fn message(self, message: &str) -> Self {
        Self { message: message.to_owned(), ..self }
    }

    /// Follows another commit than the branch's last one.
    pub fn from(self, revision: &str) -> Self {
        Self { from: Some(revision.to_owned()), ..self }
    }

    /// A further parent; two make an octopus. Files are those of the first parent, and what is said here.
    pub fn merge(mut self, revision: &str) -> Self {
        self.merged.push(revision.to_owned());
        self
    }

    fn change(mut self, change: Change) -> Self {
        self.changes.push(change);
        self
    }

    pub fn put(self, path: impl AsRef<[u8]>, entry: Entry) -> Self {
        self.change(Change::Put(path.as_ref().to_vec(), entry))
    }

    pub fn file(self, path: impl AsRef<[u8]>, bytes: impl AsRef<[u8]>) -> Self {
        self.put(path, Entry::File(bytes.as_ref().to_vec()))
    }

    pub fn executable(self, path: impl AsRef<[u8]>, bytes: impl AsRef<[u8]>) -> Self {
        self.put(path, Entry::Executable(bytes.as_ref().to_vec()))
    }

    pub fn link(self, path: impl AsRef<[u8]>, target: impl AsRef<[u8]>) -> Self {
        self.put(path, Entry::Link(target.as_ref().to_vec()))
    }

    /// A commit of another repository.
    pub fn submodule(self, path: impl AsRef<[u8]>, commit: &str) -> Self {
        self.change(Change::Submodule(path.as_ref().to_vec(), commit.to_owned()))
    }

    /// Of a file, or of a folder with all that is in it.
    pub fn delete(self, path: impl AsRef<[u8]>) -> Self {
        self.change(Change::Delete(path.as_ref().to_vec()))
    }

    pub fn rename(self, from: impl AsRef<[u8]>, to: impl AsRef<[u8]>) -> Self {
        self.change(Change::Rename(from.as_ref().to_vec(), to.as_ref().to_vec()))
    }

    /// What git is told of the changes.
    pub(super) fn write(&self, stream: &mut Stream) {
        for change in &self.changes {
            match change {
                Change::Put(path, Entry::File(bytes)) => stream.inline("100644", path, bytes),
                Change::Put(path, Entry::Executable(bytes)) => stream.inline("100755", path, bytes),
                Change::Put(path, Entry::Link(target)) => stream.inline("120000", path, target),
                Change::Put(path, Entry::Folder) => {
                    panic!("`{}` is to be an empty folder, which git does not keep", String::from_utf8_lossy(path))
                }
                Change::Submodule(path, commit) => stream.file("160000", commit, path),
                Change::Delete(path) => stream.delete(path),
                Change::Rename(from, to) => stream.rename(from, to),
            }
        }
    }
}
