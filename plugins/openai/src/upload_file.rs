//! `openai.UploadFile`.

use std::time::Duration;

use llm::codec;
use serde_json::Value;
use sluice_sdk::http::{Multipart, Part, Redirects, Request, Timeouts, Url, bearer};
use sluice_sdk::prelude::*;

use crate::{base, connection};

/// Longest answer that is read.
const ANSWER_MAX_BYTES: usize = 1 << 20;

#[properties]
pub struct UploadFile {
    /// The API key.
    #[secret]
    api_key: String,
    /// The file: `kestra:///…`, `nsfile:///…`.
    from: String,
    /// What for: `assistants`, `batch`, `fine-tune`, `vision`, `user_data`.
    purpose: String,
    /// Taken, and not sent.
    #[expect(dead_code, reason = "taken, so that flows for Kestra are")]
    user: Option<String>,
    /// How long OpenAI may be silent, in seconds.
    #[default(10_u64)]
    client_timeout: u64,
    /// Another address than OpenAI's own.
    base_url: Option<String>,
}

#[outputs]
pub struct Uploaded {
    /// OpenAI's id of the file.
    file_id: String,
}

/// Give OpenAI a file.
///
/// The file is streamed.
///
/// Failure codes: those of `io.kestra.plugin.openai.ChatCompletion`.
///
/// # Upload a document
/// ```yaml
/// id: upload
/// type: io.kestra.plugin.openai.UploadFile
/// apiKey: "{{ secret('OPENAI_API_KEY') }}"
/// from: "{{ inputs.document }}"
/// purpose: user_data
/// ```
#[task("io.kestra.plugin.openai.UploadFile")]
pub fn upload_file(properties: UploadFile, cx: &Context) -> Result<Uploaded, Failure> {
    let connection = connection(properties.api_key.clone(), properties.base_url, properties.client_timeout)?;
    let silence = Some(Duration::from_secs(properties.client_timeout));
    let mut form = Multipart::new(&cx.idempotency_key());
    form.push(Part::text("purpose", properties.purpose));
    let name = properties.from.rsplit('/').next().filter(|name| !name.is_empty()).unwrap_or("file");
    form.push(Part::file("file", name, &properties.from)?);
    let url = Url::parse(&format!("{}/files", base(&connection)))?;
    let request = Request::new("POST", url)?
        .header("authorization", bearer(&properties.api_key))
        .header("content-type", form.content_type())
        .timeouts(Timeouts { first_byte: silence, idle: silence, ..Timeouts::default() })
        .redirects(Redirects::Return);
    let mut response = request.body(form.into_body()).send()?;
    let body = response.read_start(ANSWER_MAX_BYTES)?;
    if !(200..300).contains(&response.status()) {
        let headers: Vec<_> =
            response.headers().iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
        let refused = codec::OPENAI.decode_response(response.status(), &headers, &body);
        return Err(refused.map_or_else(|error| chat::failure(&error), |_| unreadable()));
    }
    let body: Value = serde_json::from_slice(&body).unwrap_or_default();
    let id = body.get("id").and_then(Value::as_str);
    id.map(|id| Uploaded { file_id: id.to_owned() }).ok_or_else(unreadable)
}

fn unreadable() -> Failure {
    Failure::new("LLM_MALFORMED", "OpenAI's answer has no id of the file").retryable(true)
}
