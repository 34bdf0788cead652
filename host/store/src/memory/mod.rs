//! The store in memory: complete, and gone when the process ends. Tests and `sluice run --store memory` use it, and
//! what the durable ones cost is measured against it.
//!
//! One lock is held for as long as one commit or one part of a page takes, never over an await. With
//! [`Durability::OnCommand`] a commit becomes durable only when a test says so, and can be lost like in a power cut.

mod blobs;
#[cfg(test)]
mod tests;

use std::future::ready;
use std::sync::{PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use jiff::Timestamp;
use tokio::sync::watch;

use crate::batch::Batch;
use crate::error::Error;
use crate::index::plan::{self, Counted, Part};
use crate::index::stage::Stage;
use crate::index::table::{Entry, Ordered, Removed, Table};
use crate::local::{self, Local};
use crate::query::{Count, Page, Query, Rows};
use crate::rows::{BlobId, Fence, Key, LogLine, Metric, Row, Stored};
use crate::store::{Answer, BlobReader, BlobWriter, Claim, Claimed, Clear, Cleared, Health, Store, View};
use crate::watch::{Hub, Topic, Watch};
use crate::{Lsn, index::keys};

/// When commits become durable.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Durability {
    /// With their commit.
    AtOnce,
    /// When a test calls [`MemoryStore::make_durable`].
    OnCommand,
}

/// The store in memory.
#[derive(Debug)]
pub struct MemoryStore {
    core: RwLock<Core>,
    /// Up to where it is durable, and what was lost.
    progress: watch::Sender<Progress>,
    hub: Hub,
    blobs: blobs::Blobs,
}

#[derive(Debug)]
struct Core {
    table: Table,
    head: Lsn,
    durability: Durability,
}

#[derive(Clone, Debug, Default)]
struct Progress {
    durable: Lsn,
    /// Ranges of commits that are gone: after the first, up to the second.
    lost: Vec<(Lsn, Lsn)>,
    /// Whether somebody waits: an embedded store would sync now.
    wanted: Lsn,
}

impl Default for MemoryStore {
    fn default() -> Self {
        Self::new(Durability::AtOnce)
    }
}

impl MemoryStore {
    /// An empty store.
    pub fn new(durability: Durability) -> Self {
        let table = Table::new(Removed::Vanish, Lsn::START);
        Self {
            core: RwLock::new(Core { table, head: Lsn::START, durability }),
            progress: watch::Sender::new(Progress::default()),
            hub: Hub::default(),
            blobs: blobs::Blobs::default(),
        }
    }

    /// Makes everything up to a commit durable. For tests with [`Durability::OnCommand`].
    pub fn make_durable(&self, upto: Lsn) {
        let durable = {
            let mut core = self.write();
            let upto = upto.min(core.head);
            core.table.advance(upto);
            core.table.durable()
        };
        self.progress.send_modify(|progress| progress.durable = progress.durable.max(durable));
        self.hub.durable(durable);
    }

    /// Loses what is not durable, as a power cut does; who waits for it gets [`Error::Lost`]. Numbers of lost commits
    /// are not used again.
    pub fn power_cut(&self) {
        let (durable, head) = {
            let mut core = self.write();
            core.table.roll_back();
            (core.table.durable(), core.head)
        };
        self.progress.send_modify(|progress| progress.lost.push((durable, head)));
        self.hub.lost();
    }

    /// The last commit somebody waited for: where a store with a disk would have synced.
    pub fn wanted(&self) -> Lsn {
        self.progress.borrow().wanted
    }

    /// Keys it holds, index entries included.
    pub fn keys(&self) -> usize {
        self.read().table.len()
    }

