//! The assertion by which a service account asks for a token (RFC 7523), signed by the host.

use serde_json::{Map, Value, json};
use sluice_sdk::{Failure, secrets};

/// How long an assertion is good for, and with it the token: the most that Google takes.
const LIFETIME_S: u64 = 3_600;
/// Where in a service account's JSON its key is.
const KEY: &str = "/private_key";

/// What an assertion says.
pub struct Claims<'a> {
    pub email: &'a str,
    pub key_id: Option<&'a str>,
    pub audience: &'a str,
    pub scopes: &'a [String],
    pub subject: Option<&'a str>,
    /// Seconds since 1970.
    pub now_s: u64,
}

impl Claims<'_> {
    /// The signed assertion. `secret` is what holds the key.
    pub fn signed(&self, secret: &str) -> Result<String, Failure> {
        let text = format!("{}.{}", encoded(&self.header()), encoded(&self.body()));
        let signature = secrets::sign(secret, "rs256", &json!({ "pointer": KEY }), text.as_bytes())?;
        Ok(format!("{text}.{}", base64url(&signature)))
    }

    fn header(&self) -> Value {
        let mut header = Map::new();
        header.insert("alg".to_owned(), json!("RS256"));
        header.insert("typ".to_owned(), json!("JWT"));
        if let Some(key_id) = self.key_id {
            header.insert("kid".to_owned(), json!(key_id));
        }
        header.into()
    }

    fn body(&self) -> Value {
        let mut claims = Map::new();
        claims.insert("iss".to_owned(), json!(self.email));
        claims.insert("scope".to_owned(), json!(self.scopes.join(" ")));
        claims.insert("aud".to_owned(), json!(self.audience));
        claims.insert("iat".to_owned(), json!(self.now_s));
        claims.insert("exp".to_owned(), json!(self.now_s + LIFETIME_S));
        if let Some(subject) = self.subject {
            claims.insert("sub".to_owned(), json!(subject));
        }
        claims.into()
    }
}

fn encoded(part: &Value) -> String {
    base64url(part.to_string().as_bytes())
}

/// Base64 in the letters of URLs, without padding (RFC 7515).
fn base64url(bytes: &[u8]) -> String {
    const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let mut text = String::with_capacity((bytes.len() * 4).div_ceil(3));
    for group in bytes.chunks(3) {
        let byte = |index: usize| u32::from(group.get(index).copied().unwrap_or(0));
        let bits = byte(0) << 16 | byte(1) << 8 | byte(2);
        let letters = (0..=group.len()).filter_map(|index| LETTERS.get((bits >> (18 - 6 * index) & 63) as usize));
        text.extend(letters.map(|letter| char::from(*letter)));
    }
    text
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use sluice_sdk::testing::MockHost;

    use super::*;

    #[test]
    fn bytes_are_encoded_without_padding() {
        for (bytes, expected) in
            [(&b""[..], ""), (b"a", "YQ"), (b"ab", "YWI"), (b"abc", "YWJj"), (&[0xFB, 0xFF, 0xFE], "-__-")]
        {
            assert_eq!(base64url(bytes), expected);
        }
    }

    #[test]
    fn assertion_is_header_claims_and_signature() {
        let scopes = ["a".to_owned(), "b".to_owned()];
        let claims = Claims {
            email: "robot@example.iam",
            key_id: Some("k1"),
            audience: "https://token.example/",
            scopes: &scopes,
            subject: Some("ada@example.com"),
            now_s: 1_700_000_000,
        };
        let host = MockHost::new().secret("SA");
        let assertion = host.with(|_| claims.signed("SA")).unwrap();
        let header = r#"{"alg":"RS256","typ":"JWT","kid":"k1"}"#;
        let body = r#"{"iss":"robot@example.iam","scope":"a b","aud":"https://token.example/","iat":1700000000,"exp":1700003600,"sub":"ada@example.com"}"#;
        let text = format!("{}.{}", base64url(header.as_bytes()), base64url(body.as_bytes()));
        assert_eq!(assertion, format!("{text}.{}", base64url(format!("rs256(SA){text}").as_bytes())));
        assert_eq!(host.asked("secrets.sign"), [json!({"pointer": "/private_key"})]);
    }
}
