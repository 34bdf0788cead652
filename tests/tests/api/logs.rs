//! Logs over HTTP: of one execution, of all, downloaded, removed; and what is told of a query that is not understood.

use std::sync::Arc;

use model::task::LogLevel;
use serde_json::{Value, json};
use store::{Batch, MemoryStore, Store};
use tests::filled;
use tests::served::{Api, Options, serving, serving_with};

const LOGS: &str = "
id: talks
namespace: tests.logs
tasks:
  - {id: plain, type: io.kestra.plugin.core.log.Log, message: one, level: INFO}
  - {id: loud, type: io.kestra.plugin.core.log.Log, message: Two, level: ERROR}
  - {id: quiet, type: io.kestra.plugin.core.log.Log, message: three, level: DEBUG}
";
/// More lines than one answer has.
const MANY: usize = 25_000;

fn messages(lines: &Value) -> Vec<&str> {
    lines.as_array().expect("a list").iter().filter_map(|line| line["message"].as_str()).collect()
}

async fn begun(api: &Api) -> String {
    api.save(LOGS).await;
    let ended = api.run("tests.logs/talks").await;
    ended["id"].as_str().expect("an id").to_owned()
}

/// Served from a store with an execution of so many lines: each thousandth an error, the last one of another task.
async fn serving_many(test: impl AsyncFnOnce(&Api)) {
    let store = Arc::new(MemoryStore::default());
    let flow = filled::flow_key("tests.logs", "many");
    let mut batch = Batch::new();
    batch.put(filled::execution("many", &flow, 1, model::state::State::Success));
    store.commit(batch).await.expect("an execution");
    for chunk in 0..MANY / 1_000 {
        let lines = (0..1_000).map(|number| chunk * 1_000 + number).map(|number| {
            let level = if number % 1_000 == 999 { LogLevel::Error } else { LogLevel::Info };
            let mut line = filled::line("many", &flow, number as i64, level, &format!("line {number}"));
            if number + 1 == MANY {
                line.task = Some(model::ids::TaskId::trusted("last"));
            }
            line
        });
        store.append_logs(lines.collect()).await.expect("lines");
    }
    serving_with(Options { store, ..Options::default() }, test).await;
}

#[tokio::test]
async fn lines_of_an_execution_are_chosen() {
    serving(async |api| {
        let id = begun(api).await;
        let all = api.get(&format!("logs/{id}")).await.ok();
        assert_eq!(messages(&all), ["one", "Two", "three"]);
        assert_eq!((&all[0]["taskId"], &all[0]["attemptNumber"]), (&json!("plain"), &json!(0)));
        let run = all[2]["taskRunId"].as_str().expect("an id");
        let position = &all[1]["position"];
        for (query, expected) in [
            ("minLevel=INFO", &["one", "Two"][..]),
            ("minLevel=error", &["Two"]),
            ("taskId=quiet", &["three"]),
            (&format!("taskRunId={run}"), &["three"]),
            ("attempt=0", &["one", "Two", "three"]),
            ("attempt=1", &[]),
            ("size=2", &["one", "Two"]),
            (&format!("after={position}"), &["three"]),
        ] {
            assert_eq!(messages(&api.get(&format!("logs/{id}?{query}")).await.ok()), expected, "{query}");
        }
        let text = api.get(&format!("logs/{id}/download?minLevel=INFO")).await;
        assert_eq!(text.header("content-disposition"), format!("attachment; filename=\"{id}.log\""));
        let lines: Vec<&str> = text.text.lines().collect();
        assert!(matches!(lines.as_slice(), [one, two] if one.ends_with("INFO plain one") && two.ends_with("ERROR loud Two")), "{lines:?}");

        api.get("logs/nosuch").await.refused(404, "not_found");
        api.get("logs/nosuch/download").await.refused(404, "not_found");
        api.get(&format!("logs/{id}?minLevel=LOUD")).await.refused(422, "query.level");
        for (path, hint) in [
            (format!("logs/{id}?minlevel=INFO"), "minLevel"),
            (format!("logs/{id}?filters[level][EQUALS]=INFO"), "known are"),
            (format!("logs/{id}/download?size=1"), "known are"),
        ] {
            let problems = api.get(&path).await.refused(422, "query.invalid");
            assert!(problems[0]["hint"].as_str().is_some_and(|said| said.contains(hint)), "{problems:?}");
        }
    })
    .await;
}

/// A filter counts before the limit does, and a download is whole.
#[tokio::test]
async fn long_logs_are_read_page_by_page() {
    serving_many(async |api| {
        let first = api.get("logs/many").await.ok();
        assert_eq!(messages(&first).len(), 10_000);
        let after = &first[9_999]["position"];
        assert_eq!(
            messages(&api.get(&format!("logs/many?after={after}&size=2")).await.ok()),
            ["line 10000", "line 10001"]
        );
        let errors = api.get("logs/many?minLevel=ERROR").await.ok();
        assert_eq!((messages(&errors).len(), messages(&errors).last()), (25, Some(&"line 24999")));
        assert_eq!(messages(&api.get("logs/many?taskId=last").await.ok()), ["line 24999"]);
        let text = api.get("logs/many/download").await.text;
        assert_eq!(
            (text.lines().count(), text.lines().last().map(|line| line.ends_with("line 24999"))),
            (MANY, Some(true))
        );

        let found = api.get("logs/search?size=1").await.ok();
        assert_eq!((&found["total"], &found["totalIsLowerBound"]), (&json!(10_000), &json!(true)));
        assert_eq!(messages(&found["results"]), ["line 24999"], "newest first");
        let found = api.get("logs/search?filters[level][EQUALS]=ERROR&size=2&page=2").await.ok();
        assert_eq!((&found["total"], &found["totalIsLowerBound"]), (&json!(25), &Value::Null));
        assert_eq!(messages(&found["results"]), ["line 22999", "line 21999"]);
    })
    .await;
}

