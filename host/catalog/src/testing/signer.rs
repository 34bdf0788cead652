//! Signs as minisign does, with a key made at run time. Its users are the tests of this crate and, by its path, those across crates; it uses
//! nothing of either, and no crate that would have half the tree built with other features.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ring::rand::{SecureRandom as _, SystemRandom};
use ring::signature::{Ed25519KeyPair, KeyPair as _};

/// Of keys, and of signatures over a hash.
const KEY: &[u8] = b"Ed";
const HASHED: &[u8] = b"ED";

/// Somebody with a key.
pub struct Signer {
    id: [u8; 8],
    pair: Ed25519KeyPair,
}

impl Default for Signer {
    fn default() -> Self {
        let (mut id, mut seed, random) = ([0; 8], [0; 32], SystemRandom::new());
        random.fill(&mut id).and_then(|()| random.fill(&mut seed)).expect("there is randomness");
        Self { id, pair: Ed25519KeyPair::from_seed_unchecked(&seed).expect("any seed is one") }
    }
}

impl Signer {
    /// The public key, as it is written into a trust file.
    pub fn key(&self) -> String {
        STANDARD.encode([KEY, &self.id, self.pair.public_key().as_ref()].concat())
    }

    /// The text of a signature's file. The comment is signed too.
    pub fn sign(&self, bytes: &[u8], comment: &str) -> String {
        let signature = self.pair.sign(blake2b_simd::blake2b(bytes).as_bytes());
        self.write(HASHED, signature.as_ref(), comment)
    }

    /// The same as minisign did it before it hashed.
    pub fn sign_unhashed(&self, bytes: &[u8], comment: &str) -> String {
        self.write(KEY, self.pair.sign(bytes).as_ref(), comment)
    }

    fn write(&self, algorithm: &[u8], signature: &[u8], comment: &str) -> String {
        let whole = self.pair.sign(&[signature, comment.as_bytes()].concat());
        let (first, second) = (STANDARD.encode([algorithm, &self.id, signature].concat()), STANDARD.encode(whole));
        format!("untrusted comment: a test\n{first}\ntrusted comment: {comment}\n{second}\n")
    }
}
