//! `kestra.ai` of a configuration: providers that the server itself may ask, and `sluice ai check`, which asks each of them.
#![expect(clippy::print_stdout, reason = "a test that is not run says so")]

use std::sync::Arc;

use serde_json::{Value, json};
use tests::models::{Models, Provider, Script, Tls};
use tests::program::{Ran, command, end, written};

/// What Kestra calls a provider, and how its address is written.
const NAMES: [(Provider, &str, &str); 10] = [
    (Provider::OpenAi, "openai", "base-url"),
    (Provider::AzureOpenAi, "azure-openai", "endpoint"),
    (Provider::Anthropic, "anthropic", "base-url"),
    (Provider::Gemini, "gemini", "baseURL"),
    (Provider::VertexAi, "googlevertexai", "endpoint"),
    (Provider::Bedrock, "bedrock", "base-url"),
    (Provider::Mistral, "mistralai", "base-url"),
    (Provider::DeepSeek, "deepseek", "base-url"),
    (Provider::Ollama, "ollama", "base-url"),
    (Provider::OpenRouter, "openrouter", "base-url"),
];

/// Settings of one provider with the stand-in's address and credentials in the places of its own.
fn settled(models: &Models, provider: Provider, address: &str, mut settings: Value) -> Value {
    settings[address] = json!(models.base(provider));
    match provider {
        Provider::Bedrock => {
            settings["access-key-id"] = json!(models.bedrock_access_key_id());
            settings["secret-access-key"] = json!(models.key(provider));
        }
        // A file that the environment names has the account.
        Provider::VertexAi => {
            settings["location"] = json!("europe-west1");
            settings["project"] = json!("p");
        }
        Provider::Ollama => {}
        _ => settings["api-key"] = json!("${STAND_IN_KEY}"),
    }
    settings
}

/// Checks a configuration, in which `${STAND_IN_KEY}` is a key.
async fn check(models: &Models, configuration: Value, key: &str, more: &[&str]) -> Ran {
    let (account, file) =
        (written("account.json", models.service_account()), written("application.json", configuration.to_string()));
    let mut arguments = vec!["ai", "check", &file.path];
    arguments.extend(more);
    let mut asked = command(&arguments);
    asked.env("GOOGLE_APPLICATION_CREDENTIALS", &account.path).env("STAND_IN_KEY", key);
    let child = asked.spawn().expect("the program was just built");
    tokio::task::spawn_blocking(move || end(child)).await.expect("it is waited for")
}

