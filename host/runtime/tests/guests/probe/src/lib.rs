//! A guest that does what its task type says, well or badly. Only for the tests of the runtime.

use std::io::Write as _;

wit_bindgen::generate!({
    path: ["../../../../../wit/task@1.0.0", "../../../../../wit/host@1.0.0", "../../../../../wit/llm@1.0.0", "../../../../../wit/plugin@1.0.0"],
    world: "sluice:plugin/trusted-task",
    generate_all,
});

use exports::sluice::task::describe::Guest as Describe;
use exports::sluice::task::run::{Failure, Guest as Run};
use sluice::host::{context, egress, files, kv, log, process, report, reveal, secrets};
use wasip2::http::outgoing_handler;
use wasip2::http::types::{Fields, IncomingBody, Method, OutgoingBody, OutgoingRequest, Scheme};

mod with_secrets;

struct Probe;
export!(Probe);

impl Describe for Probe {
    fn describe() -> String {
        r#"{"name":"probe"}"#.to_owned()
    }
}

impl Run for Probe {
    fn run(task: String, input: String) -> Result<String, Failure> {
        // On a server a task type has dots in it.
        match task.rsplit('.').next().unwrap_or_default() {
            "echo" => Ok(input),
            "bench" => {
                log::log(log::Level::Info, "one line", &[]);
                Ok(input)
            }
            "fail" => Err(Failure { code: "ON_PURPOSE".into(), message: "as asked".into(), retryable: Some(false), details: Some("{\"n\":1}".into()) }),
            "panic" => deep_panic(&input),
            "exit" => std::process::exit(3),
            "memory" => {
                let mut all: Vec<Vec<u8>> = Vec::new();
                loop {
                    all.push(vec![1; 1 << 20]);
                }
            }
            "words" => {
                println!("to standard output");
                eprint!("to standard error, without an end");
                log::log(log::Level::Warn, "hello", &[("key".into(), "value".into())]);
                report::metric("counter", "things", 2.0, &[("a".into(), "b".into())]);
                report::metric("counter", "nothing", f64::NAN, &[]);
                report::progress(Some(50), "half");
                Ok("{}".into())
            }
            "log-bomb" => {
                for _ in 0..100_000 {
                    log::log(log::Level::Info, "again", &[]);
                }
                Ok("{}".into())
            }
            "output-bomb" => Ok(format!("{{\"a\":\"{}\"}}", "x".repeat(input.len().max(2 << 20)))),
            "huge-output" => Ok("x".repeat(64 << 20)),
            "not-json" => Ok("hello".into()),
            "surroundings" => {
                let environment = std::env::vars().count();
                let arguments = std::env::args().count();
                let root = std::fs::read_dir("/").is_ok();
                let socket = std::net::TcpStream::connect("127.0.0.1:1").map(|_| ()).map_err(|error| error.kind());
                let name = std::net::ToSocketAddrs::to_socket_addrs("localhost:1").is_ok();
                Ok(format!(
                    "{{\"environment\":{environment},\"arguments\":{arguments},\"root\":{root},\"socket\":\"{socket:?}\",\"name\":{name}}}"
                ))
            }
            "working-dir" => {
                let read = std::fs::read_to_string("given.txt").unwrap_or_else(|error| error.to_string());
                let wrote = std::fs::write("made.txt", "by the guest").is_ok();
                let out = std::fs::read_to_string("../secret.txt").is_ok();
                Ok(format!("{{\"read\":\"{read}\",\"wrote\":{wrote},\"out\":{out}}}"))
            }
            "context" => Ok(format!(
                "{{\"flow\":\"{}\",\"attempt\":{},\"key\":\"{}\",\"remaining\":{},\"cancelled\":{}}}",
                context::get("flow.id").unwrap_or_default(),
                context::attempt(),
                context::idempotency_key(),
                context::remaining_ms().is_some(),
                context::cancelled()
            )),
            "kv" => {
                kv::set(None, "k", "1", "{}").map_err(refused)?;
                let value = kv::get(None, "k").map_err(refused)?;
                Ok(format!("{{\"value\":{}}}", value.unwrap_or_default()))
            }
            "files" => {
                let writer = files::create("a.txt").map_err(refused)?;
                writer.write(b"hello ").map_err(refused)?;
                writer.write(b"world").map_err(refused)?;
                let uri = writer.finish().map_err(refused)?;
                let size = files::size(&uri).map_err(refused)?;
                let bytes = files::read(&uri, 6, 100).map_err(refused)?;
                Ok(format!("{{\"size\":{size},\"tail\":\"{}\"}}", String::from_utf8_lossy(&bytes)))
            }
            "handle" => secrets::handle("token").map(|text| format!("{{\"handle\":\"{text}\"}}")).map_err(refused),
            "reveal" => reveal::reveal("token").map(|_| "{}".into()).map_err(refused),
            "process" => {
                let child = process::start(&input).map_err(refused)?;
                child.close_input();
                let mut text = Vec::new();
                while let Some((_, bytes)) = child.read().map_err(refused)? {
                    text.extend(bytes);
                }
                let code = child.wait().map_err(refused)?;
                Ok(format!("{{\"code\":{},\"text\":\"{}\"}}", code.unwrap_or(-1), String::from_utf8_lossy(&text).trim()))
            }
            "random" => {
                let first = wasip2::random::random::get_random_bytes(16);
                Ok(format!("{{\"length\":{}}}", first.len()))
            }
            "random-bomb" => {
                wasip2::random::random::get_random_bytes(1 << 30);
                Ok("{}".into())
            }
            "handles" => loop {
                std::mem::forget(Fields::new());
            },
            "http" => http(&input),
            "exchange" => with_secrets::exchange(&input),
            "sign" => with_secrets::sign(&input),
            "field" => with_secrets::field(&input),
            "leak" => with_secrets::leak(&input),
            "tell" => with_secrets::tell(&input),
            "options" => {
                let token = egress::options(&input).map_err(refused)?;
                Ok(format!("{{\"token\":\"{token}\"}}"))
            }
            other => Err(Failure { code: "NO_TASK".into(), message: other.into(), retryable: None, details: None }),
        }
    }
}

