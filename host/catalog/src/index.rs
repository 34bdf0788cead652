//! The index of a registry folder that any web server can host. Says nothing that the folder does not; what was downloaded by it is checked
//! again, whole.
//!
//! ```text
//! index.json                             {"format":1,"plugins":[{"name":"mail","title":"…","versions":["1.0.0"]}]}
//! mail/index.json                        {"format":1,"name":"mail","versions":[{"version":"1.0.0","sha256":"…",…}]}
//! mail/1.0.0/plugin.wasm                 the component
//! mail/1.0.0/plugin.wasm.minisig         its signature, if it has one
//! ```

use std::collections::BTreeMap;
use std::fs;
use std::io::Write as _;
use std::path::Path;

use model::lock::Digest;
use semver::Version;
use serde::{Deserialize, Serialize};

use crate::capabilities::Capabilities;
use crate::digest::parse_digest;
use crate::error::{Error, List};
use crate::fault::Fault;
use crate::folder::sync_folder;
use crate::manifest::Abi;
use crate::name::PluginName;
use crate::registry::{COMPONENT_FILE, Check, Origin, Package, SIGNATURE_FILE, Source};
use crate::requirement::Requirement;

/// The one there is.
const FORMAT: u32 = 1;
/// File name of an index, of all plugins and of one.
pub const INDEX_FILE: &str = "index.json";
/// Largest index: some ten thousand plugins, or versions of one.
pub const INDEX_BYTES_MAX: u64 = 8 << 20;
/// Index files are for a web server to read.
const FILE_MODE: u32 = 0o644;

/// All plugins of a registry.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Index {
    format: u32,
    /// Where components are, if not beside the index.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub base_url: Option<String>,
    pub plugins: Vec<Listed>,
}

/// One plugin in a list.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Listed {
    pub name: String,
    #[serde(default)]
    pub title: String,
    /// Oldest first.
    pub versions: Vec<Version>,
}

/// All versions of one plugin.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PluginIndex {
    format: u32,
    pub name: String,
    /// Where components are, if not beside the index of all plugins.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub base_url: Option<String>,
    /// Oldest first.
    pub versions: Vec<Indexed>,
}

/// One version.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Indexed {
    pub version: Version,
    pub sha256: Digest,
    pub size_bytes: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub minimum_host: Option<Version>,
    /// As in a manifest: `1.0`.
    pub abi: String,
    #[serde(default)]
    pub capabilities: Capabilities,
    /// The component, seen from the index of all plugins or from `baseUrl`.
    pub path: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signature: Option<String>,
}

impl Index {
    /// Reads an index that came from elsewhere.
    pub fn parse(text: &[u8]) -> Result<Self, Fault> {
        let index: Self = serde_json::from_slice(text).map_err(|error| Fault::BadIndex(error.to_string()))?;
        known(index.format)?;
        index.plugins.iter().try_for_each(|plugin| named(&plugin.name).map(drop))?;
        Ok(index)
    }
}

impl PluginIndex {
    /// Reads the index of one plugin that came from elsewhere.
    pub fn parse(text: &[u8], plugin: &str) -> Result<Self, Fault> {
        let mut index: Self = serde_json::from_slice(text).map_err(|error| Fault::BadIndex(error.to_string()))?;
        known(index.format)?;
        if index.name != plugin {
            return Err(Fault::BadIndex(format!("it is of plugin `{}`", index.name)));
        }
        for indexed in &mut index.versions {
            let bad = |what: String| Fault::BadIndex(format!("version {}: {what}", indexed.version));
            let digest = parse_digest(&indexed.sha256.0);
            indexed.sha256 = digest.ok_or_else(|| bad("`sha256` is not 64 hexadecimal digits".to_owned()))?;
            let paths = [Some(&indexed.path), indexed.signature.as_ref()];
            if let Some(path) = paths.into_iter().flatten().find(|path| !is_plain(path)) {
                return Err(bad(format!("`{path}` leads elsewhere")));
            }
        }
        Ok(index)
    }

    /// The version that a requirement means on a host.
    pub fn pick(&self, requirement: &Requirement, host: &Version) -> Result<&Indexed, Error> {
        let is_for = |indexed: &&Indexed| indexed.minimum_host.as_ref().is_none_or(|needs| needs <= host);
        let fits = |indexed: &&Indexed| Abi::parse(&indexed.abi).is_ok() && is_for(indexed);
        let versions = self.versions.iter().filter(fits).map(|indexed| &indexed.version);
        let picked = requirement.pick(versions).cloned();
        if let Some(found) = picked.and_then(|picked| self.versions.iter().find(|one| one.version == picked)) {
            return Ok(found);
        }
        let too_new = self.versions.iter().rev().find(|one| requirement.matches(&one.version));
        if let Some(too_new) = too_new
            && let Some(needs) = too_new.minimum_host.as_ref().filter(|needs| *needs > host)
        {
            return Err(Error::HostTooOld {
                plugin: self.name.clone(),
                version: too_new.version.clone(),
                needs: needs.to_string(),
                host: host.to_string(),
            });
        }
        let all: Vec<&Version> = self.versions.iter().map(|indexed| &indexed.version).collect();
        Err(Error::NoMatch {
            plugin: self.name.clone(),
            requirement: requirement.to_string(),
            hint: format!("offered are {}", List(&all)),
        })
    }
}

