//! The plugin `azure-openai`: models of OpenAI at a resource of your own on Azure.

use chat::{AiOutput, Connection, Credential};
use llm::codec;
use serde_json::Value;
use sluice_sdk::prelude::*;

chat::provider_properties! {
    /// Azure OpenAI.
    pub struct AzureOpenAI {
        /// Where the resource is, as in `https://your-resource.openai.azure.com/`.
        endpoint: String,
        /// The deployment.
        model_name: String,
        /// The key of the resource. Without it, an application of Microsoft Entra: `tenantId`, `clientId`, `clientSecret`.
        #[secret]
        api_key: Option<String>,
        /// The application's tenant.
        tenant_id: Option<String>,
        /// The application.
        client_id: Option<String>,
        /// The application's secret.
        #[secret]
        client_secret: Option<String>,
        /// Another place than Microsoft's where the application gets its tokens.
        authority: Option<String>,
        /// The dated version of the API. Without it: the one without a date.
        service_version: Option<String>,
    } task ChatTask
}

impl AzureOpenAI {
    fn connection(&self) -> Result<Connection, Failure> {
        let given = |text: &Option<String>| text.clone().filter(|text| !text.trim().is_empty());
        let application = (given(&self.tenant_id), given(&self.client_id), given(&self.client_secret));
        let credential = match (given(&self.api_key), application) {
            (Some(key), _) => Credential::Key(key),
            (None, (Some(tenant_id), Some(client_id), Some(client_secret))) => {
                Credential::Entra { tenant_id, client_id, client_secret, authority: given(&self.authority) }
            }
            (None, _) => {
                return Err(Failure::bad_property(
                    "Azure OpenAI needs an `apiKey`, or all of `tenantId`, `clientId` and `clientSecret`",
                ));
            }
        };
        let connection = Connection::new(&codec::AZURE_OPENAI, credential, self.common(Some(&self.endpoint)))?;
        Ok(connection.with(|options| options.api_version = given(&self.service_version)))
    }
}

/// Azure OpenAI.
///
/// A provider of models: name it in the `provider` of an AI task.
///
/// # Ask it
/// ```yaml
/// id: ask
/// type: io.kestra.plugin.ai.completion.ChatCompletion
/// provider:
///   type: io.kestra.plugin.ai.provider.AzureOpenAI
///   endpoint: https://your-resource.openai.azure.com/
///   apiKey: "{{ secret('AZURE_OPENAI_API_KEY') }}"
///   modelName: gpt-4o
/// messages:
///   - type: USER
///     content: "{{ inputs.question }}"
/// ```
#[provider("io.kestra.plugin.ai.provider.AzureOpenAI", aliases = ["io.kestra.plugin.langchain4j.provider.AzureOpenAI"])]
pub fn provider(properties: AzureOpenAI, request: Value, cx: &Context) -> Result<Value, Failure> {
    chat::provide(&properties.connection()?, &properties.model_name, request, cx)
}

/// Chat with a model of Azure OpenAI.
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
/// type: sluice.azureopenai.ChatCompletion
/// endpoint: https://your-resource.openai.azure.com/
/// apiKey: "{{ secret('AZURE_OPENAI_API_KEY') }}"
/// modelName: gpt-4o
/// messages:
///   - type: SYSTEM
///     content: Answer in one sentence.
///   - type: USER
///     content: "{{ inputs.text }}"
/// configuration:
///   temperature: 0.2
/// ```
#[task("sluice.azureopenai.ChatCompletion")]
pub fn chat_completion(properties: ChatTask, cx: &Context) -> Result<AiOutput, Failure> {
    let (provider, mut completion) = properties.split()?;
    completion.model.clone_from(&provider.model_name);
    completion.provider = "AzureOpenAI".to_owned();
    let connection = provider.connection()?;
    completion.run(&mut chat::asked(&connection, cx), cx)
}

plugin! {
    manifest: "manifest.json",
    tasks: [chat_completion],
    providers: [provider],
    title: "Azure OpenAI",
    effects: Effects::AtLeastOnce,
    capabilities: Capabilities::none().http(Hosts::NamedByFlow, &[]).http(Hosts::Only(&["login.microsoftonline.com"]), &[]).files(),
}
