//! What is done over HTTP to executions that are there: pause, resume, restart, replay, states by hand, labels, the queue, expressions.

use serde_json::{Value, json};
use tests::served::{Api, serving};

use super::SLEEPING;

const JSON: &str = "application/json";
const TEXT: &str = "text/plain";

const PAUSING: &str = "
id: pausing
namespace: tests.api
tasks:
  - id: gate
    type: io.kestra.plugin.core.flow.Pause
    onResume:
      - {id: by, type: STRING}
      - {id: times, type: INT, defaults: 2}
  - {id: after, type: io.kestra.plugin.core.debug.Return, format: '{{ outputs.gate.onResume.by }} {{ outputs.gate.onResume.times + 1 }}'}
";

const FAILING: &str = "
id: failing
namespace: tests.api
inputs:
  - {id: fails, type: BOOL, defaults: true}
tasks:
  - {id: first, type: io.kestra.plugin.core.debug.Return, format: '{{ execution.id }}'}
  - {id: second, type: io.kestra.plugin.core.execution.Fail, condition: '{{ inputs.fails }}'}
  - {id: third, type: io.kestra.plugin.core.debug.Return, format: done}
";

async fn begin(api: &Api, flow: &str) -> String {
    let begun = api.post(&format!("executions/tests.api/{flow}"), JSON, "{}").await.ok();
    begun["id"].as_str().expect("an id").to_owned()
}

async fn until(api: &Api, id: &str, state: &str) -> Value {
    api.until(&format!("executions/{id}"), |shown| shown["state"]["current"] == state).await
}

async fn act(api: &Api, id: &str, what: &str) -> tests::served::Answer {
    api.post(&format!("executions/{id}/{what}"), JSON, "").await
}

fn run<'a>(execution: &'a Value, task: &str) -> &'a Value {
    let runs = execution["taskRunList"].as_array().expect("task runs");
    runs.iter().rfind(|run| run["taskId"] == task).unwrap_or_else(|| panic!("no task run of `{task}`: {execution}"))
}

