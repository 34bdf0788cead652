//! The plugin `openrouter`: models of many makers over OpenRouter.

use chat::{AiOutput, Connection, Credential};
use llm::codec;
use serde_json::Value;
use sluice_sdk::prelude::*;

chat::provider_properties! {
    /// OpenRouter.
    pub struct OpenRouter {
        /// The API key.
        #[secret]
        api_key: String,
        /// The model.
        model_name: String,
        /// Another address than the provider's own.
        base_url: Option<String>,
    } task ChatTask
}

impl OpenRouter {
    fn connection(&self) -> Result<Connection, Failure> {
        let credential = Credential::Key(self.api_key.clone());
        Connection::new(&codec::OPENROUTER, credential, self.common(self.base_url.as_deref()))
    }
}

/// OpenRouter.
///
/// A provider of models: name it in the `provider` of an AI task. Its answers say what they cost.
///
/// # Ask it
/// ```yaml
/// id: ask
/// type: io.kestra.plugin.ai.completion.ChatCompletion
/// provider:
///   type: io.kestra.plugin.ai.provider.OpenRouter
///   apiKey: "{{ secret('OPENROUTER_API_KEY') }}"
///   modelName: anthropic/claude-sonnet-4
/// messages:
///   - type: USER
///     content: "{{ inputs.question }}"
/// ```
#[provider("io.kestra.plugin.ai.provider.OpenRouter", aliases = ["io.kestra.plugin.langchain4j.provider.OpenRouter"])]
pub fn provider(properties: OpenRouter, request: Value, cx: &Context) -> Result<Value, Failure> {
    chat::provide(&properties.connection()?, &properties.model_name, request, cx)
}

/// Chat with a model of OpenRouter.
///
/// The answer is streamed; how far it is shows in the log. With `configuration.responseFormat.type: JSON` it is JSON, looked at against the
/// schema, and asked for again at most twice where it does not fit.
///
/// Failure codes: those of `io.kestra.plugin.ai.completion.ChatCompletion`. Metrics: `input.token.count`, `output.token.count`,
/// `total.token.count`, `ai.provider.calls`.
///
/// # Summarise a text
/// ```yaml
/// id: summarise
/// type: sluice.openrouter.ChatCompletion
/// apiKey: "{{ secret('OPENROUTER_API_KEY') }}"
/// modelName: anthropic/claude-sonnet-4
/// messages:
///   - type: SYSTEM
///     content: Answer in one sentence.
///   - type: USER
///     content: "{{ inputs.text }}"
/// configuration:
///   temperature: 0.2
/// ```
#[task("sluice.openrouter.ChatCompletion")]
pub fn chat_completion(properties: ChatTask, cx: &Context) -> Result<AiOutput, Failure> {
    let (provider, mut completion) = properties.split()?;
    completion.model.clone_from(&provider.model_name);
    completion.provider = "OpenRouter".to_owned();
    let connection = provider.connection()?;
    completion.run(&mut chat::asked(&connection, cx), cx)
}

plugin! {
    manifest: "manifest.json",
    tasks: [chat_completion],
    providers: [provider],
    title: "OpenRouter",
    effects: Effects::AtLeastOnce,
    capabilities: Capabilities::none().http(Hosts::NamedByFlow, &[]).http(Hosts::Only(&["openrouter.ai"]), &[]).files(),
}
