//! Whether a credential is the right one: each provider's own way to prove who asks. What it says to a wrong one is said elsewhere.

pub(super) mod jwt;
pub(super) mod rsa;
pub(super) mod sigv4;
pub(super) mod tokens;

use super::faults::Trouble;
use super::{Incoming, Provider, Shared};

/// What a token for Azure's models is issued for.
pub(super) const AZURE_SCOPE: &str = "https://cognitiveservices.azure.com/.default";
/// What a token for Vertex AI is issued for.
pub(super) const CLOUD_SCOPE: &str = "https://www.googleapis.com/auth/cloud-platform";

/// Whether a request may ask a provider.
pub(super) fn check(shared: &Shared, provider: Provider, incoming: &Incoming) -> Result<(), Trouble> {
    let credentials = &shared.credentials;
    let key = credentials.key(provider);
    match provider {
        Provider::OpenAi | Provider::Mistral | Provider::DeepSeek | Provider::OpenRouter => {
            compare(incoming.bearer(), key)
        }
        Provider::Ollama if !shared.ollama_key() => Ok(()),
        Provider::Ollama => compare(incoming.bearer(), key),
        // Older clients have a header of their own, which counts where there are both.
        Provider::Anthropic => compare(incoming.header("x-api-key").or(incoming.bearer()), key),
        Provider::Gemini => {
            let named = incoming.query("key");
            compare(incoming.header("x-goog-api-key").or(named.as_deref()), key)
        }
        Provider::AzureOpenAi => match incoming.bearer() {
            Some(token) => issued(shared, token, &[AZURE_SCOPE]),
            None => compare(incoming.header("api-key"), key),
        },
        Provider::VertexAi => issued(shared, incoming.bearer().ok_or(Trouble::NoKey)?, &[CLOUD_SCOPE]),
        Provider::Bedrock => match incoming.bearer() {
            Some(token) => compare(Some(token), &credentials.bedrock_api_key),
            None => sigv4::check(&credentials.bedrock_access_key_id, key, incoming, jiff::Timestamp::now()),
        },
    }
}

fn compare(came: Option<&str>, key: &str) -> Result<(), Trouble> {
    match came {
        None | Some("") => Err(Trouble::NoKey),
        Some(came) if came == key => Ok(()),
        Some(came) => Err(Trouble::WrongKey(came.to_owned())),
    }
}

/// Whether a token is one of this server, for one of these scopes.
pub(super) fn issued(shared: &Shared, token: &str, scopes: &[&str]) -> Result<(), Trouble> {
    let scope = shared.credentials.scope(token).unwrap_or_default();
    match scope.split(' ').any(|scope| scopes.contains(&scope)) {
        true => Ok(()),
        false => Err(Trouble::WrongKey(token.to_owned())),
    }
}
