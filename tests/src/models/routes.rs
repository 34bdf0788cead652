//! Which API a path belongs to.

use axum::body::Body;
use axum::http::Response;
use serde_json::json;

use super::api::{Api, Place};
use super::auth::{self, tokens};
use super::faults::{Failure, Trouble};
use super::incoming::decoded;
use super::{Incoming, Provider, Shared, chat_errors, images, services};

/// Answers whatever came.
pub(super) async fn answer(shared: &Shared, incoming: &Incoming) -> Response<Body> {
    let path = incoming.path.trim_start_matches('/');
    let (first, rest) = path.split_once('/').unwrap_or((path, ""));
    if let Some(provider) = Provider::ALL.into_iter().find(|provider| provider.folder() == first) {
        let authorized = auth::check(shared, provider, incoming);
        shared.record(Some(provider), provider.name(), incoming, authorized.is_ok());
        if let Some(response) = files(provider, incoming, rest, &authorized).await {
            return response;
        }
        let found = api(provider, incoming, rest);
        return match found {
            Ok(api) => api.answer(shared, provider, incoming, authorized).await,
            Err(failure) => failure.into_response(),
        };
    }
    let steps: Vec<&str> = path.split('/').collect();
    let (name, (response, authorized)) = match (incoming.method.as_str(), steps.as_slice()) {
        ("POST", ["google", "token"]) => ("google-token", tokens::google(shared, incoming)),
        ("POST", ["entra", tenant, "oauth2", "v2.0", "token"]) => ("entra", tokens::entra(shared, tenant, incoming)),
        ("POST", ["calendar", "v3", "calendars", id, "events"]) => {
            ("google-calendar", services::calendar(shared, id, incoming))
        }
        ("POST", ["slack", "services", ..]) => ("slack", services::slack(shared, incoming)),
        ("POST", ["discord", "api", "webhooks", _, _]) => ("discord", services::discord(shared, incoming)),
        ("POST", ["todoist", "rest", "v2", "tasks"]) => ("todoist", services::todoist(shared, incoming)),
        _ => ("unknown", (unknown().into_response(), false)),
    };
    shared.record(None, name, incoming, authorized);
    response
}

fn unknown() -> Failure {
    Failure::new(404, json!({ "error": { "message": "nothing is here", "type": "invalid_request_error" } }))
}

/// OpenAI's files and pictures, which are no questions.
async fn files(
    provider: Provider,
    incoming: &Incoming,
    rest: &str,
    authorized: &Result<(), Trouble>,
) -> Option<Response<Body>> {
    let steps: Vec<&str> = rest.split('/').collect();
    match (provider, incoming.method.as_str(), steps.as_slice()) {
        // Whoever has the address may have the picture.
        (Provider::OpenAi, "GET", ["pictures", _]) => Some(images::picture()),
        (Provider::OpenAi, method, ["v1", "files", rest @ ..]) => {
            if let Err(trouble) = authorized {
                return Some(chat_errors::failure(provider, trouble).into_response());
            }
            match (method, rest) {
                ("POST", []) => Some(images::upload(incoming).await),
                ("GET" | "DELETE", [id]) => Some(images::absent(id).into_response()),
                _ => None,
            }
        }
        _ => None,
    }
}

/// The API at a path below a provider's folder.
fn api(provider: Provider, incoming: &Incoming, rest: &str) -> Result<Api, Failure> {
    let steps: Vec<&str> = rest.split('/').collect();
    if incoming.method != "POST" {
        return Err(unknown());
    }
    match (provider, steps.as_slice()) {
        (Provider::OpenAi | Provider::Mistral | Provider::DeepSeek, ["v1", "chat", "completions"])
        | (Provider::DeepSeek, ["chat", "completions"])
        | (Provider::OpenRouter, ["api", "v1", "chat", "completions"]) => {
            Ok(Api::Chat { deployment: None, version: None })
        }
        (Provider::OpenAi, ["v1", "responses"]) => Ok(Api::Responses),
        (Provider::OpenAi, ["v1", "images", "generations"]) => Ok(Api::Images),
        (Provider::AzureOpenAi, steps) => azure(incoming, steps),
        (Provider::Anthropic, ["v1", "messages"]) => Ok(Api::Messages),
        (Provider::Gemini, ["v1beta" | "v1", "models", called])
        | (
            Provider::VertexAi,
            ["v1" | "v1beta1", "projects", _, "locations", _, "publishers", "google", "models", called],
        ) => google_place(incoming, called),
        (Provider::Bedrock, ["model", model, "converse"]) => {
            Ok(Api::Converse(Place { model: decoded(model), streamed: false }))
        }
        (Provider::Bedrock, ["model", model, "converse-stream"]) => {
            Ok(Api::Converse(Place { model: decoded(model), streamed: true }))
        }
        (Provider::Ollama, ["api", "chat"]) => Ok(Api::Ollama),
        _ => Err(unknown()),
    }
}

/// `{model}:{method}`.
fn google_place(incoming: &Incoming, called: &str) -> Result<Api, Failure> {
    let called = decoded(called);
    let (model, method) = called.split_once(':').unwrap_or((&called, ""));
    let place = |streamed| Place { model: model.to_owned(), streamed };
    match method {
        "generateContent" => Ok(Api::Google(place(false))),
        "streamGenerateContent" if incoming.query("alt").as_deref() == Some("sse") => Ok(Api::Google(place(true))),
        "streamGenerateContent" => Ok(Api::GoogleList(place(true))),
        _ => Err(unknown()),
    }
}

/// Classic, with a deployment and a version, or the newer `v1` without them.
fn azure(incoming: &Incoming, steps: &[&str]) -> Result<Api, Failure> {
    let version = incoming.query("api-version");
    let refused = |status: u16, code: &str, message: &str| {
        Err(Failure::new(status, json!({ "error": { "code": code, "message": message } })))
    };
    match (steps, version.as_deref()) {
        (["openai", "v1", "chat", "completions"], None | Some("preview" | "latest")) => {
            Ok(Api::Chat { deployment: None, version: None })
        }
        (["openai", "v1", "responses"], None | Some("preview" | "latest")) => Ok(Api::Responses),
        (["openai", "v1", "images", "generations"], None | Some("preview" | "latest")) => Ok(Api::Images),
        (["openai", "v1", ..], Some(_)) => {
            refused(400, "BadRequest", "api-version query parameter is not allowed when using /v1 path")
        }
        // Without a version, or with one that is no date, there is no such place.
        (["openai", "deployments", deployment, "chat", "completions"], Some(dated))
            if dated.len() >= 10 && dated.starts_with("20") =>
        {
            Ok(Api::Chat { deployment: Some(decoded(deployment)), version: Some(dated.to_owned()) })
        }
        _ => refused(404, "404", "Resource not found"),
    }
}
