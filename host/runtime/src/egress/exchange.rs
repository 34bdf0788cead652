//! One request on its way: cleared, filled with its secrets, sent, and its answer scrubbed of them.

use super::head::{head_of, strip_hop_by_hop};
use super::incoming::Incoming;
use super::options::Settings;
use super::outgoing::Outgoing;
use super::{Clients, Io, Sent, filling, words};
use crate::calls::Shared;
use crate::grants::{AddressPolicy, Need};
use crate::limits;
use crate::scrub::{MASK, Needles};
use crate::secrets::{Filled, RequestHead};
use crate::services::{Effect, HostError};
use crate::tape::Sequence;
use http::header::{self, HeaderMap, HeaderValue};
use http_body_util::BodyExt as _;
use std::net::IpAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;
use tokio::sync::OwnedSemaphorePermit;
use wasmtime_wasi_http::{Error, RequestOptions, WasiBody};

/// From the request to the head of its answer, where the guest says nothing: a model may think for minutes.
const FIRST_BYTE: Duration = Duration::from_secs(600);
/// Between pieces of an answer, where the guest says nothing.
const BETWEEN_BYTES: Duration = Duration::from_secs(300);
/// How long the body of a refused request is read, so that a guest that is still writing sees the refusal and not a broken stream.
const DRAIN: Duration = Duration::from_secs(2);
/// One request on its way.
pub(super) struct Exchange {
    pub(super) shared: Arc<Shared>,
    pub(super) clients: Arc<Clients>,
    pub(super) permit: Option<OwnedSemaphorePermit>,
    pub(super) timing: RequestOptions,
    pub(super) sequence: Sequence,
}

/// Why a request did not leave: words for the log, the code for the guest.
pub(super) struct Refused {
    words: Option<HostError>,
    error: Error,
}

impl Refused {
    pub(super) fn new(words: HostError, error: Error) -> Self {
        Self { words: Some(words), error }
    }

    pub(super) fn by_grants(words: HostError) -> Self {
        Self::new(words, Error::HttpRequestDenied)
    }

    /// What is said elsewhere, or the guest's own doing.
    pub(super) fn silently(error: Error) -> Self {
        Self { words: None, error }
    }
}

/// An answer on its way in.
type Answered = (http::Response<WasiBody>, Io);

/// A request that may leave.
struct Cleared {
    head: RequestHead,
    settings: Arc<Settings>,
    addresses: AddressPolicy,
    /// The secrets in its head, in every spelling.
    hidden: Needles,
}

impl Exchange {
    pub(super) async fn run(
        self,
        parts: http::request::Parts,
        body: WasiBody,
        settings: Result<Arc<Settings>, HostError>,
    ) -> Sent {
        let shared = self.shared.clone();
        let sent = match self.cleared(parts, settings).await {
            Ok(cleared) => self.send(cleared, body).await,
            Err(refused) => {
                drain(body).await;
                Err(refused)
            }
        };
        sent.map_err(|Refused { words, error }| {
            if let Some(words) = words {
                shared.denied(&words.message);
            }
            error
        })
    }

    /// Everything that must be true before a request leaves.
    async fn cleared(
        &self,
        parts: http::request::Parts,
        settings: Result<Arc<Settings>, HostError>,
    ) -> Result<Cleared, Refused> {
        let denied = Refused::by_grants;
        let settings = settings.map_err(denied)?;
        let head = head_of(parts).map_err(|error| Refused::new(error, Error::HttpRequestUriInvalid))?;
        let head = self.shared.services.secrets().resolve_url(head).await.map_err(denied)?;
        let addresses = self.granted(&head)?;
        if self.permit.is_none() {
            let most = self.shared.limits.http_concurrent;
            let words = HostError::limit(format!(
                "the run has {most} requests open, its limit; hint: read and drop responses first"
            ));
            return Err(Refused::new(words, Error::ConnectionLimitReached));
        }
        if self.shared.marks.http_requests.fetch_add(1, Ordering::Relaxed) >= self.shared.limits.http_requests {
            let words =
                HostError::limit(format!("the run has made {} requests, its limit", self.shared.limits.http_requests));
            return Err(Refused::new(words, Error::ConnectionLimitReached));
        }
        let origin = head.url.origin().ascii_serialization();
        let effect = Effect::Request { method: head.method.to_string(), origin: origin.clone() };
        self.shared.services.before_effect(effect).await.map_err(denied)?;
        let Filled { with: head, hidden } = self.shared.services.secrets().substitute(head).await.map_err(denied)?;
        if head.url.origin().ascii_serialization() != origin {
            return Err(denied(HostError::host("a secret would have changed where the request goes")));
        }
        Ok(Cleared { head, settings, addresses, hidden })
    }

    /// The grants, then the address where the host is one; names are checked when they are resolved.
    fn granted(&self, head: &RequestHead) -> Result<AddressPolicy, Refused> {
        let (scheme, method) = (head.url.scheme(), head.method.as_str());
        let host = head.url.host().map(|host| host.to_owned());
        let (Some(host), Some(port)) = (host, head.url.port_or_known_default()) else {
            return Err(Refused::new(
                HostError::bad_argument("the request names no host"),
                Error::HttpRequestUriInvalid,
            ));
        };
        self.shared
            .grants
            .allow(&Need::Request { scheme, host: &host, port, method })
            .map_err(|error| Refused::new(error, Error::HttpRequestDenied))?;
        let addresses = self.shared.grants.addresses(scheme, &host, port, method);
        let literal = match host {
            url::Host::Ipv4(ip) => Some(IpAddr::V4(ip)),
            url::Host::Ipv6(ip) => Some(IpAddr::V6(ip)),
            url::Host::Domain(_) => None,
        };
        match literal.filter(|ip| !addresses.admits(*ip)) {
            Some(ip) => Err(Refused::new(words::prohibited(&host.to_string(), ip), Error::DestinationIpProhibited)),
            None => Ok(addresses),
        }
    }

