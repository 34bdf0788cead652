//! The properties both tasks have, and the request they make.

use serde_json::{Map, Value};
use sluice_sdk::http::{Request, Response, Url, basic};
use sluice_sdk::prelude::*;

use crate::form::{self, text};
use crate::options::{HttpOptions, LogPart};

/// Who asks, unless the flow says otherwise: some APIs refuse nobody.
const USER_AGENT: &str = concat!("Sluice-http/", env!("CARGO_PKG_VERSION"));

/// Content type of a text body where the flow names none.
const DEFAULT_CONTENT_TYPE: &str = "application/json";

/// Headers whose values are never logged.
const CREDENTIALS: [&str; 4] = ["authorization", "proxy-authorization", "cookie", "set-cookie"];

/// Writes the struct of a task's properties: those of every request, then its own. A macro, because flattening one struct into
/// another would let unknown properties through.
macro_rules! properties_of_requests {
    ($(#[$meta:meta])* pub struct $name:ident { $($own:tt)* }) => {
        $(#[$meta])*
        #[sluice_sdk::properties]
        pub struct $name {
            /// The URL to request, with its scheme.
            uri: String,
            /// Parameters added to the query of the URL. A list adds the parameter several times.
            params: Option<serde_json::Map<String, serde_json::Value>>,
            /// The HTTP method.
            #[default("GET")]
            method: String,
            /// The body: a text, or the URI of a file (`kestra:///…`), which is streamed.
            body: Option<String>,
            /// The fields of a form; wins over `body`. URL-encoded, or with `contentType: multipart/form-data` as parts, of which those whose value is the
            /// URI of a file (or an object of `name` and `content`) are files.
            form_data: Option<serde_json::Map<String, serde_json::Value>>,
            /// The content type of the body. Without it: `application/json`.
            content_type: Option<String>,
            /// Header fields. A list of texts sends the field several times.
            headers: Option<serde_json::Map<String, serde_json::Value>>,
            /// How to send the request and what to make of the response.
            options: Option<crate::options::HttpOptions>,
            /// Deprecated: `options.allowFailed`.
            allow_failed: Option<bool>,
            /// Deprecated: `options.ssl`.
            ssl_options: Option<crate::options::SslOptions>,
            $($own)*
        }

        impl $name {
            /// What every request has.
            fn target(&self) -> crate::target::Target<'_> {
                crate::target::Target {
                    uri: &self.uri,
                    params: self.params.as_ref(),
                    method: &self.method,
                    body: self.body.as_deref(),
                    form_data: self.form_data.as_ref(),
                    content_type: self.content_type.as_deref(),
                    headers: self.headers.as_ref(),
                }
            }

            /// The options, deprecated places included.
            fn take_options(&mut self) -> crate::options::HttpOptions {
                self.options.take().unwrap_or_default().with_outer(self.allow_failed, self.ssl_options)
            }
        }
    };
}
pub(crate) use properties_of_requests;

/// What a request is made of.
pub struct Target<'a> {
    pub uri: &'a str,
    pub params: Option<&'a Map<String, Value>>,
    pub method: &'a str,
    pub body: Option<&'a str>,
    pub form_data: Option<&'a Map<String, Value>>,
    pub content_type: Option<&'a str>,
    pub headers: Option<&'a Map<String, Value>>,
}

impl Target<'_> {
    /// Sends the request; any status is a response.
    pub fn send(&self, options: &HttpOptions, cx: &Context) -> Result<Response, Failure> {
        let mut url = Url::parse(self.uri)?;
        for (name, value) in self.params.into_iter().flatten() {
            match value {
                Value::Array(values) => values.iter().for_each(|value| url.append_query(name, &text(value))),
                value => url.append_query(name, &text(value)),
            }
        }
        let credentials =
            url.user_info().map(|(user, password)| basic(&percent_decoded(user), &percent_decoded(password)));
        let mut request = Request::new(self.method, url)?;
        request.headers_mut().set("user-agent", USER_AGENT);
        if let Some(credentials) = credentials {
            request.headers_mut().set("authorization", credentials);
        }

        let prepared = match (self.form_data.filter(|fields| !fields.is_empty()), self.body) {
            (Some(fields), _) => Some(form::form(fields, self.content_type, &cx.idempotency_key())?),
            (None, Some(text)) => {
                Some(form::text_body(text, self.content_type.unwrap_or(DEFAULT_CONTENT_TYPE), options.charset()?)?)
            }
            (None, None) => None,
        };
        if let Some(content_type) =
            prepared.as_ref().map(|prepared| prepared.content_type.as_str()).or(self.content_type)
        {
            request.headers_mut().set("content-type", content_type);
        }
        for (name, value) in self.headers.into_iter().flatten() {
            // The first of a list takes the place of what this plugin would send, the others stand beside it.
            match value {
                Value::Array(values) => {
                    request.headers_mut().retain(|other| !other.eq_ignore_ascii_case(name.trim()));
                    values.iter().for_each(|value| request.headers_mut().append(name, text(value)));
                }
                value => request.headers_mut().set(name, text(value)),
            }
        }
        let mut request = options.apply(request)?;
        if options.logs(LogPart::RequestHeaders) {
            log_headers(cx, &format!("request {} {}", self.method, self.uri), request.headers_mut().iter());
        }
        if let Some(prepared) = prepared {
            if options.logs(LogPart::RequestBody) {
                cx.debug(format!("request body: {}", prepared.shown));
            }
            request = request.body(prepared.body);
        }
        let response = request.send()?;
        if options.logs(LogPart::ResponseHeaders) {
            log_headers(
                cx,
                &format!("response {} of {}", response.status(), response.url()),
                response.headers().iter(),
            );
        }
        Ok(response)
    }
}

fn log_headers<'a>(cx: &Context, what: &str, headers: impl Iterator<Item = (&'a str, &'a str)>) {
    let lines: Vec<String> = headers
        .map(|(name, value)| format!("{name}: {}", if CREDENTIALS.contains(&name) { "******" } else { value }))
        .collect();
    cx.debug(format!("{what}\n{}", lines.join("\n")));
}

/// Credentials in a URL are percent-encoded, in a header they are not.
fn percent_decoded(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        let mut ahead = rest.clone();
        let hex = |digit: Option<u8>| digit.and_then(|digit| char::from(digit).to_digit(16));
        match (byte, hex(ahead.next()), hex(ahead.next())) {
            (b'%', Some(high), Some(low)) => {
                bytes.push((high * 16 + low) as u8);
                rest = ahead;
            }
            _ => bytes.push(byte),
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}
