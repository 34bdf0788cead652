//! Secrets in headers, also inside Basic credentials that the guest encoded.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use expr::Secret;
use http::header::AUTHORIZATION;
use http::{HeaderMap, HeaderName, HeaderValue};
use runtime::HostError;

use super::super::secret::name_of;
use super::super::secrets::{Filled, RunSecrets};

/// Puts values into headers. What was used is added to `used`.
pub(super) fn fill(secrets: &RunSecrets, headers: &mut HeaderMap, used: &mut Vec<Secret>) -> Result<(), HostError> {
    for (name, value) in headers.iter_mut() {
        let filled = match basic(secrets, name, value)? {
            Some(filled) => Some(filled),
            None => secrets.fill(value.as_bytes(), |value| Ok(value.to_owned()))?,
        };
        let Some(filled) = filled else { continue };
        *value = HeaderValue::from_bytes(&filled.bytes).map_err(|_| unfit(name, &filled.used))?;
        value.set_sensitive(true);
        used.extend(filled.used);
    }
    Ok(())
}

/// Basic credentials with a placeholder inside, encoded again with its value.
fn basic(secrets: &RunSecrets, name: &HeaderName, value: &HeaderValue) -> Result<Option<Filled>, HostError> {
    let text = value.to_str().unwrap_or_default();
    let Some((scheme, encoded)) = text.split_once(' ').filter(|_| name == AUTHORIZATION) else { return Ok(None) };
    if !scheme.eq_ignore_ascii_case("basic") {
        return Ok(None);
    }
    let Ok(plain) = STANDARD.decode(encoded.trim()) else { return Ok(None) };
    let filled = secrets.fill(&plain, |value| Ok(value.to_owned()))?;
    Ok(filled.map(|filled| {
        let bytes = format!("{scheme} {}", STANDARD.encode(&filled.bytes)).into_bytes();
        Filled { bytes, used: filled.used }
    }))
}

fn unfit(header: &HeaderName, used: &[Secret]) -> HostError {
    let names: Vec<String> = used.iter().map(name_of).collect();
    let ends = used.iter().any(|secret| secret.value().is_some_and(|value| value.ends_with(['\n', '\r'])));
    let why = match ends {
        true => "ends with a line break; hint: store it without",
        false => "has characters no header may have; hint: base64 it in the flow if the server wants that",
    };
    HostError::bad_argument(format!("secret `{}` in the header `{header}` {why}", names.join("`, `")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use expr::Origin;

    #[test]
    fn values_take_the_place_of_placeholders() {
        let secrets = RunSecrets::default();
        let word = secrets.placeholder(&Secret::new(Origin::Named("S".into()), "pa:ss"));
        let check = |name: &'static str, value: String, expected: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(name, HeaderValue::from_str(&value).expect("a value"));
            let mut used = Vec::new();
            fill(&secrets, &mut headers, &mut used).expect("it fits");
            assert_eq!(headers[name], expected);
            assert_eq!(used.len(), 1);
        };
        check("x-key", format!("a {word} b"), "a pa:ss b");
        check("authorization", format!("Bearer {word}"), "Bearer pa:ss");
        let expected = format!("Basic {}", STANDARD.encode("me:pa:ss"));
        check("authorization", format!("Basic {}", STANDARD.encode(format!("me:{word}"))), &expected);
    }

    #[test]
    fn what_no_header_may_have_is_said() {
        let secrets = RunSecrets::default();
        let word = secrets.placeholder(&Secret::new(Origin::Named("S".into()), "word\n"));
        let mut headers = HeaderMap::new();
        headers.insert("x-key", HeaderValue::from_str(&word).expect("a value"));
        let refused = fill(&secrets, &mut headers, &mut Vec::new()).expect_err("it has a line break");
        assert!(refused.message.contains("`S`") && refused.message.contains("line break"), "{}", refused.message);
    }
}
