//! How `sluice:host/objects` shows what is stored: one of many, or whole.

use model::ids::TaskId;
use serde_json::{Value as Json, json};
use store::rows;

use crate::plans::digest;

/// A document as one of many; `source`: with its text.
pub(super) fn shown(row: &rows::Row, source: bool) -> Option<Json> {
    let with_source = |mut shown: Json, text: &str| {
        if let (Some(entries), true) = (shown.as_object_mut(), source) {
            entries.insert("source".to_owned(), Json::from(text));
        }
        Some(shown)
    };
    match row {
        rows::Row::Flow(flow) => with_source(
            json!({
                "kind": "flow",
                "namespace": flow.key.namespace.as_str(),
                "id": flow.key.id.as_str(),
                "revision": flow.revision,
                "disabled": flow.disabled,
                "etag": flow.revision.to_string(),
            }),
            &flow.source,
        ),
        rows::Row::Document(document) => with_source(
            json!({
                "kind": &*document.key.kind,
                "namespace": document.key.place.namespace.as_str(),
                "id": &*document.key.id,
                "etag": digest(&document.source),
            }),
            &document.source,
        ),
        rows::Row::Execution(row) => Some(json!({
            "kind": "execution",
            "namespace": row.record.flow.namespace.as_str(),
            "flow": row.record.flow.id.as_str(),
            "id": row.record.id.as_str(),
            "revision": row.record.revision,
            "state": row.record.state().as_str(),
            "created": row.created.to_string(),
            "ended": row.record.history.ended().map(|at| at.to_string()),
        })),
        rows::Row::Log(line) => Some(log_line(line)),
        _ => None,
    }
}

/// A file of a namespace; the paths of its files begin with `root` where they are stored.
pub(super) fn file(row: &rows::File, namespace: &str, root: &str) -> Option<Json> {
    let path = row.path.strip_prefix(root)?;
    Some(json!({
        "kind": "file",
        "namespace": namespace,
        "id": path,
        "size": row.content.size_bytes,
        "etag": &*row.content.id.0,
    }))
}

/// How long the text of a row is that is shown with its source.
pub(super) fn source_bytes(row: &rows::Row) -> usize {
    match row {
        rows::Row::Flow(flow) => flow.source.len(),
        rows::Row::Document(document) => document.source.len(),
        _ => 0,
    }
}

/// A line as Kestra's files of logs have it.
fn log_line(line: &rows::LogLine) -> Json {
    let execution = match &line.of {
        rows::Target::Execution(id) => Some(id.as_str()),
        rows::Target::Trigger(..) | rows::Target::Service(_) => None,
    };
    let mut shown = json!({
        "namespace": line.flow.as_ref().map(|flow| flow.namespace.as_str()),
        "flowId": line.flow.as_ref().map(|flow| flow.id.as_str()),
        "taskId": line.task.as_ref().map(TaskId::as_str),
        "executionId": execution,
        "taskRunId": line.task_run.as_ref().map(|run| run.as_str()),
        "attemptNumber": line.attempt.checked_sub(1),
        "timestamp": line.at.to_string(),
        "level": format!("{:?}", line.level).to_ascii_uppercase(),
        "message": &*line.message,
    });
    if let (Some(entries), false) = (shown.as_object_mut(), line.fields.is_empty()) {
        let fields: serde_json::Map<String, Json> =
            line.fields.iter().map(|(name, value)| (name.clone(), json!(value))).collect();
        entries.insert("fields".to_owned(), Json::from(fields));
    }
    shown
}

/// An execution with what it was given and what it gave; secrets in it are masked.
pub(super) fn whole(row: &rows::Execution) -> Json {
    let record = &row.record;
    let map = |map: &expr::Map| expr::Value::from(map.clone()).to_json();
    let labels: serde_json::Map<String, Json> =
        record.labels.iter().map(|label| (label.key.clone(), json!(label.value))).collect();
    json!({
        "id": record.id.as_str(),
        "namespace": record.flow.namespace.as_str(),
        "flow": record.flow.id.as_str(),
        "revision": record.revision,
        "state": record.state().as_str(),
        "created": row.created.to_string(),
        "ended": record.history.ended().map(|at| at.to_string()),
        "labels": labels,
        "inputs": map(&record.inputs),
        "variables": map(&record.variables),
        "outputs": map(&record.outputs),
    })
}
