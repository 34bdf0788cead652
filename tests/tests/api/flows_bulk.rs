//! Many flows at once: streams, archives, by ids and by query; all or none.

use reqwest::Method;
use serde_json::{Value, json};
use tests::served::{Answer, Api, send, serving};

const YAML: &str = "application/x-yaml";

fn flow(namespace: &str, id: &str, text: &str) -> String {
    format!(
        "id: {id}\nnamespace: {namespace}\n# a comment\ntasks: [{{id: t, type: io.kestra.plugin.core.log.Log, message: {text}}}]\n"
    )
}

fn ids(list: &Value) -> Vec<&str> {
    list.as_array().expect("a list").iter().filter_map(|one| one["id"].as_str()).collect()
}

async fn there(api: &Api, query: &str) -> Vec<String> {
    let page = api.get(&format!("flows/search?size=1000&{query}")).await.ok();
    ids(&page["results"]).into_iter().map(str::to_owned).collect()
}

async fn delete_json(api: &Api, path: &str, body: Value) -> Answer {
    send(api.request(Method::DELETE, path).header("content-type", "application/json").body(body.to_string())).await
}

#[tokio::test]
async fn streams_of_flows_are_saved_in_one_commit() {
    serving(async |api| {
        let stream = [flow("one", "a", "x"), flow("one", "b", "x"), flow("one.deep", "c", "x")].join("---\n");
        let saved = api.post("flows/bulk?delete=true", YAML, stream).await.ok();
        assert_eq!(ids(&saved), ["a", "b", "c"]);
        assert_eq!(saved[0]["source"], flow("one", "a", "x"), "the mark is of the stream");

        // Of a namespace: those that are not among them go.
        let now = [flow("one", "b", "y"), flow("one", "d", "x")].join("---\n");
        api.post("flows/bulk?delete=true&namespace=one", YAML, now.clone()).await.ok();
        assert_eq!(there(api, "").await, ["b", "d", "c"]);
        api.post("flows/bulk?delete=false&namespace=one.deep", YAML, now.clone()).await.refused(422, "flows.refused");
        api.post("flows/bulk?delete=false&namespace=on&allowNamespaceChild=true", YAML, now)
            .await
            .refused(422, "flows.refused");
        let child = flow("one.deep", "e", "x");
        api.post("flows/bulk?delete=true&namespace=one&allowNamespaceChild=true", YAML, child).await.ok();
        assert_eq!(there(api, "").await, ["e"]);

        // One that is wrong keeps out the others, and everything is told with the lines of the stream.
        let wrong = format!(
            "{}---\nid: w\nnamespace: one\ntasks: [{{id: t, type: no.such.Type}}]\n---\n{}---\n{}",
            flow("one", "f", "x"),
            flow("one", "g", "x"),
            flow("one", "g", "y")
        );
        let problems = api.post("flows/bulk?delete=true", YAML, wrong).await.refused(422, "flows.refused");
        let told: Vec<(&Value, &Value)> = problems.iter().map(|problem| (&problem["path"], &problem["line"])).collect();
        assert_eq!(told, [(&json!("1: tasks[0].type"), &json!(8)), (&json!("3"), &json!(15))], "{problems:?}");
        assert_eq!(there(api, "").await, ["e"]);

        let renamed = api.post("flows/two?delete=true&override=true", YAML, flow("one", "h", "x")).await.ok();
        assert_eq!((ids(&renamed), &renamed[0]["namespace"]), (vec!["h"], &json!("two")));
        assert!(renamed[0]["source"].as_str().is_some_and(|source| source.contains("# a comment")), "{renamed}");
        api.post("flows/two?delete=true&override=false", YAML, flow("one", "i", "x"))
            .await
            .refused(422, "flows.refused");
        api.post("flows/two?delete=true&override=false", YAML, flow("two", "j", "x")).await.ok();
        assert_eq!(there(api, "").await, ["e", "j"]);
    })
    .await;
}

