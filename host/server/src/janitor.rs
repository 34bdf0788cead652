//! Gives space back: values and keys whose time is over, and contents that no file names. Never touches what anybody can still see.

use std::sync::Arc;

use jiff::SignedDuration;
use store::rows::{self, Key};
use store::{Batch, Page, Query, View};

use crate::error::Error;
use crate::node::Node;

/// How often it looks.
const EVERY: SignedDuration = SignedDuration::from_secs(60);
/// Rows removed in one commit, so that no client waits long behind one.
const AT_ONCE: usize = 500;
/// How old a content must be that no file names: its writer may be about to name it (reliability, F8).
const ORPHAN_AGE: SignedDuration = SignedDuration::from_hours(24);

impl Node {
    /// Tidies up until the node ends.
    pub(crate) async fn tidy_up(self: &Arc<Self>) {
        while !self.is_ending() {
            let next = self.now().saturating_add(EVERY).unwrap_or(jiff::Timestamp::MAX);
            tokio::select! {
                biased;
                () = self.end.notified() => return,
                () = self.clock.until(next) => {}
            }
            if self.now() < next {
                continue;
            }
            if let Err(error) = self.tidy().await {
                tracing::warn!(%error, "space was not given back; it is tried again");
            }
        }
    }

    async fn tidy(&self) -> Result<(), Error> {
        let now = self.now();
        loop {
            let page = Page::first(AT_ONCE);
            let keys = self.store.list::<rows::UniqueKey>(View::Newest, Query::UniqueExpired { now }, page).await?;
            let page = Page::first(AT_ONCE);
            let values = self.store.list::<rows::Kv>(View::Newest, Query::KvExpired { now }, page).await?;
            let mut batch = Batch::new();
            for key in &keys.items {
                batch.delete(Key::Unique(key.name.clone()));
            }
            for value in &values.items {
                // Written anew in between, it is another value.
                let key = Key::Kv(value.place.clone(), value.key.clone());
                batch.require(store::Precondition::Version(key.clone(), value.version)).delete(key);
            }
            if batch.is_empty() {
                break;
            }
            self.store.commit(batch).await?;
        }
        let removed = self.store.collect_blobs(now - ORPHAN_AGE).await?;
        if removed > 0 {
            tracing::info!(removed, "contents that no file names were removed");
        }
        Ok(())
    }
}
