//! Secrets on a real node: what leaves, what comes back, what is shown, and what raises an alarm. The outside is a mirror on loopback.

mod alarms;
mod answers;
mod canaries;
mod revealing;
mod shapes;
mod signing;
mod tls;

use std::collections::BTreeMap;

use serde_json::{Value, json};
use tests::mirror::Mirror;
use tests::served::{Api, Options, serving_with};

/// A guest that makes requests, signs and says things as it is told. Its sources are those of the runtime's tests.
const PROBE: &[u8] = include_bytes!("../../../host/runtime/tests/guests/probe.wasm");
/// What of it can be a task.
const TASKS: [&str; 5] = ["exchange", "sign", "field", "leak", "tell"];

/// Secrets by name.
fn named(secrets: &[(&str, &str)]) -> BTreeMap<String, String> {
    secrets.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

/// Runs a test against a node with these secrets, the probe as a plugin, and two mirrors it may reach.
async fn world(options: Options, test: impl AsyncFnOnce(&Api, &Mirror, &Mirror)) {
    let (mirror, other) = (Mirror::open().await, Mirror::open().await);
    let folder = tempfile::tempdir().expect("a folder");
    let plugin = folder.path().join("probe.wasm");
    std::fs::write(&plugin, probe()).expect("the plugin is written");
    let mut options = options;
    options.plugins.push(plugin);
    options.outside.extend([mirror.address, other.address]);
    serving_with(options, async |api| test(api, &mirror, &other).await).await;
    mirror.end().await;
    other.end().await;
}

fn probe() -> Vec<u8> {
    let secret = json!({ "type": "string", "x-sluice-secret": true });
    let usual = json!({ "http": [{ "hosts": "flow" }], "secrets": true });
    let mut tasks: Vec<Value> = TASKS
        .iter()
        // One of them alone says what it was told in the clear.
        .map(|task| if *task == "tell" { (task, Value::Null) } else { (task, usual.clone()) })
        .map(|(task, capabilities)| json!({ "capabilities": capabilities, "type": format!("test.probe.{task}"), "properties": { "type": "object", "properties": { "password": secret, "secret": secret }, "additionalProperties": true } }))
        .collect();
    // The same guest, where the author's property may be shown.
    tasks.push(json!({ "type": "test.open.leak", "properties": { "type": "object" }, "capabilities": usual }));
    let manifest = json!({
        "abi": "1.0", "name": "probe", "version": "1.0.0", "title": "Probe", "tasks": tasks,
        "capabilities": { "http": [{ "hosts": "flow" }], "secrets": true, "reveal": true },
    });
    catalog::embed(PROBE, manifest.to_string().as_bytes()).expect("the component is valid")
}

/// A flow of one task of the probe.
fn flow(id: &str, task: &str, properties: Value) -> String {
    let kind = if task.contains('.') { format!("test.{task}") } else { format!("test.probe.{task}") };
    let mut whole = json!({ "id": "t", "type": kind });
    let own = whole.as_object_mut().expect("an object");
    own.extend(properties.as_object().expect("an object").clone());
    json!({ "id": id, "namespace": "tests.secrets", "tasks": [whole] }).to_string()
}

/// Saves and runs it, to its end.
async fn run(api: &Api, id: &str, task: &str, properties: Value) -> Value {
    run_flow(api, id, &flow(id, task, properties)).await
}

async fn run_flow(api: &Api, id: &str, source: &str) -> Value {
    api.save(source).await;
    api.run(&format!("tests.secrets/{id}")).await
}

#[track_caller]
fn succeeded(execution: &Value) -> &Value {
    assert_eq!(execution["state"]["current"], "SUCCESS", "{execution:#}");
    &execution["taskRunList"][0]["outputs"]
}

#[track_caller]
fn failed(execution: &Value) -> &str {
    assert_eq!(execution["state"]["current"], "FAILED", "{execution:#}");
    execution["taskRunList"][0]["attempts"][0]["failure"]["message"].as_str().unwrap_or_default()
}

/// All lines of an execution's log.
async fn logs(api: &Api, execution: &Value) -> String {
    let id = execution["id"].as_str().expect("an id");
    api.get(&format!("logs/{id}?minLevel=TRACE")).await.ok().to_string()
}

/// The alarms of the audit log as `secret place`, oldest first.
async fn alarms(api: &Api) -> Vec<String> {
    let entries = api.get("/api/v1/cluster/versioned-plugins/audit").await.ok();
    let entries = entries.as_array().or_else(|| entries["results"].as_array()).expect("a list").clone();
    let alarms = entries.iter().filter(|entry| entry["action"] == "secret.alarm");
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let mut found: Vec<String> =
        alarms.map(|entry| format!("{} {}", text(&entry["subject"]), text(&entry["details"]["place"]))).collect();
    found.reverse();
    found
}
