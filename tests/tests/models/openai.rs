//! OpenAI and those like it: the shapes of streams, structured answers, pictures and files.

use super::*;

fn schema() -> Value {
    json!({ "type": "object", "additionalProperties": false, "required": ["city", "degrees", "days", "kind"],
        "properties": {
            "city": { "type": "string" },
            "degrees": { "type": "number", "minimum": 1 },
            "days": { "type": "array", "items": { "$ref": "#/$defs/day" }, "minItems": 2 },
            "kind": { "enum": ["sunny", "rainy"] },
        },
        "$defs": { "day": { "type": ["null", "integer"] } } })
}

#[tokio::test]
async fn wrong_key_is_told_back_with_its_middle_hidden() {
    with(json!([]), async |models| {
        let (url, body) = (url(&models, Provider::OpenAi, false), question(Provider::OpenAi, "Hello"));
        let answer = sent(post(&url, &body).bearer_auth("sk-abcdefgh-1234567890-wxyz")).await;
        assert_eq!((answer.status, &answer.body["error"]["code"]), (401, &json!("invalid_api_key")));
        assert!(answer.text.contains("Incorrect API key provided: sk-abcde***************wxyz"), "{}", answer.text);
        let answer = sent(post(&url, &body)).await;
        assert_eq!((answer.status, &answer.body["error"]["code"]), (401, &Value::Null));
        // What came is seen as it came.
        let sent = ("authorization".to_owned(), "Bearer sk-abcdefgh-1234567890-wxyz".to_owned());
        let seen = models.seen();
        assert!(seen[0].headers.contains(&sent) && !seen[0].authorized, "{:?}", seen[0].headers);
        assert_eq!(
            (&seen[0].method, &seen[0].path, &seen[0].body),
            (&"POST".into(), &"/openai/v1/chat/completions".into(), &body)
        );
    })
    .await;
}

#[tokio::test]
async fn schema_is_answered_with_what_fits_it() {
    with(json!([]), async |models| {
        let format =
            json!({ "type": "json_schema", "json_schema": { "name": "weather", "strict": true, "schema": schema() } });
        for provider in [Provider::OpenAi, Provider::AzureOpenAi, Provider::Mistral, Provider::OpenRouter] {
            let body = scripts::joined(question(provider, "How is it?"), json!({ "response_format": format }));
            let answer = asked(&models, provider, &body).await;
            let made: Value = serde_json::from_str(&said(provider, &answer.body)).expect("JSON");
            assert_eq!(
                made,
                json!({ "city": "text", "degrees": 1.0, "days": [0, 0], "kind": "sunny" }),
                "{provider:?}"
            );
            assert!(jsonschema::is_valid(&schema(), &made), "{provider:?}: {made}");
        }
    })
    .await;
}

