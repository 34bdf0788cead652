//! Searches: what an index of the store answers, what is looked at in each row that it finds, and totals that are exact as far as is counted.

use std::sync::Arc;

use jiff::Timestamp;
use model::execution::Execution;
use model::flow::Label;
use model::state::State;
use regex::Regex;
use store::query::{ExecutionFilter, MAX_EXAMINED, MAX_PAGE};
use store::rows::Record;
use store::{Count, Page, Query, View, rows};

use crate::error::Error;
use crate::node::Node;

/// Totals are exact up to here; above, they are lower bounds.
const COUNT_MAX: usize = 10_000;
/// Rows looked at for one page or total, where no index has the answer.
const EXAMINED_MAX: usize = 100_000;

/// What is asked of a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operation {
    Equals,
    NotEquals,
    GreaterThan,
    LessThan,
    GreaterThanOrEqualTo,
    LessThanOrEqualTo,
    In,
    NotIn,
    StartsWith,
    EndsWith,
    Contains,
    Regex,
    Prefix,
}

/// What a text is compared with.
#[derive(Clone, Debug)]
pub struct TextTest {
    pub operation: Operation,
    /// Several for `IN` and `NOT_IN`.
    pub values: Vec<String>,
    /// For `REGEX`.
    pub regex: Option<Regex>,
}

impl TextTest {
    /// Whether a text passes. `PREFIX` is of names with dots: `a.b` holds `a.b.c`, not `a.bc`.
    pub fn holds(&self, text: &str) -> bool {
        use Operation as O;
        let first = self.values.first().map_or("", String::as_str);
        match self.operation {
            O::Equals => text == first,
            O::NotEquals => text != first,
            O::In => self.values.iter().any(|value| value == text),
            O::NotIn => self.values.iter().all(|value| value != text),
            O::StartsWith => text.starts_with(first),
            O::EndsWith => text.ends_with(first),
            O::Contains => text.to_lowercase().contains(&first.to_lowercase()),
            O::Prefix => text.strip_prefix(first).is_some_and(|rest| rest.is_empty() || rest.starts_with('.')),
            O::Regex => self.regex.as_ref().is_some_and(|regex| regex.is_match(text)),
            O::GreaterThan | O::LessThan | O::GreaterThanOrEqualTo | O::LessThanOrEqualTo => false,
        }
    }
}

/// What no index of the store answers.
#[derive(Clone, Debug)]
pub enum Rest {
    Namespace(TextTest),
    Flow(TextTest),
    /// None of these states.
    NotIn(Vec<State>),
    WithoutLabel(Label),
    /// When it ended.
    Ended(Operation, Timestamp),
    /// Whether a task of another execution started it.
    Child(bool),
}

/// A search of executions: what the store is asked, and what is looked at in each that it finds.
#[derive(Clone, Debug, Default)]
pub struct Search {
    pub asked: ExecutionFilter,
    pub rest: Vec<Rest>,
}

/// A page of what was found.
#[derive(Clone, Debug)]
pub struct Found {
    /// Newest first.
    pub executions: Vec<Execution>,
    /// Of all pages.
    pub total: usize,
    /// There are more than `total`.
    pub is_lower_bound: bool,
}

impl Search {
    /// All executions of a flow.
    pub fn of_flow(namespace: &str, flow: &str) -> Self {
        let asked = ExecutionFilter { flow: Some(crate::flows::key(namespace, flow)), ..ExecutionFilter::default() };
        Self { asked, rest: Vec::new() }
    }

    /// Whether what the store found passes what it was not asked.
    pub fn holds(&self, execution: &Execution) -> bool {
        self.rest.iter().all(|rest| match rest {
            Rest::Namespace(test) => test.holds(execution.flow.namespace.as_str()),
            Rest::Flow(test) => test.holds(execution.flow.id.as_str()),
            Rest::NotIn(states) => !states.contains(&execution.state()),
            Rest::WithoutLabel(label) => !execution.labels.contains(label),
            Rest::Child(is) => execution.parent.is_some() == *is,
            Rest::Ended(operation, at) => execution.history.ended().is_some_and(|ended| match operation {
                Operation::GreaterThan => ended > *at,
                Operation::GreaterThanOrEqualTo => ended >= *at,
                Operation::LessThan => ended < *at,
                Operation::LessThanOrEqualTo => ended <= *at,
                _ => ended == *at,
            }),
        })
    }
}

