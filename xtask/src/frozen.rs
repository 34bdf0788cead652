//! `cargo xtask frozen [BASE]`: fails when a published component was modified or deleted since BASE, in a commit or in the
//! working tree. Adding a version is what publishing does, and allowed. It reads the history and changes nothing.

use std::path::Path;
use std::process::Command;

use anyhow::{Result, bail};

use crate::process;
use crate::progress::say;
use crate::toolchain::Toolchain;

/// Bases tried in this order when none is named.
const DEFAULT_BASES: &[&str] = &["origin/main", "main"];

pub fn run(base: Option<&str>) -> Result<()> {
    let toolchain = Toolchain::find()?;
    let (base, merge_base) = match base {
        Some(base) => (base.to_owned(), merge_base(&toolchain.root, base)?),
        None => default_base(&toolchain.root)?,
    };
    let (touched, added) = changes(&toolchain.root, &merge_base)?;
    if touched.is_empty() {
        say(format!("no published component has changed since `{base}`; new: {added}"));
        return Ok(());
    }
    bail!(
        "published components have changed since `{base}`:\n  {}\nhint: restore them (`git checkout {merge_base} -- PATH`) and publish a new version instead",
        touched.join("\n  ")
    )
}

fn default_base(root: &Path) -> Result<(String, String)> {
    for base in DEFAULT_BASES {
        let mut git = git(root);
        git.args(["rev-parse", "--verify", "--quiet", &format!("{base}^{{commit}}")]);
        if process::run_quietly(&mut git)? {
            return Ok(((*base).to_owned(), merge_base(root, base)?));
        }
    }
    bail!("there is neither `origin/main` nor `main` to compare with\nhint: name a commit: `cargo xtask frozen BASE`")
}

/// Where the current branch left `base`, so that what others published since then does not look deleted here.
fn merge_base(root: &Path, base: &str) -> Result<String> {
    let hint = "is it a commit, and is the clone deep enough (`git fetch --unshallow`)?";
    let mut git = git(root);
    git.args(["merge-base", "--end-of-options", base, "HEAD"]);
    Ok(process::stdout(&mut git, &format!("finding the common ancestor with `{base}`"), hint)?.trim().to_owned())
}

/// The components that were touched since `commit`, and how many were added.
fn changes(root: &Path, commit: &str) -> Result<(Vec<String>, usize)> {
    let mut git = git(root);
    git.args(["diff", "--name-status", "--no-renames", "-z", commit, "--", "registry"]);
    let text = process::stdout(&mut git, "asking git what has changed", "its message is above")?;
    Ok(read_changes(&text))
}

/// Reads `git diff --name-status -z`: a status letter and a path in turn, each ended by a zero.
fn read_changes(text: &str) -> (Vec<String>, usize) {
    let mut touched = Vec::new();
    let mut added = 0;
    let mut words = text.split('\0');
    while let (Some(status), Some(path)) = (words.next(), words.next()) {
        let component = path.starts_with("registry/") && path.ends_with("/plugin.wasm");
        match status {
            _ if !component => {}
            "A" => added += 1,
            "D" => touched.push(format!("{path}: deleted")),
            _ => touched.push(format!("{path}: modified")),
        }
    }
    (touched, added)
}

fn git(root: &Path) -> Command {
    let mut git = Command::new("git");
    git.arg("-C").arg(root);
    git
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use super::*;
    use std::fs;

    fn commit(root: &Path) {
        for args in [
            vec!["add", "--all"],
            vec![
                "-c",
                "user.name=n",
                "-c",
                "user.email=n@localhost",
                "commit",
                "--quiet",
                "--allow-empty",
                "--message",
                "m",
            ],
        ] {
            assert!(git(root).args(args).status().unwrap().success());
        }
    }

    fn repository() -> tempfile::TempDir {
        let dir = tempfile::tempdir().unwrap();
        assert!(git(dir.path()).args(["init", "--quiet", "--initial-branch=main"]).status().unwrap().success());
        fs::create_dir_all(dir.path().join("registry/core/1.0.0")).unwrap();
        fs::write(dir.path().join("registry/core/1.0.0/plugin.wasm"), "one").unwrap();
        fs::write(dir.path().join("registry/core/1.0.0/manifest.json"), "{}").unwrap();
        commit(dir.path());
        dir
    }

    /// What `frozen main` finds after `edit` is committed on a branch.
    fn after(edit: impl FnOnce(&Path)) -> (Vec<String>, usize) {
        let dir = repository();
        assert!(git(dir.path()).args(["switch", "--quiet", "--create", "work"]).status().unwrap().success());
        edit(dir.path());
        commit(dir.path());
        changes(dir.path(), &merge_base(dir.path(), "main").unwrap()).unwrap()
    }

    #[test]
    fn new_version_is_allowed() {
        let added = after(|root| {
            fs::create_dir_all(root.join("registry/core/1.1.0")).unwrap();
            fs::write(root.join("registry/core/1.1.0/plugin.wasm"), "two").unwrap();
        });
        assert_eq!(added, (Vec::new(), 1));
    }

    #[test]
    fn modified_deleted_or_moved_component_is_found() {
        let path = |root: &Path| root.join("registry/core/1.0.0/plugin.wasm");
        assert_eq!(
            after(|root| fs::write(path(root), "two").unwrap()).0,
            ["registry/core/1.0.0/plugin.wasm: modified"]
        );
        assert_eq!(after(|root| fs::remove_file(path(root)).unwrap()).0, ["registry/core/1.0.0/plugin.wasm: deleted"]);
        let moved = after(|root| fs::rename(root.join("registry/core"), root.join("registry/kernel")).unwrap());
        assert_eq!(moved, (vec!["registry/core/1.0.0/plugin.wasm: deleted".to_owned()], 1));
    }

    #[test]
    fn uncommitted_change_is_found_and_other_files_are_not_its_business() {
        let dir = repository();
        fs::write(dir.path().join("registry/core/1.0.0/manifest.json"), "{ }").unwrap();
        assert_eq!(changes(dir.path(), "HEAD").unwrap(), (Vec::new(), 0));
        fs::write(dir.path().join("registry/core/1.0.0/plugin.wasm"), "two").unwrap();
        assert_eq!(changes(dir.path(), "HEAD").unwrap().0.len(), 1);
    }

    #[test]
    fn what_others_published_since_is_not_missing_here() {
        let dir = repository();
        assert!(git(dir.path()).args(["branch", "work"]).status().unwrap().success());
        fs::create_dir_all(dir.path().join("registry/core/1.1.0")).unwrap();
        fs::write(dir.path().join("registry/core/1.1.0/plugin.wasm"), "two").unwrap();
        commit(dir.path());
        assert!(git(dir.path()).args(["switch", "--quiet", "work"]).status().unwrap().success());
        assert_eq!(changes(dir.path(), &merge_base(dir.path(), "main").unwrap()).unwrap(), (Vec::new(), 0));
    }
}
