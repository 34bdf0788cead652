//! `manifest.json`, the file beside a published component:
//!
//! ```json
//! { "name": "mail", "version": "1.2.0", "sha256": "9f86…", "sizeBytes": 48211,
//!   "manifest": { … the section `sluice:manifest`, as it is … },
//!   "provenance": { "source": "…", "rustc": "…", "std": "…", "flags": ["…"] } }
//! ```
//!
//! It can be read without the component, and never says anything that the component does not: `agrees_with` compares the two.
//! `sizeBytes`, `provenance` and fields of later versions (a signature) may be there or not; what is there is kept.

use std::collections::BTreeMap;

use model::lock::Digest;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use crate::component::manifest_section;
use crate::digest::{digest_of, parse_digest};
use crate::error::Error;
use crate::manifest::Manifest;

/// One plugin version, as its registry entry tells it.
#[derive(Clone, Debug, PartialEq)]
pub struct Published {
    pub manifest: Manifest,
    pub digest: Digest,
    /// Size of the component, where the entry tells it.
    pub size_bytes: Option<u64>,
    pub provenance: Option<Provenance>,
    /// The entry as written, with fields this version does not know.
    document: Value,
}

/// What a component was built from, so that others can build it again and compare.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Provenance {
    /// Hash of the source tree.
    pub source: String,
    pub rustc: String,
    /// Identity of the standard library.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub std: Option<String>,
    #[serde(default)]
    pub flags: Vec<String>,
    /// What later versions add.
    #[serde(flatten)]
    pub other: BTreeMap<String, Value>,
}

/// The entry as written, before it is checked.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Wire {
    name: Option<String>,
    version: Option<String>,
    sha256: String,
    size_bytes: Option<u64>,
    manifest: Value,
    provenance: Option<Provenance>,
}

impl Published {
    /// The entry of a component; `origin` names it in messages.
    pub fn of(
        component: &[u8],
        provenance: Option<Provenance>,
        origin: &str,
    ) -> Result<Self, Error> {
        let bad = |reason| Error::BadComponent {
            origin: origin.to_owned(),
            reason,
        };
        let section = manifest_section(component).map_err(bad)?;
        let manifest = Manifest::parse(section, origin)?;
        let raw: Value = serde_json::from_slice(section).expect("the manifest was just parsed");
        let digest = digest_of(component);
        let size_bytes = component.len() as u64;
        let mut document = Map::new();
        document.insert("name".to_owned(), json!(manifest.name.as_str()));
        document.insert("version".to_owned(), json!(manifest.version));
        document.insert("sha256".to_owned(), json!(digest));
        document.insert("sizeBytes".to_owned(), json!(size_bytes));
        document.insert("manifest".to_owned(), raw);
        if let Some(provenance) = &provenance {
            document.insert("provenance".to_owned(), json!(provenance));
        }
        Ok(Self {
            manifest,
            digest,
            size_bytes: Some(size_bytes),
            provenance,
            document: Value::Object(document),
        })
    }

    /// Reads an entry; `origin` names the file in messages.
    pub fn parse(text: &[u8], origin: &str) -> Result<Self, Error> {
        let bad = |problem: String| Error::BadManifest {
            origin: origin.to_owned(),
            problems: vec![problem],
        };
        let document: Value = serde_json::from_slice(text)
            .map_err(|error| bad(format!("it is not JSON: {error}")))?;
        let wire = Wire::deserialize(&document).map_err(|error| bad(error.to_string()))?;
        let digest = parse_digest(&wire.sha256).ok_or_else(|| {
            bad(format!(
                "`sha256: {}` is not 64 hexadecimal digits",
                wire.sha256
            ))
        })?;
        let manifest = Manifest::read(&wire.manifest, origin)?;
        let own_version = manifest.version.to_string();
        for (field, outside, inside) in [
            ("name", wire.name, manifest.name.as_str()),
            ("version", wire.version, own_version.as_str()),
        ] {
            if let Some(outside) = outside.filter(|outside| outside != inside) {
                return Err(bad(format!(
                    "`{field}: {outside}` beside the manifest is `{inside}` inside it"
                )));
            }
        }
        Ok(Self {
            manifest,
            digest,
            size_bytes: wire.size_bytes,
            provenance: wire.provenance,
            document,
        })
    }

