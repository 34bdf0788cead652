//! What followers of an execution are shown: all of it while it is small; of a large one what has changed. A look never costs what the whole
//! execution does, however often it comes.

use std::collections::HashMap;
use std::sync::Arc;

use model::change::{Change, Record};
use model::execution::TaskRun;
use model::ids::{ExecutionId, TaskRunId};
use store::query::MAX_PAGE;
use store::rows::{self, Key};
use store::{Count, Page, Query, View};

use crate::apply::{touched, unreadable};
use crate::error::Error;
use crate::executions::Seen;
use crate::node::Node;

/// Most task runs of one look: an execution with more is shown in parts.
pub(crate) const RUNS_MAX: usize = 1_000;
/// Changes looked at for one look. Of what came before them only the latest state is told, when it changes again.
const CHANGES_MAX: u64 = 10_000;

/// An execution as a follower sees it.
pub(crate) struct Glance {
    pub seen: Seen,
    /// It has more task runs than are in `seen`.
    pub is_part: bool,
    /// It has ended, and everything that runs after its end as well.
    pub is_over: bool,
}

/// Who follows an execution.
pub(crate) struct Follower {
    node: Arc<Node>,
    id: ExecutionId,
    /// The last change of a large execution that was looked at.
    looked_to: Option<u64>,
    /// Everything of it is done.
    is_closed: bool,
}

impl Follower {
    pub fn new(node: Arc<Node>, id: &str) -> Self {
        Self { node, id: ExecutionId::trusted(id), looked_to: None, is_closed: false }
    }

    /// The execution now: whole, or with the task runs that have changed since the last look.
    pub async fn look(&mut self) -> Result<Glance, Error> {
        let query = Query::TaskRuns(self.id.clone());
        match self.node.store.count(View::Durable, query, RUNS_MAX + 1).await? {
            Count::Exactly(count) if count <= RUNS_MAX => {
                let seen = self.node.execution(self.id.as_str()).await?;
                let is_over = seen.is_over();
                Ok(Glance { seen, is_part: false, is_over })
            }
            _ => self.look_at_changes().await,
        }
    }

    async fn look_at_changes(&mut self) -> Result<Glance, Error> {
        let row = self.node.shown(&self.id).await?;
        let is_first = self.looked_to.is_none();
        let mut newest: Vec<(TaskRunId, u64)> = self.changed(row.sequence).await?.into_iter().collect();
        newest.sort_unstable_by(|(_, a), (_, b)| b.cmp(a));
        let mut found = Vec::new();
        for (run, _) in newest.into_iter().take(RUNS_MAX) {
            let key = Key::TaskRun(self.id.clone(), run);
            found.extend(self.node.store.find::<rows::TaskRun>(View::Durable, key).await?);
        }
        // Who begins to follow sees something even of one that has long ended.
        if is_first && found.is_empty() {
            let page = Page::first(RUNS_MAX);
            found = self
                .node
                .store
                .list::<rows::TaskRun>(View::Durable, Query::TaskRuns(self.id.clone()), page)
                .await?
                .items;
        }
        found.sort_by_key(|run| run.order);
        let position = found.iter().map(|run| run.version.0).max().unwrap_or(0).max(row.version.0);
        let runs: Vec<TaskRun> = found.iter().map(|run| run.record.clone()).collect();
        let execution = row.record.clone();
        let is_over = execution.state().is_terminal() && (self.is_closed || self.node.is_over(&self.id).await?);
        Ok(Glance { seen: Seen { execution, runs, position }, is_part: true, is_over })
    }

    /// Task runs that changed since the last look, each with the last change of it.
    async fn changed(&mut self, shown: u64) -> Result<HashMap<TaskRunId, u64>, Error> {
        let least = shown.saturating_sub(CHANGES_MAX);
        let mut looked_to = self.looked_to.map_or(least, |known| known.max(least));
        let query = Query::Changes { execution: self.id.clone(), after: looked_to };
        let (mut changed, mut is_closed, mut after) = (HashMap::new(), self.is_closed, None);
        loop {
            let page = Page { size: MAX_PAGE, after };
            let rows = self.node.store.list::<rows::Change>(View::Durable, query.clone(), page).await?;
            for row in &rows.items {
                let record: Record = row.change.read().map_err(unreadable)?;
                let change = record.upcast().map_err(|error| Error::Internal(error.to_string()))?;
                match change {
                    Change::Closed => is_closed = true,
                    Change::Generation { .. } => is_closed = false,
                    _ => {}
                }
                touched(&change, |run| {
                    changed.insert(run.clone(), row.sequence);
                });
                looked_to = row.sequence;
            }
            match rows.next {
                // What goes on faster than it is read is read at the next look.
                Some(next) if looked_to < shown.saturating_add(CHANGES_MAX) => after = Some(next),
                _ => break,
            }
        }
        (self.looked_to, self.is_closed) = (Some(looked_to), is_closed);
        Ok(changed)
    }
}

impl Node {
    /// Whether an execution has ended, and everything that runs after its end as well. Looks at task runs only where it must.
    pub(crate) async fn is_over(&self, id: &ExecutionId) -> Result<bool, Error> {
        if !self.shown(id).await?.record.state().is_terminal() {
            return Ok(false);
        }
        let mut after = None;
        loop {
            let page = Page { size: MAX_PAGE, after };
            let rows = self.store.list::<rows::TaskRun>(View::Durable, Query::TaskRuns(id.clone()), page).await?;
            if rows.items.iter().any(|run| !run.record.state().is_terminal()) {
                return Ok(false);
            }
            match rows.next {
                Some(next) => after = Some(next),
                None => return Ok(true),
            }
        }
    }
}
