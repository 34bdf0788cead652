//! What a search of log lines asks, from Kestra's filters and from the plain parameters of older clients.

use catalog::nearest;
use jiff::Timestamp;
use model::ids::{Namespace, TaskId};
use model::task::LogLevel;
use store::query::{LogScope, NamespaceMatch};
use store::rows::NamespaceKey;
use utoipa::IntoParams;
use utoipa::openapi::path::{Parameter, ParameterIn};

use super::{LEVELS, level};
use crate::error::{Error, Issue};
use crate::http::filters::{self, Filter};
use crate::logs::{LineSearch, LineTest, LineText};
use crate::search::{Operation, TextTest};

/// What lines can be searched by.
const FIELDS: [&str; 12] = [
    "q",
    "scope",
    "namespace",
    "flowId",
    "executionId",
    "triggerId",
    "taskId",
    "taskRunId",
    "level",
    "startDate",
    "endDate",
    "timeRange",
];
/// Parameters that are no filters.
const PLAIN: [&str; 14] = [
    "page",
    "size",
    "sort",
    "q",
    "namespace",
    "flowId",
    "executionId",
    "triggerId",
    "taskId",
    "taskRunId",
    "minLevel",
    "startDate",
    "endDate",
    "timeRange",
];

/// The parameters of a search of lines, as they are described.
pub struct OfLogs;

impl IntoParams for OfLogs {
    fn into_params(_: impl Fn() -> Option<ParameterIn>) -> Vec<Parameter> {
        let plain: Vec<&str> = PLAIN.into_iter().filter(|name| !matches!(*name, "page" | "size" | "sort")).collect();
        filters::all(&FIELDS, &plain)
    }
}

impl LineSearch {
    /// A search of a query string.
    pub fn parse(query: &str, now: Timestamp) -> Result<Self, Error> {
        filters::only(query, &PLAIN)?;
        let mut written = filters::parse(query)?;
        let pairs = || url::form_urlencoded::parse(query.as_bytes()).filter(|(_, value)| !value.is_empty());
        // Whoever names a flow names its namespace.
        let namespace = if pairs().any(|(name, _)| name == "flowId") { Operation::Equals } else { Operation::Prefix };
        written.extend(pairs().filter_map(|(name, value)| {
            let (field, operation) = match name.as_ref() {
                "namespace" => ("namespace", namespace),
                "minLevel" => ("level", Operation::Equals),
                "startDate" => ("startDate", Operation::GreaterThanOrEqualTo),
                "endDate" => ("endDate", Operation::LessThanOrEqualTo),
                "page" | "size" | "sort" => return None,
                field => (*PLAIN.iter().find(|known| **known == field)?, Operation::Equals),
            };
            Some(Filter::plain(field, operation, &value))
        }));
        let mut search = Self::default();
        let issues: Vec<Issue> = written.iter().filter_map(|filter| search.add(filter, now).err()).collect();
        filters::refuse(issues)?;
        search.narrow();
        Ok(search)
    }

    fn add(&mut self, filter: &Filter, now: Timestamp) -> Result<(), Issue> {
        use Operation as O;
        let wrong = |hint: &str| Err(filter.issue(format!("`{}` cannot be searched so", filter.field), hint));
        let text = match filter.field.as_str() {
            "namespace" => Some(LineText::Namespace),
            "flowId" => Some(LineText::Flow),
            "executionId" => Some(LineText::Execution),
            "triggerId" => Some(LineText::Trigger),
            "taskId" => Some(LineText::Task),
            "taskRunId" => Some(LineText::TaskRun),
            _ => None,
        };
        if let Some(text) = text {
            self.rest.push(LineTest::Text(text, filters::text_test(filter)?));
            return Ok(());
        }
        match (filter.field.as_str(), filter.operation) {
            ("q" | "query", O::Equals | O::Contains) if self.asked.text.is_some() => {
                return Err(filter.issue(format!("`{}` is given twice", filter.field), "give it once"));
            }
            ("q" | "query", O::Equals | O::Contains) => self.asked.text = Some(filter.value.clone()),
            ("level" | "minLevel", _) => self.levels(filter)?,
            ("startDate" | "endDate", _) => self.asked.at = filters::narrowed(self.asked.at, filter)?,
            ("timeRange", O::Equals) => self.asked.at = self.asked.at.not_before(filters::since(filter, now)?),
            // Every flow here is somebody's own: there are none of the system.
            ("scope", O::Equals | O::In) if filter.values().any(|scope| scope == "USER") => {}
            ("scope", O::Equals | O::In) => self.rest.push(LineTest::OneOf(Vec::new())),
            _ => {
                let near = nearest(&filter.field, FIELDS.iter().copied());
                let known = if near.is_empty() { FIELDS.join(", ") } else { near.join(" or ") };
                return wrong(&format!("log lines are searched by {known}"));
            }
        }
        Ok(())
    }

