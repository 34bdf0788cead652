//! The one message model: what a model is asked and what it answers, whoever provides it. Its JSON is what crosses `sluice:llm/chat`.
//!
//! A message can only have the parts that its role can have. What only one provider understands is kept as it came (`Verbatim`) and goes
//! back to nobody else.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::Dialect;

/// What a model is asked.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Request {
    /// The provider's name for the model; with Azure, the deployment.
    pub model: String,
    pub messages: Vec<Message>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tools: Vec<Tool>,
    #[serde(default)]
    pub tool_choice: ToolChoice,
    /// Whether several tools may be called at once; the provider decides where it is not said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parallel_tool_calls: Option<bool>,
    #[serde(default)]
    pub response: ResponseFormat,
    #[serde(default)]
    pub sampling: Sampling,
    #[serde(default)]
    pub thinking: Thinking,
    /// Marks tools and instructions as worth caching, where a provider does not do it unasked.
    #[serde(default)]
    pub cache_prompt: bool,
    /// Whether the answer comes in parts.
    #[serde(default)]
    pub stream: bool,
}

/// One turn of a conversation.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "role", rename_all = "lowercase", deny_unknown_fields)]
pub enum Message {
    System { text: String },
    User { parts: Vec<UserPart> },
    Assistant { parts: Vec<AnswerPart> },
    Tool { results: Vec<ToolResult> },
}

impl Message {
    pub fn system(text: impl Into<String>) -> Self {
        Self::System { text: text.into() }
    }

    pub fn user(text: impl Into<String>) -> Self {
        Self::User { parts: vec![UserPart::Text { text: text.into() }] }
    }
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "camelCase", deny_unknown_fields)]
pub enum UserPart {
    Text { text: String },
    Image { image: Image },
}

/// A picture that the model is shown.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", rename_all_fields = "camelCase", deny_unknown_fields)]
pub enum Image {
    /// The provider fetches it.
    Url(String),
    Bytes {
        /// As in `image/png`.
        media_type: String,
        data: Base64,
    },
}

/// Bytes in base64, padded, as every provider wants them: they pass through and are never decoded here.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Base64(String);

impl Base64 {
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for Base64 {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        let data = text.trim_end_matches('=');
        let known = data.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/'));
        match known && text.len().is_multiple_of(4) && text.len() - data.len() <= 2 {
            true => Ok(Self(text)),
            false => Err("not padded base64"),
        }
    }
}

impl From<Base64> for String {
    fn from(base64: Base64) -> Self {
        base64.0
    }
}

/// A piece of what a model said.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "camelCase", deny_unknown_fields)]
pub enum AnswerPart {
    Text {
        text: String,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        verbatim: Option<Verbatim>,
    },
    ToolCall(ToolCall),
    /// How the model came to its answer. The text is for people and may be empty; the model gets `verbatim` back.
    Thinking {
        text: String,
        verbatim: Verbatim,
    },
}

impl AnswerPart {
    pub fn text(text: impl Into<String>) -> Self {
        Self::Text { text: text.into(), verbatim: None }
    }
}

/// JSON that only the provider it came from understands: signatures, encrypted thoughts. Every field goes back in the place it had.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Verbatim {
    pub origin: Dialect,
    pub json: Value,
}

/// What the model wants done.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ToolCall {
    /// The provider's, or one made here where it has none: unique within an answer.
    pub id: String,
    pub name: String,
    /// An object. A text means that what the model wrote is not JSON; it is the text.
    pub arguments: Value,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub verbatim: Option<Verbatim>,
}

/// What came of a tool call.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ToolResult {
    /// The id of the call.
    pub id: String,
    /// The name of the tool, which some providers know a call by.
    pub name: String,
    /// Text, or JSON as text.
    pub content: String,
    #[serde(default)]
    pub is_error: bool,
}

/// What the model may call.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Tool {
    pub name: String,
    #[serde(default)]
    pub description: String,
    /// JSON Schema of the arguments, an object's.
    pub schema: Value,
    /// Asks the provider to hold the model to the schema, where it can.
    #[serde(default)]
    pub strict: bool,
}

#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum ToolChoice {
    #[default]
    Auto,
    None,
    /// At least one, whichever.
    Required,
    Tool(String),
}

/// What form the answer has to have.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum ResponseFormat {
    #[default]
    Text,
    Json,
    Schema(Schema),
    /// What was meant as a schema and is none: the model is shown it, no provider has to understand it.
    Described(String),
}

/// A JSON Schema that the answer has to fit.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Schema {
    /// Letters, digits, `_` and `-`.
    pub name: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    pub schema: Value,
    #[serde(default)]
    pub strict: bool,
}

/// How the model chooses its words. What is not set is left to the provider.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct Sampling {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub temperature: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub top_p: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub top_k: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_output_tokens: Option<u32>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub stop: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub seed: Option<i64>,
}

