//! `gemini.MultimodalCompletion`.

use std::io::Write as _;

use base64::Engine as _;
use chat::Spent;
use llm::http::{Auth, HttpRequest};
use llm::message::Usage;
use serde_json::{Map, Value, json};
use sluice_sdk::files;
use sluice_sdk::prelude::*;

use crate::{connection, report};

/// Most bytes of all files that are sent along: what Google takes in a request.
const FILES_MAX_BYTES: u64 = 20 << 20;

#[properties]
pub struct MultimodalCompletion {
    /// The API key.
    #[secret]
    api_key: String,
    /// The model.
    model: String,
    /// What is shown to the model, in order.
    contents: Vec<Content>,
    /// Another address than Google's own.
    base_url: Option<String>,
}

/// A text or a file.
#[properties]
pub struct Content {
    /// What kind of file it is, as in `image/jpeg`. Without it `content` is text.
    mime_type: Option<String>,
    /// The text, or where the file is: `kestra:///…`, `nsfile:///…`.
    content: String,
    /// Who says it: `user` or `model`.
    #[default("user")]
    role: String,
}

#[outputs]
pub struct Completed {
    /// What the model answered, without thoughts.
    text: String,
    /// Why the answer ended, in Google's word.
    finish_reason: String,
    /// Whether Google kept the answer back.
    blocked: bool,
    /// How safe Google takes it to be.
    safety_ratings: Vec<Map<String, Value>>,
    /// The images in the answer.
    images: Vec<Image>,
}

/// An image in an answer.
#[outputs]
pub struct Image {
    /// As in `image/png`.
    mime_type: String,
    /// Where it is in the internal storage.
    uri: String,
}

/// Show files to a model of Google and ask about them.
///
/// Images in the answer become files. An answer that Google keeps back is no failure: `blocked` says so, and the task ends in WARNING.
///
/// Failure codes and metrics: those of `io.kestra.plugin.gemini.TextCompletion`.
///
/// # Describe an image
/// ```yaml
/// id: describe
/// type: io.kestra.plugin.gemini.MultimodalCompletion
/// apiKey: "{{ secret('GEMINI_API_KEY') }}"
/// model: gemini-2.5-flash
/// contents:
///   - content: What is in this picture?
///   - mimeType: image/jpeg
///     content: "{{ inputs.picture }}"
/// ```
#[task("io.kestra.plugin.gemini.MultimodalCompletion")]
pub fn multimodal_completion(properties: MultimodalCompletion, cx: &Context) -> Result<Completed, Failure> {
    let connection = connection(properties.api_key, properties.base_url)?;
    let mut room = FILES_MAX_BYTES;
    let mut contents = Vec::new();
    for content in &properties.contents {
        contents.push(json!({ "role": content.role, "parts": [content.part(&mut room)?] }));
    }
    let name: String =
        properties.model.chars().filter(|letter| letter.is_ascii_alphanumeric() || "-._".contains(*letter)).collect();
    let request = HttpRequest {
        method: "POST",
        base: connection
            .options
            .base_url
            .clone()
            .unwrap_or_else(|| "https://generativelanguage.googleapis.com".to_owned()),
        path: format!("/v1beta/models/{name}:generateContent"),
        query: Vec::new(),
        headers: vec![("content-type".to_owned(), "application/json".to_owned())],
        auth: Auth::Header("x-goog-api-key"),
        body: json!({ "contents": contents }).to_string().into_bytes(),
    };
    let body = chat::send(&connection, &request, cx)?;
    let body: Value = serde_json::from_slice(&body)
        .map_err(|error| Failure::new("LLM_MALFORMED", format!("Google's answer is no JSON: {error}")))?;
    tell(&body, cx);
    read(&body, cx)
}

impl Content {
    fn part(&self, room: &mut u64) -> Result<Value, Failure> {
        let Some(mime_type) = &self.mime_type else { return Ok(json!({ "text": self.content })) };
        let size = files::size(&self.content)?;
        *room = room.checked_sub(size).ok_or_else(|| {
            Failure::bad_property(format!("`contents` have more than {FILES_MAX_BYTES} bytes of files"))
        })?;
        let mut bytes = Vec::new();
        std::io::Read::read_to_end(&mut files::open(&self.content)?, &mut bytes)?;
        let data = base64::engine::general_purpose::STANDARD.encode(&bytes);
        Ok(json!({ "inlineData": { "mimeType": mime_type, "data": data } }))
    }
}

fn tell(body: &Value, cx: &Context) {
    let count = |name: &str| body.pointer(&format!("/usageMetadata/{name}")).and_then(Value::as_u64).unwrap_or(0);
    let output_tokens = count("candidatesTokenCount") + count("thoughtsTokenCount");
    let usage = Usage { input_tokens: count("promptTokenCount"), output_tokens, ..Usage::default() };
    let mut spent = Spent::default();
    spent.add(&usage);
    report(&spent, cx);
}

fn read(body: &Value, cx: &Context) -> Result<Completed, Failure> {
    let candidate = body.pointer("/candidates/0").unwrap_or(&Value::Null);
    let refused = body.pointer("/promptFeedback/blockReason").and_then(Value::as_str);
    let finish = candidate.get("finishReason").and_then(Value::as_str).or(refused).unwrap_or("OTHER");
    let blocked = refused.is_some()
        || matches!(finish, "SAFETY" | "RECITATION" | "BLOCKLIST" | "PROHIBITED_CONTENT" | "SPII" | "IMAGE_SAFETY");
    if blocked {
        cx.warn(format!("Google keeps the answer back: {finish}"));
        cx.end_in_warning();
    }
    let (mut text, mut images) = (String::new(), Vec::new());
    for part in candidate.pointer("/content/parts").and_then(Value::as_array).into_iter().flatten() {
        if part.get("thought") == Some(&Value::Bool(true)) {
            continue;
        }
        text.push_str(part.get("text").and_then(Value::as_str).unwrap_or_default());
        if let Some(data) = part.get("inlineData") {
            images.push(keep(data, images.len())?);
        }
    }
    let ratings = candidate.get("safetyRatings").or_else(|| body.pointer("/promptFeedback/safetyRatings"));
    let ratings = ratings.and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_object).cloned();
    Ok(Completed { text, finish_reason: finish.to_owned(), blocked, safety_ratings: ratings.collect(), images })
}

fn keep(data: &Value, number: usize) -> Result<Image, Failure> {
    let text = |name: &str| data.get(name).and_then(Value::as_str).unwrap_or_default();
    let bytes = base64::engine::general_purpose::STANDARD
        .decode(text("data"))
        .map_err(|error| Failure::new("LLM_MALFORMED", format!("an image in the answer is no base64: {error}")))?;
    let ending =
        text("mimeType").rsplit('/').next().filter(|word| word.chars().all(|letter| letter.is_ascii_alphanumeric()));
    let mut file = files::create(&format!("image-{number}.{}", ending.unwrap_or("bin")))?;
    file.write_all(&bytes)?;
    Ok(Image { mime_type: text("mimeType").to_owned(), uri: file.finish()? })
}
