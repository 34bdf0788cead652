//! The one way out of the sandbox: `wasi:http/outgoing-handler` ends here.
//!
//! Order of things, each before the next: parse, whole-URL placeholders, grants, address, quota, the gate, secrets, the pooled client.
//! Redirects are never followed: they are the guest's to follow, each checked like any other request.

pub mod address;
mod bodies;
mod clients;
mod options;
mod words;

pub(crate) use clients::Clients;

use crate::calls::Shared;
use crate::grants::{AddressPolicy, Need};
use crate::limits;
use crate::services::{Effect, HostError, RequestHead};
use crate::tape::{Call, Sequence};
use bodies::{Incoming, Outgoing};
use http::header::{self, HeaderMap, HeaderName};
use http_body_util::BodyExt as _;
use options::Settings;
use std::collections::HashMap;
use std::net::IpAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use wasmtime_wasi_http::{Error, RequestOptions, WasiBody, WasiHttpHooks};

/// The header in which a request names its options. The host takes it off.
const OPTIONS_HEADER: HeaderName = HeaderName::from_static("sluice-egress");
/// From the request to the head of its answer, where the guest says nothing: a model may think for minutes.
const FIRST_BYTE: Duration = Duration::from_secs(600);
/// Between pieces of an answer, where the guest says nothing.
const BETWEEN_BYTES: Duration = Duration::from_secs(300);
/// How long the body of a refused request is read, so that a guest that is still writing sees the refusal and not a broken stream.
const DRAIN: Duration = Duration::from_secs(2);
const HANDLE: Call = Call::new("wasi:http/outgoing-handler", "handle");

/// Headers between two neighbours on the way, never the guest's business.
const HOP_BY_HOP: [HeaderName; 10] = [
    header::CONNECTION,
    header::HOST,
    header::PROXY_AUTHENTICATE,
    header::PROXY_AUTHORIZATION,
    header::TE,
    header::TRANSFER_ENCODING,
    header::UPGRADE,
    HeaderName::from_static("http2-settings"),
    HeaderName::from_static("keep-alive"),
    HeaderName::from_static("proxy-connection"),
];

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

/// One request on its way.
struct Exchange {
    shared: Arc<Shared>,
    clients: Arc<Clients>,
    permit: Option<OwnedSemaphorePermit>,
    timing: RequestOptions,
    sequence: Sequence,
}

/// Why a request did not leave: words for the log, the code for the guest.
struct Refused(HostError, Error);

impl Exchange {
    async fn run(
        self,
        parts: http::request::Parts,
        body: WasiBody,
        settings: Result<Arc<Settings>, HostError>,
    ) -> Sent {
        match self.cleared(parts, settings).await {
            Ok((head, settings, addresses)) => self.send(head, body, &settings, &addresses).await,
            Err(Refused(words, error)) => {
                self.shared.denied(&words.message);
                drain(body).await;
                Err(error)
            }
        }
    }

    /// Everything that must be true before a request leaves.
    async fn cleared(
        &self,
        parts: http::request::Parts,
        settings: Result<Arc<Settings>, HostError>,
    ) -> Result<(RequestHead, Arc<Settings>, AddressPolicy), Refused> {
        let denied = |error: HostError| Refused(error, Error::HttpRequestDenied);
        let settings = settings.map_err(denied)?;
        let head = head_of(parts).map_err(|error| Refused(error, Error::HttpRequestUriInvalid))?;
        let head = self.shared.services.resolve_url(head).await.map_err(denied)?;
        let addresses = self.granted(&head)?;
        if self.permit.is_none() {
            let most = self.shared.limits.http_concurrent;
            let words = HostError::limit(format!(
                "the run has {most} requests open, its limit; hint: read and drop responses first"
            ));
            return Err(Refused(words, Error::ConnectionLimitReached));
        }
        if self.shared.marks.http_requests.fetch_add(1, Ordering::Relaxed) >= self.shared.limits.http_requests {
            let words =
                HostError::limit(format!("the run has made {} requests, its limit", self.shared.limits.http_requests));
            return Err(Refused(words, Error::HttpRequestDenied));
        }
        let origin = head.url.origin().ascii_serialization();
        let effect = Effect::Request { method: head.method.to_string(), origin: origin.clone() };
        self.shared.services.before_effect(effect).await.map_err(denied)?;
        let head = self.shared.services.substitute(head).await.map_err(denied)?;
        if head.url.origin().ascii_serialization() != origin {
            return Err(denied(HostError::host("a secret would have changed where the request goes")));
        }
        Ok((head, settings, addresses))
    }

    /// The grants, then the address where the host is one; names are checked when they are resolved.
    fn granted(&self, head: &RequestHead) -> Result<AddressPolicy, Refused> {
        let (scheme, method) = (head.url.scheme(), head.method.as_str());
        let host = head.url.host().map(|host| host.to_owned());
        let (Some(host), Some(port)) = (host, head.url.port_or_known_default()) else {
            return Err(Refused(HostError::bad_argument("the request names no host"), Error::HttpRequestUriInvalid));
        };
        self.shared
            .grants
            .allow(&Need::Request { scheme, host: &host, port, method })
            .map_err(|error| Refused(error, Error::HttpRequestDenied))?;
        let addresses = self.shared.grants.addresses(scheme, &host, port, method);
        let literal = match host {
            url::Host::Ipv4(ip) => Some(IpAddr::V4(ip)),
            url::Host::Ipv6(ip) => Some(IpAddr::V6(ip)),
            url::Host::Domain(_) => None,
        };
        match literal.filter(|ip| !addresses.admits(*ip)) {
            Some(ip) => Err(Refused(words::prohibited(&host.to_string(), ip), Error::DestinationIpProhibited)),
            None => Ok(addresses),
        }
    }

