//! A flow as it is run: parsed, checked, with every task in one place.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use expr::{Map, Value};
use serde::{Deserialize, Serialize};

use crate::ids::{FlowKey, TaskId};
use crate::input::{Input, InputType};
use crate::policy::Section;
use crate::state::State;
use crate::task::{Retry, Task};
use crate::trigger::Trigger;

/// A property that may hold an expression: text with `{{ }}`, or any value with such text in it. Rendered by the shell, never here.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Dynamic(pub Value);

/// One revision of a flow. Immutable and shared: executions hold an `Arc` of it.
#[derive(Clone, Debug)]
pub struct Flow {
    pub key: FlowKey,
    /// From 1. Set by the store when the flow is saved.
    pub revision: u32,
    pub description: Option<String>,
    pub disabled: bool,
    pub labels: Vec<Label>,
    pub inputs: Vec<Input>,
    pub outputs: Vec<Output>,
    pub variables: Map,
    /// What runs, in order.
    pub tasks: Vec<TaskId>,
    /// What runs when one of `tasks` has failed.
    pub errors: Vec<TaskId>,
    /// What runs in any case, before the execution ends.
    pub finally: Vec<TaskId>,
    /// What runs after the execution has ended; cannot change its state.
    pub after_execution: Vec<TaskId>,
    /// Deprecated listeners, each with its conditions and tasks.
    pub listeners: Vec<Listener>,
    pub triggers: Vec<Trigger>,
    pub plugin_defaults: Vec<PluginDefault>,
    /// Those of its namespace and the ones above it, nearest first, as they were when it was saved.
    pub inherited_defaults: Vec<PluginDefault>,
    /// `plugins:` — requirement by plugin name.
    pub plugins: HashMap<String, String>,
    /// `grants:` — the most that a plugin may do in this flow, by its name.
    pub grants: BTreeMap<String, Section>,
    /// `models:` — what the tasks of one execution may spend on models of language, all together.
    pub models: ModelBudget,
    pub concurrency: Option<Concurrency>,
    /// How a failed execution is tried again.
    pub retry: Option<Retry>,
    pub sla: Vec<Sla>,
    pub checks: Vec<Check>,
    /// Every task of the flow by id, whatever its depth.
    pub all: HashMap<TaskId, Arc<Task>>,
    /// The text it was parsed from, kept byte for byte.
    pub source: Arc<str>,
}

impl Flow {
    /// The task with this id.
    pub fn task(&self, id: &TaskId) -> Option<&Arc<Task>> {
        self.all.get(id)
    }
}

/// What may be spent on models of language.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct ModelBudget {
    /// Tokens, of questions and answers together.
    pub max_tokens: Option<u32>,
    /// In the money of the providers that say what an answer costs.
    pub max_cost: Option<f64>,
}

/// A label: `key: value`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Label {
    pub key: String,
    pub value: String,
}

/// A typed output of a flow.
#[derive(Clone, Debug, PartialEq)]
pub struct Output {
    pub id: String,
    pub kind: InputType,
    pub value: Dynamic,
    pub required: bool,
    pub display_name: Option<String>,
    pub description: Option<String>,
}

/// Tasks that run when an execution has ended and the conditions hold. Deprecated by Kestra in favour of `afterExecution`.
#[derive(Clone, Debug, PartialEq)]
pub struct Listener {
    pub conditions: Vec<Value>,
    pub tasks: Vec<TaskId>,
}

/// Properties given to every task of a type (or of a prefix of types).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PluginDefault {
    #[serde(rename = "type")]
    pub type_prefix: String,
    /// Whether it wins over what the task itself says.
    #[serde(default)]
    pub forced: bool,
    pub values: Map,
}

/// How many executions of the flow may run at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Concurrency {
    /// At least 1.
    pub limit: u32,
    pub behavior: Overflow,
}

/// What happens to an execution that finds no slot.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum Overflow {
    #[default]
    Queue,
    Cancel,
    Fail,
}

/// A promise about an execution, and what its breach does.
#[derive(Clone, Debug, PartialEq)]
pub struct Sla {
    pub id: String,
    pub rule: SlaRule,
    pub behavior: SlaBehavior,
    pub labels: Vec<Label>,
}

/// What an SLA promises.
#[derive(Clone, Debug, PartialEq)]
pub enum SlaRule {
    /// Ends within this time of its creation.
    MaxDuration(jiff::SignedDuration),
    /// This expression stays true.
    Assertion(Dynamic),
}

/// What a breach of an SLA does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum SlaBehavior {
    Fail,
    Cancel,
    None,
}

/// A condition looked at when an execution is asked for.
#[derive(Clone, Debug, PartialEq)]
pub struct Check {
    pub condition: Dynamic,
    pub message: String,
    pub style: String,
    pub behavior: CheckBehavior,
}

impl Flow {
    /// The check that decides, of those that do not hold (by their positions in [`Flow::checks`]): the strictest, of equals the first.
    pub fn strictest_check(&self, failing: &[usize]) -> Option<&Check> {
        failing.iter().filter_map(|index| self.checks.get(*index)).min_by_key(|check| check.behavior)
    }
}

/// What a failing check does; of several, the first in this order wins.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub enum CheckBehavior {
    #[default]
    BlockExecution,
    FailExecution,
    CreateExecution,
}

/// The worst of states, in Kestra's order for verdicts: KILLED, CANCELLED, FAILED, PAUSED, WARNING, SUCCESS.
pub fn worst(states: impl IntoIterator<Item = State>) -> State {
    let rank = |state: &State| match state {
        State::Killed => 5,
        State::Cancelled => 4,
        State::Failed => 3,
        State::Paused => 2,
        State::Warning => 1,
        _ => 0,
    };
    states.into_iter().max_by_key(rank).filter(|state| rank(state) > 0).unwrap_or(State::Success)
}
