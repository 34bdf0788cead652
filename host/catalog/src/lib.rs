//! Plugin registries: manifests, version resolution, locks, digests.
//!
//! One plugin version is one component with its manifest inside. Registries are folders of them; a [`Catalog`] is what one or
//! several of them hold, as an immutable snapshot. This crate never runs guest code, knows no wasmtime, makes no connection and
//! keeps no global state: installing hands out a new snapshot.

mod approvals;
mod capabilities;
mod catalog;
mod component;
mod digest;
mod error;
mod fault;
mod folder;
mod index;
mod install;
mod journal;
mod listing;
mod manifest;
mod name;
mod nearest;
mod ownership;
mod published;
mod registry;
mod requirement;
mod resolve;
mod rules;
mod schema;
mod signature;
#[cfg(test)]
mod testing;
mod trust;

pub use approvals::{Asked, Held};
pub use capabilities::{ANY, Capabilities, Capability, HttpAccess, HttpHosts};
pub use catalog::{Catalog, Described, Host};
pub use component::{COMPONENT_BYTES_MAX, MANIFEST_SECTION, embed, manifest_section};
pub use digest::{digest_of, parse_digest};
pub use error::Error;
pub use fault::Fault;
pub use index::{INDEX_BYTES_MAX, INDEX_FILE, Index, Indexed, Listed, PluginIndex, index_of, write_index};
pub use install::{Installed, Offer, Reference};
pub use journal::{APPROVE, By, Details, Entry, INSTALL, UNINSTALL, WITHDRAW};
pub use listing::{Shown, ShownTask, Which};
pub use manifest::{Abi, Example, Manifest, TaskType};
pub use model::lock::{Digest, Lock, Locked};
pub use model::task::Effects;
pub use name::PluginName;
pub use nearest::nearest;
pub use published::{Provenance, Published};
pub use registry::{Check, Origin, Package, Problem, Source};
pub use requirement::Requirement;
pub use resolve::{Ask, Level, Resolution, Wish};
pub use rules::{Action, Rule, Rules};
pub use schema::{Markers, PropertyPath, Segment};
pub use signature::SIGNATURE_BYTES_MAX;
pub use trust::{Delivery, Mode, Signed, TRUST_BYTES_MAX, Trust, Verified};