#[tokio::test]
async fn archives_of_flows_go_out_and_come_in() {
    serving(async |api| {
        for (namespace, id) in [("one", "a"), ("one", "b"), ("two", "c")] {
            api.save(&flow(namespace, id, "x")).await;
        }
        let by_query = api.bytes("flows/export/by-query?filters[namespace][EQUALS]=one").await;
        api.post_json("flows/export/by-ids", &json!([{ "namespace": "one", "id": "nobody" }]))
            .await
            .refused(404, "not_found");
        assert_eq!(
            delete_json(api, "flows/delete/by-query?namespace=one", json!(null)).await.ok(),
            json!({ "count": 2 })
        );
        assert_eq!(there(api, "").await, ["c"]);
        let import = async |name: &str, content: &[u8], fail: bool| {
            api.form(&format!("flows/import?failOnError={fail}"), "fileUpload", name, content).await
        };
        assert_eq!(import("flows.zip", &by_query, true).await.ok(), json!([]));
        assert_eq!(there(api, "").await, ["a", "b", "c"]);
        assert_eq!(api.get("flows/one/a?source=true").await.ok()["source"], flow("one", "a", "x"));

        // Those that are valid come in; the others are named, or refuse all.
        let mixed = format!("{}---\nid: no\n---\n{}", flow("one", "d", "x"), flow("one", "e", "x"));
        import("m.yaml", mixed.as_bytes(), true).await.refused(422, "flows.refused");
        assert_eq!(there(api, "").await, ["a", "b", "c"]);
        assert_eq!(import("m.yaml", mixed.as_bytes(), false).await.ok(), json!(["1"]));
        assert_eq!(there(api, "").await, ["a", "b", "d", "e", "c"]);
        import("m.bin", &[0xff, 0xfe], false).await.refused(422, "archive.invalid");
        import("m.zip", b"PK\x03\x04 nothing", false).await.refused(422, "archive.invalid");
    })
    .await;
}

#[tokio::test]
async fn flows_are_switched_and_deleted_by_ids_and_by_query() {
    serving(async |api| {
        for id in ["a", "b", "c"] {
            api.save(&flow("one", id, "x")).await;
        }
        let ids = json!([{ "namespace": "one", "id": "a" }, { "namespace": "one", "id": "b" }]);
        let state = async |id: &str| {
            let flow = api.get(&format!("flows/one/{id}?source=true")).await.ok();
            (flow["disabled"].clone(), flow["revision"].clone(), flow["source"].as_str().unwrap_or_default().to_owned())
        };
        assert_eq!(api.post_json("flows/disable/by-ids", &ids).await.ok(), json!({ "count": 2 }));
        assert_eq!(state("a").await, (json!(true), json!(2), flow("one", "a", "x") + "disabled: true\n"));
        api.post("executions/one/a", "application/json", "{}").await.refused(409, "flow.disabled");
        assert_eq!(api.post_json("flows/disable/by-ids", &ids).await.ok(), json!({ "count": 2 }), "they are already");
        assert_eq!(state("a").await.1, json!(2));
        let unknown = json!([{ "namespace": "one", "id": "c" }, { "namespace": "one", "id": "z" }]);
        api.post_json("flows/disable/by-ids", &unknown).await.refused(422, "flows.refused");
        assert_eq!(state("c").await.0, json!(false), "none of them was");
        assert_eq!(api.post("flows/enable/by-query?q=a", "text/plain", "").await.ok(), json!({ "count": 1 }));
        assert_eq!(state("a").await, (json!(false), json!(3), flow("one", "a", "x") + "disabled: false\n"));
        api.post("flows/enable/by-query?id=a", "text/plain", "").await.refused(422, "query.invalid");
        delete_json(api, "flows/delete/by-ids", unknown).await.refused(422, "flows.refused");
        assert_eq!(delete_json(api, "flows/delete/by-ids", ids).await.ok(), json!({ "count": 2 }));
        assert_eq!(there(api, "").await, ["c"]);
    })
    .await;
}

