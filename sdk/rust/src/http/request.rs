//! Requests and responses.

use std::io::{self, Read};
use std::time::Duration;

use serde::Serialize;

use super::{Body, Url, code, redirect};
use crate::{Failure, host};

/// The header by which a request names its egress options. The host takes it off.
const EGRESS_HEADER: &str = "sluice-egress";

/// Bytes of a response body that are read in one piece.
const READ_BYTES: usize = 32 * 1024;

/// Header fields in order, names in lower case.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Headers(Vec<(String, String)>);

impl Headers {
    /// Adds a field beside those of the same name.
    pub fn append(&mut self, name: &str, value: impl Into<String>) {
        self.0.push((name.trim().to_ascii_lowercase(), value.into()));
    }

    /// Sets a field, in place of those of the same name.
    pub fn set(&mut self, name: &str, value: impl Into<String>) {
        let name = name.trim().to_ascii_lowercase();
        self.0.retain(|(other, _)| *other != name);
        self.0.push((name, value.into()));
    }

    /// The first value of a field.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.iter().find(|(other, _)| other.eq_ignore_ascii_case(name)).map(|(_, value)| value)
    }

    /// All fields.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }

    /// Keeps the fields whose name passes.
    pub fn retain(&mut self, mut keep: impl FnMut(&str) -> bool) {
        self.0.retain(|(name, _)| keep(name));
    }
}

impl FromIterator<(String, String)> for Headers {
    fn from_iter<I: IntoIterator<Item = (String, String)>>(fields: I) -> Self {
        let mut headers = Self::default();
        fields.into_iter().for_each(|(name, value)| headers.append(&name, value));
        headers
    }
}

/// How long a request may take. Without a value the host's own limits hold.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Timeouts {
    /// Until the connection stands.
    pub connect: Option<Duration>,
    /// Until the response begins.
    pub first_byte: Option<Duration>,
    /// Between two pieces of the response.
    pub idle: Option<Duration>,
    /// From the first byte sent to the last byte read, redirects included.
    pub total: Option<Duration>,
}

/// What to do with a redirect.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Redirects {
    /// Follow at most so many.
    Follow(u8),
    /// Take it as the answer.
    Return,
}

/// A server in between.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Proxy {
    /// Where it is: `http://host:port`.
    pub url: String,
    /// Who asks.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub username: Option<String>,
    /// And the password.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub password: Option<String>,
}

/// What is wanted of the host's TLS and connections. Texts may be placeholders of secrets.
#[derive(Debug, Clone, Default, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct EgressOptions {
    /// Certificates to trust beside the usual ones.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ca_pem: Option<String>,
    /// Certificate and key of this side.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub client_pem: Option<String>,
    /// Trust any certificate. Needs a grant.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub insecure: bool,
    /// Go through a proxy. Needs a grant.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub proxy: Option<Proxy>,
    /// `1.1` or `2`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub http_version: Option<String>,
}

/// Egress options the host has accepted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Egress {
    token: String,
    has_identity: bool,
}

impl Egress {
    /// Asks the host for options.
    pub fn new(options: &EgressOptions) -> Result<Self, Failure> {
        let text = serde_json::to_string(options).expect("options are plain JSON");
        Ok(Self { token: host::egress_options(&text)?, has_identity: options.client_pem.is_some() })
    }
}

/// A request about to be sent.
pub struct Request {
    method: String,
    url: Url,
    headers: Headers,
    body: Body,
    timeouts: Timeouts,
    redirects: Redirects,
    egress: Option<Egress>,
}

/// One exchange, as the host performs it.
pub(crate) struct Exchange<'a> {
    pub method: &'a str,
    pub url: &'a Url,
    pub headers: &'a Headers,
    pub body: &'a mut Body,
    pub timeouts: Timeouts,
    pub deadline: Option<std::time::Instant>,
}

/// What the host answers.
pub(crate) struct Answer {
    pub status: u16,
    pub headers: Headers,
    pub body: host::ResponseBody,
}

