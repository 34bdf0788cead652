//! Secrets that come with a request (inputs of type SECRET) are stored sealed with the server's own key, and never in clear: what is
//! stored in place of such a secret is its ciphertext, which only a server with the same key opens again.

use aes_gcm::aead::{Aead as _, Payload};
use aes_gcm::{Aes256Gcm, KeyInit as _, Nonce};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use sha2::{Digest as _, Sha256};

/// What names of sealed secrets begin with. Names of secrets that are looked up have no colon.
const PREFIX: &str = "sealed:";
/// Bound into every ciphertext: one made for another purpose does not open here.
const PURPOSE: &[u8] = b"sluice sealed secret 1";
/// Bytes of an AES-GCM nonce.
const NONCE_BYTES: usize = 12;
/// Bytes of a key.
pub const KEY_BYTES: usize = 32;

/// Seals and opens.
pub(crate) struct Sealer {
    cipher: Aes256Gcm,
    /// Which key it is: part of what is stored, so that a wrong key is told from damage.
    key_id: String,
}

/// Why a sealed secret was not opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Unopened {
    /// It is no sealed secret: its value is to be looked up by name.
    NotSealed,
    OtherKey,
    Damaged,
}

impl Sealer {
    pub fn new(key: &[u8; KEY_BYTES]) -> Self {
        let digest = Sha256::digest(key);
        let key_id = digest.iter().take(4).map(|byte| format!("{byte:02x}")).collect();
        Self { cipher: Aes256Gcm::new(key.into()), key_id }
    }

    /// The name under which a secret is stored. The nonce must be new for each.
    pub fn seal(&self, clear: &str, random: u128) -> String {
        let random = random.to_be_bytes();
        let nonce = random.iter().rev().take(NONCE_BYTES).copied().collect::<Vec<u8>>();
        let payload = Payload { msg: clear.as_bytes(), aad: PURPOSE };
        let sealed = self.cipher.encrypt(Nonce::from_slice(&nonce), payload);
        let sealed = sealed.expect("AES-GCM seals whatever fits into a request");
        let bytes: Vec<u8> = nonce.into_iter().chain(sealed).collect();
        format!("{PREFIX}{}:{}", self.key_id, STANDARD_NO_PAD.encode(bytes))
    }

    /// Whether some sealer made this name.
    pub fn made(name: &str) -> bool {
        name.starts_with(PREFIX)
    }

    /// The secret behind a name.
    pub fn open(&self, name: &str) -> Result<String, Unopened> {
        let rest = name.strip_prefix(PREFIX).ok_or(Unopened::NotSealed)?;
        let (key_id, text) = rest.split_once(':').ok_or(Unopened::Damaged)?;
        if key_id != self.key_id {
            return Err(Unopened::OtherKey);
        }
        let bytes = STANDARD_NO_PAD.decode(text).map_err(|_| Unopened::Damaged)?;
        let (nonce, sealed) = bytes.split_at_checked(NONCE_BYTES).ok_or(Unopened::Damaged)?;
        let payload = Payload { msg: sealed, aad: PURPOSE };
        let clear = self.cipher.decrypt(Nonce::from_slice(nonce), payload).map_err(|_| Unopened::Damaged)?;
        String::from_utf8(clear).map_err(|_| Unopened::Damaged)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_sealed_opens_with_its_key_alone() {
        let (sealer, other) = (Sealer::new(&[1; KEY_BYTES]), Sealer::new(&[2; KEY_BYTES]));
        let name = sealer.seal("hunter2", 7);
        assert!(!name.contains("hunter2"));
        assert_eq!(sealer.open(&name).as_deref(), Ok("hunter2"));
        assert_ne!(sealer.seal("hunter2", 8), name, "another nonce");
        assert_eq!(other.open(&name), Err(Unopened::OtherKey));
        assert_eq!(sealer.open("API_KEY"), Err(Unopened::NotSealed));
        let mut bent = name.clone().into_bytes();
        let last = bent.len() - 2;
        bent[last] = if bent[last] == b'A' { b'B' } else { b'A' };
        assert_eq!(sealer.open(&String::from_utf8(bent).expect("text")), Err(Unopened::Damaged));
    }
}
