//! Images that models make: one from a text, with those providers that make any.

use serde::{Deserialize, Serialize};

use crate::ProviderError;
use crate::dialect::Codec;
use crate::http::{HttpRequest, Options};
use crate::message::{Base64, Image};

/// What a model is to draw.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ImageRequest {
    pub model: String,
    pub prompt: String,
}

/// What to send.
pub fn encode(codec: &Codec, request: &ImageRequest, options: &Options) -> Result<HttpRequest, ProviderError> {
    let images = codec.images.as_ref().ok_or_else(|| {
        ProviderError::refused("this provider makes no images: take OpenAI, Azure OpenAI, Gemini or Vertex AI")
    })?;
    (images.encode)(request, options)
}

/// The image in an answer.
pub fn decode(codec: &Codec, body: &[u8]) -> Result<Image, ProviderError> {
    let body = serde_json::from_slice(body)
        .map_err(|error| ProviderError::malformed(format!("the response is not JSON: {error}")))?;
    codec.images.as_ref().ok_or_else(none).and_then(|images| (images.decode)(&body))
}

pub(crate) fn none() -> ProviderError {
    ProviderError::malformed("the answer has no image")
}

pub(crate) fn bytes(media_type: &str, data: &str) -> Result<Image, ProviderError> {
    let data = Base64::try_from(data.to_owned()).map_err(ProviderError::malformed)?;
    Ok(Image::Bytes { media_type: media_type.to_owned(), data })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Dialect;
    use crate::dialect::codec;

    fn request() -> ImageRequest {
        ImageRequest { model: "m".into(), prompt: "a cat".into() }
    }

    #[test]
    fn each_that_draws_is_asked_in_its_own_way() {
        let azure = Options { base_url: Some("https://x.openai.azure.com/".into()), ..Options::default() };
        let dated = Options { api_version: Some("2025-04-01".into()), ..azure.clone() };
        let vertex = Options { project: Some("p".into()), location: Some("global".into()), ..Options::default() };
        for (dialect, options, url) in [
            (Dialect::OpenAi, Options::default(), "https://api.openai.com/v1/images/generations"),
            (Dialect::AzureOpenAi, azure, "https://x.openai.azure.com/openai/v1/images/generations"),
            (
                Dialect::AzureOpenAi,
                dated,
                "https://x.openai.azure.com/openai/deployments/m/images/generations?api-version=2025-04-01",
            ),
            (
                Dialect::Gemini,
                Options::default(),
                "https://generativelanguage.googleapis.com/v1beta/models/m:generateContent",
            ),
            (
                Dialect::VertexAi,
                vertex,
                "https://aiplatform.googleapis.com/v1/projects/p/locations/global/publishers/google/models/m:generateContent",
            ),
        ] {
            let sent = encode(dialect.codec(), &request(), &options).expect("it draws");
            assert_eq!(sent.url(), url);
            assert!(String::from_utf8_lossy(&sent.body).contains("a cat"));
        }
        for dialect in [Dialect::Anthropic, Dialect::Ollama, Dialect::Bedrock, Dialect::Mistral] {
            assert_eq!(
                encode(dialect.codec(), &request(), &Options::default()).map(drop).map_err(|error| error.code()),
                Err("LLM_BAD_REQUEST")
            );
        }
    }

    #[test]
    fn images_come_as_bytes_or_as_an_address() {
        let png = |data: &str| Image::Bytes {
            media_type: "image/png".into(),
            data: Base64::try_from(data.to_owned()).expect("base64"),
        };
        assert_eq!(decode(&codec::OPENAI, br#"{"data":[{"b64_json":"AAAA"}]}"#), Ok(png("AAAA")));
        assert_eq!(
            decode(&codec::OPENAI, br#"{"data":[{"url":"https://x/y.png"}]}"#),
            Ok(Image::Url("https://x/y.png".into()))
        );
        let gemini = br#"{"candidates":[{"content":{"parts":[{"text":"here"},{"inlineData":{"mimeType":"image/png","data":"AAAA"}}]}}]}"#;
        assert_eq!(decode(&codec::GEMINI, gemini), Ok(png("AAAA")));
        for empty in [&b"{}"[..], b"[", br#"{"data":[{}]}"#, br#"{"data":[{"b64_json":"?"}]}"#] {
            assert_eq!(decode(&codec::OPENAI, empty).map_err(|error| error.code()), Err("LLM_MALFORMED"));
        }
    }
}
