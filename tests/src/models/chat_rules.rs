//! What the providers of chat completions refuse, each with its own words. Answers nothing.

use serde_json::{Map, Value};

use super::Provider;
use super::asked::{Asked, Wants, list};
use super::faults::{Bad, Trouble};

/// The fields that OpenAI knows.
const OPENAI: &[&str] = &[
    "audio",
    "frequency_penalty",
    "function_call",
    "functions",
    "logit_bias",
    "logprobs",
    "max_completion_tokens",
    "max_tokens",
    "messages",
    "metadata",
    "modalities",
    "model",
    "n",
    "parallel_tool_calls",
    "prediction",
    "presence_penalty",
    "prompt_cache_key",
    "prompt_cache_retention",
    "reasoning_effort",
    "response_format",
    "safety_identifier",
    "seed",
    "service_tier",
    "stop",
    "store",
    "stream",
    "stream_options",
    "temperature",
    "tool_choice",
    "tools",
    "top_logprobs",
    "top_p",
    "user",
    "verbosity",
    "web_search_options",
    "data_sources",
];
/// The fields that Mistral knows.
const MISTRAL: &[&str] = &[
    "frequency_penalty",
    "guardrails",
    "max_tokens",
    "messages",
    "metadata",
    "model",
    "n",
    "parallel_tool_calls",
    "prediction",
    "presence_penalty",
    "prompt_cache_key",
    "prompt_mode",
    "random_seed",
    "reasoning_effort",
    "response_format",
    "safe_prompt",
    "stop",
    "stream",
    "temperature",
    "tool_choice",
    "tools",
    "top_p",
];
const ROLES: &[&str] = &["system", "developer", "user", "assistant", "tool"];

/// Refuses what the provider of the question refuses. `version` is Azure's, where a request has one.
pub(super) fn check(asked: &Asked, version: Option<&str>) -> Result<(), Trouble> {
    match asked.provider {
        Provider::Mistral => mistral(asked)?,
        Provider::DeepSeek => deepseek(asked)?,
        Provider::OpenRouter => openrouter(asked)?,
        _ => openai(asked, version)?,
    }
    messages(asked)
}

fn openai(asked: &Asked, version: Option<&str>) -> Result<(), Trouble> {
    let fields = fields(&asked.body);
    for name in fields.keys() {
        let is_new = name == "max_completion_tokens" && version.is_some_and(|version| version < "2024-09-01");
        if !OPENAI.contains(&name.as_str()) || is_new {
            return Err(Trouble::about(name, format!("Unrecognized request argument supplied: {name}")));
        }
    }
    let streams = asked.streamed || !fields.contains_key("stream_options");
    if !streams {
        let message = "The 'stream_options' parameter is only allowed when 'stream' is enabled.";
        return Err(Trouble::about("stream_options", message));
    }
    if thinks(&asked.model) {
        thinking_model(&fields)?;
    }
    if asked.wants == Wants::Json && !says_json(asked) {
        let message =
            "'messages' must contain the word 'json' in some form, to use 'response_format' of type 'json_object'.";
        return Err(Trouble::about("messages", message));
    }
    let format = &asked.body["response_format"]["json_schema"];
    if let Wants::Schema(schema) = &asked.wants {
        let Some(name) = format["name"].as_str().filter(|name| is_name(name)) else {
            let message = "Missing required parameter: 'response_format.json_schema.name'.";
            return Err(Trouble::about("response_format.json_schema.name", message).coded("missing_required_parameter"));
        };
        if format["strict"] == true {
            strict(&format!("response_format '{name}'"), "response_format", schema)?;
        }
    }
    for (at, tool) in list(&asked.body["tools"]).iter().enumerate() {
        let (param, name) = (format!("tools[{at}].function.name"), tool["function"]["name"].as_str());
        let Some(name) = name.filter(|name| is_name(name)) else {
            let message = format!(
                "Invalid '{param}': string does not match pattern. Expected a string that matches the pattern '^[a-zA-Z0-9_-]+$'."
            );
            return Err(Trouble::about(&param, message).coded("invalid_value"));
        };
        if tool["function"]["strict"] == true {
            let param = format!("tools[{at}].function.parameters");
            strict(&format!("function '{name}'"), &param, &tool["function"]["parameters"])?;
        }
    }
    Ok(())
}

/// Models that think refuse the knobs of those that do not.
pub(super) fn thinks(model: &str) -> bool {
    let numbered = model.strip_prefix('o').and_then(|rest| rest.chars().next()).is_some_and(|c| c.is_ascii_digit());
    numbered || (model.starts_with("gpt-5") && !model.contains("chat"))
}

