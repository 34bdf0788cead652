//! Runs a corpus of cases (`cases.json` and `flows/`, see its README) against the engine alone, with fake tasks and a simulated clock.
//!
//! `SLUICE_CONFORMANCE=DIR cargo test -p sluice-engine --test corpus -- --nocapture`. Without the variable there is nothing to do.
#![expect(clippy::unwrap_used, clippy::print_stdout, reason = "tests")]

use engine::sim::{Sim, flow};
use engine::{CORRELATION, Event, State};
use expr::{Map, Value};
use model::ids::ExecutionId;
use model::state::State as Status;
use serde_json::Value as Json;

/// Where the file is that a case hands in.
const FILE: &str = "kestra:///file/storage/file.txt";

/// One case in so many may fail.
const SHARE_THAT_MAY_FAIL: usize = 20;

#[test]
fn corpus_holds() {
    let Ok(directory) = std::env::var("SLUICE_CONFORMANCE") else { return };
    let cases: Vec<Json> =
        serde_json::from_str(&std::fs::read_to_string(format!("{directory}/cases.json")).unwrap()).unwrap();
    let only = std::env::var("ONLY").unwrap_or_default();
    let (mut passed, mut failed, mut skipped) = (0, Vec::new(), Vec::new());
    for case in &cases {
        let id = case["id"].as_str().unwrap();
        if !id.contains(&only) {
            continue;
        }
        let result = std::panic::catch_unwind(|| run_case(&directory, case));
        match result {
            Ok(Ok(())) => passed += 1,
            Ok(Err(Problem::Skip(why))) => skipped.push(format!("{id}: {why}")),
            Ok(Err(Problem::Wrong(why))) => failed.push(format!("{id}: {why}")),
            Err(_) => failed.push(format!("{id}: panicked")),
        }
    }
    for line in &skipped {
        println!("skipped {line}");
    }
    for line in &failed {
        println!("FAILED {line}");
    }
    println!("passed {passed}, failed {}, skipped {}", failed.len(), skipped.len());
    // What is left needs a node: typed inputs, the environment, secrets, stored values.
    assert!(
        failed.len() * SHARE_THAT_MAY_FAIL <= passed + failed.len(),
        "{} of {} cases fail",
        failed.len(),
        passed + failed.len()
    );
}

enum Problem {
    Skip(String),
    Wrong(String),
}

fn skip<T>(why: &str) -> Result<T, Problem> {
    Err(Problem::Skip(why.to_owned()))
}

