//! A store in memory that refuses, once it is told to, every commit that writes a document: as one whose disk has failed.

use std::sync::atomic::{AtomicBool, Ordering};

use jiff::Timestamp;
use store::rows::{Fence, Key, LogLine, Metric, Row, Stored};
use store::{
    Answer, Batch, Claim, Claimed, Clear, Cleared, Count, Error, Lsn, MemoryStore, Page, Query, Rows, Step, Store, View,
};

use crate::passed_on::passed_on;

/// The store.
#[derive(Default)]
pub struct Failing {
    inner: MemoryStore,
    fails: AtomicBool,
}

impl Failing {
    /// Refuses from now on, or no more.
    pub fn fail(&self, fails: bool) {
        self.fails.store(fails, Ordering::SeqCst);
    }
}

impl Store for Failing {
    passed_on!();

    fn commit(&self, batch: Batch) -> Answer<'_, Lsn> {
        let writes = batch.steps.iter().any(|step| matches!(step, Step::Put(Row::Document(_))));
        if writes && self.fails.load(Ordering::SeqCst) {
            return Box::pin(async { Err(Error::ReadOnly { reason: "its disk has failed".to_owned() }) });
        }
        self.inner.commit(batch)
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
}
