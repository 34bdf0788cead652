//! Signatures with keys a guest never sees. What it gets is worth something for the data it gave, and nothing else.

mod keys;
#[cfg(test)]
mod tests;

use expr::Secret;
use ring::{digest, hmac, rand, signature};
use runtime::HostError;
use serde::Deserialize;

use super::secret::{name_of, value_of};
use super::secrets::RunSecrets;

/// Most bytes that are signed at once: requests and tokens are small, files are signed by their digest.
const DATA_MAX_BYTES: usize = 16 << 20;
/// Most bytes of parameters.
const PARAMETERS_MAX_BYTES: usize = 64 << 10;
/// What AWS puts in front of a key and of a text to sign.
const AWS: &str = "AWS4";
const AWS_ALGORITHM: &str = "AWS4-HMAC-SHA256";
const AWS_REQUEST: &str = "aws4_request";

/// Parameters, for all algorithms: each takes those it knows.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Parameters {
    /// Where in a structured secret the key is, as a JSON pointer.
    pointer: Option<String>,
    /// `20150830`: the data is the string to sign.
    date: Option<String>,
    /// `20150830T123600Z`: the data is the canonical request, placeholders and all.
    time: Option<String>,
    region: Option<String>,
    service: Option<String>,
}

/// Signs. `parameters` is a JSON object of what the algorithm needs.
pub(super) fn sign(
    secrets: &RunSecrets,
    secret: &Secret,
    algorithm: &str,
    parameters: &str,
    data: &[u8],
) -> Result<Vec<u8>, HostError> {
    if data.len() > DATA_MAX_BYTES || parameters.len() > PARAMETERS_MAX_BYTES {
        return Err(HostError::limit(format!(
            "at most {DATA_MAX_BYTES} bytes are signed at once; hint: sign a digest of what is longer"
        )));
    }
    let parameters: Parameters = match parameters.trim() {
        "" | "null" => Parameters::default(),
        text => serde_json::from_str(text)
            .map_err(|error| HostError::bad_argument(format!("the parameters of `{algorithm}`: {error}")))?,
    };
    let key = key_of(secret, parameters.pointer.as_deref())?;
    match algorithm {
        "hmac-sha256" => Ok(hmac_of(key.as_bytes(), data)),
        "aws-sigv4" => aws(secrets, &key, &parameters, data),
        "rs256" => rs256(secret, &key, data),
        "es256" => es256(secret, &key, data),
        other => Err(HostError::bad_argument(format!(
            "`{}` is no algorithm of this host; hint: it has hmac-sha256, aws-sigv4, rs256 and es256",
            other.escape_debug()
        ))),
    }
}

/// The key: the whole secret, or the part a pointer names.
fn key_of(secret: &Secret, pointer: Option<&str>) -> Result<String, HostError> {
    let value = value_of(secret)?;
    let Some(pointer) = pointer else { return Ok(value.to_owned()) };
    let name = name_of(secret);
    let document = keys::document(value).ok_or_else(|| keys::no_document(&name))?;
    let found = document.pointer(pointer).and_then(serde_json::Value::as_str);
    found
        .map(str::to_owned)
        .ok_or_else(|| HostError::not_found(format!("secret `{name}` has no text at `{}`", pointer.escape_debug())))
}

fn hmac_of(key: &[u8], data: &[u8]) -> Vec<u8> {
    hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, key), data).as_ref().to_vec()
}

/// Signature version 4 of AWS, as the lower-case hexadecimal that its header has.
fn aws(secrets: &RunSecrets, key: &str, parameters: &Parameters, data: &[u8]) -> Result<Vec<u8>, HostError> {
    let missing = |name: &str| {
        HostError::bad_argument(format!("aws-sigv4 needs `{name}`; hint: `date` or `time`, `region` and `service`"))
    };
    let region = parameters.region.as_deref().ok_or_else(|| missing("region"))?;
    let service = parameters.service.as_deref().ok_or_else(|| missing("service"))?;
    let (date, to_sign) = match (&parameters.time, &parameters.date) {
        (None, Some(date)) => (date.as_str(), data.to_vec()),
        (Some(time), _) => {
            let date = time.get(..8).ok_or_else(|| missing("time"))?;
            // A session's token is signed with its header: it is put in here as it is put into the request.
            let filled = secrets.fill(data, |value| Ok(value.trim().to_owned()))?;
            let request = filled.map_or_else(|| data.to_vec(), |filled| filled.bytes);
            let digest = hex(digest::digest(&digest::SHA256, &request).as_ref());
            (date, format!("{AWS_ALGORITHM}\n{time}\n{date}/{region}/{service}/{AWS_REQUEST}\n{digest}").into_bytes())
        }
        (None, None) => return Err(missing("date")),
    };
    let mut derived = hmac_of(format!("{AWS}{key}").as_bytes(), date.as_bytes());
    for step in [region, service, AWS_REQUEST] {
        derived = hmac_of(&derived, step.as_bytes());
    }
    Ok(hex(&hmac_of(&derived, &to_sign)).into_bytes())
}

