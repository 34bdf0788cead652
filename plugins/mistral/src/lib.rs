//! The plugin `mistral`: models of Mistral.

use chat::{AiOutput, Connection, Credential};
use llm::codec;
use serde_json::Value;
use sluice_sdk::prelude::*;

chat::provider_properties! {
    /// Mistral.
    pub struct MistralAI {
        /// The API key.
        #[secret]
        api_key: String,
        /// The model.
        model_name: String,
        /// Another address than the provider's own.
        base_url: Option<String>,
    } task ChatTask
}

impl MistralAI {
    fn connection(&self) -> Result<Connection, Failure> {
        let credential = Credential::Key(self.api_key.clone());
        Connection::new(&codec::MISTRAL, credential, self.common(self.base_url.as_deref()))
    }
}

/// Mistral.
///
/// A provider of models: name it in the `provider` of an AI task.
///
/// # Ask it
/// ```yaml
/// id: ask
/// type: io.kestra.plugin.ai.completion.ChatCompletion
/// provider:
///   type: io.kestra.plugin.ai.provider.MistralAI
///   apiKey: "{{ secret('MISTRAL_API_KEY') }}"
///   modelName: mistral-small-latest
/// messages:
///   - type: USER
///     content: "{{ inputs.question }}"
/// ```
#[provider("io.kestra.plugin.ai.provider.MistralAI", aliases = ["io.kestra.plugin.langchain4j.provider.MistralAI"])]
pub fn provider(properties: MistralAI, request: Value, cx: &Context) -> Result<Value, Failure> {
    chat::provide(&properties.connection()?, &properties.model_name, request, cx)
}

/// Chat with a model of Mistral.
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
/// type: io.kestra.plugin.mistral.ChatCompletion
/// apiKey: "{{ secret('MISTRAL_API_KEY') }}"
/// modelName: mistral-small-latest
/// messages:
///   - type: SYSTEM
///     content: Answer in one sentence.
///   - type: USER
///     content: "{{ inputs.text }}"
/// configuration:
///   temperature: 0.2
/// ```
#[task("io.kestra.plugin.mistral.ChatCompletion")]
pub fn chat_completion(properties: ChatTask, cx: &Context) -> Result<AiOutput, Failure> {
    let (provider, mut completion) = properties.split()?;
    completion.model.clone_from(&provider.model_name);
    completion.provider = "MistralAI".to_owned();
    let connection = provider.connection()?;
    completion.run(&mut chat::asked(&connection, cx), cx)
}

plugin! {
    manifest: "manifest.json",
    tasks: [chat_completion],
    providers: [provider],
    title: "Mistral",
    effects: Effects::AtLeastOnce,
    capabilities: Capabilities::none().http(Hosts::NamedByFlow, &[]).http(Hosts::Only(&["api.mistral.ai"]), &[]).files(),
}
