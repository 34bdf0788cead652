//! The tasks that only change executions and other objects of the engine: carried out by the decision itself.

use std::sync::Arc;

use expr::{Map, Value};
use model::change::{Change, Cleanup, Stop};
use model::execution::Failure;
use model::ids::{ExecutionId, TaskRunId, TriggerId};
use model::state::State as Status;
use model::task::{EngineAction, EngineTask};

use crate::command::Message;
use crate::draft::{Draft, failure};
use crate::labels::labels_of;
use crate::task::text_of;

impl Draft {
    pub(crate) fn act(&mut self, run: &TaskRunId, task: &EngineTask, values: &Map) {
        self.start_attempt(run);
        let empty = Map::new();
        let properties = values.get("properties").and_then(Value::as_map).unwrap_or(&empty);
        let result = match task.action {
            EngineAction::Labels => self.act_labels(properties),
            EngineAction::SetVariables => self.act_set_variables(properties),
            EngineAction::UnsetVariables => self.act_unset_variables(properties),
            EngineAction::Assert => act_assert(properties),
            EngineAction::Resume => self.act_resume(run, properties),
            EngineAction::Toggle => self.act_toggle(run, properties),
            EngineAction::Exit => return self.act_exit(run, properties),
            EngineAction::Kill => return self.act_kill(run, properties),
        };
        self.attempt_over(run, result.map(|()| Status::Success), Value::Null);
    }

    fn act_labels(&mut self, properties: &Map) -> Result<(), Failure> {
        let labels = labels_of(properties.get("labels").unwrap_or(&Value::Null))?;
        self.add_labels(&labels);
        Ok(())
    }

    fn variables(&self) -> Map {
        self.state.execution().map(|execution| execution.variables.clone()).unwrap_or_default()
    }

    fn act_set_variables(&mut self, properties: &Map) -> Result<(), Failure> {
        let Some(given) = properties.get("variables").and_then(Value::as_map) else {
            return Err(failure("invalid-property", "`variables` must be a map"));
        };
        let overwrite = properties.get("overwrite").is_none_or(Value::truthy);
        let mut variables = self.variables();
        if let Some(name) = given.keys().find(|name| !overwrite && variables.contains_key(*name)) {
            return Err(failure(
                "variable-exists",
                format!("variable `{name}` exists already (hint: `overwrite: true` replaces it)"),
            ));
        }
        variables.extend(given.iter().map(|(name, value)| (name.clone(), value.clone())));
        self.change(Change::Variables { variables });
        Ok(())
    }

    fn act_unset_variables(&mut self, properties: &Map) -> Result<(), Failure> {
        let Some(names) = properties.get("variables").and_then(Value::as_list) else {
            return Err(failure("invalid-property", "`variables` must be a list of names"));
        };
        let ignore = properties.get("ignoreMissing").is_some_and(Value::truthy);
        let mut variables = self.variables();
        for name in names.iter().filter_map(Value::as_str) {
            if variables.shift_remove(name).is_none() && !ignore {
                return Err(failure(
                    "variable-missing",
                    format!("there is no variable `{name}` (hint: `ignoreMissing: true` passes over it)"),
                ));
            }
        }
        self.change(Change::Variables { variables });
        Ok(())
    }

    fn act_exit(&mut self, run: &TaskRunId, properties: &Map) {
        let state = match text_of(properties, "state").as_deref() {
            None | Some("SUCCESS") => Status::Success,
            Some("WARNING") => Status::Warning,
            Some("FAILED") => Status::Failed,
            Some("KILLED") => Status::Killed,
            Some("CANCELED" | "CANCELLED") => Status::Cancelled,
            Some(other) => {
                let problem = failure(
                    "invalid-property",
                    format!("`state` cannot be `{other}` (hint: SUCCESS, WARNING, FAILED, KILLED or CANCELLED)"),
                );
                return self.attempt_over(run, Err(problem), Value::Null);
            }
        };
        self.act_end(run, state);
        let cleanup =
            if matches!(state, Status::Killed | Status::Cancelled) { Cleanup::None } else { Cleanup::Finally };
        self.stop(Stop { state, cleanup });
    }

    fn act_kill(&mut self, run: &TaskRunId, properties: &Map) {
        let own = self.state.execution().map(|execution| execution.id.clone());
        let target = text_of(properties, "executionId").filter(|id| !id.is_empty()).map(ExecutionId::trusted);
        let cascade = properties.get("propagateKill").is_none_or(Value::truthy);
        match target {
            Some(execution) if Some(&execution) != own.as_ref() => {
                self.message(&format!("kill/{execution}/{run}"), Message::Kill { execution, cascade });
                self.attempt_over(run, Ok(Status::Success), Value::Null);
            }
            _ => {
                self.act_end(run, Status::Killed);
                if cascade {
                    self.kill_children();
                }
                self.spares_children = !cascade;
                self.enter_execution(Status::Killing);
                self.stop(Stop { state: Status::Killed, cleanup: Cleanup::None });
            }
        }
    }

    // The task itself ends the way it ends the execution.
    fn act_end(&mut self, run: &TaskRunId, state: Status) {
        let attempt = self.next_attempt(run).saturating_sub(1);
        self.change(Change::AttemptEnded { run: run.clone(), attempt, state, failure: None, at: self.now });
        self.finish_as(run, state);
    }

    fn act_resume(&mut self, run: &TaskRunId, properties: &Map) -> Result<(), Failure> {
        let execution = text_of(properties, "executionId")
            .filter(|id| !id.is_empty())
            .ok_or_else(|| failure("invalid-property", "`executionId` is empty"))?;
        let inputs = properties.get("inputs").and_then(Value::as_map).cloned().unwrap_or_default();
        self.message(&format!("resume/{run}"), Message::Resume { execution: ExecutionId::trusted(execution), inputs });
        Ok(())
    }

    fn act_toggle(&mut self, run: &TaskRunId, properties: &Map) -> Result<(), Failure> {
        let trigger = text_of(properties, "trigger")
            .filter(|id| !id.is_empty())
            .ok_or_else(|| failure("invalid-property", "`trigger` is empty"))?;
        let own = self.state.flow.key.clone();
        let or = |name: &str, own: &str| text_of(properties, name).unwrap_or_else(|| Arc::from(own)).to_string();
        let message = Message::Toggle {
            namespace: or("namespace", own.namespace.as_str()),
            flow: or("flowId", own.id.as_str()),
            trigger: TriggerId::trusted(trigger),
            enabled: properties.get("enabled").is_some_and(Value::truthy),
        };
        self.message(&format!("toggle/{run}"), message);
        Ok(())
    }
}

fn act_assert(properties: &Map) -> Result<(), Failure> {
    let conditions = properties.get("conditions").and_then(Value::as_list).unwrap_or_default();
    let failed: Vec<String> = conditions
        .iter()
        .enumerate()
        .filter(|(_, value)| !value.truthy())
        .map(|(index, _)| (index + 1).to_string())
        .collect();
    if failed.is_empty() {
        return Ok(());
    }
    let message = text_of(properties, "errorMessage")
        .map_or_else(|| format!("conditions that do not hold: {}", failed.join(", ")), |text| text.to_string());
    Err(failure("assert", message))
}
