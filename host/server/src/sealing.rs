//! Secrets at rest: what comes with a request (inputs of type SECRET) and what namespaces keep is stored sealed with the server's own keys,
//! and never in clear. There is one key that seals, and any number of former ones that still open what they sealed.

use std::collections::BTreeMap;

use aes_gcm::aead::{Aead as _, Payload};
use aes_gcm::{Aes256Gcm, KeyInit as _, Nonce};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use sha2::{Digest as _, Sha256};

/// What names of sealed secrets begin with. Names of secrets that are looked up have no colon.
const PREFIX: &str = "sealed:";
/// Bound into every ciphertext of a secret that came with a request: one made for another purpose does not open here.
const REQUEST: &str = "sluice sealed secret 1";
/// Bound, with the place and the name, into every ciphertext of a secret that a namespace keeps: moved to another row it does not open.
const NAMESPACE: &str = "sluice secret of a namespace 1";
/// Bytes of an AES-GCM nonce.
const NONCE_BYTES: usize = 12;
/// Bytes of a key.
pub const KEY_BYTES: usize = 32;
/// How secrets of namespaces are sealed, as their rows say it.
pub(crate) const SCHEME: &str = "aes-256-gcm";

/// Seals and opens.
pub(crate) struct Sealer {
    ciphers: BTreeMap<String, Aes256Gcm>,
    /// The key that seals: part of what is stored, so that another key is told from damage.
    current: String,
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
    /// The first key seals; all of them open.
    pub fn new(current: &[u8; KEY_BYTES], former: &[[u8; KEY_BYTES]]) -> Self {
        let ciphers = std::iter::once(current).chain(former).map(|key| (id_of(key), Aes256Gcm::new(key.into())));
        Self { ciphers: ciphers.collect(), current: id_of(current) }
    }

    /// The name under which a secret that came with a request is stored. The nonce must be new for each.
    pub fn seal(&self, clear: &str, random: u128) -> String {
        format!("{PREFIX}{}", self.sealed(clear, REQUEST.as_bytes(), random))
    }

    /// Whether some sealer made this name.
    pub fn made(name: &str) -> bool {
        name.starts_with(PREFIX)
    }

    /// The secret behind a name.
    pub fn open(&self, name: &str) -> Result<String, Unopened> {
        let sealed = name.strip_prefix(PREFIX).ok_or(Unopened::NotSealed)?;
        self.opened(sealed, REQUEST.as_bytes())
    }

    /// A secret of a namespace, sealed for its row. The nonce must be new for each.
    pub fn seal_for(&self, place: &str, name: &str, clear: &str, random: u128) -> String {
        self.sealed(clear, &purpose(place, name), random)
    }

    /// What a row of a namespace holds.
    pub fn open_for(&self, place: &str, name: &str, sealed: &str) -> Result<String, Unopened> {
        self.opened(sealed, &purpose(place, name))
    }

    /// Whether something is sealed with the key that seals now.
    pub fn is_current(&self, sealed: &str) -> bool {
        sealed.split_once(':').is_some_and(|(key_id, _)| key_id == self.current)
    }

    /// Which key seals now.
    pub fn current(&self) -> &str {
        &self.current
    }

    fn sealed(&self, clear: &str, purpose: &[u8], random: u128) -> String {
        let random = random.to_be_bytes();
        let nonce = random.iter().rev().take(NONCE_BYTES).copied().collect::<Vec<u8>>();
        let payload = Payload { msg: clear.as_bytes(), aad: purpose };
        let cipher = self.ciphers.get(&self.current).expect("the current key is one of them");
        let sealed = cipher.encrypt(Nonce::from_slice(&nonce), payload);
        let sealed = sealed.expect("AES-GCM seals whatever fits into a request");
        let bytes: Vec<u8> = nonce.into_iter().chain(sealed).collect();
        format!("{}:{}", self.current, STANDARD_NO_PAD.encode(bytes))
    }

    fn opened(&self, sealed: &str, purpose: &[u8]) -> Result<String, Unopened> {
        let (key_id, text) = sealed.split_once(':').ok_or(Unopened::Damaged)?;
        let cipher = self.ciphers.get(key_id).ok_or(Unopened::OtherKey)?;
        let bytes = STANDARD_NO_PAD.decode(text).map_err(|_| Unopened::Damaged)?;
        let (nonce, sealed) = bytes.split_at_checked(NONCE_BYTES).ok_or(Unopened::Damaged)?;
        let payload = Payload { msg: sealed, aad: purpose };
        let clear = cipher.decrypt(Nonce::from_slice(nonce), payload).map_err(|_| Unopened::Damaged)?;
        String::from_utf8(clear).map_err(|_| Unopened::Damaged)
    }
}

/// What a key is called: nothing can be learnt of it from that.
fn id_of(key: &[u8; KEY_BYTES]) -> String {
    Sha256::digest(key).iter().take(4).map(|byte| format!("{byte:02x}")).collect()
}

fn purpose(place: &str, name: &str) -> Vec<u8> {
    // Neither place nor name has a zero byte.
    [NAMESPACE, place, name].join("\0").into_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_sealed_opens_with_its_key_alone() {
        let (sealer, other) = (Sealer::new(&[1; KEY_BYTES], &[]), Sealer::new(&[2; KEY_BYTES], &[]));
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

    #[test]
    fn what_a_row_holds_opens_in_that_row_alone_and_with_former_keys() {
        let old = Sealer::new(&[1; KEY_BYTES], &[]);
        let sealed = old.seal_for("main/a.b", "KEY", "hunter2", 7);
        assert_eq!(old.open_for("main/a.b", "KEY", &sealed).as_deref(), Ok("hunter2"));
        assert_eq!(old.open_for("main/a", "KEY", &sealed), Err(Unopened::Damaged));
        assert_eq!(old.open_for("main/a.b", "KEY2", &sealed), Err(Unopened::Damaged));
        assert_eq!(old.open(&format!("{PREFIX}{sealed}")), Err(Unopened::Damaged), "made for another purpose");
        let new = Sealer::new(&[2; KEY_BYTES], &[[1; KEY_BYTES]]);
        assert_eq!(new.open_for("main/a.b", "KEY", &sealed).as_deref(), Ok("hunter2"));
        assert!(old.is_current(&sealed) && !new.is_current(&sealed));
        assert!(new.is_current(&new.seal_for("main/a.b", "KEY", "hunter2", 8)));
    }
}
