//! The property `options` of both tasks, and what it asks of the client.

use std::time::Duration;

use serde_json::Value;
use sluice_sdk::duration::IsoDuration;
use sluice_sdk::http::{Egress, EgressOptions, Proxy, Redirects, Request, Timeouts, basic, bearer};
use sluice_sdk::prelude::*;

/// Longest silence of a server where the flow names none.
const DEFAULT_READ_IDLE: Duration = Duration::from_secs(300);

/// Longest response `Request` keeps where the flow names no length: outputs are kept with the execution.
const DEFAULT_MAX_CONTENT_BYTES: u64 = 10 * 1024 * 1024;

#[properties]
#[derive(Default)]
pub struct HttpOptions {
    /// How long to wait.
    timeout: Option<TimeoutOptions>,
    /// A proxy to go through. Needs a grant.
    proxy: Option<ProxyOptions>,
    /// How to log in.
    auth: Option<AuthOptions>,
    /// What to ask of TLS.
    ssl: Option<SslOptions>,
    /// Whether to follow redirects. Without it: yes, at most 20.
    follow_redirects: Option<bool>,
    /// Whether a response with a status of 400 and above is an answer, not a failure.
    pub allow_failed: Option<bool>,
    /// The only statuses that are no failure.
    pub allowed_response_codes: Option<Vec<u16>>,
    /// The character set of the request body, and of a response that names none: `UTF-8` (default), `ISO-8859-1` or `US-ASCII`.
    default_charset: Option<String>,
    /// What to log at DEBUG.
    logs: Option<Vec<LogPart>>,
    /// Deprecated: `timeout.connectTimeout`.
    connect_timeout: Option<IsoDuration>,
    /// Deprecated: `timeout.readIdleTimeout`.
    read_timeout: Option<IsoDuration>,
    /// Deprecated: `timeout.readIdleTimeout`.
    read_idle_timeout: Option<IsoDuration>,
    /// Deprecated, without effect: the host keeps the connections.
    #[serde(rename = "connectionPoolIdleTimeout")]
    _connection_pool_idle_timeout: Option<IsoDuration>,
    /// Longest response in bytes that `Request` keeps. Without it: 10 MiB.
    max_content_length: Option<u64>,
    /// Deprecated: `proxy.type`.
    proxy_type: Option<ProxyType>,
    /// Deprecated: `proxy.address`.
    proxy_address: Option<String>,
    /// Deprecated: `proxy.port`.
    proxy_port: Option<u16>,
    /// Deprecated: `proxy.username`.
    proxy_username: Option<String>,
    /// Deprecated: `proxy.password`.
    #[secret]
    proxy_password: Option<String>,
    /// Deprecated: `auth.username`.
    basic_auth_user: Option<String>,
    /// Deprecated: `auth.password`.
    #[secret]
    basic_auth_password: Option<String>,
    /// Deprecated: `logs`.
    log_level: Option<Value>,
}

#[properties]
struct TimeoutOptions {
    /// Longest wait for a connection.
    connect_timeout: Option<IsoDuration>,
    /// Longest silence of the server. Without it: PT5M.
    read_idle_timeout: Option<IsoDuration>,
}

#[properties]
#[derive(Clone, Copy, PartialEq, Eq)]
enum ProxyType {
    Direct,
    Http,
    Socks,
}

#[properties]
struct ProxyOptions {
    /// `HTTP`, or `DIRECT` for none.
    #[serde(rename = "type")]
    kind: Option<ProxyType>,
    /// Its host.
    address: Option<String>,
    /// Its port.
    port: Option<u16>,
    /// Who asks.
    username: Option<String>,
    /// And the password.
    #[secret]
    password: Option<String>,
}

#[properties]
#[derive(Clone, Copy)]
enum AuthType {
    Basic,
    Bearer,
}

#[properties]
struct AuthOptions {
    /// `BASIC` with `username` and `password`, or `BEARER` with `token`.
    #[serde(rename = "type")]
    kind: AuthType,
    /// Who logs in.
    username: Option<String>,
    /// And the password.
    #[secret]
    password: Option<String>,
    /// The bearer token.
    #[secret]
    token: Option<String>,
}

#[properties]
#[derive(Clone, Copy)]
pub struct SslOptions {
    /// Whether to trust any certificate. Needs a grant.
    insecure_trust_all_certificates: Option<bool>,
}

/// A part of an exchange that can be logged.
#[properties]
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum LogPart {
    RequestHeaders,
    RequestBody,
    ResponseHeaders,
    ResponseBody,
}

/// How text becomes bytes, and bytes text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Charset {
    Utf8,
    Latin1,
    Ascii,
}

impl Charset {
    /// The character set of this name.
    pub fn named(name: &str) -> Option<Self> {
        match name.trim().trim_matches('"').to_ascii_lowercase().as_str() {
            "utf-8" | "utf8" => Some(Self::Utf8),
            "iso-8859-1" | "latin1" => Some(Self::Latin1),
            "us-ascii" | "ascii" => Some(Self::Ascii),
            _ => None,
        }
    }

    /// The text as bytes, where the character set has all its letters.
    pub fn encode(self, text: &str) -> Option<Vec<u8>> {
        let last = match self {
            Self::Utf8 => return Some(text.as_bytes().to_vec()),
            Self::Latin1 => 0xFF,
            Self::Ascii => 0x7F,
        };
        text.chars().map(|letter| u8::try_from(u32::from(letter)).ok().filter(|byte| *byte <= last)).collect()
    }

