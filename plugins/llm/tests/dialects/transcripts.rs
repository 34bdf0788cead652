//! The same answer from every provider, whole and as a stream: a text with a letter that several bytes make, and two calls.

use llm::Dialect;
use llm::message::*;
use serde_json::{Value, json};

use crate::support::call;

pub struct Transcript {
    pub dialect: Dialect,
    pub whole: Value,
    pub stream: Vec<u8>,
    pub expected: Answer,
}

/// Ids as the provider gives them, or as they are made for one that gives none.
fn expected(ids: [&str; 2], word: &str, usage: Usage, finish: Finish) -> Answer {
    Answer {
        id: Some("a1".into()),
        model: Some("m1".into()),
        parts: vec![
            AnswerPart::text("Größe: 5 €"),
            call(ids[0], "look", json!({ "at": "ü" })),
            call(ids[1], "smell", json!({})),
        ],
        finish,
        finish_word: word.into(),
        usage: Some(usage),
    }
}

const USAGE: Usage = Usage { input_tokens: 30, output_tokens: 12, cached_tokens: 20, thinking_tokens: 5, cost: None };

/// Server-sent events, one for each of these.
pub fn events(data: &[Value]) -> Vec<u8> {
    data.iter().map(|data| format!("data: {data}\n\n")).collect::<String>().into_bytes()
}

pub fn aws_frame(kind: &str, name: &str, payload: &str) -> Vec<u8> {
    let mut headers = Vec::new();
    for (header, value) in [(":message-type", if kind == ":event-type" { "event" } else { "exception" }), (kind, name)]
    {
        headers.push(header.len() as u8);
        headers.extend(header.bytes());
        headers.push(7);
        headers.extend((value.len() as u16).to_be_bytes());
        headers.extend(value.bytes());
    }
    let length = (16 + headers.len() + payload.len()) as u32;
    let mut frame = [length.to_be_bytes(), (headers.len() as u32).to_be_bytes()].concat();
    frame.extend(crc32fast::hash(&frame).to_be_bytes());
    frame.extend(headers);
    frame.extend(payload.bytes());
    frame.extend(crc32fast::hash(&frame).to_be_bytes());
    frame
}

fn openai_like(dialect: Dialect) -> Transcript {
    let usage = json!({
        "prompt_tokens": 30, "completion_tokens": 12, "total_tokens": 42,
        "prompt_tokens_details": { "cached_tokens": 20 }, "completion_tokens_details": { "reasoning_tokens": 5 },
    });
    let calls = json!([
        { "id": "call_1", "type": "function", "function": { "name": "look", "arguments": "{\"at\":\"ü\"}" } },
        { "id": "call_2", "type": "function", "function": { "name": "smell", "arguments": "" } },
    ]);
    let whole = json!({
        "id": "a1", "object": "chat.completion", "created": 1, "model": "m1", "unknown": [1],
        "choices": [{ "index": 0, "finish_reason": "tool_calls",
            "message": { "role": "assistant", "content": "Größe: 5 €", "refusal": null, "tool_calls": calls } }],
        "usage": usage,
    });
    let chunk = |delta: Value, finish: Value| {
        let choice = json!({ "index": 0, "delta": delta, "finish_reason": finish });
        json!({ "id": "a1", "object": "chat.completion.chunk", "model": "m1", "choices": [choice] })
    };
    let fragment =
        |index: u64, json: &str| json!({ "tool_calls": [{ "index": index, "function": { "arguments": json } }] });
    let begun = |index: u64, id: &str, name: &str| {
        let function = json!({ "name": name, "arguments": "" });
        json!({ "tool_calls": [{ "index": index, "id": id, "type": "function", "function": function }] })
    };
    let mut stream = b": OPENROUTER PROCESSING\n\n: keep-alive\r\n\r\n".to_vec();
    stream.extend(events(&[
        json!({ "id": "", "object": "chat.completion.chunk", "choices": [], "prompt_filter_results": [] }),
        chunk(json!({ "role": "assistant", "content": "" }), Value::Null),
        chunk(json!({ "content": "Größ" }), Value::Null),
        chunk(json!({ "content": "e: 5 €" }), Value::Null),
        chunk(begun(0, "call_1", "look"), Value::Null),
        chunk(fragment(0, "{\"at\":"), Value::Null),
        chunk(begun(1, "call_2", "smell"), Value::Null),
        chunk(fragment(0, "\"ü\"}"), Value::Null),
        chunk(json!({}), "tool_calls".into()),
        json!({ "id": "a1", "model": "m1", "choices": [], "usage": usage }),
    ]));
    stream.extend(b"data: [DONE]\n\n");
    let expected = expected(["call_1", "call_2"], "tool_calls", USAGE, Finish::ToolCalls);
    Transcript { dialect, whole, stream, expected }
}

