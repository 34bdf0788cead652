//! Anthropic's messages: blocks, signed thoughts, named events.

use serde_json::{Map, Value, json};

use super::asked::{Asked, Choice, Tool, Wants, list, text};
use super::chat::pieces;
use super::credentials::{Credentials, letters};
use super::faults::{Bad, Failure, Hint, Trouble};
use super::frames::Frame;
use super::script::{Answer, Finish, Usage};
use super::{Incoming, Provider};

/// The fields that it knows.
const FIELDS: &[&str] = &[
    "cache_control",
    "container",
    "context_management",
    "diagnostics",
    "inference_geo",
    "max_tokens",
    "mcp_servers",
    "messages",
    "metadata",
    "model",
    "output_config",
    "output_format",
    "prefill",
    "service_tier",
    "speed",
    "stop_sequences",
    "stream",
    "system",
    "temperature",
    "thinking",
    "tool_choice",
    "tools",
    "top_k",
    "top_p",
];
/// The versions of the API. The last one has no sampling, and documents and citations in fewer places.
const VERSIONS: &[&str] = &["2023-01-01", "2023-06-01", NEWEST];
const NEWEST: &str = "2026-10-21";
const SAMPLING: &[&str] = &["temperature", "top_k", "top_p"];

pub(super) fn read(credentials: &Credentials, incoming: &Incoming) -> Result<Asked, Trouble> {
    let version = version(incoming)?;
    let body = incoming.json()?;
    let is_known = |name: &str| FIELDS.contains(&name) && (version != NEWEST || !SAMPLING.contains(&name));
    if let Some(name) = body.as_object().into_iter().flat_map(Map::keys).find(|name| !is_known(name)) {
        return Err(Trouble::bad(format!("{name}: Extra inputs are not permitted")));
    }
    let Some(model) = body["model"].as_str() else { return Err(Trouble::bad("model: Field required")) };
    let Some(max_tokens) = body["max_tokens"].as_u64().filter(|tokens| *tokens > 0) else {
        return Err(Trouble::bad("max_tokens: Field required"));
    };
    thinking(&body, max_tokens)?;
    let format = &body["output_config"]["format"];
    if !format.is_null() {
        schema(model, format)?;
    }
    messages(credentials, &body)?;
    if version == NEWEST {
        places(&body)?;
    }
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

fn version(incoming: &Incoming) -> Result<&str, Trouble> {
    match incoming.header("anthropic-version") {
        None => Err(Trouble::bad("anthropic-version: header is required")),
        Some(version) if VERSIONS.contains(&version) => Ok(version),
        Some(version) => Err(Trouble::bad(format!("anthropic-version: \"{version}\" is not a valid version"))),
    }
}

/// Documents are the user's, and what is cited is not.
fn places(body: &Value) -> Result<(), Trouble> {
    for (at, turn) in list(&body["messages"]).iter().enumerate() {
        let is_user = turn["role"] == "user";
        let misplaced = |block: &&Value| match is_user {
            true => !list(&block["citations"]).is_empty(),
            false => block["type"] == "document",
        };
        if list(&turn["content"]).iter().any(|block| misplaced(&block)) {
            let what = if is_user { "citations" } else { "document" };
            return Err(Trouble::bad(format!("messages.{at}: `{what}` is not permitted in {} messages", turn["role"])));
        }
    }
    Ok(())
}

fn tool(tool: &Value) -> Tool {
    Tool { name: tool["name"].as_str().unwrap_or_default().to_owned(), schema: tool["input_schema"].clone() }
}

fn thinking(body: &Value, max_tokens: u64) -> Result<(), Trouble> {
    if body["thinking"]["type"] != "enabled" {
        return Ok(());
    }
    let budget = body["thinking"]["budget_tokens"].as_u64().unwrap_or(0);
    if budget < 1_024 {
        return Err(Trouble::bad("thinking.enabled.budget_tokens: Input should be greater than or equal to 1024"));
    }
    if budget >= max_tokens {
        return Err(Trouble::bad(
            "`max_tokens` must be greater than `thinking.budget_tokens`. Please consult our documentation at https://docs.claude.com/en/docs/build-with-claude/extended-thinking#max-tokens-and-context-window-size",
        ));
    }
    if body["temperature"].as_f64().is_some_and(|temperature| temperature != 1.0) {
        return Err(Trouble::bad(
            "`temperature` may only be set to 1 when thinking is enabled. Please consult our documentation at https://docs.claude.com/en/docs/build-with-claude/extended-thinking",
        ));
    }
    if !body["top_k"].is_null() {
        return Err(Trouble::bad("`top_k` must be unset when thinking is enabled."));
    }
    if matches!(body["tool_choice"]["type"].as_str(), Some("any" | "tool")) {
        return Err(Trouble::bad("Thinking may not be enabled when tool_choice forces tool use."));
    }
    Ok(())
}

/// The models before 4.5 know no schema, and every object of one has to be closed.
fn schema(model: &str, format: &Value) -> Result<(), Trouble> {
    let old =
        ["claude-2", "claude-3", "claude-instant", "claude-opus-4-0", "claude-sonnet-4-0", "claude-sonnet-4-2025"];
    if old.iter().any(|old| model.starts_with(old)) {
        return Err(Trouble::bad(format!("'{model}' does not support output format.")));
    }
    if format["type"] != "json_schema" || !format["schema"].is_object() {
        return Err(Trouble::bad("output_config.format.schema: Field required"));
    }
    match is_closed(&format["schema"]) {
        true => Ok(()),
        false => Err(Trouble::bad(
            "output_config.format.schema: For 'object' type, 'additionalProperties' must be explicitly set to false",
        )),
    }
}

/// Whether every object of a schema says that it has no further properties.
pub(super) fn is_closed(schema: &Value) -> bool {
    match schema {
        Value::Object(fields) => {
            (fields.get("type").is_none_or(|kind| kind != "object")
                || fields.get("additionalProperties") == Some(&false.into()))
                && fields.values().all(is_closed)
        }
        Value::Array(items) => items.iter().all(is_closed),
        _ => true,
    }
}

/// The order of turns, of calls and their results, and the signatures of thoughts.
fn messages(credentials: &Credentials, body: &Value) -> Result<(), Trouble> {
    let turns = list(&body["messages"]);
    if turns.is_empty() {
        return Err(Trouble::bad("messages: at least one message is required"));
    }
    let mut open: Vec<&str> = Vec::new();
    for (at, turn) in turns.iter().enumerate() {
        match turn["role"].as_str() {
            Some("user" | "assistant") => {}
            Some("system") => {
                return Err(Trouble::bad(
                    "messages: Unexpected role \"system\". The Messages API accepts a top-level `system` parameter, not \"system\" as an input message role.",
                ));
            }
            _ => return Err(Trouble::bad(format!("messages.{at}.role: Input should be 'user' or 'assistant'"))),
        }
        if turn["content"].as_str() == Some("") || turn["content"].is_null() {
            return Err(Trouble::bad(format!(
                "messages.{at}: all messages must have non-empty content except for the optional final assistant message"
            )));
        }
        let blocks = list(&turn["content"]);
        results(at, blocks, &mut open)?;
        for (number, block) in blocks.iter().enumerate() {
            content(credentials, at, number, block)?;
        }
        open = blocks
            .iter()
            .filter(|block| block["type"] == "tool_use")
            .filter_map(|block| block["id"].as_str())
            .collect();
        if !open.is_empty() && body["thinking"]["type"] == "enabled" && at + 2 == turns.len() {
            let first = blocks.first().and_then(|block| block["type"].as_str()).unwrap_or_default();
            if !matches!(first, "thinking" | "redacted_thinking") {
                return Err(Trouble::bad(format!(
                    "messages.{at}.content.0.type: Expected `thinking` or `redacted_thinking`, but found `{first}`. When `thinking` is enabled, a final `assistant` message must start with a thinking block."
                )));
            }
        }
    }
    unanswered(turns.len().saturating_sub(1), &open)
}

fn unanswered(at: usize, open: &[&str]) -> Result<(), Trouble> {
    match open {
        [] => Ok(()),
        open => Err(Trouble::bad(format!(
            "messages.{at}: `tool_use` ids were found without `tool_result` blocks immediately after: {}. Each `tool_use` block must have a corresponding `tool_result` block in the next message.",
            open.join(", ")
        ))),
    }
}

/// Results stand first in the turn after the calls, all of them.
fn results(at: usize, blocks: &[Value], open: &mut Vec<&str>) -> Result<(), Trouble> {
    let mut first = true;
    for (number, block) in blocks.iter().enumerate() {
        if block["type"] != "tool_result" {
            first = false;
            continue;
        }
        let id = block["tool_use_id"].as_str().unwrap_or_default();
        match open.iter().position(|known| *known == id) {
            Some(place) if first => drop(open.remove(place)),
            Some(_) => {}
            None => {
                return Err(Trouble::bad(format!(
                    "messages.{at}.content.{number}: unexpected `tool_use_id` found in `tool_result` blocks: {id}. Each `tool_result` block must have a corresponding `tool_use` block in the previous message."
                )));
            }
        }
    }
    unanswered(at.saturating_sub(1), open)
}

fn content(credentials: &Credentials, at: usize, number: usize, block: &Value) -> Result<(), Trouble> {
    let place = format!("messages.{at}.content.{number}");
    match block["type"].as_str() {
        Some("text") if block["text"].as_str().unwrap_or_default().is_empty() => {
            Err(Trouble::bad("messages: text content blocks must be non-empty"))
        }
        Some("thinking") => {
            let thought = block["thinking"].as_str().unwrap_or_default();
            match credentials.is_signed(thought, block["signature"].as_str().unwrap_or_default()) {
                true => Ok(()),
                false => Err(Trouble::bad(format!("{place}: Invalid `signature` in `thinking` block"))),
            }
        }
        Some("tool_use") if !block["input"].is_object() => {
            Err(Trouble::bad(format!("{place}.tool_use.input: Input should be a valid dictionary")))
        }
        Some("text" | "image" | "document" | "tool_use" | "tool_result" | "redacted_thinking" | "search_result") => {
            Ok(())
        }
        _ => Err(Trouble::bad(format!("{place}: Input tag does not match any of the expected tags"))),
    }
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
