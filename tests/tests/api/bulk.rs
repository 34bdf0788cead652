//! Searches of executions by Kestra's filters, and what is done to many executions at once.

use reqwest::Method;
use serde_json::{Value, json};
use tests::served::{Answer, Api, send, serving};

const FLOWS: [&str; 3] = [
    "id: good\nnamespace: tests.bulk\nlabels: {team: red}\ntasks: [{id: t, type: io.kestra.plugin.core.debug.Return, format: x}]\n",
    "id: bad\nnamespace: tests.bulk.inner\nlabels: {team: blue}\ntasks: [{id: t, type: io.kestra.plugin.core.execution.Fail}]\n",
    "id: waiting\nnamespace: tests.bulkier\nlabels: {team: blue}\ntasks: [{id: t, type: io.kestra.plugin.core.flow.Pause}]\n",
];

/// One execution of each flow, as far as it gets.
async fn begun(api: &Api) -> [String; 3] {
    for flow in FLOWS {
        api.save(flow).await;
    }
    let begin = async |flow: &str, state: &str| {
        let begun = api.post(&format!("executions/{flow}"), "application/json", "{}").await.ok();
        let id = begun["id"].as_str().expect("an id").to_owned();
        api.until(&format!("executions/{id}"), |shown| shown["state"]["current"] == state).await;
        id
    };
    [
        begin("tests.bulk/good", "SUCCESS").await,
        begin("tests.bulk.inner/bad", "FAILED").await,
        begin("tests.bulkier/waiting", "PAUSED").await,
    ]
}

async fn act(api: &Api, method: Method, path: &str, body: &Value) -> Answer {
    let request = api.request(method, &format!("/api/v1/main/executions/{path}"));
    send(request.header("content-type", "application/json").body(body.to_string())).await
}

