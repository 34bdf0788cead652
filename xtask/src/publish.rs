//! `cargo xtask publish NAME`: builds and packs a first-party plugin and puts it into `registry/<name>/<version>/`, built
//! with the overlay's standard library, the one that anybody can rebuild from the same Debian packages. A version is
//! published once: other bytes under the same version are refused, whatever the reason.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, anyhow, bail};
use serde_json::{Value, json};
use xtask::budgets;
use xtask::source_hash::sha256;

use crate::guests::{self, Guest, LockFile};
use crate::pack::{self, Packed};
use crate::progress::{say, size};
use crate::toolchain::Toolchain;
use crate::wasm_target;

/// What a component was built from, as `manifest.json` tells it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Provenance {
    /// See `source_hash.rs`: the plugin's folder and those of the libraries beside it, the plugins' manifest and lock file, and the SDK.
    pub source: String,
    pub rustc: String,
    /// Identity of the standard library, see `toolchain.rs`.
    pub std: String,
    pub flags: Vec<String>,
}

/// A version as it lies in the registry.
#[derive(Debug)]
pub struct Published {
    pub bytes: Vec<u8>,
    pub provenance: Provenance,
}

impl Provenance {
    fn to_json(&self) -> Value {
        json!({ "source": self.source, "rustc": self.rustc, "std": self.std, "flags": self.flags })
    }

    fn from_json(value: &Value) -> Result<Self> {
        let text = |key: &str| {
            value
                .get(key)
                .and_then(Value::as_str)
                .map(str::to_owned)
                .ok_or_else(|| anyhow!("its provenance names no `{key}`"))
        };
        let flags =
            value.get("flags").and_then(Value::as_array).ok_or_else(|| anyhow!("its provenance names no `flags`"))?;
        Ok(Self {
            source: text("source")?,
            rustc: text("rustc")?,
            std: text("std")?,
            flags: flags.iter().filter_map(Value::as_str).map(str::to_owned).collect(),
        })
    }
}

pub fn run(name: &str) -> Result<()> {
    let toolchain = Toolchain::find()?;
    let plugins = guests::plugins(&toolchain)?;
    let plugin = plugins.iter().find(|plugin| plugin.name == name).ok_or_else(|| {
        let names: Vec<_> = plugins.iter().map(|plugin| plugin.name.as_str()).collect();
        anyhow!("there is no plugin `{}` in plugins/\nhint: there are: {}", name, names.join(", "))
    })?;
    let standard = wasm_target::choose(&toolchain, true)?;
    let built = guests::build_plugin(&toolchain, &standard, plugin, LockFile::Fixed)?;
    let packed = pack::pack(&toolchain, plugin, &built)?;
    guests::refuse_faults(&toolchain, plugin, &packed.bytes)?;
    refuse_mismatch(plugin, &packed.manifest)?;
    let provenance = guests::provenance(&toolchain, &standard, plugin)?;
    let registry = toolchain.root.join("registry");
    if put(&registry, plugin, &packed, &provenance)? {
        say(format!("published plugin `{}` {}, {}", plugin.name, plugin.version, size(packed.bytes.len() as u64)));
    } else {
        say(format!("plugin `{}` {} is published already, with the same bytes", plugin.name, plugin.version));
    }
    Ok(())
}

/// Refuses a manifest that tells another name or version than the crate: the registry's folders are named after the crate.
fn refuse_mismatch(plugin: &Guest, manifest: &Value) -> Result<()> {
    for (key, ours) in [("name", &plugin.name), ("version", &plugin.version)] {
        let told = manifest.get(key).and_then(Value::as_str);
        if told != Some(ours.as_str()) {
            bail!(
                "the manifest of plugin `{}` has the {key} `{}`, its crate has `{ours}`\nhint: rebuild the manifest, see the SDK",
                plugin.name,
                told.unwrap_or_default()
            );
        }
    }
    Ok(())
}

/// The published version, if there is one.
pub fn read(toolchain: &Toolchain, name: &str, version: &str) -> Result<Option<Published>> {
    let folder = toolchain.root.join("registry").join(name).join(version);
    let component = folder.join("plugin.wasm");
    if !component.is_file() {
        return Ok(None);
    }
    let bytes = fs::read(&component).with_context(|| format!("cannot read `{}`", component.display()))?;
    let path = folder.join("manifest.json");
    let text = fs::read(&path).with_context(|| format!("cannot read `{}`", path.display()))?;
    let value: Value = serde_json::from_slice(&text).with_context(|| format!("`{}` is not JSON", path.display()))?;
    let provenance = Provenance::from_json(value.get("provenance").unwrap_or(&Value::Null))
        .with_context(|| format!("`{}` is incomplete", path.display()))?;
    Ok(Some(Published { bytes, provenance }))
}

