//! Streams: however the bytes are cut, the answer is the same, and one that ends early is never taken for a whole one.

use llm::message::{Answer, AnswerPart, Finish, Part};
use llm::{Dialect, Kind, ProviderError, StreamDecoder};
use serde_json::json;

use crate::transcripts::{all, aws_frame, events};

pub fn decode(dialect: Dialect, pieces: &[&[u8]]) -> (Vec<Part>, Result<Answer, ProviderError>) {
    let mut decoder = StreamDecoder::new(dialect.codec());
    let mut parts: Vec<Part> = pieces.iter().flat_map(|piece| decoder.push(piece)).collect();
    let (rest, answer) = decoder.finish();
    parts.extend(rest);
    (parts, answer)
}

#[track_caller]
fn failed(dialect: Dialect, bytes: &[u8], kind: Kind, words: &str) {
    let error = decode(dialect, &[bytes]).1.expect_err("it failed");
    assert_eq!(error.kind, kind, "{error}");
    assert!(error.message().contains(words), "{error}");
}

#[test]
fn answer_is_the_same_wherever_the_bytes_are_cut() {
    for transcript in all() {
        let whole = decode(transcript.dialect, &[&transcript.stream]);
        assert_eq!(whole.1.as_ref(), Ok(&transcript.expected), "{:?}", transcript.dialect);
        for cut in 0..transcript.stream.len() {
            let (one, other) = transcript.stream.split_at(cut);
            assert_eq!(decode(transcript.dialect, &[one, other]), whole, "{:?} cut at {cut}", transcript.dialect);
        }
        let bytes: Vec<&[u8]> = transcript.stream.chunks(1).collect();
        assert_eq!(decode(transcript.dialect, &bytes), whole, "{:?} byte by byte", transcript.dialect);
    }
}

#[test]
fn early_end_is_truncated_or_lost_nothing_that_was_said() {
    for transcript in all() {
        let mut truncated = 0;
        for end in 0..transcript.stream.len() {
            match decode(transcript.dialect, &[&transcript.stream[..end]]).1 {
                Ok(answer) => {
                    assert_eq!(answer.parts, transcript.expected.parts, "{:?} up to {end}", transcript.dialect);
                    assert_eq!(answer.finish, transcript.expected.finish);
                }
                Err(error) => {
                    assert_eq!(error.kind, Kind::Truncated, "{:?} up to {end}: {error}", transcript.dialect);
                    assert!(error.retryable());
                    truncated += 1;
                }
            }
        }
        assert!(truncated > 100, "{:?}: most ends are early", transcript.dialect);
    }
}

#[test]
fn lines_may_end_with_both_or_with_either() {
    for transcript in all().into_iter().filter(|transcript| transcript.dialect != Dialect::Bedrock) {
        let text = String::from_utf8(transcript.stream).expect("text").replace("\r\n", "\n");
        for end in ["\r\n", "\r"] {
            let stream = text.replace('\n', end).into_bytes();
            let pieces: Vec<&[u8]> = stream.chunks(1).collect();
            assert_eq!(
                decode(transcript.dialect, &pieces).1.as_ref(),
                Ok(&transcript.expected),
                "{:?}",
                transcript.dialect
            );
        }
    }
}

#[test]
fn parts_say_what_the_answer_says() {
    for transcript in all() {
        let (parts, answer) = decode(transcript.dialect, &[&transcript.stream]);
        let answer = answer.expect("an answer");
        let text: String = parts.iter().map(|part| if let Part::Text { text } = part { text } else { "" }).collect();
        assert_eq!(text, answer.text(), "{:?}", transcript.dialect);
        for call in answer.tool_calls() {
            let begun = parts
                .iter()
                .filter(|part| matches!(part, Part::ToolCall { id, name } if *id == call.id && *name == call.name));
            assert_eq!(begun.count(), 1, "{:?}", transcript.dialect);
            let json: String = parts
                .iter()
                .map(|part| match part {
                    Part::Arguments { id, json } if *id == call.id => json.as_str(),
                    _ => "",
                })
                .collect();
            let said = if json.is_empty() { json!({}) } else { serde_json::from_str(&json).expect("JSON") };
            assert_eq!(said, call.arguments, "{:?}", transcript.dialect);
        }
    }
}

#[test]
fn error_within_a_stream_is_the_error() {
    let openrouter = [
        json!({ "choices": [{ "index": 0, "delta": { "content": "Hal" } }] }),
        json!({ "error": { "code": 502, "message": "upstream broke" }, "choices": [{ "index": 0, "delta": {}, "finish_reason": "error" }] }),
    ];
    failed(Dialect::OpenRouter, &events(&openrouter), Kind::Server, "upstream broke");
    let limited = [json!({ "error": { "code": 429, "message": "slow down" } })];
    failed(Dialect::OpenRouter, &events(&limited), Kind::RateLimited { retry_after_ms: None }, "slow down");
    let typed = [json!({ "type": "error", "code": "rate_limit_exceeded", "message": "try again in 2s" })];
    failed(Dialect::OpenAiResponses, &events(&typed), Kind::RateLimited { retry_after_ms: Some(2_000) }, "try again");
    let over = json!({ "status": "failed", "error": { "code": "server_error", "message": "sorry" } });
    let over = [json!({ "type": "response.failed", "response": over })];
    failed(Dialect::OpenAiResponses, &events(&over), Kind::Server, "sorry");
    let overloaded = [json!({ "type": "error", "error": { "type": "overloaded_error", "message": "Overloaded" } })];
    failed(Dialect::Anthropic, &events(&overloaded), Kind::Overloaded { retry_after_ms: None }, "Overloaded");
    let exhausted = [json!({ "error": { "code": 503, "message": "busy", "status": "UNAVAILABLE" } })];
    failed(Dialect::Gemini, &events(&exhausted), Kind::Overloaded { retry_after_ms: None }, "busy");
    let line =
        b"{\"model\":\"m\",\"message\":{\"content\":\"x\"},\"done\":false}\n{\"error\":\"an error was encountered\"}\n";
    failed(Dialect::Ollama, line, Kind::Server, "an error was encountered");
    failed(
        Dialect::OpenAi,
        b"{\"error\":{\"message\":\"bare\",\"code\":\"model_not_found\"}}",
        Kind::UnknownModel,
        "bare",
    );
    let gave_way =
        [json!({ "choices": [{ "index": 0, "delta": {}, "finish_reason": "insufficient_system_resource" }] })];
    failed(Dialect::DeepSeek, &events(&gave_way), Kind::Overloaded { retry_after_ms: None }, "resources");
}

