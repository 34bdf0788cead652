//! What the backends inside one process share: commits worked out over ordered keys, and pages put together from parts.

use jiff::Timestamp;

use crate::Lsn;
use crate::batch::{Batch, within};
use crate::error::Error;
use crate::index::plan::{Counted, Part};
use crate::index::stage::Stage;
use crate::query::{Count, MAX_EXAMINED, MAX_PAGE, Page, Position, Query, Rows};
use crate::rows::{BlobId, Fence, LogLine, Metric};
use crate::store::{Claim, Claimed, Clear, Cleared, MAX_CLAIM, MAX_LINES, View};

/// Rows looked at under one hold of the lock: about half a millisecond, so that a reader never holds writers up.
const EXAMINED_AT_ONCE: usize = 1_000;
/// Rows removed by one `clear`.
const CLEARED_AT_ONCE: usize = 10_000;

/// A store whose commits are worked out in this process.
pub trait Local: Send + Sync {
    /// One commit, worked out and applied under one hold of the lock.
    fn apply<T>(&self, work: impl FnOnce(&mut Stage<'_>) -> Result<T, Error>) -> Result<(Lsn, T), Error>;

    /// A part of an answer, taken under one hold of the lock.
    fn part(&self, view: View, query: &Query, after: Option<&[u8]>, size: usize, budget: usize) -> Result<Part, Error>;

    /// A part of a count, taken under one hold of the lock.
    fn counted(
        &self,
        view: View,
        query: &Query,
        after: Option<&[u8]>,
        size: usize,
        budget: usize,
    ) -> Result<Counted, Error>;

    /// The last commit.
    fn newest(&self) -> Lsn;
}

pub fn commit(store: &impl Local, batch: Batch) -> Result<Lsn, Error> {
    batch.check()?;
    store.apply(|stage| stage.batch(batch)).map(|(lsn, ())| lsn)
}

pub async fn scan(store: &impl Local, view: View, query: Query, page: Page) -> Result<Rows, Error> {
    within("a page's size", page.size, MAX_PAGE)?;
    let mut items = Vec::new();
    let mut after = page.after.map(|position| position.0);
    let mut left = MAX_EXAMINED;
    loop {
        let budget = left.min(EXAMINED_AT_ONCE);
        let part = store.part(view, &query, after.as_deref(), page.size - items.len(), budget)?;
        items.extend(part.rows);
        left = left.saturating_sub(part.examined);
        after = part.next;
        if after.is_none() || items.len() >= page.size || left == 0 {
            return Ok(Rows { items, next: after.map(Position) });
        }
        tokio::task::yield_now().await;
    }
}

pub async fn count(store: &impl Local, view: View, query: Query, limit: usize) -> Result<Count, Error> {
    let mut count = 0;
    let mut left = MAX_EXAMINED.max(limit);
    let mut after = None;
    loop {
        let part = store.counted(view, &query, after.as_deref(), limit - count, left.min(EXAMINED_AT_ONCE))?;
        count += part.count;
        left = left.saturating_sub(part.examined);
        after = part.next;
        match after {
            None => return Ok(Count::Exactly(count)),
            Some(_) if count >= limit || left == 0 => return Ok(Count::AtLeast(count)),
            Some(_) => tokio::task::yield_now().await,
        }
    }
}

pub fn claim(store: &impl Local, claim: &Claim) -> Result<Claimed, Error> {
    within("a claim's number of jobs", claim.limit, MAX_CLAIM)?;
    let due = Query::Claimable { queue: claim.queue.clone(), now: claim.now };
    // Most claims find nothing: they must not be commits.
    if store.part(View::Newest, &due, None, 1, 1)?.rows.is_empty() {
        return Ok(Claimed { lsn: store.newest(), jobs: Vec::new() });
    }
    let (lsn, jobs) = store.apply(|stage| stage.claim(claim, &due))?;
    Ok(Claimed { lsn, jobs })
}

pub fn renew(store: &impl Local, fences: Vec<Fence>, until: Timestamp) -> Result<Vec<Fence>, Error> {
    within("a renewal's number of leases", fences.len(), MAX_CLAIM)?;
    store.apply(|stage| stage.renew(fences, until)).map(|(_, over)| over)
}

pub fn release(store: &impl Local, fences: Vec<Fence>) -> Result<Lsn, Error> {
    within("a release's number of leases", fences.len(), MAX_CLAIM)?;
    store.apply(|stage| stage.release(fences)).map(|(lsn, ())| lsn)
}

pub fn append_logs(store: &impl Local, lines: Vec<LogLine>) -> Result<Lsn, Error> {
    within("an append's number of lines", lines.len(), MAX_LINES)?;
    lines.iter().try_for_each(|line| within("a log line", line.message.len(), crate::MAX_TEXT_BYTES))?;
    store.apply(|stage| stage.logs(lines)).map(|(lsn, ())| lsn)
}

pub fn append_metrics(store: &impl Local, metrics: Vec<Metric>) -> Result<Lsn, Error> {
    within("an append's number of metrics", metrics.len(), MAX_LINES)?;
    if let Some(metric) = metrics.iter().find(|metric| !metric.value.is_finite()) {
        return Err(Error::Misuse(format!("metric `{}` of {} is no number", metric.name, metric.value)));
    }
    store.apply(|stage| stage.metrics(metrics)).map(|(lsn, ())| lsn)
}

pub fn clear(store: &impl Local, what: &Clear) -> Result<Cleared, Error> {
    let (lsn, (rows, more)) = store.apply(|stage| stage.clear(what, CLEARED_AT_ONCE))?;
    Ok(Cleared { lsn, rows, more })
}

/// Whether a file names a blob, now or in what would be left if the power went now: a row that was replaced a moment ago
/// is back after a power cut, and needs its content.
pub fn is_named(store: &impl Local, id: &BlobId) -> Result<bool, Error> {
    let query = Query::FilesOf(id.clone());
    let named = |view| store.part(view, &query, None, 1, 1).map(|part| !part.rows.is_empty());
    Ok(named(View::Newest)? || named(View::Durable)?)
}
