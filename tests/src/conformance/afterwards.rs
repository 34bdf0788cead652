//! What a case does with an execution that has ended: restart, replay, states by hand, labels, expressions.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use model::ids::ExecutionId;
use serde_json::Value as Json;
use server::{Node, Replay, Seen, wire};

use super::action::After;
use super::check::{Scene, check};
use super::matcher::{Names, fits};
use super::play::{all, answered, gone, labels};
use super::{Case, Miss, wrong};

/// Checks what a case says of an execution before anything more is done with it.
pub fn first_run(case: &Case, scene: &Scene) -> Result<(), Miss> {
    match case.expect.get("first_run").and_then(Json::as_object) {
        Some(expect) => check(expect, scene).map_err(|miss| told("first_run", miss)),
        None => Ok(()),
    }
}

fn told(what: &str, miss: Miss) -> Miss {
    match miss {
        Miss::Wrong(why) => Miss::Wrong(format!("{what}: {why}")),
        beyond => beyond,
    }
}

/// Does it, and waits for the end of what comes of it: the execution to look at then. `None`: it was refused, as it should be.
pub async fn afterwards(
    node: &Arc<Node>,
    case: &Case,
    id: &ExecutionId,
    after: &After,
) -> Result<Option<ExecutionId>, Miss> {
    let before = node.execution(id.as_str()).await.map_err(gone)?;
    let answer = match after {
        After::Restart { times } => return restart(node, case, &before, *times).await,
        After::Evaluate => return evaluate(node, case, &before).await.map(|()| Some(id.clone())),
        After::Replay { task } => {
            let run = before.runs.iter().rev().find(|run| run.task.as_str() == task);
            let from = run.map_or_else(|| task.clone(), |run| run.id.as_str().to_owned());
            node.replay(id.as_str(), Replay { from: Some(from), ..Replay::default() }).await
        }
        After::ChangeStatus(state) => node.change_state(id.as_str(), None, *state).await,
        After::ChangeTaskRun { of_child, index, state } => {
            let all = all(node).await;
            let mut children =
                all.iter().filter(|seen| seen.execution.parent.as_ref().is_some_and(|parent| parent.execution == *id));
            let seen = if *of_child { children.next() } else { Some(&before) };
            let run = seen.and_then(|seen| Some((seen, seen.runs.get(*index)?)));
            let Some((seen, run)) = run else { return wrong(format!("there is no task run #{index}")) };
            let answer = node.change_state(seen.execution.id.as_str(), Some(run.id.as_str()), *state).await;
            node.ended(&seen.execution.id).await.map_err(gone)?;
            answer
        }
        After::SetLabels => node.set_labels(id.as_str(), labels(&case.set_labels)).await,
    };
    let Some(seen) = answered(case, answer)? else { return Ok(None) };
    if matches!(after, After::Replay { .. }) {
        on_restart(case, &before, &seen).map_err(|miss| told("on_restart", miss))?;
    }
    // What is done to a child is looked at in the execution that the case is about.
    let last = if matches!(after, After::ChangeTaskRun { .. }) { id.clone() } else { seen.execution.id };
    node.ended(&last).await.map_err(gone)?;
    Ok(Some(last))
}

async fn restart(node: &Arc<Node>, case: &Case, first: &Seen, times: usize) -> Result<Option<ExecutionId>, Miss> {
    let id = &first.execution.id;
    let states = case.expect.get("intermediate_states").and_then(Json::as_array).cloned().unwrap_or_default();
    for time in 0..times {
        let before = node.execution(id.as_str()).await.map_err(gone)?;
        let Some(seen) = answered(case, node.restart(id.as_str(), None).await)? else { return Ok(None) };
        on_restart(case, &before, &seen).map_err(|miss| told("on_restart", miss))?;
        let state = node.ended(id).await.map_err(gone)?.execution.state();
        match states.get(time).and_then(Json::as_str) {
            Some(wanted) if wanted != state.as_str() => {
                return wrong(format!("intermediate_states: it ends {state} after restart {}, not {wanted}", time + 1));
            }
            _ => {}
        }
    }
    Ok(Some(id.clone()))
}

/// What is said of an execution at the moment it was restarted or replayed.
fn on_restart(case: &Case, before: &Seen, seen: &Seen) -> Result<(), Miss> {
    let Some(expect) = case.expect.get("on_restart").and_then(Json::as_object) else { return Ok(()) };
    let mut rest = expect.clone();
    if let Some(same) = rest.remove("same_execution_id")
        && same != Json::Bool(before.execution.id == seen.execution.id)
    {
        return wrong(format!("its id is {}, that of the first {}", seen.execution.id, before.execution.id));
    }
    // The corpus' `parent_id` of a replay is what clients are shown as `originalId`.
    let original = seen.execution.original.as_ref();
    match rest.remove("parent_id") {
        None => {}
        Some(Json::Null) if original.is_none() => {}
        Some(Json::String(first)) if first == "$first" && original == Some(&before.execution.id) => {}
        Some(wanted) => return wrong(format!("it comes from {original:?}, expected {wanted}")),
    }
    if rest.remove("new_task_run_ids") == Some(Json::Bool(true)) {
        let known: BTreeSet<&str> = before.runs.iter().map(|run| run.id.as_str()).collect();
        if let Some(run) = seen.runs.iter().find(|run| known.contains(run.id.as_str())) {
            return wrong(format!("task run {} is one of the first execution", run.id));
        }
    }
    let scene = Scene {
        main: vec![seen.clone()],
        all: vec![seen.clone()],
        logs: Vec::new(),
        files: BTreeMap::new(),
        flow: seen.execution.flow.id.to_string(),
    };
    check(&rest, &scene)
}

async fn evaluate(node: &Arc<Node>, case: &Case, seen: &Seen) -> Result<(), Miss> {
    let mut names = Names::default();
    for (index, run) in seen.runs.iter().enumerate() {
        names.set(&format!("taskrun[#{index}].id"), run.id.as_str());
    }
    for entry in case.expect.get("eval").and_then(Json::as_array).into_iter().flatten() {
        let index = entry["task_run"].as_u64().and_then(|index| usize::try_from(index).ok());
        let Some(run) = index.and_then(|index| seen.runs.get(index)) else {
            return wrong(format!("there is no task run {}", entry["task_run"]));
        };
        let expression = entry["expr"].as_str().unwrap_or_default();
        let result = node.evaluate_for(seen.execution.id.as_str(), Some(run.id.as_str()), expression).await;
        match (result.map_err(gone)?, &entry["result"]) {
            (Err(_), Json::Null) => {}
            (Err(failure), _) => return wrong(format!("`{expression}` fails: {}", failure.message)),
            (Ok(value), Json::Null) => return wrong(format!("`{expression}` gives {value}, and should fail")),
            (Ok(value), wanted) => {
                fits(wanted, Some(&wire::value_json(&value)), &names, &|_| Ok(None), &BTreeMap::new())
                    .map_err(|miss| told(expression, miss))?;
            }
        }
    }
    Ok(())
}