#[tokio::test]
async fn flows_are_found_by_filters_and_in_their_sources() {
    serving(async |api| {
        api.save(&format!("{}labels: {{team: red}}\n", flow("one", "a", "Needle"))).await;
        api.save(&flow("one.deep", "b", "hay")).await;
        api.save(&flow("oner", "c", "needles")).await;
        assert_eq!(there(api, "filters[namespace][PREFIX]=one").await, ["a", "b"]);
        assert_eq!(there(api, "namespace=one.deep").await, ["b"]);
        assert_eq!(there(api, "filters[labels][EQUALS][team]=red").await, ["a"]);
        assert_eq!(there(api, "filters[labels][NOT_EQUALS][team]=red&filters[flowId][IN]=b,c").await, ["b", "c"]);
        assert_eq!(there(api, "filters[scope][EQUALS]=SYSTEM").await, Vec::<String>::new());
        assert_eq!(there(api, "sort=id:desc").await, ["c", "b", "a"]);
        api.get("flows/search?filters[state][EQUALS]=x").await.refused(422, "query.invalid");
        api.get("flows/search?sort=size:asc").await.refused(422, "query.sort");
        let hits = api.get("flows/source?page=1&size=10&q=needle").await.ok();
        assert_eq!(hits["total"], 2);
        assert_eq!(hits["results"][0]["model"]["id"], "a");
        let fragment = hits["results"][0]["fragments"][0].as_str().expect("a line");
        assert!(fragment.contains("message: [mark]Needle[/mark]"), "{fragment}");
        assert_eq!(api.get("flows/distinct-namespaces?q=DEEP").await.ok(), json!(["one.deep"]));
    })
    .await;
}

#[tokio::test]
async fn a_revision_that_nothing_runs_on_can_be_deleted() {
    serving(async |api| {
        let nap = "id: f\nnamespace: one\ntasks: [{id: t, type: io.kestra.plugin.core.flow.Sleep, duration: PT1H}]\n";
        api.save(nap).await;
        let running = api.post("executions/one/f", "application/json", "{}").await.ok();
        api.put("flows/one/f", YAML, flow("one", "f", "2")).await.ok();
        api.put("flows/one/f", YAML, flow("one", "f", "3")).await.ok();
        let delete = async |revisions: &str| api.delete(&format!("flows/one/f/revisions?revisions={revisions}")).await;
        let problems = delete("1,2,3,9").await.refused(422, "flows.refused");
        assert_eq!(problems.len(), 3, "{problems:?}");
        delete("x").await.refused(422, "query.invalid");
        assert_eq!(delete("2").await.status, 204);
        let left = api.get("flows/one/f/revisions").await.ok();
        let left: Vec<&Value> = left.as_array().expect("a list").iter().map(|one| &one["revision"]).collect();
        assert_eq!(left, [&json!(1), &json!(3)]);
        api.get("flows/one/f?revision=2").await.refused(404, "not_found");
        let id = running["id"].as_str().expect("an id");
        assert_eq!(api.delete(&format!("executions/{id}/kill")).await.status, 202);
    })
    .await;
}

#[tokio::test]
async fn a_task_is_shown_and_replaced_and_an_etag_guards_it() {
    serving(async |api| {
        api.save(&flow("one", "f", "x")).await;
        let got = api.get("flows/one/f").await;
        assert_eq!(got.header("etag"), "\"1\"");
        let known = send(api.request(Method::GET, "flows/one/f").header("if-none-match", "\"1\"")).await;
        assert_eq!(known.status, 304);
        let put = async |tag: &str, text: &str| {
            let body = flow("one", "f", text);
            send(
                api.request(Method::PUT, "flows/one/f").header("content-type", YAML).header("if-match", tag).body(body),
            )
            .await
        };
        put("\"7\"", "y").await.refused(412, "precondition.failed");
        put("nonsense", "y").await.refused(412, "precondition.failed");
        let saved = put("\"1\"", "y").await;
        assert_eq!((saved.status, saved.header("etag")), (200, "\"2\""));
        put("\"1\"", "z").await.refused(412, "precondition.failed");
        assert_eq!(put("*", "z").await.header("etag"), "\"3\"");

        assert_eq!(api.get("flows/one/f/tasks/t").await.ok()["message"], "z");
        assert_eq!(api.get("flows/one/f/tasks/t?revision=1").await.ok()["message"], "x");
        api.get("flows/one/f/tasks/u").await.refused(404, "not_found");
        let patch = async |task: Value| {
            let request = api.request(Method::PATCH, "flows/one/f/t").header("content-type", "application/json");
            send(request.body(task.to_string())).await
        };
        patch(json!({ "id": "u", "type": "io.kestra.plugin.core.log.Log" })).await.refused(422, "flow.update");
        patch(json!({ "id": "t", "type": "no.such" })).await.refused(422, "flow.invalid");
        let changed = patch(json!({ "id": "t", "type": "io.kestra.plugin.core.log.Log", "message": "new" })).await.ok();
        assert_eq!(changed["tasks"][0]["message"], "new");
        let rendered = api
            .post_json(
                "flows/one/f/render-expression",
                &json!({ "expression": "{{ inputs.x + 1 }} {{ flow.id }}", "inputs": { "x": 2 } }),
            )
            .await
            .ok();
        assert_eq!(rendered["result"], "3 f");
        let failed =
            api.post_json("flows/one/f/render-expression", &json!({ "expression": "{{ nothing.x }}" })).await.ok();
        assert!(failed["error"].is_string(), "{failed}");
    })
    .await;
}

