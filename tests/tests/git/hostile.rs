//! Repositories that mean harm: nothing of them is written, or nothing that leads anywhere.
#![expect(clippy::print_stdout, reason = "a test says what it counted")]

use std::sync::Arc;

use serde_json::json;
use tests::git::{Fault, Legible, Options, Server, Step, When, available, files, hostile};

use crate::guest::cloned;

/// Those that can be had as they are, and lead nowhere: empty folders are not made, a submodule whose path no tree has is none, modes of old are
/// those of files.
const HARMLESS: &[&str] = &[
    "folder-empty",
    "normalisation",
    "unsorted",
    "link-itself",
    "link-loop",
    "submodule-path",
    "mode-padded",
    "mode-group",
    "mode-setuid",
];

#[tokio::test(flavor = "multi_thread")]
async fn nothing_of_a_hostile_repository_is_written() {
    if !available() {
        return;
    }
    let server = Server::start(Options::default()).await;
    let (mut refused, mut wrong) = (0, Vec::new());
    for one in hostile() {
        let name = format!("{}.git", one.name);
        let served = server.add(&name, &one.repository);
        if one.legible == Legible::Not {
            server.fault(When::at(Step::Fetch).with(&name), Fault::Pack(Arc::new(one.repository.pack())));
        }
        let _ = served;
        let around = tempfile::tempdir().expect("a temporary folder");
        let work = around.path().join("work");
        std::fs::create_dir(&work).expect("a folder is made");
        let outcome = cloned(&server, &work, json!({ "url": server.url(&name), "cloneSubmodules": true })).await;
        let beside: Vec<_> =
            std::fs::read_dir(around.path()).expect("a folder").map(|entry| entry.expect("one").file_name()).collect();
        assert_eq!(beside, ["work"], "{}: {}", one.name, one.what);
        match outcome.result {
            Ok(_) if HARMLESS.contains(&one.name) => {}
            Ok(_) => wrong.push(format!("`{}` ({}) was cloned: {:?}", one.name, one.what, files(&work.join("clone")))),
            Err(failure) => {
                // The address of one submodule is a host that is not granted.
                let codes = ["GIT_PATH", "GIT_CORRUPT", "GIT_TOO_LARGE", "GIT_SSH", "GIT_URL", "NOT_GRANTED"];
                if HARMLESS.contains(&one.name) || !codes.contains(&failure.code.as_str()) {
                    let said = format!("{} {}", failure.code, failure.message);
                    wrong.push(format!("`{}` ({}) was refused: {said}", one.name, one.what));
                }
                let left = files(&work);
                assert!(left.keys().all(|path| path == "clone"), "`{}` left {left:?}", one.name);
                refused += 1;
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    println!("{refused} hostile repositories refused, nothing written");
    server.end().await;
}
