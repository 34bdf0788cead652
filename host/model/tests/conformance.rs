//! Flows of others: `SLUICE_CONFORMANCE` names a directory with `flows/`, `flows-invalid/` and `invalid.json`; `SLUICE_FLOWS_FROM_DOCS`
//! one with flows that need plugins nobody has here. Without them nothing is tested, and it says so.
#![expect(clippy::unwrap_used, clippy::print_stdout, reason = "tests")]

mod support;

use std::path::{Path, PathBuf};

use model::{Problem, Severity};
use serde_json::Value as Json;
use support::Table;

fn directory(variable: &str) -> Option<PathBuf> {
    let found = std::env::var_os(variable).map(PathBuf::from);
    if found.is_none() {
        println!("not tested: {variable} is not set");
    }
    found
}

/// The types of Kestra's own test tree that the corpus uses.
fn table() -> Table {
    let mut table = Table::core();
    for name in [
        "io.kestra.core.runners.ListenersTestTask",
        "io.kestra.core.runners.test.TaskThatFail",
        "io.kestra.core.runners.test.TaskWithAlias",
        "io.kestra.core.runners.test.WorkerTaskResultTooLarge",
        "io.kestra.core.runners.test.task.Alias",
        "io.kestra.core.tasks.test.BadExecutable",
        "io.kestra.core.tasks.test.BadSequential",
        "io.kestra.core.tasks.test.DynamicTask",
        "io.kestra.core.tasks.test.Encrypted",
        "io.kestra.core.tasks.test.NullOutputTask",
        "io.kestra.core.tasks.test.Read",
        "io.kestra.core.runners.PluginDefaultsCaseTest$DefaultSequential1",
        "io.kestra.core.runners.PluginDefaultsCaseTest$DefaultSequential2",
        "io.kestra.core.runners.PluginDefaultsCaseTest$DefaultSequential3",
    ] {
        table.task(name, Json::Bool(true));
    }
    table.trigger("io.kestra.core.runners.test.trigger.Alias", Json::Bool(true));
    table
}

fn files(directory: &Path) -> Vec<(String, String)> {
    let mut paths: Vec<PathBuf> = std::fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    let name = |path: &PathBuf| path.file_name().unwrap().to_string_lossy().into_owned();
    paths.iter().map(|path| (name(path), std::fs::read_to_string(path).unwrap())).collect()
}

fn errors(problems: &[Problem]) -> Vec<String> {
    problems.iter().filter(|problem| problem.severity == Severity::Error).map(|problem| format!("[{}] {problem}", problem.code)).collect()
}

#[test]
fn every_flow_of_the_corpus_parses() {
    let Some(directory) = directory("SLUICE_CONFORMANCE") else { return };
    let mut refused = Vec::new();
    for (name, source) in files(&directory.join("flows")) {
        match model::parse(&source, &table()) {
            Ok(parsed) => {
                assert_eq!(&*parsed.flow.source, source);
                for warning in parsed.warnings {
                    println!("{name}:{warning}");
                }
            }
            // Refused when it is saved, which is sooner than the case asks.
            Err(problems) if name == "synth-multiselect-both.yaml" => assert_eq!(problems.first().unwrap().code, "flow.conflict"),
            Err(problems) => refused.push(format!("{name}: {}", errors(&problems).join("\n    "))),
        }
    }
    assert!(refused.is_empty(), "{} refused:\n{}", refused.len(), refused.join("\n"));
}

#[test]
fn every_flow_of_the_documents_needs_no_more_than_plugins() {
    let Some(directory) = directory("SLUICE_FLOWS_FROM_DOCS") else { return };
    let mut refused = Vec::new();
    for (name, source) in files(&directory) {
        let Err(problems) = model::parse(&source, &Table::core()) else { continue };
        for problem in problems {
            println!("{name}:{problem}");
            if problem.severity == Severity::Error && problem.code != "flow.unknown_type" {
                refused.push(format!("{name}:{problem}"));
            }
        }
    }
    assert!(refused.is_empty(), "{}", refused.join("\n"));
}
