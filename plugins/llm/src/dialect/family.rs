//! The dialects that speak like OpenAI's chat completions. What differs between them is the data of a `Family`; where they are, and fields that
//! only one has, stand in a file each.

use serde_json::{Map, Value, json};

use super::{Dialect, Failure, TOO_LONG, fields, parsed, refuse_top_k, says};
use crate::build::{Builder, Key};
use crate::framing::Frame;
use crate::message::{
    AnswerPart, Finish, Image, Message, Request, ResponseFormat, Tool, ToolCall, ToolChoice, Usage, UserPart, Verbatim,
};
use crate::structured;
use crate::{Kind, ProviderError};

/// Codes and types of errors that are about money. Those of rates are retried, these never.
const QUOTA: [&str; 8] = [
    "payment_required",
    "insufficient_quota",
    "credit_balance_exhausted",
    "organization_spend_limit_exceeded",
    "project_spend_limit_exceeded",
    "organization_usage_limit_exceeded",
    "billing_hard_limit_reached",
    "insufficient_balance",
];
const FILTERED: [&str; 3] = ["content_filter", "content_policy_violation", "responsibleaipolicyviolation"];
/// How it is said where no code says it.
const FILTERED_WORDS: [&str; 2] = ["violating our usage policy", "content exists risk"];
const UNKNOWN_MODEL: [&str; 4] = ["model_not_found", "invalid_model", "deploymentnotfound", "model_not_available"];

/// In what one of the family differs.
#[derive(Debug, Clone, Copy)]
pub(super) struct Family {
    pub dialect: Dialect,
    pub max_tokens: &'static str,
    pub seed: &'static str,
    pub top_k: bool,
    /// The word for "at least one tool".
    pub required: &'static str,
    /// What makes a stream end with its usage; where it is none, it does so unasked and would refuse the question.
    pub usage: Option<(&'static str, &'static str)>,
    /// Whether the provider holds a model to a schema; else it only promises JSON.
    pub schemas: bool,
    pub thoughts: Thoughts,
    pub ids: Ids,
}

/// Where thoughts stand in a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Thoughts {
    /// They do not come.
    Hidden,
    /// `reasoning_content`, which goes back with tool calls only.
    Content,
    /// `reasoning` for people, `reasoning_details` to give back.
    Details,
    /// Pieces of the content.
    Pieces,
}

/// Which ids of tool calls are taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Ids {
    Any,
    /// Exactly nine letters and digits.
    Nine,
}

impl Family {
    /// The body, without the model.
    pub fn body(&self, request: &Request) -> Result<Map<String, Value>, ProviderError> {
        if !self.top_k {
            refuse_top_k(request)?;
        }
        let sampling = &request.sampling;
        let mut body = fields([
            ("messages", self.messages(request).into()),
            ("temperature", json!(sampling.temperature)),
            ("top_p", json!(sampling.top_p)),
            ("top_k", json!(sampling.top_k)),
            (self.max_tokens, json!(sampling.max_output_tokens)),
            (self.seed, json!(sampling.seed)),
            ("stop", if sampling.stop.is_empty() { Value::Null } else { json!(sampling.stop) }),
            ("response_format", self.response_format(&request.response)),
        ]);
        if !request.tools.is_empty() {
            body.insert("tools".into(), request.tools.iter().map(tool).collect());
            body.extend(fields([
                ("tool_choice", self.choice(&request.tool_choice)),
                ("parallel_tool_calls", json!(request.parallel_tool_calls)),
            ]));
        }
        if request.stream {
            body.insert("stream".into(), true.into());
        }
        if let Some((name, field)) = self.usage.filter(|(name, _)| request.stream || *name == "usage") {
            body.insert(name.into(), json!({ field: true }));
        }
        Ok(body)
    }

