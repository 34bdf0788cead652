//! Secrets in URLs: whole ones, parts of paths, queries. A value never changes where a request goes.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use expr::Secret;
use http::HeaderValue;
use http::header::AUTHORIZATION;
use runtime::{HostError, RequestHead, placeholder};
use url::Url;

use super::super::secret::{name_of, url_of};
use super::super::secrets::{RunSecrets, URL_DOMAIN};
use super::spelling;

/// What the host of a URL has to do with placeholders.
pub(super) enum Host {
    /// Nothing.
    Plain,
    /// It is a placeholder that is a URL.
    Whole(Secret),
    /// A placeholder stands in it that is none, or not alone.
    Misplaced(Secret),
}

/// What the host of a URL is.
pub(super) fn host_of(secrets: &RunSecrets, url: &Url) -> Host {
    let host = url.host_str().unwrap_or_default();
    let Some(secret) = secrets.behind(host) else { return Host::Plain };
    let alone = host.strip_suffix(URL_DOMAIN).is_some_and(|word| placeholder::is_placeholder(word.as_bytes()));
    match url_of(&secret) {
        Some(_) if alone && url.port().is_none() => Host::Whole(secret),
        _ => Host::Misplaced(secret),
    }
}

/// A head whose URL is that of the secret, with what the guest put behind it.
pub(super) fn resolved(mut head: RequestHead, secret: &Secret) -> Result<RequestHead, HostError> {
    let Some(mut url) = url_of(secret) else {
        return Err(HostError::host(format!("secret `{}` is no URL any more", name_of(secret))));
    };
    let credentials = (url.username().to_owned(), url.password().unwrap_or_default().to_owned());
    if credentials != Default::default() && !head.headers.contains_key(AUTHORIZATION) {
        let plain = format!("{}:{}", decoded(&credentials.0), decoded(&credentials.1));
        let mut value = HeaderValue::from_str(&format!("Basic {}", STANDARD.encode(plain)))
            .map_err(|_| HostError::host("base64 fits into a header"))?;
        value.set_sensitive(true);
        head.headers.insert(AUTHORIZATION, value);
    }
    // Both fail for URLs without a host alone.
    let _ = (url.set_username(""), url.set_password(None));
    url.set_fragment(None);
    let behind = head.url.path().trim_start_matches('/');
    if !behind.is_empty() {
        let path = format!("{}/{behind}", url.path().trim_end_matches('/'));
        url.set_path(&path);
    }
    if let Some(more) = head.url.query() {
        let query = match url.query() {
            Some(own) if !own.is_empty() => format!("{own}&{more}"),
            _ => more.to_owned(),
        };
        url.set_query(Some(&query));
    }
    head.url = url;
    Ok(head)
}

/// Puts values into path and query. What was used is added to `used`.
pub(super) fn fill(secrets: &RunSecrets, url: &mut Url, used: &mut Vec<Secret>) -> Result<(), HostError> {
    let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
    if let Some(filled) = secrets.fill(url.path().as_bytes(), |value| Ok(spelling::path(value)))? {
        let path = text(filled.bytes);
        url.set_path(&path);
        if url.path() != path {
            let names: Vec<String> = filled.used.iter().map(name_of).collect();
            return Err(HostError::bad_argument(format!(
                "secret `{}` would change the path it stands in (a segment `.` or `..`)",
                names.join("`, `")
            )));
        }
        used.extend(filled.used);
    }
    let filled = match url.query() {
        Some(query) => secrets.fill(query.as_bytes(), |value| Ok(spelling::query(value)))?,
        None => None,
    };
    if let Some(filled) = filled {
        url.set_query(Some(&text(filled.bytes)));
        used.extend(filled.used);
    }
    Ok(())
}

/// The credentials of a URL are percent-encoded, those of a header are not.
pub(in super::super) fn decoded(text: &str) -> String {
    // A form's decoding would make spaces of `+`.
    let text = text.replace('+', "%2B");
    let mut pairs = url::form_urlencoded::parse(text.as_bytes());
    pairs.next().map(|(name, _)| name.into_owned()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use expr::{Origin, Value};

    fn secret(value: &str) -> Secret {
        Secret::new(Origin::Named("S".into()), value)
    }

    fn head(url: &str) -> RequestHead {
        let url = Url::parse(url).expect("a URL");
        RequestHead { method: http::Method::GET, url, headers: http::HeaderMap::new(), placeholder: None }
    }

    #[test]
    fn what_stands_behind_a_whole_url_is_kept() {
        let check = |value: &str, behind: &str, expected: &str| {
            let secrets = RunSecrets::default();
            let given = format!("{}{behind}", secrets.placeholder_at_start(&secret(value)));
            let head = head(&given);
            let Host::Whole(found) = host_of(&secrets, &head.url) else { panic!("{given}") };
            assert_eq!(resolved(head, &found).expect("a URL").url.as_str(), expected, "{given}");
        };
        check("https://h.example/T/B", "", "https://h.example/T/B");
        check("https://h.example/T/B", "/x?y=1", "https://h.example/T/B/x?y=1");
        check("https://h.example/T/B/", "x", "https://h.example/T/B/x");
        check("https://h.example/T?k=1", "?y=2", "https://h.example/T?k=1&y=2");
        check("http://h.example:81/T?k=1#f", "a/b", "http://h.example:81/T/a/b?k=1");
        check("https://h.example", "", "https://h.example/");
    }

    #[test]
    fn credentials_of_a_whole_url_become_a_header() {
        let found = resolved(head("https://x.invalid/"), &secret("https://me:p%40ss+1@h.example/")).expect("a URL");
        assert_eq!(found.url.as_str(), "https://h.example/");
        assert_eq!(found.headers[AUTHORIZATION], format!("Basic {}", STANDARD.encode("me:p@ss+1")));
    }

    #[test]
    fn values_do_not_change_the_shape_of_a_url() {
        let check = |value: &str, url: &str, expected: Option<&str>| {
            let secrets = RunSecrets::default();
            let word = secrets.placeholder(&secret(value));
            let mut filled = Url::parse(&url.replace('S', &word)).expect("a URL");
            let mut used = Vec::new();
            let done = fill(&secrets, &mut filled, &mut used);
            assert_eq!(done.is_ok().then_some(filled.as_str()), expected, "{value}");
        };
        check("a b/c?d#e", "https://h.example/x/S/y", Some("https://h.example/x/a%20b/c%3Fd%23e/y"));
        check("a&b=c#d", "https://h.example/?q=S&r=1", Some("https://h.example/?q=a%26b%3Dc%23d&r=1"));
        check("../../etc", "https://h.example/x/S", None);
        check("100%", "https://h.example/S", Some("https://h.example/100%25"));
        check("x", "https://h.example/plain", Some("https://h.example/plain"));
    }

    #[test]
    fn a_placeholder_elsewhere_in_a_host_is_misplaced() {
        let secrets = RunSecrets::default();
        let word =
            secrets.conceal(&Value::Text(expr::Text::secret("S", "word"))).as_str().unwrap_or_default().to_owned();
        let host = |url: String| host_of(&secrets, &Url::parse(&url).expect("a URL"));
        assert!(matches!(host(format!("https://{word}.evil.example/")), Host::Misplaced(_)));
        assert!(matches!(host(format!("https://{word}.invalid/")), Host::Misplaced(_)));
        assert!(matches!(host("https://plain.example/".to_owned()), Host::Plain));
    }
}
