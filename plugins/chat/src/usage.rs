//! What answers cost: told as metrics, and held against a limit.

use llm::message::Usage;
use sluice_sdk::{Context, Failure};

/// What a task may spend in all its questions.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Budget {
    /// Tokens, of questions and answers together.
    pub max_tokens: Option<u64>,
    /// In the provider's money.
    pub max_cost: Option<f64>,
}

/// What was spent so far.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Spent {
    pub input_tokens: u64,
    pub output_tokens: u64,
    pub cost: Option<f64>,
}

impl Spent {
    pub fn add(&mut self, usage: &Usage) {
        self.input_tokens += usage.input_tokens;
        self.output_tokens += usage.output_tokens;
        if let Some(cost) = usage.cost {
            self.cost = Some(self.cost.unwrap_or(0.0) + cost);
        }
    }

    pub fn total_tokens(&self) -> u64 {
        self.input_tokens + self.output_tokens
    }

    /// Whether another question may be asked.
    pub fn within(&self, budget: &Budget) -> Result<(), Failure> {
        let over = |what: &str, spent: String, most: String| {
            let message = format!("the task has spent {spent} of at most {most} {what}: nothing more is asked");
            Err(Failure::new("LLM_BUDGET", message).retryable(false))
        };
        match (budget.max_tokens, budget.max_cost, self.cost) {
            (Some(most), _, _) if self.total_tokens() >= most => {
                over("tokens", self.total_tokens().to_string(), most.to_string())
            }
            (_, Some(most), Some(cost)) if cost >= most => {
                over("in the provider's money", cost.to_string(), most.to_string())
            }
            _ => Ok(()),
        }
    }

    /// Tells it as metrics under these names.
    pub fn report(&self, cx: &Context, names: [&str; 3], tags: &[(String, String)]) {
        let [input, output, total] = names;
        cx.counter(input, self.input_tokens as f64, tags);
        cx.counter(output, self.output_tokens as f64, tags);
        cx.counter(total, self.total_tokens() as f64, tags);
        if let Some(cost) = self.cost {
            cx.counter("cost", cost, tags);
        }
    }
}
