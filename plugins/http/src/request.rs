//! `http.Request`.

use std::collections::BTreeMap;

use serde_json::{Map, Value};
use sluice_sdk::http::Response;
use sluice_sdk::prelude::*;

use crate::options::{Charset, HttpOptions, LogPart};
use crate::response;
use crate::target::properties_of_requests;

properties_of_requests! {
    pub struct RequestProperties {
        /// Not supported: this host has no encrypted outputs. Only `false` is accepted.
        encrypt_body: Option<bool>,
    }
}

#[outputs]
pub struct RequestOutputs {
    /// Where the response came from, after redirects.
    uri: String,
    /// The status code.
    pub code: u16,
    /// The header fields: a list of values by name in lower case.
    pub headers: BTreeMap<String, Vec<String>>,
    /// The body as text.
    pub body: String,
    /// Always null: `encryptBody` is not supported.
    encrypted_body: Option<Value>,
    /// Always null: what was sent may hold secrets and is not kept.
    form_data: Option<Map<String, Value>>,
}

impl RequestOutputs {
    /// What is kept of a response.
    pub fn of(response: &Response, body: String) -> Self {
        Self {
            uri: response.url().to_string(),
            code: response.status(),
            headers: response::headers(response),
            body,
            encrypted_body: None,
            form_data: None,
        }
    }
}

/// Call an API over HTTP.
///
/// Sends one request and keeps the response as an output of the task, up to 10 MiB (`options.maxContentLength`). For files and larger responses
/// take `io.kestra.plugin.core.http.Download`.
///
/// A status of 400 and above fails the task, unless `options.allowFailed` is set or `options.allowedResponseCodes` has it.
///
/// Failure codes: `HTTP_STATUS` (details `status`, `body`, `retryAfterSeconds`), `HTTP_DNS`, `HTTP_CONNECT`, `HTTP_TLS`, `HTTP_TIMEOUT`, `HTTP_REDIRECT`, `HTTP_LIMIT`,
/// `HTTP_URL`, `HTTP_HEADER`, `HTTP_PROTOCOL`, `HTTP_NOT_TEXT`, `NOT_GRANTED`, `BAD_PROPERTY`. Metrics: `response.length` (counter) in bytes.
///
/// # Send JSON
/// ```yaml
/// id: add_product
/// type: io.kestra.plugin.core.http.Request
/// uri: https://api.example.com/products
/// method: POST
/// body: |
///   {{ {"title": inputs.title, "price": inputs.price} | toJson }}
/// ```
///
/// A failed status says whether another attempt may help: 408, 425, 429, 500, 502, 503 and 504 may be answered otherwise later.
///
/// # Search
/// ```yaml
/// id: search
/// type: io.kestra.plugin.core.http.Request
/// uri: https://api.example.com/products
/// params:
///   q: "{{ inputs.words }}"
///   tag: [new, cheap]
/// ```
///
/// # Log in with a token
/// ```yaml
/// id: me
/// type: io.kestra.plugin.core.http.Request
/// uri: https://api.example.com/me
/// options:
///   auth:
///     type: BEARER
///     token: "{{ secret('API_TOKEN') }}"
/// ```
///
/// # Upload a file under another name
/// ```yaml
/// id: upload
/// type: io.kestra.plugin.core.http.Request
/// uri: https://api.example.com/upload
/// method: POST
/// contentType: multipart/form-data
/// formData:
///   description: Orders of the day
///   file:
///     name: orders.csv
///     content: "{{ inputs.file }}"
/// ```
#[task("io.kestra.plugin.core.http.Request", aliases = ["io.kestra.plugin.fs.http.Request"])]
pub fn request(mut properties: RequestProperties, cx: &Context) -> Result<RequestOutputs, Failure> {
    if properties.encrypt_body == Some(true) {
        return Err(Failure::bad_property(
            "property `encryptBody` is not supported: leave it out, and let the response go to a file with `http.Download`",
        ));
    }
    let options = properties.take_options();
    // Said before anything is sent.
    options.charset()?;
    let response = properties.target().send(&options, cx)?;
    let mut response = response::check(response, &properties.method, &options)?;

    let body = read_text(&mut response, &options, cx)?;
    Ok(RequestOutputs::of(&response, body))
}

/// The body of a response as text.
pub fn read_text(response: &mut Response, options: &HttpOptions, cx: &Context) -> Result<String, Failure> {
    let default_charset = options.charset()?;
    let bytes = response.read_bytes(options.max_content_bytes())?;
    cx.counter("response.length", bytes.len() as f64, &[]);
    let charset = response.headers().get("content-type").and_then(charset_of).unwrap_or(default_charset);
    let body = charset.decode(bytes).ok_or_else(|| {
        let message = format!(
            "the response of `{}` is no text in its character set, take `io.kestra.plugin.core.http.Download`",
            response.url()
        );
        Failure::new("HTTP_NOT_TEXT", message).retryable(false)
    })?;
    if options.logs(LogPart::ResponseBody) {
        cx.debug(format!("response body: {body}"));
    }
    Ok(body)
}

/// The character set a content type names, where it is one this plugin can read.
fn charset_of(content_type: &str) -> Option<Charset> {
    let parameters = content_type.split(';').skip(1);
    parameters
        .filter_map(|parameter| parameter.trim().split_once('='))
        .find(|(name, _)| name.eq_ignore_ascii_case("charset"))
        .and_then(|(_, name)| Charset::named(name))
}

#[cfg(test)]
#[path = "request_tests.rs"]
mod tests;
