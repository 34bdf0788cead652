//! The one way out of the sandbox: `wasi:http/outgoing-handler` ends here.
//!
//! Order of things, each before the next: parse, whole-URL placeholders, grants, address, quota, the gate, secrets, the pooled client.
//! Redirects are never followed: they are the guest's to follow, each checked like any other request.

pub mod address;
mod clients;
mod exchange;
mod filling;
mod head;
mod incoming;
mod options;
mod outgoing;
pub mod outside;
mod words;

pub(crate) use clients::Clients;

use crate::calls::Shared;
use crate::limits;
use crate::services::HostError;
use crate::tape::{Call, Sequence};
use exchange::Exchange;
use http::header::{HeaderMap, HeaderName};
use options::Settings;
use std::collections::HashMap;
use std::sync::Arc;
use tokio::sync::Semaphore;
use wasmtime_wasi_http::{Error, RequestOptions, WasiBody, WasiHttpHooks};

/// The header in which a request names its options. The host takes it off.
const OPTIONS_HEADER: HeaderName = HeaderName::from_static("sluice-egress");
const HANDLE: Call = Call::new("wasi:http/outgoing-handler", "handle");

/// The way out of one run.
pub(crate) struct Hooks {
    shared: Arc<Shared>,
    clients: Arc<Clients>,
    options: HashMap<String, Arc<Settings>>,
    gate: Arc<Semaphore>,
}

impl Hooks {
    pub(crate) fn new(shared: Arc<Shared>, clients: Arc<Clients>) -> Self {
        let gate = Arc::new(Semaphore::new(shared.limits.http_concurrent));
        Self { shared, clients, options: HashMap::new(), gate }
    }

    /// `egress.options`: checked and kept; the token names them.
    pub(crate) async fn options(&mut self, text: &str) -> Result<String, HostError> {
        if self.options.len() >= limits::EGRESS_OPTIONS {
            return Err(HostError::limit(format!(
                "a run makes at most {} sets of options; hint: use one again",
                limits::EGRESS_OPTIONS
            )));
        }
        let settings = Settings::parse(text, &self.shared).await?;
        let token = format!("options-{}", self.options.len() + 1);
        self.options.insert(token.clone(), Arc::new(settings));
        Ok(token)
    }

    /// The settings a request names, or the plain ones.
    fn settings(&self, headers: &mut HeaderMap) -> Result<Arc<Settings>, HostError> {
        let Some(token) = headers.remove(OPTIONS_HEADER) else { return Ok(Arc::default()) };
        let token = token.to_str().unwrap_or_default();
        self.options.get(token).cloned().ok_or_else(|| {
            HostError::bad_argument(format!(
                "`{}` names no options of this run; hint: `sluice-egress` takes what `egress.options` returned",
                token.escape_debug()
            ))
        })
    }
}

type Io = Box<dyn Future<Output = Result<(), Error>> + Send>;
type Sent = Result<(http::Response<WasiBody>, Io), Error>;

impl WasiHttpHooks for Hooks {
    fn set_host_header(&mut self) -> bool {
        // The client derives it from the URL that was checked.
        false
    }

    fn send_request(
        &mut self,
        request: http::Request<WasiBody>,
        timing: Option<RequestOptions>,
        _: Box<dyn Future<Output = Result<(), Error>> + Send>,
    ) -> Box<dyn Future<Output = Sent> + Send> {
        let (mut parts, body) = request.into_parts();
        let settings = self.settings(&mut parts.headers);
        let exchange = Exchange {
            sequence: self.begin(&parts),
            shared: self.shared.clone(),
            clients: self.clients.clone(),
            permit: self.gate.clone().try_acquire_owned().ok(),
            timing: timing.unwrap_or_default(),
        };
        Box::new(async move {
            let shared = exchange.shared.clone();
            let sequence = exchange.sequence;
            let sent = exchange.run(parts, body, settings).await;
            if let Err(error) = &sent {
                shared.tape.end(sequence, &[format!("{error}").as_bytes()]);
            }
            sent
        })
    }
}

impl Hooks {
    fn begin(&self, parts: &http::request::Parts) -> Sequence {
        let url = parts.uri.to_string();
        let mut pieces: Vec<&[u8]> = vec![parts.method.as_str().as_bytes(), url.as_bytes()];
        for (name, value) in &parts.headers {
            pieces.extend([name.as_str().as_bytes(), value.as_bytes()]);
        }
        self.shared.tape.begin(HANDLE, &pieces)
    }
}
