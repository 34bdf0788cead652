//! Hostile repositories are what they say, and can be served.

use std::sync::Arc;

use super::*;
use tests::git::{Fault, Legible, Step, When, hostile};

#[test]
fn hostile_trees_are_what_they_say() {
    if !tests::git::available() {
        return;
    }
    let all = hostile();
    assert!(all.len() > 60, "{}", all.len());
    for case in &all {
        let tree = case.repository.git(&["cat-file", "-t", "main^{tree}"]);
        assert_eq!(tree, "tree", "{}", case.name);
        match case.legible {
            Legible::Whole => assert_eq!(case.repository.listed("main"), Ok(case.entries.clone()), "{}", case.name),
            Legible::Not => {
                let complaint = case.repository.listed("main").expect_err("git reads it");
                assert!(complaint.contains("empty filename"), "{}: {complaint}", case.name);
            }
            Legible::TooMany => {
                // Ten folders on each of twelve floors.
                let bottom = format!("main:{}", ["d9"; 12].join("/"));
                let floors = (0..12).map(|floor| format!("main:{}", vec!["d0"; floor].join("/")));
                for floor in floors {
                    assert_eq!(case.repository.git(&["ls-tree", "--name-only", &floor]).lines().count(), 10, "{floor}");
                }
                assert_eq!(case.repository.git(&["ls-tree", "--name-only", &bottom]), "f");
            }
        }
    }
    let mut names: Vec<&str> = all.iter().map(|case| case.name).collect();
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), all.len(), "names are told apart");
}

/// Git on the server does not object, so a client gets to see all of them; what a client of git does with them is its own affair.
#[tokio::test]
async fn hostile_trees_are_served() {
    if !tests::git::available() {
        return;
    }
    let server = Server::start(Options::default()).await;
    for case in hostile() {
        let name = format!("{}.git", case.name);
        let repository = server.add(&name, &case.repository);
        let client = Client::new();
        if case.legible == Legible::Not {
            server.fault(When::at(Step::Fetch).with(&name), Fault::Pack(Arc::new(repository.pack())));
        }
        client.git(&["init", "-q", "--bare", "bare"]).await.well();
        let fetched = client.within("bare", &["fetch", "-q", &server.url(&name), "main:main"]).await;
        match case.legible {
            // Unpacked, and then not read by the one who unpacked it.
            Legible::Not => assert!(fetched.complaint().contains("empty filename"), "{}", case.name),
            _ => {
                fetched.well();
                let own = Repository::open(client.folder().join("bare"));
                assert_eq!(own.hash("main"), repository.hash("main"), "{}", case.name);
            }
        }
    }
    server.end().await;
}
