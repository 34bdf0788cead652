//! Trees that git would not make by itself: entries are written as they stand, names and order included.

use super::repository::Repository;

/// What a tree may have.
#[derive(Clone, Debug)]
pub(super) enum Node {
    File(Vec<u8>),
    Executable(Vec<u8>),
    Link(Vec<u8>),
    Folder(Vec<(Vec<u8>, Node)>),
    /// A commit that is somewhere else.
    Submodule,
    /// A file of a mode that is written so.
    Mode(&'static str),
    /// A tree that is there.
    Tree(String),
}

/// The commit that submodules are at. Nobody has it.
const ELSEWHERE: &str = "1234567890123456789012345678901234567890";

impl Node {
    pub fn file() -> Self {
        Self::File(b"evil\n".to_vec())
    }

    pub fn link(target: &str) -> Self {
        Self::Link(target.as_bytes().to_vec())
    }

    pub fn folder<const N: usize>(entries: [(&str, Self); N]) -> Self {
        Self::Folder(named(entries))
    }

    /// As the entry of a tree has it.
    fn mode(&self) -> &'static str {
        match self {
            Self::File(_) => "100644",
            Self::Executable(_) => "100755",
            Self::Link(_) => "120000",
            Self::Folder(_) | Self::Tree(_) => "40000",
            Self::Submodule => "160000",
            Self::Mode(mode) => mode,
        }
    }

    /// Mode and path of all files in it, as `git ls-tree -r` names them.
    pub fn paths(&self, path: &[u8]) -> Vec<(String, Vec<u8>)> {
        match self {
            Self::Folder(entries) => {
                let below = |name: &[u8]| if path.is_empty() { name.to_vec() } else { [path, b"/", name].concat() };
                entries.iter().flat_map(|(name, node)| node.paths(&below(name))).collect()
            }
            // Git names files by the bits that it knows.
            Self::Mode(_) => vec![("100644".to_owned(), path.to_vec())],
            other => vec![(other.mode().to_owned(), path.to_vec())],
        }
    }

    /// Writes it with all that is in it, and says its hash.
    pub fn write(&self, repository: &Repository) -> String {
        match self {
            Self::File(bytes) | Self::Executable(bytes) | Self::Link(bytes) => blob(repository, bytes),
            Self::Mode(_) => blob(repository, b"evil\n"),
            Self::Submodule => ELSEWHERE.to_owned(),
            Self::Tree(hash) => hash.clone(),
            Self::Folder(entries) => {
                let written = entries.iter().map(|(name, node)| {
                    let hash = raw(&node.write(repository));
                    [node.mode().as_bytes(), b" ", name, b"\0", &hash].concat()
                });
                let tree: Vec<u8> = written.flatten().collect();
                hashed(repository, "tree", &tree)
            }
        }
    }
}

/// Entries with names of text.
pub(super) fn named<const N: usize>(entries: [(&str, Node); N]) -> Vec<(Vec<u8>, Node)> {
    entries.into_iter().map(|(name, node)| (name.as_bytes().to_vec(), node)).collect()
}

fn blob(repository: &Repository, bytes: &[u8]) -> String {
    hashed(repository, "blob", bytes)
}

/// Writes an object without a look at it.
fn hashed(repository: &Repository, kind: &str, bytes: &[u8]) -> String {
    let printed = repository.fed(&["hash-object", "-t", kind, "--literally", "-w", "--stdin"], bytes);
    String::from_utf8_lossy(&printed).trim().to_owned()
}

/// Puts `main` on a commit with this tree alone.
pub(super) fn committed(repository: &Repository, tree: &str) {
    let commit = repository.git(&["commit-tree", "-m", "A tree", tree]);
    repository.branch("main", &commit);
}

/// A hash as trees have it.
fn raw(hash: &str) -> Vec<u8> {
    let digits: Vec<u8> = hash.chars().filter_map(|digit| digit.to_digit(16)).map(|digit| digit as u8).collect();
    digits.chunks_exact(2).map(|pair| pair.iter().fold(0, |byte, digit| byte << 4 | digit)).collect()
}