    async fn send(self, cleared: Cleared, body: WasiBody) -> Result<Answered, Refused> {
        let Cleared { mut head, settings, addresses, hidden } = cleared;
        let silently = Refused::silently;
        let (host, method) = (head.url.host_str().unwrap_or_default().to_owned(), head.method.clone());
        let client = self
            .clients
            .client(&addresses, &settings, self.timing.connect_timeout)
            .await
            .map_err(|cause| silently(Error::InternalError(Some(cause))))?;
        let first_byte =
            self.timing.first_byte_timeout.unwrap_or(FIRST_BYTE).min(settings.timeout.unwrap_or(Duration::MAX));
        let began = tokio::time::Instant::now();
        let outgoing = Outgoing::new(body, self.shared.clone(), self.sequence);
        let refused = outgoing.refusal();
        let body = match self.shared.services.secrets().looks_at_bodies() {
            false => filling::untouched(outgoing),
            true => tokio::time::timeout(first_byte, filling::filled(&self.shared, &head, outgoing))
                .await
                .map_err(|_| silently(Error::ConnectionWriteTimeout))??,
        };
        let hidden = hidden.and(body.hidden).and(settings.hidden.clone());
        if let Some(length) = body.length.filter(|_| head.headers.contains_key(header::CONTENT_LENGTH)) {
            head.headers.insert(header::CONTENT_LENGTH, HeaderValue::from(length));
        }
        if !hidden.is_empty() {
            // A compressed answer could not be looked through for the secret.
            head.headers.remove(header::ACCEPT_ENCODING);
        }
        let mut request = reqwest::Request::new(head.method, head.url);
        *request.headers_mut() = head.headers;
        *request.body_mut() = Some(body.body);

        let wait = first_byte.saturating_sub(began.elapsed());
        let answer = match tokio::time::timeout(wait, client.execute(request)).await {
            Err(_) => return Err(silently(Error::ConnectionReadTimeout)),
            Ok(Err(cause)) => {
                // The body's own refusal is the truth; the client only saw a broken body.
                let explain = || words::explain(&self.shared, &host, &cause);
                return Err(silently(refused.take().unwrap_or_else(explain)));
            }
            Ok(Ok(answer)) => answer,
        };
        let (mut parts, body) = http::Response::<reqwest::Body>::from(answer).into_parts();
        strip_hop_by_hop(&mut parts.headers);
        let size: usize = parts.headers.iter().map(|(name, value)| name.as_str().len() + value.len()).sum();
        if size > limits::HTTP_HEADER_BYTES {
            return Err(silently(Error::HttpResponseHeaderSectionSize(u32::try_from(size).ok())));
        }
        scrub_head(&mut parts, &host, &method, &hidden)?;
        self.record(&parts);
        let idle = self.timing.between_bytes_timeout.or(settings.idle_timeout).unwrap_or(BETWEEN_BYTES);
        let end = settings.timeout.map(|whole| began + whole);
        let incoming = Incoming::new(body, self.shared.clone(), self.sequence, self.permit, idle, end, hidden);
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

/// Takes the secrets out of the head of an answer, and refuses one whose body could not be looked through.
fn scrub_head(
    parts: &mut http::response::Parts,
    host: &str,
    method: &http::Method,
    hidden: &Needles,
) -> Result<(), Refused> {
    if hidden.is_empty() {
        return Ok(());
    }
    let codings = parts.headers.get_all(header::CONTENT_ENCODING).iter();
    let coding =
        codings.filter_map(|coding| coding.to_str().ok()).find(|coding| !coding.eq_ignore_ascii_case("identity"));
    if let Some(coding) = coding.filter(|_| method != http::Method::HEAD) {
        let words = HostError::bad_argument(format!(
            "the answer of `{host}` is compressed (`{}`), though the request asked for none and carried a secret: it cannot be looked \
             through for the secret and is refused; hint: have the server answer uncompressed",
            coding.escape_debug()
        ));
        return Err(Refused::new(words, Error::HttpResponseContentCoding(Some(coding.to_owned()))));
    }
    scrub_headers(&mut parts.headers, hidden);
    if method != http::Method::HEAD {
        // What is shown in place of a secret is seldom as long as it is: the length is known when the end has come.
        parts.headers.remove(header::CONTENT_LENGTH);
    }
    Ok(())
}

/// Takes secrets out of headers.
pub(super) fn scrub_headers(headers: &mut HeaderMap, hidden: &Needles) {
    for value in headers.values_mut() {
        if let Some(scrubbed) = hidden.hide(value.as_bytes()) {
            // Both are bytes a header may have.
            *value = HeaderValue::from_bytes(&scrubbed).unwrap_or(HeaderValue::from_static(MASK));
        }
    }
}

async fn drain(mut body: WasiBody) {
    let all = async { while let Some(Ok(_)) = Pin::new(&mut body).frame().await {} };
    let _ = tokio::time::timeout(DRAIN, all).await;
}
