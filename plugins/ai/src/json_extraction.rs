//! `ai.completion.JSONStructuredExtraction`.

use chat::guardrails::Guardrails;
use chat::{Completion, Configuration, ContentBlock, FinishReason, TokenUsage};
use llm::message::{Message, ResponseFormat, Schema};
use serde_json::{Map, Value, json};
use sluice_sdk::prelude::*;

use crate::chat_completion::question;
use crate::provider::Provider;

/// What the model is told where the flow says nothing.
const INSTRUCTIONS: &str =
    "Take what is asked for out of the user's text. A field that the text says nothing of is an empty text.";

#[properties]
pub struct JsonExtraction {
    /// What is looked through. One of `prompt` and `contentBlocks` is needed.
    prompt: Option<String>,
    /// The same in blocks, among which may be images.
    content_blocks: Option<Vec<ContentBlock>>,
    /// What the model is told.
    system_message: Option<String>,
    /// What the whole is called.
    schema_name: String,
    /// The fields to look for, each a text.
    json_fields: Vec<String>,
    /// Who answers.
    provider: Provider,
    /// How the model is to answer.
    configuration: Option<Configuration>,
    /// What question and answer have to pass.
    guardrails: Option<Guardrails>,
}

#[outputs]
pub struct Extracted {
    /// What the whole is called.
    schema_name: String,
    /// The fields, a JSON object as text.
    extracted_json: Option<String>,
    /// What was spent.
    token_usage: Option<TokenUsage>,
    /// Why the answer ended.
    finish_reason: Option<FinishReason>,
    /// Whether a guardrail stopped it.
    guardrail_violated: bool,
    /// What that guardrail says.
    guardrail_violation_message: Option<String>,
}

/// Have any model take fields out of a text.
///
/// Failure codes and metrics: those of `io.kestra.plugin.ai.completion.ChatCompletion`.
///
/// # Who somebody is
/// ```yaml
/// id: person
/// type: io.kestra.plugin.ai.completion.JSONStructuredExtraction
/// provider:
///   type: io.kestra.plugin.ai.provider.Anthropic
///   apiKey: "{{ secret('ANTHROPIC_API_KEY') }}"
///   modelName: claude-sonnet-4-5
/// schemaName: Person
/// jsonFields: [name, city, email]
/// prompt: "Hello, my name is John, I live in Paris. You reach me at john@example.com."
/// ```
///
/// A field of it is `{{ outputs.person.extractedJson | jq('.city') | first }}`.
#[task(
    "io.kestra.plugin.ai.completion.JSONStructuredExtraction",
    aliases = ["io.kestra.plugin.langchain4j.completion.JSONStructuredExtraction", "io.kestra.plugin.langchain4j.JSONStructuredExtraction"]
)]
pub fn json_structured_extraction(properties: JsonExtraction, cx: &Context) -> Result<Extracted, Failure> {
    if properties.json_fields.is_empty() {
        return Err(Failure::bad_property("`jsonFields` is empty: name what to look for"));
    }
    let instructions = properties.system_message.unwrap_or_else(|| INSTRUCTIONS.to_owned());
    let configuration = properties.configuration.unwrap_or_default();
    let provider = properties.provider.configured(&configuration);
    let fields: Map<String, Value> =
        properties.json_fields.iter().map(|name| (name.clone(), json!({ "type": "string" }))).collect();
    let schema = json!({
        "type": "object",
        "properties": fields,
        "required": properties.json_fields,
        "additionalProperties": false,
    });
    let name = properties.schema_name.clone();
    let completion = Completion {
        messages: vec![Message::system(instructions), question(properties.prompt, properties.content_blocks)?],
        configuration,
        guardrails: properties.guardrails.unwrap_or_default(),
        provider: provider.name(),
        response: Some(ResponseFormat::Schema(Schema { name, description: None, schema, strict: true })),
        ..Completion::default()
    };
    let output = completion.run(&mut |request| provider.ask(request, cx), cx)?;
    Ok(Extracted {
        schema_name: properties.schema_name,
        extracted_json: output.json_output.as_ref().map(ToString::to_string),
        token_usage: output.token_usage,
        finish_reason: output.finish_reason,
        guardrail_violated: output.guardrail_violated,
        guardrail_violation_message: output.guardrail_violation_message,
    })
}