/// RSA with PKCS#1 v1.5 and SHA-256, as a JWT of `RS256` has it.
fn rs256(secret: &Secret, key: &str, data: &[u8]) -> Result<Vec<u8>, HostError> {
    let unfit = |why: &str| keys::unfit(&name_of(secret), "an RSA key of 2048 bits or more", why);
    let der = keys::pkcs8(key).ok_or_else(|| unfit("it is no PKCS#8 PEM (`BEGIN PRIVATE KEY`)"))?;
    let pair = signature::RsaKeyPair::from_pkcs8(&der).map_err(|error| unfit(&error.to_string()))?;
    let mut signed = vec![0; pair.public().modulus_len()];
    pair.sign(&signature::RSA_PKCS1_SHA256, &rand::SystemRandom::new(), data, &mut signed)
        .map_err(|_| HostError::host("the system gave no random numbers"))?;
    Ok(signed)
}

/// ECDSA on P-256 with SHA-256, both numbers one after the other, as a JWT of `ES256` has it.
fn es256(secret: &Secret, key: &str, data: &[u8]) -> Result<Vec<u8>, HostError> {
    let unfit = |why: &str| keys::unfit(&name_of(secret), "a P-256 key", why);
    let der = keys::pkcs8(key).ok_or_else(|| unfit("it is no PKCS#8 PEM (`BEGIN PRIVATE KEY`)"))?;
    let random = rand::SystemRandom::new();
    let pair = signature::EcdsaKeyPair::from_pkcs8(&signature::ECDSA_P256_SHA256_FIXED_SIGNING, &der, &random)
        .map_err(|error| unfit(&error.to_string()))?;
    let signed = pair.sign(&random, data).map_err(|_| HostError::host("the system gave no random numbers"))?;
    Ok(signed.as_ref().to_vec())
}

/// What in the name of a field says that it is a secret itself.
const SECRET_FIELDS: [&str; 12] = [
    "privatekey",
    "secret",
    "password",
    "passwd",
    "passphrase",
    "token",
    "credential",
    "apikey",
    "accesskey",
    "authorization",
    "cookie",
    "connectionstring",
];

/// A field of a structured secret that is not itself secret, as JSON text: a text, number or truth value below names that say nothing of a
/// secret, and without the marks of a key.
pub(super) fn field(secret: &Secret, pointer: &str) -> Result<String, HostError> {
    let name = name_of(secret);
    let document = keys::document(value_of(secret)?).ok_or_else(|| keys::no_document(&name))?;
    let refused = |why: &str| {
        HostError::not_granted(format!("field `{}` of secret `{name}` is not shown: {why}", pointer.escape_debug()))
    };
    let says_secret = |step: &str| {
        let plain: String = step.chars().filter(char::is_ascii_alphanumeric).collect();
        let plain = plain.to_ascii_lowercase();
        // `private_key_id` and the like are names of keys, `token_uri` and the like are places: neither is one.
        let harmless = ["id", "uri", "url", "type"].iter().any(|end| plain.ends_with(end));
        !harmless && SECRET_FIELDS.iter().any(|word| plain.contains(word))
    };
    if pointer.split('/').any(says_secret) {
        return Err(refused("its name says that it is secret; hint: sign with it, or send its placeholder"));
    }
    let missing = || HostError::not_found(format!("secret `{name}` has no field `{}`", pointer.escape_debug()));
    match document.pointer(pointer).ok_or_else(missing)? {
        serde_json::Value::String(text) if text.contains("-----BEGIN") => Err(refused("it is a key or a certificate")),
        serde_json::Value::Object(_) | serde_json::Value::Array(_) => {
            Err(refused("it has fields of its own; hint: ask for one of them"))
        }
        other => Ok(other.to_string()),
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
