//! Requests that leave the sandbox, and those that must not. The server is ours, on loopback.

use crate::support::*;
use axum::Router;
use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::routing::{any, get, post};
use runtime::*;
use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::sync::mpsc;

/// What the server saw, and its leave to go on.
#[derive(Clone, Default)]
struct Seen {
    hits: Arc<AtomicUsize>,
    headers: Arc<Mutex<Vec<HeaderMap>>>,
    go_on: Arc<tokio::sync::Mutex<Option<mpsc::UnboundedReceiver<String>>>>,
}

/// Sends `one`, then each next piece only when the guest has told that it read the one before.
async fn pieces(State(seen): State<Seen>) -> Body {
    let mut told = seen.go_on.lock().await.take().unwrap();
    let (send, receive) = mpsc::channel::<Result<&'static str, Infallible>>(1);
    tokio::spawn(async move {
        for piece in ["one", "two", "three"] {
            send.send(Ok(piece)).await.unwrap();
            while told.recv().await.is_some_and(|line| line != format!("piece {piece}")) {}
        }
    });
    Body::from_stream(tokio_stream::wrappers::ReceiverStream::new(receive))
}

async fn server() -> (SocketAddr, Seen) {
    let seen = Seen::default();
    let app = Router::new()
        .route("/pieces", get(pieces))
        .route(
            "/moved",
            get(|| async { (StatusCode::FOUND, [("location", "/target"), ("connection", "close")], "moved") }),
        )
        .route("/echo", post(|body: String| async move { body }))
        .route("/large", get(|| async { "x".repeat(100_000) }))
        .route("/slow", get(|| async { tokio::time::sleep(Duration::from_secs(60)).await }))
        .fallback(any(|| async { "target" }))
        .layer(axum::middleware::from_fn_with_state(
            seen.clone(),
            |State(seen): State<Seen>, request: axum::extract::Request, next: axum::middleware::Next| async move {
                seen.hits.fetch_add(1, Ordering::SeqCst);
                seen.headers.lock().unwrap().push(request.headers().clone());
                next.run(request).await
            },
        ))
        .with_state(seen.clone());
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move { axum::serve(listener, app).await });
    (address, seen)
}

fn rule(host: HostPattern, special: SpecialRanges) -> NetworkRule {
    NetworkRule { host, ports: Ports::Any, scheme: None, methods: None, special }
}

fn loopback() -> Arc<Grants> {
    let host = HostPattern::Address("127.0.0.1".parse().unwrap());
    Arc::new(Grants { network: vec![rule(host, SpecialRanges::Refused)], ..Grants::none() })
}

async fn http(input: &str, change: impl FnOnce(&mut Request)) -> (Outcome, Arc<Kept>) {
    let (runtime, _directory) = runtime();
    let sink = Arc::new(Kept::default());
    let mut request = probe_request("http", input);
    request.sink = sink.clone();
    request.grants = loopback();
    change(&mut request);
    (runtime.run(request).await, sink)
}

fn warnings(sink: &Kept) -> String {
    let lines = sink.lines.lock().unwrap();
    lines
        .iter()
        .filter(|line| line.level == Level::Warn)
        .map(|line| line.message.as_str())
        .collect::<Vec<_>>()
        .join("\n")
}

/// A sink that tells the server what the guest said.
struct Telling(mpsc::UnboundedSender<String>);

impl Sink for Telling {
    fn log(&self, line: Line) {
        let _ = self.0.send(line.message);
    }
    fn metric(&self, _: Metric) {}
    fn progress(&self, _: Progress) {}
}

#[tokio::test]
async fn an_answer_is_read_piece_by_piece() {
    let (address, seen) = server().await;
    let (tell, told) = mpsc::unbounded_channel();
    *seen.go_on.lock().await = Some(told);
    let (outcome, _) =
        http(&format!("GET http {address} /pieces"), |request| request.sink = Arc::new(Telling(tell))).await;
    assert_eq!(outcome.result.unwrap(), "{\"status\":200,\"pieces\":3,\"location\":\"\",\"text\":\"onetwothree\"}");
    assert_eq!((outcome.metrics.http_requests, outcome.metrics.http_bytes_in), (1, 11));
    assert_eq!(outcome.tape.by_function.get("wasi:http/outgoing-handler#handle"), Some(&1));
}

#[tokio::test]
async fn the_same_without_a_grant_never_leaves() {
    let (address, seen) = server().await;
    let (outcome, sink) =
        http(&format!("GET http {address} /x"), |request| request.grants = Arc::new(Grants::none())).await;
    let failure = failure(outcome);
    assert!(failure.message.contains("HttpRequestDenied"), "{}", failure.message);
    let warning = warnings(&sink);
    assert!(warning.contains(&format!("--allow-net={address}")), "{warning}");
    assert_eq!(seen.hits.load(Ordering::SeqCst), 0);
}

