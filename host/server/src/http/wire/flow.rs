//! Schemas of flows as they are shown, which are maps as their authors wrote them, and of their locks.

use std::collections::BTreeMap;

use utoipa::ToSchema;

use super::named::LabelBody;

/// A flow: what its document says (inputs, tasks, triggers and so on, as they are written), and what the server knows of it.
#[derive(ToSchema)]
#[schema(as = Flow, rename_all = "camelCase")]
pub struct FlowBody {
    pub id: String,
    pub namespace: String,
    pub tenant_id: String,
    pub revision: u32,
    pub updated: jiff::Timestamp,
    pub deleted: bool,
    pub disabled: bool,
    pub labels: Vec<LabelBody>,
    /// Where it is asked for.
    #[schema(required = false, nullable = false)]
    pub source: Option<String>,
}

/// A task or trigger: its id and type, and the properties of its type.
#[derive(ToSchema)]
#[schema(as = Task)]
pub struct TaskBody {
    pub id: String,
    pub r#type: String,
}

/// What every task and trigger of a plugin in one flow revision resolves to.
#[derive(ToSchema)]
#[schema(as = Lock)]
pub struct LockBody {
    /// By task id.
    pub tasks: BTreeMap<String, LockedBody>,
    /// By trigger id.
    #[schema(required = false)]
    pub triggers: BTreeMap<String, LockedBody>,
    /// By the type of the provider that properties of tasks name.
    #[schema(required = false)]
    pub providers: BTreeMap<String, LockedBody>,
}

/// One task's plugin.
#[derive(ToSchema)]
#[schema(as = LockedTask)]
pub struct LockedBody {
    /// Never an alias.
    pub task_type: String,
    pub plugin: String,
    pub version: String,
    /// sha256 of the component.
    pub digest: String,
    /// What the flow asked for, as written.
    pub requirement: String,
}
