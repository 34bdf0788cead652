//! Mistral: like OpenAI, with words of its own, ids of nine characters and thoughts among the content.

use super::family::{Family, Ids, Thoughts};
use super::{Codec, Dialect, Place, any_end, family, openai};
use crate::ProviderError;
use crate::framing::Framing;
use crate::http::{HttpRequest, Options};
use crate::message::{Message, Request};

const BASE: &str = "https://api.mistral.ai/v1";

pub(super) const FAMILY: Family = Family {
    dialect: Dialect::Mistral,
    max_tokens: "max_tokens",
    seed: "random_seed",
    top_k: false,
    required: "any",
    // `stream_options` is refused; the usage comes anyway.
    usage: None,
    schemas: true,
    thoughts: Thoughts::Pieces,
    ids: Ids::Nine,
};

pub const CODEC: Codec = Codec {
    dialect: Dialect::Mistral,
    encode,
    body: |builder, body| FAMILY.read(builder, body),
    event: |builder, frame| FAMILY.event(builder, frame),
    error: family::error,
    ended: any_end,
    framing: Framing::events,
    images: None,
};

pub(super) fn encode(request: &Request, options: &Options) -> Result<HttpRequest, ProviderError> {
    if matches!(request.messages.last(), Some(Message::Assistant { .. })) {
        return Err(ProviderError::refused("the last message has to be the user's or a tool's"));
    }
    let mut body = FAMILY.body(request)?;
    body.shift_insert(0, "model".into(), request.model.as_str().into());
    let place = Place {
        base: options.base(BASE)?,
        path: "/chat/completions".into(),
        query: Vec::new(),
        auth: openai::bearer(options),
    };
    place.post(options, openai::accept(request), body)
}
