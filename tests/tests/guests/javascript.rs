//! A plugin in JavaScript (componentize-js): `fetch`, the host's interfaces as modules, failures as thrown values.

use crate::support::*;
use crate::{endings, streamed};
use runtime::{Class, PluginSource};
use std::sync::Arc;

fn plugin() -> Option<PluginSource> {
    built("proof-js", "`node tests/guests/proof-js/build.mjs FOLDER`")
}

#[tokio::test(flavor = "multi_thread")]
async fn javascript_greets_and_logs() {
    let Some(plugin) = plugin() else { return };
    let sink = Arc::new(Kept::default());
    let mut request = request(&plugin, "proof.js.Greet", r#"{"name":"Ada"}"#);
    request.facts.keys.insert("flow.id".to_owned(), "greeting".to_owned());
    request.sink = sink.clone();
    assert_eq!(outputs(runtime().run(request).await), serde_json::json!({"value": "Hello, Ada!", "bounded": true}));
    let lines = sink.lines();
    assert_eq!(lines[0].message, "hello Ada");
    assert_eq!(lines[0].fields, [("flow".to_owned(), "greeting".to_owned()), ("attempt".to_owned(), "1".to_owned())]);
    assert_eq!(lines[1].message, "standard output is logged too");
}

#[tokio::test(flavor = "multi_thread")]
async fn javascript_reads_an_answer_while_it_is_sent() {
    let Some(plugin) = plugin() else { return };
    streamed::check(&runtime(), &plugin, "proof.js.Stream").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn javascript_ends_in_every_way() {
    let (Some(plugin), runtime) = (plugin(), runtime()) else { return };
    endings::describes_itself(&runtime, &plugin, "proof.js.Greet").await;
    let failure = endings::fails(&runtime, &plugin, "proof.js.Fail").await;
    assert_eq!(failure.details.as_deref(), Some(r#"{"why":"asked"}"#));
    let thrown = crate::support::failure(runtime.run(request(&plugin, "proof.js.Throw", "{}")).await);
    assert_failure(&thrown, Class::Guest, "THROWN");
    assert_eq!(thrown.message, "TypeError: thrown without being asked");
    endings::meets_its_deadline(&runtime, &plugin, "proof.js.Spin").await;
    endings::meets_its_memory_limit(&runtime, &plugin, "proof.js.Eat", Class::Guest, "THROWN").await;
}
