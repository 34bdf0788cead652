//! The embedded store itself: its state, and how commits and reads go through it.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};
use std::thread::JoinHandle;

use super::base::{Base, Shelf, SledShelf};
use super::blobs::DiskBlobs;
use super::disk::SharedDisk;
use super::journal::{StoreId, Writer};
use super::layers::Layers;
use super::manifest::{Manifest, Numbers};
use super::pump::{Gauges, Queue};
use super::recovery::{self, Report};
use crate::Lsn;
use crate::batch::Batch;
use crate::error::Error;
use crate::index::keys;
use crate::index::plan::{self, Counted, Part};
use crate::index::stage::Stage;
use crate::index::table::{Entry, Ordered, Removed, Table};
use crate::local::{self, Local};
use crate::query::{Count, Page, Query, Rows};
use crate::rows::{BlobId, Fence, Key, LogLine, Metric, Row, Stored};
use crate::store::{Answer, BlobReader, BlobWriter, Claim, Claimed, Clear, Cleared, Health, Store, View};
use crate::watch::{Hub, Topic, Watch};
use jiff::Timestamp;

/// Where sled is, within the data directory.
pub const INDEX_FOLDER: &str = "index";

/// How an embedded store is run.
#[derive(Clone, Debug)]
pub struct Options {
    pub pace: Pace,
    /// What things are looked up in.
    pub index: Index,
    /// A new journal segment is begun once one is so long.
    pub segment_bytes: u64,
    /// A checkpoint is due once so many keys are not in the index: bounds memory and the time of the next start.
    pub checkpoint_keys: usize,
    /// A checkpoint is due once the journal is so long.
    pub checkpoint_bytes: u64,
    /// Commits are refused when less room is left: enough for checkpoints and for ending in order.
    pub reserve_bytes: u64,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            pace: Pace::Threads,
            index: Index::default(),
            segment_bytes: 16 << 20,
            checkpoint_keys: 400_000,
            checkpoint_bytes: 64 << 20,
            reserve_bytes: 256 << 20,
        }
    }
}

/// What things are looked up in. The runs are the truth up to the last checkpoint whichever it is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Index {
    /// The runs themselves: nothing is kept twice, nothing can fall behind, every block that is read is checked.
    #[default]
    Runs,
    /// A copy of the runs in sled, checked when it is opened and made again when it does not fit.
    Sled,
}

/// Who writes the journal and makes checkpoints.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pace {
    /// Threads of the store's own.
    Threads,
    /// Whoever waits for a commit; checkpoints only on request. For simulations, where every step must be the same
    /// with the same seed.
    ByHand,
}

/// What a store holds and does, in figures.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stats {
    pub head: Lsn,
    pub durable: Lsn,
    pub checkpoint: Lsn,
    /// Syncs of the journal since the start.
    pub syncs: u64,
    pub journal_bytes: u64,
    pub run_bytes: u64,
    pub pack_bytes: u64,
    pub index_bytes: u64,
    /// Keys in memory that are not in the index yet.
    pub overlay_keys: usize,
}

/// The embedded store. Dropping it writes what is waiting; [`EmbeddedStore::close`] also makes the next start fast.
pub struct EmbeddedStore {
    pub(super) inner: Arc<Inner>,
    threads: Mutex<Vec<JoinHandle<()>>>,
}

pub(super) struct Inner {
    pub core: RwLock<Core>,
    pub queue: Mutex<Queue>,
    /// Somebody wants the journal to move.
    pub wake: Condvar,
    /// A checkpoint is due.
    pub due: Condvar,
    /// The journal has moved.
    pub moved: Condvar,
    pub writer: Mutex<Writer>,
    pub hub: Hub,
    pub gauges: Gauges,
    pub disk: SharedDisk,
    pub store: StoreId,
    pub base: Arc<dyn Base>,
    /// Whether the base has everything a second time.
    pub base_is_copy: bool,
    pub manifest: Mutex<Manifest>,
    /// Of files that are not made yet.
    pub numbers: Numbers,
    /// Held for a whole checkpoint: one at a time.
    pub checkpointing: Mutex<()>,
    pub options: Options,
    pub blobs: DiskBlobs,
    _lock: Box<dyn Send + Sync>,
}

