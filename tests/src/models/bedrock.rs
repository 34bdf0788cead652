//! Bedrock's Converse: one form for the models of many, streamed in binary frames.

use serde_json::{Value, json};

use super::asked::{Asked, Choice, Tool, Wants, list, text};
use super::chat::pieces;
use super::credentials::{Credentials, letters};
use super::faults::{Bad, Failure, Hint, Trouble};
use super::frames::Frame;
use super::script::{Answer, Finish, Usage};
use super::{Incoming, Provider};

pub(super) fn read(
    credentials: &Credentials,
    incoming: &Incoming,
    model: &str,
    streamed: bool,
) -> Result<Asked, Trouble> {
    let body = incoming.json()?;
    messages(credentials, &body)?;
    let turns = list(&body["messages"]);
    let said = turns.iter().rev().filter(|turn| turn["role"] == "user").map(|turn| text(&turn["content"]));
    let blocks = turns.iter().flat_map(|turn| list(&turn["content"]));
    let choice = &body["toolConfig"]["toolChoice"];
    Ok(Asked {
        said: said.into_iter().find(|said| !said.is_empty()).unwrap_or_default(),
        tool_results: blocks.filter(|block| block["toolResult"].is_object()).count(),
        streamed,
        wants: wants(&body["outputConfig"]["textFormat"])?,
        tools: list(&body["toolConfig"]["tools"])
            .iter()
            .filter(|tool| tool["toolSpec"].is_object())
            .map(tool)
            .collect(),
        choice: match choice["tool"]["name"].as_str() {
            Some(name) => Choice::Named(name.to_owned()),
            None if choice["any"].is_object() => Choice::Any,
            None => Choice::Free,
        },
        ..Asked::of(Provider::Bedrock, model, &body)
    })
}

fn tool(tool: &Value) -> Tool {
    let spec = &tool["toolSpec"];
    Tool { name: spec["name"].as_str().unwrap_or_default().to_owned(), schema: spec["inputSchema"]["json"].clone() }
}

/// The schema is a text with JSON in it.
fn wants(format: &Value) -> Result<Wants, Trouble> {
    if format.is_null() {
        return Ok(Wants::Text);
    }
    let Some(schema) = format["structure"]["jsonSchema"]["schema"].as_str() else {
        return Err(Trouble::bad("Expected null or a string at outputConfig.textFormat.structure.jsonSchema.schema")
            .coded("SerializationException"));
    };
    let Ok(schema) = serde_json::from_str::<Value>(schema) else {
        return Err(Trouble::bad(
            "The value at outputConfig.textFormat.structure.jsonSchema.schema is not a valid JSON schema.",
        ));
    };
    match super::anthropic_rules::is_closed(&schema) {
        true => Ok(Wants::Schema(schema)),
        false => Err(Trouble::bad(
            "The model returned the following errors: output_config.format.schema: For 'object' type, 'additionalProperties' must be explicitly set to false",
        )),
    }
}

fn messages(credentials: &Credentials, body: &Value) -> Result<(), Trouble> {
    let turns = list(&body["messages"]);
    if turns.first().is_none_or(|turn| turn["role"] != "user") {
        return Err(Trouble::bad(
            "A conversation must start with a user message. Try again with a conversation that starts with a user message.",
        ));
    }
    let mut open: Vec<&str> = Vec::new();
    let mut before = Value::Null;
    for (at, turn) in turns.iter().enumerate() {
        if turn["role"] == before {
            return Err(Trouble::bad(
                "A conversation must alternate between user and assistant roles. Make sure the conversation alternates between user and assistant roles and try again.",
            ));
        }
        before = turn["role"].clone();
        let blocks = list(&turn["content"]);
        if blocks.is_empty() {
            return Err(Trouble::bad(format!(
                "The content field in the Message object at messages.{at} is empty. Add a ContentBlock object to the content field and try again."
            )));
        }
        for (number, block) in blocks.iter().enumerate() {
            content(credentials, at, number, block)?;
        }
        results(at, blocks, &open)?;
        open = blocks.iter().filter_map(|block| block["toolUse"]["toolUseId"].as_str()).collect();
        let uses_tools = blocks.iter().any(|block| block["toolUse"].is_object() || block["toolResult"].is_object());
        if uses_tools && body["toolConfig"].is_null() {
            return Err(Trouble::bad(
                "The toolConfig field must be defined when using toolUse and toolResult content blocks.",
            ));
        }
    }
    results(turns.len(), &[], &open)
}