    async fn send(self, head: RequestHead, body: WasiBody, settings: &Settings, addresses: &AddressPolicy) -> Sent {
        let host = head.url.host_str().unwrap_or_default().to_owned();
        let client = self
            .clients
            .client(addresses, settings, self.timing.connect_timeout)
            .await
            .map_err(|cause| Error::InternalError(Some(cause)))?;
        let mut request = reqwest::Request::new(head.method, head.url);
        *request.headers_mut() = head.headers;
        let outgoing = Outgoing::new(body, self.shared.clone(), self.sequence);
        let refused = outgoing.refusal();
        *request.body_mut() = Some(reqwest::Body::wrap(outgoing));

        let first_byte =
            self.timing.first_byte_timeout.unwrap_or(FIRST_BYTE).min(settings.timeout.unwrap_or(Duration::MAX));
        let began = tokio::time::Instant::now();
        let answer = match tokio::time::timeout(first_byte, client.execute(request)).await {
            Err(_) => return Err(Error::ConnectionReadTimeout),
            Ok(Err(cause)) => {
                // The body's own refusal is the truth; the client only saw a broken body.
                return Err(refused.take().unwrap_or_else(|| words::explain(&self.shared, &host, &cause)));
            }
            Ok(Ok(answer)) => answer,
        };
        let (mut parts, body) = http::Response::<reqwest::Body>::from(answer).into_parts();
        strip_hop_by_hop(&mut parts.headers);
        let size: usize = parts.headers.iter().map(|(name, value)| name.as_str().len() + value.len()).sum();
        if size > limits::HTTP_HEADER_BYTES {
            return Err(Error::HttpResponseHeaderSectionSize(u32::try_from(size).ok()));
        }
        self.record(&parts);
        let idle = self.timing.between_bytes_timeout.or(settings.idle_timeout).unwrap_or(BETWEEN_BYTES);
        let end = settings.timeout.map(|whole| began + whole);
        let incoming = Incoming::new(body, self.shared.clone(), self.sequence, self.permit, idle, end);
        let io: Io = Box::new(async { Ok(()) });
        Ok((http::Response::from_parts(parts, incoming.boxed_unsync()), io))
    }

    fn record(&self, parts: &http::response::Parts) {
        let status = parts.status.as_u16().to_le_bytes();
        let mut pieces: Vec<&[u8]> = vec![&status];
        for (name, value) in &parts.headers {
            pieces.extend([name.as_str().as_bytes(), value.as_bytes()]);
        }
        self.shared.tape.end(self.sequence, &pieces);
    }
}

/// The head, parsed as the client will read it, so that what is checked is what is dialled.
fn head_of(parts: http::request::Parts) -> Result<RequestHead, HostError> {
    let text = parts.uri.to_string();
    let url =
        url::Url::parse(&text).map_err(|cause| HostError::bad_argument(format!("`{text}` is no URL: {cause}")))?;
    if !url.username().is_empty() || url.password().is_some() {
        return Err(HostError::bad_argument(
            "a URL may not carry credentials; hint: send them in the `authorization` header",
        ));
    }
    if parts.method == http::Method::CONNECT || parts.method == http::Method::TRACE {
        return Err(HostError::bad_argument(format!("{} requests are not possible from a plugin", parts.method)));
    }
    let mut headers = parts.headers;
    strip_hop_by_hop(&mut headers);
    Ok(RequestHead { method: parts.method, url, headers })
}

/// Takes off what is between neighbours, and what `connection` names as such.
fn strip_hop_by_hop(headers: &mut HeaderMap) {
    let named: Vec<HeaderName> = headers
        .get_all(header::CONNECTION)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .filter_map(|name| name.trim().parse().ok())
        .collect();
    for name in named.iter().chain(&HOP_BY_HOP) {
        headers.remove(name);
    }
}

async fn drain(mut body: WasiBody) {
    let all = async { while let Some(Ok(_)) = Pin::new(&mut body).frame().await {} };
    let _ = tokio::time::timeout(DRAIN, all).await;
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parts(method: &str, uri: &str) -> http::request::Parts {
        http::Request::builder().method(method).uri(uri).body(()).expect("a request").into_parts().0
    }

    #[test]
    fn credentials_and_tunnels_are_refused() {
        assert!(head_of(parts("GET", "http://user:word@example.com/")).is_err());
        assert!(head_of(parts("TRACE", "http://example.com/")).is_err());
        assert!(head_of(parts("GET", "http://example.com/a?b=c")).is_ok());
    }

    #[test]
    fn hop_by_hop_headers_go_with_those_they_name() {
        let mut headers = HeaderMap::new();
        headers.insert("connection", "close, x-mine".parse().expect("a value"));
        headers.insert("x-mine", "1".parse().expect("a value"));
        headers.insert("te", "trailers".parse().expect("a value"));
        headers.insert("accept", "*/*".parse().expect("a value"));
        strip_hop_by_hop(&mut headers);
        assert_eq!(headers.keys().map(HeaderName::as_str).collect::<Vec<_>>(), ["accept"]);
    }
}
