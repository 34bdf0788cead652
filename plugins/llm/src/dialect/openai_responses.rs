//! OpenAI's Responses: a conversation is a list of items, and the provider need not keep it.

use serde_json::{Map, Value, json};

use super::{Codec, Dialect, Failure, Place, any_end, family, fields, openai, parsed, refuse_seed, refuse_top_k};
use crate::build::{Builder, Key};
use crate::framing::{Frame, Framing};
use crate::http::{HttpRequest, Options};
use crate::message::{
    AnswerPart, Finish, Image, Message, Request, ResponseFormat, Thinking, Tool, ToolChoice, Usage, UserPart, Verbatim,
};
use crate::{Kind, ProviderError, structured};

/// What of a thought is taken back. Of the rest some is refused.
const THOUGHT: [&str; 4] = ["type", "id", "summary", "encrypted_content"];

pub const CODEC: Codec = Codec {
    dialect: Dialect::OpenAiResponses,
    encode,
    body,
    event,
    error: family::error,
    ended: any_end,
    framing: Framing::events,
    images: None,
};

pub(super) fn encode(request: &Request, options: &Options) -> Result<HttpRequest, ProviderError> {
    refuse_top_k(request)?;
    refuse_seed(request)?;
    let sampling = &request.sampling;
    if !sampling.stop.is_empty() {
        return Err(ProviderError::refused("this provider has no words to stop at: leave `stop` out"));
    }
    let thinks = thinks(request);
    let mut body = fields([
        ("model", request.model.as_str().into()),
        ("input", input(request).into()),
        ("temperature", json!(sampling.temperature)),
        ("top_p", json!(sampling.top_p)),
        ("max_output_tokens", json!(sampling.max_output_tokens)),
        ("text", format(&request.response)),
        // What nobody asked to be kept is not kept, so thoughts have to come along.
        ("store", false.into()),
        ("include", if thinks { json!(["reasoning.encrypted_content"]) } else { Value::Null }),
        ("reasoning", if asks_for_thoughts(request) { json!({ "summary": "auto" }) } else { Value::Null }),
    ]);
    if !request.tools.is_empty() {
        body.insert("tools".into(), request.tools.iter().map(tool).collect());
        body.extend(fields([
            ("tool_choice", choice(&request.tool_choice)),
            ("parallel_tool_calls", json!(request.parallel_tool_calls)),
        ]));
    }
    if request.stream {
        body.insert("stream".into(), true.into());
    }
    let base = options.base(openai::BASE)?;
    let place = Place { base, path: "/responses".into(), query: Vec::new(), auth: openai::bearer(options) };
    place.post(options, openai::accept(request), body)
}

/// Models that do not think refuse to be asked for their thoughts.
fn thinks(request: &Request) -> bool {
    let model = request.model.as_str();
    let numbered = model.strip_prefix('o').is_some_and(|rest| rest.starts_with(|letter: char| letter.is_ascii_digit()));
    numbered || model.starts_with("gpt-5") || matches!(request.thinking, Thinking::On { .. })
}

fn asks_for_thoughts(request: &Request) -> bool {
    matches!(request.thinking, Thinking::On { shown: true, .. })
}

fn format(response: &ResponseFormat) -> Value {
    let format = match response {
        ResponseFormat::Text => return Value::Null,
        ResponseFormat::Json | ResponseFormat::Described(_) => fields([("type", "json_object".into())]),
        ResponseFormat::Schema(schema) => fields([
            ("type", "json_schema".into()),
            ("name", structured::name(&schema.name).into()),
            ("description", json!(schema.description)),
            ("strict", (schema.strict && structured::fits_strict(&schema.schema)).into()),
            ("schema", schema.schema.clone()),
        ]),
    };
    json!({ "format": format })
}

