//! How a model is to answer: `configuration` of tasks, as Kestra's AI plugin has it.

use llm::message::{Request, ResponseFormat, Schema, Thinking};
use serde_json::{Map, Value};
use sluice_sdk::{Context, Failure, properties};

use crate::Budget;

/// What a schema is called where its author gave no name.
const SCHEMA_NAME: &str = "answer";

/// Settings of one chat. What is not set is left to the provider.
#[properties]
#[derive(Debug, Clone, Default)]
pub struct Configuration {
    /// How much chance there is in the choice of words: 0 is none.
    pub temperature: Option<f64>,
    /// Only so many of the likeliest words are chosen from.
    pub top_k: Option<u32>,
    /// Only the likeliest words whose shares add up to this are chosen from.
    pub top_p: Option<f64>,
    /// Makes answers repeat, where the provider can.
    pub seed: Option<i64>,
    /// Longest answer, in tokens.
    #[serde(alias = "maxTokens")]
    pub max_token: Option<u32>,
    /// What form the answer has to have.
    pub response_format: Option<Format>,
    /// Whether the model thinks before it answers, where it can.
    pub thinking_enabled: Option<bool>,
    /// How many tokens it may think.
    pub thinking_budget_tokens: Option<u32>,
    /// Whether its thoughts are an output of the task.
    pub return_thinking: Option<bool>,
    /// Marks instructions and tools as worth caching, where the provider wants to be told.
    pub prompt_caching: Option<bool>,
    /// Whether what is sent is logged, without keys.
    pub log_requests: Option<bool>,
    /// Whether what comes back is logged.
    pub log_responses: Option<bool>,
    /// What the task may spend in all; once it is spent, nothing more is asked.
    pub budget: Option<BudgetProperties>,
}

/// What a task may spend.
#[properties]
#[derive(Debug, Clone, Default)]
pub struct BudgetProperties {
    /// Tokens, of questions and answers together.
    pub max_tokens: Option<u64>,
    /// Cost, where the provider says what an answer cost.
    pub max_cost: Option<f64>,
}

/// What form an answer has to have.
#[properties]
#[derive(Debug, Clone, Default)]
pub struct Format {
    /// TEXT or JSON.
    #[serde(rename = "type", default)]
    #[schemars(rename = "type")]
    pub kind: FormatType,
    /// The JSON Schema that the answer has to fit.
    pub json_schema: Option<Map<String, Value>>,
    /// What the schema is of, for the model.
    pub json_schema_description: Option<String>,
    /// Whether the provider is to hold the model to the schema, all the way down.
    pub strict_json: Option<bool>,
}

/// What an answer is.
#[properties]
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum FormatType {
    #[default]
    Text,
    Json,
}

impl Configuration {
    /// Whether the answer is JSON.
    pub fn is_json(&self) -> bool {
        self.response_format.as_ref().is_some_and(|format| format.kind == FormatType::Json)
    }

    pub fn budget(&self) -> Budget {
        let budget = self.budget.clone().unwrap_or_default();
        Budget { max_tokens: budget.max_tokens, max_cost: budget.max_cost }
    }

    /// Puts these settings into a request.
    pub fn apply(&self, request: &mut Request) -> Result<(), Failure> {
        let sampling = &mut request.sampling;
        sampling.temperature = self.temperature;
        sampling.top_k = self.top_k;
        sampling.top_p = self.top_p;
        sampling.seed = self.seed;
        sampling.max_output_tokens = self.max_token;
        request.thinking = self.thinking();
        request.cache_prompt = self.prompt_caching == Some(true);
        if let Some(format) = &self.response_format {
            request.response = format.wanted()?;
        }
        Ok(())
    }

    fn thinking(&self) -> Thinking {
        let shown = self.return_thinking == Some(true);
        match (self.thinking_enabled, self.thinking_budget_tokens) {
            (Some(false), _) => Thinking::Off,
            (None, None) if !shown => Thinking::Unasked,
            (_, budget_tokens) => Thinking::On { budget_tokens, shown },
        }
    }

    /// Says what of these settings nobody will see.
    pub fn warn(&self, cx: &Context) {
        if self.return_thinking == Some(true) && self.thinking_enabled == Some(false) {
            cx.warn("`returnThinking` has nothing to return: `thinkingEnabled` is false");
        }
    }
}

impl Format {
    fn wanted(&self) -> Result<ResponseFormat, Failure> {
        match (self.kind, &self.json_schema) {
            (FormatType::Text, None) => Ok(ResponseFormat::Text),
            (FormatType::Text, Some(_)) => {
                Err(Failure::bad_property("`responseFormat.jsonSchema` goes with `responseFormat.type: JSON`"))
            }
            (FormatType::Json, None) => Ok(ResponseFormat::Json),
            (FormatType::Json, Some(schema)) => {
                let title = schema.get("title").and_then(Value::as_str).unwrap_or(SCHEMA_NAME);
                Ok(ResponseFormat::Schema(Schema {
                    name: title.to_owned(),
                    description: self.json_schema_description.clone(),
                    schema: Value::Object(schema.clone()),
                    strict: self.strict_json == Some(true),
                }))
            }
        }
    }
}
