//! Rows of the servers themselves: nodes, what was done by whom, settings.

use std::fmt;
use std::sync::Arc;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{Key, Payload};

/// A server's name: the same over its restarts.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct NodeId(pub Arc<str>);

impl fmt::Display for NodeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// One start of a server: different at each.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Boot(pub Arc<str>);

impl fmt::Display for Boot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A running server.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Node {
    pub id: NodeId,
    pub boot: Boot,
    /// The program's version.
    pub version: Arc<str>,
    pub started: Timestamp,
    pub heartbeat: Timestamp,
    /// Whether it ends and takes nothing new.
    pub draining: bool,
}

impl Node {
    pub(super) fn stored_at(&self) -> Key {
        Key::Node(self.id.clone())
    }
}

/// Who did what. Written once.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Audit {
    pub at: Timestamp,
    /// Unique among those of the same time.
    pub id: Arc<str>,
    pub actor: Arc<str>,
    /// `plugin.install`, `grant.approve`: an open list.
    pub action: Arc<str>,
    /// What it was done to.
    pub subject: Arc<str>,
    pub details: Payload,
    /// Hash over the entry before it, so that a missing one is noticed.
    pub chain: Option<Arc<str>>,
}

impl Audit {
    pub(super) fn stored_at(&self) -> Key {
        Key::Audit(self.at, Arc::clone(&self.id))
    }
}

/// A setting of the server that outlives it: a pin, a block, a grant.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Setting {
    /// A path: `plugin/pin/git`.
    pub name: Arc<str>,
    pub value: Payload,
    pub updated: Timestamp,
}

impl Setting {
    pub(super) fn stored_at(&self) -> Key {
        Key::Setting(Arc::clone(&self.name))
    }
}
