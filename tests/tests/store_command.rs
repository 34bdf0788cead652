//! `sluice store`, and what a server says of a folder that it cannot use as its store.

use std::io::{BufRead as _, BufReader};

use tests::program::{command, end, interrupt, run};

fn folder() -> tempfile::TempDir {
    tempfile::tempdir().expect("tests have a temporary folder")
}

fn path(folder: &tempfile::TempDir) -> &str {
    folder.path().to_str().expect("UTF-8")
}

#[test]
fn run_keeps_what_happened_where_it_is_told_to() {
    let store = folder();
    run(&["run", "examples/hello.yaml", "--store", path(&store)]).exits(0);
    run(&["store", "verify", "--store", path(&store)]).exits(0);
    let stats = run(&["store", "stats", "--json", "--store", path(&store)]).exits(0).json();
    assert!(stats.to_string().contains("xecution"), "{stats}");
    run(&["store", "rebuild", "--store", path(&store)]).exits(0);
    run(&["store", "repair", "--store", path(&store)]).exits(0).says(&["nothing to give up"]);
    run(&["run", "examples/hello.yaml", "--store", path(&store)]).exits(0).says(&["SUCCESS"]);
}

#[test]
fn damage_is_named_and_refused() {
    let store = folder();
    run(&["run", "examples/hello.yaml", "--store", path(&store)]).exits(0);
    let manifest = store.path().join("manifest");
    let mut bytes = std::fs::read(&manifest).expect("a store has a manifest");
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    std::fs::write(&manifest, bytes).expect("it can be written");
    let verified = run(&["store", "verify", "--store", path(&store)]).exits(1);
    assert!(format!("{}{}", verified.out, verified.err).contains("manifest"), "{verified:?}");
    run(&["run", "examples/hello.yaml", "--store", path(&store)])
        .exits(2)
        .complains(&["cannot open the store", "manifest"]);
}

#[test]
fn folder_of_another_program_is_refused() {
    let store = folder();
    std::fs::write(store.path().join("thesis.tex"), "years of work").expect("it can be written");
    let asked = ["server", "--listen", "127.0.0.1:0", "--store", path(&store)];
    run(&asked).exits(1).complains(&["cannot open the store", "`thesis.tex`", "hint:"]);
    assert_eq!(std::fs::read_dir(store.path()).expect("it is there").count(), 1, "nothing was added or removed");
}

#[test]
fn second_server_on_a_store_is_refused() {
    let store = folder();
    let asked = ["server", "--listen", "127.0.0.1:0", "--store", path(&store)];
    let mut first = command(&asked).spawn().expect("the program was just built");
    let mut out = BufReader::new(first.stdout.take().expect("standard output is a pipe"));
    let mut line = String::new();
    out.read_line(&mut line).expect("a line comes");
    run(&asked).exits(1).complains(&["cannot open the store", "hint:"]);
    run(&["store", "verify", "--store", path(&store)]).exits(1).complains(&["hint:"]);
    interrupt(&first);
    out.lines().for_each(drop);
    end(first).exits(0);
}
