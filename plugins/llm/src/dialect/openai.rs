//! OpenAI: chat completions. Also servers that imitate it, at another address.

use super::family::{Family, Ids, Thoughts};
use super::{Codec, Dialect, Images, Place, any_end, family, fields};
use crate::ProviderError;
use crate::framing::Framing;
use crate::http::{Auth, HttpRequest, Options};
use crate::images::{self, ImageRequest};
use crate::message::{Image, Request};
use serde_json::{Map, Value};

pub(super) const BASE: &str = "https://api.openai.com/v1";

pub(super) const FAMILY: Family = Family {
    dialect: Dialect::OpenAi,
    // Reasoning models refuse `max_tokens`.
    max_tokens: "max_completion_tokens",
    seed: "seed",
    top_k: false,
    required: "required",
    usage: Some(("stream_options", "include_usage")),
    schemas: true,
    thoughts: Thoughts::Hidden,
    ids: Ids::Any,
};
/// Imitators know the older name.
const IMITATOR: Family = Family { max_tokens: "max_tokens", ..FAMILY };

pub const CODEC: Codec = Codec {
    dialect: Dialect::OpenAi,
    encode,
    body: |builder, body| FAMILY.read(builder, body),
    event: |builder, frame| FAMILY.event(builder, frame),
    error: family::error,
    ended: any_end,
    framing: Framing::events,
    images: Some(Images { encode: draw, decode: drawn }),
};

pub(super) fn encode(request: &Request, options: &Options) -> Result<HttpRequest, ProviderError> {
    let base = options.base(BASE)?;
    let family = if base.starts_with("https://api.openai.com") { FAMILY } else { IMITATOR };
    let mut body = family.body(request)?;
    body.shift_insert(0, "model".into(), request.model.as_str().into());
    let place = Place { base, path: "/chat/completions".into(), query: Vec::new(), auth: bearer(options) };
    place.post(options, accept(request), body)
}

/// The credential of all but one of the family.
pub(super) fn bearer(options: &Options) -> Auth {
    match options.credential {
        crate::http::Credential::None => Auth::None,
        _ => Auth::Bearer,
    }
}

pub(super) fn accept(request: &Request) -> Option<&'static str> {
    request.stream.then_some("text/event-stream")
}

fn draw(request: &ImageRequest, options: &Options) -> Result<HttpRequest, ProviderError> {
    let mut body = to_draw(request);
    body.insert("model".to_owned(), request.model.as_str().into());
    let place = Place {
        base: options.base(BASE)?,
        path: "/images/generations".to_owned(),
        query: Vec::new(),
        auth: bearer(options),
    };
    place.post(options, None, body)
}

pub(super) fn to_draw(request: &ImageRequest) -> Map<String, Value> {
    fields([("prompt", request.prompt.as_str().into()), ("n", 1.into())])
}

/// The image in an answer.
pub(super) fn drawn(body: &Value) -> Result<Image, ProviderError> {
    let text = |name: &str| body.pointer(&format!("/data/0/{name}")).and_then(Value::as_str);
    match (text("b64_json"), text("url")) {
        (Some(data), _) => images::bytes("image/png", data),
        (None, Some(url)) => Ok(Image::Url(url.to_owned())),
        (None, None) => Err(images::none()),
    }
}
