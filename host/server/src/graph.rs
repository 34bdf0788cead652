//! The graph of a flow: its tasks and triggers as nodes, what comes after what as edges, what is in what as clusters. The names of types and
//! relations are Kestra's; the ids of nodes are paths of task ids, so that they stay the same while the flow does.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use expr::Value;
use model::flow::Flow;
use model::ids::TaskId;
use model::task::{Block, FlowTask, Subflow, TaskKind};

use crate::error::Error;
use crate::flows::SavedFlow;
use crate::node::Node;

/// Subflows shown within the graph of one flow.
const EXPANDED_MAX: usize = 50;
/// Most nodes of a graph: what is larger nobody can look at.
const NODES_MAX: usize = 20_000;

/// What a node is.
#[derive(Clone, Debug, PartialEq)]
pub enum Kind {
    /// Where a cluster begins, and where it ends.
    Start,
    End,
    /// Where the tasks of `finally`, or of `afterExecution`, begin.
    Finally,
    AfterExecution,
    Task {
        /// As the flow writes it.
        written: Value,
        id: TaskId,
        /// The flow that a task without expressions in these properties starts.
        starts: Option<(String, String)>,
    },
    Trigger(Value),
}

/// One node.
#[derive(Clone, Debug, PartialEq)]
pub struct Vertex {
    pub uid: String,
    pub kind: Kind,
    /// How it comes about.
    pub relation: Relation,
    /// The branch it is in, where that is not the plain one.
    pub branch: Option<Relation>,
}

/// Why one node comes after another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Relation {
    Sequential,
    Choice,
    Error,
    Finally,
    AfterExecution,
    Parallel,
    Dynamic,
}

/// One node comes after another.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Edge {
    pub source: String,
    pub target: String,
    pub relation: Relation,
    /// The case of a choice.
    pub value: Option<String>,
}

/// Nodes that belong together: those of a task with tasks, of a subflow, or the triggers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cluster {
    pub uid: String,
    /// The task it is of; `None`: the triggers.
    pub task: Option<String>,
    pub nodes: Vec<String>,
    /// The clusters it is in, outermost first.
    pub parents: Vec<String>,
    pub start: String,
    pub end: String,
}

/// A flow as a graph.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Graph {
    pub nodes: Vec<Vertex>,
    pub edges: Vec<Edge>,
    pub clusters: Vec<Cluster>,
    /// The nodes of tasks that have tasks.
    pub flowables: Vec<String>,
}

impl Node {
    /// The graph of a flow, with the flows that these nodes start shown within.
    pub async fn graph(&self, flow: &Flow, document: &Value, subflows: &[String]) -> Result<Graph, Error> {
        let mut expanded: HashMap<String, Arc<SavedFlow>> = HashMap::new();
        if subflows.len() > EXPANDED_MAX {
            let message = format!("{} subflows are to be shown, at most {EXPANDED_MAX} are", subflows.len());
            return Err(Error::bad_request("query.invalid", message));
        }
        // A node within a subflow is there once that is shown.
        for _ in 0..=subflows.len() {
            let graph = of(flow, document, &expanded);
            let wanted = graph.nodes.iter().filter_map(|node| match &node.kind {
                Kind::Task { starts: Some(starts), .. } => Some((&node.uid, starts)),
                _ => None,
            });
            let more = wanted.filter(|(uid, _)| subflows.contains(uid) && !expanded.contains_key(*uid));
            let more: Vec<(String, (String, String))> =
                more.map(|(uid, starts)| (uid.clone(), starts.clone())).collect();
            if graph.nodes.len() > NODES_MAX {
                let message = format!("the graph has more than {NODES_MAX} nodes; hint: show fewer subflows");
                return Err(Error::bad_request("query.invalid", message));
            }
            if more.is_empty() {
                return Ok(graph);
            }
            for (uid, (namespace, id)) in more {
                expanded.insert(uid, self.flow(&namespace, &id, None).await?);
            }
        }
        Ok(of(flow, document, &expanded))
    }
}

