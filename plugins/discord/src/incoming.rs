//! `DiscordIncomingWebhook`.

use notify::RequestOptions;
use serde_json::Value;
use sluice_sdk::prelude::*;

use crate::send;

#[properties]
pub struct Incoming {
    /// The URL of the webhook.
    #[secret]
    url: String,
    /// The message as Discord describes it: JSON as text, or a map.
    #[schemars(extend("type" = ["string", "object", "null"]))]
    payload: Option<Value>,
    /// How to send the request.
    options: Option<RequestOptions>,
}

/// Send a message to Discord through a webhook.
///
/// The payload is looked at before it is sent: one that is no JSON fails the task with the place where it breaks. A text with quotes or line
/// ends of its own becomes JSON with the filter `toJson`. Whom the message mentions is told, unless `allowed_mentions` says otherwise.
///
/// Failure codes: `DISCORD_REFUSED` in Discord's words (details `status`, `error`, `body`, `retryAfterSeconds`; another attempt helps with
/// 429 and from 500 on), `BAD_PROPERTY`, also for a `content` of more than 2,000 characters, `NOT_GRANTED`, and `HTTP_DNS`, `HTTP_CONNECT`,
/// `HTTP_TLS`, `HTTP_TIMEOUT`, `HTTP_PROTOCOL` where no answer came.
///
/// # Send a text
/// ```yaml
/// id: hello
/// type: io.kestra.plugin.notifications.discord.DiscordIncomingWebhook
/// url: "{{ secret('DISCORD_WEBHOOK') }}"
/// payload:
///   content: "{{ outputs.query.size }} orders are waiting"
/// ```
///
/// # Send what a task answered
/// ```yaml
/// id: answer
/// type: io.kestra.plugin.notifications.discord.DiscordIncomingWebhook
/// url: "{{ secret('DISCORD_WEBHOOK') }}"
/// payload: |
///   {
///     "username": "Sluice",
///     "content": {{ outputs.ask.body | toJson }},
///     "allowed_mentions": {"parse": []}
///   }
/// ```
#[task(
    "io.kestra.plugin.notifications.discord.DiscordIncomingWebhook",
    aliases = [
        "io.kestra.plugin.discord.DiscordIncomingWebhook",
        "io.kestra.plugin.discord.notifications.DiscordIncomingWebhook"
    ],
    capabilities = || Capabilities::none().http(Hosts::NamedByFlow, &["POST"])
)]
pub fn incoming(properties: Incoming) -> Result<(), Failure> {
    let message = notify::payload(properties.payload)?.filter(|message| !message.is_empty());
    let message = message.ok_or_else(|| Failure::bad_property("property `payload` has no message"))?;
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
        MockHost::new().answer(&format!("POST {URL}"), Scripted::status(204))
    }

    #[test]
    fn payload_is_sent_as_it_is() {
        for payload in [json!({"content": "@everyone"}), json!("{\"content\": \"@everyone\"}\n")] {
            let host = host();
            host.run_task::<incoming>(json!({"url": URL, "payload": payload})).unwrap();
            assert_eq!(host.requests().remove(0).body, br#"{"content":"@everyone"}"#);
        }
    }

    #[test]
    fn what_is_no_message_is_not_sent() {
        for (payload, expected) in [
            (Value::Null, "has no message"),
            (json!({}), "has no message"),
            (json!("{\"content\": }"), "expected value at line 1 column 13"),
            (json!({"content": "x".repeat(2_001)}), "2001 characters"),
        ] {
            let host = host();
            let failure = host.run_task::<incoming>(json!({"url": URL, "payload": payload})).unwrap_err();
            assert_eq!((failure.code(), failure.is_retryable()), ("BAD_PROPERTY", Some(false)));
            assert!(failure.message().contains(expected), "{}", failure.message());
            assert!(host.requests().is_empty());
        }
    }

    #[test]
    fn every_name_is_the_same_task() {
        for package in ["notifications.discord", "discord", "discord.notifications"] {
            let kind = format!("io.kestra.plugin.{package}.DiscordIncomingWebhook");
            let input = json!({"url": URL, "payload": {"content": "hi"}}).to_string();
            assert_eq!(host().run::<Plugin>(&kind, &input).unwrap(), "{}", "{kind}");
        }
    }
}