    fn response_format(&self, response: &ResponseFormat) -> Value {
        match response {
            ResponseFormat::Text => Value::Null,
            ResponseFormat::Schema(schema) if self.schemas => {
                let fields = fields([
                    ("name", structured::name(&schema.name).into()),
                    ("description", json!(schema.description)),
                    // A provider that is strict refuses a schema that leaves something open.
                    ("strict", (schema.strict && structured::fits_strict(&schema.schema)).into()),
                    ("schema", schema.schema.clone()),
                ]);
                json!({ "type": "json_schema", "json_schema": fields })
            }
            _ => json!({ "type": "json_object" }),
        }
    }

    fn choice(&self, choice: &ToolChoice) -> Value {
        match choice {
            ToolChoice::Auto => Value::Null,
            ToolChoice::None => "none".into(),
            ToolChoice::Required => self.required.into(),
            ToolChoice::Tool(name) => json!({ "type": "function", "function": { "name": name } }),
        }
    }

    fn messages(&self, request: &Request) -> Vec<Value> {
        let ids = CallIds::of(self.ids, &request.messages);
        // A request for a JSON object whose messages do not say "JSON" is refused.
        let held = self.schemas && matches!(request.response, ResponseFormat::Schema(_));
        let format = if held { &ResponseFormat::Text } else { &request.response };
        let mut messages = Vec::new();
        for message in structured::instructed(&request.messages, format) {
            match message {
                Message::System { text } => messages.push(json!({ "role": "system", "content": text })),
                Message::User { parts } => messages.push(json!({ "role": "user", "content": user(&parts) })),
                Message::Assistant { parts } => messages.push(self.assistant(&parts, &ids)),
                Message::Tool { results } => messages.extend(results.iter().map(|result| {
                    // There is no place that says whether a tool failed.
                    let content =
                        if result.is_error { format!("error: {}", result.content) } else { result.content.clone() };
                    json!({ "role": "tool", "tool_call_id": ids.sent(&result.id), "content": content })
                })),
            }
        }
        messages
    }

    fn assistant(&self, parts: &[AnswerPart], ids: &CallIds) -> Value {
        let mut message = fields([("role", "assistant".into()), ("content", Value::Null)]);
        let calls: Vec<Value> = parts
            .iter()
            .filter_map(|part| match part {
                AnswerPart::ToolCall(call) => Some(tool_call(call, ids)),
                AnswerPart::Text { .. } | AnswerPart::Thinking { .. } => None,
            })
            .collect();
        let thoughts = parts.iter().filter_map(|part| match part {
            AnswerPart::Thinking { verbatim, .. } => self.own(verbatim),
            AnswerPart::Text { .. } | AnswerPart::ToolCall(_) => None,
        });
        let text: String = parts
            .iter()
            .filter_map(|part| match part {
                AnswerPart::Text { text, .. } => Some(text.as_str()),
                AnswerPart::Thinking { .. } | AnswerPart::ToolCall(_) => None,
            })
            .collect();
        let mut content = if text.is_empty() && !calls.is_empty() { Value::Null } else { Value::String(text) };
        match self.thoughts {
            Thoughts::Hidden => {}
            Thoughts::Content if calls.is_empty() => {}
            Thoughts::Content | Thoughts::Details => thoughts.flatten().for_each(|field| join(&mut message, field)),
            Thoughts::Pieces => {
                let mut pieces: Vec<Value> = thoughts.map(|piece| Value::Object(piece.collect())).collect();
                if !pieces.is_empty() {
                    pieces.extend(content.as_str().map(|text| json!({ "type": "text", "text": text })));
                    content = pieces.into();
                }
            }
        }
        message.insert("content".into(), content);
        if !calls.is_empty() {
            message.insert("tool_calls".into(), calls.into());
        }
        Value::Object(message)
    }

