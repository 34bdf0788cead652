//! Durable timers: what is due becomes an event. The store is the truth; what is here is only when to look.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};

use engine::Event;
use jiff::Timestamp;
use model::change::TimerId;
use model::ids::ExecutionId;
use store::rows::{self, Key, Target, TimerKey};
use store::{Page, Query, View};
use tokio::sync::Notify;

use crate::error::Error;
use crate::mailbox::Envelope;
use crate::node::Node;

/// Timers loaded in one page at start.
const LOAD_PAGE: usize = 1_000;
/// Timers fired before looking at the clock again.
const FIRED_AT_ONCE: usize = 256;

/// When something is due, soonest first.
#[derive(Default)]
pub struct Timers {
    due: Mutex<BTreeSet<(Timestamp, TimerKey)>>,
    sooner: Notify,
}

impl Timers {
    fn lock(&self) -> std::sync::MutexGuard<'_, BTreeSet<(Timestamp, TimerKey)>> {
        self.due.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes that a stored timer is due then. One that is moved or cleared in the store is found out when it fires.
    pub fn set(&self, key: TimerKey, due: Timestamp) {
        let first = {
            let mut timers = self.lock();
            timers.insert((due, key));
            timers.first().is_some_and(|(first, _)| *first >= due)
        };
        if first {
            self.sooner.notify_one();
        }
    }

    /// What is due by now, and when to look again.
    fn take(&self, now: Timestamp) -> (Vec<TimerKey>, Option<Timestamp>) {
        let mut timers = self.lock();
        let mut due = Vec::new();
        while due.len() < FIRED_AT_ONCE && timers.first().is_some_and(|(at, _)| *at <= now) {
            due.extend(timers.pop_first().map(|(_, key)| key));
        }
        (due, timers.first().map(|(at, _)| *at))
    }
}

impl Node {
    /// Reads when everything is due, and whose it is.
    pub(crate) async fn load_timers(&self) -> Result<BTreeSet<ExecutionId>, Error> {
        let mut owners = BTreeSet::new();
        let mut after = None;
        loop {
            let page = Page { size: LOAD_PAGE, after };
            let query = Query::TimersDue { until: Timestamp::MAX };
            let rows = self.store.list::<rows::Timer>(View::Newest, query, page).await?;
            for row in &rows.items {
                self.timers.set(row.key.clone(), row.due);
                if let Target::Execution(id) = &row.key.target {
                    owners.insert(id.clone());
                }
            }
            match rows.next {
                Some(next) => after = Some(next),
                None => return Ok(owners),
            }
        }
    }

    /// Fires timers until the node ends.
    pub(crate) async fn run_timers(self: &Arc<Self>) {
        while !self.is_ending() {
            let (due, next) = self.timers.take(self.now());
            if !due.is_empty() {
                for key in due {
                    self.fire(key).await;
                }
                continue;
            }
            self.until_due(next, &self.timers.sooner).await;
        }
    }

    /// Waits until something is due, something sooner has come, or the node ends.
    pub(crate) async fn until_due(&self, next: Option<Timestamp>, sooner: &Notify) {
        let wait = async {
            match next {
                Some(next) => self.clock.until(next).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            biased;
            () = wait => {}
            () = sooner.notified() => {}
            () = self.end.notified() => {}
        }
    }

    async fn fire(self: &Arc<Self>, key: TimerKey) {
        let row = match self.store.find::<rows::Timer>(View::Newest, Key::Timer(key.clone())).await {
            Ok(Some(row)) => row,
            Ok(None) => return,
            Err(error) => {
                tracing::error!(timer = %key.name, target = %key.target, %error, "a timer could not be read");
                return;
            }
        };
        if row.due > self.now() {
            return self.timers.set(key, row.due);
        }
        let Target::Execution(id) = &key.target else { return };
        match row.body.read::<TimerId>() {
            Ok(timer) => self.post(id, Envelope::event(Event::TimerDue { id: timer })),
            Err(error) => tracing::error!(timer = %key.name, %error, "a stored timer cannot be read"),
        }
    }
}
