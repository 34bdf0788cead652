//! A running server is driven with kestrapy, the client that Kestra's makers generate, unchanged. Needs a Python that has it
//! (`SLUICE_KESTRAPY_PYTHON`, else `python3`); where there is none, the table of its operations is held against the API's description.

use std::process::Command;

use serde_json::Value;
use tests::root;
use tests::served::serving;

/// The version that is spoken of; another has other operations.
const VERSION: &str = "1.0.10";
const SCRIPT: &str = "tests/kestrapy/drive.py";
/// Every operation of the client's five modules, and how often the script calls it.
const TABLE: &str = "tests/kestrapy/operations.md";
const HEAD: &str = "# Operations of kestrapy 1.0.10\n\nMade by `SLUICE_BLESS=1 cargo test --release --workspace --locked --test kestrapy`: each is called by `drive.py` on a running server, and its\nanswer parsed into the client's models.\n\n| operation | request | answer | called |\n|---|---|---|---|\n";

fn python() -> String {
    std::env::var("SLUICE_KESTRAPY_PYTHON").unwrap_or_else(|_| "python3".to_owned())
}

/// Whether there is a Python with that version of the client.
fn is_at_hand() -> bool {
    let ask = "import importlib.metadata as m; print(m.version('kestrapy'))";
    let said = Command::new(python()).args(["-c", ask]).output();
    said.is_ok_and(|said| said.status.success() && String::from_utf8_lossy(&said.stdout).trim() == VERSION)
}

#[expect(clippy::print_stdout, reason = "a test that is skipped says so")]
#[tokio::test]
async fn every_operation_of_the_client_is_called_and_its_answer_parsed() {
    if !is_at_hand() {
        println!("skipped: `{}` has no kestrapy {VERSION}; hint: SLUICE_KESTRAPY_PYTHON=PYTHON", python());
        return;
    }
    serving(async |api| {
        let server = format!("http://{}", api.address);
        let driven = tokio::process::Command::new(python()).arg(root().join(SCRIPT)).arg(server).output().await;
        let driven = driven.expect("the script starts");
        let said = String::from_utf8_lossy(&driven.stdout);
        assert!(driven.status.success(), "{}\n{said}", String::from_utf8_lossy(&driven.stderr));
        let rows = said.lines().map(|line| serde_json::from_str::<Value>(line).expect("a line is an operation"));
        let mut lines: Vec<String> = rows
            .map(|row| {
                let text = |name: &str| row[name].as_str().unwrap_or_default().to_owned();
                // How often something is waited for differs from run to run.
                let called = if row["called"].as_u64().unwrap_or_default() > 0 { "yes" } else { "no" };
                let (module, operation, answer) = (text("module"), text("operation"), text("answer"));
                format!("| {module}.{operation} | {} {} | {answer} | {called} |\n", text("method"), text("path"))
            })
            .collect();
        lines.sort();
        let table = format!("{HEAD}{}", lines.concat());
        let file = root().join(TABLE);
        if std::env::var_os("SLUICE_BLESS").is_some() {
            std::fs::write(&file, &table).expect("the table is written");
        }
        let known = std::fs::read_to_string(&file).unwrap_or_default();
        assert!(known == table, "`{TABLE}` is out of date; hint: its first lines say how it is made");
    })
    .await;
}

#[test]
fn every_operation_of_the_client_is_described() {
    let read = |path: &str| std::fs::read_to_string(root().join(path)).expect("it is in the repository");
    let api: Value = serde_json::from_str(&read(tests::described::GOLDEN)).expect("it is JSON");
    let table = read(TABLE);
    let mut count = 0;
    for line in table.lines().filter(|line| line.ends_with("| yes |")) {
        let request = line.split('|').nth(2).unwrap_or_default().trim();
        let (method, path) = request.split_once(' ').expect("a request has a method and a path");
        // Paths that are read to their end are written otherwise.
        let item = &api["paths"][path];
        assert!(item[method.to_lowercase()].is_object(), "`{request}` is not described");
        count += 1;
    }
    assert_eq!(count, 124, "the client has 124 operations");
}
