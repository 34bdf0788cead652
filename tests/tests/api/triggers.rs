//! What is done to many triggers at once, in Kestra 1.0's paths and shapes.

use serde_json::{Value, json};
use tests::served::{Api, serving};

const JSON: &str = "application/json";

fn flow(id: &str) -> String {
    format!(
        "id: {id}\nnamespace: tests.triggers\ntasks: [{{id: t, type: io.kestra.plugin.core.debug.Return, format: x}}]\n\
         triggers: [{{id: daily, type: io.kestra.plugin.core.trigger.Schedule, cron: '0 0 * * *'}}]\n"
    )
}

async fn count(api: &Api, path: &str, body: &Value) -> Value {
    api.post(&format!("triggers/{path}"), JSON, body.to_string()).await.ok()["count"].clone()
}

async fn contexts(api: &Api, query: &str) -> Vec<Value> {
    let found = api.get(&format!("triggers/search?{query}")).await.ok();
    found["results"].as_array().expect("a list").iter().map(|one| one["triggerContext"].clone()).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_triggers_are_switched_and_their_backfills_held() {
    serving(async |api| {
        for id in ["a", "b"] {
            api.save(&flow(id)).await;
        }
        api.until("triggers/search", |found| found["total"] == 2).await;
        let both = contexts(api, "").await;
        assert!(both.iter().all(|context| context["date"].is_string()), "clients need one: {both:?}");
        assert_eq!(contexts(api, "filters[flowId][EQUALS]=a").await.len(), 1);
        api.get("triggers/search?filters[state][EQUALS]=a").await.refused(422, "query.invalid");

        // Clients send back what they were shown.
        let off = json!({ "triggers": both, "disabled": true });
        assert_eq!(count(api, "set-disabled/by-triggers", &off).await, 2);
        assert_eq!(count(api, "set-disabled/by-triggers", &off).await, 0, "they are off already");
        let nobody = json!({ "namespace": "tests.triggers", "flowId": "a", "triggerId": "nobody" });
        let some = json!({ "triggers": [both[0], nobody], "disabled": false }).to_string();
        let problems = api.post("triggers/set-disabled/by-triggers", JSON, some).await.refused(422, "triggers.refused");
        assert_eq!(problems[0]["path"], "[1]");
        assert!(contexts(api, "").await.iter().all(|context| context["disabled"] == true));
        let on = "set-disabled/by-query?disabled=false&filters[flowId][EQUALS]=a";
        assert_eq!(count(api, on, &json!({})).await, 1);
        assert_eq!(contexts(api, "filters[flowId][EQUALS]=a").await[0]["disabled"], false);
        assert_eq!(contexts(api, "filters[flowId][EQUALS]=b").await[0]["disabled"], true);

        let a = both.iter().find(|context| context["flowId"] == "a").expect("it is there").clone();
        let mut asked = a.clone();
        asked["backfill"] = json!({ "start": "1990-01-01T00:00:00Z", "end": "2020-01-01T00:00:00Z" });
        api.put("triggers/backfill/create", JSON, asked.to_string()).await.ok();
        assert_eq!(count(api, "backfill/pause/by-query", &json!({})).await, 1, "the other one has none");
        assert_eq!(count(api, "backfill/pause/by-triggers", &json!([a])).await, 0, "it is held already");
        assert_eq!(contexts(api, "filters[flowId][EQUALS]=a").await[0]["backfill"]["paused"], true);
        assert_eq!(count(api, "backfill/unpause/by-triggers", &json!([a])).await, 1);
        assert_eq!(count(api, "backfill/delete/by-query?filters[namespace][PREFIX]=tests", &json!({})).await, 1);
        assert_eq!(contexts(api, "filters[flowId][EQUALS]=a").await[0]["backfill"], Value::Null);
        for wrong in ["filters[x][EQUALS]=y", "namespace=tests"] {
            api.post(&format!("triggers/unlock/by-query?{wrong}"), JSON, "").await.refused(422, "query.invalid");
        }
    })
    .await;
}

/// A trigger whose execution waits is locked by it, until somebody frees it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn locks_of_many_triggers_are_taken_away() {
    serving(async |api| {
        let waiting = "id: waiting\nnamespace: tests.triggers\ntasks: [{id: t, type: io.kestra.plugin.core.flow.Pause}]\n\
             triggers: [{id: daily, type: io.kestra.plugin.core.trigger.Schedule, cron: '0 0 * * *'}]\n";
        api.save(waiting).await;
        api.until("triggers/search", |found| found["total"] == 1).await;
        let mut asked = contexts(api, "").await.remove(0);
        asked["backfill"] = json!({ "start": "2020-01-01T00:00:00Z", "end": "2020-01-03T00:00:00Z" });
        api.put("triggers/backfill/create", JSON, asked.to_string()).await.ok();
        let is_locked = |found: &Value| found["results"][0]["triggerContext"]["executionId"].is_string();
        api.until("triggers/search", is_locked).await;
        count(api, "backfill/pause/by-query", &json!({})).await;
        assert_eq!(count(api, "unlock/by-query?filters[flowId][EQUALS]=other", &json!({})).await, 0);
        assert_eq!(count(api, "unlock/by-query", &json!({})).await, 1);
        api.until("triggers/search", |found| !is_locked(found)).await;
        assert_eq!(count(api, "unlock/by-triggers", &json!([asked])).await, 0);
    })
    .await;
}

#[tokio::test]
async fn who_waits_for_an_end_finds_what_it_started() {
    serving(async |api| {
        let log = "type: io.kestra.plugin.core.log.Log, message: x";
        api.save(&format!("id: cause\nnamespace: tests.api\ntasks: [{{id: t, {log}}}]\n")).await;
        api.save(&format!(
            "id: effect\nnamespace: tests.api\ntasks: [{{id: t, {log}}}]\ntriggers:\n  - id: hears\n    type: io.kestra.plugin.core.trigger.Flow\n    conditions: [{{type: io.kestra.plugin.core.condition.ExecutionFlow, namespace: tests.api, flowId: cause}}]\n"
        ))
        .await;
        for number in 1..=5 {
            api.run("tests.api/cause").await;
            let found = api.get("executions/search?namespace=tests.api&flowId=effect").await.ok();
            assert_eq!(found["total"], number, "{found}");
        }
    })
    .await;
}
