//! Logs of a node: the lines of one execution in the order they were written, and those of all flows newest first. Every answer is bounded; a
//! caller goes on from the position of the last line.

use std::sync::Arc;

use jiff::Timestamp;
use model::ids::{ExecutionId, FlowKey, TaskId, TaskRunId, TriggerId};
use model::task::LogLevel;
use store::query::{ExecutionFilter, LogFilter, LogScope, MAX_PAGE, NamespaceMatch};
use store::rows::{self, Target};
use store::{Clear, Page, Query, View};

use crate::error::Error;
use crate::node::Node;
use crate::search::{Part, TextTest};

/// One line of an execution's log.
#[derive(Clone, Debug)]
pub struct LogLine {
    /// Where to go on from.
    pub position: u64,
    pub at: Timestamp,
    pub level: LogLevel,
    pub task: Option<TaskId>,
    pub task_run: Option<TaskRunId>,
    pub attempt: Option<u32>,
    pub message: String,
    pub fields: Vec<(String, String)>,
}

impl From<&rows::LogLine> for LogLine {
    fn from(row: &rows::LogLine) -> Self {
        Self {
            position: row.position,
            at: row.at,
            level: row.level,
            task: row.task.clone(),
            task_run: row.task_run.clone(),
            attempt: (row.attempt > 0).then_some(row.attempt),
            message: row.message.to_string(),
            fields: row.fields.clone(),
        }
    }
}

/// A text of a line that can be looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LineText {
    Namespace,
    Flow,
    Execution,
    Trigger,
    Task,
    TaskRun,
}

/// What the store is not asked about a line.
#[derive(Clone, Debug)]
pub enum LineTest {
    /// A line without such a text has an empty one.
    Text(LineText, TextTest),
    OneOf(Vec<LogLevel>),
}

impl LineTest {
    fn holds(&self, line: &rows::LogLine) -> bool {
        match self {
            LineTest::Text(text, test) => test.holds(text_of(line, *text)),
            LineTest::OneOf(levels) => levels.contains(&line.level),
        }
    }
}

fn text_of(line: &rows::LogLine, text: LineText) -> &str {
    let found = match (text, &line.of) {
        (LineText::Namespace, _) => line.flow.as_ref().map(|flow| flow.namespace.as_str()),
        (LineText::Flow, _) => line.flow.as_ref().map(|flow| flow.id.as_str()),
        (LineText::Execution, Target::Execution(id)) => Some(id.as_str()),
        (LineText::Trigger, Target::Trigger(_, id)) => Some(id.as_str()),
        (LineText::Execution | LineText::Trigger, _) => None,
        (LineText::Task, _) => line.task.as_ref().map(|id| id.as_str()),
        (LineText::TaskRun, _) => line.task_run.as_ref().map(|id| id.as_str()),
    };
    found.unwrap_or_default()
}

/// A search of lines over all flows: what the store is asked, and what is looked at in each line that it finds.
#[derive(Clone, Debug)]
pub struct LineSearch {
    pub asked: LogFilter,
    pub rest: Vec<LineTest>,
}

impl Default for LineSearch {
    fn default() -> Self {
        let all = LogScope::Flows { namespace: NamespaceMatch::Any, flow: None };
        Self { asked: LogFilter::within(all), rest: Vec::new() }
    }
}

impl LineSearch {
    fn holds(&self, line: &rows::LogLine) -> bool {
        self.rest.iter().all(|test| test.holds(line))
    }
}

/// Lines of an execution's log: all of them.
pub fn of_execution(id: &str) -> LogFilter {
    LogFilter::of(Target::Execution(ExecutionId::trusted(id)), 0)
}

impl Node {
    /// Lines of an execution's log behind a position, oldest first.
    pub async fn logs(&self, id: &str, after: u64, limit: usize) -> Result<Vec<LogLine>, Error> {
        let filter = LogFilter::of(Target::Execution(ExecutionId::trusted(id)), after);
        Ok(self.log_lines(filter, limit).await?.iter().map(|row| LogLine::from(row.as_ref())).collect())
    }

