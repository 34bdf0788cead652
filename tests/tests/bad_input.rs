//! Bad flows, bad components and bad guests: each gets a clear error that names file, line and what to do, all problems at once;
//! nothing is stored, nothing panics, and the server goes on.

use std::path::{Path, PathBuf};

use serde_json::Value;
use tests::guests;
use tests::program::{in_order, run, run_reading, written};
use tests::served::{Api, Options, serving, serving_with};

const YAML: &str = "application/x-yaml";

/// `sluice flow validate`, `sluice run` and the API say the same of a bad flow, and the API stores nothing.
async fn check(api: &Api, source: &str, expected: &[&str]) {
    let problems = api.post("flows", YAML, source).await.refused(422, "flow.invalid");
    let said: Vec<String> = problems
        .iter()
        .map(|problem| {
            assert!(problem["line"].as_u64().is_some_and(|line| line > 0), "no line: {problem}");
            let hint = problem["hint"].as_str().unwrap_or_default();
            format!("{}: {}; {hint}", problem["line"], problem["message"].as_str().unwrap_or_default())
        })
        .collect();
    in_order(&said.join("\n"), expected);
    assert_eq!(api.get("flows/search").await.ok()["total"], 0, "something was stored");
    let file = written("bad.yaml", source);
    tokio::task::spawn_blocking({
        let expected: Vec<String> = expected.iter().map(|piece| (*piece).to_owned()).collect();
        move || {
            for command in [&["flow", "validate"][..], &["run"]] {
                let ran = run(&[command, &[file.path.as_str()]].concat()).exits(2);
                let said = format!("{}{}", ran.out, ran.err);
                let expected: Vec<&str> = expected.iter().map(String::as_str).collect();
                in_order(&said, &expected);
                assert!(said.contains(&format!("{}:", file.path)), "no file: {said}");
                assert!(!said.contains("panicked"), "{said}");
            }
        }
    })
    .await
    .expect("the checks hold");
}

#[tokio::test]
async fn malformed_yaml() {
    serving(async |api| {
        check(api, "id: a\nnamespace: b\ntasks: [\n", &["4:"]).await;
        check(api, "id: a\n\tnamespace: b\n", &["a tab"]).await;
        check(api, "id: a\nid: b\n", &["2:", "`id`"]).await;
        check(api, "- just\n- a list\n", &["1:", "map"]).await;
        check(api, "a: &a [*a]\n", &["1:"]).await;
    })
    .await;
}

#[tokio::test]
async fn everything_wrong_is_said_at_once() {
    let source = "\
id: bad
namespace: tests
taks: []
inputs:
  - {id: n, type: INTEGRAL}
tasks:
  - id: a
    type: io.kestra.plugin.core.log.Logg
    message: x
  - id: a
    type: io.kestra.plugin.core.log.Log
    mesage: x
  - id: b
    type: io.kestra.plugin.core.log.Log
    message: {not: text}
    level: LOUD
  - id: c
    type: io.kestra.plugin.core.log.Log
    version: ^9
    message: x
  - id: d
    type: io.kestra.plugin.core.log.Log
    version: not a version
    message: x
";
    serving(async |api| {
        // Unknown key, unknown input type, unknown task type, duplicate id, unknown property, wrong types, versions.
        for expected in [
            &["3:", "`taks`", "`tasks`"][..],
            &["5:", "INTEGRAL"],
            &["8:", "io.kestra.plugin.core.log.Logg", "io.kestra.plugin.core.log.Log"],
            &["10:", "`a`", "twice", "line 7"],
            &["12:", "`mesage`", "`message`"],
            &["15:"],
            &["16:", "LOUD"],
            &["19:", "`^9`", "installed are 1.0.0, 1.1.0"],
            &["23:", "not a version"],
        ] {
            check(api, source, expected).await;
        }
    })
    .await;
}

