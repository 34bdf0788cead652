//! sha256 of components. A digest that came from outside is parsed here; it is never compared before that.

use model::lock::Digest;
use sha2::{Digest as _, Sha256};

/// Hexadecimal digits of a sha256.
const HEX_DIGITS: usize = 64;

/// The digest of these bytes.
pub fn digest_of(bytes: &[u8]) -> Digest {
    Digest(format!("{:x}", Sha256::digest(bytes)))
}

/// Reads 64 hexadecimal digits, with or without `sha256:` in front. `None` where it is anything else.
pub fn parse_digest(text: &str) -> Option<Digest> {
    let digits = text.strip_prefix("sha256:").unwrap_or(text);
    let well_formed =
        digits.len() == HEX_DIGITS && digits.bytes().all(|byte| byte.is_ascii_hexdigit());
    well_formed.then(|| Digest(digits.to_ascii_lowercase()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digest_is_sha256_in_lower_case() {
        let empty = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
        assert_eq!(digest_of(b"").0, empty);
        assert_eq!(parse_digest(&empty.to_uppercase()), Some(digest_of(b"")));
        assert_eq!(
            parse_digest(&format!("sha256:{empty}")),
            Some(digest_of(b""))
        );
    }

    #[test]
    fn anything_else_is_no_digest() {
        for text in [
            "",
            "sha256:",
            "e3b0",
            &"g".repeat(64),
            &"0".repeat(63),
            &"0".repeat(65),
            &"é".repeat(32),
        ] {
            assert_eq!(parse_digest(text), None, "{text}");
        }
    }
}
