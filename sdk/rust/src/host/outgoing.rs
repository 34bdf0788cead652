//! HTTP of a component over `wasi:http`. Every wait ends at the request's deadline; a closed upload is no error, because the response
//! says why.

use std::time::{Duration, Instant};

use wasip2::clocks::monotonic_clock;
use wasip2::http::outgoing_handler;
use wasip2::http::types::http_error_code;
use wasip2::http::types::{
    ErrorCode, Fields, FutureIncomingResponse, HeaderError, IncomingBody, Method, OutgoingBody, OutgoingRequest,
    RequestOptions, Scheme,
};
use wasip2::io::poll::{self, Pollable};
use wasip2::io::streams::{InputStream, OutputStream, StreamError};

use super::HostError;
use crate::Failure;
use crate::bindings::sluice::host;
use crate::http::{Answer, Exchange};
use crate::http::{Headers, Sink, Timeouts, Url, code};

pub fn egress_options(options: &str) -> Result<String, HostError> {
    Ok(host::egress::options(options)?)
}

pub fn sleep(duration: Duration) {
    monotonic_clock::subscribe_duration(nanoseconds(duration)).block();
}

/// A response body on its way. The stream is declared first: it must be dropped before the body it reads.
pub struct ResponseBody {
    stream: InputStream,
    _body: IncomingBody,
    url: Url,
    deadline: Option<Instant>,
    idle: Option<Duration>,
}

impl ResponseBody {
    /// The next bytes, at most `length`; none at the end.
    pub fn next(&mut self, length: usize) -> Result<Vec<u8>, Failure> {
        let asked = Instant::now();
        loop {
            match self.stream.read(length as u64) {
                Ok(bytes) if bytes.is_empty() => {
                    wait(&[&self.stream.subscribe()], self.deadline, &self.url).map(drop)?;
                }
                Ok(bytes) => return Ok(bytes),
                Err(StreamError::Closed) => return Ok(Vec::new()),
                Err(StreamError::LastOperationFailed(error)) => {
                    if self.idle.is_some_and(|idle| asked.elapsed() >= idle) {
                        let message = format!("`{}` fell silent for longer than its time limit", self.url);
                        return Err(Failure::new(code::TIMEOUT, message).retryable(true));
                    }
                    return Err(http_error_code(&error).map_or_else(
                        || {
                            let message =
                                format!("the response of `{}` broke off: {}", self.url, error.to_debug_string());
                            Failure::new(code::CONNECT, message).retryable(true)
                        },
                        |code| failure(&self.url, code),
                    ));
                }
            }
        }
    }
}

pub fn exchange(exchange: Exchange<'_>) -> Result<Answer, Failure> {
    let url = exchange.url;
    let request = OutgoingRequest::new(fields(exchange.headers)?);
    let refused = |()| Failure::new(code::URL, format!("`{url}` cannot be requested")).retryable(false);
    request.set_method(&method(exchange.method)).map_err(|()| {
        Failure::new(code::HEADER, format!("`{}` is no HTTP method", exchange.method)).retryable(false)
    })?;
    request.set_scheme(Some(if url.scheme() == "https" { &Scheme::Https } else { &Scheme::Http })).map_err(refused)?;
    request.set_authority(Some(url.authority())).map_err(refused)?;
    request.set_path_with_query(Some(url.path_and_query())).map_err(refused)?;
    let upload = request.body().map_err(refused)?;
    let response =
        outgoing_handler::handle(request, Some(options(exchange.timeouts))).map_err(|code| failure(url, code))?;

    send(exchange.body, upload, &response, url, exchange.deadline)?;
    let response = receive(&response, url, exchange.deadline)?;
    let headers = response.headers().entries().into_iter();
    let headers = headers.map(|(name, value)| (name, String::from_utf8_lossy(&value).into_owned())).collect();
    let broken = |()| Failure::new(code::PROTOCOL, format!("the response of `{url}` has no body to read"));
    let body = response.consume().map_err(broken)?;
    let stream = body.stream().map_err(broken)?;
    Ok(Answer {
        status: response.status(),
        headers,
        body: ResponseBody {
            stream,
            _body: body,
            url: url.clone(),
            deadline: exchange.deadline,
            idle: exchange.timeouts.idle,
        },
    })
}

