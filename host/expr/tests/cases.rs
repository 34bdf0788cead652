//! The project's own expression cases: data in `cases/*.json`, one `check` for all.
mod support;

use std::path::Path;

use support::Verdict;

fn check(file: &str) {
    let cases = support::load(&Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cases").join(file));
    let mut problems = Vec::new();
    for case in &cases {
        match support::run(case) {
            Verdict::Passed => {}
            Verdict::Failed(reason) | Verdict::Skipped(reason) => {
                problems.push(format!("{} {}: {reason}", case["id"].as_str().unwrap_or("?"), case["template"]));
            }
        }
    }
    assert!(problems.is_empty(), "{} of {} cases fail:\n{}", problems.len(), cases.len(), problems.join("\n"));
}

#[test]
fn operators() {
    check("operators.json");
}

#[test]
fn tags() {
    check("tags.json");
}

#[test]
fn filters() {
    check("filters.json");
}

#[test]
fn jq() {
    check("jq.json");
}

#[test]
fn dates() {
    check("dates.json");
}

#[test]
fn functions() {
    check("functions.json");
}

#[test]
fn errors() {
    check("errors.json");
}

#[test]
fn typed_results() {
    check("typed.json");
}

#[test]
fn secrets() {
    check("secrets.json");
}

#[test]
fn values() {
    check("values.json");
}
