//! A message on its way to Slack, and what Slack says of it.

use notify::{Answer, RequestOptions};
use serde_json::{Map, Value};
use sluice_sdk::prelude::*;

/// Longest answer that is taken for Slack's word for a mistake.
const WORD_MAX_BYTES: usize = 200;
/// What Slack's words mean to whoever wrote the flow.
const MEANINGS: [(&str, &str); 11] = [
    ("invalid_payload", "it is no message as Slack describes them"),
    ("invalid_blocks", "one of its `blocks` is none that Slack knows"),
    ("no_text", "it has neither `text` nor `blocks` nor `attachments`"),
    ("too_many_attachments", "Slack takes 100 attachments"),
    ("invalid_token", "the URL is wrong or the webhook was removed"),
    ("no_service", "the webhook was removed or disabled"),
    ("no_team", "the workspace is gone or the URL is wrong"),
    ("channel_not_found", "the webhook cannot write to that channel"),
    ("channel_is_archived", "nobody can write to that channel any more"),
    ("user_not_found", "there is no such user"),
    ("action_prohibited", "an administrator does not allow it"),
];

/// Sends a message. Slack answers `ok`; whatever else it says, it did not take it.
pub fn send(url: &str, options: &RequestOptions, message: &Map<String, Value>) -> Result<(), Failure> {
    let answer = notify::post(url, options, message)?;
    if answer.is_success() && is_ok(&answer.text) { Ok(()) } else { Err(refused(&answer)) }
}

/// Webhooks of workflows answer in JSON.
fn is_ok(text: &str) -> bool {
    let document = || serde_json::from_str::<Value>(text).unwrap_or_default();
    text == "ok" || document().get("ok").and_then(Value::as_bool) == Some(true)
}

fn refused(answer: &Answer) -> Failure {
    let document: Value = serde_json::from_str(&answer.text).unwrap_or_default();
    let said = document.get("error").and_then(Value::as_str).unwrap_or(&answer.text);
    // A page of a server in between is kept in the details alone.
    let word = Some(said).filter(|word| !word.is_empty() && word.len() <= WORD_MAX_BYTES && !word.starts_with('<'));
    let mut message = format!("Slack did not take the message: {}", answer.status);
    if let Some(word) = word {
        message = format!("{message} `{word}`");
    }
    if let Some((_, meaning)) = MEANINGS.iter().find(|(known, _)| word == Some(known)) {
        message = format!("{message}, {meaning}");
    }
    let failure = answer.refusal("SLACK_REFUSED", message);
    match word {
        Some(word) => failure.detail("error", word),
        None => failure,
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use sluice_sdk::testing::{MockHost, Scripted};

    use super::*;

    fn sent(answer: Scripted) -> Result<(), Failure> {
        let host = MockHost::new().answer("POST https://hooks.slack.com/services/x", answer);
        host.with(|_| send("https://hooks.slack.com/services/x", &RequestOptions::default(), &Map::new()))
    }

    #[track_caller]
    fn check_refused(answer: Scripted, message: &str, retryable: bool) {
        let failure = sent(answer).unwrap_err();
        assert_eq!((failure.code(), failure.message()), ("SLACK_REFUSED", message));
        assert_eq!(failure.is_retryable(), Some(retryable));
    }

    #[test]
    fn ok_is_the_only_good_answer() {
        assert_eq!(sent(Scripted::status(200).body("ok")), Ok(()));
        assert_eq!(sent(Scripted::status(200).body("{\"ok\":true}\n")), Ok(()));
        check_refused(Scripted::status(200), "Slack did not take the message: 200", false);
        check_refused(Scripted::status(200).body("<html>"), "Slack did not take the message: 200", false);
        let refused = Scripted::status(200).body(r#"{"ok": false, "error": "invalid_blocks"}"#);
        let message =
            "Slack did not take the message: 200 `invalid_blocks`, one of its `blocks` is none that Slack knows";
        check_refused(refused, message, false);
    }

    #[test]
    fn refusal_is_in_the_word_of_slack() {
        let message = "Slack did not take the message: 400 `invalid_payload`, it is no message as Slack describes them";
        check_refused(Scripted::status(400).body("invalid_payload"), message, false);
        check_refused(
            Scripted::status(418).body("other_word"),
            "Slack did not take the message: 418 `other_word`",
            false,
        );
        check_refused(Scripted::status(503).body("<html>"), "Slack did not take the message: 503", true);
    }

    #[test]
    fn limit_of_rates_says_how_long_to_wait() {
        let failure = sent(Scripted::status(429).header("Retry-After", "30").body("rate_limited")).unwrap_err();
        assert_eq!(failure.is_retryable(), Some(true));
        assert_eq!(failure.details()["retryAfterSeconds"], 30);
        assert_eq!(failure.details()["error"], "rate_limited");
    }
}
