//! `http.Download`.

use std::collections::BTreeMap;
use std::io::{self, Write};

use sluice_sdk::files;
use sluice_sdk::http::Response;
use sluice_sdk::prelude::*;

use crate::response;
use crate::target::properties_of_requests;

/// Bytes between two reports of progress.
const PROGRESS_BYTES: u64 = 4 * 1024 * 1024;

/// Longest name of a file, what is longer is cut in front of its end.
const MAX_NAME_BYTES: usize = 100;

properties_of_requests! {
    pub struct DownloadProperties {
        /// Whether an empty response is a failure.
        #[default(true)]
        fail_on_empty_response: bool,
    }
}

#[outputs]
pub struct DownloadOutputs {
    /// The URI of the file in the internal storage.
    uri: String,
    /// The status code.
    code: u16,
    /// The size of the file in bytes.
    length: u64,
    /// The header fields: a list of values by name in lower case.
    headers: BTreeMap<String, Vec<String>>,
}

/// Download a file over HTTP.
///
/// Streams the response into the internal storage; its size is limited by the storage alone.
///
/// A status of 400 and above fails the task, unless `options.allowFailed` is set or `options.allowedResponseCodes` has it. A response that ends before its
/// announced length fails it too, and leaves no file behind.
///
/// Failure codes: those of `io.kestra.plugin.core.http.Request`, `EMPTY_RESPONSE`, `HTTP_INCOMPLETE`. Metrics: `response.length` (counter) in bytes.
///
/// # Download a CSV file
/// ```yaml
/// id: orders
/// type: io.kestra.plugin.core.http.Download
/// uri: https://files.example.com/orders.csv
/// ```
#[task("io.kestra.plugin.core.http.Download", aliases = ["io.kestra.plugin.fs.http.Download"])]
pub fn download(mut properties: DownloadProperties, cx: &Context) -> Result<DownloadOutputs, Failure> {
    let options = properties.take_options();
    let response = properties.target().send(&options, cx)?;
    let mut response = response::check(response, &properties.method, &options)?;

    let announced = announced_length(&response);
    let mut target =
        WithProgress { inner: files::create(&file_name(&response))?, announced, next_report: PROGRESS_BYTES, cx };
    let length = response.copy_to(&mut target)?;
    if announced.is_some_and(|announced| announced != length) {
        let message = format!("`{}` ended after {length} of {} bytes", response.url(), announced.unwrap_or_default());
        return Err(Failure::new("HTTP_INCOMPLETE", message).retryable(true));
    }
    if length == 0 {
        if properties.fail_on_empty_response && options.allow_failed != Some(true) {
            let message = format!(
                "`{}` answered {} without content; `failOnEmptyResponse: false` accepts that",
                response.url(),
                response.status()
            );
            return Err(Failure::new("EMPTY_RESPONSE", message));
        }
        cx.warn(format!("`{}` is empty", response.url()));
    }
    cx.counter("response.length", length as f64, &[]);
    cx.debug(format!("`{}` has {length} bytes", response.url()));
    Ok(DownloadOutputs {
        uri: target.inner.finish()?,
        code: response.status(),
        length,
        headers: response::headers(&response),
    })
}

/// The length the server announced, where it is that of the bytes that come.
fn announced_length(response: &Response) -> Option<u64> {
    response.headers().get("content-length").and_then(|text| text.trim().parse().ok())
}

/// The name the server gives the file, else the last segment of the URL.
fn file_name(response: &Response) -> String {
    let given = response.headers().get("content-disposition").and_then(name_in_disposition);
    let name = given.or_else(|| response.url().file_name().map(str::to_owned)).unwrap_or_default();
    // Only the last segment, and only letters that mean nothing anywhere.
    let name = name.rsplit(['/', '\\']).next().unwrap_or_default();
    let safe: String = name
        .chars()
        .map(|letter| if letter.is_ascii_alphanumeric() || "._-".contains(letter) { letter } else { '_' })
        .collect();
    let end = safe.get(safe.len().saturating_sub(MAX_NAME_BYTES)..).unwrap_or_default();
    let end = end.trim_start_matches('.');
    if end.is_empty() { "download".to_owned() } else { end.to_owned() }
}

/// The file name in a `Content-Disposition`; the extended form (RFC 8187) wins.
fn name_in_disposition(disposition: &str) -> Option<String> {
    let mut plain = None;
    for parameter in disposition.split(';').skip(1) {
        let (name, value) = parameter.trim().split_once('=')?;
        let value = value.trim().trim_matches('"');
        match name.trim().to_ascii_lowercase().as_str() {
            "filename*" => return value.splitn(3, '\'').nth(2).map(str::to_owned),
            "filename" => plain = Some(value.to_owned()),
            _ => {}
        }
    }
    plain
}

/// Says how far the download is.
struct WithProgress<'a> {
    inner: files::Writer,
    announced: Option<u64>,
    next_report: u64,
    cx: &'a Context,
}

impl Write for WithProgress<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let count = self.inner.write(bytes)?;
        let written = self.inner.written();
        if written >= self.next_report {
            self.next_report = written + PROGRESS_BYTES;
            let percent = self.announced.and_then(|announced| u8::try_from(written * 100 / announced.max(1)).ok());
            self.cx.progress(percent, format!("{} MiB", written / (1024 * 1024)));
        }
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}

#[cfg(test)]
#[path = "download_tests.rs"]
mod tests;
