//! Removes what is not needed any more: executions that have ended, with their files, and lines of logs. Bounded in every step, so that a
//! purge of millions holds nobody up.

use model::ids::{ExecutionId, TENANT};
use model::task::LogLevel;
use store::query::LogFilter;
use store::rows::{self, Key};
use store::{Batch, Clear, Page, Query, View};

use crate::error::Error;
use crate::node::Node;
use crate::readable::folder_of;

/// Rows removed in one commit, so that no client waits long behind one.
const AT_ONCE: usize = 500;

/// What goes of an execution.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Parts {
    /// Everything about it, its logs and metrics with it.
    pub execution: bool,
    pub logs: bool,
    pub metrics: bool,
    pub files: bool,
}

/// How much went.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub(crate) struct Purged {
    pub executions: u64,
    pub logs: u64,
    pub metrics: u64,
    pub files: u64,
}

impl Purged {
    pub fn add(&mut self, other: Purged) {
        self.executions += other.executions;
        self.logs += other.logs;
        self.metrics += other.metrics;
        self.files += other.files;
    }
}

impl Node {
    /// Removes an execution that has ended, as somebody asked. Done when it is durable.
    pub(crate) async fn delete_execution(
        &self,
        record: &model::execution::Execution,
        parts: Parts,
    ) -> Result<(), Error> {
        self.purge_execution(record, parts).await?;
        Ok(self.store.durable(self.store.head()).await?)
    }

    /// Removes an execution that has ended, or parts of it.
    pub(crate) async fn purge_execution(
        &self,
        record: &model::execution::Execution,
        parts: Parts,
    ) -> Result<Purged, Error> {
        let id = &record.id;
        let mut purged = Purged::default();
        if parts.files {
            purged.files = self.purge_files(&format!("{TENANT}/{}", folder_of(&record.flow, id))).await?;
        }
        if parts.logs || parts.execution {
            purged.logs = self.clear_all(Clear::Logs(rows::Target::Execution(id.clone()))).await?;
        }
        if parts.metrics || parts.execution {
            purged.metrics = self.clear_all(Clear::Metrics(id.clone())).await?;
        }
        // Last: as long as it is there, a purge that broke off can be done again.
        if parts.execution {
            self.clear_all(Clear::Execution(id.clone())).await?;
            purged.executions = 1;
        }
        Ok(purged)
    }

    /// Removes log lines, but for those of levels that are not meant. Empty `levels`: all are.
    pub(crate) async fn purge_logs(&self, filter: LogFilter, levels: &[LogLevel]) -> Result<u64, Error> {
        let mut removed = 0;
        let mut after = None;
        loop {
            let page = Page { size: AT_ONCE, after };
            let rows = self.store.list::<rows::LogLine>(View::Newest, Query::Logs(filter.clone()), page).await?;
            let mut batch = Batch::new();
            for line in rows.items.iter().filter(|line| levels.is_empty() || levels.contains(&line.level)) {
                batch.delete(Key::Log(line.of.clone(), line.position));
                removed += 1;
            }
            if !batch.is_empty() {
                self.store.commit(batch).await?;
            }
            match rows.next {
                Some(next) => after = Some(next),
                None => return Ok(removed),
            }
        }
    }

    async fn purge_files(&self, folder: &str) -> Result<u64, Error> {
        let mut removed = 0;
        loop {
            let query = Query::Files { prefix: folder.into() };
            let rows = self.store.list::<rows::File>(View::Newest, query, Page::first(AT_ONCE)).await?;
            if rows.items.is_empty() && rows.next.is_none() {
                return Ok(removed);
            }
            let mut batch = Batch::new();
            for file in &rows.items {
                batch.delete(Key::File(file.path.clone()));
            }
            removed += rows.items.len() as u64;
            if !batch.is_empty() {
                self.store.commit(batch).await?;
            }
        }
    }

    pub(crate) async fn clear_all(&self, what: Clear) -> Result<u64, Error> {
        let mut removed = 0;
        loop {
            let cleared = self.store.clear(what.clone()).await?;
            removed += cleared.rows as u64;
            if !cleared.more {
                return Ok(removed);
            }
        }
    }

    /// An execution as it is stored.
    pub(crate) async fn stored_execution(
        &self,
        id: &ExecutionId,
    ) -> Result<Option<std::sync::Arc<rows::Execution>>, Error> {
        let found = self.store.find::<rows::Execution>(View::Newest, Key::Execution(id.clone())).await?;
        Ok(found.map(|found| found.row))
    }
}
