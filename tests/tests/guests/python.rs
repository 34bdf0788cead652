//! A plugin in Python (componentize-py): the host's interfaces as modules, files by `open`, failures as raised values.

use crate::endings;
use crate::support::*;
use runtime::{Class, PluginSource};
use std::sync::Arc;

fn plugin() -> Option<PluginSource> {
    built("proof-py", "`python3 tests/guests/proof-py/build.py COMPONENTIZE_PY`")
}

#[tokio::test(flavor = "multi_thread")]
async fn python_greets_and_logs() {
    let Some(plugin) = plugin() else { return };
    let sink = Arc::new(Kept::default());
    let mut request = request(&plugin, "proof.py.Greet", r#"{"name":"Ada"}"#);
    request.facts.keys.insert("flow.id".to_owned(), "greeting".to_owned());
    request.sink = sink.clone();
    assert_eq!(outputs(runtime().run(request).await), serde_json::json!({"value": "Hello, Ada!", "bounded": true}));
    let lines = sink.lines();
    assert_eq!(lines[0].message, "hello Ada");
    assert_eq!(lines[0].fields, [("flow".to_owned(), "greeting".to_owned()), ("attempt".to_owned(), "1".to_owned())]);
    assert_eq!(lines[1].message, "standard output is logged too");
}

#[tokio::test(flavor = "multi_thread")]
async fn python_writes_files_where_it_may() {
    let (Some(plugin), runtime) = (plugin(), runtime()) else { return };
    let directory = tempfile::tempdir().unwrap();
    let ask = |grants| {
        let mut request = request(&plugin, "proof.py.File", r#"{"text":"für Ada"}"#);
        request.working_dir = Some(directory.path().to_owned());
        request.grants = Arc::new(grants);
        request
    };
    let refused = failure(runtime.run(ask(runtime::Grants::none())).await);
    assert_failure(&refused, Class::Guest, "RAISED");
    assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 0);
    let outputs = outputs(runtime.run(ask(writing())).await);
    assert_eq!(outputs, serde_json::json!({"text": "für Ada", "files": ["note.txt"]}));
    assert_eq!(std::fs::read_to_string(directory.path().join("note.txt")).unwrap(), "für Ada");
}

#[tokio::test(flavor = "multi_thread")]
async fn python_ends_in_every_way() {
    let (Some(plugin), runtime) = (plugin(), runtime()) else { return };
    endings::describes_itself(&runtime, &plugin, "proof.py.Greet").await;
    let failure = endings::fails(&runtime, &plugin, "proof.py.Fail").await;
    assert_eq!(failure.details.as_deref(), Some(r#"{"why":"asked"}"#));
    let raised = crate::support::failure(runtime.run(request(&plugin, "proof.py.Throw", "{}")).await);
    assert_failure(&raised, Class::Guest, "RAISED");
    assert_eq!(raised.message, "TypeError: thrown without being asked");
    endings::meets_its_deadline(&runtime, &plugin, "proof.py.Spin").await;
    endings::meets_its_memory_limit(&runtime, &plugin, "proof.py.Eat", Class::Guest, "RAISED").await;
}
