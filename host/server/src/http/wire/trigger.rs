//! The shapes of triggers: what a flow says of one, and how it stands.

use expr::Value;
use jiff::Timestamp;
use model::flow::Label;
use serde::Serialize;
use serde_json::Value as Json;
use utoipa::ToSchema;

use super::named::{LabelBody, StateName};
use super::{map_json, value_json};
use crate::triggers::TriggerSeen;

/// One entry of a search: the trigger as its flow writes it, and how it stands.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = TriggerWithFlow)]
pub struct Triggers<'a> {
    #[schema(value_type = Object)]
    abstract_trigger: Json,
    trigger_context: TriggerContext<'a>,
}

/// How a trigger stands.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = Trigger)]
pub struct TriggerContext<'a> {
    tenant_id: &'a str,
    namespace: &'a str,
    flow_id: &'a str,
    flow_revision: u32,
    trigger_id: &'a str,
    /// Its last date; of one that has not fired, since when it is as it is.
    date: Timestamp,
    #[serde(skip_serializing_if = "Option::is_none")]
    next_execution_date: Option<Timestamp>,
    #[serde(skip_serializing_if = "Option::is_none")]
    backfill: Option<BackfillBody<'a>>,
    #[schema(value_type = Vec<StateName>)]
    stop_after: Vec<&'static str>,
    disabled: bool,
    updated_date: Timestamp,
    /// The execution it waits for.
    #[serde(skip_serializing_if = "Option::is_none")]
    execution_id: Option<&'a str>,
}

#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = Backfill)]
struct BackfillBody<'a> {
    start: Timestamp,
    end: Timestamp,
    current_date: Timestamp,
    paused: bool,
    #[schema(value_type = Object)]
    inputs: Json,
    #[schema(value_type = Vec<LabelBody>)]
    labels: &'a [Label],
    #[serde(skip_serializing_if = "Option::is_none")]
    previous_next_execution_date: Option<Timestamp>,
}

impl<'a> Triggers<'a> {
    /// `None` if the flow no longer has it.
    pub fn of(seen: &'a TriggerSeen) -> Option<Self> {
        let id = seen.state.trigger.as_str();
        let written = seen.saved.document.get("triggers").and_then(Value::as_list).unwrap_or_default();
        let written = written.iter().find(|trigger| trigger.get("id").and_then(Value::as_str) == Some(id))?;
        Some(Self { abstract_trigger: value_json(written), trigger_context: TriggerContext::of(seen) })
    }
}

impl<'a> TriggerContext<'a> {
    pub fn of(seen: &'a TriggerSeen) -> Self {
        let state = &seen.state;
        let trigger = seen.trigger();
        let off = state.disabled || seen.saved.flow.disabled || trigger.is_some_and(|trigger| trigger.disabled);
        Self {
            tenant_id: &state.flow.tenant,
            namespace: state.flow.namespace.as_str(),
            flow_id: state.flow.id.as_str(),
            flow_revision: seen.saved.flow.revision,
            trigger_id: state.trigger.as_str(),
            date: state.fired.unwrap_or(state.updated),
            // What is switched off waits for no date, whatever is kept for the time after.
            next_execution_date: state.next.filter(|_| !off),
            backfill: state.backfill.as_ref().map(|backfill| BackfillBody {
                start: backfill.start,
                end: backfill.end,
                current_date: backfill.current,
                paused: backfill.paused,
                inputs: map_json(&backfill.inputs),
                labels: &backfill.labels,
                previous_next_execution_date: backfill.resume_at,
            }),
            stop_after: trigger
                .map_or_else(Vec::new, |trigger| trigger.stop_after.iter().map(|s| s.as_str()).collect()),
            disabled: off,
            updated_date: state.updated,
            execution_id: state.locked_by.as_ref().map(|id| id.as_str()),
        }
    }

    /// What the fields of a line of CSV are.
    pub const CSV_HEAD: &'static str =
        "tenantId,namespace,flowId,triggerId,date,nextExecutionDate,updatedDate,executionId,disabled";

    /// As a line of CSV.
    pub fn write_csv(&self, text: &mut String) {
        let next = self.next_execution_date.map(|at| at.to_string()).unwrap_or_default();
        let (date, updated) = (self.date.to_string(), self.updated_date.to_string());
        let disabled = self.disabled.to_string();
        let fields = [
            self.tenant_id,
            self.namespace,
            self.flow_id,
            self.trigger_id,
            &date,
            &next,
            &updated,
            self.execution_id.unwrap_or_default(),
            &disabled,
        ];
        text.push_str(&fields.join(","));
        text.push_str("\r\n");
    }
}
