//! A message on its way to Discord, and what Discord says of it.

use notify::{Answer, RequestOptions};
use serde_json::{Map, Value};
use sluice_sdk::prelude::*;

/// Most characters of a message's text, by Discord's word.
const CONTENT_MAX: usize = 2_000;
/// Most embeds of a message.
const EMBEDS_MAX: usize = 10;
/// How deep Discord's list of mistakes is followed.
const MISTAKE_DEPTH_MAX: usize = 16;

/// Sends a message that Discord's limits let through.
pub fn send(url: &str, options: &RequestOptions, message: &Map<String, Value>) -> Result<(), Failure> {
    let characters = message.get("content").and_then(Value::as_str).unwrap_or_default().chars().count();
    if characters > CONTENT_MAX {
        return Err(Failure::bad_property(format!(
            "`content` has {characters} characters, and Discord takes {CONTENT_MAX}: shorten it, or put it into an embed"
        )));
    }
    let embeds = message.get("embeds").and_then(Value::as_array).map_or(0, Vec::len);
    if embeds > EMBEDS_MAX {
        return Err(Failure::bad_property(format!("there are {embeds} embeds, and Discord takes {EMBEDS_MAX}")));
    }
    let answer = notify::post(url, options, message)?;
    if answer.is_success() { Ok(()) } else { Err(refused(answer)) }
}

fn refused(mut answer: Answer) -> Failure {
    let document: Value = serde_json::from_str(&answer.text).unwrap_or_default();
    let mut message = format!("Discord did not take the message: {}", answer.status);
    if let Some(said) = document.get("message").and_then(Value::as_str) {
        message = format!("{message} `{said}`");
    }
    if let Some(mistake) = document.get("errors").and_then(|errors| first_mistake(errors, "", MISTAKE_DEPTH_MAX)) {
        message = format!("{message}, {mistake}");
    }
    let wait = document.get("retry_after").and_then(Value::as_f64).filter(|seconds| (0.0..86_400.0).contains(seconds));
    answer.retry_after_s = answer.retry_after_s.or(wait.map(|seconds| seconds.ceil() as u64));
    let failure = answer.refusal("DISCORD_REFUSED", message);
    match document.get("code").and_then(Value::as_u64) {
        Some(code) => failure.detail("error", code),
        None => failure,
    }
}

/// The first mistake in Discord's list: objects in the shape of the message, with the lists `_errors` in the places that are wrong.
fn first_mistake(errors: &Value, place: &str, depth: usize) -> Option<String> {
    let entries = errors.as_object().filter(|_| depth > 0)?;
    if let Some(said) = errors.pointer("/_errors/0/message").and_then(Value::as_str) {
        return Some(format!("`{place}`: {said}"));
    }
    entries.iter().find_map(|(name, inner)| {
        let dot = if place.is_empty() { "" } else { "." };
        first_mistake(inner, &format!("{place}{dot}{name}"), depth - 1)
    })
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use serde_json::json;
    use sluice_sdk::testing::{MockHost, Scripted};

    use super::*;

    fn sent(answer: Scripted, message: Value) -> (Result<(), Failure>, usize) {
        let host = MockHost::new().answer("POST https://discord.com/api/webhooks/1/x", answer);
        let message = message.as_object().cloned().unwrap();
        let options = RequestOptions::default();
        let result = host.with(|_| send("https://discord.com/api/webhooks/1/x", &options, &message));
        (result, host.requests().len())
    }

    fn refused(answer: Scripted) -> Failure {
        sent(answer, json!({"content": "hi"})).0.unwrap_err()
    }

    #[test]
    fn success_has_content_or_none() {
        for status in [200, 204] {
            assert_eq!(sent(Scripted::status(status), json!({"content": "hi"})), (Ok(()), 1));
        }
    }

    #[test]
    fn refusal_names_the_place() {
        let body = json!({
            "message": "Invalid Form Body", "code": 50035,
            "errors": {"embeds": {"0": {"title": {"_errors": [{"code": "X", "message": "Too long."}]}}}},
        });
        let failure = refused(Scripted::status(400).body(body.to_string()));
        let expected = "Discord did not take the message: 400 `Invalid Form Body`, `embeds.0.title`: Too long.";
        assert_eq!((failure.code(), failure.message()), ("DISCORD_REFUSED", expected));
        assert_eq!((failure.is_retryable(), &failure.details()["error"]), (Some(false), &json!(50035)));
        let gone = refused(Scripted::status(404).body(r#"{"message": "Unknown Webhook", "code": 10015}"#));
        assert_eq!(gone.message(), "Discord did not take the message: 404 `Unknown Webhook`");
        let fault = refused(Scripted::status(502).body("<html>"));
        assert_eq!((fault.message(), fault.is_retryable()), ("Discord did not take the message: 502", Some(true)));
    }

    #[test]
    fn limit_of_rates_says_how_long_to_wait() {
        let wait = |answer: Scripted| refused(answer).details()["retryAfterSeconds"].as_u64();
        let limited =
            || Scripted::status(429).body(r#"{"message": "You are being rate limited.", "retry_after": 1.25}"#);
        assert_eq!(wait(limited()), Some(2));
        assert_eq!(wait(limited().header("Retry-After", "65")), Some(65));
        assert_eq!(refused(limited()).is_retryable(), Some(true));
    }

    #[test]
    fn too_much_is_not_sent() {
        let check = |message: Value, expected: &str| {
            let (result, requests) = sent(Scripted::status(204), message);
            let failure = result.unwrap_err();
            assert_eq!((failure.code(), requests), ("BAD_PROPERTY", 0));
            assert!(failure.message().contains(expected), "{}", failure.message());
        };
        check(json!({"content": "ü".repeat(2_001)}), "`content` has 2001 characters, and Discord takes 2000");
        check(json!({"embeds": vec![json!({}); 11]}), "there are 11 embeds");
        assert_eq!(sent(Scripted::status(204), json!({"content": "ü".repeat(2_000)})).0, Ok(()));
    }

    #[test]
    fn endless_list_of_mistakes_ends() {
        let deep = (0..100).fold(json!({"_errors": [{"message": "x"}]}), |inner, _| json!({"a": inner}));
        assert_eq!(first_mistake(&deep, "", MISTAKE_DEPTH_MAX), None);
    }
}