#[tokio::test]
async fn pauses_are_resumed_with_typed_inputs() {
    serving(async |api| {
        api.save(PAUSING).await;
        let id = begin(api, "pausing").await;
        until(api, &id, "PAUSED").await;
        let resume = format!("executions/{id}/resume");
        let problems = api.post(&resume, JSON, r#"{"times":"many"}"#).await.refused(422, "inputs.invalid");
        assert_eq!(problems.len(), 2, "one is missing, one is no number: {problems:?}");
        assert_eq!(until(api, &id, "PAUSED").await["taskRunList"][0]["state"]["current"], "PAUSED");
        let body = "--cut\r\ncontent-disposition: form-data; name=\"by\"\r\n\r\nAda\r\n--cut--\r\n";
        assert_eq!(api.post(&resume, "multipart/form-data; boundary=cut", body).await.status, 204);
        let ended = until(api, &id, "SUCCESS").await;
        assert_eq!(run(&ended, "after")["outputs"]["value"], "Ada 3");
        act(api, &id, "resume").await.refused(409, "execution.state");
        act(api, "nobody", "resume").await.refused(404, "not_found");
    })
    .await;
}

#[tokio::test]
async fn an_execution_is_held_and_goes_on() {
    serving(async |api| {
        api.save(SLEEPING).await;
        let id = begin(api, "sleeping").await;
        until(api, &id, "RUNNING").await;
        assert_eq!(act(api, &id, "pause").await.status, 204);
        until(api, &id, "PAUSED").await;
        act(api, &id, "pause").await.refused(409, "execution.state");
        assert_eq!(act(api, &id, "resume").await.status, 204);
        until(api, &id, "RUNNING").await;
        assert_eq!(api.delete(&format!("executions/{id}/kill?isOnKillCascade=false")).await.status, 202);
        until(api, &id, "KILLED").await;
        api.delete(&format!("executions/{id}/kill")).await.refused(409, "execution.state");
    })
    .await;
}

#[tokio::test]
async fn what_failed_runs_again() {
    serving(async |api| {
        api.save(FAILING).await;
        let ended = api.run("tests.api/failing").await;
        assert_eq!(ended["state"]["current"], "FAILED");
        let id = ended["id"].as_str().expect("an id");
        let restarted = act(api, id, "restart").await.ok();
        assert_eq!((&restarted["id"], &restarted["state"]["current"]), (&json!(id), &json!("RESTARTED")));
        assert_eq!(restarted["metadata"]["attemptNumber"], 2);
        let ended = until(api, id, "FAILED").await;
        assert_eq!(run(&ended, "second")["attempts"].as_array().map(Vec::len), Some(2));
        // On another revision it is another execution, which has what this one had.
        api.put(
            "flows/tests.api/failing",
            "application/x-yaml",
            FAILING
                .replace("default: true", "default: false")
                .replace("execution.Fail, condition: '{{ inputs.fails }}'", "debug.Return, format: mended"),
        )
        .await
        .ok();
        let other = act(api, id, "restart?revision=2").await.ok();
        let other_id = other["id"].as_str().expect("an id");
        assert_eq!((&other["originalId"], &other["flowRevision"]), (&json!(id), &json!(2)));
        assert_ne!(other_id, id);
        let ended = until(api, other_id, "SUCCESS").await;
        assert_eq!(run(&ended, "first")["outputs"]["value"], id, "it did not run again");
        assert_eq!(run(&ended, "third")["outputs"]["value"], "done");
        act(api, other_id, "restart").await.refused(422, "execution.invalid");
        act(api, id, "restart?revision=9").await.refused(404, "not_found");
    })
    .await;
}

#[tokio::test]
async fn replays_have_what_came_before_and_inputs_of_their_own() {
    serving(async |api| {
        api.save(FAILING).await;
        let first = api.run("tests.api/failing").await;
        let id = first["id"].as_str().expect("an id");
        let from = run(&first, "second")["id"].as_str().expect("an id");
        let again = act(api, id, &format!("replay?taskRunId={from}&breakpoints=third")).await.ok();
        assert_eq!((&again["originalId"], &again["state"]["current"]), (&json!(id), &json!("RESTARTED")));
        let ended = until(api, again["id"].as_str().expect("an id"), "FAILED").await;
        assert_eq!(run(&ended, "first")["outputs"]["value"], id);
        let labels = ended["labels"].as_array().expect("labels");
        assert!(labels.contains(&json!({ "key": "system.replay", "value": "true" })), "{labels:?}");
        // From the beginning, with other inputs.
        let path = format!("executions/{id}/replay-with-inputs?breakpoints=third");
        api.post(&path, JSON, r#"{"fails":"perhaps"}"#).await.refused(422, "inputs.invalid");
        let mended = api.post(&path, JSON, r#"{"fails":false}"#).await.ok();
        let mended_id = mended["id"].as_str().expect("an id");
        let held = until(api, mended_id, "BREAKPOINT").await;
        assert_eq!(run(&held, "first")["outputs"]["value"], mended_id, "it ran anew");
        assert_eq!(act(api, mended_id, "resume-from-breakpoint").await.status, 204);
        until(api, mended_id, "SUCCESS").await;
        act(api, id, "replay?taskRunId=unknown").await.refused(422, "execution.invalid");
    })
    .await;
}

#[tokio::test]
async fn states_are_changed_by_hand() {
    serving(async |api| {
        api.save(FAILING).await;
        let failed = api.run("tests.api/failing").await;
        let id = failed["id"].as_str().expect("an id");
        let second = &run(&failed, "second")["id"];
        let path = format!("executions/{id}/state");
        api.post(&path, JSON, json!({ "taskRunId": second, "state": "RUNNING" }).to_string())
            .await
            .refused(422, "execution.invalid");
        api.post(&path, JSON, json!({ "taskRunId": second, "state": "SUCCESS" }).to_string()).await.ok();
        let ended = until(api, id, "SUCCESS").await;
        assert_eq!(run(&ended, "third")["state"]["current"], "SUCCESS");
        let changed = act(api, id, "change-status?status=WARNING").await.ok();
        assert_eq!(changed["state"]["current"], "WARNING");
        assert_eq!(act(api, id, "change-status?status=PERHAPS").await.status, 400);
    })
    .await;
}

#[tokio::test]
async fn labels_are_added_and_those_of_the_system_refused() {
    serving(async |api| {
        api.save(&super::saying("labelled", "hello")).await;
        let ended = api.run("tests.api/labelled").await;
        let id = ended["id"].as_str().expect("an id");
        let path = format!("executions/{id}/labels");
        let seen = api.post(&path, JSON, r#"[{"key":"team","value":"a"}]"#).await.ok();
        assert!(seen["labels"].as_array().expect("labels").contains(&json!({ "key": "team", "value": "a" })));
        let body = r#"[{"key":"system.mine","value":"a"},{"key":"","value":"b"},{"key":"fine","value":"c"}]"#;
        assert_eq!(api.post(&path, JSON, body).await.refused(422, "labels.invalid").len(), 2);
        let path = "executions/tests.api/labelled?labels=system.mine:x";
        assert_eq!(api.post(path, JSON, "{}").await.refused(422, "labels.invalid").len(), 1);
    })
    .await;
}

#[tokio::test]
async fn the_queue_is_left_by_hand() {
    serving(async |api| {
        api.save(&format!("{SLEEPING}concurrency: {{limit: 1, behavior: QUEUE}}\n")).await;
        let first = begin(api, "sleeping").await;
        until(api, &first, "RUNNING").await;
        let mut queued = Vec::new();
        for _ in 0..3 {
            let id = begin(api, "sleeping").await;
            until(api, &id, "QUEUED").await;
            queued.push(id);
        }
        assert_eq!(act(api, &queued[0], "unqueue").await.ok()["state"]["current"], "RUNNING");
        assert_eq!(act(api, &queued[1], "unqueue?state=CANCELLED").await.ok()["state"]["current"], "CANCELLED");
        assert_eq!(act(api, &queued[2], "force-run").await.ok()["state"]["current"], "RUNNING");
        act(api, &first, "unqueue").await.refused(409, "execution.state");
        for id in [&first, &queued[0], &queued[2]] {
            assert_eq!(api.delete(&format!("executions/{id}/kill")).await.status, 202);
        }
    })
    .await;
}

#[tokio::test]
async fn expressions_are_evaluated_in_the_eyes_of_a_task_run() {
    serving(async |api| {
        api.save(FAILING).await;
        let ended = api.run("tests.api/failing").await;
        let id = ended["id"].as_str().expect("an id");
        let of_run = format!("executions/{id}/eval/{}", run(&ended, "first")["id"].as_str().expect("an id"));
        let found = api.post(&of_run, TEXT, "{{ task.id }} {{ outputs.first.value }}").await.ok();
        assert_eq!(found, json!({ "result": format!("first {id}"), "error": null, "stackTrace": null }));
        let found = api.post(&of_run, TEXT, "{{ outputs.frist }}").await.ok();
        assert!(found["error"].as_str().is_some_and(|error| error.contains("frist")), "{found}");
        let found = api.post(&format!("executions/{id}/eval"), TEXT, "{{ execution.id }}").await.ok();
        assert_eq!(found["result"], json!(id));
        api.post(&format!("executions/{id}/eval/unknown"), TEXT, "x").await.refused(404, "not_found");
        api.post(&of_run, TEXT, "x".repeat(70_000)).await.refused(413, "body.too_large");
    })
    .await;
}

#[tokio::test]
async fn an_execution_stops_before_its_breakpoints_from_the_start() {
    serving(async |api| {
        let source = "id: two\nnamespace: tests.api\ntasks:\n  - {id: a, type: io.kestra.plugin.core.log.Log, message: x}\n  - {id: b, type: io.kestra.plugin.core.log.Log, message: x}\n";
        api.save(source).await;
        let begun = api.post("executions/tests.api/two?breakpoints=b&kind=PLAYGROUND", "application/json", "{}").await.ok();
        let path = format!("executions/{}", begun["id"].as_str().expect("an id"));
        let stopped = api.until(&path, |seen| seen["state"]["current"] == "BREAKPOINT").await;
        assert_eq!(stopped["taskRunList"][0]["state"]["current"], "SUCCESS", "{stopped}");
        assert_eq!(api.post(&format!("{path}/resume-from-breakpoint"), "application/json", "").await.status, 204);
        api.until(&path, |seen| seen["state"]["current"] == "SUCCESS").await;
    })
    .await;
}
