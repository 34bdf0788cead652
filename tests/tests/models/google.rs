//! Gemini and Vertex AI: signed calls, results of a turn, both kinds of schema, streams in two forms.

use super::*;

const BOTH: [Provider; 2] = [Provider::Gemini, Provider::VertexAi];

fn contents(call: Value, results: usize) -> Value {
    let result = json!({ "functionResponse": { "name": "weather", "response": { "result": "sunny" } } });
    let results: Vec<Value> = (0..results).map(|_| result.clone()).collect();
    json!({ "contents": [
        { "role": "user", "parts": [{ "text": "Hi" }] },
        { "role": "model", "parts": [call] },
        { "role": "user", "parts": results },
    ] })
}

#[tokio::test]
async fn call_needs_the_signature_that_it_came_with() {
    with(
        json!([{ "when": { "toolResults": 0 }, "answer": { "toolCalls": [{ "name": "weather" }] } }]),
        async |models| {
            for provider in BOTH {
                let first = asked(&models, provider, &question(provider, "Hi")).await;
                let call = first.body["candidates"][0]["content"]["parts"][0].clone();
                assert!(call["thoughtSignature"].is_string(), "{}", first.text);
                assert_eq!(asked(&models, provider, &contents(call.clone(), 1)).await.status, 200);
                // Bytes are bytes, in whichever alphabet of base64.
                let mut other = call.clone();
                let signature = call["thoughtSignature"].as_str().expect("a text").replace('+', "-").replace('/', "_");
                other["thoughtSignature"] = signature.into();
                assert_eq!(asked(&models, provider, &contents(other, 1)).await.status, 200);
                let bare = json!({ "functionCall": call["functionCall"] });
                let answer = asked(&models, provider, &contents(bare, 1)).await;
                assert_eq!((answer.status, &answer.body["error"]["status"]), (400, &json!("INVALID_ARGUMENT")));
                assert!(answer.text.contains("thought_signature"), "{}", answer.text);
                let forged = json!({ "functionCall": call["functionCall"], "thoughtSignature": "AAAA" });
                assert_eq!(asked(&models, provider, &contents(forged, 1)).await.status, 400);
                assert_eq!(asked(&models, provider, &contents(call, 2)).await.status, 400, "one result for one call");
            }
        },
    )
    .await;
}

#[tokio::test]
async fn text_that_was_thought_about_is_signed_at_its_end() {
    with(json!([{ "answer": { "thinking": "Hm.", "text": "So it is." } }]), async |models| {
        for provider in BOTH {
            let whole = asked(&models, provider, &question(provider, "Hi")).await.body;
            let parts = &whole["candidates"][0]["content"]["parts"];
            assert_eq!(
                (&parts[0]["text"], &parts[0]["thought"], &parts[1]["text"]),
                (&json!("Hm."), &json!(true), &json!("So it is."))
            );
            assert!(parts[1]["thoughtSignature"].is_string(), "{whole}");
            let streamed = asked_streamed(&models, provider, &question(provider, "Hi")).await;
            let last = events(&streamed.text).pop().expect("there are some");
            let part = &last["candidates"][0]["content"]["parts"][0];
            assert!(part["text"] == "" && part["thoughtSignature"].is_string(), "{last}");
        }
    })
    .await;
}

#[tokio::test]
async fn schemas_are_of_the_subset_or_named_otherwise() {
    with(json!([]), async |models| {
        let closed =
            json!({ "type": "object", "properties": { "n": { "type": "integer" } }, "additionalProperties": false });
        let open = json!({ "type": "OBJECT", "properties": { "n": { "type": "INTEGER" } } });
        let asked = async |field: &str, schema: &Value| {
            let generation = json!({ "generationConfig": { "responseMimeType": "application/json", field: schema } });
            asked(&models, Provider::Gemini, &scripts::joined(question(Provider::Gemini, "Hi"), generation)).await
        };
        for answer in [asked("responseSchema", &open).await, asked("responseJsonSchema", &closed).await] {
            assert_eq!(said(Provider::Gemini, &answer.body), r#"{"n":0}"#, "{}", answer.text);
        }
        let refused = asked("responseSchema", &closed).await;
        assert!(
            refused.status == 400 && refused.text.contains("Unknown name \\\"additionalProperties\\\""),
            "{}",
            refused.text
        );
    })
    .await;
}

#[tokio::test]
async fn stream_without_sse_is_a_list() {
    with(json!([]), async |models| {
        let url = url(&models, Provider::Gemini, true).replace("?alt=sse", "");
        let request =
            post(&url, &question(Provider::Gemini, "Hi")).header("x-goog-api-key", models.key(Provider::Gemini));
        let answer = sent(request).await;
        assert_eq!(answer.body.as_array().map(Vec::len), Some(3), "{}", answer.text);
        // An error is one as well.
        let refused = sent(post(&url, &question(Provider::Gemini, "Hi"))).await;
        assert_eq!(refused.body[0]["error"]["status"], "PERMISSION_DENIED");
    })
    .await;
}

#[tokio::test]
async fn key_in_the_address_is_taken_and_seen_there() {
    with(json!([]), async |models| {
        let url = format!("{}?key={}", url(&models, Provider::Gemini, false), models.key(Provider::Gemini));
        assert_eq!(sent(post(&url, &question(Provider::Gemini, "Hi"))).await.status, 200);
        assert!(models.seen()[0].query.contains(models.key(Provider::Gemini)));
    })
    .await;
}

#[tokio::test]
async fn stop_without_a_word_and_blocked_prompt_are_answers() {
    let rules = json!([{ "when": { "says": "empty" }, "faults": ["emptyStop"] }, { "faults": ["contentFilter"] }]);
    with(rules, async |models| {
        for provider in BOTH {
            let empty = asked(&models, provider, &question(provider, "empty")).await;
            let candidate = &empty.body["candidates"][0];
            assert_eq!(
                (empty.status, &candidate["finishReason"], &candidate["content"]["parts"]),
                (200, &json!("STOP"), &Value::Null)
            );
            let blocked = asked(&models, provider, &question(provider, "Hi")).await;
            assert_eq!((blocked.status, &blocked.body["candidates"]), (200, &Value::Null));
            assert_eq!(blocked.body["promptFeedback"]["blockReason"], "PROHIBITED_CONTENT");
            let streamed = asked_streamed(&models, provider, &question(provider, "Hi")).await;
            assert_eq!(events(&streamed.text)[0]["promptFeedback"]["blockReason"], "PROHIBITED_CONTENT");
        }
    })
    .await;
}
