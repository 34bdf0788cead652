//! `DiscordExecution`.

use notify::{Asked, Facts, RequestOptions};
use serde_json::{Map, Value, json};
use sluice_sdk::prelude::*;

use crate::embed::{self, Embed};
use crate::send;

#[properties]
pub struct Execution {
    /// The URL of the webhook.
    #[secret]
    url: String,
    /// The text of the message, up to 2,000 characters.
    content: Option<String>,
    /// Who the message seems to come from.
    username: Option<String>,
    /// The URL of a picture beside the name.
    avatar_url: Option<String>,
    /// Boxes below the text, in place of the one of the execution. That one is behind them where `customMessage` or `customFields` is given.
    embed_list: Option<Vec<Embed>>,
    /// The execution the message is about; this one if not given.
    execution_id: Option<String>,
    /// A text in the box of the execution.
    custom_message: Option<String>,
    /// Fields behind those of the execution, by name.
    custom_fields: Option<Map<String, Value>>,
    /// Where the pages of this server are, as `https://sluice.example.com`: with it the message has a link. An address of the own network is
    /// written without its scheme, as `10.0.0.5:8080`.
    server_url: Option<String>,
    /// Parts of a message as Discord describes it, in place of those that this task makes: JSON as text, or a map.
    #[schemars(extend("type" = ["string", "object", "null"]))]
    payload: Option<Value>,
    /// How to send the request.
    options: Option<RequestOptions>,
}

/// Send the state of an execution to Discord.
///
/// Below the text stands a box with namespace, flow, execution, state, and the tasks that failed. The task belongs into `errors` of a flow,
/// or into a flow of its own with a Flow trigger, whose `executionId` is `{{ trigger.executionId }}`. Of other executions those of the flow's
/// namespace are known; of what is not known the message has the id, and the log a warning.
///
/// Users that the message mentions are told. Nobody else is, not everyone and no role, unless `allowed_mentions` in `payload` says so.
///
/// Failure codes: those of `io.kestra.plugin.notifications.discord.DiscordIncomingWebhook`.
///
/// # Ask for approval
/// ```yaml
/// id: ask
/// type: io.kestra.plugin.notifications.discord.DiscordExecution
/// url: "{{ secret('DISCORD_WEBHOOK') }}"
/// content: "Is this picture good? {{ outputs.draw.uri }}"
/// serverUrl: https://sluice.example.com
/// ```
///
/// # Tell when a flow fails
/// ```yaml
/// id: load_orders
/// namespace: company.team
/// tasks:
///   - id: load
///     type: io.kestra.plugin.core.http.Request
///     uri: https://api.example.com/orders
/// errors:
///   - id: tell
///     type: io.kestra.plugin.notifications.discord.DiscordExecution
///     url: "{{ secret('DISCORD_WEBHOOK') }}"
///     username: Sluice
///     customMessage: The orders of today are missing.
///     customFields:
///       Environment: production
/// ```
///
/// # Send boxes of your own
/// ```yaml
/// id: report
/// type: io.kestra.plugin.notifications.discord.DiscordExecution
/// url: "{{ secret('DISCORD_WEBHOOK') }}"
/// embedList:
///   - title: Orders of today
///     description: "{{ outputs.query.size }} are waiting"
///     websiteUrl: https://shop.example.com/orders
///     color: [46, 158, 91]
/// ```
#[task(
    "io.kestra.plugin.notifications.discord.DiscordExecution",
    aliases = ["io.kestra.plugin.discord.DiscordExecution", "io.kestra.plugin.discord.notifications.DiscordExecution"]
)]
pub fn execution(mut properties: Execution, cx: &Context) -> Result<(), Failure> {
    let payload = notify::payload(properties.payload.take())?;
    let mut message = Map::new();
    notify::put(&mut message, "content", &properties.content);
    notify::put(&mut message, "username", &properties.username);
    notify::put(&mut message, "avatar_url", &properties.avatar_url);
    message.insert("embeds".to_owned(), embeds(&properties, cx)?.into());
    // What a flow puts into a text may come from anywhere, and must not wake everyone.
    message.insert("allowed_mentions".to_owned(), json!({"parse": ["users"]}));
    notify::merge(&mut message, payload);
    send::send(&properties.url, &properties.options.unwrap_or_default(), &message)
}

