//! Signature version 4 of AWS, as far as a guest may go: it writes down what is signed, and the host signs it with a key it never sees.

use std::time::{SystemTime, UNIX_EPOCH};

use llm::http::HttpRequest;
use serde_json::json;
use sha2::{Digest as _, Sha256};
use sluice_sdk::Failure;
use sluice_sdk::http::{Headers, Url};

use crate::credential::signed;

/// Placeholders of the keys of an AWS account.
pub struct Keys<'a> {
    pub access_key_id: &'a str,
    pub secret_access_key: &'a str,
    pub session_token: Option<&'a str>,
}

/// Adds the headers that carry the signature.
pub fn sign(
    keys: &Keys<'_>,
    request: &HttpRequest,
    (service, region): (&str, &str),
    headers: &mut Headers,
) -> Result<(), Failure> {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs();
    let time = basic_time(now);
    let date = time.get(..8).unwrap_or_default();
    let url = Url::parse(&request.url())?;
    headers.set("x-amz-date", time.clone());
    if let Some(token) = keys.session_token {
        headers.set("x-amz-security-token", token);
    }
    // In the order of their names, as the canonical form wants them.
    let mut signed_headers = vec![("content-type", headers.get("content-type").unwrap_or_default().to_owned())];
    signed_headers.push(("host", url.authority().to_owned()));
    signed_headers.push(("x-amz-date", time.clone()));
    signed_headers.extend(keys.session_token.map(|token| ("x-amz-security-token", token.to_owned())));
    let names: Vec<&str> = signed_headers.iter().map(|(name, _)| *name).collect();
    let names = names.join(";");
    let lines: String = signed_headers.iter().map(|(name, value)| format!("{name}:{}\n", value.trim())).collect();
    let (path, query) = url.path_and_query().split_once('?').unwrap_or((url.path_and_query(), ""));
    let canonical = format!(
        "{}\n{}\n{query}\n{lines}\n{names}\n{}",
        request.method,
        encoded_again(path),
        hex(&Sha256::digest(&request.body))
    );
    let parameters = json!({ "time": time, "region": region, "service": service });
    let signature = signed(keys.secret_access_key, &parameters, canonical.as_bytes())?;
    let signature = String::from_utf8_lossy(&signature);
    headers.set(
        "authorization",
        format!(
            "AWS4-HMAC-SHA256 Credential={}/{date}/{region}/{service}/aws4_request, SignedHeaders={names}, Signature={signature}",
            keys.access_key_id
        ),
    );
    Ok(())
}

/// A path that is percent-encoded, encoded once more: what every service but S3 signs.
fn encoded_again(path: &str) -> String {
    path.replace('%', "%25")
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// `20150830T123600Z` of seconds since 1970.
fn basic_time(seconds: u64) -> String {
    let (days, rest) = (seconds / 86_400, seconds % 86_400);
    // Days since 1 March of the year 0, in eras of 400 years: leap days then come last.
    let days = days + 719_468;
    let (era, day) = (days / 146_097, days % 146_097);
    let year = (day - day / 1_460 + day / 36_524 - day / 146_096) / 365;
    let day = day - (365 * year + year / 4 - year / 100);
    let shifted = (5 * day + 2) / 153;
    let (month, day) = (if shifted < 10 { shifted + 3 } else { shifted - 9 }, day - (153 * shifted + 2) / 5 + 1);
    let year = era * 400 + year + u64::from(month <= 2);
    format!("{year:04}{month:02}{day:02}T{:02}{:02}{:02}Z", rest / 3_600, rest / 60 % 60, rest % 60)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_is_that_of_the_calendar() {
        for (seconds, expected) in [
            (0, "19700101T000000Z"),
            (1_440_938_160, "20150830T123600Z"),
            (951_782_400, "20000229T000000Z"),
            (4_107_542_399, "21000228T235959Z"),
            (1_798_761_599, "20261231T235959Z"),
        ] {
            assert_eq!(basic_time(seconds), expected);
        }
    }

    #[test]
    fn colon_in_a_model_is_encoded_twice() {
        assert_eq!(encoded_again("/model/a.b-v1%3A0/converse"), "/model/a.b-v1%253A0/converse");
    }
}
