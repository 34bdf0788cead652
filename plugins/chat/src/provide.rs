//! What a provider does when the host has it answer: what is asked comes in, parts and an answer go out.

use llm::images::{self, ImageRequest};
use llm::message::Request;
use serde::de::DeserializeOwned;
use serde_json::Value;
use sluice_sdk::{Context, Failure, models};

use crate::connection::Connection;
use crate::{ask, failure, refused, send};

/// Answers a chat, or with an image where one is asked for. Parts of a streamed answer go to whoever asks while it is made. `model`: of the provider's properties, for a request that names
/// none.
pub fn provide(connection: &Connection, model: &str, request: Value, cx: &Context) -> Result<Value, Failure> {
    let answer = match request.get("image") {
        Some(image) => {
            let mut image: ImageRequest = read(image.clone())?;
            name(&mut image.model, model);
            let encoded =
                images::encode(connection.codec, &image, &connection.options).map_err(|error| refused(&error))?;
            let body = send(connection, &encoded, cx)?;
            let image = images::decode(connection.codec, &body).map_err(|error| failure(&error))?;
            serde_json::to_value(image)
        }
        None => {
            let mut request: Request = read(request)?;
            name(&mut request.model, model);
            let asked = ask(connection, &request, cx, &mut |part| match serde_json::to_value(part) {
                Ok(part) => models::emit(&part),
                Err(_) => true,
            })?;
            serde_json::to_value(&asked.answer)
        }
    };
    answer.map_err(|error| Failure::new("LLM_MALFORMED", format!("the answer is no JSON: {error}")))
}

fn read<T: DeserializeOwned>(request: Value) -> Result<T, Failure> {
    serde_json::from_value(request)
        .map_err(|error| Failure::new("LLM_BAD_REQUEST", format!("the request is not one: {error}")).retryable(false))
}

fn name(asked: &mut String, model: &str) {
    if asked.is_empty() {
        model.clone_into(asked);
    }
}
