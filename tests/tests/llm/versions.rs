//! A provider is a plugin like any other: the revision of a flow keeps the version it was saved with, and moves when it is told to.

use serde_json::{Value, json};
use tests::models::Provider;
use tests::registered::shipped_with;
use tests::served::serving;

use crate::{ask, model_of, outputs, provider, world};

const KIND: &str = "io.kestra.plugin.ai.provider.OpenAI";

#[tokio::test(flavor = "multi_thread")]
async fn provider_is_in_the_lock_and_moves_with_it() {
    world(json!([]), async |api, models| {
        let mut task = ask(provider(models, Provider::OpenAi, model_of(Provider::OpenAi)), "Who?");
        task["id"] = json!("t");
        let flow = |id: &str, plugins: Value| {
            json!({ "id": id, "namespace": "tests.llm", "plugins": plugins, "tasks": [task] }).to_string()
        };
        api.save(&flow("free", json!({}))).await;
        api.save(&flow("pinned", json!({ "openai": "1.0.0" }))).await;

        let newer = shipped_with("openai/1.0.0", |manifest| manifest["version"] = json!("1.1.0"));
        let at = "/api/v1/cluster/versioned-plugins/upload";
        let form = "--cut\r\nContent-Disposition: form-data; name=\"file\"; filename=\"plugin.wasm\"\r\n\r\n";
        let body = [form.as_bytes(), &newer, b"\r\n--cut--\r\n"].concat();
        let installed = api.post(at, "multipart/form-data; boundary=cut", body).await;
        assert!(matches!(installed.status, 200 | 201), "{}", installed.text);

        let version = async |id: &str| {
            let lock = api.get(&format!("flows/tests.llm/{id}/lock")).await.ok();
            assert_eq!(lock["tasks"]["t"]["plugin"], "ai");
            lock["providers"][KIND]["version"].as_str().unwrap_or_default().to_owned()
        };
        assert_eq!((version("free").await.as_str(), version("pinned").await.as_str()), ("1.0.0", "1.0.0"));
        outputs(&api.run("tests.llm/free").await);

        let outdated = api.get("flows/outdated").await.ok().to_string();
        assert!(outdated.contains("free") && outdated.contains(KIND) && !outdated.contains("pinned"), "{outdated}");
        let moved = api.post("flows/tests.llm/free/upgrade", "application/json", "{}").await.ok();
        assert!(moved.to_string().contains(KIND), "{moved}");
        api.post("flows/tests.llm/pinned/upgrade", "application/json", "{}").await.ok();
        assert_eq!((version("free").await.as_str(), version("pinned").await.as_str()), ("1.1.0", "1.0.0"));
        outputs(&api.run("tests.llm/free").await);
        outputs(&api.run("tests.llm/pinned").await);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_provider_needs_is_looked_at_when_a_flow_is_saved() {
    serving(async |api| {
        let ollama = json!({ "type": "io.kestra.plugin.ai.provider.Ollama", "endpoint": "http://127.0.0.1:9", "modelName": "m" });
        let mut task = ask(ollama, "Who?");
        task["id"] = json!("t");
        let flow = json!({ "id": "f", "namespace": "tests.llm", "tasks": [task] }).to_string();
        let refused = api.post("flows", "application/x-yaml", flow).await;
        let said = "plugin `ollama` 1.0.0 needs requests to `127.0.0.1:9`, which is not granted";
        assert!(refused.status == 422 && refused.text.contains(said), "{}", refused.text);
    })
    .await;
}
