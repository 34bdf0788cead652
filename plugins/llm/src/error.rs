//! What went wrong with a provider, in the kinds that a caller treats differently. A message never has a key in it, whoever wrote it.

use std::fmt;

use crate::redact::redacted;

/// Longest message that is kept, in characters: enough for any sentence, not for a page of HTML.
const MESSAGE_CHARS_MAX: usize = 2_000;

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProviderError {
    pub kind: Kind,
    /// The provider's own words where it has some.
    message: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// The credential is wrong, or may not do this.
    Auth,
    UnknownModel,
    RateLimited {
        retry_after_ms: Option<u64>,
    },
    /// Money or a daily allowance is used up: no retry helps.
    QuotaExhausted,
    Overloaded {
        retry_after_ms: Option<u64>,
    },
    /// More tokens than the model takes.
    TooLong,
    BadRequest,
    ContentFilter,
    /// The provider failed, or took too long.
    Server,
    /// What came is not what the provider's API says.
    Malformed,
    /// The answer ended before its end.
    Truncated,
}

impl ProviderError {
    pub fn new(kind: Kind, message: impl AsRef<str>) -> Self {
        let message: String = message.as_ref().trim().chars().take(MESSAGE_CHARS_MAX).collect();
        Self { kind, message: redacted(&message) }
    }

    /// A request that this dialect cannot say: nothing was sent.
    pub(crate) fn refused(message: impl AsRef<str>) -> Self {
        Self::new(Kind::BadRequest, message)
    }

    pub(crate) fn malformed(message: impl AsRef<str>) -> Self {
        Self::new(Kind::Malformed, message)
    }

    pub fn message(&self) -> &str {
        &self.message
    }

    /// Whether the same request may succeed later.
    pub fn retryable(&self) -> bool {
        matches!(self.kind, Kind::RateLimited { .. } | Kind::Overloaded { .. } | Kind::Server | Kind::Truncated)
    }

    /// How long the provider asks to wait, in milliseconds.
    pub fn retry_after_ms(&self) -> Option<u64> {
        match self.kind {
            Kind::RateLimited { retry_after_ms } | Kind::Overloaded { retry_after_ms } => retry_after_ms,
            _ => None,
        }
    }

    /// Stable, upper-case, for failures of tasks.
    pub fn code(&self) -> &'static str {
        match self.kind {
            Kind::Auth => "LLM_AUTH",
            Kind::UnknownModel => "LLM_UNKNOWN_MODEL",
            Kind::RateLimited { .. } => "LLM_RATE_LIMITED",
            Kind::QuotaExhausted => "LLM_QUOTA_EXHAUSTED",
            Kind::Overloaded { .. } => "LLM_OVERLOADED",
            Kind::TooLong => "LLM_TOO_LONG",
            Kind::BadRequest => "LLM_BAD_REQUEST",
            Kind::ContentFilter => "LLM_CONTENT_FILTER",
            Kind::Server => "LLM_SERVER",
            Kind::Malformed => "LLM_MALFORMED",
            Kind::Truncated => "LLM_TRUNCATED",
        }
    }
}

impl fmt::Display for ProviderError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for ProviderError {}

impl Kind {
    /// What a status says where the body says nothing better.
    pub(crate) fn of_status(status: u16, retry_after_ms: Option<u64>) -> Self {
        match status {
            401 | 403 => Self::Auth,
            402 => Self::QuotaExhausted,
            404 => Self::UnknownModel,
            413 => Self::TooLong,
            429 => Self::RateLimited { retry_after_ms },
            503 | 529 => Self::Overloaded { retry_after_ms },
            // 424 is Bedrock's word for a model that failed.
            408 | 424 | 500.. => Self::Server,
            // An error in an answer that had begun well.
            0..=399 => Self::Server,
            _ => Self::BadRequest,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exhausted_quota_is_never_retried() {
        let retryable = |kind| ProviderError::new(kind, "").retryable();
        for kind in
            [Kind::QuotaExhausted, Kind::Auth, Kind::BadRequest, Kind::TooLong, Kind::UnknownModel, Kind::Malformed]
        {
            assert!(!retryable(kind), "{kind:?}");
        }
        for kind in
            [Kind::RateLimited { retry_after_ms: None }, Kind::Overloaded { retry_after_ms: None }, Kind::Server]
        {
            assert!(retryable(kind), "{kind:?}");
        }
    }

    #[test]
    fn message_is_short_and_without_keys() {
        let error = ProviderError::new(Kind::Auth, format!("bad key sk-abcdefgh12345678 {}", "x ".repeat(5_000)));
        assert!(error.message().starts_with("bad key … x"), "{error}");
        assert!(error.message().chars().count() <= MESSAGE_CHARS_MAX);
    }
}
