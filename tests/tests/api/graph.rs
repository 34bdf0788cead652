//! Graphs of flows and executions, dependencies, concurrency limits, and events about several executions.

use serde_json::{Value, json};
use tests::served::{Api, Event, serving};

const LOG: &str = "type: io.kestra.plugin.core.log.Log, message: x";
const FLOW: &str = "io.kestra.plugin.core.flow";

fn node<'g>(graph: &'g Value, uid: &str) -> &'g Value {
    let nodes = graph["nodes"].as_array().expect("nodes");
    nodes.iter().find(|node| node["uid"] == uid).unwrap_or_else(|| panic!("no {uid}: {graph}"))
}

fn uids(list: &Value) -> Vec<&str> {
    list.as_array().expect("a list").iter().filter_map(|one| one["uid"].as_str()).collect()
}

async fn save_family(api: &Api) {
    api.save(&format!("id: child\nnamespace: one\ntasks: [{{id: c, {LOG}}}]\n")).await;
    api.save(&format!(
        "id: parent\nnamespace: one\ntasks:\n  - {{id: each, type: {FLOW}.ForEach, values: [1, 2], tasks: [{{id: say, {LOG}}}]}}\n  - {{id: sub, type: {FLOW}.Subflow, namespace: one, flowId: child, wait: true}}\n"
    ))
    .await;
    api.save(&format!(
        "id: listener\nnamespace: two\ntasks: [{{id: l, {LOG}}}]\ntriggers:\n  - id: t\n    type: io.kestra.plugin.core.trigger.Flow\n    conditions: [{{type: io.kestra.plugin.core.condition.ExecutionFlow, namespace: one, flowId: parent}}]\n"
    ))
    .await;
}

#[tokio::test]
async fn graphs_show_tasks_subflows_and_states() {
    serving(async |api| {
        save_family(api).await;
        let graph = api.get("flows/one/parent/graph").await.ok();
        assert_eq!(node(&graph, "root.sub")["type"], "io.kestra.core.models.hierarchies.SubflowGraphTask");
        assert_eq!(node(&graph, "root.each.say")["task"]["message"], "x");
        assert_eq!(graph["flowables"], json!(["root.each"]));
        assert_eq!(graph["clusters"][0]["cluster"]["uid"], "cluster_root.each");
        let within = api.get("flows/one/parent/graph?subflows=root.sub").await.ok();
        assert_eq!(node(&within, "root.sub.c")["task"]["id"], "c");
        assert_eq!(api.get("flows/one/parent/graph?subflows=root.nothing").await.ok(), graph);
        let source = format!("id: x\nnamespace: one\ntasks: [{{id: t, {LOG}}}]\n");
        let unsaved = api.post("flows/graph", "application/x-yaml", source).await.ok();
        assert_eq!(uids(&unsaved["nodes"]), ["root.start", "root.t", "root.end"]);
        api.post("flows/graph", "application/x-yaml", "id: x\n").await.refused(422, "flow.invalid");

        let ended = api.run("one/parent").await;
        let id = ended["id"].as_str().expect("an id");
        let ran = api.get(&format!("executions/{id}/graph")).await.ok();
        let say = node(&ran, "root.each.say");
        assert_eq!((&say["states"], &say["values"]), (&json!({ "SUCCESS": 2 }), &json!(["1", "2"])));
        assert_eq!(node(&ran, "root.sub")["taskRun"]["state"]["current"], "SUCCESS");
    })
    .await;
}

#[tokio::test]
async fn flows_that_lead_to_each_other_are_told() {
    serving(async |api| {
        save_family(api).await;
        let found = async |query: &str| {
            let found = api.get(query).await.ok();
            let edges: Vec<String> = found["edges"]
                .as_array()
                .expect("edges")
                .iter()
                .map(|edge| format!("{}>{} {}", edge["source"], edge["target"], edge["relation"]).replace('"', ""))
                .collect();
            (uids(&found["nodes"]).join(" "), edges)
        };
        let (nodes, edges) = found("flows/one/parent/dependencies").await;
        assert_eq!(nodes, "main_one_child main_one_parent main_two_listener");
        assert_eq!(
            edges,
            ["main_one_parent>main_one_child FLOW_TASK", "main_one_parent>main_two_listener FLOW_TRIGGER"]
        );
        assert_eq!(found("flows/one/child/dependencies").await.0, "main_one_child main_one_parent");
        assert_eq!(found("flows/one/child/dependencies?destinationOnly=true").await.0, "main_one_child");
        assert_eq!(
            found("flows/one/child/dependencies?expandAll=true").await.0,
            "main_one_child main_one_parent main_two_listener"
        );
        assert_eq!(found("namespaces/two/dependencies").await.0, "main_one_parent main_two_listener");
        api.get("flows/one/nobody/dependencies").await.refused(404, "not_found");
    })
    .await;
}

