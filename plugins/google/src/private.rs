//! Where what speaks for a service account may go. The host looks after secrets alone, and a token is none to it.

use sluice_sdk::Failure;
use sluice_sdk::http::Url;

use crate::AUTH;

/// Names of this machine.
const LOCAL: [&str; 3] = ["127.0.0.1", "localhost", "[::1]"];

/// A URL that is encrypted, or of this machine.
pub fn private_url(text: &str) -> Result<Url, Failure> {
    let url = Url::parse(text)?;
    let authority = url.authority();
    let host = match authority.rsplit_once(':') {
        Some((host, _)) if !authority.ends_with(']') => host,
        _ => authority,
    };
    if url.scheme() == "https" || LOCAL.contains(&host) {
        return Ok(url);
    }
    let message = format!("no credentials are sent to `{url}`, which is not encrypted: take `https`");
    Err(Failure::new(AUTH, message).retryable(false))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn credentials_stay_private() {
        for (text, is_private) in [
            ("https://token.example/", true),
            ("http://127.0.0.1:8080/token", true),
            ("http://[::1]/", true),
            ("http://[::1]:80/", true),
            ("http://localhost/", true),
            ("http://token.example/", false),
            ("http://localhost.example:80/", false),
            ("http://[2001:db8::1]/", false),
            ("token.example", false),
        ] {
            assert_eq!(private_url(text).is_ok(), is_private, "{text}");
        }
    }
}
