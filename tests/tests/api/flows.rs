//! Flows over HTTP: saved as revisions, found, validated, deleted.

use serde_json::{Value, json};
use tests::served::serving;

use super::saying;

const YAML: &str = "application/x-yaml";

#[tokio::test]
async fn flow_is_created_and_read() {
    serving(async |api| {
        let source = format!("{}labels: {{team: blue}}\n", saying("a", "hi"));
        let made = api.save(&source).await;
        assert_eq!((&made["id"], &made["namespace"], &made["revision"]), (&json!("a"), &json!("tests.api"), &json!(1)));
        assert_eq!(made["labels"], json!([{ "key": "team", "value": "blue" }]));
        assert_eq!(made["source"], source.as_str());
        assert_eq!(made["tasks"][0]["id"], "say");
        let plain = api.get("flows/tests.api/a").await.ok();
        assert_eq!(plain["source"], Value::Null, "the source comes when it is asked for");
        assert_eq!(api.get("flows/tests.api/a?source=true").await.ok()["source"], source.as_str());
    })
    .await;
}

#[tokio::test]
async fn update_makes_a_revision_only_of_what_changed() {
    serving(async |api| {
        api.save(&saying("a", "one")).await;
        let same = api.put("flows/tests.api/a", YAML, saying("a", "one")).await.ok();
        assert_eq!(same["revision"], 1);
        let other = api.put("flows/tests.api/a", YAML, saying("a", "two")).await.ok();
        assert_eq!(other["revision"], 2);
        let first = api.get("flows/tests.api/a?revision=1&source=true").await.ok();
        assert_eq!(first["source"], saying("a", "one").as_str());
        assert_eq!(api.get("flows/tests.api/a").await.ok()["revision"], 2);
        let all = api.get("flows/tests.api/a/revisions").await.ok();
        let numbers: Vec<u64> =
            all.as_array().expect("a list").iter().filter_map(|flow| flow["revision"].as_u64()).collect();
        assert_eq!(numbers, [1, 2]);
        api.get("flows/tests.api/a?revision=9").await.refused(404, "not_found");
    })
    .await;
}

#[tokio::test]
async fn create_and_update_refuse_each_others_case() {
    serving(async |api| {
        api.save(&saying("a", "one")).await;
        api.post("flows", YAML, saying("a", "two")).await.refused(409, "flow.exists");
        assert_eq!(api.get("flows/tests.api/a").await.ok()["revision"], 1);
        api.put("flows/tests.api/b", YAML, saying("b", "one")).await.refused(404, "not_found");
        api.put("flows/tests.api/a", YAML, saying("b", "one")).await.refused(422, "flow.update");
        api.get("flows/tests.api/b").await.refused(404, "not_found");
    })
    .await;
}

#[tokio::test]
async fn deleted_flow_is_gone_and_its_numbers_go_on() {
    serving(async |api| {
        api.save(&saying("a", "one")).await;
        assert_eq!(api.delete("flows/tests.api/a").await.status, 204);
        api.get("flows/tests.api/a").await.refused(404, "not_found");
        api.delete("flows/tests.api/a").await.refused(404, "not_found");
        api.post("executions/tests.api/a", "application/json", "{}").await.refused(404, "not_found");
        let again = api.save(&saying("a", "one")).await;
        assert!(
            again["revision"].as_u64().is_some_and(|revision| revision > 1),
            "a number is never given twice: {again}"
        );
    })
    .await;
}

#[tokio::test]
async fn lock_names_the_bytes_of_every_task() {
    serving(async |api| {
        let source = "id: pinned\nnamespace: tests.api\ntasks:\n  - {id: old, type: io.kestra.plugin.core.debug.Return, version: 1.0.0, format: x}\n  - {id: new, type: io.kestra.plugin.core.debug.Return, version: '>=1.1', format: x}\n";
        api.save(source).await;
        let lock = api.get("flows/tests.api/pinned/lock").await.ok();
        let tasks = &lock["tasks"];
        assert_eq!((&tasks["old"]["version"], &tasks["new"]["version"]), (&json!("1.0.0"), &json!("1.1.0")));
        assert_eq!(tasks["new"]["requirement"], ">=1.1");
        assert_eq!(tasks["old"]["digest"].as_str().map(str::len), Some(64));
        let ended = api.run("tests.api/pinned").await;
        assert_eq!(ended["state"]["current"], "SUCCESS");
    })
    .await;
}

#[tokio::test]
async fn validation_tells_everything_and_stores_nothing() {
    serving(async |api| {
        let good = saying("good", "x");
        let bad = "id: bad\nnamespace: tests.api\ntasks:\n  - {id: a, type: io.kestra.plugin.core.log.Lug, message: x}\n  - {id: a, type: io.kestra.plugin.core.log.Log, mesage: x}\n";
        let answers = api.post("flows/validate", YAML, format!("{good}---\n{bad}")).await.ok();
        assert_eq!(answers.as_array().map(Vec::len), Some(2));
        assert_eq!((&answers[0]["index"], &answers[0]["flow"], &answers[0]["constraints"]), (&json!(0), &json!("good"), &Value::Null));
        let said = answers[1]["constraints"].as_str().expect("a text");
        for piece in ["io.kestra.plugin.core.log.Log`", "used twice", "`mesage`", "`message`"] {
            assert!(said.contains(piece), "{piece}: {said}");
        }
        assert!(answers[1]["problems"].as_array().is_some_and(|problems| problems.iter().all(|problem| problem["line"].is_u64())));
        api.get("flows/tests.api/good").await.refused(404, "not_found");
        assert!(api.post("flows/validate", YAML, "").await.ok()[0]["constraints"].is_string());
    })
    .await;
}

#[tokio::test]
async fn flows_are_searched_in_pages() {
    serving(async |api| {
        for id in ["a", "b", "c"] {
            api.save(&saying(id, "x")).await;
        }
        api.save("id: z\nnamespace: elsewhere\ntasks:\n  - {id: t, type: io.kestra.plugin.core.log.Log, message: x}\n")
            .await;
        let ids = |page: &Value| -> Vec<String> {
            let results = page["results"].as_array().expect("results");
            results.iter().filter_map(|flow| flow["id"].as_str().map(str::to_owned)).collect()
        };
        let first = api.get("flows/search?namespace=tests.api&size=2").await.ok();
        assert_eq!((ids(&first), &first["total"]), (vec!["a".to_owned(), "b".to_owned()], &json!(3)));
        let second = api.get("flows/search?namespace=tests.api&size=2&page=2").await.ok();
        assert_eq!(ids(&second), ["c"]);
        assert_eq!(ids(&api.get("flows/search?q=elsewhere").await.ok()), ["z"]);
        assert_eq!(api.get("flows/tests.api").await.ok().as_array().map(Vec::len), Some(3));
        assert_eq!(api.get("flows/distinct-namespaces").await.ok(), json!(["elsewhere", "tests.api"]));
    })
    .await;
}
