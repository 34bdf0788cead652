//! The command line as people and scripts meet it: exit codes, what is printed where, and what help teaches.

use std::io::{BufRead as _, BufReader};
use std::time::Duration;

use tests::program::{command, end, in_order, interrupt, run, run_reading, written};
use tests::registered::core_as;

const TWO_INPUTS: &str = "
id: two
namespace: tests.cli
inputs:
  - {id: name, type: STRING}
  - {id: count, type: INT}
tasks:
  - {id: say, type: io.kestra.plugin.core.log.Log, message: '{{ inputs.name }} {{ inputs.count + 1 }} {{ labels.team }}'}
outputs:
  - {id: name, type: STRING, value: '{{ inputs.name }}'}
";

#[test]
fn inputs_and_labels_come_from_arguments_and_files() {
    let flow = written("two.yaml", TWO_INPUTS);
    let name = written("name.txt", "Grace");
    let name = format!("name=@{}", name.path);
    let run = run(&["run", &flow.path, "-i", &name, "--input", "count=41", "--label", "team=blue"]).exits(0);
    run.says(&["INFO  say: Grace 42 blue", "outputs", "name: Grace", "SUCCESS in"]);
}

#[test]
fn json_output_is_one_document() {
    let flow = written("two.yaml", TWO_INPUTS);
    let ran =
        run(&["run", &flow.path, "-i", "name=a=b", "-i", "count=1", "-l", "team=red", "--output", "json"]).exits(0);
    let shown = ran.json();
    assert_eq!(shown["state"]["current"], "SUCCESS");
    assert_eq!((&shown["namespace"], &shown["flowId"]), (&"tests.cli".into(), &"two".into()));
    assert_eq!(shown["inputs"], serde_json::json!({ "name": "a=b", "count": 1 }));
    assert_eq!(shown["outputs"]["name"], "a=b");
    let labels = shown["labels"].as_array().expect("labels");
    assert!(labels.contains(&serde_json::json!({ "key": "team", "value": "red" })), "{labels:?}");
    assert_eq!(shown["taskRunList"][0]["taskId"], "say");
    assert_eq!(shown["logs"][0]["message"], "a=b 2 red");
    assert_eq!(shown["logs"][0]["level"], "INFO");
    assert_eq!(shown["lock"]["say"]["plugin"], "core");
}

#[test]
fn json_output_tells_of_refusals_too() {
    let flow = written("two.yaml", TWO_INPUTS);
    let shown = run(&["run", &flow.path, "--output", "json"]).exits(2).json();
    assert_eq!(shown["code"], "inputs.invalid");
    assert_eq!(shown["problems"].as_array().map(Vec::len), Some(2), "both missing inputs: {shown}");
}

#[test]
fn missing_inputs_are_all_named_and_nothing_starts() {
    let flow = written("two.yaml", TWO_INPUTS);
    let ran = run(&["run", &flow.path]).exits(2).complains(&["two.yaml", "`name`", "hint:", "`count`", "hint:"]);
    assert_eq!(ran.out, "");
}

#[test]
fn wrong_inputs_are_refused() {
    let flow = written("two.yaml", TWO_INPUTS);
    run(&["run", &flow.path, "-i", "name=x", "-i", "count=many"]).exits(2).complains(&["count"]);
    run(&["run", &flow.path, "-i", "name"]).exits(2).complains(&["`name` is not an input", "hint: write NAME=VALUE"]);
    run(&["run", &flow.path, "-i", "name=x", "-i", "name=y"]).exits(2).complains(&["`name` is given twice"]);
    run(&["run", &flow.path, "-i", "name=@/no/such/file"]).exits(2).complains(&["input `name`", "/no/such/file"]);
    run(&["run", &flow.path, "-l", "team"]).exits(2).complains(&["`team` is not a label", "hint:"]);
}

/// As in Kestra an input that is not declared is left aside; here it is also said.
#[test]
fn undeclared_input_is_ignored_with_a_warning() {
    run(&["run", "examples/hello.yaml", "-i", "nme=Ada"]).exits(0).says(&["Hello, World!"]).complains(&[
        "WARN",
        "not declared",
        "nme",
    ]);
}

#[test]
fn flow_comes_from_standard_input() {
    let flow = "id: piped\nnamespace: tests\ntasks:\n  - {id: say, type: io.kestra.plugin.core.log.Log, message: through a pipe}\n";
    run_reading(&["run", "-"], flow).exits(0).says(&["say: through a pipe"]);
    run_reading(&["run", "-"], "id: [").exits(2).complains(&["-:"]);
}

#[test]
fn unreadable_flow_is_not_started() {
    run(&["run", "no/such/flow.yaml"]).exits(2).complains(&["error:", "`no/such/flow.yaml`"]);
    run(&["run"]).exits(2).complains(&["<FILE>"]);
}

