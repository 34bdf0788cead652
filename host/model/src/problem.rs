//! What is wrong with a flow, in words, with the place. Everything is collected; nothing here decides what is right.

use std::fmt;

/// Most problems reported for one source: more help nobody, and a hostile source must not fill the memory with them.
pub const MAX_PROBLEMS: usize = 200;
/// Most names offered as a correction.
const MAX_NEAREST: usize = 3;
/// How alike (0 to 1) a name must be to be offered.
const ALIKE: f64 = 0.7;
/// Longest name, in bytes, that is compared with others: comparing costs the product of the lengths, and nobody misspells more.
const MAX_COMPARED: usize = 200;
/// Longest piece of the source repeated in a message, in characters.
const MAX_QUOTED: usize = 80;

/// Whether a problem prevents saving.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    Error,
    Warning,
}

/// A place in the source.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Position {
    /// From 1; 0: not known.
    pub line: u32,
    /// In characters, from 1; 0: not known.
    pub column: u32,
}

/// One thing that is wrong, or doubtful.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// Where in the flow: `tasks[0].retry.interval`. Empty: the flow itself.
    pub path: String,
    /// From 1; 0: not known.
    pub line: u32,
    /// In characters, from 1; 0: not known.
    pub column: u32,
    /// Stable: `flow.required`, `yaml.syntax`, …
    pub code: &'static str,
    pub message: String,
    /// What to do.
    pub hint: Option<String>,
    pub severity: Severity,
}

impl Problem {
    pub(crate) fn error(code: &'static str, message: impl Into<String>) -> Self {
        Self {
            path: String::new(),
            line: 0,
            column: 0,
            code,
            message: message.into(),
            hint: None,
            severity: Severity::Error,
        }
    }

    pub(crate) fn warning(code: &'static str, message: impl Into<String>) -> Self {
        Self { severity: Severity::Warning, ..Self::error(code, message) }
    }

    pub(crate) fn at(mut self, position: Position) -> Self {
        self.line = position.line;
        self.column = position.column;
        self
    }

    pub(crate) fn path(mut self, path: impl Into<String>) -> Self {
        self.path = path.into();
        self
    }

    pub(crate) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    pub(crate) fn hints(mut self, hint: Option<String>) -> Self {
        self.hint = hint;
        self
    }

    pub fn is_error(&self) -> bool {
        self.severity == Severity::Error
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.line > 0 {
            write!(f, "{}:{}: ", self.line, self.column)?;
        }
        if self.severity == Severity::Warning {
            f.write_str("warning: ")?;
        }
        if !self.path.is_empty() {
            write!(f, "{}: ", self.path)?;
        }
        f.write_str(&self.message)?;
        match &self.hint {
            Some(hint) => write!(f, "; hint: {hint}"),
            None => Ok(()),
        }
    }
}

/// The problems found so far.
#[derive(Debug, Default)]
pub(crate) struct Problems {
    found: Vec<Problem>,
    dropped: usize,
}

impl Problems {
    pub fn push(&mut self, problem: Problem) {
        // A warning must not take the place of an error that prevents saving.
        if self.found.len() < MAX_PROBLEMS {
            self.found.push(problem);
        } else if problem.is_error()
            && let Some(place) = self.found.iter().rposition(|kept| !kept.is_error())
        {
            self.found.remove(place);
            self.found.push(problem);
            self.dropped += 1;
        } else {
            self.dropped += 1;
        }
    }

    pub fn extend(&mut self, problems: impl IntoIterator<Item = Problem>) {
        for problem in problems {
            self.push(problem);
        }
    }

    /// Whether more errors would only be counted. Looking for what somebody may have meant is not worth it then.
    pub fn is_full(&self) -> bool {
        self.found.len() >= MAX_PROBLEMS && self.found.iter().all(Problem::is_error)
    }

    pub fn has_error(&self) -> bool {
        self.found.iter().any(Problem::is_error)
    }

