//! The end of an execution: cleanup, outputs, the end state, and what runs after it.

use std::sync::Arc;

use expr::{Map, Value};
use model::change::{Change, Cleanup, Phase, Place, RenderId, RenderPurpose, Stop, TimerPurpose};
use model::execution::Failure;
use model::flow::Output;
use model::ids::TaskId;
use model::input::InputType;
use model::state::State as Status;
use model::task::{Retry, RetryBehavior};
use model::typing::of_type;

use crate::command::{Command, Message};
use crate::draft::{Draft, failure};
use crate::flowable::enabled;
use crate::ids::{fraction, retry_id};
use crate::retry::{next_due, retry_of};

impl Draft {
    /// Everything in a phase of the flow itself has ended.
    pub(crate) fn flow_phase_over(&mut self, phase: Phase) {
        match (phase, self.state.stop) {
            (Phase::Main | Phase::Errors | Phase::Finally | Phase::Outputs, Some(stop)) => self.stopped(stop),
            (Phase::Listeners | Phase::After, Some(_)) => self.closed(),
            (phase, None) => self.flow_goes_on(phase),
            (Phase::OnPause | Phase::Done, _) => {}
        }
    }

    fn flow_goes_on(&mut self, phase: Phase) {
        let flow = self.flow();
        let has = |tasks: &[TaskId]| tasks.iter().any(|id| enabled(&flow, id));
        let verdict = self.frame(None).verdict;
        let cut_short = matches!(verdict, Some(Status::Killed | Status::Cancelled));
        match phase {
            Phase::Main if cut_short => self.end(verdict.unwrap_or(Status::Killed)),
            Phase::Main if verdict == Some(Status::Failed) && has(&flow.errors) => self.go_to(None, Phase::Errors),
            Phase::Main | Phase::Errors if has(&flow.finally) => self.go_to(None, Phase::Finally),
            Phase::Main | Phase::Errors | Phase::Finally => self.flow_outputs(),
            Phase::Listeners => self.next_listener(),
            Phase::After => self.closed(),
            Phase::OnPause | Phase::Outputs | Phase::Done => {}
        }
    }

    // Nothing runs any more of what was stopped. What may still run belongs to the ending of the flow.
    fn stopped(&mut self, stop: Stop) {
        self.change(Change::StopOver);
        if stop.cleanup == Cleanup::None {
            return self.end(stop.state);
        }
        self.change(Change::Verdict { parent: None, state: stop.state });
        // Between two phases: what has just ended is not gone on from.
        self.change(Change::Phase { parent: None, phase: Phase::Outputs });
        match stop.cleanup {
            Cleanup::ErrorsAndFinally => self.flow_goes_on(Phase::Main),
            Cleanup::Finally | Cleanup::None => self.flow_goes_on(Phase::Errors),
        }
    }

    fn flow_outputs(&mut self) {
        self.change(Change::Phase { parent: None, phase: Phase::Outputs });
        if self.state.flow.outputs.is_empty() {
            return self.end(self.frame(None).verdict.unwrap_or(Status::Success));
        }
        self.ask(RenderId { run: None, purpose: RenderPurpose::FlowOutputs });
    }

    /// The answer to a render in the eyes of the execution.
    pub(crate) fn flow_answered(&mut self, purpose: RenderPurpose, result: Result<Map, Failure>) {
        match (purpose, result) {
            (RenderPurpose::FlowOutputs, result) => self.flow_outputs_known(result),
            (RenderPurpose::Sla(index), result) => self.sla_known(index, result),
            (RenderPurpose::Listener(index), Ok(values)) if values.get("conditions").is_some_and(Value::truthy) => {
                self.run_listener(index)
            }
            (RenderPurpose::Listener(_), Ok(_)) => self.next_listener(),
            (RenderPurpose::Listener(_), Err(problem)) => {
                self.log(None, problem);
                self.next_listener();
            }
            (
                RenderPurpose::RunIf
                | RenderPurpose::Begin
                | RenderPurpose::LoopCondition
                | RenderPurpose::ChildOutputs
                | RenderPurpose::Batch(_),
                _,
            ) => {}
        }
    }

