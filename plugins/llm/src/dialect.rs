//! The providers, a file each, and one more for the second API of OpenAI. What several share is `family.rs` (those that speak like
//! OpenAI) and `google.rs`; a difference within a family is data there.

mod anthropic;
mod azure_openai;
mod bedrock;
mod deepseek;
mod family;
mod gemini;
mod google;
mod ids;
mod mistral;
mod ollama;
mod openai;
mod openai_responses;
mod openrouter;
mod vertexai;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use crate::build::Builder;
use crate::framing::{Frame, Framing};
use crate::http::{Auth, Headers, HttpRequest, Options};
use crate::images::ImageRequest;
use crate::message::{Answer, Image, Request, ToolChoice};
use crate::{Kind, ProviderError};

/// Whose words.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Dialect {
    OpenAi,
    #[serde(rename = "openai_responses")]
    OpenAiResponses,
    #[serde(rename = "azure_openai")]
    AzureOpenAi,
    Anthropic,
    Gemini,
    VertexAi,
    Bedrock,
    Mistral,
    DeepSeek,
    Ollama,
    OpenRouter,
}

impl Dialect {
    pub const ALL: [Self; 11] = [
        Self::OpenAi,
        Self::OpenAiResponses,
        Self::AzureOpenAi,
        Self::Anthropic,
        Self::Gemini,
        Self::VertexAi,
        Self::Bedrock,
        Self::Mistral,
        Self::DeepSeek,
        Self::Ollama,
        Self::OpenRouter,
    ];

    /// How it is spoken. Who knows it beforehand takes it from `codec`: what nobody takes is not in a plugin.
    pub fn codec(self) -> &'static Codec {
        match self {
            Self::OpenAi => &openai::CODEC,
            Self::OpenAiResponses => &openai_responses::CODEC,
            Self::AzureOpenAi => &azure_openai::CODEC,
            Self::Anthropic => &anthropic::CODEC,
            Self::Gemini => &gemini::CODEC,
            Self::VertexAi => &vertexai::CODEC,
            Self::Bedrock => &bedrock::CODEC,
            Self::Mistral => &mistral::CODEC,
            Self::DeepSeek => &deepseek::CODEC,
            Self::Ollama => &ollama::CODEC,
            Self::OpenRouter => &openrouter::CODEC,
        }
    }
}

/// How a dialect is spoken: a table of functions.
pub struct Codec {
    pub dialect: Dialect,
    encode: fn(&Request, &Options) -> Result<HttpRequest, ProviderError>,
    /// A whole answer.
    body: fn(&mut Builder, &Value) -> Result<(), ProviderError>,
    /// One event of a stream.
    event: fn(&mut Builder, &Frame) -> Result<(), ProviderError>,
    /// What a refusal says.
    error: fn(&Failure<'_>) -> ProviderError,
    /// Whether an answer that has ended is one.
    ended: fn(&Builder) -> Result<(), ProviderError>,
    framing: fn() -> Framing,
    pub(crate) images: Option<Images>,
}

/// How a dialect that draws is asked for an image.
pub(crate) struct Images {
    pub encode: fn(&ImageRequest, &Options) -> Result<HttpRequest, ProviderError>,
    pub decode: fn(&Value) -> Result<Image, ProviderError>,
}

/// The codecs by name.
pub mod codec {
    pub use super::anthropic::CODEC as ANTHROPIC;
    pub use super::azure_openai::CODEC as AZURE_OPENAI;
    pub use super::bedrock::CODEC as BEDROCK;
    pub use super::deepseek::CODEC as DEEPSEEK;
    pub use super::gemini::CODEC as GEMINI;
    pub use super::mistral::CODEC as MISTRAL;
    pub use super::ollama::CODEC as OLLAMA;
    pub use super::openai::CODEC as OPENAI;
    pub use super::openai_responses::CODEC as OPENAI_RESPONSES;
    pub use super::openrouter::CODEC as OPENROUTER;
    pub use super::vertexai::CODEC as VERTEXAI;
}

impl std::fmt::Debug for Codec {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.dialect.fmt(f)
    }
}

/// Most answers may end as they do.
fn any_end(_: &Builder) -> Result<(), ProviderError> {
    Ok(())
}

impl Codec {
    /// What to send. Errors are requests that the dialect cannot say.
    pub fn encode_request(&self, request: &Request, options: &Options) -> Result<HttpRequest, ProviderError> {
        if request.tools.is_empty() && matches!(request.tool_choice, ToolChoice::Required | ToolChoice::Tool(_)) {
            return Err(ProviderError::refused("a tool has to be called and there is none"));
        }
        (self.encode)(&ids::unique(request), options)
    }

    /// What a whole response says, be it an answer or an error.
    pub fn decode_response(
        &self,
        status: u16,
        headers: &[(String, String)],
        body: &[u8],
    ) -> Result<Answer, ProviderError> {
        if !(200..300).contains(&status) {
            return Err((self.error)(&Failure::of_response(status, Headers::new(headers), body)));
        }
        let mut builder = Builder::new(self.dialect);
        (self.body)(&mut builder, &parsed(body)?)?;
        (self.ended)(&builder)?;
        builder.answer()
    }

    pub(crate) fn framing(&self) -> Framing {
        (self.framing)()
    }

    pub(crate) fn event(&self, builder: &mut Builder, frame: &Frame) -> Result<(), ProviderError> {
        (self.event)(builder, frame)
    }

    pub(crate) fn ended(&self, builder: &Builder) -> Result<(), ProviderError> {
        (self.ended)(builder)
    }
}

