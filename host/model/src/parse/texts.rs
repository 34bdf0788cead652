//! Looks at every text of a flow: expressions that cannot be read, JSON that is none. Kestra saves flows with either, and some texts
//! only look like one, so what is found is a warning.

use std::collections::HashSet;

use crate::node::{Node, has_expression};
use crate::problem::{Position, Problems};

/// Warns of every text that cannot be what it looks like, but for the values under the given paths.
pub(super) fn check(node: &Node<'_>, unrendered: &HashSet<String>, problems: &mut Problems) {
    if !unrendered.is_empty() && unrendered.contains(&node.path()) {
        return;
    }
    if let Some(text) = node.value.as_str() {
        if has_expression(text) {
            check_expression(node, text, problems);
        } else {
            check_json(node, text, problems);
        }
        return;
    }
    node.items().iter().for_each(|item| check(item, unrendered, problems));
    node.entries().iter().for_each(|(_, entry)| check(entry, unrendered, problems));
}

fn check_expression(node: &Node<'_>, text: &str, problems: &mut Problems) {
    let Err(error) = expr::parse(text) else { return };
    let Some(problem) = error.problem() else {
        problems.push(node.warning("flow.expression", error.to_string()));
        return;
    };
    let found = node.warning("flow.expression", problem.message.clone()).at(place(node, problem.position));
    problems.push(found.hints(problem.hint.clone()));
}

/// A text that begins like JSON, under a name that promises JSON.
fn check_json(node: &Node<'_>, text: &str, problems: &mut Problems) {
    const PROMISES: &[&str] = &["json", "schema", "body", "payload"];
    if !text.trim_start().starts_with(['{', '[']) {
        return;
    }
    let Some(key) = node.key().map(str::to_lowercase) else { return };
    if PROMISES.iter().any(|word| key.contains(word))
        && let Err(error) = expr::Value::parse_json(text)
    {
        let problem = node.warning("flow.json", format!("this looks like JSON and is none: {error}"));
        problems.push(problem.hint("the task is given the text as it stands"));
    }
}

/// Where in the source a place in a text is. Exact for block texts and the first line of others.
fn place(node: &Node<'_>, within: expr::Position) -> Position {
    if node.at.line == 0 || within.line == 0 {
        return node.at;
    }
    let line = if node.is_block() { node.at.line + within.line } else { node.at.line + within.line - 1 };
    let column = if within.line == 1 && !node.is_block() { node.at.column + within.column - 1 } else { within.column };
    Position { line, column }
}
