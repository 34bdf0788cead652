//! Histories made at random: what is cloned is what real git checks out, byte for byte.

use serde_json::json;
use tests::git::{Options, Repository, Server, available, files, history};

use crate::guest::{cloned, outputs};

/// How many histories.
const HISTORIES: u64 = 200;
/// Commits of each, from 1.
const COMMITS_MAX: u64 = 24;

#[tokio::test(flavor = "multi_thread")]
async fn a_clone_of_any_history_is_what_git_makes_of_it() {
    if !available() {
        return;
    }
    let server = Server::start(Options::default()).await;
    let mut files_seen = 0;
    for seed in 0..HISTORIES {
        let made = history(seed, (seed % COMMITS_MAX + 1) as usize);
        let served = server.add(&format!("{seed}.git"), &made);
        let branch = served.git(&["symbolic-ref", "--short", "HEAD"]).trim().to_owned();
        let depth = [0, 1, 3][(seed % 3) as usize];
        let folder = tempfile::tempdir().expect("a temporary folder");
        let properties = json!({ "url": server.url(&format!("{seed}.git")), "depth": depth });
        let done = outputs(cloned(&server, folder.path(), properties).await);
        assert_eq!(done["branch"], json!(branch), "seed {seed}");
        let clone = folder.path().join("clone");
        let found = files(&clone);
        files_seen += found.len();
        assert_eq!(found, served.checkout("HEAD"), "seed {seed}, depth {depth}");
        let clone = Repository::open(clone);
        assert_eq!(clone.fsck_strict(), Ok(()), "seed {seed}");
        assert_eq!(clone.git(&["status", "--porcelain"]), "", "seed {seed}");
        assert_eq!(clone.tree_hash("HEAD"), served.tree_hash("HEAD"), "seed {seed}");
        if depth == 0 {
            assert_eq!(clone.log("HEAD"), served.log("HEAD"), "seed {seed}");
        }
    }
    eprintln!("{HISTORIES} histories, {files_seen} files, all as real git has them");
    server.end().await;
}
