//! The assertion that a Google service account signs: its form, its claims, and its signature of RS256.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::signature::{RSA_PKCS1_2048_8192_SHA256, UnparsedPublicKey};
use serde_json::Value;

/// How far clocks may be apart, in seconds.
const SKEW: i64 = 300;
/// How long an assertion may be valid, in seconds.
const LIFE_MAX: i64 = 3_600;

/// What a valid assertion has to say.
pub struct Expected<'a> {
    pub email: &'a str,
    pub key_id: &'a str,
    pub audience: &'a str,
    pub public_key: &'a [u8],
    /// Now, in seconds.
    pub now: i64,
}

/// The scope of a valid assertion, or what is wrong with it in Google's words.
pub fn scope(assertion: &str, expected: &Expected<'_>) -> Result<String, String> {
    let mut parts = assertion.split('.');
    let (Some(header), Some(claims), Some(signature), None) = (parts.next(), parts.next(), parts.next(), parts.next())
    else {
        return Err("Invalid JWT: it has not three parts.".into());
    };
    let (head, said) = (json(header)?, json(claims)?);
    if head["alg"] != "RS256" {
        return Err("Invalid JWT: Unsupported algorithm.".into());
    }
    if head.get("kid").is_some_and(|kid| kid != expected.key_id) {
        return Err("Invalid JWT Signature.".into());
    }
    let signature = URL_SAFE_NO_PAD.decode(signature).map_err(|_| "Invalid JWT Signature.".to_owned())?;
    let signed = format!("{header}.{claims}");
    let key = UnparsedPublicKey::new(&RSA_PKCS1_2048_8192_SHA256, expected.public_key);
    key.verify(signed.as_bytes(), &signature).map_err(|_| "Invalid JWT Signature.".to_owned())?;
    if said["iss"] != expected.email {
        return Err("Invalid grant: account not found".into());
    }
    if said["aud"] != expected.audience {
        return Err(format!("Failed audience check. The right audience is {}", expected.audience));
    }
    let (Some(issued), Some(expires)) = (said["iat"].as_i64(), said["exp"].as_i64()) else {
        return Err("Invalid JWT: `iat` and `exp` are numbers of seconds.".into());
    };
    let is_short = issued <= expected.now + SKEW && expires > expected.now - SKEW && expires - issued <= LIFE_MAX;
    if !is_short {
        return Err("Invalid JWT: Token must be a short-lived token (60 minutes) and in a reasonable timeframe. Check your iat and exp values in the JWT claim.".into());
    }
    match said["scope"].as_str() {
        Some(scope) if !scope.is_empty() => Ok(scope.to_owned()),
        _ => Err("Invalid OAuth scope or ID token audience provided.".into()),
    }
}

fn json(part: &str) -> Result<Value, String> {
    let bytes = URL_SAFE_NO_PAD.decode(part).map_err(|_| "Invalid JWT: it is not base64url.".to_owned())?;
    serde_json::from_slice(&bytes).map_err(|_| "Invalid JWT: it is no JSON.".to_owned())
}
