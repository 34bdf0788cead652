//! The server of repositories and the repositories themselves, with real git as the client: what tests of others are built on is held against git
//! here. Nothing in it knows the Git plugin.

mod access;
mod clone;
mod faults;
mod histories;
mod hostile;
mod push;
mod repository;

use std::collections::BTreeMap;

use tests::git::{Client, Commit, Entry, Options, Repository, Server};

/// A server with `one.git`, whose `main` has two commits.
async fn served(options: Options) -> (Server, Repository) {
    let repository = Repository::new();
    repository.commit(Commit::on("main").file("README.md", "# hello\n").file("flows/a.yaml", "id: a\n"));
    repository
        .commit(Commit::on("main").message("Second").file("flows/b.yaml", "id: b\n").executable("run", "#!/bin/sh\n"));
    let server = Server::start(options).await;
    let repository = server.add("one.git", &repository);
    (server, repository)
}

/// The files of a clone.
fn cloned(client: &Client, name: &str) -> BTreeMap<String, Entry> {
    tests::git::files(&client.folder().join(name))
}

/// Commits a file in a clone.
async fn committed(client: &Client, clone: &str, file: &str, text: &str) {
    std::fs::write(client.folder().join(clone).join(file), text).expect("a clone takes a file");
    client.within(clone, &["add", "."]).await.well();
    client.within(clone, &["commit", "-q", "-m", file]).await.well();
}
