//! `ai.completion.ImageGeneration`.

use std::io::Write as _;

use base64::Engine as _;
use chat::{FinishReason, TokenUsage};
use llm::message::Image;
use sluice_sdk::files;
use sluice_sdk::prelude::*;

use crate::provider::Provider;

#[properties]
pub struct ImageGeneration {
    /// What the image shows.
    prompt: String,
    /// Who makes it: OpenAI, Azure OpenAI, Gemini or Vertex AI, with a model that draws.
    provider: Provider,
}

#[outputs]
pub struct Generated {
    /// Where the image is: an address at the provider, or a file of the internal storage where it was sent along.
    image_url: String,
    /// Always null: what an image costs is not told in tokens.
    token_usage: Option<TokenUsage>,
    /// Why the answer ended.
    finish_reason: FinishReason,
}

/// Have a model make an image.
///
/// Failure codes: those of `io.kestra.plugin.ai.completion.ChatCompletion`.
///
/// # Make a picture
/// ```yaml
/// id: picture
/// type: io.kestra.plugin.ai.completion.ImageGeneration
/// provider:
///   type: io.kestra.plugin.ai.provider.OpenAI
///   apiKey: "{{ secret('OPENAI_API_KEY') }}"
///   modelName: gpt-image-1
/// prompt: "{{ inputs.prompt }}"
/// ```
#[task(
    "io.kestra.plugin.ai.completion.ImageGeneration",
    aliases = ["io.kestra.plugin.langchain4j.completion.ImageGeneration", "io.kestra.plugin.langchain4j.ImageGeneration"]
)]
pub fn image_generation(properties: ImageGeneration, cx: &Context) -> Result<Generated, Failure> {
    let image = properties.provider.draw(&properties.prompt)?;
    cx.counter("ai.provider.calls", 1.0, &[("provider".to_owned(), properties.provider.name())]);
    let image_url = match image {
        Image::Url(url) => url,
        Image::Bytes { media_type, data } => {
            let bytes = base64::engine::general_purpose::STANDARD
                .decode(data.as_str())
                .map_err(|error| Failure::new("LLM_MALFORMED", format!("the image is no base64: {error}")))?;
            let ending: String =
                media_type.rsplit('/').next().unwrap_or_default().chars().filter(char::is_ascii_alphanumeric).collect();
            let mut file = files::create(&format!("image.{ending}"))?;
            file.write_all(&bytes)?;
            file.finish()?
        }
    };
    Ok(Generated { image_url, token_usage: None, finish_reason: FinishReason::Stop })
}
