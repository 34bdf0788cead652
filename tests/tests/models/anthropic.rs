//! Anthropic: named events, blocks, signed thoughts.

use super::*;

fn names(text: &str) -> Vec<&str> {
    text.lines().filter_map(|line| line.strip_prefix("event: ")).collect()
}

#[tokio::test]
async fn stream_has_blocks_that_begin_and_end() {
    let call = json!({ "name": "weather", "arguments": { "city": "Köln" } });
    let answer = json!({ "thinking": "Hm.", "text": "So.", "toolCalls": [call], "usage": { "input": 9, "output": 30, "cached": 4 } });
    with(json!([{ "answer": answer }]), async |models| {
        let answer = asked_streamed(&models, Provider::Anthropic, &question(Provider::Anthropic, "Hi")).await;
        let names = names(&answer.text);
        assert_eq!(
            (names[0], names[names.len() - 2], names[names.len() - 1]),
            ("message_start", "message_delta", "message_stop")
        );
        assert_eq!(names.iter().filter(|name| **name == "content_block_start").count(), 3);
        assert_eq!(names.iter().filter(|name| **name == "content_block_stop").count(), 3);
        let events = events(&answer.text);
        let deltas =
            |name: &str| -> String { events.iter().filter_map(|event| event["delta"][name].as_str()).collect() };
        assert_eq!((deltas("thinking"), deltas("text")), ("Hm.".into(), "So.".into()));
        assert_eq!(deltas("partial_json"), r#"{"city":"Köln"}"#);
        assert!(!deltas("signature").is_empty());
        let usage = &events[0]["message"]["usage"];
        assert_eq!((&usage["input_tokens"], &usage["cache_read_input_tokens"]), (&json!(5), &json!(4)));
        let end = events.iter().find(|event| event["type"] == "message_delta").expect("an end");
        assert_eq!((&end["usage"]["output_tokens"], &end["delta"]["stop_reason"]), (&json!(30), &json!("tool_use")));
    })
    .await;
}

#[tokio::test]
async fn thought_with_another_signature_is_refused() {
    with(json!([{ "answer": { "thinking": "Hm.", "text": "So." } }]), async |models| {
        let mut body = question(Provider::Anthropic, "Hi");
        let mut content = asked(&models, Provider::Anthropic, &body).await.body["content"].clone();
        let turns = body["messages"].as_array_mut().expect("turns");
        turns.push(json!({ "role": "assistant", "content": content }));
        turns.push(json!({ "role": "user", "content": "And?" }));
        assert_eq!(asked(&models, Provider::Anthropic, &body).await.status, 200);
        content[0]["thinking"] = "Something else.".into();
        body["messages"][1]["content"] = content;
        let answer = asked(&models, Provider::Anthropic, &body).await;
        assert!(answer.status == 400 && answer.text.contains("Invalid `signature`"), "{}", answer.text);
    })
    .await;
}

#[tokio::test]
async fn schema_is_answered_with_what_fits_it() {
    with(json!([]), async |models| {
        let schema =
            json!({ "type": "object", "properties": { "n": { "type": "integer" } }, "additionalProperties": false });
        let format =
            |schema: &Value| json!({ "output_config": { "format": { "type": "json_schema", "schema": schema } } });
        let body = scripts::joined(question(Provider::Anthropic, "Hi"), format(&schema));
        let answer = asked(&models, Provider::Anthropic, &body).await;
        assert_eq!(said(Provider::Anthropic, &answer.body), r#"{"n":0}"#, "{}", answer.text);
        let open = scripts::joined(question(Provider::Anthropic, "Hi"), format(&json!({ "type": "object" })));
        assert_eq!(asked(&models, Provider::Anthropic, &open).await.status, 400);
        let old = scripts::joined(body, json!({ "model": "claude-3-haiku-20240307" }));
        assert_eq!(asked(&models, Provider::Anthropic, &old).await.status, 400);
    })
    .await;
}