#[tokio::test]
async fn a_body_goes_out_and_comes_back() {
    let (address, seen) = server().await;
    let (outcome, _) = http(&format!("POST http {address} /echo  hello"), |_| ()).await;
    assert!(outcome.result.unwrap().contains("\"text\":\"hello\""));
    assert_eq!((outcome.metrics.http_bytes_out, outcome.metrics.http_bytes_in), (5, 5));
    let headers = seen.headers.lock().unwrap();
    assert_eq!(headers[0].get("host").unwrap().to_str().unwrap(), address.to_string());
    assert_eq!(headers[0].get_all("host").iter().count(), 1);
}

#[tokio::test]
async fn a_redirect_is_the_guests_to_follow() {
    let (address, seen) = server().await;
    let (outcome, _) = http(&format!("GET http {address} /moved"), |_| ()).await;
    let answer = outcome.result.unwrap();
    assert!(answer.contains("\"status\":302") && answer.contains("\"location\":\"/target\""), "{answer}");
    assert_eq!(seen.hits.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn special_addresses_need_a_grant_of_their_own() {
    let (address, seen) = server().await;
    let port = address.port();
    let only = |host, special| Arc::new(Grants { network: vec![rule(host, special)], ..Grants::none() });
    let localhost = || HostPattern::Name("localhost".to_owned());
    for (host, grants, reached) in [
        (format!("127.0.0.1:{port}"), only(HostPattern::Any, SpecialRanges::Refused), false),
        (format!("127.0.0.1:{port}"), only(HostPattern::Any, SpecialRanges::Allowed), true),
        // The resolver finds loopback: the name alone is not enough.
        (format!("localhost:{port}"), only(localhost(), SpecialRanges::Refused), false),
        (format!("localhost:{port}"), only(localhost(), SpecialRanges::Allowed), true),
        (format!("LOCALHOST:{port}"), only(localhost(), SpecialRanges::Allowed), true),
        // Other spellings of the granted address are the same address.
        (
            format!("127.1:{port}"),
            only(HostPattern::Address("127.0.0.1".parse().unwrap()), SpecialRanges::Refused),
            true,
        ),
        (
            format!("0x7f000001:{port}"),
            only(HostPattern::Range { network: "127.0.0.0".parse().unwrap(), prefix: 8 }, SpecialRanges::Refused),
            true,
        ),
        (format!("[::ffff:127.0.0.1]:{port}"), only(HostPattern::Any, SpecialRanges::Refused), false),
        (format!("0.0.0.0:{port}"), only(HostPattern::Any, SpecialRanges::Allowed), false),
        ("169.254.169.254:80".to_owned(), only(HostPattern::Any, SpecialRanges::Allowed), false),
    ] {
        let before = seen.hits.load(Ordering::SeqCst);
        let (outcome, sink) = http(&format!("GET http {host} /x"), |request| request.grants = grants.clone()).await;
        assert_eq!(
            seen.hits.load(Ordering::SeqCst) - before,
            usize::from(reached),
            "{host} {grants:?} {:?}",
            outcome.result
        );
        if !reached {
            assert!(failure(outcome).message.contains("DestinationIpProhibited"), "{host}");
            assert!(warnings(&sink).contains("hint:"), "{host}");
        }
    }
}

#[tokio::test]
async fn methods_and_schemes_are_granted_apart() {
    let (address, seen) = server().await;
    let grants = |scheme: Option<&str>, methods: &[&str]| {
        let mut only = rule(HostPattern::Address(address.ip()), SpecialRanges::Refused);
        only.scheme = scheme.map(str::to_owned);
        only.methods = Some(methods.iter().map(|method| (*method).to_owned()).collect());
        Arc::new(Grants { network: vec![only], ..Grants::none() })
    };
    let input = format!("POST http {address} /echo  hello");
    let run = |grants| http(&input, |request| request.grants = grants);
    let (outcome, _) = run(grants(None, &["POST"])).await;
    assert!(outcome.result.is_ok());
    for refused in [grants(None, &["GET"]), grants(Some("https"), &["POST"])] {
        let (outcome, _) = run(refused).await;
        assert!(failure(outcome).message.contains("HttpRequestDenied"));
    }
    assert_eq!(seen.hits.load(Ordering::SeqCst), 1);
}

/// Services that stand at the gate.
#[derive(Default)]
struct Gate {
    refuse: bool,
    effects: Mutex<Vec<Effect>>,
}

impl Services for Gate {
    fn before_effect<'a>(&'a self, effect: Effect) -> Soon<'a, Result<(), HostError>> {
        self.effects.lock().unwrap().push(effect);
        let refuse = self.refuse;
        Box::pin(async move { if refuse { Err(HostError::host("the journal is gone")) } else { Ok(()) } })
    }
    fn secrets(&self) -> &dyn Secrets {
        self
    }
}

