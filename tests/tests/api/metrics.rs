//! What runs measured, over HTTP: of one execution, and of a flow over time.

use std::collections::BTreeMap;
use std::sync::Arc;

use model::ids::{ExecutionId, TaskId, TaskRunId};
use serde_json::{Value, json};
use store::rows::{Metric, MetricKind};
use store::{Batch, MemoryStore, Store};
use tests::filled;
use tests::served::{Api, Options, serving, serving_with};

const DAY: i64 = 24 * 3_600;

/// Served from a store with so many executions of a flow, one a day from 1970 on, each with a counter of its day, a timer of another task and a
/// counter that says when.
async fn serving_days(days: i64, test: impl AsyncFnOnce(&Api)) {
    let store = Arc::new(MemoryStore::default());
    let flow = filled::flow_key("tests.metrics", "daily");
    let mut batch = Batch::new();
    batch.put(filled::flow(&flow, "id: daily\nnamespace: tests.metrics\n"));
    for day in 0..days {
        let id = format!("e{day}");
        batch.put(filled::execution(&id, &flow, day * DAY, model::state::State::Success));
        let metric = |task: &str, name: &str, kind, value: f64| Metric {
            execution: ExecutionId::trusted(id.as_str()),
            position: 0,
            at: filled::at(day * DAY),
            flow: flow.clone(),
            task: TaskId::trusted(task),
            task_run: TaskRunId::trusted(format!("{task}-run")),
            name: name.into(),
            kind,
            value,
            tags: BTreeMap::from([("day".to_owned(), day.to_string())]),
        };
        let metrics = vec![
            metric("load", "rows", MetricKind::Counter, day as f64),
            metric("wait", "took", MetricKind::Timer, 1.5),
            metric("wait", "rows", MetricKind::Counter, 100.0),
        ];
        store.append_metrics(metrics).await.expect("metrics");
    }
    store.commit(batch).await.expect("executions");
    serving_with(Options { store, ..Options::default() }, test).await;
}

fn names(page: &Value) -> Vec<String> {
    let text = |metric: &Value| format!("{} {}", metric["taskId"].as_str().unwrap_or(""), metric["value"]);
    page["results"].as_array().expect("a list").iter().map(text).collect()
}

#[tokio::test]
async fn metrics_of_a_run_are_shown() {
    serving(async |api| {
        api.save("id: measures\nnamespace: tests.metrics\ntasks: [{id: back, type: io.kestra.plugin.core.debug.Return, format: four}]\n").await;
        let ended = api.run("tests.metrics/measures").await;
        let id = ended["id"].as_str().expect("an id");
        let page = api.get(&format!("metrics/{id}")).await.ok();
        let length = page["results"].as_array().and_then(|all| all.iter().find(|metric| metric["name"] == "length"));
        let length = length.expect("it counts its letters");
        assert_eq!((&length["type"], &length["value"], &length["taskId"]), (&json!("counter"), &json!(4.0), &json!("back")));
        assert_eq!((&length["executionId"], &length["flowId"]), (&json!(id), &json!("measures")));
        assert_eq!(length["taskRunId"], ended["taskRunList"][0]["id"]);
        assert!(api.get("metrics/names/tests.metrics/measures").await.ok().to_string().contains("\"length\""));
    })
    .await;
}

