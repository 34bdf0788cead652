//! Azure OpenAI: OpenAI's bodies at an address of one's own. With `apiVersion` the deployment stands in the path, without it in the body.

use super::family::Family;
use super::{Codec, Dialect, Images, Place, any_end, family, openai};
use crate::ProviderError;
use crate::framing::Framing;
use crate::http::{Auth, Credential, HttpRequest, Options, encoded};
use crate::images::ImageRequest;
use crate::message::Request;

/// The first dated version whose bodies know `max_completion_tokens`.
const COMPLETION_TOKENS_SINCE: &str = "2024-09-01";

pub(super) const FAMILY: Family = Family { dialect: Dialect::AzureOpenAi, ..openai::FAMILY };

pub const CODEC: Codec = Codec {
    dialect: Dialect::AzureOpenAi,
    encode,
    body: |builder, body| FAMILY.read(builder, body),
    event: |builder, frame| FAMILY.event(builder, frame),
    error: family::error,
    ended: any_end,
    framing: Framing::events,
    images: Some(Images { encode: draw, decode: openai::drawn }),
};

pub(super) fn encode(request: &Request, options: &Options) -> Result<HttpRequest, ProviderError> {
    let (base, auth) = place(options)?;
    let Some(version) = &options.api_version else {
        let mut body = FAMILY.body(request)?;
        body.shift_insert(0, "model".into(), request.model.as_str().into());
        let place = Place { base, path: "/openai/v1/chat/completions".into(), query: Vec::new(), auth };
        return place.post(options, openai::accept(request), body);
    };
    // Dates compare like texts.
    let max_tokens = if version.as_str() < COMPLETION_TOKENS_SINCE { "max_tokens" } else { FAMILY.max_tokens };
    let body = Family { max_tokens, ..FAMILY }.body(request)?;
    let path = format!("/openai/deployments/{}/chat/completions", encoded(&request.model));
    Place { base, path, query: vec![("api-version", version.clone())], auth }.post(
        options,
        openai::accept(request),
        body,
    )
}

fn draw(request: &ImageRequest, options: &Options) -> Result<HttpRequest, ProviderError> {
    let (base, auth) = place(options)?;
    let mut body = openai::to_draw(request);
    let (path, query) = match &options.api_version {
        None => {
            body.insert("model".to_owned(), request.model.as_str().into());
            ("/openai/v1/images/generations".to_owned(), Vec::new())
        }
        Some(version) => {
            let path = format!("/openai/deployments/{}/images/generations", encoded(&request.model));
            (path, vec![("api-version", version.clone())])
        }
    };
    Place { base, path, query, auth }.post(options, None, body)
}

/// The resource's address, and what it is shown.
fn place(options: &Options) -> Result<(String, Auth), ProviderError> {
    if options.base_url.is_none() {
        return Err(ProviderError::refused("the endpoint of the Azure resource is missing"));
    }
    let base = options.base("")?;
    // Some take the whole of what the portal shows.
    let base = base.trim_end_matches("/v1").trim_end_matches("/openai").to_owned();
    let auth = match options.credential {
        Credential::Key => Auth::Header("api-key"),
        Credential::Token => Auth::Bearer,
        Credential::None => Auth::None,
    };
    Ok((base, auth))
}
