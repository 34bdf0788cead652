//! Thoughts come back to the provider they came from as they came, and go to nobody else.

use llm::Dialect;
use llm::message::*;
use serde_json::{Value, json};

use crate::streams::decode;
use crate::support::{conversation, encoded};
use crate::transcripts::{aws_frame, events};

/// A conversation that goes on after this answer, through JSON as it would be kept.
fn after(answer: &Answer) -> Request {
    let kept = serde_json::to_string(&answer.parts).expect("JSON");
    let parts = serde_json::from_str(&kept).expect("parts");
    Request {
        messages: vec![Message::user("hi"), Message::Assistant { parts }, Message::user("go on")],
        ..conversation()
    }
}

fn whole(dialect: Dialect, body: &Value) -> Answer {
    dialect.codec().decode_response(200, &[], body.to_string().as_bytes()).expect("an answer")
}

fn streamed(dialect: Dialect, bytes: &[u8]) -> Answer {
    decode(dialect, &[bytes]).1.expect("an answer")
}

fn thought(answer: &Answer) -> &str {
    answer
        .parts
        .iter()
        .find_map(|part| match part {
            AnswerPart::Thinking { text, .. } => Some(text.as_str()),
            _ => None,
        })
        .expect("a thought")
}

#[test]
fn anthropic_thoughts_go_back_with_their_signature() {
    let blocks = json!([
        { "type": "thinking", "thinking": "Hm, ä.", "signature": "s1=/+" },
        { "type": "redacted_thinking", "data": "xyz" },
        { "type": "text", "text": "Yes." },
    ]);
    let answer = whole(Dialect::Anthropic, &json!({ "content": blocks, "stop_reason": "end_turn" }));
    assert_eq!((thought(&answer), answer.text().as_str()), ("Hm, ä.", "Yes."));
    let sent = encoded(Dialect::Anthropic, &after(&answer));
    assert_eq!(sent["messages"][1]["content"].to_string(), blocks.to_string(), "byte by byte");

    let delta = |delta: Value| json!({ "type": "content_block_delta", "index": 0, "delta": delta });
    let stream = events(&[
        json!({ "type": "content_block_start", "index": 0, "content_block": { "type": "thinking", "thinking": "", "signature": "" } }),
        delta(json!({ "type": "thinking_delta", "thinking": "Hm" })),
        delta(json!({ "type": "thinking_delta", "thinking": ", ä." })),
        delta(json!({ "type": "signature_delta", "signature": "s1=/+" })),
        json!({ "type": "content_block_start", "index": 1, "content_block": { "type": "redacted_thinking", "data": "xyz" } }),
        json!({ "type": "content_block_start", "index": 2, "content_block": { "type": "text", "text": "Yes." } }),
        json!({ "type": "message_delta", "delta": { "stop_reason": "end_turn" } }),
    ]);
    assert_eq!(streamed(Dialect::Anthropic, &stream).parts, answer.parts);
}

#[test]
fn responses_thoughts_go_back_if_they_are_encrypted() {
    let thought = |content: Value| {
        let summary = json!([{ "type": "summary_text", "text": "Hm." }, { "type": "summary_text", "text": "Ah." }]);
        json!({ "type": "reasoning", "id": "rs_1", "summary": summary, "encrypted_content": content, "status": "completed" })
    };
    let message = json!({ "type": "message", "content": [{ "type": "output_text", "text": "Yes." }] });
    let body = |item: Value| json!({ "status": "completed", "output": [item, message] });
    let answer = whole(Dialect::OpenAiResponses, &body(thought("xyz".into())));
    assert_eq!((self::thought(&answer), answer.text().as_str()), ("Hm.\n\nAh.", "Yes."));
    let mut expected = thought("xyz".into());
    expected.as_object_mut().expect("an object").remove("status");
    assert_eq!(encoded(Dialect::OpenAiResponses, &after(&answer))["input"][1], expected);

    let plain = whole(Dialect::OpenAiResponses, &body(thought(Value::Null)));
    assert_eq!(encoded(Dialect::OpenAiResponses, &after(&plain))["input"][1]["content"], "Yes.");

    let part = |index: u64| json!({ "type": "response.reasoning_summary_part.added", "output_index": 0, "summary_index": index });
    let delta = |kind: &str, index: u64, delta: &str| json!({ "type": kind, "output_index": index, "delta": delta });
    let stream = events(&[
        json!({ "type": "response.output_item.added", "output_index": 0, "item": { "type": "reasoning", "id": "rs_1", "summary": [] } }),
        part(0),
        delta("response.reasoning_summary_text.delta", 0, "Hm."),
        part(1),
        delta("response.reasoning_summary_text.delta", 0, "Ah."),
        json!({ "type": "response.output_item.done", "output_index": 0, "item": thought("xyz".into()) }),
        delta("response.output_text.delta", 1, "Yes."),
        json!({ "type": "response.completed", "response": { "status": "completed" } }),
    ]);
    assert_eq!(streamed(Dialect::OpenAiResponses, &stream).parts, answer.parts);
}