/// What a registry folder offers: the index of all plugins, and of each. Every component is read; one that is damaged is refused, because
/// what is offered has to be whole.
pub fn index_of(root: &Path, base_url: Option<&str>) -> Result<(Index, Vec<PluginIndex>), Error> {
    let source = Source::Folder { origin: Origin::Shipped, root: root.to_owned() };
    let (packages, problems) = source.scan(Check::Digests);
    if let Some(problem) = problems.into_iter().next() {
        return Err(problem.error);
    }
    let mut plugins: BTreeMap<PluginName, Vec<Package>> = BTreeMap::new();
    for package in packages {
        plugins.entry(package.manifest().name.clone()).or_default().push(package);
    }
    let base_url = base_url.map(str::to_owned);
    let title =
        |versions: &[Package]| versions.last().map(|newest| newest.manifest().title.clone()).unwrap_or_default();
    let listed = plugins.iter().map(|(name, versions)| Listed {
        name: name.to_string(),
        title: title(versions),
        versions: versions.iter().map(|package| package.manifest().version.clone()).collect(),
    });
    let index = Index { format: FORMAT, base_url: base_url.clone(), plugins: listed.collect() };
    let of_one = |(name, versions): (PluginName, Vec<Package>)| PluginIndex {
        format: FORMAT,
        name: name.to_string(),
        base_url: base_url.clone(),
        versions: versions.iter().map(indexed).collect(),
    };
    Ok((index, plugins.into_iter().map(of_one).collect()))
}

/// Writes the index of a registry folder, each file at once and the one that names the others last. The same folder makes the same bytes.
pub fn write_index(root: &Path, base_url: Option<&str>) -> Result<Index, Error> {
    let (index, plugins) = index_of(root, base_url)?;
    for plugin in &plugins {
        write(&root.join(&plugin.name), plugin)?;
    }
    write(root, &index)?;
    Ok(index)
}

fn write(folder: &Path, index: &impl Serialize) -> Result<(), Error> {
    let path = folder.join(INDEX_FILE);
    let text = serde_json::to_string_pretty(index).expect("an index has nothing that JSON cannot say");
    let mut builder = tempfile::Builder::new();
    builder.prefix(".index-");
    #[cfg(unix)]
    builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(FILE_MODE));
    let mut file = builder.tempfile_in(folder).map_err(Error::io("create a file in", folder))?;
    let mut write = || {
        file.write_all(text.as_bytes())?;
        file.write_all(b"\n")?;
        file.as_file().sync_all()
    };
    write().map_err(Error::io("write", &path))?;
    file.persist(&path).map_err(|error| Error::io("write", &path)(error.error))?;
    sync_folder(folder)
}

fn indexed(package: &Package) -> Indexed {
    let manifest = package.manifest();
    let folder = format!("{}/{}", manifest.name, manifest.version);
    let size_bytes = || fs::metadata(&package.path).map_or(0, |meta| meta.len());
    let is_signed = package.path.with_file_name(SIGNATURE_FILE).is_file();
    Indexed {
        version: manifest.version.clone(),
        sha256: package.published.digest.clone(),
        size_bytes: package.published.size_bytes.unwrap_or_else(size_bytes),
        minimum_host: manifest.minimum_host.clone(),
        abi: manifest.abi.to_string(),
        capabilities: manifest.capabilities.clone(),
        path: format!("{folder}/{COMPONENT_FILE}"),
        signature: is_signed.then(|| format!("{folder}/{SIGNATURE_FILE}")),
    }
}

fn known(format: u32) -> Result<(), Fault> {
    match format {
        FORMAT => Ok(()),
        other => Err(Fault::BadIndex(format!("its format is {other}, and this Sluice reads {FORMAT}"))),
    }
}

fn named(name: &str) -> Result<PluginName, Fault> {
    PluginName::parse(name).ok_or_else(|| Fault::BadIndex(format!("`{name}` is not a plugin's name")))
}