fn thinking_model(fields: &Map<String, Value>) -> Result<(), Trouble> {
    if fields.contains_key("max_tokens") {
        let message = "Unsupported parameter: 'max_tokens' is not supported with this model. Use 'max_completion_tokens' instead.";
        return Err(Trouble::about("max_tokens", message).coded("unsupported_parameter"));
    }
    for (name, default) in [("temperature", 1.0), ("top_p", 1.0), ("presence_penalty", 0.0), ("frequency_penalty", 0.0)]
    {
        let Some(value) = fields.get(name).and_then(Value::as_f64).filter(|value| *value != default) else { continue };
        let message = format!(
            "Unsupported value: '{name}' does not support {value} with this model. Only the default ({default}) value is supported."
        );
        return Err(Trouble::about(name, message).coded("unsupported_value"));
    }
    Ok(())
}

/// Strict schemas are closed, and every property is required.
pub(super) fn strict(what: &str, param: &str, schema: &Value) -> Result<(), Trouble> {
    let invalid = |wrong: String| Err(Trouble::about(param, format!("Invalid schema for {what}: {wrong}")));
    if schema["type"] != "object" {
        return invalid(format!("schema must be a JSON Schema of 'type: \"object\"', got 'type: {}'.", schema["type"]));
    }
    match open(schema, &mut Vec::new()) {
        Some(wrong) => invalid(wrong),
        None => Ok(()),
    }
}

fn open<'a>(schema: &'a Value, place: &mut Vec<&'a str>) -> Option<String> {
    let context = |place: &[&str]| place.iter().map(|step| format!("'{step}'")).collect::<Vec<_>>().join(", ");
    if schema["type"] == "object" || schema["properties"].is_object() {
        if schema["additionalProperties"] != false {
            let wrong = "'additionalProperties' is required to be supplied and to be false.";
            return Some(format!("In context=({}), {wrong}", context(place)));
        }
        let required = list(&schema["required"]);
        let mut names = schema["properties"].as_object().into_iter().flat_map(Map::keys);
        if let Some(missing) = names.find(|name| !required.iter().any(|known| known == name.as_str())) {
            let wrong = "'required' is required to be supplied and to be an array including every key in properties.";
            return Some(format!("In context=({}), {wrong} Missing '{missing}'.", context(place)));
        }
    }
    for word in ["properties", "$defs", "definitions"] {
        for (name, inner) in schema[word].as_object().into_iter().flatten() {
            place.extend([word, name]);
            if let Some(wrong) = open(inner, place) {
                return Some(wrong);
            }
            place.truncate(place.len().saturating_sub(2));
        }
    }
    let inner = list(&schema["anyOf"]).iter().chain(schema.get("items"));
    for inner in inner {
        place.push("items");
        if let Some(wrong) = open(inner, place) {
            return Some(wrong);
        }
        place.pop();
    }
    None
}

fn mistral(asked: &Asked) -> Result<(), Trouble> {
    if let Some(name) = fields(&asked.body).keys().find(|name| !MISTRAL.contains(&name.as_str())) {
        let bad = Bad {
            message: "Extra inputs are not permitted".into(),
            param: Some(name.clone()),
            code: Some("extra_forbidden"),
            status: Some(422),
        };
        return Err(Trouble::Bad(bad));
    }
    let messages = list(&asked.body["messages"]);
    if let Some(last) = messages.last().filter(|last| {
        last["role"] != "user" && last["role"] != "tool" && (last["role"] != "assistant" || last["prefix"] != true)
    }) {
        let role = last["role"].as_str().unwrap_or_default();
        let message =
            format!("Expected last role User or Tool (or Assistant with prefix True) for serving but got {role}");
        return Err(Trouble::bad(message).coded("invalid_request_message_order"));
    }
    let made = messages.iter().flat_map(|message| list(&message["tool_calls"])).map(|call| &call["id"]);
    let answered = messages.iter().filter(|message| message["role"] == "tool").map(|message| &message["tool_call_id"]);
    for id in made.chain(answered).map(|id| id.as_str().unwrap_or_default()) {
        if id.len() != 9 || !id.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
            let message = format!("Tool call id was {id} but must be a-z, A-Z, 0-9, with a length of 9.");
            return Err(Trouble::bad(message).coded("invalid_function_call"));
        }
    }
    Ok(())
}