#[test]
fn gemini_signatures_go_back_on_the_part_they_came_on() {
    let parts = json!([
        { "text": "I think.", "thought": true },
        { "text": "First.", "thoughtSignature": "s0" },
        { "text": "Second." },
        { "functionCall": { "name": "look", "args": { "a": 1 } }, "thoughtSignature": "s1" },
        { "functionCall": { "id": "own", "name": "smell", "args": {} } },
    ]);
    let body = json!({ "candidates": [{ "content": { "parts": parts }, "finishReason": "STOP" }] });
    for dialect in [Dialect::Gemini, Dialect::VertexAi] {
        let answer = whole(dialect, &body);
        assert_eq!((thought(&answer), answer.text().as_str()), ("I think.", "First.Second."));
        let sent = encoded(dialect, &after(&answer));
        assert_eq!(sent["contents"][1]["parts"].to_string(), parts.to_string(), "byte by byte");
    }
    let chunk = |part: Value| json!({ "candidates": [{ "content": { "parts": [part] } }] });
    let stream = events(&[
        chunk(json!({ "text": "I ", "thought": true })),
        chunk(json!({ "text": "think.", "thought": true })),
        chunk(json!({ "text": "Fir" })),
        chunk(json!({ "text": "st." })),
        chunk(json!({ "text": "", "thoughtSignature": "s0" })),
        chunk(json!({ "text": "Second." })),
        chunk(parts[3].clone()),
        chunk(parts[4].clone()),
        json!({ "candidates": [{ "finishReason": "STOP" }] }),
    ]);
    assert_eq!(streamed(Dialect::Gemini, &stream).parts, whole(Dialect::Gemini, &body).parts);
}

#[test]
fn bedrock_thoughts_go_back_with_their_signature() {
    let blocks = json!([
        { "reasoningContent": { "reasoningText": { "text": "Hm.", "signature": "s1" } } },
        { "reasoningContent": { "redactedContent": "eHl6" } },
        { "text": "Yes." },
    ]);
    let answer =
        whole(Dialect::Bedrock, &json!({ "output": { "message": { "content": blocks } }, "stopReason": "end_turn" }));
    assert_eq!(encoded(Dialect::Bedrock, &after(&answer))["messages"][1]["content"].to_string(), blocks.to_string());
    let delta = |index: u64, delta: Value| {
        aws_frame(
            ":event-type",
            "contentBlockDelta",
            &json!({ "contentBlockIndex": index, "delta": delta }).to_string(),
        )
    };
    let stream = [
        delta(0, json!({ "reasoningContent": { "text": "H" } })),
        delta(0, json!({ "reasoningContent": { "text": "m." } })),
        delta(0, json!({ "reasoningContent": { "signature": "s1" } })),
        delta(1, json!({ "reasoningContent": { "redactedContent": "eHl6" } })),
        delta(2, json!({ "text": "Yes." })),
        aws_frame(":event-type", "messageStop", "{\"stopReason\":\"end_turn\"}"),
    ];
    assert_eq!(streamed(Dialect::Bedrock, &stream.concat()).parts, answer.parts);
}

