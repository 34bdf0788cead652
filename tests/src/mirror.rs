//! A server on loopback that keeps what reaches it and answers with it.

use std::convert::Infallible;
use std::sync::{Arc, Mutex, PoisonError};

use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::{HeaderMap, Method, Uri};
use axum::response::Response;
use serde_json::json;
use tokio::sync::oneshot;

/// Longest body it keeps.
const BODY_MAX_BYTES: usize = 64 << 20;
/// Bytes of a piece where the answer comes in pieces.
const PIECE_BYTES: usize = 3;

/// A mirror. Ended by [`Mirror::end`].
pub struct Mirror {
    pub address: std::net::SocketAddr,
    seen: Seen,
    stop: oneshot::Sender<()>,
    serving: tokio::task::JoinHandle<()>,
}

type Seen = Arc<Mutex<Vec<Exchange>>>;

/// A request as it came.
#[derive(Clone, Debug)]
pub struct Exchange {
    pub method: Method,
    pub uri: Uri,
    pub headers: HeaderMap,
    /// `None`: it broke off.
    pub body: Option<String>,
}

impl Exchange {
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
    }
}

impl Mirror {
    pub async fn open() -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("loopback has free ports");
        let address = listener.local_addr().expect("a bound listener has an address");
        let seen = Seen::default();
        let (stop, stopped) = oneshot::channel::<()>();
        let routes = axum::Router::new().fallback(answer).with_state(seen.clone());
        let serving = tokio::spawn(async move {
            let served = axum::serve(listener, routes).with_graceful_shutdown(async { drop(stopped.await) });
            served.await.expect("the mirror serves");
        });
        Self { address, seen, stop, serving }
    }

    /// A URL of it.
    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// All that came.
    pub fn seen(&self) -> Vec<Exchange> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// What came last.
    #[track_caller]
    pub fn last(&self) -> Exchange {
        self.seen().pop().expect("something came")
    }

    pub async fn end(self) {
        let _ = self.stop.send(());
        self.serving.await.expect("the mirror does not panic");
    }
}

/// Below `/quiet` nothing is said, below `/pieces` the body comes back in pieces, below `/packed` it claims to be compressed; else the answer
/// is all that came, in a document and in headers.
async fn answer(State(seen): State<Seen>, method: Method, uri: Uri, headers: HeaderMap, body: Body) -> Response {
    let body = axum::body::to_bytes(body, BODY_MAX_BYTES).await.ok();
    let body = body.map(|body| String::from_utf8_lossy(&body).into_owned());
    let exchange = Exchange { method, uri, headers, body };
    seen.lock().unwrap_or_else(PoisonError::into_inner).push(exchange.clone());
    let Exchange { uri, headers, body, .. } = exchange;
    let text = body.unwrap_or_default();
    let shown: Vec<String> =
        headers.iter().map(|(name, value)| format!("{name}: {}", String::from_utf8_lossy(value.as_bytes()))).collect();
    let whole = json!({ "uri": uri.to_string(), "headers": shown, "body": text }).to_string();
    let response = Response::builder().header("content-type", "application/json");
    let response = match uri.path().split('/').nth(1) {
        Some("quiet") => response.body(Body::from("{}")),
        Some("pieces") => {
            let pieces: Vec<Result<Bytes, Infallible>> =
                text.as_bytes().chunks(PIECE_BYTES).map(|piece| Ok(Bytes::copy_from_slice(piece))).collect();
            response.body(Body::from_stream(futures::stream::iter(pieces)))
        }
        Some("packed") => response.header("content-encoding", "gzip").body(Body::from(whole)),
        _ => match headers.get("authorization") {
            Some(value) => response.header("x-authorization", value).body(Body::from(whole)),
            None => response.body(Body::from(whole)),
        },
    };
    response.expect("an answer")
}
