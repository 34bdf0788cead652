//! Requests, well made or not: `METHOD URL [MORE…]`, where more is `header NAME: VALUE`, `options JSON`, `body TEXT`, `split-body TEXT`,
//! `body-bytes N`, `headers N`, `times N`, `at-once N`, `follow`, `first-byte MS`. A URL is cut by hand, so that what no library would send is sent.

use crate::answers::{Answer, failed, number, refused, variant};
use crate::exports::sluice::task::run::Failure;
use crate::sluice::host::egress;
use wasip2::http::outgoing_handler;
use wasip2::http::types::{
    Fields, FutureIncomingResponse, IncomingBody, Method, OutgoingBody, OutgoingRequest, RequestOptions, Scheme,
};
use wasip2::io::streams::StreamError;

/// Redirects that are followed.
const HOPS: usize = 5;

struct Got {
    status: u16,
    location: String,
    text: String,
}

fn first<'a>(with: &'a [&'a str], name: &str) -> Option<&'a str> {
    with.iter().find_map(|one| if *one == name { Some("") } else { one.strip_prefix(name)?.strip_prefix(' ') })
}

pub fn http(with: &[&str]) -> Answer {
    let [method, url] = with.first_chunk::<2>().ok_or_else(|| failed("BAD_INPUT", "METHOD URL"))?;
    let more = with.get(2..).unwrap_or_default();
    if let Some(count) = first(more, "at-once") {
        let all: Result<Vec<_>, _> = (0..number(Some(&count))).map(|_| begin(method, url, more)).collect();
        // Those that are refused say so at once, or when they are looked at.
        return all?.iter().map(got).collect::<Result<Vec<_>, _>>().map(|all| all.len().to_string());
    }
    let times = first(more, "times").map_or(1, |count| number(Some(&count)));
    let mut last = Got { status: 0, location: String::new(), text: String::new() };
    for _ in 0..times {
        last = whole(method, url, more)?;
        let mut hops = 0;
        while first(more, "follow").is_some() && (300..400).contains(&last.status) && hops < HOPS {
            let next = last.location.clone();
            last = whole(method, &next, more)?;
            hops += 1;
        }
    }
    Ok(format!("{} {}", last.status, last.text))
}

fn whole(method: &str, url: &str, more: &[&str]) -> Result<Got, Failure> {
    let answer = begin(method, url, more)?;
    let head = got(&answer)?;
    let incoming = head.2.consume().map_err(|()| failed("CONSUME", ""))?;
    let stream = incoming.stream().map_err(|()| failed("STREAM", ""))?;
    let (mut text, mut length) = (Vec::new(), 0);
    loop {
        match stream.blocking_read(1 << 16) {
            Ok(bytes) => {
                length += bytes.len();
                text.extend(bytes.into_iter().take(4_096_usize.saturating_sub(text.len())));
            }
            Err(StreamError::Closed) => break,
            Err(StreamError::LastOperationFailed(error)) => {
                let code = wasip2::http::types::http_error_code(&error);
                return Err(code.map_or_else(|| failed("READ", format!("{length} bytes, then: {}", error.to_debug_string())), variant));
            }
        }
    }
    drop(stream);
    let _ = IncomingBody::finish(incoming);
    Ok(Got { status: head.0, location: head.1, text: String::from_utf8_lossy(&text).into_owned() })
}

type Head = (u16, String, wasip2::http::types::IncomingResponse);

fn got(answer: &FutureIncomingResponse) -> Result<Head, Failure> {
    answer.subscribe().block();
    let response = answer.get().ok_or_else(|| failed("PENDING", ""))?.map_err(|()| failed("TAKEN", ""))?.map_err(variant)?;
    let status = response.status();
    let location = response.headers().get("location").first().map(|value| String::from_utf8_lossy(value).into_owned());
    Ok((status, location.unwrap_or_default(), response))
}

fn begin(method: &str, url: &str, more: &[&str]) -> Result<FutureIncomingResponse, Failure> {
    let (scheme, rest) = url.split_once("://").ok_or_else(|| failed("BAD_INPUT", url))?;
    let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    let (authority, path) = rest.split_at(end);
    let headers = Fields::new();
    for one in more.iter().filter_map(|one| one.strip_prefix("header ")) {
        let (name, value) = one.split_once(": ").ok_or_else(|| failed("BAD_INPUT", one))?;
        headers.append(name, value.as_bytes()).map_err(variant)?;
    }
    for number in 0..first(more, "headers").map_or(0, |count| number(Some(&count))) {
        headers.append(&format!("x-{number}"), &[b'v'; 1_000]).map_err(variant)?;
    }
    if let Some(options) = first(more, "options") {
        let token = egress::options(options).map_err(refused)?;
        headers.append("sluice-egress", token.as_bytes()).map_err(variant)?;
    }
    let request = OutgoingRequest::new(headers);
    let bad = |what: &'static str| move |()| failed(what, "the interface does not take it");
    let method = match method {
        "GET" => Method::Get,
        "POST" => Method::Post,
        "CONNECT" => Method::Connect,
        "TRACE" => Method::Trace,
        other => Method::Other(other.to_owned()),
    };
    let scheme = match scheme {
        "http" => Scheme::Http,
        "https" => Scheme::Https,
        other => Scheme::Other(other.to_owned()),
    };
    request.set_method(&method).map_err(bad("METHOD"))?;
    request.set_scheme(Some(&scheme)).map_err(bad("SCHEME"))?;
    request.set_authority(Some(authority)).map_err(bad("AUTHORITY"))?;
    request.set_path_with_query(Some(if path.is_empty() { "/" } else { path })).map_err(bad("PATH"))?;
    let body = request.body().map_err(bad("BODY"))?;
    let timing = RequestOptions::new();
    if let Some(wait) = first(more, "first-byte") {
        let _ = timing.set_first_byte_timeout(Some(number(Some(&wait)) * 1_000_000));
    }
    let answer = outgoing_handler::handle(request, Some(timing)).map_err(variant)?;
    send(&body, more);
    let _ = OutgoingBody::finish(body, None);
    Ok(answer)
}

/// What goes wrong here is told by the answer.
fn send(body: &OutgoingBody, more: &[&str]) {
    let Ok(stream) = body.write() else { return };
    let flood = first(more, "body-bytes").map_or(0, |count| number(Some(&count)));
    for _ in 0..flood.div_ceil(4_096) {
        if stream.blocking_write_and_flush(&[b'b'; 4_096]).is_err() {
            return;
        }
    }
    for text in more.iter().filter_map(|one| one.strip_prefix("split-body ")) {
        let (begin, end) = text.split_at(text.len() / 2);
        if [begin, end].iter().any(|half| stream.blocking_write_and_flush(half.as_bytes()).is_err()) {
            return;
        }
    }
    for text in more.iter().filter_map(|one| one.strip_prefix("body ")) {
        if stream.blocking_write_and_flush(text.as_bytes()).is_err() {
            return;
        }
    }
}
