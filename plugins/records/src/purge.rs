//! `execution.PurgeExecutions` and `log.PurgeLogs`.

use serde_json::{Map, Value, json};
use sluice_sdk::objects;
use sluice_sdk::prelude::*;

use crate::dates::{moment, moment_of};

/// Executions of one plan: each may have many rows, and a plan is one call.
const AT_ONCE: usize = 100;
/// States in which nothing happens any more. Others are not purged, whoever asks.
const ENDED: [&str; 7] = ["SUCCESS", "WARNING", "FAILED", "KILLED", "CANCELLED", "RETRIED", "SKIPPED"];

#[properties]
pub struct PurgeExecutions {
    /// The namespace, with those below it; the flow's own if not given.
    namespace: Option<String>,
    /// The flow; all of the namespace if not given.
    flow_id: Option<String>,
    /// Only executions created at this moment or after it.
    start_date: Option<String>,
    /// Only executions created before this moment.
    end_date: String,
    /// Only executions in one of these states. Those that have not ended stay in any case.
    states: Option<Vec<String>>,
    /// Whether the executions themselves go. Their logs and metrics go with them.
    #[default(true)]
    purge_execution: bool,
    /// Whether their logs go.
    #[default(true)]
    purge_log: bool,
    /// Whether their metrics go.
    #[default(true)]
    purge_metric: bool,
    /// Whether their files go.
    #[default(true)]
    purge_storage: bool,
    /// How many executions go at once, up to 100.
    #[default(100_u64)]
    batch_size: u64,
}

#[outputs]
pub struct Purged {
    /// How many executions went.
    executions_count: u64,
    /// How many lines of logs.
    logs_count: u64,
    /// How many metrics.
    metrics_count: u64,
    /// How many files.
    storages_count: u64,
}

/// Remove executions that are not needed any more.
///
/// # What is older than a month
/// ```yaml
/// id: purge
/// type: io.kestra.plugin.core.execution.PurgeExecutions
/// endDate: "{{ now() | dateAdd(-1, 'MONTHS') }}"
/// states: [SUCCESS, WARNING]
/// ```
#[task(
    "io.kestra.plugin.core.execution.PurgeExecutions",
    aliases = ["io.kestra.core.tasks.storages.Purge", "io.kestra.plugin.core.storage.Purge"]
)]
pub fn purge_executions(properties: PurgeExecutions, cx: &Context) -> Result<Purged, Failure> {
    let wanted = [
        ("execution", properties.purge_execution),
        ("logs", properties.purge_log),
        ("metrics", properties.purge_metric),
        ("files", properties.purge_storage),
    ];
    let parts: Vec<&str> = wanted.into_iter().filter(|(_, wanted)| *wanted).map(|(part, _)| part).collect();
    let states: Vec<String> = match properties.states.filter(|states| !states.is_empty()) {
        Some(states) => {
            states.into_iter().filter(|state| ENDED.contains(&state.to_ascii_uppercase().as_str())).collect()
        }
        None => ENDED.map(str::to_owned).to_vec(),
    };
    let mut purged = Purged { executions_count: 0, logs_count: 0, metrics_count: 0, storages_count: 0 };
    if parts.is_empty() || states.is_empty() {
        return Ok(purged);
    }
    let mut query = Map::new();
    query.insert("kind".to_owned(), json!("execution"));
    query.insert("states".to_owned(), json!(states));
    query.insert("until".to_owned(), json!(moment("endDate", &properties.end_date)?));
    if let Some(date) = moment_of("startDate", &properties.start_date)? {
        query.insert("from".to_owned(), json!(date));
    }
    for (name, value) in [("namespace", &properties.namespace), ("flow", &properties.flow_id)] {
        if let Some(value) = value.as_deref().filter(|value| !value.trim().is_empty()) {
            query.insert(name.to_owned(), json!(value));
        }
    }
    let size = usize::try_from(properties.batch_size).unwrap_or(AT_ONCE).clamp(1, AT_ONCE);
    let own = cx.get("execution.id");
    let (mut sequence, mut changes) = (0, Vec::new());
    for execution in objects::find(Value::Object(query)) {
        let execution = execution?;
        let id = execution.get("id").and_then(Value::as_str).unwrap_or_default();
        if own.as_deref() != Some(id) {
            changes.push(json!({"op": "delete", "kind": "execution", "id": id, "parts": parts}));
        }
        if changes.len() == size {
            purged.apply(&mut sequence, &mut changes)?;
        }
    }
    purged.apply(&mut sequence, &mut changes)?;
    cx.info(format!("purged {} executions", purged.executions_count));
    Ok(purged)
}

impl Purged {
    fn apply(&mut self, sequence: &mut u64, changes: &mut Vec<Value>) -> Result<(), Failure> {
        if changes.is_empty() {
            return Ok(());
        }
        let answer = objects::apply(*sequence, &std::mem::take(changes))?;
        *sequence += 1;
        let number = |name: &str| answer.get(name).and_then(Value::as_u64).unwrap_or_default();
        self.executions_count += number("executions");
        self.logs_count += number("logs");
        self.metrics_count += number("metrics");
        self.storages_count += number("files");
        Ok(())
    }
}

