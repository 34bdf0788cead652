//! Which flows start which: through tasks that run others, and through triggers that listen to them. Told from what flows say, without
//! rendering anything: what an expression decides is not known here.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use expr::Value;
use model::flow::Flow;
use model::ids::FlowKey;
use model::task::{FlowTask, TaskKind};
use model::trigger::{Field, Filter, FilterTest, FlowTrigger, TriggerKind};

use crate::error::Error;
use crate::flows::{SavedFlow, key};
use crate::graph::named;
use crate::node::Node;

/// What conditions begin with.
const PACKAGE: &str = "io.kestra.plugin.core.condition.";

/// Why one flow leads to another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Leads {
    /// A task of it runs the other.
    Task,
    /// A trigger of the other listens to it.
    Trigger,
}

/// One flow leads to another.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Edge {
    pub source: FlowKey,
    pub target: FlowKey,
    pub leads: Leads,
}

/// Flows and how they lead to each other.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Dependencies {
    pub flows: BTreeSet<FlowKey>,
    pub edges: BTreeSet<Edge>,
}

/// How far dependencies of a flow are followed.
#[derive(Clone, Copy, Debug, Default)]
pub struct Follow {
    /// Only to the flows it leads to, not to those that lead to it.
    pub onwards_only: bool,
    /// On from those that are found, too.
    pub all: bool,
}

impl Node {
    /// What leads to a flow, and where it leads.
    pub async fn dependencies_of(&self, namespace: &str, id: &str, follow: Follow) -> Result<Dependencies, Error> {
        self.flow(namespace, id, None).await?;
        let edges = edges(&self.flows(None).await?);
        Ok(around(&[key(namespace, id)], &edges, follow))
    }

    /// The same of all flows of a namespace.
    pub async fn dependencies_in(&self, namespace: &str, follow: Follow) -> Result<Dependencies, Error> {
        let all = self.flows(None).await?;
        let within = all.iter().map(|saved| saved.flow.key.clone());
        let within: Vec<FlowKey> = within.filter(|flow| flow.namespace.as_str() == namespace).collect();
        Ok(around(&within, &edges(&all), follow))
    }
}

/// All edges between flows that are there.
fn edges(flows: &[Arc<SavedFlow>]) -> BTreeSet<Edge> {
    let there: BTreeSet<&FlowKey> = flows.iter().map(|saved| &saved.flow.key).collect();
    let mut edges = BTreeSet::new();
    for saved in flows {
        let own = &saved.flow.key;
        for target in started(&saved.flow).filter(|target| there.contains(target)) {
            edges.insert(Edge { source: own.clone(), target, leads: Leads::Task });
        }
        for trigger in &saved.flow.triggers {
            let TriggerKind::Flow(listens) = &trigger.kind else { continue };
            let sources = there.iter().filter(|flow| **flow != own && hears(listens, &trigger.conditions, flow));
            edges.extend(sources.map(|source| Edge {
                source: (*source).clone(),
                target: own.clone(),
                leads: Leads::Trigger,
            }));
        }
    }
    edges
}

fn started(flow: &Flow) -> impl Iterator<Item = FlowKey> {
    let subflows = flow.all.values().filter_map(|task| match &task.kind {
        TaskKind::Flow(control) => match control.as_ref() {
            FlowTask::Subflow(subflow) | FlowTask::RunItems(subflow) => Some(subflow),
            _ => None,
        },
        _ => None,
    });
    subflows.filter_map(|subflow| named(subflow, flow)).map(|(namespace, id)| key(&namespace, &id))
}

fn around(from: &[FlowKey], edges: &BTreeSet<Edge>, follow: Follow) -> Dependencies {
    let mut touching: BTreeMap<&FlowKey, Vec<&Edge>> = BTreeMap::new();
    for edge in edges {
        touching.entry(&edge.source).or_default().push(edge);
        if !follow.onwards_only {
            touching.entry(&edge.target).or_default().push(edge);
        }
    }
    let mut found = Dependencies { flows: from.iter().cloned().collect(), edges: BTreeSet::new() };
    let mut next: VecDeque<FlowKey> = from.iter().cloned().collect();
    while let Some(flow) = next.pop_front() {
        for edge in touching.get(&flow).into_iter().flatten() {
            found.edges.insert((*edge).clone());
            for end in [&edge.source, &edge.target] {
                if found.flows.insert(end.clone()) && follow.all {
                    next.push_back(end.clone());
                }
            }
        }
    }
    found
}

/// Whether a trigger looks at executions of a flow, whatever else it asks of them.
fn hears(listens: &FlowTrigger, conditions: &[Value], flow: &FlowKey) -> bool {
    let named = listens.preconditions.as_ref().is_none_or(|asked| {
        let by_name = asked.flows.iter().any(|upstream| {
            let of_flow = upstream.flow.as_deref().is_none_or(|id| id == flow.id.as_str());
            of_flow && upstream.namespace == flow.namespace.as_str()
        });
        let by_filter = asked.filters.iter().any(|group| match group.any {
            true => group.filters.iter().any(|filter| passes(filter, flow)),
            false => group.filters.iter().all(|filter| passes(filter, flow)),
        });
        by_name || by_filter
    });
    let several = &listens.multiple;
    let any_of_several =
        several.is_empty() || several.iter().flat_map(|one| &one.conditions).any(|one| may_hold(one, flow));
    named && any_of_several && conditions.iter().all(|condition| may_hold(condition, flow))
}

