//! What operators decide about plugin versions: pins, versions taken back, versions blocked, and the log of it.

use std::sync::Arc;

use catalog::Offer;
use reqwest::Method;
use serde_json::{Value, json};
use store::MemoryStore;
use tests::registered::{by, core_as};
use tests::served::{Answer, Api, Options, send, serving, serving_with};

use super::versions::upload;

const AT: &str = "/api/v1/cluster/versioned-plugins";

fn flow(id: &str, version: &str) -> String {
    let version = if version.is_empty() { String::new() } else { format!("version: '{version}', ") };
    format!(
        "{{id: {id}, namespace: tests.api, tasks: [{{id: t, type: io.kestra.plugin.core.debug.Return, {version}format: x}}]}}"
    )
}

async fn rule(api: &Api, method: Method, rule: Value) -> Answer {
    send(api.request(method, &format!("{AT}/rules")).header("content-type", "application/json").body(rule.to_string()))
        .await
}

async fn add(api: &Api, action: &str, versions: &str) -> Answer {
    let reason = "it loses mail";
    rule(api, Method::PUT, json!({ "action": action, "plugin": "core", "versions": versions, "reason": reason })).await
}

async fn lift(api: &Api, action: &str, versions: &str) -> Answer {
    rule(api, Method::DELETE, json!({ "action": action, "plugin": "core", "versions": versions })).await
}

async fn locked(api: &Api, id: &str) -> Value {
    api.get(&format!("flows/tests.api/{id}/lock")).await.ok()["tasks"]["t"].clone()
}

