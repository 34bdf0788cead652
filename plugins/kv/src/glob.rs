//! Patterns of keys: `*` is any text, `?` one character. Takes time in the product of their lengths, whatever they hold.

/// Whether a whole text fits a pattern.
pub fn matches(pattern: &str, text: &str) -> bool {
    let (pattern, text) = (pattern.as_bytes(), text.as_bytes());
    let (mut at, mut from) = (0, 0);
    // Where the last `*` is, and what it has taken: if what follows does not fit, it takes one more.
    let mut star: Option<(usize, usize)> = None;
    while from < text.len() {
        match pattern.get(at) {
            Some(b'*') => {
                star = Some((at, from));
                at += 1;
            }
            Some(wanted) if *wanted == b'?' || text.get(from) == Some(wanted) => {
                at += 1;
                from += 1;
            }
            _ => match star {
                Some((before, taken)) => {
                    star = Some((before, taken + 1));
                    at = before + 1;
                    from = taken + 1;
                }
                None => return false,
            },
        }
    }
    pattern.get(at..).unwrap_or_default().iter().all(|rest| *rest == b'*')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_fit_whole_keys() {
        for (pattern, key, expected) in [
            ("AI_*", "AI_x", true),
            ("AI_*", "BI_AI_x", false),
            ("*_old", "a_old", true),
            ("*_old", "a_older", false),
            ("a?c", "abc", true),
            ("a?c", "ac", false),
            ("*", "", true),
            ("", "a", false),
            ("**a**", "bab", true),
        ] {
            assert_eq!(matches(pattern, key), expected, "{pattern} {key}");
        }
        assert!(!matches(&format!("{}b", "a*".repeat(60)), &"a".repeat(1_000)));
    }
}