#[test]
fn ctrl_c_kills_the_execution() {
    let flow =
        "id: long\nnamespace: tests\ntasks:\n  - {id: nap, type: io.kestra.plugin.core.flow.Sleep, duration: PT10M}\n";
    let flow = written("long.yaml", flow);
    let mut child = command(&["run", &flow.path]).spawn().expect("the program was just built");
    let mut out = BufReader::new(child.stdout.take().expect("standard output is a pipe"));
    let mut line = String::new();
    out.read_line(&mut line).expect("a line comes");
    assert!(line.contains("nap RUNNING"), "{line}");
    let begun = std::time::Instant::now();
    interrupt(&child);
    let rest: String = out.lines().map(|line| line.expect("UTF-8") + "\n").collect();
    end(child).exits(1);
    in_order(&rest, &["nap KILLED", "KILLED in"]);
    assert!(begun.elapsed() < Duration::from_secs(60), "killed, not waited for");
}

#[test]
fn guests_cannot_drive_the_terminal_or_forge_lines() {
    let flow = "id: evil\nnamespace: tests\ntasks:\n  - {id: say, type: io.kestra.plugin.core.log.Log, message: \"a\\e[2Jb\\n✓ say SUCCESS\\x07\"}\n";
    let ran = run_reading(&["run", "-"], flow).exits(0).says(&["a\\u{1b}[2Jb"]);
    assert!(!ran.out.contains(['\u{1b}', '\u{7}']), "{:?}", ran.out);
    assert_eq!(ran.out.lines().filter(|line| line.starts_with("✓ say SUCCESS")).count(), 1, "{}", ran.out);
}

#[test]
fn no_colours_where_there_is_no_terminal() {
    for arguments in [
        &["run", "examples/errors.yaml", "--log", "debug"][..],
        &["plugin", "list"],
        &["flow", "validate", "examples/hello.yaml"],
        &["run", "examples/hello.yaml", "-i", "unknown=1"],
        &["--help"],
        &["run", "--nonsense"],
    ] {
        let ran = run(arguments);
        assert!(!ran.out.contains('\u{1b}') && !ran.err.contains('\u{1b}'), "{arguments:?}: {ran:?}");
    }
}

#[test]
fn validation_says_where_and_what() {
    let bad = written(
        "bad.yaml",
        "id: bad\nnamespace: tests\ntasks:\n  - id: a\n    type: io.kestra.plugin.core.log.Log\n    mesage: x\nfoo: 1\n",
    );
    let ran = run(&["flow", "validate", "examples/hello.yaml", &bad.path]).exits(2);
    ran.says(&["examples/hello.yaml: valid", "bad.yaml:", "did you mean `message`", "bad.yaml:7:", "`foo`"]);
    let shown = run(&["flow", "validate", "--json", "examples/hello.yaml", &bad.path, "none.yaml"]).exits(2).json();
    assert_eq!(shown[0]["valid"], true);
    assert_eq!(shown[1]["valid"], false);
    let lines: Vec<u64> = shown[1]["problems"]
        .as_array()
        .expect("problems")
        .iter()
        .filter_map(|problem| problem["line"].as_u64())
        .collect();
    assert!(lines.contains(&6) && lines.contains(&7), "{shown}");
    assert_eq!(shown[2]["problems"][0]["code"], "file.unreadable");
}

#[test]
fn plugins_are_listed() {
    run(&["plugin", "list"]).exits(0).says(&[
        "core  1.1.0, 1.0.0",
        "io.kestra.plugin.core.log.Log",
        "http  ",
        "io.kestra.plugin.core.http.Request",
    ]);
    let shown = run(&["plugin", "list", "--json"]).exits(0).json();
    let core = shown.as_array().and_then(|all| all.iter().find(|one| one["name"] == "core")).expect("core is there");
    assert_eq!(core["versions"], serde_json::json!(["1.1.0", "1.0.0"]));
    let empty = tempfile::tempdir().expect("tests have a temporary folder");
    let none = empty.path().to_str().expect("a plain name");
    run(&["plugin", "list", "--registry", none]).exits(0).says(&["no plugins", "hint: --registry"]);
    run(&["plugin", "list", "--registry", "no/such/folder"]).exits(1).complains(&["`no/such/folder` is not a folder"]);
}

#[test]
fn junk_is_not_packed() {
    let junk = written("junk.wasm", "this is no component");
    run(&["plugin", "pack", &junk.path]).exits(1).complains(&["junk.wasm", "hint:"]);
    assert_eq!(std::fs::read(&junk.path).expect("still there"), b"this is no component", "the file is as it was");
    run(&["plugin", "pack", "no/such.wasm"]).exits(1).complains(&["cannot read `no/such.wasm`"]);
}

/// Packing what is packed already changes nothing: the plugin says the same of itself.
#[test]
fn packing_again_gives_the_same_plugin() {
    let published = std::fs::read(tests::registry().join("core/1.0.0/plugin.wasm")).expect("core is published");
    let copy = written("core.wasm", &published);
    let out = format!("{}.out", copy.path);
    run(&["plugin", "pack", &copy.path, "--out", &out]).exits(0).says(&["packed core 1.0.0: 5 task types"]);
    let packed = std::fs::read(&out).expect("it was written");
    assert_eq!(catalog::manifest_section(&packed), catalog::manifest_section(&published));
}

