//! How many lines of a file change.

use imara_diff::{Algorithm, Diff, InternedInput};

/// Longest content whose lines are compared; of more, only that it differs is said.
const COMPARED_BYTES_MAX: usize = 1 << 20;

/// Lines that come and lines that go; `None`: it is no text, or too long to be looked at.
pub fn lines(before: &[u8], after: &[u8]) -> Option<(u32, u32)> {
    let text = |bytes: &[u8]| bytes.len() <= COMPARED_BYTES_MAX && !bytes.contains(&0);
    if !text(before) || !text(after) {
        return None;
    }
    let input = InternedInput::new(before, after);
    let diff = Diff::compute(Algorithm::Histogram, &input);
    Some((diff.count_additions(), diff.count_removals()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_counted() {
        let check =
            |before: &str, after: &str, expected| assert_eq!(lines(before.as_bytes(), after.as_bytes()), expected);
        check("a\nb\nc\n", "a\nx\nc\n", Some((1, 1)));
        check("", "a\nb\n", Some((2, 0)));
        check("a\nb\n", "", Some((0, 2)));
        check("a\n", "a\0", None);
    }
}
