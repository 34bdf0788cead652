//! Which API a path belongs to, and the way of a question through it: proof, reading, script, answer.

use std::sync::PoisonError;

use axum::body::Body;
use axum::http::Response;
use serde_json::{Value, json};

use super::asked::Asked;
use super::auth::tokens;
use super::faults::{self, Failure, Fault, Trouble};
use super::frames::{Frame, Framing};
use super::incoming::decoded;
use super::script::{Answer, Finish, Rule};
use super::{Incoming, Provider, Shared, auth, chat, chat_errors};

/// One of the forms in which models are asked.
enum Api {
    /// With Azure's deployment and version, where the path has them.
    Chat { deployment: Option<String>, version: Option<String> },
}

/// Answers whatever came.
pub(super) async fn answer(shared: &Shared, incoming: &Incoming) -> Response<Body> {
    let path = incoming.path.trim_start_matches('/');
    let (first, rest) = path.split_once('/').unwrap_or((path, ""));
    if let Some(provider) = Provider::ALL.into_iter().find(|provider| provider.folder() == first) {
        let authorized = auth::check(shared, provider, incoming);
        shared.record(Some(provider), provider.name(), incoming, authorized.is_ok());
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
        _ => ("unknown", (unknown().into_response(), false)),
    };
    shared.record(None, name, incoming, authorized);
    response
}

fn unknown() -> Failure {
    Failure::new(404, json!({ "error": { "message": "nothing is here", "type": "invalid_request_error" } }))
}

/// The API at a path below a provider's folder.
fn api(provider: Provider, incoming: &Incoming, rest: &str) -> Result<Api, Failure> {
    let steps: Vec<&str> = rest.split('/').collect();
    let plain = || Api::Chat { deployment: None, version: None };
    match (provider, incoming.method.as_str(), steps.as_slice()) {
        (Provider::OpenAi | Provider::Mistral | Provider::DeepSeek, "POST", ["v1", "chat", "completions"])
        | (Provider::DeepSeek, "POST", ["chat", "completions"])
        | (Provider::OpenRouter, "POST", ["api", "v1", "chat", "completions"]) => Ok(plain()),
        (Provider::AzureOpenAi, "POST", ["openai", "v1", rest @ ..]) => {
            if let Some("preview" | "latest") | None = incoming.query("api-version").as_deref() {
                return azure_v1(rest);
            }
            Err(azure(400, "BadRequest", "api-version query parameter is not allowed when using /v1 path"))
        }
        (Provider::AzureOpenAi, "POST", ["openai", "deployments", deployment, "chat", "completions"]) => {
            // Without a version, or with one that is no date, there is no such place.
            match incoming.query("api-version").filter(|version| version.len() >= 10 && version.starts_with("20")) {
                version @ Some(_) => Ok(Api::Chat { deployment: Some(decoded(deployment)), version }),
                None => Err(azure(404, "404", "Resource not found")),
            }
        }
        _ => Err(unknown()),
    }
}

fn azure(status: u16, code: &str, message: &str) -> Failure {
    Failure::new(status, json!({ "error": { "code": code, "message": message } }))
}

fn azure_v1(steps: &[&str]) -> Result<Api, Failure> {
    match steps {
        ["chat", "completions"] => Ok(Api::Chat { deployment: None, version: None }),
        _ => Err(azure(404, "404", "Resource not found")),
    }
}

impl Api {
    async fn answer(
        &self,
        shared: &Shared,
        provider: Provider,
        incoming: &Incoming,
        authorized: Result<(), Trouble>,
    ) -> Response<Body> {
        let asked = match authorized.and_then(|()| self.read(shared, provider, incoming)) {
            Ok(asked) => asked,
            Err(trouble) => return self.failure(provider, &trouble).into_response(),
        };
        let rule = shared.script.lock().unwrap_or_else(PoisonError::into_inner).take(&asked).unwrap_or_default();
        if rule.faults.contains(&Fault::Hang) {
            let mut ended = shared.ended.clone();
            let _ = ended.wait_for(|ended| *ended).await;
        }
        if let Some(response) = faults::instead(&rule.faults) {
            return response;
        }
        self.scripted(shared, &asked, rule)
    }

    fn scripted(&self, shared: &Shared, asked: &Asked, rule: Rule) -> Response<Body> {
        let Rule { answer, faults, .. } = rule;
        let mut trouble = faults.iter().find_map(|fault| Trouble::of(fault, &asked.model));
        let mut answer = answer.unwrap_or_else(|| asked.echo());
        if asked.provider == Provider::Bedrock && trouble == Some(Trouble::ContentFilter) {
            // It is an end of an answer there, and no error.
            (answer.finish, trouble) = (Some(Finish::ContentFilter), None);
        }
        if faults.contains(&Fault::EmptyStop) {
            answer = Answer { usage: answer.usage, ..Answer::default() };
        }
        let (in_stream, in_body) = (faults.contains(&Fault::ErrorInStream), faults.contains(&Fault::ErrorInBody));
        if in_body || (in_stream && !asked.streamed) {
            let failure = self.failure(asked.provider, &trouble.unwrap_or(Trouble::Internal));
            return faults::whole(failure.body, &faults, shared.ended.clone());
        }
        if let (Some(trouble), false) = (&trouble, in_stream) {
            return self.failure(asked.provider, trouble).into_response();
        }
        if !asked.streamed {
            return faults::whole(self.whole(shared, asked, &answer), &faults, shared.ended.clone());
        }
        let (framing, mut frames) = self.frames(shared, asked, &answer);
        if in_stream {
            frames.truncate(frames.len().div_ceil(2));
            frames.push(self.error_frame(asked.provider, &trouble.unwrap_or(Trouble::Internal)));
        }
        faults::streamed(asked.provider, framing, frames, &faults, shared.ended.clone())
    }

    fn read(&self, _shared: &Shared, provider: Provider, incoming: &Incoming) -> Result<Asked, Trouble> {
        match self {
            Self::Chat { deployment, version } => {
                chat::read(provider, incoming, deployment.as_deref(), version.as_deref())
            }
        }
    }

    fn whole(&self, _shared: &Shared, asked: &Asked, answer: &Answer) -> Value {
        match self {
            Self::Chat { .. } => chat::whole(asked, answer),
        }
    }

    fn frames(&self, _shared: &Shared, asked: &Asked, answer: &Answer) -> (Framing, Vec<Frame>) {
        match self {
            Self::Chat { .. } => (Framing::Events, chat::frames(asked, answer)),
        }
    }

    fn failure(&self, provider: Provider, trouble: &Trouble) -> Failure {
        chat_errors::failure(provider, trouble)
    }

    fn error_frame(&self, provider: Provider, trouble: &Trouble) -> Frame {
        chat_errors::frame(provider, trouble)
    }
}
