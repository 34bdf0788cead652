//! What the simulated world does with files: cuts them into batches, and gathers the outputs of executions in one.

use expr::Value;
use model::batch::{BATCHES_MAX, Batches, Batching};
use model::execution::Failure;
use model::ids::ExecutionId;

use super::Sim;
use crate::JobId;

/// Cuts a file.
pub(super) fn split(
    sim: &mut Sim,
    id: &ExecutionId,
    job: &JobId,
    items: &str,
    batching: &Batching,
) -> Result<Batches, Failure> {
    let text = sim.world.files.get(items).ok_or_else(|| problem("no-file", format!("there is no file `{items}`")))?;
    let mut rows: Vec<&str> = text.split(batching.separator.as_str()).collect();
    if rows.last() == Some(&"") {
        rows.pop();
    }
    let mut deal = batching.deal();
    let mut batches: Vec<String> = Vec::new();
    for row in rows {
        let batch = deal.next(row.len() as u64);
        let batch = batch.ok_or_else(|| problem("too-many-batches", format!("there are more than {BATCHES_MAX}")))?;
        batches.resize(batches.len().max(batch as usize + 1), String::new());
        if let Some(text) = batches.get_mut(batch as usize) {
            text.push_str(row);
            text.push_str(&batching.separator);
        }
    }
    let (folder, extension) = (folder(sim, id, job), items.rsplit_once('.').map_or("", |(_, extension)| extension));
    let files = Batches {
        prefix: format!("{folder}/"),
        suffix: format!(".{extension}"),
        count: batches.len() as u32,
        list: format!("{folder}/list.txt"),
    };
    let list = (0..files.count).map(|batch| files.uri(batch) + "\n").collect();
    sim.world.files.insert(files.list.clone(), list);
    for (batch, text) in (0..).zip(batches) {
        sim.world.files.insert(files.uri(batch), text);
    }
    Ok(files)
}

/// Gathers outputs.
pub(super) fn merge(sim: &mut Sim, id: &ExecutionId, job: &JobId, children: &[ExecutionId]) -> Option<String> {
    let outputs = |child: &ExecutionId| {
        let outputs = sim.state(child).execution()?.outputs.clone();
        (!outputs.is_empty()).then(|| Value::from(outputs).to_json().to_string() + "\n")
    };
    let text: String = children.iter().filter_map(outputs).collect();
    let uri = format!("{}/outputs.jsonl", folder(sim, id, job));
    (!text.is_empty()).then(|| {
        sim.world.files.insert(uri.clone(), text);
        uri
    })
}

// Where the files of a task run are.
fn folder(sim: &Sim, id: &ExecutionId, job: &JobId) -> String {
    let state = sim.state(id);
    let key = &state.flow().key;
    let task = state.run(&job.run).map(|run| run.task.to_string()).unwrap_or_default();
    let namespace = key.namespace.as_str().replace('.', "/");
    format!("kestra:///{namespace}/{}/executions/{id}/tasks/{}/{}", key.id, task.replace('_', "-"), job.run)
}

fn problem(code: &str, message: String) -> Failure {
    Failure::new(code, message)
}