/// Puts a version into the registry; `false` when these very bytes are there already.
fn put(registry: &Path, plugin: &Guest, packed: &Packed, provenance: &Provenance) -> Result<bool> {
    let folder = registry.join(&plugin.name).join(&plugin.version);
    let component = folder.join("plugin.wasm");
    if component.is_file() {
        let old = fs::read(&component).with_context(|| format!("cannot read `{}`", component.display()))?;
        if old == packed.bytes {
            return Ok(false);
        }
        bail!(
            "plugin `{}` {} is published with other bytes, and a published version never changes\nhint: raise `version` in plugins/{}/Cargo.toml",
            plugin.name,
            plugin.version,
            plugin.name
        );
    }
    let total = components_bytes(registry)? + packed.bytes.len() as u64;
    if total > budgets::REGISTRY_BYTES as u64 {
        bail!(
            "the registry would hold {} of at most {}\nhint: make the plugin smaller",
            size(total),
            size(budgets::REGISTRY_BYTES as u64)
        );
    }
    let entry = entry(plugin, packed, provenance)?;
    fs::create_dir_all(&folder).with_context(|| format!("cannot create `{}`", folder.display()))?;
    let manifest = folder.join("manifest.json");
    fs::write(&manifest, entry).with_context(|| format!("cannot write `{}`", manifest.display()))?;
    // The component last: a version without it does not count as published.
    fs::write(&component, &packed.bytes).with_context(|| format!("cannot write `{}`", component.display()))?;
    Ok(true)
}

/// The text of `manifest.json`: what identifies the version, the manifest as embedded, and the provenance.
fn entry(plugin: &Guest, packed: &Packed, provenance: &Provenance) -> Result<String> {
    let entry = json!({
        "name": plugin.name,
        "version": plugin.version,
        "sha256": sha256(&packed.bytes),
        "sizeBytes": packed.bytes.len(),
        "manifest": packed.manifest,
        "provenance": provenance.to_json(),
    });
    Ok(serde_json::to_string_pretty(&entry).context("a manifest cannot be written as JSON")? + "\n")
}

fn components_bytes(registry: &Path) -> Result<u64> {
    let list = |folder: &Path| -> Result<Vec<PathBuf>> {
        if !folder.is_dir() {
            return Ok(Vec::new());
        }
        let entries = fs::read_dir(folder).with_context(|| format!("cannot list `{}`", folder.display()))?;
        Ok(entries.filter_map(Result::ok).map(|entry| entry.path()).collect())
    };
    let mut total = 0;
    for plugin in list(registry)? {
        for version in list(&plugin)? {
            total += fs::metadata(version.join("plugin.wasm")).map_or(0, |meta| meta.len());
        }
    }
    Ok(total)
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use super::*;

    fn packed(bytes: &[u8]) -> Packed {
        Packed { path: PathBuf::new(), bytes: bytes.to_vec(), manifest: json!({ "abi": 1 }) }
    }

    fn provenance() -> Provenance {
        Provenance { source: "s".into(), rustc: "r".into(), std: "t".into(), flags: vec!["f".into()] }
    }

    #[test]
    fn version_is_published_once() {
        let registry = tempfile::tempdir().unwrap();
        let plugin = Guest::named("core", "1.0.0");
        assert!(put(registry.path(), &plugin, &packed(b"one"), &provenance()).unwrap());
        assert!(!put(registry.path(), &plugin, &packed(b"one"), &provenance()).unwrap());
        let error = put(registry.path(), &plugin, &packed(b"two"), &provenance()).unwrap_err().to_string();
        assert!(error.contains("`core` 1.0.0") && error.contains("hint: raise `version`"), "{error}");
        assert_eq!(fs::read(registry.path().join("core/1.0.0/plugin.wasm")).unwrap(), b"one");
        assert!(put(registry.path(), &Guest::named("core", "1.1.0"), &packed(b"two"), &provenance()).unwrap());
    }

    #[test]
    fn manifest_names_digest_and_provenance() {
        let text = entry(&Guest::named("core", "1.0.0"), &packed(b"one"), &provenance()).unwrap();
        let value: Value = serde_json::from_str(&text).unwrap();
        assert_eq!(value["sha256"], sha256(b"one"));
        assert_eq!(value["sizeBytes"], 3);
        assert_eq!(value["manifest"], json!({ "abi": 1 }));
        assert_eq!(Provenance::from_json(&value["provenance"]).unwrap(), provenance());
    }

    #[test]
    fn manifest_of_another_version_is_refused() {
        let plugin = Guest::named("core", "1.0.0");
        let manifest = |version: &str| json!({ "name": "core", "version": version });
        assert!(refuse_mismatch(&plugin, &manifest("1.0.0")).is_ok());
        let error = refuse_mismatch(&plugin, &manifest("1.1.0")).unwrap_err().to_string();
        assert!(error.contains("has the version `1.1.0`, its crate has `1.0.0`"), "{error}");
        assert!(refuse_mismatch(&plugin, &json!({})).is_err());
    }

    #[test]
    fn registry_has_a_budget() {
        let registry = tempfile::tempdir().unwrap();
        let large = packed(&vec![0; 12_500_000]);
        assert!(put(registry.path(), &Guest::named("a", "1.0.0"), &large, &provenance()).unwrap());
        let error = put(registry.path(), &Guest::named("b", "1.0.0"), &large, &provenance()).unwrap_err().to_string();
        assert!(error.contains("25.0 MB of at most 20.0 MB"), "{error}");
    }
}
