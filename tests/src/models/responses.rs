//! OpenAI's Responses: a conversation is a list of items, kept by the server unless it is told not to.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use serde_json::{Map, Value, json};

use super::asked::{Asked, Choice, Tool, Wants, list, text};
use super::chat::pieces;
use super::chat_rules::{strict, thinks};
use super::credentials::hex;
use super::faults::Trouble;
use super::frames::Frame;
use super::script::{Answer, Finish, Usage};
use super::{Incoming, Provider};

/// The fields that it knows.
const FIELDS: &[&str] = &[
    "background",
    "conversation",
    "include",
    "input",
    "instructions",
    "max_output_tokens",
    "max_tool_calls",
    "metadata",
    "model",
    "parallel_tool_calls",
    "previous_response_id",
    "prompt",
    "prompt_cache_key",
    "prompt_cache_retention",
    "reasoning",
    "safety_identifier",
    "service_tier",
    "store",
    "stream",
    "stream_options",
    "temperature",
    "text",
    "tool_choice",
    "tools",
    "top_logprobs",
    "top_p",
    "truncation",
    "user",
];

/// The conversations of the responses that were kept, by id.
#[derive(Default)]
pub(super) struct Kept(Mutex<HashMap<String, Vec<Value>>>);

impl Kept {
    fn get(&self, id: &str) -> Option<Vec<Value>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).get(id).cloned()
    }

    fn put(&self, id: &str, items: Vec<Value>) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(id.to_owned(), items);
    }
}

pub(super) fn read(kept: &Kept, provider: Provider, incoming: &Incoming) -> Result<Asked, Trouble> {
    let body = incoming.json()?;
    if let Some(name) = body.as_object().into_iter().flat_map(Map::keys).find(|name| !FIELDS.contains(&name.as_str())) {
        return Err(Trouble::about(name, format!("Unknown parameter: '{name}'.")).coded("unknown_parameter"));
    }
    let Some(model) = body["model"].as_str() else {
        return Err(Trouble::about("model", "Missing required parameter: 'model'.").coded("missing_required_parameter"));
    };
    for name in ["temperature", "top_p"] {
        if thinks(model) && body[name].as_f64().is_some_and(|value| value != 1.0) {
            let message = format!("Unsupported parameter: '{name}' is not supported with this model.");
            return Err(Trouble::about(name, message));
        }
    }
    let items = conversation(kept, &body)?;
    format(&body)?;
    let format = &body["text"]["format"];
    let user = items.iter().rev().find(|item| item["role"] == "user");
    let choice = &body["tool_choice"];
    Ok(Asked {
        said: user.map(|user| text(&user["content"])).unwrap_or_default(),
        tool_results: items.iter().filter(|item| item["type"] == "function_call_output").count(),
        streamed: body["stream"] == true,
        wants: match format["type"].as_str() {
            Some("json_schema") => Wants::Schema(format["schema"].clone()),
            Some("json_object") => Wants::Json,
            _ => Wants::Text,
        },
        tools: list(&body["tools"]).iter().filter(|tool| tool["type"] == "function").map(tool).collect(),
        choice: match (choice.as_str(), choice["name"].as_str()) {
            (Some("required"), _) => Choice::Any,
            (None, Some(name)) => Choice::Named(name.to_owned()),
            _ => Choice::Free,
        },
        ..Asked::of(provider, model, &body)
    })
}

fn tool(tool: &Value) -> Tool {
    Tool { name: tool["name"].as_str().unwrap_or_default().to_owned(), schema: tool["parameters"].clone() }
}

/// Formats and tools are strict unless they say that they are not.
fn format(body: &Value) -> Result<(), Trouble> {
    let format = &body["text"]["format"];
    if format["type"] == "json_schema" {
        let Some(name) = format["name"].as_str() else {
            let message = "Missing required parameter: 'text.format.name'.";
            return Err(Trouble::about("text.format.name", message).coded("missing_required_parameter"));
        };
        if format["strict"] == true {
            strict(&format!("response_format '{name}'"), "text.format.schema", &format["schema"])?;
        }
    }
    if format["type"] == "json_object" && !body["input"].to_string().to_ascii_lowercase().contains("json") {
        let message = "Response input messages must contain the word 'json' in some form to use 'text.format' of type 'json_object'.";
        return Err(Trouble::about("input", message));
    }
    for (at, tool) in list(&body["tools"]).iter().enumerate().filter(|(_, tool)| tool["type"] == "function") {
        let Some(name) = tool["name"].as_str() else {
            let param = format!("tools[{at}].name");
            let message = format!("Missing required parameter: '{param}'.");
            return Err(Trouble::about(&param, message).coded("missing_required_parameter"));
        };
        if tool["strict"] != false {
            strict(&format!("function '{name}'"), &format!("tools[{at}].parameters"), &tool["parameters"])?;
        }
    }
    Ok(())
}

