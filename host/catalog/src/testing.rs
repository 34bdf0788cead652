//! Tiny components with manifests, for the tests of this crate.

mod signer;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use semver::Version;
use serde_json::{Value, json};

use crate::catalog::{Catalog, Host};
use crate::component::embed;
use crate::error::Error;
use crate::install::{Installed, Offer};
use crate::journal::By;
use crate::published::Published;
use crate::registry::{Check, Origin, Source};
pub use signer::Signer;

/// The smallest component.
pub const EMPTY_COMPONENT: &[u8] = &[0x00, 0x61, 0x73, 0x6d, 0x0d, 0x00, 0x01, 0x00];

/// A manifest with these task types.
pub fn manifest(name: &str, version: &str, task_types: &[&str]) -> Value {
    let tasks: Vec<Value> = task_types.iter().map(|task_type| json!({ "type": task_type })).collect();
    json!({ "abi": "1.0", "name": name, "version": version, "title": name, "tasks": tasks })
}

/// A component with this manifest inside.
pub fn component(manifest: &Value) -> Vec<u8> {
    embed(EMPTY_COMPONENT, manifest.to_string().as_bytes()).expect("the empty component is valid")
}

/// A component with these task types.
pub fn plugin(name: &str, version: &str, task_types: &[&str]) -> Vec<u8> {
    component(&manifest(name, version, task_types))
}

/// Somebody, at some time.
pub fn by() -> By<'static> {
    By { actor: "ada", at: Timestamp::UNIX_EPOCH }
}

/// Installs one component.
pub fn install(catalog: &Catalog, bytes: &[u8], origin: &str) -> Result<(Catalog, Installed), Error> {
    let (catalog, how) = catalog.install(&[Offer::new(bytes.to_vec(), origin)], by())?;
    Ok((catalog, how[0]))
}

/// Registries in a folder of their own.
pub struct Place(tempfile::TempDir);

impl Place {
    pub fn new() -> Self {
        Self(tempfile::tempdir().expect("tests have a temporary folder"))
    }

    /// The folder of installed plugins.
    pub fn root(&self) -> PathBuf {
        self.0.path().join("installed")
    }

    pub fn host(&self) -> Host {
        Host { version: Version::new(1, 0, 0), built_in: vec!["io.kestra.plugin.core.flow.If".to_owned()] }
    }

    /// What is installed, as it is now.
    pub fn catalog(&self) -> Catalog {
        Catalog::open(vec![self.installed()], self.host(), Check::Digests)
    }

    pub fn installed(&self) -> Source {
        Source::Folder { origin: Origin::Installed, root: self.root() }
    }

    /// A shipped registry with these plugins, beside what is installed.
    pub fn shipped(&self, plugins: &[(&str, &str, &str)]) -> Catalog {
        let root = self.0.path().join("shipped");
        for (name, version, task_type) in plugins {
            publish(&root, &plugin(name, version, &[task_type]));
        }
        Catalog::open(
            vec![self.installed(), Source::Folder { origin: Origin::Shipped, root }],
            self.host(),
            Check::Digests,
        )
    }

    /// Puts a version where installing would put it, without any check.
    pub fn put(&self, name: &str, version: &str, task_types: &[&str]) {
        publish(&self.root(), &plugin(name, version, task_types));
    }

    pub fn put_bytes(&self, bytes: &[u8]) {
        publish(&self.root(), bytes);
    }

    /// Overwrites a file of the registry.
    pub fn write(&self, path: &str, bytes: &[u8]) {
        fs::write(self.root().join(path), bytes).expect("tests may write");
    }

    /// A component as a file of its own.
    pub fn file(&self, name: &str, bytes: &[u8]) -> Source {
        let path = self.0.path().join(name);
        fs::write(&path, bytes).expect("tests may write");
        Source::File(path)
    }

    /// Every file of the registry and what is in it, the lock aside.
    pub fn contents(&self) -> BTreeMap<String, Vec<u8>> {
        let mut files = Vec::new();
        collect(&self.root(), &self.root(), &mut files);
        files.retain(|file| file != ".lock");
        let read = |file: String| (fs::read(self.root().join(&file)).expect("it was just listed"), file);
        files.into_iter().map(read).map(|(bytes, file)| (file, bytes)).collect()
    }

    /// All files of installed plugins.
    pub fn files(&self) -> Vec<String> {
        let mut files = Vec::new();
        collect(&self.root(), &self.root(), &mut files);
        files.retain(|file| file != ".lock" && file != "journal.jsonl");
        files.sort();
        files
    }
}

fn publish(root: &Path, bytes: &[u8]) {
    let published = Published::of(bytes, None, "test").expect("the test's manifest is valid");
    let folder = root.join(published.manifest.name.as_str()).join(published.manifest.version.to_string());
    fs::create_dir_all(&folder).expect("tests may write");
    fs::write(folder.join("plugin.wasm"), bytes).expect("tests may write");
    fs::write(folder.join("manifest.json"), published.to_json()).expect("tests may write");
}

fn collect(root: &Path, folder: &Path, files: &mut Vec<String>) {
    let Ok(entries) = fs::read_dir(folder) else {
        return;
    };
    for entry in entries.filter_map(Result::ok) {
        if entry.path().is_dir() {
            collect(root, &entry.path(), files);
        } else {
            let path = entry.path();
            files.push(path.strip_prefix(root).expect("it lies inside").display().to_string());
        }
    }
}
