//! Hints that something may have changed. Never the change itself, and never a promise: a hint may be skipped or
//! repeated, so who waits for one also looks by itself now and then.

use std::collections::{HashMap, VecDeque};
use std::sync::{Mutex, PoisonError};

use model::ids::ExecutionId;
use tokio::sync::watch;

use crate::rows::{Row, Target};
use crate::{Key, Lsn};

/// How many topics are kept before those that nobody watches are dropped: one sweep per so many new topics.
const SWEEP_AT: usize = 1_024;

/// What to be told about.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Topic {
    /// More is durable, or something was lost.
    Durable,
    /// Any flow.
    Flows,
    /// Any execution's shown record.
    Executions,
    /// One execution: its record, its changes, its task runs.
    Execution(ExecutionId),
    /// Any job that can be claimed.
    Jobs,
    /// Any timer.
    Timers,
    /// Any trigger's state.
    Triggers,
    /// A message for this target.
    Inbox(Target),
    /// A message for anybody.
    Messages,
    /// The log of a target.
    Logs(Target),
}

/// Waits for hints on one topic.
#[derive(Debug)]
pub struct Watch {
    receiver: watch::Receiver<u64>,
}

impl Watch {
    /// Waits for the next hint. Returns at once if there was one since the last call. When the store is gone it never
    /// returns: who waits is then being ended as well.
    pub async fn changed(&mut self) {
        if self.receiver.changed().await.is_err() {
            std::future::pending::<()>().await;
        }
    }

    /// Whether there was a hint since the last call of `changed` or `take`.
    pub fn take(&mut self) -> bool {
        let hinted = self.receiver.has_changed().unwrap_or(false);
        if hinted {
            self.receiver.mark_unchanged();
        }
        hinted
    }
}

/// Where hints go from one process's commits to its watchers.
#[derive(Debug, Default)]
pub(crate) struct Hub {
    topics: Mutex<Topics>,
}

#[derive(Debug, Default)]
struct Topics {
    senders: HashMap<Topic, watch::Sender<u64>>,
    added: usize,
    /// Hints to repeat when their commit is durable: only then do clients see what it is about.
    later: VecDeque<(Lsn, Vec<Topic>)>,
}

impl Hub {
    /// Watches a topic from now on.
    pub fn watch(&self, topic: Topic) -> Watch {
        let mut topics = self.topics.lock().unwrap_or_else(PoisonError::into_inner);
        topics.added += 1;
        if topics.added >= SWEEP_AT {
            topics.added = 0;
            topics.senders.retain(|_, sender| sender.receiver_count() > 0);
        }
        let sender = topics.senders.entry(topic).or_insert_with(|| watch::channel(0).0);
        Watch { receiver: sender.subscribe() }
    }

    /// A commit that is durable already: tells the watchers of its topics.
    pub fn hint(&self, hints: &[Topic]) {
        self.topics.lock().unwrap_or_else(PoisonError::into_inner).hint(hints);
    }

    /// A commit that is not durable yet: tells now, for those who read the newest, and again when it is.
    pub fn hint_twice(&self, lsn: Lsn, hints: Vec<Topic>) {
        let mut topics = self.topics.lock().unwrap_or_else(PoisonError::into_inner);
        topics.hint(&hints);
        if !hints.is_empty() {
            topics.later.push_back((lsn, hints));
        }
    }

    /// More is durable.
    pub fn durable(&self, lsn: Lsn) {
        let mut topics = self.topics.lock().unwrap_or_else(PoisonError::into_inner);
        while topics.later.front().is_some_and(|(of, _)| *of <= lsn) {
            let hints = topics.later.pop_front().map(|(_, hints)| hints).unwrap_or_default();
            topics.hint(&hints);
        }
        topics.hint(&[Topic::Durable]);
    }

    /// What was not durable is gone: that is a change too.
    pub fn lost(&self) {
        self.durable(Lsn(u64::MAX));
    }
}

impl Topics {
    fn hint(&self, hints: &[Topic]) {
        if self.senders.is_empty() {
            return;
        }
        for sender in hints.iter().filter_map(|topic| self.senders.get(topic)) {
            sender.send_modify(|count| *count = count.wrapping_add(1));
        }
    }
}

/// What a written row is a hint for.
pub(crate) fn topics_of_row(row: &Row, topics: &mut Vec<Topic>) {
    match row {
        Row::Job(job) if job.lease.is_none() => topics.push(Topic::Jobs),
        Row::Message(message) if message.drained => {}
        row => topics_of_key(&row.key(), topics),
    }
}

/// What a removed row is a hint for.
pub(crate) fn topics_of_key(key: &Key, topics: &mut Vec<Topic>) {
    let mut push = |topic: Topic| {
        // Batches are about few things: looking at the last few keeps the list short without a set.
        if !topics.iter().rev().take(4).any(|known| *known == topic) {
            topics.push(topic);
        }
    };
    match key {
        Key::Flow(..) => push(Topic::Flows),
        Key::Execution(id) => {
            push(Topic::Executions);
            push(Topic::Execution(id.clone()));
        }
        Key::Change(id, _) | Key::Snapshot(id, _) | Key::TaskRun(id, _) | Key::Metric(id, _) => {
            push(Topic::Execution(id.clone()));
        }
        Key::Timer(_) => push(Topic::Timers),
        Key::Trigger(..) => push(Topic::Triggers),
        Key::Message(message) => {
            push(Topic::Messages);
            push(Topic::Inbox(message.to.clone()));
        }
        Key::Log(target, _) => push(Topic::Logs(target.clone())),
        Key::Job(_)
        | Key::Kv(..)
        | Key::Unique(_)
        | Key::Secret(..)
        | Key::File(_)
        | Key::Node(_)
        | Key::Audit(..)
        | Key::Document(_)
        | Key::Setting(_) => {}
    }
}