#[tokio::test]
async fn slots_are_counted_and_not_set() {
    serving(async |api| {
        api.save(&format!(
            "id: f\nnamespace: one\nconcurrency: {{limit: 2}}\ntasks: [{{id: t, type: {FLOW}.Sleep, duration: PT1H}}]\n"
        ))
        .await;
        let running = api.post("executions/one/f", "application/json", "{}").await.ok();
        let id = running["id"].as_str().expect("an id");
        api.until(&format!("executions/{id}"), |seen| seen["state"]["current"] == "RUNNING").await;
        let page = api.get("concurrency-limit/search").await.ok();
        assert_eq!(
            (&page["total"], &page["results"][0]["running"], &page["results"][0]["limit"]),
            (&json!(1), &json!(1), &json!(2))
        );
        let put = async |running: u32| {
            let body = json!({ "tenantId": "main", "namespace": "one", "flowId": "f", "running": running });
            api.put("concurrency-limit/one/f", "application/json", body.to_string()).await
        };
        assert_eq!(put(1).await.ok()["running"], 1);
        put(0).await.refused(409, "concurrency.counted");
        api.put("concurrency-limit/one/g", "application/json", "{}").await.refused(404, "not_found");
        assert_eq!(api.delete(&format!("executions/{id}/kill")).await.status, 202);
    })
    .await;
}

fn told(events: &[Event]) -> Vec<String> {
    let states = events.iter().filter(|event| event.name != "end").map(|event| {
        let data: Value = serde_json::from_str(&event.data).expect("JSON");
        format!(
            "{} {}",
            data["flowId"].as_str().unwrap_or_default(),
            data["state"]["current"].as_str().unwrap_or_default()
        )
    });
    states.collect()
}

#[tokio::test]
async fn a_chain_of_executions_is_followed_to_its_end() {
    serving(async |api| {
        save_family(api).await;
        let first = api.post("executions/one/parent", "application/json", "{}").await.ok();
        let id = first["id"].as_str().expect("an id");
        let events =
            api.events(&format!("executions/{id}/follow-dependencies?destinationOnly=true&expandAll=true"), None).await;
        assert_eq!(events.last().map(|event| event.name.as_str()), Some("end"));
        let told = told(&events);
        for state in ["parent SUCCESS", "child SUCCESS", "listener SUCCESS"] {
            assert!(told.iter().any(|one| one == state), "{state}: {told:?}");
        }
        api.get("executions/nothing/follow-dependencies").await.refused(404, "not_found");
    })
    .await;
}

#[tokio::test]
async fn the_executions_of_a_namespace_are_followed() {
    serving(async |api| {
        save_family(api).await;
        let path = "namespaces/one/executions/follow";
        let mut stream = api.request(reqwest::Method::GET, path).send().await.expect("the server answers");
        assert_eq!(stream.headers()["content-type"], "text/event-stream");
        // Below the other namespace nothing is told.
        api.run("two/listener").await;
        let ran = api.run("one/parent").await;
        let mut text = String::new();
        let both = |text: &str| text.matches("\"current\":\"SUCCESS\"").count() >= 2;
        while !both(&text) {
            let piece = tokio::time::timeout(std::time::Duration::from_secs(30), stream.chunk()).await;
            let piece = piece.expect("it is told in time").expect("the stream is whole").expect("it does not end");
            text.push_str(&String::from_utf8_lossy(&piece));
        }
        assert!(text.contains(ran["id"].as_str().expect("an id")) && text.contains("\"flowId\":\"child\""), "{text}");
        assert!(!text.contains("\"namespace\":\"two\""), "{text}");
        api.get("namespaces/a..b/executions/follow").await.refused(422, "namespace.invalid");
    })
    .await;
}
