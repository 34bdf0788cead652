//! OpenRouter: like OpenAI, for models of anybody. Thoughts have to go back as they came.

use serde_json::{Value, json};

use super::family::{Family, Ids, Thoughts};
use super::{Codec, Dialect, Place, any_end, family, openai};
use crate::ProviderError;
use crate::framing::Framing;
use crate::http::{HttpRequest, Options};
use crate::message::{Request, Thinking};

const BASE: &str = "https://openrouter.ai/api/v1";

pub(super) const FAMILY: Family = Family {
    dialect: Dialect::OpenRouter,
    max_tokens: "max_tokens",
    seed: "seed",
    top_k: true,
    required: "required",
    // Also says what the answer cost.
    usage: Some(("usage", "include")),
    schemas: true,
    thoughts: Thoughts::Details,
    ids: Ids::Any,
};

pub const CODEC: Codec = Codec {
    dialect: Dialect::OpenRouter,
    encode,
    body: |builder, body| FAMILY.read(builder, body),
    event: |builder, frame| FAMILY.event(builder, frame),
    error: family::error,
    ended: any_end,
    framing: Framing::events,
    images: None,
};

pub(super) fn encode(request: &Request, options: &Options) -> Result<HttpRequest, ProviderError> {
    let mut body = FAMILY.body(request)?;
    body.shift_insert(0, "model".into(), request.model.as_str().into());
    match request.thinking {
        Thinking::Unasked => {}
        Thinking::Off => {
            body.insert("reasoning".into(), json!({ "enabled": false }));
        }
        Thinking::On { budget_tokens, shown } => {
            let reasoning = match budget_tokens {
                Some(tokens) => json!({ "max_tokens": tokens, "exclude": !shown }),
                None => json!({ "enabled": true, "exclude": !shown }),
            };
            body.insert("reasoning".into(), reasoning);
        }
    }
    for message in body.get_mut("messages").and_then(Value::as_array_mut).into_iter().flatten() {
        if let Some(details) = message.get_mut("reasoning_details") {
            *details = joined(details);
        }
    }
    let place = Place {
        base: options.base(BASE)?,
        path: "/chat/completions".into(),
        query: Vec::new(),
        auth: openai::bearer(options),
    };
    place.post(options, openai::accept(request), body)
}

/// The details of a thought, with the pieces of a stream put together: those of one number and type that follow each other are one.
fn joined(details: &Value) -> Value {
    let mut whole: Vec<Value> = Vec::new();
    for detail in details.as_array().into_iter().flatten() {
        let last = whole.last_mut().filter(|last| {
            last["type"] == detail["type"] && last["index"].is_u64() && last["index"] == detail["index"]
        });
        let (Some(last), Some(fields)) = (last.and_then(Value::as_object_mut), detail.as_object()) else {
            whole.push(detail.clone());
            continue;
        };
        for (name, value) in fields {
            match (last.get_mut(name), value) {
                (_, Value::Null) => {}
                (Some(Value::String(known)), Value::String(more))
                    if matches!(name.as_str(), "text" | "summary" | "data") =>
                {
                    known.push_str(more);
                }
                _ => {
                    last.insert(name.clone(), value.clone());
                }
            }
        }
    }
    whole.into()
}
