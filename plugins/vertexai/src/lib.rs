//! The plugin `vertexai`: models of Google in a project of your own.

use chat::{AiOutput, Connection, Credential};
use llm::codec;
use serde_json::Value;
use sluice_sdk::prelude::*;

chat::provider_properties! {
    /// Google Vertex AI.
    pub struct GoogleVertexAI {
        /// The project on Google Cloud.
        project: String,
        /// The region, or `global`.
        location: String,
        /// The model.
        model_name: String,
        /// Another address than Google's own for the region.
        endpoint: Option<String>,
        /// The JSON of a service account. Without it: that of the machine, which takes a grant for `metadata.google.internal`.
        #[secret]
        service_account: Option<String>,
    } task ChatTask
}

impl GoogleVertexAI {
    fn connection(&self) -> Result<Connection, Failure> {
        let account = self.service_account.clone().filter(|account| !account.trim().is_empty());
        let credential = account.map_or(Credential::Metadata, Credential::ServiceAccount);
        // Kestra's documents have a place here that is no address; one that is none means Google's own.
        let endpoint = self.endpoint.as_deref().filter(|endpoint| endpoint.contains("://"));
        let connection = Connection::new(&codec::VERTEXAI, credential, self.common(endpoint))?;
        Ok(connection.with(|options| {
            options.project = Some(self.project.clone());
            options.location = Some(self.location.clone());
        }))
    }
}

/// Google Vertex AI.
///
/// A provider of models: name it in the `provider` of an AI task.
///
/// # Ask it
/// ```yaml
/// id: ask
/// type: io.kestra.plugin.ai.completion.ChatCompletion
/// provider:
///   type: io.kestra.plugin.ai.provider.GoogleVertexAI
///   project: my-project
///   location: europe-west1
///   serviceAccount: "{{ secret('GOOGLE_SA') }}"
///   modelName: gemini-2.5-flash
/// messages:
///   - type: USER
///     content: "{{ inputs.question }}"
/// ```
#[provider("io.kestra.plugin.ai.provider.GoogleVertexAI", aliases = ["io.kestra.plugin.langchain4j.provider.GoogleVertexAI"])]
pub fn provider(properties: GoogleVertexAI, request: Value, cx: &Context) -> Result<Value, Failure> {
    chat::provide(&properties.connection()?, &properties.model_name, request, cx)
}

/// Chat with a model of Google Vertex AI.
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
/// type: sluice.vertexai.ChatCompletion
/// project: my-project
/// location: europe-west1
/// serviceAccount: "{{ secret('GOOGLE_SA') }}"
/// modelName: gemini-2.5-flash
/// messages:
///   - type: SYSTEM
///     content: Answer in one sentence.
///   - type: USER
///     content: "{{ inputs.text }}"
/// configuration:
///   temperature: 0.2
/// ```
#[task("sluice.vertexai.ChatCompletion")]
pub fn chat_completion(properties: ChatTask, cx: &Context) -> Result<AiOutput, Failure> {
    let (provider, mut completion) = properties.split()?;
    completion.model.clone_from(&provider.model_name);
    completion.provider = "GoogleVertexAI".to_owned();
    let connection = provider.connection()?;
    completion.run(&mut chat::asked(&connection, cx), cx)
}

plugin! {
    manifest: "manifest.json",
    tasks: [chat_completion],
    providers: [provider],
    title: "Google Vertex AI",
    effects: Effects::AtLeastOnce,
    capabilities: Capabilities::none().http(Hosts::NamedByFlow, &[]).http(Hosts::Only(&["oauth2.googleapis.com", "aiplatform.googleapis.com", "*.googleapis.com"]), &[]).files(),
}