fn passes(filter: &Filter, flow: &FlowKey) -> bool {
    let looked_at = match filter.field {
        Field::FlowId => flow.id.as_str(),
        Field::Namespace => flow.namespace.as_str(),
        Field::State | Field::Expression => return true,
    };
    let texts = || filter.values.iter().filter_map(Value::as_str);
    match filter.test {
        FilterTest::EqualTo | FilterTest::In => texts().any(|text| text == looked_at),
        FilterTest::NotEqualTo | FilterTest::NotIn => texts().all(|text| text != looked_at),
        FilterTest::StartsWith => texts().any(|text| looked_at.starts_with(text)),
        FilterTest::EndsWith => texts().any(|text| looked_at.ends_with(text)),
        FilterTest::Contains => texts().any(|text| looked_at.contains(text)),
        FilterTest::Regex | FilterTest::IsTrue | FilterTest::IsFalse | FilterTest::IsNull | FilterTest::IsNotNull => {
            true
        }
    }
}

/// Whether a condition can hold for an execution of a flow.
fn may_hold(condition: &Value, flow: &FlowKey) -> bool {
    let text = |name: &str| condition.get(name).and_then(Value::as_str);
    let inner = || condition.get("conditions").and_then(Value::as_list).unwrap_or_default();
    let kind = text("type").unwrap_or_default();
    match kind.strip_prefix(PACKAGE).unwrap_or(kind) {
        "ExecutionFlow" | "FlowCondition" => {
            text("namespace").is_none_or(|namespace| namespace == flow.namespace.as_str())
                && text("flowId").is_none_or(|id| id == flow.id.as_str())
        }
        "ExecutionNamespace" | "FlowNamespaceCondition" => {
            let wanted = text("namespace").unwrap_or_default();
            let is_prefix = condition.get("prefix").is_some_and(|prefix| *prefix == Value::Bool(true));
            let own = flow.namespace.as_str();
            match text("comparison") {
                Some("SUFFIX") => own.ends_with(wanted),
                Some("PREFIX") => own.starts_with(wanted),
                _ if is_prefix => own.starts_with(wanted),
                _ => own == wanted,
            }
        }
        "Or" => inner().iter().any(|one| may_hold(one, flow)),
        // Only what is about the flow alone is known to fail.
        "Not" => !inner().iter().any(|one| is_of_the_flow(one) && may_hold(one, flow)),
        _ => true,
    }
}

fn is_of_the_flow(condition: &Value) -> bool {
    let kind = condition.get("type").and_then(Value::as_str).unwrap_or_default();
    let names = ["ExecutionFlow", "FlowCondition", "ExecutionNamespace", "FlowNamespaceCondition"];
    names.contains(&kind.strip_prefix(PACKAGE).unwrap_or(kind))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn condition(yaml: &str) -> Value {
        model::read_yaml(yaml).expect("it is YAML")
    }

    #[test]
    fn what_cannot_hold_for_a_flow_is_known() {
        let flow = key("company.team", "f");
        let check = |yaml: &str, expected: bool| assert_eq!(may_hold(&condition(yaml), &flow), expected, "{yaml}");
        check("{type: io.kestra.plugin.core.condition.ExecutionFlow, namespace: company.team, flowId: f}", true);
        check("{type: io.kestra.plugin.core.condition.ExecutionFlow, namespace: company.team, flowId: g}", false);
        check(
            "{type: io.kestra.plugin.core.condition.ExecutionNamespace, namespace: company, comparison: PREFIX}",
            true,
        );
        check("{type: io.kestra.plugin.core.condition.ExecutionNamespace, namespace: company}", false);
        check("{type: io.kestra.plugin.core.condition.ExecutionStatus, in: [FAILED]}", true);
        check(
            "{type: io.kestra.plugin.core.condition.Not, conditions: [{type: io.kestra.plugin.core.condition.ExecutionStatus, in: [FAILED]}]}",
            true,
        );
        check(
            "{type: io.kestra.plugin.core.condition.Not, conditions: [{type: io.kestra.plugin.core.condition.ExecutionNamespace, namespace: company.team}]}",
            false,
        );
    }

    #[test]
    fn dependencies_are_followed_one_step_or_all_the_way() {
        let edge = |a: &str, b: &str| Edge { source: key("n", a), target: key("n", b), leads: Leads::Task };
        let edges: BTreeSet<Edge> = [edge("a", "b"), edge("b", "c"), edge("c", "d")].into();
        let check = |follow: Follow, expected: &[&str]| {
            let found = around(&[key("n", "b")], &edges, follow);
            assert_eq!(found.flows.iter().map(|flow| flow.id.as_str()).collect::<Vec<_>>(), expected, "{follow:?}");
        };
        check(Follow::default(), &["a", "b", "c"]);
        check(Follow { onwards_only: true, all: false }, &["b", "c"]);
        check(Follow { onwards_only: true, all: true }, &["b", "c", "d"]);
        check(Follow { onwards_only: false, all: true }, &["a", "b", "c", "d"]);
    }
}
