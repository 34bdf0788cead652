//! What Anthropic refuses: unknown names, thoughts that were changed, results out of their place, and what a version has no more.

use serde_json::{Map, Value};

use super::Incoming;
use super::asked::list;
use super::credentials::Credentials;
use super::faults::Trouble;

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

/// Refuses what Anthropic refuses.
pub(super) fn check(credentials: &Credentials, version: &str, body: &Value) -> Result<(), Trouble> {
    let is_known = |name: &str| FIELDS.contains(&name) && (version != NEWEST || !SAMPLING.contains(&name));
    if let Some(name) = body.as_object().into_iter().flat_map(Map::keys).find(|name| !is_known(name)) {
        return Err(Trouble::bad(format!("{name}: Extra inputs are not permitted")));
    }
    let Some(model) = body["model"].as_str() else { return Err(Trouble::bad("model: Field required")) };
    let Some(max_tokens) = body["max_tokens"].as_u64().filter(|tokens| *tokens > 0) else {
        return Err(Trouble::bad("max_tokens: Field required"));
    };
    thinking(body, max_tokens)?;
    let format = &body["output_config"]["format"];
    if !format.is_null() {
        schema(model, format)?;
    }
    messages(credentials, body)?;
    if version == NEWEST { places(body) } else { Ok(()) }
}

/// The version that a request names.
pub(super) fn version(incoming: &Incoming) -> Result<&str, Trouble> {
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
