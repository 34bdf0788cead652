//! A state as it is stored: all of it, or what has changed since it was stored last, so that an execution of many task runs need not be
//! written again and again. What follows from the rest (the order, the index, what is paused) is not in it.

use std::collections::BTreeSet;
use std::sync::Arc;

use imbl::ordmap::DiffItem;
use imbl::{OrdMap, OrdSet};
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
    /// The sequence of the snapshot that this one is on top of. `None`: it says everything.
    #[serde(default)]
    base: Option<u64>,
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
    /// Those of `nodes` that have evaluated what the snapshot below says: the values of a ForEach are not written again and again.
    #[serde(default)]
    evaluated: BTreeSet<TaskRunId>,
    #[serde(default)]
    gone: Gone,
}

/// What the snapshot below has, and the state no more.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
struct Gone {
    /// Those that were created last come first: what a task run is known by hangs on those around it.
    nodes: Vec<TaskRunId>,
    renders: Vec<RenderId>,
    timers: Vec<TimerId>,
    jobs: Vec<TaskRunId>,
    children: Vec<ExecutionId>,
    items: Vec<TaskRunId>,
    files: Vec<TaskRunId>,
    backlog: Vec<Option<TaskRunId>>,
    breached: Vec<u32>,
    held_runs: Vec<TaskRunId>,
}

impl Snapshot {
    /// The sequence of the snapshot that this one is on top of.
    pub fn base(&self) -> Option<u64> {
        self.base
    }

    /// How many entries it has: about what it costs.
    pub fn len(&self) -> usize {
        let gone = &self.gone;
        let there = self.nodes.len() + self.jobs.len() + self.timers.len() + self.children.len() + self.renders.len();
        there + gone.nodes.len() + gone.jobs.len() + gone.timers.len() + gone.children.len() + gone.renders.len()
    }

    /// Whether it says nothing of any task run.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl State {
    /// Everything but the flow, in a form that can be stored.
    pub fn snapshot(&self) -> Snapshot {
        Snapshot { base: None, ..self.snapshot_since(&Self::new(self.flow.clone()), 0) }
    }

    /// What has changed since a state of the same execution that was stored with this sequence. Costs what has changed, where this state
    /// came from that one by [`State::apply`].
    pub fn snapshot_since(&self, before: &Self, base: u64) -> Snapshot {
        let mut nodes = Vec::new();
        let mut evaluated = BTreeSet::new();
        let mut gone_nodes = Vec::new();
        for item in before.nodes.diff(&self.nodes) {
            match item {
                DiffItem::Update { old: (_, old), new: (id, node) }
                    if node.evaluated.is_some() && old.evaluated == node.evaluated =>
                {
                    evaluated.insert(id.clone());
                    nodes.push(Arc::new(Node { evaluated: None, ..(**node).clone() }));
                }
                DiffItem::Add(_, node) | DiffItem::Update { new: (_, node), .. } => nodes.push(node.clone()),
                DiffItem::Remove(_, node) => gone_nodes.push(node),
            }
        }
        nodes.sort_by_key(|node| node.seq);
        gone_nodes.sort_by_key(|node| std::cmp::Reverse(node.seq));
        let (renders, gone_renders) = set_diff(&before.renders, &self.renders);
        let (timers, gone_timers) = map_diff(&before.timers, &self.timers);
        let (jobs, gone_jobs) = map_diff(&before.jobs, &self.jobs);
        let (children, gone_children) = map_diff(&before.children, &self.children);
        let (items, gone_items) = map_diff(&before.items, &self.items);
        let (files, gone_files) = set_diff(&before.files, &self.files);
        let (backlog, gone_backlog) = set_diff(&before.backlog, &self.backlog);
        let (breached, gone_breached) = set_diff(&before.breached, &self.breached);
        let (held_runs, gone_held_runs) = set_diff(&before.held_runs, &self.held_runs);
        Snapshot {
            base: Some(base),
            execution: self.execution.clone(),
            root: self.root.clone(),
            nodes,
            next_seq: self.next_seq,
            renders,
            timers,
            jobs,
            children,
            items,
            files,
            backlog,
            breached,
            stop: self.stop,
            slot: self.slot,
            held: self.held,
            held_runs,
            evaluated,
            gone: Gone {
                nodes: gone_nodes.into_iter().map(|node| node.run.id.clone()).collect(),
                renders: gone_renders,
                timers: gone_timers,
                jobs: gone_jobs,
                children: gone_children,
                items: gone_items,
                files: gone_files,
                backlog: gone_backlog,
                breached: gone_breached,
                held_runs: gone_held_runs,
            },
        }
    }