#[test]
fn exceptions_of_bedrock_have_kinds() {
    for (name, kind) in [
        ("throttlingException", Kind::RateLimited { retry_after_ms: None }),
        ("validationException", Kind::BadRequest),
        ("modelStreamErrorException", Kind::Server),
        ("internalServerException", Kind::Server),
        ("serviceUnavailableException", Kind::Overloaded { retry_after_ms: None }),
        ("anExceptionOfTomorrowException", Kind::Server),
    ] {
        failed(Dialect::Bedrock, &aws_frame(":exception-type", name, "{\"message\":\"so it is\"}"), kind, "so it is");
    }
}

#[test]
fn wrong_checksum_of_bedrock_is_malformed() {
    let mut bytes = aws_frame(":event-type", "messageStart", "{\"role\":\"assistant\"}");
    let last = bytes.len() - 1;
    bytes[last] ^= 1;
    failed(Dialect::Bedrock, &bytes, Kind::Malformed, "checksum");
}

#[test]
fn answer_has_a_size_and_so_many_pieces() {
    let piece = |delta: serde_json::Value| events(&[json!({ "choices": [{ "index": 0, "delta": delta }] })]);
    let call = piece(json!({ "tool_calls": [{ "index": 1, "function": { "name": "x" } }] }));
    let calls: Vec<u8> = (0..5_000).flat_map(|_| call.clone()).collect();
    failed(Dialect::OpenAi, &calls, Kind::Truncated, "before its end");
    let other =
        |id: u64| piece(json!({ "tool_calls": [{ "index": 1, "id": id.to_string(), "function": { "name": "x" } }] }));
    let others: Vec<u8> = (0..5_000).flat_map(other).collect();
    failed(Dialect::OpenAi, &others, Kind::Malformed, "larger than");
    let text = piece(json!({ "content": "x".repeat(1 << 20) }));
    failed(Dialect::OpenAi, &text.repeat(33), Kind::Malformed, "larger than");
}

#[test]
fn nothing_comes_after_an_error() {
    let mut decoder = StreamDecoder::new(Dialect::OpenAi.codec());
    assert_eq!(decoder.push(b"data: not json\n\n"), []);
    assert!(decoder.has_failed());
    assert_eq!(
        decoder.push(&events(&[json!({ "choices": [{ "delta": { "content": "x" }, "finish_reason": "stop" }] })])),
        []
    );
    assert_eq!(decoder.finish().1.expect_err("it failed").kind, Kind::Malformed);
}

#[test]
fn stream_without_done_has_ended_if_it_says_why() {
    let said = json!({ "choices": [{ "index": 0, "delta": { "content": "x" }, "finish_reason": "stop" }] });
    assert_eq!(decode(Dialect::OpenAi, &[&events(&[said])]).1.expect("an answer").finish, Finish::Stop);
    let cut = json!({ "choices": [{ "index": 0, "delta": { "content": "x" }, "finish_reason": null }] });
    failed(Dialect::OpenAi, &events(&[cut]), Kind::Truncated, "before its end");
    failed(Dialect::OpenAi, b"", Kind::Truncated, "before its end");
    failed(Dialect::OpenAi, b"data: [DONE]\n\n", Kind::Truncated, "before its end");
}

#[test]
fn calls_that_share_a_number_are_told_apart_by_their_id() {
    let call = |id: &str| {
        let function = json!({ "name": "look", "arguments": "{\"a\":1}" });
        json!({ "choices": [{ "index": 0, "delta": { "tool_calls": [{ "index": 0, "id": id, "function": function }] } }] })
    };
    let end = json!({ "choices": [{ "index": 0, "delta": {}, "finish_reason": "tool_calls" }] });
    let answer =
        decode(Dialect::Mistral, &[&events(&[call("aaaaaaaaa"), call("bbbbbbbbb"), end])]).1.expect("an answer");
    let ids: Vec<_> = answer.tool_calls().map(|call| (call.id.as_str(), call.arguments.to_string())).collect();
    assert_eq!(ids, [("aaaaaaaaa", "{\"a\":1}".to_owned()), ("bbbbbbbbb", "{\"a\":1}".to_owned())]);
}

#[test]
fn only_the_first_choice_counts() {
    let said = [
        json!({ "choices": [{ "index": 1, "delta": { "content": "other" } }] }),
        json!({ "choices": [
            { "index": 1, "delta": { "content": "other" } },
            { "index": 0, "delta": { "content": "this" }, "finish_reason": "stop" },
        ] }),
    ];
    let answer = decode(Dialect::OpenAi, &[&events(&said)]).1.expect("an answer");
    assert_eq!(answer.parts, [AnswerPart::text("this")]);
}
