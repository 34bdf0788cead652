//! What holds for the whole repository: the arrows between crates, the shape of source files, what may lie in `registry/`.
//! Every check is a function from what it looks at to a list of problems, and has a test that shows it can fail.

mod arrows;
mod codes;
mod components;
mod sources;
mod task_types;

use std::path::{Path, PathBuf};
use std::process::Command;

/// The repository's root.
fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the tests are a folder of the repository").to_owned()
}

/// Fails with every problem at once.
fn none(problems: Vec<String>) {
    assert!(problems.is_empty(), "{} problem(s):\n- {}", problems.len(), problems.join("\n- "));
}

/// One problem that says `expected`.
#[track_caller]
fn one(problems: &[String], expected: &str) {
    assert_eq!(problems.len(), 1, "{problems:?}");
    assert!(problems.iter().all(|problem| problem.contains(expected)), "{problems:?} do not say `{expected}`");
}

/// Runs a program in the repository and hands over what it prints.
fn output(program: &str, arguments: &[&str]) -> Vec<u8> {
    let output = Command::new(program)
        .args(arguments)
        .current_dir(root())
        .output()
        .unwrap_or_else(|error| panic!("`{program}` cannot be run: {error}\nhint: the tidy tests need it"));
    assert!(
        output.status.success(),
        "`{program} {}` failed:\n{}",
        arguments.join(" "),
        String::from_utf8_lossy(&output.stderr)
    );
    output.stdout
}

/// Files of the repository, new ones that are not ignored among them, as paths from its root.
fn files() -> Vec<String> {
    let listed = output("git", &["ls-files", "-z", "--cached", "--others", "--exclude-standard"]);
    let mut files: Vec<String> = listed
        .split(|byte| *byte == 0)
        .filter(|path| !path.is_empty())
        .map(|path| String::from_utf8_lossy(path).into_owned())
        // Deleted, and not committed yet.
        .filter(|path| root().join(path).is_file())
        .collect();
    files.sort();
    files.dedup();
    assert!(files.iter().any(|file| file == "Cargo.toml"), "git lists other files than this repository's");
    files
}
