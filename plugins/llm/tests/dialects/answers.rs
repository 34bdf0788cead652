//! Whole answers: what they say, why they ended, what they cost.

use llm::message::{Answer, AnswerPart, Finish, Usage};
use llm::{Dialect, Kind, ProviderError};
use serde_json::{Value, json};

use crate::transcripts::all;

fn decode(dialect: Dialect, body: &str) -> Result<Answer, ProviderError> {
    dialect.codec().decode_response(200, &[], body.as_bytes())
}

fn openai(message: Value, finish: &str) -> String {
    json!({ "id": "x", "choices": [{ "index": 0, "message": message, "finish_reason": finish }] }).to_string()
}

#[test]
fn whole_answer_says_what_its_stream_says() {
    for transcript in all() {
        let answer = decode(transcript.dialect, &transcript.whole.to_string());
        assert_eq!(answer, Ok(transcript.expected), "{:?}", transcript.dialect);
    }
}

#[test]
fn blank_lines_before_an_answer_do_not_count() {
    for transcript in all() {
        let body = format!("\n\n   \r\n\n{}\n", transcript.whole);
        assert_eq!(decode(transcript.dialect, &body), Ok(transcript.expected), "{:?}", transcript.dialect);
    }
}

#[test]
fn cut_body_is_truncated_and_other_bodies_are_malformed() {
    for transcript in all() {
        let body = transcript.whole.to_string();
        for cut in ["", "\n\n\n", &body[..40], &body[..body.len() - 1]] {
            let error = decode(transcript.dialect, cut).expect_err("cut");
            assert_eq!(error.kind, Kind::Truncated, "{:?}: {cut}", transcript.dialect);
        }
        for wrong in ["<html>", "{}", "[]", "null", "{\"hello\":\"world\"}"] {
            let error = decode(transcript.dialect, wrong).expect_err("no answer");
            assert_eq!(error.kind, Kind::Malformed, "{:?}: {wrong}", transcript.dialect);
        }
    }
}

#[test]
fn ends_are_told_apart() {
    let anthropic =
        |word: &str| json!({ "content": [{ "type": "text", "text": "x" }], "stop_reason": word }).to_string();
    let google = |word: &str| {
        json!({ "candidates": [{ "content": { "parts": [{ "text": "x" }] }, "finishReason": word }] }).to_string()
    };
    let bedrock = |word: &str| {
        json!({ "output": { "message": { "content": [{ "text": "x" }] } }, "stopReason": word }).to_string()
    };
    let ollama = |word: &str| json!({ "message": { "content": "x" }, "done": true, "done_reason": word }).to_string();
    let text = |word: &str| openai(json!({ "content": "x" }), word);
    for (dialect, body, word, finish) in [
        (Dialect::OpenAi, &text as &dyn Fn(&str) -> String, "stop", Finish::Stop),
        (Dialect::OpenAi, &text, "length", Finish::Length),
        (Dialect::OpenAi, &text, "tool_calls", Finish::ToolCalls),
        (Dialect::OpenAi, &text, "function_call", Finish::ToolCalls),
        (Dialect::AzureOpenAi, &text, "content_filter", Finish::ContentFilter),
        (Dialect::Mistral, &text, "model_length", Finish::Length),
        (Dialect::OpenRouter, &text, "tomorrow", Finish::Other),
        (Dialect::Anthropic, &anthropic, "end_turn", Finish::Stop),
        (Dialect::Anthropic, &anthropic, "stop_sequence", Finish::Stop),
        (Dialect::Anthropic, &anthropic, "max_tokens", Finish::Length),
        (Dialect::Anthropic, &anthropic, "tool_use", Finish::ToolCalls),
        (Dialect::Anthropic, &anthropic, "refusal", Finish::Refusal),
        (Dialect::Anthropic, &anthropic, "pause_turn", Finish::Other),
        (Dialect::Gemini, &google, "STOP", Finish::Stop),
        (Dialect::Gemini, &google, "MAX_TOKENS", Finish::Length),
        (Dialect::VertexAi, &google, "SAFETY", Finish::ContentFilter),
        (Dialect::Gemini, &google, "RECITATION", Finish::ContentFilter),
        (Dialect::Gemini, &google, "MALFORMED_FUNCTION_CALL", Finish::Other),
        (Dialect::Bedrock, &bedrock, "end_turn", Finish::Stop),
        (Dialect::Bedrock, &bedrock, "stop_sequence", Finish::Stop),
        (Dialect::Bedrock, &bedrock, "max_tokens", Finish::Length),
        (Dialect::Bedrock, &bedrock, "guardrail_intervened", Finish::ContentFilter),
        (Dialect::Bedrock, &bedrock, "content_filtered", Finish::ContentFilter),
        (Dialect::Ollama, &ollama, "stop", Finish::Stop),
        (Dialect::Ollama, &ollama, "length", Finish::Length),
        (Dialect::Ollama, &ollama, "load", Finish::Other),
    ] {
        let answer = decode(dialect, &body(word)).expect("an answer");
        assert_eq!((answer.finish, answer.finish_word.as_str()), (finish, word), "{dialect:?}");
    }
}

