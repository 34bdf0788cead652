//! A state as it is stored. What follows from the rest (the order, the index, what is paused) is not in it.

use std::sync::Arc;

use jiff::Timestamp;
use model::change::{RenderId, Stop, TimerId};
use model::execution::Execution;
use model::flow::Flow;
use model::ids::{ExecutionId, TaskRunId};
use model::state::State as Status;
use serde::{Deserialize, Serialize};

use crate::items::Items;
use crate::state::{ChildWait, Frame, Job, Node, Slot, State};

/// A state as it is stored now and then, so that not every change must be folded again. The flow is not in it: it is immutable and stored once.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Snapshot {
    execution: Option<Arc<Execution>>,
    root: Arc<Frame>,
    nodes: Vec<Arc<Node>>,
    next_seq: u64,
    renders: Vec<RenderId>,
    timers: Vec<(TimerId, Timestamp)>,
    jobs: Vec<(TaskRunId, Job)>,
    children: Vec<(ExecutionId, ChildWait)>,
    #[serde(default)]
    items: Vec<(TaskRunId, Arc<Items>)>,
    #[serde(default)]
    files: Vec<TaskRunId>,
    backlog: Vec<Option<TaskRunId>>,
    breached: Vec<u32>,
    stop: Option<Stop>,
    slot: Slot,
    held: bool,
    held_runs: Vec<TaskRunId>,
}

impl State {
    /// Everything but the flow, in a form that can be stored.
    pub fn snapshot(&self) -> Snapshot {
        Snapshot {
            execution: self.execution.clone(),
            root: self.root.clone(),
            nodes: self.order.values().filter_map(|id| self.nodes.get(id).cloned()).collect(),
            next_seq: self.next_seq,
            renders: self.renders.iter().cloned().collect(),
            timers: self.timers.iter().map(|(id, due)| (id.clone(), *due)).collect(),
            jobs: self.jobs.iter().map(|(run, job)| (run.clone(), job.clone())).collect(),
            children: self.children.iter().map(|(id, wait)| (id.clone(), wait.clone())).collect(),
            items: self.items.iter().map(|(run, items)| (run.clone(), items.clone())).collect(),
            files: self.files.iter().cloned().collect(),
            backlog: self.backlog.iter().cloned().collect(),
            breached: self.breached.iter().copied().collect(),
            stop: self.stop,
            slot: self.slot,
            held: self.held,
            held_runs: self.held_runs.iter().cloned().collect(),
        }
    }

    /// The state that was stored. With another revision of the flow it is a restart on that revision.
    pub fn restore(flow: Arc<Flow>, snapshot: Snapshot) -> Self {
        let mut state = Self::new(flow);
        for node in snapshot.nodes {
            state.order.insert(node.seq, node.run.id.clone());
            if node.run.state() == Status::Paused {
                state.paused.insert(node.run.id.clone());
            }
            let key =
                Arc::new((node.run.task.clone(), state.values_path(node.run.parent.as_ref(), node.run.value.as_ref())));
            state.index.insert(key, node.run.id.clone());
            state.nodes.insert(node.run.id.clone(), node);
        }
        State {
            execution: snapshot.execution,
            root: snapshot.root,
            next_seq: snapshot.next_seq,
            renders: snapshot.renders.into_iter().collect(),
            timers: snapshot.timers.into_iter().collect(),
            jobs: snapshot.jobs.into_iter().collect(),
            children: snapshot.children.into_iter().collect(),
            items: snapshot.items.into_iter().collect(),
            files: snapshot.files.into_iter().collect(),
            backlog: snapshot.backlog.into_iter().collect(),
            breached: snapshot.breached.into_iter().collect(),
            stop: snapshot.stop,
            slot: snapshot.slot,
            held: snapshot.held,
            held_runs: snapshot.held_runs.into_iter().collect(),
            ..state
        }
    }
}
