//! AWS's signature, version 4, worked out again from what arrived.

use ring::{digest, hmac};

use super::super::Incoming;
use super::super::faults::{Bad, Trouble};

const ALGORITHM: &str = "AWS4-HMAC-SHA256";
const SERVICE: &str = "bedrock";
/// How old a signature may be, in seconds.
const AGE_MAX: i64 = 15 * 60;
const MISMATCH: &str = "The request signature we calculated does not match the signature you provided. Check your AWS Secret Access Key and signing method. Consult the service documentation for details.";

/// What the header says.
struct Said<'a> {
    access_key_id: &'a str,
    date: &'a str,
    region: &'a str,
    service: &'a str,
    terminator: &'a str,
    signed: Vec<&'a str>,
    signature: &'a str,
}

/// Whether a request is signed with a secret, as of a time.
pub fn check(id: &str, secret: &str, incoming: &Incoming, now: jiff::Timestamp) -> Result<(), Trouble> {
    let header = incoming.header("authorization").ok_or(Trouble::NoKey)?;
    let said = said(header).ok_or_else(|| {
        incomplete("Authorization header requires 'Credential', 'SignedHeaders' and 'Signature' parameters.")
    })?;
    if said.access_key_id != id {
        return Err(Trouble::WrongKey(said.access_key_id.to_owned()));
    }
    let time = incoming.header("x-amz-date").unwrap_or_default();
    dated(&said, time, now)?;
    if said.service != SERVICE || said.terminator != "aws4_request" || !is_region(said.region) {
        let message = format!("Credential should be scoped to correct service: '{SERVICE}'.");
        return Err(refused(&message));
    }
    complete(&said, incoming)?;
    let payload = hex(digest::digest(&digest::SHA256, &incoming.body).as_ref());
    if incoming.header("x-amz-content-sha256").is_some_and(|named| named != payload && named != "UNSIGNED-PAYLOAD") {
        return Err(refused(MISMATCH));
    }
    let canonical = canonical(&said, incoming, &payload).ok_or_else(|| refused(MISMATCH))?;
    let scope = format!("{}/{}/{SERVICE}/aws4_request", said.date, said.region);
    let hashed = hex(digest::digest(&digest::SHA256, canonical.as_bytes()).as_ref());
    let to_sign = format!("{ALGORITHM}\n{time}\n{scope}\n{hashed}");
    let steps = [said.date, said.region, SERVICE, "aws4_request", to_sign.as_str()];
    let key = format!("AWS4{secret}").into_bytes();
    let signature = steps
        .iter()
        .fold(key, |key, step| hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, &key), step.as_bytes()).as_ref().to_vec());
    if hex(&signature) == said.signature { Ok(()) } else { Err(refused(MISMATCH)) }
}

fn said(header: &str) -> Option<Said<'_>> {
    let fields = header.strip_prefix(ALGORITHM)?;
    let field = |name: &str| {
        let mut fields = fields.split(',').filter_map(|field| field.trim().split_once('='));
        fields.find(|(known, _)| *known == name).map(|(_, value)| value)
    };
    let mut scope = field("Credential")?.split('/');
    Some(Said {
        access_key_id: scope.next()?,
        date: scope.next()?,
        region: scope.next()?,
        service: scope.next()?,
        terminator: scope.next()?,
        signed: field("SignedHeaders")?.split(';').collect(),
        signature: field("Signature")?,
    })
}

fn dated(said: &Said<'_>, time: &str, now: jiff::Timestamp) -> Result<(), Trouble> {
    let parsed =
        jiff::civil::DateTime::strptime("%Y%m%dT%H%M%SZ", time).and_then(|time| time.to_zoned(jiff::tz::TimeZone::UTC));
    let Ok(signed_at) = parsed else {
        return Err(incomplete("Authorization header requires existence of either a 'X-Amz-Date' or a 'Date' header."));
    };
    if !time.starts_with(said.date) {
        return Err(refused(
            "Date in Credential scope does not match YYYYMMDD from ISO-8601 version of date from HTTP",
        ));
    }
    let age = now.as_second() - signed_at.timestamp().as_second();
    match age.abs() <= AGE_MAX {
        true => Ok(()),
        false if age > 0 => Err(refused(&format!("Signature expired: {time} is now earlier than 15 minutes ago"))),
        false => Err(refused(&format!("Signature not yet current: {time} is still later than in 15 minutes"))),
    }
}

/// Whether all is signed that has to be, in the order of the alphabet.
fn complete(said: &Said<'_>, incoming: &Incoming) -> Result<(), Trouble> {
    if !said.signed.is_sorted() || !said.signed.contains(&"host") {
        return Err(refused("'Host' or ':authority' must be a 'SignedHeader' in the AWS Authorization."));
    }
    let mut names = incoming.headers.iter().map(|(name, _)| name.as_str()).filter(|name| name.starts_with("x-amz-"));
    match names.find(|name| !said.signed.contains(name)) {
        None => Ok(()),
        Some(name) => Err(refused(&format!("There were headers present in the request which were not signed: {name}"))),
    }
}

fn canonical(said: &Said<'_>, incoming: &Incoming, payload: &str) -> Option<String> {
    let mut headers = String::new();
    for name in &said.signed {
        let values: Vec<String> = incoming
            .headers
            .iter()
            .filter(|(known, _)| known == name)
            .map(|(_, value)| value.split_whitespace().collect::<Vec<_>>().join(" "))
            .collect();
        if values.is_empty() {
            return None;
        }
        headers.push_str(&format!("{name}:{}\n", values.join(",")));
    }
    let mut query: Vec<String> = incoming
        .query
        .split('&')
        .filter(|pair| !pair.is_empty())
        .map(|pair| if pair.contains('=') { pair.to_owned() } else { format!("{pair}=") })
        .collect();
    query.sort();
    // Encoded once more than it was sent: all services but S3 do.
    let path = incoming.path.bytes().map(encoded).collect::<String>();
    let signed = said.signed.join(";");
    Some(format!("{}\n{path}\n{}\n{headers}\n{signed}\n{payload}", incoming.method, query.join("&")))
}

fn encoded(byte: u8) -> String {
    match byte {
        b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' | b'/' => char::from(byte).to_string(),
        byte => format!("%{byte:02X}"),
    }
}

fn is_region(region: &str) -> bool {
    region.split('-').count() >= 3 && region.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn refused(message: &str) -> Trouble {
    forbidden(message, "InvalidSignatureException")
}

fn incomplete(message: &str) -> Trouble {
    forbidden(message, "IncompleteSignatureException")
}

fn forbidden(message: &str, code: &'static str) -> Trouble {
    Trouble::Bad(Bad { message: message.to_owned(), param: None, code: Some(code), status: Some(403) })
}
