//! Anthropic: messages of blocks, instructions apart, results of tools in the user's turn.

use serde_json::{Map, Value, json};

use super::{
    Codec, Dialect, Failure, Place, TOO_LONG, any_end, claude_takes_schema, fields, parsed, refuse_seed, says,
};
use crate::build::{Builder, Key};
use crate::framing::{Frame, Framing};
use crate::http::{Auth, Credential, HttpRequest, Options};
use crate::message::{
    AnswerPart, Finish, Image, Message, Request, ResponseFormat, Thinking, Tool, ToolChoice, ToolResult, Usage,
    UserPart,
};
use crate::structured;
use crate::{Kind, ProviderError};

const BASE: &str = "https://api.anthropic.com";
const VERSION: &str = "2023-06-01";
/// A limit has to be named. All models can write this much.
const MAX_TOKENS: u32 = 4_096;
/// The least that thinking may be allowed.
const THINKING_TOKENS_MIN: u32 = 1_024;

pub const CODEC: Codec = Codec {
    dialect: Dialect::Anthropic,
    encode,
    body,
    event,
    error,
    ended: any_end,
    framing: Framing::events,
    images: None,
};

pub(super) fn encode(request: &Request, options: &Options) -> Result<HttpRequest, ProviderError> {
    refuse_seed(request)?;
    let base = options.base(BASE)?;
    let path = if base.ends_with("/v1") { "/messages" } else { "/v1/messages" };
    let auth = match options.credential {
        Credential::Key => Auth::Header("x-api-key"),
        Credential::Token => Auth::Bearer,
        Credential::None => Auth::None,
    };
    let body = body_of(request)?;
    let accept = request.stream.then_some("text/event-stream");
    let mut sent = Place { base, path: path.into(), query: Vec::new(), auth }.post(options, accept, body)?;
    if !sent.headers.iter().any(|(name, _)| name == "anthropic-version") {
        sent.headers.push(("anthropic-version".into(), VERSION.into()));
    }
    Ok(sent)
}

fn body_of(request: &Request) -> Result<Map<String, Value>, ProviderError> {
    let sampling = &request.sampling;
    let native = matches!(request.response, ResponseFormat::Schema(_)) && claude_takes_schema(&request.model);
    let messages = match native {
        true => request.messages.clone(),
        false => structured::instructed(&request.messages, &request.response),
    };
    let (thinking, max_tokens) = thinking(request)?;
    let mut body = fields([
        ("model", request.model.as_str().into()),
        ("max_tokens", max_tokens.into()),
        ("system", system(&messages, request.cache_prompt)),
        ("messages", turns(&messages)),
        ("temperature", json!(sampling.temperature)),
        ("top_p", json!(sampling.top_p)),
        ("top_k", json!(sampling.top_k)),
        ("stop_sequences", if sampling.stop.is_empty() { Value::Null } else { json!(sampling.stop) }),
        ("thinking", thinking),
    ]);
    if !request.tools.is_empty() {
        let mut tools: Vec<Value> = request.tools.iter().map(tool).collect();
        if let (true, Some(last)) = (request.cache_prompt, tools.last_mut().and_then(Value::as_object_mut)) {
            last.insert("cache_control".into(), json!({ "type": "ephemeral" }));
        }
        body.insert("tools".into(), tools.into());
        body.extend(fields([("tool_choice", choice(request))]));
    }
    if let (true, ResponseFormat::Schema(schema)) = (native, &request.response) {
        body.insert("output_config".into(), json!({ "format": { "type": "json_schema", "schema": schema.schema } }));
    }
    if request.stream {
        body.insert("stream".into(), true.into());
    }
    Ok(body)
}

/// The switch, and the limit of the whole answer, which has to be above that of the thoughts.
fn thinking(request: &Request) -> Result<(Value, u32), ProviderError> {
    let limit = request.sampling.max_output_tokens;
    let budget = match request.thinking {
        Thinking::Unasked => return Ok((Value::Null, limit.unwrap_or(MAX_TOKENS))),
        Thinking::Off => return Ok((json!({ "type": "disabled" }), limit.unwrap_or(MAX_TOKENS))),
        Thinking::On { budget_tokens, .. } => budget_tokens.unwrap_or(THINKING_TOKENS_MIN).max(THINKING_TOKENS_MIN),
    };
    let limit = limit.unwrap_or(budget.saturating_add(MAX_TOKENS));
    if limit <= budget {
        let message = format!("`maxOutputTokens` ({limit}) has to be above the tokens for thinking ({budget})");
        return Err(ProviderError::refused(message));
    }
    Ok((json!({ "type": "enabled", "budget_tokens": budget }), limit))
}

