//! The one function that turns an event into changes and commands. Deterministic and total: no clock, no chance, no IO, no panic.

use jiff::Timestamp;
use model::change::Change;
use model::state::State as Status;

use crate::command::Command;
use crate::draft::{Draft, Step};
use crate::event::{Event, RejectCode, Rejected};
use crate::state::{Slot, State};

/// What follows from an event. Changes are to be stored in one commit; commands are carried out after it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Decision {
    pub changes: Vec<Change>,
    pub commands: Vec<Command>,
}

/// Decides. The state is left as it is: fold the changes into it when they are stored.
pub fn decide(state: &State, event: Event, now: Timestamp) -> Result<Decision, Rejected> {
    let mut draft = Draft::new(state, now);
    draft.handle(event)?;
    draft.settle();
    Ok(Decision { changes: draft.changes, commands: draft.commands })
}

/// Decides, and shows the state the decision saw at its end: for tests that compare it with the fold of its changes.
pub fn decide_shown(state: &State, event: Event, now: Timestamp) -> Result<(Decision, State), Rejected> {
    let mut draft = Draft::new(state, now);
    draft.handle(event)?;
    draft.settle();
    Ok((Decision { changes: draft.changes, commands: draft.commands }, draft.state))
}

impl Draft {
    fn handle(&mut self, event: Event) -> Result<(), Rejected> {
        if !matches!(event, Event::Start { .. }) {
            self.existing()?;
        }
        match event {
            Event::Start { execution } => self.start(*execution),
            Event::Rendered { id, result } => {
                if !self.state.renders.contains(&id) {
                    return Err(Rejected::new(RejectCode::Stale, "this render is not, or no longer, waited for"));
                }
                self.change(Change::RenderAnswered { id: id.clone() });
                self.then(Step::Answer(id, result));
                Ok(())
            }
            Event::Continue => self.go_on(),
            Event::TaskStarted { job, epoch } => self.job_started(&job, epoch),
            Event::EffectsBegan { job, epoch } => self.effects_began(&job, epoch),
            Event::TaskEnded { job, epoch, outcome } => self.job_ended(&job, epoch, outcome),
            Event::TaskLost { job, epoch, effects } => self.job_lost(&job, epoch, effects),
            Event::TaskReturned { job, epoch } => self.job_returned(&job, epoch),
            Event::UnitTask { job, epoch, task, report } => self.unit_task(&job, epoch, &task, report),
            Event::TimerDue { id } => self.timer_due(&id),
            Event::ChildStarted { child } => self.child_started(&child),
            Event::ChildEnded { child, result } => self.child_over(&child, result),
            Event::Split { job, result } => self.split_over(&job, result),
            Event::Merged { job, result } => self.merge_over(&job, result),
            Event::SlotGranted { slot } => self.slot_granted(slot),
            Event::SlotRefused => self.slot_refused(),
            Event::Kill { cascade } => self.kill(cascade),
            Event::Pause => self.hold(),
            Event::Resume { run, inputs } => self.resume(run.as_ref(), &inputs),
            Event::Restart { from } => self.restart(from.as_ref()),
            Event::ChangeState { run, state } => self.change_state(run.as_ref(), state),
            Event::SetLabels { labels } => self.set_labels(&labels),
            Event::SetBreakpoints { tasks } => {
                self.change(Change::Breakpoints { tasks });
                Ok(())
            }
            Event::ForceRun => self.force_run(),
            Event::Unqueue { state } => self.leave_queue(state),
        }
    }

    fn go_on(&mut self) -> Result<(), Rejected> {
        if self.state.status() == Some(Status::Restarted) && self.state.slot == Slot::None {
            self.begin_or_queue();
            return Ok(());
        }
        if self.state.backlog.is_empty() {
            return Err(Rejected::new(RejectCode::Stale, "there is nothing to go on with"));
        }
        self.continue_backlog();
        Ok(())
    }
}
