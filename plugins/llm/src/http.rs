//! Requests and headers as values: what is to be sent and to whom, without the secret that goes with it.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::ProviderError;

/// Names of headers that carry credentials: those belong to `Auth`.
const CREDENTIALS: [&str; 6] =
    ["authorization", "proxy-authorization", "x-api-key", "api-key", "x-goog-api-key", "cookie"];

/// What to send.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HttpRequest {
    pub method: &'static str,
    /// Scheme and authority, and the path that an own address brings: no slash at the end.
    pub base: String,
    /// Begins with a slash; percent-encoded once.
    pub path: String,
    pub query: Vec<(&'static str, String)>,
    pub headers: Vec<(String, String)>,
    pub auth: Auth,
    pub body: Vec<u8>,
}

impl HttpRequest {
    pub fn url(&self) -> String {
        let query: Vec<_> = self.query.iter().map(|(name, value)| format!("{name}={}", encoded(value))).collect();
        match query.is_empty() {
            true => format!("{}{}", self.base, self.path),
            false => format!("{}{}?{}", self.base, self.path, query.join("&")),
        }
    }
}

/// Which credential goes where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Auth {
    None,
    /// `Authorization: Bearer …`
    Bearer,
    Header(&'static str),
    Query(&'static str),
    /// AWS signature version 4. The canonical path encodes `path` once more.
    SigV4 {
        service: &'static str,
        region: String,
    },
    /// A token that Google gives for a service account's signed word.
    GoogleJwt {
        scope: &'static str,
    },
}

/// What kind of credential is at hand, where a provider takes several.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Credential {
    /// The provider's usual one: an API key, AWS keys, a service account.
    #[default]
    Key,
    /// A token for `Authorization: Bearer`.
    Token,
    None,
}

/// Where a provider is, and what only it knows. Nothing here is secret.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct Options {
    /// Another address than the provider's own; needed with Azure.
    pub base_url: Option<String>,
    pub credential: Credential,
    /// Of Azure; without it the requests are those of its undated API.
    pub api_version: Option<String>,
    /// Of Bedrock.
    pub region: Option<String>,
    /// Of Vertex AI.
    pub location: Option<String>,
    pub project: Option<String>,
    /// Further headers, such as `OpenAI-Organization`.
    pub headers: BTreeMap<String, String>,
    /// Further fields of the body. An object is merged into one that is there, anything else replaces it.
    pub body: Map<String, Value>,
}

impl Options {
    /// The address, checked: a key in it would end up in logs.
    pub(crate) fn base(&self, own: &str) -> Result<String, ProviderError> {
        let base = self.base_url.as_deref().map_or(own, str::trim).trim_end_matches('/');
        let after_scheme = base.strip_prefix("https://").or_else(|| base.strip_prefix("http://"));
        let Some(after_scheme) = after_scheme.filter(|rest| !rest.is_empty()) else {
            return Err(ProviderError::refused("`baseUrl` has to begin with `https://` or `http://`"));
        };
        let authority = after_scheme.split('/').next().unwrap_or_default();
        if authority.contains('@') || after_scheme.contains(['?', '#']) {
            return Err(ProviderError::refused(
                "`baseUrl` may have no user, query or fragment: use the key's property",
            ));
        }
        Ok(base.to_owned())
    }

    pub(crate) fn headers(&self, stream: Option<&str>) -> Result<Vec<(String, String)>, ProviderError> {
        let mut headers = vec![("content-type".to_owned(), "application/json".to_owned())];
        headers.extend(stream.map(|accepted| ("accept".to_owned(), accepted.to_owned())));
        for (name, value) in &self.headers {
            let name = name.to_ascii_lowercase();
            if CREDENTIALS.contains(&name.as_str()) {
                return Err(ProviderError::refused(format!(
                    "header `{name}` carries a credential: use the key's property"
                )));
            }
            headers.retain(|(known, _)| *known != name);
            headers.push((name, value.clone()));
        }
        Ok(headers)
    }

    /// The body with the further fields.
    pub(crate) fn finish(&self, body: Map<String, Value>) -> Vec<u8> {
        let mut body = Value::Object(body);
        merge(&mut body, &Value::Object(self.body.clone()));
        body.to_string().into_bytes()
    }
}

fn merge(into: &mut Value, from: &Value) {
    match (into, from) {
        (Value::Object(into), Value::Object(from)) => {
            for (name, value) in from {
                merge(into.entry(name.clone()).or_insert(Value::Null), value);
            }
        }
        (into, from) => *into = from.clone(),
    }
}

/// Headers of a response, by name whatever its case.
#[derive(Debug, Clone, Copy)]
pub struct Headers<'a>(&'a [(String, String)]);

impl<'a> Headers<'a> {
    pub fn new(headers: &'a [(String, String)]) -> Self {
        Self(headers)
    }

    pub fn get(&self, name: &str) -> Option<&'a str> {
        self.0.iter().find(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, value)| value.trim())
    }
}

/// A text as one segment of a path or one value of a query.
pub(crate) fn encoded(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => encoded.push(char::from(byte)),
            _ => encoded.push_str(&format!("%{byte:02X}")),
        }
    }
    encoded
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn address_has_no_place_for_a_key() {
        let base = |url: &str| Options { base_url: Some(url.into()), ..Options::default() }.base("https://own");
        assert_eq!(base("http://localhost:11434/"), Ok("http://localhost:11434".into()));
        assert_eq!(base("https://host/v1/p@th"), Ok("https://host/v1/p@th".into()));
        assert_eq!(Options::default().base("https://own"), Ok("https://own".into()));
        for wrong in
            ["", "host", "ftp://host", "https://", "https://me:key@host", "https://host?key=1", "https://host/#x"]
        {
            assert!(base(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn headers_carry_no_credential() {
        let headers =
            |name: &str| Options { headers: [(name.into(), "x".into())].into(), ..Options::default() }.headers(None);
        assert_eq!(headers("X-Title").expect("harmless").len(), 2);
        assert_eq!(headers("Content-Type").expect("harmless").len(), 1);
        for name in CREDENTIALS {
            assert!(headers(&name.to_uppercase()).is_err(), "{name}");
        }
    }

    #[test]
    fn further_fields_are_merged() {
        let options = Options {
            body: json!({ "a": { "y": 2 }, "b": [3] }).as_object().cloned().unwrap_or_default(),
            ..Options::default()
        };
        let body = json!({ "a": { "x": 1 }, "b": [1, 2] }).as_object().cloned().unwrap_or_default();
        assert_eq!(options.finish(body), json!({ "a": { "x": 1, "y": 2 }, "b": [3] }).to_string().into_bytes());
    }
}
