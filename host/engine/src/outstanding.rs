//! What an execution still waits for, from its state alone: what a node asks for again when it takes the execution over.

use model::change::RenderId;
use model::state::State as Status;

use crate::command::Command;
use crate::draft::render_scope;
use crate::event::JobId;
use crate::flowable::items::files_command;
use crate::flowable::subflow::start_command;
use crate::job::run_command;
use crate::slots::take_slot;
use crate::state::{Slot, State};
use crate::templates::templates;

impl State {
    /// Every command whose answer has not come. Carrying one out twice is harmless: its answer is taken once.
    pub fn outstanding(&self) -> Vec<Command> {
        let render = |id: &RenderId| Command::Render {
            id: id.clone(),
            scope: render_scope(self, id),
            templates: templates(self, id),
        };
        let mut commands: Vec<Command> = self.renders.iter().map(render).collect();
        commands.extend(self.jobs.iter().filter(|(_, job)| !job.started).filter_map(|(run, _)| run_command(self, run)));
        commands.extend(self.jobs.iter().filter(|(_, job)| job.cancel.is_some()).map(|(run, job)| {
            Command::CancelRun { job: JobId { run: run.clone(), attempt: job.attempt, generation: job.generation } }
        }));
        commands.extend(self.timers.iter().map(|(id, due)| Command::SetTimer { id: id.clone(), due: *due }));
        commands.extend(self.children.keys().filter_map(|child| start_command(self, child)));
        commands.extend(self.files.iter().filter_map(|run| files_command(self, run)));
        if self.slot == Slot::Asked || self.slot == Slot::Waiting {
            commands.extend(take_slot(self));
        }
        let restarted = self.status() == Some(Status::Restarted) && self.slot == Slot::None;
        if !self.backlog.is_empty() || restarted {
            commands.push(Command::Continue);
        }
        commands
    }

    /// Attempts that workers hold, with the epochs of their leases. Whoever takes the execution over reports those lost whose lease is.
    pub fn running(&self) -> Vec<(JobId, u64)> {
        let held = self.jobs.iter().filter(|(_, job)| job.started);
        held.map(|(run, job)| (JobId { run: run.clone(), attempt: job.attempt, generation: job.generation }, job.epoch))
            .collect()
    }

    /// Whether an attempt in flight may have had an effect outside.
    pub fn effects_began(&self, job: &JobId) -> bool {
        self.jobs.get(&job.run).is_some_and(|known| known.attempt == job.attempt && known.effects)
    }
}
