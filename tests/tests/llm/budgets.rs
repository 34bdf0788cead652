//! What an execution may spend: `models:` of its flow.

use serde_json::{Value, json};
use tests::models::Provider;

use crate::{ask, model_of, provider, world};

/// A rule that has each answer cost 18 tokens.
fn eighteen() -> Value {
    json!([{ "answer": { "text": "{\"class\": \"a\"}", "usage": { "input": 11, "output": 7 } } }])
}

#[tokio::test(flavor = "multi_thread")]
async fn an_execution_stops_at_what_it_may_spend() {
    world(eighteen(), async |api, models| {
        let mut tasks: Vec<Value> = (0..3)
            .map(|at| {
                let mut task = ask(provider(models, Provider::OpenAi, model_of(Provider::OpenAi)), "Who?");
                task["id"] = json!(format!("t{at}"));
                task
            })
            .collect();
        let flow = |id: &str, tasks: &[Value], limits: Value| {
            json!({ "id": id, "namespace": "tests.llm", "models": limits, "tasks": tasks }).to_string()
        };
        api.save(&flow("any", &tasks, json!({ "maxTokens": 36 }))).await;
        let execution = api.run("tests.llm/any").await;
        assert_eq!(execution["state"]["current"], "FAILED", "{execution:#}");
        let states: Vec<&Value> =
            execution["taskRunList"].as_array().expect("runs").iter().map(|run| &run["state"]["current"]).collect();
        assert_eq!(states, ["SUCCESS", "SUCCESS", "FAILED"]);
        assert_eq!(models.seen().len(), 2, "what may not be spent is not asked for");
        let logs = api.get(&format!("logs/{}", execution["id"].as_str().expect("an id"))).await.text;
        assert!(logs.contains("36 of at most 36 tokens") && logs.contains("LLM_BUDGET"), "{logs}");

        // A provider's own task is held against it as well.
        tasks.pop();
        tasks.push(json!({
            "id": "own", "type": "io.kestra.plugin.openai.ChatCompletion", "apiKey": "{{ secret('OPENAI_KEY') }}",
            "baseUrl": models.base(Provider::OpenAi), "model": "gpt-4o", "prompt": "Who?",
        }));
        api.save(&flow("own", &tasks, json!({ "maxTokens": "36" }))).await;
        assert_eq!(api.run("tests.llm/own").await["state"]["current"], "FAILED");
        api.save(&flow("more", &tasks, json!({ "maxTokens": 37, "maxCost": 0.5 }))).await;
        assert_eq!(api.run("tests.llm/more").await["state"]["current"], "SUCCESS");

        let refused =
            api.post("flows", "application/x-yaml", flow("wrong", &tasks, json!({ "maxTokens": 0, "more": 1 }))).await;
        assert!(refused.status == 422 && refused.text.contains("more"), "{}", refused.text);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn corrections_within_one_task_count() {
    world(json!([{ "answer": { "text": "no JSON", "usage": { "input": 11, "output": 7 } } }]), async |api, models| {
        let mut task = ask(provider(models, Provider::OpenAi, model_of(Provider::OpenAi)), "Who?");
        task["id"] = json!("t");
        task["configuration"] = json!({ "responseFormat": { "type": "JSON" } });
        let flow = json!({ "id": "f", "namespace": "tests.llm", "models": { "maxTokens": 20 }, "tasks": [task] });
        api.save(&flow.to_string()).await;
        let execution = api.run("tests.llm/f").await;
        assert_eq!(execution["state"]["current"], "FAILED");
        assert_eq!(models.seen().len(), 2, "the first correction is over 20 tokens, the second is not asked for");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn cost_counts_where_the_provider_says_it() {
    world(eighteen(), async |api, models| {
        let tasks: Vec<Value> = (0..2)
            .map(|at| {
                let mut task = ask(provider(models, Provider::OpenRouter, model_of(Provider::OpenRouter)), "Who?");
                task["id"] = json!(format!("t{at}"));
                task
            })
            .collect();
        let flow =
            |id: &str, cost: f64| json!({ "id": id, "namespace": "tests.llm", "models": { "maxCost": cost }, "tasks": tasks });
        api.save(&flow("little", 1e-9).to_string()).await;
        let execution = api.run("tests.llm/little").await;
        assert_eq!((&execution["state"]["current"], models.seen().len()), (&json!("FAILED"), 1), "{execution:#}");
        api.save(&flow("much", 1e9).to_string()).await;
        assert_eq!(api.run("tests.llm/much").await["state"]["current"], "SUCCESS");
    })
    .await;
}
