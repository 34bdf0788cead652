//! Dag: every task begins when those it depends on have ended well.

use model::change::{Phase, Place};
use model::ids::{TaskId, TaskRunId};
use model::state::State as Status;
use model::task::{FlowTask, TaskKind};

use super::{Shape, enabled};
use crate::draft::Draft;

impl Draft {
    /// Begins what can begin; with nothing left to begin and nothing open, the phase is over.
    pub(crate) fn fill_dag(&mut self, parent: Option<&TaskRunId>) {
        let Shape::Dag { limit } = self.shape(parent) else { return };
        let Some(task) = parent.and_then(|run| self.task(run)) else { return };
        let TaskKind::Flow(flow_task) = &task.kind else { return };
        let FlowTask::Dag { block, depends_on, .. } = flow_task.as_ref() else { return };
        for (index, id) in block.tasks.iter().enumerate() {
            if limit > 0 && self.frame(parent).open >= limit || self.stopping() {
                break;
            }
            let needs = depends_on.get(index).map_or(&[][..], Vec::as_slice);
            if self.may_begin(parent, id) && needs.iter().all(|need| self.is_satisfied(parent, &block.tasks, *need)) {
                let position = index as u32;
                self.create(parent, id, Place { phase: Phase::Main, lane: position, position }, None);
            }
        }
        if self.frame(parent).open == 0 {
            self.phase_over(parent, Phase::Main);
        }
    }

    fn may_begin(&self, parent: Option<&TaskRunId>, id: &TaskId) -> bool {
        let flow = self.flow();
        enabled(&flow, id) && self.child_run_id(parent, id, None).is_some_and(|run| self.state.node(&run).is_none())
    }

    // A disabled task stands in nobody's way.
    fn is_satisfied(&self, parent: Option<&TaskRunId>, tasks: &[TaskId], need: usize) -> bool {
        let Some(id) = tasks.get(need) else { return true };
        if !enabled(&self.flow(), id) {
            return true;
        }
        let state = self.child_run_id(parent, id, None).and_then(|run| self.run_status(&run));
        state.is_some_and(|state| matches!(state, Status::Success | Status::Warning | Status::Skipped))
    }
}
