//! Histories made at random: what is cloned is what real git checks out, byte for byte.
#![expect(clippy::print_stdout, reason = "a test says what it counted")]

use serde_json::json;
use tests::git::{Entry, Options, Repository, Server, available, files, history};

use crate::guest::{cloned, failure, outputs};

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
    let (mut files_seen, mut links_refused) = (0, 0);
    for seed in 0..HISTORIES {
        let made = history(seed, (seed % COMMITS_MAX + 1) as usize);
        let served = server.add(&format!("{seed}.git"), &made);
        // Some have a HEAD that names no branch.
        let branch = served.tried(&["symbolic-ref", "--short", "HEAD"]).ok().map(|name| name.trim().to_owned());
        let depth = [0, 1, 3][(seed % 3) as usize];
        let mut properties = json!({ "url": server.url(&format!("{seed}.git")), "depth": depth });
        let mut expected = served.checkout("HEAD");
        let mut folder = tempfile::tempdir().expect("a temporary folder");
        let mut done = cloned(&server, folder.path(), properties.clone()).await;
        let without_links = expected.iter().any(|(path, entry)| leads_out(path, entry));
        if without_links {
            let refused = failure(done);
            assert_eq!(refused.code, "GIT_PATH", "seed {seed}: {refused:#?}");
            properties["symlinks"] = json!("SKIP");
            expected.retain(|_, entry| !matches!(entry, Entry::Link(_)));
            folder = tempfile::tempdir().expect("a temporary folder");
            done = cloned(&server, folder.path(), properties).await;
            links_refused += 1;
        }
        let done = outputs(done);
        assert_eq!(done["branch"], branch.map_or(serde_json::Value::Null, Into::into), "seed {seed}");
        let clone = folder.path().join("clone");
        let found = files(&clone);
        files_seen += found.len();
        assert_eq!(found, expected, "seed {seed}, depth {depth}");
        let clone = Repository::open(clone);
        assert_eq!(clone.fsck_strict(), Ok(()), "seed {seed}");
        assert!(without_links || clone.git(&["status", "--porcelain"]).is_empty(), "seed {seed}");
        assert_eq!(clone.tree_hash("HEAD"), served.tree_hash("HEAD"), "seed {seed}");
        if depth == 0 {
            assert_eq!(clone.log("HEAD"), served.log("HEAD"), "seed {seed}");
        }
    }
    println!(
        "{HISTORIES} histories, {files_seen} files, all as real git has them; {links_refused} with links that lead out"
    );
    server.end().await;
}

/// Whether a link at a path leads out of its repository.
fn leads_out(path: &str, entry: &Entry) -> bool {
    let Entry::Link(target) = entry else { return false };
    let target = String::from_utf8_lossy(target);
    let mut depth = path.matches('/').count();
    for part in target.split('/') {
        match part {
            ".." if depth == 0 => return true,
            ".." => depth -= 1,
            "." | "" => {}
            _ => depth += 1,
        }
    }
    target.starts_with('/')
}