impl Secrets for Gate {
    fn substitute<'a>(&'a self, mut head: RequestHead) -> Soon<'a, Result<Filled<RequestHead>, HostError>> {
        if head.url.path() == "/elsewhere" {
            head.url.set_port(Some(9)).unwrap();
        }
        head.headers.insert("authorization", "Bearer secret".parse().unwrap());
        Box::pin(async move { Ok(Filled { with: head, hidden: Needles::default() }) })
    }
}

#[tokio::test]
async fn the_gate_comes_before_the_request_and_secrets_after_it() {
    let (address, seen) = server().await;
    let open = Arc::new(Gate::default());
    let (outcome, _) = http(&format!("GET http {address} /x"), |request| request.services = open.clone()).await;
    assert!(outcome.result.is_ok());
    let origin = format!("http://{address}");
    assert_eq!(*open.effects.lock().unwrap(), [Effect::Request { method: "GET".to_owned(), origin }]);
    assert_eq!(seen.headers.lock().unwrap()[0].get("authorization").unwrap(), "Bearer secret");

    let (moved, _) = http(&format!("GET http {address} /elsewhere"), |request| request.services = open).await;
    assert!(failure(moved).message.contains("HttpRequestDenied"));

    let shut = Arc::new(Gate { refuse: true, ..Gate::default() });
    let (outcome, sink) = http(&format!("GET http {address} /x"), |request| request.services = shut).await;
    assert!(failure(outcome).message.contains("HttpRequestDenied"));
    assert!(warnings(&sink).contains("the journal is gone"));
    assert_eq!(seen.hits.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn quotas_end_requests_not_the_host() {
    let (address, _) = server().await;
    let (large, sink) =
        http(&format!("GET http {address} /large"), |request| request.limits.http_response_bytes = 1_000).await;
    assert!(failure(large).message.contains("LastOperationFailed"));
    assert!(warnings(&sink).contains("limit of 1000 bytes"));
    let (none, sink) = http(&format!("GET http {address} /x"), |request| request.limits.http_requests = 0).await;
    assert!(failure(none).message.contains("ConnectionLimitReached"));
    assert!(warnings(&sink).contains("0 requests, its limit"));
    let (body, _) =
        http(&format!("POST http {address} /echo  hello"), |request| request.limits.http_request_bytes = 2).await;
    assert!(failure(body).message.contains("HttpRequestBodySize"));
    let (slow, _) =
        http(&format!("GET http {address} /slow"), |request| request.limits.wall = Some(Duration::from_millis(300)))
            .await;
    assert_eq!(failure(slow).class, Class::Deadline);
}

#[tokio::test]
async fn nobody_there_is_said_as_such() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let (outcome, _) = http(&format!("GET http {address} /x"), |_| ()).await;
    let failure = failure(outcome);
    assert!(failure.message.contains("ConnectionRefused"), "{}", failure.message);
}

#[tokio::test]
async fn options_are_checked_when_made_and_when_named() {
    let (address, seen) = server().await;
    let (unknown, sink) = http(&format!("GET http {address} /x options-9"), |_| ()).await;
    assert!(failure(unknown).message.contains("HttpRequestDenied"));
    assert!(warnings(&sink).contains("names no options of this run"));
    assert_eq!(seen.hits.load(Ordering::SeqCst), 0);

    let (runtime, _directory) = runtime();
    for (options, expected) in [
        ("{\"timeout-ms\":1000}", None),
        ("{\"http-version\":\"1.1\"}", None),
        ("{\"insecure\":true}", Some("NOT_GRANTED")),
        ("{\"proxy\":{\"url\":\"http://proxy.example:3128\"}}", Some("NOT_GRANTED")),
        ("{\"ca-pem\":\"nothing\"}", Some("BAD_ARGUMENT")),
        ("{\"client-pem\":\"nothing\"}", Some("BAD_ARGUMENT")),
        ("{\"timeout-ms\":0}", Some("BAD_ARGUMENT")),
        ("{\"http-version\":\"3\"}", Some("BAD_ARGUMENT")),
        ("{\"colour\":\"red\"}", Some("BAD_ARGUMENT")),
    ] {
        let outcome = runtime.run(probe_request("options", options)).await;
        let code = outcome.result.err().map(|failure| failure.code);
        assert_eq!(code.as_deref(), expected, "{options}");
    }
}
