//! `openai.CreateImage`.

use std::io::Write as _;

use base64::Engine as _;
use llm::http::{Auth, HttpRequest};
use serde_json::{Value, json};
use sluice_sdk::files;
use sluice_sdk::http;
use sluice_sdk::prelude::*;

use crate::{base, connection};

/// Largest image that is fetched.
const IMAGE_MAX_BYTES: usize = 64 << 20;

#[properties]
pub struct CreateImage {
    /// The API key.
    #[secret]
    api_key: String,
    /// What the image shows.
    prompt: String,
    /// How many images, from 1 to 10.
    n: Option<u32>,
    /// How large they are.
    #[default(Size::Large)]
    size: Size,
    /// The model.
    #[default("gpt-image-1")]
    model: String,
    /// How good they are.
    quality: Option<Quality>,
    /// Whether images that OpenAI only gives an address of become files. Those that it sends along always do.
    #[default(false)]
    download: bool,
    /// Who asks, for OpenAI to tell abuse by.
    user: Option<String>,
    /// How long OpenAI may be silent, in seconds.
    #[default(10_u64)]
    client_timeout: u64,
    /// Another address than OpenAI's own.
    base_url: Option<String>,
}

/// How large an image is: 256, 512 or 1,024 points in each direction.
#[properties]
#[derive(Debug, Clone, Copy)]
pub enum Size {
    Small,
    Medium,
    Large,
}

/// How good an image is.
#[properties]
#[derive(Debug, Clone, Copy)]
pub enum Quality {
    Auto,
    Low,
    Medium,
    High,
}

#[outputs]
pub struct Created {
    /// Where the images are: files of the internal storage, or addresses at OpenAI that are good for an hour.
    images: Vec<String>,
}

/// Have OpenAI make images.
///
/// Failure codes: those of `io.kestra.plugin.openai.ChatCompletion`.
///
/// # Make a picture
/// ```yaml
/// id: picture
/// type: io.kestra.plugin.openai.CreateImage
/// apiKey: "{{ secret('OPENAI_API_KEY') }}"
/// clientTimeout: 120
/// prompt: A lighthouse at dawn, in watercolours
/// ```
#[task("io.kestra.plugin.openai.CreateImage")]
pub fn create_image(properties: CreateImage, cx: &Context) -> Result<Created, Failure> {
    if properties.n.is_some_and(|n| !(1..=10).contains(&n)) {
        return Err(Failure::bad_property("`n` has to be from 1 to 10"));
    }
    let connection = connection(properties.api_key.clone(), properties.base_url.clone(), properties.client_timeout)?;
    let request = HttpRequest {
        method: "POST",
        base: base(&connection),
        path: "/images/generations".to_owned(),
        query: Vec::new(),
        headers: vec![("content-type".to_owned(), "application/json".to_owned())],
        auth: Auth::Bearer,
        body: properties.body().to_string().into_bytes(),
    };
    let body = chat::send(&connection, &request, cx)?;
    let body: Value = serde_json::from_slice(&body)
        .map_err(|error| Failure::new("LLM_MALFORMED", format!("OpenAI's answer is no JSON: {error}")))?;
    let data = body.get("data").and_then(Value::as_array).cloned().unwrap_or_default();
    let mut images = Vec::new();
    for (number, image) in data.iter().enumerate() {
        let text = |name: &str| image.get(name).and_then(Value::as_str);
        images.push(match (text("b64_json"), text("url")) {
            (Some(data), _) => {
                let bytes = base64::engine::general_purpose::STANDARD
                    .decode(data)
                    .map_err(|error| Failure::new("LLM_MALFORMED", format!("an image is no base64: {error}")))?;
                keep(number, &bytes)?
            }
            (None, Some(url)) if properties.download => {
                keep(number, &http::Request::get(url)?.send()?.read_bytes(IMAGE_MAX_BYTES)?)?
            }
            (None, Some(url)) => url.to_owned(),
            (None, None) => return Err(Failure::new("LLM_MALFORMED", "OpenAI's answer has an image that is none")),
        });
    }
    Ok(Created { images })
}

fn keep(number: usize, bytes: &[u8]) -> Result<String, Failure> {
    let mut file = files::create(&format!("image-{number}.png"))?;
    file.write_all(bytes)?;
    file.finish()
}

impl CreateImage {
    fn body(&self) -> Value {
        let size = match self.size {
            Size::Small => "256x256",
            Size::Medium => "512x512",
            Size::Large => "1024x1024",
        };
        let quality = self.quality.map(|quality| match quality {
            Quality::Auto => "auto",
            Quality::Low => "low",
            Quality::Medium => "medium",
            Quality::High => "high",
        });
        let fields = [
            ("model", json!(self.model)),
            ("prompt", json!(self.prompt)),
            ("n", json!(self.n)),
            ("size", json!(size)),
            ("quality", json!(quality)),
            ("user", json!(self.user)),
        ];
        let given = fields.into_iter().filter(|(_, value)| !value.is_null());
        Value::Object(given.map(|(name, value)| (name.to_owned(), value)).collect())
    }
}