#[test]
fn deepseek_thoughts_go_back_with_calls_only() {
    let message = |calls: Value| {
        json!({ "choices": [{ "finish_reason": "stop",
        "message": { "content": "Yes.", "reasoning_content": "Hm.", "tool_calls": calls } }] })
    };
    let plain = whole(Dialect::DeepSeek, &message(Value::Null));
    assert_eq!(thought(&plain), "Hm.");
    assert_eq!(encoded(Dialect::DeepSeek, &after(&plain))["messages"][1].get("reasoning_content"), None);
    let calls = json!([{ "id": "1", "function": { "name": "look", "arguments": "{}" } }]);
    let called = whole(Dialect::DeepSeek, &message(calls));
    assert_eq!(encoded(Dialect::DeepSeek, &after(&called))["messages"][1]["reasoning_content"], "Hm.");
}

#[test]
fn deepseek_call_without_a_thought_has_an_empty_one() {
    let call = crate::support::call("1", "look", json!({}));
    let mut request = after(&Answer { parts: vec![call], ..empty() });
    assert_eq!(encoded(Dialect::DeepSeek, &request)["messages"][1].get("reasoning_content"), None);
    request.thinking = Thinking::On { budget_tokens: None, shown: false };
    let sent = encoded(Dialect::DeepSeek, &request);
    assert_eq!(
        (&sent["thinking"], &sent["messages"][1]["reasoning_content"]),
        (&json!({ "type": "enabled" }), &json!(""))
    );
}

fn empty() -> Answer {
    Answer { id: None, model: None, parts: Vec::new(), finish: Finish::Stop, finish_word: String::new(), usage: None }
}

#[test]
fn openrouter_details_go_back_put_together() {
    let chunk = |delta: Value| json!({ "choices": [{ "index": 0, "delta": delta }] });
    let detail = |index: u64, text: &str, signature: Value| {
        let format = "anthropic-claude-v1";
        json!([{ "type": "reasoning.text", "text": text, "signature": signature, "index": index, "format": format }])
    };
    let stream = events(&[
        chunk(json!({ "reasoning": "H", "reasoning_details": detail(0, "H", Value::Null) })),
        chunk(json!({ "reasoning": "m.", "reasoning_details": detail(0, "m.", Value::Null) })),
        chunk(json!({ "reasoning_details": detail(0, "", "s1".into()) })),
        chunk(json!({ "reasoning_details": [{ "type": "reasoning.encrypted", "data": "x", "index": 1 }] })),
        chunk(json!({ "content": "Yes." })),
        json!({ "choices": [{ "index": 0, "delta": {}, "finish_reason": "stop" }] }),
    ]);
    let answer = streamed(Dialect::OpenRouter, &stream);
    assert_eq!(thought(&answer), "Hm.");
    let expected = json!([
        { "type": "reasoning.text", "text": "Hm.", "signature": "s1", "index": 0, "format": "anthropic-claude-v1" },
        { "type": "reasoning.encrypted", "data": "x", "index": 1 },
    ]);
    assert_eq!(encoded(Dialect::OpenRouter, &after(&answer))["messages"][1]["reasoning_details"], expected);
}

#[test]
fn openrouter_thoughts_between_texts_all_go_back() {
    let thought = |index: u64| {
        let json = json!({ "reasoning_details": [{ "type": "reasoning.encrypted", "data": "x", "index": index }] });
        AnswerPart::Thinking { text: String::new(), verbatim: Verbatim { origin: Dialect::OpenRouter, json } }
    };
    let answer = Answer { parts: vec![thought(0), AnswerPart::text("Yes."), thought(1)], ..empty() };
    let sent = encoded(Dialect::OpenRouter, &after(&answer));
    assert_eq!(sent["messages"][1]["reasoning_details"].as_array().map(Vec::len), Some(2));
}