/// Waits until one is ready, and says which are.
fn wait(pollables: &[&Pollable], deadline: Option<Instant>, url: &Url) -> Result<Vec<u32>, Failure> {
    let Some(deadline) = deadline else {
        return Ok(poll::poll(pollables));
    };
    let left = deadline.saturating_duration_since(Instant::now());
    if left.is_zero() {
        return Err(Failure::new(code::TIMEOUT, format!("`{url}` took longer than its time limit")).retryable(true));
    }
    let timer = monotonic_clock::subscribe_duration(nanoseconds(left));
    let mut with_timer = pollables.to_vec();
    with_timer.push(&timer);
    Ok(poll::poll(&with_timer))
}

/// Sends the body while the other side wants it.
fn send(
    body: &mut crate::http::Body,
    upload: OutgoingBody,
    response: &FutureIncomingResponse,
    url: &Url,
    deadline: Option<Instant>,
) -> Result<(), Failure> {
    let state = if body.is_empty() {
        Sink::Open
    } else {
        let broken = |()| Failure::new(code::PROTOCOL, format!("the request to `{url}` has no body to write"));
        let stream = upload.write().map_err(broken)?;
        body.send(&mut |bytes| send_piece(&stream, bytes, response, url, deadline))?
    };
    match state {
        // An error here is the response's error as well, which says more.
        Sink::Open => drop(OutgoingBody::finish(upload, None)),
        Sink::Closed => drop(upload),
    }
    Ok(())
}

fn send_piece(
    stream: &OutputStream,
    mut bytes: &[u8],
    response: &FutureIncomingResponse,
    url: &Url,
    deadline: Option<Instant>,
) -> Result<Sink, Failure> {
    while !bytes.is_empty() {
        let Ok(permitted) = stream.check_write() else {
            return Ok(Sink::Closed);
        };
        if permitted == 0 {
            let ready = wait(&[&stream.subscribe(), &response.subscribe()], deadline, url)?;
            // The response is there and nobody reads the rest of the body: enough was sent.
            if ready.contains(&1) && !ready.contains(&0) {
                return Ok(Sink::Closed);
            }
            continue;
        }
        let (now, later) = bytes.split_at(bytes.len().min(usize::try_from(permitted).unwrap_or(usize::MAX)));
        if stream.write(now).is_err() {
            return Ok(Sink::Closed);
        }
        bytes = later;
    }
    Ok(Sink::Open)
}

fn receive(
    response: &FutureIncomingResponse,
    url: &Url,
    deadline: Option<Instant>,
) -> Result<wasip2::http::types::IncomingResponse, Failure> {
    loop {
        match response.get() {
            Some(Ok(result)) => return result.map_err(|code| failure(url, code)),
            Some(Err(())) => {
                return Err(Failure::new(code::PROTOCOL, format!("the response of `{url}` was taken already")));
            }
            None => wait(&[&response.subscribe()], deadline, url).map(drop)?,
        }
    }
}

fn fields(headers: &Headers) -> Result<Fields, Failure> {
    let fields = Fields::new();
    for (name, value) in headers.iter() {
        fields.append(name, value.as_bytes()).map_err(|error| {
            let why = match error {
                HeaderError::Forbidden => "the host sets it, leave it out",
                HeaderError::InvalidSyntax => "its name or value has letters that are not allowed there",
                _ => "the host does not take it",
            };
            Failure::new(code::HEADER, format!("header `{name}` cannot be sent: {why}")).retryable(false)
        })?;
    }
    Ok(fields)
}