    /// The text of `manifest.json`.
    pub fn to_json(&self) -> String {
        format!("{:#}\n", self.document)
    }

    /// The manifest's JSON as the plugin wrote it, with fields this version does not know.
    pub fn manifest_json(&self) -> &Value {
        self.document.get("manifest").unwrap_or(&Value::Null)
    }

    /// Whether these are the bytes that were published: same digest, same manifest inside. The error says what differs.
    pub fn agrees_with(&self, component: &[u8]) -> Result<(), String> {
        let found = digest_of(component);
        if found != self.digest {
            return Err(format!(
                "its sha256 is {found}, and {} was published",
                self.digest
            ));
        }
        let inside: Option<Value> = serde_json::from_slice(manifest_section(component)?).ok();
        if inside.as_ref() != Some(self.manifest_json()) {
            return Err(
                "the manifest inside the component differs from `manifest.json`".to_owned(),
            );
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use super::*;
    use crate::testing::{component, manifest, plugin};

    fn provenance() -> Provenance {
        Provenance {
            source: "s".to_owned(),
            rustc: "r".to_owned(),
            ..Provenance::default()
        }
    }

    #[test]
    fn entry_is_written_and_read_back() {
        let bytes = plugin("mail", "1.0.0", &["com.example.Send"]);
        let published = Published::of(&bytes, Some(provenance()), "mail.wasm").unwrap();
        let read = Published::parse(published.to_json().as_bytes(), "manifest.json").unwrap();
        assert_eq!(read, published);
        assert_eq!(read.size_bytes, Some(bytes.len() as u64));
        assert_eq!(read.agrees_with(&bytes), Ok(()));
    }

    #[test]
    fn unknown_fields_are_kept() {
        let mut raw = manifest("mail", "1.0.0", &["com.example.Send"]);
        raw["later"] = json!([1, 2]);
        let bytes = component(&raw);
        let published = Published::of(&bytes, None, "mail.wasm").unwrap();
        let mut document: Value = serde_json::from_str(&published.to_json()).unwrap();
        document["signature"] = json!("abc");
        let read = Published::parse(document.to_string().as_bytes(), "manifest.json").unwrap();
        assert_eq!(read.manifest_json()["later"], json!([1, 2]));
        assert!(read.to_json().contains("\"signature\": \"abc\""));
        assert_eq!(read.agrees_with(&bytes), Ok(()));
    }

    #[test]
    fn entry_and_component_must_agree() {
        let bytes = plugin("mail", "1.0.0", &["com.example.Send"]);
        let published = Published::of(&bytes, None, "mail.wasm").unwrap();
        let mut longer = bytes.clone();
        longer.push(0);
        assert!(
            published
                .agrees_with(&longer)
                .unwrap_err()
                .contains("its sha256 is")
        );
        // Same digest named, another manifest beside it: the entry asks for less than the component has.
        let mut document: Value = serde_json::from_str(&published.to_json()).unwrap();
        document["manifest"]["effects"] = json!("none");
        let forged = Published::parse(document.to_string().as_bytes(), "manifest.json").unwrap();
        assert!(
            forged
                .agrees_with(&bytes)
                .unwrap_err()
                .contains("differs from `manifest.json`")
        );
    }

    #[test]
    fn broken_entries_are_refused() {
        let entry = |sha256: &str, name: &str| {
            json!({ "name": name, "sha256": sha256, "manifest": manifest("mail", "1.0.0", &[]) })
                .to_string()
        };
        let good = "0".repeat(64);
        assert!(Published::parse(entry(&good, "mail").as_bytes(), "m").is_ok());
        for (text, expected) in [
            (entry("12", "mail"), "64 hexadecimal digits"),
            (
                entry(&good, "male"),
                "`name: male` beside the manifest is `mail` inside it",
            ),
            ("{}".to_owned(), "missing field"),
            ("{".to_owned(), "not JSON"),
        ] {
            let message = Published::parse(text.as_bytes(), "m")
                .unwrap_err()
                .to_string();
            assert!(message.contains(expected), "{message}");
        }
    }
}
