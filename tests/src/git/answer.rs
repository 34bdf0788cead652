//! The way of a request through a server: remembered, spoilt by faults, asked who it is, handed to git, and spoilt again.

use std::os::unix::fs::PermissionsExt as _;
use std::sync::Arc;

use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::{HeaderValue, Response, StatusCode};
use futures::StreamExt as _;

use super::access::{Verdict, verdict};
use super::cgi;
use super::command::environment;
use super::deliver;
use super::faults::Fault;
use super::packets::{FLUSH, First, banded, first, packet};
use super::requests::{Chunks, Incoming, Seen, Service, Step};
use super::server::Shared;

/// How much of a push is read for the names of its references, in bytes.
const COMMANDS_MAX: usize = 1 << 20;
/// Where somebody logs in who is no program.
const PAGE: &str = "<!DOCTYPE html>\n<html><head><title>Sign in</title></head><body><h1>Sign in</h1>\
    <form method=\"post\" action=\"/login\"><input name=\"user\"><input name=\"password\" type=\"password\"></form></body></html>\n";

/// Answers a request.
pub(super) async fn asked(State(shared): State<Arc<Shared>>, request: Request) -> Response<Body> {
    let (head, body) = request.into_parts();
    let incoming = Incoming::read(&head, body).await;
    let at = shared.record(&incoming.seen);
    let faults = shared.faults.due(&incoming.seen);
    if faults.iter().any(|fault| matches!(fault, Fault::HangBefore)) {
        shared.gate.pass().await;
    }
    if let Some(response) = instead(&shared, &incoming.seen, &faults) {
        shared.answered(at, response.status().as_u16(), None);
        return response;
    }
    let options = &shared.options;
    let (response, user) = match verdict(&options.accounts, options.public, &incoming.seen) {
        Verdict::Unknown => (unknown(), None),
        Verdict::Forbidden => (plain(403, "you may read and not write\n"), None),
        Verdict::Served(user) => (served(&shared, incoming, &faults, user.as_deref()).await, user),
    };
    shared.answered(at, response.status().as_u16(), user);
    response
}

fn plain(status: u16, text: &str) -> Response<Body> {
    response(status, "text/plain; charset=utf-8", Body::from(text.to_owned()))
}

fn response(status: u16, media_type: &'static str, body: Body) -> Response<Body> {
    let mut response = Response::new(body);
    *response.status_mut() = StatusCode::from_u16(status).expect("statuses of tests have three digits");
    response.headers_mut().insert("content-type", HeaderValue::from_static(media_type));
    response
}

fn unknown() -> Response<Body> {
    let mut response = plain(401, "who are you?\n");
    response.headers_mut().insert("www-authenticate", HeaderValue::from_static("Basic realm=\"Git\""));
    response
}

/// What answers before anybody is asked for a name.
fn instead(shared: &Shared, seen: &Seen, faults: &[Fault]) -> Option<Response<Body>> {
    faults.iter().find_map(|fault| match fault {
        Fault::Status(status) => Some(plain(*status, "something is wrong\n")),
        Fault::Html => Some(response(200, "text/html; charset=utf-8", Body::from(PAGE))),
        Fault::Redirect(to) => Some(redirect(shared, seen, to)),
        _ => None,
    })
}

fn redirect(shared: &Shared, seen: &Seen, to: &str) -> Response<Body> {
    let old = format!("/{}", seen.repository);
    let rest = seen.path.strip_prefix(&old).unwrap_or(&seen.path);
    let query = if seen.query.is_empty() { String::new() } else { format!("?{}", seen.query) };
    // An address without a host is one of this server.
    let host = if to.starts_with('/') { shared.origin.as_str() } else { "" };
    let location = format!("{host}{to}{rest}{query}");
    let mut response = plain(301, "it has moved\n");
    response.headers_mut().insert("location", HeaderValue::from_str(&location).expect("an address is a header"));
    response
}

/// What git says, or what is said in its place.
async fn served(shared: &Arc<Shared>, incoming: Incoming, faults: &[Fault], user: Option<&str>) -> Response<Body> {
    let made_up = faults.iter().find_map(|fault| match fault {
        Fault::Endless(endless) => Some(deliver::endless(*endless, incoming.seen.wants_v2())),
        Fault::Pack(pack) => Some(deliver::pack(pack, incoming.seen.wants_v2())),
        _ => None,
    });
    if let Some(body) = made_up {
        // Who sends is heard out before the answer.
        drained(incoming.body).await;
        let body = deliver::faulty(body, faults, &shared.gate);
        return response(200, "application/x-git-upload-pack-result", Body::from_stream(body));
    }
    let refusal = faults.iter().find_map(|fault| match fault {
        Fault::Reject(reason) => Some(("ok", reason.as_str())),
        Fault::UnpackFailed(reason) => Some((reason.as_str(), "unpacker error")),
        _ => None,
    });
    if let Some((unpacked, reason)) = refusal {
        let body = refused(incoming.body, unpacked, reason).await;
        return response(200, "application/x-git-receive-pack-result", Body::from(body));
    }
    for fault in faults {
        if let (Fault::BeforePush(action), Step::Push) = (fault, incoming.seen.step) {
            let action = action.clone();
            let done = tokio::task::spawn_blocking(move || action.0()).await;
            done.expect("what is done before a push succeeds");
        }
    }
    let environment = cgi_environment(shared, &incoming, faults, user);
    let (programs, ended) = (shared.programs.clone(), shared.ended.clone());
    match cgi::run(programs, shared.backend, environment, incoming.body, ended).await {
        Ok(answer) => answer.map(|body| Body::from_stream(deliver::faulty(body, faults, &shared.gate))),
        Err(reason) => plain(502, &reason),
    }
}

