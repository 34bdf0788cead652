//! Random histories: in order for git, the same for a seed, and as different as they are to be.

#![expect(clippy::print_stdout, reason = "how long it takes is worth knowing")]

use std::collections::BTreeSet;
use std::time::Instant;

use super::*;
use tests::git::{history, history_large};

/// How many seeds are tried.
const SEEDS: u64 = 200;
/// How many commits each has.
const SIZE: usize = 25;

#[test]
fn histories_are_in_order() {
    if !tests::git::available() {
        return;
    }
    let begun = Instant::now();
    let made: Vec<Repository> = (0..SEEDS).map(|seed| history(seed, SIZE)).collect();
    println!("{SEEDS} histories take {:?}", begun.elapsed());
    let mut found = BTreeSet::new();
    for (seed, repository) in made.iter().enumerate() {
        assert_eq!(repository.fsck_strict(), Ok(()), "seed {seed}");
        let all = repository.git(&["log", "--all", "--format=parents %P"]);
        found.extend(all.lines().map(|parents| format!("{} parents", parents.split_whitespace().count() - 1)));
        let listed = repository.listed("HEAD").expect("git lists what it has made");
        found.extend(listed.iter().map(|(mode, _)| mode.clone()));
        found.extend(listed.iter().filter(|(_, path)| !path.is_ascii()).map(|_| "not ASCII".to_owned()));
        let sizes = repository.git(&[
            "cat-file",
            "--batch-all-objects",
            "--batch-check=%(objecttype) %(objectsize) %(deltabase)",
        ]);
        found.extend(sizes.lines().map(kind));
        let refs = repository.refs();
        found.extend(refs.keys().filter_map(|name| name.split('/').nth(1)).map(str::to_owned));
        found.extend(repository.path().join("packed-refs").exists().then(|| "packed refs".to_owned()));
        assert!(repository.resolve("HEAD^{commit}").is_some(), "seed {seed}");
    }
    for expected in [
        "0 parents",
        "1 parents",
        "2 parents",
        "3 parents",
        "4 parents",
        "100644",
        "100755",
        "120000",
        "not ASCII",
        "empty blob",
        "large blob",
        "tree",
        "delta",
        "tag",
        "heads",
        "tags",
        "packed refs",
    ] {
        assert!(found.contains(expected), "no history has `{expected}`: {found:?}");
    }
}

/// What is worth knowing of an object.
fn kind(line: &str) -> String {
    let words: Vec<&str> = line.split(' ').collect();
    let [kind, size, base] = words.as_slice() else { panic!("git says `{line}`") };
    let size: u64 = size.parse().expect("sizes are numbers");
    match (*kind, size) {
        _ if !base.trim_start_matches('0').is_empty() => "delta".to_owned(),
        ("blob", 0) => "empty blob".to_owned(),
        ("blob", 100_000..) => "large blob".to_owned(),
        (kind, _) => kind.to_owned(),
    }
}

#[test]
fn seed_is_one_history() {
    if !tests::git::available() {
        return;
    }
    let refs = |seed| history(seed, SIZE).refs();
    assert_eq!(refs(7), refs(7));
    assert_ne!(refs(7), refs(8));
}

#[tokio::test]
async fn histories_are_served() {
    if !tests::git::available() {
        return;
    }
    let server = Server::start(Options::default()).await;
    for seed in 0..10 {
        let name = format!("{seed}.git");
        let repository = server.add(&name, &history(seed, SIZE));
        let client = Client::new();
        client.clone(&server.url(&name), "clone").await.well();
        assert_eq!(cloned(&client, "clone"), repository.checkout("HEAD"), "seed {seed}");
    }
    server.end().await;
}

#[test]
fn large_history_has_its_numbers() {
    if !tests::git::available() {
        return;
    }
    let begun = Instant::now();
    let repository = history_large(10_000, 5_000);
    println!("it takes {:?}", begun.elapsed());
    assert_eq!(repository.git(&["rev-list", "--count", "main"]), "5000");
    assert_eq!(repository.listed("main").map(|listed| listed.len()), Ok(10_000));
}
