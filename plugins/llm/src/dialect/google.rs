//! What Gemini and Vertex AI share: all but where they are and how one proves who one is.

use serde_json::{Map, Value, json};

use super::{Dialect, Failure, TOO_LONG, fields, object, parsed, says};
use crate::build::{Builder, Key, given};
use crate::framing::Frame;
use crate::images::{self, ImageRequest};
use crate::message::{
    AnswerPart, Finish, Image, Message, Request, ResponseFormat, Thinking, ToolChoice, ToolResult, Usage, UserPart,
    Verbatim,
};
use crate::{Kind, ProviderError, retry, structured};

/// The words of a schema that `responseSchema` and `parameters` know; models that know more take it as JSON Schema.
const SUBSET: [&str; 20] = [
    "type",
    "format",
    "title",
    "description",
    "nullable",
    "enum",
    "minItems",
    "maxItems",
    "properties",
    "required",
    "minProperties",
    "maxProperties",
    "minLength",
    "maxLength",
    "pattern",
    "example",
    "anyOf",
    "propertyOrdering",
    "items",
    "default",
];
const NUMBERS: [&str; 2] = ["minimum", "maximum"];

pub(super) fn path(request: &Request, models: &str) -> (String, Vec<(&'static str, String)>) {
    let model = crate::http::encoded(request.model.trim_start_matches("models/"));
    match request.stream {
        true => (format!("{models}/{model}:streamGenerateContent"), vec![("alt", "sse".into())]),
        false => (format!("{models}/{model}:generateContent"), Vec::new()),
    }
}

pub(super) fn body_of(request: &Request, dialect: Dialect) -> Result<Map<String, Value>, ProviderError> {
    let messages = match request.response {
        ResponseFormat::Described(_) => structured::instructed(&request.messages, &request.response),
        _ => request.messages.clone(),
    };
    let system: Vec<Value> = messages
        .iter()
        .filter_map(|message| match message {
            Message::System { text } => Some(json!({ "text": text })),
            _ => None,
        })
        .collect();
    let mut body = fields([
        ("systemInstruction", if system.is_empty() { Value::Null } else { json!({ "parts": system }) }),
        ("contents", contents(&messages, dialect)?),
    ]);
    if !request.tools.is_empty() {
        let declarations: Vec<Value> = request
            .tools
            .iter()
            .map(|tool| {
                let mut declaration =
                    fields([("name", tool.name.as_str().into()), ("description", tool.description.as_str().into())]);
                // An object without properties is refused: a tool without parameters says nothing of them.
                if tool.schema["properties"].as_object().is_some_and(|properties| !properties.is_empty()) {
                    let name = if fits_subset(&tool.schema) { "parameters" } else { "parametersJsonSchema" };
                    declaration.insert(name.into(), tool.schema.clone());
                }
                Value::Object(declaration)
            })
            .collect();
        body.insert("tools".into(), json!([{ "functionDeclarations": declarations }]));
        body.extend(fields([("toolConfig", choice(&request.tool_choice))]));
    }
    let generation = generation(request);
    if !generation.is_empty() {
        body.insert("generationConfig".into(), generation.into());
    }
    Ok(body)
}

fn choice(choice: &ToolChoice) -> Value {
    let config = match choice {
        ToolChoice::Auto => return Value::Null,
        ToolChoice::None => json!({ "mode": "NONE" }),
        ToolChoice::Required => json!({ "mode": "ANY" }),
        ToolChoice::Tool(name) => json!({ "mode": "ANY", "allowedFunctionNames": [name] }),
    };
    json!({ "functionCallingConfig": config })
}

fn generation(request: &Request) -> Map<String, Value> {
    let sampling = &request.sampling;
    let thinking = match request.thinking {
        Thinking::Unasked => Value::Null,
        Thinking::Off => json!({ "thinkingBudget": 0 }),
        Thinking::On { budget_tokens, shown } => {
            fields([("thinkingBudget", json!(budget_tokens)), ("includeThoughts", shown.into())]).into()
        }
    };
    let mut generation = fields([
        ("temperature", json!(sampling.temperature)),
        ("topP", json!(sampling.top_p)),
        ("topK", json!(sampling.top_k)),
        ("seed", json!(sampling.seed)),
        ("maxOutputTokens", json!(sampling.max_output_tokens)),
        ("stopSequences", if sampling.stop.is_empty() { Value::Null } else { json!(sampling.stop) }),
        ("thinkingConfig", thinking),
    ]);
    if request.response != ResponseFormat::Text {
        generation.insert("responseMimeType".into(), "application/json".into());
    }
    if let ResponseFormat::Schema(schema) = &request.response {
        let name = if fits_subset(&schema.schema) { "responseSchema" } else { "responseJsonSchema" };
        generation.insert(name.into(), schema.schema.clone());
    }
    generation
}

fn fits_subset(schema: &Value) -> bool {
    let Some(words) = schema.as_object() else { return false };
    words.iter().all(|(word, value)| match word.as_str() {
        "type" => value.is_string(),
        "properties" => value.as_object().is_some_and(|properties| properties.values().all(fits_subset)),
        "items" => fits_subset(value),
        "anyOf" => value.as_array().is_some_and(|schemas| schemas.iter().all(fits_subset)),
        "enum" => value.as_array().is_some_and(|values| values.iter().all(Value::is_string)),
        word => SUBSET.contains(&word) || NUMBERS.contains(&word),
    })
}

/// The turns; all results of tools of a turn are one.
fn contents(messages: &[Message], dialect: Dialect) -> Result<Value, ProviderError> {
    let mut turns: Vec<(&str, Vec<Value>)> = Vec::new();
    for message in messages {
        let (role, parts): (_, Vec<Value>) = match message {
            Message::System { .. } => continue,
            Message::User { parts } => ("user", parts.iter().map(user).collect::<Result<_, _>>()?),
            Message::Assistant { parts } => ("model", parts.iter().filter_map(|part| model(part, dialect)).collect()),
            Message::Tool { results } => ("user", results.iter().map(result).collect()),
        };
        match turns.last_mut() {
            _ if parts.is_empty() => {}
            Some((known, turn)) if *known == role => turn.extend(parts),
            _ => turns.push((role, parts)),
        }
    }
    Ok(turns.into_iter().map(|(role, parts)| json!({ "role": role, "parts": parts })).collect())
}

fn user(part: &UserPart) -> Result<Value, ProviderError> {
    match part {
        UserPart::Text { text } => Ok(json!({ "text": text })),
        UserPart::Image { image: Image::Bytes { media_type, data } } => {
            Ok(json!({ "inlineData": { "mimeType": media_type, "data": data.as_str() } }))
        }
        UserPart::Image { image: Image::Url(url) } => Ok(json!({ "fileData": { "fileUri": url } })),
    }
}

fn model(part: &AnswerPart, dialect: Dialect) -> Option<Value> {
    let own = |verbatim: &Verbatim| (verbatim.origin == dialect).then(|| verbatim.json.as_object().cloned()).flatten();
    let signed = |verbatim: &Option<Verbatim>| verbatim.as_ref().and_then(own).unwrap_or_default();
    let mut sent = match part {
        AnswerPart::Text { text, verbatim } => {
            let mut sent = fields([("text", text.as_str().into())]);
            sent.extend(signed(verbatim));
            sent
        }
        AnswerPart::ToolCall(call) => {
            let call_fields = fields([
                ("id", json!(given(&call.id))),
                ("name", call.name.as_str().into()),
                ("args", object(&call.arguments)),
            ]);
            let mut sent = fields([("functionCall", call_fields.into())]);
            sent.extend(signed(&call.verbatim));
            sent
        }
        AnswerPart::Thinking { verbatim, .. } => own(verbatim)?,
    };
    sent.retain(|_, value| !value.is_null());
    Some(Value::Object(sent))
}

/// What a function gave has to be an object.
fn result(result: &ToolResult) -> Value {
    let response = match serde_json::from_str::<Value>(&result.content) {
        _ if result.is_error => json!({ "error": result.content }),
        Ok(response) if response.is_object() => response,
        Ok(response) => json!({ "result": response }),
        Err(_) => json!({ "result": result.content }),
    };
    let fields =
        fields([("id", json!(given(&result.id))), ("name", result.name.as_str().into()), ("response", response)]);
    json!({ "functionResponse": fields })
}

/// A whole answer, or a piece of one in a stream: both have the same form.
pub(super) fn body(builder: &mut Builder, body: &Value) -> Result<(), ProviderError> {
    if !body["error"].is_null() {
        return Err(error(&Failure::within(body)));
    }
    builder.identify(&body["responseId"], &body["modelVersion"]);
    builder.usage = usage(&body["usageMetadata"]).or(builder.usage);
    if let Some(reason) = body["promptFeedback"]["blockReason"].as_str() {
        builder.finish(Finish::ContentFilter, reason);
        return Ok(());
    }
    let Some(candidate) = body["candidates"].get(0) else {
        return match body["usageMetadata"].is_object() || body["candidates"].is_array() {
            true => Ok(()),
            false => Err(ProviderError::malformed("the response has no `candidates`")),
        };
    };
    for said in candidate["content"]["parts"].as_array().into_iter().flatten() {
        part(builder, said)?;
    }
    if let Some(word) = candidate["finishReason"].as_str() {
        builder.finish(finish(word), word);
    }
    Ok(())
}

fn part(builder: &mut Builder, part: &Value) -> Result<(), ProviderError> {
    let call = &part["functionCall"];
    if call.is_object() {
        builder.call(Key::Last, call["id"].as_str(), call["name"].as_str().unwrap_or_default())?;
        if call["args"].as_object().is_some_and(|args| !args.is_empty()) {
            builder.arguments(Key::Last, &call["args"].to_string())?;
        }
    } else if part["thought"] == true {
        let text = part["text"].as_str().unwrap_or_default();
        builder.thinking(Key::Last, text)?;
        builder.verbatim(Key::Last, "text", &text.into())?;
        builder.mark("thought", true.into());
    } else {
        let text = part["text"].as_str().unwrap_or_default();
        if text.is_empty() && part["thoughtSignature"].is_string() && builder.is_empty() {
            // A signature alone, at the very beginning: it needs something to stand on.
            builder.thinking(Key::Last, "")?;
            builder.mark("text", "".into());
        }
        builder.text(Key::Last, text)?;
    }
    // A signature belongs to this very part: what follows is another.
    if part["thoughtSignature"].is_string() {
        builder.mark("thoughtSignature", part["thoughtSignature"].clone());
        builder.close();
    }
    Ok(())
}

fn finish(word: &str) -> Finish {
    match word {
        "STOP" => Finish::Stop,
        "MAX_TOKENS" => Finish::Length,
        "SAFETY" | "RECITATION" | "BLOCKLIST" | "PROHIBITED_CONTENT" | "SPII" | "IMAGE_SAFETY" | "MODEL_ARMOR" => {
            Finish::ContentFilter
        }
        _ => Finish::Other,
    }
}

/// Thoughts are not among the tokens of candidates here, nor what tools brought among those of the prompt.
fn usage(usage: &Value) -> Option<Usage> {
    let count = |name: &str| usage[name].as_u64().unwrap_or(0);
    usage.is_object().then(|| Usage {
        input_tokens: count("promptTokenCount") + count("toolUsePromptTokenCount"),
        output_tokens: count("candidatesTokenCount") + count("thoughtsTokenCount"),
        cached_tokens: count("cachedContentTokenCount"),
        thinking_tokens: count("thoughtsTokenCount"),
        cost: None,
    })
}

/// One of a stream. What has nothing in it that is known here is none of an answer's.
pub(super) fn event(builder: &mut Builder, frame: &Frame) -> Result<(), ProviderError> {
    let event = parsed(frame.data.as_bytes())?;
    let says = |field: &&str| !event[*field].is_null();
    match !event.is_object() || ["candidates", "error", "promptFeedback", "usageMetadata"].iter().any(says) {
        true => body(builder, &event),
        false => Ok(()),
    }
}

/// What is sent to a model that draws, in place of a chat's body.
pub(super) fn to_draw(request: &ImageRequest) -> Vec<u8> {
    let body = json!({
        "contents": [{ "role": "user", "parts": [{ "text": request.prompt }] }],
        "generationConfig": { "responseModalities": ["TEXT", "IMAGE"] },
    });
    body.to_string().into_bytes()
}

/// The image in an answer.
pub(super) fn drawn(body: &Value) -> Result<Image, ProviderError> {
    let parts = body.pointer("/candidates/0/content/parts").and_then(Value::as_array);
    let data = parts.into_iter().flatten().find_map(|part| part.get("inlineData")).ok_or_else(images::none)?;
    let text = |name: &str| data.get(name).and_then(Value::as_str).ok_or_else(images::none);
    images::bytes(text("mimeType")?, text("data")?)
}

/// Now and then a model stops without a word: asked again it answers.
pub(super) fn ended(builder: &Builder) -> Result<(), ProviderError> {
    match builder.has_stopped_silently() {
        true => Err(ProviderError::new(Kind::Server, "the model stopped without an answer")),
        false => Ok(()),
    }
}

pub(super) fn error(failure: &Failure<'_>) -> ProviderError {
    // A stream that failed at once may be a list of one.
    let error = failure.body.get(0).map_or(&failure.body["error"], |first| &first["error"]);
    let message = failure.message(error["message"].as_str());
    let details = error["details"].as_array().map(Vec::as_slice).unwrap_or_default();
    let delay = details.iter().find_map(|detail| detail["retryDelay"].as_str()).and_then(retry::duration);
    let wait = delay.or_else(|| failure.wait(&message));
    let reason = |name: &str| details.iter().any(|detail| detail["reason"] == name);
    let kind = match error["status"].as_str().unwrap_or_default() {
        "RESOURCE_EXHAUSTED" if is_used_up(details, &message) => Kind::QuotaExhausted,
        "RESOURCE_EXHAUSTED" => Kind::RateLimited { retry_after_ms: wait },
        "INVALID_ARGUMENT"
            if reason("API_KEY_INVALID") || says(&message, &["api key not valid", "api key expired"]) =>
        {
            Kind::Auth
        }
        "INVALID_ARGUMENT" if says(&message, &TOO_LONG) => Kind::TooLong,
        "INVALID_ARGUMENT" | "FAILED_PRECONDITION" | "OUT_OF_RANGE" => Kind::BadRequest,
        "UNAUTHENTICATED" | "PERMISSION_DENIED" => Kind::Auth,
        "NOT_FOUND" => Kind::UnknownModel,
        "UNAVAILABLE" => Kind::Overloaded { retry_after_ms: wait },
        "INTERNAL" | "DEADLINE_EXCEEDED" | "UNKNOWN" | "ABORTED" | "CANCELLED" => Kind::Server,
        _ => {
            let status = error["code"].as_u64().and_then(|code| u16::try_from(code).ok());
            Kind::of_status(status.unwrap_or(failure.status), wait)
        }
    };
    ProviderError::new(kind, message)
}

/// Whether a quota is one of a day, or of nothing at all.
fn is_used_up(details: &[Value], message: &str) -> bool {
    let violations = details.iter().filter_map(|detail| detail["violations"].as_array()).flatten();
    let mut used_up = violations.map(|violation| {
        violation["quotaId"].as_str().is_some_and(|id| id.contains("PerDay")) || violation["quotaValue"] == "0"
    });
    let nothing = message.match_indices("limit: 0").any(|(at, words)| {
        message
            .get(at + words.len()..)
            .and_then(|rest| rest.chars().next())
            .is_none_or(|next| !next.is_ascii_digit() && next != '.')
    });
    used_up.any(|used_up| used_up) || nothing
}