    /// How many entries a snapshot of everything has: as many as [`Snapshot::len`] tells of it.
    pub fn weight(&self) -> usize {
        self.nodes.len() + self.jobs.len() + self.timers.len() + self.children.len() + self.renders.len()
    }

    /// The state that was stored whole. With another revision of the flow it is a restart on that revision.
    pub fn restore(flow: Arc<Flow>, snapshot: Snapshot) -> Self {
        let mut state = Self::new(flow);
        state.restore_on_top(snapshot);
        state
    }

    /// Goes from the state that a snapshot is on top of to the one it was made of.
    pub fn restore_on_top(&mut self, snapshot: Snapshot) {
        let gone = snapshot.gone;
        gone.nodes.iter().for_each(|run| self.remove(run));
        for mut node in snapshot.nodes {
            let id = node.run.id.clone();
            if snapshot.evaluated.contains(&id) {
                let below = self.node(&id).and_then(|below| below.evaluated.clone());
                Arc::make_mut(&mut node).evaluated = below;
            }
            match node.run.state() {
                Status::Paused => drop(self.paused.insert(id.clone())),
                _ => drop(self.paused.remove(&id)),
            }
            // One that was there stays known by what it was known by, even where a newer one has taken its place.
            if !self.nodes.contains_key(&id) {
                self.order.insert(node.seq, id.clone());
                let values = self.values_path(node.run.parent.as_ref(), node.run.value.as_ref());
                self.index.insert(Arc::new((node.run.task.clone(), values)), id.clone());
            }
            self.nodes.insert(id, node);
        }
        self.execution = snapshot.execution;
        self.root = snapshot.root;
        self.next_seq = snapshot.next_seq;
        self.stop = snapshot.stop;
        self.slot = snapshot.slot;
        self.held = snapshot.held;
        set_patch(&mut self.renders, snapshot.renders, &gone.renders);
        map_patch(&mut self.timers, snapshot.timers, &gone.timers);
        map_patch(&mut self.jobs, snapshot.jobs, &gone.jobs);
        map_patch(&mut self.children, snapshot.children, &gone.children);
        map_patch(&mut self.items, snapshot.items, &gone.items);
        set_patch(&mut self.files, snapshot.files, &gone.files);
        set_patch(&mut self.backlog, snapshot.backlog, &gone.backlog);
        set_patch(&mut self.breached, snapshot.breached, &gone.breached);
        set_patch(&mut self.held_runs, snapshot.held_runs, &gone.held_runs);
    }
}

/// What is new or other, and what is gone.
fn map_diff<K: Ord + Clone, V: PartialEq + Clone>(before: &OrdMap<K, V>, now: &OrdMap<K, V>) -> (Vec<(K, V)>, Vec<K>) {
    let (mut there, mut gone) = (Vec::new(), Vec::new());
    for item in before.diff(now) {
        match item {
            DiffItem::Add(key, value) | DiffItem::Update { new: (key, value), .. } => {
                there.push((key.clone(), value.clone()));
            }
            DiffItem::Remove(key, _) => gone.push(key.clone()),
        }
    }
    (there, gone)
}

fn set_diff<K: Ord + Clone>(before: &OrdSet<K>, now: &OrdSet<K>) -> (Vec<K>, Vec<K>) {
    let (mut there, mut gone) = (Vec::new(), Vec::new());
    for item in before.diff(now) {
        match item {
            imbl::ordset::DiffItem::Add(key) => there.push(key.clone()),
            imbl::ordset::DiffItem::Remove(key) => gone.push(key.clone()),
        }
    }
    (there, gone)
}

fn map_patch<K: Ord + Clone, V: Clone>(map: &mut OrdMap<K, V>, there: Vec<(K, V)>, gone: &[K]) {
    gone.iter().for_each(|key| drop(map.remove(key)));
    there.into_iter().for_each(|(key, value)| drop(map.insert(key, value)));
}

fn set_patch<K: Ord + Clone>(set: &mut OrdSet<K>, there: Vec<K>, gone: &[K]) {
    gone.iter().for_each(|key| drop(set.remove(key)));
    there.into_iter().for_each(|key| drop(set.insert(key)));
}
