//! Flows of others: `SLUICE_CONFORMANCE` names a directory with `flows/`, `flows-invalid/` and `invalid.json`; `SLUICE_DOCS_FLOWS`
//! one with flows that need plugins nobody has here. Without them nothing is tested, and it says so.

use std::path::{Path, PathBuf};

use crate::support::Table;
use expr::{Memo, Settings, Value};
use model::inputs::{Outcome, Resolve, Step};
use model::survey::Verdict;
use model::{Problem, Severity};
use serde_json::Value as Json;

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
    problems
        .iter()
        .filter(|problem| problem.severity == Severity::Error)
        .map(|problem| format!("[{}] {problem}", problem.code))
        .collect()
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
            Err(problems) if name == "synth-multiselect-both.yaml" => {
                assert_eq!(problems.first().unwrap().code, "flow.conflict")
            }
            Err(problems) => refused.push(format!("{name}: {}", errors(&problems).join("\n    "))),
        }
    }
    assert!(refused.is_empty(), "{} refused:\n{}", refused.len(), refused.join("\n"));
}

#[test]
fn every_flow_of_the_documents_needs_no_more_than_plugins() {
    let Some(directory) = directory("SLUICE_DOCS_FLOWS") else { return };
    let mut refused = Vec::new();
    for (name, source) in files(&directory) {
        for survey in model::survey::survey(&source, &Table::core()) {
            println!("{name}: {} {:?}", survey.verdict.as_str(), survey.missing);
            if !matches!(survey.verdict, Verdict::Runs | Verdict::NeedsPlugins) {
                refused.push(format!("{name}: {:#?}", survey.problems));
            }
        }
    }
    assert!(refused.is_empty(), "{}", refused.join("\n"));
}

#[test]
fn every_invalid_flow_of_the_corpus_is_refused() {
    let Some(directory) = directory("SLUICE_CONFORMANCE") else { return };
    let cases: Vec<Json> =
        serde_json::from_str(&std::fs::read_to_string(directory.join("invalid.json")).unwrap()).unwrap();
    let mut accepted = Vec::new();
    for case in &cases {
        let name = case["flow_file"].as_str().unwrap();
        let source = std::fs::read_to_string(directory.join("flows-invalid").join(name)).unwrap();
        println!("--- {name}: {}", case["error_contains"]);
        match model::parse(&source, &table()) {
            Err(problems) if !errors(&problems).is_empty() => {
                errors(&problems).iter().for_each(|error| println!("{error}"))
            }
            _ => accepted.push(name.to_owned()),
        }
    }
    println!("invalid flows: {} refused of {}", cases.len() - accepted.len(), cases.len());
    assert!(accepted.is_empty(), "accepted: {accepted:?}");
}

/// Resolves as a server would, with every expression rendered.
fn resolve(inputs: &[model::input::Input], given: expr::Map) -> Outcome {
    let mut resolve = Resolve::new(inputs, given);
    loop {
        let render = match resolve.step() {
            Step::Done(outcome) => return outcome,
            Step::Render(render) => render,
        };
        let scope: expr::Map = [("inputs".into(), Value::from(render.visible))].into_iter().collect();
        let rendered = expr::render_value(&render.template.0, &scope, &Memo::default(), &Settings::default());
        resolve.answer(rendered.map_err(|error| error.to_string()));
    }
}

/// What a runner would send: a file is stored first and is its URI from then on.
fn given(case: &Json) -> expr::Map {
    let inputs = case["inputs"].as_object().into_iter().flatten();
    let value = |id: &str, value: &Json| match value.as_str() {
        Some("$file") => {
            Value::from(format!("kestra:///test/inputs/{id}/{}", case["files"][id]["name"].as_str().unwrap()))
        }
        _ => Value::from_json(value).unwrap(),
    };
    inputs.map(|(id, json)| (id.as_str().into(), value(id, json))).collect()
}