#[test]
fn missing_input_names_itself_and_what_to_do() {
    let flow = "id: needs\nnamespace: tests\ninputs:\n  - {id: who, type: STRING}\n  - {id: when, type: DATE}\ntasks:\n  - {id: t, type: io.kestra.plugin.core.log.Log, message: x}\n";
    let ran = run_reading(&["run", "-"], flow).exits(2);
    in_order(&ran.err, &["-:", "`who`", "hint:", "`when`", "hint:"]);
    assert_eq!(ran.out, "");
}

/// The repository's registry in a folder of its own, with one component changed.
fn tampered(change: impl FnOnce(&mut Vec<u8>)) -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().expect("tests have a temporary folder");
    let registry = folder.path().join("registry");
    for version in ["1.0.0", "1.1.0"] {
        let (from, to) = (tests::registry().join("core").join(version), registry.join("core").join(version));
        std::fs::create_dir_all(&to).expect("the folder is ours");
        for file in ["plugin.wasm", "manifest.json"] {
            std::fs::copy(from.join(file), to.join(file)).expect("core is published");
        }
    }
    let component = registry.join("core/1.1.0/plugin.wasm");
    let mut bytes = std::fs::read(&component).expect("it was just copied");
    change(&mut bytes);
    std::fs::write(&component, bytes).expect("the folder is ours");
    (folder, registry)
}

/// A byte was changed behind the registry's back: the task fails, and its sister of the other version runs.
#[tokio::test]
async fn component_with_a_wrong_digest_never_runs() {
    let (folder, registry) = tampered(|bytes| {
        let middle = bytes.len() / 2;
        if let Some(byte) = bytes.get_mut(middle) {
            *byte ^= 1;
        }
    });
    let options = Options { registry, compiled: folder.path().join("compiled"), ..Options::default() };
    serving_with(options, async |api| {
        let flow = |id: &str, version: &str| format!("id: {id}\nnamespace: tests\ntasks:\n  - {{id: t, type: io.kestra.plugin.core.debug.Return, version: {version}, format: x}}\n");
        api.save(&flow("bad", "1.1.0")).await;
        api.save(&flow("good", "1.0.0")).await;
        let bad = api.run("tests/bad").await;
        assert_eq!(bad["state"]["current"], "FAILED");
        let (code, message) = failure(&bad);
        assert_eq!(code, "WRONG_DIGEST");
        assert!(message.contains("core 1.1.0") && message.contains("digest"), "{message}");
        assert_eq!(api.run("tests/good").await["state"]["current"], "SUCCESS");
    })
    .await;
}

/// A cut-off component does not even enter the catalog; everything else of the registry does.
#[test]
fn truncated_component_is_left_out_with_a_warning() {
    let (_folder, registry) = tampered(|bytes| bytes.truncate(bytes.len() / 2));
    let registry = registry.to_str().expect("a plain name");
    let ran = run(&["plugin", "list", "--registry", registry]).exits(0).says(&["core  1.0.0  "]);
    in_order(&ran.err, &["core/1.1.0/plugin.wasm` is damaged", "hint:"]);
    let pinned = "id: p\nnamespace: tests\ntasks:\n  - {id: t, type: io.kestra.plugin.core.debug.Return, version: 1.1.0, format: x}\n";
    let ran = run_reading(&["run", "-", "--registry", registry], pinned).exits(2);
    in_order(&ran.err, &["-:4:", "no version of plugin `core` matches `1.1.0`", "hint: installed are 1.0.0"]);
}

