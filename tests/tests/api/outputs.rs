//! Outputs that are kept apart from the state of their execution because they are large: who looks sees them as all others.

use serde_json::Value;
use tests::served::{Api, serving};

const FLOW: &str = "
id: large
namespace: tests.api
tasks:
  - {id: large, type: io.kestra.plugin.core.debug.Return, format: \"{{ range(1, 3000) | join(',') }}\"}
  - {id: seen, type: io.kestra.plugin.core.debug.Return, format: '{{ outputs.large.value | length }}'}
  - id: decided
    type: io.kestra.plugin.core.flow.If
    condition: '{{ (outputs.large.value | length) == 13892 }}'
    then: [{id: then, type: io.kestra.plugin.core.log.Log, message: m}]
outputs:
  - {id: text, type: STRING, value: '{{ outputs.large.value }}'}
";

const AROUND: &str = "
id: around
namespace: tests.api
tasks:
  - {id: child, type: io.kestra.plugin.core.flow.Subflow, namespace: tests.api, flowId: large}
  - {id: seen, type: io.kestra.plugin.core.debug.Return, format: '{{ outputs.child.state }} {{ outputs.child.outputs.text | length }}'}
";

const PURGE: &str = "
id: purge
namespace: tests.api
tasks:
  - {id: purge, type: io.kestra.plugin.core.execution.PurgeExecutions, namespace: tests.api, flowId: large, endDate: 'BEFORE'}
";

/// The numbers from 1 to 3,000 and the commas between them.
const LENGTH: usize = 13_892;

fn output<'a>(execution: &'a Value, task: &str) -> &'a str {
    let runs = execution["taskRunList"].as_array().expect("task runs");
    let run = runs.iter().find(|run| run["taskId"] == task).unwrap_or_else(|| panic!("no `{task}`: {execution}"));
    run["outputs"]["value"].as_str().unwrap_or_default()
}

fn assert_seen(execution: &Value) {
    assert_eq!(execution["state"]["current"], "SUCCESS", "{execution}");
    assert_eq!((output(execution, "large").len(), output(execution, "seen")), (LENGTH, "13892"));
    let ran = execution["taskRunList"].as_array().is_some_and(|runs| runs.iter().any(|run| run["taskId"] == "then"));
    assert!(ran, "{execution}");
    assert_eq!(execution["outputs"]["text"].as_str().map(str::len), Some(LENGTH));
}

async fn replayed(api: &Api, of: &Value, task: &str) -> Value {
    let runs = of["taskRunList"].as_array().expect("task runs");
    let from = runs.iter().find(|run| run["taskId"] == task).and_then(|run| run["id"].as_str()).expect("an id");
    let path = format!("executions/{}/replay?taskRunId={from}", of["id"].as_str().expect("an id"));
    let begun = api.post(&path, "application/json", "").await.ok();
    let id = begun["id"].as_str().expect("an id");
    api.until(&format!("executions/{id}"), |shown| shown["state"]["current"] == "SUCCESS").await
}

#[tokio::test]
async fn large_outputs_are_shown_and_outlive_what_they_were_copied_from() {
    serving(async |api| {
        api.save(FLOW).await;
        let first = api.run("tests.api/large").await;
        assert_seen(&first);
        let second = replayed(api, &first, "seen").await;
        assert_seen(&second);
        // What is decided in the moment of the replay sees them as well.
        assert_seen(&replayed(api, &first, "decided").await);
        // The copy has its own: what it was made of may go.
        let before = second["state"]["startDate"].as_str().expect("a date");
        api.save(&PURGE.replace("BEFORE", before)).await;
        assert_eq!(api.run("tests.api/purge").await["taskRunList"][0]["outputs"]["executionsCount"], 1);
        assert_seen(&replayed(api, &second, "decided").await);
    })
    .await;
}

#[tokio::test]
async fn parent_sees_large_outputs_of_its_child() {
    serving(async |api| {
        api.save(FLOW).await;
        api.save(AROUND).await;
        let execution = api.run("tests.api/around").await;
        assert_eq!(output(&execution, "seen"), "SUCCESS 13892", "{execution}");
    })
    .await;
}