    /// All of them in the order of the source.
    pub fn finish(mut self) -> Vec<Problem> {
        self.found.sort_by_key(|problem| (problem.line, problem.column));
        if self.dropped > 0 {
            let message = format!("{} more problems are not shown", self.dropped);
            self.found.push(Problem::warning("flow.more_problems", message).hint("mend these and try again"));
        }
        self.found
    }
}

/// `did you mean …?` for a name that is not known, or the list of names where nothing is alike and it is short.
pub(crate) fn suggest<'a>(name: &str, known: impl IntoIterator<Item = &'a str>) -> Option<String> {
    /// Longest list worth showing whole.
    const SHORT: usize = 8;
    let mut known: Vec<&str> = known.into_iter().collect();
    // Sets come in any order; messages must not.
    known.sort_unstable();
    known.dedup();
    did_you_mean(name, known.iter().copied()).or_else(|| {
        let short = !known.is_empty() && known.len() <= SHORT;
        short.then(|| format!("known here: {}", quoted_list(&known)))
    })
}

/// `did you mean …?` for a name that is not known.
pub(crate) fn did_you_mean<'a>(name: &str, known: impl IntoIterator<Item = &'a str>) -> Option<String> {
    let near = nearest(name, known);
    (!near.is_empty()).then(|| format!("did you mean {}?", or_list(&near)))
}

/// The known names most like `name`, best first.
pub fn nearest<'a>(name: &str, known: impl IntoIterator<Item = &'a str>) -> Vec<&'a str> {
    if name.len() > MAX_COMPARED {
        return Vec::new();
    }
    let wanted = name.to_lowercase();
    let mut scored: Vec<(f64, &str)> = known
        .into_iter()
        .map(|known| (strsim::normalized_damerau_levenshtein(&wanted, &known.to_lowercase()), known))
        .filter(|(score, _)| *score >= ALIKE)
        .collect();
    scored.sort_by(|(a, _), (b, _)| b.total_cmp(a));
    scored.into_iter().take(MAX_NEAREST).map(|(_, known)| known).collect()
}

fn or_list(names: &[&str]) -> String {
    names.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(" or ")
}

/// Names in backticks, comma between.
pub(crate) fn quoted_list(names: &[&str]) -> String {
    names.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ")
}

/// A piece of the source, shortened for a message.
pub(crate) fn shown(text: &str) -> String {
    match text.char_indices().nth(MAX_QUOTED) {
        Some((end, _)) => format!("{}…", text.get(..end).unwrap_or_default()),
        None => text.to_owned(),
    }
}

/// The type names most like `name`, best first. The class counts more than its package, which many share.
pub fn nearest_types<'a>(name: &str, known: impl IntoIterator<Item = &'a str>) -> Vec<&'a str> {
    /// How much of the likeness the class makes out.
    const CLASS: f64 = 0.6;
    /// How alike (0 to 1) a type must be to be offered.
    const ALIKE: f64 = 0.75;
    if name.len() > MAX_COMPARED {
        return Vec::new();
    }
    let wanted = name.to_lowercase();
    let (package, class) = wanted.rsplit_once('.').unwrap_or(("", &wanted));
    let alike = |known: &str| {
        let known = known.to_lowercase();
        let (other_package, other_class) = known.rsplit_once('.').unwrap_or(("", &known));
        CLASS * strsim::normalized_damerau_levenshtein(class, other_class)
            + (1.0 - CLASS) * strsim::normalized_damerau_levenshtein(package, other_package)
    };
    let mut scored: Vec<(f64, &str)> =
        known.into_iter().map(|known| (alike(known), known)).filter(|(score, _)| *score >= ALIKE).collect();
    scored.sort_by(|(a, _), (b, _)| b.total_cmp(a));
    scored.dedup_by_key(|(_, known)| *known);
    scored.into_iter().take(MAX_NEAREST).map(|(_, known)| known).collect()
}
