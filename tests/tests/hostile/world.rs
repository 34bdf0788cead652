//! The world outside, played: servers on loopback that answer well or badly and count what arrives, names that lead where a test says, and a
//! record of every address that is really dialled.

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use runtime::{Outside, Soon};

/// A server outside.
pub struct Server {
    pub address: SocketAddr,
    requests: Arc<AtomicUsize>,
    serving: tokio::task::JoinHandle<()>,
}

impl Server {
    pub async fn open(at: &str) -> Self {
        let listener = tokio::net::TcpListener::bind((at, 0)).await.expect("loopback has free ports");
        let address = listener.local_addr().expect("a bound listener has an address");
        let requests = Arc::new(AtomicUsize::new(0));
        let routes = axum::Router::new().fallback(answer).with_state(requests.clone());
        let serving = tokio::spawn(async move { axum::serve(listener, routes).await.expect("it serves") });
        Self { address, requests, serving }
    }

    /// Requests that arrived.
    pub fn count(&self) -> usize {
        self.requests.load(Ordering::SeqCst)
    }

    /// Ends it at once: some of its answers never end.
    pub async fn end(self) {
        self.serving.abort();
        let _ = self.serving.await;
    }
}

/// Longest an answer that never comes is waited for by its server.
const NEVER: Duration = Duration::from_secs(3_600);
/// Between the bytes of an answer that drips.
const DRIP: Duration = Duration::from_millis(20);
/// More than a head may have.
const GIANT: usize = 200 << 10;

async fn answer(State(requests): State<Arc<AtomicUsize>>, request: Request) -> Response {
    requests.fetch_add(1, Ordering::SeqCst);
    let uri = request.uri().clone();
    let key = request.headers().get("authorization").map(|key| String::from_utf8_lossy(key.as_bytes()).into_owned());
    // A server that does not read what it is sent would break the connection.
    let sent = axum::body::to_bytes(request.into_body(), usize::MAX).await.unwrap_or_default();
    let pieces = |piece: &'static [u8], wait: Duration| {
        Body::from_stream(futures::stream::unfold((), move |()| async move {
            tokio::time::sleep(wait).await;
            Some((Ok::<_, std::io::Error>(bytes::Bytes::from_static(piece)), ()))
        }))
    };
    match uri.path() {
        "/silent" => {
            tokio::time::sleep(NEVER).await;
            StatusCode::OK.into_response()
        }
        "/drip" => pieces(b"x", DRIP).into_response(),
        "/endless" => pieces(&[b'x'; 64 << 10], Duration::ZERO).into_response(),
        "/giant-header" => ([("x-giant", "g".repeat(GIANT))], "").into_response(),
        "/close" => ([(header::CONNECTION, "close")], "closed").into_response(),
        "/to" => {
            let to = uri.query().unwrap_or_default().to_owned();
            (StatusCode::FOUND, [(header::LOCATION, to)], "").into_response()
        }
        "/echo" => format!("{} {}", key.unwrap_or_default(), String::from_utf8_lossy(&sent)).into_response(),
        _ => format!("arrived with {} bytes", sent.len()).into_response(),
    }
}

/// Names, and what is dialled.
#[derive(Debug, Default)]
pub struct Names {
    known: Mutex<HashMap<String, Vec<Vec<IpAddr>>>>,
    /// Other ends of connections that stood.
    connected: Mutex<Vec<SocketAddr>>,
    /// Addresses that were handed out to be dialled, and under which name.
    admitted: Mutex<Vec<(String, IpAddr)>>,
}

impl Names {
    /// A name with its answers, look-up by look-up; the last one stays.
    pub fn teach(&self, name: &str, answers: &[&[&str]]) {
        let parsed = answers.iter().map(|all| all.iter().map(|ip| ip.parse().expect("an address")).collect());
        lock(&self.known).insert(name.to_owned(), parsed.collect());
    }

    /// The other ends of all connections that stood.
    pub fn connected(&self) -> Vec<SocketAddr> {
        lock(&self.connected).clone()
    }

    /// Everything that was handed out to be dialled.
    pub fn admitted(&self) -> Vec<(String, IpAddr)> {
        lock(&self.admitted).clone()
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Outside for Names {
    fn resolve(&self, name: String) -> Soon<'static, std::io::Result<Vec<IpAddr>>> {
        let mut known = lock(&self.known);
        let name = name.trim_end_matches('.');
        let found = known.get_mut(name).map(|rounds| match rounds.len() {
            0 | 1 => rounds.first().cloned().unwrap_or_default(),
            _ => rounds.remove(0),
        });
        // Never the machine's own: a test must not ask anybody.
        let found = found.ok_or_else(|| std::io::Error::other(format!("nobody knows `{name}`")));
        Box::pin(async move { found })
    }

    fn admitted(&self, name: &str, address: IpAddr) {
        lock(&self.admitted).push((name.to_owned(), address));
    }

    fn connected(&self, peer: SocketAddr) {
        lock(&self.connected).push(peer);
    }
}
