//! A server on loopback in place of the world outside: counts what reaches it, and answers when it is told to.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use axum::extract::State;
use axum::http::HeaderMap;
use tokio::sync::{Notify, oneshot, watch};

/// A stand-in. Ended by [`StandIn::end`].
pub struct StandIn {
    pub address: std::net::SocketAddr,
    seen: Arc<Seen>,
    stop: oneshot::Sender<()>,
    serving: tokio::task::JoinHandle<()>,
}

struct Seen {
    count: AtomicUsize,
    came: Notify,
    keys: Mutex<Vec<String>>,
    answers: watch::Sender<bool>,
}

impl StandIn {
    /// One that answers at once.
    pub async fn open() -> Self {
        Self::start(true).await
    }

    /// One that holds every request until [`StandIn::answer`].
    pub async fn holding() -> Self {
        Self::start(false).await
    }

    async fn start(answers: bool) -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("loopback has free ports");
        let address = listener.local_addr().expect("a bound listener has an address");
        let seen = Arc::new(Seen {
            count: AtomicUsize::new(0),
            came: Notify::new(),
            keys: Mutex::default(),
            answers: watch::Sender::new(answers),
        });
        let (stop, stopped) = oneshot::channel::<()>();
        let routes = axum::Router::new().fallback(asked).with_state(seen.clone());
        let serving = tokio::spawn(async move {
            let served = axum::serve(listener, routes).with_graceful_shutdown(async { drop(stopped.await) });
            served.await.expect("the stand-in serves");
        });
        Self { address, seen, stop, serving }
    }

    /// How many requests have come.
    pub fn count(&self) -> usize {
        self.seen.count.load(Ordering::SeqCst)
    }

    /// Waits until so many have come.
    pub async fn came(&self, count: usize) {
        loop {
            let notified = self.seen.came.notified();
            if self.count() >= count {
                return;
            }
            notified.await;
        }
    }

    /// The `x-key` header of each request, in their order.
    pub fn keys(&self) -> Vec<String> {
        self.seen.keys.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Answers from now on, those that wait included.
    pub fn answer(&self) {
        self.seen.answers.send_replace(true);
    }

    /// Ends it; whoever still waits is answered.
    pub async fn end(self) {
        self.answer();
        let _ = self.stop.send(());
        self.serving.await.expect("the stand-in does not panic");
    }
}

async fn asked(State(seen): State<Arc<Seen>>, headers: HeaderMap) -> &'static str {
    let key = headers.get("x-key").and_then(|key| key.to_str().ok()).unwrap_or_default().to_owned();
    seen.keys.lock().unwrap_or_else(PoisonError::into_inner).push(key);
    seen.count.fetch_add(1, Ordering::SeqCst);
    seen.came.notify_waiters();
    let mut answers = seen.answers.subscribe();
    let _ = answers.wait_for(|answers| *answers).await;
    "{}"
}