#[tokio::test]
async fn forced_tool_is_called() {
    with(json!([]), async |models| {
        let further = json!({ "tool_choice": { "type": "function", "function": { "name": "weather" } } });
        let body = scripts::joined(question(Provider::OpenAi, "How is it?"), scripts::tool(Provider::OpenAi));
        let answer = asked(&models, Provider::OpenAi, &scripts::joined(body, further)).await;
        let call = &answer.body["choices"][0]["message"]["tool_calls"][0]["function"];
        assert_eq!(call, &json!({ "name": "weather", "arguments": r#"{"city":"text"}"# }));
    })
    .await;
}

#[tokio::test]
async fn arguments_come_in_fragments_and_the_usage_last() {
    let call = json!({ "name": "weather", "arguments": { "city": "Köln am Rhein" } });
    with(json!([{ "answer": { "text": "A moment.", "toolCalls": [call] } }]), async |models| {
        let body =
            scripts::joined(question(Provider::OpenAi, "Hi"), json!({ "stream_options": { "include_usage": true } }));
        let answer = asked_streamed(&models, Provider::OpenAi, &body).await;
        let events = events(&answer.text);
        let calls = events.iter().filter_map(|event| event.pointer("/choices/0/delta/tool_calls/0"));
        let calls: Vec<_> = calls.collect();
        assert!(calls.len() > 2 && calls[0]["id"].as_str().is_some_and(|id| id.starts_with("call_")));
        assert!(calls[1..].iter().all(|call| call["id"].is_null() && call["index"] == 0));
        let arguments: String = calls.iter().filter_map(|call| call["function"]["arguments"].as_str()).collect();
        assert_eq!(arguments, r#"{"city":"Köln am Rhein"}"#);
        let last = events.last().expect("there are some");
        assert_eq!((&last["choices"], &last["usage"]["total_tokens"]), (&json!([]), &json!(18)));
        assert!(events[..events.len() - 1].iter().all(|event| event["usage"].is_null()));
        assert!(answer.text.ends_with("data: [DONE]\n\n"));
    })
    .await;
}

#[tokio::test]
async fn thoughts_stand_where_each_has_them() {
    with(json!([{ "answer": { "thinking": "Let me see.", "text": "So." } }]), async |models| {
        let message = async |provider| {
            let answer = asked(&models, provider, &question(provider, "Hi")).await;
            answer.body["choices"][0]["message"].clone()
        };
        assert_eq!(message(Provider::DeepSeek).await["reasoning_content"], "Let me see.");
        let routed = message(Provider::OpenRouter).await;
        assert_eq!(
            (&routed["reasoning"], &routed["reasoning_details"][0]["type"]),
            (&json!("Let me see."), &json!("reasoning.text"))
        );
        let mistral = message(Provider::Mistral).await;
        assert_eq!(mistral["content"][0]["thinking"][0]["text"], "Let me see.");
        assert_eq!(mistral["content"][1], json!({ "type": "text", "text": "So." }));
        assert!(!message(Provider::OpenAi).await.to_string().contains("Let me see."));
    })
    .await;
}

#[tokio::test]
async fn mistral_names_calls_with_nine_letters_and_counts_in_its_last_chunk() {
    with(json!([{ "answer": { "toolCalls": [{ "name": "weather" }] } }]), async |models| {
        let answer = asked_streamed(&models, Provider::Mistral, &question(Provider::Mistral, "Hi")).await;
        let events = events(&answer.text);
        let last = events.last().expect("there are some");
        let id = last["choices"][0]["delta"]["tool_calls"][0]["id"].as_str().expect("an id");
        assert!(id.len() == 9 && id.bytes().all(|byte| byte.is_ascii_alphanumeric()), "{id}");
        assert_eq!(
            (&last["choices"][0]["finish_reason"], &last["usage"]["prompt_tokens"]),
            (&json!("tool_calls"), &json!(11))
        );
    })
    .await;
}

#[tokio::test]
async fn refusal_has_a_place_of_its_own() {
    with(json!([{ "answer": { "refusal": "I would rather not." } }]), async |models| {
        let answer = asked(&models, Provider::OpenAi, &question(Provider::OpenAi, "Hi")).await;
        let message = &answer.body["choices"][0]["message"];
        assert_eq!((&message["content"], &message["refusal"]), (&Value::Null, &json!("I would rather not.")));
        let answer = asked_streamed(&models, Provider::OpenAi, &question(Provider::OpenAi, "Hi")).await;
        let refusal: String = events(&answer.text)
            .iter()
            .filter_map(|event| event.pointer("/choices/0/delta/refusal").and_then(Value::as_str))
            .collect();
        assert_eq!(refusal, "I would rather not.");
        let answer = asked(&models, Provider::Anthropic, &question(Provider::Anthropic, "Hi")).await;
        assert_eq!(answer.body["stop_reason"], "refusal");
    })
    .await;
}

#[tokio::test]
async fn pictures_are_bytes_or_an_address() {
    with(json!([]), async |models| {
        let ask = async |body: Value| {
            let request = post(&format!("{}/images/generations", models.base(Provider::OpenAi)), &body);
            sent(request.bearer_auth(models.key(Provider::OpenAi))).await
        };
        let new = ask(json!({ "model": "gpt-image-1", "prompt": "a cat", "n": 2, "size": "1024x1024" })).await;
        assert_eq!(new.body["data"].as_array().map(Vec::len), Some(2), "{}", new.text);
        assert!(new.body["data"][0]["b64_json"].as_str().is_some_and(|png| png.starts_with("iVBORw0KGgo")));
        let old = ask(json!({ "model": "dall-e-3", "prompt": "a cat" })).await;
        let picture = sent(client().get(old.body["data"][0]["url"].as_str().expect("an address"))).await;
        assert_eq!((picture.status, picture.header("content-type")), (200, "image/png"));
        for wrong in [
            json!({ "model": "gpt-image-1" }),
            json!({ "model": "gpt-image-1", "prompt": "x", "n": 11 }),
            json!({ "model": "gpt-image-1", "prompt": "x", "size": "512x512" }),
            json!({ "model": "gpt-image-1", "prompt": "x", "response_format": "url" }),
            json!({ "model": "dall-e-3", "prompt": "x", "quality": "low" }),
        ] {
            assert_eq!(ask(wrong.clone()).await.status, 400, "{wrong}");
        }
    })
    .await;
}

#[tokio::test]
async fn file_is_a_form_with_its_purpose() {
    with(json!([]), async |models| {
        let ask = async |parts: &[(&str, &str)]| {
            let parts: String = parts
                .iter()
                .map(|(head, text)| format!("--cut\r\nContent-Disposition: form-data; {head}\r\n\r\n{text}\r\n"))
                .collect();
            let request = client().post(format!("{}/files", models.base(Provider::OpenAi)));
            let request =
                request.header("content-type", "multipart/form-data; boundary=cut").body(format!("{parts}--cut--\r\n"));
            sent(request.bearer_auth(models.key(Provider::OpenAi))).await
        };
        let file = ("name=\"file\"; filename=\"a.jsonl\"", "{}\n{}");
        let answer = ask(&[("name=\"purpose\"", "fine-tune"), file]).await;
        assert_eq!(
            (answer.status, &answer.body["filename"], &answer.body["bytes"]),
            (200, &json!("a.jsonl"), &json!(5))
        );
        assert!(answer.body["id"].as_str().is_some_and(|id| id.starts_with("file-")));
        assert_eq!(ask(&[file]).await.status, 400);
        assert_eq!(ask(&[("name=\"purpose\"", "fine-tune")]).await.status, 400);
        let bare = client().post(format!("{}/files", models.base(Provider::OpenAi)));
        assert_eq!(sent(bare).await.status, 401);
    })
    .await;
}
