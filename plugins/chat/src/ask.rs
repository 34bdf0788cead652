//! One question to one provider: encoded, sent, read, and asked again where the provider says that it may be.

use std::time::Duration;

use llm::http::HttpRequest;
use llm::message::{Answer, Part, Request};
use llm::{Kind, ProviderError, StreamDecoder};
use sluice_sdk::http::{self, Body, Headers, Redirects, Response, Url};
use sluice_sdk::{Context, Failure};

use crate::connection::Connection;
use crate::failure::{failure, refused, unreachable};
use crate::{Credential, credential};

/// How often one question is asked at most.
const ATTEMPTS_MAX: u32 = 4;
/// First wait where the provider names none; doubled each time.
const BACKOFF: Duration = Duration::from_millis(500);
/// Longest wait with an instance held. Who is to wait longer fails, and the task's own `retry` may wait for it.
const WAIT_MAX: Duration = Duration::from_secs(30);
/// Longest answer that is read whole. Images in base64 fit.
const ANSWER_MAX_BYTES: usize = 32 << 20;
/// Longest refusal that is read.
const REFUSAL_MAX_BYTES: usize = 1 << 20;
/// Bytes of a streamed answer that are read at once: it comes in much smaller ones.
const PIECE_BYTES: usize = 16 << 10;

/// An answer, and the body it was read from where that came whole.
#[derive(Debug)]
pub struct Asked {
    pub answer: Answer,
    pub raw: Vec<u8>,
}

/// Why an attempt gave nothing.
enum Trouble {
    Provider(ProviderError),
    /// There was nobody, or the host would not.
    Network(Failure),
}

/// Asks. Parts of a streamed answer go to `part`; once it says `false` the answer is read no further, and is what there was by then.
pub fn ask(
    connection: &Connection,
    request: &Request,
    cx: &Context,
    part: &mut dyn FnMut(&Part) -> bool,
) -> Result<Asked, Failure> {
    let mut request = request.clone();
    request.sampling.max_output_tokens = request.sampling.max_output_tokens.or(connection.max_output_tokens);
    let encoded = connection.codec.encode_request(&request, &connection.options).map_err(|error| refused(&error))?;
    again(connection, &encoded, cx, &mut |response| {
        let mut begun = false;
        let read = if request.stream && (200..300).contains(&response.status()) {
            read_stream(connection, response, cx, &mut |one| {
                begun = true;
                part(one)
            })
        } else {
            read_whole(connection, response, cx)
        };
        (read, begun)
    })
}

/// Sends what is not in the message model; the answer is its body. Refusals are read as the provider's dialect has them.
pub fn send(connection: &Connection, request: &HttpRequest, cx: &Context) -> Result<Vec<u8>, Failure> {
    again(connection, request, cx, &mut |response| {
        let read = match (200..300).contains(&response.status()) {
            true => response.read_bytes(ANSWER_MAX_BYTES).map_err(broken),
            false => Err(refusal(connection, response)),
        };
        (read, false)
    })
}

/// Reads a response; and whether parts of an answer are out.
type Read<'r, T> = dyn FnMut(&mut Response) -> (Result<T, Trouble>, bool) + 'r;

/// Sends until there is an answer, a refusal that is meant, or no time. `read` says whether parts of an answer are out: then it is too late
/// to begin again.
fn again<T>(
    connection: &Connection,
    encoded: &HttpRequest,
    cx: &Context,
    read: &mut Read<'_, T>,
) -> Result<T, Failure> {
    if connection.log_requests {
        cx.info(format!("asking `{}`: {}", encoded.url(), String::from_utf8_lossy(&encoded.body)));
    }
    let mut attempt = 1;
    loop {
        let (result, begun) = match exchange(connection, encoded) {
            Ok(mut response) => read(&mut response),
            Err(failure) => (Err(Trouble::Network(failure)), false),
        };
        let error = match result {
            Ok(value) => return Ok(value),
            Err(Trouble::Network(failure)) => return Err(unreachable(failure, &encoded.base)),
            Err(Trouble::Provider(error)) => error,
        };
        let wait = wait_for(&error, attempt, cx).filter(|_| !begun && attempt < ATTEMPTS_MAX);
        let Some(wait) = wait else { return Err(failure(&error)) };
        cx.warn(format!(
            "{}; asking again in {} ms (attempt {} of {ATTEMPTS_MAX})",
            error.message(),
            wait.as_millis(),
            attempt + 1
        ));
        cx.sleep(wait);
        attempt += 1;
    }
}