/// All items, those of the response before first.
fn conversation(kept: &Kept, body: &Value) -> Result<Vec<Value>, Trouble> {
    let mut items = match body["previous_response_id"].as_str() {
        None => Vec::new(),
        Some(id) => kept.get(id).ok_or_else(|| {
            let message = format!("Previous response with id '{id}' not found.");
            Trouble::about("previous_response_id", message).coded("previous_response_not_found")
        })?,
    };
    match &body["input"] {
        Value::String(text) => items.push(json!({ "role": "user", "content": text })),
        Value::Array(given) if !given.is_empty() => items.extend(given.iter().cloned()),
        _ if body["prompt"].is_object() => {}
        _ => {
            let message = "Missing required parameter: 'input'.";
            return Err(Trouble::about("input", message).coded("missing_required_parameter"));
        }
    }
    paired(&items)?;
    // What was not kept has to come along, encrypted.
    let bare = |item: &&Value| item["type"] == "reasoning" && !item["encrypted_content"].is_string();
    if let Some(item) = items.iter().find(bare).filter(|_| body["store"] == false) {
        let message = format!(
            "Item with id '{}' not found. Items are not persisted when `store` is set to false. Try again with `store` set to true, or remove this item from your input.",
            item["id"].as_str().unwrap_or_default()
        );
        return Err(Trouble::about("input", message));
    }
    Ok(items)
}

/// Every call has its output, and every output its call.
fn paired(items: &[Value]) -> Result<(), Trouble> {
    let ids = |kind: &str| -> Vec<&str> {
        items.iter().filter(|item| item["type"] == kind).filter_map(|item| item["call_id"].as_str()).collect()
    };
    let (calls, outputs) = (ids("function_call"), ids("function_call_output"));
    if let Some(id) = outputs.iter().find(|id| !calls.contains(id)) {
        return Err(Trouble::about("input", format!("No tool call found for function call output with call_id {id}.")));
    }
    match calls.iter().find(|id| !outputs.contains(id)) {
        Some(id) => Err(Trouble::about("input", format!("No tool output found for function call {id}."))),
        None => Ok(()),
    }
}

fn usage(usage: Usage) -> Value {
    json!({
        "input_tokens": usage.input, "input_tokens_details": { "cached_tokens": usage.cached },
        "output_tokens": usage.output, "output_tokens_details": { "reasoning_tokens": usage.thinking },
        "total_tokens": usage.input + usage.output,
    })
}

/// What a model made, item by item.
fn output(asked: &Asked, answer: &Answer) -> Vec<Value> {
    let mut items = Vec::new();
    if let Some(thinking) = &answer.thinking {
        let mut item = json!({ "id": format!("rs_{}", hex(48)), "type": "reasoning", "summary":
            [{ "type": "summary_text", "text": thinking }] });
        if asked.body["reasoning"]["summary"].is_null() {
            item["summary"] = json!([]);
        }
        if list(&asked.body["include"]).iter().any(|name| name == "reasoning.encrypted_content") {
            item["encrypted_content"] = format!("gAAAAA{}", hex(64)).into();
        }
        items.push(item);
    }
    let said = answer.whole();
    let mut content = Vec::new();
    if !said.is_empty() {
        content.push(json!({ "type": "output_text", "annotations": [], "logprobs": [], "text": said }));
    }
    content.extend(answer.refusal.iter().map(|refusal| json!({ "type": "refusal", "refusal": refusal })));
    let status = if ended(answer).0 == "completed" { "completed" } else { "incomplete" };
    if !content.is_empty() {
        items.push(json!({ "id": format!("msg_{}", hex(48)), "type": "message", "status": status, "content": content,
            "role": "assistant" }));
    }
    items.extend(answer.tool_calls.iter().map(|call| {
        let id = call.id.clone().unwrap_or_else(|| format!("call_{}", super::credentials::letters(24)));
        let arguments = call.arguments.as_str().map_or_else(|| call.arguments.to_string(), str::to_owned);
        json!({ "id": format!("fc_{}", hex(48)), "type": "function_call", "status": "completed",
            "arguments": arguments, "call_id": id, "name": call.name })
    }));
    items
}

/// Status and reason.
fn ended(answer: &Answer) -> (&'static str, Value) {
    match answer.finish() {
        Finish::Length => ("incomplete", json!({ "reason": "max_output_tokens" })),
        Finish::ContentFilter => ("incomplete", json!({ "reason": "content_filter" })),
        _ => ("completed", Value::Null),
    }
}

fn response(asked: &Asked, id: &str, status: &str) -> Value {
    let given = |name: &str, default: Value| asked.body.get(name).cloned().unwrap_or(default);
    json!({
        "id": id, "object": "response", "created_at": jiff::Timestamp::now().as_second(), "status": status,
        "background": false, "error": null, "incomplete_details": null, "instructions": given("instructions", Value::Null),
        "max_output_tokens": given("max_output_tokens", Value::Null), "model": asked.model, "output": [],
        "parallel_tool_calls": true, "previous_response_id": given("previous_response_id", Value::Null),
        "reasoning": { "effort": null, "summary": null }, "service_tier": "default", "store": given("store", true.into()),
        "temperature": 1.0, "text": given("text", json!({ "format": { "type": "text" } })),
        "tool_choice": given("tool_choice", "auto".into()), "tools": given("tools", json!([])), "top_p": 1.0,
        "truncation": "disabled", "usage": null, "user": null, "metadata": given("metadata", json!({})),
    })
}

