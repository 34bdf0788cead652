//! The plugin `bedrock`: models of many makers at Amazon Bedrock.

use chat::{AiOutput, Connection, Credential};
use llm::codec;
use serde_json::Value;
use sluice_sdk::prelude::*;

chat::provider_properties! {
    /// Amazon Bedrock.
    pub struct AmazonBedrock {
        /// The id of the access key.
        #[secret]
        access_key_id: Option<String>,
        /// The access key.
        #[secret]
        secret_access_key: Option<String>,
        /// The token of a session, where the keys are of one.
        #[secret]
        session_token: Option<String>,
        /// An API key of Bedrock, in place of the keys.
        #[secret]
        api_key: Option<String>,
        /// The model's id, or that of an inference profile.
        model_name: String,
        /// The region. Without it: `us-east-1`.
        region: Option<String>,
        /// Another address than Amazon's own for the region.
        base_url: Option<String>,
        /// Of embeddings: taken, and of no use in a chat.
        model_type: Option<String>,
    } task ChatTask
}

impl AmazonBedrock {
    fn connection(&self) -> Result<Connection, Failure> {
        if let Some(other) = self.model_type.as_deref().filter(|kind| !matches!(*kind, "COHERE" | "TITAN")) {
            return Err(Failure::bad_property(format!(
                "`modelType` is `{other}`: write COHERE or TITAN, or leave it out"
            )));
        }
        let given = |text: &Option<String>| text.clone().filter(|text| !text.trim().is_empty());
        let credential = match (given(&self.access_key_id), given(&self.secret_access_key), given(&self.api_key)) {
            (Some(access_key_id), Some(secret_access_key), _) => {
                Credential::Aws { access_key_id, secret_access_key, session_token: given(&self.session_token) }
            }
            (_, _, Some(key)) => Credential::Token(key),
            _ => {
                return Err(Failure::bad_property(
                    "Amazon Bedrock needs an `accessKeyId` and a `secretAccessKey`, or an `apiKey`",
                ));
            }
        };
        let connection = Connection::new(&codec::BEDROCK, credential, self.common(self.base_url.as_deref()))?;
        Ok(connection.with(|options| options.region = given(&self.region)))
    }
}

/// Amazon Bedrock.
///
/// A provider of models: name it in the `provider` of an AI task.
///
/// # Ask it
/// ```yaml
/// id: ask
/// type: io.kestra.plugin.ai.completion.ChatCompletion
/// provider:
///   type: io.kestra.plugin.ai.provider.AmazonBedrock
///   accessKeyId: "{{ secret('AWS_ACCESS_KEY_ID') }}"
///   secretAccessKey: "{{ secret('AWS_SECRET_ACCESS_KEY') }}"
///   modelName: amazon.nova-lite-v1:0
///   region: us-east-1
/// messages:
///   - type: USER
///     content: "{{ inputs.question }}"
/// ```
#[provider("io.kestra.plugin.ai.provider.AmazonBedrock", aliases = ["io.kestra.plugin.langchain4j.provider.AmazonBedrock"])]
pub fn provider(properties: AmazonBedrock, request: Value, cx: &Context) -> Result<Value, Failure> {
    chat::provide(&properties.connection()?, &properties.model_name, request, cx)
}

/// Chat with a model of Amazon Bedrock.
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
/// type: sluice.bedrock.ChatCompletion
/// accessKeyId: "{{ secret('AWS_ACCESS_KEY_ID') }}"
/// secretAccessKey: "{{ secret('AWS_SECRET_ACCESS_KEY') }}"
/// modelName: amazon.nova-lite-v1:0
/// region: us-east-1
/// messages:
///   - type: SYSTEM
///     content: Answer in one sentence.
///   - type: USER
///     content: "{{ inputs.text }}"
/// configuration:
///   temperature: 0.2
/// ```
#[task("sluice.bedrock.ChatCompletion")]
pub fn chat_completion(properties: ChatTask, cx: &Context) -> Result<AiOutput, Failure> {
    let (provider, mut completion) = properties.split()?;
    completion.model.clone_from(&provider.model_name);
    completion.provider = "AmazonBedrock".to_owned();
    let connection = provider.connection()?;
    completion.run(&mut chat::asked(&connection, cx), cx)
}

plugin! {
    manifest: "manifest.json",
    tasks: [chat_completion],
    providers: [provider],
    title: "Amazon Bedrock",
    effects: Effects::AtLeastOnce,
    capabilities: Capabilities::none().http(Hosts::NamedByFlow, &[]).http(Hosts::Only(&["bedrock-runtime.us-east-1.amazonaws.com", "bedrock-runtime.us-east-2.amazonaws.com", "bedrock-runtime.us-west-1.amazonaws.com", "bedrock-runtime.us-west-2.amazonaws.com", "bedrock-runtime.us-gov-east-1.amazonaws.com", "bedrock-runtime.us-gov-west-1.amazonaws.com", "bedrock-runtime.ca-central-1.amazonaws.com", "bedrock-runtime.sa-east-1.amazonaws.com", "bedrock-runtime.eu-central-1.amazonaws.com", "bedrock-runtime.eu-central-2.amazonaws.com", "bedrock-runtime.eu-north-1.amazonaws.com", "bedrock-runtime.eu-south-1.amazonaws.com", "bedrock-runtime.eu-south-2.amazonaws.com", "bedrock-runtime.eu-west-1.amazonaws.com", "bedrock-runtime.eu-west-2.amazonaws.com", "bedrock-runtime.eu-west-3.amazonaws.com", "bedrock-runtime.ap-east-2.amazonaws.com", "bedrock-runtime.ap-northeast-1.amazonaws.com", "bedrock-runtime.ap-northeast-2.amazonaws.com", "bedrock-runtime.ap-northeast-3.amazonaws.com", "bedrock-runtime.ap-south-1.amazonaws.com", "bedrock-runtime.ap-south-2.amazonaws.com", "bedrock-runtime.ap-southeast-1.amazonaws.com", "bedrock-runtime.ap-southeast-2.amazonaws.com", "bedrock-runtime.ap-southeast-3.amazonaws.com", "bedrock-runtime.ap-southeast-4.amazonaws.com", "bedrock-runtime.me-central-1.amazonaws.com", "bedrock-runtime.me-south-1.amazonaws.com", "bedrock-runtime.il-central-1.amazonaws.com", "bedrock-runtime.af-south-1.amazonaws.com"]), &[]).files(),
}