/// What readers and commits look at, under one lock.
pub(super) struct Core {
    pub overlay: Table,
    /// What is being checkpointed, and up to which commit. Shared once all of it is durable.
    pub frozen: Option<(Arc<Table>, Lsn)>,
    pub head: Lsn,
    pub durable: Lsn,
    /// Why commits are refused.
    pub refusal: Option<Refusal>,
}

/// Why commits are refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// For now.
    Full(String),
    /// For ever.
    Failed(String),
}

impl Refusal {
    pub fn error(&self) -> Error {
        match self {
            Refusal::Full(reason) => Error::Full { reason: reason.clone() },
            Refusal::Failed(reason) => Error::ReadOnly { reason: reason.clone() },
        }
    }
}

impl EmbeddedStore {
    /// Opens the store in a folder of the operating system: what a server uses.
    pub fn open_folder(path: &std::path::Path, options: Options) -> Result<(Self, Report), Error> {
        let disk = super::disk::RealDisk::new(path).map_err(recovery::cannot_use(path))?;
        match options.index {
            Index::Runs => Self::open(Arc::new(disk), &super::base::RunsShelf, options),
            Index::Sled => Self::open(Arc::new(disk), &SledShelf::new(path.join(INDEX_FOLDER)), options),
        }
    }

    /// Opens the store on a disk, or makes one where there is nothing.
    pub fn open(disk: SharedDisk, shelf: &dyn Shelf, options: Options) -> Result<(Self, Report), Error> {
        let (recovered, mut report) = recovery::open(&disk, shelf)?;
        let last = recovered.last;
        let writer_options = super::journal::Options { segment_bytes: options.segment_bytes };
        let writer = Writer::new(disk.clone(), recovered.store, writer_options, recovered.segments, last);
        let core = Core { overlay: recovered.overlay, frozen: None, head: last, durable: last, refusal: None };
        let blobs = DiskBlobs::new(disk.clone())?;
        let inner = Arc::new(Inner {
            core: RwLock::new(core),
            queue: Mutex::new(Queue::new(last)),
            wake: Condvar::new(),
            due: Condvar::new(),
            moved: Condvar::new(),
            writer: Mutex::new(writer),
            hub: Hub::default(),
            gauges: Gauges { head: AtomicU64::new(last.0), ..Gauges::default() },
            disk,
            store: recovered.store,
            base: recovered.base,
            base_is_copy: shelf.is_copy(),
            numbers: Numbers::from(recovered.manifest.next_file),
            manifest: Mutex::new(recovered.manifest),
            checkpointing: Mutex::new(()),
            options,
            blobs,
            _lock: recovered.lock,
        });
        report.crowded = inner.look_at_room();
        if inner.options.pace == Pace::Threads && inner.is_due() {
            // Now, and not beside the work: a server that is killed again and again may never live long enough for it, and would start
            // later every time.
            let began = std::time::Instant::now();
            match inner.checkpoint() {
                Ok(()) => report.settled = Some(began.elapsed()),
                Err(error) => tracing::warn!(%error, "a checkpoint was not made at the start; it is tried again"),
            }
        }
        let threads = match inner.options.pace {
            Pace::Threads => inner.start_threads()?,
            Pace::ByHand => Vec::new(),
        };
        Ok((Self { inner, threads: Mutex::new(threads) }, report))
    }

    /// Ends in good order: everything durable and checkpointed. Nobody must use the store any more.
    pub fn close(self) -> Result<(), Error> {
        let head = self.inner.read().head;
        self.inner.wait_durable(head)?;
        self.checkpoint()?;
        self.end_threads();
        self.inner.base.close();
        Ok(())
    }

    /// Makes a checkpoint now.
    pub fn checkpoint(&self) -> Result<(), Error> {
        self.inner.checkpoint()
    }

    /// Looks at everything that is stored; an error names the first thing that is not as it was written.
    pub fn verify(&self) -> Result<(), Error> {
        self.inner.verify()
    }