fn responses() -> Transcript {
    let usage = json!({ "input_tokens": 30, "input_tokens_details": { "cached_tokens": 20 }, "output_tokens": 12,
        "output_tokens_details": { "reasoning_tokens": 5 }, "total_tokens": 42 });
    let call = |id: &str, name: &str, arguments: &str| {
        let kind = "function_call";
        json!({ "type": kind, "id": "fc", "call_id": id, "name": name, "arguments": arguments })
    };
    let message = json!({ "type": "message", "id": "msg", "role": "assistant",
        "content": [{ "type": "output_text", "text": "Größe: 5 €", "annotations": [] }] });
    let calls = [call("call_1", "look", "{\"at\":\"ü\"}"), call("call_2", "smell", "{}")];
    let whole = json!({
        "id": "a1", "object": "response", "status": "completed", "error": null, "incomplete_details": null, "model": "m1",
        "output": [message, calls[0], calls[1]], "usage": usage,
    });
    let item = |kind: &str, index: u64, item: &Value| json!({ "type": kind, "output_index": index, "item": item });
    let delta = |kind: &str, index: u64, delta: &str| json!({ "type": kind, "output_index": index, "delta": delta });
    let (added, done) = ("response.output_item.added", "response.output_item.done");
    let (text, arguments) = ("response.output_text.delta", "response.function_call_arguments.delta");
    let stream = events(&[
        json!({ "type": "response.created", "response": { "id": "a1", "status": "in_progress", "error": null } }),
        item(added, 0, &json!({ "type": "message", "content": [] })),
        delta(text, 0, "Größ"),
        delta(text, 0, "e: 5 €"),
        json!({ "type": "response.output_text.done", "output_index": 0, "text": "Größe: 5 €" }),
        item(done, 0, &message),
        item(added, 1, &call("call_1", "look", "")),
        delta(arguments, 1, "{\"at\":"),
        delta(arguments, 1, "\"ü\"}"),
        item(done, 1, &calls[0]),
        item(added, 2, &call("call_2", "smell", "")),
        delta(arguments, 2, "{}"),
        item(done, 2, &calls[1]),
        json!({ "type": "response.completed", "response": whole }),
    ]);
    let expected = expected(["call_1", "call_2"], "completed", USAGE, Finish::ToolCalls);
    Transcript { dialect: Dialect::OpenAiResponses, whole, stream, expected }
}

