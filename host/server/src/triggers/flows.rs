//! Flow triggers: an execution of another flow reached a state. What has come to pass within a window is kept in the trigger's row, written
//! in the commit that takes the news in.

use std::collections::BTreeMap;
use std::sync::Arc;

use engine::{State, view};
use expr::{Layered, Map, Value};
use model::condition::Facts;
use model::execution::{Execution, Failure};
use model::flow::Label;
use model::ids::{ExecutionId, FlowKey};
use model::inputs::Missing;
use model::state::State as Status;
use model::trigger::{FlowTrigger, Trigger};
use model::window::Gathered;
use store::Batch;
use store::rows::{Payload, TriggerState};

use super::fire::Firing;
use super::{flow_trigger, is_on};
use crate::apply::FORMAT;
use crate::conditions::{facts_hold, preconditions_met};
use crate::error::Error;
use crate::flows::SavedFlow;
use crate::node::Node;
use crate::render::RunScope;

/// What has come to pass, by the id of the preconditions or of the condition over several executions.
type Windows = BTreeMap<String, Gathered>;

/// The news of an execution.
struct News<'a> {
    state: &'a State,
    execution: &'a Arc<Execution>,
    entered: Status,
    attempts: &'a [Status],
}

impl Node {
    /// An execution reached a state: the triggers of other flows that look at it fire in this batch.
    pub(super) async fn reached(
        self: &Arc<Self>,
        id: &ExecutionId,
        flow: &FlowKey,
        entered: Status,
        batch: &mut Batch,
        begun: &mut Vec<ExecutionId>,
    ) -> Result<(), Error> {
        let listeners = self.triggers.listeners();
        if listeners.is_empty() {
            return Ok(());
        }
        let state = match self.peek(id).await {
            Some(state) => state,
            None => crate::apply::stored_state(self, id).await?,
        };
        let Some(execution) = state.execution().cloned() else { return Ok(()) };
        let attempts = view::attempts(&state);
        let news = News { state: &state, execution: &execution, entered, attempts: &attempts };
        // A flow does not start itself.
        for saved in listeners.iter().filter(|saved| saved.flow.key != *flow) {
            for trigger in &saved.flow.triggers {
                if let Some(listens) = flow_trigger(trigger).filter(|listens| listens.states.contains(&entered)) {
                    begun.extend(self.hear(saved, trigger, listens, &news, batch).await?);
                }
            }
        }
        Ok(())
    }

    /// One trigger hears of an execution.
    async fn hear(
        self: &Arc<Self>,
        saved: &Arc<SavedFlow>,
        trigger: &Trigger,
        listens: &FlowTrigger,
        news: &News<'_>,
        batch: &mut Batch,
    ) -> Result<Option<ExecutionId>, Error> {
        let Some(row) = self.trigger_row(&saved.flow.key, &trigger.id).await? else { return Ok(None) };
        if !is_on(&saved.flow, trigger, &row) {
            return Ok(None);
        }
        let mut windows: Windows = row.memory.read().unwrap_or_default();
        let before = windows.clone();
        let fires = match self.come_to_pass(saved, trigger, listens, news, &mut windows).await {
            Ok(fires) => fires,
            Err(failure) => {
                self.log_trigger(&saved.flow.key, &trigger.id, &failure.message).await;
                return Ok(None);
            }
        };
        let mut next = (*row.row).clone();
        let mut begun = None;
        if fires {
            reset(listens, &mut windows);
            let scope = RunScope::of_execution(self, news.state);
            let firing = Firing {
                saved,
                trigger,
                variables: variables(news),
                scope: &scope,
                inputs: &Map::new(),
                labels: &correlation(news),
                // It starts its flow even when that asks for an input nobody gives.
                missing: if trigger.inputs.is_empty() { Missing::LeftOut } else { Missing::Wrong },
                depth: news.execution.trigger.as_ref().map_or(0, |by| by.depth) + 1,
            };
            if let Some(execution) = self.execution_of(firing).await {
                begun = Some(self.start_in(batch, execution)?);
                next.fired = Some(self.now());
            }
        }
        if windows != before {
            next.memory = Payload::of(FORMAT, &windows).map_err(|error| Error::Internal(error.to_string()))?;
        }
        if next != *row.row {
            batch.replace(row.version, TriggerState { updated: self.now(), ..next });
        }
        Ok(begun)
    }

