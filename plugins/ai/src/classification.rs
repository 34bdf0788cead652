//! `ai.completion.Classification`.

use chat::guardrails::Guardrails;
use chat::{Completion, Configuration, ContentBlock, FinishReason, TokenUsage};
use llm::message::{Message, ResponseFormat, Schema};
use serde_json::{Value, json};
use sluice_sdk::prelude::*;

use crate::chat_completion::question;
use crate::provider::Provider;

/// What the model is told where the flow says nothing.
const INSTRUCTIONS: &str = "Say which one of these classes the user's text belongs to: {classes}. Answer with the name of that class and nothing else.";

#[properties]
pub struct Classification {
    /// What is to be classified. One of `prompt` and `contentBlocks` is needed.
    prompt: Option<String>,
    /// The same in blocks, among which may be images.
    content_blocks: Option<Vec<ContentBlock>>,
    /// What the model is told. `{{ classes }}` in it are the names of the classes.
    #[render(later)]
    system_message: Option<String>,
    /// The classes: one of them is the answer.
    classes: Vec<String>,
    /// Who answers.
    provider: Provider,
    /// How the model is to answer.
    configuration: Option<Configuration>,
    /// What question and answer have to pass.
    guardrails: Option<Guardrails>,
}

#[outputs]
#[derive(Default)]
pub struct Classified {
    /// The class.
    classification: Option<String>,
    /// What was spent.
    token_usage: Option<TokenUsage>,
    /// Why the answer ended.
    finish_reason: Option<FinishReason>,
    /// Whether a guardrail stopped it.
    guardrail_violated: bool,
    /// What that guardrail says.
    guardrail_violation_message: Option<String>,
}

/// Have any model say which class a text belongs to.
///
/// The answer is always one of the classes: the model is held to them, and asked again at most twice where it says anything else.
///
/// Failure codes and metrics: those of `io.kestra.plugin.ai.completion.ChatCompletion`.
///
/// # How a customer feels
/// ```yaml
/// id: feeling
/// type: io.kestra.plugin.ai.completion.Classification
/// provider:
///   type: io.kestra.plugin.ai.provider.GoogleGemini
///   apiKey: "{{ secret('GEMINI_API_KEY') }}"
///   modelName: gemini-2.5-flash
/// prompt: "{{ inputs.review }}"
/// classes: [happy, angry, indifferent]
/// ```
#[task(
    "io.kestra.plugin.ai.completion.Classification",
    aliases = ["io.kestra.plugin.langchain4j.completion.Classification", "io.kestra.plugin.langchain4j.Classification"]
)]
pub fn classification(properties: Classification, cx: &Context) -> Result<Classified, Failure> {
    if properties.classes.is_empty() {
        return Err(Failure::bad_property("`classes` is empty: name what to choose from"));
    }
    let names = properties.classes.join(", ");
    let instructions = match &properties.system_message {
        Some(written) => cx.render(written, &json!({ "classes": properties.classes }))?,
        None => INSTRUCTIONS.replace("{classes}", &names),
    };
    let configuration = properties.configuration.unwrap_or_default();
    let provider = properties.provider.configured(&configuration);
    let schema = json!({
        "type": "object",
        "properties": { "class": { "type": "string", "enum": properties.classes } },
        "required": ["class"],
        "additionalProperties": false,
    });
    let completion = Completion {
        messages: vec![Message::system(instructions), question(properties.prompt, properties.content_blocks)?],
        configuration,
        guardrails: properties.guardrails.unwrap_or_default(),
        provider: provider.name(),
        response: Some(ResponseFormat::Schema(Schema {
            name: "class".to_owned(),
            description: None,
            schema,
            strict: true,
        })),
        ..Completion::default()
    };
    let output = completion.run(&mut |request| provider.ask(request, cx), cx)?;
    let class = output.json_output.as_ref().and_then(|json| json.get("class")).and_then(Value::as_str);
    Ok(Classified {
        classification: class.map(str::to_owned),
        token_usage: output.token_usage,
        finish_reason: output.finish_reason,
        guardrail_violated: output.guardrail_violated,
        guardrail_violation_message: output.guardrail_violation_message,
    })
}
