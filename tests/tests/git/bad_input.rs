//! What bad input gets: each its own code, in words that name the thing and the remedy, and nothing is changed.
#![expect(clippy::print_stdout, reason = "a test says what it counted")]

use std::sync::Arc;

use serde_json::{Value, json};
use tests::git::{Commit, Endless, Fault, Options, Repository, Server, Step, When, available, files};

use crate::guest::{cloned, failure};
use crate::world::{failed, flow, run, serve, world};

/// A server with a repository, and a clone that must fail.
async fn refused(server: &Server, properties: Value) -> (String, String) {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let mut all = json!({ "url": server.url("r.git") });
    all.as_object_mut().expect("an object").extend(properties.as_object().expect("an object").clone());
    let failure = failure(cloned(server, folder.path(), all).await);
    assert!(files(folder.path()).keys().all(|path| path == "clone"), "{failure:#?} left {:?}", files(folder.path()));
    (failure.code, failure.message)
}

#[tokio::test(flavor = "multi_thread")]
async fn each_has_its_own_code_and_words() {
    if !available() {
        return;
    }
    let server = Server::start(Options::default()).await;
    serve(&server, "r.git", &[("a.txt", "a")]);
    server.add("empty.git", &Repository::new());
    server.add("sha256.git", &Repository::sha256());
    let elsewhere = format!("http://localhost:{}/nothing/here.git", server.address().port());
    let rows = [
        (json!({ "url": "git@github.com:acme/flows.git" }), "GIT_SSH", "`https://github.com/acme/flows.git`"),
        (json!({ "url": "ssh://git@github.com:22/acme/flows.git" }), "GIT_SSH", "`https://github.com/acme/flows.git`"),
        (json!({ "url": "not an address" }), "GIT_URL", "not an address"),
        (json!({ "url": "file:///etc" }), "GIT_URL", "http"),
        (json!({ "url": elsewhere }), "GIT_NOT_FOUND", "look at `url`"),
        (json!({ "branch": "nope" }), "GIT_BRANCH", "there are `main`"),
        (json!({ "tag": "nope" }), "GIT_TAG", "no tag at all"),
        (json!({ "commit": "0123456789abcdef" }), "GIT_COMMIT", "0123456789abcdef"),
        (json!({ "url": server.url("empty.git") }), "GIT_EMPTY", "push a first one"),
        (json!({ "url": server.url("sha256.git") }), "GIT_OBJECT_FORMAT", "sha256"),
        (json!({ "directory": "../x" }), "BAD_PROPERTY", "`directory`"),
        (json!({ "directory": "a/.git" }), "BAD_PROPERTY", "`directory`"),
        (json!({ "commit": "xyz" }), "BAD_PROPERTY", "`commit`"),
    ];
    for (properties, code, words) in rows {
        let (found, message) = refused(&server, properties.clone()).await;
        assert_eq!(found, code, "{properties}: {message}");
        assert!(message.contains(words), "{properties}: `{words}` is not in: {message}");
    }
    server.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn credentials_that_are_not_enough_say_so() {
    if !available() {
        return;
    }
    world(async |api, server| {
        let served = serve(server, "r.git", &[("a.txt", "a")]);
        api.save(&flow("dev", "one", "1")).await;
        let wrong = json!({ "sourceNamespace": "dev", "username": "ada", "password": "wrong-password" });
        let execution = run(api, server, "PushFlows", "r.git", wrong).await;
        let (code, message) = failed(&execution);
        assert_eq!(code, "GIT_AUTH");
        assert!(message.contains("`password`") && !message.contains("wrong-password"), "{message}");
        let none = json!({ "sourceNamespace": "dev", "username": null, "password": null });
        assert_eq!(failed(&run(api, server, "PushFlows", "r.git", none).await).0, "GIT_AUTH");
        let reader = json!({ "sourceNamespace": "dev", "username": "reader", "password": "only" });
        assert_eq!(failed(&run(api, server, "PushFlows", "r.git", reader).await).0, "GIT_FORBIDDEN");
        assert_eq!(served.log("main").len(), 1);
        // Neither log nor row has a secret of it.
        let execution = run(api, server, "PushFlows", "r.git", json!({ "sourceNamespace": "dev" })).await;
        assert_eq!(execution["state"]["current"], "SUCCESS", "{execution:#}");
        let logs = api.get(&format!("logs/{}", execution["id"].as_str().expect("an id"))).await.text;
        assert!(!logs.contains("token-of-the-server") && !execution.to_string().contains("token-of-the-server"));
        assert!(server.seen().iter().any(|seen| seen.user.as_deref() == Some("git") || seen.user.is_some()));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn hosts_that_nobody_knows_are_named() {
    if !available() {
        return;
    }
    world(async |api, server| {
        let properties = json!({ "sourceNamespace": "dev", "url": "https://no-such-host.invalid/r.git" });
        let (code, message) = {
            let execution = run(api, server, "PushFlows", "r.git", properties).await;
            let (code, message) = failed(&execution);
            (code.to_owned(), message.to_owned())
        };
        assert_eq!(code, "HTTP_DNS", "{message}");
        assert!(message.contains("no-such-host.invalid") && message.contains("look at `url`"), "{message}");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn packs_that_are_damaged_endless_or_huge_are_refused() {
    if !available() {
        return;
    }
    let server = Server::start(Options::default()).await;
    let repository = Repository::new();
    repository.commit(Commit::on("main").file("a.txt", "a\n".repeat(500)).file("b.txt", "b"));
    server.add("r.git", &repository);
    let pack = repository.pack();
    let mut flips = 0;
    for at in (0..pack.len() as u64).step_by(3) {
        server.heal();
        server.fault(When::at(Step::Fetch), Fault::Flip(at));
        let (code, message) = refused(&server, json!({})).await;
        assert!(["GIT_CORRUPT", "GIT_TOO_LARGE"].contains(&code.as_str()), "byte {at}: {code} {message}");
        flips += 1;
    }
    let cut = Arc::new(pack[..pack.len() / 2].to_vec());
    let bomb = Arc::new(bomb());
    let rows = [
        (Fault::Pack(cut), "GIT_CORRUPT"),
        (Fault::Pack(bomb), "GIT_TOO_LARGE"),
        (Fault::Endless(Endless::Zeros), "GIT_TOO_LARGE"),
        (Fault::Endless(Endless::Blob), "GIT_TOO_LARGE"),
        (Fault::Cut(200), "HTTP_"),
        (Fault::Html, "GIT_PROTOCOL"),
    ];
    for (fault, expected) in rows {
        server.heal();
        server.fault(When::at(Step::Fetch), fault.clone());
        let (code, message) = refused(&server, json!({})).await;
        assert!(code.starts_with(expected), "{fault:?}: {code} {message}");
    }
    for (step, fault, expected) in [
        (Step::Refs, Fault::Html, "GIT_PROTOCOL"),
        (Step::Refs, Fault::Dumb, "GIT_PROTOCOL"),
        (Step::Refs, Fault::Status(500), "GIT_SERVER"),
        (Step::List, Fault::Status(503), "GIT_SERVER"),
        (Step::Fetch, Fault::Status(418), "GIT_PROTOCOL"),
    ] {
        server.heal();
        server.fault(When::at(step), fault.clone());
        let (code, message) = refused(&server, json!({})).await;
        assert_eq!(code, expected, "{step:?} {fault:?}: {message}");
    }
    // A server that says nothing is given up.
    server.heal();
    server.fault(When::at(Step::Fetch), Fault::HangBefore);
    let (code, message) = refused(&server, json!({ "readTimeout": 300 })).await;
    assert_eq!(code, "HTTP_TIMEOUT", "{message}");
    server.release();
    println!("{flips} flipped bytes refused");
    server.end().await;
}

/// A pack of one blob of 200 MiB of zeros, which is 200 KB.
fn bomb() -> Vec<u8> {
    let repository = Repository::new();
    repository.commit(Commit::on("main").file("zeros", vec![0; 200 << 20]));
    repository.pack()
}