async fn with(rules: Value, test: impl AsyncFnOnce(&Models)) {
    let models = Arc::new(Models::start(Script::parse(&rules.to_string()).expect("a script")).await);
    test(&models).await;
    Arc::into_inner(models).expect("nobody else has it").end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn configurations_of_the_documents_are_answered() {
    let Some(folder) = std::env::var_os("SLUICE_COPILOT_CONFIGS") else {
        println!("not run: SLUICE_COPILOT_CONFIGS names no folder with configurations");
        return;
    };
    with(json!([]), async |models| {
        for (provider, name, address) in NAMES {
            let path = std::path::Path::new(&folder).join(format!("copilot-{name}.yaml"));
            let text = std::fs::read_to_string(path).expect("the configuration is there");
            let mut configuration: Value = serde_yaml::from_str(&text).expect("YAML");
            let settings = configuration["kestra"]["ai"][name].take();
            // As it is written, what has the provider's own address keeps the name it has for it.
            let address =
                ["base-url", "endpoint"].into_iter().find(|key| settings.get(key).is_some()).unwrap_or(address);
            configuration["kestra"]["ai"][name] = settled(models, provider, address, settings);
            let ran = check(models, configuration, models.key(provider), &[]).await.exits(0);
            ran.says(&["ok", name, "answered in", "You said: Answer with the one word OK."]);
        }
        assert!(models.seen().iter().filter(|seen| seen.provider.is_some()).all(|seen| seen.authorized));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn all_ten_are_asked_with_their_settings() {
    with(json!([]), async |models| {
        let providers: Vec<Value> = NAMES
            .iter()
            .map(|(provider, name, address)| {
                let mut settings =
                    json!({ "model-name": super::model_of(*provider), "temperature": 0.5, "maxOutputTokens": 321 });
                // Those who know it.
                if matches!(provider, Provider::Anthropic | Provider::Gemini | Provider::VertexAi | Provider::Ollama) {
                    settings["topK"] = json!(7);
                }
                if *provider != Provider::Anthropic {
                    settings["topP"] = json!(0.25);
                }
                let mut settings = settled(models, *provider, address, settings);
                if settings.get("api-key").is_some() {
                    settings["api-key"] = json!(models.key(*provider));
                }
                json!({ "id": name, "type": name, "displayName": name, "configuration": settings })
            })
            .collect();
        let configuration = json!({ "kestra": { "ai": { "providers": providers } } });
        let ran = check(models, configuration.clone(), "", &[]).await.exits(0);
        ran.says(&NAMES.map(|(_, name, _)| name));
        for (provider, name, _) in NAMES {
            let seen = models.seen().into_iter().find(|seen| seen.provider == Some(provider)).expect("it was asked");
            let body = seen.body.to_string();
            for told in ["0.5", "321"] {
                assert!(body.contains(told), "{name}: {told} is in {body}");
            }
            assert!(provider == Provider::Anthropic || body.contains("0.25"), "{name}: {body}");
        }
        let one = check(models, configuration, "", &["--provider", "ollama"]).await.exits(0);
        assert_eq!(one.out.lines().count(), 1, "{}", one.out);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_wrong_is_named() {
    let rules = json!([{ "when": { "model": "gone" }, "faults": ["unknownModel"] }]);
    with(rules, async |models| {
        let of = |settings: Value| json!({ "kestra": { "ai": { "type": "openai", "openai": settings } } });
        let base = models.base(Provider::OpenAi);
        let settings = |model: &str, base: &str| {
            of(json!({ "model-name": model, "api-key": "${STAND_IN_KEY}", "base-url": base }))
        };

        let wrong = check(models, settings("gpt-4o", &base), "sk-wrong-0123456789", &[]).await.exits(1);
        assert!(!wrong.out.contains("sk-wrong-0123456789") && !wrong.err.contains("sk-wrong-0123456789"), "{wrong:?}");
        wrong.says(&["failed", "openai (gpt-4o)", "LLM_AUTH", "hint:"]).complains(&["1 of 1 providers did not answer"]);
        let key = models.key(Provider::OpenAi);
        check(models, settings("gone", &base), key, &[]).await.exits(1).says(&["LLM_UNKNOWN_MODEL", "hint:"]);
        check(models, settings("gpt-4o", "http://127.0.0.1:1"), key, &[])
            .await
            .exits(1)
            .says(&["HTTP_CONNECT", "nobody answers there"]);
        check(models, settings("gpt-4o", "https://no-such-host.invalid"), key, &[])
            .await
            .exits(1)
            .says(&["HTTP_DNS", "no such host"]);
        check(models, json!({ "kestra": {} }), key, &[])
            .await
            .exits(1)
            .complains(&["configures no provider of models"]);
        let mistaken = json!({ "kestra": { "ai": { "type": "openia" } } });
        check(models, mistaken, key, &[]).await.exits(1).complains(&["`openia` is no type of a provider"]);
        let unset = of(json!({ "model-name": "m", "api-key": "${NOBODY_SETS_THIS}" }));
        check(models, unset, key, &[])
            .await
            .exits(1)
            .complains(&["needs the environment variables `NOBODY_SETS_THIS`"]);
        let unknown = of(json!({ "model-name": "m", "api-key": key, "colour": "blue" }));
        check(models, unknown, key, &[]).await.exits(1).says(&["BAD_PROPERTY", "colour"]);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn certificates_of_the_configuration_are_used() {
    let models = Models::start_tls(Script::default(), Tls { require_client: true }).await;
    let settings = |client: bool| {
        let mut settings = json!({
            "model-name": "gemini-2.5-flash", "api-key": models.key(Provider::Gemini),
            "baseURL": models.base(Provider::Gemini), "caPem": models.ca_pem(), "logRequests": true,
        });
        if client {
            settings["clientPem"] = json!(models.client_pem());
        }
        json!({ "kestra": { "ai": { "type": "gemini", "gemini": settings } } })
    };
    check(&models, settings(true), "", &[]).await.exits(0).says(&["ok", "gemini"]);
    check(&models, settings(false), "", &[]).await.exits(1).says(&["failed", "HTTP_"]);
    models.end().await;
}