fn options(timeouts: Timeouts) -> RequestOptions {
    let options = RequestOptions::new();
    let ns = |duration: Option<Duration>| duration.map(nanoseconds);
    // A host that does not support one of them keeps its own limit.
    let _ = options.set_connect_timeout(ns(timeouts.connect));
    let _ = options.set_first_byte_timeout(ns(timeouts.first_byte));
    let _ = options.set_between_bytes_timeout(ns(timeouts.idle));
    options
}

fn nanoseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

fn method(name: &str) -> Method {
    match name {
        "GET" => Method::Get,
        "HEAD" => Method::Head,
        "POST" => Method::Post,
        "PUT" => Method::Put,
        "DELETE" => Method::Delete,
        "CONNECT" => Method::Connect,
        "OPTIONS" => Method::Options,
        "TRACE" => Method::Trace,
        "PATCH" => Method::Patch,
        other => Method::Other(other.to_owned()),
    }
}

/// An error of the host in words, and whether another attempt may help.
fn failure(url: &Url, error: ErrorCode) -> Failure {
    let (code, retryable, what) = match error {
        ErrorCode::DnsTimeout | ErrorCode::DnsError(_) | ErrorCode::DestinationNotFound => {
            (code::DNS, true, "its host name cannot be resolved".to_owned())
        }
        ErrorCode::ConnectionRefused => (code::CONNECT, true, "the connection was refused".to_owned()),
        ErrorCode::DestinationUnavailable | ErrorCode::DestinationIpUnroutable => {
            (code::CONNECT, true, "its host cannot be reached".to_owned())
        }
        ErrorCode::ConnectionTerminated | ErrorCode::HttpResponseIncomplete => {
            (code::CONNECT, true, "the connection broke off".to_owned())
        }
        ErrorCode::ConnectionLimitReached => (code::LIMIT, true, "too many connections are open".to_owned()),
        ErrorCode::ConnectionTimeout => (code::TIMEOUT, true, "no connection within its time limit".to_owned()),
        ErrorCode::ConnectionReadTimeout | ErrorCode::ConnectionWriteTimeout | ErrorCode::HttpResponseTimeout => {
            (code::TIMEOUT, true, "no response within its time limit".to_owned())
        }
        ErrorCode::TlsCertificateError => (code::TLS, false, "its certificate is not trusted".to_owned()),
        ErrorCode::TlsProtocolError | ErrorCode::TlsAlertReceived(_) => {
            (code::TLS, false, "the two sides did not agree on TLS".to_owned())
        }
        ErrorCode::HttpRequestDenied | ErrorCode::DestinationIpProhibited => {
            (code::NOT_GRANTED, false, "no grant allows it; the execution's log says which one is missing".to_owned())
        }
        ErrorCode::InternalError(Some(message)) => (code::CONNECT, true, message),
        ErrorCode::HttpRequestUriInvalid | ErrorCode::HttpRequestUriTooLong => {
            (code::URL, false, "the host refuses its URL".to_owned())
        }
        ErrorCode::HttpRequestHeaderSectionSize(_) | ErrorCode::HttpRequestHeaderSize(_) => {
            (code::LIMIT, false, "its headers are too large".to_owned())
        }
        ErrorCode::HttpRequestBodySize(_) => {
            (code::LIMIT, false, "its body is larger than announced or allowed".to_owned())
        }
        ErrorCode::HttpResponseHeaderSectionSize(_)
        | ErrorCode::HttpResponseHeaderSize(_)
        | ErrorCode::HttpResponseBodySize(_) => (code::LIMIT, false, "the response is too large".to_owned()),
        ErrorCode::InternalError(None) => (code::CONNECT, true, "the host could not send it".to_owned()),
        // The rest are ways not to speak HTTP.
        _ => (code::PROTOCOL, true, "the other side does not speak HTTP as it should".to_owned()),
    };
    Failure::new(code, format!("cannot request `{url}`: {what}")).retryable(retryable)
}