#[tokio::test]
async fn metrics_of_an_execution_are_paged_and_sorted() {
    serving_days(3, async |api| {
        let page = api.get("metrics/e2").await.ok();
        assert_eq!(names(&page), ["load 2.0", "wait 1500.0", "wait 100.0"], "timers in milliseconds");
        assert_eq!((&page["total"], &page["results"][0]["tags"]), (&json!(3), &json!({ "day": "2" })));
        for (query, expected, total) in [
            ("size=2&page=2", &["wait 100.0"][..], 3),
            ("sort=value:asc", &["load 2.0", "wait 100.0", "wait 1500.0"], 3),
            ("sort=name:desc", &["wait 1500.0", "load 2.0", "wait 100.0"], 3),
            ("taskId=load", &["load 2.0"], 1),
            ("taskRunId=wait-run&size=1", &["wait 1500.0"], 2),
        ] {
            let page = api.get(&format!("metrics/e2?{query}")).await.ok();
            assert_eq!(
                (names(&page).as_slice(), &page["total"]),
                (&expected.iter().map(|text| (*text).to_owned()).collect::<Vec<_>>()[..], &json!(total)),
                "{query}"
            );
        }
        api.get("metrics/nosuch").await.refused(404, "not_found");
        api.get("metrics/e2?sort=colour:asc").await.refused(422, "query.sort");
        api.get("metrics/e2?sort=name:up").await.refused(422, "query.sort");
        let problems = api.get("metrics/e2?taskid=load").await.refused(422, "query.invalid");
        assert!(problems[0]["hint"].as_str().is_some_and(|said| said.contains("taskId")), "{problems:?}");
    })
    .await;
}

#[tokio::test]
async fn metrics_of_a_flow_are_named_and_added_up() {
    serving_days(5, async |api| {
        assert_eq!(api.get("metrics/names/tests.metrics/daily").await.ok(), json!(["rows", "took"]));
        assert_eq!(api.get("metrics/names/tests.metrics/daily/load").await.ok(), json!(["rows"]));
        assert_eq!(api.get("metrics/tasks/tests.metrics/daily").await.ok(), json!(["load", "wait"]));
        api.get("metrics/names/tests.metrics/nosuch").await.refused(404, "not_found");
        let range = "startDate=1970-01-02T00:00:00Z&endDate=1970-01-04T00:00:00Z";
        let check = async |path: &str, query: &str, expected: &[f64]| {
            let shown = api.get(&format!("metrics/aggregates/tests.metrics/daily/{path}?{range}&{query}")).await.ok();
            assert_eq!(shown["groupBy"], "day", "{shown}");
            let values: Vec<f64> = shown["aggregations"]
                .as_array()
                .expect("a list")
                .iter()
                .filter_map(|one| one["value"].as_f64())
                .collect();
            assert_eq!(values, expected, "{path} {query}");
            assert_eq!(shown["aggregations"][1]["date"], "1970-01-03T00:00:00Z");
        };
        check("rows", "", &[101.0, 102.0]).await;
        check("rows", "aggregation=avg", &[50.5, 51.0]).await;
        check("load/rows", "aggregation=max", &[1.0, 2.0]).await;
        check("wait/took", "aggregation=min", &[1_500.0, 1_500.0]).await;
        check("nothing", "", &[0.0, 0.0]).await;
        let path = "metrics/aggregates/tests.metrics/daily/rows";
        let answer = api.get(&format!("{path}?aggregation=summ")).await;
        assert!(answer.text.contains("sum"), "{}", answer.text);
        answer.refused(422, "query.invalid");
        for wrong in [
            "startDate=now",
            "startDate=2024-01-02T00:00:00Z&endDate=2024-01-01T00:00:00Z",
            "from=x",
            "startDate=-009999-01-01T00:00:00Z",
        ] {
            api.get(&format!("{path}?{wrong}")).await.refused(422, "query.invalid");
        }
        assert_eq!(api.get(path).await.header("sluice-partial"), "");
    })
    .await;
}

/// What is told of a flow is told of its newest executions, and says so.
#[tokio::test]
async fn metrics_of_a_long_history_are_said_to_be_a_part() {
    serving_days(1_001, async |api| {
        let answer = api.get("metrics/names/tests.metrics/daily").await;
        assert_eq!(answer.header("sluice-partial"), "newest 1000 executions");
        let recent =
            "metrics/aggregates/tests.metrics/daily/rows?startDate=1972-01-01T00:00:00Z&endDate=1972-02-01T00:00:00Z";
        assert_eq!(api.get(recent).await.header("sluice-partial"), "", "all of that time is looked at");
    })
    .await;
}
