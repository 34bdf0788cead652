//! Everything that can go wrong with plugins and versions, in words. Each message names the plugin, version or file, and says
//! what to do; each kind has a stable code that `sluice explain` knows.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

use model::lock::Digest;
use semver::Version;

use crate::approvals::Held;
use crate::fault::Fault;

/// How many items a hint lists before it says how many more there are.
const LISTED_MAX: usize = 8;

/// Why the catalog refused.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The file system refused. The caller may try again.
    #[error("cannot {action} `{}`: {source}", path.display())]
    Io { action: &'static str, path: PathBuf, source: io::Error },

    /// The file is no component, or is cut off, or is too large.
    #[error(
        "`{origin}` is not a plugin: {reason}\nhint: a plugin is a WebAssembly component with its manifest inside; build it again and pack it with `sluice plugin pack`"
    )]
    BadComponent { origin: String, reason: String },

    /// A component whose manifest does not say what it must. All problems are listed.
    #[error("the manifest of `{origin}` is not valid:{}", Lines(problems))]
    BadManifest { origin: String, problems: Vec<String> },

    /// What lies in a registry is not what was put there.
    #[error("`{}` is damaged: {reason}\nhint: put the published file back, or uninstall this version and install it again", path.display())]
    Damaged { path: PathBuf, reason: String },

    /// A line of a registry's journal cannot be read. All others are.
    #[error(
        "the journal `{}` is damaged: {reason}\nhint: the line is passed over; what it said of a version has to be said again", path.display()
    )]
    JournalDamaged { path: PathBuf, reason: String },

    /// No plugin has this task type.
    #[error("unknown task type `{task_type}`{}", Nearest(nearest))]
    UnknownType { task_type: String, nearest: Vec<String> },

    /// A requirement that is neither a version, nor a range, nor a word we know.
    #[error("no plugin `{plugin}` is installed{}", Nearest(nearest))]
    UnknownPlugin { plugin: String, nearest: Vec<String> },
    #[error("`{text}` is not a version requirement: {reason}\nhint: {hint}")]
    BadRequirement { text: String, reason: String, hint: String },

    /// Nothing installed satisfies the requirement.
    #[error("no version of plugin `{plugin}` matches `{requirement}`\nhint: {hint}")]
    NoMatch { plugin: String, requirement: String, hint: String },

    /// The version is there and does not have the task type.
    #[error(
        "plugin `{plugin}` {version} has no task type `{task_type}`\nhint: these versions have it: {}",
        List(having)
    )]
    NotInVersion { plugin: String, version: Version, task_type: String, having: Vec<Version> },

    /// The plugin was made for a newer host.
    #[error(
        "plugin `{plugin}` {version} needs Sluice {needs} or later, and this is {host}\nhint: upgrade Sluice, or ask for an older version of the plugin"
    )]
    HostTooOld { plugin: String, version: Version, needs: String, host: String },

    /// Somebody else's task type.
    #[error("plugin `{claimant}` claims task type `{task_type}`, which belongs to {owner}\nhint: {hint}")]
    Taken { claimant: String, task_type: String, owner: String, hint: String },

    /// A published version never changes.
    #[error(
        "plugin `{plugin}` {version} is installed with other bytes (installed {installed}, offered {offered})\nhint: a published version never changes; raise the version"
    )]
    OtherBytes { plugin: String, version: Version, installed: Digest, offered: Digest },

    /// Only shipped registries and files are open, and those are never written to.
    #[error("there is no registry to install into\nhint: start Sluice with a data directory")]
    NoRegistry,

    /// Flows or executions still run on it.
    #[error(
        "plugin `{plugin}` {version} is still needed by {}\nhint: upgrade these flows or let their executions end first",
        List(by)
    )]
    StillNeeded { plugin: String, version: Version, by: Vec<String> },

    /// An operator took the version back, or forbids it.
    #[error(
        "plugin `{plugin}` {version} {}: {reason}\nhint: {}",
        if *blocked { "is blocked" } else { "was taken back" },
        if *blocked { "move the flow to another version, or have the block lifted" } else { "ask for another version" }
    )]
    Withheld { plugin: String, version: Version, blocked: bool, reason: String },

    /// It asks for more than anybody has approved.
    #[error(
        "plugin `{plugin}` {version} is held: {held}\nhint: `sluice plugin approve {plugin}@{version}` approves it; until then flows run on other versions"
    )]
    Held { plugin: String, version: Version, held: Held },

    /// A version that is approved by where it comes from, or a decision that says too much.
    #[error("nothing can be decided about plugin `{plugin}` {version}: {why}\nhint: {hint}")]
    Undecidable { plugin: String, version: Version, why: String, hint: String },

    /// Something that is elsewhere did not come, or is not what it should be. `what`: the plugin and version, or the index.
    #[error("cannot get {what} from `{at}`: {fault}\nhint: {}", fault.hint())]
    Fetch { what: String, at: String, fault: Fault },

    /// A source that was asked has no such plugin.
    #[error("`{at}` offers no plugin `{plugin}`{}", Offered(nearest))]
    NotOffered { plugin: String, at: String, nearest: Vec<String> },

    /// `place`: the trust file.
    #[error(
        "plugin `{plugin}` {version} is not signed\nhint: have it signed with `minisign -S -m plugin.wasm -t 'plugin:{plugin} version:{version}'`; or, to install all that is not signed with a warning, write into `{place}`:\nmode: warn"
    )]
    Unsigned { plugin: String, version: Version, place: String },

    /// A signature that is not one of this version.
    #[error(
        "the signature of plugin `{plugin}` {version} is not good: {reason}\nhint: do not use it before its publisher has signed it again, with `minisign -S -m plugin.wasm -t 'plugin:{plugin} version:{version}'`"
    )]
    BadSignature { plugin: String, version: Version, reason: String },

    /// A signature by somebody who is not trusted for this plugin. `key`: as far as it is known.
    #[error(
        "plugin `{plugin}` {version} is signed by key {id}, which is not trusted for it\nhint: if you trust it, add to `{place}`:\nkeys:\n  - key: {key}\n    plugins: [{plugin}]"
    )]
    UntrustedKey { plugin: String, version: Version, key: Box<str>, id: Box<str>, place: String },

    /// All that is wrong with a trust file.
    #[error("the trust file `{place}` is not valid:{}", Lines(problems))]
    BadTrust { place: String, problems: Vec<String> },

    /// Nothing to uninstall, or a lock that names what is gone.
    #[error("plugin `{plugin}` {version} is not installed{detail}\nhint: {hint}")]
    NotInstalled { plugin: String, version: Version, detail: String, hint: String },
}

