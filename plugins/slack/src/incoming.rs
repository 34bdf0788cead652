//! `SlackIncomingWebhook`.

use notify::RequestOptions;
use serde_json::{Map, Value};
use sluice_sdk::prelude::*;

use crate::send;

#[properties]
pub struct Incoming {
    /// The URL of the incoming webhook.
    #[secret]
    url: String,
    /// The message as Slack describes it: JSON as text, or a map.
    #[schemars(extend("type" = ["string", "object", "null"]))]
    payload: Option<Value>,
    /// The text of the message. Beside a `payload` with a text of its own it is left out.
    message_text: Option<String>,
    /// How to send the request.
    options: Option<RequestOptions>,
}

/// Send a message to Slack through an incoming webhook.
///
/// The payload is looked at before it is sent: one that is no JSON fails the task with the place where it breaks. A text with quotes or line
/// ends of its own becomes JSON with the filter `toJson`.
///
/// Failure codes: `SLACK_REFUSED` with Slack's word for it (details `status`, `error`, `body`, `retryAfterSeconds`; another attempt helps
/// with 429 and from 500 on), `BAD_PROPERTY`, `NOT_GRANTED`, and `HTTP_DNS`, `HTTP_CONNECT`, `HTTP_TLS`, `HTTP_TIMEOUT`, `HTTP_PROTOCOL` where
/// no answer came.
///
/// # Send a text
/// ```yaml
/// id: hello
/// type: io.kestra.plugin.notifications.slack.SlackIncomingWebhook
/// url: "{{ secret('SLACK_WEBHOOK') }}"
/// messageText: "Orders of {{ execution.startDate | date('yyyy-MM-dd') }} are loaded."
/// ```
///
/// # Send what a task answered
/// ```yaml
/// id: answer
/// type: io.kestra.plugin.notifications.slack.SlackIncomingWebhook
/// url: "{{ secret('SLACK_WEBHOOK') }}"
/// payload: |
///   {
///     "text": {{ outputs.ask.body | toJson }}
///   }
/// ```
///
/// # Send blocks
/// ```yaml
/// id: blocks
/// type: io.kestra.plugin.notifications.slack.SlackIncomingWebhook
/// url: "{{ secret('SLACK_WEBHOOK') }}"
/// payload:
///   text: "{{ outputs.query.size }} orders"
///   blocks:
///     - type: section
///       text:
///         type: mrkdwn
///         text: "*{{ outputs.query.size }} orders* are waiting"
/// ```
#[task(
    "io.kestra.plugin.notifications.slack.SlackIncomingWebhook",
    aliases = ["io.kestra.plugin.slack.SlackIncomingWebhook", "io.kestra.plugin.slack.notifications.SlackIncomingWebhook"],
    capabilities = || Capabilities::none().http(Hosts::NamedByFlow, &["POST"])
)]
pub fn incoming(properties: Incoming) -> Result<(), Failure> {
    let mut message = Map::new();
    notify::put(&mut message, "text", &properties.message_text);
    notify::merge(&mut message, notify::payload(properties.payload)?);
    if message.is_empty() {
        return Err(Failure::bad_property("one of `payload` and `messageText` is wanted"));
    }
    send::send(&properties.url, &properties.options.unwrap_or_default(), &message)
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use serde_json::json;
    use sluice_sdk::testing::{MockHost, Scripted};

    use super::*;
    use crate::Plugin;

    /// What a guest is given in place of a URL that is secret.
    const URL: &str = "https://sluicesecret0123.invalid/";

    fn host() -> MockHost {
        MockHost::new().answer(&format!("POST {URL}"), Scripted::status(200).body("ok"))
    }

    #[track_caller]
    fn check(mut properties: Value, expected: Value) {
        properties["url"] = json!(URL);
        let host = host();
        host.run_task::<incoming>(properties).unwrap();
        let body: Value = serde_json::from_slice(&host.requests().remove(0).body).unwrap();
        assert_eq!(body, expected);
    }

    #[test]
    fn payload_is_text_or_map() {
        let rendered = "{\n  \"text\": \"Yes, the wind is at 14 knots\"\n}\n";
        check(json!({"payload": rendered}), json!({"text": "Yes, the wind is at 14 knots"}));
        check(json!({"payload": {"blocks": [{"type": "divider"}]}}), json!({"blocks": [{"type": "divider"}]}));
    }

    #[test]
    fn text_stands_beside_a_payload() {
        check(json!({"messageText": "say \"hi\"\n"}), json!({"text": "say \"hi\"\n"}));
        check(json!({"messageText": "a", "payload": {"blocks": []}}), json!({"text": "a", "blocks": []}));
        check(json!({"messageText": "a", "payload": {"text": "b"}}), json!({"text": "b"}));
    }

    #[test]
    fn what_is_no_message_is_not_sent() {
        for (properties, expected) in [
            (json!({"url": URL}), "one of `payload` and `messageText` is wanted"),
            (json!({"url": URL, "messageText": " ", "payload": "\n"}), "one of `payload` and `messageText` is wanted"),
            (json!({"url": URL, "payload": "{\"text\": \"a\nb\"}"}), "control character"),
            (json!({"payload": {}}), "missing field `url`"),
        ] {
            let host = host();
            let failure = host.run_task::<incoming>(properties).unwrap_err();
            assert_eq!((failure.code(), failure.is_retryable()), ("BAD_PROPERTY", Some(false)));
            assert!(failure.message().contains(expected), "{}", failure.message());
            assert!(host.requests().is_empty());
        }
    }

    #[test]
    fn every_name_is_the_same_task() {
        for kind in [
            "io.kestra.plugin.notifications.slack.SlackIncomingWebhook",
            "io.kestra.plugin.slack.SlackIncomingWebhook",
            "io.kestra.plugin.slack.notifications.SlackIncomingWebhook",
        ] {
            let input = json!({"url": URL, "messageText": "hi"}).to_string();
            assert_eq!(host().run::<Plugin>(kind, &input).unwrap(), "{}", "{kind}");
        }
    }
}
