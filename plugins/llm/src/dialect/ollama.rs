//! Ollama's own API: a line of JSON is a piece of an answer, and a whole answer is one line.

use serde_json::{Value, json};

use super::{Codec, Dialect, Failure, Place, TOO_LONG, any_end, family, fields, object, openai, parsed, says};
use crate::build::{Builder, Key};
use crate::framing::Framing;
use crate::http::{HttpRequest, Options};
use crate::message::{
    AnswerPart, Finish, Image, Message, Request, ResponseFormat, Thinking, ToolChoice, Usage, UserPart,
};
use crate::{Kind, ProviderError, structured};

const BASE: &str = "http://localhost:11434";

pub const CODEC: Codec = Codec {
    dialect: Dialect::Ollama,
    encode,
    body,
    event: |builder, frame| body(builder, &parsed(frame.data.as_bytes())?),
    error,
    ended: any_end,
    framing: Framing::json_lines,
    images: None,
};

pub(super) fn encode(request: &Request, options: &Options) -> Result<HttpRequest, ProviderError> {
    let sampling = &request.sampling;
    let settings = fields([
        ("temperature", json!(sampling.temperature)),
        ("top_p", json!(sampling.top_p)),
        ("top_k", json!(sampling.top_k)),
        ("seed", json!(sampling.seed)),
        ("num_predict", json!(sampling.max_output_tokens)),
        ("stop", if sampling.stop.is_empty() { Value::Null } else { json!(sampling.stop) }),
    ]);
    let format = match &request.response {
        ResponseFormat::Text => Value::Null,
        ResponseFormat::Schema(schema) => schema.schema.clone(),
        ResponseFormat::Json | ResponseFormat::Described(_) => "json".into(),
    };
    let think = match request.thinking {
        Thinking::Unasked => Value::Null,
        Thinking::Off => false.into(),
        Thinking::On { .. } => true.into(),
    };
    let mut body = fields([
        ("model", request.model.as_str().into()),
        ("messages", messages(request)?),
        ("tools", tools(request)?),
        ("format", format),
        ("think", think),
        // Not said, it would be true.
        ("stream", request.stream.into()),
    ]);
    if !settings.is_empty() {
        body.insert("options".into(), settings.into());
    }
    let place =
        Place { base: options.base(BASE)?, path: "/api/chat".into(), query: Vec::new(), auth: openai::bearer(options) };
    place.post(options, None, body)
}

/// There is no choice of tools: none is said by leaving them out.
fn tools(request: &Request) -> Result<Value, ProviderError> {
    match request.tool_choice {
        ToolChoice::None => Ok(Value::Null),
        ToolChoice::Auto if request.tools.is_empty() => Ok(Value::Null),
        ToolChoice::Auto => Ok(request.tools.iter().map(family::tool).collect()),
        ToolChoice::Required | ToolChoice::Tool(_) => {
            Err(ProviderError::refused("Ollama cannot make a model call a tool: leave the choice to it"))
        }
    }
}

fn messages(request: &Request) -> Result<Value, ProviderError> {
    let format = match &request.response {
        // It holds the model to a schema, but the model does not see it.
        ResponseFormat::Text | ResponseFormat::Schema(_) => &ResponseFormat::Text,
        format => format,
    };
    let mut messages = Vec::new();
    for message in structured::instructed(&request.messages, format) {
        match message {
            Message::System { text } => messages.push(json!({ "role": "system", "content": text })),
            Message::User { parts } => messages.push(user(&parts)?),
            Message::Assistant { parts } => messages.push(assistant(&parts)),
            Message::Tool { results } => messages.extend(results.iter().map(|result| {
                let content =
                    if result.is_error { format!("error: {}", result.content) } else { result.content.clone() };
                json!({ "role": "tool", "tool_name": result.name, "content": content })
            })),
        }
    }
    Ok(messages.into())
}

