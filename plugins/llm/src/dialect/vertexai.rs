//! Google Vertex AI: Gemini's bodies in a project and a location, for a service account.

use super::{Codec, Dialect, Images, Place, google};
use crate::ProviderError;
use crate::framing::Framing;
use crate::http::{Auth, Credential, HttpRequest, Options, encoded};
use crate::images::ImageRequest;
use crate::message::Request;

const SCOPE: &str = "https://www.googleapis.com/auth/cloud-platform";

pub const CODEC: Codec = Codec {
    dialect: Dialect::VertexAi,
    encode,
    body: google::body,
    event: google::event,
    error: google::error,
    ended: google::ended,
    framing: Framing::events,
    images: Some(Images { encode: draw, decode: google::drawn }),
};

pub(super) fn encode(request: &Request, options: &Options) -> Result<HttpRequest, ProviderError> {
    let (Some(project), Some(location)) = (&options.project, &options.location) else {
        return Err(ProviderError::refused("Vertex AI needs a project and a location"));
    };
    if !location.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-') {
        return Err(ProviderError::refused(format!("`{location}` is no location of Vertex AI")));
    }
    let host = match location.as_str() {
        "global" => "https://aiplatform.googleapis.com".to_owned(),
        location => format!("https://{location}-aiplatform.googleapis.com"),
    };
    let auth = match options.credential {
        Credential::Key => Auth::GoogleJwt { scope: SCOPE },
        Credential::Token => Auth::Bearer,
        Credential::None => Auth::None,
    };
    let models = format!("/v1/projects/{}/locations/{location}/publishers/google/models", encoded(project));
    let (path, query) = google::path(request, &models);
    let body = google::body_of(request, Dialect::VertexAi)?;
    Place { base: options.base(&host)?, path, query, auth }.post(
        options,
        request.stream.then_some("text/event-stream"),
        body,
    )
}

/// The same address and credential as of a chat; only the body says that an image is wanted.
fn draw(request: &ImageRequest, options: &Options) -> Result<HttpRequest, ProviderError> {
    let chat = Request { model: request.model.clone(), ..Request::default() };
    Ok(HttpRequest { body: google::to_draw(request), ..encode(&chat, options)? })
}
