//! How many executions of a flow run at once. A slot is held by the execution that has it, through pauses, and given back at its end.

use model::change::{Change, Cleanup, Stop, TimerPurpose};
use model::flow::Overflow;
use model::state::State as Status;

use crate::command::Command;
use crate::draft::{Draft, failure};
use crate::event::{RejectCode, Rejected};
use crate::state::{Slot, State};

impl Draft {
    /// Begins the execution, or asks for the slot it needs first.
    pub(crate) fn begin_or_queue(&mut self) {
        match take_slot(&self.state) {
            Some(command) => {
                self.change(Change::SlotAsked);
                self.command(command);
            }
            None => self.run_flow(),
        }
    }

    fn run_flow(&mut self) {
        self.enter_execution(Status::Running);
        // One without task runs begins with its first task.
        self.rerun();
        self.look_at_slas();
    }

    pub(crate) fn slot_granted(&mut self, slot: u32) -> Result<(), Rejected> {
        match self.state.slot {
            Slot::Asked | Slot::Waiting => {
                self.change(Change::SlotTaken { slot });
                self.run_flow();
                Ok(())
            }
            Slot::Held(held) if held == slot => {
                Err(Rejected::new(RejectCode::Duplicate, format!("slot {slot} is held already")))
            }
            // It ended, was waived or has another one: the slot goes back.
            Slot::Held(_) | Slot::None => {
                self.command(Command::FreeSlot { flow: self.state.flow.key.clone(), slot });
                Ok(())
            }
        }
    }

    pub(crate) fn slot_refused(&mut self) -> Result<(), Rejected> {
        if self.state.slot != Slot::Asked {
            return Err(Rejected::new(RejectCode::Stale, "the execution has not asked for a slot"));
        }
        let behavior = self.state.flow.concurrency.map_or(Overflow::Queue, |concurrency| concurrency.behavior);
        let end = match behavior {
            Overflow::Queue => {
                self.change(Change::SlotRefused);
                self.enter_execution(Status::Queued);
                return Ok(());
            }
            Overflow::Cancel => Status::Cancelled,
            Overflow::Fail => Status::Failed,
        };
        self.change(Change::SlotWaived);
        let problem = failure("no-slot", "as many executions of the flow are running as its concurrency limit allows");
        self.change(Change::Failed { failure: problem });
        self.stop(Stop { state: end, cleanup: Cleanup::None });
        Ok(())
    }

    /// A queued execution starts without a slot, or leaves the queue into an end state.
    pub(crate) fn leave_queue(&mut self, state: Status) -> Result<(), Rejected> {
        if self.state.status() != Some(Status::Queued) {
            return Err(Rejected::new(RejectCode::Conflict, "the execution is not queued"));
        }
        match state {
            Status::Running => {
                self.change(Change::SlotWaived);
                self.run_flow();
            }
            Status::Cancelled | Status::Failed => {
                self.change(Change::SlotWaived);
                self.stop(Stop { state, cleanup: Cleanup::None });
            }
            _ => {
                return Err(Rejected::new(
                    RejectCode::Invalid,
                    format!("an execution cannot leave the queue into {state} (hint: RUNNING, CANCELLED or FAILED)"),
                ));
            }
        }
        Ok(())
    }

    /// What waits for its time, a slot or somebody runs now.
    pub(crate) fn force_run(&mut self) -> Result<(), Rejected> {
        match self.state.status() {
            Some(Status::Queued) => self.leave_queue(Status::Running),
            Some(Status::Paused | Status::Breakpoint) => self.resume(None, &expr::Map::new()),
            Some(Status::Created) => {
                self.clear_timer(None, TimerPurpose::Schedule);
                self.free_slot();
                self.run_flow();
                Ok(())
            }
            Some(Status::Running) => Ok(()),
            _ => Err(self.over("force")),
        }
    }

    pub(crate) fn free_slot(&mut self) {
        match self.state.slot {
            Slot::Held(slot) => {
                self.change(Change::SlotFreed);
                self.command(Command::FreeSlot { flow: self.state.flow.key.clone(), slot });
            }
            Slot::Asked | Slot::Waiting => self.change(Change::SlotWaived),
            Slot::None => {}
        }
    }
}

/// The command that asks for a slot, if the flow has a limit.
pub(crate) fn take_slot(state: &State) -> Option<Command> {
    let concurrency = state.flow.concurrency?;
    Some(Command::TakeSlot { flow: state.flow.key.clone(), limit: concurrency.limit, behavior: concurrency.behavior })
}
