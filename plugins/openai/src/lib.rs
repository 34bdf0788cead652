//! The plugin `openai`: models of OpenAI, and of servers that speak as they do.

mod chat_completion;
mod create_image;
mod responses;
mod upload_file;

use std::time::Duration;

use chat::connection::Common;
use chat::{Connection, Credential, Spent};
use llm::codec;
use llm::message::Usage;
use serde_json::Value;
use sluice_sdk::prelude::*;

/// Where OpenAI is.
const BASE: &str = "https://api.openai.com/v1";
/// Names of the metrics of what is spent.
const METRICS: [&str; 3] = ["input.token.count", "output.token.count", "total.token.count"];

chat::provider_properties! {
    /// OpenAI.
    pub struct OpenAI {
        /// The API key.
        #[secret]
        api_key: String,
        /// The model.
        model_name: String,
        /// Another address than OpenAI's own, for servers that speak as it does.
        base_url: Option<String>,
    }
}

impl OpenAI {
    fn connection(&self) -> Result<Connection, Failure> {
        let credential = Credential::Key(self.api_key.clone());
        Connection::new(&codec::OPENAI, credential, self.common(self.base_url.as_deref()))
    }
}

/// OpenAI.
///
/// A provider of models: name it in the `provider` of an AI task. With `baseUrl` it is any server that speaks as OpenAI does.
///
/// # Ask it
/// ```yaml
/// id: ask
/// type: io.kestra.plugin.ai.completion.ChatCompletion
/// provider:
///   type: io.kestra.plugin.ai.provider.OpenAI
///   apiKey: "{{ secret('OPENAI_API_KEY') }}"
///   modelName: gpt-5-nano
/// messages:
///   - type: USER
///     content: "{{ inputs.question }}"
/// ```
#[provider("io.kestra.plugin.ai.provider.OpenAI", aliases = ["io.kestra.plugin.langchain4j.provider.OpenAI"])]
pub fn provider(properties: OpenAI, request: Value, cx: &Context) -> Result<Value, Failure> {
    chat::provide(&properties.connection()?, &properties.model_name, request, cx)
}

/// Where the tasks of this plugin ask. `timeout_s`: how long OpenAI may be silent.
fn connection(api_key: String, base_url: Option<String>, timeout_s: u64) -> Result<Connection, Failure> {
    let common = Common { base_url, timeout: Some(Duration::from_secs(timeout_s)), ..Common::default() };
    Connection::new(&codec::OPENAI, Credential::Key(api_key), common)
}

fn base(connection: &Connection) -> String {
    connection.options.base_url.as_deref().unwrap_or(BASE).trim_end_matches('/').to_owned()
}

/// Tells what an answer cost.
fn report(usage: Option<&Usage>, cx: &Context) {
    let mut spent = Spent::default();
    usage.into_iter().for_each(|usage| spent.add(usage));
    spent.report(cx, METRICS, &[]);
}

plugin! {
    manifest: "manifest.json",
    tasks: [
        chat_completion::chat_completion,
        responses::responses,
        create_image::create_image,
        upload_file::upload_file,
    ],
    providers: [provider],
    title: "OpenAI",
    effects: Effects::AtLeastOnce,
    capabilities: Capabilities::none()
        .http(Hosts::NamedByFlow, &[])
        .http(Hosts::Only(&["api.openai.com", "*.blob.core.windows.net"]), &[])
        .files(),
}
