//! What can go wrong with a store, by what the caller can do about it.

use crate::Lsn;
use crate::rows::{Fence, Holder, Key, Kind, UniqueName};

/// An error of a store.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Nothing was written: what the batch required is not so. Read again and decide again.
    #[error(transparent)]
    Conflict(#[from] Conflict),
    /// What was committed after `durable` is gone: drop what is cached and reload.
    #[error(
        "commits after `{durable}` were lost before they were durable\nhint: what was not acknowledged has to be sent again"
    )]
    Lost {
        /// The last commit that is still there.
        durable: Lsn,
    },
    /// Nothing was written, and nothing will be until there is room. Reading goes on. It resumes by itself.
    #[error("the store is read-only: {reason}\nhint: free space on its disk, it resumes by itself")]
    Full {
        /// What is full.
        reason: String,
    },
    /// Writing has ended for the life of this process: an fsync failed, or the store is opened read-only.
    #[error("the store no longer writes: {reason}")]
    ReadOnly {
        /// Why.
        reason: String,
    },
    /// Stored bytes are not what was written. A human must look.
    #[error("the store is damaged: {what}")]
    Corrupt {
        /// File, offset and what is wrong there.
        what: String,
    },
    /// The data directory is somebody else's. Nothing in it was touched.
    #[error("the data directory has `{found}` but no `{missing}`: it is not a store\nhint: name an empty directory")]
    Foreign {
        /// What is there.
        found: String,
        /// What a store would have.
        missing: &'static str,
    },
    /// Written by a newer program.
    #[error(
        "a stored `{kind:?}` has format {found}, this program knows up to {known}\nhint: use the version that wrote it, or a newer one"
    )]
    Newer {
        /// The kind of row.
        kind: Kind,
        /// Its format.
        found: u16,
        /// The newest known here.
        known: u16,
    },
    /// A file could not be read or written.
    #[error("`{path}`: {source}")]
    Io {
        /// Which file.
        path: String,
        /// What the system said.
        source: std::io::Error,
    },
    /// The request is larger than the store takes. Split it.
    #[error("{what} of {found} is over the limit of {limit}")]
    Limit {
        /// What is too large.
        what: &'static str,
        /// How large.
        found: usize,
        /// How large it may be.
        limit: usize,
    },
    /// The caller asked for something that cannot be: a defect of the caller.
    #[error("wrong use of the store: {0}")]
    Misuse(String),
}

/// Why a batch was refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Conflict {
    /// Somebody else wrote the row in between.
    #[error("`{key}` was changed by somebody else")]
    Version {
        /// Which row.
        key: Key,
        /// The version it has; `None`: it is gone.
        found: Option<Lsn>,
    },
    /// The row exists already.
    #[error("`{0}` exists already")]
    Exists(Key),
    /// Somebody else appended to the execution: this owner is no longer its owner.
    #[error("the last change of execution `{execution}` is {found}, not {expected}")]
    Sequence {
        /// Which execution.
        execution: model::ids::ExecutionId,
        /// Where the caller thought its changes end.
        expected: u64,
        /// Where they end.
        found: u64,
    },
    /// The job was leased again, released, or is gone.
    #[error("the lease of job `{}` with epoch {} is over", .0.job, .0.epoch)]
    Fence(Fence),
    /// Somebody else holds the unique key.
    #[error("`{name}` is held by {holder}")]
    Held {
        /// Which key.
        name: UniqueName,
        /// Who has it.
        holder: Holder,
    },
    /// The message was drained before, or never sent.
    #[error("`{0}` is not there to be drained")]
    Drained(Key),
}
