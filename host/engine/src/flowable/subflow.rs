//! Subflow: an execution of another flow, waited for or not.

use std::sync::Arc;

use expr::{Map, Value};
use jiff::{SignedDuration, Timestamp};
use model::change::{Change, Child, Evaluated, RenderPurpose, TimerPurpose};
use model::execution::{Failure, TaskRun, Triggered};
use model::flow::Label;
use model::ids::{ExecutionId, FlowId, Namespace, TaskRunId, TriggerId};
use model::state::State as Status;
use model::task::{FlowTask, Subflow, TaskKind};

use crate::command::{Command, Message};
use crate::draft::{Draft, failure};
use crate::event::{ChildResult, RejectCode, Rejected};
use crate::ids::{child_id, retry_id};
use crate::labels::labels_of;
use crate::life::CORRELATION;
use crate::sla::merge_labels;
use crate::state::State;
use crate::task::text_of;

/// The code of a failure that is an execution's which was waited for.
pub(crate) const CHILD_FAILED: &str = "child-failed";

impl Draft {
    pub(crate) fn ask_child(&mut self, run: &TaskRunId, values: &Map, timeout: Option<SignedDuration>) {
        let again = self.child_to_restart(run);
        self.start_attempt(run);
        let child = match self.child_of(run, values) {
            Ok(child) => child,
            Err(problem) => return self.attempt_over(run, Err(problem), Value::Null),
        };
        self.evaluated(run, Evaluated::Subflow(Box::new(child.clone())));
        if let Some(timeout) = timeout.filter(|_| child.wait) {
            self.set_timer(
                Some(run),
                TimerPurpose::Timeout,
                self.now.saturating_add(timeout).unwrap_or(Timestamp::MAX),
            );
        }
        match again.filter(|_| child.wait) {
            Some(id) => {
                self.change(Change::ChildAsked { run: run.clone(), child: id.clone() });
                self.change(Change::ChildStarted { run: run.clone(), child: id.clone() });
                let attempt = self.next_attempt(run);
                self.message(&format!("restart/{id}/{attempt}"), Message::Restart { execution: id });
            }
            None => {
                let Some(id) = new_child_id(&self.state, run) else { return };
                self.change(Change::ChildAsked { run: run.clone(), child: id.clone() });
                self.command(Command::StartChild { run: run.clone(), child: id, ask: Box::new(child) });
            }
        }
    }

    // After a restart, a child that failed is restarted in place of making another.
    fn child_to_restart(&self, run: &TaskRunId) -> Option<ExecutionId> {
        let task = self.task(run)?;
        let subflow = subflow_of(&task.kind)?;
        let restarted = self.run_status(run) == Some(Status::Restarted);
        let id = self.state.run(run)?.outputs.get("executionId")?.as_str()?;
        (restarted && !subflow.restart_new).then(|| ExecutionId::trusted(id))
    }

    pub(crate) fn child_of(&self, run: &TaskRunId, values: &Map) -> Result<Child, Failure> {
        let task = self.task(run).ok_or_else(|| failure("task-missing", "the task is gone"))?;
        let subflow = subflow_of(&task.kind).ok_or_else(|| failure("task-missing", "the task is no Subflow"))?;
        let need = |name: &str| {
            text_of(values, name)
                .filter(|text| !text.is_empty())
                .ok_or_else(|| failure("invalid-property", format!("`{name}` is empty")))
        };
        let scheduled = match text_of(values, "scheduleDate") {
            Some(date) => Some(date.parse::<Timestamp>().map_err(|_| {
                failure("invalid-property", format!("`scheduleDate` is no date with an offset: `{date}`"))
            })?),
            None => None,
        };
        let truth = |name: &str| values.get(name).is_some_and(Value::truthy);
        Ok(Child {
            namespace: Namespace::trusted(need("namespace")?),
            flow: FlowId::trusted(need("flowId")?),
            revision: subflow.revision,
            inputs: values.get("inputs").and_then(Value::as_map).cloned().unwrap_or_default(),
            labels: self.own_labels(&self.passed_labels(truth("inheritLabels")), values.get("labels"))?,
            trigger: Some(self.child_trigger(&task.type_name, task.id.as_str())),
            wait: truth("wait"),
            transmit_failed: truth("transmitFailed"),
            scheduled,
        })
    }

    // Labels of this execution that one it starts has as well.
    fn passed_labels(&self, inherit: bool) -> Vec<Label> {
        let labels = self.state.execution().map(|execution| execution.labels.as_slice()).unwrap_or_default();
        let passed =
            labels.iter().filter(|label| label.key == CORRELATION || inherit && !label.key.starts_with("system."));
        passed.cloned().collect()
    }

