//! Secrets in bodies, each in the spelling of its content type.

use bytes::Bytes;
use http::HeaderMap;
use http::header::CONTENT_TYPE;
use runtime::HostError;

use super::super::secrets::{Filled, RunSecrets};
use super::spelling;

/// How values are written in a body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Json,
    Form,
    Text,
}

/// The body with its values; `None`: no placeholder is in it.
pub(super) fn fill(secrets: &RunSecrets, headers: &HeaderMap, body: &Bytes) -> Result<Option<Filled>, HostError> {
    let kind = kind(headers);
    secrets.fill(body, |value| {
        Ok(match kind {
            Kind::Json => spelling::json(value),
            Kind::Form => spelling::query(value),
            Kind::Text => value.to_owned(),
        })
    })
}

fn kind(headers: &HeaderMap) -> Kind {
    let given = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let essence = given.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    match essence.as_str() {
        "application/x-www-form-urlencoded" => Kind::Form,
        "application/x-ndjson" | "application/jsonl" | "text/json" => Kind::Json,
        json if json.ends_with("/json") || json.ends_with("+json") => Kind::Json,
        _ => Kind::Text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use expr::{Origin, Secret};

    #[test]
    fn values_are_spelt_as_the_content_type_wants() {
        let secrets = RunSecrets::default();
        let word = secrets.placeholder(&Secret::new(Origin::Named("S".into()), "a\"b&c"));
        let check = |content_type: &'static str, expected: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(CONTENT_TYPE, content_type.parse().expect("a value"));
            let filled = fill(&secrets, &headers, &Bytes::from(format!("<{word}>"))).expect("it has a value");
            assert_eq!(filled.expect("one is in it").bytes, expected.as_bytes(), "{content_type}");
        };
        check("application/json; charset=UTF-8", "<a\\\"b&c>");
        check("application/vnd.api+json", "<a\\\"b&c>");
        check("application/x-www-form-urlencoded", "<a%22b%26c>");
        check("text/plain", "<a\"b&c>");
        check("multipart/form-data; boundary=x", "<a\"b&c>");
        assert!(fill(&secrets, &HeaderMap::new(), &Bytes::from_static(b"nothing")).expect("nothing").is_none());
    }
}
