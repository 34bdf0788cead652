//! `sluice flow check` as somebody meets it who comes with a folder of flows.

use std::path::Path;

use tests::program::{run, written};

const RUNS: &str =
    "id: fine\nnamespace: tests.check\ntasks:\n  - {id: say, type: io.kestra.plugin.core.log.Log, message: hi}\n";
const NEEDS: &str = "id: clone\nnamespace: tests.check\ntasks:\n  - {id: clone, type: io.kestra.plugin.airbyte.Sync}\n";
const NOT_THERE: &str =
    "id: loop\nnamespace: tests.check\ntasks:\n  - {id: loop, type: io.kestra.plugin.core.flow.Loop}\n";
const WRONG: &str =
    "id: wrong\nnamespace: tests.check\ntasks:\n  - {id: say, type: io.kestra.plugin.core.log.Log, mesage: hi}\n";

/// A folder with these files.
fn folder(files: &[(&str, &str)]) -> tempfile::TempDir {
    let folder = tempfile::tempdir().expect("tests have a temporary folder");
    for (name, text) in files {
        let path = folder.path().join(name);
        std::fs::create_dir_all(path.parent().expect("files lie in folders")).expect("the folder is ours");
        std::fs::write(path, text).expect("the folder is ours");
    }
    folder
}

fn shown(path: &Path) -> String {
    path.to_str().expect("temporary folders have plain names").to_owned()
}

#[test]
fn every_flow_is_judged_and_counted() {
    let several = format!("{NEEDS}---\n{RUNS}---\nservices: {{}}\n");
    let folder = folder(&[
        ("a/several.yaml", &several),
        ("b/deeper/there.YML", NOT_THERE),
        ("b/wrong.yml", WRONG),
        (".git/hidden.yaml", WRONG),
        ("notes.md", "tasks: no flow\n"),
    ]);
    let path = shown(folder.path());
    let ran = run(&["flow", "check", &path]).exits(2);
    ran.says(&[
        "a/several.yaml:1: tests.check.clone: needs plugin `airbyte`",
        "a/several.yaml:4:23: tasks[0].type:",
        "[flow.missing_plugin]",
        "a/several.yaml:5: tests.check.fine: runs",
        "b/deeper/there.YML:1: tests.check.loop: uses what is not there",
        "b/wrong.yml:1: tests.check.wrong: invalid",
        "did you mean `message`?",
        "4 flows in 3 files",
        "1 run as they are",
        "1 need plugins that are not installed",
        "1 use what is not there",
        "1 are invalid",
        "1 other YAML documents, passed over",
        "plugin `airbyte`: for 1 flow, 1 of which need nothing else (io.kestra.plugin.airbyte.Sync)",
        "features that are missing:",
        "io.kestra.plugin.core.flow.Loop",
        "what is wrong:",
        "flow.unknown_property: 1 flow",
    ]);
}

#[test]
fn json_has_a_shape_that_programs_can_rely_on() {
    let folder = folder(&[("needs.yaml", NEEDS), ("runs.yaml", RUNS)]);
    let report = run(&["flow", "check", "--output", "json", &shown(folder.path())]).exits(0).json();
    let names = |value: &serde_json::Value| -> Vec<String> {
        let mut names: Vec<String> = value.as_object().expect("an object").keys().cloned().collect();
        names.sort_unstable();
        names
    };
    assert_eq!(names(&report), ["faults", "features", "flows", "plugins", "totals"]);
    assert_eq!(
        report["totals"],
        serde_json::json!({
            "files": 2, "flows": 2, "runs": 1, "needsPlugins": 1, "notThere": 0, "invalid": 0, "notFlows": 0,
        })
    );
    let flow = &report["flows"][0];
    assert_eq!(names(flow), ["file", "id", "line", "missing", "namespace", "problems", "verdict"]);
    assert_eq!((&flow["id"], &flow["verdict"], &flow["line"]), (&"clone".into(), &"needs-plugins".into(), &1.into()));
    assert_eq!(flow["missing"][0]["plugin"], "airbyte");
    let problem = &flow["problems"][0];
    assert_eq!(names(problem), ["code", "column", "hint", "line", "message", "path", "reason", "severity"]);
    assert_eq!((&problem["reason"], &problem["line"]), (&"plugin".into(), &4.into()));
    assert_eq!(report["plugins"][0]["frees"], 1);
    assert_eq!(report["flows"][1]["verdict"], "runs");
}

/// What fails a build is a choice: broken flows always, flows that lack something only when asked.
#[test]
fn exit_codes_are_for_builds() {
    let runs = written("runs.yaml", RUNS);
    run(&["flow", "check", "--strict", &runs.path]).exits(0);
    let needs = written("needs.yaml", NEEDS);
    run(&["flow", "check", &needs.path]).exits(0);
    run(&["flow", "check", "--strict", &needs.path]).exits(3);
    let wrong = written("wrong.yaml", WRONG);
    run(&["flow", "check", "--strict", &needs.path, &wrong.path]).exits(2);
    let other = folder(&[("compose.yaml", "services: {}\n")]);
    run(&["flow", "check", &shown(other.path())]).exits(1).complains(&["there is no flow in", "hint:"]);
    run(&["flow", "check", "no/such/folder"]).exits(1).complains(&["`no/such/folder`"]);
    run(&["flow", "check"]).exits(2).complains(&["<DIR>"]);
}

#[test]
fn files_that_cannot_be_read_are_named() {
    let folder = folder(&[("runs.yaml", RUNS)]);
    std::fs::write(folder.path().join("bytes.yaml"), [0xff, 0xfe, 0x00]).expect("the folder is ours");
    let ran = run(&["flow", "check", &shown(folder.path())]).exits(2);
    ran.says(&["bytes.yaml:1: a flow without a name: invalid", "is not UTF-8", "[file.unreadable]", "runs.yaml:1:"]);
}

#[test]
fn two_flows_of_one_name_are_told() {
    let folder = folder(&[("a.yaml", RUNS), ("b.yaml", RUNS)]);
    run(&["flow", "check", &shown(folder.path())]).exits(0).says(&[
        "b.yaml:1: tests.check.fine: runs",
        "the flow `tests.check.fine` is there twice",
        "a.yaml:1",
        "[flow.twice]",
    ]);
}

#[test]
fn sources_cannot_drive_the_terminal() {
    let flow = "id: \"a\\e[2J\"\nnamespace: tests\ntasks: []\n";
    let file = written("evil.yaml", flow);
    let ran = run(&["flow", "check", &file.path]).exits(2);
    assert!(!ran.out.contains('\u{1b}'), "{:?}", ran.out);
    ran.says(&["a\\u{1b}[2J"]);
}
