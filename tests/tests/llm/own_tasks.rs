//! The tasks that providers' plugins have of their own, as Kestra has them: what they send, and the raw of what comes back.

use serde_json::{Value, json};
use tests::models::{Models, Provider};

use crate::{failure, outputs, run, secret_of, world};

/// A task of a provider's own plugin.
fn task(models: &Models, of: Provider, kind: &str, fields: Value) -> Value {
    let key = format!("{{{{ secret('{}') }}}}", secret_of(of));
    let mut task = json!({ "type": format!("io.kestra.plugin.{kind}"), "apiKey": key, "baseUrl": models.base(of) });
    task.as_object_mut().expect("an object").extend(fields.as_object().expect("an object").clone());
    task
}

/// The text of a property in a flow of the documents, where `SLUICE_DOCS_FLOWS` names their folder.
fn documented(file: &str) -> Option<String> {
    let folder = std::env::var_os("SLUICE_DOCS_FLOWS")?;
    let source = std::fs::read_to_string(std::path::Path::new(&folder).join(file)).expect("a flow of the documents");
    // A block text: everything below that is further in than its name.
    let mut lines = source.lines().skip_while(|line| !line.trim_start().starts_with("jsonResponseSchema:"));
    let name = lines.next().expect("the flow has a schema");
    let margin = name.len() - name.trim_start().len();
    let block = lines.take_while(|line| line.trim().is_empty() || line.len() - line.trim_start().len() > margin);
    Some(block.map(|line| format!("{line}\n")).collect())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_schema_with_a_bracket_too_many_is_one() {
    let own = "{ \"type\": \"object\", \"properties\": { \"content\": { \"type\": \"string\" } } }\n}\n".to_owned();
    let written = documented("check_weather.yaml").unwrap_or(own);
    world(json!([]), async |api, models| {
        let fields = json!({ "model": "gemini-2.5-flash", "prompt": "Shall I go?", "jsonResponseSchema": written });
        let came = run(api, "sail", task(models, Provider::Gemini, "gemini.StructuredOutputCompletion", fields)).await;
        let answer: Value =
            serde_json::from_str(outputs(&came)["predictions"][0].as_str().expect("a text")).expect("JSON");
        assert_eq!(answer["content"], "text");
        let sent = &models.seen()[0].body["generationConfig"];
        assert_eq!(sent["responseMimeType"], "application/json");
        assert_eq!(sent["responseSchema"]["properties"]["content"]["type"], "string", "{sent:#}");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_schema_that_is_no_json_is_shown_to_the_model() {
    let own = "{\n  type: \"object\",\n  \"properties\": { \"tasks\": { \"type\": \"array\" \"items\": {} } }\n}\n"
        .to_owned();
    let written = documented("add_tasks_to_todoist.yaml").unwrap_or(own);
    let answer = json!({ "tasks": [{ "title": "shopping" }] }).to_string();
    world(json!([{ "answer": { "text": format!("```json\n{answer}\n```") } }]), async |api, models| {
        let messages =
            json!([{ "type": "SYSTEM", "content": "Answer in JSON." }, { "type": "USER", "content": "Shopping." }]);
        let fields = json!({ "modelName": "deepseek-chat", "messages": messages, "jsonResponseSchema": written });
        let came = run(api, "todo", task(models, Provider::DeepSeek, "deepseek.ChatCompletion", fields)).await;
        let outputs = outputs(&came);
        assert_eq!(outputs["response"], answer);
        let raw: Value = serde_json::from_str(outputs["raw"].as_str().expect("a text")).expect("JSON");
        assert_eq!(raw["object"], "chat.completion");
        let seen = models.seen();
        assert_eq!(seen.len(), 1);
        assert_eq!(seen[0].body["response_format"]["type"], "json_object");
        let told = seen[0].body["messages"][0]["content"].as_str().expect("a text").to_owned();
        assert!(told.contains("type: \"object\",") && told.contains("\"tasks\""), "{told}");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn gemini_completes_texts_and_chats() {
    let answer = json!({ "thinking": "Hm.", "text": "Rome." });
    world(json!([{ "answer": answer }]), async |api, models| {
        let model = json!("gemini-2.5-flash");
        let text = json!({ "model": model, "prompt": "Where to?" });
        let came = run(api, "text", task(models, Provider::Gemini, "gemini.TextCompletion", text)).await;
        assert_eq!(outputs(&came)["predictions"][0]["content"], "Rome.");
        let messages = json!([
            { "type": "SYSTEM", "content": "Be brief." }, { "type": "USER", "content": "Hello" },
            { "type": "AI", "content": "Hi" }, { "type": "USER", "content": "Where to?" },
        ]);
        let chat = json!({ "model": model, "messages": messages });
        let came = run(api, "chat", task(models, Provider::Gemini, "gemini.ChatCompletion", chat)).await;
        assert_eq!(outputs(&came)["predictions"][0]["content"], "Rome.");
        let roles: Vec<Value> = models.seen()[1].body["contents"]
            .as_array()
            .expect("turns")
            .iter()
            .map(|turn| turn["role"].clone())
            .collect();
        assert_eq!(roles, ["user", "model", "user"]);
        let contents = json!({ "model": model, "contents": [{ "content": "What is it?" }] });
        let came = run(api, "seen", task(models, Provider::Gemini, "gemini.MultimodalCompletion", contents)).await;
        let outputs = outputs(&came);
        assert_eq!((&outputs["text"], &outputs["finishReason"]), (&json!("Rome."), &json!("STOP")));
        assert_eq!(outputs["blocked"], false);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_google_keeps_back_is_a_warning() {
    world(json!([{ "faults": ["contentFilter"] }]), async |api, models| {
        let contents = json!({ "model": "gemini-2.5-flash", "contents": [{ "content": "What is it?" }] });
        let came = run(api, "kept", task(models, Provider::Gemini, "gemini.MultimodalCompletion", contents)).await;
        assert_eq!(came["state"]["current"], "WARNING", "{came:#}");
        let outputs = &came["taskRunList"][0]["outputs"];
        assert_eq!((&outputs["blocked"], &outputs["finishReason"]), (&json!(true), &json!("PROHIBITED_CONTENT")));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn openai_s_own_answers_are_given_as_they_came() {
    let rules = json!([
        { "when": { "says": "<schema>" }, "answer": { "text": "{\"city\": \"Rome\"}" } },
        { "when": { "says": "<call>" }, "answer": { "toolCalls": [{ "name": "look", "arguments": { "at": "it" } }] } },
    ]);
    world(rules, async |api, models| {
        let schema = json!({ "type": "object", "properties": { "city": { "type": "string" } }, "required": ["city"],
            "additionalProperties": false })
        .to_string();
        let fields = json!({ "model": "gpt-4o", "prompt": "<schema>", "jsonResponseSchema": schema });
        let came = run(api, "json", task(models, Provider::OpenAi, "openai.ChatCompletion", fields)).await;
        let completed = outputs(&came);
        assert_eq!(completed["choices"][0]["message"]["content"], "{\"city\": \"Rome\"}");
        assert_eq!((&completed["object"], &completed["model"]), (&json!("chat.completion"), &json!("gpt-4o")));
        assert_eq!(completed["usage"]["total_tokens"], 18);
        let format = &models.seen()[0].body["response_format"]["json_schema"];
        assert_eq!((&format["name"], &format["strict"]), (&json!("kestra_schema"), &json!(true)));

        let function = json!({ "name": "look", "description": "Looks.", "parameters": [
            { "name": "at", "description": "What at.", "type": "string", "required": true }] });
        let fields = json!({ "model": "gpt-4o", "prompt": "<call>", "functions": [function] });
        let came = run(api, "call", task(models, Provider::OpenAi, "openai.ChatCompletion", fields)).await;
        let choice = &outputs(&came)["choices"][0];
        assert_eq!(choice["message"]["tool_calls"][0]["function"]["name"], "look");
        assert_eq!(choice["finish_reason"], "tool_calls");

        let fields = json!({ "model": "gpt-4o", "input": "Who are you?" });
        let came = run(api, "respond", task(models, Provider::OpenAi, "openai.Responses", fields.clone())).await;
        let responded = outputs(&came);
        assert_eq!(responded["outputText"], "You said: Who are you?");
        assert_eq!(responded["rawResponse"]["object"], "response");
        let next = json!({ "model": "gpt-4o", "input": "And now?", "previousResponseId": responded["responseId"] });
        let came = run(api, "again", task(models, Provider::OpenAi, "openai.Responses", next)).await;
        assert_eq!(outputs(&came)["outputText"], "You said: And now?");

        let fields = json!({ "model": "gpt-image-1", "prompt": "A cat.", "n": 2 });
        let came = run(api, "draw", task(models, Provider::OpenAi, "openai.CreateImage", fields)).await;
        assert_eq!(outputs(&came)["images"].as_array().map(Vec::len), Some(2));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn tasks_of_their_own_fail_as_all_do() {
    world(json!([{ "faults": ["quotaExhausted"] }]), async |api, models| {
        let messages = json!([{ "type": "USER", "content": "Hello" }]);
        for (id, of, kind, fields) in [
            ("g", Provider::Gemini, "gemini.TextCompletion", json!({ "model": "gemini-2.5-flash", "prompt": "Hi" })),
            (
                "d",
                Provider::DeepSeek,
                "deepseek.ChatCompletion",
                json!({ "modelName": "deepseek-chat", "messages": messages }),
            ),
            ("o", Provider::OpenAi, "openai.ChatCompletion", json!({ "model": "gpt-4o", "prompt": "Hi" })),
            ("r", Provider::OpenAi, "openai.Responses", json!({ "model": "gpt-4o", "input": "Hi" })),
            ("i", Provider::OpenAi, "openai.CreateImage", json!({ "prompt": "Hi" })),
        ] {
            let came = run(api, id, task(models, of, kind, fields)).await;
            assert_eq!(failure(&came)["code"], "LLM_QUOTA_EXHAUSTED", "{kind}");
        }
        assert_eq!(models.seen().len(), 5);
    })
    .await;
}