#[tokio::test]
async fn tasks_and_triggers_are_looked_at_outside_of_flows() {
    serving(async |api| {
        let look = async |path: &str, text: &str| {
            api.post(&format!("flows/validate/{path}"), YAML, text.to_owned()).await.ok()
        };
        let good = look("task?section=TASKS", "id: a\ntype: io.kestra.plugin.core.log.Log\nmessage: x\n").await;
        assert!(good.get("constraints").is_none() && good.get("warnings").is_none(), "{good}");
        let wrong = look("task", "id: a\ntype: io.kestra.plugin.core.log.Log\nmessge: x\n").await;
        let problems = wrong["problems"].as_array().expect("problems");
        let told: Vec<(&Value, &Value)> = problems.iter().map(|one| (&one["path"], &one["line"])).collect();
        assert_eq!(told, [(&json!("message"), &json!(1)), (&json!("messge"), &json!(3))], "{wrong}");
        assert!(
            look(
                "trigger",
                "{\"id\": \"s\", \"type\": \"io.kestra.plugin.core.trigger.Schedule\", \"cron\": \"@daily\"}"
            )
            .await
            .get("constraints")
            .is_none()
        );
        let cron =
            look("task?section=TRIGGERS", "id: s\ntype: io.kestra.plugin.core.trigger.Schedule\ncron: never\n").await;
        assert_eq!((&cron["problems"][0]["path"], &cron["problems"][0]["line"]), (&json!("cron"), &json!(3)), "{cron}");
    })
    .await;
}

#[tokio::test]
async fn archives_that_would_burst_or_lead_out_are_refused() {
    serving(async |api| {
        // Some KB that would be a file of 2 MiB: no flow is that large.
        let zeros = vec![b'0'; 2 << 20];
        let at = "namespaces/one/files";
        assert_eq!(api.form(&format!("{at}?path=zeros.yml"), "fileContent", "x", &zeros).await.status, 200);
        let bomb = api.bytes(&format!("{at}/export")).await;
        assert!(bomb.len() < 10_000, "{} bytes", bomb.len());
        api.form("flows/import?failOnError=false", "fileUpload", "a.zip", &bomb).await.refused(413, "body.too_large");

        // The same archive with a name of the same length that leads out.
        let name = b"zeros.yml";
        let mut leading_out = bomb.clone();
        for at in 0..leading_out.len() - name.len() {
            if &leading_out[at..at + name.len()] == name {
                leading_out[at..at + name.len()].copy_from_slice(b"../../out");
            }
        }
        for path in ["flows/import?failOnError=true", "flows/import?failOnError=false"] {
            api.form(path, "fileUpload", "a.zip", &leading_out).await.refused(422, "archive.path");
        }
        api.form(&format!("{at}?path=into"), "fileContent", "a.zip", &leading_out).await.refused(422, "archive.path");
        assert_eq!(api.get(&format!("{at}/search")).await.ok(), json!(["/zeros.yml"]));
        assert_eq!(there(api, "").await, Vec::<String>::new());
    })
    .await;
}
