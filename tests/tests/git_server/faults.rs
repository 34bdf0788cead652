//! What is wrong with a server, as a client sees it.

use std::sync::Arc;

use super::*;
use tests::git::{Endless, Fault, Step, When};

/// A clone that fails under a fault; what git complains about. Once all is well again, it succeeds.
async fn failed(server: &Server, when: When, fault: Fault) -> String {
    server.fault(when, fault);
    let client = Client::new();
    let complaint = client.clone(&server.url("one.git"), "clone").await.complaint();
    server.heal();
    client.clone(&server.url("one.git"), "clone").await.well();
    complaint
}

/// One that succeeds all the same.
async fn cloned_with(server: &Server, repository: &Repository, when: When, fault: Fault) {
    server.fault(when, fault);
    let client = Client::new();
    client.clone(&server.url("one.git"), "clone").await.well();
    assert_eq!(cloned(&client, "clone"), repository.checkout("main"));
    server.heal();
}

#[tokio::test]
async fn broken_answers_break_a_clone() {
    if !tests::git::available() {
        return;
    }
    let (server, _) = served(Options::default()).await;
    let fetch = || When::at(Step::Fetch);
    for (when, fault, expected) in [
        (When::always(), Fault::Status(503), "503"),
        (When::always().nth(2), Fault::Status(500), "500"),
        (When::at(Step::Refs), Fault::Html, "not valid: is this a git repository?"),
        (fetch(), Fault::Cut(30), "fetch-pack"),
        (fetch(), Fault::Short(200), "fetch-pack"),
        (fetch(), Fault::Cut(0), "transfer closed"),
        (fetch(), Fault::Flip(20), "index-pack"),
        (fetch(), Fault::Endless(Endless::Zeros), "index-pack"),
    ] {
        let complaint = failed(&server, when, fault.clone()).await;
        assert!(complaint.contains(expected), "{fault:?}: {complaint}");
    }
    server.end().await;
}

/// What comes is in order, so a client that sets itself no limit reads on.
#[tokio::test]
async fn endless_blob_is_in_order_as_far_as_it_goes() {
    if !tests::git::available() {
        return;
    }
    let (server, _) = served(Options::default()).await;
    server.fault(When::at(Step::Fetch), Fault::Endless(Endless::Blob));
    let complaint = failed(&server, When::at(Step::Fetch), Fault::Short(1_000_000)).await;
    assert!(complaint.contains("early EOF"), "{complaint}");
    for wrong in ["inflate", "bad object", "unknown object type"] {
        assert!(!complaint.contains(wrong), "{complaint}");
    }
    server.end().await;
}

#[tokio::test]
async fn odd_answers_are_put_up_with() {
    if !tests::git::available() {
        return;
    }
    let (server, repository) = served(Options::default()).await;
    let pack = Arc::new(repository.pack());
    server.add("two.git", &repository);
    for (when, fault) in [
        (When::always(), Fault::Drip),
        (When::at(Step::Fetch), Fault::Pack(pack)),
        (When::always().with("one.git"), Fault::Redirect(server.url("two.git"))),
        (When::always().with("two.git"), Fault::Status(500)),
    ] {
        cloned_with(&server, &repository, when, fault).await;
    }
    assert!(server.seen().iter().any(|seen| (seen.repository.as_str(), seen.status) == ("one.git", 301)));
    assert!(server.seen().iter().any(|seen| (seen.repository.as_str(), seen.step) == ("two.git", Step::Fetch)));
    server.end().await;
}

#[tokio::test]
async fn older_protocols_are_answered_in() {
    if !tests::git::available() {
        return;
    }
    let (server, repository) = served(Options::default()).await;
    for version in [0, 1] {
        cloned_with(&server, &repository, When::always(), Fault::Protocol(version)).await;
        let seen = server.seen();
        assert!(
            seen.iter().filter(|seen| seen.step == Step::Refs).all(tests::git::Seen::wants_v2),
            "version 2 was asked for"
        );
        assert_eq!(server.count(Step::List), 0, "and not answered in");
    }
    server.end().await;
}

#[tokio::test]
async fn redirects_lead_to_other_hosts() {
    if !tests::git::available() {
        return;
    }
    let (server, repository) = served(Options::default()).await;
    let (other, _) = served(Options::default()).await;
    server.fault(When::at(Step::Refs), Fault::Redirect(other.url("one.git")));
    let client = Client::new();
    client.clone(&server.url("one.git"), "clone").await.well();
    assert_eq!(cloned(&client, "clone"), repository.checkout("main"));
    assert_eq!((server.count(Step::Fetch), other.count(Step::Fetch)), (0, 1));
    server.end().await;
    other.end().await;
}

