//! What a service answers, and the failure that follows where it refuses.

use sluice_sdk::Failure;
use sluice_sdk::http::Response;

/// Bytes of an answer that are read: a word or a short JSON.
const READ_BYTES: usize = 64 * 1024;
/// Letters of an answer that a failure keeps.
const EXCERPT_LETTERS: usize = 1_000;
/// Longest wait that is believed, a day: what is longer is not for a retry to decide.
const WAIT_MAX_S: u64 = 86_400;

/// What a service answers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// The status code.
    pub status: u16,
    /// The body, without the spaces around it.
    pub text: String,
    /// How long the service asks to wait.
    pub retry_after_s: Option<u64>,
}

impl Answer {
    pub(crate) fn read(response: &mut Response, limit_bytes: usize) -> Self {
        let wait = response.headers().get("retry-after").and_then(|text| text.trim().parse().ok());
        // The message has arrived or not: that says the status, whatever becomes of the body.
        let bytes = response.read_start(READ_BYTES.min(limit_bytes)).unwrap_or_default();
        Self {
            status: response.status(),
            text: String::from_utf8_lossy(&bytes).trim().to_owned(),
            retry_after_s: wait.filter(|seconds| *seconds <= WAIT_MAX_S),
        }
    }

    /// Whether the status is one of success.
    pub fn is_success(&self) -> bool {
        (200..300).contains(&self.status)
    }

    /// The failure of a service that refused. Only a limit of rates and a fault of its own pass with time.
    pub fn refusal(&self, code: &str, message: String) -> Failure {
        let excerpt: String = self.text.chars().take(EXCERPT_LETTERS).collect();
        let failure = Failure::new(code, message)
            .retryable(self.status == 429 || self.status >= 500)
            .detail("status", self.status)
            .detail("body", excerpt);
        match self.retry_after_s {
            Some(seconds) => failure.detail("retryAfterSeconds", seconds),
            None => failure,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_and_faults_pass_with_time() {
        let retryable = |status: u16| {
            let answer = Answer { status, text: String::new(), retry_after_s: None };
            answer.refusal("X", String::new()).is_retryable()
        };
        for (status, expected) in [(200, false), (302, false), (404, false), (429, true), (500, true), (503, true)] {
            assert_eq!(retryable(status), Some(expected), "{status}");
        }
    }

    #[test]
    fn refusal_keeps_what_was_said() {
        let answer = Answer { status: 429, text: "slow down".repeat(1_000), retry_after_s: Some(30) };
        let failure = answer.refusal("X", "why".to_owned());
        assert_eq!(failure.details()["status"], 429);
        assert_eq!(failure.details()["retryAfterSeconds"], 30);
        assert_eq!(failure.details()["body"].as_str().map(str::len), Some(EXCERPT_LETTERS));
    }
}