fn embeds(properties: &Execution, cx: &Context) -> Result<Vec<Value>, Failure> {
    let written = properties.embed_list.iter().flatten().map(Embed::to_json).collect::<Result<Vec<Value>, _>>()?;
    let custom_message = notify::written(&properties.custom_message);
    let custom_fields = notify::custom_fields(&properties.custom_fields);
    if !written.is_empty() && custom_message.is_none() && custom_fields.is_empty() {
        return Ok(written);
    }
    let asked =
        Asked { execution_id: properties.execution_id.as_deref(), server_url: properties.server_url.as_deref() };
    let facts = embed::of_facts(&Facts::of(cx, asked), custom_message, custom_fields);
    Ok(written.into_iter().chain([facts]).collect())
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use sluice_sdk::testing::{MockHost, Scripted};

    use super::*;
    use crate::Plugin;

    /// What a guest is given in place of a URL that is secret, written into the flow or not.
    const URL: &str = "https://sluicesecret0123.invalid/";

    fn host() -> MockHost {
        MockHost::new()
            .context("execution.id", "e1")
            .context("flow.namespace", "company.ai")
            .context("flow.id", "images")
            .rendered("{{ execution.state ?? '' }}", "RUNNING")
            .answer(&format!("POST {URL}"), Scripted::status(204))
    }

    #[track_caller]
    fn sent(host: &MockHost, mut properties: Value) -> Value {
        properties["url"] = json!(URL);
        host.run_task::<execution>(properties).unwrap();
        serde_json::from_slice(&host.requests().remove(0).body).unwrap()
    }

    #[test]
    fn message_has_the_facts_of_this_execution() {
        let content =
            "Are you happy with the image: https://images.example/1.png. Approve it here: http://localhost:8082/ui/x ";
        let properties = json!({"content": content, "username": "Sluice", "avatarUrl": "https://example.com/a.png"});
        let expected = json!({
            "content": content,
            "username": "Sluice",
            "avatar_url": "https://example.com/a.png",
            "embeds": [{
                "title": "Flow company.ai.images: RUNNING",
                "color": 0x60_70_80,
                "fields": [
                    {"name": "Namespace", "value": "company.ai", "inline": true},
                    {"name": "Flow", "value": "images", "inline": true},
                    {"name": "Execution", "value": "e1", "inline": true},
                    {"name": "State", "value": "RUNNING", "inline": true},
                ],
            }],
            "allowed_mentions": {"parse": ["users"]},
        });
        assert_eq!(sent(&host(), properties), expected);
    }

    #[test]
    fn message_is_about_the_execution_that_is_named() {
        let stored = json!({"namespace": "company.ai", "flow": "child", "state": "WARNING"}).to_string();
        let host = host().object("execution", "company.ai", "e2", &stored);
        let properties = json!({
            "executionId": "e2", "customMessage": "look", "customFields": {"Rows": 3}, "serverUrl": "https://sluice.example",
        });
        let embed = &sent(&host, properties)["embeds"][0];
        assert_eq!(
            (&embed["title"], &embed["description"]),
            (&json!("Flow company.ai.child: WARNING"), &json!("look"))
        );
        assert_eq!(embed["url"], "https://sluice.example/ui/executions/company.ai/child/e2");
        assert_eq!(embed["color"], 0xE0_A0_30);
        assert_eq!(embed["fields"][4], json!({"name": "Rows", "value": "3", "inline": true}));
    }

    #[test]
    fn boxes_of_the_flow_stand_in_front() {
        let embeds = |properties: Value| sent(&host(), properties)["embeds"].as_array().cloned().unwrap();
        let list = json!([{"title": "a"}, {"title": "b"}]);
        assert_eq!(embeds(json!({"embedList": list})), [json!({"title": "a"}), json!({"title": "b"})]);
        let more = embeds(json!({"embedList": list, "customMessage": "c"}));
        assert_eq!((more.len(), &more[2]["description"]), (3, &json!("c")));
        assert_eq!(embeds(json!({"embedList": []})).len(), 1);
    }

    #[test]
    fn payload_has_the_last_word() {
        let message = sent(&host(), json!({"payload": {"allowed_mentions": {"parse": ["everyone"]}, "tts": true}}));
        assert_eq!((&message["allowed_mentions"], &message["tts"]), (&json!({"parse": ["everyone"]}), &json!(true)));
    }

    #[test]
    fn mistakes_are_told_before_anything_is_sent() {
        for properties in [
            json!({"url": URL, "content": "x".repeat(2_001)}),
            json!({"url": URL, "embedList": [{"color": [1]}]}),
            json!({"url": URL, "embedList": [{"colour": [1, 2, 3]}]}),
            json!({"url": URL, "payload": "no"}),
            json!({"content": "hi"}),
        ] {
            let host = host();
            assert_eq!(host.run_task::<execution>(properties).unwrap_err().code(), "BAD_PROPERTY");
            assert!(host.requests().is_empty());
        }
    }

    #[test]
    fn refusal_is_told() {
        let host = MockHost::new().answer(&format!("POST {URL}"), Scripted::status(401));
        let failure = host.run_task::<execution>(json!({"url": URL})).unwrap_err();
        assert_eq!((failure.code(), failure.is_retryable()), ("DISCORD_REFUSED", Some(false)));
    }

    #[test]
    fn every_name_is_the_same_task() {
        for package in ["notifications.discord", "discord", "discord.notifications"] {
            let kind = format!("io.kestra.plugin.{package}.DiscordExecution");
            assert_eq!(host().run::<Plugin>(&kind, &json!({"url": URL}).to_string()).unwrap(), "{}", "{kind}");
        }
    }
}