fn anthropic() -> Transcript {
    let whole = json!({
        "id": "a1", "type": "message", "role": "assistant", "model": "m1", "stop_reason": "tool_use", "stop_sequence": null,
        "content": [
            { "type": "text", "text": "Größe: 5 €" },
            { "type": "tool_use", "id": "call_1", "name": "look", "input": { "at": "ü" } },
            { "type": "tool_use", "id": "call_2", "name": "smell", "input": {} },
        ],
        "usage": { "input_tokens": 7, "cache_creation_input_tokens": 3, "cache_read_input_tokens": 20, "output_tokens": 12,
            "output_tokens_details": { "thinking_tokens": 5 } },
    });
    let started = json!({ "id": "a1", "model": "m1", "content": [], "usage": {
        "input_tokens": 7, "cache_creation_input_tokens": 3, "cache_read_input_tokens": 20, "output_tokens": 1 } });
    let delta = |index: u64, delta: Value| json!({ "type": "content_block_delta", "index": index, "delta": delta });
    let start =
        |index: u64, block: Value| json!({ "type": "content_block_start", "index": index, "content_block": block });
    let said = [
        json!({ "type": "message_start", "message": started }),
        start(0, json!({ "type": "text", "text": "" })),
        json!({ "type": "ping" }),
        delta(0, json!({ "type": "text_delta", "text": "Größ" })),
        delta(0, json!({ "type": "text_delta", "text": "e: 5 €" })),
        json!({ "type": "content_block_stop", "index": 0 }),
        start(1, json!({ "type": "tool_use", "id": "call_1", "name": "look", "input": {} })),
        delta(1, json!({ "type": "input_json_delta", "partial_json": "" })),
        delta(1, json!({ "type": "input_json_delta", "partial_json": "{\"at\": \"" })),
        delta(1, json!({ "type": "input_json_delta", "partial_json": "ü\"}" })),
        json!({ "type": "content_block_stop", "index": 1 }),
        start(2, json!({ "type": "tool_use", "id": "call_2", "name": "smell", "input": {} })),
        json!({ "type": "content_block_stop", "index": 2 }),
        json!({ "type": "message_delta", "delta": { "stop_reason": "tool_use" },
            "usage": { "output_tokens": 12, "output_tokens_details": { "thinking_tokens": 5 } } }),
        json!({ "type": "message_stop" }),
        json!({ "type": "an_event_of_tomorrow" }),
    ];
    let stream: String = said
        .iter()
        .map(|event| format!("event: {}\ndata: {event}\n\n", event["type"].as_str().unwrap_or_default()))
        .collect();
    let expected = expected(["call_1", "call_2"], "tool_use", USAGE, Finish::ToolCalls);
    Transcript { dialect: Dialect::Anthropic, whole, stream: stream.into_bytes(), expected }
}

fn google(dialect: Dialect) -> Transcript {
    let usage = json!({ "promptTokenCount": 28, "toolUsePromptTokenCount": 2, "candidatesTokenCount": 7, "thoughtsTokenCount": 5,
        "cachedContentTokenCount": 20, "totalTokenCount": 42 });
    let calls = [
        json!({ "functionCall": { "name": "look", "args": { "at": "ü" } } }),
        json!({ "functionCall": { "name": "smell", "args": {} } }),
    ];
    let parts = |parts: Vec<Value>| json!({ "role": "model", "parts": parts });
    let whole = json!({
        "candidates": [{ "index": 0, "finishReason": "STOP",
            "content": parts(vec![json!({ "text": "Größe: 5 €" }), calls[0].clone(), calls[1].clone()]) }],
        "usageMetadata": usage, "modelVersion": "m1", "responseId": "a1",
    });
    let chunk = |said: Vec<Value>| {
        let candidates = json!([{ "content": parts(said) }]);
        let usage = json!({ "promptTokenCount": 28 });
        json!({ "candidates": candidates, "usageMetadata": usage, "modelVersion": "m1", "responseId": "a1" })
    };
    let stream = events(&[
        chunk(vec![json!({ "text": "Größ" })]),
        chunk(vec![json!({ "text": "e: 5 €" }), calls[0].clone()]),
        json!({ "modelVersion": "m1", "responseId": "a1", "somethingOfTomorrow": {} }),
        chunk(vec![calls[1].clone()]),
        json!({ "candidates": [{ "content": parts(vec![json!({ "text": "" })]), "finishReason": "STOP" }], "usageMetadata": usage }),
    ]);
    // A call ends like any answer here.
    let expected = expected(["sluice_call_0", "sluice_call_1"], "STOP", USAGE, Finish::ToolCalls);
    Transcript { dialect, whole, stream, expected }
}