    /// Figures.
    pub fn stats(&self) -> Stats {
        let (head, durable, overlay_keys) = {
            let core = self.inner.read();
            (core.head, core.durable, core.overlay.len() + core.frozen.as_ref().map_or(0, |(table, _)| table.len()))
        };
        let (syncs, journal_bytes) = {
            let writer = lock(&self.inner.writer);
            (writer.syncs, writer.bytes())
        };
        let (checkpoint, run_bytes, pack_bytes) = {
            let manifest = lock(&self.inner.manifest);
            let run_bytes = manifest.runs.iter().map(|run| run.bytes).sum();
            (manifest.checkpoint, run_bytes, manifest.packs().map(|pack| pack.bytes).sum())
        };
        let index_bytes = self.inner.base.size_bytes();
        Stats { head, durable, checkpoint, syncs, journal_bytes, run_bytes, pack_bytes, index_bytes, overlay_keys }
    }

    fn end_threads(&self) {
        lock(&self.inner.queue).closing = true;
        self.inner.wake.notify_all();
        self.inner.due.notify_all();
        for thread in lock(&self.threads).drain(..) {
            // A thread that panicked has already made the store refuse.
            drop(thread.join());
        }
    }
}

impl Drop for EmbeddedStore {
    fn drop(&mut self) {
        self.end_threads();
    }
}

pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Inner {
    /// Whether a checkpoint is due.
    pub fn is_due(&self) -> bool {
        lock(&self.writer).bytes() >= self.options.checkpoint_bytes
            || self.read().overlay.len() >= self.options.checkpoint_keys
    }

    pub fn read(&self) -> RwLockReadGuard<'_, Core> {
        self.core.read().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn write(&self) -> RwLockWriteGuard<'_, Core> {
        self.core.write().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Core {
    /// A table for what comes after everything that is durable.
    pub fn empty_overlay(durable: Lsn) -> Table {
        Table::new(Removed::Stay, durable)
    }

    pub fn layers<'a>(&'a self, base: &'a dyn Base, view: View) -> Layers<'a> {
        let lsn = match view {
            View::Newest => self.head,
            View::Durable => self.durable,
        };
        let frozen = self.frozen.as_ref().map(|(table, _)| table.as_ref());
        Layers { tables: [Some(&self.overlay), frozen], base, lsn }
    }
}

impl Local for EmbeddedStore {
    fn apply<T>(&self, work: impl FnOnce(&mut Stage<'_>) -> Result<T, Error>) -> Result<(Lsn, T), Error> {
        let inner = &self.inner;
        let (lsn, value, topics) = {
            let mut core = inner.write();
            if let Some(refusal) = &core.refusal {
                return Err(refusal.error());
            }
            let lsn = Lsn(core.head.0 + 1);
            let layers = core.layers(inner.base.as_ref(), View::Newest);
            let mut stage = Stage::new(&layers, lsn);
            let value = work(&mut stage)?;
            let outcome = stage.done();
            core.head = lsn;
            for (key, entry) in outcome.changes {
                core.overlay.write(lsn, key, entry);
            }
            if core.frozen.is_some() {
                inner.gauges.waiting_keys.store(core.overlay.len(), Ordering::Relaxed);
            }
            inner.gauges.head.store(lsn.0, Ordering::Release);
            // Queued under the same lock: the journal has commits in their order.
            inner.enqueue(lsn, outcome.effects);
            (lsn, value, outcome.topics)
        };
        inner.hub.hint_twice(lsn, topics);
        Ok((lsn, value))
    }

    fn part(&self, view: View, query: &Query, after: Option<&[u8]>, size: usize, budget: usize) -> Result<Part, Error> {
        let core = self.inner.read();
        plan::part(&core.layers(self.inner.base.as_ref(), view), query, after, size, budget)
    }

    fn counted(
        &self,
        view: View,
        query: &Query,
        after: Option<&[u8]>,
        size: usize,
        budget: usize,
    ) -> Result<Counted, Error> {
        let core = self.inner.read();
        plan::count(&core.layers(self.inner.base.as_ref(), view), query, after, size, budget)
    }

    fn newest(&self) -> Lsn {
        self.inner.read().head
    }
}

impl EmbeddedStore {
    /// Does something now, or once the disk has caught up.
    fn with_room<'a, T: Send + 'a>(&'a self, work: impl FnOnce() -> Result<T, Error> + Send + 'a) -> Answer<'a, T> {
        if !self.inner.is_crowded() {
            return answer(work());
        }
        Box::pin(async move {
            self.inner.room(self.newest()).await?;
            work()
        })
    }
}

fn answer<'a, T: Send + 'a>(result: Result<T, Error>) -> Answer<'a, T> {
    Box::pin(std::future::ready(result))
}