/// Rows of one page, and how many there are of all pages.
#[derive(Clone, Debug)]
pub(crate) struct Part<T> {
    pub rows: Vec<Arc<T>>,
    pub total: usize,
    /// There are more than `total`.
    pub is_lower_bound: bool,
}

impl Node {
    /// Executions that a search finds.
    pub async fn search_executions(&self, search: &Search, skipped: usize, size: usize) -> Result<Found, Error> {
        let query = Query::Executions(search.asked.clone());
        let part = match search.rest.is_empty() {
            true => self.counted::<rows::Execution>(query, skipped, size).await?,
            false => {
                let holds = |row: &rows::Execution| search.holds(&row.record);
                self.looked_through(query, holds, skipped, size).await?
            }
        };
        let executions = part.rows.iter().map(|row| row.record.clone()).collect();
        Ok(Found { executions, total: part.total, is_lower_bound: part.is_lower_bound })
    }

    /// A page of what answers a question, and how much of it the store counts.
    pub(crate) async fn counted<T: Record>(&self, query: Query, skipped: usize, size: usize) -> Result<Part<T>, Error> {
        let (mut found, mut passed, mut examined, mut after) = (Vec::new(), 0_usize, 0, None);
        let wanted = skipped.saturating_add(size);
        let is_whole = loop {
            // No more than the page: a reader of fifty should not pay for a thousand.
            let page = Page { size: MAX_PAGE.min(wanted - passed), after };
            let size = page.size;
            let rows = self.store.list::<T>(View::Durable, query.clone(), page).await?;
            examined += examined_for(&rows, size);
            let before = skipped.saturating_sub(passed);
            passed += rows.items.len();
            found.extend(rows.items.into_iter().skip(before).map(|found| found.row));
            let Some(next) = rows.next else { break true };
            if passed >= wanted || examined >= EXAMINED_MAX {
                break false;
            }
            after = Some(next);
        };
        if is_whole {
            return Ok(Part { rows: found, total: passed, is_lower_bound: false });
        }
        let (total, is_lower_bound) = match self.store.count(View::Durable, query, COUNT_MAX).await? {
            // Something may have been written since the page was read.
            Count::Exactly(count) => (count.max(passed), false),
            Count::AtLeast(count) => (count.max(passed), true),
        };
        Ok(Part { rows: found, total, is_lower_bound })
    }

    /// The same where each row that the store finds is looked at as well.
    pub(crate) async fn looked_through<T: Record>(
        &self,
        query: Query,
        holds: impl Fn(&T) -> bool,
        skipped: usize,
        size: usize,
    ) -> Result<Part<T>, Error> {
        let (mut found, mut passed, mut examined, mut after) = (Vec::new(), 0_usize, 0, None);
        let wanted = skipped.saturating_add(size);
        loop {
            let rows = self.store.list::<T>(View::Durable, query.clone(), Page { size: MAX_PAGE, after }).await?;
            examined += examined_for(&rows, MAX_PAGE);
            for row in rows.items.into_iter().map(|found| found.row).filter(|row| holds(row)) {
                if (skipped..wanted).contains(&passed) {
                    found.push(row);
                }
                passed += 1;
            }
            let Some(next) = rows.next else {
                return Ok(Part { rows: found, total: passed, is_lower_bound: false });
            };
            if passed >= wanted.max(COUNT_MAX) || examined >= EXAMINED_MAX {
                return Ok(Part { rows: found, total: passed, is_lower_bound: true });
            }
            after = Some(next);
        }
    }

    /// All executions that a search finds, if there are not more than `most`.
    pub async fn found_executions(&self, search: &Search, most: usize) -> Result<Vec<Execution>, Error> {
        let query = Query::Executions(search.asked.clone());
        let (mut found, mut after) = (Vec::new(), None);
        loop {
            let rows = self.store.list::<rows::Execution>(View::Durable, query.clone(), Page { size: MAX_PAGE, after });
            let rows = rows.await?;
            found.extend(rows.items.iter().filter(|row| search.holds(&row.record)).map(|row| row.record.clone()));
            if found.len() > most {
                let message = format!("more than {most} executions are found; hint: add a filter, for example a date");
                return Err(Error::bad_request("query.too_many", message));
            }
            match rows.next {
                Some(next) => after = Some(next),
                None => return Ok(found),
            }
        }
    }
}

/// How many rows the store has looked at for a page, at most: one that is short and not the last took all that it is allowed.
fn examined_for<T>(rows: &store::Rows<T>, size: usize) -> usize {
    if rows.items.len() < size { MAX_EXAMINED } else { rows.items.len() }
}