fn state(shown: &Value) -> &str {
    shown["state"]["current"].as_str().unwrap_or_default()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn executions_are_found_by_filters() {
    serving(async |api| {
        let ids = begun(api).await;
        let names = ["good", "bad", "waiting"];
        let check = async |query: &str, expected: &[&str]| {
            let found = api.get(&format!("executions/search?{query}")).await.ok();
            let found_ids: Vec<&str> =
                found["results"].as_array().expect("a list").iter().filter_map(|one| one["id"].as_str()).collect();
            let named: Vec<&str> = names
                .iter()
                .zip(&ids)
                .filter(|(_, id)| found_ids.contains(&id.as_str()))
                .map(|(name, _)| *name)
                .collect();
            assert_eq!(named, expected, "{query}");
            assert_eq!(found["total"], expected.len(), "{query}");
            assert_eq!(found["totalIsLowerBound"], Value::Null);
        };
        check("", &names).await;
        check("filters[state][EQUALS]=FAILED", &["bad"]).await;
        check("filters[state][IN]=FAILED,PAUSED", &["bad", "waiting"]).await;
        check("filters[state][NOT_IN]=FAILED,PAUSED", &["good"]).await;
        check("filters[state][NOT_EQUALS]=SUCCESS&filters[labels][EQUALS][team]=blue", &["bad", "waiting"]).await;
        check("filters[labels][NOT_EQUALS][team]=blue", &["good"]).await;
        check("labels=team:red", &["good"]).await;
        check("filters[namespace][EQUALS]=tests.bulk", &["good"]).await;
        check("filters[namespace][PREFIX]=tests.bulk", &["good", "bad"]).await;
        check("namespace=tests.bulk", &["good", "bad"]).await;
        check("filters[namespace][STARTS_WITH]=tests.bulk", &names).await;
        check("filters[namespace][REGEX]=%5Etests%5C.bulk(ier)%3F$", &["good", "waiting"]).await;
        check("filters[namespace][PREFIX]=tests.bulk&filters[namespace][NOT_EQUALS]=tests.bulk", &["bad"]).await;
        check("filters[flowId][EQUALS]=waiting", &["waiting"]).await;
        check("filters[flowId][CONTAINS]=OO", &["good"]).await;
        check("namespace=tests.bulk&flowId=good", &["good"]).await;
        check("namespace=tests&flowId=good", &[]).await;
        check("filters[q][EQUALS]=wait", &["waiting"]).await;
        check("filters[timeRange][EQUALS]=PT1H", &names).await;
        check("filters[startDate][GREATER_THAN]=2999-01-01T00:00:00Z", &[]).await;
        check("filters[startDate][LESS_THAN]=2999-01-01T00:00:00Z", &names).await;
        check("filters[endDate][LESS_THAN]=2999-01-01T00:00:00Z", &["good", "bad"]).await;
        check("filters[childFilter][EQUALS]=CHILD", &[]).await;
        check("filters[scope][EQUALS]=USER", &names).await;
        check("filters[scope][EQUALS]=SYSTEM", &[]).await;

        let paged = api.get("executions/search?filters[flowId][REGEX]=.&size=2&page=2").await.ok();
        assert_eq!((paged["results"].as_array().map(Vec::len), &paged["total"]), (Some(1), &json!(3)));

        // A filter that is not understood is not passed over: all problems at once, each with what is known.
        let wrong = "filters[state][IS]=x&filters[nothing";
        let problems = api.get(&format!("executions/search?{wrong}")).await.refused(422, "query.invalid");
        assert_eq!(problems.len(), 2, "{problems:?}");
        let wrong = "filters[state][EQUALS]=DONE&filters[flowid][EQUALS]=x&filters[startDate][EQUALS]=now&filters[flowId][REGEX]=(";
        let problems = api.get(&format!("executions/search?{wrong}")).await.refused(422, "query.invalid");
        let told: Vec<String> = problems.iter().map(ToString::to_string).collect();
        assert_eq!(told.len(), 4, "{told:?}");
        for (said, part) in told.iter().zip(["states are CREATED, ", "flowId", "is no time", "is refused"]) {
            assert!(said.contains(part), "`{said}` does not say `{part}`");
        }
        api.get("executions/search?sort=id:asc").await.refused(422, "query.sort");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_executions_are_dealt_with_by_their_ids() {
    serving(async |api| {
        let [good, bad, waiting] = begun(api).await;
        let now = async |id: &str| api.get(&format!("executions/{id}")).await.ok();
        // One that it cannot be done to keeps it from all.
        let problems =
            act(api, Method::POST, "resume/by-ids", &json!([waiting, good])).await.refused(422, "executions.refused");
        assert!(problems[0]["message"].as_str().is_some_and(|said| said.contains(&good)), "{problems:?}");
        let unknown = act(api, Method::DELETE, "kill/by-ids", &json!([waiting, "nobody"])).await;
        unknown.refused(422, "executions.refused");
        assert_eq!(state(&now(&waiting).await), "PAUSED");
        act(api, Method::POST, "resume/by-ids", &json!({})).await.refused(422, "request.invalid");
        let many: Vec<String> = (0..10_001).map(|number| number.to_string()).collect();
        act(api, Method::POST, "resume/by-ids", &json!(many)).await.refused(422, "executions.refused");

        // Named twice, done once.
        let labelled =
            json!({ "executionsId": [good, bad, good], "executionLabels": [{ "key": "seen", "value": "yes" }] });
        assert_eq!(act(api, Method::POST, "labels/by-ids", &labelled).await.ok(), json!({ "count": 2 }));
        assert!(now(&bad).await["labels"].to_string().contains("seen"));
        assert_eq!(act(api, Method::POST, "resume/by-ids", &json!([waiting])).await.ok()["count"], 1);
        api.until(&format!("executions/{waiting}"), |shown| state(shown) == "SUCCESS").await;
        assert_eq!(
            act(api, Method::POST, "replay/by-ids?latestRevision=true", &json!([good, bad])).await.ok()["count"],
            2
        );
        let found = api.get("executions/search?filters[labels][EQUALS][system.replay]=true").await.ok();
        assert_eq!(found["total"], 2);
        let changed = act(api, Method::POST, "change-status/by-ids?newStatus=WARNING", &json!([bad])).await.ok();
        assert_eq!(changed["count"], 1);
        assert_eq!(state(&now(&bad).await), "WARNING");
        assert_eq!(act(api, Method::POST, "restart/by-ids", &json!([bad])).await.ok()["count"], 1);
        api.until(&format!("executions/{bad}"), |shown| state(shown) == "FAILED").await;

        let deleted = act(api, Method::DELETE, "by-ids", &json!([good])).await.ok();
        assert_eq!(deleted["count"], 1);
        api.get(&format!("executions/{good}")).await.refused(404, "not_found");
        assert_eq!(send(api.request(Method::DELETE, &format!("/api/v1/main/executions/{bad}"))).await.status, 204);
        api.get(&format!("executions/{bad}")).await.refused(404, "not_found");
        api.delete(&format!("executions/{bad}")).await.refused(404, "not_found");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_found_is_dealt_with() {
    serving(async |api| {
        let [good, bad, waiting] = begun(api).await;
        let none = json!([]);
        // A filter that is not understood does nothing to anybody.
        act(api, Method::DELETE, "by-query?filters[flow][EQUALS]=good", &none).await.refused(422, "query.invalid");
        for wrong in ["sate=FAILED", "state=", "state=FAILED&newStatus=x", "q=a&q=b", "flowid=good"] {
            let answer = act(api, Method::DELETE, &format!("by-query?{wrong}"), &none).await;
            answer.refused(422, "query.invalid");
        }
        act(api, Method::POST, "unqueue/by-query?state=SUCCESS&newState=FAILED", &none).await.ok();
        // Those that it cannot be done to are left alone.
        assert_eq!(act(api, Method::POST, "pause/by-query", &none).await.ok()["count"], 0);
        let labels = json!([{ "key": "by", "value": "query" }]);
        let query = "filters[namespace][PREFIX]=tests.bulk";
        assert_eq!(act(api, Method::POST, &format!("labels/by-query?{query}"), &labels).await.ok()["count"], 2);
        let killed = act(api, Method::DELETE, "kill/by-query?filters[state][EQUALS]=PAUSED", &none).await.ok();
        assert_eq!(killed["count"], 1);
        api.until(&format!("executions/{waiting}"), |shown| state(shown) == "KILLED").await;
        let begun = api.post("executions/tests.bulkier/waiting", "application/json", "{}").await.ok();
        let again = begun["id"].as_str().expect("an id");
        api.until(&format!("executions/{again}"), |shown| state(shown) == "PAUSED").await;

        assert_eq!(act(api, Method::DELETE, &format!("by-query?{query}"), &none).await.ok()["count"], 2);
        for gone in [good, bad] {
            api.get(&format!("executions/{gone}")).await.refused(404, "not_found");
        }
        let ended = act(api, Method::DELETE, "by-query?filters[flowId][EQUALS]=waiting", &none).await.ok();
        assert_eq!(ended["count"], 1, "the one that is paused stays");
        let all = "by-query?filters[flowId][EQUALS]=waiting&includeNonTerminated=true";
        assert_eq!(act(api, Method::DELETE, all, &none).await.ok()["count"], 1);
        assert_eq!(api.get("executions/search").await.ok()["total"], 0);
    })
    .await;
}
