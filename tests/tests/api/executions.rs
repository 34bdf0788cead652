//! Executions over HTTP: started with inputs of every shape, read, searched, killed; and their logs.

use serde_json::{Value, json};
use tests::served::serving;

use super::{SLEEPING, saying};

const JSON: &str = "application/json";
const MULTIPART: &str = "multipart/form-data; boundary=cut";

const INPUTS: &str = "
id: inputs
namespace: tests.api
inputs:
  - {id: name, type: STRING}
  - {id: count, type: INT}
  - {id: file, type: FILE, required: false}
tasks:
  - {id: say, type: io.kestra.plugin.core.log.Log, message: '{{ inputs.name }} {{ inputs.count + 1 }}'}
outputs:
  - {id: sum, type: INT, value: '{{ inputs.count + 1 }}'}
";

#[tokio::test]
async fn json_inputs_keep_their_types() {
    serving(async |api| {
        api.save(INPUTS).await;
        let ended = api.post("executions/tests.api/inputs?wait=true", JSON, r#"{"name":"Ada","count":41}"#).await.ok();
        assert_eq!(ended["state"]["current"], "SUCCESS");
        assert_eq!(ended["inputs"], json!({ "name": "Ada", "count": 41, "file": null }));
        assert_eq!(ended["outputs"]["sum"], 42);
        assert_eq!(ended["flowRevision"], 1);
        assert_eq!(ended["taskRunList"][0]["state"]["current"], "SUCCESS");
        let states: Vec<&str> = ended["state"]["histories"]
            .as_array()
            .expect("histories")
            .iter()
            .filter_map(|entry| entry["state"].as_str())
            .collect();
        assert_eq!(states, ["CREATED", "RUNNING", "SUCCESS"]);
    })
    .await;
}

#[tokio::test]
async fn multipart_inputs_are_typed_and_files_kept() {
    serving(async |api| {
        api.save(INPUTS).await;
        let body = "--cut\r\ncontent-disposition: form-data; name=\"name\"\r\n\r\nAda\r\n--cut\r\ncontent-disposition: form-data; name=\"count\"\r\n\r\n41\r\n--cut\r\ncontent-disposition: form-data; name=\"file\"; filename=\"a b.csv\"\r\ncontent-type: text/csv\r\n\r\nx,y\r\n--cut--\r\n";
        let ended = api.post("executions/tests.api/inputs?wait=true", MULTIPART, body).await.ok();
        assert_eq!(ended["state"]["current"], "SUCCESS");
        assert_eq!((&ended["inputs"]["name"], &ended["inputs"]["count"]), (&json!("Ada"), &json!(41)));
        let uri = ended["inputs"]["file"].as_str().expect("a URI");
        assert!(uri.starts_with("kestra:///tests/api/inputs/executions/") && uri.ends_with("/inputs/file/a_b.csv"), "{uri}");
        // What old clients send: the input's id as the file name of a field `files`.
        let old = "--cut\r\ncontent-disposition: form-data; name=\"name\"\r\n\r\nAda\r\n--cut\r\ncontent-disposition: form-data; name=\"count\"\r\n\r\n1\r\n--cut\r\ncontent-disposition: form-data; name=\"files\"; filename=\"file\"\r\n\r\nx\r\n--cut--\r\n";
        let ended = api.post("executions/tests.api/inputs?wait=true", MULTIPART, old).await.ok();
        assert!(ended["inputs"]["file"].as_str().is_some_and(|uri| uri.contains("/inputs/file/")), "{ended}");
    })
    .await;
}

#[tokio::test]
async fn every_wrong_input_is_named_and_nothing_starts() {
    serving(async |api| {
        api.save(INPUTS).await;
        let problems = api.post("executions/tests.api/inputs", JSON, "{}").await.refused(422, "inputs.invalid");
        let paths: Vec<&str> = problems.iter().filter_map(|problem| problem["path"].as_str()).collect();
        assert_eq!(paths, ["inputs.name", "inputs.count"]);
        let problems = api
            .post("executions/tests.api/inputs", JSON, r#"{"name":"x","count":"many"}"#)
            .await
            .refused(422, "inputs.invalid");
        assert_eq!(problems.len(), 1);
        assert!(problems.iter().all(|problem| problem["hint"].is_string()), "{problems:?}");
        assert_eq!(api.get("executions/search").await.ok()["total"], 0);
    })
    .await;
}

#[tokio::test]
async fn revision_kind_and_labels_are_chosen_by_the_query() {
    serving(async |api| {
        api.save(&format!("{}labels: {{team: red, kept: yes}}\n", saying("a", "one"))).await;
        api.put("flows/tests.api/a", "application/x-yaml", saying("a", "two")).await.ok();
        let old =
            api.post("executions/tests.api/a?wait=true&revision=1&labels=team:blue&labels=x:1:2", JSON, "").await.ok();
        assert_eq!((&old["outputs"]["said"], &old["flowRevision"]), (&json!("one"), &json!(1)));
        let label = |key: &str| {
            old["labels"]
                .as_array()
                .and_then(|all| all.iter().find(|label| label["key"] == key))
                .map(|label| label["value"].clone())
        };
        assert_eq!((label("team"), label("x")), (Some("blue".into()), Some("1:2".into())));
        api.post("executions/tests.api/a?labels=nothing", JSON, "").await.refused(422, "query.invalid");
        api.post("executions/tests.api/a?revision=x", JSON, "").await.refused(422, "query.invalid");
        api.post("executions/tests.api/a?revision=7", JSON, "").await.refused(404, "not_found");
    })
    .await;
}

#[tokio::test]
async fn executions_are_found_again() {
    serving(async |api| {
        api.save(&saying("a", "x")).await;
        api.save(&saying("b", "x")).await;
        let first = api.run("tests.api/a").await;
        let second = api.run("tests.api/a").await;
        api.run("tests.api/b").await;
        let id = first["id"].as_str().expect("an id");
        assert_eq!(api.get(&format!("executions/{id}")).await.ok()["id"], id);
        let found = api.get("executions/search?namespace=tests.api&flowId=a").await.ok();
        assert_eq!(found["total"], 2);
        assert_eq!(
            (&found["results"][0]["id"], &found["results"][1]["id"]),
            (&second["id"], &first["id"]),
            "newest first"
        );
        assert_eq!(api.get("executions/search?flowId=a").await.ok()["total"], 2, "of any namespace");
        let page = api.get("executions/search?namespace=tests.api&size=2&page=2").await.ok();
        assert_eq!((&page["total"], page["results"].as_array().map(Vec::len)), (&json!(3), Some(1)));
        api.get("executions/nosuch").await.refused(404, "not_found");
    })
    .await;
}

#[tokio::test]
async fn running_execution_is_killed() {
    serving(async |api| {
        api.save(SLEEPING).await;
        let begun = api.post("executions/tests.api/sleeping", JSON, "").await.ok();
        assert!(["CREATED", "RUNNING"].contains(&begun["state"]["current"].as_str().unwrap_or_default()), "{begun}");
        let path = format!("executions/{}", begun["id"].as_str().expect("an id"));
        api.until(&path, |shown| shown["taskRunList"][0]["state"]["current"] == "RUNNING").await;
        assert_eq!(api.delete(&format!("{path}/kill")).await.status, 202);
        let ended = api.until(&path, |shown| shown["state"]["current"] == "KILLED").await;
        assert_eq!(ended["taskRunList"][0]["state"]["current"], "KILLED");
        api.delete("executions/nosuch/kill").await.refused(404, "not_found");
    })
    .await;
}

#[tokio::test]
async fn ended_execution_is_not_killed() {
    serving(async |api| {
        api.save(&saying("a", "x")).await;
        let ended = api.run("tests.api/a").await;
        let path = format!("executions/{}", ended["id"].as_str().expect("an id"));
        let answer = api.delete(&format!("{path}/kill")).await;
        assert_eq!(answer.status, 409, "{}", answer.text);
        assert_eq!(api.get(&path).await.ok()["state"]["current"], "SUCCESS");
    })
    .await;
}

#[tokio::test]
async fn disabled_flow_does_not_start() {
    serving(async |api| {
        api.save(&format!("{}disabled: true\n", saying("off", "x"))).await;
        api.post("executions/tests.api/off", JSON, "").await.refused(409, "flow.disabled");
    })
    .await;
}

#[tokio::test]
async fn failed_execution_tells_why() {
    serving(async |api| {
        api.save("id: fails\nnamespace: tests.api\ntasks:\n  - {id: f, type: io.kestra.plugin.core.execution.Fail, errorMessage: no luck}\n").await;
        let ended = api.run("tests.api/fails").await;
        assert_eq!(ended["state"]["current"], "FAILED");
        let failure = &ended["taskRunList"][0]["attempts"][0]["failure"];
        assert_eq!((&failure["code"], &failure["message"]), (&json!("TASK_FAILURE"), &json!("no luck")));
    })
    .await;
}

#[tokio::test]
async fn logs_are_filtered_and_downloaded() {
    serving(async |api| {
        api.save("id: logs\nnamespace: tests.api\ntasks:\n  - {id: one, type: io.kestra.plugin.core.log.Log, level: WARN, message: careful}\n  - {id: two, type: io.kestra.plugin.core.log.Log, message: [a, b]}\n").await;
        let ended = api.run("tests.api/logs").await;
        let id = ended["id"].as_str().expect("an id");
        let messages = |lines: &Value| -> Vec<String> {
            lines.as_array().expect("a list").iter().filter_map(|line| line["message"].as_str().map(str::to_owned)).collect()
        };
        let all = api.get(&format!("logs/{id}")).await.ok();
        assert_eq!(messages(&all), ["careful", "a", "b"]);
        assert_eq!((&all[0]["level"], &all[0]["taskId"], &all[0]["executionId"]), (&json!("WARN"), &json!("one"), &json!(id)));
        assert_eq!(messages(&api.get(&format!("logs/{id}?minLevel=WARN")).await.ok()), ["careful"]);
        assert_eq!(messages(&api.get(&format!("logs/{id}?taskId=two")).await.ok()), ["a", "b"]);
        let after = all[1]["position"].as_u64().expect("a position");
        assert_eq!(messages(&api.get(&format!("logs/{id}?after={after}")).await.ok()), ["b"]);
        api.get(&format!("logs/{id}?minLevel=LOUD")).await.refused(422, "query.level");
        api.get("logs/nosuch").await.refused(404, "not_found");
        let file = api.get(&format!("logs/{id}/download")).await;
        assert_eq!((file.status, file.header("content-type")), (200, "text/plain; charset=utf-8"));
        assert!(file.header("content-disposition").starts_with("attachment"));
        assert_eq!(file.header("x-content-type-options"), "nosniff");
        let lines: Vec<&str> = file.text.lines().collect();
        assert!(matches!(lines.as_slice(), [first, _, last] if first.ends_with("WARN one careful") && last.ends_with("INFO two b")), "{}", file.text);
    })
    .await;
}

#[tokio::test]
async fn failures_are_two_lines_of_the_log() {
    serving(async |api| {
        api.save("id: fails\nnamespace: tests.api\ntasks:\n  - {id: slow, type: io.kestra.plugin.core.flow.Sleep, duration: PT10S, timeout: PT0.1S}\n  - {id: quiet, type: io.kestra.plugin.core.execution.Fail, logLevel: INFO}\nerrors:\n  - {id: again, type: io.kestra.plugin.core.execution.Fail, logLevel: INFO}\n").await;
        let ended = api.run("tests.api/fails").await;
        let lines = api.get(&format!("logs/{}", ended["id"].as_str().expect("an id"))).await.ok();
        let of = |task: &str| -> Vec<(&str, &str)> {
            let lines = lines.as_array().expect("a list").iter().filter(|line| line["taskId"] == task);
            lines.filter_map(|line| Some((line["level"].as_str()?, line["message"].as_str()?))).collect()
        };
        let [("ERROR", words), ("TRACE", place)] = of("slow")[..] else { panic!("{lines}") };
        assert!(words.starts_with("Timeout: "), "{words}");
        let mut place = place.lines();
        assert_eq!(place.next(), Some(format!("timeout: {words}").as_str()));
        assert!(place.next().is_some_and(|line| line.starts_with("at task `slow` of flow `tests.api.fails`, revision 1, task run ")));
        assert!(place.next().is_some_and(|line| line.starts_with("attempt 1 began at ")), "{lines}");
        // Who wants no TRACE of a task gets none.
        assert!(!of("again").is_empty() && of("again").iter().all(|(level, _)| *level != "TRACE"), "{lines}");
    })
    .await;
}

const WRITING: &str = "
id: writing
namespace: tests.api
labels: {team: red}
inputs: [{id: word, type: STRING, defaults: hello}]
tasks:
  - {id: say, type: io.kestra.plugin.core.debug.Return, format: '{{ inputs.word }}'}
  - id: either
    type: io.kestra.plugin.core.flow.If
    condition: '{{ true }}'
    then: [{id: yes, type: io.kestra.plugin.core.debug.Return, version: ^1, format: x}]
    else: [{id: no, type: io.kestra.plugin.core.debug.Return, format: x}]
triggers: [{id: hook, type: io.kestra.plugin.core.trigger.Webhook, key: abcdefgh}]
";

#[tokio::test]
async fn flows_and_files_of_executions_are_shown() {
    serving(async |api| {
        api.save(WRITING).await;
        let with_file = "id: given\nnamespace: tests.api\ninputs: [{id: it, type: FILE}]\ntasks: [{id: t, type: io.kestra.plugin.core.debug.Return, format: '{{ inputs.it }}'}]\n";
        api.save(with_file).await;
        let shown = api.get("executions/flows/tests.api/writing").await.ok();
        assert_eq!((&shown["labels"], &shown["inputs"][0]["id"]), (&json!({ "team": "red" }), &json!("word")));
        assert_eq!(shown["triggers"], json!([{ "id": "hook", "type": "io.kestra.plugin.core.trigger.Webhook" }]));
        let inner: Vec<&str> =
            shown["tasks"][1]["tasks"].as_array().expect("tasks").iter().filter_map(|task| task["id"].as_str()).collect();
        assert_eq!(inner, ["yes", "no"]);
        assert_eq!(shown["tasks"][1]["tasks"][0]["version"], "^1");
        assert!(!shown.to_string().contains("condition"), "properties are not shown: {shown}");

        let form = "--edge\r\nContent-Disposition: form-data; name=\"it\"; filename=\"it.txt\"\r\n\r\nwhat is in it\r\n--edge--\r\n";
        let path = "executions/tests.api/given?wait=true";
        let ended = api.post(path, "multipart/form-data; boundary=edge", form).await.ok();
        let (id, uri) = (ended["id"].as_str().expect("an id"), ended["inputs"]["it"].as_str().expect("a URI"));
        let file = api.get(&format!("executions/{id}/file?path={uri}")).await;
        assert_eq!((file.status, file.text.as_str()), (200, "what is in it"));
        assert_eq!(file.header("content-type"), "application/octet-stream");
        assert!(file.header("content-disposition").starts_with("attachment; filename="));
        assert_eq!(api.get(&format!("executions/{id}/file/metas?path={uri}")).await.ok(), json!({ "size": 13 }));
        let preview = api.get(&format!("executions/{id}/file/preview?path={uri}&maxRows=1&encoding=UTF-8")).await.ok();
        assert_eq!((&preview["content"], &preview["truncated"]), (&json!("what is in it"), &json!(false)), "{preview}");
        api.get(&format!("executions/{id}/file/preview?path={uri}&encoding=latin1")).await.refused(422, "query.invalid");
        api.get(&format!("executions/{id}/file/preview?path=file:///etc/passwd")).await.refused(404, "not_found");
        // What another execution may read, this one may not; nor is there a way around.
        let other = api.run("tests.api/writing").await["id"].as_str().expect("an id").to_owned();
        for path in [uri.replace(id, "nobody"), format!("{uri}/../x"), "file:///etc/passwd".to_owned()] {
            api.get(&format!("executions/{id}/file?path={path}")).await.refused(404, "not_found");
        }
        api.get(&format!("executions/{other}/file?path={uri}")).await.refused(404, "not_found");
        assert_eq!(api.get(&format!("executions/{id}/flow")).await.ok()["id"], "given");

        let asked = json!([{ "namespace": "tests.api", "id": "given" }, { "namespace": "tests.api", "id": "writing" }]);
        let latest = api.post("executions/latest", JSON, asked.to_string()).await.ok();
        assert_eq!((&latest[0]["id"], &latest[1]["id"]), (&json!(id), &json!(other)), "{latest}");
        let none = json!([{ "namespace": "tests.api", "id": "nosuch" }]).to_string();
        assert_eq!(api.post("executions/latest", JSON, none).await.ok(), json!([]));
    })
    .await;
}