    /// The fields of a thought that came from this provider.
    fn own<'a>(&self, verbatim: &'a Verbatim) -> Option<impl Iterator<Item = (String, Value)> + use<'a>> {
        let fields = verbatim.json.as_object().filter(|_| verbatim.origin == self.dialect)?;
        Some(fields.iter().map(|(name, value)| (name.clone(), value.clone())))
    }

    pub fn event(&self, builder: &mut Builder, frame: &Frame) -> Result<(), ProviderError> {
        if frame.data.trim() == "[DONE]" {
            if !builder.is_finished() && !builder.is_empty() {
                builder.finish(Finish::Other, "");
            }
            return Ok(());
        }
        self.read(builder, &parsed(frame.data.as_bytes())?)
    }
}

/// Reading: a whole answer has a `message` where an event of a stream has a `delta`.
impl Family {
    pub fn read(&self, builder: &mut Builder, body: &Value) -> Result<(), ProviderError> {
        let choices = body["choices"].as_array().map(Vec::as_slice).unwrap_or_default();
        let choice = choices.iter().find(|choice| choice["index"].as_u64().unwrap_or(0) == 0);
        for place in [Some(body), choice, choice.map(|choice| &choice["message"])].into_iter().flatten() {
            if place.get("error").is_some_and(|error| !error.is_null()) {
                return Err(error(&Failure::within(place)));
            }
        }
        if body["object"] == "error" {
            return Err(error(&Failure::within(body)));
        }
        builder.identify(&body["id"], &body["model"]);
        builder.usage = usage(&body["usage"]).or(builder.usage);
        let Some(choice) = choice else {
            return match body["object"].is_string() || body["usage"].is_object() || body["choices"].is_array() {
                true => Ok(()),
                false => Err(ProviderError::malformed("the response has no `choices`")),
            };
        };
        for place in ["message", "delta"] {
            self.message(builder, &choice[place])?;
        }
        match choice["finish_reason"].as_str() {
            // DeepSeek's word for a model that had to give way to others.
            Some("insufficient_system_resource") => {
                let kind = Kind::Overloaded { retry_after_ms: None };
                Err(ProviderError::new(kind, "the provider ran out of resources within the answer"))
            }
            Some("error") => Err(ProviderError::new(Kind::Server, "the provider failed within the answer")),
            Some(word) => {
                builder.finish(finish(word), word);
                Ok(())
            }
            None => Ok(()),
        }
    }

    fn message(&self, builder: &mut Builder, message: &Value) -> Result<(), ProviderError> {
        self.thoughts(builder, message)?;
        match &message["content"] {
            Value::String(text) => builder.text(Key::Last, text)?,
            Value::Array(pieces) => pieces.iter().try_for_each(|piece| self.piece(builder, piece))?,
            _ => {}
        }
        if let Some(refusal) = message["refusal"].as_str() {
            builder.refusal(refusal)?;
        }
        for (position, call) in message["tool_calls"].as_array().into_iter().flatten().enumerate() {
            let key = Key::At(call["index"].as_u64().unwrap_or(position as u64));
            let id = call["id"].as_str().filter(|id| !id.is_empty());
            let name = call["function"]["name"].as_str().unwrap_or_default();
            let known = builder.call_id(key);
            // Some number every call of a stream 0, and send each whole.
            if known.is_none() || (!name.is_empty() && id.is_some() && id != known) {
                builder.call(key, id, name)?;
            }
            match &call["function"]["arguments"] {
                Value::String(json) => builder.arguments(key, json)?,
                Value::Null => {}
                object => builder.arguments(key, &object.to_string())?,
            }
        }
        Ok(())
    }

    fn thoughts(&self, builder: &mut Builder, message: &Value) -> Result<(), ProviderError> {
        match self.thoughts {
            Thoughts::Hidden | Thoughts::Pieces => {}
            Thoughts::Content => {
                if let Some(text) = message["reasoning_content"].as_str() {
                    builder.thinking(Key::Last, text)?;
                    builder.verbatim(Key::Last, "reasoning_content", &text.into())?;
                }
            }
            Thoughts::Details => {
                let text = message["reasoning"].as_str().unwrap_or_default();
                let details = message["reasoning_details"].as_array().filter(|details| !details.is_empty());
                if !text.is_empty() || details.is_some() {
                    builder.thinking(Key::Last, text)?;
                }
                match details {
                    Some(details) => builder.verbatim(Key::Last, "reasoning_details", &json!(details))?,
                    None if !text.is_empty() => builder.verbatim(Key::Last, "reasoning", &text.into())?,
                    None => {}
                }
            }
        }
        Ok(())
    }

