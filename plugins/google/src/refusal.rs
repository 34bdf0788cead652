//! What Google says when it refuses: the same few shapes of JSON for all of its APIs.

use serde_json::Value;
use sluice_sdk::Failure;
use sluice_sdk::http::Response;

/// Bytes of a refusal that are read: its sentence comes first.
const READ_BYTES: usize = 64 * 1024;
/// Letters of an answer that is no JSON that a failure shows.
const EXCERPT_LETTERS: usize = 300;
/// Longest wait that is believed, a day: what is longer is not for a retry to decide.
const WAIT_MAX_S: u64 = 86_400;
/// Reasons that time alone cures, whatever the status beside them.
const TRANSIENT: [&str; 6] = [
    "rateLimitExceeded",
    "userRateLimitExceeded",
    "RATE_LIMIT_EXCEEDED",
    "backendError",
    "internal_failure",
    "temporarily_unavailable",
];

/// A request that Google did not do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// The status code.
    pub status: u16,
    /// Google's word for it, as `notFound` or `invalid_grant`.
    pub reason: Option<String>,
    /// Google's sentence, where it has one.
    pub message: String,
    /// How long Google asks to wait.
    pub retry_after_s: Option<u64>,
}

impl Refusal {
    /// Reads a response that is no success.
    pub fn read(response: &mut Response) -> Self {
        let wait = response.headers().get("retry-after").and_then(|text| text.trim().parse().ok());
        let retry_after_s = wait.filter(|seconds| *seconds <= WAIT_MAX_S);
        // What was read before a break is worth more than a second failure.
        let bytes = response.read_start(READ_BYTES).unwrap_or_default();
        let (reason, message) = said(&String::from_utf8_lossy(&bytes));
        Self { status: response.status(), reason, message, retry_after_s }
    }

    /// Whether the same request may be answered otherwise later.
    pub fn is_transient(&self) -> bool {
        self.status == 429 || self.status >= 500 || self.has_reason(&TRANSIENT)
    }

    /// Whether the reason is one of these.
    pub fn has_reason(&self, reasons: &[&str]) -> bool {
        self.reason.as_deref().is_some_and(|reason| reasons.contains(&reason))
    }

    /// The failure of a task, `what` being what was refused.
    pub fn into_failure(self, code: &str, what: &str) -> Failure {
        let mut message = format!("{what}: {}", self.status);
        if let Some(reason) = &self.reason {
            message = format!("{message} {reason}");
        }
        if !self.message.is_empty() {
            message = format!("{message}: {}", self.message);
        }
        let mut failure = Failure::new(code, message).retryable(self.is_transient()).detail("status", self.status);
        if let Some(reason) = self.reason {
            failure = failure.detail("reason", reason);
        }
        match self.retry_after_s {
            Some(seconds) => failure.detail("retryAfterSeconds", seconds),
            None => failure,
        }
    }
}

/// Reason and sentence of a body: `{"error": {"message", "status", "errors": [{"reason"}]}}` of the APIs, `{"error", "error_description"}`
/// of tokens.
fn said(body: &str) -> (Option<String>, String) {
    let text = |value: Option<&Value>| value.and_then(Value::as_str).map(str::to_owned);
    let document: Value = serde_json::from_str(body).unwrap_or_default();
    match document.get("error") {
        Some(Value::String(reason)) => {
            (Some(reason.clone()), text(document.get("error_description")).unwrap_or_default())
        }
        Some(error) => {
            let reason = text(error.pointer("/errors/0/reason"))
                .or_else(|| text(error.pointer("/details/0/reason")))
                .or_else(|| text(error.get("status")));
            (reason, text(error.get("message")).unwrap_or_default())
        }
        // A page of a server in between says nothing that helps.
        None if body.trim_start().starts_with('<') => (None, String::new()),
        None => (None, body.trim().chars().take(EXCERPT_LETTERS).collect()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(status: u16, body: &str, expected: &str, transient: bool) {
        let (reason, message) = said(body);
        let refusal = Refusal { status, reason, message, retry_after_s: None };
        assert_eq!(refusal.is_transient(), transient, "{body}");
        assert_eq!(refusal.into_failure("X", "no").message(), expected);
    }

    #[test]
    fn every_shape_is_read() {
        let of_an_api = r#"{"error": {"code": 404, "message": "Not Found", "errors": [{"reason": "notFound"}]}}"#;
        check(404, of_an_api, "no: 404 notFound: Not Found", false);
        let newer = r#"{"error": {"code": 403, "message": "Denied.", "status": "PERMISSION_DENIED"}}"#;
        check(403, newer, "no: 403 PERMISSION_DENIED: Denied.", false);
        let of_a_token = r#"{"error": "invalid_grant", "error_description": "Invalid JWT Signature."}"#;
        check(400, of_a_token, "no: 400 invalid_grant: Invalid JWT Signature.", false);
        check(400, r#"{"error": {}}"#, "no: 400", false);
        check(502, "<html>Bad Gateway</html>", "no: 502", true);
        check(418, " teapot ", "no: 418: teapot", false);
    }

    #[test]
    fn limits_of_rates_pass() {
        let limited = r#"{"error": {"errors": [{"reason": "rateLimitExceeded"}], "message": "Slow down"}}"#;
        check(403, limited, "no: 403 rateLimitExceeded: Slow down", true);
        check(429, "", "no: 429", true);
        check(400, r#"{"error": "internal_failure"}"#, "no: 400 internal_failure", true);
    }
}