fn system(messages: &[Message], cached: bool) -> Value {
    let texts = messages.iter().filter_map(|message| match message {
        Message::System { text } if !text.is_empty() => Some(text),
        _ => None,
    });
    let mut blocks: Vec<Value> = texts.map(|text| json!({ "type": "text", "text": text })).collect();
    if let (true, Some(last)) = (cached, blocks.last_mut().and_then(Value::as_object_mut)) {
        last.insert("cache_control".into(), json!({ "type": "ephemeral" }));
    }
    if blocks.is_empty() { Value::Null } else { blocks.into() }
}

/// The turns, one after the other of user and assistant. Results of tools come first in the user's, all in one.
fn turns(messages: &[Message]) -> Value {
    let mut turns: Vec<(&str, Vec<Value>)> = Vec::new();
    for message in messages {
        let (role, blocks): (_, Vec<Value>) = match message {
            Message::System { .. } => continue,
            Message::User { parts } => ("user", parts.iter().filter_map(user).collect()),
            Message::Assistant { parts } => ("assistant", parts.iter().filter_map(assistant).collect()),
            Message::Tool { results } => ("user", results.iter().map(result).collect()),
        };
        match turns.last_mut() {
            _ if blocks.is_empty() => {}
            Some((known, turn)) if *known == role => turn.extend(blocks),
            _ => turns.push((role, blocks)),
        }
    }
    for (_, turn) in turns.iter_mut().filter(|(role, _)| *role == "user") {
        turn.sort_by_key(|block| block["type"] != "tool_result");
    }
    turns.into_iter().map(|(role, content)| json!({ "role": role, "content": content })).collect()
}

fn result(result: &ToolResult) -> Value {
    json!({
        "type": "tool_result",
        "tool_use_id": result.id,
        "content": result.content,
        "is_error": result.is_error,
    })
}

/// An empty text is refused, so it is left out.
fn user(part: &UserPart) -> Option<Value> {
    match part {
        UserPart::Text { text } => text_block(text),
        UserPart::Image { image: Image::Url(url) } => {
            Some(json!({ "type": "image", "source": { "type": "url", "url": url } }))
        }
        UserPart::Image { image: Image::Bytes { media_type, data } } => Some(
            json!({ "type": "image", "source": { "type": "base64", "media_type": media_type, "data": data.as_str() } }),
        ),
    }
}

fn assistant(part: &AnswerPart) -> Option<Value> {
    match part {
        AnswerPart::Text { text, .. } => text_block(text),
        AnswerPart::ToolCall(call) => Some(
            json!({ "type": "tool_use", "id": call.id, "name": call.name, "input": super::object(&call.arguments) }),
        ),
        // A signature is worth nothing to anybody else.
        AnswerPart::Thinking { verbatim, .. } => (verbatim.origin == Dialect::Anthropic).then(|| verbatim.json.clone()),
    }
}

fn text_block(text: &str) -> Option<Value> {
    (!text.is_empty()).then(|| json!({ "type": "text", "text": text }))
}

fn tool(tool: &Tool) -> Value {
    let mut fields = fields([
        ("name", tool.name.as_str().into()),
        ("description", if tool.description.is_empty() { Value::Null } else { tool.description.as_str().into() }),
        ("input_schema", tool.schema.clone()),
    ]);
    if tool.strict && structured::fits_strict(&tool.schema) {
        fields.insert("strict".into(), true.into());
    }
    Value::Object(fields)
}

fn choice(request: &Request) -> Value {
    let alone = request.parallel_tool_calls == Some(false);
    let mut choice = match &request.tool_choice {
        ToolChoice::Auto if !alone => return Value::Null,
        ToolChoice::Auto => fields([("type", "auto".into())]),
        ToolChoice::None => return json!({ "type": "none" }),
        ToolChoice::Required => fields([("type", "any".into())]),
        ToolChoice::Tool(name) => fields([("type", "tool".into()), ("name", name.as_str().into())]),
    };
    if alone {
        choice.insert("disable_parallel_tool_use".into(), true.into());
    }
    Value::Object(choice)
}

pub(super) fn body(builder: &mut Builder, body: &Value) -> Result<(), ProviderError> {
    if body["type"] == "error" {
        return Err(error(&Failure::within(body)));
    }
    let Some(blocks) = body["content"].as_array() else {
        return Err(ProviderError::malformed("the response has no `content`"));
    };
    begin(builder, body);
    for (index, block) in blocks.iter().enumerate() {
        begin_block(builder, index as u64, block)?;
    }
    end(builder, &body["stop_reason"]);
    Ok(())
}

pub(super) fn event(builder: &mut Builder, frame: &Frame) -> Result<(), ProviderError> {
    let event = parsed(frame.data.as_bytes())?;
    let index = event["index"].as_u64().unwrap_or(0);
    // The data says what the event is called as well, and some proxies drop the name.
    match event["type"].as_str().unwrap_or(&frame.name) {
        "message_start" => begin(builder, &event["message"]),
        "content_block_start" => begin_block(builder, index, &event["content_block"])?,
        "content_block_delta" => delta(builder, index, &event["delta"])?,
        "message_delta" => {
            add_usage(builder, &event["usage"]);
            end(builder, &event["delta"]["stop_reason"]);
        }
        "error" => return Err(error(&Failure::within(&event))),
        // Pings, ends of blocks, and whatever comes to be.
        _ => {}
    }
    Ok(())
}