    /// As in Kestra a level stands for itself and those above it, and `NOT_EQUALS` for those below.
    fn levels(&mut self, filter: &Filter) -> Result<(), Issue> {
        use Operation as O;
        let known = |name: &str| level(name).map_err(|error| filter.issue(error.to_string(), &names()));
        let named = || filter.values().map(known).collect::<Result<Vec<LogLevel>, Issue>>();
        let others = |levels: &[LogLevel]| {
            LEVELS.iter().map(|(_, level)| *level).filter(|level| !levels.contains(level)).collect::<Vec<_>>()
        };
        match filter.operation {
            O::Equals | O::GreaterThanOrEqualTo => self.asked.least = self.asked.least.max(known(&filter.value)?),
            O::NotEquals | O::LessThan => {
                let least = known(&filter.value)?;
                let below = LEVELS.iter().map(|(_, level)| *level).filter(|level| *level < least);
                self.rest.push(LineTest::OneOf(below.collect()));
            }
            O::In => self.rest.push(LineTest::OneOf(named()?)),
            O::NotIn => self.rest.push(LineTest::OneOf(others(&named()?))),
            _ => {
                let hint = "EQUALS (this level and above), NOT_EQUALS (those below), IN or NOT_IN";
                return Err(filter.issue(format!("`{}` cannot be searched so", filter.field), hint));
            }
        }
        Ok(())
    }

    /// Gives the store what it can look at itself: it then counts what there is, and no line leaves it for nothing.
    fn narrow(&mut self) {
        let (mut namespace, mut flow, mut tree, mut task) = (None, None, None, None);
        for test in std::mem::take(&mut self.rest) {
            let place = match &test {
                LineTest::Text(LineText::Namespace, test) if test.operation == Operation::Equals => &mut namespace,
                LineTest::Text(LineText::Namespace, test) if test.operation == Operation::Prefix => &mut tree,
                LineTest::Text(LineText::Flow, test) if test.operation == Operation::Equals => &mut flow,
                LineTest::Text(LineText::Task, test) if test.operation == Operation::Equals => &mut task,
                _ => {
                    self.rest.push(test);
                    continue;
                }
            };
            match place {
                None => *place = Some(test),
                Some(_) => self.rest.push(test),
            }
        }
        self.asked.task = task.as_ref().map(|test| TaskId::trusted(first(test)));
        let key = |test: &LineTest| NamespaceKey::main(Namespace::trusted(first(test)));
        let (namespace_match, flow_key) = match (&namespace, flow, tree) {
            (Some(namespace), Some(flow), tree) => {
                self.rest.extend(tree);
                (NamespaceMatch::Any, Some(crate::flows::key(first(namespace), first(&flow))))
            }
            (Some(namespace), None, tree) => {
                self.rest.extend(tree);
                (NamespaceMatch::Exact(key(namespace)), None)
            }
            (None, flow, tree) => {
                self.rest.extend(flow);
                (tree.as_ref().map_or(NamespaceMatch::Any, |tree| NamespaceMatch::Tree(key(tree))), None)
            }
        };
        self.asked.of = LogScope::Flows { namespace: namespace_match, flow: flow_key };
    }
}

fn names() -> String {
    format!("levels are {}", LEVELS.map(|(name, _)| name).join(", "))
}

/// The text that a test compares with.
fn first(test: &LineTest) -> &str {
    match test {
        LineTest::Text(_, TextTest { values, .. }) => values.first().map_or("", String::as_str),
        LineTest::OneOf(_) => "",
    }
}
