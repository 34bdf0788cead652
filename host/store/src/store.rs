//! The store: what keeps the state of a server, and what everybody above it may rely on.
//!
//! How each backend serves it. *Memory*: ordered maps under one lock. *Embedded*: a journal and runs that are the truth,
//! an overlay of what is newest, an index that can be made again. *PostgreSQL*: a table per kind of row (key columns, the
//! indexed columns, `version`, `format`, the row as `jsonb`), readable by any SQL client; one transaction per commit.
//! Nothing may be in this trait that one of the three cannot serve.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use bytes::Bytes;
use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use crate::batch::Batch;
use crate::error::Error;
use crate::query::{Count, Page, Query, Rows};
use crate::rows::{BlobId, BlobInfo, Boot, Fence, Job, Key, LogLine, Metric, NodeId, Record, Row, Stored};
use crate::watch::{Topic, Watch};

/// The answer of a store, later.
pub type Answer<'a, T> = Pin<Box<dyn Future<Output = Result<T, Error>> + Send + 'a>>;

/// The number of a commit: grows with every commit of a store, and is the version of what the commit wrote.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Lsn(pub u64);

impl Lsn {
    /// Before the first commit.
    pub const START: Lsn = Lsn(0);
}

impl std::fmt::Display for Lsn {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}", self.0)
    }
}

/// Which state a reader sees.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum View {
    /// Everything committed: for who decides. Nothing read so may leave the process before it is durable.
    Newest,
    /// What is durable: for clients. Whatever was acknowledged is in it.
    Durable,
}

/// A worker asking for jobs.
#[derive(Clone, Debug, PartialEq)]
pub struct Claim {
    pub node: NodeId,
    pub boot: Boot,
    pub queue: Arc<str>,
    /// At most so many.
    pub limit: usize,
    /// The time now. A store that several nodes share takes its own instead.
    pub now: Timestamp,
    /// How long the lease lasts.
    pub lease: SignedDuration,
}

/// Jobs that were claimed, each with its lease.
#[derive(Clone, Debug, PartialEq)]
pub struct Claimed {
    /// The commit that leased them: before work is handed to *another* node, this must be durable.
    pub lsn: Lsn,
    pub jobs: Vec<Arc<Job>>,
}

/// Most jobs of one claim: more than a node has workers.
pub const MAX_CLAIM: usize = 1_024;
/// Most lines of one append, so that it is one small record.
pub const MAX_LINES: usize = 16_384;

/// How well a store does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Health {
    /// It reads and writes.
    Ready,
    /// It reads; writing may come back by itself.
    ReadOnly {
        /// Why.
        reason: String,
    },
    /// It has lost its ground and this process must end.
    Failed {
        /// Why.
        reason: String,
    },
}

/// Durable state. Object-safe: `Arc<dyn Store>`.
///
/// Two rules carry everything above. A commit is atomic, and seen by [`View::Newest`] from its return on. Nobody
/// outside the process may learn of it before [`Store::durable`] has returned for its [`Lsn`] or a later one.
pub trait Store: Send + Sync + 'static {
    /// Commits a batch, or refuses it with [`Error::Conflict`] and does nothing. Does not wait for the disk.
    ///
    /// *Memory, embedded*: checked and applied under one lock; embedded queues one journal record. *PostgreSQL*: one
    /// transaction; versions by `where version = $n`, unique keys and changes by their primary key, messages by
    /// `on conflict do nothing`; the `Lsn` is drawn from a sequence. A connection that breaks in `commit` is answered
    /// by reading again, not by guessing.
    fn commit(&self, batch: Batch) -> Answer<'_, Lsn>;

    /// Waits until a commit, and all before it, cannot be lost any more; [`Error::Lost`] if they were.
    ///
    /// *Memory*: at once. *Embedded*: makes the journal sync and waits for it. *PostgreSQL*: at once, its commit has
    /// waited.
    fn durable(&self, lsn: Lsn) -> Answer<'_, ()>;

    /// The last commit of this process: what a gate waits for.
    fn head(&self) -> Lsn;

    /// One row. *PostgreSQL*: by primary key; both views are the same.
    fn get(&self, view: View, key: Key) -> Answer<'_, Option<Stored<Row>>>;

    /// A page of rows. Each page is taken from one state; going on from its position is stable under writes.
    ///
    /// *Memory, embedded*: ordered index entries, intersected where several serve. *PostgreSQL*: keyset paging, one
    /// prepared statement per form of the question, an index per sorted column list; never `offset`.
    fn scan(&self, view: View, query: Query, page: Page) -> Answer<'_, Rows>;

    /// How many rows answer, counting no further than `limit`.
    fn count(&self, view: View, query: Query, limit: usize) -> Answer<'_, Count>;

    /// Leases due jobs that nobody has, longest due first, each with the next epoch.
    ///
    /// *Memory, embedded*: a commit of its own. *PostgreSQL*: `select … for update skip locked limit n`, then an
    /// update with the database's `now()`.
    fn claim(&self, claim: Claim) -> Answer<'_, Claimed>;

    /// Makes leases last until `until`. Gives back those that are over: their work must stop.
    fn renew(&self, fences: Vec<Fence>, until: Timestamp) -> Answer<'_, Vec<Fence>>;

    /// Gives leases back: the jobs can be claimed at once. Those that are over already are left as they are.
    fn release(&self, fences: Vec<Fence>) -> Answer<'_, Lsn>;

    /// Appends log lines; they get their positions in this order. Durable with the `Lsn`.
    ///
    /// *Embedded*: in the journal at once, in packs with the next checkpoint. *PostgreSQL*: `copy` into a table partitioned
    /// by day, the position from a sequence.
    fn append_logs(&self, lines: Vec<LogLine>) -> Answer<'_, Lsn>;

    /// Appends metrics, as [`Store::append_logs`].
    fn append_metrics(&self, metrics: Vec<Metric>) -> Answer<'_, Lsn>;

    /// Removes what an execution or another target has, bounded; ask again while there is more.
    ///
    /// *Memory, embedded*: a commit that deletes. *PostgreSQL*: `delete … where ctid in (select … limit n)`.
    fn clear(&self, what: Clear) -> Answer<'_, Cleared>;

    /// Hints on a topic. *PostgreSQL*: `listen`, and a poll each second beside it.
    fn watch(&self, topic: Topic) -> Watch;

    /// Begins to write a blob, as of `now`. Nothing of it is there before it is finished and a row names it.
    ///
    /// *Embedded*: a temporary file, synced, renamed, its folder synced. *PostgreSQL*: an object store or a shared
    /// folder beside it.
    fn write_blob(&self, now: Timestamp) -> Answer<'_, Box<dyn BlobWriter>>;

    /// Reads a blob from an offset on; `None` if there is none of that name.
    fn read_blob(&self, id: BlobId, offset: u64) -> Answer<'_, Option<Box<dyn BlobReader>>>;

    /// Removes blobs that no row names and that were written before `before`: what writers left when they died.
    fn collect_blobs(&self, before: Timestamp) -> Answer<'_, usize>;

    /// How it does: what readiness tells.
    fn health(&self) -> Health;
}