    /// Whether the conditions hold for this execution, and with it everything that must come to pass has.
    async fn come_to_pass(
        &self,
        saved: &SavedFlow,
        trigger: &Trigger,
        listens: &FlowTrigger,
        news: &News<'_>,
        windows: &mut Windows,
    ) -> Result<bool, Failure> {
        let front = [("trigger".into(), Value::from(variables(news)))].into_iter().collect::<Map>();
        let back = RunScope::of_execution(self, news.state);
        let scope = Layered { front: &front, back: &back };
        let execution = view::execution_facts(news.state, news.attempts)
            .map(|facts| model::condition::ExecutionFacts { state: news.entered, ..facts });
        let facts = Facts { flow: &saved.flow.key, execution };
        let id = &news.execution.id;
        if !facts_hold(self, &facts, &scope, &trigger.conditions, Some(id)).await? {
            return Ok(false);
        }
        let now = self.now();
        let mut all = true;
        if let Some(preconditions) = &listens.preconditions {
            let met = preconditions_met(self, &facts, &scope, preconditions, id).await?;
            let gathered = windows.entry(format!("preconditions/{}", preconditions.id)).or_default();
            // News that nothing waits for does not fire a trigger again that has all it waits for.
            all &= gathered.note(&preconditions.window, now, &met, &preconditions.names()) && !met.is_empty();
        }
        for multiple in &listens.multiple {
            let mut met = Vec::new();
            for (index, condition) in multiple.conditions.iter().enumerate() {
                if facts_hold(self, &facts, &scope, std::slice::from_ref(condition), Some(id)).await? {
                    met.push(index.to_string());
                }
            }
            let names: Vec<String> = (0..multiple.conditions.len()).map(|index| index.to_string()).collect();
            let gathered = windows.entry(format!("multiple/{}", multiple.id)).or_default();
            all &= gathered.note(&multiple.window, now, &met, &names) && !met.is_empty();
        }
        windows.retain(|_, gathered| !gathered.is_empty());
        Ok(all)
    }
}

/// Windows that a firing begins anew.
fn reset(listens: &FlowTrigger, windows: &mut Windows) {
    if let Some(preconditions) = listens.preconditions.as_ref().filter(|preconditions| preconditions.reset_on_success) {
        windows.remove(&format!("preconditions/{}", preconditions.id));
    }
    for multiple in listens.multiple.iter().filter(|multiple| multiple.reset_on_success) {
        windows.remove(&format!("multiple/{}", multiple.id));
    }
}

/// What `trigger` is in expressions.
fn variables(news: &News<'_>) -> Map {
    let execution = news.execution;
    let entries: [(&str, Value); 6] = [
        ("executionId", Value::from(execution.id.as_str())),
        ("namespace", Value::from(execution.flow.namespace.as_str())),
        ("flowId", Value::from(execution.flow.id.as_str())),
        ("flowRevision", Value::Int(execution.revision.into())),
        ("state", Value::from(news.entered.as_str())),
        ("outputs", Value::from(execution.outputs.clone())),
    ];
    entries.into_iter().map(|(name, value)| (Arc::from(name), value)).collect()
}

/// The label that ties executions together which come from one another.
fn correlation(news: &News<'_>) -> [Label; 1] {
    const KEY: &str = "system.correlationId";
    let known = news.execution.labels.iter().find(|label| label.key == KEY).map(|label| label.value.clone());
    [Label { key: KEY.to_owned(), value: known.unwrap_or_else(|| news.execution.id.to_string()) }]
}
