//! The way of a question through one of the APIs: proof, reading, script, answer.

use std::sync::PoisonError;

use axum::body::Body;
use axum::http::Response;
use serde_json::{Value, json};

use super::asked::Asked;
use super::delivery::{self, Delivery};
use super::faults::{self, Failure, Fault, Trouble};
use super::frames::{Frame, Framing};
use super::script::{Answer, Finish, Rule};
use super::{Incoming, Provider, Shared, anthropic, bedrock, chat, chat_errors, google, images, ollama, responses};

/// One of the forms in which models are asked.
pub(super) enum Api {
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
pub(super) struct Place {
    pub model: String,
    pub streamed: bool,
}

impl Api {
    /// The answer to a question, by the script.
    pub async fn answer(
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
        if let Some(response) = delivery::instead(&rule.faults) {
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
        let elsewhere = [Fault::ErrorInBody, Fault::ErrorInChoice, Fault::ErrorInStream];
        if faults.iter().any(|fault| elsewhere.contains(fault)) {
            return self.late(shared, asked, &answer, &trouble.unwrap_or(Trouble::Internal), &faults);
        }
        if let Some(trouble) = &trouble {
            let failure = self.failure(asked.provider, trouble);
            // Google blocks a prompt with an answer.
            return match failure.status == 200 && asked.streamed {
                true => self.stream(shared, asked, vec![self.error_frame(asked.provider, trouble)], &faults),
                false => failure.into_response(),
            };
        }
        match asked.streamed {
            true => self.stream(shared, asked, self.frames(shared, asked, &answer), &faults),
            false => delivery(shared, asked, &faults).whole(self.whole(shared, asked, &answer)),
        }
    }

    /// An error that comes after the status: in the midst of a stream, or in a body.
    fn late(
        &self,
        shared: &Shared,
        asked: &Asked,
        answer: &Answer,
        trouble: &Trouble,
        faults: &[Fault],
    ) -> Response<Body> {
        if asked.streamed && faults.contains(&Fault::ErrorInStream) {
            let mut frames = self.frames(shared, asked, answer);
            frames.truncate(frames.len().div_ceil(2));
            frames.push(self.error_frame(asked.provider, trouble));
            return self.stream(shared, asked, frames, faults);
        }
        let failure = self.failure(asked.provider, trouble);
        let mut body = failure.body;
        if faults.contains(&Fault::ErrorInChoice) && asked.provider == Provider::OpenRouter {
            let mut whole = self.whole(shared, asked, answer);
            whole["choices"][0]["error"] = body["error"].take();
            whole["choices"][0]["finish_reason"] = "error".into();
            body = whole;
        }
        delivery(shared, asked, faults).whole(body)
    }

    fn stream(&self, shared: &Shared, asked: &Asked, frames: Vec<Frame>, faults: &[Fault]) -> Response<Body> {
        delivery(shared, asked, faults).streamed(self.framing(), frames)
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
            Self::Google(_) => google::failure(provider, trouble),
            Self::GoogleList(_) => {
                let failure = google::failure(provider, trouble);
                Failure { body: json!([failure.body]), ..failure }
            }
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
            Self::Google(_) | Self::GoogleList(_) => Frame::plain(google::failure(provider, trouble).body),
            Self::Ollama => Frame::plain(ollama::failure(trouble).body),
        }
    }
}

fn delivery<'a>(shared: &Shared, asked: &Asked, faults: &'a [Fault]) -> Delivery<'a> {
    Delivery { provider: asked.provider, faults, ended: shared.ended.clone() }
}