fn content(credentials: &Credentials, at: usize, number: usize, block: &Value) -> Result<(), Trouble> {
    let place = format!("messages.{at}.content.{number}");
    if block["text"].as_str().is_some_and(|text| text.trim().is_empty()) {
        return Err(Trouble::bad(format!(
            "The text field in the ContentBlock object at {place} is blank. Add text to the text field, and try again."
        )));
    }
    if block["toolUse"].is_object() && !block["toolUse"]["input"].is_object() {
        return Err(Trouble::bad(format!(
            "The format of the value at {place}.toolUse.input is invalid. Provide a json object for the field and try again."
        )));
    }
    let thought = &block["reasoningContent"]["reasoningText"];
    let signature = thought["signature"].as_str().unwrap_or_default();
    if thought.is_object() && !credentials.is_signed(thought["text"].as_str().unwrap_or_default(), signature) {
        return Err(Trouble::bad(format!(
            "The model returned the following errors: {place}: Invalid `signature` in `thinking` block"
        )));
    }
    Ok(())
}

/// All results of a turn are in the one after it.
fn results(at: usize, blocks: &[Value], open: &[&str]) -> Result<(), Trouble> {
    let given: Vec<&str> = blocks.iter().filter_map(|block| block["toolResult"]["toolUseId"].as_str()).collect();
    let missing: Vec<&str> = open.iter().copied().filter(|id| !given.contains(id)).collect();
    if !missing.is_empty() {
        return Err(Trouble::bad(format!(
            "Expected toolResult blocks at messages.{at}.content for the following Ids: {}",
            missing.join(", ")
        )));
    }
    match given.len() > open.len() {
        false => Ok(()),
        true => Err(Trouble::bad(format!(
            "The number of toolResult blocks at messages.{at}.content exceeds the number of toolUse blocks of previous turn."
        ))),
    }
}

fn stop_reason(finish: Finish) -> &'static str {
    match finish {
        Finish::Stop | Finish::Refusal => "end_turn",
        Finish::Length => "max_tokens",
        Finish::ToolCalls => "tool_use",
        Finish::ContentFilter => "content_filtered",
    }
}

/// What is read from the cache is not among the input tokens.
fn usage(usage: Usage) -> Value {
    json!({
        "inputTokens": usage.input.saturating_sub(usage.cached), "outputTokens": usage.output,
        "totalTokens": usage.input + usage.output, "cacheReadInputTokens": usage.cached, "cacheWriteInputTokens": 0,
        "serverToolUsage": {},
    })
}

fn blocks(credentials: &Credentials, answer: &Answer) -> Vec<Value> {
    let thought = answer.thinking.iter().map(|thought| {
        json!({ "reasoningContent": { "reasoningText": { "text": thought, "signature": credentials.sign(thought) } } })
    });
    let said = answer.whole() + answer.refusal.as_deref().unwrap_or_default();
    let said = (!said.is_empty()).then(|| json!({ "text": said }));
    let calls = answer.tool_calls.iter().map(|call| {
        let id = call.id.clone().unwrap_or_else(|| format!("tooluse_{}", letters(22)));
        json!({ "toolUse": { "toolUseId": id, "name": call.name, "input": call.arguments } })
    });
    thought.chain(said).chain(calls).collect()
}

pub(super) fn whole(credentials: &Credentials, answer: &Answer) -> Value {
    json!({
        "metrics": { "latencyMs": 12 },
        "output": { "message": { "content": blocks(credentials, answer), "role": "assistant" } },
        "stopReason": stop_reason(answer.finish()),
        "usage": usage(answer.usage),
    })
}