#[test]
fn mistral_and_ollama_thoughts_go_back_where_they_stood() {
    let pieces = json!([{ "type": "thinking", "thinking": [{ "type": "text", "text": "Hm." }] }, { "type": "text", "text": "Yes." }]);
    let body = json!({ "choices": [{ "message": { "content": pieces }, "finish_reason": "stop" }] });
    let answer = whole(Dialect::Mistral, &body);
    assert_eq!((thought(&answer), answer.text().as_str()), ("Hm.", "Yes."));
    assert_eq!(encoded(Dialect::Mistral, &after(&answer))["messages"][1]["content"], pieces);

    let answer = whole(Dialect::Ollama, &json!({ "message": { "content": "Yes.", "thinking": "Hm." }, "done": true }));
    assert_eq!(encoded(Dialect::Ollama, &after(&answer))["messages"][1]["thinking"], "Hm.");
}

#[test]
fn thoughts_go_to_nobody_else() {
    for origin in Dialect::ALL {
        let verbatim = Verbatim { origin, json: json!({ "type": "thinking", "secretThought": "x" }) };
        let parts = vec![
            AnswerPart::Thinking { text: "secretThought".into(), verbatim: verbatim.clone() },
            AnswerPart::Text { text: "Yes.".into(), verbatim: Some(verbatim.clone()) },
            AnswerPart::ToolCall(ToolCall {
                id: "123456789".into(),
                name: "look".into(),
                arguments: json!({}),
                verbatim: Some(verbatim),
            }),
        ];
        for dialect in Dialect::ALL.into_iter().filter(|dialect| *dialect != origin) {
            let sent = encoded(dialect, &after(&Answer { parts: parts.clone(), ..empty() })).to_string();
            assert!(!sent.contains("secretThought") && sent.contains("Yes."), "{origin:?} to {dialect:?}: {sent}");
        }
    }
}

#[test]
fn ids_made_here_are_not_sent_to_who_gave_none() {
    let call = crate::support::call("sluice_call_0", "look", json!({}));
    let result = ToolResult { id: "sluice_call_0".into(), name: "look".into(), content: "[1]".into(), is_error: false };
    let messages = vec![Message::Assistant { parts: vec![call] }, Message::Tool { results: vec![result] }];
    let sent = encoded(Dialect::Gemini, &Request { messages, ..conversation() });
    assert_eq!(sent["contents"][0]["parts"][0]["functionCall"], json!({ "name": "look", "args": {} }));
    assert_eq!(
        sent["contents"][1]["parts"][0]["functionResponse"],
        json!({ "name": "look", "response": { "result": [1] } })
    );
}

#[test]
fn thinking_is_switched_where_there_is_a_switch() {
    let sent = |dialect, thinking| encoded(dialect, &Request { thinking, ..conversation() });
    let on = Thinking::On { budget_tokens: Some(2_048), shown: true };
    let expected = json!({ "thinkingConfig": { "thinkingBudget": 2_048, "includeThoughts": true } });
    assert_eq!(sent(Dialect::Gemini, on.clone())["generationConfig"], expected);
    assert_eq!(
        sent(Dialect::Gemini, Thinking::Off)["generationConfig"],
        json!({ "thinkingConfig": { "thinkingBudget": 0 } })
    );
    assert_eq!(sent(Dialect::Ollama, on.clone())["think"], true);
    assert_eq!(sent(Dialect::Ollama, Thinking::Off)["think"], false);
    assert_eq!(sent(Dialect::OpenRouter, on.clone())["reasoning"], json!({ "max_tokens": 2_048, "exclude": false }));
    assert_eq!(sent(Dialect::DeepSeek, Thinking::Off)["thinking"], json!({ "type": "disabled" }));
    for dialect in Dialect::ALL {
        let unasked = sent(dialect, Thinking::Unasked).to_string();
        assert!(!unasked.contains("think") && !unasked.contains("reason"), "{dialect:?}: {unasked}");
    }
    let claude = Request { model: "anthropic.claude-opus-4-1".into(), thinking: on, ..conversation() };
    let expected = json!({ "thinking": { "type": "enabled", "budget_tokens": 2_048 } });
    assert_eq!(encoded(Dialect::Bedrock, &claude)["additionalModelRequestFields"], expected);
}
