//! What a task run leaves when it has ended well: rows of the same commit. Counts revisions over what this turn has written already.

use std::collections::BTreeMap;
use std::sync::Arc;

use engine::{End, Event, UnitReport};
use jiff::Timestamp;
use model::execution::Failure;
use store::rows::{self, Key};
use store::{Precondition, View};

use super::Turn;
use crate::error::Error;
use crate::kv;
use crate::node::Node;
use crate::worker::kept::{Kept, ValueKey, Write};

/// Values as this turn leaves them; `None`: there is none.
pub(super) type Values = BTreeMap<ValueKey, Option<Arc<rows::Kv>>>;

/// Why what a run wrote cannot be kept: a value that had to be new has been set by somebody else meanwhile. Then the run has failed.
pub(super) async fn refusal(node: &Node, turn: &mut Turn, kept: &Kept) -> Result<Option<Failure>, Error> {
    let now = node.now();
    for (key, _) in kept.values.iter().filter(|(_, write)| write.must_be_new) {
        if present(node, turn, key).await?.is_some_and(|row| kv::is_alive(&row, now)) {
            let message = format!("key `{}` of namespace `{}` was set by another while this task ran", key.1, key.0);
            return Ok(Some(Failure { code: "EXISTS".to_owned(), message, retryable: Some(false) }));
        }
    }
    Ok(None)
}

/// Writes it.
pub(super) async fn write(node: &Node, turn: &mut Turn, kept: &Kept, now: Timestamp) -> Result<(), Error> {
    for (key, value) in &kept.values {
        let before = present(node, turn, key).await?;
        match &value.write {
            Write::Put(new) => {
                let row = Arc::new(kv::written(key.0.clone(), key.1.clone(), new.clone(), before.as_deref(), now));
                turn.batch.put(row.clone());
                turn.values.insert(key.clone(), Some(row));
            }
            Write::Delete if before.is_some() => {
                turn.batch.delete(Key::Kv(key.0.clone(), key.1.clone()));
                turn.values.insert(key.clone(), None);
            }
            Write::Delete => {}
        }
    }
    for (path, write) in &kept.files {
        match write {
            Write::Put(file) => turn.batch.put(file.clone()),
            Write::Delete => turn.batch.delete(Key::File(path.clone())),
        };
    }
    Ok(())
}

/// The same event, of an attempt that failed.
pub(super) fn failed(event: Event, failure: Failure) -> Event {
    match event {
        Event::TaskEnded { job, epoch, mut outcome } => {
            outcome.end = End::Failed(failure);
            Event::TaskEnded { job, epoch, outcome }
        }
        Event::UnitTask { job, epoch, task, report: UnitReport::Ended(mut outcome) } => {
            outcome.end = End::Failed(failure);
            Event::UnitTask { job, epoch, task, report: UnitReport::Ended(outcome) }
        }
        other => other,
    }
}

/// The value as this turn finds it. From then on the commit depends on nobody else writing it.
async fn present(node: &Node, turn: &mut Turn, key: &ValueKey) -> Result<Option<Arc<rows::Kv>>, Error> {
    if let Some(known) = turn.values.get(key) {
        return Ok(known.clone());
    }
    let stored_at = Key::Kv(key.0.clone(), key.1.clone());
    let found = node.store.find::<rows::Kv>(View::Newest, stored_at.clone()).await?;
    turn.batch.require(match &found {
        Some(found) => found.unchanged(),
        None => Precondition::Absent(stored_at),
    });
    let row = found.map(|found| found.row);
    turn.values.insert(key.clone(), row.clone());
    Ok(row)
}
