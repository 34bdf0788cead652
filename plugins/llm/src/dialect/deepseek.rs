//! DeepSeek: like OpenAI, promises JSON but no schema, and wants its thoughts back with tool calls.

use serde_json::{Map, Value, json};

use super::family::{Family, Ids, Thoughts};
use super::{Codec, Dialect, Place, any_end, family, openai};
use crate::ProviderError;
use crate::framing::Framing;
use crate::http::{HttpRequest, Options};
use crate::message::{Request, Thinking};

const BASE: &str = "https://api.deepseek.com/v1";

pub(super) const FAMILY: Family = Family {
    dialect: Dialect::DeepSeek,
    max_tokens: "max_tokens",
    seed: "seed",
    top_k: false,
    required: "required",
    usage: Some(("stream_options", "include_usage")),
    schemas: false,
    thoughts: Thoughts::Content,
    ids: Ids::Any,
};

pub const CODEC: Codec = Codec {
    dialect: Dialect::DeepSeek,
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
            body.insert("thinking".into(), json!({ "type": "disabled" }));
        }
        Thinking::On { .. } => {
            body.insert("thinking".into(), json!({ "type": "enabled" }));
            body.get_mut("messages").and_then(Value::as_array_mut).into_iter().flatten().for_each(say_no_thought);
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

/// A model that thinks takes no call without a thought before it, be it an empty one.
fn say_no_thought(message: &mut Value) {
    if let Some(message) =
        message.as_object_mut().filter(|message: &&mut Map<String, Value>| message.contains_key("tool_calls"))
    {
        message.entry("reasoning_content").or_insert_with(|| "".into());
    }
}
