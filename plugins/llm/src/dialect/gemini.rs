//! Google Gemini, with an API key. The key is a header: in the address it would end up in logs.

use super::{Codec, Dialect, Images, Place, google};
use crate::ProviderError;
use crate::framing::Framing;
use crate::http::{Auth, Credential, HttpRequest, Options};
use crate::images::ImageRequest;
use crate::message::Request;

const BASE: &str = "https://generativelanguage.googleapis.com";

pub const CODEC: Codec = Codec {
    dialect: Dialect::Gemini,
    encode,
    body: google::body,
    event: google::event,
    error: google::error,
    ended: google::ended,
    framing: Framing::events,
    images: Some(Images { encode: draw, decode: google::drawn }),
};

pub(super) fn encode(request: &Request, options: &Options) -> Result<HttpRequest, ProviderError> {
    let auth = match options.credential {
        Credential::Key => Auth::Header("x-goog-api-key"),
        Credential::Token => Auth::Bearer,
        Credential::None => Auth::None,
    };
    let base = options.base(BASE)?;
    // Some write the version into the address.
    let models = if base.ends_with("/v1beta") || base.ends_with("/v1") { "/models" } else { "/v1beta/models" };
    let (path, query) = google::path(request, models);
    let body = google::body_of(request, Dialect::Gemini)?;
    Place { base, path, query, auth }.post(options, request.stream.then_some("text/event-stream"), body)
}

/// The same address and credential as of a chat; only the body says that an image is wanted.
fn draw(request: &ImageRequest, options: &Options) -> Result<HttpRequest, ProviderError> {
    let chat = Request { model: request.model.clone(), ..Request::default() };
    Ok(HttpRequest { body: google::to_draw(request), ..encode(&chat, options)? })
}