/// Here a tool is strict unless it says that it is not.
fn tool(tool: &Tool) -> Value {
    json!({
        "type": "function",
        "name": tool.name,
        "description": tool.description,
        "parameters": tool.schema,
        "strict": tool.strict && structured::fits_strict(&tool.schema),
    })
}

fn choice(choice: &ToolChoice) -> Value {
    match choice {
        ToolChoice::Auto => Value::Null,
        ToolChoice::None => "none".into(),
        ToolChoice::Required => "required".into(),
        ToolChoice::Tool(name) => json!({ "type": "function", "name": name }),
    }
}

fn input(request: &Request) -> Vec<Value> {
    let format = match &request.response {
        ResponseFormat::Schema(_) => &ResponseFormat::Text,
        format => format,
    };
    let mut items = Vec::new();
    for message in structured::instructed(&request.messages, format) {
        match message {
            Message::System { text } => items.push(json!({ "role": "system", "content": text })),
            Message::User { parts } => {
                let content: Vec<Value> = parts.iter().map(user).collect();
                items.push(json!({ "role": "user", "content": content }));
            }
            Message::Assistant { parts } => items.extend(parts.iter().filter_map(assistant)),
            Message::Tool { results } => items.extend(results.iter().map(|result| {
                let output =
                    if result.is_error { format!("error: {}", result.content) } else { result.content.clone() };
                json!({ "type": "function_call_output", "call_id": result.id, "output": output })
            })),
        }
    }
    items
}

fn user(part: &UserPart) -> Value {
    match part {
        UserPart::Text { text } => json!({ "type": "input_text", "text": text }),
        UserPart::Image { image: Image::Url(url) } => json!({ "type": "input_image", "image_url": url }),
        UserPart::Image { image: Image::Bytes { media_type, data } } => {
            json!({ "type": "input_image", "image_url": format!("data:{media_type};base64,{}", data.as_str()) })
        }
    }
}

fn assistant(part: &AnswerPart) -> Option<Value> {
    match part {
        AnswerPart::Text { text, .. } if text.is_empty() => None,
        AnswerPart::Text { text, .. } => Some(json!({ "role": "assistant", "content": text })),
        AnswerPart::ToolCall(call) => {
            let arguments = call.arguments.as_str().map_or_else(|| call.arguments.to_string(), str::to_owned);
            Some(json!({ "type": "function_call", "call_id": call.id, "name": call.name, "arguments": arguments }))
        }
        AnswerPart::Thinking { verbatim, .. } => thought(verbatim),
    }
}

/// A thought that is not encrypted stands for one that the provider kept, and it keeps none.
fn thought(verbatim: &Verbatim) -> Option<Value> {
    let item = verbatim.json.as_object().filter(|_| verbatim.origin == Dialect::OpenAiResponses)?;
    item.get("encrypted_content").filter(|content| content.is_string())?;
    let taken = item.iter().filter(|(name, _)| THOUGHT.contains(&name.as_str()));
    Some(taken.map(|(name, value)| (name.clone(), value.clone())).collect::<Map<_, _>>().into())
}

pub(super) fn body(builder: &mut Builder, body: &Value) -> Result<(), ProviderError> {
    if !body["error"].is_null() {
        return Err(family::error(&Failure::within(body)));
    }
    let Some(items) = body["output"].as_array() else {
        return Err(ProviderError::malformed("the response has no `output`"));
    };
    for (index, item) in items.iter().enumerate() {
        let key = Key::At(index as u64);
        begin(builder, key, item)?;
        for said in item["content"].as_array().into_iter().flatten().filter(|_| item["type"] == "message") {
            builder.text(key, said["text"].as_str().unwrap_or_default())?;
            refusal(builder, &said["refusal"])?;
        }
        if let Some(arguments) = item["arguments"].as_str() {
            builder.arguments(key, arguments)?;
        }
        let summary = item["summary"].as_array().into_iter().flatten().filter_map(|piece| piece["text"].as_str());
        if item["type"] == "reasoning" {
            builder.thinking(key, &summary.collect::<Vec<_>>().join("\n\n"))?;
        }
        end_of_item(builder, key, item)?;
    }
    end(builder, body)
}

