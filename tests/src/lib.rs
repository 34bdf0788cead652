//! Helpers the test binaries share.

pub mod conformance;
pub mod counting;
pub mod described;
pub mod document;
pub mod failing;
pub mod figures;
pub mod filled;
pub mod git;
pub mod guests;
pub mod held;
pub mod hosted;
pub mod large;
pub mod mirror;
pub mod models;
mod passed_on;
pub mod program;
pub mod registered;
pub mod served;
pub mod simulation;
pub mod stand_in;

use std::path::{Path, PathBuf};

/// The repository's root.
pub fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the tests are a folder of the repository").to_owned()
}

/// The registry that comes with the repository.
pub fn registry() -> PathBuf {
    let registry = root().join("registry");
    assert!(registry.is_dir(), "the repository has no `registry`; hint: `cargo xtask publish` makes it");
    registry
}

/// The folder of the running build, `target/release` as a rule: the test lies in its `deps`.
fn build_dir() -> PathBuf {
    let test = std::env::current_exe().expect("a running program has a file");
    let build = test.parent().and_then(Path::parent).expect("a test lies in `deps` of the build's folder");
    build.to_owned()
}

/// Where the tests let Sluice keep what it makes. Shared, so that each plugin is compiled once.
pub fn data_dir() -> PathBuf {
    build_dir().join("sluice-tests")
}