fn user(parts: &[UserPart]) -> Result<Value, ProviderError> {
    let (mut texts, mut images) = (Vec::new(), Vec::new());
    for part in parts {
        match part {
            UserPart::Text { text } => texts.push(text.as_str()),
            UserPart::Image { image: Image::Bytes { data, .. } } => images.push(data.as_str()),
            UserPart::Image { image: Image::Url(_) } => {
                return Err(ProviderError::refused(
                    "Ollama fetches no pictures: give its bytes instead of its address",
                ));
            }
        }
    }
    let images = if images.is_empty() { Value::Null } else { json!(images) };
    Ok(fields([("role", "user".into()), ("content", texts.join("\n").into()), ("images", images)]).into())
}

fn assistant(parts: &[AnswerPart]) -> Value {
    let mut message = fields([("role", "assistant".into())]);
    let mut text = String::new();
    let mut calls = Vec::new();
    for part in parts {
        match part {
            AnswerPart::Text { text: more, .. } => text.push_str(more),
            AnswerPart::ToolCall(call) => {
                calls.push(json!({ "function": { "name": call.name, "arguments": object(&call.arguments) } }));
            }
            AnswerPart::Thinking { verbatim, .. } if verbatim.origin == Dialect::Ollama => {
                message.extend(verbatim.json.as_object().cloned().unwrap_or_default());
            }
            AnswerPart::Thinking { .. } => {}
        }
    }
    message.insert("content".into(), text.into());
    if !calls.is_empty() {
        message.insert("tool_calls".into(), calls.into());
    }
    Value::Object(message)
}

pub(super) fn body(builder: &mut Builder, body: &Value) -> Result<(), ProviderError> {
    if !body["error"].is_null() {
        return Err(error(&Failure::within(body)));
    }
    if !body["message"].is_object() && !body["done"].is_boolean() {
        return Err(ProviderError::malformed("the response has no `message`"));
    }
    builder.identify(&Value::Null, &body["model"]);
    let message = &body["message"];
    if let Some(text) = message["thinking"].as_str().filter(|text| !text.is_empty()) {
        builder.thinking(Key::Last, text)?;
        builder.verbatim(Key::Last, "thinking", &text.into())?;
    }
    builder.text(Key::Last, message["content"].as_str().unwrap_or_default())?;
    for call in message["tool_calls"].as_array().into_iter().flatten() {
        let id = call["id"].as_str().or(call["function"]["id"].as_str());
        builder.call(Key::Last, id, call["function"]["name"].as_str().unwrap_or_default())?;
        match &call["function"]["arguments"] {
            Value::Null => {}
            Value::String(json) => builder.arguments(Key::Last, json)?,
            arguments => builder.arguments(Key::Last, &arguments.to_string())?,
        }
    }
    if body["done"] == true {
        end(builder, body);
    }
    Ok(())
}

fn end(builder: &mut Builder, body: &Value) {
    let count = |name: &str| body[name].as_u64();
    // A prompt that was read from the cache is not counted.
    if count("prompt_eval_count").is_some() || count("eval_count").is_some() {
        builder.usage = Some(Usage {
            input_tokens: count("prompt_eval_count").unwrap_or(0),
            output_tokens: count("eval_count").unwrap_or(0),
            ..Usage::default()
        });
    }
    let word = body["done_reason"].as_str().unwrap_or("stop");
    let finish = match word {
        "stop" => Finish::Stop,
        "length" => Finish::Length,
        // A model that was loaded, and asked nothing.
        _ => Finish::Other,
    };
    builder.finish(finish, word);
}

pub(super) fn error(failure: &Failure<'_>) -> ProviderError {
    let message = failure.message(failure.body["error"].as_str().or(failure.body["error"]["message"].as_str()));
    let wait = failure.wait(&message);
    let kind = match failure.status {
        // Its cloud's, of a week: no wait of a run helps.
        _ if says(&message, &["usage limit"]) => Kind::QuotaExhausted,
        400 | 404 if says(&message, &["not found", "no such model"]) => Kind::UnknownModel,
        400 if says(&message, &TOO_LONG) => Kind::TooLong,
        status => Kind::of_status(status, wait),
    };
    ProviderError::new(kind, message)
}