/// The graph of a flow with these subflows shown within.
fn of(flow: &Flow, document: &Value, expanded: &HashMap<String, Arc<SavedFlow>>) -> Graph {
    let mut drawing = Drawing { graph: Graph::default(), expanded, parents: Vec::new() };
    let start = drawing.whole("root", flow, document);
    drawing.triggers(flow, document, &start.0);
    drawing.graph
}

/// A part of the graph while it is drawn: all of it is within one task, or the flow itself.
#[derive(Clone, Copy)]
struct Place<'a> {
    flow: &'a Flow,
    written: &'a BTreeMap<&'a str, &'a Value>,
    /// What the ids of its nodes begin with.
    prefix: &'a str,
    branch: Option<Relation>,
}

struct Drawing<'a> {
    graph: Graph,
    expanded: &'a HashMap<String, Arc<SavedFlow>>,
    /// The clusters that are open.
    parents: Vec<usize>,
}

impl Drawing<'_> {
    /// A whole flow, from its start to its end.
    fn whole(&mut self, prefix: &str, flow: &Flow, document: &Value) -> (String, String) {
        let tasks = written(document);
        let place = Place { flow, written: &tasks, prefix, branch: None };
        let (start, end) = (format!("{prefix}.start"), format!("{prefix}.end"));
        self.node(&start, Kind::Start, Relation::Sequential, None);
        let mut exits = vec![self.sequence(place, &flow.tasks, &start, Relation::Sequential, None)];
        if !flow.errors.is_empty() {
            let errors = Place { branch: Some(Relation::Error), ..place };
            exits.push(self.sequence(errors, &flow.errors, &start, Relation::Error, None));
        }
        if !flow.finally.is_empty() {
            exits = vec![self.then(place, Relation::Finally, &flow.finally, exits)];
        }
        if !flow.after_execution.is_empty() {
            exits = vec![self.then(place, Relation::AfterExecution, &flow.after_execution, exits)];
        }
        self.node(&end, Kind::End, Relation::Sequential, None);
        for exit in exits {
            self.edge(&exit, &end, Relation::Sequential, None);
        }
        (start, end)
    }

    /// What runs after all of these, whatever became of them. Its exit.
    fn then(&mut self, place: Place<'_>, branch: Relation, tasks: &[TaskId], after: Vec<String>) -> String {
        let (name, kind) = match branch {
            Relation::AfterExecution => ("afterExecution", Kind::AfterExecution),
            _ => ("finally", Kind::Finally),
        };
        let uid = format!("{}.{name}", place.prefix);
        self.node(&uid, kind, branch, Some(branch));
        for exit in after {
            self.edge(&exit, &uid, branch, None);
        }
        self.sequence(Place { branch: Some(branch), ..place }, tasks, &uid, branch, None)
    }

    /// Tasks one after another, behind a node. Their exit; where there are none, the node itself.
    fn sequence(
        &mut self,
        place: Place<'_>,
        tasks: &[TaskId],
        behind: &str,
        relation: Relation,
        value: Option<&str>,
    ) -> String {
        let mut last = behind.to_owned();
        for (number, id) in tasks.iter().enumerate() {
            let first = number == 0;
            let relation = if first { relation } else { Relation::Sequential };
            let (entry, exit) = self.task(place, id, relation);
            self.edge(&last, &entry, relation, value.filter(|_| first));
            last = exit;
        }
        last
    }

    fn task(&mut self, place: Place<'_>, id: &TaskId, relation: Relation) -> (String, String) {
        let uid = format!("{}.{id}", place.prefix);
        let task = place.flow.task(id);
        let starts = task.and_then(|task| match &task.kind {
            TaskKind::Flow(flow) => match flow.as_ref() {
                FlowTask::Subflow(subflow) | FlowTask::RunItems(subflow) => named(subflow, place.flow),
                _ => None,
            },
            _ => None,
        });
        let unwritten = || {
            let type_name = task.map(|task| task.type_name.as_str()).unwrap_or_default();
            Value::map([("id", Value::from(id.as_str())), ("type", Value::from(type_name))])
        };
        let written = place.written.get(id.as_str()).map_or_else(unwritten, |task| (*task).clone());
        let kind = Kind::Task { written, id: id.clone(), starts };
        let children = task.and_then(|task| match &task.kind {
            TaskKind::Flow(flow) => Some(flow.as_ref()),
            _ => None,
        });
        if let Some(child) = self.expanded.get(&uid).cloned() {
            let cluster = self.open(&uid, Some(&uid));
            self.node(&uid, kind, relation, place.branch);
            let (start, end) = self.whole(&uid, &child.flow, &child.document);
            self.edge(&uid, &start, Relation::Sequential, None);
            self.close(cluster, &uid, &end);
            return (uid, end);
        }
        let Some(control) = children.filter(|control| has_tasks(control)) else {
            self.node(&uid, kind, relation, place.branch);
            return (uid.clone(), uid);
        };
        self.graph.flowables.push(uid.clone());
        let cluster = self.open(&uid, Some(&uid));
        let (start, end) = (format!("{uid}.start"), format!("{uid}.end"));
        self.node(&start, Kind::Start, relation, place.branch);
        self.node(&uid, kind, relation, place.branch);
        self.edge(&start, &uid, Relation::Sequential, None);
        let exits = self.within(Place { prefix: &uid, ..place }, control);
        self.node(&end, Kind::End, Relation::Sequential, place.branch);
        for exit in exits {
            self.edge(&exit, &end, Relation::Sequential, None);
        }
        self.close(cluster, &start, &end);
        (start, end)
    }

    /// What is within a task. Where it is left.
    fn within(&mut self, place: Place<'_>, control: &FlowTask) -> Vec<String> {
        let uid = place.prefix;
        let none = Block::default();
        let (block, mut exits) = match control {
            FlowTask::Parallel { block, .. } => {
                let exits = block.tasks.iter().map(|task| {
                    let (entry, exit) = self.task(place, task, Relation::Parallel);
                    self.edge(uid, &entry, Relation::Parallel, None);
                    exit
                });
                (block, exits.collect())
            }
            FlowTask::Dag { block, depends_on, .. } => (block, self.dag(place, block, depends_on)),
            FlowTask::If { block, otherwise, .. } => {
                let branches = [("then", &block.tasks), ("else", otherwise)];
                (block, self.choices(place, branches.iter().map(|(name, tasks)| (*name, &tasks[..]))))
            }
            FlowTask::Switch { cases, defaults, block, .. } => {
                let cases = cases.iter().map(|(value, tasks)| (value.as_str(), &tasks[..]));
                (block, self.choices(place, cases.chain([("defaults", &defaults[..])])))
            }
            FlowTask::ForEach { block, .. } => {
                (block, vec![self.sequence(place, &block.tasks, uid, Relation::Dynamic, None)])
            }
            FlowTask::Pause(pause) => {
                let on_pause = pause.on_pause.iter().cloned().collect::<Vec<_>>();
                let after = self.sequence(place, &on_pause, uid, Relation::Sequential, None);
                (&pause.block, vec![self.sequence(place, &pause.block.tasks, &after, Relation::Sequential, None)])
            }
            FlowTask::Sequential(block)
            | FlowTask::AllowFailure(block)
            | FlowTask::ForEachItem(block)
            | FlowTask::LoopUntil { block, .. }
            | FlowTask::WorkingDirectory { block, .. } => {
                (block, vec![self.sequence(place, &block.tasks, uid, Relation::Sequential, None)])
            }
            _ => (&none, vec![uid.to_owned()]),
        };
        if !block.errors.is_empty() {
            let errors = Place { branch: Some(Relation::Error), ..place };
            exits.push(self.sequence(errors, &block.errors, uid, Relation::Error, None));
        }
        match block.finally.is_empty() {
            true => exits,
            false => vec![self.then(place, Relation::Finally, &block.finally, exits)],
        }
    }

    fn choices<'t>(
        &mut self,
        place: Place<'_>,
        branches: impl Iterator<Item = (&'t str, &'t [TaskId])>,
    ) -> Vec<String> {
        let drawn = branches.filter(|(_, tasks)| !tasks.is_empty());
        drawn.map(|(name, tasks)| self.sequence(place, tasks, place.prefix, Relation::Choice, Some(name))).collect()
    }

    fn dag(&mut self, place: Place<'_>, block: &Block, depends_on: &[Vec<usize>]) -> Vec<String> {
        let ends: Vec<(String, String)> =
            block.tasks.iter().map(|task| self.task(place, task, Relation::Sequential)).collect();
        for (number, (entry, _)) in ends.iter().enumerate() {
            let before = depends_on.get(number).map(Vec::as_slice).unwrap_or_default();
            if before.is_empty() {
                self.edge(place.prefix, entry, Relation::Parallel, None);
            }
            for (_, exit) in before.iter().filter_map(|before| ends.get(*before)) {
                self.edge(exit, entry, Relation::Sequential, None);
            }
        }
        let is_last = |number: &usize| !depends_on.iter().any(|before| before.contains(number));
        ends.iter().enumerate().filter(|(number, _)| is_last(number)).map(|(_, (_, exit))| exit.clone()).collect()
    }

    fn triggers(&mut self, flow: &Flow, document: &Value, start: &str) {
        if flow.triggers.is_empty() {
            return;
        }
        let listed = document.get("triggers").and_then(Value::as_list).unwrap_or_default();
        let cluster = self.open("root.Triggers", None);
        let (first, last) = ("root.Triggers.start".to_owned(), "root.Triggers.end".to_owned());
        self.node(&first, Kind::Start, Relation::Sequential, None);
        for trigger in &flow.triggers {
            let uid = format!("root.Triggers.{}", trigger.id);
            let is_it = |written: &&Value| written.get("id").and_then(Value::as_str) == Some(trigger.id.as_str());
            let written = listed.iter().find(is_it).cloned().unwrap_or_default();
            self.node(&uid, Kind::Trigger(written), Relation::Sequential, None);
            self.edge(&first, &uid, Relation::Sequential, None);
            self.edge(&uid, &last, Relation::Sequential, None);
        }
        self.node(&last, Kind::End, Relation::Sequential, None);
        self.close(cluster, &first, &last);
        self.edge(&last, start, Relation::Sequential, None);
    }

    fn node(&mut self, uid: &str, kind: Kind, relation: Relation, branch: Option<Relation>) {
        if let Some(cluster) = self.parents.last().and_then(|open| self.graph.clusters.get_mut(*open)) {
            cluster.nodes.push(uid.to_owned());
        }
        self.graph.nodes.push(Vertex { uid: uid.to_owned(), kind, relation, branch });
    }

    fn edge(&mut self, source: &str, target: &str, relation: Relation, value: Option<&str>) {
        let value = value.map(str::to_owned);
        self.graph.edges.push(Edge { source: source.to_owned(), target: target.to_owned(), relation, value });
    }

    fn open(&mut self, uid: &str, task: Option<&str>) -> usize {
        let parents = self.parents.iter().filter_map(|open| self.graph.clusters.get(*open));
        let parents = parents.map(|parent| parent.uid.clone()).collect();
        self.graph.clusters.push(Cluster {
            uid: format!("cluster_{uid}"),
            task: task.map(str::to_owned),
            nodes: Vec::new(),
            parents,
            start: String::new(),
            end: String::new(),
        });
        let number = self.graph.clusters.len() - 1;
        self.parents.push(number);
        number
    }

    fn close(&mut self, number: usize, start: &str, end: &str) {
        self.parents.pop();
        if let Some(cluster) = self.graph.clusters.get_mut(number) {
            (cluster.start, cluster.end) = (start.to_owned(), end.to_owned());
        }
    }
}

