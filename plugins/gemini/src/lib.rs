//! The plugin `gemini`: models of Google over the Gemini API.

mod completions;
mod multimodal;
mod structured_output;

use chat::connection::Common;
use chat::{Connection, Credential, Spent};
use llm::codec;
use serde_json::Value;
use sluice_sdk::prelude::*;

/// Names of the metrics of what is spent, as Kestra's plugin has them.
const METRICS: [&str; 3] = ["prompt.token.count", "candidate.token.count", "total.token.count"];

chat::provider_properties! {
    /// Google Gemini.
    pub struct GoogleGemini {
        /// The API key. Without it the certificate of `clientPem` says who asks.
        #[secret]
        api_key: Option<String>,
        /// The model.
        model_name: String,
        /// Another address than Google's own.
        #[serde(alias = "baseURL")]
        base_url: Option<String>,
        /// Of embeddings: taken, and of no use in a chat.
        #[expect(dead_code, reason = "taken, so that flows for Kestra are")]
        embedding_model_configuration: Option<serde_json::Map<String, Value>>,
    }
}

impl GoogleGemini {
    fn connection(&self) -> Result<Connection, Failure> {
        let credential = Credential::key(self.api_key.clone());
        if matches!(credential, Credential::None) && self.client_pem.is_none() {
            return Err(Failure::bad_property("Google Gemini needs an `apiKey`, or a `clientPem`"));
        }
        Connection::new(&codec::GEMINI, credential, self.common(self.base_url.as_deref()))
    }
}

/// Google Gemini.
///
/// A provider of models: name it in the `provider` of an AI task.
///
/// # Ask it
/// ```yaml
/// id: ask
/// type: io.kestra.plugin.ai.completion.ChatCompletion
/// provider:
///   type: io.kestra.plugin.ai.provider.GoogleGemini
///   apiKey: "{{ secret('GEMINI_API_KEY') }}"
///   modelName: gemini-2.5-flash
/// messages:
///   - type: USER
///     content: "{{ inputs.question }}"
/// ```
#[provider("io.kestra.plugin.ai.provider.GoogleGemini", aliases = ["io.kestra.plugin.langchain4j.provider.GoogleGemini"])]
pub fn provider(properties: GoogleGemini, request: Value, cx: &Context) -> Result<Value, Failure> {
    chat::provide(&properties.connection()?, &properties.model_name, request, cx)
}

/// Where the tasks of this plugin ask.
fn connection(api_key: String, base_url: Option<String>) -> Result<Connection, Failure> {
    Connection::new(&codec::GEMINI, Credential::Key(api_key), Common { base_url, ..Common::default() })
}

/// Tells what was spent under the names of this plugin.
fn report(spent: &Spent, cx: &Context) {
    spent.report(cx, METRICS, &[]);
}

plugin! {
    manifest: "manifest.json",
    tasks: [
        structured_output::structured_output_completion,
        completions::text_completion,
        completions::chat_completion,
        multimodal::multimodal_completion,
    ],
    providers: [provider],
    title: "Google Gemini",
    effects: Effects::AtLeastOnce,
    capabilities: Capabilities::none()
        .http(Hosts::NamedByFlow, &[])
        .http(Hosts::Only(&["generativelanguage.googleapis.com"]), &[])
        .files(),
}
