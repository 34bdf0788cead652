//! The names nearest to a mistyped one, for hints. Bounded in both texts; a hint that is not near is worse than none.

/// Most names offered.
const OFFERED_MAX: usize = 3;
/// Longest text compared: task types are shorter, anything longer is no typing mistake.
const TEXT_MAX: usize = 200;

/// Up to three of `names` that `text` may have meant, nearest first. A name also counts as near when only its last segment was
/// written, or its package differs: `Log` and `io.kestra.core.tasks.log.Log` both mean `io.kestra.plugin.core.log.Log`.
pub fn nearest<'a>(text: &str, names: impl IntoIterator<Item = &'a str>) -> Vec<String> {
    if text.chars().count() > TEXT_MAX {
        return Vec::new();
    }
    let text = text.to_lowercase();
    // One mistake in five letters, and at least one.
    let limit = (text.chars().count() / 5).max(1);
    let mut near: Vec<(usize, &str)> = names
        .into_iter()
        .filter_map(|name| {
            let lower = name.to_lowercase();
            let whole = distance(&text, &lower, limit);
            let same_end = last_segment(&text) == last_segment(&lower);
            let score = whole.or_else(|| same_end.then_some(limit + 1))?;
            Some((score, name))
        })
        .collect();
    near.sort_unstable();
    near.dedup();
    // Beside a hit, those that are further away would only distract.
    let best = near.first().map_or(0, |(score, _)| *score);
    near.retain(|(score, _)| *score == best);
    near.into_iter()
        .take(OFFERED_MAX)
        .map(|(_, name)| name.to_owned())
        .collect()
}

fn last_segment(name: &str) -> &str {
    name.rsplit('.').next().unwrap_or(name)
}

/// Insertions, deletions, replacements and swapped neighbours between two texts, where they are at most `limit`.
fn distance(left: &str, right: &str, limit: usize) -> Option<usize> {
    let left: Vec<char> = left.chars().take(TEXT_MAX).collect();
    let right: Vec<char> = right.chars().take(TEXT_MAX).collect();
    if left.len().abs_diff(right.len()) > limit {
        return None;
    }
    let mut before_last: Vec<usize> = Vec::new();
    let mut last: Vec<usize> = (0..=right.len()).collect();
    let mut above = None;
    for (row, &letter) in left.iter().enumerate() {
        let mut current = vec![row + 1];
        let mut besides = None;
        for (column, &other) in right.iter().enumerate() {
            let at = |cells: &[usize], column: usize| {
                cells.get(column).copied().unwrap_or(usize::MAX - 1)
            };
            let mut cost = at(&last, column) + usize::from(letter != other);
            cost = cost
                .min(at(&last, column + 1) + 1)
                .min(at(&current, column) + 1);
            if above == Some(other) && besides == Some(letter) {
                cost = cost.min(at(&before_last, column - 1) + 1);
            }
            current.push(cost);
            besides = Some(other);
        }
        if current.iter().all(|&cost| cost > limit) {
            return None;
        }
        above = Some(letter);
        before_last = std::mem::replace(&mut last, current);
    }
    last.last().copied().filter(|&cost| cost <= limit)
}

#[cfg(test)]
mod tests {
    use super::*;

    const NAMES: &[&str] = &[
        "io.kestra.plugin.core.debug.Return",
        "io.kestra.plugin.core.http.Download",
        "io.kestra.plugin.core.http.Request",
        "io.kestra.plugin.core.log.Log",
    ];

    fn check(text: &str, expected: &[&str]) {
        assert_eq!(nearest(text, NAMES.iter().copied()), expected, "{text}");
    }

    #[test]
    fn typing_mistakes_are_near() {
        check(
            "io.kestra.plugin.core.log.Logg",
            &["io.kestra.plugin.core.log.Log"],
        );
        check(
            "io.kestra.plugin.core.http.Reqeust",
            &["io.kestra.plugin.core.http.Request"],
        );
        check(
            "IO.KESTRA.PLUGIN.CORE.LOG.LOG",
            &["io.kestra.plugin.core.log.Log"],
        );
    }

    #[test]
    fn same_last_segment_is_near() {
        check("Log", &["io.kestra.plugin.core.log.Log"]);
        check(
            "io.kestra.core.tasks.debugs.Return",
            &["io.kestra.plugin.core.debug.Return"],
        );
    }

    #[test]
    fn others_are_not() {
        check("com.example.Other", &[]);
        check("", &[]);
        check(&"x".repeat(100_000), &[]);
    }

    #[test]
    fn distance_counts_edits() {
        for (left, right, expected) in [
            ("abc", "abc", 0),
            ("abc", "abd", 1),
            ("abc", "ab", 1),
            ("abc", "xabc", 1),
            ("abc", "acb", 1),
            ("ab", "ba", 1),
            ("é", "e", 1),
        ] {
            assert_eq!(distance(left, right, 3), Some(expected), "{left} {right}");
        }
        assert_eq!(distance("abcdef", "uvwxyz", 3), None);
        assert_eq!(distance("", "abcd", 3), None);
    }
}