fn ollama() -> Transcript {
    let calls = json!([
        { "function": { "name": "look", "arguments": { "at": "ü" } } },
        { "function": { "name": "smell", "arguments": {} } },
    ]);
    let end =
        json!({ "done": true, "done_reason": "stop", "prompt_eval_count": 30, "eval_count": 12, "total_duration": 1 });
    let with = |message: Value, end: &Value| {
        let mut line = json!({ "model": "m1", "created_at": "x", "message": message, "done": false });
        let fields = line.as_object_mut().expect("an object");
        fields.extend(end.as_object().cloned().unwrap_or_default());
        line
    };
    let whole = with(json!({ "role": "assistant", "content": "Größe: 5 €", "tool_calls": calls }), &end);
    let lines = [
        with(json!({ "role": "assistant", "content": "Größ" }), &Value::Null),
        with(json!({ "role": "assistant", "content": "e: 5 €" }), &Value::Null),
        with(json!({ "role": "assistant", "content": "", "tool_calls": calls }), &Value::Null),
        with(json!({ "role": "assistant", "content": "" }), &end),
    ];
    let stream: String = lines.iter().map(|line| format!("{line}\n")).collect();
    let usage = Usage { input_tokens: 30, output_tokens: 12, ..Usage::default() };
    let expected =
        Answer { id: None, ..expected(["sluice_call_0", "sluice_call_1"], "stop", usage, Finish::ToolCalls) };
    Transcript { dialect: Dialect::Ollama, whole, stream: stream.into_bytes(), expected }
}

fn bedrock() -> Transcript {
    let usage = json!({ "inputTokens": 7, "outputTokens": 12, "totalTokens": 19, "cacheReadInputTokens": 20, "cacheWriteInputTokens": 3 });
    let whole = json!({
        "output": { "message": { "role": "assistant", "content": [
            { "text": "Größe: 5 €" },
            { "toolUse": { "toolUseId": "call_1", "name": "look", "input": { "at": "ü" } } },
            { "toolUse": { "toolUseId": "call_2", "name": "smell", "input": {} } },
        ] } },
        "stopReason": "tool_use", "usage": usage, "metrics": { "latencyMs": 1 },
    });
    let delta = |index: u64, delta: Value| ("contentBlockDelta", json!({ "contentBlockIndex": index, "delta": delta }));
    let start = |index: u64, id: &str, name: &str| {
        (
            "contentBlockStart",
            json!({ "contentBlockIndex": index, "start": { "toolUse": { "toolUseId": id, "name": name } } }),
        )
    };
    let said = [
        ("messageStart", json!({ "role": "assistant" })),
        delta(0, json!({ "text": "Größ" })),
        delta(0, json!({ "text": "e: 5 €" })),
        ("contentBlockStop", json!({ "contentBlockIndex": 0 })),
        start(1, "call_1", "look"),
        delta(1, json!({ "toolUse": { "input": "{\"at\": \"" } })),
        delta(1, json!({ "toolUse": { "input": "ü\"}" } })),
        ("contentBlockStop", json!({ "contentBlockIndex": 1 })),
        start(2, "call_2", "smell"),
        ("contentBlockStop", json!({ "contentBlockIndex": 2 })),
        ("messageStop", json!({ "stopReason": "tool_use" })),
        ("metadata", json!({ "usage": usage, "metrics": { "latencyMs": 1 } })),
    ];
    let stream = said.iter().flat_map(|(name, data)| aws_frame(":event-type", name, &data.to_string())).collect();
    let usage = Usage { thinking_tokens: 0, ..USAGE };
    let expected =
        Answer { id: None, model: None, ..expected(["call_1", "call_2"], "tool_use", usage, Finish::ToolCalls) };
    Transcript { dialect: Dialect::Bedrock, whole, stream, expected }
}

pub fn all() -> Vec<Transcript> {
    let all = Dialect::ALL.map(|dialect| match dialect {
        Dialect::OpenAiResponses => responses(),
        Dialect::Anthropic => anthropic(),
        Dialect::Gemini | Dialect::VertexAi => google(dialect),
        Dialect::Bedrock => bedrock(),
        Dialect::Ollama => ollama(),
        _ => openai_like(dialect),
    });
    all.into()
}