#[tokio::test]
async fn dumb_servers_have_files_alone() {
    if !tests::git::available() {
        return;
    }
    let (server, repository) = served(Options::default()).await;
    cloned_with(&server, &repository, When::always(), Fault::Dumb).await;
    let seen = server.seen();
    assert!(seen.iter().all(|seen| seen.method == "GET"), "{seen:?}");
    assert!(seen.iter().any(|seen| seen.path.contains("/objects/")), "{seen:?}");
    server.end().await;
}

#[tokio::test]
async fn hanging_answers_go_on_once_released() {
    if !tests::git::available() {
        return;
    }
    let (server, repository) = served(Options::default()).await;
    for (at, fault) in [Fault::HangBefore, Fault::Hang(0), Fault::Hang(50)].into_iter().enumerate() {
        server.fault(When::at(Step::Fetch), fault);
        let client = Client::new();
        let url = server.url("one.git");
        let cloning = async { client.clone(&url, "clone").await.well() };
        let releasing = async {
            server.hung(at + 1).await;
            assert!(!client.folder().join("clone/README.md").exists(), "it waits");
            server.release();
        };
        tokio::join!(cloning, releasing);
        assert_eq!(cloned(&client, "clone"), repository.checkout("main"));
        server.heal();
    }
    server.end().await;
}

/// A client that gives up, and a server that ends: no program of either is left.
#[tokio::test]
async fn end_waits_for_nobody_who_hangs() {
    if !tests::git::available() {
        return;
    }
    for fault in [Fault::HangBefore, Fault::Hang(50), Fault::Endless(Endless::Progress), Fault::Endless(Endless::Blob)]
    {
        let (server, _) = served(Options::default()).await;
        server.fault(When::at(Step::Fetch), fault.clone());
        let client = Client::new();
        let begun = tokio::time::Instant::now();
        let url = server.url("one.git");
        let cloning = tokio::time::timeout(std::time::Duration::from_secs(1), client.clone(&url, "clone"));
        assert!(cloning.await.is_err(), "{fault:?}: it does not come to an end");
        server.end().await;
        assert!(begun.elapsed().as_secs() < 4, "{fault:?}: ended after {:?}", begun.elapsed());
    }
}

/// Programs of git that work for a repository's server, and what they have started.
fn running(repository: &Repository) -> usize {
    let root = repository.path().parent().and_then(|root| root.to_str()).expect("it is in the server's folder");
    let processes = std::fs::read_dir("/proc").into_iter().flatten().flatten();
    // Who has just ended has none.
    let environments = processes.filter_map(|process| std::fs::read(process.path().join("environ")).ok());
    environments.filter(|environment| String::from_utf8_lossy(environment).contains(root)).count()
}

#[tokio::test]
async fn clients_that_leave_take_their_programs_along() {
    if !tests::git::available() {
        return;
    }
    let server = Server::start(Options::default()).await;
    // More than fits into pipes: git would wait for ever for somebody to read.
    let mut noise = vec![1_u64];
    while noise.len() < 500_000 {
        let last = noise.last().copied().expect("it has a first number");
        noise.push(last.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407));
    }
    let noise: Vec<u8> = noise.into_iter().flat_map(|number| number.rotate_left(29).to_le_bytes()).collect();
    let repository = Repository::new();
    repository.commit(Commit::on("main").file("large", noise));
    let repository = server.add("large.git", &repository);
    server.fault(When::at(Step::Fetch), Fault::Hang(1000));
    let (client, url) = (Client::new(), server.url("large.git"));
    let hanging = async {
        server.hung(1).await;
        assert!(running(&repository) > 0 || !std::path::Path::new("/proc/self/environ").exists(), "git is at work");
    };
    tokio::select! {
        _ = client.clone(&url, "clone") => panic!("it hangs"),
        () = hanging => {}
    }
    let left = tokio::time::timeout(std::time::Duration::from_secs(5), server.idle()).await;
    assert!(left.is_ok(), "programs wait for a client that has left");
    // Nobody is told when what a program has started is gone, too: it is looked for.
    let gone = async {
        while running(&repository) > 0 {
            tokio::time::sleep(std::time::Duration::from_millis(10)).await;
        }
    };
    let gone = tokio::time::timeout(std::time::Duration::from_secs(5), gone).await;
    assert!(gone.is_ok(), "programs have left others behind");
    server.end().await;
}
