//! What can go wrong, with a stable code each. Messages name the thing, the place and what to do; never a secret.
use std::fmt;
use std::sync::Arc;

use crate::memo::Call;

/// Why an expression has no value.
#[derive(Debug, Clone, thiserror::Error)]
pub enum Error {
    /// The memo has no answer yet: perform the call, insert the answer, evaluate again.
    #[error("`{}` has not been answered yet", .0.function)]
    Missing(Box<Call>),
    /// The template cannot be read.
    #[error("{0}")]
    Syntax(Box<Problem>),
    /// A function, filter, test or tag that does not exist. Found when parsing.
    #[error("{0}")]
    Unknown(Box<Problem>),
    /// A variable or attribute that is not there. `??`, `???` and `is defined` catch it.
    #[error("{0}")]
    Undefined(Box<Problem>),
    /// A value or argument that does not fit, or a function that failed.
    #[error("{0}")]
    Invalid(Box<Problem>),
    /// A limit was hit.
    #[error("{problem}")]
    Limit { limit: &'static str, problem: Box<Problem> },
    /// A secret that was read back from storage and whose value is not here.
    #[error("the value of secret `{}` is not available here", .names.join("`, `"))]
    Sealed { names: Vec<Arc<str>> },
}

/// What is wrong, and where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    pub message: String,
    /// What to do about it, the nearest names among others.
    pub hint: Option<String>,
    /// The line of the template it stands in, shortened.
    pub excerpt: String,
    pub position: Position,
}

/// One-based line and column (in characters) within the template.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Position {
    pub line: u32,
    pub column: u32,
}

impl Error {
    /// Stable code of the error.
    pub fn code(&self) -> &'static str {
        match self {
            Error::Missing(_) => "expression.missing",
            Error::Syntax(_) => "expression.syntax",
            Error::Unknown(_) => "expression.unknown",
            Error::Undefined(_) => "expression.undefined",
            Error::Invalid(_) => "expression.invalid",
            Error::Limit { limit, .. } => limit,
            Error::Sealed { .. } => "expression.sealed",
        }
    }

    /// What is wrong, without a place yet: the evaluator adds where.
    pub fn invalid(message: impl Into<String>) -> Self {
        Error::Invalid(Box::new(Problem::unplaced(message.into(), None)))
    }

    pub(crate) fn invalid_hint(message: impl Into<String>, hint: impl Into<String>) -> Self {
        Error::Invalid(Box::new(Problem::unplaced(message.into(), Some(hint.into()))))
    }

    pub(crate) fn undefined(message: impl Into<String>, hint: Option<String>) -> Self {
        Error::Undefined(Box::new(Problem::unplaced(message.into(), hint)))
    }

    pub(crate) fn limit(limit: &'static str, message: impl Into<String>, hint: impl Into<String>) -> Self {
        Error::Limit { limit, problem: Box::new(Problem::unplaced(message.into(), Some(hint.into()))) }
    }

    pub(crate) fn problem_mut(&mut self) -> Option<&mut Problem> {
        match self {
            Error::Syntax(problem)
            | Error::Unknown(problem)
            | Error::Undefined(problem)
            | Error::Invalid(problem)
            | Error::Limit { problem, .. } => Some(problem),
            Error::Missing(_) | Error::Sealed { .. } => None,
        }
    }

    pub fn problem(&self) -> Option<&Problem> {
        match self {
            Error::Syntax(problem)
            | Error::Unknown(problem)
            | Error::Undefined(problem)
            | Error::Invalid(problem)
            | Error::Limit { problem, .. } => Some(problem),
            Error::Missing(_) | Error::Sealed { .. } => None,
        }
    }
}

impl Problem {
    fn unplaced(message: String, hint: Option<String>) -> Self {
        Problem { message, hint, excerpt: String::new(), position: Position::default() }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)?;
        if self.position.line > 0 {
            write!(f, " (line {}, column {} of `{}`)", self.position.line, self.position.column, self.excerpt)?;
        }
        match &self.hint {
            Some(hint) => write!(f, "; hint: {hint}"),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn problem() -> Box<Problem> {
        Box::new(Problem::unplaced("bad".into(), None))
    }

    #[test]
    fn every_error_has_its_code_and_text() {
        let limit = "expression.limit.fuel";
        let placed = [
            ("expression.syntax", Error::Syntax(problem())),
            ("expression.unknown", Error::Unknown(problem())),
            ("expression.undefined", Error::undefined("bad", None)),
            ("expression.invalid", Error::invalid("bad")),
            (limit, Error::Limit { limit, problem: problem() }),
        ];
        for (code, mut error) in placed {
            assert_eq!((error.code(), error.to_string().as_str()), (code, "bad"));
            error.problem_mut().unwrap().position = Position { line: 2, column: 3 };
            error.problem_mut().unwrap().excerpt = "x".into();
            error.problem_mut().unwrap().hint = Some("good".into());
            assert_eq!(error.to_string(), "bad (line 2, column 3 of `x`); hint: good");
            assert_eq!(error.problem().unwrap().position.column, 3);
        }
        let unplaced = [
            ("expression.missing", "`kv` has not been answered yet", Error::Missing(Box::new(Call::new("kv")))),
            (
                "expression.sealed",
                "the value of secret `A`, `B` is not available here",
                Error::Sealed { names: vec!["A".into(), "B".into()] },
            ),
        ];
        for (code, text, mut error) in unplaced {
            assert_eq!((error.code(), error.to_string().as_str()), (code, text));
            assert!(error.problem().is_none() && error.problem_mut().is_none());
        }
    }

    #[test]
    fn hints_are_kept() {
        let hint = |error: Error| error.problem().and_then(|problem| problem.hint.clone());
        assert_eq!(hint(Error::invalid_hint("bad", "good")).as_deref(), Some("good"));
        assert_eq!(hint(Error::limit("l", "bad", "good")).as_deref(), Some("good"));
        assert_eq!(hint(Error::undefined("bad", Some("good".into()))).as_deref(), Some("good"));
    }
}
