//! Patterns of paths: `*` and `?` within a segment, `**` across them, `[a-z]`, `{one,two}`. Takes time in the product of the lengths of
//! pattern and path, whatever they hold.

/// Most patterns that alternatives may unfold to.
const ALTERNATIVES_MAX: usize = 64;
/// Longest pattern.
const PATTERN_MAX: usize = 1_024;

/// A pattern that is read once and matched often.
#[derive(Clone, Debug)]
pub struct Glob {
    alternatives: Vec<Vec<Token>>,
}

#[derive(Clone, Debug, PartialEq)]
enum Token {
    /// `**`.
    Anything,
    /// `*`.
    InSegment,
    /// `?`.
    One,
    Literal(char),
    /// Ranges, and whether they are excluded.
    Class(Vec<(char, char)>, bool),
}

impl Glob {
    /// A pattern relative to a folder: `a/*.txt` means files of its folder `a`.
    pub fn anchored(pattern: &str) -> Result<Self, String> {
        let path = pattern.trim_start_matches("./").trim_start_matches('/');
        // `**/` is no folder as well.
        let root = if path.starts_with("**/") { "" } else { "/" };
        Self::read(pattern, &format!("{root}{path}"))
    }

    /// A pattern for files of a namespace: one that does not begin with `/` fits at any depth (Kestra's rule).
    pub fn anywhere(pattern: &str) -> Result<Self, String> {
        match pattern.starts_with(['/', '*']) {
            true => Self::read(pattern, &format!("/{}", pattern.trim_start_matches('/'))),
            false => Self::read(pattern, &format!("**/{pattern}")),
        }
    }

    fn read(written: &str, pattern: &str) -> Result<Self, String> {
        if pattern.len() > PATTERN_MAX {
            return Err(format!("a pattern has at most {PATTERN_MAX} bytes, this one has {}", pattern.len()));
        }
        let mut whole = Vec::new();
        unfold(pattern, &mut whole).map_err(|why| format!("the pattern `{written}` {why}"))?;
        let alternatives: Result<Vec<_>, String> = whole.iter().map(|pattern| tokens(pattern)).collect();
        let alternatives = alternatives.map_err(|why| format!("the pattern `{written}` {why}"))?;
        Ok(Self { alternatives })
    }

    /// Whether a path without a leading separator fits.
    pub fn fits(&self, path: &str) -> bool {
        let path: Vec<char> = std::iter::once('/').chain(path.chars()).collect();
        self.alternatives.iter().any(|tokens| fits(tokens, &path))
    }
}

/// Follows all ways through the pattern at once.
fn fits(tokens: &[Token], path: &[char]) -> bool {
    let mut at = vec![false; tokens.len() + 1];
    let close = |at: &mut Vec<bool>| {
        for (position, token) in tokens.iter().enumerate() {
            let here = at.get(position).copied().unwrap_or_default();
            if here
                && matches!(token, Token::Anything | Token::InSegment)
                && let Some(next) = at.get_mut(position + 1)
            {
                *next = true;
            }
        }
    };
    if let Some(first) = at.first_mut() {
        *first = true;
    }
    close(&mut at);
    for sign in path {
        let mut next = vec![false; tokens.len() + 1];
        for (position, token) in tokens.iter().enumerate().filter(|(position, _)| at.get(*position) == Some(&true)) {
            let goes_to = match token {
                Token::Anything => Some(position),
                Token::InSegment if *sign != '/' => Some(position),
                Token::One if *sign != '/' => Some(position + 1),
                Token::Literal(wanted) if wanted == sign => Some(position + 1),
                Token::Class(ranges, excluded) if *sign != '/' => {
                    let within = ranges.iter().any(|(from, to)| (from..=to).contains(&sign));
                    (within != *excluded).then_some(position + 1)
                }
                _ => None,
            };
            if let Some(reached) = goes_to.and_then(|goes_to| next.get_mut(goes_to)) {
                *reached = true;
            }
        }
        close(&mut next);
        at = next;
    }
    at.last() == Some(&true)
}

