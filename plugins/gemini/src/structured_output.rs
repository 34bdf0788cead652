//! `gemini.StructuredOutputCompletion`.

use chat::{Budget, Spent};
use llm::message::{Message, Request};
use llm::structured;
use sluice_sdk::prelude::*;

use crate::{connection, report};

#[properties]
pub struct StructuredOutput {
    /// The API key.
    #[secret]
    api_key: String,
    /// The model.
    model: String,
    /// What is asked.
    prompt: String,
    /// The JSON Schema, as text, that the answer has to fit. What stands behind the first JSON value of it does not count; a text that is no
    /// JSON is shown to the model as it is.
    json_response_schema: String,
    /// Another address than Google's own.
    base_url: Option<String>,
}

#[outputs]
pub struct Predictions {
    /// The answers, each JSON as text: one.
    predictions: Vec<String>,
}

/// Ask a model of Google for JSON.
///
/// Google holds the model to the schema; the answer is looked at as well, and asked for again at most twice where it does not fit.
///
/// Failure codes: those of `io.kestra.plugin.gemini.TextCompletion`, `LLM_NOT_JSON`. Metrics: `prompt.token.count`, `candidate.token.count`,
/// `total.token.count`.
///
/// # Decide about the weather
/// ```yaml
/// id: ask
/// type: io.kestra.plugin.gemini.StructuredOutputCompletion
/// apiKey: "{{ secret('GEMINI_API_KEY') }}"
/// model: gemini-2.5-flash
/// prompt: "It is {{ inputs.knots }} knots. May I go sailing, if I want 10 to 30?"
/// jsonResponseSchema: |
///   {"type": "object", "properties": {"content": {"type": "string"}, "go_sailing": {"type": "boolean"}}, "required": ["go_sailing"]}
/// ```
///
/// Take a field of it with `{{ outputs.ask.predictions | first | jq('.go_sailing') | first }}`.
#[task("io.kestra.plugin.gemini.StructuredOutputCompletion")]
pub fn structured_output_completion(properties: StructuredOutput, cx: &Context) -> Result<Predictions, Failure> {
    let connection = connection(properties.api_key, properties.base_url)?;
    let (response, warning) =
        structured::read_schema(&properties.json_response_schema).response_format("answer", false);
    if let Some(warning) = warning {
        cx.warn(warning);
    }
    let messages = vec![Message::user(properties.prompt)];
    let request = Request { model: properties.model, messages, response, ..Request::default() };
    let mut spent = Spent::default();
    let mut model = |request: &Request| chat::ask(&connection, request, cx, &mut |_| true).map(|asked| asked.answer);
    let json = chat::ask_for_json(&mut model, &request, cx, &Budget::default(), &mut spent);
    report(&spent, cx);
    Ok(Predictions { predictions: vec![json?.value.to_string()] })
}
