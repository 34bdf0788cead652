//! Whose signatures are good for which plugins, and what becomes of what has none. Verifies; installs nothing.
//!
//! ```yaml
//! mode: enforce
//! keys:
//!   - key: RWQf6LRCGA9i53mlYecO4IzT51TGPpvWucNSCh1CBM0QTaLn73Y7GFO3
//!     comment: the mail team
//!     plugins: [mail, mail-*]
//! ```

use serde::{Deserialize, Serialize};

use crate::error::Error;
use crate::published::Published;
use crate::signature::{Key, Signature};

/// Largest trust file.
pub const TRUST_BYTES_MAX: u64 = 1 << 20;

/// What becomes of a component without a good signature.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Mode {
    /// It is installed. A good signature is kept all the same.
    Off,
    /// It is installed with a warning.
    Warn,
    /// It is refused.
    Enforce,
}

/// How a component came: without a word in the trust file that decides the mode.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Delivery {
    /// A file or folder of this machine, or an upload by who may install: [`Mode::Off`].
    Local,
    /// Somebody else's server: [`Mode::Enforce`].
    Remote,
}

/// The trust file.
#[derive(Clone, Debug)]
pub struct Trust {
    /// Its name, for who has to write into it.
    place: String,
    mode: Option<Mode>,
    keys: Vec<Trusted>,
}

#[derive(Clone, Debug)]
struct Trusted {
    key: Key,
    text: String,
    plugins: Vec<String>,
}

/// A signature that was found good. Only [`Trust::verify`] makes one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Signed {
    pub(crate) signature: String,
    pub(crate) signer: String,
}

