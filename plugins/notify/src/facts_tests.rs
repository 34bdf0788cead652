//! Facts of executions against the mock host.

use sluice_sdk::testing::MockHost;

use super::*;

fn host() -> MockHost {
    MockHost::new().context("execution.id", "e1").context("flow.namespace", "a.b").context("flow.id", "orders")
}

fn facts(host: &MockHost, execution_id: Option<&str>) -> Facts {
    host.with(|cx| Facts::of(cx, Asked { execution_id, server_url: Some("https://sluice.example/ ") }))
}

fn named(fields: &[(String, String)]) -> Vec<(&str, &str)> {
    fields.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect()
}

#[test]
fn own_execution_is_known() {
    let host = host()
        .rendered("{{ execution.state ?? '' }}", "RUNNING")
        .rendered("{{ tasksWithState('FAILED') }}", r#"[{"taskId": "load", "state": "FAILED"}]"#);
    for id in [None, Some("e1"), Some(" ")] {
        let facts = facts(&host, id);
        assert_eq!(facts.title(), "Flow a.b.orders: task load failed");
        assert_eq!(facts.mood(), Mood::Bad);
        assert_eq!(facts.link.as_deref(), Some("https://sluice.example/ui/executions/a.b/orders/e1"));
        let expected = [
            ("Namespace", "a.b"),
            ("Flow", "orders"),
            ("Execution", "e1"),
            ("State", "RUNNING"),
            ("Failed tasks", "load"),
        ];
        assert_eq!(named(&facts.fields()), expected);
    }
    assert_eq!(host.logs(), []);
}

#[test]
fn trigger_knows_the_execution_it_heard_of() {
    let host = host()
        .rendered("{{ trigger.executionId ?? '' }}", "e2")
        .rendered("{{ trigger.namespace ?? '' }}", "other")
        .rendered("{{ trigger.flowId ?? '' }}", "nightly")
        .rendered("{{ trigger.state ?? '' }}", "FAILED")
        .rendered("{{ execution.state ?? '' }}", "RUNNING");
    let facts = facts(&host, Some("e2"));
    assert_eq!((facts.title().as_str(), facts.mood()), ("Flow other.nightly: FAILED", Mood::Bad));
    assert_eq!(facts.link.as_deref(), Some("https://sluice.example/ui/executions/other/nightly/e2"));
}

#[test]
fn other_execution_is_looked_up() {
    let stored = r#"{"id": "e3", "namespace": "a.b", "flow": "child", "state": "SUCCESS", "outputs": {}}"#;
    let host = host().object("execution", "a.b", "e3", stored);
    let found = facts(&host, Some("e3"));
    assert_eq!((found.title().as_str(), found.mood()), ("Flow a.b.child: SUCCESS", Mood::Good));
    assert_eq!(host.logs(), []);
}

#[test]
fn unknown_execution_has_its_id() {
    let host = host();
    let facts = facts(&host, Some("e9"));
    assert_eq!((facts.title().as_str(), facts.mood(), facts.link.clone()), ("Execution e9", Mood::Neutral, None));
    assert_eq!(named(&facts.fields()), [("Execution", "e9")]);
    let line = "the message says nothing of execution `e9` but its id: namespace `a.b` has none of that id";
    assert_eq!(host.logs().first().map(|line| line.message.as_str()), Some(line));
}

#[test]
fn link_needs_an_address() {
    let link = |host: &MockHost| host.with(|cx| Facts::of(cx, Asked::default())).link;
    assert_eq!(link(&host()), None);
    let local = host().with(|cx| Facts::of(cx, Asked { server_url: Some("10.0.0.5:8080/"), ..Asked::default() })).link;
    assert_eq!(local.as_deref(), Some("http://10.0.0.5:8080/ui/executions/a.b/orders/e1"));
    let known = host().rendered("{{ kestra.url ?? '' }}", "http://localhost:8080/");
    assert_eq!(link(&known).as_deref(), Some("http://localhost:8080/ui/executions/a.b/orders/e1"));
}

#[test]
fn title_and_mood_follow_the_state() {
    let with = |state: &str, failed: &[&str]| Facts {
        id: "e".to_owned(),
        state: (!state.is_empty()).then(|| state.to_owned()),
        failed_tasks: failed.iter().map(|&task| task.to_owned()).collect(),
        ..Facts::default()
    };
    for (state, failed, title, mood) in [
        ("RUNNING", &[][..], "Execution e: RUNNING", Mood::Neutral),
        ("RUNNING", &["a", "b"], "Execution e: 2 tasks failed", Mood::Bad),
        ("FAILED", &["a"], "Execution e: FAILED", Mood::Bad),
        ("WARNING", &["a"], "Execution e: WARNING", Mood::Uneasy),
        ("", &["a"], "Execution e: task a failed", Mood::Bad),
        ("", &[], "Execution e", Mood::Neutral),
    ] {
        let facts = with(state, failed);
        assert_eq!((facts.title().as_str(), facts.mood()), (title, mood), "{state} {failed:?}");
    }
}
