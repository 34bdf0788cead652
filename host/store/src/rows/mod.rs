//! The rows a store keeps: one type per kind, each with its key and its format version.
//!
//! Rows are inner types, never wire types. They are shared (`Arc`) and immutable once they are stored: to change one,
//! put another. A row never holds a secret in clear, and never more than [`crate::MAX_TEXT_BYTES`] in one text: what is
//! larger is a blob that the row names.

mod data;
mod execution;
mod flow;
mod key;
mod payload;
mod service;
mod work;

use std::sync::Arc;

pub use data::{BlobId, BlobInfo, Document, File, Kv, Secret, SecretTag};
pub use execution::{Change, Execution, LogLine, Metric, MetricKind, Snapshot, TaskRun};
pub use flow::{Backfill, Flow, TriggerState};
pub use key::{DocumentKey, JobKey, Key, MessageKey, NamespaceKey, Target, TimerKey};
pub use payload::{Payload, PayloadError};
pub use service::{Audit, Boot, Node, NodeId, Setting};
pub use work::{Fence, Holder, Job, Lease, Message, Timer, UniqueKey, UniqueName};

use crate::Lsn;

/// A row type: what ties it to its kind, its key and its stored form.
pub trait Record: Send + Sync + Sized + 'static {
    /// Which kind of row.
    const KIND: Kind;
    /// The format this program writes. Older ones are upcast when read, newer ones refused.
    const FORMAT: u16;
    /// Where it is kept.
    fn row_key(&self) -> Key;
    /// As one of all rows.
    fn into_row(this: Arc<Self>) -> Row;
    /// Back again; `None` if the row is of another kind.
    fn from_row(row: &Row) -> Option<&Arc<Self>>;
}

macro_rules! rows {
    ($($(#[$doc:meta])* $kind:ident = $code:literal, format $format:literal;)*) => {
        /// The kinds of rows. The numbers are stored: they never change and are never used again.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Kind {
            $($(#[$doc])* $kind = $code,)*
        }

        impl Kind {
            /// Every kind.
            pub const ALL: &'static [Kind] = &[$(Kind::$kind),*];

            /// The stored number.
            pub fn code(self) -> u8 {
                self as u8
            }

            /// The kind of a stored number.
            pub fn from_code(code: u8) -> Option<Self> {
                match code {
                    $($code => Some(Kind::$kind),)*
                    _ => None,
                }
            }

            /// The format this program writes for the kind.
            pub fn format(self) -> u16 {
                match self {
                    $(Kind::$kind => $format,)*
                }
            }
        }

        /// Any row.
        #[derive(Clone, Debug, PartialEq)]
        pub enum Row {
            $($(#[$doc])* $kind(Arc<rows!(@type $kind)>),)*
        }

        impl Row {
            /// Which kind.
            pub fn kind(&self) -> Kind {
                match self {
                    $(Row::$kind(_) => Kind::$kind,)*
                }
            }

            /// Where it is kept.
            pub fn key(&self) -> Key {
                match self {
                    $(Row::$kind(row) => row.row_key(),)*
                }
            }

            /// The row as JSON, appended to `out`.
            pub(crate) fn write_json(&self, out: &mut Vec<u8>) -> Result<(), serde_json::Error> {
                match self {
                    $(Row::$kind(row) => serde_json::to_writer(out, row.as_ref()),)*
                }
            }

            /// The row from JSON of the present format.
            pub(crate) fn from_json(kind: Kind, json: &[u8]) -> Result<Row, serde_json::Error> {
                Ok(match kind {
                    $(Kind::$kind => Row::$kind(Arc::new(serde_json::from_slice(json)?)),)*
                })
            }
        }

        $(
            impl Record for rows!(@type $kind) {
                const KIND: Kind = Kind::$kind;
                const FORMAT: u16 = $format;

                fn row_key(&self) -> Key {
                    self.stored_at()
                }

                fn into_row(this: Arc<Self>) -> Row {
                    Row::$kind(this)
                }

                fn from_row(row: &Row) -> Option<&Arc<Self>> {
                    match row {
                        Row::$kind(row) => Some(row),
                        _ => None,
                    }
                }
            }

            impl From<rows!(@type $kind)> for Row {
                fn from(row: rows!(@type $kind)) -> Row {
                    Row::$kind(Arc::new(row))
                }
            }

            impl From<Arc<rows!(@type $kind)>> for Row {
                fn from(row: Arc<rows!(@type $kind)>) -> Row {
                    Row::$kind(row)
                }
            }
        )*
    };
    (@type Trigger) => { TriggerState };
    (@type Unique) => { UniqueKey };
    (@type Log) => { LogLine };
    (@type $kind:ident) => { $kind };
}

rows! {
    /// One revision of a flow.
    Flow = 1, format 1;
    /// An execution as it is shown and listed.
    Execution = 2, format 1;
    /// The state of an execution up to one of its changes.
    Snapshot = 3, format 1;
    /// One change of an execution: what its state is made of.
    Change = 4, format 1;
    /// A task run as it is shown.
    TaskRun = 5, format 1;
    /// Work for a worker.
    Job = 6, format 1;
    /// Something to do at a time.
    Timer = 7, format 1;
    /// The state of a trigger.
    Trigger = 8, format 1;
    /// A value of a namespace.
    Kv = 9, format 1;
    /// An effect on somebody else, drained once.
    Message = 10, format 1;
    /// A name that only one holder can have.
    Unique = 11, format 1;
    /// A sealed secret of a namespace.
    Secret = 12, format 1;
    /// One line of log.
    Log = 13, format 1;
    /// One measurement.
    Metric = 14, format 1;
    /// A file of the internal storage or of a namespace.
    File = 15, format 1;
    /// A running server.
    Node = 16, format 1;
    /// Who did what.
    Audit = 17, format 1;
    /// A document that is kept but not run: an app, a test suite, a dashboard.
    Document = 18, format 1;
    /// A setting of the server that outlives it: a pin, a block, a grant.
    Setting = 19, format 1;
}

/// A row with the version it has in the store.
#[derive(Debug, PartialEq)]
pub struct Stored<T> {
    /// The commit that wrote it: what [`crate::Precondition::Version`] compares.
    pub version: Lsn,
    /// The row.
    pub row: T,
}

impl<T: Clone> Clone for Stored<T> {
    fn clone(&self) -> Self {
        Self { version: self.version, row: self.row.clone() }
    }
}

impl<T> std::ops::Deref for Stored<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.row
    }
}

impl Stored<Row> {
    /// The row as its own type; `None` if it is of another.
    pub fn typed<T: Record>(&self) -> Option<Stored<Arc<T>>> {
        T::from_row(&self.row).map(|row| Stored { version: self.version, row: Arc::clone(row) })
    }
}
