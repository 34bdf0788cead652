//! `openai.Responses`.

use llm::http::{Auth, HttpRequest};
use llm::message::Usage;
use serde_json::{Map, Value, json};
use sluice_sdk::prelude::*;

use crate::{base, connection, report};

#[properties]
pub struct Responses {
    /// The API key.
    #[secret]
    api_key: String,
    /// The model.
    model: String,
    /// What is asked: text, or a list of items as OpenAI has them.
    input: Value,
    /// What form the answer has to have, as OpenAI has it.
    text: Option<Map<String, Value>>,
    /// What the model may use, as OpenAI has it.
    tools: Option<Vec<Map<String, Value>>>,
    /// Whether it has to use one.
    tool_choice: Option<Choice>,
    /// Whether OpenAI keeps the answer, so that another one can go on from it.
    #[default(true)]
    store: bool,
    /// The answer to go on from.
    previous_response_id: Option<String>,
    /// A prompt that is kept at OpenAI.
    prompt_id: Option<String>,
    /// What is put into it.
    prompt_variables: Option<Map<String, Value>>,
    /// How the model thinks, as OpenAI has it.
    reasoning: Option<Map<String, Value>>,
    /// Longest answer, in tokens.
    max_output_tokens: Option<u32>,
    /// Whether several tools may be used at once.
    parallel_tool_calls: Option<bool>,
    /// Taken, and of no use: OpenAI caches what it can unasked.
    #[expect(dead_code, reason = "taken, so that flows for Kestra are")]
    prompt_caching: Option<bool>,
    /// Who asks, for OpenAI to tell abuse by.
    user: Option<String>,
    /// How long OpenAI may be silent, in seconds.
    #[default(10_u64)]
    client_timeout: u64,
    /// Another address than OpenAI's own.
    base_url: Option<String>,
}

/// Whether tools are used.
#[properties]
#[derive(Debug, Clone, Copy)]
pub enum Choice {
    None,
    Auto,
    Required,
}

#[outputs]
pub struct Responded {
    /// OpenAI's id of the answer.
    response_id: Option<String>,
    /// All text of the answer.
    output_text: String,
    /// Where the answer says it is from.
    sources: Vec<String>,
    /// The whole answer, as OpenAI has it.
    raw_response: Map<String, Value>,
}

/// Ask a model of OpenAI over its Responses API.
///
/// Failure codes and metrics: those of `io.kestra.plugin.openai.ChatCompletion`.
///
/// # Search the web
/// ```yaml
/// id: search
/// type: io.kestra.plugin.openai.Responses
/// apiKey: "{{ secret('OPENAI_API_KEY') }}"
/// model: gpt-4.1-mini
/// clientTimeout: 120
/// input: "What happened in orbit this week?"
/// toolChoice: REQUIRED
/// tools:
///   - type: web_search
/// ```
#[task("io.kestra.plugin.openai.Responses")]
pub fn responses(properties: Responses, cx: &Context) -> Result<Responded, Failure> {
    let connection = connection(properties.api_key.clone(), properties.base_url.clone(), properties.client_timeout)?;
    let request = HttpRequest {
        method: "POST",
        base: base(&connection),
        path: "/responses".to_owned(),
        query: Vec::new(),
        headers: vec![("content-type".to_owned(), "application/json".to_owned())],
        auth: Auth::Bearer,
        body: properties.body().to_string().into_bytes(),
    };
    let body = chat::send(&connection, &request, cx)?;
    let body: Map<String, Value> = serde_json::from_slice(&body)
        .map_err(|error| Failure::new("LLM_MALFORMED", format!("OpenAI's answer is no JSON object: {error}")))?;
    let body = Value::Object(body);
    let count = |name: &str| body.pointer(&format!("/usage/{name}")).and_then(Value::as_u64).unwrap_or(0);
    let usage =
        Usage { input_tokens: count("input_tokens"), output_tokens: count("output_tokens"), ..Usage::default() };
    report(Some(&usage), cx);
    if let Some(problem) = body.pointer("/error/message").and_then(Value::as_str) {
        return Err(Failure::new("LLM_SERVER", problem).retryable(true));
    }
    Ok(read(body))
}

impl Responses {
    fn body(&self) -> Value {
        let choice = self.tool_choice.map(|choice| match choice {
            Choice::None => "none",
            Choice::Auto => "auto",
            Choice::Required => "required",
        });
        let prompt = self.prompt_id.as_ref().map(|id| json!({ "id": id, "variables": self.prompt_variables }));
        let fields = [
            ("model", json!(self.model)),
            ("input", self.input.clone()),
            ("text", json!(self.text)),
            ("tools", json!(self.tools)),
            ("tool_choice", json!(choice)),
            ("store", json!(self.store)),
            ("previous_response_id", json!(self.previous_response_id)),
            ("prompt", json!(prompt)),
            ("reasoning", json!(self.reasoning)),
            ("max_output_tokens", json!(self.max_output_tokens)),
            ("parallel_tool_calls", json!(self.parallel_tool_calls)),
            ("user", json!(self.user)),
        ];
        let given = fields.into_iter().filter(|(_, value)| !value.is_null());
        Value::Object(given.map(|(name, value)| (name.to_owned(), value)).collect())
    }
}

fn read(body: Value) -> Responded {
    let parts = |body: &Value| -> Vec<Value> {
        let items = body.get("output").and_then(Value::as_array).cloned().unwrap_or_default();
        items.iter().filter_map(|item| item.get("content")?.as_array()).flatten().cloned().collect()
    };
    let parts = parts(&body);
    let text = parts.iter().filter(|part| part.get("type").is_some_and(|kind| kind == "output_text"));
    let output_text = text.filter_map(|part| part.get("text")?.as_str()).collect();
    let quoted = parts.iter().filter_map(|part| part.get("annotations")?.as_array()).flatten();
    let sources = quoted.filter_map(|quoted| Some(quoted.get("url")?.as_str()?.to_owned())).collect();
    let response_id = body.get("id").and_then(Value::as_str).map(str::to_owned);
    let raw_response = match body {
        Value::Object(fields) => fields,
        _ => Map::new(),
    };
    Responded { response_id, output_text, sources, raw_response }
}
