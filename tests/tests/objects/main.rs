//! Plans of plugins: flows, files of namespaces and documents that are saved and deleted in one commit, by a guest that has carried out what it is
//! told.

mod acting;
mod conflicts;
mod found;
mod killed;
mod once;
mod refusals;
mod saved;
mod triggers;

use std::path::PathBuf;

use serde_json::{Value, json};
use server::{Save, Start};
use tests::served::{Api, Options};

/// The guest's component.
pub fn planner() -> PathBuf {
    let folder = tests::root().join("tests/guests/planner");
    let recorded = std::fs::read_to_string(folder.with_extension("sha256")).expect("the guest is committed");
    let found = xtask::source_hash::of_test_guest(&folder).expect("its sources can be read");
    assert_eq!(recorded.trim(), found, "the guest is stale; hint: `cargo xtask guests planner`");
    folder.with_extension("wasm")
}

/// A server that has the guest.
pub fn options() -> Options {
    Options { plugins: vec![planner()], ..Options::default() }
}

/// What a task of the guest was answered. Its flow is of namespace `plans`.
pub async fn does(api: &Api, task: &str, properties: Value) -> Value {
    let mut written = json!({ "id": "does", "type": format!("test.planner.{task}") });
    let fields = written.as_object_mut().expect("it is an object");
    fields.extend(properties.as_object().expect("properties are an object").clone());
    // As texts: a namespace in them is not one that the task names.
    for name in ["changes", "queries"] {
        if let Some(list) = fields.get_mut(name) {
            *list = Value::from(list.to_string());
        }
    }
    runs(api, &json!({ "id": task.to_lowercase(), "namespace": "plans", "tasks": [written] })).await
}

/// What the first task of a flow was answered.
pub async fn runs(api: &Api, flow: &Value) -> Value {
    let saved = api.node.save_flow(&flow.to_string(), Save::Any).await;
    let saved = saved.unwrap_or_else(|error| panic!("{error}: {:?}", error.issues()));
    let (namespace, id) = (saved.flow.key.namespace.to_string(), saved.flow.key.id.to_string());
    // This revision: others may save theirs at the same time.
    let start = Start { revision: Some(saved.flow.revision), ..Start::of(namespace, id) };
    let id = api.node.start(start).await.expect("it starts");
    let seen = api.node.ended(&id).await.expect("it ends");
    let outputs = seen.runs.first().map(|run| run.outputs.to_json()).unwrap_or_default();
    match outputs["acted"] {
        Value::Null if outputs.get("acted").is_none() => {
            let lines = api.node.logs(id.as_str(), 0, 100).await.expect("it has a log");
            panic!("the guest failed: {lines:?}")
        }
        _ => outputs,
    }
}

/// What came of a plan on namespace `site`.
pub async fn applied(api: &Api, changes: Value) -> Value {
    does(api, "Apply", json!({ "namespaces": ["site"], "sequence": 1, "changes": changes })).await["answer"].clone()
}

/// The problems of the same.
pub async fn tried(api: &Api, changes: Value) -> Value {
    let asked = json!({ "namespaces": ["site"], "sequence": 1, "dry": true, "changes": changes });
    does(api, "Apply", asked).await["answer"].clone()
}

/// What a query finds, asked by who names namespace `site`.
pub async fn found(api: &Api, query: Value) -> Value {
    does(api, "Find", json!({ "namespaces": ["site"], "queries": [query] })).await["found"][0].clone()
}

/// The source of a flow of namespace `site`.
pub fn flow(id: &str, says: &str) -> String {
    format!(
        "id: {id}\nnamespace: site\ntasks:\n  - {{id: say, type: io.kestra.plugin.core.debug.Return, format: {says}}}\n"
    )
}

/// A change that saves it.
pub fn save(id: &str, says: &str) -> Value {
    json!({ "op": "save", "kind": "flow", "namespace": "site", "id": id, "source": flow(id, says) })
}

/// A change of another kind in namespace `site`.
pub fn change(op: &str, kind: &str, id: &str, source: Option<&str>) -> Value {
    let mut change = json!({ "op": op, "kind": kind, "namespace": "site", "id": id });
    if let Some(source) = source {
        change["source"] = json!(source);
    }
    change
}

/// A change that holds only while the thing has this etag.
pub fn at(mut change: Value, etag: &str) -> Value {
    change["etag"] = json!(etag);
    change
}

/// The codes of problems.
pub fn codes(problems: &Value) -> Vec<(u64, &str)> {
    let problems = problems.as_array().into_iter().flatten();
    problems.map(|one| (one["index"].as_u64().unwrap_or(u64::MAX), one["code"].as_str().unwrap_or_default())).collect()
}
