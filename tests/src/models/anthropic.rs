//! Anthropic's messages: blocks, signed thoughts, named events. What they refuse is `anthropic_rules`.

use serde_json::{Value, json};

use super::asked::{Asked, Choice, Tool, Wants, list, text};
use super::chat::pieces;
use super::credentials::{Credentials, letters};
use super::faults::{Bad, Failure, Hint, Trouble};
use super::frames::Frame;
use super::script::{Answer, Finish, Usage};
use super::{Incoming, Provider, anthropic_rules};

pub(super) fn read(credentials: &Credentials, incoming: &Incoming) -> Result<Asked, Trouble> {
    let version = anthropic_rules::version(incoming)?;
    let body = incoming.json()?;
    anthropic_rules::check(credentials, version, &body)?;
    let model = body["model"].as_str().unwrap_or_default();
    let format = &body["output_config"]["format"];
    let turns = list(&body["messages"]);
    let said = turns.iter().rev().filter(|turn| turn["role"] == "user").map(|turn| text(&turn["content"]));
    let results = turns.iter().flat_map(|turn| list(&turn["content"]));
    Ok(Asked {
        said: said.into_iter().find(|said| !said.is_empty()).unwrap_or_default(),
        tool_results: results.filter(|block| block["type"] == "tool_result").count(),
        streamed: body["stream"] == true,
        wants: if format.is_null() { Wants::Text } else { Wants::Schema(format["schema"].clone()) },
        tools: list(&body["tools"]).iter().map(tool).collect(),
        choice: match body["tool_choice"]["type"].as_str() {
            Some("any") => Choice::Any,
            Some("tool") => Choice::Named(body["tool_choice"]["name"].as_str().unwrap_or_default().to_owned()),
            _ => Choice::Free,
        },
        ..Asked::of(Provider::Anthropic, model, &body)
    })
}

fn tool(tool: &Value) -> Tool {
    Tool { name: tool["name"].as_str().unwrap_or_default().to_owned(), schema: tool["input_schema"].clone() }
}

fn stop_reason(finish: Finish) -> &'static str {
    match finish {
        Finish::Stop => "end_turn",
        Finish::Length => "max_tokens",
        Finish::ToolCalls => "tool_use",
        Finish::ContentFilter | Finish::Refusal => "refusal",
    }
}

/// What is read from the cache is not among the input tokens.
fn usage(usage: Usage) -> Value {
    json!({
        "input_tokens": usage.input.saturating_sub(usage.cached),
        "cache_creation_input_tokens": 0,
        "cache_read_input_tokens": usage.cached,
        "cache_creation": { "ephemeral_5m_input_tokens": 0, "ephemeral_1h_input_tokens": 0 },
        "output_tokens": usage.output,
        "output_tokens_details": { "thinking_tokens": usage.thinking },
        "service_tier": "standard",
    })
}

fn blocks(credentials: &Credentials, answer: &Answer) -> Vec<Value> {
    let thought = answer
        .thinking
        .iter()
        .map(|thought| json!({ "type": "thinking", "thinking": thought, "signature": credentials.sign(thought) }));
    let said = answer.whole() + answer.refusal.as_deref().unwrap_or_default();
    let said = (!said.is_empty()).then(|| json!({ "type": "text", "text": said }));
    let calls = answer.tool_calls.iter().map(|call| {
        let id = call.id.clone().unwrap_or_else(|| format!("toolu_01{}", letters(22)));
        json!({ "type": "tool_use", "id": id, "name": call.name, "input": call.arguments })
    });
    thought.chain(said).chain(calls).collect()
}

fn message(asked: &Asked, content: Vec<Value>, stop_reason: Value, usage: Value) -> Value {
    json!({
        "id": format!("msg_01{}", letters(22)), "type": "message", "role": "assistant", "model": asked.model,
        "content": content, "stop_reason": stop_reason, "stop_sequence": null, "usage": usage,
    })
}

/// Why a model would rather not.
fn stop_details(answer: &Answer) -> Value {
    match stop_reason(answer.finish()) {
        "refusal" => json!({ "type": "refusal", "category": null, "explanation": answer.refusal }),
        _ => Value::Null,
    }
}

pub(super) fn whole(credentials: &Credentials, asked: &Asked, answer: &Answer) -> Value {
    let content = blocks(credentials, answer);
    let mut whole = message(asked, content, stop_reason(answer.finish()).into(), usage(answer.usage));
    whole["stop_details"] = stop_details(answer);
    whole
}