fn differences(case: &Json, outcome: &Outcome) -> Vec<String> {
    let mut found = Vec::new();
    let expect = &case["expect"];
    let is_error = expect["error_contains"].as_array().is_some_and(|list| !list.is_empty()) || expect["error"] == true;
    let values = match (outcome.values(), is_error) {
        (Ok(values), false) => Value::from(values).to_json(),
        (Err(_), true) => return found,
        (Ok(values), true) => return vec![format!("accepted: {}", Value::from(values).to_json())],
        (Err(errors), false) => return errors.iter().map(ToString::to_string).collect(),
    };
    for (id, expected) in expect["inputs"].as_object().into_iter().flatten() {
        let is_matcher = |json: &Json| json.as_object().is_some_and(|map| map.keys().any(|key| key.starts_with('$')));
        if !is_matcher(expected) && values[id] != *expected {
            found.push(format!("{id}: {} and not {expected}", values[id]));
        }
    }
    for (id, enabled) in expect["inputs_enabled"].as_object().into_iter().flatten() {
        if !outcome.inputs.iter().any(|input| input.id == *id && Json::Bool(input.enabled) == *enabled) {
            found.push(format!("{id}: not enabled as it should be"));
        }
    }
    for id in expect["input_error"].as_array().into_iter().flatten() {
        if !outcome.inputs.iter().any(|input| Some(input.id.as_str()) == id.as_str() && !input.errors.is_empty()) {
            found.push(format!("{id}: no error"));
        }
    }
    found
}

#[test]
fn inputs_of_the_corpus_resolve() {
    let Some(directory) = directory("SLUICE_CONFORMANCE") else { return };
    let cases: Vec<Json> =
        serde_json::from_str(&std::fs::read_to_string(directory.join("cases.json")).unwrap()).unwrap();
    let mut wrong = Vec::new();
    // What a case configures is the server's: whether there is a key to encrypt secrets with.
    let resolved = |case: &&Json| case["action"] == "resolve_inputs" && case["config"].is_null();
    for case in cases.iter().filter(resolved) {
        let source = std::fs::read_to_string(directory.join("flows").join(case["flow"].as_str().unwrap())).unwrap();
        // One case's flow is refused when it is saved.
        let Ok(parsed) = model::parse(&source, &table()) else { continue };
        let differences = differences(case, &resolve(&parsed.flow.inputs, given(case)));
        wrong.extend(differences.iter().map(|difference| format!("{}: {difference}", case["id"])));
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

struct Failed(String);

impl From<model::condition::Unusable> for Failed {
    fn from(unusable: model::condition::Unusable) -> Self {
        Self(unusable.to_string())
    }
}

#[test]
fn conditions_of_the_corpus_hold_as_they_should() {
    let Some(directory) = directory("SLUICE_CONFORMANCE") else { return };
    let cases: Vec<Json> =
        serde_json::from_str(&std::fs::read_to_string(directory.join("conditions.json")).unwrap()).unwrap();
    let mut wrong = Vec::new();
    for case in &cases {
        let (flow, execution) = (&case["context"]["flow"], &case["context"]["execution"]);
        let text = |json: &Json| json.as_str().unwrap().to_owned();
        let key = model::ids::FlowKey {
            tenant: "main".into(),
            namespace: model::ids::Namespace::trusted(text(&flow["namespace"])),
            id: model::ids::FlowId::trusted(text(&flow["id"])),
        };
        let map = |json: &Json| Value::from_json(json).and_then(|value| value.as_map().cloned()).unwrap_or_default();
        let labels = execution["labels"].as_object().into_iter().flatten();
        let labels: Vec<model::flow::Label> =
            labels.map(|(key, value)| model::flow::Label { key: key.clone(), value: text(value) }).collect();
        let outputs = map(&execution["outputs"]);
        let state = serde_json::from_value(execution["state"].clone()).unwrap();
        let facts = model::condition::Facts {
            flow: &key,
            execution: Some(model::condition::ExecutionFacts {
                flow: &key,
                state,
                labels: &labels,
                outputs: &outputs,
                attempts: &[],
            }),
        };
        let usual = map(&case["context"]);
        let mut render = |template: &Value, variables: &expr::Map| {
            let scope = expr::Layered { front: variables, back: &usual };
            let rendered = expr::render_value(template, &scope, &Memo::default(), &Settings::default());
            rendered.map_err(|error| Failed(error.to_string()))
        };
        let condition = Value::from_json(&case["condition"]).unwrap();
        let holds = model::condition::all_hold(&[condition], &facts, &mut render);
        if holds.as_ref().ok().copied() != case["expect"].as_bool() {
            let found = holds.map_or_else(|failed| failed.0, |holds| holds.to_string());
            wrong.push(format!("{}: {found}", case["condition"]));
        }
    }
    println!("conditions: {} right of {}", cases.len() - wrong.len(), cases.len());
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