    fn flow_outputs_known(&mut self, result: Result<Map, Failure>) {
        let verdict = self.frame(None).verdict.unwrap_or(Status::Success);
        let empty = Map::new();
        let typed = result
            .and_then(|values| self.typed_outputs(values.get("outputs").and_then(Value::as_map).unwrap_or(&empty)));
        match typed {
            Ok(outputs) => {
                self.change(Change::FlowOutputs { outputs });
                self.end(verdict);
            }
            // An execution that failed anyway often lacks what its outputs name.
            Err(_) if verdict.is_failed() => self.end(verdict),
            Err(problem) => {
                self.change(Change::Failed { failure: problem.clone() });
                self.log(None, problem);
                self.end(Status::Failed);
            }
        }
    }

    // Each output as the type it declares; text of what is no text is its JSON.
    fn typed_outputs(&self, values: &Map) -> Result<Map, Failure> {
        let typed = |output: &Output| {
            let value = values.get(output.id.as_str()).cloned().unwrap_or_default();
            let value = match (output.kind, value) {
                (
                    InputType::String,
                    value @ (Value::Bool(_)
                    | Value::Int(_)
                    | Value::Float(_)
                    | Value::Number(_)
                    | Value::List(_)
                    | Value::Map(_)),
                ) => Value::text(value.to_json().to_string()),
                (_, Value::Null) => Value::Null,
                (kind, value) => of_type(kind, &value)
                    .map_err(|reason| failure("invalid-output", format!("output `{}` {reason}", output.id)))?,
            };
            Ok((Arc::from(output.id.as_str()), value))
        };
        self.state.flow.outputs.iter().map(typed).collect()
    }

    /// The execution enters its end state; then listeners and afterExecution.
    pub(crate) fn end(&mut self, state: Status) {
        let state = match self.replacement(state) {
            Some(()) => Status::Retried,
            None => state,
        };
        if self.state.held {
            self.change(Change::Held { on: false });
        }
        self.enter_execution(state);
        self.drop_flow_waits();
        self.free_slot();
        let outputs = self.state.execution().map(|execution| execution.outputs.clone()).unwrap_or_default();
        self.command(Command::Ended { state, outputs });
        self.change(Change::Phase { parent: None, phase: Phase::Listeners });
        self.ask_listener(0);
    }

    // A retry, of the flow or of a task that failed, that makes another execution in place of this one.
    fn replacement(&mut self, state: Status) -> Option<()> {
        if state != Status::Failed {
            return None;
        }
        let retry = self.replacing_retry()?;
        let execution = self.state.execution()?.clone();
        // One that was not let run would not be let run again.
        if execution.state() == Status::Created {
            return None;
        }
        let seed = model::ids::TaskRunId::trusted(execution.id.as_str());
        let first = execution.retried_since.unwrap_or_else(|| execution.history.started());
        let due = next_due(&retry, execution.attempt, first, self.now, fraction(&seed, execution.attempt))?;
        let attempt = execution.attempt.saturating_add(1);
        let again = Message::Retry { execution: retry_id(&execution.id), attempt, since: first, due };
        self.message("retry", again);
        Some(())
    }

    fn replacing_retry(&self) -> Option<Retry> {
        let replaces = |retry: &Retry| retry.behavior == RetryBehavior::CreateNewExecution;
        let of_failed = || self.failed_leaves().iter().find_map(|run| retry_of(&self.state, run).filter(replaces));
        self.state.flow.retry.clone().filter(replaces).or_else(of_failed)
    }

    fn drop_flow_waits(&mut self) {
        for index in 0..self.state.flow.sla.len() as u32 {
            self.clear_timer(None, TimerPurpose::Sla(index));
        }
        self.clear_timer(None, TimerPurpose::Schedule);
    }

    fn next_listener(&mut self) {
        let current = self.frame(None).next;
        self.ask_listener(current.saturating_add(1));
    }

    fn ask_listener(&mut self, index: u32) {
        self.change(Change::Listener { index });
        let flow = self.flow();
        match flow.listeners.get(index as usize) {
            Some(listener) if listener.conditions.is_empty() => self.run_listener(index),
            Some(_) => self.ask(RenderId { run: None, purpose: RenderPurpose::Listener(index) }),
            None => self.go_to(None, Phase::After),
        }
    }

    fn run_listener(&mut self, index: u32) {
        if !self.start_from(None, Place { phase: Phase::Listeners, lane: index, position: 0 }, None) {
            self.next_listener();
        }
    }

    /// Nothing is left to do.
    pub(crate) fn closed(&mut self) {
        if self.state.stop.is_some() {
            self.change(Change::StopOver);
        }
        if !self.state.is_closed() {
            self.change(Change::Closed);
            self.command(Command::Closed);
        }
    }
}
