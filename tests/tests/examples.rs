//! Every example, run by the built program as its first lines say. An example without a test here fails the last test.

use std::collections::BTreeSet;

use axum::Json;
use axum::http::HeaderMap;
use axum::routing::get;
use tests::program::{Ran, command, end, run};

/// Examples that a test below runs.
const TESTED: &[&str] = &["branches", "errors", "hello", "http", "pinned-versions"];

#[track_caller]
fn example(name: &str, arguments: &[&str]) -> Ran {
    let file = format!("examples/{name}.yaml");
    let mut all = vec!["run", file.as_str()];
    all.extend(arguments);
    run(&all)
}

#[test]
fn hello_greets_whom_it_is_told_to() {
    example("hello", &[]).exits(0).says(&[
        "Hello, World!",
        "greeting SUCCESS",
        "outputs",
        "greeting: Hello, World!",
        "SUCCESS in",
    ]);
    example("hello", &["-i", "name=ada"]).exits(0).says(&["say: Hello, Ada!", "greeting: Hello, Ada!"]);
}

#[test]
fn branches_take_one_way() {
    let quiet = example("branches", &[]).exits(0).says(&["left of ", "right, a little later", "SUCCESS in"]);
    assert!(quiet.out.contains("whisper: hello") && !quiet.out.contains("HELLO!"), "{}", quiet.out);
    let loud = example("branches", &["-i", "loud=true"]).exits(0).says(&["WARN  shout: HELLO!", "all SUCCESS"]);
    assert!(!loud.out.contains("whisper"), "{}", loud.out);
}

#[test]
fn errors_run_and_the_execution_fails() {
    let ran = example("errors", &[]).exits(1).says(&["FAILED in"]);
    // A short run is shown in one go, and its log lines stand before the states that are new.
    for piece in ["risky FAILED", "TASK_FAILURE: the well is dry", "alarm: something failed in errors", "alarm SUCCESS"]
    {
        assert!(ran.out.contains(piece), "`{piece}` is not in:\n{}", ran.out);
    }
    assert!(!ran.out.contains("not reached"), "{}", ran.out);
}

#[test]
fn two_versions_run_in_one_flow() {
    let ran = example("pinned-versions", &[]).exits(0);
    for (task, version) in [("old", "core 1.0.0"), ("new", "core 1.1.0")] {
        let line = ran
            .out
            .lines()
            .find(|line| line.contains(&format!("{task} SUCCESS")))
            .unwrap_or_else(|| panic!("{}", ran.out));
        assert!(line.ends_with(version), "{line}");
    }
    let shown = example("pinned-versions", &["--output", "json"]).exits(0).json();
    let of = |task: &str| (shown["lock"][task]["version"].clone(), shown["lock"][task]["digest"].clone());
    assert_eq!((of("old").0, of("new").0), ("1.0.0".into(), "1.1.0".into()));
    assert_ne!(of("old").1, of("new").1);
}

async fn echo(headers: HeaderMap) -> Json<serde_json::Value> {
    let accept = headers.get("accept").and_then(|value| value.to_str().ok()).unwrap_or_default();
    Json(serde_json::json!({ "from": "the loopback", "accept": accept }))
}

/// A real exchange with a server of this test's; without the grant the same request is refused before it leaves.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn http_reaches_what_is_granted_only() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("loopback has free ports");
    let address = listener.local_addr().expect("a bound listener has an address").to_string();
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let asked = std::sync::Arc::new(std::sync::atomic::AtomicUsize::new(0));
    let counter = asked.clone();
    let routes = axum::Router::new().route(
        "/things",
        get(move |headers| {
            counter.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
            echo(headers)
        }),
    );
    let serving = tokio::spawn(async move {
        axum::serve(listener, routes).with_graceful_shutdown(async { drop(stopped.await) }).await
    });
    let url = format!("url=http://{address}/things");
    let arguments = move |more: Vec<String>| {
        let mut command = command(&["run", "examples/http.yaml", "-i", &url]);
        command.args(more);
        tokio::task::spawn_blocking(move || end(command.spawn().expect("the program was just built")))
    };
    let denied = arguments(Vec::new()).await.expect("does not panic").exits(1);
    assert!(denied.out.contains("fetch FAILED") && denied.out.contains("127.0.0.1"), "{}", denied.out);
    assert_eq!(asked.load(std::sync::atomic::Ordering::SeqCst), 0, "the request must not leave");
    let other = arguments(vec!["--allow-net".to_owned(), "127.0.0.1:1".to_owned()]).await.expect("does not panic");
    other.exits(1);
    assert_eq!(asked.load(std::sync::atomic::Ordering::SeqCst), 0, "another port is granted, not this one");
    let granted = arguments(vec!["--allow-net".to_owned(), address]).await.expect("does not panic");
    granted.exits(0).says(&["show: 200: ", "the loopback", "application/json", "SUCCESS in"]);
    assert_eq!(asked.load(std::sync::atomic::Ordering::SeqCst), 1);
    let _ = stop.send(());
    serving.await.expect("does not panic").expect("serves to its end");
}

#[test]
fn every_example_has_a_test_and_is_valid() {
    let mut found = BTreeSet::new();
    for entry in std::fs::read_dir(tests::root().join("examples")).expect("there are examples") {
        let name = entry.expect("a readable folder").file_name().to_string_lossy().into_owned();
        if let Some(name) = name.strip_suffix(".yaml") {
            run(&["flow", "validate", &format!("examples/{name}.yaml")]).exits(0).says(&[": valid"]);
            found.insert(name.to_owned());
        }
    }
    assert_eq!(found, TESTED.iter().map(|name| (*name).to_owned()).collect());
}