/// Writes one blob. Dropping it unfinished leaves nothing.
pub trait BlobWriter: Send {
    /// Appends a piece.
    fn write(&mut self, piece: Bytes) -> Answer<'_, ()>;
    /// Ends it; it is durable when this returns.
    fn finish(self: Box<Self>) -> Answer<'static, BlobInfo>;
}

/// Reads one blob, piece by piece.
pub trait BlobReader: Send {
    /// The size of the whole blob.
    fn size_bytes(&self) -> u64;
    /// The next piece, at most [`BLOB_PIECE`] bytes; `None` at the end.
    fn read(&mut self) -> Answer<'_, Option<Bytes>>;
}

/// Largest piece a blob is read in: bounds what one reader holds.
pub const BLOB_PIECE: usize = 256 * 1024;

/// What [`Store::clear`] removes.
#[derive(Clone, Debug, PartialEq)]
pub enum Clear {
    /// The changes of an execution up to one that a snapshot holds. The last change is kept even then: it says where
    /// to append.
    Changes { execution: model::ids::ExecutionId, upto: u64 },
    /// The snapshots of an execution before one.
    Snapshots { execution: model::ids::ExecutionId, before: u64 },
    /// Log lines of a target.
    Logs(crate::rows::Target),
    /// Metrics of an execution.
    Metrics(model::ids::ExecutionId),
    /// Messages to a target, the memory of drained ones included.
    Inbox(crate::rows::Target),
    /// Everything an execution has, itself last.
    Execution(model::ids::ExecutionId),
}

/// What was removed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cleared {
    pub lsn: Lsn,
    pub rows: usize,
    /// Whether to ask again.
    pub more: bool,
}

/// Rows by their own type: a convenience over [`Store`], with nothing a backend must know.
impl dyn Store {
    /// One row of a known kind.
    pub async fn find<T: Record>(&self, view: View, key: Key) -> Result<Option<Stored<Arc<T>>>, Error> {
        if key.kind() != T::KIND {
            return Err(Error::Misuse(format!("`{key}` does not name a `{:?}`", T::KIND)));
        }
        match self.get(view, key).await? {
            None => Ok(None),
            Some(found) => typed(&found).map(Some),
        }
    }

    /// A page of rows of a known kind.
    pub async fn list<T: Record>(&self, view: View, query: Query, page: Page) -> Result<Rows<Arc<T>>, Error> {
        if query.kind() != T::KIND {
            return Err(Error::Misuse(format!("`{query:?}` is not answered by rows of kind `{:?}`", T::KIND)));
        }
        let rows = self.scan(view, query, page).await?;
        let items = rows.items.iter().map(typed).collect::<Result<_, _>>()?;
        Ok(Rows { items, next: rows.next })
    }

    /// All rows of a known kind, up to `limit`; more is [`Error::Limit`].
    pub async fn all<T: Record>(&self, view: View, query: Query, limit: usize) -> Result<Vec<Stored<Arc<T>>>, Error> {
        let mut items = Vec::new();
        let mut after = None;
        loop {
            let size = crate::query::MAX_PAGE;
            let mut rows = self.list::<T>(view, query.clone(), Page { size, after }).await?;
            items.append(&mut rows.items);
            crate::batch::within("an answer's number of rows", items.len(), limit)?;
            match rows.next {
                Some(next) => after = Some(next),
                None => return Ok(items),
            }
        }
    }
}

fn typed<T: Record>(found: &Stored<Row>) -> Result<Stored<Arc<T>>, Error> {
    let wrong = || Error::Corrupt { what: format!("a `{:?}` is where a `{:?}` should be", found.row.kind(), T::KIND) };
    found.typed::<T>().ok_or_else(wrong)
}