#[tokio::test]
async fn lines_are_found_by_filters() {
    serving(async |api| {
        let id = begun(api).await;
        let other = LOGS.replace("id: talks", "id: other").replace("tests.logs", "tests.logs.inner");
        api.save(&other.replace("three", "four")).await;
        api.run("tests.logs.inner/other").await;
        let check = async |query: &str, expected: &[&str]| {
            let found = api.get(&format!("logs/search?{query}")).await.ok();
            assert_eq!(messages(&found["results"]), expected, "{query}");
            assert_eq!(found["total"], expected.len(), "{query}");
        };
        check("", &["four", "Two", "one", "three", "Two", "one"]).await;
        check("filters[namespace][EQUALS]=tests.logs", &["three", "Two", "one"]).await;
        check("filters[namespace][PREFIX]=tests.logs&filters[level][EQUALS]=WARN", &["Two", "Two"]).await;
        check("namespace=tests.logs&flowId=talks&minLevel=INFO", &["Two", "one"]).await;
        check("filters[flowId][EQUALS]=other&filters[level][NOT_EQUALS]=INFO", &["four"]).await;
        check("filters[level][IN]=INFO,DEBUG&filters[flowId][CONTAINS]=TALK", &["three", "one"]).await;
        check("filters[level][NOT_IN]=INFO,DEBUG", &["Two", "Two"]).await;
        check("filters[taskId][EQUALS]=quiet", &["four", "three"]).await;
        check("filters[taskId][IN]=quiet,loud&flowId=talks&namespace=tests.logs", &["three", "Two"]).await;
        check(&format!("filters[executionId][EQUALS]={id}&filters[q][EQUALS]=TWO"), &["Two"]).await;
        check("q=thre", &["three"]).await;
        check("filters[triggerId][EQUALS]=any", &[]).await;
        check("filters[timeRange][EQUALS]=PT1H&taskId=plain", &["one", "one"]).await;
        check("filters[startDate][GREATER_THAN]=2999-01-01T00:00:00Z", &[]).await;
        check("startDate=2020-01-01T00:00:00Z&endDate=2021-01-01T00:00:00Z", &[]).await;
        check("filters[scope][EQUALS]=SYSTEM", &[]).await;

        let wrong = "filters[level][EQUALS]=LOUD&filters[flowid][EQUALS]=x&filters[startDate][EQUALS]=now&filters[timeRange][EQUALS]=day";
        let problems = api.get(&format!("logs/search?{wrong}")).await.refused(422, "query.invalid");
        let told: Vec<String> = problems.iter().map(ToString::to_string).collect();
        assert_eq!(told.len(), 4, "{told:?}");
        for (said, part) in told.iter().zip(["levels are TRACE", "flowId", "is no time", "PT24H"]) {
            assert!(said.contains(part), "`{said}` does not say `{part}`");
        }
        let problems = api.get("logs/search?level=ERROR").await.refused(422, "query.invalid");
        assert!(problems[0]["hint"].as_str().is_some_and(|said| said.contains("minLevel")), "{problems:?}");
        api.get("logs/search?filters[q][EQUALS]=a&q=b").await.refused(422, "query.invalid");
        api.get("logs/search?sort=message:asc").await.refused(422, "query.sort");
        api.get("logs/search?page=x").await.refused(400, "request.invalid");
    })
    .await;
}

#[tokio::test]
async fn lines_are_removed() {
    serving(async |api| {
        let id = begun(api).await;
        let left = async || messages(&api.get(&format!("logs/{id}")).await.ok()).join(" ");
        // What is not understood removes nothing.
        api.delete(&format!("logs/{id}?level=ERROR")).await.refused(422, "query.invalid");
        api.delete(&format!("logs/{id}?minLevel=LOUD")).await.refused(422, "query.level");
        api.delete("logs/nosuch").await.refused(404, "not_found");
        assert_eq!(left().await, "one Two three");
        assert_eq!(api.delete(&format!("logs/{id}?minLevel=WARN")).await.status, 200);
        assert_eq!(left().await, "one three");
        assert_eq!(api.delete(&format!("logs/{id}?taskId=plain&attempt=1")).await.status, 200);
        assert_eq!(left().await, "one three", "of another attempt");
        assert_eq!(api.delete(&format!("logs/{id}?taskId=plain&attempt=0")).await.status, 200);
        assert_eq!(left().await, "three");
        assert_eq!(api.delete(&format!("logs/{id}")).await.status, 200);
        assert_eq!(left().await, "");
    })
    .await;
}

#[tokio::test]
async fn lines_of_a_flow_are_removed() {
    serving(async |api| {
        let id = begun(api).await;
        api.save(&LOGS.replace("id: talks", "id: other")).await;
        api.run("tests.logs/other").await;
        let total = async || api.get("logs/search").await.ok()["total"].clone();
        assert_eq!(total().await, 6);
        api.delete("logs/tests.logs/nosuch").await.refused(404, "not_found");
        api.delete("logs/tests.logs/talks?trigger=x").await.refused(422, "query.invalid");
        assert_eq!(api.delete("logs/tests.logs/talks?triggerId=x").await.status, 200);
        assert_eq!(total().await, 6, "the trigger wrote nothing");
        assert_eq!(api.delete("logs/tests.logs/talks").await.status, 200);
        assert_eq!(total().await, 3);
        assert_eq!(messages(&api.get(&format!("logs/{id}")).await.ok()), [""; 0]);
    })
    .await;
}
