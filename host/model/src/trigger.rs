//! Triggers: what starts executions by itself. Everything a trigger says is parsed here into what cannot be wrong later.

use expr::{Map, Value};
use jiff::SignedDuration;
use jiff::tz::TimeZone;

use crate::flow::{Dynamic, Label};
use crate::ids::TriggerId;
use crate::schedule::{Calendar, Rules};
use crate::state::State;
use crate::task::LogLevel;
use crate::window::Window;

/// One trigger of a flow.
#[derive(Clone, Debug, PartialEq)]
pub struct Trigger {
    pub id: TriggerId,
    /// The type as the flow writes it.
    pub type_name: String,
    pub kind: TriggerKind,
    pub version: Option<String>,
    pub description: Option<String>,
    pub disabled: bool,
    /// Checked; each a map whose `type` has its present name.
    pub conditions: Vec<Value>,
    /// A state in which an execution of it ends that switches it off.
    pub stop_after: Vec<State>,
    pub log_level: Option<LogLevel>,
    pub log_to_file: bool,
    /// Whether it may start an execution while one of its runs.
    pub allow_concurrent: bool,
    /// Given to the executions it starts.
    pub labels: Vec<Label>,
    pub inputs: Map,
    /// Line in the source, from 1.
    pub line: u32,
}

/// What a trigger waits for.
#[derive(Clone, Debug, PartialEq)]
pub enum TriggerKind {
    Schedule(Schedule),
    Webhook(Webhook),
    Flow(FlowTrigger),
    /// A plugin's, asked now and then. Its properties are the plugin's.
    Polling(Polling),
}

impl TriggerKind {
    /// Whether it starts executions by the clock, and so at most one at a time unless it says otherwise.
    pub fn is_timed(&self) -> bool {
        matches!(self, Self::Schedule(_) | Self::Polling(_))
    }
}

/// Dates, by a cron expression or a list.
#[derive(Clone, Debug, PartialEq)]
pub struct Schedule {
    pub dates: Dates,
    pub rules: Rules,
}

/// The dates of a schedule.
#[derive(Clone, Debug, PartialEq)]
pub enum Dates {
    /// Known when the flow is saved.
    Known(Calendar),
    /// A list with expressions in it: known once they are rendered.
    Rendered { dates: Dynamic, zone: TimeZone },
}

/// A request from outside.
#[derive(Clone, Debug, PartialEq)]
pub struct Webhook {
    /// Who knows it may start an execution.
    pub key: Dynamic,
    /// Whether the answer comes when the execution has ended.
    pub wait: bool,
    /// Whether the answer then is what the flow gives out.
    pub return_outputs: bool,
    pub response_content_type: Option<String>,
    /// What a request must be signed with beside knowing the key. Sluice's own.
    pub signature: Option<Signature>,
}

/// How requests to a webhook are signed: HMAC-SHA256 of the body, in hexadecimal or base64.
#[derive(Clone, Debug, PartialEq)]
pub struct Signature {
    /// The shared secret.
    pub secret: Dynamic,
    /// The header that has it, in lower case.
    pub header: String,
}

/// Executions of other flows.
#[derive(Clone, Debug, PartialEq)]
pub struct FlowTrigger {
    /// The states of an execution that are looked at.
    pub states: Vec<State>,
    pub preconditions: Option<Preconditions>,
    /// Conditions of type MultipleCondition, apart from the others.
    pub multiple: Vec<Multiple>,
}

/// Conditions each of which must hold for some execution within one window of time.
#[derive(Clone, Debug, PartialEq)]
pub struct Multiple {
    pub id: String,
    pub window: Window,
    /// See [`Preconditions::reset_on_success`].
    pub reset_on_success: bool,
    pub conditions: Vec<Value>,
}

/// Several executions that must come to pass within one window of time.
#[derive(Clone, Debug, PartialEq)]
pub struct Preconditions {
    pub id: String,
    pub window: Window,
    /// Whether the window is begun anew when the trigger has fired.
    pub reset_on_success: bool,
    pub flows: Vec<UpstreamFlow>,
    pub filters: Vec<FilterGroup>,
}

/// A flow one of whose executions must come to pass.
#[derive(Clone, Debug, PartialEq)]
pub struct UpstreamFlow {
    pub namespace: String,
    /// `None`: any flow of the namespace.
    pub flow: Option<String>,
    /// Empty: any state that is looked at.
    pub states: Vec<State>,
    pub labels: Vec<Label>,
}

/// Filters of executions.
#[derive(Clone, Debug, PartialEq)]
pub struct FilterGroup {
    pub id: String,
    /// Whether one of the filters is enough.
    pub any: bool,
    pub filters: Vec<Filter>,
}

/// One look at one side of an execution.
#[derive(Clone, Debug, PartialEq)]
pub struct Filter {
    pub field: Field,
    pub test: FilterTest,
    /// What it is compared with: one value, or several for IN and NOT_IN.
    pub values: Vec<Value>,
}

/// The side of an execution a filter looks at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Field {
    FlowId,
    Namespace,
    State,
    /// The filter's value is an expression, and it is what is tested.
    Expression,
}

/// How a filter tests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FilterTest {
    EqualTo,
    NotEqualTo,
    In,
    NotIn,
    IsTrue,
    IsFalse,
    IsNull,
    IsNotNull,
    StartsWith,
    EndsWith,
    Regex,
    Contains,
}

/// A plugin that is asked whether something happened.
#[derive(Clone, Debug, PartialEq)]
pub struct Polling {
    pub interval: SignedDuration,
    /// Everything the plugin is told, as written.
    pub properties: Map,
}
