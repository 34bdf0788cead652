//! Rows of what flows keep beside their executions: values, secrets, files, documents.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{DocumentKey, Key, NamespaceKey};

/// A value of a namespace.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Kv {
    pub place: NamespaceKey,
    pub key: Arc<str>,
    /// From 1.
    pub revision: u32,
    pub value: expr::Value,
    /// The type its writer gave it, where that is more than the value tells (`DATETIME`, `DURATION`).
    pub declared: Option<Arc<str>>,
    pub description: Option<Arc<str>>,
    pub created: Timestamp,
    pub updated: Timestamp,
    /// From then on it counts as missing. It stays until it is collected.
    pub expires: Option<Timestamp>,
}

impl Kv {
    pub(super) fn stored_at(&self) -> Key {
        Key::Kv(self.place.clone(), Arc::clone(&self.key))
    }
}

/// A secret of a namespace, sealed before it comes here.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
pub struct Secret {
    pub place: NamespaceKey,
    pub name: Arc<str>,
    /// Ciphertext with its nonce, as text. Which key, and how: `scheme`.
    pub sealed: Arc<str>,
    pub scheme: Arc<str>,
    pub description: Option<Arc<str>>,
    pub updated: Timestamp,
    #[serde(default)]
    pub tags: Vec<SecretTag>,
    /// Hosts it may go to, and no others; none: it is not bound.
    #[serde(default)]
    pub hosts: Vec<Arc<str>>,
}

/// A word about a secret.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SecretTag {
    pub key: Arc<str>,
    pub value: Arc<str>,
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Secret").field("place", &self.place).field("name", &self.name).finish_non_exhaustive()
    }
}

impl Secret {
    pub(super) fn stored_at(&self) -> Key {
        Key::Secret(self.place.clone(), Arc::clone(&self.name))
    }
}

/// Content of a file: its sha256, as 64 lower-case hexadecimal digits.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct BlobId(pub Arc<str>);

impl fmt::Display for BlobId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A written blob.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BlobInfo {
    pub id: BlobId,
    pub size_bytes: u64,
}

/// A file: a path, and the blob that is its content. The blob is written first ([`crate::Store::write_blob`]).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct File {
    /// The whole path, tenant first. A folder is what several paths begin with.
    pub path: Arc<str>,
    pub content: BlobInfo,
    pub created: Timestamp,
    pub updated: Timestamp,
    /// Content type, revision, whatever its writer wants to find again.
    pub metadata: BTreeMap<String, String>,
}

impl File {
    pub(super) fn stored_at(&self) -> Key {
        Key::File(Arc::clone(&self.path))
    }
}

/// A document that is kept but not run by the engine: an app, a test suite, a dashboard.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Document {
    pub key: DocumentKey,
    /// From 1.
    pub revision: u32,
    pub source: Arc<str>,
    pub updated: Timestamp,
}

impl Document {
    pub(super) fn stored_at(&self) -> Key {
        Key::Document(self.key.clone())
    }
}