    /// The first lines that a filter names, in the order of its scope. Fewer than `limit`: that was all.
    pub(crate) async fn log_lines(&self, filter: LogFilter, limit: usize) -> Result<Vec<Arc<rows::LogLine>>, Error> {
        let query = Query::Logs(filter);
        let (mut lines, mut after) = (Vec::new(), None);
        while lines.len() < limit {
            let page = Page { size: MAX_PAGE.min(limit - lines.len()), after };
            let rows = self.store.list::<rows::LogLine>(View::Durable, query.clone(), page).await?;
            lines.extend(rows.items.into_iter().map(|found| found.row));
            match rows.next {
                Some(next) => after = Some(next),
                None => break,
            }
        }
        Ok(lines)
    }

    /// Lines that a search finds, newest first.
    pub(crate) async fn search_lines(
        &self,
        search: &LineSearch,
        skipped: usize,
        size: usize,
    ) -> Result<Part<rows::LogLine>, Error> {
        let query = Query::Logs(search.asked.clone());
        match search.rest.is_empty() {
            true => self.counted(query, skipped, size).await,
            false => self.looked_through(query, |line| search.holds(line), skipped, size).await,
        }
    }

    /// Removes lines of an execution's log. They are gone for good when this returns.
    pub(crate) async fn delete_lines(&self, id: &str, filter: LogFilter) -> Result<(), Error> {
        let target = Target::Execution(ExecutionId::trusted(id));
        match filter == of_execution(id) {
            true => self.clear_all(Clear::Logs(target)).await?,
            false => self.purge_logs(filter, &[]).await?,
        };
        Ok(self.store.durable(self.store.head()).await?)
    }

    /// Removes the lines of a flow: those of its executions of every kind, and those of its triggers.
    pub(crate) async fn delete_lines_of_flow(&self, flow: &FlowKey) -> Result<(), Error> {
        let filter = ExecutionFilter { kinds: Vec::new(), flow: Some(flow.clone()), ..ExecutionFilter::default() };
        let (query, mut after) = (Query::Executions(filter), None);
        loop {
            let page = Page { size: MAX_PAGE, after };
            let rows = self.store.list::<rows::Execution>(View::Newest, query.clone(), page).await?;
            for row in &rows.items {
                self.clear_lines(Target::Execution(row.record.id.clone())).await?;
            }
            match rows.next {
                Some(next) => after = Some(next),
                None => break,
            }
        }
        let query = Query::Triggers { namespace: NamespaceMatch::Any, flow: Some(flow.clone()) };
        for row in self.store.all::<rows::TriggerState>(View::Newest, query, MAX_PAGE).await? {
            self.clear_lines(Target::Trigger(flow.clone(), row.trigger.clone())).await?;
        }
        Ok(self.store.durable(self.store.head()).await?)
    }

    /// Removes the lines that a trigger wrote without an execution.
    pub(crate) async fn delete_lines_of_trigger(&self, flow: FlowKey, trigger: &str) -> Result<(), Error> {
        self.clear_lines(Target::Trigger(flow, TriggerId::trusted(trigger))).await?;
        Ok(self.store.durable(self.store.head()).await?)
    }

    /// Removes what a target wrote. Most have written nothing: looking first spares a commit.
    async fn clear_lines(&self, target: Target) -> Result<(), Error> {
        let query = Query::Logs(LogFilter::of(target.clone(), 0));
        let first = self.store.list::<rows::LogLine>(View::Newest, query, Page::first(1)).await?;
        if !first.items.is_empty() {
            self.clear_all(Clear::Logs(target)).await?;
        }
        Ok(())
    }

    /// The key of a flow that is there, or was.
    pub(crate) async fn known_flow(&self, namespace: &str, id: &str) -> Result<FlowKey, Error> {
        let key = crate::flows::key(namespace, id);
        let found = self.store.list::<rows::Flow>(View::Durable, Query::Revisions(key.clone()), Page::first(1)).await?;
        match found.items.is_empty() {
            true => Err(Error::NotFound(format!("no flow `{key}`"))),
            false => Ok(key),
        }
    }
}
