//! `SlackExecution` against the mock host.
#![expect(clippy::unwrap_used, reason = "tests")]

use sluice_sdk::testing::{MockHost, Scripted};

use super::*;
use crate::Plugin;

/// What a guest is given in place of a URL that is secret.
const URL: &str = "https://sluicesecret0123.invalid/";

fn host() -> MockHost {
    MockHost::new()
        .context("execution.id", "e1")
        .context("flow.namespace", "company.team")
        .context("flow.id", "orders")
        .answer(&format!("POST {URL}"), Scripted::status(200).body("ok"))
}

#[track_caller]
fn sent(host: &MockHost, mut properties: Value) -> Value {
    properties["url"] = json!(URL);
    host.run_task::<execution>(properties).unwrap();
    serde_json::from_slice(&host.requests().remove(0).body).unwrap()
}

#[test]
fn message_has_the_facts_of_this_execution() {
    let host = host()
        .rendered("{{ execution.state ?? '' }}", "RUNNING")
        .rendered("{{ tasksWithState('FAILED') }}", r#"[{"taskId": "load", "state": "FAILED"}]"#);
    let properties = json!({
        "channel": "#alerts", "username": "Sluice", "iconUrl": "https://example.com/a.png", "iconEmoji": ":ocean:",
        "customMessage": "look at it", "customFields": {"Rows": 3, "Note": "x".repeat(50), "None": null},
        "serverUrl": "https://sluice.example",
    });
    let expected = json!({
        "channel": "#alerts",
        "username": "Sluice",
        "icon_url": "https://example.com/a.png",
        "icon_emoji": ":ocean:",
        "text": "Flow company.team.orders: task load failed",
        "attachments": [{
            "fallback": "Flow company.team.orders: task load failed",
            "color": "danger",
            "title": "Open the execution",
            "title_link": "https://sluice.example/ui/executions/company.team/orders/e1",
            "text": "look at it",
            "mrkdwn_in": ["text", "fields"],
            "fields": [
                {"title": "Namespace", "short": true, "value": "company.team"},
                {"title": "Flow", "short": true, "value": "orders"},
                {"title": "Execution", "short": true, "value": "e1"},
                {"title": "State", "short": true, "value": "RUNNING"},
                {"title": "Failed tasks", "short": true, "value": "load"},
                {"title": "Rows", "short": true, "value": "3"},
                {"title": "Note", "short": false, "value": "x".repeat(50)},
            ],
        }],
    });
    assert_eq!(sent(&host, properties), expected);
}

#[test]
fn message_is_about_the_execution_that_is_named() {
    let host = host()
        .rendered("{{ trigger.executionId ?? '' }}", "e2")
        .rendered("{{ trigger.namespace ?? '' }}", "other")
        .rendered("{{ trigger.flowId ?? '' }}", "nightly")
        .rendered("{{ trigger.state ?? '' }}", "SUCCESS");
    let message = sent(&host, json!({"executionId": "e2"}));
    assert_eq!(message["text"], "Flow other.nightly: SUCCESS");
    assert_eq!(message["attachments"][0]["color"], "good");
    assert_eq!(message["attachments"][0].get("title_link"), None);
    for state in ["WARNING", "CREATED"] {
        let stored = json!({"namespace": "company.team", "flow": "child", "state": state}).to_string();
        let host = self::host().object("execution", "company.team", "e3", &stored);
        let message = sent(&host, json!({"executionId": "e3"}));
        assert_eq!(message["text"], format!("Flow company.team.child: {state}"));
        assert_eq!(message["attachments"][0].get("color"), (state == "WARNING").then_some(&json!("warning")));
    }
}

#[test]
fn flow_has_the_last_word() {
    assert_eq!(sent(&host(), json!({"messageText": "mine"}))["text"], "mine");
    let message = sent(&host(), json!({"payload": "{\"text\": \"theirs\", \"blocks\": []}"}));
    assert_eq!((&message["text"], &message["blocks"]), (&json!("theirs"), &json!([])));
    assert_eq!(message["attachments"][0]["fallback"], "Flow company.team.orders");
}

#[test]
fn mistakes_are_told_before_anything_is_sent() {
    for properties in [
        json!({"url": URL, "payload": "{"}),
        json!({"url": URL, "customFields": "none"}),
        json!({"url": URL, "chanel": "#a"}),
        json!({"channel": "#a"}),
    ] {
        let host = host();
        assert_eq!(host.run_task::<execution>(properties).unwrap_err().code(), "BAD_PROPERTY");
        assert!(host.requests().is_empty());
    }
}

#[test]
fn refusal_is_told() {
    let host = MockHost::new().answer(&format!("POST {URL}"), Scripted::status(404).body("channel_not_found"));
    let failure = host.run_task::<execution>(json!({"url": URL, "channel": "#nowhere"})).unwrap_err();
    assert_eq!((failure.code(), failure.details()["error"].as_str()), ("SLACK_REFUSED", Some("channel_not_found")));
}

#[test]
fn every_name_is_the_same_task() {
    for kind in [
        "io.kestra.plugin.notifications.slack.SlackExecution",
        "io.kestra.plugin.slack.SlackExecution",
        "io.kestra.plugin.slack.notifications.SlackExecution",
    ] {
        assert_eq!(host().run::<Plugin>(kind, &json!({"url": URL}).to_string()).unwrap(), "{}", "{kind}");
    }
}