#[tokio::test(flavor = "multi_thread")]
async fn pin_is_above_what_flows_ask_for() {
    serving(async |api| {
        api.save(&flow("before", "")).await;
        let rules = add(api, "pin", "1.0.0").await.ok();
        assert_eq!((&rules["total"], &rules["results"][0]["by"]), (&json!(1), &json!("local")));
        // What is saved from now on, whatever it asks for. What was saved before keeps its lock.
        api.save(&flow("free", "")).await;
        api.save(&flow("other", "1.1.0")).await;
        for id in ["free", "other"] {
            let lock = locked(api, id).await;
            assert_eq!((&lock["version"], &lock["requirement"]), (&json!("1.0.0"), &json!("1.0.0")), "{id}");
        }
        assert_eq!(locked(api, "before").await["version"], "1.1.0");
        let outdated = api.get("flows/outdated").await.ok();
        assert_eq!((&outdated["total"], &outdated["results"][0]["id"]), (&json!(1), &json!("before")));
        // One pin of a plugin takes the place of another.
        assert_eq!(add(api, "pin", "1.1.0").await.ok()["total"], 1);
        lift(api, "pin", "1.0.0").await.refused(404, "not_found");
        assert_eq!(lift(api, "pin", "1.1.0").await.ok()["total"], 0);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn versions_are_taken_back_and_blocked() {
    serving(async |api| {
        api.save(&flow("before", "")).await;
        add(api, "yank", "1.1.0").await.ok();
        let refused = api.post("flows", "application/x-yaml", flow("exact", "1.1.0")).await;
        assert!(refused.text.contains("plugin `core` 1.1.0 was taken back: it loses mail"), "{}", refused.text);
        refused.refused(422, "flow.invalid");
        api.save(&flow("free", "")).await;
        assert_eq!(locked(api, "free").await["version"], "1.0.0");
        assert_eq!(api.run("tests.api/before").await["state"]["current"], "SUCCESS", "what is locked to it goes on");

        add(api, "block", ">=1.1").await.ok();
        let ended = api.run("tests.api/before").await;
        let failure = &ended["taskRunList"][0]["attempts"][0]["failure"];
        assert_eq!(
            (&ended["state"]["current"], &failure["code"]),
            (&json!("FAILED"), &json!("PLUGIN_BLOCKED")),
            "{ended}"
        );
        assert!(failure["message"].as_str().is_some_and(|text| text.contains("it loses mail")), "{failure}");
        assert_eq!(api.run("tests.api/free").await["state"]["current"], "SUCCESS");

        lift(api, "block", ">=1.1").await.ok();
        assert_eq!(lift(api, "yank", "1.1.0").await.ok()["total"], 0);
        assert_eq!(api.run("tests.api/before").await["state"]["current"], "SUCCESS");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn rules_outlive_the_server_and_are_in_the_log() {
    let store: Arc<MemoryStore> = Arc::default();
    let installed = tempfile::tempdir().expect("tests have a temporary folder");
    let options =
        || Options { store: store.clone(), installed: Some(installed.path().to_owned()), ..Options::default() };
    serving_with(options(), async |api| {
        upload(api, core_as("7.0.0")).await.ok();
        add(api, "pin", "^1").await.ok();
        add(api, "yank", "1.1.0").await.ok();
        lift(api, "yank", "1.1.0").await.ok();
    })
    .await;
    serving_with(options(), async |api| {
        api.save(&flow("free", "")).await;
        assert_eq!(locked(api, "free").await["requirement"], "^1");
        let log = api.get(&format!("{AT}/audit")).await.ok();
        let entries: Vec<(&str, &str, &str)> = log["results"]
            .as_array()
            .expect("a list")
            .iter()
            .filter_map(|entry| Some((entry["actor"].as_str()?, entry["action"].as_str()?, entry["subject"].as_str()?)))
            .collect();
        let expected = [
            ("local", "plugin.lift-yank", "core 1.1.0"),
            ("local", "plugin.yank", "core 1.1.0"),
            ("local", "plugin.pin", "core ^1"),
            ("local", "plugin.install", "core 7.0.0"),
        ];
        assert_eq!(entries, expected);
        assert_eq!(log["results"][1]["details"]["reason"], "it loses mail");
        assert_eq!(log["results"][3]["details"]["source"], "plugin.wasm");
        // What the command line does to the same registry is seen as well.
        api.node.catalog().install(&[Offer::new(core_as("7.1.0"), "test")], by()).expect("it can be installed");
        let log = api.get(&format!("{AT}/audit")).await.ok();
        assert_eq!((&log["total"], &log["results"][0]["actor"]), (&json!(5), &json!("test")));
    })
    .await;
}

#[tokio::test]
async fn rules_that_say_nothing_are_refused() {
    serving(async |api| {
        let put = async |rule_: Value| rule(api, Method::PUT, rule_).await;
        let with = |plugin: &str, versions: &str, reason: &str| json!({ "action": "yank", "plugin": plugin, "versions": versions, "reason": reason });
        put(with("core", "1.0.0", " ")).await.refused(422, "plugin.rule");
        put(with("nosuch", "1.0.0", "r")).await.refused(404, "not_found");
        put(with("core", "^x", "r")).await.refused(422, "PLUGIN_BAD_REQUIREMENT");
        put(json!({ "action": "burn", "plugin": "core", "versions": "1.0.0", "reason": "r" })).await.refused(422, "request.invalid");
        lift(api, "block", "1.0.0").await.refused(404, "not_found");
        assert_eq!(api.get(&format!("{AT}/rules")).await.ok()["total"], 0);
        assert_eq!(api.get(&format!("{AT}/audit")).await.ok()["total"], 0);
    })
    .await;
}

#[tokio::test]
async fn log_names_who_has_logged_in() {
    let options = Options { credentials: Some(("ada", "secret")), ..Options::default() };
    serving_with(options, async |api| {
        let rule = json!({ "action": "yank", "plugin": "core", "versions": "1.0.0", "reason": "r" }).to_string();
        let asked = |method: Method, what: &str| {
            let request = api.request(method, &format!("{AT}/{what}")).basic_auth("ada", Some("secret"));
            request.header("content-type", "application/json")
        };
        send(asked(Method::PUT, "rules").body(rule.clone())).await.ok();
        let log = send(asked(Method::GET, "audit")).await.ok();
        assert_eq!((&log["total"], &log["results"][0]["actor"]), (&json!(1), &json!("ada")));
        let nobody = api.request(Method::PUT, &format!("{AT}/rules")).header("content-type", "application/json");
        assert_eq!(send(nobody.body(rule)).await.status, 401);
    })
    .await;
}