impl Store for EmbeddedStore {
    fn commit(&self, batch: Batch) -> Answer<'_, Lsn> {
        self.with_room(move || local::commit(self, batch))
    }

    fn durable(&self, lsn: Lsn) -> Answer<'_, ()> {
        Box::pin(self.inner.durable(lsn))
    }

    fn head(&self) -> Lsn {
        self.newest()
    }

    fn get(&self, view: View, key: Key) -> Answer<'_, Option<Stored<Row>>> {
        let core = self.inner.read();
        let found = core.layers(self.inner.base.as_ref(), view).get(&keys::key_bytes(&key));
        answer(found.map(|found| match found {
            Some(Entry::Row(row)) => Some(row),
            _ => None,
        }))
    }

    fn scan(&self, view: View, query: Query, page: Page) -> Answer<'_, Rows> {
        Box::pin(local::scan(self, view, query, page))
    }

    fn count(&self, view: View, query: Query, limit: usize) -> Answer<'_, Count> {
        Box::pin(local::count(self, view, query, limit))
    }

    fn claim(&self, claim: Claim) -> Answer<'_, Claimed> {
        answer(local::claim(self, &claim))
    }

    fn renew(&self, fences: Vec<Fence>, until: Timestamp) -> Answer<'_, Vec<Fence>> {
        answer(local::renew(self, fences, until))
    }

    fn release(&self, fences: Vec<Fence>) -> Answer<'_, Lsn> {
        answer(local::release(self, fences))
    }

    fn append_logs(&self, lines: Vec<LogLine>) -> Answer<'_, Lsn> {
        self.with_room(move || local::append_logs(self, lines))
    }

    fn append_metrics(&self, metrics: Vec<Metric>) -> Answer<'_, Lsn> {
        answer(local::append_metrics(self, metrics))
    }

    fn clear(&self, what: Clear) -> Answer<'_, Cleared> {
        answer(local::clear(self, &what))
    }

    fn watch(&self, topic: Topic) -> Watch {
        self.inner.hub.watch(topic)
    }

    fn write_blob(&self, now: Timestamp) -> Answer<'_, Box<dyn BlobWriter>> {
        answer(self.inner.blobs.writer(now))
    }

    fn read_blob(&self, id: BlobId, offset: u64) -> Answer<'_, Option<Box<dyn BlobReader>>> {
        answer(self.inner.blobs.reader(&id, offset))
    }

    fn collect_blobs(&self, before: Timestamp) -> Answer<'_, usize> {
        Box::pin(async move {
            // What named a blob a moment ago does again after a power cut. On a full disk nothing becomes durable, and
            // collecting is what gives room: then it has to do that both views say that nobody names it.
            match self.inner.durable(self.newest()).await {
                Ok(()) | Err(Error::Full { .. }) => {}
                Err(error) => return Err(error),
            }
            self.inner.blobs.collect(before, |id| local::is_named(self, id))
        })
    }

    fn health(&self) -> Health {
        if self.inner.base.broken() {
            return Health::Failed { reason: "the index has failed\nhint: start again, it is rebuilt".into() };
        }
        match &self.inner.read().refusal {
            None => Health::Ready,
            Some(Refusal::Full(reason)) => Health::ReadOnly { reason: reason.clone() },
            Some(Refusal::Failed(reason)) => Health::Failed { reason: reason.clone() },
        }
    }
}
