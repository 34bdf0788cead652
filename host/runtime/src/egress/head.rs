//! The head of a request: parsed as the client will read it, without what is between neighbours.

use crate::secrets::RequestHead;
use crate::services::HostError;
use http::header::{self, HeaderMap, HeaderName};

/// Headers between two neighbours on the way, never the guest's business.
const HOP_BY_HOP: [HeaderName; 10] = [
    header::CONNECTION,
    header::HOST,
    header::PROXY_AUTHENTICATE,
    header::PROXY_AUTHORIZATION,
    header::TE,
    header::TRANSFER_ENCODING,
    header::UPGRADE,
    HeaderName::from_static("http2-settings"),
    HeaderName::from_static("keep-alive"),
    HeaderName::from_static("proxy-connection"),
];

/// The head, parsed as the client will read it, so that what is checked is what is dialled.
pub(super) fn head_of(parts: http::request::Parts) -> Result<RequestHead, HostError> {
    let text = parts.uri.to_string();
    let url =
        url::Url::parse(&text).map_err(|cause| HostError::bad_argument(format!("`{text}` is no URL: {cause}")))?;
    if !url.username().is_empty() || url.password().is_some() {
        return Err(HostError::bad_argument(
            "a URL may not carry credentials; hint: send them in the `authorization` header",
        ));
    }
    if parts.method == http::Method::CONNECT || parts.method == http::Method::TRACE {
        return Err(HostError::bad_argument(format!("{} requests are not possible from a plugin", parts.method)));
    }
    let mut headers = parts.headers;
    strip_hop_by_hop(&mut headers);
    Ok(RequestHead { method: parts.method, url, headers, placeholder: None })
}

/// Takes off what is between neighbours, and what `connection` names as such.
pub(super) fn strip_hop_by_hop(headers: &mut HeaderMap) {
    let named: Vec<HeaderName> = headers
        .get_all(header::CONNECTION)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .filter_map(|name| name.trim().parse().ok())
        .collect();
    for name in named.iter().chain(&HOP_BY_HOP) {
        headers.remove(name);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parts(method: &str, uri: &str) -> http::request::Parts {
        http::Request::builder().method(method).uri(uri).body(()).expect("a request").into_parts().0
    }

    #[test]
    fn credentials_and_tunnels_are_refused() {
        assert!(head_of(parts("GET", "http://user:word@example.com/")).is_err());
        assert!(head_of(parts("TRACE", "http://example.com/")).is_err());
        assert!(head_of(parts("GET", "http://example.com/a?b=c")).is_ok());
    }

    #[test]
    fn hop_by_hop_headers_go_with_those_they_name() {
        let mut headers = HeaderMap::new();
        headers.insert("connection", "close, x-mine".parse().expect("a value"));
        headers.insert("x-mine", "1".parse().expect("a value"));
        headers.insert("te", "trailers".parse().expect("a value"));
        headers.insert("accept", "*/*".parse().expect("a value"));
        strip_hop_by_hop(&mut headers);
        assert_eq!(headers.keys().map(HeaderName::as_str).collect::<Vec<_>>(), ["accept"]);
    }
}
