//! Repositories that mean harm: nothing of them is written, or nothing that leads anywhere.

use std::sync::Arc;

use serde_json::json;
use tests::git::{Fault, Legible, Options, Server, Step, When, available, files, hostile};

use crate::guest::cloned;

/// Those that a file system can have, and that real git checks out as they are.
const HARMLESS: &[&str] = &[];

#[tokio::test(flavor = "multi_thread")]
async fn nothing_of_a_hostile_repository_is_written() {
    if !available() {
        return;
    }
    let server = Server::start(Options::default()).await;
    let mut refused = 0;
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
        let beside: Vec<_> = std::fs::read_dir(around.path()).expect("a folder").map(|entry| entry.expect("one").file_name()).collect();
        assert_eq!(beside, ["work"], "{}: {}", one.name, one.what);
        match outcome.result {
            Ok(_) => assert!(HARMLESS.contains(&one.name), "`{}` ({}) was cloned: {:?}", one.name, one.what, files(&work.join("clone"))),
            Err(failure) => {
                assert!(!HARMLESS.contains(&one.name), "`{}` ({}) was refused: {failure:#?}", one.name, one.what);
                let codes = ["GIT_PATH", "GIT_CORRUPT", "GIT_TOO_LARGE", "GIT_SSH", "GIT_URL"];
                assert!(codes.contains(&failure.code.as_str()), "`{}` ({}): {failure:#?}", one.name, one.what);
                let left = files(&work);
                assert!(left.keys().all(|path| path == "clone"), "`{}` left {left:?}", one.name);
                refused += 1;
            }
        }
    }
    eprintln!("{refused} hostile repositories refused, nothing written");
    server.end().await;
}
