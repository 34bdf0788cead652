//! What tasks give that chat with a model, as Kestra's AI plugin has it.

use llm::message::{Answer, AnswerPart, Finish};
use serde_json::{Map, Value};
use sluice_sdk::outputs;

use crate::Spent;

/// Why an answer ended.
#[outputs]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FinishReason {
    Stop,
    Length,
    ToolExecution,
    ContentFilter,
    /// The model would not answer. Kestra says OTHER.
    Refusal,
    Other,
}

impl From<Finish> for FinishReason {
    fn from(finish: Finish) -> Self {
        match finish {
            Finish::Stop => Self::Stop,
            Finish::Length => Self::Length,
            Finish::ToolCalls => Self::ToolExecution,
            Finish::ContentFilter => Self::ContentFilter,
            Finish::Refusal => Self::Refusal,
            Finish::Other => Self::Other,
        }
    }
}

/// What was spent, in tokens.
#[outputs]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TokenUsage {
    /// Of all questions.
    pub input_token_count: u64,
    /// Of all answers.
    pub output_token_count: u64,
    /// Both.
    pub total_token_count: u64,
}

impl From<&Spent> for TokenUsage {
    fn from(spent: &Spent) -> Self {
        Self {
            input_token_count: spent.input_tokens,
            output_token_count: spent.output_tokens,
            total_token_count: spent.total_tokens(),
        }
    }
}

/// What came of a chat.
#[outputs]
#[derive(Debug, Clone, Default)]
pub struct AiOutput {
    /// The answer, of `responseFormat.type: TEXT`.
    pub text_output: Option<String>,
    /// The answer, of `responseFormat.type: JSON`.
    pub json_output: Option<Value>,
    /// What was spent.
    pub token_usage: Option<TokenUsage>,
    /// Why the answer ended.
    pub finish_reason: Option<FinishReason>,
    /// Always empty: tools are not called yet.
    pub tool_executions: Vec<Map<String, Value>>,
    /// The answers before the last one that were no JSON, or did not fit the schema.
    pub intermediate_responses: Vec<IntermediateResponse>,
    /// How long it took, in milliseconds.
    pub request_duration: Option<u64>,
    /// Always empty: no files are made.
    pub output_files: Map<String, Value>,
    /// What the model thought, if `returnThinking` asks for it.
    pub thinking: Option<String>,
    /// Always empty: nothing is looked up.
    pub sources: Vec<Map<String, Value>>,
    /// Whether a guardrail stopped it.
    pub guardrail_violated: bool,
    /// What that guardrail says.
    pub guardrail_violation_message: Option<String>,
}

/// An answer that was asked for again.
#[outputs]
#[derive(Debug, Clone)]
pub struct IntermediateResponse {
    /// The provider's id of it.
    pub id: Option<String>,
    /// What it was.
    pub completion: String,
    /// Why it ended.
    pub finish_reason: FinishReason,
    /// What was wrong with it.
    pub problem: String,
}

/// What a model thought, where it is shown.
pub fn thoughts(answer: &Answer) -> Option<String> {
    let thoughts: Vec<&str> = answer
        .parts
        .iter()
        .filter_map(|part| match part {
            AnswerPart::Thinking { text, .. } if !text.is_empty() => Some(text.as_str()),
            _ => None,
        })
        .collect();
    (!thoughts.is_empty()).then(|| thoughts.join("\n"))
}
