//! Models of language on a real node: tasks, the host's way to providers, and the components of ten of them, against a stand-in on loopback that checks
//! credentials for itself. Only the addresses differ from the real ones.

mod answers;
mod budgets;
mod configurations;
mod credentials;
mod delivery;
mod documents;
mod errors;
mod guardrails;
mod leaks;
mod limits;
mod memory;
mod network;
mod own_tasks;
mod recorded;
mod repairs;
mod row;
mod schemas;
mod streams;
mod thoughts;
mod tools;
mod versions;

use std::collections::BTreeMap;
use std::path::Path;

use serde_json::{Value, json};
use tests::models::{Models, Provider, Script};
use tests::served::{Api, Options, serving_with};

/// Runs a test against a node that may reach a stand-in with this script, and knows its credentials.
async fn world(rules: Value, test: impl AsyncFnOnce(&Api, &Models)) {
    let models = Models::start(Script::parse(&rules.to_string()).expect("a script")).await;
    serving_with(options(&models), async |api| test(api, &models).await).await;
    models.end().await;
}

/// What a node has to know for it.
fn options(models: &Models) -> Options {
    let asker = Path::new(env!("CARGO_MANIFEST_DIR")).join("guests/asker.wasm");
    let (outside, plugins) = (vec![models.address()], vec![asker]);
    Options { outside, plugins, secrets: secrets(models), ..Options::default() }
}

/// The credentials of all providers, by name.
fn secrets(models: &Models) -> BTreeMap<String, String> {
    let keys = Provider::ALL.iter().map(|provider| (secret_of(*provider), models.key(*provider).to_owned()));
    let more = [
        ("AWS_ACCESS_KEY_ID", models.bedrock_access_key_id().to_owned()),
        ("GOOGLE_SA", models.service_account().to_owned()),
        ("TODOIST_API_TOKEN", models.todoist_token().to_owned()),
    ];
    keys.chain(more.map(|(name, value)| (name.to_owned(), value))).collect()
}

fn secret_of(provider: Provider) -> String {
    format!("{}_KEY", provider.name().to_ascii_uppercase().replace('-', "_"))
}

/// A provider as a flow names it.
fn provider(models: &Models, provider: Provider, model: &str) -> Value {
    let key = format!("{{{{ secret('{}') }}}}", secret_of(provider));
    let base = models.base(provider);
    let (class, own) = match provider {
        Provider::OpenAi => ("OpenAI", json!({ "apiKey": key, "baseUrl": base })),
        Provider::AzureOpenAi => ("AzureOpenAI", json!({ "apiKey": key, "endpoint": base })),
        Provider::Anthropic => ("Anthropic", json!({ "apiKey": key, "baseUrl": base })),
        Provider::Gemini => ("GoogleGemini", json!({ "apiKey": key, "baseUrl": base })),
        Provider::VertexAi => (
            "GoogleVertexAI",
            json!({ "serviceAccount": "{{ secret('GOOGLE_SA') }}", "endpoint": base, "project": "p", "location": "europe-west1" }),
        ),
        Provider::Bedrock => (
            "AmazonBedrock",
            json!({ "accessKeyId": "{{ secret('AWS_ACCESS_KEY_ID') }}", "secretAccessKey": key, "baseUrl": base, "region": "eu-central-1" }),
        ),
        Provider::Mistral => ("MistralAI", json!({ "apiKey": key, "baseUrl": base })),
        Provider::DeepSeek => ("DeepSeek", json!({ "apiKey": key, "baseUrl": base })),
        Provider::Ollama => ("Ollama", json!({ "endpoint": base })),
        Provider::OpenRouter => ("OpenRouter", json!({ "apiKey": key, "baseUrl": base })),
    };
    let mut map = own;
    map["type"] = json!(format!("io.kestra.plugin.ai.provider.{class}"));
    map["modelName"] = json!(model);
    map
}

/// A model that each provider may have.
fn model_of(provider: Provider) -> &'static str {
    match provider {
        Provider::OpenAi | Provider::AzureOpenAi => "gpt-4o",
        Provider::Anthropic => "claude-sonnet-4-5",
        Provider::Gemini | Provider::VertexAi => "gemini-2.5-flash",
        Provider::Bedrock => "amazon.nova-lite-v1:0",
        Provider::Mistral => "mistral-small-latest",
        Provider::DeepSeek => "deepseek-chat",
        Provider::Ollama => "llama3",
        Provider::OpenRouter => "anthropic/claude-sonnet-4",
    }
}

/// Saves a flow of one task `t`, and runs it.
async fn run(api: &Api, id: &str, task: Value) -> Value {
    let mut whole = json!({ "id": "t" });
    let own = whole.as_object_mut().expect("an object");
    own.extend(task.as_object().expect("an object").clone());
    api.save(&json!({ "id": id, "namespace": "tests.llm", "tasks": [whole] }).to_string()).await;
    api.run(&format!("tests.llm/{id}")).await
}

/// A task that asks a provider.
fn ask(provider: Value, question: &str) -> Value {
    json!({
        "type": "io.kestra.plugin.ai.completion.ChatCompletion",
        "provider": provider,
        "messages": [{ "type": "SYSTEM", "content": "Be brief." }, { "type": "USER", "content": question }],
    })
}

/// The outputs of the one task of an execution that went well.
#[track_caller]
fn outputs(execution: &Value) -> &Value {
    assert_eq!(execution["state"]["current"], "SUCCESS", "{execution:#}");
    &execution["taskRunList"][0]["outputs"]
}

/// How the one task of an execution failed.
#[track_caller]
fn failure(execution: &Value) -> &Value {
    assert_eq!(execution["state"]["current"], "FAILED", "{execution:#}");
    &execution["taskRunList"][0]["attempts"][0]["failure"]
}