/// A pattern without alternatives for each way to choose among them.
fn unfold(pattern: &str, into: &mut Vec<String>) -> Result<(), String> {
    let Some(open) = pattern.find('{') else {
        if into.len() == ALTERNATIVES_MAX {
            return Err(format!("has more than {ALTERNATIVES_MAX} alternatives"));
        }
        into.push(pattern.to_owned());
        return Ok(());
    };
    let inside = pattern.get(open + 1..).unwrap_or_default();
    let close = inside.find('}').ok_or("has a `{` without its `}`")?;
    let (choices, rest) = (inside.get(..close).unwrap_or_default(), inside.get(close + 1..).unwrap_or_default());
    if choices.contains('{') {
        return Err("has alternatives within alternatives".to_owned());
    }
    let before = pattern.get(..open).unwrap_or_default();
    choices.split(',').try_for_each(|choice| unfold(&format!("{before}{choice}{rest}"), into))
}

fn tokens(pattern: &str) -> Result<Vec<Token>, String> {
    let mut tokens = Vec::new();
    let mut signs = pattern.chars().peekable();
    while let Some(sign) = signs.next() {
        tokens.push(match sign {
            '*' if signs.peek() == Some(&'*') => {
                while signs.next_if_eq(&'*').is_some() {}
                Token::Anything
            }
            '*' => Token::InSegment,
            '?' => Token::One,
            '\\' => Token::Literal(signs.next().ok_or("ends with a `\\`")?),
            '[' => {
                let excluded = signs.next_if(|sign| matches!(sign, '!' | '^')).is_some();
                let mut ranges = Vec::new();
                loop {
                    match signs.next().ok_or("has a `[` without its `]`")? {
                        ']' => break,
                        from if signs.next_if_eq(&'-').is_some() => {
                            ranges.push((from, signs.next().ok_or("has a range without an end")?));
                        }
                        one => ranges.push((one, one)),
                    }
                }
                Token::Class(ranges, excluded)
            }
            other => Token::Literal(other),
        });
    }
    Ok(tokens)
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use super::*;

    fn check(glob: Result<Glob, String>, path: &str, expected: bool) {
        let glob = glob.unwrap();
        assert_eq!(glob.fits(path), expected, "{glob:?} {path}");
    }

    #[test]
    fn anchored_patterns_are_relative_to_their_folder() {
        for (pattern, path, expected) in [
            ("out/*", "out/a.txt", true),
            ("out/*", "out/b/a.txt", false),
            ("out/**", "out/b/a.txt", true),
            ("*.txt", "a.txt", true),
            ("*.txt", "b/a.txt", false),
            ("./a.txt", "a.txt", true),
            ("**/a.txt", "a.txt", true),
            ("**/a.txt", "b/c/a.txt", true),
            ("**", "b/c", true),
            ("a?c", "abc", true),
            ("a?c", "a/c", false),
            ("[a-c].t[!x]t", "b.txt", false),
            ("[a-c].t[!y]t", "b.txt", true),
            ("{a,b}.{txt,csv}", "b.csv", true),
            ("{a,b}.{txt,csv}", "c.csv", false),
            ("a\\*", "a*", true),
            ("a\\*", "ab", false),
        ] {
            check(Glob::anchored(pattern), path, expected);
        }
    }

    #[test]
    fn patterns_of_namespace_files_fit_at_any_depth() {
        for (pattern, path, expected) in [
            ("/ignore/**", "ignore/4.txt", true),
            ("/ignore/**", "a/ignore/4.txt", false),
            ("a.txt", "x/a.txt", true),
            ("a.txt", "xa.txt", false),
            ("**.upl", "x/y.upl", true),
            ("**input.txt", "deep/input.txt", true),
            ("*.sql", "a.sql", true),
            ("scripts/*.py", "x/scripts/a.py", true),
        ] {
            check(Glob::anywhere(pattern), path, expected);
        }
    }

    #[test]
    fn hostile_patterns_cost_little() {
        check(Glob::anchored(&format!("{}b", "a*".repeat(100))), &"a".repeat(5_000), false);
        assert!(Glob::anchored(&"{a,b}".repeat(10)).unwrap_err().contains("alternatives"));
        for bad in ["{a", "[a", "a\\", "[a-", "{a,{b}}"] {
            assert!(Glob::anchored(bad).is_err(), "{bad}");
        }
        assert!(Glob::anchored(&"a".repeat(2_000)).is_err());
    }
}
