//! A store in memory that counts what is committed to it: what an execution costs, without a clock; or the time it takes, for benches.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use jiff::Timestamp;
use store::rows::{Fence, Key, LogLine, Metric, Row, Stored};
use store::{
    Answer, Batch, Claim, Claimed, Clear, Cleared, Count, Lsn, MemoryStore, Page, Query, Rows, Step, Store, View,
};

use crate::passed_on::passed_on;

/// The store, and the counts.
#[derive(Default)]
pub struct Counting {
    inner: MemoryStore,
    steps: AtomicUsize,
    changes: AtomicUsize,
    bytes: AtomicUsize,
    largest: AtomicUsize,
    /// Takes the time of its calls instead of counting, which costs more than they do.
    times: bool,
    spent_ns: AtomicU64,
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
    /// One that takes the time of its calls.
    pub fn timing() -> Self {
        Self { times: true, ..Self::default() }
    }

    /// How long its calls took in all.
    pub fn spent(&self) -> Duration {
        Duration::from_nanos(self.spent_ns.load(Ordering::SeqCst))
    }

    fn timed<T>(&self, call: impl FnOnce() -> T) -> T {
        let begun = Instant::now();
        let answer = call();
        self.add(begun);
        answer
    }

    async fn timed_later<T>(&self, call: Answer<'_, T>) -> Result<T, store::Error> {
        let begun = Instant::now();
        let answer = call.await;
        self.add(begun);
        answer
    }

    fn add(&self, begun: Instant) {
        let took = u64::try_from(begun.elapsed().as_nanos()).unwrap_or(u64::MAX);
        self.spent_ns.fetch_add(took, Ordering::SeqCst);
    }

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
    passed_on!();

    fn commit(&self, batch: Batch) -> Answer<'_, Lsn> {
        if !self.times {
            self.count(&batch);
        }
        self.timed(|| self.inner.commit(batch))
    }

    fn get(&self, view: View, key: Key) -> Answer<'_, Option<Stored<Row>>> {
        self.timed(|| self.inner.get(view, key))
    }

    fn scan(&self, view: View, query: Query, page: Page) -> Answer<'_, Rows> {
        Box::pin(self.timed_later(self.inner.scan(view, query, page)))
    }

    fn count(&self, view: View, query: Query, limit: usize) -> Answer<'_, Count> {
        Box::pin(self.timed_later(self.inner.count(view, query, limit)))
    }

    fn claim(&self, claim: Claim) -> Answer<'_, Claimed> {
        self.timed(|| self.inner.claim(claim))
    }

    fn renew(&self, fences: Vec<Fence>, until: Timestamp) -> Answer<'_, Vec<Fence>> {
        self.timed(|| self.inner.renew(fences, until))
    }

    fn release(&self, fences: Vec<Fence>) -> Answer<'_, Lsn> {
        self.timed(|| self.inner.release(fences))
    }

    fn append_logs(&self, lines: Vec<LogLine>) -> Answer<'_, Lsn> {
        self.timed(|| self.inner.append_logs(lines))
    }

    fn append_metrics(&self, metrics: Vec<Metric>) -> Answer<'_, Lsn> {
        self.timed(|| self.inner.append_metrics(metrics))
    }

    fn clear(&self, what: Clear) -> Answer<'_, Cleared> {
        self.timed(|| self.inner.clear(what))
    }
}
