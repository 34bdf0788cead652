//! Brings an execution into memory: its last snapshot, and the changes after it.

use engine::{Snapshot, State};
use model::change::Record;
use model::ids::ExecutionId;
use store::rows::{self, Key};
use store::{Page, Query, View};

use super::Hot;
use crate::error::Error;
use crate::mailbox::Envelope;
use crate::node::Node;

/// Most changes after a snapshot; more mean that snapshots are not made.
const CHANGES_MAX: usize = 1_000_000;

/// The stored execution; `None` if there is none.
pub(super) async fn load(node: &Node, id: &ExecutionId) -> Result<Option<Hot>, Error> {
    let Some(row) = node.store.find::<rows::Execution>(View::Newest, Key::Execution(id.clone())).await? else {
        return Ok(None);
    };
    let saved = node.flow_revision(&row.record.flow, row.record.revision).await?;
    let query = Query::Snapshots(id.clone());
    let newest = node.store.list::<rows::Snapshot>(View::Newest, query, Page::first(1)).await?;
    let (mut state, snapshot) = match newest.items.first() {
        None => (State::new(saved.flow.clone()), 0),
        Some(row) => {
            let stored: Snapshot = row.state.read().map_err(unreadable)?;
            (State::restore(saved.flow.clone(), stored), row.sequence)
        }
    };
    let query = Query::Changes { execution: id.clone(), after: snapshot };
    let changes = node.store.all::<rows::Change>(View::Newest, query, CHANGES_MAX).await?;
    let mut sequence = snapshot;
    for row in changes {
        let record: Record = row.change.read().map_err(unreadable)?;
        let change = record.upcast().map_err(|error| Error::Internal(error.to_string()))?;
        state.apply(&change);
        sequence = row.sequence;
    }
    Ok(Some(Hot { state, saved, sequence, snapshot, created: row.created }))
}

/// An execution that is only now asked for; `None` if the mail does not ask for one.
pub(super) async fn begin(node: &Node, mail: &[Envelope]) -> Result<Option<Hot>, Error> {
    let Some(execution) = mail.iter().find_map(|envelope| envelope.mail.beginning()) else { return Ok(None) };
    let saved = node.flow_revision(&execution.flow, execution.revision).await?;
    let state = State::new(saved.flow.clone());
    Ok(Some(Hot { state, saved, sequence: 0, snapshot: 0, created: node.now() }))
}

fn unreadable(error: rows::PayloadError) -> Error {
    Error::Internal(format!("a stored record cannot be read: {error}"))
}