pub(super) fn event(builder: &mut Builder, frame: &Frame) -> Result<(), ProviderError> {
    if frame.data.trim() == "[DONE]" {
        return Ok(());
    }
    let event = parsed(frame.data.as_bytes())?;
    let key = Key::At(event["output_index"].as_u64().unwrap_or(0));
    let delta = event["delta"].as_str().unwrap_or_default();
    match event["type"].as_str().unwrap_or(&frame.name) {
        "response.output_item.added" => begin(builder, key, &event["item"]),
        "response.output_text.delta" => builder.text(key, delta),
        "response.refusal.delta" => builder.refusal(delta),
        "response.function_call_arguments.delta" => builder.arguments(key, delta),
        "response.reasoning_summary_part.added" if event["summary_index"].as_u64().unwrap_or(0) > 0 => {
            builder.thinking(key, "\n\n")
        }
        "response.reasoning_summary_text.delta" => builder.thinking(key, delta),
        "response.output_item.done" => end_of_item(builder, key, &event["item"]),
        "response.completed" | "response.incomplete" | "response.failed" => end(builder, &event["response"]),
        "error" => Err(family::error(&Failure::within(&event))),
        // An error without a type, as of a server that could not even begin.
        _ if !event["error"].is_null() => Err(family::error(&Failure::within(&event))),
        _ => Ok(()),
    }
}

fn begin(builder: &mut Builder, key: Key, item: &Value) -> Result<(), ProviderError> {
    match item["type"].as_str() {
        Some("function_call") => builder.call(key, item["call_id"].as_str(), item["name"].as_str().unwrap_or_default()),
        Some("reasoning") => builder.thinking(key, ""),
        _ => Ok(()),
    }
}

fn refusal(builder: &mut Builder, refusal: &Value) -> Result<(), ProviderError> {
    refusal.as_str().map_or(Ok(()), |text| builder.refusal(text))
}

/// What goes back of a thought is only there when it is over.
fn end_of_item(builder: &mut Builder, key: Key, item: &Value) -> Result<(), ProviderError> {
    let fields = item.as_object().into_iter().flatten().filter(|_| item["type"] == "reasoning");
    fields.into_iter().try_for_each(|(name, value)| builder.verbatim(key, name, value))
}

fn end(builder: &mut Builder, response: &Value) -> Result<(), ProviderError> {
    if !response["error"].is_null() {
        return Err(family::error(&Failure::within(response)));
    }
    builder.identify(&response["id"], &response["model"]);
    builder.usage = usage(&response["usage"]).or(builder.usage);
    let reason = response["incomplete_details"]["reason"].as_str();
    let (finish, word) = match (response["status"].as_str().unwrap_or_default(), reason) {
        ("completed", _) => (Finish::Stop, "completed"),
        ("incomplete", Some(reason @ "max_output_tokens")) => (Finish::Length, reason),
        ("incomplete", Some(reason @ "content_filter")) => (Finish::ContentFilter, reason),
        ("failed", _) => return Err(ProviderError::new(Kind::Server, "the provider failed within the answer")),
        (status, reason) => (Finish::Other, reason.unwrap_or(status)),
    };
    builder.finish(finish, word);
    Ok(())
}

fn usage(usage: &Value) -> Option<Usage> {
    let count = |pointer: &str| usage.pointer(pointer).and_then(Value::as_u64).unwrap_or(0);
    usage.is_object().then(|| Usage {
        input_tokens: count("/input_tokens"),
        output_tokens: count("/output_tokens"),
        cached_tokens: count("/input_tokens_details/cached_tokens"),
        thinking_tokens: count("/output_tokens_details/reasoning_tokens"),
        cost: None,
    })
}