fn run_case(directory: &str, case: &Json) -> Result<(), Problem> {
    if case["needs_test_task"].as_bool() == Some(true) {
        return skip("needs a test task");
    }
    let action = case["action"].as_str().unwrap_or_default();
    let known = [
        "run",
        "run+restart",
        "run_until_paused+resume",
        "run_until_paused+kill",
        "run_twice_overlapping",
        "run+restart*3",
        "run+replay(2_end)",
        "run+change_status(WARNING)",
    ];
    if !known.contains(&action) && !action.starts_with("run+change_task_run_state(#0") {
        return skip(&format!("action {action}"));
    }
    let types = case["task_types"].as_array().map(Vec::as_slice).unwrap_or_default();
    let external =
        [".http.", ".kv.", ".state.", ".storage.", ".log.Fetch", "Template", "namespace.", "execution.Resume"];
    if types.iter().filter_map(Json::as_str).any(|name| external.iter().any(|part| name.contains(part))) {
        return skip("needs tasks that are not faked here");
    }
    let name = case["flow"].as_str().unwrap();
    let mut sim = Sim::new();
    let source = std::fs::read_to_string(format!("{directory}/flows/{name}")).unwrap();
    let Ok(main) = std::panic::catch_unwind(|| flow(&source)) else { return skip("does not parse") };
    let key = main.key.clone();
    for entry in std::fs::read_dir(format!("{directory}/flows")).unwrap() {
        let text = std::fs::read_to_string(entry.unwrap().path()).unwrap();
        let wanted =
            text.lines().find_map(|line| line.strip_prefix("id:")).map(|id| id.trim().trim_matches('"').to_owned());
        if wanted.is_some_and(|id| source.contains(&format!("flowId: {id}")))
            && let Ok(child) = std::panic::catch_unwind(|| flow(&text))
        {
            sim.add(child);
        }
    }
    let mut inputs = Map::new();
    let file = case["files"].as_object().and_then(|files| files.values().next()).map(file_text);
    if let Some(text) = &file {
        sim.files.insert(FILE.to_owned(), text.clone());
    }
    if let Some(given) = case["inputs"].as_object() {
        for (name, value) in given {
            let value = if value.as_str() == Some("$file") { &Json::from(FILE) } else { value };
            inputs.insert(name.as_str().into(), Value::from_json(value).unwrap_or_default());
        }
    }
    sim.add(main);
    let labels = case["labels"].as_object().cloned().unwrap_or_default();
    let id = sim.start_as(key.namespace.as_str(), key.id.as_str(), |execution| {
        execution.inputs = inputs.clone();
        execution
            .labels
            .extend(labels.iter().map(|(key, value)| engine::sim::label(key, value.as_str().unwrap_or_default())));
    });
    let second =
        (action == "run_twice_overlapping").then(|| sim.start(key.namespace.as_str(), key.id.as_str(), inputs));
    let expect = &case["expect"];
    if let Some(paused) = expect["paused"].as_object() {
        sim.run_while(|sim| sim.state(&id).status() != Some(Status::Paused));
        check_state(&sim, &id, &Json::Object(paused.clone()))
            .map_err(|why| Problem::Wrong(format!("paused: {why}")))?;
    } else if action.starts_with("run_until_paused") {
        sim.run_while(|sim| sim.state(&id).status() != Some(Status::Paused));
    }
    let send = |sim: &mut Sim, event: Event| {
        sim.send(&id, event).map_err(|rejected| Problem::Wrong(format!("rejected: {rejected}")))
    };
    match action {
        "run_until_paused+resume" => send(&mut sim, Event::Resume { run: None, inputs: Map::new() })?,
        "run_until_paused+kill" => send(&mut sim, Event::Kill { cascade: true })?,
        _ => {}
    }
    sim.run();
    if let Some(first) = expect["first_run"].as_object() {
        check_state(&sim, &id, &Json::Object(first.clone()))
            .map_err(|why| Problem::Wrong(format!("first run: {why}")))?;
    }
    match action {
        "run+restart" => {
            send(&mut sim, Event::Restart { from: None })?;
            sim.run();
        }
        "run+restart*3" => {
            for _ in 0..3 {
                send(&mut sim, Event::Restart { from: None })?;
                sim.run();
            }
        }
        "run+replay(2_end)" => {
            let from = sim.state(&id).runs().last().map(|run| run.id.clone()).unwrap();
            let again = sim.replay(&id, &from).map_err(|rejected| Problem::Wrong(format!("rejected: {rejected}")))?;
            check_state(&sim, &again, &expect["on_restart"])
                .map_err(|why| Problem::Wrong(format!("replayed: {why}")))?;
            sim.run();
            check_state(&sim, &again, expect).map_err(Problem::Wrong)?;
        }
        "run+change_status(WARNING)" => send(&mut sim, Event::ChangeState { run: None, state: Status::Warning })?,
        _ if action.starts_with("run+change_task_run_state") => {
            let run = sim.state(&id).runs().next().unwrap().id.clone();
            send(&mut sim, Event::ChangeState { run: Some(run), state: Status::Success })?;
            sim.run();
        }
        _ => {}
    }
    let mut last = id.clone();
    if expect["all_executions_of_flow"].is_object() {
        last = sim.made.last().unwrap().clone();
    }
    if let (Some(executions), Some(second)) = (expect["executions"].as_array(), &second) {
        for (id, expect) in [&id, second].into_iter().zip(executions) {
            check_state(&sim, id, expect).map_err(Problem::Wrong)?;
        }
    }
    let counts = expect["all_executions_of_flow"].as_object();
    for (state, count) in counts.into_iter().flatten() {
        let found =
            sim.made.iter().filter(|id| sim.state(id).status().is_some_and(|status| status.as_str() == state)).count();
        if Some(found as u64) != count.as_u64() {
            return Err(Problem::Wrong(format!("{found} executions {state}, expected {count}")));
        }
    }
    check_state(&sim, &last, expect).map_err(Problem::Wrong)?;
    if let Some(child) = expect["child"].as_object() {
        let id = sim.made.get(1).ok_or(Problem::Wrong("no child".to_owned()))?.clone();
        check_state(&sim, &id, &Json::Object(child.clone())).map_err(|why| Problem::Wrong(format!("child: {why}")))?;
    }
    Ok(())
}

// The content of a file that a case hands in.
fn file_text(file: &Json) -> String {
    if let Some(text) = file["content"].as_str() {
        return text.to_owned();
    }
    let number = |name: &str| file["$padded_lines"][name].as_u64().unwrap_or(0);
    let width = number("pad") as usize;
    (number("from")..=number("to")).map(|line| format!("{line:0width$}\n")).collect()
}