    /// The bytes as text, where they are one.
    pub fn decode(self, bytes: Vec<u8>) -> Option<String> {
        match self {
            Self::Utf8 => String::from_utf8(bytes).ok(),
            Self::Latin1 => Some(bytes.into_iter().map(char::from).collect()),
            Self::Ascii => String::from_utf8(bytes).ok().filter(|text| text.is_ascii()),
        }
    }
}

impl HttpOptions {
    /// Puts the deprecated properties beside the options where today's are.
    pub fn with_outer(mut self, allow_failed: Option<bool>, ssl: Option<SslOptions>) -> Self {
        self.allow_failed = self.allow_failed.or(allow_failed);
        self.ssl = self.ssl.or(ssl);
        self
    }

    /// The character set of bodies.
    pub fn charset(&self) -> Result<Charset, Failure> {
        let Some(name) = &self.default_charset else {
            return Ok(Charset::Utf8);
        };
        Charset::named(name).ok_or_else(|| {
            Failure::bad_property(format!(
                "property `options.defaultCharset`: `{name}` is not supported, take `UTF-8`, `ISO-8859-1` or `US-ASCII`"
            ))
        })
    }

    /// Longest response in bytes that is kept in memory.
    pub fn max_content_bytes(&self) -> usize {
        usize::try_from(self.max_content_length.unwrap_or(DEFAULT_MAX_CONTENT_BYTES)).unwrap_or(usize::MAX)
    }

    /// Whether a part of the exchange is to be logged.
    pub fn logs(&self, part: LogPart) -> bool {
        let level = self.log_level.as_ref().and_then(Value::as_str).unwrap_or_default();
        let by_level: &[LogPart] = match level {
            "TRACE" | "ALL" => {
                &[LogPart::RequestHeaders, LogPart::RequestBody, LogPart::ResponseHeaders, LogPart::ResponseBody]
            }
            "DEBUG" => &[LogPart::RequestHeaders, LogPart::ResponseHeaders],
            "INFO" => &[LogPart::ResponseHeaders],
            _ => &[],
        };
        self.logs.as_deref().unwrap_or(by_level).contains(&part)
    }

    /// The request with timeouts, redirects, credentials and TLS options.
    pub fn apply(&self, mut request: Request) -> Result<Request, Failure> {
        let timeout = self.timeout.as_ref();
        let connect = timeout.and_then(|timeout| timeout.connect_timeout).or(self.connect_timeout);
        let idle =
            timeout.and_then(|timeout| timeout.read_idle_timeout).or(self.read_timeout).or(self.read_idle_timeout);
        let idle = idle.map_or(DEFAULT_READ_IDLE, |idle| idle.0);
        request = request.timeouts(Timeouts {
            connect: connect.map(|connect| connect.0),
            first_byte: Some(idle),
            idle: Some(idle),
            total: None,
        });
        if self.follow_redirects == Some(false) {
            request = request.redirects(Redirects::Return);
        }
        if let Some(authorization) = self.authorization()? {
            request.headers_mut().set("authorization", authorization);
        }
        if let Some(options) = self.egress()? {
            request = request.egress(Egress::new(&options)?);
        }
        Ok(request)
    }

    fn authorization(&self) -> Result<Option<String>, Failure> {
        let missing = |name: &str| Failure::bad_property(format!("property `options.auth.{name}` is missing"));
        let Some(auth) = &self.auth else {
            let Some(user) = &self.basic_auth_user else {
                return Ok(None);
            };
            return Ok(Some(basic(user, self.basic_auth_password.as_deref().unwrap_or_default())));
        };
        Ok(Some(match auth.kind {
            AuthType::Basic => {
                let username = auth.username.as_ref().ok_or_else(|| missing("username"))?;
                basic(username, auth.password.as_ref().ok_or_else(|| missing("password"))?)
            }
            AuthType::Bearer => bearer(auth.token.as_ref().ok_or_else(|| missing("token"))?),
        }))
    }

    fn egress(&self) -> Result<Option<EgressOptions>, Failure> {
        let insecure = self.ssl.as_ref().and_then(|ssl| ssl.insecure_trust_all_certificates).unwrap_or(false);
        let proxy = self.proxy()?;
        let wanted = insecure || proxy.is_some();
        Ok(wanted.then(|| EgressOptions { insecure, proxy, ..EgressOptions::default() }))
    }

    fn proxy(&self) -> Result<Option<Proxy>, Failure> {
        let proxy = self.proxy.as_ref();
        match proxy.and_then(|proxy| proxy.kind).or(self.proxy_type).unwrap_or(ProxyType::Direct) {
            ProxyType::Direct => return Ok(None),
            ProxyType::Socks => {
                return Err(Failure::bad_property(
                    "property `options.proxy.type`: `SOCKS` is not supported, take an `HTTP` proxy",
                ));
            }
            ProxyType::Http => {}
        }
        let address = proxy.and_then(|proxy| proxy.address.as_ref()).or(self.proxy_address.as_ref());
        let port = proxy.and_then(|proxy| proxy.port).or(self.proxy_port);
        let (Some(address), Some(port)) = (address, port) else {
            return Err(Failure::bad_property("property `options.proxy`: `address` and `port` are needed"));
        };
        Ok(Some(Proxy {
            url: format!("http://{address}:{port}"),
            username: proxy.and_then(|proxy| proxy.username.clone()).or_else(|| self.proxy_username.clone()),
            password: proxy.and_then(|proxy| proxy.password.clone()).or_else(|| self.proxy_password.clone()),
        }))
    }
}
