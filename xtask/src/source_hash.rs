//! The hash of source trees: what a published plugin and a prebuilt test guest say they were built from.
//!
//! It is sha256 over the files sorted by name, each as `length of name (u64, little endian), name, length of content (u64,
//! little endian), content`. A name is the tree's label, a slash, and the path inside the tree with slashes, so neither the
//! checkout's place nor the order of the file system matters. Left out: folders named `target`, and names that begin with
//! a dot. It never follows a symbolic link: one is refused, since what it points to is not in the tree.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use sha2::{Digest, Sha256};

/// Deepest folder of a source tree; deeper means a loop or a build product that strayed in.
const MAX_DEPTH: usize = 32;
/// Most files of one hash; the plugins and the SDK together have a few hundred.
const MAX_FILES: usize = 20_000;

/// One part of what is hashed: a file or a folder, under a label that does not depend on where the checkout is.
#[derive(Debug, Clone)]
pub struct Tree {
    pub label: String,
    pub path: PathBuf,
}

impl Tree {
    pub fn new(label: &str, path: impl Into<PathBuf>) -> Self {
        Self { label: label.to_owned(), path: path.into() }
    }
}

/// The hash of `trees`, as 64 hex digits.
pub fn hash(trees: &[Tree]) -> Result<String> {
    let mut files = BTreeMap::new();
    for tree in trees {
        collect(&tree.path, &tree.label, 0, &mut files)?;
    }
    let mut hasher = Sha256::new();
    for (name, path) in &files {
        let content = fs::read(path).with_context(|| format!("cannot read `{}`", path.display()))?;
        for part in [name.as_bytes(), content.as_slice()] {
            hasher.update((part.len() as u64).to_le_bytes());
            hasher.update(part);
        }
    }
    Ok(hex(&hasher.finalize()))
}

/// The hash of a test guest: its own folder (`tests/guests/<name>/`) and nothing else, so that a prebuilt guest goes stale
/// when somebody edits it, not when the SDK beside it moves on.
pub fn of_test_guest(folder: &Path) -> Result<String> {
    hash(&[Tree::new("guest", folder)])
}

/// sha256 of `bytes`, as 64 hex digits.
pub fn sha256(bytes: &[u8]) -> String {
    hex(&Sha256::digest(bytes))
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn collect(path: &Path, name: &str, depth: usize, files: &mut BTreeMap<String, PathBuf>) -> Result<()> {
    if depth > MAX_DEPTH || files.len() > MAX_FILES {
        bail!(
            "`{}` is no source tree: more than {MAX_DEPTH} folders deep or {MAX_FILES} files\nhint: is a build product in it?",
            path.display()
        );
    }
    let meta = fs::symlink_metadata(path).with_context(|| format!("cannot read `{}`", path.display()))?;
    if meta.is_symlink() {
        bail!(
            "`{}` is a symbolic link\nhint: sources are hashed by content; put the file itself there",
            path.display()
        );
    }
    if meta.is_file() {
        files.insert(name.to_owned(), path.to_owned());
        return Ok(());
    }
    for entry in fs::read_dir(path).with_context(|| format!("cannot list `{}`", path.display()))? {
        let entry = entry.with_context(|| format!("cannot list `{}`", path.display()))?;
        let file_name = entry.file_name();
        let Some(child) = file_name.to_str() else {
            bail!("`{}` has a name that is not UTF-8\nhint: rename it", entry.path().display());
        };
        if child != "target" && !child.starts_with('.') {
            collect(&entry.path(), &format!("{name}/{child}"), depth + 1, files)?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use super::*;

    fn tree() -> tempfile::TempDir {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir_all(dir.path().join("src")).unwrap();
        fs::write(dir.path().join("Cargo.toml"), "[package]").unwrap();
        fs::write(dir.path().join("src/lib.rs"), "fn a() {}").unwrap();
        dir
    }

    #[test]
    fn place_of_the_checkout_does_not_matter() {
        assert_eq!(of_test_guest(tree().path()).unwrap(), of_test_guest(tree().path()).unwrap());
    }

    #[test]
    fn touching_renaming_adding_or_removing_a_file_changes_the_hash() {
        let dir = tree();
        let mut seen = vec![of_test_guest(dir.path()).unwrap()];
        let lib = dir.path().join("src/lib.rs");
        fs::write(&lib, "fn a() { }").unwrap();
        seen.push(of_test_guest(dir.path()).unwrap());
        fs::rename(&lib, dir.path().join("src/main.rs")).unwrap();
        seen.push(of_test_guest(dir.path()).unwrap());
        fs::write(dir.path().join("src/b.rs"), "").unwrap();
        seen.push(of_test_guest(dir.path()).unwrap());
        fs::remove_file(dir.path().join("src/main.rs")).unwrap();
        seen.push(of_test_guest(dir.path()).unwrap());
        let distinct: std::collections::BTreeSet<_> = seen.iter().collect();
        assert_eq!(distinct.len(), seen.len());
    }

    #[test]
    fn moving_bytes_between_name_and_content_changes_the_hash() {
        let (one, two) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        fs::write(one.path().join("ab"), "c").unwrap();
        fs::write(two.path().join("a"), "bc").unwrap();
        assert_ne!(of_test_guest(one.path()).unwrap(), of_test_guest(two.path()).unwrap());
    }

    #[test]
    fn build_products_and_dot_files_are_left_out() {
        let dir = tree();
        let before = of_test_guest(dir.path()).unwrap();
        fs::create_dir(dir.path().join("target")).unwrap();
        fs::write(dir.path().join("target/x.wasm"), "x").unwrap();
        fs::write(dir.path().join(".swp"), "x").unwrap();
        assert_eq!(before, of_test_guest(dir.path()).unwrap());
    }

    #[cfg(unix)]
    #[test]
    fn symbolic_link_is_refused() {
        let dir = tree();
        std::os::unix::fs::symlink("/", dir.path().join("src/root")).unwrap();
        let error = of_test_guest(dir.path()).unwrap_err().to_string();
        assert!(error.contains("symbolic link"), "{error}");
    }
}
