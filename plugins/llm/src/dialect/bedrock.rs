//! Amazon Bedrock's Converse: one form for the models of many, signed, and streamed in binary frames.

use serde_json::{Map, Value, json};

use super::{
    Codec, Dialect, Failure, Place, TOO_LONG, any_end, claude_takes_schema, fields, object, parsed, refuse_seed, says,
};
use crate::build::{Builder, Key};
use crate::framing::{Frame, Framing};
use crate::http::{Auth, Credential, HttpRequest, Options, encoded};
use crate::message::{
    AnswerPart, Finish, Image, Message, Request, ResponseFormat, Thinking, ToolChoice, ToolResult, Usage, UserPart,
};
use crate::{Kind, ProviderError, structured};

/// Where flows without a region mean to ask.
const REGION: &str = "us-east-1";
/// What thinking is allowed where nobody says: the least that is taken.
const THINKING_TOKENS: u32 = 1_024;

pub const CODEC: Codec = Codec {
    dialect: Dialect::Bedrock,
    encode,
    body,
    event,
    error,
    ended: any_end,
    framing: Framing::aws,
    images: None,
};

pub(super) fn encode(request: &Request, options: &Options) -> Result<HttpRequest, ProviderError> {
    refuse_seed(request)?;
    let region = options.region.as_deref().unwrap_or(REGION);
    if region.is_empty() || !region.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-') {
        return Err(ProviderError::refused(format!("`{region}` is no region of AWS")));
    }
    let auth = match options.credential {
        Credential::Key => Auth::SigV4 { service: "bedrock", region: region.to_owned() },
        Credential::Token => Auth::Bearer,
        Credential::None => Auth::None,
    };
    let base = options.base(&format!("https://bedrock-runtime.{region}.amazonaws.com"))?;
    let verb = if request.stream { "converse-stream" } else { "converse" };
    let path = format!("/model/{}/{verb}", encoded(&request.model));
    let accept = request.stream.then_some("application/vnd.amazon.eventstream");
    Place { base, path, query: Vec::new(), auth }.post(options, accept, body_of(request)?)
}

fn body_of(request: &Request) -> Result<Map<String, Value>, ProviderError> {
    let sampling = &request.sampling;
    let native = matches!(request.response, ResponseFormat::Schema(_)) && claude_takes_schema(&request.model);
    let messages = match native {
        true => request.messages.clone(),
        false => structured::instructed(&request.messages, &request.response),
    };
    let inference = fields([
        ("maxTokens", json!(sampling.max_output_tokens)),
        ("temperature", json!(sampling.temperature)),
        ("topP", json!(sampling.top_p)),
        ("stopSequences", if sampling.stop.is_empty() { Value::Null } else { json!(sampling.stop) }),
    ]);
    let further = further(request)?;
    let optional = |fields: Map<String, Value>| if fields.is_empty() { Value::Null } else { Value::Object(fields) };
    let mut body = fields([
        ("system", system(&messages, request.cache_prompt)),
        ("messages", turns(&messages)?),
        ("inferenceConfig", optional(inference)),
        ("toolConfig", tools(request)),
        ("additionalModelRequestFields", optional(further)),
    ]);
    if let (true, ResponseFormat::Schema(schema)) = (native, &request.response) {
        let schema = fields([
            // A text, not an object.
            ("schema", schema.schema.to_string().into()),
            ("name", structured::name(&schema.name).into()),
            ("description", json!(schema.description)),
        ]);
        let format = json!({ "type": "json_schema", "structure": { "jsonSchema": schema } });
        body.insert("outputConfig".into(), json!({ "textFormat": format }));
    }
    Ok(body)
}

/// What only models of Anthropic know.
fn further(request: &Request) -> Result<Map<String, Value>, ProviderError> {
    let is_claude = request.model.contains("claude");
    if !is_claude && request.sampling.top_k.is_some() {
        return Err(ProviderError::refused("this model has no `topK`: leave it out"));
    }
    let thinking = match request.thinking {
        Thinking::On { budget_tokens, .. } if is_claude => {
            json!({ "type": "enabled", "budget_tokens": budget_tokens.unwrap_or(THINKING_TOKENS).max(THINKING_TOKENS) })
        }
        _ => Value::Null,
    };
    Ok(fields([("top_k", json!(request.sampling.top_k)), ("thinking", thinking)]))
}

fn system(messages: &[Message], cached: bool) -> Value {
    let texts = messages.iter().filter_map(|message| match message {
        Message::System { text } if !text.is_empty() => Some(json!({ "text": text })),
        _ => None,
    });
    let mut blocks: Vec<Value> = texts.collect();
    if blocks.is_empty() {
        return Value::Null;
    }
    if cached {
        blocks.push(json!({ "cachePoint": { "type": "default" } }));
    }
    blocks.into()
}

