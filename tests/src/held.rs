//! A store in memory whose next answer about the slots of a flow can be held back: it says what was so before something else happened.

use std::sync::atomic::{AtomicBool, Ordering};

use jiff::Timestamp;
use store::rows::{Fence, Key, LogLine, Metric, Row, Stored};
use store::{Answer, Batch, Claim, Claimed, Clear, Cleared, Count, Lsn, MemoryStore, Page, Query, Rows, Store, View};
use tokio::sync::Notify;

use crate::passed_on::passed_on;

/// The store.
#[derive(Default)]
pub struct Held {
    inner: MemoryStore,
    holds: AtomicBool,
    is_held: Notify,
    go_on: Notify,
}

impl Held {
    /// Holds the next answer back, once it is known.
    pub fn hold(&self) {
        self.holds.store(true, Ordering::SeqCst);
    }

    /// Waits until an answer is held back.
    pub async fn held(&self) {
        self.is_held.notified().await;
    }

    /// Gives the answer that is held back.
    pub fn lets_go(&self) {
        self.go_on.notify_one();
    }
}

impl Store for Held {
    passed_on!();

    fn commit(&self, batch: Batch) -> Answer<'_, Lsn> {
        self.inner.commit(batch)
    }

    fn get(&self, view: View, key: Key) -> Answer<'_, Option<Stored<Row>>> {
        self.inner.get(view, key)
    }

    fn scan(&self, view: View, query: Query, page: Page) -> Answer<'_, Rows> {
        Box::pin(async move {
            let is_about_slots = matches!(query, Query::SlotsOf(_));
            let answer = self.inner.scan(view, query, page).await;
            if is_about_slots && self.holds.swap(false, Ordering::SeqCst) {
                self.is_held.notify_one();
                self.go_on.notified().await;
            }
            answer
        })
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
}