pub(super) fn frames(credentials: &Credentials, answer: &Answer) -> Vec<Frame> {
    let mut frames = vec![Frame::named("messageStart", json!({ "role": "assistant" }))];
    for (at, block) in blocks(credentials, answer).into_iter().enumerate() {
        if block["toolUse"].is_object() {
            let start =
                json!({ "toolUse": { "toolUseId": block["toolUse"]["toolUseId"], "name": block["toolUse"]["name"] } });
            frames.push(Frame::named("contentBlockStart", json!({ "contentBlockIndex": at, "start": start })));
        }
        let deltas = deltas(&block, answer).into_iter();
        frames.extend(
            deltas.map(|delta| Frame::named("contentBlockDelta", json!({ "contentBlockIndex": at, "delta": delta }))),
        );
        frames.push(Frame::named("contentBlockStop", json!({ "contentBlockIndex": at })));
    }
    frames.push(Frame::named("messageStop", json!({ "stopReason": stop_reason(answer.finish()) })));
    let end = json!({ "metrics": { "latencyMs": 12 }, "usage": usage(answer.usage) });
    frames.push(Frame::named("metadata", end));
    frames
}

fn deltas(block: &Value, answer: &Answer) -> Vec<Value> {
    if let Some(thought) = block.get("reasoningContent") {
        let text = thought["reasoningText"]["text"].as_str().unwrap_or_default();
        let pieces = text.split_inclusive(' ').map(|piece| json!({ "reasoningContent": { "text": piece } }));
        let signature = json!({ "reasoningContent": { "signature": thought["reasoningText"]["signature"] } });
        return pieces.chain([signature]).collect();
    }
    if let Some(call) = block.get("toolUse") {
        let input = call["input"].to_string();
        return pieces(&input).into_iter().map(|piece| json!({ "toolUse": { "input": piece } })).collect();
    }
    let said = answer.pieces().into_iter().chain(answer.refusal.clone());
    said.map(|piece| json!({ "text": piece })).collect()
}

/// Status, name and sentence.
fn words(trouble: &Trouble) -> (u16, &'static str, String) {
    let (status, name, message) = match trouble {
        Trouble::NoKey => (403, "MissingAuthenticationTokenException", "Missing Authentication Token"),
        Trouble::WrongKey(_) => {
            (403, "UnrecognizedClientException", "The security token included in the request is invalid.")
        }
        Trouble::UnknownModel(_) => (
            404,
            "ResourceNotFoundException",
            "Could not resolve the foundation model from the provided model identifier.",
        ),
        Trouble::Bad(Bad { message, code, status, .. }) => {
            return (status.unwrap_or(400), code.unwrap_or("ValidationException"), message.clone());
        }
        Trouble::ContextTooLong => (400, "ValidationException", "Input is too long for requested model."),
        Trouble::QuotaExhausted => {
            (400, "ServiceQuotaExceededException", "Your request exceeds the service quota for your account.")
        }
        Trouble::ContentFilter => (400, "ValidationException", "The request was blocked by a content filter."),
        Trouble::RateLimited(wait) => {
            let message =
                format!("Too many requests, please wait before trying again.{}", wait.or(Hint::None).sentence());
            return (429, "ThrottlingException", message);
        }
        Trouble::Internal => (
            500,
            "InternalServerException",
            "The system encountered an unexpected error during processing. Try your request again.",
        ),
        Trouble::Overloaded => (503, "ServiceUnavailableException", "Bedrock is unable to process your request."),
    };
    (status, name, message.to_owned())
}

pub(super) fn failure(trouble: &Trouble) -> Failure {
    let (status, name, message) = words(trouble);
    let kind = format!("{name}:http://internal.amazon.com/coral/com.amazon.bedrock/");
    let headers = vec![("x-amzn-errortype".into(), kind), ("x-amzn-requestid".into(), super::credentials::uuid())];
    let failure = Failure::new(status, json!({ "message": message })).with(headers);
    match trouble {
        Trouble::RateLimited(wait) => failure.with(wait.or(Hint::None).headers()),
        _ => failure,
    }
}

/// Within a stream the names begin with a small letter.
pub(super) fn error_frame(trouble: &Trouble) -> Frame {
    let (_, name, message) = words(trouble);
    let mut letters = name.chars();
    let first = letters.next().map(|first| first.to_ascii_lowercase());
    let name: String = first.into_iter().chain(letters).collect();
    Frame::named(&name, json!({ "message": message })).error()
}
