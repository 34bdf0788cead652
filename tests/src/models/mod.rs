//! A stand-in for providers of language models: one server on loopback that speaks the HTTP APIs of ten, and says what a script tells it. It follows
//! their documents and never our own codecs: who is tested with it must not be able to agree with itself.

mod anthropic;
mod anthropic_rules;
mod api;
mod asked;
mod auth;
mod bedrock;
mod chat;
mod chat_errors;
mod chat_rules;
mod credentials;
mod delivery;
mod faults;
mod frames;
mod google;
mod google_rules;
mod images;
mod incoming;
pub(crate) mod listening;
mod ollama;
mod responses;
mod routes;
mod script;
mod services;

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::body::{Body, to_bytes};
use axum::extract::{Request, State};
use axum::http::Response;
use axum::serve::ListenerExt as _;
use serde::Deserialize;
use serde_json::Value;
use tokio::net::TcpListener;
use tokio::sync::{Notify, watch};

use credentials::Credentials;
pub use credentials::Entra;
pub use faults::{Fault, Hint};
use incoming::Incoming;
pub use listening::Tls;
use listening::{Encrypted, Pems};
pub use script::{Answer, Call, Finish, Rule, Script, Usage, When};

/// The largest request, in bytes: pictures come with it.
const BODY_MAX: usize = 32 << 20;
/// How long the end waits for connections that others hold open.
const END_MAX: Duration = Duration::from_secs(5);

/// Whom the server stands in for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Provider {
    OpenAi,
    #[serde(rename = "azure-openai")]
    AzureOpenAi,
    Anthropic,
    Gemini,
    #[serde(rename = "vertex-ai")]
    VertexAi,
    Bedrock,
    Mistral,
    DeepSeek,
    Ollama,
    OpenRouter,
}

impl Provider {
    pub const ALL: [Self; 10] = [
        Self::OpenAi,
        Self::AzureOpenAi,
        Self::Anthropic,
        Self::Gemini,
        Self::VertexAi,
        Self::Bedrock,
        Self::Mistral,
        Self::DeepSeek,
        Self::Ollama,
        Self::OpenRouter,
    ];

    /// What scripts call it.
    pub fn name(self) -> &'static str {
        match self {
            Self::OpenAi => "openai",
            Self::AzureOpenAi => "azure-openai",
            Self::Anthropic => "anthropic",
            Self::Gemini => "gemini",
            Self::VertexAi => "vertex-ai",
            Self::Bedrock => "bedrock",
            Self::Mistral => "mistral",
            Self::DeepSeek => "deepseek",
            Self::Ollama => "ollama",
            Self::OpenRouter => "openrouter",
        }
    }

    /// The first step of its paths.
    fn folder(self) -> &'static str {
        match self {
            Self::AzureOpenAi => "azure",
            Self::VertexAi => "vertex",
            other => other.name(),
        }
    }
}

/// A request that came.
#[derive(Clone, Debug)]
pub struct Seen {
    /// Which provider was asked; nobody where it was one of the services beside them.
    pub provider: Option<Provider>,
    /// The provider's name, or `entra`, `google-token`, `google-calendar`, `slack`, `discord`, `todoist`, `unknown`.
    pub name: String,
    pub method: String,
    pub path: String,
    pub query: String,
    /// Names are in lower case.
    pub headers: Vec<(String, String)>,
    /// JSON, or a text where it is none.
    pub body: Value,
    /// Whether its credential was the right one.
    pub authorized: bool,
}

/// A stand-in. Ended by [`Models::end`].
pub struct Models {
    address: SocketAddr,
    shared: Arc<Shared>,
    pems: Option<Pems>,
    ended: watch::Sender<bool>,
    serving: tokio::task::JoinHandle<()>,
}

/// What requests have in common.
struct Shared {
    origin: String,
    credentials: Credentials,
    script: Mutex<Script>,
    /// Conversations that OpenAI's Responses keep.
    kept: responses::Kept,
    seen: Mutex<Vec<Seen>>,
    came: Notify,
    ended: watch::Receiver<bool>,
}