pub(super) fn frames(credentials: &Credentials, asked: &Asked, answer: &Answer) -> Vec<Frame> {
    let event = |mut data: Value, kind: &str| {
        data["type"] = kind.into();
        Frame::named(kind, data)
    };
    let begun = usage(Usage { output: 1, ..answer.usage });
    let mut frames = vec![event(json!({ "message": message(asked, Vec::new(), Value::Null, begun) }), "message_start")];
    for (at, block) in blocks(credentials, answer).into_iter().enumerate() {
        let (start, deltas) = in_pieces(&block, answer);
        frames.push(event(json!({ "index": at, "content_block": start }), "content_block_start"));
        if at == 0 {
            frames.push(event(json!({}), "ping"));
        }
        let deltas =
            deltas.into_iter().map(|delta| event(json!({ "index": at, "delta": delta }), "content_block_delta"));
        frames.extend(deltas);
        frames.push(event(json!({ "index": at }), "content_block_stop"));
    }
    let end = json!({ "delta": { "stop_reason": stop_reason(answer.finish()), "stop_sequence": null,
            "stop_details": stop_details(answer) },
        "usage": { "output_tokens": answer.usage.output } });
    frames.push(event(end, "message_delta"));
    frames.push(event(json!({}), "message_stop"));
    frames
}

/// A block as it begins, and what comes to it.
fn in_pieces(block: &Value, answer: &Answer) -> (Value, Vec<Value>) {
    match block["type"].as_str() {
        Some("thinking") => {
            let thought = block["thinking"].as_str().unwrap_or_default();
            let pieces =
                thought.split_inclusive(' ').map(|piece| json!({ "type": "thinking_delta", "thinking": piece }));
            let signature = json!({ "type": "signature_delta", "signature": block["signature"] });
            (json!({ "type": "thinking", "thinking": "", "signature": "" }), pieces.chain([signature]).collect())
        }
        Some("tool_use") => {
            let start = json!({ "type": "tool_use", "id": block["id"], "name": block["name"], "input": {} });
            let input = if block["input"] == json!({}) { String::new() } else { block["input"].to_string() };
            // The first piece is an empty one.
            let pieces = [String::new()].into_iter().chain(pieces(&input));
            (start, pieces.map(|piece| json!({ "type": "input_json_delta", "partial_json": piece })).collect())
        }
        _ => {
            let said = answer.pieces().into_iter().chain(answer.refusal.clone());
            (
                json!({ "type": "text", "text": "" }),
                said.map(|piece| json!({ "type": "text_delta", "text": piece })).collect(),
            )
        }
    }
}

pub(super) fn failure(trouble: &Trouble) -> Failure {
    let error = |status: u16, kind: &str, message: &str| {
        let request_id = format!("req_011{}", letters(21));
        let body = json!({ "type": "error", "error": { "type": kind, "message": message }, "request_id": request_id });
        Failure::new(status, body).with(vec![("request-id".into(), request_id)])
    };
    match trouble {
        Trouble::NoKey => error(401, "authentication_error", "x-api-key header is required"),
        Trouble::WrongKey(_) => error(401, "authentication_error", "invalid x-api-key"),
        Trouble::UnknownModel(model) => error(404, "not_found_error", &format!("model: {model}")),
        Trouble::Bad(Bad { message, .. }) => error(400, "invalid_request_error", message),
        Trouble::ContextTooLong => {
            error(400, "invalid_request_error", "prompt is too long: 214321 tokens > 200000 maximum")
        }
        Trouble::QuotaExhausted => error(
            400,
            "invalid_request_error",
            "Your credit balance is too low to access the Anthropic API. Please go to Plans & Billing to upgrade or purchase credits.",
        ),
        Trouble::ContentFilter => error(400, "invalid_request_error", "Output blocked by content filtering policy"),
        Trouble::RateLimited(wait) => {
            let wait = wait.or(Hint::RetryAfter);
            let message = format!(
                "This request would exceed your organization's rate limit of 50 requests per minute.{}",
                wait.sentence()
            );
            let limits = [("limit", "50"), ("remaining", "0")];
            let limits = limits.map(|(name, value)| (format!("anthropic-ratelimit-requests-{name}"), value.to_owned()));
            let failure = error(429, "rate_limit_error", &message).with(limits.to_vec());
            match wait.hint {
                Hint::Reset => failure.with(vec![("anthropic-ratelimit-requests-reset".into(), wait.at().to_string())]),
                _ => failure.with(wait.headers()),
            }
        }
        Trouble::Internal => error(500, "api_error", "Internal server error"),
        Trouble::Overloaded => error(529, "overloaded_error", "Overloaded"),
    }
}

pub(super) fn error_frame(trouble: &Trouble) -> Frame {
    let mut body = failure(trouble).body;
    if let Some(fields) = body.as_object_mut() {
        fields.shift_remove("request_id");
    }
    Frame::named("error", body)
}
