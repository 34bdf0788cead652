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
use super::{
    Incoming, Provider, Shared, anthropic, auth, bedrock, chat, chat_errors, google, images, ollama, responses,
    services,
};

/// One of the forms in which models are asked.
enum Api {
    /// With Azure's deployment and version, where the path has them.
    Chat {
        deployment: Option<String>,
        version: Option<String>,
    },
    Responses,
    Images,
    Messages,
    Google(Place),
    /// The frames of a stream are a list.
    GoogleList(Place),
    Converse(Place),
    Ollama,
}

/// A model in a path, and whether the path asks for a stream.
struct Place {
    model: String,
    streamed: bool,
}

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
            return faults::response(503, "text/plain", Body::from("the stand-in has ended"));
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
            let failure = self.failure(asked.provider, trouble);
            // Google blocks a prompt with an answer.
            return match failure.status == 200 && asked.streamed {
                true => self.stream(shared, asked, vec![Frame::plain(failure.body)], &faults),
                false => failure.into_response(),
            };
        }
        if !asked.streamed {
            return faults::whole(self.whole(shared, asked, &answer), &faults, shared.ended.clone());
        }
        let mut frames = self.frames(shared, asked, &answer);
        if in_stream {
            frames.truncate(frames.len().div_ceil(2));
            frames.push(self.error_frame(asked.provider, &trouble.unwrap_or(Trouble::Internal)));
        }
        self.stream(shared, asked, frames, &faults)
    }

    fn stream(&self, shared: &Shared, asked: &Asked, frames: Vec<Frame>, faults: &[Fault]) -> Response<Body> {
        faults::streamed(asked.provider, self.framing(), frames, faults, shared.ended.clone())
    }

    fn framing(&self) -> Framing {
        match self {
            Self::GoogleList(_) => Framing::List,
            Self::Converse(_) => Framing::Binary,
            Self::Ollama => Framing::Lines,
            _ => Framing::Events,
        }
    }

    fn read(&self, shared: &Shared, provider: Provider, incoming: &Incoming) -> Result<Asked, Trouble> {
        let credentials = &shared.credentials;
        match self {
            Self::Chat { deployment, version } => {
                chat::read(provider, incoming, deployment.as_deref(), version.as_deref())
            }
            Self::Responses => responses::read(&shared.kept, provider, incoming),
            Self::Images => images::read(provider, incoming),
            Self::Messages => anthropic::read(credentials, incoming),
            Self::Google(Place { model, streamed }) | Self::GoogleList(Place { model, streamed }) => {
                google::read(credentials, provider, incoming, model, *streamed)
            }
            Self::Converse(Place { model, streamed }) => bedrock::read(credentials, incoming, model, *streamed),
            Self::Ollama => ollama::read(incoming),
        }
    }

    fn whole(&self, shared: &Shared, asked: &Asked, answer: &Answer) -> Value {
        let credentials = &shared.credentials;
        match self {
            Self::Chat { .. } => chat::whole(asked, answer),
            Self::Responses => responses::whole(&shared.kept, asked, answer),
            Self::Images => images::whole(&shared.origin, asked),
            Self::Messages => anthropic::whole(credentials, asked, answer),
            Self::Google(_) | Self::GoogleList(_) => google::whole(credentials, asked, answer),
            Self::Converse(_) => bedrock::whole(credentials, answer),
            Self::Ollama => ollama::whole(asked, answer),
        }
    }

    fn frames(&self, shared: &Shared, asked: &Asked, answer: &Answer) -> Vec<Frame> {
        let credentials = &shared.credentials;
        match self {
            Self::Chat { .. } => chat::frames(asked, answer),
            Self::Responses => responses::frames(&shared.kept, asked, answer),
            // There are no pictures in pieces.
            Self::Images => vec![Frame::plain(images::whole(&shared.origin, asked))],
            Self::Messages => anthropic::frames(credentials, asked, answer),
            Self::Google(_) | Self::GoogleList(_) => google::frames(credentials, asked, answer),
            Self::Converse(_) => bedrock::frames(credentials, answer),
            Self::Ollama => ollama::frames(asked, answer),
        }
    }

    fn failure(&self, provider: Provider, trouble: &Trouble) -> Failure {
        match self {
            Self::Chat { .. } | Self::Responses | Self::Images => chat_errors::failure(provider, trouble),
            Self::Messages => anthropic::failure(trouble),
            Self::Google(_) | Self::GoogleList(_) => google::failure(provider, trouble),
            Self::Converse(_) => bedrock::failure(trouble),
            Self::Ollama => ollama::failure(trouble),
        }
    }

    fn error_frame(&self, provider: Provider, trouble: &Trouble) -> Frame {
        match self {
            Self::Chat { .. } | Self::Images => chat_errors::frame(provider, trouble),
            Self::Responses => responses::error_frame(&chat_errors::failure(provider, trouble).body),
            Self::Messages => anthropic::error_frame(trouble),
            Self::Converse(_) => bedrock::error_frame(trouble),
            _ => Frame::plain(self.failure(provider, trouble).body),
        }
    }
}
