//! Names, passwords, tokens, and who may do what.

use super::*;
use tests::git::{Account, Service};

#[tokio::test]
async fn right_credentials_are_served_and_wrong_ones_are_not() {
    if !tests::git::available() {
        return;
    }
    let accounts = vec![Account::new("ada", "s3cret"), Account::token("token-1")];
    let (server, repository) = served(Options { accounts, ..Options::default() }).await;
    let client = Client::new();
    for (into, user, password) in
        [("one", "ada", "s3cret"), ("two", "x-access-token", "token-1"), ("three", "ada", "token-1")]
    {
        client.clone(&server.url_with("one.git", user, password), into).await.well();
        assert_eq!(cloned(&client, into), repository.checkout("main"));
        assert_eq!(server.seen().last().and_then(|seen| seen.user.clone()).as_deref(), Some(user));
    }
    let sent = server
        .seen()
        .into_iter()
        .filter_map(|seen| seen.header("authorization").map(str::to_owned))
        .collect::<Vec<_>>();
    assert!(sent.iter().any(|sent| sent == "Basic YWRhOnMzY3JldA=="), "{sent:?}");

    for (url, expected) in [
        (server.url_with("one.git", "ada", "wrong"), "Authentication failed"),
        (server.url_with("one.git", "grace", "s3cret"), "Authentication failed"),
        (server.url("one.git"), "could not read Username"),
    ] {
        let complaint = client.clone(&url, "never").await.complaint();
        assert!(complaint.contains(expected), "{complaint}");
        let last = server.seen().pop().expect("it came");
        assert_eq!((last.status, last.user), (401, None));
    }
    server.end().await;
}

#[tokio::test]
async fn readers_do_not_write() {
    if !tests::git::available() {
        return;
    }
    let accounts = vec![Account::new("grace", "reads").reader(), Account::new("ada", "writes")];
    let (server, repository) = served(Options { accounts, ..Options::default() }).await;
    let client = Client::new();
    client.clone(&server.url_with("one.git", "grace", "reads"), "clone").await.well();
    committed(&client, "clone", "new", "new\n").await;
    let complaint = client.within("clone", &["push", "origin", "main"]).await.complaint();
    assert!(complaint.contains("403"), "{complaint}");
    client.within("clone", &["push", "-q", &server.url_with("one.git", "ada", "writes"), "main"]).await.well();
    assert_eq!(repository.log("main").len(), 3);
    server.end().await;
}

#[tokio::test]
async fn public_servers_ask_only_who_writes() {
    if !tests::git::available() {
        return;
    }
    let accounts = vec![Account::new("ada", "s3cret")];
    let (server, _) = served(Options { accounts, public: true, ..Options::default() }).await;
    let client = Client::new();
    client.clone(&server.url("one.git"), "clone").await.well();
    committed(&client, "clone", "new", "new\n").await;
    let complaint = client.within("clone", &["push", "origin", "main"]).await.complaint();
    assert!(complaint.contains("could not read Username"), "{complaint}");
    let pushes = server.seen().into_iter().filter(|seen| seen.service == Some(Service::ReceivePack));
    assert_eq!(pushes.map(|seen| seen.status).collect::<Vec<_>>(), [401]);
    server.end().await;
}

#[tokio::test]
async fn read_only_servers_take_nothing() {
    if !tests::git::available() {
        return;
    }
    let (server, repository) = served(Options { read_only: true, ..Options::default() }).await;
    let client = Client::new();
    client.clone(&server.url("one.git"), "clone").await.well();
    committed(&client, "clone", "new", "new\n").await;
    let complaint = client.within("clone", &["push", "origin", "main"]).await.complaint();
    assert!(complaint.contains("403"), "{complaint}");
    assert_eq!(repository.log("main").len(), 2);
    server.end().await;
}
