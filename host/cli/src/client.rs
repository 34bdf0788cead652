//! A server that runs, asked over its API: one request, one answer, and refusals in the server's words.

use anyhow::{Context as _, Result, anyhow};
use reqwest::multipart::{Form, Part};
use reqwest::{Method, RequestBuilder, Url};
use serde_json::Value;

use crate::args::{Credentials, Remote};

/// Longest an answer may take.
const TIME_MAX: std::time::Duration = std::time::Duration::from_secs(120);

/// Where requests go.
pub struct Client {
    server: String,
    http: reqwest::Client,
    credentials: Credentials,
}

impl Client {
    pub fn new(remote: &Remote) -> Result<Self> {
        // rustls is built with one provider; saying so twice is no error.
        let _ = rustls::crypto::ring::default_provider().install_default();
        let http = reqwest::Client::builder().timeout(TIME_MAX).build().context("no HTTP client can be made")?;
        Ok(Self {
            server: remote.server.trim_end_matches('/').to_owned(),
            http,
            credentials: remote.credentials.clone(),
        })
    }

    /// Asks for a path, with or without a document.
    pub async fn ask(&self, method: Method, path: &str, document: Option<&Value>) -> Result<Value> {
        let mut request = self.http.request(method, self.at(path));
        if let Some(document) = document {
            request = request.header("content-type", "application/json").body(document.to_string());
        }
        self.send(request).await
    }

    /// Sends files, each with its name, as a form.
    pub async fn upload(&self, path: &str, query: &[(&str, &str)], files: Vec<(String, Vec<u8>)>) -> Result<Value> {
        let mut url = Url::parse(&self.at(path)).with_context(|| format!("`{}` is not a URL", self.server))?;
        url.query_pairs_mut().extend_pairs(query);
        let mut form = Form::new();
        for (name, content) in files {
            form = form.part("file", Part::bytes(content).file_name(name));
        }
        self.send(self.http.post(url).multipart(form)).await
    }

    fn at(&self, path: &str) -> String {
        format!("{}{path}", self.server)
    }

    async fn send(&self, mut request: RequestBuilder) -> Result<Value> {
        if let Some((name, password)) = self.credentials.pair() {
            request = request.basic_auth(name, Some(password));
        }
        let response = request.send().await.map_err(|error| {
            anyhow!(
                "cannot ask `{}`: {error}\n  hint: is `sluice server` running there? --server names another",
                self.server
            )
        })?;
        let (status, url) = (response.status(), response.url().clone());
        let text = response.text().await.with_context(|| format!("`{url}` was not answered to its end"))?;
        match status.is_success() {
            true if text.is_empty() => Ok(Value::Null),
            true => serde_json::from_str(&text).with_context(|| format!("`{url}` did not answer with JSON")),
            false => Err(refusal(status.as_u16(), &text)),
        }
    }
}

/// What a server says when it refuses: its message, and each problem on a line of its own.
fn refusal(status: u16, text: &str) -> anyhow::Error {
    let body: Value = serde_json::from_str(text).unwrap_or_default();
    let Some(message) = body["message"].as_str() else { return anyhow!("the server answered {status}: {text}") };
    let mut said = message.to_owned();
    for problem in body["problems"].as_array().into_iter().flatten() {
        let (path, message) =
            (problem["path"].as_str().unwrap_or_default(), problem["message"].as_str().unwrap_or_default());
        said.push_str(&format!("\n  {path}: {message}"));
    }
    anyhow!(said)
}