fn deepseek(asked: &Asked) -> Result<(), Trouble> {
    if matches!(asked.wants, Wants::Schema(_)) {
        return Err(Trouble::bad("This response_format type is unavailable now"));
    }
    if asked.wants == Wants::Json && !says_json(asked) {
        let message =
            "Prompt must contain the word 'json' in some form to use 'response_format' of type 'json_object'.";
        return Err(Trouble::bad(message));
    }
    let thinks = asked.body["thinking"]["type"] == "enabled";
    let calls = list(&asked.body["messages"]).iter().filter(|message| message["tool_calls"].is_array());
    for (at, message) in calls.enumerate() {
        if thinks && !message["reasoning_content"].is_string() {
            return Err(Trouble::bad(format!(
                "Missing `reasoning_content` field in the assistant message at message index {at}"
            )));
        }
    }
    Ok(())
}

fn openrouter(asked: &Asked) -> Result<(), Trouble> {
    if !asked.model.contains('/') {
        return Err(Trouble::UnknownModel(asked.model.clone()));
    }
    match asked.wants == Wants::Json || list(&asked.body["messages"]).iter().all(|message| message["role"].is_string())
    {
        true => Ok(()),
        false => Err(Trouble::bad("Input required: specify \"prompt\" or \"messages\"")),
    }
}

/// Every call is answered, and every answer is one to a call.
fn messages(asked: &Asked) -> Result<(), Trouble> {
    let messages = list(&asked.body["messages"]);
    if messages.is_empty() {
        let message =
            "Invalid 'messages': empty array. Expected an array with minimum length 1, but got an empty array instead.";
        return Err(Trouble::about("messages", message).coded("empty_array"));
    }
    let mut open: Vec<&str> = Vec::new();
    for (at, message) in messages.iter().enumerate() {
        let role = message["role"].as_str().unwrap_or_default();
        if !ROLES.contains(&role) {
            let message = format!(
                "Invalid value: '{role}'. Supported values are: 'system', 'assistant', 'user', 'function', 'tool', and 'developer'."
            );
            return Err(Trouble::about(&format!("messages[{at}].role"), message).coded("invalid_value"));
        }
        if role == "tool" {
            let id = message["tool_call_id"].as_str().unwrap_or_default();
            let Some(place) = open.iter().position(|known| *known == id) else {
                let message = "Invalid parameter: messages with role 'tool' must be a response to a preceeding message with 'tool_calls'.";
                return Err(Trouble::about(&format!("messages.[{at}].role"), message));
            };
            open.remove(place);
            continue;
        }
        unanswered(&open, at)?;
        open = list(&message["tool_calls"]).iter().filter_map(|call| call["id"].as_str()).collect();
        arguments(message, at)?;
        if message["content"].is_null() && (role != "assistant" || open.is_empty()) && message["refusal"].is_null() {
            let message = "Invalid value for 'content': expected a string, got null.";
            return Err(Trouble::about(&format!("messages.[{at}].content"), message));
        }
    }
    unanswered(&open, messages.len())
}

fn unanswered(open: &[&str], at: usize) -> Result<(), Trouble> {
    if open.is_empty() {
        return Ok(());
    }
    let message = format!(
        "An assistant message with 'tool_calls' must be followed by tool messages responding to each 'tool_call_id'. The following tool_call_ids did not have response messages: {}",
        open.join(", ")
    );
    Err(Trouble::about(&format!("messages.[{at}].role"), message))
}

fn arguments(message: &Value, at: usize) -> Result<(), Trouble> {
    for (number, call) in list(&message["tool_calls"]).iter().enumerate() {
        let param = format!("messages[{at}].tool_calls[{number}]");
        if !call["function"]["arguments"].is_string() {
            let message =
                format!("Invalid type for '{param}.function.arguments': expected a string, but got an object instead.");
            return Err(Trouble::about(&format!("{param}.function.arguments"), message).coded("invalid_type"));
        }
        if call["type"] != "function" {
            let message = format!("Missing required parameter: '{param}.type'.");
            return Err(Trouble::about(&format!("{param}.type"), message).coded("missing_required_parameter"));
        }
    }
    Ok(())
}

fn says_json(asked: &Asked) -> bool {
    asked.body["messages"].to_string().to_ascii_lowercase().contains("json")
}

fn is_name(name: &str) -> bool {
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-');
    (1..=64).contains(&name.len()) && name.bytes().all(fits)
}

fn fields(body: &Value) -> Map<String, Value> {
    body.as_object().cloned().unwrap_or_default()
}