/// Whether a path stays below where it is seen from, and means the same to every web server.
fn is_plain(path: &str) -> bool {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "._+-".contains(c);
    path.split('/').all(|segment| !segment.is_empty() && !segment.starts_with('.') && segment.chars().all(is_plain))
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use super::*;
    use crate::testing::{Place, component, manifest};
    use serde_json::{Value, json};

    fn place() -> Place {
        let place = Place::new();
        place.put("post", "0.1.0", &["com.example.Post"]);
        place.put("mail", "1.10.0", &["com.example.Send"]);
        let mut first = manifest("mail", "1.9.0", &["com.example.Send"]);
        first["capabilities"] = json!({ "files": true });
        place.put_bytes(&component(&first));
        let mut newer = manifest("mail", "2.0.0", &["com.example.Send"]);
        newer["minimumHost"] = json!("1.1.0");
        place.put_bytes(&component(&newer));
        place
    }

    fn json_of(place: &Place, path: &str) -> Value {
        serde_json::from_slice(&fs::read(place.root().join(path)).unwrap()).unwrap()
    }

    #[test]
    fn index_says_what_the_folder_holds_and_always_in_the_same_bytes() {
        let place = place();
        place.write("mail/1.10.0/plugin.wasm.minisig", b"signed");
        write_index(&place.root(), None).unwrap();
        let all = json!({ "format": 1, "plugins": [
            { "name": "mail", "title": "mail", "versions": ["1.9.0", "1.10.0", "2.0.0"] },
            { "name": "post", "title": "post", "versions": ["0.1.0"] },
        ]});
        assert_eq!(json_of(&place, "index.json"), all);
        let of_mail = json_of(&place, "mail/index.json");
        let (first, second) = (&of_mail["versions"][0], &of_mail["versions"][1]);
        assert_eq!((&first["capabilities"], &first["signature"]), (&json!({ "files": true }), &Value::Null));
        assert_eq!(second["signature"], "mail/1.10.0/plugin.wasm.minisig");
        assert_eq!(second["path"], "mail/1.10.0/plugin.wasm");
        assert_eq!(of_mail["versions"][2]["minimumHost"], "1.1.0");
        let bytes = fs::read(place.root().join("mail/1.10.0/plugin.wasm")).unwrap();
        assert_eq!((&second["sha256"], &second["sizeBytes"]), (&json!(crate::digest_of(&bytes)), &json!(bytes.len())));

        let before = place.contents();
        write_index(&place.root(), None).unwrap();
        assert_eq!(place.contents(), before);
        assert_eq!(place.catalog().plugins().count(), 2, "an index is no plugin");
        write_index(&place.root(), Some("https://cdn.example.com/x/")).unwrap();
        assert_eq!(json_of(&place, "index.json")["baseUrl"], "https://cdn.example.com/x/");
    }

    #[test]
    fn damaged_registry_has_no_index() {
        let place = place();
        place.write("mail/1.9.0/plugin.wasm", b"\0asm");
        let before = place.contents();
        assert_eq!(write_index(&place.root(), None).unwrap_err().code(), "PLUGIN_DAMAGED");
        assert_eq!(place.contents(), before);
    }

    #[test]
    fn requirement_picks_among_what_runs_here() {
        let place = place();
        let (_, plugins) = index_of(&place.root(), None).unwrap();
        let pick = |text: &str| {
            let requirement = Requirement::parse(text).unwrap();
            plugins[0].pick(&requirement, &place.host().version).map(|indexed| indexed.version.to_string())
        };
        for (text, expected) in [("LATEST", "1.10.0"), ("OLDEST", "1.9.0"), ("^1", "1.10.0"), ("1.9.0", "1.9.0")] {
            assert_eq!(pick(text).unwrap(), expected, "{text}");
        }
        assert_eq!(pick("2.0.0").unwrap_err().code(), "PLUGIN_NEEDS_NEWER_HOST");
        let message = pick("^3").unwrap_err().to_string();
        assert_eq!(message, "no version of plugin `mail` matches `^3`\nhint: offered are 1.9.0, 1.10.0, 2.0.0");
    }

    #[test]
    fn index_from_elsewhere_is_not_believed() {
        let version = |path: &str, sha256: &str| {
            let one = json!({ "version": "1.0.0", "sha256": sha256, "sizeBytes": 1, "abi": "1.0", "path": path });
            json!({ "format": 1, "name": "mail", "versions": [one] }).to_string()
        };
        let digest = "0".repeat(64);
        let refused = |text: &str, expected: &str| {
            let fault = PluginIndex::parse(text.as_bytes(), "mail").unwrap_err();
            assert_eq!(fault.code(), "SOURCE_BAD_INDEX");
            assert!(fault.to_string().contains(expected), "{fault}");
        };
        assert!(PluginIndex::parse(version("mail/1.0.0/plugin.wasm", &digest).as_bytes(), "mail").is_ok());
        for path in ["../x", "/x", "https://evil.test/x", "a//b", "a/./b", "a?b", "a\\b", "", "a/%2e%2e/b", "//evil/x"]
        {
            refused(&version(path, &digest), "leads elsewhere");
        }
        refused(&version("x", "12"), "64 hexadecimal digits");
        refused(&version("x", &digest).replace("\"mail\"", "\"post\""), "it is of plugin `post`");
        refused(&version("x", &digest).replace("\"format\":1", "\"format\":2"), "its format is 2");
        refused("{", "EOF");
        assert!(Index::parse(br#"{"format":1,"plugins":[{"name":"../x","versions":[]}]}"#).is_err());
    }
}