    /// A piece of content that comes in pieces.
    fn piece(&self, builder: &mut Builder, piece: &Value) -> Result<(), ProviderError> {
        if piece["type"] != "thinking" {
            return builder.text(Key::Last, piece["text"].as_str().unwrap_or_default());
        }
        let texts = piece["thinking"].as_array().into_iter().flatten().filter_map(|piece| piece["text"].as_str());
        builder.thinking(Key::Last, &texts.collect::<String>())?;
        builder.mark("type", "thinking".into());
        piece
            .as_object()
            .into_iter()
            .flatten()
            .filter(|(name, _)| *name != "type")
            .try_for_each(|(name, value)| builder.verbatim(Key::Last, name, value))
    }
}

/// Several thoughts of a message have one field, one behind the other.
fn join(message: &mut Map<String, Value>, (name, value): (String, Value)) {
    match (message.get_mut(&name), value) {
        (Some(Value::String(known)), Value::String(more)) => known.push_str(&more),
        (Some(Value::Array(known)), Value::Array(more)) => known.extend(more),
        (_, value) => {
            message.insert(name, value);
        }
    }
}

fn finish(word: &str) -> Finish {
    match word {
        "stop" => Finish::Stop,
        "length" | "model_length" => Finish::Length,
        "tool_calls" | "function_call" => Finish::ToolCalls,
        "content_filter" => Finish::ContentFilter,
        "refusal" => Finish::Refusal,
        _ => Finish::Other,
    }
}

fn usage(usage: &Value) -> Option<Usage> {
    let count = |pointer: &str| usage.pointer(pointer).and_then(Value::as_u64);
    usage.is_object().then(|| Usage {
        input_tokens: count("/prompt_tokens").unwrap_or(0),
        output_tokens: count("/completion_tokens").unwrap_or(0),
        cached_tokens: count("/prompt_tokens_details/cached_tokens").or(count("/prompt_cache_hit_tokens")).unwrap_or(0),
        thinking_tokens: count("/completion_tokens_details/reasoning_tokens").unwrap_or(0),
        cost: usage["cost"].as_f64(),
    })
}

fn user(parts: &[UserPart]) -> Value {
    let texts: Option<Vec<&str>> = parts
        .iter()
        .map(|part| match part {
            UserPart::Text { text } => Some(text.as_str()),
            UserPart::Image { .. } => None,
        })
        .collect();
    // Not every imitator takes a list of pieces.
    if let Some(texts) = texts {
        return texts.join("\n").into();
    }
    parts.iter().map(|part| match part {
        UserPart::Text { text } => json!({ "type": "text", "text": text }),
        UserPart::Image { image: Image::Url(url) } => json!({ "type": "image_url", "image_url": { "url": url } }),
        UserPart::Image { image: Image::Bytes { media_type, data } } => {
            json!({ "type": "image_url", "image_url": { "url": format!("data:{media_type};base64,{}", data.as_str()) } })
        }
    }).collect()
}

/// A tool as this family and Ollama describe it.
pub(super) fn tool(tool: &Tool) -> Value {
    let mut function = fields([
        ("name", tool.name.as_str().into()),
        ("description", if tool.description.is_empty() { Value::Null } else { tool.description.as_str().into() }),
        ("parameters", tool.schema.clone()),
    ]);
    if tool.strict && structured::fits_strict(&tool.schema) {
        function.insert("strict".into(), true.into());
    }
    json!({ "type": "function", "function": function })
}

fn tool_call(call: &ToolCall, ids: &CallIds) -> Value {
    let arguments = match &call.arguments {
        Value::String(text) => text.clone(),
        arguments => arguments.to_string(),
    };
    json!({ "id": ids.sent(&call.id), "type": "function", "function": { "name": call.name, "arguments": arguments } })
}

