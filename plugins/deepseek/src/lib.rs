//! The plugin `deepseek`: models of DeepSeek.

mod chat_completion;

use chat::{Connection, Credential};
use llm::codec;
use serde_json::Value;
use sluice_sdk::prelude::*;

chat::provider_properties! {
    /// DeepSeek.
    pub struct DeepSeek {
        /// The API key.
        #[secret]
        api_key: String,
        /// The model.
        model_name: String,
        /// Another address than the provider's own.
        base_url: Option<String>,
    }
}

impl DeepSeek {
    fn connection(&self) -> Result<Connection, Failure> {
        let credential = Credential::Key(self.api_key.clone());
        Connection::new(&codec::DEEPSEEK, credential, self.common(self.base_url.as_deref()))
    }
}

/// DeepSeek.
///
/// A provider of models: name it in the `provider` of an AI task.
///
/// # Ask it
/// ```yaml
/// id: ask
/// type: io.kestra.plugin.ai.completion.ChatCompletion
/// provider:
///   type: io.kestra.plugin.ai.provider.DeepSeek
///   apiKey: "{{ secret('DEEPSEEK_API_KEY') }}"
///   modelName: deepseek-chat
/// messages:
///   - type: USER
///     content: "{{ inputs.question }}"
/// ```
#[provider("io.kestra.plugin.ai.provider.DeepSeek", aliases = ["io.kestra.plugin.langchain4j.provider.DeepSeek"])]
pub fn provider(properties: DeepSeek, request: Value, cx: &Context) -> Result<Value, Failure> {
    chat::provide(&properties.connection()?, &properties.model_name, request, cx)
}

plugin! {
    manifest: "manifest.json",
    tasks: [chat_completion::chat_completion],
    providers: [provider],
    title: "DeepSeek",
    effects: Effects::AtLeastOnce,
    capabilities: Capabilities::none().http(Hosts::NamedByFlow, &[]).http(Hosts::Only(&["api.deepseek.com"]), &[]).files(),
}