impl Error {
    /// The stable code of this kind of refusal.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Io { .. } => "CATALOG_IO",
            Self::BadComponent { .. } => "PLUGIN_NOT_A_COMPONENT",
            Self::BadManifest { .. } => "PLUGIN_BAD_MANIFEST",
            Self::Damaged { .. } => "PLUGIN_DAMAGED",
            Self::JournalDamaged { .. } => "REGISTRY_JOURNAL_DAMAGED",
            Self::UnknownType { .. } => "TASK_TYPE_UNKNOWN",
            Self::UnknownPlugin { .. } => "PLUGIN_UNKNOWN",
            Self::BadRequirement { .. } => "PLUGIN_BAD_REQUIREMENT",
            Self::NoMatch { .. } => "PLUGIN_NO_MATCHING_VERSION",
            Self::NotInVersion { .. } => "TASK_TYPE_NOT_IN_VERSION",
            Self::HostTooOld { .. } => "PLUGIN_NEEDS_NEWER_HOST",
            Self::Taken { .. } => "TASK_TYPE_TAKEN",
            Self::OtherBytes { .. } => "PLUGIN_VERSION_CHANGED",
            Self::NoRegistry => "CATALOG_NO_REGISTRY",
            Self::StillNeeded { .. } => "PLUGIN_STILL_NEEDED",
            Self::Withheld { blocked: true, .. } => "PLUGIN_BLOCKED",
            Self::Withheld { .. } => "PLUGIN_YANKED",
            Self::Held { .. } => "PLUGIN_HELD",
            Self::Undecidable { .. } => "PLUGIN_UNDECIDABLE",
            Self::Fetch { fault, .. } => fault.code(),
            Self::NotOffered { .. } => "PLUGIN_NOT_OFFERED",
            Self::Unsigned { .. } => "PLUGIN_UNSIGNED",
            Self::BadSignature { .. } => "PLUGIN_BAD_SIGNATURE",
            Self::UntrustedKey { .. } => "PLUGIN_UNTRUSTED_KEY",
            Self::BadTrust { .. } => "TRUST_FILE_INVALID",
            Self::NotInstalled { .. } => "PLUGIN_NOT_INSTALLED",
        }
    }

    pub(crate) fn io(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        move |source| Self::Io { action, path: path.to_owned(), source }
    }

    pub(crate) fn damaged(path: &Path, reason: impl Into<String>) -> Self {
        Self::Damaged { path: path.to_owned(), reason: reason.into() }
    }
}

/// `a, b, c and 4 more`.
pub(crate) struct List<'a, T>(pub(crate) &'a [T]);

impl<T: fmt::Display> fmt::Display for List<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (position, item) in self.0.iter().take(LISTED_MAX).enumerate() {
            let separator = if position == 0 { "" } else { ", " };
            write!(f, "{separator}{item}")?;
        }
        match self.0.len().checked_sub(LISTED_MAX) {
            Some(more) if more > 0 => write!(f, " and {more} more"),
            _ => Ok(()),
        }
    }
}

struct Lines<'a>(&'a [String]);

impl fmt::Display for Lines<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|line| write!(f, "\n- {line}"))
    }
}

struct Nearest<'a>(&'a [String]);

impl fmt::Display for Nearest<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            [] => f.write_str("\nhint: `sluice plugin list` shows what is installed; is the plugin missing?"),
            names => {
                let quoted: Vec<String> = names.iter().map(|name| format!("`{name}`")).collect();
                write!(f, "\nhint: did you mean {}?", quoted.join(" or "))
            }
        }
    }
}

struct Offered<'a>(&'a [String]);

impl fmt::Display for Offered<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            [] => f.write_str("\nhint: `sluice plugin search --from` lists what a source offers"),
            names => Nearest(names).fmt(f),
        }
    }
}