fn begin(builder: &mut Builder, message: &Value) {
    builder.identify(&message["id"], &message["model"]);
    add_usage(builder, &message["usage"]);
}

fn begin_block(builder: &mut Builder, index: u64, block: &Value) -> Result<(), ProviderError> {
    let key = Key::At(index);
    match block["type"].as_str() {
        Some("text") => builder.text(key, block["text"].as_str().unwrap_or_default()),
        Some("tool_use") => {
            builder.call(key, block["id"].as_str(), block["name"].as_str().unwrap_or_default())?;
            match block["input"].as_object() {
                Some(input) if !input.is_empty() => builder.arguments(key, &block["input"].to_string()),
                // In a stream the arguments come later.
                _ => Ok(()),
            }
        }
        Some("thinking" | "redacted_thinking") => {
            builder.thinking(key, block["thinking"].as_str().unwrap_or_default())?;
            let mut fields = block.as_object().into_iter().flatten();
            fields.try_for_each(|(name, value)| builder.verbatim(key, name, value))
        }
        _ => Ok(()),
    }
}

fn delta(builder: &mut Builder, index: u64, delta: &Value) -> Result<(), ProviderError> {
    let key = Key::At(index);
    let text = |name: &str| delta[name].as_str().unwrap_or_default();
    match delta["type"].as_str() {
        Some("text_delta") => builder.text(key, text("text")),
        Some("input_json_delta") => builder.arguments(key, text("partial_json")),
        Some("thinking_delta") => {
            builder.thinking(key, text("thinking"))?;
            builder.verbatim(key, "thinking", &text("thinking").into())
        }
        Some("signature_delta") => builder.verbatim(key, "signature", &text("signature").into()),
        _ => Ok(()),
    }
}

fn end(builder: &mut Builder, reason: &Value) {
    let Some(word) = reason.as_str() else { return };
    let finish = match word {
        "end_turn" | "stop_sequence" => Finish::Stop,
        "max_tokens" | "model_context_window_exceeded" => Finish::Length,
        "tool_use" => Finish::ToolCalls,
        "refusal" => Finish::Refusal,
        _ => Finish::Other,
    };
    builder.finish(finish, word);
}

/// Counts in a stream are of all so far, and what was said at its beginning need not be said again. What is read from or written to the cache is
/// not among the input tokens here.
fn add_usage(builder: &mut Builder, usage: &Value) {
    let count = |name: &str| usage[name].as_u64();
    if !usage.is_object() {
        return;
    }
    let mut known = builder.usage.unwrap_or_default();
    if let Some(input) = count("input_tokens") {
        let cached = count("cache_read_input_tokens").unwrap_or(0);
        known.cached_tokens = cached;
        known.input_tokens = input + cached + count("cache_creation_input_tokens").unwrap_or(0);
    }
    let thinking = usage["output_tokens_details"]["thinking_tokens"].as_u64();
    known.thinking_tokens = thinking.unwrap_or(known.thinking_tokens);
    builder.usage = Some(Usage { output_tokens: count("output_tokens").unwrap_or(known.output_tokens), ..known });
}

pub(super) fn error(failure: &Failure<'_>) -> ProviderError {
    let error = &failure.body["error"];
    let message = failure.message(error["message"].as_str());
    let wait = failure.wait(&message);
    let code = error["code"].as_str().or(error["details"]["error_code"].as_str()).unwrap_or_default();
    let money = ["credit balance", "spend limit", "usage limits", "spending limit"];
    let kind = match error["type"].as_str().unwrap_or_default() {
        _ if code == "enforced_spend_limit_reached" => Kind::QuotaExhausted,
        // A limit of spending is a bad request to Anthropic.
        "billing_error" => Kind::QuotaExhausted,
        "invalid_request_error" | "rate_limit_error" if says(&message, &money) => Kind::QuotaExhausted,
        "invalid_request_error" if says(&message, &TOO_LONG) => Kind::TooLong,
        "invalid_request_error" if says(&message, &["content filtering policy"]) => Kind::ContentFilter,
        "request_too_large" => Kind::TooLong,
        "authentication_error" | "permission_error" => Kind::Auth,
        "not_found_error" => Kind::UnknownModel,
        "rate_limit_error" => Kind::RateLimited { retry_after_ms: wait },
        "overloaded_error" => Kind::Overloaded { retry_after_ms: wait },
        "api_error" | "timeout_error" => Kind::Server,
        "invalid_request_error" => Kind::BadRequest,
        _ => Kind::of_status(failure.status, wait),
    };
    ProviderError::new(kind, message)
}
