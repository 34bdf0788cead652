//! A store in memory that counts what is committed to it: what an execution costs, without a clock.

use std::sync::atomic::{AtomicUsize, Ordering};

use jiff::Timestamp;
use store::rows::{BlobId, Fence, Key, LogLine, Metric, Row, Stored};
use store::{
    Answer, Batch, BlobReader, BlobWriter, Claim, Claimed, Clear, Cleared, Count, Health, Lsn, MemoryStore, Page,
    Query, Rows, Step, Store, Topic, View, Watch,
};

/// The store, and the counts.
#[derive(Default)]
pub struct Counting {
    inner: MemoryStore,
    steps: AtomicUsize,
    changes: AtomicUsize,
    bytes: AtomicUsize,
    largest: AtomicUsize,
}

/// What was committed up to some point.
#[derive(Clone, Copy, Debug, Default)]
pub struct Counts {
    /// Rows written or deleted, appends and messages.
    pub steps: usize,
    /// Changes of executions.
    pub changes: usize,
    /// Bytes of changes, snapshots, jobs and shown task runs.
    pub bytes: usize,
    /// Bytes of the largest snapshot.
    pub largest_snapshot: usize,
}

impl Counting {
    /// What was committed so far.
    pub fn counts(&self) -> Counts {
        Counts {
            steps: self.steps.load(Ordering::SeqCst),
            changes: self.changes.load(Ordering::SeqCst),
            bytes: self.bytes.load(Ordering::SeqCst),
            largest_snapshot: self.largest.load(Ordering::SeqCst),
        }
    }

    fn count(&self, batch: &Batch) {
        self.steps.fetch_add(batch.steps.len(), Ordering::SeqCst);
        for step in &batch.steps {
            let bytes = match step {
                Step::Append { changes, .. } => {
                    self.changes.fetch_add(changes.len(), Ordering::SeqCst);
                    changes.iter().map(|(_, change)| change.json.len()).sum()
                }
                Step::Put(Row::Snapshot(snapshot)) => {
                    self.largest.fetch_max(snapshot.state.json.len(), Ordering::SeqCst);
                    snapshot.state.json.len()
                }
                Step::Put(Row::Job(job)) => job.work.json.len(),
                Step::Put(Row::TaskRun(run)) => serde_json::to_string(&run.record).map_or(0, |json| json.len()),
                _ => 0,
            };
            self.bytes.fetch_add(bytes, Ordering::SeqCst);
        }
    }
}

impl Store for Counting {
    fn commit(&self, batch: Batch) -> Answer<'_, Lsn> {
        self.count(&batch);
        self.inner.commit(batch)
    }

    fn durable(&self, lsn: Lsn) -> Answer<'_, ()> {
        self.inner.durable(lsn)
    }

    fn head(&self) -> Lsn {
        self.inner.head()
    }

    fn get(&self, view: View, key: Key) -> Answer<'_, Option<Stored<Row>>> {
        self.inner.get(view, key)
    }

    fn scan(&self, view: View, query: Query, page: Page) -> Answer<'_, Rows> {
        self.inner.scan(view, query, page)
    }

    fn count(&self, view: View, query: Query, limit: usize) -> Answer<'_, Count> {
        self.inner.count(view, query, limit)
    }

    fn claim(&self, claim: Claim) -> Answer<'_, Claimed> {
        self.inner.claim(claim)
    }

    fn renew(&self, fences: Vec<Fence>, until: Timestamp) -> Answer<'_, Vec<Fence>> {
        self.inner.renew(fences, until)
    }

    fn release(&self, fences: Vec<Fence>) -> Answer<'_, Lsn> {
        self.inner.release(fences)
    }

    fn append_logs(&self, lines: Vec<LogLine>) -> Answer<'_, Lsn> {
        self.inner.append_logs(lines)
    }

    fn append_metrics(&self, metrics: Vec<Metric>) -> Answer<'_, Lsn> {
        self.inner.append_metrics(metrics)
    }

    fn clear(&self, what: Clear) -> Answer<'_, Cleared> {
        self.inner.clear(what)
    }

    fn watch(&self, topic: Topic) -> Watch {
        self.inner.watch(topic)
    }

    fn write_blob(&self, now: Timestamp) -> Answer<'_, Box<dyn BlobWriter>> {
        self.inner.write_blob(now)
    }

    fn read_blob(&self, id: BlobId, offset: u64) -> Answer<'_, Option<Box<dyn BlobReader>>> {
        self.inner.read_blob(id, offset)
    }

    fn collect_blobs(&self, before: Timestamp) -> Answer<'_, usize> {
        self.inner.collect_blobs(before)
    }

    fn health(&self) -> Health {
        self.inner.health()
    }
}
