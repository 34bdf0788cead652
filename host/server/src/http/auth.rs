//! Who may talk to the API: whoever shows what [`Access`] asks for, and no page of another origin.

use std::net::IpAddr;

use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::middleware::Next;
use axum::response::Response;
use base64::Engine as _;

use super::answer::refusal;
use crate::access::Access;

fn admits(access: &Access, headers: &HeaderMap) -> bool {
    matches!(access, Access::Open) || given(headers).is_some_and(|pair| access.knows(&pair))
}

/// The `name:password` that a request comes with.
fn given(headers: &HeaderMap) -> Option<Vec<u8>> {
    let (scheme, encoded) = headers.get(header::AUTHORIZATION)?.to_str().ok()?.split_once(' ')?;
    let pair = base64::engine::general_purpose::STANDARD.decode(encoded.trim()).ok()?;
    scheme.eq_ignore_ascii_case("basic").then_some(pair)
}

/// Who a request is by, for the audit log: the name of its credentials. Only of use behind [`guard`].
pub(crate) fn actor(headers: &HeaderMap) -> String {
    let pair = given(headers).and_then(|pair| String::from_utf8(pair).ok());
    pair.and_then(|pair| Some(pair.split_once(':')?.0.to_owned())).unwrap_or_else(|| "local".to_owned())
}

/// Lets a request pass, or asks for credentials. Requests from browser pages of another origin are refused: otherwise any web page
/// could drive the server. An open server also refuses every host name but this machine's, because a page can point its own name at
/// loopback (DNS rebinding) and is then of the same origin as the server.
pub async fn guard(State(access): State<Access>, request: Request, next: Next) -> Response {
    if !admits(&access, request.headers()) {
        let mut response =
            refusal(StatusCode::UNAUTHORIZED, "unauthorized", "this server asks for a name and a password", &[]);
        response
            .headers_mut()
            .insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Basic realm=\"sluice\", charset=\"UTF-8\""));
        return response;
    }
    if matches!(access, Access::Open) && foreign_host(&request) {
        let message = "this server asks for no login, and so answers to the names of its own machine only; hint: use http://127.0.0.1 or http://localhost";
        return refusal(StatusCode::FORBIDDEN, "foreign_host", message, &[]);
    }
    if foreign_origin(request.headers()) {
        return refusal(
            StatusCode::FORBIDDEN,
            "foreign_origin",
            "requests from pages of another origin are refused",
            &[],
        );
    }
    next.run(request).await
}

/// Whether a browser says that the request comes from a page of another host.
fn foreign_origin(headers: &HeaderMap) -> bool {
    let Some(origin) = headers.get(header::ORIGIN).and_then(|value| value.to_str().ok()) else { return false };
    let host = headers.get(header::HOST).and_then(|value| value.to_str().ok()).unwrap_or_default();
    origin.split_once("://").map_or(origin, |(_, rest)| rest) != host
}

/// Whether a request names a host that is not this machine. A browser always names one; a request without is no browser's.
fn foreign_host(request: &Request) -> bool {
    let named = match request.uri().authority() {
        Some(authority) => Some(authority.as_str()),
        None => match request.headers().get(header::HOST).map(HeaderValue::to_str) {
            Some(Ok(host)) => Some(host),
            Some(Err(_)) => return true,
            None => None,
        },
    };
    named.is_some_and(|host| !is_this_machine(host))
}

/// Whether `HOST` or `HOST:PORT` is `localhost` or a loopback address.
fn is_this_machine(host: &str) -> bool {
    let name = match host.strip_prefix('[') {
        Some(rest) => rest.split_once(']').map_or(rest, |(address, _)| address),
        None => host.split_once(':').map_or(host, |(name, _)| name),
    };
    name.eq_ignore_ascii_case("localhost") || name.parse().is_ok_and(|address: IpAddr| address.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_names_of_this_machine_are_known() {
        for host in ["localhost", "LocalHost:8080", "127.0.0.1", "127.0.0.1:80", "127.8.8.8:1", "[::1]", "[::1]:8080"] {
            assert!(is_this_machine(host), "{host}");
        }
        for host in [
            "",
            "evil.example",
            "evil.example:8080",
            "localhost.evil.example",
            "127.0.0.1.evil.example",
            "10.0.0.1",
            "[::2]:80",
            "0.0.0.0",
        ] {
            assert!(!is_this_machine(host), "{host}");
        }
    }

    #[test]
    fn hosts_are_read_from_header_and_address() {
        let with = |uri: &str, host: Option<&[u8]>| {
            let mut request = Request::new(axum::body::Body::empty());
            *request.uri_mut() = uri.parse().expect("a URI");
            if let Some(host) = host {
                request.headers_mut().insert(header::HOST, HeaderValue::from_bytes(host).expect("a header"));
            }
            foreign_host(&request)
        };
        assert!(!with("/x", Some(b"127.0.0.1:8080")));
        assert!(!with("/x", None));
        assert!(with("/x", Some(b"evil.example")));
        assert!(with("/x", Some(b"\xff")));
        assert!(with("http://evil.example/x", Some(b"127.0.0.1")));
    }

    #[test]
    fn credentials_are_compared_whole() {
        let access = Access::of(Some(("ada", "s3cret:x")));
        let with = |pair: &str| {
            let mut headers = HeaderMap::new();
            let encoded = base64::engine::general_purpose::STANDARD.encode(pair);
            headers.insert(header::AUTHORIZATION, format!("Basic {encoded}").parse().expect("a header"));
            admits(&access, &headers)
        };
        assert!(with("ada:s3cret:x"));
        assert!(!with("ada:s3cret"));
        assert!(!with("ada:"));
        assert!(!admits(&access, &HeaderMap::new()));
    }

    #[test]
    fn other_origins_are_foreign() {
        let with = |origin: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(header::HOST, "127.0.0.1:8080".parse().expect("a header"));
            headers.insert(header::ORIGIN, origin.parse().expect("a header"));
            foreign_origin(&headers)
        };
        assert!(!with("http://127.0.0.1:8080"));
        assert!(with("http://evil.example"));
        assert!(with("null"));
        assert!(!foreign_origin(&HeaderMap::new()));
    }
}
