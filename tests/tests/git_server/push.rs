//! Pushes: taken, refused, overtaken.

use super::*;
use tests::git::{Action, Fault, Step, When};

/// A server, and a clone with a commit that is to be pushed.
async fn ahead(options: Options) -> (Server, Repository, Client) {
    let (server, repository) = served(options).await;
    let client = Client::new();
    client.clone(&server.url("one.git"), "clone").await.well();
    committed(&client, "clone", "pushed", "pushed\n").await;
    (server, repository, client)
}

async fn tip(client: &Client) -> String {
    client.within("clone", &["rev-parse", "HEAD"]).await.well().stdout.trim().to_owned()
}

#[tokio::test]
async fn push_arrives() {
    if !tests::git::available() {
        return;
    }
    let (server, repository, client) = ahead(Options::default()).await;
    client.within("clone", &["push", "-q", "origin", "main", "main:refs/heads/größe"]).await.well();
    let hash = tip(&client).await;
    assert_eq!((repository.hash("main"), repository.hash("größe")), (hash.clone(), hash));
    assert_eq!(repository.log("main").len(), 3);
    assert_eq!(repository.fsck_strict(), Ok(()));
    assert_eq!(server.count(Step::Push), 1);
    // Larger than what is sent at once: a probe, and then chunks.
    let noise: String =
        (0..400_000).map(|at: u32| char::from(b'a' + (at.wrapping_mul(2_654_435_761) >> 27) as u8 % 26)).collect();
    committed(&client, "clone", "large", &noise).await;
    client.within("clone", &["-c", "http.postBuffer=65536", "-c", "core.compression=0", "push", "-q"]).await.well();
    assert_eq!(repository.hash("main"), tip(&client).await);
    assert_eq!(server.count(Step::Probe), 1);
    let chunked = server.seen().into_iter().filter(|seen| seen.header("transfer-encoding") == Some("chunked"));
    assert_eq!(chunked.map(|seen| seen.step).collect::<Vec<_>>(), [Step::Push]);
    server.end().await;
}

#[tokio::test]
async fn push_that_does_not_go_forward_is_refused() {
    if !tests::git::available() {
        return;
    }
    let settings = vec![("receive.denyNonFastForwards".to_owned(), "true".to_owned())];
    let (server, repository, client) = ahead(Options { settings, ..Options::default() }).await;
    let other = repository.commit(Commit::on("main").file("other", "other\n"));
    let complaint = client.within("clone", &["push", "origin", "main"]).await.complaint();
    assert!(complaint.contains("fetch first"), "{complaint}");
    let complaint = client.within("clone", &["push", "--force", "origin", "main"]).await.complaint();
    assert!(complaint.contains("non-fast-forward"), "{complaint}");
    assert!(server.complaints().is_empty() && repository.hash("main") == other, "{}", server.complaints());
    server.end().await;
}

#[tokio::test]
async fn push_that_is_overtaken_is_refused() {
    if !tests::git::available() {
        return;
    }
    let (server, repository, client) = ahead(Options::default()).await;
    let overtaking = repository.clone();
    let action = Action::new(move || drop(overtaking.commit(Commit::on("main").file("first", "first\n"))));
    server.fault(When::at(Step::Push).nth(1), Fault::BeforePush(action));
    let complaint = client.within("clone", &["push", "origin", "main"]).await.complaint();
    assert!(complaint.contains("[remote rejected] main -> main"), "{complaint}");
    assert_eq!(repository.log("main").first().map(|commit| commit.message.as_str()), Some("A commit on main\n"));
    client.within("clone", &["pull", "-q", "--rebase"]).await.well();
    client.within("clone", &["push", "-q", "origin", "main"]).await.well();
    assert_eq!(repository.hash("main"), tip(&client).await);
    server.end().await;
}

#[tokio::test]
async fn refusals_of_a_push_say_why() {
    if !tests::git::available() {
        return;
    }
    let (server, repository, client) = ahead(Options::default()).await;
    let before = repository.refs();
    for (fault, expected) in [
        (
            Fault::Hook("commits need a ticket".to_owned()),
            ["remote: commits need a ticket", "pre-receive hook declined"],
        ),
        (Fault::Reject("protected branch".to_owned()), ["[remote rejected]", "protected branch"]),
        (Fault::UnpackFailed("disk full".to_owned()), ["remote unpack failed: disk full", "unpacker error"]),
        (Fault::Status(500), ["500", "HTTP"]),
    ] {
        server.fault(When::at(Step::Push), fault.clone());
        let complaint = client.within("clone", &["push", "origin", "main", "main:other"]).await.complaint();
        assert!(expected.iter().all(|expected| complaint.contains(expected)), "{fault:?}: {complaint}");
        server.heal();
        assert_eq!(repository.refs(), before, "{fault:?}");
    }
    client.within("clone", &["push", "-q", "origin", "main"]).await.well();
    server.end().await;
}
