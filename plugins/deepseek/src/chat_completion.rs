//! `deepseek.ChatCompletion`.

use chat::connection::Common;
use chat::{Budget, ChatMessage, Connection, Credential, Spent};
use llm::codec;
use llm::message::{Request, ResponseFormat};
use llm::structured::{self, WrittenSchema};
use serde_json::Value;
use sluice_sdk::duration::IsoDuration;
use sluice_sdk::prelude::*;

/// Names of the metrics of what is spent.
const METRICS: [&str; 3] = ["input.token.count", "output.token.count", "total.token.count"];

#[properties]
pub struct ChatCompletion {
    /// The API key.
    #[secret]
    api_key: String,
    /// The model: `deepseek-chat`, `deepseek-reasoner`.
    model_name: String,
    /// Where DeepSeek is.
    #[default("https://api.deepseek.com/v1")]
    base_url: String,
    /// The conversation.
    messages: Vec<ChatMessage>,
    /// A JSON Schema, as text, that the answer has to fit. A text that is no JSON is shown to the model as it is.
    json_response_schema: Option<String>,
    /// How long DeepSeek may be silent. Under load it sends blank lines for as long as half an hour, which is not silence.
    client_timeout: Option<IsoDuration>,
}

#[outputs]
pub struct Completed {
    /// What the model answered; with a schema, JSON.
    response: String,
    /// The whole body of DeepSeek's answer.
    raw: String,
}

/// Chat with a model of DeepSeek.
///
/// With `jsonResponseSchema` the model is shown the schema and answers with JSON: that is looked at, and asked for again at most twice where
/// it does not fit. Thoughts of a reasoning model are in `raw`, never in `response`.
///
/// Failure codes: `LLM_AUTH`, `LLM_UNKNOWN_MODEL`, `LLM_RATE_LIMITED`, `LLM_QUOTA_EXHAUSTED`, `LLM_OVERLOADED`, `LLM_TOO_LONG`, `LLM_BAD_REQUEST`,
/// `LLM_CONTENT_FILTER`, `LLM_SERVER`, `LLM_MALFORMED`, `LLM_TRUNCATED`, `LLM_REFUSED`, `LLM_LENGTH`, `LLM_NOT_JSON`, `HTTP_DNS`, `HTTP_CONNECT`,
/// `HTTP_TLS`, `HTTP_TIMEOUT`, `NOT_GRANTED`, `BAD_PROPERTY`. Metrics: `input.token.count`, `output.token.count`, `total.token.count`.
///
/// # Make tasks of a text
/// ```yaml
/// id: tasks
/// type: io.kestra.plugin.deepseek.ChatCompletion
/// apiKey: "{{ secret('DEEPSEEK_API_KEY') }}"
/// modelName: deepseek-chat
/// messages:
///   - type: SYSTEM
///     content: You turn what you are told into tasks, as JSON.
///   - type: USER
///     content: "{{ inputs.prompt }}"
/// jsonResponseSchema: |
///   {"type": "object", "properties": {"tasks": {"type": "array", "items": {"type": "string"}}}, "required": ["tasks"]}
/// ```
///
/// # Answer a question
/// ```yaml
/// id: answer
/// type: io.kestra.plugin.deepseek.ChatCompletion
/// apiKey: "{{ secret('DEEPSEEK_API_KEY') }}"
/// modelName: deepseek-chat
/// messages:
///   - type: USER
///     content: What is the capital of France? Answer with one word.
/// ```
#[task("io.kestra.plugin.deepseek.ChatCompletion")]
pub fn chat_completion(properties: ChatCompletion, cx: &Context) -> Result<Completed, Failure> {
    let common = Common {
        base_url: Some(properties.base_url),
        timeout: properties.client_timeout.map(|timeout| timeout.0),
        ..Common::default()
    };
    let connection = Connection::new(&codec::DEEPSEEK, Credential::Key(properties.api_key), common)?;
    let schema = properties.json_response_schema.as_deref().map(structured::read_schema);
    let wants_list = matches!(&schema, Some(WrittenSchema::Text { text, .. }) if says_list(text));
    let (response, warning) =
        schema.map_or((ResponseFormat::Text, None), |schema| schema.response_format("answer", false));
    if let Some(warning) = warning {
        cx.warn(warning);
    }
    let messages = chat::conversation_of_any_order(properties.messages)?;
    let request = Request { model: properties.model_name, messages, response, ..Request::default() };
    let (mut spent, mut raw) = (Spent::default(), Vec::new());
    let mut model = |request: &Request| {
        let asked = chat::ask(&connection, request, cx, &mut |_| true)?;
        raw = asked.raw;
        Ok(asked.answer)
    };
    let answered = if matches!(request.response, ResponseFormat::Text) {
        model(&request)
            .inspect(|answer| answer.usage.iter().for_each(|usage| spent.add(usage)))
            .map(|answer| answer.text())
    } else {
        let json = chat::ask_for_json(&mut model, &request, cx, &Budget::default(), &mut spent);
        json.map(|json| text_of(json.value, wants_list))
    };
    spent.report(cx, METRICS, &[]);
    let raw = String::from_utf8_lossy(&raw).trim_start().to_owned();
    Ok(Completed { response: answered?, raw })
}

/// Whether a text that is no JSON means a list.
fn says_list(text: &str) -> bool {
    let plain: String = text.chars().filter(|letter| !letter.is_whitespace() && *letter != '"').collect();
    plain.trim_start_matches('{').starts_with("type:array")
}

/// The answer as text. Where a list was asked for and one of its items came, it is a list of one.
fn text_of(value: Value, wants_list: bool) -> String {
    match value {
        Value::Object(_) if wants_list => Value::Array(vec![value]).to_string(),
        value => value.to_string(),
    }
}
