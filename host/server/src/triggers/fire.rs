//! One firing: the execution it makes, and the steps of the commit that makes it. What cannot be rendered makes an execution that has
//! failed, never silence.

use std::sync::Arc;

use engine::Event;
use expr::{Layered, Map, Scope, Value};
use model::execution::{Execution, Failure, Triggered};
use model::flow::Label;
use model::ids::ExecutionId;
use model::inputs::Missing;
use model::trigger::Trigger;
use store::Batch;
use store::rows::{self, MessageKey, Payload, Target};

use crate::apply::FORMAT;
use crate::error::Error;
use crate::executions::Given;
use crate::flows::SavedFlow;
use crate::inputs::{Asked, FlowScope};
use crate::node::Node;

/// Flow triggers that start one another: a longer chain is taken for a circle (reliability.md, hostile input).
pub const CHAIN_MAX: u32 = 32;

/// A trigger that fires.
pub(super) struct Firing<'a> {
    pub saved: &'a Arc<SavedFlow>,
    pub trigger: &'a Trigger,
    /// What `trigger` is in expressions.
    pub variables: Map,
    /// What the trigger's inputs and labels are rendered with, behind `trigger`.
    pub scope: &'a dyn Scope,
    /// Inputs and labels beside the trigger's own, as they are.
    pub inputs: &'a Map,
    pub labels: &'a [Label],
    pub missing: Missing,
    pub depth: u32,
}

impl Node {
    /// The execution of a firing; `None` if the flow's own checks forbid one.
    pub(super) async fn execution_of(self: &Arc<Self>, firing: Firing<'_>) -> Option<Execution> {
        let (saved, trigger) = (firing.saved, firing.trigger);
        let id = self.new_execution_id();
        let front = [("trigger".into(), Value::from(firing.variables.clone()))].into_iter().collect::<Map>();
        let scope = Layered { front: &front, back: firing.scope };
        let mut failure = None;
        let mut labels = Vec::with_capacity(trigger.labels.len() + firing.labels.len());
        for label in &trigger.labels {
            let value = Value::from(label.value.as_str());
            match self.render_in(&scope, &value, false, &saved.flow.key, None).await {
                Ok(value) => labels.push(Label { key: label.key.clone(), value: text_of(&value) }),
                Err(wrong) => failure = failure.or(Some(wrong)),
            }
        }
        labels.extend(firing.labels.iter().cloned());
        let inputs = match self.inputs_of(&firing, &scope, &id).await {
            Ok(inputs) => inputs,
            Err(wrong) => {
                failure = failure.or(Some(wrong));
                Map::new()
            }
        };
        if firing.depth > CHAIN_MAX {
            let message = format!(
                "{CHAIN_MAX} Flow triggers have started one another; hint: conditions on `trigger.flowId` end the circle"
            );
            failure = Some(Failure::new("trigger.chain", message));
        }
        let mut execution = Execution {
            trigger: Some(Triggered {
                id: trigger.id.clone(),
                type_name: trigger.type_name.clone(),
                variables: firing.variables,
                depth: firing.depth,
            }),
            failure,
            ..self.fresh(saved, id, inputs, labels)
        };
        if execution.failure.is_none()
            && let Err(error) = self.check(saved, &mut execution).await
        {
            self.log_trigger(&saved.flow.key, &trigger.id, &error.to_string()).await;
            return None;
        }
        Some(execution)
    }

    async fn inputs_of(
        self: &Arc<Self>,
        firing: &Firing<'_>,
        scope: &dyn Scope,
        id: &ExecutionId,
    ) -> Result<Map, Failure> {
        let saved = firing.saved;
        let mut given: Map = Map::new();
        for (name, template) in &firing.trigger.inputs {
            let value = self.render_in(scope, template, true, &saved.flow.key, None).await;
            let value = value
                .map_err(|failure| Failure { message: format!("input `{name}`: {}", failure.message), ..failure })?;
            given.insert(name.clone(), value);
        }
        for (name, value) in firing.inputs {
            given.insert(name.clone(), value.clone());
        }
        let given = given.into_iter().map(|(name, value)| (name.to_string(), Given::Value(value))).collect();
        // What the flow's own defaults and conditions see is not the execution that was looked at.
        let asked = Asked {
            flow: &saved.flow.key,
            execution: Some(id),
            declared: &saved.flow.inputs,
            scope: &FlowScope { node: self, flow: &saved.flow },
            missing: firing.missing,
        };
        crate::inputs::resolve(self, asked, given).await.map_err(|error| {
            let issues: Vec<String> = error.issues().iter().map(|issue| issue.message.clone()).collect();
            let message = if issues.is_empty() { error.to_string() } else { issues.join("; ") };
            Failure::new("inputs.invalid", message)
        })
    }

    /// The start of an execution as a message of a commit: made with it or not at all.
    pub(super) fn start_in(&self, batch: &mut Batch, execution: Execution) -> Result<ExecutionId, Error> {
        let id = execution.id.clone();
        let key = MessageKey { to: Target::Execution(id.clone()), unique: format!("trigger/{id}").into() };
        let event = Event::Start { execution: Box::new(execution) };
        let body = Payload::of(FORMAT, &event).map_err(|error| Error::Internal(error.to_string()))?;
        batch.send(rows::Message::new(key, self.now(), body));
        Ok(id)
    }

    /// Begins an execution whose start was committed.
    pub(super) async fn begin_sent(self: &Arc<Self>, id: &ExecutionId) {
        if let Err(error) = self.deliver_inbox(id).await {
            tracing::error!(execution = %id, %error, "the start of an execution waits in the store and was not delivered");
        }
    }
}

fn text_of(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::Text(text) => text.as_plain().map_or_else(|| expr::MASK.to_owned(), str::to_owned),
        other => other.to_json().to_string(),
    }
}
