//! `ai.completion.ChatCompletion`.

use chat::guardrails::Guardrails;
use chat::{AiOutput, ChatMessage, Completion, Configuration, ContentBlock, conversation};
use llm::message::Message;
use serde_json::{Map, Value};
use sluice_sdk::prelude::*;

use crate::provider::Provider;

#[properties]
pub struct ChatCompletion {
    /// The conversation: at most one message of type SYSTEM, the last one of type USER.
    messages: Vec<ChatMessage>,
    /// Who answers.
    provider: Provider,
    /// How the model is to answer.
    configuration: Option<Configuration>,
    /// What question and answer have to pass.
    guardrails: Option<Guardrails>,
    /// Not supported yet: only an empty list is taken.
    tools: Option<Vec<Map<String, Value>>>,
    /// Not supported yet.
    observability: Option<Map<String, Value>>,
}

/// Chat with any model.
///
/// The answer is streamed; how far it is shows in the log. With `configuration.responseFormat.type: JSON` it is JSON, looked at against the
/// schema, and asked for again at most twice where it does not fit. What the model thinks is never part of the answer.
///
/// What a task may spend is `configuration.budget`: before each question that is held against what was spent.
///
/// Failure codes: `LLM_AUTH`, `LLM_UNKNOWN_MODEL`, `LLM_RATE_LIMITED`, `LLM_QUOTA_EXHAUSTED`, `LLM_OVERLOADED`, `LLM_TOO_LONG`, `LLM_BAD_REQUEST`,
/// `LLM_CONTENT_FILTER`, `LLM_SERVER`, `LLM_MALFORMED`, `LLM_TRUNCATED`, `LLM_REFUSED`, `LLM_LENGTH`, `LLM_NOT_JSON`, `LLM_BUDGET`, `HTTP_DNS`,
/// `HTTP_CONNECT`, `HTTP_TLS`, `HTTP_TIMEOUT`, `NOT_GRANTED`, `BAD_PROPERTY`. Metrics: `input.token.count`, `output.token.count`,
/// `total.token.count`, `ai.provider.calls`, and `cost` where the provider says it.
///
/// # Ask a question
/// ```yaml
/// id: ask
/// type: io.kestra.plugin.ai.completion.ChatCompletion
/// provider:
///   type: io.kestra.plugin.ai.provider.GoogleGemini
///   apiKey: "{{ secret('GEMINI_API_KEY') }}"
///   modelName: gemini-2.5-flash
/// messages:
///   - type: SYSTEM
///     content: You are a helpful assistant. Answer in one sentence.
///   - type: USER
///     content: "{{ inputs.question }}"
/// ```
///
/// # JSON that fits a schema
/// ```yaml
/// id: extract
/// type: io.kestra.plugin.ai.completion.ChatCompletion
/// provider:
///   type: io.kestra.plugin.ai.provider.OpenAI
///   apiKey: "{{ secret('OPENAI_API_KEY') }}"
///   modelName: gpt-5-nano
/// configuration:
///   responseFormat:
///     type: JSON
///     jsonSchema:
///       type: object
///       required: [city, days]
///       properties:
///         city: {type: string}
///         days: {type: integer}
/// messages:
///   - type: USER
///     content: "Where to, and for how long? {{ inputs.mail }}"
/// ```
///
/// # A picture, on a machine of your own
/// ```yaml
/// id: describe
/// type: io.kestra.plugin.ai.completion.ChatCompletion
/// provider:
///   type: io.kestra.plugin.ai.provider.Ollama
///   endpoint: http://localhost:11434
///   modelName: llama3.2-vision
/// messages:
///   - type: USER
///     contentBlocks:
///       - type: TEXT
///         text: What is in this picture?
///       - type: IMAGE
///         uri: "{{ inputs.picture }}"
/// ```
#[task(
    "io.kestra.plugin.ai.completion.ChatCompletion",
    aliases = ["io.kestra.plugin.ai.ChatCompletion", "io.kestra.plugin.langchain4j.completion.ChatCompletion", "io.kestra.plugin.langchain4j.ChatCompletion"]
)]
pub fn chat_completion(properties: ChatCompletion, cx: &Context) -> Result<Completed, Failure> {
    if properties.tools.is_some_and(|tools| !tools.is_empty()) {
        return Err(Failure::bad_property("`tools` are not supported yet: leave them out"));
    }
    if properties.observability.is_some() {
        return Err(Failure::bad_property("`observability` is not supported yet: leave it out"));
    }
    let configuration = properties.configuration.unwrap_or_default();
    let provider = properties.provider.configured(&configuration);
    let completion = Completion {
        messages: conversation(properties.messages)?,
        configuration,
        guardrails: properties.guardrails.unwrap_or_default(),
        provider: provider.name(),
        ..Completion::default()
    };
    let output = completion.run(&mut |request| provider.ask(request, cx), cx)?;
    Ok(Completed { ai_response: output.text_output.clone(), output })
}

#[outputs]
pub struct Completed {
    #[serde(flatten)]
    output: AiOutput,
    /// Deprecated: `textOutput`.
    ai_response: Option<String>,
}

/// What the user asks: a text, or blocks.
pub fn question(prompt: Option<String>, blocks: Option<Vec<ContentBlock>>) -> Result<Message, Failure> {
    let blocks = blocks.unwrap_or_default();
    match (prompt, blocks.is_empty()) {
        (Some(prompt), true) => Ok(Message::user(prompt)),
        (None, false) => {
            Ok(Message::User { parts: blocks.into_iter().map(ContentBlock::into_part).collect::<Result<_, _>>()? })
        }
        _ => Err(Failure::bad_property("one of `prompt` and `contentBlocks` is needed, and not both")),
    }
}