    /// Labels passed on, with those that the task gives on top.
    pub(crate) fn own_labels(&self, passed: &[Label], own: Option<&Value>) -> Result<Vec<Label>, Failure> {
        let own = own.filter(|own| !own.is_null()).map(labels_of).transpose()?.unwrap_or_default();
        Ok(merge_labels(passed, &own))
    }

    fn child_trigger(&self, type_name: &str, task: &str) -> Triggered {
        let flow = &self.state.flow;
        let execution = self.state.execution().map_or("", |execution| execution.id.as_str());
        let variables: [(&str, Value); 4] = [
            ("executionId", Value::text(execution)),
            ("namespace", Value::text(flow.key.namespace.as_str())),
            ("flowId", Value::text(flow.key.id.as_str())),
            ("flowRevision", Value::Int(flow.revision.into())),
        ];
        Triggered {
            id: TriggerId::trusted(task),
            type_name: type_name.to_owned(),
            variables: variables.into_iter().map(|(name, value)| (Arc::from(name), value)).collect(),
            // A chain of triggers goes on through the executions that tasks start.
            depth: self.state.execution().and_then(|execution| execution.trigger.as_ref()).map_or(0, |by| by.depth),
        }
    }

    pub(crate) fn child_started(&mut self, child: &ExecutionId) -> Result<(), Rejected> {
        let Some(wait) = self.state.children.get(child).cloned() else { return Err(unknown_child(child)) };
        if wait.started {
            return Err(Rejected::new(RejectCode::Duplicate, format!("execution `{child}` is known to have started")));
        }
        if let Some(batch) = wait.batch {
            self.batch_started(child, &wait, batch);
            return Ok(());
        }
        self.change(Change::ChildStarted { run: wait.run.clone(), child: child.clone() });
        // The task run may have been ended in the meantime; the execution is remembered for kills.
        if self.run_status(&wait.run).is_none_or(Status::is_terminal) {
            return Ok(());
        }
        self.outputs(&wait.run, Value::map([("executionId", Value::text(child.as_str()))]));
        if !wait.waits {
            self.attempt_over(&wait.run, Ok(Status::Success), Value::Null);
        }
        Ok(())
    }

    pub(crate) fn child_over(
        &mut self,
        child: &ExecutionId,
        result: Result<ChildResult, Failure>,
    ) -> Result<(), Rejected> {
        let Some(wait) = self.state.children.get(child).cloned() else { return self.mended(child, result) };
        if let Some(batch) = wait.batch {
            self.batch_child_over(child, &wait, batch, result);
            return Ok(());
        }
        self.change(Change::ChildEnded { child: child.clone() });
        if !wait.waits && wait.started || self.run_status(&wait.run).is_none_or(Status::is_terminal) {
            return Ok(());
        }
        match result {
            // It exists, which is all that was waited for.
            Ok(_) if !wait.waits => {
                self.outputs(&wait.run, Value::map([("executionId", Value::text(child.as_str()))]));
                self.attempt_over(&wait.run, Ok(Status::Success), Value::Null);
            }
            Ok(result) if result.state == Status::Retried => {
                let next = retry_id(child);
                self.change(Change::ChildAsked { run: wait.run.clone(), child: next.clone() });
                self.change(Change::ChildStarted { run: wait.run.clone(), child: next.clone() });
                self.outputs(&wait.run, Value::map([("executionId", Value::text(next.as_str()))]));
            }
            Err(problem) => self.attempt_over(&wait.run, Err(problem), Value::Null),
            Ok(result) => self.child_result(&wait.run, child, &result),
        }
        Ok(())
    }

    // Somebody restarted an execution after its failure had ended this one. It ended well: this one goes on from there.
    fn mended(&mut self, child: &ExecutionId, result: Result<ChildResult, Failure>) -> Result<(), Rejected> {
        let ended_well = |result: &ChildResult| matches!(result.state, Status::Success | Status::Warning);
        let result = result.ok().filter(ended_well).ok_or_else(|| unknown_child(child))?;
        let failed = self.state.runs().find(|run| is_failed_by(run, child)).map(|run| run.id.clone());
        let run = failed.filter(|_| self.state.status() == Some(Status::Failed)).ok_or_else(|| unknown_child(child))?;
        self.change_state(Some(&run), result.state)?;
        self.child_outputs_are(&run, child, &result);
        Ok(())
    }

    fn child_outputs_are(&mut self, run: &TaskRunId, child: &ExecutionId, result: &ChildResult) {
        let outputs = Value::map([
            ("executionId", Value::text(child.as_str())),
            ("state", Value::text(result.state.as_str())),
            ("outputs", Value::from(result.outputs.clone())),
        ]);
        self.outputs(run, outputs);
    }