/// Whether the model thinks before it answers. Where a provider has no switch, it is the model that decides.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", rename_all_fields = "camelCase")]
pub enum Thinking {
    /// As the provider does it unasked.
    #[default]
    Unasked,
    Off,
    On {
        #[serde(default)]
        budget_tokens: Option<u32>,
        /// Whether the thoughts come with the answer, where that can be chosen.
        #[serde(default)]
        shown: bool,
    },
}

/// What a model answered, whole.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Answer {
    /// The provider's id of the answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// The model that answered, which may be another than was asked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub model: Option<String>,
    pub parts: Vec<AnswerPart>,
    pub finish: Finish,
    /// The provider's word for it.
    pub finish_word: String,
    /// None: the provider did not say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub usage: Option<Usage>,
}

impl Answer {
    /// All text, without thoughts.
    pub fn text(&self) -> String {
        let texts = self.parts.iter().filter_map(|part| match part {
            AnswerPart::Text { text, .. } => Some(text.as_str()),
            AnswerPart::ToolCall(_) | AnswerPart::Thinking { .. } => None,
        });
        texts.collect()
    }

    pub fn tool_calls(&self) -> impl Iterator<Item = &ToolCall> {
        self.parts.iter().filter_map(|part| match part {
            AnswerPart::ToolCall(call) => Some(call),
            AnswerPart::Text { .. } | AnswerPart::Thinking { .. } => None,
        })
    }
}

/// Why an answer ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Finish {
    Stop,
    /// A limit of tokens.
    Length,
    ToolCalls,
    /// The model would not; what it says about it is the text.
    Refusal,
    /// The provider would not let it.
    ContentFilter,
    Other,
}

/// What an answer cost, in tokens. All of the input and all of the output, whatever a provider counts apart.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct Usage {
    pub input_tokens: u64,
    pub output_tokens: u64,
    /// Of the input, what was read from a cache.
    pub cached_tokens: u64,
    /// Of the output, what was thought.
    pub thinking_tokens: u64,
    /// In the provider's money, where it says so.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cost: Option<f64>,
}

/// A piece of an answer on its way. The whole is in the `Answer` at the end.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "camelCase", deny_unknown_fields)]
pub enum Part {
    Text {
        text: String,
    },
    Thinking {
        text: String,
    },
    /// A tool call begins; what follows of its arguments has the same id.
    ToolCall {
        id: String,
        name: String,
    },
    Arguments {
        id: String,
        json: String,
    },
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn model_crosses_as_json_and_back() {
        let request = json!({
            "model": "m",
            "messages": [
                { "role": "system", "text": "be brief" },
                { "role": "user", "parts": [
                    { "type": "text", "text": "what is this?" },
                    { "type": "image", "image": { "url": "https://example.com/a.png" } },
                    { "type": "image", "image": { "bytes": { "mediaType": "image/png", "data": "AAAA" } } },
                ] },
                { "role": "assistant", "parts": [
                    { "type": "thinking", "text": "", "verbatim": { "origin": "anthropic", "json": { "z": 1, "a": 2 } } },
                    { "type": "toolCall", "id": "1", "name": "look", "arguments": { "at": "it" } },
                ] },
                { "role": "tool", "results": [{ "id": "1", "name": "look", "content": "a cat", "isError": false }] },
            ],
            "tools": [{ "name": "look", "description": "", "schema": { "type": "object" }, "strict": true }],
            "toolChoice": { "tool": "look" },
            "response": { "schema": { "name": "x", "schema": {}, "strict": false } },
            "sampling": { "topK": 3, "maxOutputTokens": 10, "stop": ["."] },
            "thinking": { "on": { "budgetTokens": 5, "shown": true } },
            "cachePrompt": false,
            "stream": true,
        });
        let parsed: Request = serde_json::from_value(request.clone()).expect("a request");
        assert_eq!(serde_json::to_string(&parsed).expect("JSON"), request.to_string());
    }

    #[test]
    fn least_request_is_a_model_and_messages() {
        let parsed: Request = serde_json::from_str(r#"{"model":"m","messages":[]}"#).expect("a request");
        assert_eq!(parsed, Request { model: "m".into(), ..Request::default() });
    }

    #[test]
    fn what_no_role_can_say_is_no_message() {
        for wrong in [
            json!({ "role": "user", "parts": [{ "type": "toolCall", "id": "1", "name": "x", "arguments": {} }] }),
            json!({ "role": "developer", "text": "x" }),
            json!({ "role": "system", "parts": [] }),
        ] {
            assert!(serde_json::from_value::<Message>(wrong.clone()).is_err(), "{wrong}");
        }
    }

    #[test]
    fn bytes_are_padded_base64() {
        for (text, good) in
            [("", true), ("AA==", true), ("AAA", false), ("A===", false), ("A*A=", false), ("-_AA", false)]
        {
            assert_eq!(Base64::try_from(text.to_owned()).is_ok(), good, "{text}");
        }
    }
}
