//! Graphs: of a flow, of a source, of an execution with its states, and of the flows that lead to each other.

use std::collections::BTreeMap;

use axum::Json;
use axum::extract::{Path, Query, State};
use model::execution::TaskRun;
use model::ids::FlowKey;
use serde::{Deserialize, Serialize};
use serde_json::Value as Json_;
use utoipa::{IntoParams, ToSchema};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::App;
use super::flows::OfFlow;
use super::openapi::tagged;
use super::wire::value_json;
use crate::dependencies::{Dependencies, Follow, Leads};
use crate::error::Error;
use crate::graph::{Graph, Kind, Relation, Vertex};

/// What the types of nodes begin with, in Kestra.
const PACKAGE: &str = "io.kestra.core.models.hierarchies";
/// Values of iterations that a node tells.
const VALUES_MAX: usize = 100;

/// A flow as a topology view shows it.
#[derive(Serialize, ToSchema)]
pub struct FlowGraph {
    nodes: Vec<NodeBody>,
    edges: Vec<EdgeBody>,
    clusters: Vec<ClusterBody>,
    /// The nodes of tasks that have tasks.
    flowables: Vec<String>,
}

/// A node of a graph.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = GraphNode)]
pub struct NodeBody {
    uid: String,
    r#type: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    branch_type: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    relation_type: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    task: Option<Json_>,
    #[serde(skip_serializing_if = "Option::is_none")]
    trigger_declaration: Option<Json_>,
    /// The newest run of the task, in the graph of an execution.
    #[serde(skip_serializing_if = "Option::is_none")]
    task_run: Option<RunBody>,
    /// Values of iterations.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    values: Vec<String>,
    /// Ours: how many runs of the task are in which state.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    states: BTreeMap<&'static str, usize>,
}

/// A run of a task, short.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = GraphRun)]
pub struct RunBody {
    id: String,
    task_id: String,
    state: RunState,
}

/// The state it is in.
#[derive(Serialize, ToSchema)]
#[schema(as = GraphRunState)]
pub struct RunState {
    current: &'static str,
}

/// An edge of a graph.
#[derive(Serialize, ToSchema)]
#[schema(as = GraphEdge)]
pub struct EdgeBody {
    source: String,
    target: String,
    relation: RelationBody,
}

/// Why one node comes after another.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = GraphRelation)]
pub struct RelationBody {
    relation_type: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    value: Option<String>,
}

/// Nodes that belong together.
#[derive(Serialize, ToSchema)]
#[schema(as = GraphCluster)]
pub struct ClusterBody {
    cluster: ClusterNode,
    nodes: Vec<String>,
    parents: Vec<String>,
    start: String,
    end: String,
}

/// What a cluster is of.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct ClusterNode {
    uid: String,
    r#type: String,
    /// The node of the task.
    #[serde(skip_serializing_if = "Option::is_none")]
    task_node: Option<String>,
}

fn name(relation: Relation) -> &'static str {
    match relation {
        Relation::Sequential => "SEQUENTIAL",
        Relation::Choice => "CHOICE",
        Relation::Error => "ERROR",
        Relation::Finally => "FINALLY",
        Relation::AfterExecution => "AFTER_EXECUTION",
        Relation::Parallel => "PARALLEL",
        Relation::Dynamic => "DYNAMIC",
    }
}

impl NodeBody {
    fn of(node: &Vertex) -> Self {
        let class = match &node.kind {
            Kind::Start => "GraphClusterRoot",
            Kind::End => "GraphClusterEnd",
            Kind::Finally => "GraphClusterFinally",
            Kind::AfterExecution => "GraphClusterAfterExecution",
            Kind::Task { starts: Some(_), .. } => "SubflowGraphTask",
            Kind::Task { .. } => "GraphTask",
            Kind::Trigger(_) => "GraphTrigger",
        };
        let (task, trigger) = match &node.kind {
            Kind::Task { written, .. } => (Some(value_json(written)), None),
            Kind::Trigger(written) => (None, Some(value_json(written))),
            _ => (None, None),
        };
        Self {
            uid: node.uid.clone(),
            r#type: format!("{PACKAGE}.{class}"),
            branch_type: node.branch.map(name),
            relation_type: task.is_some().then(|| name(node.relation)),
            task,
            trigger_declaration: trigger,
            task_run: None,
            values: Vec::new(),
            states: BTreeMap::new(),
        }
    }

