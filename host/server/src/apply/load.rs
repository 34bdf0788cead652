//! Brings an execution into memory: its snapshots, and the changes after the last.

use engine::State;
use model::change::Record;
use model::ids::ExecutionId;
use store::rows::{self, Key};
use store::{Query, View};

use super::snapshots::Snapshots;
use super::{Hot, unreadable};
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
    let snapshots = Snapshots::load(node, id, State::new(saved.flow.clone())).await?;
    let (mut state, snapshot) = (snapshots.state().clone(), snapshots.sequence());
    let query = Query::Changes { execution: id.clone(), after: snapshot };
    let changes = node.store.all::<rows::Change>(View::Newest, query, CHANGES_MAX).await?;
    let mut sequence = snapshot;
    for row in changes {
        let record: Record = row.change.read().map_err(unreadable)?;
        let change = record.upcast().map_err(|error| Error::Internal(error.to_string()))?;
        state.apply(&change);
        sequence = row.sequence;
    }
    Ok(Some(Hot { state, saved, sequence, snapshots, created: row.created }))
}

/// An execution that is only now asked for; `None` if the mail does not ask for one.
pub(super) async fn begin(node: &Node, mail: &[Envelope]) -> Result<Option<Hot>, Error> {
    let Some(execution) = mail.iter().find_map(|envelope| envelope.mail.beginning()) else { return Ok(None) };
    let saved = node.flow_revision(&execution.flow, execution.revision).await?;
    let state = State::new(saved.flow.clone());
    let snapshots = Snapshots::nothing(state.clone());
    Ok(Some(Hot { state, saved, sequence: 0, snapshots, created: node.now() }))
}