/// "None" cannot be said. A conversation that has calls in it needs its tools even so.
fn tools(request: &Request) -> Value {
    let has_calls = request.messages.iter().any(|message| match message {
        Message::Assistant { parts } => parts.iter().any(|part| matches!(part, AnswerPart::ToolCall(_))),
        Message::Tool { .. } => true,
        Message::System { .. } | Message::User { .. } => false,
    });
    let choice = match &request.tool_choice {
        ToolChoice::None if !has_calls => return Value::Null,
        ToolChoice::None | ToolChoice::Auto => Value::Null,
        ToolChoice::Required => json!({ "any": {} }),
        ToolChoice::Tool(name) => json!({ "tool": { "name": name } }),
    };
    if request.tools.is_empty() {
        return Value::Null;
    }
    let tools = request.tools.iter().map(|tool| {
        let mut fields = fields([
            ("name", tool.name.as_str().into()),
            ("description", if tool.description.is_empty() { Value::Null } else { tool.description.as_str().into() }),
            ("inputSchema", json!({ "json": tool.schema })),
        ]);
        if tool.strict && structured::fits_strict(&tool.schema) {
            fields.insert("strict".into(), true.into());
        }
        json!({ "toolSpec": fields })
    });
    fields([("tools", tools.collect()), ("toolChoice", choice)]).into()
}

