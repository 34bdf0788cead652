//! Requests that providers refuse: each trap with the status it has, and a word of what is said.

use super::*;

/// What a request gets that has further fields.
async fn check(models: &Models, provider: Provider, further: Value, status: u16, words: &str) {
    let body = scripts::joined(question(provider, "Hi"), further);
    let answer = asked(models, provider, &body).await;
    assert_eq!(answer.status, status, "{provider:?} {body}: {}", answer.text);
    assert!(answer.text.contains(words), "{provider:?} {body}: {}", answer.text);
}

#[tokio::test]
async fn openai_and_azure() {
    with(json!([]), async |models| {
        for provider in [Provider::OpenAi, Provider::AzureOpenAi] {
            let check = async |further, words| check(&models, provider, further, 400, words).await;
            check(json!({ "model": "gpt-5", "max_tokens": 5 }), "Use 'max_completion_tokens' instead").await;
            check(json!({ "model": "o3-mini", "max_tokens": 5 }), "unsupported_parameter").await;
            check(json!({ "model": "gpt-5-mini", "temperature": 0.2 }), "Only the default (1) value is supported").await;
            check(json!({ "top_k": 5 }), "Unrecognized request argument supplied: top_k").await;
            check(json!({ "stream_options": { "include_usage": true } }), "only allowed when 'stream' is enabled").await;
            check(json!({ "response_format": { "type": "json_object" } }), "must contain the word 'json'").await;
            check(json!({ "messages": [] }), "empty array").await;
            check(json!({ "messages": [{ "role": "tool", "tool_call_id": "x", "content": "y" }] }), "preceeding message").await;
            let open = json!({ "type": "object", "properties": { "a": { "type": "string" } } });
            let format = |schema: &Value| json!({ "response_format": { "type": "json_schema", "json_schema": { "name": "x", "strict": true, "schema": schema } } });
            check(format(&open), "'additionalProperties' is required").await;
            let mut partial = open.clone();
            partial["additionalProperties"] = false.into();
            check(format(&partial), "Missing 'a'").await;
            let tool = json!({ "tools": [{ "type": "function", "function": { "name": "x", "strict": true, "parameters": open } }] });
            check(tool, "Invalid schema for function 'x'").await;
        }
        check(&models, Provider::OpenAi, json!({ "model": "gpt-5", "temperature": 1, "max_completion_tokens": 5 }), 200, "You said").await;
        let call = json!({ "id": "call_1", "type": "function", "function": { "name": "x", "arguments": "{}" } });
        let unanswered = json!({ "messages": [{ "role": "user", "content": "Hi" }, { "role": "assistant", "tool_calls": [call] }] });
        check(&models, Provider::OpenAi, unanswered, 400, "did not have response messages: call_1").await;
    })
    .await;
}