/// The whole response; kept, if it is to be.
pub(super) fn whole(kept: &Kept, asked: &Asked, answer: &Answer) -> Value {
    let id = format!("resp_{}", hex(48));
    let (status, reason) = ended(answer);
    let mut whole = response(asked, &id, status);
    let output = output(asked, answer);
    if asked.body["store"] != false {
        // It was read before, so it can be read again.
        let mut items = conversation(kept, &asked.body).unwrap_or_default();
        items.extend(output.iter().cloned());
        kept.put(&id, items);
    }
    whole["incomplete_details"] = reason;
    whole["output"] = output.into();
    whole["usage"] = usage(answer.usage);
    whole
}

/// The same as a stream of events, each with its number.
pub(super) fn frames(kept: &Kept, asked: &Asked, answer: &Answer) -> Vec<Frame> {
    let whole = whole(kept, asked, answer);
    let begun = response(asked, whole["id"].as_str().unwrap_or_default(), "in_progress");
    let mut events = vec![("response.created", json!({ "response": begun }))];
    events.push(("response.in_progress", json!({ "response": begun })));
    for (at, item) in list(&whole["output"]).iter().enumerate() {
        events.push(("response.output_item.added", json!({ "output_index": at, "item": begun_item(item) })));
        let inner = match item["type"].as_str() {
            Some("message") => said(item, answer),
            Some("function_call") => called(item),
            _ => thought(item),
        };
        events.extend(inner.into_iter().map(|(name, mut event)| {
            event["item_id"] = item["id"].clone();
            event["output_index"] = at.into();
            (name, event)
        }));
        events.push(("response.output_item.done", json!({ "output_index": at, "item": item })));
    }
    let name = if whole["status"] == "completed" { "response.completed" } else { "response.incomplete" };
    events.push((name, json!({ "response": whole })));
    let numbered = events.into_iter().enumerate().map(|(number, (name, mut event))| {
        event["type"] = name.into();
        event["sequence_number"] = number.into();
        Frame::named(name, event)
    });
    numbered.collect()
}

/// An item before anything has come to it.
fn begun_item(item: &Value) -> Value {
    let mut begun = item.clone();
    for (name, empty) in
        [("content", json!([])), ("summary", json!([])), ("arguments", json!("")), ("status", json!("in_progress"))]
    {
        if !begun[name].is_null() {
            begun[name] = empty;
        }
    }
    begun
}

type Event = (&'static str, Value);

fn said(item: &Value, answer: &Answer) -> Vec<Event> {
    let mut events = Vec::new();
    for (index, part) in list(&item["content"]).iter().enumerate() {
        let is_text = part["type"] == "output_text";
        let begun = match is_text {
            true => json!({ "type": "output_text", "annotations": [], "logprobs": [], "text": "" }),
            false => json!({ "type": "refusal", "refusal": "" }),
        };
        events.push(("response.content_part.added", json!({ "content_index": index, "part": begun })));
        let pieces = if is_text { answer.pieces() } else { answer.refusal.iter().cloned().collect() };
        let name = if is_text { "response.output_text.delta" } else { "response.refusal.delta" };
        events.extend(pieces.into_iter().map(|piece| (name, json!({ "content_index": index, "delta": piece }))));
        events.push(match is_text {
            true => ("response.output_text.done", json!({ "content_index": index, "text": part["text"] })),
            false => ("response.refusal.done", json!({ "content_index": index, "refusal": part["refusal"] })),
        });
        events.push(("response.content_part.done", json!({ "content_index": index, "part": part })));
    }
    events
}

fn called(item: &Value) -> Vec<Event> {
    let arguments = item["arguments"].as_str().unwrap_or_default();
    let deltas = pieces(arguments).into_iter();
    let deltas = deltas.map(|piece| ("response.function_call_arguments.delta", json!({ "delta": piece })));
    deltas.chain([("response.function_call_arguments.done", json!({ "arguments": arguments }))]).collect()
}

fn thought(item: &Value) -> Vec<Event> {
    let mut events = Vec::new();
    for (index, part) in list(&item["summary"]).iter().enumerate() {
        let text = part["text"].as_str().unwrap_or_default();
        let begun = json!({ "type": "summary_text", "text": "" });
        events.push(("response.reasoning_summary_part.added", json!({ "summary_index": index, "part": begun })));
        events.extend(
            text.split_inclusive(' ').map(|piece| {
                ("response.reasoning_summary_text.delta", json!({ "summary_index": index, "delta": piece }))
            }),
        );
        events.push(("response.reasoning_summary_text.done", json!({ "summary_index": index, "text": text })));
        events.push(("response.reasoning_summary_part.done", json!({ "summary_index": index, "part": part })));
    }
    events
}

/// An error within the stream.
pub(super) fn error_frame(body: &Value) -> Frame {
    let error = &body["error"];
    let event = json!({ "type": "error", "sequence_number": 99, "code": error["code"], "message": error["message"],
        "param": error["param"], "error": error });
    Frame::named("error", event)
}
