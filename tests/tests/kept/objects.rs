//! What the engine keeps, as guests see it: only of namespaces in reach, and a plan is carried out once.

use model::state::State;
use serde_json::json;

use super::guest::{World, answers, task};

/// A flow of another namespace that runs once.
const OTHER: &str = "id: other\nnamespace: x.y\ntasks:\n  - {id: t, type: com.example.guest.Do, do: []}\n";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn only_documents_in_reach_are_found() {
    let world = World::open().await;
    let other = world.run_flow(OTHER, State::Success).await;
    let calls = json!([
        ["objects", {"kind": "execution", "namespace": "hidden:x.y", "count": true}],
        ["objects", {"kind": "execution", "count": true}],
        ["objects", {"kind": "flow", "namespace": "hidden:a", "count": true}],
        ["objects", {"kind": "log", "execution": other.as_str()}],
        ["object", "flow", "x.y", "other"], ["object", "flow", "a.b", "kept"], ["object", "execution", "a.b", other.as_str()],
        ["objects", {"kind": "moon"}], ["objects", {"kind": "execution", "states": ["DONE"]}]
    ]);
    let seen = world.run(&task("t", calls.clone()), State::Success).await;
    let found = answers(&seen, "t");
    let (no, bad) = ("NOT_GRANTED", "BAD_ARGUMENT");
    assert_eq!([&found[0], &found[3], &found[4], &found[7], &found[8]], [no, no, no, bad, bad]);
    assert_eq!([&found[1]["count"], &found[2]["count"]], [1, 0]);
    assert!(found[5].as_str().is_some_and(|source| source.starts_with("id: kept")) && found[6].is_null(), "{found}");
    let named = format!("- {{id: t, type: com.example.guest.Do, namespace: x.y, do: {calls}}}\n");
    let found = answers(&world.run(&named, State::Success).await, "t");
    assert_eq!(found[0]["count"], 1);
    assert!(found[4].as_str().is_some_and(|source| source == OTHER), "{found}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_plan_is_carried_out_once_and_whole() {
    let world = World::open().await;
    let old = world.run(&task("old", json!([["write", "x.txt", "x"]])), State::Success).await.execution.id;
    let other = world.run_flow(OTHER, State::Success).await;
    let delete = |id: &str| json!({"op": "delete", "kind": "execution", "id": id});
    let calls = json!([
        // One change of two is refused: nothing is done.
        ["apply", {"sequence": 1, "changes": [delete(old.as_str()), delete(other.as_str())]}],
        ["apply", {"sequence": 2, "changes": [{"op": "delete", "kind": "flow", "id": "kept"}]}],
        ["apply", {"sequence": 2, "changes": [{"op": "put", "kind": "execution", "id": "x"}]}],
        ["apply", {"sequence": 2, "changes": [delete("{{ execution.id }}")]}],
        ["objects", {"kind": "execution", "count": true}],
        ["apply", {"sequence": 3, "changes": [delete(old.as_str())]}],
        ["apply", {"sequence": 3, "changes": [delete(old.as_str())]}],
        ["apply", {"sequence": 4, "changes": [delete(old.as_str())]}],
        ["objects", {"kind": "execution", "count": true}],
        ["apply", {"sequence": 5, "changes": [delete(other.as_str()), {"op": "save", "kind": "flow", "id": "x"}]}]
    ]);
    let seen = world.run(&task("t", calls), State::Success).await;
    let found = answers(&seen, "t");
    let (no, bad) = ("NOT_GRANTED", "BAD_ARGUMENT");
    assert_eq!([&found[0], &found[1], &found[2], &found[3]], [no, no, bad, "CONFLICT"]);
    assert_eq!([&found[4]["count"], &found[8]["count"]], [2, 1]);
    let done = json!({"executions": 1, "logs": 0, "metrics": 0, "files": 1});
    assert_eq!([&found[5], &found[6]], [&done, &done]);
    assert_eq!((&found[7]["executions"], &found[9]), (&json!(0), &json!(bad)));
    assert!(world.node.execution(old.as_str()).await.is_err() && world.node.execution(other.as_str()).await.is_ok());
}
