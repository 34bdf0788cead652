//! The text of one template and how errors point into it.
use std::sync::Arc;

use crate::error::{Error, Position, Problem};

/// Characters of a template line that an error shows.
const EXCERPT_CHARS: usize = 80;

/// A template's text.
#[derive(Debug, Clone)]
pub(crate) struct Source(pub Arc<str>);

impl Source {
    /// One-based line and column of a byte offset.
    pub fn position(&self, at: usize) -> Position {
        let before = self.0.get(..at.min(self.0.len())).unwrap_or(&self.0);
        let line_start = before.rfind('\n').map_or(0, |at| at + 1);
        let column = before.get(line_start..).unwrap_or("").chars().count() + 1;
        let line = before.matches('\n').count() + 1;
        Position { line: u32::try_from(line).unwrap_or(u32::MAX), column: u32::try_from(column).unwrap_or(u32::MAX) }
    }

    /// The problem, placed at a byte offset.
    pub fn problem(&self, at: usize, message: impl Into<String>, hint: Option<String>) -> Box<Problem> {
        let mut problem =
            Problem { message: message.into(), hint, excerpt: String::new(), position: Position::default() };
        self.place(&mut problem, at);
        Box::new(problem)
    }

    pub fn syntax(&self, at: usize, message: impl Into<String>, hint: Option<String>) -> Error {
        Error::Syntax(self.problem(at, message, hint))
    }

    /// Gives an error from a filter or function, which knows no position, the one of its call.
    pub fn locate(&self, mut error: Error, at: usize) -> Error {
        if let Some(problem) = error.problem_mut().filter(|problem| problem.position.line == 0) {
            self.place(problem, at);
        }
        error
    }

    fn place(&self, problem: &mut Problem, at: usize) {
        problem.position = self.position(at);
        let start = self.0.get(..at).and_then(|before| before.rfind('\n')).map_or(0, |at| at + 1);
        let line = self.0.get(start..).unwrap_or("").lines().next().unwrap_or("").trim();
        problem.excerpt = line.chars().take(EXCERPT_CHARS).collect();
        if line.chars().count() > EXCERPT_CHARS {
            problem.excerpt.push('…');
        }
    }
}

/// The name most like `wanted`, if one is near enough to be meant.
pub(crate) fn nearest<'a>(wanted: &str, names: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let wanted_lower = wanted.to_lowercase();
    let allowed = 1 + wanted.chars().count() / 4;
    names
        .into_iter()
        .filter(|name| name.chars().count().abs_diff(wanted.chars().count()) <= allowed)
        .map(|name| (distance(&wanted_lower, &name.to_lowercase()), name))
        .filter(|(distance, _)| *distance <= allowed)
        .min()
        .map(|(_, name)| name)
}

/// Edit distance; names are short, so one row of the table is enough.
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, from) in a.chars().enumerate() {
        let mut diagonal = i;
        let mut left = i + 1;
        for (cell, to) in row.iter_mut().skip(1).zip(&b) {
            let value = (diagonal + usize::from(from != *to)).min(left + 1).min(*cell + 1);
            diagonal = std::mem::replace(cell, value);
            left = value;
        }
        if let Some(first) = row.first_mut() {
            *first = i + 1;
        }
    }
    row.last().copied().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nearest_name_is_found_within_reach() {
        assert_eq!(nearest("outptus", ["inputs", "outputs", "vars"]), Some("outputs"));
        assert_eq!(nearest("uper", ["upper", "lower"]), Some("upper"));
        assert_eq!(nearest("xyz", ["upper", "lower"]), None);
    }

    #[test]
    fn nearest_name_is_the_least_far() {
        for (wanted, names, found) in [
            ("abc", vec!["abd", "abc"], Some("abc")),
            ("ABC", vec!["abx", "abc"], Some("abc")),
            ("abcd", vec!["abdc", "xy"], Some("abdc")),
            ("abc", vec!["bac"], None),
            ("ab", vec!["abc"], Some("abc")),
            ("ab", vec!["abcd"], None),
            ("abcdefgh", vec!["abcdefghijk"], Some("abcdefghijk")),
            ("abcdefgh", vec!["abcdefghijkl"], None),
            ("abcdefgh", vec!["xyzdefgh"], Some("xyzdefgh")),
            ("abcdefgh", vec!["wxyzefgh"], None),
        ] {
            assert_eq!(nearest(wanted, names), found, "{wanted}");
        }
    }

    #[test]
    fn distances_count_edits() {
        for (a, b, wanted) in [
            ("", "", 0),
            ("", "abc", 3),
            ("abc", "", 3),
            ("kitten", "sitting", 3),
            ("abc", "bc", 1),
            ("ac", "abc", 1),
            ("flaw", "lawn", 2),
        ] {
            assert_eq!(distance(a, b), wanted, "{a} {b}");
        }
    }

    #[test]
    fn places_are_counted_in_characters() {
        let source = Source("é{{ a }}\n  ñ{{ b }}  \nc".into());
        let at = |at: usize| (source.position(at).line, source.position(at).column);
        assert_eq!((at(0), at(2), at(9), at(10), at(14)), ((1, 1), (1, 2), (1, 9), (2, 1), (2, 4)));
        assert_eq!((at(24), at(999)), ((3, 1), (3, 2)));
        let problem = source.problem(14, "bad", Some("good".into()));
        assert_eq!(problem.to_string(), "bad (line 2, column 4 of `ñ{{ b }}`); hint: good");
        assert_eq!(source.problem(0, "bad", None).excerpt, "é{{ a }}");
        assert_eq!(source.syntax(0, "bad", None).code(), "expression.syntax");
    }

    #[test]
    fn long_lines_are_cut() {
        for (chars, cut) in [(EXCERPT_CHARS, false), (EXCERPT_CHARS + 1, true)] {
            let excerpt = Source("é".repeat(chars).into()).problem(0, "bad", None).excerpt;
            assert_eq!((excerpt.chars().count(), excerpt.ends_with('…')), (chars, cut));
        }
    }

    #[test]
    fn errors_are_placed_once() {
        let source = Source("a\nb".into());
        let placed = source.locate(Error::invalid("bad"), 2);
        assert_eq!(placed.problem().map(|problem| problem.position.line), Some(2));
        let again = source.locate(placed, 0);
        assert_eq!(again.problem().map(|problem| problem.position.line), Some(2));
    }
}