fn has_tasks(control: &FlowTask) -> bool {
    match control {
        FlowTask::Pause(pause) => pause.on_pause.is_some() || pause.block != Block::default(),
        FlowTask::SplitItems { .. }
        | FlowTask::RunItems(_)
        | FlowTask::MergeItems
        | FlowTask::Sleep { .. }
        | FlowTask::Subflow(_)
        | FlowTask::Template { .. } => false,
        _ => true,
    }
}

/// The flow that a task starts, where no expression decides which.
pub(crate) fn named(subflow: &Subflow, flow: &Flow) -> Option<(String, String)> {
    let plain = |value: &Value| {
        let text = value.as_str()?.trim();
        match text {
            "{{ flow.namespace }}" | "{{flow.namespace}}" => Some(flow.key.namespace.to_string()),
            text if text.contains("{{") || text.contains("{%") => None,
            text => Some(text.to_owned()),
        }
    };
    Some((plain(&subflow.namespace.0)?, plain(&subflow.flow_id.0)?))
}

/// The tasks as the flow writes them, by id.
fn written(document: &Value) -> BTreeMap<&str, &Value> {
    model::edit::tasks(document).into_iter().collect()
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use super::*;

    fn drawn(source: &str) -> Graph {
        let flow = crate::plugins::reread(source, &[]).unwrap();
        of(&flow, &model::read_yaml(source).unwrap(), &HashMap::new())
    }

    /// Edges as `a>b`, with what is not plain behind.
    fn check(tasks: &str, expected: &[&str]) {
        let graph = drawn(&format!("id: f\nnamespace: n\n{tasks}"));
        let edges: Vec<String> = graph
            .edges
            .iter()
            .map(|edge| {
                let short = |uid: &str| uid.strip_prefix("root.").unwrap_or(uid).to_owned();
                let value = edge.value.as_ref().map(|value| format!("={value}")).unwrap_or_default();
                let how = match edge.relation {
                    Relation::Sequential => String::new(),
                    other => format!(" {other:?}"),
                };
                format!("{}>{}{how}{value}", short(&edge.source), short(&edge.target))
            })
            .collect();
        assert_eq!(edges, expected, "{tasks}");
        // Every edge joins nodes that are there, and every cluster has its own.
        let there = |uid: &String| graph.nodes.iter().any(|node| node.uid == *uid);
        assert!(graph.edges.iter().all(|edge| there(&edge.source) && there(&edge.target)), "{tasks}");
        let whole = |cluster: &Cluster| cluster.nodes.contains(&cluster.start) && cluster.nodes.contains(&cluster.end);
        assert!(graph.clusters.iter().all(whole), "{:?}", graph.clusters);
    }

    const LOG: &str = "type: io.kestra.plugin.core.log.Log, message: x";
    const AT: &str = "type: io.kestra.plugin.core.flow";

    #[test]
    fn one_after_another() {
        check(
            &format!(
                "tasks: [{{id: a, {LOG}}}, {{id: b, {LOG}}}]\nerrors: [{{id: e, {LOG}}}]\nfinally: [{{id: z, {LOG}}}]\n"
            ),
            &[
                "start>a",
                "a>b",
                "start>e Error",
                "b>finally Finally",
                "e>finally Finally",
                "finally>z Finally",
                "z>end",
            ],
        );
    }

    #[test]
    fn choices_and_tasks_beside_each_other() {
        check(
            &format!(
                "tasks: [{{id: i, {AT}.If, condition: x, then: [{{id: a, {LOG}}}]}}, {{id: p, {AT}.Parallel, tasks: [{{id: b, {LOG}}}, {{id: c, {LOG}}}]}}]\n"
            ),
            &[
                "i.start>i",
                "i>i.a Choice=then",
                "i.a>i.end",
                "start>i.start",
                "p.start>p",
                "p>p.b Parallel",
                "p>p.c Parallel",
                "p.b>p.end",
                "p.c>p.end",
                "i.end>p.start",
                "p.end>end",
            ],
        );
    }

    #[test]
    fn dags_and_loops_and_triggers() {
        check(
            &format!(
                "tasks: [{{id: d, {AT}.Dag, tasks: [{{task: {{id: a, {LOG}}}}}, {{task: {{id: b, {LOG}}}, dependsOn: [a]}}]}}, {{id: e, {AT}.ForEach, values: [1], tasks: [{{id: c, {LOG}}}]}}]\ntriggers: [{{id: t, type: io.kestra.plugin.core.trigger.Schedule, cron: '@daily'}}]\n"
            ),
            &[
                "d.start>d",
                "d>d.a Parallel",
                "d.a>d.b",
                "d.b>d.end",
                "start>d.start",
                "e.start>e",
                "e>e.c Dynamic",
                "e.c>e.end",
                "d.end>e.start",
                "e.end>end",
                "Triggers.start>Triggers.t",
                "Triggers.t>Triggers.end",
                "Triggers.end>start",
            ],
        );
    }
}