impl Request {
    /// A request that follows up to 20 redirects, as browsers do.
    pub fn new(method: &str, url: Url) -> Result<Self, Failure> {
        let method = method.trim().to_ascii_uppercase();
        if method.is_empty() || !method.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-') {
            return Err(Failure::new(code::HEADER, format!("`{method}` is no HTTP method")).retryable(false));
        }
        Ok(Self {
            method,
            url,
            headers: Headers::default(),
            body: Body::empty(),
            timeouts: Timeouts::default(),
            redirects: Redirects::Follow(20),
            egress: None,
        })
    }

    /// A GET request.
    pub fn get(url: &str) -> Result<Self, Failure> {
        Self::new("GET", Url::parse(url)?)
    }

    /// Adds a header field.
    #[must_use]
    pub fn header(mut self, name: &str, value: impl Into<String>) -> Self {
        self.headers.append(name, value);
        self
    }

    /// The header fields.
    pub fn headers_mut(&mut self) -> &mut Headers {
        &mut self.headers
    }

    /// Sets the body.
    #[must_use]
    pub fn body(mut self, body: Body) -> Self {
        self.body = body;
        self
    }

    /// Sets timeouts.
    #[must_use]
    pub fn timeouts(mut self, timeouts: Timeouts) -> Self {
        self.timeouts = timeouts;
        self
    }

    /// Says what to do with redirects.
    #[must_use]
    pub fn redirects(mut self, redirects: Redirects) -> Self {
        self.redirects = redirects;
        self
    }

    /// Uses egress options.
    #[must_use]
    pub fn egress(mut self, egress: Egress) -> Self {
        self.egress = Some(egress);
        self
    }

    /// Sends the request and waits for the head of the response. Any status is a response.
    pub fn send(mut self) -> Result<Response, Failure> {
        let deadline = self.timeouts.total.map(|total| std::time::Instant::now() + total);
        let mut hops = 0;
        loop {
            let answer = self.exchange(deadline)?;
            let (limit, location) = match self.redirects {
                Redirects::Follow(limit) => (limit, answer.headers.get("location")),
                Redirects::Return => (0, None),
            };
            let Some(next) = redirect::next(&self.method, &self.url, answer.status, location)? else {
                return Ok(Response {
                    url: self.url,
                    status: answer.status,
                    headers: answer.headers,
                    body: answer.body,
                });
            };
            if hops == limit {
                return Err(Failure::new(
                    code::REDIRECT,
                    format!("more than {limit} redirects, the last one from `{}`", self.url),
                )
                .retryable(false));
            }
            hops += 1;
            self.follow(next)?;
        }
    }

    fn exchange(&mut self, deadline: Option<std::time::Instant>) -> Result<Answer, Failure> {
        let mut headers = self.headers.clone();
        match self.body.length() {
            Some(length) if !self.body.is_empty() => headers.set("content-length", length.to_string()),
            // Servers want to be told that nothing follows where something usually does.
            _ if self.body.is_empty() && matches!(self.method.as_str(), "POST" | "PUT" | "PATCH") => {
                headers.set("content-length", "0")
            }
            _ => {}
        }
        if let Some(egress) = &self.egress {
            headers.set(EGRESS_HEADER, &egress.token);
        }
        host::exchange(Exchange {
            method: &self.method,
            url: &self.url,
            headers: &headers,
            body: &mut self.body,
            timeouts: self.timeouts,
            deadline,
        })
    }

    fn follow(&mut self, next: redirect::Next) -> Result<(), Failure> {
        redirect::trim_headers(&mut self.headers, &next);
        if !next.same_origin && self.egress.as_ref().is_some_and(|egress| egress.has_identity) {
            let message = format!(
                "`{}` redirects to `{}`, and a client certificate does not go to another origin",
                self.url, next.url
            );
            return Err(Failure::new(code::REDIRECT, message).retryable(false));
        }
        if !next.keeps_body {
            self.body = Body::empty();
        } else if !self.body.is_repeatable() {
            let message = format!(
                "`{}` redirects to `{}`, and the request body is a stream that cannot be sent twice",
                self.url, next.url
            );
            return Err(Failure::new(code::REDIRECT, message).retryable(false));
        }
        (self.method, self.url) = (next.method, next.url);
        Ok(())
    }
}

/// A response whose body is still on its way.
pub struct Response {
    url: Url,
    status: u16,
    headers: Headers,
    body: host::ResponseBody,
}

impl Response {
    /// Where it came from, after redirects.
    pub fn url(&self) -> &Url {
        &self.url
    }

    /// The status code.
    pub fn status(&self) -> u16 {
        self.status
    }

    /// The header fields.
    pub fn headers(&self) -> &Headers {
        &self.headers
    }

    /// The whole body, where it is not longer than `limit_bytes`.
    pub fn read_bytes(&mut self, limit_bytes: usize) -> Result<Vec<u8>, Failure> {
        let announced = self.headers.get("content-length").and_then(|text| text.parse::<u64>().ok());
        let over = || {
            Failure::new(code::LIMIT, format!("the response of `{}` is longer than {limit_bytes} bytes", self.url))
                .retryable(false)
        };
        if announced.is_some_and(|length| length > limit_bytes as u64) {
            return Err(over());
        }
        let mut bytes = Vec::new();
        loop {
            let piece = self.body.next(READ_BYTES)?;
            if piece.is_empty() {
                return Ok(bytes);
            }
            if bytes.len() + piece.len() > limit_bytes {
                return Err(over());
            }
            bytes.extend_from_slice(&piece);
        }
    }

    /// At most `limit_bytes` of the body, whatever comes behind them.
    pub fn read_start(&mut self, limit_bytes: usize) -> Result<Vec<u8>, Failure> {
        let mut bytes = Vec::new();
        while bytes.len() < limit_bytes {
            let piece = self.body.next(READ_BYTES.min(limit_bytes - bytes.len()))?;
            if piece.is_empty() {
                break;
            }
            bytes.extend_from_slice(&piece);
        }
        Ok(bytes)
    }

    /// The next bytes of the body as soon as there are any, at most `limit_bytes`; none at its end.
    pub fn read_piece(&mut self, limit_bytes: usize) -> Result<Vec<u8>, Failure> {
        self.body.next(limit_bytes)
    }

    /// Writes the body somewhere else, piece by piece; gives its length.
    pub fn copy_to(&mut self, target: &mut dyn io::Write) -> Result<u64, Failure> {
        let mut length = 0;
        loop {
            let piece = self.body.next(READ_BYTES)?;
            if piece.is_empty() {
                return Ok(length);
            }
            target.write_all(&piece)?;
            length += piece.len() as u64;
        }
    }
}

impl Read for Response {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if buffer.is_empty() {
            return Ok(0);
        }
        let piece = self.body.next(buffer.len().min(READ_BYTES))?;
        let target =
            buffer.get_mut(..piece.len()).ok_or_else(|| io::Error::other("the host gave more than was asked for"))?;
        target.copy_from_slice(&piece);
        Ok(piece.len())
    }
}