/// The turns, one after the other of user and assistant, with results of tools first.
fn turns(messages: &[Message]) -> Result<Value, ProviderError> {
    let mut turns: Vec<(&str, Vec<Value>)> = Vec::new();
    for message in messages {
        let (role, blocks): (_, Vec<Value>) = match message {
            Message::System { .. } => continue,
            Message::User { parts } => {
                ("user", parts.iter().filter_map(|part| user(part).transpose()).collect::<Result<_, _>>()?)
            }
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
        turn.sort_by_key(|block| block.get("toolResult").is_none());
    }
    Ok(turns.into_iter().map(|(role, content)| json!({ "role": role, "content": content })).collect())
}

fn user(part: &UserPart) -> Result<Option<Value>, ProviderError> {
    match part {
        UserPart::Text { text } => Ok(text_block(text)),
        UserPart::Image { image: Image::Bytes { media_type, data } } => {
            let format = media_type.strip_prefix("image/").unwrap_or(media_type);
            let format = if format == "jpg" { "jpeg" } else { format };
            Ok(Some(json!({ "image": { "format": format, "source": { "bytes": data.as_str() } } })))
        }
        UserPart::Image { image: Image::Url(_) } => {
            Err(ProviderError::refused("Bedrock fetches no pictures: give its bytes instead of its address"))
        }
    }
}

fn text_block(text: &str) -> Option<Value> {
    (!text.is_empty()).then(|| json!({ "text": text }))
}

fn assistant(part: &AnswerPart) -> Option<Value> {
    match part {
        AnswerPart::Text { text, .. } => text_block(text),
        AnswerPart::ToolCall(call) => {
            Some(json!({ "toolUse": { "toolUseId": call.id, "name": call.name, "input": object(&call.arguments) } }))
        }
        AnswerPart::Thinking { verbatim, .. } => {
            let fields = verbatim.json.as_object().filter(|_| verbatim.origin == Dialect::Bedrock)?;
            let content = match fields.contains_key("redactedContent") {
                true => verbatim.json.clone(),
                false => json!({ "reasoningText": fields }),
            };
            Some(json!({ "reasoningContent": content }))
        }
    }
}

fn result(result: &ToolResult) -> Value {
    let content = match serde_json::from_str::<Value>(&result.content) {
        Ok(json) if json.is_object() => json!({ "json": json }),
        _ => json!({ "text": result.content }),
    };
    let status = if result.is_error { "error" } else { "success" };
    json!({ "toolResult": { "toolUseId": result.id, "content": [content], "status": status } })
}

pub(super) fn body(builder: &mut Builder, body: &Value) -> Result<(), ProviderError> {
    let Some(blocks) = body["output"]["message"]["content"].as_array() else {
        return Err(ProviderError::malformed("the response has no `output`"));
    };
    for (index, block) in blocks.iter().enumerate() {
        let key = Key::At(index as u64);
        begin(builder, key, block)?;
        if block["toolUse"]["input"].as_object().is_some_and(|input| !input.is_empty()) {
            builder.arguments(key, &block["toolUse"]["input"].to_string())?;
        }
        said(builder, key, block)?;
        if block["reasoningContent"]["reasoningText"].is_object() {
            thought(builder, key, &block["reasoningContent"]["reasoningText"])?;
        }
    }
    builder.usage = usage(&body["usage"]);
    end(builder, &body["stopReason"]);
    Ok(())
}

pub(super) fn event(builder: &mut Builder, frame: &Frame) -> Result<(), ProviderError> {
    let event = match frame.data.trim() {
        "" => Value::Null,
        data => parsed(data.as_bytes())?,
    };
    let key = Key::At(event["contentBlockIndex"].as_u64().unwrap_or(0));
    match frame.name.as_str() {
        "contentBlockStart" => begin(builder, key, &event["start"])?,
        "contentBlockDelta" => {
            builder.arguments(key, event["delta"]["toolUse"]["input"].as_str().unwrap_or_default())?;
            said(builder, key, &event["delta"])?;
        }
        "messageStop" => end(builder, &event["stopReason"]),
        "metadata" => builder.usage = usage(&event["usage"]),
        name if name.to_ascii_lowercase().ends_with("exception") => {
            return Err(exception(name, &Failure::within(&event)));
        }
        _ => {}
    }
    Ok(())
}

fn begin(builder: &mut Builder, key: Key, block: &Value) -> Result<(), ProviderError> {
    let call = &block["toolUse"];
    match call.is_object() {
        true => builder.call(key, call["toolUseId"].as_str(), call["name"].as_str().unwrap_or_default()),
        false => Ok(()),
    }
}

/// Text and thoughts, which whole answers and streams have in nearly the same form.
fn said(builder: &mut Builder, key: Key, block: &Value) -> Result<(), ProviderError> {
    builder.text(key, block["text"].as_str().unwrap_or_default())?;
    thought(builder, key, &block["reasoningContent"])
}

fn thought(builder: &mut Builder, key: Key, thought: &Value) -> Result<(), ProviderError> {
    for name in ["text", "signature", "redactedContent"] {
        let Some(value) = thought[name].as_str() else { continue };
        builder.thinking(key, if name == "text" { value } else { "" })?;
        builder.verbatim(key, name, &value.into())?;
    }
    Ok(())
}

fn end(builder: &mut Builder, reason: &Value) {
    let Some(word) = reason.as_str() else { return };
    let finish = match word {
        "end_turn" | "stop_sequence" => Finish::Stop,
        "max_tokens" | "model_context_window_exceeded" => Finish::Length,
        "tool_use" => Finish::ToolCalls,
        "guardrail_intervened" | "content_filtered" => Finish::ContentFilter,
        "refusal" => Finish::Refusal,
        _ => Finish::Other,
    };
    builder.finish(finish, word);
}

/// What the cache gave or took is not among the input tokens.
fn usage(usage: &Value) -> Option<Usage> {
    let count = |name: &str| usage[name].as_u64().unwrap_or(0);
    let cached = count("cacheReadInputTokens");
    usage.is_object().then(|| Usage {
        input_tokens: count("inputTokens") + cached + count("cacheWriteInputTokens"),
        output_tokens: count("outputTokens"),
        cached_tokens: cached,
        ..Usage::default()
    })
}

pub(super) fn error(failure: &Failure<'_>) -> ProviderError {
    let named = failure.headers.get("x-amzn-errortype").or_else(|| failure.body["__type"].as_str()).unwrap_or_default();
    exception(named, failure)
}

/// An exception by its name, which may have a namespace before it and an address behind it.
fn exception(name: &str, failure: &Failure<'_>) -> ProviderError {
    let name = name.split(':').next().unwrap_or_default();
    let name = name.rsplit('#').next().unwrap_or_default().to_ascii_lowercase();
    let body = &failure.body;
    let message = failure.message(body["message"].as_str().or(body["Message"].as_str()));
    let wait = failure.wait(&message);
    let kind = match name.as_str() {
        "throttlingexception" if says(&message, &["per day"]) => Kind::QuotaExhausted,
        "throttlingexception" => Kind::RateLimited { retry_after_ms: wait },
        "servicequotaexceededexception" => Kind::QuotaExhausted,
        "modelnotreadyexception" | "serviceunavailableexception" => Kind::Overloaded { retry_after_ms: wait },
        "accessdeniedexception"
        | "unrecognizedclientexception"
        | "expiredtokenexception"
        | "invalidsignatureexception" => Kind::Auth,
        "resourcenotfoundexception" => Kind::UnknownModel,
        "validationexception" if says(&message, &TOO_LONG) => Kind::TooLong,
        "validationexception" if says(&message, &["model identifier is invalid"]) => Kind::UnknownModel,
        "validationexception" => Kind::BadRequest,
        "modeltimeoutexception" | "modelerrorexception" | "modelstreamerrorexception" | "internalserverexception" => {
            Kind::Server
        }
        _ => Kind::of_status(failure.status, wait),
    };
    ProviderError::new(kind, message)
}
