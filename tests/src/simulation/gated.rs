//! The store as the simulated machine sees it: the real embedded store, each call a step of the machine that may take time or be its
//! last. Also what its own threads would do: write what nobody waits for, make checkpoints.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use store::embedded::EmbeddedStore;
use store::embedded::disk::simulated::SimulatedDisk;
use store::rows::{BlobId, Fence, Key, LogLine, Metric, Row, Stored};
use store::{
    Answer, Batch, BlobReader, BlobWriter, Claim, Claimed, Clear, Cleared, Count, Error, Health, Lsn, Page, Query,
    Rows, Store, Topic, View, Watch,
};
use tokio::sync::Notify;

use super::dice::Dice;
use super::power::Power;

/// Longest a commit waits that nobody waits for, as in the store.
const LONGEST_WAIT: Duration = Duration::from_millis(50);
/// How soon what found no room is tried again.
const TRY_AGAIN: Duration = Duration::from_millis(200);
/// One in so many groups is followed by a checkpoint.
const CHECKPOINT_EVERY: u64 = 12;

/// The store of one life.
pub struct Gated {
    pub inner: Arc<EmbeddedStore>,
    power: Arc<Power>,
    disk: SimulatedDisk,
    /// The operation of the disk before which its power goes.
    off_at: Option<u64>,
    committed: Notify,
}

impl Gated {
    pub fn new(inner: EmbeddedStore, power: Arc<Power>, disk: SimulatedDisk, off_at: Option<u64>) -> Arc<Self> {
        Arc::new(Self { inner: Arc::new(inner), power, disk, off_at, committed: Notify::new() })
    }

    /// Ends the machine where its disk has ended, or its store has: a server whose journal fails ends at once.
    fn look(&self) {
        let disk_is_off = self.off_at.is_some_and(|at| self.disk.operations() >= at);
        if disk_is_off || matches!(self.inner.health(), Health::Failed { .. }) {
            self.power.cut();
        }
    }

    async fn step<T>(&self, call: Answer<'_, T>) -> Result<T, Error> {
        let result = call.await;
        self.look();
        self.power.step().await;
        result
    }

    /// What the threads of the store do.
    pub async fn run(self: Arc<Self>, dice: Dice) {
        loop {
            self.committed.notified().await;
            tokio::time::sleep(LONGEST_WAIT).await;
            while self.durable(self.head()).await.is_err() {
                tokio::time::sleep(TRY_AGAIN).await;
            }
            if dice.below(CHECKPOINT_EVERY) == 0 {
                self.power.step().await;
                // One that fails is made again later; what it was about is in the journal.
                drop(self.inner.checkpoint());
                self.look();
                self.power.step().await;
            }
        }
    }
}

/// A call to the store between two steps.
macro_rules! gated {
    ($self:ident, $call:expr) => {
        Box::pin(async move {
            $self.power.step().await;
            $self.step($call).await
        })
    };
}

impl Store for Gated {
    fn commit(&self, batch: Batch) -> Answer<'_, Lsn> {
        Box::pin(async move {
            self.power.step().await;
            let result = self.inner.commit(batch).await;
            self.committed.notify_one();
            self.step(Box::pin(std::future::ready(result))).await
        })
    }

    fn durable(&self, lsn: Lsn) -> Answer<'_, ()> {
        gated!(self, self.inner.durable(lsn))
    }

    fn head(&self) -> Lsn {
        self.inner.head()
    }

    fn get(&self, view: View, key: Key) -> Answer<'_, Option<Stored<Row>>> {
        gated!(self, self.inner.get(view, key))
    }

    fn scan(&self, view: View, query: Query, page: Page) -> Answer<'_, Rows> {
        gated!(self, self.inner.scan(view, query, page))
    }

    fn count(&self, view: View, query: Query, limit: usize) -> Answer<'_, Count> {
        gated!(self, self.inner.count(view, query, limit))
    }

    fn claim(&self, claim: Claim) -> Answer<'_, Claimed> {
        gated!(self, self.inner.claim(claim))
    }

    fn renew(&self, fences: Vec<Fence>, until: Timestamp) -> Answer<'_, Vec<Fence>> {
        self.committed.notify_one();
        gated!(self, self.inner.renew(fences, until))
    }

    fn release(&self, fences: Vec<Fence>) -> Answer<'_, Lsn> {
        self.committed.notify_one();
        gated!(self, self.inner.release(fences))
    }

    fn append_logs(&self, lines: Vec<LogLine>) -> Answer<'_, Lsn> {
        self.committed.notify_one();
        gated!(self, self.inner.append_logs(lines))
    }

    fn append_metrics(&self, metrics: Vec<Metric>) -> Answer<'_, Lsn> {
        self.committed.notify_one();
        gated!(self, self.inner.append_metrics(metrics))
    }

    fn clear(&self, what: Clear) -> Answer<'_, Cleared> {
        self.committed.notify_one();
        gated!(self, self.inner.clear(what))
    }

    fn watch(&self, topic: Topic) -> Watch {
        self.inner.watch(topic)
    }

    fn write_blob(&self, now: Timestamp) -> Answer<'_, Box<dyn BlobWriter>> {
        gated!(self, self.inner.write_blob(now))
    }

    fn read_blob(&self, id: BlobId, offset: u64) -> Answer<'_, Option<Box<dyn BlobReader>>> {
        gated!(self, self.inner.read_blob(id, offset))
    }

    fn collect_blobs(&self, before: Timestamp) -> Answer<'_, usize> {
        gated!(self, self.inner.collect_blobs(before))
    }

    fn health(&self) -> Health {
        self.inner.health()
    }
}