    fn read(&self) -> RwLockReadGuard<'_, Core> {
        self.core.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, Core> {
        self.core.write().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Local for MemoryStore {
    fn apply<T>(&self, work: impl FnOnce(&mut Stage<'_>) -> Result<T, Error>) -> Result<(Lsn, T), Error> {
        let (lsn, value, topics, durability) = {
            let mut core = self.write();
            let lsn = Lsn(core.head.0 + 1);
            let view = core.table.at(core.head);
            let mut stage = Stage::new(&view, lsn);
            let value = work(&mut stage)?;
            let outcome = stage.done();
            core.head = lsn;
            match core.durability {
                Durability::AtOnce => {
                    for (key, entry) in outcome.changes {
                        core.table.write_durable(lsn, key, entry);
                    }
                    core.table.advance(lsn);
                }
                Durability::OnCommand => {
                    for (key, entry) in outcome.changes {
                        core.table.write(lsn, key, entry);
                    }
                }
            }
            (lsn, value, outcome.topics, core.durability)
        };
        match durability {
            Durability::AtOnce => self.hub.hint(&topics),
            Durability::OnCommand => self.hub.hint_twice(lsn, topics),
        }
        Ok((lsn, value))
    }

    fn part(&self, view: View, query: &Query, after: Option<&[u8]>, size: usize, budget: usize) -> Result<Part, Error> {
        let core = self.read();
        plan::part(&core.table.at(core.seen(view)), query, after, size, budget)
    }

    fn counted(
        &self,
        view: View,
        query: &Query,
        after: Option<&[u8]>,
        size: usize,
        budget: usize,
    ) -> Result<Counted, Error> {
        let core = self.read();
        plan::count(&core.table.at(core.seen(view)), query, after, size, budget)
    }

    fn newest(&self) -> Lsn {
        self.read().head
    }
}

impl Core {
    fn seen(&self, view: View) -> Lsn {
        match view {
            View::Newest => self.head,
            View::Durable => self.table.durable(),
        }
    }
}

fn answer<T: Send + 'static>(result: Result<T, Error>) -> Answer<'static, T> {
    Box::pin(ready(result))
}

impl Store for MemoryStore {
    fn commit(&self, batch: Batch) -> Answer<'_, Lsn> {
        answer(local::commit(self, batch))
    }

    fn durable(&self, lsn: Lsn) -> Answer<'_, ()> {
        Box::pin(async move {
            {
                let core = self.read();
                if lsn > core.head {
                    return Err(Error::Misuse(format!("commit `{lsn}` does not exist")));
                }
                if core.durability == Durability::AtOnce {
                    return Ok(());
                }
            }
            let mut progress = self.progress.subscribe();
            self.progress.send_if_modified(|progress| {
                progress.wanted = progress.wanted.max(lsn);
                false
            });
            loop {
                {
                    let progress = progress.borrow_and_update();
                    if progress.lost.iter().any(|(after, upto)| *after < lsn && lsn <= *upto) {
                        return Err(Error::Lost { durable: progress.durable });
                    }
                }
                if self.read().table.durable() >= lsn {
                    return Ok(());
                }
                if progress.changed().await.is_err() {
                    return Err(Error::Lost { durable: Lsn::START });
                }
            }
        })
    }

    fn head(&self) -> Lsn {
        self.read().head
    }

    fn get(&self, view: View, key: Key) -> Answer<'_, Option<Stored<Row>>> {
        let core = self.read();
        let found = core.table.at(core.seen(view)).get(&keys::key_bytes(&key));
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
        answer(local::append_logs(self, lines))
    }

    fn append_metrics(&self, metrics: Vec<Metric>) -> Answer<'_, Lsn> {
        answer(local::append_metrics(self, metrics))
    }

    fn clear(&self, what: Clear) -> Answer<'_, Cleared> {
        answer(local::clear(self, &what))
    }

    fn watch(&self, topic: Topic) -> Watch {
        self.hub.watch(topic)
    }

    fn write_blob(&self, now: Timestamp) -> Answer<'_, Box<dyn BlobWriter>> {
        answer(Ok(self.blobs.writer(now)))
    }

    fn read_blob(&self, id: BlobId, offset: u64) -> Answer<'_, Option<Box<dyn BlobReader>>> {
        answer(Ok(self.blobs.reader(&id, offset)))
    }

    fn collect_blobs(&self, before: Timestamp) -> Answer<'_, usize> {
        answer(self.blobs.collect(before, |id| local::is_named(self, id)))
    }

    fn health(&self) -> Health {
        Health::Ready
    }
}