    /// The same with what became of the task.
    fn with_runs(mut self, runs: &[&TaskRun]) -> Self {
        if let Some(newest) = runs.iter().max_by_key(|run| run.history.started()) {
            self.task_run = Some(RunBody {
                id: newest.id.to_string(),
                task_id: newest.task.to_string(),
                state: RunState { current: newest.history.current().as_str() },
            });
        }
        for run in runs {
            *self.states.entry(run.history.current().as_str()).or_default() += 1;
        }
        let values = runs.iter().filter_map(|run| run.value.as_deref()).take(VALUES_MAX);
        self.values = values.map(str::to_owned).collect();
        self
    }
}

impl FlowGraph {
    fn of(graph: &Graph) -> Self {
        let edges = graph.edges.iter().map(|edge| EdgeBody {
            source: edge.source.clone(),
            target: edge.target.clone(),
            relation: RelationBody { relation_type: name(edge.relation), value: edge.value.clone() },
        });
        let clusters = graph.clusters.iter().map(|cluster| ClusterBody {
            cluster: ClusterNode {
                uid: cluster.uid.clone(),
                r#type: format!("{PACKAGE}.GraphCluster"),
                task_node: cluster.task.clone(),
            },
            nodes: cluster.nodes.clone(),
            parents: cluster.parents.clone(),
            start: cluster.start.clone(),
            end: cluster.end.clone(),
        });
        Self {
            nodes: graph.nodes.iter().map(NodeBody::of).collect(),
            edges: edges.collect(),
            clusters: clusters.collect(),
            flowables: graph.flowables.clone(),
        }
    }
}

/// Which revision, and the nodes of subflows that are shown within (`a,b`).
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct GraphQuery {
    revision: Option<u32>,
    subflows: Option<String>,
}

impl GraphQuery {
    fn subflows(&self) -> Vec<String> {
        let names = self.subflows.as_deref().unwrap_or_default().split(',').map(str::trim);
        names.filter(|name| !name.is_empty()).map(str::to_owned).collect()
    }
}

pub fn routes() -> OpenApiRouter<App> {
    let flows = OpenApiRouter::new()
        .routes(routes!(of_flow))
        .routes(routes!(of_source))
        .routes(routes!(dependencies))
        .routes(routes!(dependencies_in));
    tagged("Flows", flows).merge(tagged("Executions", OpenApiRouter::new().routes(routes!(of_execution))))
}

/// The graph of a flow.
#[utoipa::path(
    get, path = "/flows/{namespace}/{id}/graph", operation_id = "generateFlowGraph",
    params(GraphQuery),
    responses((status = 200, body = FlowGraph)),
)]
async fn of_flow(
    State(app): State<App>,
    Path((_, namespace, id)): OfFlow,
    Query(query): Query<GraphQuery>,
) -> Result<Json<FlowGraph>, Error> {
    let saved = app.node.flow(&namespace, &id, query.revision).await?;
    let graph = app.node.graph(&saved.flow, &saved.document, &query.subflows()).await?;
    Ok(Json(FlowGraph::of(&graph)))
}

/// The graph of a source that is not saved.
#[utoipa::path(
    post, path = "/flows/graph", operation_id = "generateFlowGraphFromSource",
    params(GraphQuery),
    request_body(content = String, content_type = "application/x-yaml"),
    responses((status = 200, body = FlowGraph)),
)]
async fn of_source(
    State(app): State<App>,
    Query(query): Query<GraphQuery>,
    source: String,
) -> Result<Json<FlowGraph>, Error> {
    let (flow, document) = app.node.drafted(&source)?;
    Ok(Json(FlowGraph::of(&app.node.graph(&flow, &document, &query.subflows()).await?)))
}

