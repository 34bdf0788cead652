//! What follows from a redirect. Pure: it makes the next request's method, headers and URL, and sends nothing.

use super::{Headers, Url, code};
use crate::Failure;

/// Headers that speak for somebody, and so stay at their origin.
const CREDENTIALS: [&str; 4] = ["authorization", "cookie", "cookie2", "proxy-authorization"];

/// Headers that describe a body, and go with it.
const ABOUT_BODY: [&str; 5] =
    ["content-type", "content-length", "content-encoding", "content-language", "content-location"];

/// The next request.
pub struct Next {
    pub method: String,
    pub url: Url,
    pub keeps_body: bool,
    pub same_origin: bool,
}

/// Whether a status asks to go elsewhere.
pub fn is_redirect(status: u16) -> bool {
    matches!(status, 301 | 302 | 303 | 307 | 308)
}

/// Where to go next. `None`: the response names no place, so it is the answer.
pub fn next(method: &str, url: &Url, status: u16, location: Option<&str>) -> Result<Option<Next>, Failure> {
    let Some(location) = location.filter(|_| is_redirect(status)) else {
        return Ok(None);
    };
    let target = url.join(location).map_err(|failure| {
        Failure::new(code::REDIRECT, format!("`{url}` redirects to where nobody can follow: {}", failure.message()))
            .retryable(false)
    })?;
    let becomes_get = match status {
        303 => method != "GET" && method != "HEAD",
        301 | 302 => method == "POST",
        _ => false,
    };
    Ok(Some(Next {
        method: if becomes_get { "GET".to_owned() } else { method.to_owned() },
        same_origin: url.same_origin(&target),
        url: target,
        keeps_body: !becomes_get,
    }))
}

/// Takes off what may not go along.
pub fn trim_headers(headers: &mut Headers, next: &Next) {
    headers.retain(|name| {
        (next.same_origin || !CREDENTIALS.contains(&name)) && (next.keeps_body || !ABOUT_BODY.contains(&name))
    });
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use super::*;

    #[track_caller]
    fn check(method: &str, status: u16, expected: Option<(&str, bool)>) {
        let url = Url::parse("https://host/a").unwrap();
        let next = next(method, &url, status, Some("/b")).unwrap();
        assert_eq!(next.as_ref().map(|next| (next.method.as_str(), next.keeps_body)), expected, "{method} {status}");
    }

    #[test]
    fn method_follows_the_status() {
        check("POST", 301, Some(("GET", false)));
        check("POST", 302, Some(("GET", false)));
        check("PUT", 302, Some(("PUT", true)));
        check("PUT", 303, Some(("GET", false)));
        check("HEAD", 303, Some(("HEAD", true)));
        check("POST", 307, Some(("POST", true)));
        check("POST", 308, Some(("POST", true)));
        check("GET", 304, None);
        check("GET", 200, None);
    }

    #[test]
    fn credentials_stay_at_their_origin() {
        let url = Url::parse("https://host/a").unwrap();
        let mut headers = Headers::default();
        for name in ["Authorization", "Cookie", "Accept", "Content-Type"] {
            headers.append(name, "x");
        }
        let away = next("POST", &url, 302, Some("https://other/")).unwrap().unwrap();
        let mut trimmed = headers.clone();
        trim_headers(&mut trimmed, &away);
        assert_eq!(trimmed.iter().map(|(name, _)| name).collect::<Vec<_>>(), ["accept"]);

        let near = next("POST", &url, 307, Some("/b")).unwrap().unwrap();
        trim_headers(&mut headers, &near);
        assert_eq!(headers.iter().count(), 4);
    }
}
