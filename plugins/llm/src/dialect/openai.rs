//! OpenAI: chat completions. Also servers that imitate it, at another address.

use super::family::{Family, Ids, Thoughts};
use super::{Dialect, Place};
use crate::ProviderError;
use crate::http::{Auth, HttpRequest, Options};
use crate::message::Request;

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