#[tokio::test]
async fn mistral() {
    with(json!([]), async |models| {
        let check = async |further, status, words| check(&models, Provider::Mistral, further, status, words).await;
        check(json!({ "stream": true, "stream_options": { "include_usage": true } }), 422, "extra_forbidden").await;
        check(json!({ "seed": 1 }), 422, r#""loc":["body","seed"]"#).await;
        check(json!({ "random_seed": 1, "tool_choice": "any" }), 200, "You said").await;
        check(json!({ "messages": [{ "role": "assistant", "content": "x" }] }), 400, "Expected last role User or Tool").await;
        let conversation = |id: &str| {
            let call = json!({ "id": id, "type": "function", "function": { "name": "x", "arguments": "{}" } });
            json!({ "messages": [{ "role": "user", "content": "Hi" }, { "role": "assistant", "content": "", "tool_calls": [call] },
                { "role": "tool", "tool_call_id": id, "content": "y" }] })
        };
        check(conversation("call_123456"), 400, "must be a-z, A-Z, 0-9, with a length of 9").await;
        check(conversation("a1B2c3D4e"), 200, "You said").await;
    })
    .await;
}

#[tokio::test]
async fn deepseek_and_openrouter() {
    with(json!([]), async |models| {
        let deepseek = async |further, status, words| check(&models, Provider::DeepSeek, further, status, words).await;
        deepseek(json!({ "response_format": { "type": "json_object" } }), 400, "must contain the word 'json'").await;
        let named = json!([{ "role": "user", "content": "Answer in JSON" }]);
        deepseek(json!({ "response_format": { "type": "json_object" }, "messages": named }), 200, "said").await;
        deepseek(json!({ "response_format": { "type": "json_schema", "json_schema": {} } }), 400, "unavailable now")
            .await;
        check(&models, Provider::OpenRouter, json!({ "model": "gpt-4o" }), 400, "gpt-4o is not a valid model ID").await;
    })
    .await;
}

#[tokio::test]
async fn anthropic() {
    with(json!([]), async |models| {
        let check = async |further, words| check(&models, Provider::Anthropic, further, 400, words).await;
        check(json!({ "max_tokens": null }), "max_tokens: Field required").await;
        check(json!({ "seed": 5 }), "seed: Extra inputs are not permitted").await;
        check(json!({ "messages": [{ "role": "system", "content": "x" }] }), "Unexpected role").await;
        check(json!({ "messages": [{ "role": "user", "content": [{ "type": "text", "text": "" }] }] }), "non-empty").await;
        check(json!({ "thinking": { "type": "enabled", "budget_tokens": 500 } }), "greater than or equal to 1024").await;
        check(json!({ "thinking": { "type": "enabled", "budget_tokens": 2000 } }), "must be greater than `thinking.budget_tokens`").await;
        let calls = json!([{ "type": "tool_use", "id": "a", "name": "x", "input": {} }, { "type": "tool_use", "id": "b", "name": "x", "input": {} }]);
        let turns = |after: Value| json!({ "messages": [{ "role": "user", "content": "Hi" }, { "role": "assistant", "content": calls }, { "role": "user", "content": after }] });
        let result = |id: &str| json!({ "type": "tool_result", "tool_use_id": id, "content": "y" });
        let text = json!({ "type": "text", "text": "And?" });
        check(turns(json!([result("a")])), "were found without `tool_result` blocks immediately after: b").await;
        check(turns(json!([text, result("a"), result("b")])), "immediately after: a, b").await;
        check(turns(json!([result("a"), result("b"), result("c")])), "unexpected `tool_use_id`").await;
        super::refusals::check(&models, Provider::Anthropic, turns(json!([result("a"), result("b"), text])), 200, "You said: And?").await;
        let ask = async |version: Option<&str>, body: Value| {
            let request = post(&url(&models, Provider::Anthropic, false), &body).bearer_auth(models.key(Provider::Anthropic));
            sent(version.into_iter().fold(request, |request, version| request.header("anthropic-version", version))).await
        };
        let plain = question(Provider::Anthropic, "Hi");
        let sampled = scripts::joined(plain.clone(), json!({ "temperature": 1.0 }));
        for (version, body, status, words) in [
            (None, &plain, 400, "anthropic-version: header is required"),
            (Some("2024-01-01"), &plain, 400, "not a valid version"),
            (Some("2026-10-21"), &plain, 200, "You said"),
            (Some("2023-06-01"), &sampled, 200, "You said"),
            (Some("2026-10-21"), &sampled, 400, "temperature: Extra inputs are not permitted"),
        ] {
            let answer = ask(version, body.clone()).await;
            assert!(answer.status == status && answer.text.contains(words), "{version:?} {body}: {}", answer.text);
        }
    })
    .await;
}

#[tokio::test]
async fn gemini() {
    with(json!([]), async |models| {
        let check = async |further, words| check(&models, Provider::Gemini, further, 400, words).await;
        check(json!({ "messages": [] }), "Unknown name").await;
        check(json!({ "generationConfig": { "maxTokens": 5 } }), "generation_config").await;
        check(json!({ "contents": [] }), "contents is not specified").await;
        let empty =
            json!({ "functionDeclarations": [{ "name": "x", "parameters": { "type": "object", "properties": {} } }] });
        check(json!({ "tools": [empty] }), "should be non-empty for OBJECT type").await;
        let tools = scripts::tool(Provider::Gemini);
        let generation = json!({ "generationConfig": { "responseMimeType": "application/json" } });
        check(scripts::joined(tools, generation), "is unsupported").await;
    })
    .await;
}

#[tokio::test]
async fn bedrock() {
    with(json!([]), async |models| {
        let check = async |further, words| check(&models, Provider::Bedrock, further, 400, words).await;
        let turn = |role: &str, content: Value| json!({ "role": role, "content": [content] });
        let text = json!({ "text": "Hi" });
        check(json!({ "messages": [turn("assistant", text.clone())] }), "must start with a user message").await;
        check(json!({ "messages": [turn("user", text.clone()), turn("user", text.clone())] }), "must alternate").await;
        check(json!({ "messages": [turn("user", json!({ "text": " " }))] }), "is blank").await;
        let call = json!({ "toolUse": { "toolUseId": "a", "name": "weather", "input": {} } });
        let result = json!({ "toolResult": { "toolUseId": "a", "content": [{ "text": "y" }] } });
        let whole =
            json!({ "messages": [turn("user", text.clone()), turn("assistant", call.clone()), turn("user", result)] });
        check(whole.clone(), "toolConfig field must be defined").await;
        let tools = scripts::tool(Provider::Bedrock);
        let partial = json!({ "messages": [turn("user", text.clone()), turn("assistant", call), turn("user", text)] });
        check(scripts::joined(partial, tools.clone()), "Expected toolResult blocks at messages.2.content").await;
        super::refusals::check(&models, Provider::Bedrock, scripts::joined(whole, tools), 200, "You said").await;
    })
    .await;
}

#[tokio::test]
async fn ollama() {
    with(json!([]), async |models| {
        let check = async |further, words| check(&models, Provider::Ollama, further, 400, words).await;
        check(
            json!({ "messages": [{ "role": "user", "content": [{ "type": "text", "text": "x" }] }] }),
            "cannot unmarshal",
        )
        .await;
        let call = json!({ "function": { "name": "x", "arguments": "{}" } });
        check(json!({ "messages": [{ "role": "assistant", "content": "", "tool_calls": [call] }] }), "arguments").await;
        check(json!({ "messages": [{ "role": "developer", "content": "x" }] }), "invalid role").await;
        check(
            json!({ "messages": [{ "role": "user", "content": "x", "images": ["data:image/png;base64,AAAA"] }] }),
            "illegal base64",
        )
        .await;
    })
    .await;
}
