//! A node beside a Git server: tasks are run as flows, both sides are looked at with their own means.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use tests::git::{Account, Entry, Options, Repository, Server};
use tests::served::{self, Api, serving_with};

/// The namespace of the flows that sync others.
pub const SYSTEM: &str = "system";
const TOKEN: &str = "token-of-the-server";

/// What a task made, by name, as files of a repository.
pub type Files = BTreeMap<String, Entry>;

/// Runs a test against a node that may reach a Git server, and knows a token of it.
pub async fn world(test: impl AsyncFnOnce(&Api, &Server)) {
    let accounts = vec![Account::token(TOKEN), Account::new("reader", "only").reader()];
    let server = Server::start(Options { accounts, ..Options::default() }).await;
    let secrets = [("GIT_TOKEN", TOKEN)].map(|(name, value)| (name.to_owned(), value.to_owned()));
    let options =
        served::Options { outside: vec![server.address()], secrets: secrets.into(), ..served::Options::default() };
    serving_with(options, async |api| test(api, &server).await).await;
    server.end().await;
}

/// Runs one task on a repository, in a flow of a namespace. Properties win over the usual ones.
pub async fn run_in(
    api: &Api,
    server: &Server,
    namespace: &str,
    task: &str,
    repository: &str,
    properties: Value,
) -> Value {
    let mut whole = json!({
        "id": "t", "type": format!("io.kestra.plugin.git.{task}"), "url": server.url(repository),
        "username": "git", "password": "{{ secret('GIT_TOKEN') }}",
    });
    if !["Clone", "Push", "Sync"].contains(&task) {
        whole["branch"] = json!("main");
    }
    let own = whole.as_object_mut().expect("an object");
    own.extend(properties.as_object().expect("an object").clone());
    own.retain(|_, value| !value.is_null());
    api.save(&json!({ "id": "git_task", "namespace": namespace, "tasks": [whole] }).to_string()).await;
    let execution = api.run(&format!("{namespace}/git_task")).await;
    api.delete(&format!("flows/{namespace}/git_task")).await;
    execution
}

/// The same in [`SYSTEM`].
pub async fn run(api: &Api, server: &Server, task: &str, repository: &str, properties: Value) -> Value {
    run_in(api, server, SYSTEM, task, repository, properties).await
}

/// The outputs of a task that ended so.
#[track_caller]
pub fn ended<'a>(execution: &'a Value, state: &str) -> &'a Value {
    assert_eq!(execution["state"]["current"], state, "{execution:#}");
    &execution["taskRunList"][0]["outputs"]
}

/// How a task failed.
#[track_caller]
pub fn failed(execution: &Value) -> (&str, &str) {
    assert_eq!(execution["state"]["current"], "FAILED", "{execution:#}");
    let failure = &execution["taskRunList"][0]["attempts"][0]["failure"];
    (failure["code"].as_str().expect("a code"), failure["message"].as_str().expect("a message"))
}

/// The rows of a diff.
pub async fn diff(api: &Api, execution: &Value, uri: &Value) -> Vec<Value> {
    let (id, uri) = (execution["id"].as_str().expect("an id"), uri.as_str().expect("a URI"));
    let bytes = api.bytes(&format!("executions/{id}/file?path={uri}")).await;
    let text = String::from_utf8(bytes).expect("a diff is text");
    text.lines().map(|line| serde_json::from_str(line).expect("a line is JSON")).collect()
}

/// What a diff says in short.
pub fn told(rows: &[Value]) -> Vec<String> {
    let word = |row: &Value, name: &str| row[name].as_str().unwrap_or_default().to_owned();
    rows.iter().map(|row| format!("{} {}", word(row, "action"), word(row, "file"))).collect()
}

/// A flow that returns a text.
pub fn flow(namespace: &str, id: &str, text: &str) -> String {
    format!(
        "id: {id}\nnamespace: {namespace}\n\ntasks:\n  - id: say\n    type: io.kestra.plugin.core.debug.Return\n    format: {text}\n"
    )
}

/// Sources of the flows of a namespace and those below it, by `namespace/id`.
pub async fn flows(api: &Api, namespace: &str) -> BTreeMap<String, String> {
    let found = api.get(&format!("flows/search?size=1000&filters[namespace][PREFIX]={namespace}")).await.ok();
    let mut flows = BTreeMap::new();
    for flow in found["results"].as_array().expect("a list") {
        let (namespace, id) = (flow["namespace"].as_str().expect("one"), flow["id"].as_str().expect("one"));
        let whole = api.get(&format!("flows/{namespace}/{id}?source=true")).await.ok();
        flows.insert(format!("{namespace}/{id}"), whole["source"].as_str().expect("a source").trim().to_owned());
    }
    flows
}

/// Writes a file of a namespace.
pub async fn put_file(api: &Api, namespace: &str, path: &str, content: &[u8]) {
    let answer = api.form(&format!("namespaces/{namespace}/files?path=/{path}"), "fileContent", "x", content).await;
    assert!(matches!(answer.status, 200 | 204), "{path}: {}", answer.text);
}

/// The files of a namespace.
pub async fn namespace_files(api: &Api, namespace: &str) -> BTreeMap<String, Vec<u8>> {
    let found = api.get(&format!("namespaces/{namespace}/files/search?q=")).await.ok();
    let mut files = BTreeMap::new();
    for path in found.as_array().expect("a list").iter().filter_map(Value::as_str) {
        let bytes = api.bytes(&format!("namespaces/{namespace}/files?path={path}")).await;
        files.insert(path.trim_start_matches('/').to_owned(), bytes);
    }
    files
}

/// A served repository with one commit of these files.
pub fn serve(server: &Server, name: &str, files: &[(&str, &str)]) -> Repository {
    let repository = Repository::new();
    let commit = tests::git::Commit::on("main");
    repository.commit(files.iter().fold(commit, |commit, (path, content)| commit.file(path, content)));
    server.add(name, &repository)
}

/// A text file.
pub fn file(text: &str) -> Entry {
    Entry::File(text.as_bytes().to_vec())
}
