//! The plugin `ollama`: models that run on a machine of your own.

use chat::{AiOutput, Connection, Credential};
use llm::codec;
use serde_json::Value;
use sluice_sdk::prelude::*;

chat::provider_properties! {
    /// Ollama.
    pub struct Ollama {
        /// Where Ollama is, as in `http://localhost:11434`. A policy has to open addresses of the machine and of private networks.
        endpoint: String,
        /// The model, as `ollama list` shows it.
        model_name: String,
        /// A key, where what is in front of Ollama asks for one.
        #[secret]
        api_key: Option<String>,
    } task ChatTask
}

impl Ollama {
    fn connection(&self) -> Result<Connection, Failure> {
        Connection::new(&codec::OLLAMA, Credential::key(self.api_key.clone()), self.common(Some(&self.endpoint)))
    }
}

/// Ollama.
///
/// A provider of models: name it in the `provider` of an AI task.
///
/// # Ask it
/// ```yaml
/// id: ask
/// type: io.kestra.plugin.ai.completion.ChatCompletion
/// provider:
///   type: io.kestra.plugin.ai.provider.Ollama
///   endpoint: http://localhost:11434
///   modelName: llama3
/// messages:
///   - type: USER
///     content: "{{ inputs.question }}"
/// ```
#[provider("io.kestra.plugin.ai.provider.Ollama", aliases = ["io.kestra.plugin.langchain4j.provider.Ollama"])]
pub fn provider(properties: Ollama, request: Value, cx: &Context) -> Result<Value, Failure> {
    chat::provide(&properties.connection()?, &properties.model_name, request, cx)
}

/// Chat with a model of Ollama.
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
/// type: io.kestra.plugin.ollama.ChatCompletion
/// endpoint: http://localhost:11434
/// modelName: llama3
/// messages:
///   - type: SYSTEM
///     content: Answer in one sentence.
///   - type: USER
///     content: "{{ inputs.text }}"
/// configuration:
///   temperature: 0.2
/// ```
#[task("io.kestra.plugin.ollama.ChatCompletion")]
pub fn chat_completion(properties: ChatTask, cx: &Context) -> Result<AiOutput, Failure> {
    let (provider, mut completion) = properties.split()?;
    completion.model.clone_from(&provider.model_name);
    completion.provider = "Ollama".to_owned();
    let connection = provider.connection()?;
    completion.run(&mut chat::asked(&connection, cx), cx)
}

plugin! {
    manifest: "manifest.json",
    tasks: [chat_completion],
    providers: [provider],
    title: "Ollama",
    effects: Effects::AtLeastOnce,
    capabilities: Capabilities::none().http(Hosts::NamedByFlow, &[]).files(),
}
