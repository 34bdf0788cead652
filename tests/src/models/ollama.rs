//! Ollama's own chat: lines of JSON, arguments as objects, calls without ids.

use serde_json::{Value, json};

use super::asked::{Asked, Choice, Wants, list};
use super::faults::{Bad, Failure, Hint, Trouble};
use super::frames::Frame;
use super::script::{Answer, Finish};
use super::{Incoming, Provider, chat};

pub(super) fn read(incoming: &Incoming) -> Result<Asked, Trouble> {
    let body = incoming.json()?;
    let Some(model) = body["model"].as_str().filter(|model| !model.is_empty()) else {
        return Err(Trouble::bad("model is required"));
    };
    let messages = list(&body["messages"]);
    messages.iter().try_for_each(message)?;
    let user = messages.iter().rev().find(|message| message["role"] == "user");
    Ok(Asked {
        said: user.and_then(|user| user["content"].as_str()).unwrap_or_default().to_owned(),
        tool_results: messages.iter().filter(|message| message["role"] == "tool").count(),
        // Not said, it is true.
        streamed: body["stream"] != false,
        wants: match &body["format"] {
            Value::Null => Wants::Text,
            Value::String(format) if format.is_empty() => Wants::Text,
            Value::String(format) if format == "json" => Wants::Json,
            schema @ Value::Object(_) => Wants::Schema(schema.clone()),
            other => {
                return Err(Trouble::bad(format!(
                    "invalid format: {other}; expected \"json\" or a valid JSON Schema object"
                )));
            }
        },
        tools: list(&body["tools"]).iter().map(chat::tool).collect(),
        choice: Choice::Free,
        ..Asked::of(Provider::Ollama, model, &body)
    })
}

fn message(message: &Value) -> Result<(), Trouble> {
    let unfit = |field: &str, found: &str, kind: &str| {
        Err(Trouble::bad(format!(
            "json: cannot unmarshal {found} into Go struct field ChatRequest.messages.{field} of type {kind}"
        )))
    };
    if !matches!(message["role"].as_str(), Some("system" | "user" | "assistant" | "tool")) {
        return Err(Trouble::bad(format!(
            "invalid role: {}, must be one of [system, user, assistant, tool]",
            message["role"]
        )));
    }
    if !message["content"].is_string() && !message["content"].is_null() {
        return unfit("content", "array", "string");
    }
    for call in list(&message["tool_calls"]) {
        if !call["function"]["arguments"].is_object() {
            return unfit("tool_calls.function.arguments", "string", "api.ToolCallFunctionArguments");
        }
    }
    let is_base64 = |image: &Value| {
        let letters = image.as_str().unwrap_or(":").bytes();
        letters.into_iter().all(|byte| byte.is_ascii_alphanumeric() || b"+/=".contains(&byte))
    };
    match list(&message["images"]).iter().all(is_base64) {
        true => Ok(()),
        false => Err(Trouble::bad("illegal base64 data at input byte 4")),
    }
}

/// A line; what is over has its counts.
fn line(asked: &Asked, message: Value, end: Option<&Answer>) -> Value {
    let mut line = json!({
        "model": asked.model, "created_at": jiff::Timestamp::now().to_string(), "message": message, "done": end.is_some(),
    });
    if let Some(answer) = end {
        line["done_reason"] = if answer.finish() == Finish::Length { "length" } else { "stop" }.into();
        line["total_duration"] = 1_200_000_000_u64.into();
        line["load_duration"] = 20_000_000_u64.into();
        line["prompt_eval_count"] = answer.usage.input.into();
        line["prompt_eval_duration"] = 30_000_000_u64.into();
        line["eval_count"] = answer.usage.output.into();
        line["eval_duration"] = 900_000_000_u64.into();
    }
    line
}

fn calls(answer: &Answer) -> Vec<Value> {
    let calls = answer.tool_calls.iter();
    calls.map(|call| json!({ "function": { "name": call.name, "arguments": call.arguments } })).collect()
}

pub(super) fn whole(asked: &Asked, answer: &Answer) -> Value {
    let said = answer.whole() + answer.refusal.as_deref().unwrap_or_default();
    let mut message = json!({ "role": "assistant", "content": said });
    if let Some(thinking) = &answer.thinking {
        message["thinking"] = thinking.as_str().into();
    }
    if !answer.tool_calls.is_empty() {
        message["tool_calls"] = calls(answer).into();
    }
    line(asked, message, Some(answer))
}

pub(super) fn frames(asked: &Asked, answer: &Answer) -> Vec<Frame> {
    let thoughts = answer.thinking.iter().flat_map(|thinking| thinking.split_inclusive(' '));
    let thoughts = thoughts.map(|piece| json!({ "role": "assistant", "content": "", "thinking": piece }));
    let said = answer.pieces().into_iter().chain(answer.refusal.clone());
    let said = said.map(|piece| json!({ "role": "assistant", "content": piece }));
    let calls = calls(answer).into_iter();
    let calls = calls.map(|call| json!({ "role": "assistant", "content": "", "tool_calls": [call] }));
    let lines = thoughts.chain(said).chain(calls).map(|message| line(asked, message, None));
    let end = line(asked, json!({ "role": "assistant", "content": "" }), Some(answer));
    lines.chain([end]).map(Frame::plain).collect()
}

pub(super) fn failure(trouble: &Trouble) -> Failure {
    let error = |status: u16, message: &str| Failure::new(status, json!({ "error": message }));
    match trouble {
        Trouble::NoKey | Trouble::WrongKey(_) => error(401, "unauthorized"),
        Trouble::UnknownModel(model) => error(404, &format!("model '{model}' not found")),
        Trouble::Bad(Bad { message, .. }) => error(400, message),
        Trouble::ContextTooLong => error(400, "the input length exceeds the context length"),
        // Of its cloud.
        Trouble::QuotaExhausted => {
            let message = "you (stand-in) have reached your weekly usage limit, upgrade for higher limits: https://ollama.com/upgrade (ref: 0)";
            error(429, message)
        }
        Trouble::ContentFilter => error(400, "the prompt was blocked"),
        Trouble::RateLimited(wait) => {
            let wait = wait.or(Hint::None);
            error(429, &format!("too many concurrent requests.{}", wait.sentence())).with(wait.headers())
        }
        Trouble::Internal => error(500, "llama runner process has terminated: exit status 2"),
        Trouble::Overloaded => error(503, "server busy, please try again.  maximum pending requests exceeded"),
    }
}
