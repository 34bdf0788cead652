//! What raises an alarm, and what does not.

use serde_json::{Value, json};
use tests::served::Options;

use super::{alarms, failed, logs, named, run, run_flow, succeeded, world};

const VALUE: &str = "c4nary-of-the-tests";

fn options() -> Options {
    Options { secrets: named(&[("CANARY", VALUE)]), ..Options::default() }
}

fn leak(places: &[&str]) -> Value {
    json!({ "secret": "{{ secret('CANARY') }}", "places": places })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_plugin_says_of_itself_is_an_alarm() {
    world(options(), async |api, _, _| {
        let all = ["log", "log", "field", "output", "metric", "tag", "progress"];
        let ended = run(api, "says", "leak", leak(&all)).await;
        assert_eq!(succeeded(&ended)["said"], "******");
        let shown = format!("{ended}{}", logs(api, &ended).await);
        assert!(shown.contains("look: ******") && !shown.contains("sluicesecret") && !shown.contains(VALUE), "{shown}");
        assert_eq!(alarms(api).await, ["CANARY log", "CANARY metric", "CANARY progress"]);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_entry_says_whose_alarm_it_is_and_nothing_of_the_value() {
    world(options(), async |api, _, _| {
        let properties = json!({ "url": "http://{{ secret('CANARY') }}.example.com/" });
        let ended = run(api, "host", "exchange", properties).await;
        failed(&ended);
        let entries = api.get("/api/v1/cluster/versioned-plugins/audit").await;
        assert!(!entries.text.contains(VALUE) && !entries.text.contains("sluicesecret"), "{}", entries.text);
        let entries = entries.json();
        let entries = entries.as_array().or_else(|| entries["results"].as_array()).expect("a list");
        let entry = entries.iter().find(|entry| entry["action"] == "secret.alarm").expect("an alarm");
        assert_eq!((&entry["subject"], &entry["actor"]), (&json!("CANARY"), &json!("plugin probe 1.0.0")));
        let details = &entry["details"];
        assert_eq!(details["place"], "url-host");
        assert_eq!((&details["plugin"], &details["version"]), (&json!("probe"), &json!("1.0.0")));
        assert_eq!((&details["execution"], &details["task"]), (&ended["id"], &json!("t")));
        assert!(details["flow"].as_str().is_some_and(|flow| flow.contains("tests.secrets") && flow.contains("host")));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_error_that_has_a_placeholder_is_masked_and_an_alarm() {
    world(options(), async |api, _, _| {
        let ended =
            run(api, "fails", "open.leak", json!({ "secret": "{{ secret('CANARY') }}!", "places": ["log", "error"] }))
                .await;
        // The plugin said exactly what the author wrote.
        assert_eq!(failed(&ended), "******!");
        assert_eq!(alarms(api).await, [""; 0]);
        let password = json!({ "secret": "{{ secret('CANARY') }}", "places": ["error"] });
        assert_eq!(failed(&run(api, "alone", "open.leak", password).await), "******");
        assert_eq!(alarms(api).await, [""; 0], "an author may write nothing but a secret, too");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_the_author_wrote_is_none() {
    world(options(), async |api, mirror, _| {
        let source = json!({ "id": "author", "namespace": "tests.secrets", "tasks": [
            { "id": "log", "type": "io.kestra.plugin.core.log.Log", "message": "the key is {{ secret('CANARY') }} today\nand that is all" },
            { "id": "return", "type": "io.kestra.plugin.core.debug.Return", "format": "{{ secret('CANARY') | upper }}" },
            { "id": "again", "type": "io.kestra.plugin.core.log.Log", "message": "{{ outputs.return.value }}" },
        ] });
        let ended = run_flow(api, "author", &source.to_string()).await;
        succeeded(&ended);
        let shown = format!("{ended}{}", logs(api, &ended).await);
        assert!(shown.contains("the key is ****** today") && !shown.to_lowercase().contains(VALUE), "{shown}");
        // A request that failed is talked of by its URL, and an answer by what it has.
        let source = json!({ "id": "talks", "namespace": "tests.secrets", "tasks": [
            { "id": "t", "type": "io.kestra.plugin.core.http.Request", "uri": mirror.url("/x"), "params": { "key": "{{ secret('CANARY') }}" },
              "options": { "logs": ["RESPONSE_BODY"], "allowedResponseCodes": [299] } },
        ] });
        failed(&run_flow(api, "talks", &source.to_string()).await);
        let source = json!({ "id": "echoes", "namespace": "tests.secrets", "tasks": [
            { "id": "t", "type": "io.kestra.plugin.core.http.Request", "uri": mirror.url("/x"), "headers": { "x-key": "{{ secret('CANARY') }}" },
              "options": { "logs": ["RESPONSE_BODY"] } },
        ] });
        let ended = run_flow(api, "echoes", &source.to_string()).await;
        succeeded(&ended);
        assert!(logs(api, &ended).await.contains("x-key: ******"));
        assert_eq!(alarms(api).await, [""; 0]);
    })
    .await;
}
