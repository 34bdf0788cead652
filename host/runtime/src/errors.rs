//! What can go wrong with the runtime itself or with a component before any guest code ran. What a run ends in is `failure.rs`.

use std::path::PathBuf;

/// Why the runtime could not start, prepare or describe.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The host cannot build an engine, or a directory is unusable. Not the plugin's fault.
    #[error("{what}: {cause}")]
    Host {
        /// What was attempted.
        what: String,
        /// The cause in words.
        cause: String,
    },
    /// A file could not be read or written.
    #[error("`{}`: {source}", path.display())]
    Io {
        /// The file or directory.
        path: PathBuf,
        /// The cause.
        source: std::io::Error,
    },
    /// The bytes are not a component this host can run.
    #[error("plugin `{plugin}` is not a component this host can run: {why}\nhint: {hint}")]
    BadComponent {
        /// Name and version.
        plugin: String,
        /// What is wrong.
        why: String,
        /// What to do.
        hint: String,
    },
    /// The component imports what this host does not offer.
    #[error("plugin `{plugin}` {why}\nhint: {hint}")]
    Link {
        /// Name and version.
        plugin: String,
        /// Which import, and what the host has.
        why: String,
        /// What to do.
        hint: String,
    },
    /// The bytes are not those of the digest.
    #[error(
        "plugin `{plugin}` has digest `{found}` where `{expected}` is required\nhint: install the version again; its file was changed or damaged"
    )]
    Digest {
        /// Name and version.
        plugin: String,
        /// From the lock or the manifest.
        expected: String,
        /// Of the bytes at hand.
        found: String,
    },
    /// Compiling took too much or failed.
    #[error("plugin `{plugin}` could not be compiled: {why}\nhint: {hint}")]
    Compile {
        /// Name and version.
        plugin: String,
        /// What happened.
        why: String,
        /// What to do.
        hint: String,
    },
    /// `describe` ran and failed.
    #[error("`describe` failed: {}", .0.message)]
    Describe(Box<crate::Failure>),
}

impl Error {
    /// An error of the host itself.
    pub(crate) fn host(what: impl Into<String>, cause: impl std::fmt::Display) -> Self {
        Self::Host { what: what.into(), cause: cause.to_string() }
    }

    /// An error of a file, with its path.
    pub(crate) fn io(path: impl Into<PathBuf>, source: std::io::Error) -> Self {
        Self::Io { path: path.into(), source }
    }
}