impl Models {
    /// One that speaks HTTP on loopback.
    pub async fn start(script: Script) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("loopback has free ports");
        let address = listener.local_addr().expect("a bound listener has an address");
        let (shared, ended) = Shared::new(format!("http://{address}"), script);
        // Small pieces are to arrive as such.
        let listener = listener.tap_io(|socket| drop(socket.set_nodelay(true)));
        let serving = tokio::spawn(serve(listener, shared.clone()));
        Self { address, shared, pems: None, ended, serving }
    }

    /// One that speaks HTTPS as `localhost`, with a certificate of a CA of its own.
    pub async fn start_tls(script: Script, tls: Tls) -> Self {
        let pems = Pems::new();
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("loopback has free ports");
        let address = listener.local_addr().expect("a bound listener has an address");
        let (shared, ended) = Shared::new(format!("https://localhost:{}", address.port()), script);
        let serving = tokio::spawn(serve(Encrypted::new(listener, &pems, tls), shared.clone()));
        Self { address, shared, pems: Some(pems), ended, serving }
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Its address with the scheme: what stands before every path.
    pub fn origin(&self) -> &str {
        &self.shared.origin
    }

    /// What is written as the base address of a provider.
    pub fn base(&self, provider: Provider) -> String {
        let version = match provider {
            Provider::OpenAi | Provider::Mistral | Provider::DeepSeek => "/v1",
            Provider::OpenRouter => "/api/v1",
            _ => "",
        };
        format!("{}/{}{version}", self.shared.origin, provider.folder())
    }

    /// The one credential that a provider accepts; of Bedrock the secret access key, of Vertex AI the private key.
    pub fn key(&self, provider: Provider) -> &str {
        self.shared.credentials.key(provider)
    }

    /// The JSON of a Google service account.
    pub fn service_account(&self) -> &str {
        &self.shared.credentials.account.json
    }

    pub fn bedrock_access_key_id(&self) -> &str {
        &self.shared.credentials.bedrock_access_key_id
    }

    /// Bedrock's own bearer key, which stands in place of a signature.
    pub fn bedrock_api_key(&self) -> &str {
        &self.shared.credentials.bedrock_api_key
    }

    /// The application that may have tokens for Azure; they are issued at [`Models::entra_authority`].
    pub fn entra(&self) -> &Entra {
        &self.shared.credentials.entra
    }

    /// What stands before `/{tenant}/oauth2/v2.0/token`.
    pub fn entra_authority(&self) -> String {
        format!("{}/entra", self.shared.origin)
    }

    /// The address of Google Calendar: before `/calendars/{id}/events`.
    pub fn calendar(&self) -> String {
        format!("{}/calendar/v3", self.shared.origin)
    }

    /// The one incoming webhook of Slack.
    pub fn slack(&self) -> String {
        format!("{}{}", self.shared.origin, self.shared.credentials.slack_path)
    }

    /// The one webhook of Discord.
    pub fn discord(&self) -> String {
        format!("{}{}", self.shared.origin, self.shared.credentials.discord_path)
    }

    /// The address of Todoist: before `/tasks`.
    pub fn todoist(&self) -> String {
        format!("{}/todoist/rest/v2", self.shared.origin)
    }

    pub fn todoist_token(&self) -> &str {
        &self.shared.credentials.todoist
    }

    /// The certificate of the CA, of a server that speaks HTTPS.
    pub fn ca_pem(&self) -> &str {
        &self.pems.as_ref().expect("the server was started with `start_tls`").ca
    }

    /// A client's certificate and its key.
    pub fn client_pem(&self) -> &str {
        &self.pems.as_ref().expect("the server was started with `start_tls`").client
    }

    /// Every request, in the order in which they came.
    pub fn seen(&self) -> Vec<Seen> {
        self.shared.seen.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Waits until so many requests have come.
    pub async fn came(&self, count: usize) {
        loop {
            let notified = self.shared.came.notified();
            tokio::pin!(notified);
            // Who comes between the look and the wait is not missed.
            notified.as_mut().enable();
            if self.shared.seen.lock().unwrap_or_else(PoisonError::into_inner).len() >= count {
                return;
            }
            notified.await;
        }
    }

    /// Further rules, tried before those that are there.
    pub fn add(&self, rules: Script) {
        let mut script = self.shared.script.lock().unwrap_or_else(PoisonError::into_inner);
        script.ollama_key |= rules.ollama_key;
        script.rules.splice(0..0, rules.rules);
    }

    /// Ends it, and waits until it has ended. Who still waits for an answer gets none.
    pub async fn end(self) {
        self.ended.send_replace(true);
        let mut serving = self.serving;
        if tokio::time::timeout(END_MAX, &mut serving).await.is_err() {
            serving.abort();
        }
    }
}

impl Shared {
    fn new(origin: String, script: Script) -> (Arc<Self>, watch::Sender<bool>) {
        let (sender, ended) = watch::channel(false);
        let shared = Self {
            credentials: Credentials::new(&origin),
            origin,
            script: Mutex::new(script),
            kept: responses::Kept::default(),
            seen: Mutex::default(),
            came: Notify::new(),
            ended,
        };
        (Arc::new(shared), sender)
    }

    fn ollama_key(&self) -> bool {
        self.script.lock().unwrap_or_else(PoisonError::into_inner).ollama_key
    }

    /// Remembers a request.
    fn record(&self, provider: Option<Provider>, name: &str, incoming: &Incoming, authorized: bool) {
        let seen = Seen {
            provider,
            name: name.to_owned(),
            method: incoming.method.clone(),
            path: incoming.path.clone(),
            query: incoming.query.clone(),
            headers: incoming.headers.clone(),
            body: incoming.seen_body(),
            authorized,
        };
        self.seen.lock().unwrap_or_else(PoisonError::into_inner).push(seen);
        self.came.notify_waiters();
    }
}

async fn serve<L: axum::serve::Listener<Addr = SocketAddr>>(listener: L, shared: Arc<Shared>) {
    let mut ended = shared.ended.clone();
    let routes = axum::Router::new().fallback(asked).with_state(shared);
    let served = axum::serve(listener, routes);
    let served = served.with_graceful_shutdown(async move { drop(ended.wait_for(|ended| *ended).await) });
    served.await.expect("the stand-in serves");
}

async fn asked(State(shared): State<Arc<Shared>>, request: Request) -> Response<Body> {
    let (head, body) = request.into_parts();
    let Ok(body) = to_bytes(body, BODY_MAX).await else {
        return faults::response(413, "text/plain", Body::from("the request is too large"));
    };
    let incoming = Incoming::new(&head, body);
    routes::answer(&shared, &incoming).await
}