/// What tool calls are called towards the provider: the conversation may have begun with another one, whose ids it would not take.
struct CallIds(Vec<(String, String)>);

impl CallIds {
    fn of(ids: Ids, messages: &[Message]) -> Self {
        let mut known = Vec::new();
        let calls = messages.iter().filter_map(|message| match message {
            Message::Assistant { parts } => Some(parts),
            _ => None,
        });
        for part in calls.flatten().filter(|_| ids == Ids::Nine) {
            if let AnswerPart::ToolCall(call) = part {
                let fits = call.id.len() == 9 && call.id.bytes().all(|byte| byte.is_ascii_alphanumeric());
                if !fits && !known.iter().any(|(id, _)| *id == call.id) {
                    known.push((call.id.clone(), format!("call{:05}", known.len())));
                }
            }
        }
        Self(known)
    }

    fn sent<'a>(&'a self, id: &'a str) -> &'a str {
        self.0.iter().find(|(known, _)| known == id).map_or(id, |(_, sent)| sent)
    }
}

/// An error of any of the family; imitators mix the forms.
pub(super) fn error(failure: &Failure<'_>) -> ProviderError {
    let body = &failure.body;
    let error = if body["error"].is_null() { body } else { &body["error"] };
    let words = words(error).or_else(|| words(body));
    let message = failure.message(words.as_deref());
    let said = |place: &Value| match place {
        Value::String(text) => text.to_ascii_lowercase(),
        Value::Number(number) => number.to_string(),
        _ => String::new(),
    };
    let codes = [
        said(&error["code"]),
        said(&error["type"]),
        said(&error["innererror"]["code"]),
        said(&error["metadata"]["error_type"]),
    ];
    // Within an answer, the code is the status that it came too late for.
    let status = match failure.status {
        200..300 => codes.first().and_then(|code| code.parse().ok()).unwrap_or(failure.status),
        status => status,
    };
    let is = |known: &[&str]| codes.iter().any(|code| known.contains(&code.as_str()));
    let moderated = !error["metadata"]["reasons"].is_null() || !error["metadata"]["flagged_input"].is_null();
    let wait = failure.wait(&message);
    let kind = if is(&QUOTA) || status == 402 || says(&message, &["insufficient balance"]) {
        Kind::QuotaExhausted
    } else if is(&FILTERED) || moderated || (status < 500 && says(&message, &FILTERED_WORDS)) {
        Kind::ContentFilter
    } else if is(&["context_length_exceeded"]) || (status < 500 && says(&message, &TOO_LONG)) {
        Kind::TooLong
    } else if is(&UNKNOWN_MODEL) || (status == 400 && says(&message, &["model not exist", "not a valid model"])) {
        Kind::UnknownModel
    } else if is(&["rate_limit_exceeded", "rate_limit_error"]) {
        Kind::RateLimited { retry_after_ms: wait }
    } else {
        Kind::of_status(status, wait)
    };
    ProviderError::new(kind, message)
}

/// The sentence of an error: a text, or a list of what is wrong where.
fn words(error: &Value) -> Option<String> {
    let place = [error, &error["message"], &error["detail"]].into_iter().find(|place| place.is_string());
    if let Some(text) = place.and_then(Value::as_str) {
        return Some(text.to_owned());
    }
    let details = [&error["message"]["detail"], &error["detail"]].into_iter().find_map(Value::as_array)?;
    let sentences: Vec<_> = details
        .iter()
        .map(|detail| {
            let place: Vec<_> = detail["loc"]
                .as_array()
                .into_iter()
                .flatten()
                .map(|step| step.as_str().map_or_else(|| step.to_string(), str::to_owned))
                .collect();
            format!("{}: {}", place.join("."), detail["msg"].as_str().unwrap_or_default())
        })
        .collect();
    Some(sentences.join("; "))
}
