//! `log.Fetch`.

use std::io::{BufWriter, Write as _};

use serde_json::{Map, json};
use sluice_sdk::prelude::*;
use sluice_sdk::{files, objects};

/// How much a line matters.
#[properties]
#[derive(Clone, Copy)]
pub enum LogLevel {
    Trace,
    Debug,
    Info,
    Warn,
    Error,
}

impl LogLevel {
    fn name(self) -> &'static str {
        match self {
            Self::Trace => "TRACE",
            Self::Debug => "DEBUG",
            Self::Info => "INFO",
            Self::Warn => "WARN",
            Self::Error => "ERROR",
        }
    }
}

#[properties]
pub struct Fetch {
    /// The execution; this one if not given.
    execution_id: Option<String>,
    /// The namespace of that execution.
    namespace: Option<String>,
    /// The flow of that execution.
    flow_id: Option<String>,
    /// Only lines of these tasks.
    tasks_id: Option<Vec<String>>,
    /// Only lines of this level and above.
    #[default(LogLevel::Info)]
    level: LogLevel,
}

#[outputs]
pub struct Fetched {
    /// How many lines there are.
    size: u64,
    /// The file of lines: one a row, as JSON.
    uri: String,
}

/// Get the log of an execution as a file.
///
/// # What went wrong
/// ```yaml
/// id: errors
/// type: io.kestra.plugin.core.log.Fetch
/// level: ERROR
/// ```
#[task(
    "io.kestra.plugin.core.log.Fetch",
    aliases = ["io.kestra.core.tasks.log.Fetch", "io.kestra.plugin.kestra.logs.Fetch"]
)]
pub fn fetch(properties: Fetch, cx: &Context) -> Result<Fetched, Failure> {
    let own = || cx.get("execution.id").unwrap_or_default();
    let execution = properties.execution_id.filter(|id| !id.trim().is_empty()).unwrap_or_else(own);
    let mut query = Map::new();
    query.insert("kind".to_owned(), json!("log"));
    query.insert("execution".to_owned(), json!(execution));
    query.insert("level".to_owned(), json!(properties.level.name()));
    // Where they are given, the execution must be of them.
    for (name, value) in [("namespace", &properties.namespace), ("flow", &properties.flow_id)] {
        if let Some(value) = value.as_deref().filter(|value| !value.trim().is_empty()) {
            query.insert(name.to_owned(), json!(value));
        }
    }
    let mut out = BufWriter::new(files::create("logs.ion")?);
    let mut size = 0;
    let tasks = properties.tasks_id.filter(|tasks| !tasks.is_empty());
    let each: Vec<Option<String>> = tasks.map_or_else(|| vec![None], |tasks| tasks.into_iter().map(Some).collect());
    for task in each {
        if let Some(task) = task {
            query.insert("task".to_owned(), json!(task));
        }
        for line in objects::find(query.clone().into()) {
            writeln!(out, "{}", line?)?;
            size += 1;
        }
    }
    let writer = out.into_inner().map_err(|error| Failure::from(error.into_error()))?;
    Ok(Fetched { size, uri: writer.finish()? })
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use serde_json::Value;
    use sluice_sdk::testing::MockHost;

    use super::*;

    fn page(messages: &[&str], next: Value) -> Value {
        let items: Vec<Value> = messages.iter().map(|message| json!({"message": message})).collect();
        json!({"items": items, "next": next})
    }

    #[test]
    fn lines_become_rows() {
        let host = MockHost::new()
            .context("execution.id", "e1")
            .answer_call("objects.find", &page(&["a", "b"], json!("more")))
            .answer_call("objects.find", &page(&["c"], Value::Null));
        let fetched = host.run_task::<fetch>(json!({})).unwrap();
        assert_eq!(fetched["size"], json!(3));
        let rows = host.file_bytes(fetched["uri"].as_str().unwrap()).unwrap();
        assert_eq!(rows, b"{\"message\":\"a\"}\n{\"message\":\"b\"}\n{\"message\":\"c\"}\n");
        assert_eq!(host.asked("objects.find")[0], json!({"kind": "log", "execution": "e1", "level": "INFO"}));
    }

    #[test]
    fn tasks_are_asked_for_one_by_one() {
        let empty = page(&[], Value::Null);
        let host = MockHost::new().answer_call("objects.find", &empty).answer_call("objects.find", &empty);
        let asked = json!({"executionId": "e2", "tasksId": ["x", "y"], "level": "ERROR"});
        assert_eq!(host.run_task::<fetch>(asked).unwrap()["size"], json!(0));
        let tasks: Vec<Value> = host.asked("objects.find").iter().map(|query| query["task"].clone()).collect();
        assert_eq!(tasks, [json!("x"), json!("y")]);
        assert_eq!(host.asked("objects.find")[1]["execution"], json!("e2"));
    }
}
