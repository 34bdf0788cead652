//! What can go wrong with something asked of a node, by what the caller can do about it.

use model::problem::{Problem, Severity};

/// One thing that is wrong with a request or a flow, as clients are told.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct Issue {
    /// Where in the document or request; empty: the whole of it.
    pub path: String,
    /// Line from 1, where there is a text with lines.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub line: Option<u32>,
    /// Stable.
    pub code: String,
    pub message: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
}

impl From<&Problem> for Issue {
    fn from(problem: &Problem) -> Self {
        Self {
            path: problem.path.clone(),
            line: (problem.line > 0).then_some(problem.line),
            code: problem.code.to_owned(),
            message: problem.message.clone(),
            hint: problem.hint.clone(),
        }
    }
}

impl std::fmt::Display for Issue {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if let Some(line) = self.line {
            write!(f, "{line}: ")?;
        }
        if !self.path.is_empty() {
            write!(f, "{}: ", self.path)?;
        }
        f.write_str(&self.message)?;
        match &self.hint {
            Some(hint) => write!(f, "\n  hint: {hint}"),
            None => Ok(()),
        }
    }
}

/// Why a node did not do what it was asked.
#[derive(Clone, Debug, thiserror::Error)]
pub enum Error {
    /// There is no such thing.
    #[error("{0}")]
    NotFound(String),
    /// The request is wrong; every problem is listed.
    #[error("{message}")]
    Invalid { code: &'static str, message: String, issues: Vec<Issue> },
    /// The request has a body larger than is read.
    #[error("{0}")]
    TooLarge(String),
    /// The request does not fit the state of things: already there, already ended.
    #[error("{message}")]
    Conflict { code: &'static str, message: String },
    /// Whoever asks has not shown that it may.
    #[error("{0}")]
    Unauthorized(String),
    /// It is not any more what whoever asks has seen (`If-Match`).
    #[error("{0}")]
    Changed(String),
    /// Too much at once; try again later.
    #[error("{message}")]
    Busy { message: String, retry_after_s: u64 },
    /// The store has no room. Reading goes on, and writing resumes by itself.
    #[error("{0}")]
    Full(String),
    /// The store cannot take it: it no longer writes, or has lost what was not acknowledged.
    #[error("the store cannot take it: {0}")]
    Store(String),
    /// Our fault.
    #[error("{0}")]
    Internal(String),
}

impl Error {
    /// A flow that cannot be saved or run, with all that is wrong with it.
    pub fn flow(problems: &[Problem]) -> Self {
        let errors: Vec<Issue> =
            problems.iter().filter(|problem| problem.severity == Severity::Error).map(Issue::from).collect();
        let message = match errors.as_slice() {
            [only] => format!("invalid flow: {}", only.message),
            many => format!("invalid flow: {} problems", many.len()),
        };
        Self::Invalid { code: "flow.invalid", message, issues: errors }
    }

    /// Inputs that do not fit.
    pub fn inputs(issues: Vec<Issue>) -> Self {
        let message = match issues.as_slice() {
            [only] => format!("invalid input: {}", only.message),
            many => format!("invalid inputs: {} problems", many.len()),
        };
        Self::Invalid { code: "inputs.invalid", message, issues }
    }

    /// A request that is wrong in one way.
    pub fn bad_request(code: &'static str, message: impl Into<String>) -> Self {
        Self::Invalid { code, message: message.into(), issues: Vec::new() }
    }

    /// Stable.
    pub fn code(&self) -> &'static str {
        match self {
            Self::NotFound(_) => "not_found",
            Self::Invalid { code, .. } | Self::Conflict { code, .. } => code,
            Self::TooLarge(_) => "body.too_large",
            Self::Unauthorized(_) => "webhook.signature",
            Self::Changed(_) => "precondition.failed",
            Self::Busy { .. } => "busy",
            Self::Full(_) => "store.full",
            Self::Store(_) => "store.unavailable",
            Self::Internal(_) => "internal",
        }
    }

    /// Whether the store could not take it: nothing is done, and the same may be tried again.
    pub fn is_of_the_store(&self) -> bool {
        matches!(self, Self::Full(_) | Self::Store(_))
    }

    /// All problems at once; empty where the message says it all.
    pub fn issues(&self) -> &[Issue] {
        match self {
            Self::Invalid { issues, .. } => issues,
            _ => &[],
        }
    }
}