/// What came of looking at a signature.
#[derive(Debug)]
pub enum Verified {
    Signed(Signed),
    /// There is none that is good, and nobody minds.
    Unsigned,
    /// There is none that is good, and somebody is to be told.
    Warned(Error),
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Wire {
    mode: Option<Mode>,
    #[serde(default)]
    keys: Vec<WireKey>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct WireKey {
    key: String,
    /// For people.
    #[serde(rename = "comment", default)]
    _comment: String,
    plugins: Vec<String>,
}

impl Trust {
    /// Nobody is trusted. `place`: the file that would say otherwise.
    pub fn nobody(place: &str) -> Self {
        Self { place: place.to_owned(), mode: None, keys: Vec::new() }
    }

    /// Reads a trust file; `place` names it in messages. All problems come at once.
    pub fn parse(text: &str, place: &str) -> Result<Self, Error> {
        let bad = |problems: Vec<String>| Error::BadTrust { place: place.to_owned(), problems };
        // A file of comments alone.
        if text.lines().all(|line| line.trim().is_empty() || line.trim().starts_with('#')) {
            return Ok(Self::nobody(place));
        }
        let wire: Wire = serde_yaml::from_str(text).map_err(|error| bad(vec![error.to_string()]))?;
        let (mut keys, mut problems) = (Vec::new(), Vec::new());
        for WireKey { key: text, plugins, .. } in wire.keys {
            if plugins.is_empty() {
                problems.push(format!("key `{text}` is good for no plugin: name some under `plugins`"));
            }
            let wrong = plugins.iter().filter(|pattern| !is_pattern(pattern));
            problems.extend(
                wrong.map(|pattern| format!("`{pattern}` is neither a plugin's name nor one that ends in `*`")),
            );
            match Key::parse(&text) {
                Some(key) => keys.push(Trusted { key, text, plugins }),
                None => problems
                    .push(format!("`{text}` is not a public key of minisign: it is the second line of `minisign.pub`")),
            }
        }
        match problems.is_empty() {
            true => Ok(Self { place: place.to_owned(), mode: wire.mode, keys }),
            false => Err(bad(problems)),
        }
    }

    /// Looks at the signature of a component.
    pub fn verify(
        &self,
        published: &Published,
        component: &[u8],
        signature: Option<&str>,
        from: Delivery,
    ) -> Result<Verified, Error> {
        let mode = self.mode.unwrap_or(match from {
            Delivery::Local => Mode::Off,
            Delivery::Remote => Mode::Enforce,
        });
        match (self.signed(published, component, signature), mode) {
            (Ok(signed), _) => Ok(Verified::Signed(signed)),
            (Err(_), Mode::Off) => Ok(Verified::Unsigned),
            (Err(error), Mode::Warn) => Ok(Verified::Warned(error)),
            (Err(error), Mode::Enforce) => Err(error),
        }
    }

    fn signed(&self, published: &Published, component: &[u8], signature: Option<&str>) -> Result<Signed, Error> {
        let (name, version) = (published.manifest.name.as_str(), published.manifest.version.clone());
        let (plugin, place) = (name.to_owned(), self.place.clone());
        let Some(text) = signature else { return Err(Error::Unsigned { plugin, version, place }) };
        let bad = |reason: String| Error::BadSignature { plugin: name.to_owned(), version: version.clone(), reason };
        let signature = Signature::parse(text).map_err(bad)?;
        let is_by_id = |trusted: &&Trusted| trusted.key.id() == signature.key_id();
        let Some(trusted) = self.keys.iter().find(is_by_id) else {
            let key = format!("…  # the public key whose id is {}", signature.key_id()).into();
            return Err(Error::UntrustedKey { plugin, version, key, id: signature.key_id().into(), place });
        };
        signature.is_by(&trusted.key, component, published).map_err(bad)?;
        let mut patterns = self.keys.iter().filter(|one| one.text == trusted.text).flat_map(|one| &one.plugins);
        if !patterns.any(|pattern| fits(pattern, name)) {
            let key = trusted.text.as_str().into();
            return Err(Error::UntrustedKey { plugin, version, key, id: signature.key_id().into(), place });
        }
        Ok(Signed { signature: text.to_owned(), signer: trusted.text.clone() })
    }
}

fn is_pattern(text: &str) -> bool {
    let begin = text.strip_suffix('*').unwrap_or(text);
    let is_plain = begin.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-');
    !text.is_empty() && is_plain
}

fn fits(pattern: &str, name: &str) -> bool {
    match pattern.strip_suffix('*') {
        Some(begin) => name.starts_with(begin),
        None => pattern == name,
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use super::*;
    use crate::testing::{Signer, plugin};

    fn mail() -> (Vec<u8>, Published) {
        let bytes = plugin("mail", "1.0.0", &["com.example.Send"]);
        let published = Published::of(&bytes, None, "mail.wasm").unwrap();
        (bytes, published)
    }

    fn trusting(mode: &str, key: &str, plugins: &str) -> Trust {
        Trust::parse(&format!("mode: {mode}\nkeys: [{{key: {key}, comment: c, plugins: {plugins}}}]"), "trust.yaml")
            .unwrap()
    }

    const COMMENT: &str = "timestamp:1 plugin:mail version:1.0.0";

    #[test]
    fn key_is_good_for_the_plugins_it_is_trusted_for() {
        let (signer, (bytes, published)) = (Signer::default(), mail());
        let signature = signer.sign(&bytes, COMMENT);
        for plugins in ["[mail]", "['*']", "[post, 'ma*']"] {
            let trust = trusting("enforce", &signer.key(), plugins);
            let verified = trust.verify(&published, &bytes, Some(&signature), Delivery::Remote).unwrap();
            let Verified::Signed(signed) = verified else { panic!("{verified:?}") };
            assert_eq!((signed.signer, signed.signature), (signer.key(), signature.clone()));
        }
        for plugins in ["[post]", "['mail-*']"] {
            let trust = trusting("enforce", &signer.key(), plugins);
            let error = trust.verify(&published, &bytes, Some(&signature), Delivery::Local).unwrap_err();
            assert_eq!(error.code(), "PLUGIN_UNTRUSTED_KEY");
            let remedy = format!("add to `trust.yaml`:\nkeys:\n  - key: {}\n    plugins: [mail]", signer.key());
            assert!(error.to_string().contains(&remedy), "{error}");
        }
    }

    #[test]
    fn what_is_not_signed_well_is_refused_with_its_own_code() {
        let (signer, other, (bytes, published)) = (Signer::default(), Signer::default(), mail());
        let trust = trusting("enforce", &signer.key(), "[mail]");
        let refused = |signature: Option<&str>, code: &str, expected: &str| {
            let error = trust.verify(&published, &bytes, signature, Delivery::Local).unwrap_err();
            assert_eq!(error.code(), code, "{error}");
            let message = error.to_string();
            assert!(message.contains("plugin `mail` 1.0.0") && message.contains("\nhint: "), "{message}");
            assert!(message.contains(expected), "{message}");
        };
        refused(None, "PLUGIN_UNSIGNED", "mode: warn");
        refused(Some(&other.sign(&bytes, COMMENT)), "PLUGIN_UNTRUSTED_KEY", "the public key whose id is");
        let bad = |signature: &str, expected: &str| refused(Some(signature), "PLUGIN_BAD_SIGNATURE", expected);
        bad(&signer.sign(b"other bytes", COMMENT), "not a signature of these bytes");
        bad(&signer.sign(&bytes, "timestamp:1"), "does not say `plugin:mail version:1.0.0`");
        bad(&signer.sign(&bytes, "plugin:mail version:1.0.1"), "does not say");
        bad(&signer.sign(&bytes, "plugin:mails version:1.0.0"), "does not say");
        bad(&signer.sign_unhashed(&bytes, COMMENT), "made without hashing");
        // The comment is signed as well.
        let moved = signer.sign(&bytes, "plugin:mail version:0.9.0").replace("version:0.9.0", "version:1.0.0");
        bad(&moved, "not a signature of these bytes");
        for broken in ["", "x", "a\nb\nc\nd", &"x".repeat(9_000)] {
            bad(broken, "it ");
        }
        let whole = signer.sign(&bytes, COMMENT);
        bad(whole.lines().take(3).collect::<Vec<_>>().join("\n").as_str(), "minisign's format");
    }

    #[test]
    fn without_a_word_files_are_not_asked_for_a_signature_and_servers_are() {
        let (bytes, published) = mail();
        let nobody = Trust::nobody("trust.yaml");
        let verify = |trust: &Trust, from| trust.verify(&published, &bytes, None, from);
        assert!(matches!(verify(&nobody, Delivery::Local), Ok(Verified::Unsigned)));
        assert_eq!(verify(&nobody, Delivery::Remote).unwrap_err().code(), "PLUGIN_UNSIGNED");
        let mode = |text: &str| Trust::parse(text, "trust.yaml").unwrap();
        assert!(matches!(verify(&mode("mode: off"), Delivery::Remote), Ok(Verified::Unsigned)));
        assert!(verify(&mode("mode: enforce"), Delivery::Local).is_err());
        let warned = verify(&mode("mode: warn"), Delivery::Remote).unwrap();
        assert!(matches!(warned, Verified::Warned(error) if error.code() == "PLUGIN_UNSIGNED"));
        assert!(verify(&mode("# nothing yet\n"), Delivery::Remote).is_err());
    }

    #[test]
    fn wrong_trust_files_are_refused_with_all_that_is_wrong() {
        let key = Signer::default().key();
        let refused = |text: &str, expected: &[&str]| {
            let error = Trust::parse(text, "trust.yaml").unwrap_err();
            assert_eq!(error.code(), "TRUST_FILE_INVALID");
            let message = error.to_string();
            assert!(expected.iter().all(|part| message.contains(part)), "{message}");
        };
        refused("mode: maybe", &["`trust.yaml`", "maybe"]);
        refused("modes: off", &["modes"]);
        refused("keys: [{key: RWx, plugins: ['a b']}]", &["`a b` is neither", "`RWx` is not a public key"]);
        refused(&format!("keys: [{{key: {key}, plugins: []}}]"), &["is good for no plugin"]);
        refused(&format!("keys: [{{key: {key}, plugins: ['*a']}}]"), &["`*a` is neither"]);
        refused(&format!("keys: [{{key: {key}}}]"), &["plugins"]);
    }
}