/// How long to wait before the same question, if it is worth asking.
fn wait_for(error: &ProviderError, attempt: u32, cx: &Context) -> Option<Duration> {
    if !error.retryable() {
        return None;
    }
    let backoff = BACKOFF * 2_u32.saturating_pow(attempt - 1);
    let hinted = error.retry_after_ms().map(Duration::from_millis).unwrap_or_default();
    // Many who were turned away at once come back apart from each other; the same run always at the same moment, so that it can be replayed.
    let spread = backoff.mul_f64(share_of(&cx.idempotency_key(), attempt));
    let wait = hinted.max(backoff / 2) + spread / 2;
    let fits = cx.remaining().is_none_or(|remaining| wait < remaining);
    (wait <= WAIT_MAX && fits).then_some(wait)
}

/// A number from 0 to 1 that is another for each run and attempt (FNV-1a).
fn share_of(key: &str, attempt: u32) -> f64 {
    let mixed = key
        .bytes()
        .chain(attempt.to_le_bytes())
        .fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3));
    (mixed >> 32) as f64 / f64::from(u32::MAX)
}

fn exchange(connection: &Connection, encoded: &HttpRequest) -> Result<Response, Failure> {
    let mut headers: Headers = encoded.headers.iter().cloned().collect();
    credential::authorize(connection, encoded, &mut headers)?;
    let mut request = http::Request::new(encoded.method, Url::parse(&encoded.url())?)?
        .body(Body::bytes(encoded.body.clone()))
        .timeouts(connection.timeouts())
        // A provider does not move; where it says so, a key must not follow.
        .redirects(Redirects::Return);
    *request.headers_mut() = headers;
    if let Some(egress) = &connection.egress {
        request = request.egress(egress.clone());
    }
    request.send()
}

fn refusal(connection: &Connection, response: &mut Response) -> Trouble {
    let body = match response.read_start(REFUSAL_MAX_BYTES) {
        Ok(body) => body,
        Err(failure) => return broken(failure),
    };
    let headers: Vec<_> = response.headers().iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
    match connection.codec.decode_response(response.status(), &headers, &body) {
        Err(error) => Trouble::Provider(error),
        // Only a status of success is read as an answer.
        Ok(_) => {
            Trouble::Provider(ProviderError::new(Kind::Malformed, "the provider answered with a status of no meaning"))
        }
    }
}

fn read_whole(connection: &Connection, response: &mut Response, cx: &Context) -> Result<Asked, Trouble> {
    if !(200..300).contains(&response.status()) {
        return Err(refusal(connection, response));
    }
    let raw = response.read_bytes(ANSWER_MAX_BYTES).map_err(broken)?;
    if connection.log_responses {
        cx.info(format!("answered: {}", String::from_utf8_lossy(&raw)));
    }
    let answer = connection.codec.decode_response(response.status(), &[], &raw).map_err(Trouble::Provider)?;
    Ok(Asked { answer, raw })
}

fn read_stream(
    connection: &Connection,
    response: &mut Response,
    cx: &Context,
    part: &mut dyn FnMut(&Part) -> bool,
) -> Result<Asked, Trouble> {
    let mut decoder = StreamDecoder::new(connection.codec);
    let mut wanted = true;
    while wanted && !decoder.has_failed() {
        let bytes = match response.read_piece(PIECE_BYTES) {
            Ok(bytes) if bytes.is_empty() => break,
            Ok(bytes) => bytes,
            Err(failure) => return Err(broken(failure)),
        };
        if connection.log_responses {
            cx.info(format!("answered: {}", String::from_utf8_lossy(&bytes)));
        }
        for one in decoder.push(&bytes) {
            wanted &= part(&one);
        }
    }
    let (parts, answer) = decoder.finish();
    for one in parts {
        part(&one);
    }
    answer.map(|answer| Asked { answer, raw: Vec::new() }).map_err(Trouble::Provider)
}

/// An answer that broke off in the middle: the provider's fault, as far as anybody can tell, and not that of its address.
fn broken(failure: Failure) -> Trouble {
    match failure.code() {
        http::code::CONNECT | http::code::PROTOCOL => Trouble::Provider(ProviderError::new(
            Kind::Truncated,
            format!("the answer broke off: {}", failure.message()),
        )),
        _ => Trouble::Network(failure),
    }
}

impl Connection {
    /// Whether there is something to show to the provider.
    pub fn has_credential(&self) -> bool {
        !matches!(self.credential, Credential::None)
    }
}
