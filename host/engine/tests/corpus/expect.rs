//! Whether an execution is as a case of the corpus expects. What only a node shows (logs, files, types of outputs) is not looked at.

use engine::sim::Sim;
use engine::view::View;
use engine::{CORRELATION, State};
use expr::{Memo, Settings, Value};
use model::ids::ExecutionId;
use serde_json::Value as Json;

/// The first difference.
pub fn check_state(sim: &Sim, id: &ExecutionId, expect: &Json) -> Result<(), String> {
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
                Value::Text(text) => text.reveal().unwrap_or_default().into_owned(),
                other => other.to_json().to_string(),
            });
            if found.as_deref() != Some(wanted) {
                return Err(format!("output {key} is {found:?}, expected {wanted}"));
            }
        }
    }
    for (key, wanted) in expect["attempt_states"].as_object().into_iter().flatten() {
        let (task, index) = key.rsplit_once('.').unwrap();
        for run in pick(state, task)? {
            let found =
                run.attempts.get(index.parse::<usize>().unwrap()).map(|attempt| attempt.history.current().as_str());
            if found != wanted.as_str() {
                return Err(format!("attempt {key} is {found:?}, expected {wanted}"));
            }
        }
    }
    if let Some(unwanted) = expect["state_not"].as_str()
        && unwanted == status
    {
        return Err(format!("state is still {status}"));
    }
    for (flow, wanted) in expect["child_executions"].as_object().into_iter().flatten() {
        let children: Vec<&ExecutionId> =
            sim.made.iter().filter(|made| sim.state(made).flow().key.id.as_str() == flow).collect();
        if wanted["count"].as_u64().is_some_and(|count| count != children.len() as u64) {
            return Err(format!("{} executions of {flow}, expected {}", children.len(), wanted["count"]));
        }
        if let (Some(last), true) = (children.last(), wanted["last"].is_object()) {
            check_state(sim, last, &wanted["last"]).map_err(|why| format!("last of {flow}: {why}"))?;
        }
    }
    for check in expect["eval"].as_array().into_iter().flatten() {
        let run = state.runs().nth(check["task_run"].as_u64().unwrap() as usize).unwrap();
        let template = check["expr"].as_str().unwrap();
        let found = expr::render_text(template, &View::of_run(state, &run.id), &Memo::new(), &Settings::default());
        let found = found.ok().map(|text| text.masked().into_owned());
        let wanted = &check["result"];
        let holds = match wanted["$contains"].as_str() {
            Some(part) => found.as_ref().is_some_and(|found| found.contains(part)),
            None if wanted.as_str().is_some_and(|wanted| wanted.contains("{{")) => found.is_some(),
            None => found.as_deref() == wanted.as_str(),
        };
        if !holds {
            return Err(format!("`{template}` is {found:?}, expected {wanted}"));
        }
    }
    for (index, pair) in expect["labels_first"].as_array().into_iter().flatten().enumerate() {
        let found = state.execution().unwrap().labels.get(index);
        if !found.is_some_and(|label| pair[0] == label.key && pair[1] == label.value) {
            return Err(format!("label {index} is {found:?}, expected {pair}"));
        }
    }
    for wanted in expect["history_contains"].as_array().into_iter().flatten() {
        let history = &state.execution().unwrap().history;
        if !history.entries().iter().any(|(state, _)| Some(state.as_str()) == wanted.as_str()) {
            return Err(format!("was never {wanted}"));
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
