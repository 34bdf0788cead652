//! What is kept in step: things of the engine by kind, namespace and id, each a file of the repository.

use std::collections::BTreeMap;
use std::fmt;

/// What a thing is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    Flow,
    File,
    App,
    Test,
    Dashboard,
    Blueprint,
}

impl Kind {
    /// As the engine names it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Flow => "flow",
            Self::File => "file",
            Self::App => "app",
            Self::Test => "test",
            Self::Dashboard => "dashboard",
            Self::Blueprint => "blueprint",
        }
    }

    /// As a diff names it.
    pub fn label(self) -> &'static str {
        match self {
            Self::Flow => "FLOW",
            Self::File => "FILE",
            Self::App => "APP",
            Self::Test => "TEST",
            Self::Dashboard => "DASHBOARD",
            Self::Blueprint => "BLUEPRINT",
        }
    }

    /// Whether it is YAML, of which line ends and space around it say nothing.
    pub fn is_yaml(self) -> bool {
        self != Self::File
    }
}

/// Which thing.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Key {
    pub kind: Kind,
    /// Empty: it belongs to no namespace.
    pub namespace: String,
    /// The path of a file, the id of anything else.
    pub id: String,
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.kind, self.namespace.as_str()) {
            (_, "") => f.write_str(&self.id),
            (Kind::File, namespace) => write!(f, "{namespace}/{}", self.id),
            (_, namespace) => write!(f, "{namespace}.{}", self.id),
        }
    }
}

/// A version of a thing on one side.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Version {
    /// What it is compared by: the content, without what says nothing.
    pub content: Vec<u8>,
    /// Of the engine: what says that it has not changed since.
    pub etag: Option<String>,
    /// Of the repository: where it is.
    pub path: Option<String>,
}

/// The things of one side.
pub type Side = BTreeMap<Key, Version>;

/// Content as it is compared: of YAML without carriage returns and space around it.
pub fn comparable(kind: Kind, content: &[u8]) -> Vec<u8> {
    match (kind.is_yaml(), std::str::from_utf8(content)) {
        (true, Ok(text)) => text.replace("\r\n", "\n").trim().as_bytes().to_vec(),
        _ => content.to_vec(),
    }
}

/// Whether a namespace is one of these or below one of them.
pub fn is_within(namespace: &str, of: &[String]) -> bool {
    of.iter()
        .any(|one| namespace.strip_prefix(one.as_str()).is_some_and(|rest| rest.is_empty() || rest.starts_with('.')))
}
