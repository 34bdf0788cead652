//! Secrets at the border of the sandbox: bodies that are filled, answers that are scrubbed, whoever has the secrets.

use crate::support::*;
use axum::Router;
use axum::body::Body;
use axum::http::HeaderMap;
use axum::routing::{any, post};
use bytes::Bytes;
use runtime::*;
use serde_json::{Value, json};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

const PLACEHOLDER: &str = "sluicesecret00112233445566778899aabbccddeeff";
const VALUE: &str = "the-value-itself";

/// One secret, known by one placeholder.
#[derive(Default)]
struct One {
    /// Says that no placeholder was handed out.
    blind: bool,
    looked_at: Mutex<usize>,
}

fn needles() -> Needles {
    Needles::new([Needle { hidden: VALUE.into(), shown: PLACEHOLDER.into(), met: Arc::default() }])
}

impl Services for One {
    fn secrets(&self) -> &dyn Secrets {
        self
    }
}

impl Secrets for One {
    fn looks_at_bodies(&self) -> bool {
        !self.blind
    }
    fn substitute_body<'a>(
        &'a self,
        _: &'a RequestHead,
        body: Bytes,
    ) -> Soon<'a, Result<Option<Filled<Bytes>>, HostError>> {
        *self.looked_at.lock().unwrap() += 1;
        let text = String::from_utf8_lossy(&body).into_owned();
        let filled = text.contains(PLACEHOLDER).then(|| text.replace(PLACEHOLDER, VALUE));
        Box::pin(async move { Ok(filled.map(|text| Filled { with: text.into(), hidden: needles() })) })
    }
    fn refuse_in_body(&self, _: &RequestHead, placeholder: &str) -> Option<HostError> {
        (placeholder == PLACEHOLDER).then(|| HostError::limit("too long for a secret"))
    }
}

#[derive(Clone, Default)]
struct Seen(Arc<Mutex<Vec<Came>>>);

/// Headers and body; `None`: it broke off.
type Came = (HeaderMap, Option<String>);

async fn server() -> (SocketAddr, Seen) {
    let seen = Seen::default();
    let keep = seen.clone();
    let take = move |headers: HeaderMap, body: Body| {
        let keep = keep.clone();
        async move {
            let body = axum::body::to_bytes(body, 64 << 20).await.ok();
            let text = body.map(|body| String::from_utf8_lossy(&body).into_owned());
            keep.0.lock().unwrap().push((headers, text.clone()));
            text.unwrap_or_default()
        }
    };
    let trailing = || async {
        let pieces = ["before the-val", "ue-its", "elf after the-value-itsel"].map(Ok::<_, std::io::Error>);
        Body::from_stream(tokio_stream::iter(pieces))
    };
    let app = Router::new().route("/trailing", any(trailing)).fallback(post(take));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move { axum::serve(listener, app).await });
    (address, seen)
}

async fn exchange(input: Value, services: Arc<One>) -> (Outcome, Arc<Kept>) {
    let (runtime, _directory) = runtime();
    let sink = Arc::new(Kept::default());
    let mut request = probe_request("exchange", &input.to_string());
    let host = HostPattern::Address("127.0.0.1".parse().unwrap());
    let rule = NetworkRule { host, ports: Ports::Any, scheme: None, methods: None, special: SpecialRanges::Refused };
    request.grants = Arc::new(Grants { network: vec![rule], ..Grants::none() });
    request.sink = sink.clone();
    request.limits.output_bytes = 8 << 20;
    request.services = services;
    (runtime.run(request).await, sink)
}

fn outputs(outcome: Outcome) -> Value {
    serde_json::from_str(&outcome.result.unwrap()).unwrap()
}

#[tokio::test]
async fn a_body_is_filled_whole_and_its_answer_scrubbed() {
    let (address, seen) = server().await;
    let length = (PLACEHOLDER.len() + 4).to_string();
    let (half, rest) = PLACEHOLDER.split_at(20);
    let input = json!({ "url": format!("http://{address}/"), "method": "POST", "body": ["<<", half, rest, ">>"],
        "headers": [["content-length", length]] });
    let (outcome, _) = exchange(input, Arc::default()).await;
    assert_eq!(outcome.metrics.http_bytes_out, length.parse::<u64>().unwrap());
    let answer = outputs(outcome);
    assert_eq!(answer["body"], format!("<<{PLACEHOLDER}>>"));
    assert_eq!(answer["headers"]["content-length"], Value::Null);
    let (headers, body) = seen.0.lock().unwrap().pop().unwrap();
    assert_eq!(body.as_deref(), Some("<<the-value-itself>>"));
    assert_eq!(headers["content-length"], "20");
}

#[tokio::test]
async fn what_may_be_a_secret_is_held_back_until_it_is_known() {
    let (address, _) = server().await;
    let input = json!({ "url": format!("http://{address}/trailing"), "method": "POST", "body": [PLACEHOLDER] });
    let (outcome, _) = exchange(input, Arc::default()).await;
    assert_eq!(outputs(outcome)["body"], format!("before {PLACEHOLDER} after the-value-itsel"));
}

#[tokio::test]
async fn bodies_without_placeholders_are_sent_as_they_are() {
    let (address, seen) = server().await;
    for (times, blind, looked_at) in [(1, false, 1), (1, true, 0), (150_000, false, 0)] {
        let services = Arc::new(One { blind, ..One::default() });
        let input =
            json!({ "url": format!("http://{address}/"), "method": "POST", "body": ["0123456789"], "times": times });
        let (outcome, _) = exchange(input, services.clone()).await;
        assert_eq!(outcome.metrics.http_bytes_out, 10 * times);
        let answer = outputs(outcome);
        assert_eq!(answer["body"].as_str().map(str::len), Some(10 * times as usize));
        assert_eq!(*services.looked_at.lock().unwrap(), looked_at);
    }
    assert_eq!(seen.0.lock().unwrap().len(), 3);
}

#[tokio::test]
async fn a_long_body_is_broken_off_before_its_placeholder() {
    let (address, seen) = server().await;
    let input = json!({ "url": format!("http://{address}/"), "method": "POST", "times": 25_000,
        "body": ["0123456789", PLACEHOLDER] });
    let (outcome, sink) = exchange(input, Arc::default()).await;
    failure(outcome);
    assert!(sink.lines.lock().unwrap().iter().any(|line| line.message == "too long for a secret"));
    let seen = seen.0.lock().unwrap();
    assert!(seen.iter().all(|(_, body)| !body.as_deref().unwrap_or_default().contains(PLACEHOLDER)));
}
