//! Files of namespaces, and what is deleted.

use model::state::State;
use serde_json::json;

use super::guest::{World, answers, task};

/// Where the files of the flow's namespace are.
const FOLDER: &str = "main/a/b/_files";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_namespace_gets_files_with_the_good_end() {
    let world = World::open().await;
    let calls = json!([
        ["write", "nsfile:///d/x.txt", "one"],
        ["read", "nsfile:///d/x.txt"],
        ["read", "nsfile://a.b/d/x.txt"],
        ["copy", "nsfile:///d/x.txt", "nsfile:///y.txt"],
        ["files", "nsfile:///"],
        ["wait"],
        ["remove", "nsfile:///y.txt"],
        ["files", "nsfile:///d"],
        ["read", "nsfile:///y.txt"]
    ]);
    let id = world.start(&task("writes", calls)).await;
    world.waits().await;
    assert!(!world.has_file(&format!("{FOLDER}/d/x.txt")).await, "somebody else sees it");
    world.gate.opens.notify_one();
    let seen = world.ended(&id).await;
    let x = "nsfile:///d/x.txt";
    assert_eq!(
        answers(&seen, "writes"),
        json!([x, "one", "one", "nsfile:///y.txt", [x, "nsfile:///y.txt"], true, [x], "NOT_FOUND"])
    );
    assert!(world.has_file(&format!("{FOLDER}/d/x.txt")).await && !world.has_file(&format!("{FOLDER}/y.txt")).await);

    let read = "- {id: reads, type: io.kestra.plugin.core.execution.Assert, conditions: [\"{{ read('d/x.txt') == 'one' }}\", \"{{ fileURI('d/x.txt') == 'nsfile://a.b/d/x.txt' }}\", \"{{ read('nsfile:///d/x.txt') == 'one' }}\"]}\n";
    world.run(read, State::Success).await;
    let failing = json!([["write", "nsfile:///z.txt", "no"], ["remove", "nsfile:///d/x.txt"], ["fail"]]);
    world.run(&task("fails", failing), State::Failed).await;
    assert!(world.has_file(&format!("{FOLDER}/d/x.txt")).await && !world.has_file(&format!("{FOLDER}/z.txt")).await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn files_of_an_execution_are_its_own() {
    let world = World::open().await;
    let first = world.run(&task("w", json!([["write", "x.txt", "one"]])), State::Success).await;
    let uri = answers(&first, "w")[0].as_str().expect("a URI").to_owned();
    let calls = json!([
        ["read", uri],
        ["remove", uri],
        ["files", "kestra:///a"],
        ["write", "mine.txt", "m"],
        ["copy", "nsfile:///none", "c"]
    ]);
    let seen = world.run(&task("t", calls), State::Success).await;
    let found = answers(&seen, "t");
    assert_eq!(found[0], "NOT_GRANTED");
    assert_eq!((&found[1], &found[2], &found[4]), (&json!("NOT_GRANTED"), &json!("NOT_GRANTED"), &json!("NOT_FOUND")));
    let two = task("w", json!([["write", "x.txt", "1"], ["write", "y.txt", "2"], ["files", ""]]))
        + &task("d", json!([["files", ""], ["remove", "{{ outputs.w.answers[0] }}"], ["files", ""]]))
        + &task(
            "l",
            json!([
                ["read", "{{ outputs.w.answers[0] }}"],
                ["copy", "{{ outputs.w.answers[1] }}", "z.txt"],
                ["files", ""]
            ]),
        );
    let seen = world.run(&two, State::Success).await;
    let sizes: Vec<usize> = [&answers(&seen, "d")[0], &answers(&seen, "d")[2], &answers(&seen, "l")[2]]
        .iter()
        .map(|files| files.as_array().map_or(0, Vec::len))
        .collect();
    assert_eq!(sizes, [2, 1, 2]);
    assert_eq!(answers(&seen, "l")[0], "NOT_FOUND");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn only_namespaces_that_are_named_are_written() {
    let world = World::open().await;
    // What begins with `hidden:` becomes such a URI only within the guest: the task's properties do not name it.
    let calls = json!([
        ["write", "hidden:x.y/f", "1"],
        ["read", "hidden:x.y/f"],
        ["remove", "hidden:x.y/f"],
        ["files", "hidden:x.y/"],
        ["write", "hidden:/../f", "1"],
        ["write", "hidden:/", "1"],
        ["write", "hidden:/a/", "1"],
        ["write", "hidden:a.b/f", "1"],
        ["write", "hidden:/g", "1"]
    ]);
    let seen = world.run(&task("t", calls), State::Success).await;
    let (no, bad) = ("NOT_GRANTED", "BAD_ARGUMENT");
    assert_eq!(answers(&seen, "t"), json!([no, no, no, no, bad, bad, bad, "nsfile://a.b/f", "nsfile:///g"]));
    let seen = world.run(&task("t", json!([["write", "nsfile://x.y/f", "1"]])), State::Success).await;
    assert_eq!(answers(&seen, "t"), json!(["nsfile://x.y/f"]));
    assert!(world.has_file("main/x/y/_files/f").await);
}
