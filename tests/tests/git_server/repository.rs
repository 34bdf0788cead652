//! Repositories are made as they are said, and read back as they are.

use super::*;
use tests::git::Logged;

fn file(text: &str) -> Entry {
    Entry::File(text.as_bytes().to_vec())
}

#[test]
fn commits_have_what_is_said() {
    if !tests::git::available() {
        return;
    }
    let repository = Repository::new();
    let large = vec![7; 1 << 20];
    let names = ["größe", "名前/ä b", "it's", "say \"so\"", "back\\slash", "tab\there", "new\nline", "-dash", "🦀/🦀"];
    let commit = names.iter().fold(Commit::on("main"), |commit, name| commit.file(name, *name));
    let commit =
        commit.file("empty", "").file("bytes", [0, 159, 146, 150]).file("large", &large).file("crlf", "a\r\nb\r\n");
    let first = repository.commit(commit.executable("bin/run", "#!/bin/sh\n").link("link", "bin/run"));
    let mut expected: BTreeMap<String, Entry> = names.iter().map(|name| ((*name).to_owned(), file(name))).collect();
    expected.extend([
        ("empty".to_owned(), file("")),
        ("bytes".to_owned(), Entry::File(vec![0, 159, 146, 150])),
        ("large".to_owned(), Entry::File(large)),
        ("crlf".to_owned(), file("a\r\nb\r\n")),
        ("bin/run".to_owned(), Entry::Executable(b"#!/bin/sh\n".to_vec())),
        ("link".to_owned(), Entry::Link(b"bin/run".to_vec())),
    ]);
    assert_eq!(repository.checkout("main"), expected);

    let elsewhere = "1234567890123456789012345678901234567890";
    let change =
        Commit::on("main").message("Changes\n\nSeveral.").delete("empty").delete("名前").rename("bin", "sbin/x");
    let second = repository.commit(change.submodule("sub", elsewhere));
    for path in ["empty", "名前/ä b", "bin/run"] {
        expected.remove(path);
    }
    expected.insert("sbin/x/run".to_owned(), Entry::Executable(b"#!/bin/sh\n".to_vec()));
    expected.insert("sub".to_owned(), Entry::Folder);
    assert_eq!(repository.checkout("main"), expected);
    assert_eq!(repository.fsck_strict(), Ok(()));

    let log = repository.log("main");
    let (hash, tree) = (second.clone(), repository.tree_hash("main"));
    let [author, committer] = ["Ada Lovelace"; 2].map(str::to_owned);
    let (author_time, commit_time, email) = (1_700_000_060, 1_700_000_060, "ada@example.com".to_owned());
    let (parents, message) = (vec![first.clone()], "Changes\n\nSeveral.\n".to_owned());
    let expected = Logged { hash, tree, parents, author, email, author_time, committer, commit_time, message };
    assert_eq!(log.first(), Some(&expected));
    assert_eq!(log.iter().map(|commit| commit.hash.as_str()).collect::<Vec<_>>(), [second, first]);
}

#[test]
fn commits_are_the_same_every_time() {
    if !tests::git::available() {
        return;
    }
    let made = || Repository::new().commit(Commit::on("main").file("a", "a\n"));
    assert_eq!(made(), made());
    assert_eq!(made(), "c9f71c072359693d48adbfdaed72635b169c3d9d", "and on every machine");
}

#[test]
fn merges_tags_and_branches_are_where_they_are_put() {
    if !tests::git::available() {
        return;
    }
    let repository = Repository::with_branch("trunk");
    let root = repository.commit(Commit::on("trunk").file("a", "a\n"));
    let tips = ["one", "two", "three"].map(|name| repository.commit(Commit::on(name).from("trunk").file(name, name)));
    let octopus = Commit::on("trunk").merge("one").merge("two").merge("three").file("one", "one");
    let octopus = repository.commit(octopus);
    let parents =
        repository.log("trunk").into_iter().find(|commit| commit.hash == octopus).map(|commit| commit.parents);
    assert_eq!(parents, Some([std::slice::from_ref(&root), tips.as_slice()].concat()));
    assert_eq!(repository.checkout("trunk").into_keys().collect::<Vec<_>>(), ["a", "one"]);

    repository.tag("light", &root);
    let annotated = repository.annotated("v1", "trunk", "Version 1");
    repository.annotated("tree", "trunk^{tree}", "A tree");
    repository.tag("blob", "trunk:a");
    repository.annotated("tag", &annotated, "A tag");
    let kinds = ["light", "v1", "tree", "blob", "tag", "v1^{}", "tree^{}", "tag^{}"];
    let kinds = kinds.map(|name| repository.git(&["cat-file", "-t", &format!("refs/tags/{name}")]));
    assert_eq!(kinds, ["commit", "tag", "tag", "blob", "tag", "commit", "tree", "commit"]);

    repository.delete_branch("three");
    assert_eq!(repository.git(&["symbolic-ref", "HEAD"]), "refs/heads/trunk");
    repository.head("one");
    assert_eq!(repository.hash("HEAD"), repository.hash("one"));
    repository.detach("trunk");
    assert!(repository.tried(&["symbolic-ref", "HEAD"]).is_err());

    let before = repository.refs();
    assert_eq!(before.len(), 8);
    repository.pack_refs();
    repository.gc();
    assert_eq!(repository.refs(), before);
    assert!(repository.git(&["count-objects", "-v"]).contains("\npacks: 1\n"));
    assert_eq!(repository.fsck_strict(), Ok(()));
    // What began elsewhere goes on where it is.
    let again = repository.commit(Commit::on("one").from("trunk").file("b", "b\n"));
    assert_eq!(repository.log("one").get(1).map(|commit| commit.hash.clone()), Some(octopus));
    assert_eq!(repository.hash("one"), again);
}