async fn drained(mut body: Chunks) {
    // As long as the client sends: it is a test's own.
    while let Some(Ok(_)) = body.next().await {}
}

/// An answer of receive-pack to a push of which nothing is written.
async fn refused(mut body: Chunks, unpacked: &str, reason: &str) -> Vec<u8> {
    let mut begin = Vec::new();
    let names = loop {
        if let Some(names) = pushed(&begin) {
            break names;
        }
        match body.next().await {
            Some(Ok(chunk)) if begin.len() < COMMANDS_MAX => begin.extend_from_slice(&chunk),
            _ => break Vec::new(),
        }
    };
    drained(body).await;
    let lines = names.iter().map(|name| packet(format!("ng {name} {reason}\n").as_bytes()));
    let report = [packet(format!("unpack {unpacked}\n").as_bytes())].into_iter().chain(lines);
    let report: Vec<u8> = report.chain([FLUSH.to_vec()]).flatten().collect();
    match contains(&begin, b"side-band-64k") {
        true => [banded(1, &report), FLUSH.to_vec()].concat(),
        false => report,
    }
}

fn contains(bytes: &[u8], what: &[u8]) -> bool {
    bytes.windows(what.len()).any(|window| window == what)
}

/// The references that a push is about, once all of them are there.
fn pushed(bytes: &[u8]) -> Option<Vec<String>> {
    let (mut names, mut rest) = (Vec::new(), bytes);
    loop {
        match first(rest) {
            First::Packet(payload, after) => {
                // Old hash, new hash, name; capabilities stand behind a zero.
                let line = payload.split(|byte| *byte == 0).next().unwrap_or_default();
                let line = String::from_utf8_lossy(line).into_owned();
                names.extend(line.split_whitespace().nth(2).map(str::to_owned));
                rest = after;
            }
            First::Special(_) => return Some(names),
            First::Partial | First::Foreign => return None,
        }
    }
}

/// What a CGI program is told of a request, and git of its server.
fn cgi_environment(
    shared: &Shared,
    incoming: &Incoming,
    faults: &[Fault],
    user: Option<&str>,
) -> Vec<(String, String)> {
    let seen = &incoming.seen;
    let setting = |key: &str, value: &str| (key.to_owned(), value.to_owned());
    let mut settings = vec![
        setting("http.receivepack", if shared.options.read_only { "false" } else { "true" }),
        // As the large hosts have it.
        setting("uploadpack.allowFilter", "true"),
        setting("uploadpack.allowAnySHA1InWant", "true"),
    ];
    settings.extend(shared.options.settings.iter().cloned());
    let (mut query, mut protocol) = (seen.query.as_str(), seen.header("git-protocol").map(str::to_owned));
    for fault in faults {
        match fault {
            Fault::Dumb => {
                query = "";
                settings.push(setting("http.uploadpack", "false"));
                settings.push(setting("http.receivepack", "false"));
                index_files(shared, seen);
            }
            Fault::Protocol(0) => protocol = None,
            Fault::Protocol(version) => protocol = Some(format!("version={version}")),
            Fault::Hook(message) => settings.push(setting("core.hooksPath", &hook(shared, message))),
            _ => {}
        }
    }
    let mut environment = environment(&settings);
    let root = shared.root.to_str().expect("folders of tests have names of text");
    let port = shared.address.port().to_string();
    let given = [
        ("GATEWAY_INTERFACE", Some("CGI/1.1")),
        ("SERVER_SOFTWARE", Some("sluice-tests")),
        ("SERVER_PROTOCOL", Some("HTTP/1.1")),
        ("SERVER_NAME", Some("localhost")),
        ("SERVER_PORT", Some(port.as_str())),
        ("SCRIPT_NAME", Some("")),
        ("REMOTE_ADDR", Some("127.0.0.1")),
        ("REMOTE_USER", user),
        ("GIT_PROJECT_ROOT", Some(root)),
        ("GIT_HTTP_EXPORT_ALL", Some("1")),
        ("REQUEST_METHOD", Some(seen.method.as_str())),
        ("PATH_INFO", Some(incoming.path_info.as_str())),
        ("QUERY_STRING", Some(query)),
        ("CONTENT_TYPE", seen.header("content-type")),
        ("CONTENT_LENGTH", seen.header("content-length")),
        ("HTTP_CONTENT_ENCODING", seen.header("content-encoding")),
        ("HTTP_ACCEPT", seen.header("accept")),
        ("HTTP_USER_AGENT", seen.header("user-agent")),
        ("GIT_PROTOCOL", protocol.as_deref()),
    ];
    environment.extend(given.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?.to_owned()))));
    environment
}

/// Makes the files that the dumb protocol lives on.
fn index_files(shared: &Shared, seen: &Seen) {
    if seen.step == Step::Refs && seen.service != Some(Service::ReceivePack) {
        // Who asks for a repository that is not there is told so by git.
        let _ = super::Repository::open(shared.root.join(&seen.repository)).tried(&["update-server-info"]);
    }
}

/// A folder of hooks, in which one refuses every push with a message.
fn hook(shared: &Shared, message: &str) -> String {
    let folder = shared.beside.path().join("hooks");
    let script = "#!/bin/sh\ncat \"$(dirname \"$0\")/message\" >&2\nexit 1\n";
    let file = folder.join("pre-receive");
    let written = std::fs::create_dir_all(&folder)
        .and_then(|()| std::fs::write(folder.join("message"), format!("{message}\n")))
        .and_then(|()| std::fs::write(&file, script))
        .and_then(|()| std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o755)));
    written.expect("a temporary folder takes a hook");
    folder.to_str().expect("temporary folders have names of text").to_owned()
}
