//! Submodules: left out unless they are asked for.

use serde_json::json;
use tests::git::{Commit, Entry, Options, Repository, Server, available, files};

use crate::guest::{cloned, failure, outputs};

#[tokio::test(flavor = "multi_thread")]
async fn submodules_come_when_they_are_asked_for() {
    if !available() {
        return;
    }
    let server = Server::start(Options::default()).await;
    let inner = Repository::new();
    let commit = inner.commit(Commit::on("main").file("inner.txt", "inner"));
    server.add("inner.git", &inner);
    let outer = Repository::new();
    let modules = "[submodule \"lib\"]\n\tpath = third/lib\n\turl = ../inner.git\n";
    outer.commit(Commit::on("main").file(".gitmodules", modules).file("a", "a").submodule("third/lib", &commit));
    server.add("outer.git", &outer);
    let url = server.url("outer.git");
    let folder = tempfile::tempdir().expect("a temporary folder");
    outputs(cloned(&server, folder.path(), json!({ "url": url })).await);
    assert_eq!(files(&folder.path().join("clone")).get("third/lib"), Some(&Entry::Folder));
    let folder = tempfile::tempdir().expect("a temporary folder");
    outputs(cloned(&server, folder.path(), json!({ "url": url, "cloneSubmodules": true })).await);
    let clone = folder.path().join("clone");
    assert_eq!(std::fs::read_to_string(clone.join("third/lib/inner.txt")).expect("it came"), "inner");
    assert_eq!(Repository::open(clone.join("third/lib")).hash("HEAD"), commit);
    // One that is reached over SSH is refused with its name, and nothing is left.
    let outer = Repository::new();
    let modules = "[submodule \"lib\"]\n\tpath = lib\n\turl = git@github.com:a/b.git\n";
    outer.commit(Commit::on("main").file(".gitmodules", modules).submodule("lib", &commit));
    server.add("ssh.git", &outer);
    let folder = tempfile::tempdir().expect("a temporary folder");
    let properties = json!({ "url": server.url("ssh.git"), "cloneSubmodules": true });
    let refused = failure(cloned(&server, folder.path(), properties).await);
    assert_eq!(refused.code, "GIT_SSH");
    assert!(
        refused.message.contains("`lib`") && refused.message.contains("cloneSubmodules: false"),
        "{}",
        refused.message
    );
    server.end().await;
}
