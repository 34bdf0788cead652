//! Replay: a new execution that has what another had up to a task run, and runs from there.

use std::collections::HashMap;
use std::sync::Arc;

use jiff::Timestamp;
use model::change::{Apart, Change, Phase, Place};
use model::execution::Execution;
use model::flow::Flow;
use model::ids::{TaskId, TaskRunId};
use model::task::{FlowTask, TaskKind};

use crate::decide::Decision;
use crate::draft::Draft;
use crate::event::{RejectCode, Rejected};
use crate::flowable::tasks_in;
use crate::ids::{RunKey, run_id};
use crate::state::{Node, State};

/// Decides the beginning of a replay. `source` has ended; `execution` is the new one, with its id, inputs and labels; `flow` is the
/// revision it runs. It goes on from a task run, or, without one, from what failed: a restart on another revision. The changes belong to
/// `State::new(flow)`; the first command is `Continue`.
pub fn replay(
    source: &State,
    flow: Arc<Flow>,
    execution: Execution,
    from: Option<&TaskRunId>,
    now: Timestamp,
) -> Result<Decision, Rejected> {
    let Some(original) = source.execution().filter(|_| source.is_closed()) else {
        return Err(Rejected::new(
            RejectCode::Conflict,
            "only an execution that has ended can be replayed (hint: wait for it, or kill it)",
        ));
    };
    let mut draft = Draft::new(&State::new(flow), now);
    draft.change(Change::Created {
        execution: Box::new(Execution {
            history: original.history.clone(),
            original: Some(original.original.clone().unwrap_or_else(|| original.id.clone())),
            variables: original.variables.clone(),
            semantics: model::execution::SEMANTICS,
            generation: 0,
            ..execution
        }),
    });
    if let Some(task) = from.and_then(|from| source.task_of(from)).filter(|task| is_merge(&task.kind)) {
        let message = format!(
            "the executions that `{}` gathers from belong to the other execution (hint: replay from the ForEachItem)",
            task.id
        );
        return Err(Rejected::new(RejectCode::Invalid, message));
    }
    let ids = draft.copy_runs(source);
    draft.change(Change::Closed);
    let from = match from {
        None => None,
        Some(from) => match ids.get(from).filter(|run| draft.task(run).is_some()) {
            Some(run) => Some(run),
            None => {
                return Err(Rejected::new(
                    RejectCode::Invalid,
                    format!("no task run `{from}` to replay from in this revision of the flow"),
                ));
            }
        },
    };
    draft.restart(from)?;
    draft.watch_slas();
    draft.settle();
    Ok(Decision { changes: draft.changes, commands: draft.commands })
}

fn is_merge(kind: &TaskKind) -> bool {
    matches!(kind, TaskKind::Flow(task) if matches!(task.as_ref(), FlowTask::MergeItems))
}

impl Draft {
    // Every task run but those of the flow's own cleanup, under the ids it has in the new execution.
    fn copy_runs(&mut self, source: &State) -> HashMap<TaskRunId, TaskRunId> {
        let mut ids: HashMap<TaskRunId, TaskRunId> = HashMap::new();
        for node in source.order.values().filter_map(|id| source.node(id)) {
            let parent = match &node.run.parent {
                Some(parent) => match ids.get(parent) {
                    Some(parent) => Some(parent.clone()),
                    None => continue,
                },
                // It belongs to the life that is over. That of a group stays as long as the group does.
                None if node.place.phase != Phase::Main => continue,
                None => None,
            };
            let Some(place) = self.place_in(parent.as_ref(), &node.run.task, node.place) else { continue };
            if let Some(id) = self.copy_run(source, node, parent, place) {
                ids.insert(node.run.id.clone(), id);
            }
        }
        ids
    }

    // Where a task stands in the revision that is run now, which may be another than the one it ran in; `None`: nowhere any more.
    fn place_in(&self, parent: Option<&TaskRunId>, task: &TaskId, old: Place) -> Option<Place> {
        let flow = self.flow();
        let found = tasks_in(&self.state, &flow, parent, old).iter().position(|known| known == task)?;
        let position = u32::try_from(found).ok()?;
        let lane = if self.tasks_are_lanes(parent) { position } else { old.lane };
        Some(Place { lane, position, ..old })
    }

    fn tasks_are_lanes(&self, parent: Option<&TaskRunId>) -> bool {
        let Some(task) = parent.and_then(|parent| self.task(parent)) else { return false };
        let TaskKind::Flow(flow) = &task.kind else { return false };
        matches!(flow.as_ref(), FlowTask::Parallel { .. } | FlowTask::Dag { .. })
    }

    fn copy_run(&mut self, source: &State, node: &Node, parent: Option<TaskRunId>, place: Place) -> Option<TaskRunId> {
        let old = &node.run;
        let execution = self.state.execution()?.id.clone();
        let loop_count = node
            .run
            .parent
            .as_ref()
            .and_then(|parent| source.node(parent))
            .and_then(|node| node.frame.as_ref())
            .map_or(0, |frame| frame.iteration);
        let iteration = old.iteration.zip(old.value.as_deref());
        let run =
            run_id(RunKey { execution: &execution, parent: parent.as_ref(), task: &old.task, iteration, loop_count });
        self.change(Change::RunCreated {
            run: run.clone(),
            task: old.task.clone(),
            parent,
            value: old.value.clone(),
            iteration: old.iteration,
            place,
            at: old.history.started(),
        });
        if let Some(evaluated) = &node.evaluated {
            self.change(Change::Evaluated { run: run.clone(), evaluated: evaluated.clone() });
        }
        if let Some(frame) = node.frame.as_ref().filter(|frame| frame.iteration != 0) {
            self.change(Change::Iteration { run: run.clone(), iteration: frame.iteration });
        }
        if let Some(limit) = node.frame.as_ref().and_then(|frame| frame.limit) {
            self.change(Change::TimeLimit { run: run.clone(), limit });
        }
        if old.has_outputs() {
            let of = source.execution().map(|source| (source.id.clone(), old.id.clone()));
            let apart = (!old.apart.is_empty()).then(|| Apart { names: old.apart.clone(), of });
            self.change(Change::Outputs { run: run.clone(), outputs: old.outputs.clone(), apart });
        }
        for (index, attempt) in old.attempts.iter().enumerate() {
            let number = index as u32 + 1;
            self.change(Change::AttemptStarted {
                run: run.clone(),
                attempt: number,
                epoch: 0,
                at: attempt.history.started(),
            });
            let (state, failure) = (attempt.history.current(), attempt.failure.clone());
            self.change(Change::AttemptEnded {
                run: run.clone(),
                attempt: number,
                state,
                failure,
                at: attempt.history.since(),
            });
        }
        for (state, at) in old.history.entries().iter().skip(1) {
            self.change(Change::RunEntered { run: run.clone(), state: *state, at: *at });
        }
        Some(run)
    }
}
