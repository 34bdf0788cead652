//! Clones and fetches, in both versions of the protocol.

use super::*;
use tests::git::{Service, Step};

#[tokio::test]
async fn clone_has_what_the_repository_has() {
    if !tests::git::available() {
        return;
    }
    let (server, repository) = served(Options::default()).await;
    for version in [2, 1, 0] {
        let client = Client::new().protocol(version);
        client.clone(&server.url("one.git"), "clone").await.well();
        assert_eq!(cloned(&client, "clone"), repository.checkout("main"), "version {version}");
        let asked = server.seen().iter().filter(|seen| seen.wants_v2()).count();
        assert!(asked > 0, "version 2 was asked for");
        assert_eq!(server.count(Step::List), 1, "only version 2 lists references by a command");
    }
    assert_eq!((server.count(Step::Refs), server.count(Step::Fetch)), (3, 3));
    assert_eq!(server.complaints(), "");
    let seen = server.seen();
    assert!(seen.iter().all(|seen| (seen.status, seen.repository.as_str()) == (200, "one.git")), "{seen:?}");
    assert!(seen.iter().all(|seen| seen.service == Some(Service::UploadPack)), "{seen:?}");
    server.end().await;
}

#[tokio::test]
async fn shallow_clone_has_one_commit() {
    if !tests::git::available() {
        return;
    }
    let (server, repository) = served(Options::default()).await;
    for version in [2, 0] {
        let client = Client::new().protocol(version);
        client.git(&["clone", "-q", "--depth=1", &server.url("one.git"), "clone"]).await.well();
        assert_eq!(client.within("clone", &["rev-list", "--all"]).await.well().stdout.trim(), repository.hash("main"));
        assert_eq!(cloned(&client, "clone"), repository.checkout("main"));
    }
    server.end().await;
}

#[tokio::test]
async fn fetch_brings_what_is_new() {
    if !tests::git::available() {
        return;
    }
    let (server, repository) = served(Options::default()).await;
    let client = Client::new();
    client.clone(&server.url("one.git"), "clone").await.well();
    let tip = repository.commit(Commit::on("main").file("new", "new\n"));
    client.within("clone", &["fetch", "-q"]).await.well();
    assert_eq!(client.within("clone", &["rev-parse", "origin/main"]).await.well().stdout.trim(), tip);
    server.end().await;
}

/// More than fits into any pipe or buffer, and bodies in gzip and in chunks.
#[tokio::test]
async fn large_repositories_go_through() {
    if !tests::git::available() {
        return;
    }
    let server = Server::start(Options::default()).await;
    let repository = server.add("large.git", &tests::git::history_large(2_000, 3_000));
    let client = Client::new();
    client.clone(&server.url("large.git"), "clone").await.well();
    assert_eq!(cloned(&client, "clone").len(), 2_000);
    // Commits that the server has not make the client say much of what it has.
    for at in 0..40 {
        repository.commit(Commit::on("other").file(format!("new-{at}"), "new\n"));
        committed(&client, "clone", "own", &format!("{at}\n")).await;
    }
    client.within("clone", &["fetch", "-q", "origin", "other"]).await.well();
    assert_eq!(
        client.within("clone", &["rev-parse", "FETCH_HEAD"]).await.well().stdout.trim(),
        repository.hash("other")
    );
    assert!(server.seen().iter().any(|seen| seen.header("content-encoding") == Some("gzip")), "something came in gzip");
    server.end().await;
}

#[tokio::test]
async fn empty_odd_and_missing_repositories_are_what_they_are() {
    if !tests::git::available() {
        return;
    }
    let (server, one) = served(Options::default()).await;
    let client = Client::new();
    server.add("empty.git", &Repository::with_branch("trunk"));
    client.clone(&server.url("empty.git"), "empty").await.well();
    let head = client.within("empty", &["symbolic-ref", "HEAD"]).await.well().stdout;
    assert_eq!(head.trim(), "refs/heads/trunk");

    one.detach("main~1");
    client.clone(&server.url("one.git"), "detached").await.well();
    let head = client.within("detached", &["rev-parse", "HEAD"]).await.well().stdout;
    assert_eq!(head.trim(), one.hash("main~1"));

    let sha256 = Repository::sha256();
    sha256.commit(Commit::on("main").file("a", "a\n"));
    let sha256 = server.add("sha256.git", &sha256);
    assert_eq!(sha256.hash("main").len(), 64);
    client.clone(&server.url("sha256.git"), "sha256").await.well();
    let format = client.within("sha256", &["rev-parse", "--show-object-format"]).await.well().stdout;
    assert_eq!(format.trim(), "sha256");

    let missing = client.clone(&server.url("missing.git"), "missing").await.complaint();
    assert!(missing.contains("not found"), "{missing}");
    assert_eq!(server.seen().last().map(|seen| seen.status), Some(404));
    server.end().await;
}

#[tokio::test]
async fn https_is_served_to_whoever_trusts_the_ca() {
    if !tests::git::available() {
        return;
    }
    let (server, repository) = served(Options { tls: true, ..Options::default() }).await;
    assert!(server.url("one.git").starts_with("https://localhost:"));
    assert_eq!(std::fs::read_to_string(server.ca_file()).expect("the file is there"), server.ca_pem());
    let trusting = Client::new().trusting(&server);
    trusting.clone(&server.url("one.git"), "clone").await.well();
    assert_eq!(cloned(&trusting, "clone"), repository.checkout("main"));
    let complaint = Client::new().clone(&server.url("one.git"), "clone").await.complaint();
    assert!(complaint.contains("certificate"), "{complaint}");
    server.end().await;
}