fn check_state(sim: &Sim, id: &ExecutionId, expect: &Json) -> Result<(), String> {
    let state = sim.state(id);
    let status = state.status().unwrap().as_str();
    let shown = || {
        let runs: Vec<String> = state
            .runs()
            .map(|run| format!("{}[{}]={}", run.task, run.value.as_deref().unwrap_or(""), run.state()))
            .collect();
        format!(
            "{} logs {:?}",
            runs.join(" "),
            sim.logs.iter().map(|(_, _, failure)| &failure.message).collect::<Vec<_>>()
        )
    };
    if let Some(wanted) = expect["state"].as_str()
        && wanted != status
    {
        return Err(format!("state {status}, expected {wanted}: {}", shown()));
    }
    if let Some(count) = expect["task_runs"].as_u64()
        && count != state.run_count() as u64
    {
        return Err(format!("{} task runs, expected {count}: {}", state.run_count(), shown()));
    }
    for (key, wanted) in expect["task_states"].as_object().into_iter().flatten() {
        for run in pick(state, key)? {
            if wanted.as_str() != Some(run.state().as_str()) {
                return Err(format!("{key} is {}, expected {wanted}: {}", run.state(), shown()));
            }
        }
    }
    for (key, wanted) in expect["attempts"].as_object().into_iter().flatten() {
        for run in pick(state, key)? {
            if wanted.as_u64() != Some(run.attempts.len() as u64) {
                return Err(format!("{key} has {} attempts, expected {wanted}: {}", run.attempts.len(), shown()));
            }
        }
    }
    for (key, wanted) in expect["history_counts"].as_object().into_iter().flatten() {
        for run in pick(state, key)? {
            for (name, count) in wanted.as_object().unwrap() {
                let found = run.history.entries().iter().filter(|(state, _)| state.as_str() == name).count();
                if count.as_u64() != Some(found as u64) {
                    return Err(format!("{key} was {name} {found} times, expected {count}"));
                }
            }
        }
    }
    for (key, count) in expect["task_run_counts"].as_object().into_iter().flatten() {
        let found = state.runs().filter(|run| run.task.as_str() == key).count();
        if count.as_u64() != Some(found as u64) {
            return Err(format!("{found} task runs of {key}, expected {count}: {}", shown()));
        }
    }
    for (key, wanted) in expect["task_order"].as_object().into_iter().flatten() {
        let index: usize = key.parse().unwrap();
        let found = state.runs().nth(index).map(|run| run.task.to_string());
        if found.as_deref() != wanted.as_str() {
            return Err(format!("task run {index} is {found:?}, expected {wanted}"));
        }
    }
    for task in expect["absent_tasks"].as_array().into_iter().flatten() {
        if state.runs().any(|run| Some(run.task.as_str()) == task.as_str()) {
            return Err(format!("{task} ran"));
        }
    }
    for (key, wanted) in expect["outputs"].as_object().into_iter().flatten() {
        let (Some(wanted), Some((task, path))) = (wanted.as_str(), key.split_once('.')) else { continue };
        if wanted.contains("{{") {
            continue;
        }
        for run in pick(state, task)? {
            let found = run.outputs.get_path(path.split('.')).map(|value| match value {
                Value::Text(text) => text.masked().into_owned(),
                other => other.to_json().to_string(),
            });
            if found.as_deref() != Some(wanted) {
                return Err(format!("output {key} is {found:?}, expected {wanted}"));
            }
        }
    }
    for (key, wanted) in expect["flow_outputs"].as_object().into_iter().flatten() {
        let found = state.execution().unwrap().outputs.get(key.as_str());
        if let Some(wanted) = wanted.as_str()
            && found.and_then(Value::as_str) != Some(wanted)
        {
            return Err(format!("flow output {key} is {found:?}, expected {wanted}"));
        }
    }
    let labels = &state.execution().unwrap().labels;
    for (key, wanted) in expect["labels_include"].as_object().into_iter().flatten() {
        if !wanted.as_str().unwrap().contains("{{")
            && !labels.iter().any(|label| label.key == *key && Some(label.value.as_str()) == wanted.as_str())
        {
            return Err(format!("label {key} is not {wanted}: {labels:?}"));
        }
    }
    if let Some(wanted) = expect["labels_exact"].as_object() {
        let wrong = wanted.iter().any(|(key, value)| {
            key != CORRELATION
                && !labels.iter().any(|label| label.key == *key && Some(label.value.as_str()) == value.as_str())
        });
        if wrong {
            return Err(format!("labels {labels:?}, expected {wanted:?}"));
        }
    }
    for (index, wanted) in expect["history_prefix"].as_array().into_iter().flatten().enumerate() {
        let found = state.execution().unwrap().history.entries().get(index).map(|(state, _)| state.as_str());
        if found != wanted.as_str() {
            return Err(format!("history {index} is {found:?}, expected {wanted}"));
        }
    }
    Ok(())
}

fn pick<'a>(state: &'a State, key: &str) -> Result<Vec<&'a model::execution::TaskRun>, String> {
    let runs: Vec<_> = state.runs().collect();
    let found = match key {
        "*" => return Ok(runs),
        "#last" => runs.last().copied(),
        _ => match key.strip_prefix('#') {
            Some(index) => {
                runs.get(index.split('.').next().unwrap().parse::<usize>().map_err(|error| error.to_string())?).copied()
            }
            None => {
                let mut parts = key.split('[');
                let task = parts.next().unwrap_or_default();
                let values: Vec<String> = parts.map(|part| part.trim_end_matches(']').to_owned()).collect();
                let exact = state.run_of(&model::ids::TaskId::trusted(task), &values);
                exact.or_else(|| runs.iter().copied().rfind(|run| run.task.as_str() == task))
            }
        },
    };
    found.map(|run| vec![run]).ok_or_else(|| format!("no task run {key}"))
}