/// JSON, with blank lines before it, which some servers send to keep a connection open.
fn parsed(bytes: &[u8]) -> Result<Value, ProviderError> {
    serde_json::from_slice(bytes).map_err(|error| match error.is_eof() {
        true => ProviderError::new(Kind::Truncated, "the response ended inside its JSON"),
        false => ProviderError::malformed(format!("the response is not JSON: {error}")),
    })
}

/// What a provider says went wrong.
struct Failure<'a> {
    status: u16,
    headers: Headers<'a>,
    /// Null if it is not JSON.
    body: Value,
    text: String,
}

impl<'a> Failure<'a> {
    fn of_response(status: u16, headers: Headers<'a>, body: &[u8]) -> Self {
        let body_json = serde_json::from_slice(body).unwrap_or(Value::Null);
        Self { status, headers, body: body_json, text: String::from_utf8_lossy(body).into_owned() }
    }

    /// One that comes after a status that promised an answer.
    fn within(body: &Value) -> Failure<'static> {
        Failure { status: 200, headers: Headers::new(&[]), body: body.clone(), text: body.to_string() }
    }

    /// The provider's words, or those that are left to say.
    fn message(&self, words: Option<&str>) -> String {
        match words.map(str::trim).filter(|words| !words.is_empty()) {
            Some(words) => words.to_owned(),
            None if self.text.trim().is_empty() => format!("the provider answered with status {}", self.status),
            None => format!("status {}: {}", self.status, self.text.trim()),
        }
    }

    /// The wait that headers or the message name.
    fn wait(&self, message: &str) -> Option<u64> {
        crate::retry::of_headers(self.headers).or_else(|| crate::retry::of_text(message))
    }
}

/// Where a request goes.
struct Place {
    base: String,
    path: String,
    query: Vec<(&'static str, String)>,
    auth: Auth,
}

impl Place {
    fn post(
        self,
        options: &Options,
        accept: Option<&str>,
        body: Map<String, Value>,
    ) -> Result<HttpRequest, ProviderError> {
        Ok(HttpRequest {
            method: "POST",
            base: self.base,
            path: self.path,
            query: self.query,
            headers: options.headers(accept)?,
            auth: self.auth,
            body: options.finish(body),
        })
    }
}

/// A body with the fields that are not null.
fn fields<const N: usize>(fields: [(&str, Value); N]) -> Map<String, Value> {
    fields.into_iter().filter(|(_, value)| !value.is_null()).map(|(name, value)| (name.to_owned(), value)).collect()
}

/// Arguments for a provider that takes objects only.
fn object(arguments: &Value) -> Value {
    match arguments {
        Value::Object(_) => arguments.clone(),
        Value::Null => json!({}),
        other => json!({ "unreadable": other }),
    }
}

/// Whether a message says any of these, whatever the case.
fn says(message: &str, words: &[&str]) -> bool {
    let message = message.to_ascii_lowercase();
    words.iter().any(|words| message.contains(words))
}

/// How providers say that a prompt is longer than the model's context.
const TOO_LONG: [&str; 9] = [
    "exceeds the context length",
    "maximum context length",
    "context length exceeded",
    "context window",
    "prompt is too long",
    "input is too long",
    "too many input tokens",
    "request too large",
    "maximum number of tokens",
];

fn refuse_top_k(request: &Request) -> Result<(), ProviderError> {
    match request.sampling.top_k {
        Some(_) => Err(ProviderError::refused("this provider has no `topK`: leave it out")),
        None => Ok(()),
    }
}

fn refuse_seed(request: &Request) -> Result<(), ProviderError> {
    match request.sampling.seed {
        Some(_) => Err(ProviderError::refused("this provider has no `seed`: leave it out")),
        None => Ok(()),
    }
}

/// Models of Anthropic from 4.5 on hold themselves to a schema; earlier ones are asked in words.
fn claude_takes_schema(model: &str) -> bool {
    let Some(at) = model.find("claude-") else { return false };
    let words = model.get(at..).unwrap_or_default().split(['-', '@', ':', '.']).skip(1);
    // `claude-sonnet-4-5-20250929`, `claude-3-5-sonnet-20240620`: a date is no version.
    let mut numbers = words.filter_map(|word| word.parse::<u32>().ok()).filter(|number| *number < 1_000);
    let version = (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0));
    version >= (4, 5)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn version_of_claude_is_in_its_name() {
        for (model, expected) in [
            ("claude-sonnet-4-5-20250929", true),
            ("claude-opus-4-6", true),
            ("claude-opus-5", true),
            ("us.anthropic.claude-haiku-4-5-20251001-v1:0", true),
            ("claude-opus-4-1-20250805", false),
            ("claude-sonnet-4-20250514", false),
            ("claude-3-7-sonnet-latest", false),
            ("anthropic.claude-3-5-sonnet-20240620-v1:0", false),
            ("amazon.nova-pro-v1:0", false),
        ] {
            assert_eq!(claude_takes_schema(model), expected, "{model}");
        }
    }

    #[test]
    fn names_are_those_of_the_files() {
        let names: Vec<_> = Dialect::ALL.iter().map(|dialect| serde_json::json!(dialect)).collect();
        let expected = serde_json::json!([
            "openai",
            "openai_responses",
            "azure_openai",
            "anthropic",
            "gemini",
            "vertexai",
            "bedrock",
            "mistral",
            "deepseek",
            "ollama",
            "openrouter"
        ]);
        assert_eq!(Value::Array(names), expected);
    }
}