/// A file that somebody names must be a plugin.
#[test]
fn hostile_components_are_refused() {
    let genuine = std::fs::read(tests::registry().join("core/1.0.0/plugin.wasm")).expect("core is published");
    let refused = |name: &str, bytes: &[u8], expected: &[&str]| {
        let file = written(name, bytes);
        let ran = run(&["run", "examples/hello.yaml", "--plugin", &file.path]).exits(2);
        in_order(&ran.err, &[&["error:", file.path.as_str()], expected].concat());
        assert!(!ran.err.contains("panicked") && ran.out.is_empty(), "{ran:?}");
    };
    refused("truncated.wasm", genuine.get(..genuine.len() / 2).unwrap_or_default(), &["is not a plugin", "hint:"]);
    refused("text.wasm", b"hello", &["is not a plugin", "hint:"]);
    refused("empty.wasm", b"", &["is not a plugin", "hint:"]);
    refused("module.wasm", b"\0asm\x01\0\0\0", &["is not a plugin", "hint:"]);
    refused("bare.wasm", &guests::component(guests::PANIC), &["is not a plugin", "manifest"]);
    let thief = guests::plugin("thief", "io.kestra.plugin.core.log.Log", &guests::component(guests::PANIC));
    refused("thief.wasm", &thief, &["`thief`", "`io.kestra.plugin.core.log.Log`", "hint:"]);
    let huge =
        guests::plugin("huge", &format!("com.example.{}", "x".repeat(10_000)), &guests::component(guests::PANIC));
    refused("huge-name.wasm", &huge, &["characters"]);
    run(&["run", "examples/hello.yaml", "--plugin", "no/such.wasm"])
        .exits(2)
        .complains(&["plugin `no/such.wasm` is not a file"]);
}

/// Code and message of the first task run's failure.
fn failure(execution: &Value) -> (String, String) {
    let failure = &execution["taskRunList"][0]["attempts"][0]["failure"];
    let text = |name: &str| failure[name].as_str().unwrap_or_else(|| panic!("no failure in {execution}")).to_owned();
    (text("code"), text("message"))
}

fn hostile(folder: &Path) -> Vec<PathBuf> {
    let components = [
        ("loop", guests::component(guests::LOOP)),
        ("eat", guests::component(guests::EAT)),
        ("panic", guests::component(guests::PANIC)),
        ("recurse", guests::component(guests::RECURSE)),
        ("gibberish", guests::component(guests::GIBBERISH)),
        ("stranger", guests::stranger()),
    ];
    let mut files = Vec::new();
    for (name, component) in components {
        let file = folder.join(format!("{name}.wasm"));
        std::fs::write(&file, guests::plugin(name, &format!("com.example.{name}.Run"), &component))
            .expect("the folder is ours");
        files.push(file);
    }
    files
}

/// Guests that loop, eat memory or panic: each fails its task with a code of its own, and the server is as it was.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn hostile_guests_fail_their_task_only() {
    let folder = tempfile::tempdir().expect("tests have a temporary folder");
    let options = Options { plugins: hostile(folder.path()), ..Options::default() };
    serving_with(options, async |api| {
        for (name, expected) in [
            ("loop", "timeout"),
            ("eat", "MEMORY_LIMIT"),
            ("panic", "PANIC"),
            ("recurse", "STACK_OVERFLOW"),
            ("gibberish", "BAD_OUTPUT"),
            ("stranger", "LINK"),
        ] {
            api.save(&format!("id: {name}\nnamespace: tests\ntasks:\n  - {{id: t, type: com.example.{name}.Run, timeout: PT3S}}\nerrors:\n  - {{id: told, type: io.kestra.plugin.core.log.Log, message: told}}\n")).await;
            let ended = api.run(&format!("tests/{name}")).await;
            assert_eq!(ended["state"]["current"], "FAILED", "{name}: {ended}");
            let (code, message) = failure(&ended);
            assert_eq!(code, expected, "{name}: {message}");
            assert!(!message.is_empty(), "{name}");
            assert_eq!(ended["taskRunList"][1]["state"]["current"], "SUCCESS", "{name}: the errors branch runs: {ended}");
            assert_eq!(api.get("/health/ready").await.ok()["status"], "UP");
        }
        assert_eq!(api.node.ready().await, Ok(()));
        api.save("id: after\nnamespace: tests\ntasks:\n  - {id: t, type: io.kestra.plugin.core.debug.Return, format: well}\n").await;
        assert_eq!(api.run("tests/after").await["taskRunList"][0]["outputs"]["value"], "well");
    })
    .await;
}