#[test]
fn plugins_are_installed_and_uninstalled() {
    let folder = tempfile::tempdir().expect("tests have a temporary folder");
    let data = folder.path().to_string_lossy().into_owned();
    let at = |arguments: &[&str]| run(&[arguments, &["--data-dir", &data]].concat());
    let (seven, eight) = (written("core7.wasm", core_as("7.0.0")), written("core8.wasm", core_as("8.0.0")));
    at(&["plugin", "install", &seven.path, &eight.path])
        .exits(0)
        .says(&["installed core 7.0.0: 5 task types", "installed core 8.0.0"]);
    at(&["plugin", "install", &seven.path]).exits(0).says(&["already installed core 7.0.0"]);
    at(&["plugin", "list"]).exits(0).says(&["core", "8.0.0, 7.0.0, 1.1.0, 1.0.0"]);
    let resolved = at(&["plugin", "resolve", "core", "core@^7", "core@oldest"]).exits(0);
    resolved.says(&["core  core 8.0.0  sha256 ", "core@^7  core 7.0.0  sha256 ", "core@oldest  core 1.0.0  sha256 "]);
    let some =
        at(&["plugin", "resolve", "core@9.0.0", "cor", "core@^x", "core@^7"]).exits(1).says(&["core@^7  core 7.0.0"]);
    some.complains(&[
        "core@9.0.0: no version of plugin `core` matches `9.0.0`",
        "hint: installed are 1.0.0, ",
        "cor: no plugin `cor` is installed",
        "hint: ",
        "`core`",
        "core@^x: `^x` is not a version requirement",
    ]);
    // Of several, none is installed if one is no plugin.
    let nine = written("core9.wasm", core_as("9.0.0"));
    at(&["plugin", "install", &nine.path, "no/such.wasm"]).exits(1).complains(&["cannot read `no/such.wasm`"]);
    at(&["plugin", "uninstall", "core@9.0.0"]).exits(1).complains(&["`core` 9.0.0 is not installed", "hint:"]);

    // A run that keeps its store leaves a flow revision there, which needs the version.
    let flow = written(
        "pinned.yaml",
        "{id: pinned, namespace: cli, tasks: [{id: t, type: io.kestra.plugin.core.debug.Return, version: '^7', format: x}]}",
    );
    let store = folder.path().join("store").to_string_lossy().into_owned();
    at(&["run", &flow.path, "--store", &store, "--output", "plain"]).exits(0);
    at(&["plugin", "uninstall", "core@7.0.0"]).exits(1).complains(&["still needed by flow cli.pinned, revision 1"]);
    at(&["plugin", "uninstall", "core@8.0.0"]).exits(0).says(&["uninstalled core 8.0.0"]);
    at(&["plugin", "uninstall", "core@1.0.0"]).exits(1).complains(&["it comes with Sluice"]);
    at(&["plugin", "uninstall", "core"]).exits(1).complains(&["`core` is not NAME@VERSION"]);
    at(&["plugin", "list"]).exits(0).says(&["7.0.0, 1.1.0, 1.0.0"]);
}

#[test]
fn help_teaches() {
    run(&["--help"]).exits(0).says(&["run", "server", "flow", "plugin", "Start here:  sluice run examples/hello.yaml"]);
    let ran = run(&["run", "--help"]).exits(0);
    ran.says(&[
        "Exit codes:",
        "Examples:",
        "sluice run examples/hello.yaml -i name=Ada",
        "--output json",
        "--allow-net",
    ]);
    run(&["server", "--help"]).exits(0).says(&["SLUICE_PASSWORD", "/api/v1/main", "loopback"]);
    assert!(!run(&["--help"]).out.contains("compile-plugin"), "what is not for people is not shown");
}

#[test]
fn open_server_outside_loopback_does_not_start() {
    run(&["server", "--listen", "0.0.0.0:0"]).exits(1).complains(&[
        "refusing to listen",
        "0.0.0.0:0",
        "hint: set SLUICE_USERNAME",
    ]);
    run(&["server", "--listen", "0.0.0.0:0", "--username", "ada"]).exits(2).complains(&["--password"]);
}

#[test]
fn server_ends_when_asked_to() {
    let store = tempfile::tempdir().expect("a folder");
    let folder = store.path().to_str().expect("UTF-8");
    let mut child = command(&["server", "--listen", "127.0.0.1:0", "--store", folder, "--flow", "examples/hello.yaml"])
        .spawn()
        .expect("the program was just built");
    let mut out = BufReader::new(child.stdout.take().expect("standard output is a pipe"));
    let mut line = String::new();
    out.read_line(&mut line).expect("a line comes");
    assert!(line.contains("listens on http://127.0.0.1:"), "{line}");
    interrupt(&child);
    let rest: String = out.lines().map(|line| line.expect("UTF-8") + "\n").collect();
    end(child).exits(0);
    assert!(rest.contains("ending"), "{rest}");
}

/// `sluice run … | head`: the execution goes on to its end.
#[test]
fn reader_that_went_away_is_no_failure() {
    let mut child = command(&["run", "examples/hello.yaml"]).spawn().expect("the program was just built");
    drop(child.stdout.take());
    end(child).exits(0);
}
