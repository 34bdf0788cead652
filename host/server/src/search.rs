//! Searches of executions: what an index of the store answers, what is looked at in each that it finds, and what is done to all of them.

use jiff::Timestamp;
use model::execution::Execution;
use model::flow::Label;
use model::state::State;
use regex::Regex;
use store::query::{ExecutionFilter, MAX_PAGE};
use store::{Count, Page, Query, View, rows};

use crate::error::Error;
use crate::node::Node;

/// Totals are exact up to here; above, they are lower bounds.
const COUNT_MAX: usize = 10_000;
/// Executions looked at for one page or total, where no index has the answer.
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

impl Node {
    /// Executions that a search finds.
    pub async fn search_executions(&self, search: &Search, skipped: usize, size: usize) -> Result<Found, Error> {
        let query = Query::Executions(search.asked.clone());
        let (mut executions, mut passed, mut examined, mut after) = (Vec::new(), 0_usize, 0, None);
        // What the store counts need not be looked through to its end.
        let is_counted = search.rest.is_empty();
        let wanted = skipped.saturating_add(size);
        let is_whole = loop {
            let rows = self.store.list::<rows::Execution>(View::Durable, query.clone(), Page { size: MAX_PAGE, after });
            let rows = rows.await?;
            examined += rows.items.len();
            for row in rows.items.iter().filter(|row| search.holds(&row.record)) {
                if (skipped..wanted).contains(&passed) {
                    executions.push(row.record.clone());
                }
                passed += 1;
            }
            let Some(next) = rows.next else { break true };
            let enough = if is_counted { wanted } else { wanted.max(COUNT_MAX) };
            if passed >= enough || examined >= EXAMINED_MAX {
                break false;
            }
            after = Some(next);
        };
        if is_whole || !is_counted {
            return Ok(Found { executions, total: passed, is_lower_bound: !is_whole });
        }
        let (total, is_lower_bound) = match self.store.count(View::Durable, query, COUNT_MAX).await? {
            Count::Exactly(count) => (count, false),
            Count::AtLeast(count) => (count.max(passed), true),
        };
        Ok(Found { executions, total, is_lower_bound })
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