#[inline(never)]
fn deep_panic(input: &str) -> ! {
    eprintln!("about to panic");
    panic!("no way out of {input}")
}

fn refused(error: sluice::host::errors::Error) -> Failure {
    Failure { code: error.code, message: error.message, retryable: None, details: None }
}

fn failed(code: &str, cause: impl std::fmt::Debug) -> Failure {
    Failure { code: code.into(), message: format!("{cause:?}"), retryable: None, details: None }
}

/// `METHOD SCHEME AUTHORITY PATH [OPTIONS] [BODY]`; answers with status, pieces and text.
fn http(input: &str) -> Result<String, Failure> {
    let words: Vec<&str> = input.trim_matches(['"', ' ']).split(' ').collect();
    let [method, scheme, authority, path] = words.first_chunk::<4>().ok_or_else(|| failed("BAD_INPUT", input))?;
    let headers = Fields::new();
    if let Some(token) = words.get(4).filter(|token| !token.is_empty()) {
        headers.append("sluice-egress", token.as_bytes()).map_err(|error| failed("HEADER", error))?;
    }
    let request = OutgoingRequest::new(headers);
    let method = match *method {
        "GET" => Method::Get,
        "POST" => Method::Post,
        other => Method::Other(other.to_owned()),
    };
    request.set_method(&method).map_err(|error| failed("METHOD", error))?;
    request.set_scheme(Some(&if *scheme == "http" { Scheme::Http } else { Scheme::Https })).map_err(|error| failed("SCHEME", error))?;
    request.set_authority(Some(authority)).map_err(|error| failed("AUTHORITY", error))?;
    request.set_path_with_query(Some(path)).map_err(|error| failed("PATH", error))?;
    let body = request.body().map_err(|error| failed("BODY", error))?;
    let answer = outgoing_handler::handle(request, None).map_err(|error| failed("HANDLE", error))?;
    if let Some(text) = words.get(5) {
        let mut stream = body.write().map_err(|error| failed("WRITE", error))?;
        let _ = stream.write_all(text.as_bytes());
        let _ = stream.flush();
    }
    let _ = OutgoingBody::finish(body, None);
    answer.subscribe().block();
    let response = answer.get().ok_or_else(|| failed("PENDING", ""))?.map_err(|()| failed("TAKEN", ""))?.map_err(|error| failed("HTTP", error))?;
    let status = response.status();
    let location = response.headers().get("location").first().map(|value| String::from_utf8_lossy(value).into_owned()).unwrap_or_default();
    let incoming = response.consume().map_err(|error| failed("CONSUME", error))?;
    let stream = incoming.stream().map_err(|error| failed("STREAM", error))?;
    let (mut pieces, mut text) = (0, Vec::new());
    loop {
        match stream.blocking_read(1 << 16) {
            Ok(bytes) => {
                pieces += usize::from(!bytes.is_empty());
                log::log(log::Level::Info, &format!("piece {}", String::from_utf8_lossy(&bytes)), &[]);
                text.extend(bytes);
            }
            Err(wasip2::io::streams::StreamError::Closed) => break,
            Err(error) => return Err(failed("READ", error)),
        }
    }
    drop(stream);
    let _ = IncomingBody::finish(incoming);
    Ok(format!(
        "{{\"status\":{status},\"pieces\":{pieces},\"location\":\"{location}\",\"text\":\"{}\"}}",
        String::from_utf8_lossy(&text).escape_default()
    ))
}
