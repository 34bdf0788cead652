//! Other ways to show who asks: an application at Entra, a key of Bedrock's own; and a file that is given to OpenAI.

use serde_json::json;
use tests::models::Provider;

use crate::{ask, model_of, outputs, provider, run, world};

#[tokio::test(flavor = "multi_thread")]
async fn an_application_at_entra_asks_azure() {
    world(json!([]), async |api, models| {
        let entra = models.entra();
        let mut azure = provider(models, Provider::AzureOpenAi, model_of(Provider::AzureOpenAi));
        let own = azure.as_object_mut().expect("a map");
        own.remove("apiKey");
        own.insert("tenantId".to_owned(), json!(entra.tenant));
        own.insert("clientId".to_owned(), json!(entra.client_id));
        own.insert("clientSecret".to_owned(), json!(entra.client_secret));
        own.insert("authority".to_owned(), json!(models.entra_authority()));
        let execution = run(api, "entra", ask(azure.clone(), "Who?")).await;
        assert_eq!(outputs(&execution)["textOutput"], "You said: Who?");
        let asked: Vec<String> = models.seen().into_iter().map(|seen| seen.name).collect();
        assert_eq!(asked, ["entra", "azure-openai"]);
        // What was written in clear is a secret all the same.
        assert!(!execution.to_string().contains(&entra.client_secret));

        azure["clientSecret"] = json!("wrong-secret-0123456789");
        let refused = run(api, "entra_wrong", ask(azure, "Who?")).await;
        assert_eq!(refused["state"]["current"], "FAILED");
        let logs = api.get(&format!("logs/{}", refused["id"].as_str().expect("an id"))).await.text;
        assert!(logs.contains("LLM_AUTH") && !logs.contains("wrong-secret"), "{logs}");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn bedrock_takes_a_key_of_its_own() {
    world(json!([]), async |api, models| {
        let bedrock = json!({
            "type": "io.kestra.plugin.ai.provider.AmazonBedrock", "apiKey": models.bedrock_api_key(),
            "baseUrl": models.base(Provider::Bedrock), "modelName": model_of(Provider::Bedrock),
        });
        let execution = run(api, "key", ask(bedrock, "Who?")).await;
        assert_eq!(outputs(&execution)["textOutput"], "You said: Who?");
        assert!(models.seen().iter().all(|seen| seen.authorized));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_is_given_to_openai() {
    world(json!([]), async |api, models| {
        let flow = json!({ "id": "upload", "namespace": "tests.llm", "tasks": [
            { "id": "write", "type": "io.kestra.plugin.core.storage.Write", "content": "a few words", "extension": ".txt" },
            {
                "id": "give", "type": "io.kestra.plugin.openai.UploadFile", "apiKey": "{{ secret('OPENAI_KEY') }}",
                "baseUrl": models.base(Provider::OpenAi), "from": "{{ outputs.write.uri }}", "purpose": "user_data",
            },
        ] });
        api.save(&flow.to_string()).await;
        let execution = api.run("tests.llm/upload").await;
        assert_eq!(execution["state"]["current"], "SUCCESS", "{execution:#}");
        let id = execution["taskRunList"][1]["outputs"]["fileId"].as_str().unwrap_or_default().to_owned();
        assert!(id.starts_with("file"), "{id}");
        let sent = models.seen().last().expect("it was sent").body.to_string();
        assert!(sent.contains("a few words") && sent.contains("user_data"), "{sent}");
    })
    .await;
}