/// The graph of the flow of an execution, with what became of each task.
#[utoipa::path(
    get, path = "/executions/{executionId}/graph", operation_id = "executionFlowGraph",
    params(GraphQuery),
    responses((status = 200, body = FlowGraph)),
)]
async fn of_execution(
    State(app): State<App>,
    Path((_, id)): Path<(String, String)>,
    Query(query): Query<GraphQuery>,
) -> Result<Json<FlowGraph>, Error> {
    let seen = app.node.execution(&id).await?;
    let flow = &seen.execution.flow;
    let revision = Some(seen.execution.revision);
    let saved = app.node.flow(flow.namespace.as_str(), flow.id.as_str(), revision).await?;
    let graph = app.node.graph(&saved.flow, &saved.document, &query.subflows()).await?;
    let mut runs: BTreeMap<&str, Vec<&TaskRun>> = BTreeMap::new();
    for run in &seen.runs {
        runs.entry(run.task.as_str()).or_default().push(run);
    }
    let mut body = FlowGraph::of(&graph);
    body.nodes = graph
        .nodes
        .iter()
        .map(|node| match &node.kind {
            Kind::Task { id, .. } => {
                NodeBody::of(node).with_runs(runs.get(id.as_str()).map(Vec::as_slice).unwrap_or_default())
            }
            _ => NodeBody::of(node),
        })
        .collect();
    Ok(Json(body))
}

/// Flows, and how they lead to each other.
#[derive(Serialize, ToSchema)]
pub struct Topology {
    nodes: Vec<FlowNode>,
    edges: Vec<FlowEdge>,
}

/// A flow.
#[derive(Serialize, ToSchema)]
pub struct FlowNode {
    uid: String,
    namespace: String,
    id: String,
}

/// One flow leads to another.
#[derive(Serialize, ToSchema)]
pub struct FlowEdge {
    source: String,
    target: String,
    /// `FLOW_TASK`: a task runs it; `FLOW_TRIGGER`: a trigger listens.
    relation: &'static str,
}

fn uid(flow: &FlowKey) -> String {
    format!("{}_{}_{}", flow.tenant, flow.namespace, flow.id)
}

impl Topology {
    fn of(found: &Dependencies) -> Self {
        let node = |flow: &FlowKey| FlowNode {
            uid: uid(flow),
            namespace: flow.namespace.to_string(),
            id: flow.id.to_string(),
        };
        let edges = found.edges.iter().map(|edge| FlowEdge {
            source: uid(&edge.source),
            target: uid(&edge.target),
            relation: match edge.leads {
                Leads::Task => "FLOW_TASK",
                Leads::Trigger => "FLOW_TRIGGER",
            },
        });
        Self { nodes: found.flows.iter().map(node).collect(), edges: edges.collect() }
    }
}

/// How far dependencies are followed.
#[derive(Deserialize, IntoParams)]
#[serde(rename_all = "camelCase")]
#[into_params(parameter_in = Query)]
pub struct FollowQuery {
    /// Only to the flows that it leads to.
    #[serde(default)]
    destination_only: bool,
    /// On from those that are found, too.
    #[serde(default)]
    expand_all: bool,
}

impl FollowQuery {
    pub fn follow(&self) -> Follow {
        Follow { onwards_only: self.destination_only, all: self.expand_all }
    }
}

/// The flows that lead to a flow, and those it leads to.
#[utoipa::path(
    get, path = "/flows/{namespace}/{id}/dependencies", operation_id = "flowDependencies",
    params(FollowQuery),
    responses((status = 200, body = Topology)),
)]
async fn dependencies(
    State(app): State<App>,
    Path((_, namespace, id)): OfFlow,
    Query(query): Query<FollowQuery>,
) -> Result<Json<Topology>, Error> {
    let found = app.node.dependencies_of(&namespace, &id, query.follow()).await?;
    Ok(Json(Topology::of(&found)))
}

/// The flows of a namespace, those that lead to them, and those they lead to.
#[utoipa::path(
    get, path = "/namespaces/{namespace}/dependencies", operation_id = "flowDependenciesFromNamespace",
    params(FollowQuery),
    responses((status = 200, body = Topology)),
)]
async fn dependencies_in(
    State(app): State<App>,
    Path((_, namespace)): Path<(String, String)>,
    Query(query): Query<FollowQuery>,
) -> Result<Json<Topology>, Error> {
    let found = app.node.dependencies_in(&namespace, query.follow()).await?;
    Ok(Json(Topology::of(&found)))
}
