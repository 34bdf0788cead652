//! Signatures of components, in minisign's format: Ed25519 over the hash of the file, and over a comment that says which plugin and version
//! it is. Says whether a key made a signature; whom to trust is `trust`'s to say.
//!
//! ```sh
//! minisign -S -m plugin.wasm -t 'plugin:mail version:1.0.0'
//! ```

use base64::Engine as _;
use minisign_verify::{Error as Refused, PublicKey};

use crate::published::Published;

/// Largest file of a signature: four lines.
pub const SIGNATURE_BYTES_MAX: u64 = 8 << 10;
/// What the two algorithms begin with, and how long the id of the key behind that is.
const ALGORITHM_BYTES: usize = 2;
const ID_BYTES: usize = 8;

/// The file beside a component.
pub(crate) struct Signature {
    read: minisign_verify::Signature,
    key_id: String,
}

/// A key that signatures are made with.
#[derive(Clone, Debug)]
pub(crate) struct Key {
    read: PublicKey,
    id: String,
}

impl Signature {
    /// The error says what is wrong with the text.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let bad = || "it is not in minisign's format".to_owned();
        if text.len() as u64 > SIGNATURE_BYTES_MAX {
            return Err(format!("it has more than {SIGNATURE_BYTES_MAX} bytes"));
        }
        let read = minisign_verify::Signature::decode(text).map_err(|_| bad())?;
        let key_id = text.lines().nth(1).and_then(key_id).ok_or_else(bad)?;
        Ok(Self { read, key_id })
    }

    /// The id of the key that it says it was made with.
    pub(crate) fn key_id(&self) -> &str {
        &self.key_id
    }

    /// Whether it was made by this key, of these bytes, for this plugin and version. The error says what does not fit.
    pub(crate) fn is_by(&self, key: &Key, component: &[u8], published: &Published) -> Result<(), String> {
        key.read.verify(component, &self.read, false).map_err(|refused| match refused {
            Refused::UnexpectedAlgorithm => "it is made without hashing; sign with `minisign -H`".to_owned(),
            _ => "it is not a signature of these bytes".to_owned(),
        })?;
        let (plugin, version) = (&published.manifest.name, &published.manifest.version);
        let comment = self.read.trusted_comment();
        let says = |what: &str| comment.split_whitespace().find_map(|word| word.strip_prefix(what)).unwrap_or_default();
        if says("plugin:") != plugin.as_str() || says("version:") != version.to_string() {
            return Err(format!(
                "its trusted comment is `{comment}`, and does not say `plugin:{plugin} version:{version}`"
            ));
        }
        Ok(())
    }
}

impl Key {
    /// A public key as minisign writes it, in one line.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let read = PublicKey::from_base64(text).ok()?;
        Some(Self { read, id: key_id(text)? })
    }

    pub(crate) fn id(&self) -> &str {
        &self.id
    }
}

/// The id of a key, as minisign shows it, out of a key or a signature.
fn key_id(base64: &str) -> Option<String> {
    let bytes = base64::engine::general_purpose::STANDARD.decode(base64.trim()).ok()?;
    let id = bytes.get(ALGORITHM_BYTES..ALGORITHM_BYTES + ID_BYTES)?;
    Some(format!("{:016X}", u64::from_le_bytes(id.try_into().ok()?)))
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use super::*;

    /// The key in minisign's own documentation.
    const KEY: &str = "RWQf6LRCGA9i53mlYecO4IzT51TGPpvWucNSCh1CBM0QTaLn73Y7GFO3";

    #[test]
    fn ids_are_those_that_minisign_shows() {
        assert_eq!(Key::parse(KEY).unwrap().id(), "E7620F1842B4E81F");
        assert!(Key::parse("RWQ").is_none());
        assert!(Key::parse("").is_none());
    }
}