#[properties]
pub struct PurgeLogs {
    /// The namespace, with those below it; the flow's own if not given.
    namespace: Option<String>,
    /// The flow; all of the namespace if not given.
    flow_id: Option<String>,
    /// One execution.
    execution_id: Option<String>,
    /// Only lines of these levels.
    log_levels: Option<Vec<String>>,
    /// Only lines written at this moment or after it.
    start_date: Option<String>,
    /// Only lines written before this moment.
    end_date: String,
}

#[outputs]
pub struct Lines {
    /// How many lines went.
    count: u64,
}

/// Remove lines of logs that are not needed any more.
///
/// # Chatter of last week
/// ```yaml
/// id: purge
/// type: io.kestra.plugin.core.log.PurgeLogs
/// endDate: "{{ now() | dateAdd(-7, 'DAYS') }}"
/// logLevels: [TRACE, DEBUG]
/// ```
#[task("io.kestra.plugin.core.log.PurgeLogs")]
pub fn purge_logs(properties: PurgeLogs, cx: &Context) -> Result<Lines, Failure> {
    let mut change = Map::new();
    change.insert("op".to_owned(), json!("delete"));
    change.insert("kind".to_owned(), json!("log"));
    change.insert("until".to_owned(), json!(moment("endDate", &properties.end_date)?));
    if let Some(date) = moment_of("startDate", &properties.start_date)? {
        change.insert("from".to_owned(), json!(date));
    }
    for (name, value) in
        [("namespace", &properties.namespace), ("flow", &properties.flow_id), ("execution", &properties.execution_id)]
    {
        if let Some(value) = value.as_deref().filter(|value| !value.trim().is_empty()) {
            change.insert(name.to_owned(), json!(value));
        }
    }
    if let Some(levels) = properties.log_levels {
        change.insert("levels".to_owned(), json!(levels));
    }
    let answer = objects::apply(0, &[Value::Object(change)])?;
    let count = answer.get("logs").and_then(Value::as_u64).unwrap_or_default();
    cx.info(format!("purged {count} lines"));
    Ok(Lines { count })
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use sluice_sdk::testing::MockHost;

    use super::*;

    const END: &str = "2024-01-01T00:00:00Z";

    #[test]
    fn executions_go_in_batches() {
        let items: Vec<Value> = ["e1", "e2", "own", "e3"].iter().map(|id| json!({"id": id})).collect();
        let answer = json!({"executions": 2, "logs": 3, "metrics": 4, "files": 5});
        let host = MockHost::new()
            .context("execution.id", "own")
            .answer_call("objects.find", &json!({"items": items, "next": null}))
            .answer_call("objects.apply", &answer)
            .answer_call("objects.apply", &json!({"executions": 1}));
        let purged =
            host.run_task::<purge_executions>(json!({"endDate": END, "batchSize": 2, "purgeStorage": false})).unwrap();
        assert_eq!(purged, json!({"executionsCount": 3, "logsCount": 3, "metricsCount": 4, "storagesCount": 5}));
        let plans = host.asked("objects.apply");
        assert_eq!((&plans[0]["sequence"], &plans[1]["sequence"]), (&json!(0), &json!(1)));
        let change =
            json!({"op": "delete", "kind": "execution", "id": "e3", "parts": ["execution", "logs", "metrics"]});
        assert_eq!(plans[1]["changes"], json!([change]));
        assert_eq!(host.asked("objects.find")[0]["states"].as_array().map(Vec::len), Some(7));
    }

    #[test]
    fn what_runs_is_never_asked_for() {
        let host = MockHost::new();
        let nothing = json!({"executionsCount": 0, "logsCount": 0, "metricsCount": 0, "storagesCount": 0});
        let running = json!({"endDate": END, "states": ["RUNNING", "paused"]});
        assert_eq!(host.run_task::<purge_executions>(running).unwrap(), nothing);
        let none = json!({"endDate": END, "purgeExecution": false, "purgeLog": false, "purgeMetric": false, "purgeStorage": false});
        assert_eq!(host.run_task::<purge_executions>(none).unwrap(), nothing);
        assert!(host.run_task::<purge_executions>(json!({})).unwrap_err().message().contains("endDate"));
    }

    #[test]
    fn lines_go_by_level_and_time() {
        let host = MockHost::new().answer_call("objects.apply", &json!({"logs": 7}));
        let asked = json!({"endDate": END, "logLevels": ["TRACE"], "flowId": "f", "namespace": "a"});
        assert_eq!(host.run_task::<purge_logs>(asked).unwrap(), json!({"count": 7}));
        let change =
            json!({"op": "delete", "kind": "log", "until": END, "namespace": "a", "flow": "f", "levels": ["TRACE"]});
        assert_eq!(host.asked("objects.apply"), [json!({"sequence": 0, "changes": [change]})]);
    }
}
