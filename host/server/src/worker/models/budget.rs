//! What an execution may spend on models of language: `models:` of its flow, held against what its tasks have told so far and what the run at
//! hand has spent since.

use std::sync::Mutex;
use std::sync::PoisonError;

use model::flow::ModelBudget;
use model::ids::ExecutionId;
use runtime::HostError;
use serde_json::Value as Json;

use crate::node::Node;

/// Metrics by which tasks tell what they spent.
const TOKENS: &str = "total.token.count";
const COST: &str = "cost";
/// Metrics of an execution that are looked at.
const METRICS_MAX: usize = 100_000;

/// What was spent.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(in super::super) struct Spent {
    pub tokens: f64,
    pub cost: f64,
}

/// What one run has spent and not yet told.
#[derive(Default)]
pub(super) struct Untold(Mutex<Spent>);

impl Untold {
    /// Adds what an answer says that it cost.
    pub fn add(&self, answer: &str) {
        let usage: Json = serde_json::from_str::<Json>(answer).unwrap_or_default()["usage"].take();
        let number = |name: &str| usage.get(name).and_then(Json::as_f64).unwrap_or(0.0);
        let mut spent = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        spent.tokens += number("inputTokens") + number("outputTokens");
        spent.cost += number("cost");
    }

    pub fn so_far(&self) -> Spent {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Node {
    /// Whether an execution may ask a model once more. What nobody limits costs no look.
    pub(in super::super) async fn may_spend(
        &self,
        budget: ModelBudget,
        execution: &ExecutionId,
        untold: Spent,
    ) -> Result<(), HostError> {
        if budget == ModelBudget::default() {
            return Ok(());
        }
        let measured =
            self.newest_metrics(execution, METRICS_MAX).await.map_err(|error| HostError::host(error.to_string()))?;
        let sum = |name: &str| -> f64 {
            measured.metrics.iter().filter(|metric| metric.name.as_ref() == name).map(|metric| metric.value).sum()
        };
        let (tokens, cost) = (sum(TOKENS) + untold.tokens, sum(COST) + untold.cost);
        let over = |spent: f64, most: f64, what: &str| {
            let message = format!(
                "the execution has spent {spent} of at most {most} {what}: no model is asked any more; hint: `models:` of the flow says how much"
            );
            Err(HostError::new("LLM_BUDGET", message))
        };
        match (budget.max_tokens.map(f64::from), budget.max_cost) {
            (Some(most), _) if tokens >= most => over(tokens, most, "tokens"),
            (_, Some(most)) if cost >= most => over(cost, most, "in the provider's money"),
            _ => Ok(()),
        }
    }
}
