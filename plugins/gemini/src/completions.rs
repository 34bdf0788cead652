//! `gemini.TextCompletion` and `gemini.ChatCompletion`.

use chat::{ChatMessage, Spent};
use llm::message::{Message, Request};
use serde_json::{Map, Value};
use sluice_sdk::prelude::*;

use crate::{connection, report};

#[properties]
pub struct TextCompletion {
    /// The API key.
    #[secret]
    api_key: String,
    /// The model.
    model: String,
    /// What is asked.
    prompt: String,
    /// Another address than Google's own.
    base_url: Option<String>,
}

#[properties]
pub struct ChatCompletion {
    /// The API key.
    #[secret]
    api_key: String,
    /// The model.
    model: String,
    /// The conversation.
    messages: Vec<ChatMessage>,
    /// Another address than Google's own.
    base_url: Option<String>,
}

#[outputs]
pub struct Predictions {
    /// The answers.
    predictions: Vec<Prediction>,
}

/// One answer.
#[outputs]
pub struct Prediction {
    /// How safe Google takes it to be.
    #[serde(skip_serializing_if = "Option::is_none")]
    safety_ratings: Option<Vec<Map<String, Value>>>,
    /// What it quotes.
    #[serde(skip_serializing_if = "Option::is_none")]
    citation_metadata: Option<Map<String, Value>>,
    /// The answer, without thoughts.
    content: String,
}

/// Have a model of Google complete a text.
///
/// Failure codes: `LLM_AUTH`, `LLM_UNKNOWN_MODEL`, `LLM_RATE_LIMITED`, `LLM_QUOTA_EXHAUSTED`, `LLM_OVERLOADED`, `LLM_TOO_LONG`, `LLM_BAD_REQUEST`,
/// `LLM_CONTENT_FILTER`, `LLM_SERVER`, `LLM_MALFORMED`, `LLM_TRUNCATED`, `LLM_REFUSED`, `LLM_LENGTH`, `HTTP_DNS`, `HTTP_CONNECT`, `HTTP_TLS`, `HTTP_TIMEOUT`,
/// `NOT_GRANTED`, `BAD_PROPERTY`. Metrics: `prompt.token.count`, `candidate.token.count`, `total.token.count`.
///
/// # Tell a joke
/// ```yaml
/// id: joke
/// type: io.kestra.plugin.gemini.TextCompletion
/// apiKey: "{{ secret('GEMINI_API_KEY') }}"
/// model: gemini-2.5-flash
/// prompt: Tell me a joke about data pipelines.
/// ```
///
/// Its text is `{{ outputs.joke.predictions[0].content }}`.
#[task("io.kestra.plugin.gemini.TextCompletion")]
pub fn text_completion(properties: TextCompletion, cx: &Context) -> Result<Predictions, Failure> {
    let messages = vec![Message::user(properties.prompt)];
    predict(properties.api_key, properties.base_url, properties.model, messages, cx)
}

/// Chat with a model of Google.
///
/// Failure codes and metrics: those of `io.kestra.plugin.gemini.TextCompletion`.
///
/// # Answer as somebody
/// ```yaml
/// id: answer
/// type: io.kestra.plugin.gemini.ChatCompletion
/// apiKey: "{{ secret('GEMINI_API_KEY') }}"
/// model: gemini-2.5-flash
/// messages:
///   - type: SYSTEM
///     content: You are a captain of few words.
///   - type: USER
///     content: "{{ inputs.question }}"
/// ```
#[task("io.kestra.plugin.gemini.ChatCompletion")]
pub fn chat_completion(properties: ChatCompletion, cx: &Context) -> Result<Predictions, Failure> {
    let messages = chat::conversation_of_any_order(properties.messages)?;
    predict(properties.api_key, properties.base_url, properties.model, messages, cx)
}

fn predict(
    api_key: String,
    base_url: Option<String>,
    model: String,
    messages: Vec<Message>,
    cx: &Context,
) -> Result<Predictions, Failure> {
    let connection = connection(api_key, base_url)?;
    let request = Request { model, messages, ..Request::default() };
    let asked = chat::ask(&connection, &request, cx, &mut |_| true)?;
    let mut spent = Spent::default();
    asked.answer.usage.iter().for_each(|usage| spent.add(usage));
    report(&spent, cx);
    let body: Value = serde_json::from_slice(&asked.raw).unwrap_or_default();
    let candidates = body.get("candidates").and_then(Value::as_array).cloned().unwrap_or_default();
    let predictions = candidates.iter().map(prediction).collect();
    Ok(Predictions { predictions })
}

fn prediction(candidate: &Value) -> Prediction {
    let parts = candidate.pointer("/content/parts").and_then(Value::as_array).cloned().unwrap_or_default();
    let is_said = |part: &&Value| part.get("thought") != Some(&Value::Bool(true));
    let objects = |list: &Vec<Value>| list.iter().filter_map(Value::as_object).cloned().collect();
    Prediction {
        safety_ratings: candidate.get("safetyRatings").and_then(Value::as_array).map(objects),
        citation_metadata: candidate.get("citationMetadata").and_then(Value::as_object).cloned(),
        content: parts.iter().filter(is_said).filter_map(|part| part.get("text")?.as_str()).collect(),
    }
}
