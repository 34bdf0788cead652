//! Values of namespaces.

use model::state::State;
use serde_json::json;

use super::guest::{World, answers, task};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_run_sees_its_values_at_once_and_others_when_it_has_ended() {
    let world = World::open().await;
    let writes = task(
        "writes",
        json!([
            ["set", null, "k", {"a": 1}], ["get", null, "k"], ["keys", null, ""], ["wait"], ["delete", null, "old"],
            ["get", null, "old"], ["keys", null, ""]
        ]),
    );
    world.run(&task("before", json!([["set", null, "old", "x"]])), State::Success).await;
    let id = world.start(&(writes + &task("reads", json!([["get", null, "k"]])))).await;
    world.waits().await;
    assert!(world.value("a.b", "k").await.is_none(), "somebody else sees it");
    world.gate.opens.notify_one();
    let seen = world.ended(&id).await;
    assert_eq!(answers(&seen, "writes"), json!(["ok", {"a": 1}, ["k", "old"], true, null, ["k"]]));
    assert_eq!(answers(&seen, "reads"), json!([{"a": 1}]));
    assert!(world.value("a.b", "old").await.is_none());
    assert_eq!(world.value("a.b", "k").await.map(|row| row.revision), Some(1));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_run_that_does_not_end_well_leaves_nothing() {
    let world = World::open().await;
    world.run(&task("fails", json!([["set", null, "k", 1], ["fail"]])), State::Failed).await;
    assert!(world.value("a.b", "k").await.is_none(), "of a failed one");
    let id = world.start(&task("killed", json!([["set", null, "k", 1], ["wait"]]))).await;
    world.waits().await;
    world.node.kill(id.as_str()).await.expect("it is killed");
    assert_eq!(world.ended(&id).await.execution.state(), State::Killed);
    assert!(world.value("a.b", "k").await.is_none(), "of a killed one");
    // Its other half is a success: what the failed half wrote is not in it.
    let retried = "- {id: r, type: com.example.guest.Do, do: [[set, null, k, 1], [fail]], allowFailure: true}\n"
        .to_owned()
        + &task("reads", json!([["get", null, "k"], ["set", null, "after", true]]));
    let seen = world.run(&retried, State::Warning).await;
    assert_eq!(answers(&seen, "reads"), json!([null, "ok"]));
    assert!(world.value("a.b", "after").await.is_some());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_success_counts_one_revision() {
    let world = World::open().await;
    let one = "    - {id: set, type: com.example.guest.Do, do: [[set, null, k, \"{{ taskrun.value }}\"]]}\n";
    let each = format!(
        "- id: each\n  type: io.kestra.plugin.core.flow.ForEach\n  concurrencyLimit: 0\n  values: \"{{{{ range(1, 40) }}}}\"\n  tasks:\n{one}"
    );
    world.run(&each, State::Success).await;
    let row = world.value("a.b", "k").await.expect("it is set");
    assert_eq!((row.revision, row.created <= row.updated), (40, true));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_value_that_had_to_be_new_is_not_replaced() {
    let world = World::open().await;
    let new = json!({"overwrite": false});
    let id = world.start(&task("new", json!([["set", null, "k", 1, new], ["set", null, "k", 2], ["wait"]]))).await;
    world.waits().await;
    world.run(&task("other", json!([["set", null, "k", "theirs"]])), State::Success).await;
    world.gate.opens.notify_one();
    let seen = world.ended(&id).await;
    assert_eq!(seen.execution.state(), State::Failed);
    let failure = seen.runs[0].attempts[0].failure.as_ref().expect("it says why");
    assert_eq!(failure.code, "EXISTS");
    assert_eq!(world.value("a.b", "k").await.map(|row| row.value), Some(expr::Value::from("theirs")));
    let seen = world.run(&task("again", json!([["set", null, "k", 1, new]])), State::Success).await;
    assert_eq!(answers(&seen, "again"), json!(["EXISTS"]));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn values_have_a_type_a_time_and_a_note() {
    let world = World::open().await;
    let options = json!({"type": "NUMBER", "ttl-s": 3600, "description": "why"});
    let seen = world
        .run(
            &task(
                "sets",
                json!([
                    ["set", null, "n", "12", options], ["set", null, "bad", "x", {"type": "NUMBER"}],
                    ["set", null, "a b", 1], ["set", null, "none", 1, {"ttl-s": 0}], ["set", null, "t", "2024-01-01T00:00:00Z", {"type": "datetime"}],
                    ["find", {"prefix": "n"}],
                ]),
            ),
            State::Success,
        )
        .await;
    // What only this run knows is not among what is found.
    assert_eq!(answers(&seen, "sets"), json!(["ok", "BAD_ARGUMENT", "BAD_ARGUMENT", "BAD_ARGUMENT", "ok", []]));
    let row = world.value("a.b", "n").await.expect("it is set");
    assert_eq!(row.value, expr::Value::Int(12));
    assert_eq!(row.description.as_deref(), Some("why"));
    let left = row.expires.expect("it ends").duration_since(row.updated).as_secs();
    assert!((3_500..=3_600).contains(&left), "{left}");
    let seen = world.run(&task("finds", json!([["find", {}]])), State::Success).await;
    assert_eq!(answers(&seen, "finds"), json!([[["a.b", "n", 1, "NUMBER"], ["a.b", "t", 1, "DATETIME"]]]));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn only_namespaces_that_are_named_are_reached() {
    let world = World::open().await;
    let calls = json!([
        ["set", "x.y", "k", 1], ["get", "x.y", "k"], ["keys", "x.y", ""], ["delete", "x.y", "k"],
        ["find", {"namespaces": ["hidden:x.y"]}], ["get", "a", "k"], ["set", "a", "k", 1], ["set", "a.b.c", "k", 1]
    ]);
    let seen = world.run(&task("t", calls.clone()), State::Success).await;
    let no = "NOT_GRANTED";
    assert_eq!(answers(&seen, "t"), json!([no, no, no, no, no, null, no, "ok"]));
    let named = format!("- {{id: t, type: com.example.guest.Do, namespace: x.y, do: {calls}}}\n");
    let seen = world.run(&named, State::Success).await;
    assert_eq!(answers(&seen, "t"), json!(["ok", 1, ["k"], true, [], null, no, "ok"]));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tasks_of_a_working_directory_keep_each_its_own() {
    let world = World::open().await;
    let unit = "- id: unit\n  type: io.kestra.plugin.core.flow.WorkingDirectory\n  tasks:\n".to_owned()
        + "  "
        + &task("first", json!([["set", null, "k", 1]]))
        + "  "
        + &task("second", json!([["get", null, "k"], ["set", null, "other", 1], ["fail"]]));
    let seen = world.run(&unit, State::Failed).await;
    assert_eq!(answers(&seen, "first"), json!(["ok"]));
    assert!(world.value("a.b", "k").await.is_some() && world.value("a.b", "other").await.is_none());
}