    fn child_result(&mut self, run: &TaskRunId, child: &ExecutionId, result: &ChildResult) {
        self.child_outputs_are(run, child, result);
        let has_outputs = self
            .task(run)
            .is_some_and(|task| subflow_of(&task.kind).is_some_and(|subflow| !subflow.outputs.is_empty()));
        if has_outputs {
            return self.ask_for(run, RenderPurpose::ChildOutputs);
        }
        self.child_verdict(run);
    }

    /// The old `outputs` of the task, evaluated in the child's eyes.
    pub(crate) fn child_outputs(&mut self, run: &TaskRunId, result: Result<Map, Failure>) {
        match result {
            Err(problem) => self.attempt_over(run, Err(problem), Value::Null),
            Ok(values) => {
                let known = self.state.run(run).map(|run| run.outputs.clone()).unwrap_or_default();
                let mut outputs = known.as_map().cloned().unwrap_or_default();
                outputs.insert(Arc::from("outputs"), values.get("outputs").cloned().unwrap_or_default());
                self.outputs(run, Value::from(outputs));
                self.child_verdict(run);
            }
        }
    }

    fn child_verdict(&mut self, run: &TaskRunId) {
        let Some(node) = self.state.node(run) else { return };
        let transmits = matches!(&node.evaluated, Some(Evaluated::Subflow(child)) if child.transmit_failed);
        let state = node.run.outputs.get("state").and_then(Value::as_str).unwrap_or_default();
        let result = match state {
            "FAILED" | "KILLED" | "CANCELLED" if transmits => {
                Err(failure(CHILD_FAILED, format!("the execution of the subflow ended {state}")))
            }
            "WARNING" if transmits => Ok(Status::Warning),
            _ => Ok(Status::Success),
        };
        self.attempt_over(run, result, Value::Null);
    }

    /// Nobody waits for the child any more; it is ended as well.
    pub(crate) fn drop_child(&mut self, run: &TaskRunId) {
        let Some(child) = current_child(&self.state, run).filter(|child| self.state.children.contains_key(child))
        else {
            return;
        };
        self.message(&format!("kill/{child}"), Message::Kill { execution: child.clone(), cascade: true });
        self.change(Change::ChildEnded { child });
    }
}

fn is_failed_by(run: &TaskRun, child: &ExecutionId) -> bool {
    let last = run.attempts.last().and_then(|attempt| attempt.failure.as_ref());
    run.state() == Status::Failed
        && last.is_some_and(|failure| failure.code == CHILD_FAILED)
        && run.outputs.get("executionId").and_then(Value::as_str) == Some(child.as_str())
}

fn subflow_of(kind: &TaskKind) -> Option<&Subflow> {
    match kind {
        TaskKind::Flow(flow) => match flow.as_ref() {
            FlowTask::Subflow(subflow) | FlowTask::RunItems(subflow) => Some(subflow),
            _ => None,
        },
        _ => None,
    }
}

fn new_child_id(state: &State, run: &TaskRunId) -> Option<ExecutionId> {
    let attempt = state.run(run)?.attempts.len() as u32;
    Some(child_id(&state.execution()?.id, run, attempt, 0))
}

/// The execution that the present attempt of a Subflow task stands for.
pub(crate) fn current_child(state: &State, run: &TaskRunId) -> Option<ExecutionId> {
    let node = state.node(run)?;
    if !matches!(node.evaluated, Some(Evaluated::Subflow(_))) {
        return None;
    }
    let new = new_child_id(state, run)?;
    let known = node.run.outputs.get("executionId").and_then(Value::as_str).map(ExecutionId::trusted);
    if state.children.contains_key(&new) { Some(new) } else { known.or(Some(new)) }
}

/// The command that starts a child, from the state alone.
pub(crate) fn start_command(state: &State, child: &ExecutionId) -> Option<Command> {
    let wait = state.children.get(child)?;
    if let Some(ask) = wait.ask.as_deref() {
        return Some(Command::StartChild { run: wait.run.clone(), child: child.clone(), ask: Box::new(ask.clone()) });
    }
    match &state.node(&wait.run)?.evaluated {
        Some(Evaluated::Subflow(ask)) if !wait.started => {
            Some(Command::StartChild { run: wait.run.clone(), child: child.clone(), ask: ask.clone() })
        }
        _ => None,
    }
}

fn unknown_child(child: &ExecutionId) -> Rejected {
    Rejected::new(RejectCode::Stale, format!("execution `{child}` is not waited for"))
}
