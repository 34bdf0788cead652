//! What a clone is: the files real git would put down, and a `.git` that real git works with.

use serde_json::json;
use tests::git::{Account, Client, Commit, Entry, Options, Repository, Server, available, files};

use crate::guest::{cloned, failure, outputs};

/// A repository with some of everything.
fn repository() -> Repository {
    let repository = Repository::new();
    repository.commit(
        Commit::on("main").file("README.md", "one\n").executable("run.sh", "#!/bin/sh\n").file("größe/日本.txt", "ä"),
    );
    repository.tag("light", "main");
    repository.commit(
        Commit::on("main")
            .file("README.md", "two\n")
            .link("link", "README.md")
            .file("empty", "")
            .file("b.bin", [0, 255, 7]),
    );
    repository.annotated("v1", "main", "the first");
    repository.commit(Commit::on("dev").from("main").file("dev.txt", "d").delete("empty"));
    repository.commit(Commit::on("main").rename("b.bin", "c.bin"));
    repository
}

#[tokio::test(flavor = "multi_thread")]
async fn a_clone_is_what_git_makes_and_git_goes_on_with_it() {
    if !available() {
        return;
    }
    let server = Server::start(Options::default()).await;
    let served = server.add("all.git", &repository());
    for (depth, commits) in [(0, 3), (1, 1), (2, 2)] {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let properties = json!({ "url": server.url("all.git"), "branch": "main", "depth": depth });
        let done = outputs(cloned(&server, folder.path(), properties).await);
        assert_eq!(done["commitId"], served.hash("main"));
        assert_eq!(done["branch"], "main");
        let clone = folder.path().join("clone");
        assert_eq!(files(&clone), served.checkout("main"), "depth {depth}");
        let clone = Repository::open(clone);
        assert_eq!(clone.fsck_strict(), Ok(()));
        assert_eq!(clone.git(&["status", "--porcelain"]), "", "depth {depth}");
        assert_eq!(clone.git(&["rev-parse", "--abbrev-ref", "HEAD"]), "main");
        assert_eq!(clone.log("HEAD").len(), commits);
        assert_eq!(clone.hash("refs/remotes/origin/dev"), served.hash("dev"));
        assert_eq!(clone.resolve("v1^{commit}").is_some(), depth != 1, "a tag of what came came as well");
        // Real git goes on: it fetches what is missing, and commits.
        clone.git(&["fetch", "-q", "--tags", "origin"]);
        if depth > 0 {
            clone.git(&["fetch", "-q", "--unshallow", "origin"]);
        }
        assert_eq!(clone.log("HEAD"), served.log("main"));
        assert_eq!(clone.fsck_strict(), Ok(()));
    }
    server.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn tags_and_commits_are_checked_out_by_themselves() {
    if !available() {
        return;
    }
    let server = Server::start(Options::default()).await;
    let served = server.add("all.git", &repository());
    let first = served.hash("light");
    let rows = [
        (json!({ "tag": "v1" }), served.hash("v1^{commit}")),
        (json!({ "tag": "light", "branch": "dev" }), first.clone()),
        (json!({ "commit": first }), first.clone()),
        (json!({ "commit": &first[..8], "tag": "v1" }), first.clone()),
        (json!({ "commit": served.hash("dev"), "cloneAllBranches": false }), served.hash("dev")),
        (json!({}), served.hash("main")),
    ];
    for (mut properties, expected) in rows {
        properties["url"] = json!(server.url("all.git"));
        let folder = tempfile::tempdir().expect("a temporary folder");
        let done = outputs(cloned(&server, folder.path(), properties.clone()).await);
        assert_eq!(done["commitId"], json!(expected), "{properties}");
        let clone = folder.path().join("clone");
        assert_eq!(files(&clone), served.checkout(&expected), "{properties}");
        let clone = Repository::open(clone);
        assert_eq!(clone.hash("HEAD"), expected);
        assert_eq!(clone.git(&["status", "--porcelain"]), "", "{properties}");
    }
    server.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_asked_for_does_not_come() {
    if !available() {
        return;
    }
    let server = Server::start(Options::default()).await;
    let served = server.add("all.git", &repository());
    let folder = tempfile::tempdir().expect("a temporary folder");
    let properties = json!({
        "url": server.url("all.git"), "branch": "main", "depth": 0, "cloneAllBranches": false, "noTags": true, "symlinks": "SKIP",
        "gitConfig": { "user": { "name": "Ada \"A\"" }, "http": { "https://example.com": { "sslVerify": false } } },
    });
    outputs(cloned(&server, folder.path(), properties).await);
    let clone = Repository::open(folder.path().join("clone"));
    let mut expected = served.checkout("main");
    expected.retain(|_, entry| !matches!(entry, Entry::Link(_)));
    assert_eq!(files(clone.path()), expected);
    assert_eq!(clone.resolve("refs/remotes/origin/dev"), None);
    assert_eq!(clone.git(&["tag"]), "");
    assert_eq!(clone.git(&["config", "user.name"]).trim(), "Ada \"A\"");
    assert_eq!(clone.git(&["config", "http.https://example.com.sslVerify"]).trim(), "false");
    assert_eq!(clone.git(&["config", "remote.origin.url"]).trim(), server.url("all.git"));
    server.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn credentials_and_certificates_are_used() {
    if !available() {
        return;
    }
    let accounts = vec![Account::new("ada", "se:cret/ä"), Account::token("token-1")];
    let server = Server::start(Options { tls: true, accounts, ..Options::default() }).await;
    let served = server.add("all.git", &repository());
    let ca = server.ca_pem().to_owned();
    let url = server.url("all.git");
    let rows = [
        json!({ "url": url, "username": "ada", "password": "se:cret/ä", "trustedCaPemPath": ca }),
        json!({ "url": url, "password": "token-1", "trustedCaPemPath": ca }),
        json!({ "url": server.url_with("all.git", "ada", "se%3Acret%2F%C3%A4"), "trustedCaPemPath": "ca.pem" }),
    ];
    for properties in rows {
        let folder = tempfile::tempdir().expect("a temporary folder");
        std::fs::write(folder.path().join("ca.pem"), &ca).expect("a temporary folder takes a file");
        outputs(cloned(&server, folder.path(), properties).await);
        let clone = Repository::open(folder.path().join("clone"));
        assert_eq!(files(clone.path()), served.checkout("main"));
        // No credentials stay behind.
        assert_eq!(clone.git(&["config", "remote.origin.url"]).trim(), url);
    }
    let folder = tempfile::tempdir().expect("a temporary folder");
    let properties = json!({ "url": url, "username": "ada", "password": "se:cret/ä" });
    let failure = failure(cloned(&server, folder.path(), properties).await);
    assert_eq!(failure.code, "HTTP_TLS", "{failure:#?}");
    server.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_repository_that_moved_is_followed_and_gets_no_credentials_of_others() {
    if !available() {
        return;
    }
    let old = Server::start(Options { accounts: vec![Account::new("ada", "secret")], ..Options::default() }).await;
    let new = Server::start(Options::default()).await;
    old.add("here.git", &repository());
    old.add("moved.git", &repository());
    let served = new.add("all.git", &repository());
    let redirect = |to: String| tests::git::Fault::Redirect(to);
    old.fault(tests::git::When::always().with("moved.git"), redirect(old.url("here.git")));
    old.fault(tests::git::When::always().with("away.git"), redirect(new.url("all.git")));
    let folder = tempfile::tempdir().expect("a temporary folder");
    let properties = json!({ "url": old.url("moved.git"), "username": "ada", "password": "secret" });
    outputs(cloned(&old, folder.path(), properties).await);
    assert_eq!(files(&folder.path().join("clone")), served.checkout("main"));
    // To another host the grants have to reach; here they do not.
    let folder = tempfile::tempdir().expect("a temporary folder");
    let properties = json!({ "url": old.url("away.git"), "username": "ada", "password": "secret" });
    let refused = failure(cloned(&old, folder.path(), properties).await);
    assert_eq!(refused.code, "NOT_GRANTED", "{refused:#?}");
    assert!(new.seen().is_empty());
    old.end().await;
    new.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn servers_of_old_are_understood() {
    if !available() {
        return;
    }
    let server = Server::start(Options::default()).await;
    let served = server.add("all.git", &repository());
    // Version 1 is only ever answered to who asks for it.
    server.fault(tests::git::When::always(), tests::git::Fault::Protocol(0));
    for depth in [0, 1] {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let properties = json!({ "url": server.url("all.git"), "branch": "main", "depth": depth });
        outputs(cloned(&server, folder.path(), properties).await);
        let clone = Repository::open(folder.path().join("clone"));
        assert_eq!(files(clone.path()), served.checkout("main"), "depth {depth}");
        assert_eq!(clone.fsck_strict(), Ok(()));
    }
    server.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_clone_goes_beside_what_is_there_and_never_over_it() {
    if !available() {
        return;
    }
    let server = Server::start(Options::default()).await;
    server.add("all.git", &repository());
    let folder = tempfile::tempdir().expect("a temporary folder");
    let properties = json!({ "url": server.url("all.git"), "directory": "." });
    std::fs::write(folder.path().join("mine.txt"), "mine").expect("a file is written");
    outputs(cloned(&server, folder.path(), properties.clone()).await);
    assert_eq!(files(folder.path()).get("mine.txt"), Some(&Entry::File(b"mine".to_vec())));
    let refused = failure(cloned(&server, folder.path(), properties.clone()).await);
    assert_eq!(refused.code, "GIT_EXISTS", "{refused:#?}");
    let other = tempfile::tempdir().expect("a temporary folder");
    std::fs::write(other.path().join("README.md"), "mine").expect("a file is written");
    let refused = failure(cloned(&server, other.path(), properties).await);
    assert_eq!(refused.code, "GIT_EXISTS", "{refused:#?}");
    assert_eq!(files(other.path()).len(), 1);
    server.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn answers_in_small_pieces_are_answers() {
    if !available() {
        return;
    }
    let server = Server::start(Options::default()).await;
    let served = server.add("all.git", &repository());
    server.fault(tests::git::When::always(), tests::git::Fault::Drip);
    let folder = tempfile::tempdir().expect("a temporary folder");
    outputs(cloned(&server, folder.path(), json!({ "url": server.url("all.git") })).await);
    assert_eq!(files(&folder.path().join("clone")), served.checkout("main"));
    // The same as real git sees it.
    let client = Client::new();
    client.clone(&server.url("all.git"), "clone").await.well();
    assert_eq!(files(&folder.path().join("clone")), files(&client.folder().join("clone")));
    server.end().await;
}
