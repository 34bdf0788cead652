//! Searches of flows: by what is stored of them beside their text, or in their text.

use std::sync::Arc;

use model::flow::Label;
use store::query::NamespaceMatch;
use store::{Query, View, rows};

use crate::error::Error;
use crate::flows::FLOWS_MAX;
use crate::node::Node;
use crate::search::TextTest;

/// Lines shown of a flow that a text was found in.
const FRAGMENTS_MAX: usize = 10;
/// Longest of them, in characters.
const FRAGMENT_CHARS_MAX: usize = 200;

/// What a flow has to be.
#[derive(Clone, Debug)]
pub enum FlowTest {
    Namespace(TextTest),
    Id(TextTest),
    /// Part of its namespace or id, without regard to case.
    Name(String),
    /// A label it has, or has not.
    Label(Label, bool),
    /// What no flow is.
    Nothing,
}

/// What is looked for. All tests must hold.
#[derive(Clone, Debug, Default)]
pub struct FlowSearch {
    pub tests: Vec<FlowTest>,
}

impl FlowSearch {
    fn holds(&self, row: &rows::Flow) -> bool {
        let (namespace, id) = (row.key.namespace.as_str(), row.key.id.as_str());
        self.tests.iter().all(|test| match test {
            FlowTest::Namespace(test) => test.holds(namespace),
            FlowTest::Id(test) => test.holds(id),
            FlowTest::Name(part) => {
                let part = part.to_lowercase();
                id.to_lowercase().contains(&part) || namespace.to_lowercase().contains(&part)
            }
            FlowTest::Label(label, wanted) => row.labels.contains(label) == *wanted,
            FlowTest::Nothing => false,
        })
    }
}

impl Node {
    /// The newest revisions of flows that pass, by namespace and id.
    pub async fn search_flows(&self, search: &FlowSearch) -> Result<Vec<Arc<rows::Flow>>, Error> {
        let query = Query::Flows { namespace: NamespaceMatch::Any, deleted: false };
        let rows = self.store.all::<rows::Flow>(View::Durable, query, FLOWS_MAX).await?;
        Ok(rows.into_iter().map(|row| row.row).filter(|row| search.holds(row)).collect())
    }
}

/// The lines of a source that have a text, without regard to case, each marked as `[mark]text[/mark]`; none: it is not in it.
pub fn fragments(source: &str, text: &str) -> Vec<String> {
    let wanted = text.to_lowercase();
    let found = source.lines().filter_map(|line| {
        let lower = line.to_lowercase();
        // Where a letter's lower case has another length, places in it are not places in the line.
        let at = if lower.len() == line.len() { lower.find(&wanted)? } else { line.find(text)? };
        let end = at + if lower.len() == line.len() { wanted.len() } else { text.len() };
        let (before, hit, after) = (line.get(..at)?, line.get(at..end)?, line.get(end..)?);
        let short = |part: &str| part.chars().take(FRAGMENT_CHARS_MAX).collect::<String>();
        Some(format!("{}[mark]{hit}[/mark]{}", short(before), short(after)))
    });
    found.take(FRAGMENTS_MAX).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fragments_are_the_lines_that_have_the_text() {
        assert_eq!(
            fragments("id: Some\nx: some more\n", "SOME"),
            ["id: [mark]Some[/mark]", "x: [mark]some[/mark] more"]
        );
        assert_eq!(fragments("a\n", "b"), Vec::<String>::new());
        assert_eq!(fragments("İx\n", "x"), ["İ[mark]x[/mark]"]);
    }
}
