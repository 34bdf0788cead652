//! In which spellings a secret is looked for where it must not be seen: answers of servers, and what a guest says that was shown it.
//!
//! Plain, in JSON, percent-encoded, hexadecimal, and in base64 at each of its three alignments. Secrets below [`LEAST_BYTES`] are not looked
//! for: masking every `1` helps nobody and breaks answers.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use expr::Secret;
use runtime::{MASK, Needle, Needles};

use super::outgoing::{decoded, spelling};
use super::secret::{sources_of, url_of};
use super::secrets::RunSecrets;

/// Shorter secrets are not looked for.
pub(super) const LEAST_BYTES: usize = 6;
/// Shorter paths of URLs are not looked for: `/webhook` stands in many answers.
const LEAST_PATH_BYTES: usize = 12;

/// What to look for of these secrets, and of those that went into them.
pub(super) fn needles(secrets: &RunSecrets, used: &[Secret]) -> Needles {
    let sources = used.iter().flat_map(sources_of);
    let all: Vec<Secret> = used.iter().cloned().chain(sources).collect();
    let needles = all.iter().flat_map(|secret| {
        let met = secrets.answered(&secrets.placeholder(secret));
        // Line ends that a file brought along are lost on the way.
        let value = secret.value().map(|value| value.trim()).unwrap_or_default();
        let whole = (value.to_owned(), secrets.placeholder_at_start(secret));
        let parts = url_of(secret).map(|url| parts_of(&url)).unwrap_or_default();
        let all = std::iter::once(whole).chain(parts.into_iter().map(|part| (part, MASK.to_owned())));
        all.filter(|(value, _)| value.len() >= LEAST_BYTES)
            .flat_map(|(value, shown)| spellings(&value, &shown, &met))
            .collect::<Vec<_>>()
    });
    Needles::new(needles)
}

/// What of a URL that is a secret a server may show alone: the password, the path unless it is a word that stands in many, the query.
fn parts_of(url: &url::Url) -> Vec<String> {
    let password = url.password().map(decoded);
    let path = Some(url.path().trim_end_matches('/')).filter(|path| path.len() >= LEAST_PATH_BYTES);
    let queries = url.query_pairs().map(|(_, value)| value.into_owned());
    password.into_iter().chain(path.map(str::to_owned)).chain(url.query().map(str::to_owned)).chain(queries).collect()
}

/// Every spelling of one value. Where a reader makes the value of it again, the guest finds its placeholder there; elsewhere a mask.
fn spellings(value: &str, placeholder: &str, met: &Arc<AtomicBool>) -> Vec<Needle> {
    let mut found: Vec<Needle> = Vec::new();
    let mut hide = |hidden: String, shown: &str| {
        if !found.iter().any(|known| known.hidden == hidden.as_bytes()) {
            found.push(Needle { hidden: hidden.into_bytes(), shown: shown.into(), met: met.clone() });
        }
    };
    hide(value.to_owned(), placeholder);
    let json = spelling::json(value);
    hide(json.replace('/', "\\/"), placeholder);
    hide(ascii_json(&json), placeholder);
    // A document within a document, as a server that shows what it was sent has it.
    hide(spelling::json(&json), placeholder);
    hide(json, placeholder);
    let percent = spelling::query(value);
    hide(lower_percent(&percent), placeholder);
    hide(percent.replace("%20", "+"), placeholder);
    hide(percent, placeholder);
    hide(spelling::path(value), placeholder);
    let hex: String = value.bytes().map(|byte| format!("{byte:02x}")).collect();
    let every: String = value.bytes().map(|byte| format!("%{byte:02X}")).collect();
    hide(every.to_lowercase(), placeholder);
    hide(every, placeholder);
    hide(hex.to_uppercase(), MASK);
    hide(hex, MASK);
    for shift in 0..3 {
        let base64 = base64_at(value.as_bytes(), shift);
        hide(base64.replace('+', "-").replace('/', "_"), MASK);
        hide(base64, MASK);
    }
    found
}

/// The characters of base64 that are the value's alone when so many bytes (modulo 3) are in front of it.
fn base64_at(value: &[u8], shift: usize) -> String {
    let mut bytes = vec![0; shift];
    bytes.extend_from_slice(value);
    let text = STANDARD_NO_PAD.encode(&bytes);
    // The first characters have bits of what is in front, the last one has bits of what comes behind.
    let start = match shift {
        0 => 0,
        1 => 2,
        _ => 3,
    };
    let end = if bytes.len().is_multiple_of(3) { text.len() } else { text.len() - 1 };
    text.get(start..end).unwrap_or_default().to_owned()
}

/// JSON as writers make it that know no letters but ASCII's.
fn ascii_json(json: &str) -> String {
    let mut text = String::with_capacity(json.len());
    for letter in json.chars() {
        if letter.is_ascii() {
            text.push(letter);
        } else {
            let mut units = [0; 2];
            letter.encode_utf16(&mut units).iter().for_each(|unit| text.push_str(&format!("\\u{unit:04x}")));
        }
    }
    text
}

/// Percent-encoding with small digits.
fn lower_percent(percent: &str) -> String {
    let mut text = String::with_capacity(percent.len());
    let mut digits = 0;
    for letter in percent.chars() {
        text.push(if digits > 0 { letter.to_ascii_lowercase() } else { letter });
        digits = if letter == '%' { 2 } else { usize::saturating_sub(digits, 1) };
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use base64::engine::general_purpose::{STANDARD, URL_SAFE};
    use expr::Origin;

    #[test]
    fn every_spelling_is_found() {
        let secrets = RunSecrets::default();
        for value in ["hunter2", "pa/ss+wö\"rd=&? x", "AKIAIOSFODNN7EXAMPLE", "~~~~~~"] {
            let secret = Secret::new(Origin::Named(value.into()), value);
            let needles = needles(&secrets, &[secret]);
            let mut said = vec![
                value.to_owned(),
                serde_json::to_string(value).expect("text"),
                url::form_urlencoded::byte_serialize(value.as_bytes()).collect(),
                value.bytes().map(|byte| format!("{byte:02X}")).collect(),
            ];
            for before in ["", "a", "ab", "user:"] {
                for after in ["", "z", "zz"] {
                    let bytes = format!("{before}{value}{after}");
                    said.extend([STANDARD.encode(&bytes), URL_SAFE.encode(&bytes)]);
                }
            }
            for text in said {
                let hidden = needles.hide_in(&text).unwrap_or_else(|| panic!("`{text}` still shows `{value}`"));
                assert!(!hidden.contains(value), "{hidden}");
            }
            assert_eq!(needles.hide_in("nothing to be seen here"), None);
        }
    }

    #[test]
    fn short_secrets_are_not_looked_for() {
        let secrets = RunSecrets::default();
        assert!(needles(&secrets, &[Secret::new(Origin::Named("A".into()), "12345")]).is_empty());
    }
}
