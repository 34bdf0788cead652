//! The flows of the documents, as they stand but for the addresses of whom they ask: `SLUICE_DOCS_FLOWS` names their folder. Without it nothing is tested,
//! and it says so.

use serde_json::{Value, json};
use tests::document::document;
use tests::models::{Models, Provider};
use tests::served::Api;

use crate::world;

/// Sets a secret of the namespace.
async fn secret(api: &Api, name: &str, value: &str) {
    let answer = api.put(
        "namespaces/company.ai/secrets",
        "application/json",
        json!({ "key": name, "value": value }).to_string(),
    );
    assert!(matches!(answer.await.status, 200 | 204), "{name} is set");
}

/// What a service was sent, in order.
fn sent(models: &Models, service: &str) -> Vec<Value> {
    models.seen().into_iter().filter(|seen| seen.name == service).map(|seen| seen.body).collect()
}

/// Where the stand-in's Gemini is: behind the model, where the property belongs.
fn gemini_at(models: &Models) -> (&'static str, String) {
    let line = "    model: \"gemini-2.5-flash-preview-05-20\"\n";
    (line, format!("{line}    baseUrl: \"{}\"\n", models.base(Provider::Gemini)))
}

#[tokio::test(flavor = "multi_thread")]
async fn check_weather_runs_to_the_end() {
    let answer = r#"{"content": "Go!", "wind": 14.5, "go_sailing": true}"#;
    let rules = json!([{ "when": { "provider": "gemini", "says": "sailing" }, "answer": { "text": answer } }]);
    world(rules, async |api, models| {
        let calendar = (
            "        summary: Out of office\n",
            format!("        summary: Out of office\n        baseUrl: \"{}\"\n", models.calendar()),
        );
        let Some(source) = document("check_weather.yaml", &[gemini_at(models), calendar]) else { return };
        secret(api, "GEMINI_API_KEY", models.key(Provider::Gemini)).await;
        secret(api, "SLACK_WEBHOOK", &models.slack()).await;
        secret(api, "CALENDAR_ID", "sailors@example.com").await;
        let saved = api.post("flows/validate", "application/x-yaml", source.clone()).await.ok();
        let warnings = saved[0]["warnings"].to_string();
        assert!(warnings.contains("jsonResponseSchema") || warnings.contains("looks like JSON"), "{saved:#}");
        api.save(&source).await;
        let execution = api.run("company.ai/check_weather").await;
        assert_eq!(execution["state"]["current"], "SUCCESS", "{execution:#}");

        assert_eq!(sent(models, "slack"), [json!({ "text": "Go!" })]);
        let event = &sent(models, "google-calendar")[0];
        assert_eq!(event["description"], "Gone sailing because the wind is 14.5 knots");
        let asked = &sent(models, "gemini")[0];
        assert_eq!(asked["generationConfig"]["responseMimeType"], "application/json", "{asked:#}");
        assert!(models.seen().iter().all(|seen| seen.authorized), "every credential was right");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_calm_day_tells_nobody() {
    let answer = r#"{"content": "Stay.", "wind": 3, "go_sailing": false}"#;
    let rules = json!([{ "when": { "provider": "gemini" }, "answer": { "text": answer } }]);
    world(rules, async |api, models| {
        let Some(source) = document("check_weather.yaml", &[gemini_at(models)]) else { return };
        secret(api, "GEMINI_API_KEY", models.key(Provider::Gemini)).await;
        secret(api, "SLACK_WEBHOOK", &models.slack()).await;
        secret(api, "CALENDAR_ID", "sailors@example.com").await;
        api.save(&source).await;
        let execution = api.run("company.ai/check_weather").await;
        assert_eq!(execution["state"]["current"], "SUCCESS", "{execution:#}");
        assert!(sent(models, "slack").is_empty() && sent(models, "google-calendar").is_empty());
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn add_tasks_to_todoist_runs_to_the_end() {
    let tasks = json!({ "tasks": [
        { "title": "Prescription", "description": "at the doctor's", "due_date": "2026-12-04T15:00:00Z" },
        { "title": "Shopping", "description": "milk", "due_date": "2026-12-04T17:00:00Z" },
    ] });
    let rules = json!([{ "when": { "provider": "deepseek" }, "answer": { "text": tasks.to_string() } }]);
    world(rules, async |api, models| {
        let line = "    modelName: deepseek-chat\n";
        let deepseek = (line, format!("{line}    baseUrl: \"{}\"\n", models.base(Provider::DeepSeek)));
        let todoist =
            ("https://api.todoist.com/rest/v2/tasks", format!("{}/tasks", models.todoist().trim_end_matches("/tasks")));
        let Some(source) = document("add_tasks_to_todoist.yaml", &[deepseek, todoist]) else { return };
        secret(api, "DEEPSEEK_API_KEY", models.key(Provider::DeepSeek)).await;
        api.save(&source).await;
        let execution = api.run("company.ai/add_tasks_to_todoist").await;
        assert_eq!(execution["state"]["current"], "SUCCESS", "{execution:#}");
        let mut titles: Vec<String> = sent(models, "todoist").iter().map(|task| task["content"].to_string()).collect();
        titles.sort();
        assert_eq!(titles, ["\"Prescription\"", "\"Shopping\""]);
        // The schema is no JSON: the model was shown it as it stands.
        let asked = sent(models, "deepseek")[0].to_string();
        assert!(asked.contains("Due date of the task") && asked.contains("json_object"), "{asked}");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn gen_img_approval_asks_again_and_ends() {
    world(json!([]), async |api, models| {
        let discord = ("https://discord.com/api/webhooks/URL", models.discord());
        let Some(source) = document("gen_img_approval.yaml", &[discord]) else { return };
        // The document does not show it: it has OpenAI make an image.
        let image = json!({
            "id": "generate_image", "namespace": "demo", "inputs": [{ "id": "openai_prompt", "type": "STRING" }],
            "tasks": [{
                "id": "create", "type": "io.kestra.plugin.openai.CreateImage", "apiKey": "{{ secret('OPENAI_KEY') }}",
                "baseUrl": models.base(Provider::OpenAi), "prompt": "{{ inputs.openai_prompt }}",
            }],
            "outputs": [{ "id": "image", "type": "STRING", "value": "{{ outputs.create.images | first }}" }],
        });
        api.save(&image.to_string()).await;
        api.save(&source).await;
        let created = api.form("executions/company.ai/gen_img_approval", "image_prompt", "", "a cat").await.ok();
        let path = format!("executions/{}", created["id"].as_str().expect("an id"));
        api.until(&path, |execution| execution["state"]["current"] == "PAUSED").await;
        let answers = "--cut\r\nContent-Disposition: form-data; name=\"approve\"\r\n\r\nfalse\r\n--cut\r\nContent-Disposition: form-data; name=\"feedback\"\r\n\r\na better cat\r\n--cut--\r\n";
        let resumed = api.post(&format!("{path}/resume"), "multipart/form-data; boundary=cut", answers).await;
        assert!(matches!(resumed.status, 200 | 204), "{}", resumed.text);
        let execution = api.until(&path, |execution| execution["state"]["current"] == "SUCCESS").await;
        let said = sent(models, "discord");
        let texts: Vec<&str> = said.iter().filter_map(|message| message["content"].as_str()).collect();
        assert!(texts[0].contains("Approve it here") && texts[0].contains("kestra:///"), "{execution:#} {texts:?}");
        assert!(texts[1].starts_with("Here's the new image with your feedback: kestra:///"), "{texts:?}");
        let drawn: Vec<Value> = sent(models, "openai").iter().map(|asked| asked["prompt"].clone()).collect();
        assert_eq!(drawn, ["a cat", "a better cat"]);
    })
    .await;
}
