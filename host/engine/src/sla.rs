//! What a flow promises about its executions, and what happens when it is broken.

use expr::{Map, Value};
use model::change::{Change, Cleanup, RenderId, RenderPurpose, Stop, TimerPurpose};
use model::execution::Failure;
use model::flow::{Label, Sla, SlaBehavior, SlaRule};
use model::state::State as Status;

use crate::draft::{Draft, failure};

impl Draft {
    /// Longest durations count from the creation, waiting and pauses included.
    pub(crate) fn watch_slas(&mut self) {
        let flow = self.flow();
        for (index, sla) in flow.sla.iter().enumerate() {
            if let SlaRule::MaxDuration(limit) = &sla.rule {
                let due = self.now.saturating_add(*limit).unwrap_or(jiff::Timestamp::MAX);
                self.set_timer(None, TimerPurpose::Sla(index as u32), due);
            }
        }
        self.look_at_slas();
    }

    /// Asks for every assertion that has not been broken yet, once at a time.
    pub(crate) fn look_at_slas(&mut self) {
        let flow = self.flow();
        for (index, sla) in flow.sla.iter().enumerate() {
            let id = RenderId { run: None, purpose: RenderPurpose::Sla(index as u32) };
            let pending = self.state.renders.contains(&id) || self.state.breached.contains(&(index as u32));
            if matches!(sla.rule, SlaRule::Assertion(_)) && !pending && self.is_under_way() {
                self.ask(id);
            }
        }
    }

    fn is_under_way(&self) -> bool {
        !self.stopping() && self.state.status().is_some_and(|state| !state.is_terminal())
    }

    /// The answer to an assertion. One that cannot be evaluated says nothing: what it names may be yet to come.
    pub(crate) fn sla_known(&mut self, index: u32, result: Result<Map, Failure>) {
        match result {
            Ok(values) if !values.get("assert").is_some_and(Value::truthy) => self.sla_broken(index),
            Ok(_) => {}
            Err(problem) => self.log(None, problem),
        }
    }

    /// A promise is broken: its labels are set and its behaviour follows, once.
    pub(crate) fn sla_broken(&mut self, index: u32) {
        let flow = self.flow();
        let Some(sla) = flow.sla.get(index as usize) else { return };
        if self.state.breached.contains(&index) {
            return;
        }
        self.change(Change::SlaBreached { index });
        self.add_labels(&sla.labels);
        if !self.is_under_way() {
            return;
        }
        let stop = match sla.behavior {
            SlaBehavior::None => return,
            SlaBehavior::Cancel => Stop { state: Status::Cancelled, cleanup: Cleanup::None },
            SlaBehavior::Fail => Stop { state: Status::Failed, cleanup: Cleanup::ErrorsAndFinally },
        };
        let problem = broken(sla);
        self.change(Change::Failed { failure: problem.clone() });
        self.log(None, problem);
        self.stop(stop);
    }

    /// Sets labels; of two with one key the later wins.
    pub(crate) fn add_labels(&mut self, labels: &[Label]) {
        let Some(execution) = self.state.execution() else { return };
        let merged = merge_labels(&execution.labels, labels);
        if merged != execution.labels {
            self.change(Change::Labels { labels: merged });
        }
    }
}

fn broken(sla: &Sla) -> Failure {
    match &sla.rule {
        SlaRule::MaxDuration(limit) => {
            failure("sla", format!("the execution ran longer than SLA `{}` allows ({limit:#})", sla.id))
        }
        SlaRule::Assertion(_) => failure("sla", format!("the assertion of SLA `{}` does not hold", sla.id)),
    }
}

pub(crate) fn merge_labels(base: &[Label], more: &[Label]) -> Vec<Label> {
    let kept = base.iter().filter(|label| !more.iter().any(|other| other.key == label.key));
    let mut merged: Vec<Label> = kept.cloned().collect();
    for (index, label) in more.iter().enumerate() {
        if !more.iter().skip(index + 1).any(|other| other.key == label.key) {
            merged.push(label.clone());
        }
    }
    merged
}
