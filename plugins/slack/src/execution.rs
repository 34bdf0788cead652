//! `SlackExecution`.

use notify::{Asked, Facts, Mood, RequestOptions};
use serde_json::{Map, Value, json};
use sluice_sdk::prelude::*;

use crate::send;

/// Letters up to which two fields stand side by side.
const SHORT_LETTERS: usize = 40;

#[properties]
pub struct Execution {
    /// The URL of the incoming webhook.
    #[secret]
    url: String,
    /// The channel, where the webhook may choose it.
    channel: Option<String>,
    /// Who the message seems to come from.
    username: Option<String>,
    /// The URL of a picture beside the name.
    icon_url: Option<String>,
    /// An emoji beside the name, as `:rocket:`.
    icon_emoji: Option<String>,
    /// The execution the message is about; this one if not given.
    execution_id: Option<String>,
    /// A text below the title.
    custom_message: Option<String>,
    /// Fields behind those of the execution, by name.
    custom_fields: Option<Map<String, Value>>,
    /// Where the pages of this server are, as `https://sluice.example.com`: with it the message has a link. An address of the own network is
    /// written without its scheme, as `10.0.0.5:8080`.
    server_url: Option<String>,
    /// The text of the message, in place of the title.
    message_text: Option<String>,
    /// Parts of a message as Slack describes it, in place of those that this task makes: JSON as text, or a map.
    #[schemars(extend("type" = ["string", "object", "null"]))]
    payload: Option<Value>,
    /// How to send the request.
    options: Option<RequestOptions>,
}

/// Send the state of an execution to Slack.
///
/// The message has a title, a colour and fields: namespace, flow, execution, state, and the tasks that failed. It belongs into `errors` of a
/// flow, or into a flow of its own with a Flow trigger, whose `executionId` is `{{ trigger.executionId }}`. Of other executions those of the
/// flow's namespace are known; of what is not known the message has the id, and the log a warning.
///
/// Failure codes: those of `io.kestra.plugin.notifications.slack.SlackIncomingWebhook`.
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
///     type: io.kestra.plugin.notifications.slack.SlackExecution
///     url: "{{ secret('SLACK_WEBHOOK') }}"
///     channel: "#alerts"
///     customMessage: The orders of today are missing.
/// ```
///
/// # Tell of every failure in a namespace
/// ```yaml
/// id: alerts
/// namespace: company.monitoring
/// tasks:
///   - id: tell
///     type: io.kestra.plugin.notifications.slack.SlackExecution
///     url: "{{ secret('SLACK_WEBHOOK') }}"
///     executionId: "{{ trigger.executionId }}"
///     serverUrl: https://sluice.example.com
/// triggers:
///   - id: failed
///     type: io.kestra.plugin.core.trigger.Flow
///     conditions:
///       - type: io.kestra.plugin.core.condition.ExecutionStatus
///         in: [FAILED, WARNING]
///       - type: io.kestra.plugin.core.condition.ExecutionNamespace
///         namespace: company.team
///         prefix: true
/// ```
///
/// # Add what people should know
/// ```yaml
/// id: tell
/// type: io.kestra.plugin.notifications.slack.SlackExecution
/// url: "{{ secret('SLACK_WEBHOOK') }}"
/// username: Sluice
/// iconEmoji: ":ocean:"
/// customFields:
///   Environment: production
///   Rows: "{{ outputs.query.size }}"
/// ```
#[task(
    "io.kestra.plugin.notifications.slack.SlackExecution",
    aliases = ["io.kestra.plugin.slack.SlackExecution", "io.kestra.plugin.slack.notifications.SlackExecution"]
)]
pub fn execution(mut properties: Execution, cx: &Context) -> Result<(), Failure> {
    // A mistake in it is told before anything is asked of the server.
    let payload = notify::payload(properties.payload.take())?;
    let asked =
        Asked { execution_id: properties.execution_id.as_deref(), server_url: properties.server_url.as_deref() };
    let mut message = message(&properties, &Facts::of(cx, asked));
    notify::merge(&mut message, payload);
    send::send(&properties.url, &properties.options.unwrap_or_default(), &message)
}

fn message(properties: &Execution, facts: &Facts) -> Map<String, Value> {
    let mut message = Map::new();
    notify::put(&mut message, "channel", &properties.channel);
    notify::put(&mut message, "username", &properties.username);
    notify::put(&mut message, "icon_url", &properties.icon_url);
    notify::put(&mut message, "icon_emoji", &properties.icon_emoji);
    let title = facts.title();
    message.insert("text".to_owned(), notify::written(&properties.message_text).unwrap_or(&title).into());
    message.insert("attachments".to_owned(), json!([attachment(properties, facts, &title)]));
    message
}

fn attachment(properties: &Execution, facts: &Facts, title: &str) -> Value {
    let fields = facts.fields().into_iter().chain(notify::custom_fields(&properties.custom_fields));
    let fields: Vec<Value> = fields
        .map(|(name, value)| json!({"title": name, "short": value.chars().count() <= SHORT_LETTERS, "value": value}))
        .collect();
    let mut attachment = Map::new();
    attachment.insert("fallback".to_owned(), title.into());
    if let Some(colour) = colour(facts.mood()) {
        attachment.insert("color".to_owned(), colour.into());
    }
    if let Some(link) = &facts.link {
        attachment.insert("title".to_owned(), "Open the execution".into());
        attachment.insert("title_link".to_owned(), link.as_str().into());
    }
    notify::put(&mut attachment, "text", &properties.custom_message);
    attachment.insert("mrkdwn_in".to_owned(), json!(["text", "fields"]));
    attachment.insert("fields".to_owned(), fields.into());
    attachment.into()
}

/// Slack's own words for colours.
fn colour(mood: Mood) -> Option<&'static str> {
    match mood {
        Mood::Good => Some("good"),
        Mood::Uneasy => Some("warning"),
        Mood::Bad => Some("danger"),
        Mood::Neutral => None,
    }
}

#[cfg(test)]
#[path = "execution_tests.rs"]
mod tests;