#[test]
fn responses_say_in_two_places_why_they_ended() {
    let said = |status: &str, reason: Value| {
        let content = json!([{ "type": "output_text", "text": "x" }, { "type": "refusal", "refusal": "y" }]);
        json!({ "status": status, "output": [{ "type": "message", "content": content }], "incomplete_details": reason })
    };
    for (status, reason, finish) in [
        ("completed", Value::Null, Finish::Refusal),
        ("incomplete", json!({ "reason": "max_output_tokens" }), Finish::Length),
        ("incomplete", json!({ "reason": "content_filter" }), Finish::ContentFilter),
        ("cancelled", Value::Null, Finish::Other),
    ] {
        let answer = decode(Dialect::OpenAiResponses, &said(status, reason).to_string()).expect("an answer");
        assert_eq!((answer.finish, answer.text().as_str()), (finish, "xy"), "{status}");
    }
    let failed = json!({ "status": "failed", "output": [], "error": { "code": "server_error", "message": "sorry" } });
    let error = decode(Dialect::OpenAiResponses, &failed.to_string()).expect_err("it failed");
    assert_eq!((error.kind, error.message()), (Kind::Server, "sorry"));
}

#[test]
fn refusal_is_a_text_and_no_answer() {
    let answer = decode(Dialect::OpenAi, &openai(json!({ "content": null, "refusal": "I will not." }), "stop"))
        .expect("an answer");
    assert_eq!((answer.finish, answer.text().as_str()), (Finish::Refusal, "I will not."));
}

#[test]
fn call_that_ends_like_an_answer_is_a_call() {
    let calls = json!({ "content": null, "tool_calls": [{ "function": { "name": "look", "arguments": "{}" } }] });
    let answer = decode(Dialect::OpenAi, &openai(calls, "stop")).expect("an answer");
    assert_eq!(answer.finish, Finish::ToolCalls);
    assert_eq!(answer.tool_calls().next().map(|call| call.id.as_str()), Some("sluice_call_0"), "it had no id");
}

#[test]
fn arguments_that_are_no_json_are_kept_as_text() {
    let calls = json!({ "tool_calls": [{ "id": "1", "function": { "name": "look", "arguments": "{\"a\": " } }] });
    let answer = decode(Dialect::OpenAi, &openai(calls, "length")).expect("an answer");
    assert_eq!(answer.tool_calls().next().map(|call| call.arguments.clone()), Some(json!("{\"a\": ")));
    assert_eq!(answer.finish, Finish::Length);
}

#[test]
fn error_in_a_body_that_promised_an_answer_is_an_error() {
    let beside = json!({ "error": { "code": 429, "message": "slow down" }, "choices": [] });
    let inside = json!({ "choices": [{ "index": 0, "error": { "code": 402, "message": "no credits" }, "message": { "content": "Hal" } }] });
    let object = json!({ "object": "error", "message": "no", "type": "x" });
    for (body, kind) in
        [(beside, Kind::RateLimited { retry_after_ms: None }), (inside, Kind::QuotaExhausted), (object, Kind::Server)]
    {
        assert_eq!(decode(Dialect::OpenRouter, &body.to_string()).expect_err("an error").kind, kind);
    }
    let null = openai(json!({ "content": "x" }), "stop").replace("\"id\"", "\"error\":null,\"id\"");
    assert!(decode(Dialect::OpenRouter, &null).is_ok());
}

#[test]
fn usage_counts_all_of_input_and_output() {
    let usage = |body: Value| decode(Dialect::DeepSeek, &body.to_string()).expect("an answer").usage;
    let mut body = json!({ "choices": [{ "message": { "content": "x" }, "finish_reason": "stop" }],
        "usage": { "prompt_tokens": 10, "completion_tokens": 2, "prompt_cache_hit_tokens": 4, "prompt_cache_miss_tokens": 6 } });
    let expected = Usage { input_tokens: 10, output_tokens: 2, cached_tokens: 4, ..Usage::default() };
    assert_eq!(usage(body.clone()), Some(expected));
    body["usage"] = json!({ "prompt_tokens": 1, "completion_tokens": 2, "cost": 0.25 });
    assert_eq!(usage(body.clone()).and_then(|usage| usage.cost), Some(0.25));
    body["usage"] = Value::Null;
    assert_eq!(usage(body), None, "nothing was said, which is not nothing");
}

#[test]
fn empty_stop_of_gemini_is_asked_again() {
    for parts in [json!([]), json!([{ "text": "" }]), json!([{ "text": "hm", "thought": true }])] {
        let body =
            json!({ "candidates": [{ "content": { "parts": parts }, "finishReason": "STOP" }], "usageMetadata": {} });
        let error = decode(Dialect::Gemini, &body.to_string()).expect_err("nothing was said");
        assert!(error.kind == Kind::Server && error.retryable(), "{error}");
    }
    // Thoughts that used up all tokens are an answer, as bad as it is.
    let spent = json!({ "candidates": [{ "finishReason": "MAX_TOKENS" }], "usageMetadata": {} });
    assert_eq!(decode(Dialect::Gemini, &spent.to_string()).expect("an answer").finish, Finish::Length);
}

#[test]
fn blocked_prompt_of_gemini_is_filtered() {
    let body = json!({ "promptFeedback": { "blockReason": "PROHIBITED_CONTENT" }, "usageMetadata": { "promptTokenCount": 3 } });
    let answer = decode(Dialect::VertexAi, &body.to_string()).expect("an answer");
    assert_eq!(
        (answer.finish, answer.parts, answer.usage.map(|usage| usage.input_tokens)),
        (Finish::ContentFilter, vec![], Some(3))
    );
}

#[test]
fn content_may_come_in_pieces() {
    let body = openai(
        json!({ "content": [{ "type": "text", "text": "a" }, { "type": "reference" }, { "type": "text", "text": "b" }] }),
        "stop",
    );
    assert_eq!(decode(Dialect::Mistral, &body).expect("an answer").parts, [AnswerPart::text("ab")]);
}
