//! A web server on loopback that offers plugins, well or badly, and the keys that sign them.

#[path = "../../host/catalog/src/testing/signer.rs"]
mod signer;

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::{Response, StatusCode, Uri, header};
use tokio::sync::oneshot;

/// What is answered for a path.
#[derive(Clone, Debug)]
pub enum Reply {
    File(Vec<u8>),
    /// Says that it is longer than it is, and ends.
    CutOff(Vec<u8>),
    /// Begins and never goes on.
    Stall(Vec<u8>),
    /// Without saying how long it is.
    Unsized(Vec<u8>),
    Redirect(String),
    Status(u16),
}

/// A server. Ended by [`Hosted::end`].
pub struct Hosted {
    pub address: std::net::SocketAddr,
    replies: Arc<Mutex<BTreeMap<String, Reply>>>,
    stop: oneshot::Sender<()>,
    serving: tokio::task::JoinHandle<()>,
}

impl Hosted {
    /// One that has nothing.
    pub async fn open() -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("loopback has free ports");
        let address = listener.local_addr().expect("a bound listener has an address");
        let replies: Arc<Mutex<BTreeMap<String, Reply>>> = Arc::default();
        let (stop, stopped) = oneshot::channel::<()>();
        let routes = axum::Router::new().fallback(asked).with_state(replies.clone());
        let serving = tokio::spawn(async move {
            // Not gracefully: a request that stalls would never end.
            tokio::select! {
                served = axum::serve(listener, routes) => served.expect("it serves"),
                _ = stopped => {}
            }
        });
        Self { address, replies, stop, serving }
    }

    /// One that has all files of a folder.
    pub async fn of(folder: &Path) -> Self {
        let hosted = Self::open().await;
        let mut left = vec![folder.to_owned()];
        while let Some(next) = left.pop() {
            for entry in std::fs::read_dir(&next).expect("it is there") {
                let path = entry.expect("it can be listed").path();
                match path.is_dir() {
                    true => left.push(path),
                    false => {
                        let name = path.strip_prefix(folder).expect("it lies inside").display().to_string();
                        hosted.answer(&name, Reply::File(std::fs::read(&path).expect("it can be read")));
                    }
                }
            }
        }
        hosted
    }

    /// Where it is.
    pub fn url(&self) -> String {
        format!("http://{}/", self.address)
    }

    /// Answers so for a path from now on.
    pub fn answer(&self, path: &str, reply: Reply) {
        let mut replies = self.replies.lock().unwrap_or_else(PoisonError::into_inner);
        replies.insert(path.to_owned(), reply);
    }

    /// The file that it has at a path.
    pub fn file(&self, path: &str) -> Vec<u8> {
        let replies = self.replies.lock().unwrap_or_else(PoisonError::into_inner);
        match replies.get(path) {
            Some(Reply::File(bytes)) => bytes.clone(),
            other => panic!("`{path}` is no file: {other:?}"),
        }
    }

    /// Ends it, and waits until it has ended.
    pub async fn end(self) {
        let _ = self.stop.send(());
        self.serving.await.expect("it does not panic");
    }
}

async fn asked(State(replies): State<Arc<Mutex<BTreeMap<String, Reply>>>>, uri: Uri) -> Response<Body> {
    let path = uri.path().trim_start_matches('/').to_owned();
    let reply = replies.lock().unwrap_or_else(PoisonError::into_inner).get(&path).cloned();
    let answer = Response::builder();
    let whole = |bytes: Vec<u8>| futures::stream::iter([Ok::<Bytes, std::io::Error>(bytes.into())]);
    let answer = match reply {
        None => answer.status(StatusCode::NOT_FOUND).body(Body::empty()),
        Some(Reply::Status(status)) => answer.status(status).body(Body::empty()),
        Some(Reply::File(bytes)) => answer.body(Body::from(bytes)),
        Some(Reply::Redirect(to)) => answer.status(StatusCode::FOUND).header(header::LOCATION, to).body(Body::empty()),
        Some(Reply::Unsized(bytes)) => answer.body(Body::from_stream(whole(bytes))),
        Some(Reply::CutOff(bytes)) => {
            // What has come is sent while the rest is waited for.
            let gone = futures::stream::once(async {
                tokio::task::yield_now().await;
                Err(std::io::Error::other("gone"))
            });
            answer.body(Body::from_stream(futures::StreamExt::chain(whole(bytes), gone)))
        }
        Some(Reply::Stall(bytes)) => {
            let never = futures::stream::pending();
            answer.body(Body::from_stream(futures::StreamExt::chain(whole(bytes), never)))
        }
    };
    answer.expect("a test's answer is well formed")
}

/// Somebody who signs plugins, with a key of their own.
#[derive(Default)]
pub struct Signer(signer::Signer);

impl Signer {
    /// The public key.
    pub fn key(&self) -> String {
        self.0.key()
    }

    /// The text of a signature's file.
    pub fn sign(&self, bytes: &[u8], plugin: &str, version: &str) -> String {
        self.0.sign(bytes, &format!("plugin:{plugin} version:{version}"))
    }

    /// The same as minisign did it before it hashed.
    pub fn sign_unhashed(&self, bytes: &[u8], plugin: &str, version: &str) -> String {
        self.0.sign_unhashed(bytes, &format!("plugin:{plugin} version:{version}"))
    }

    /// A trust file that trusts it.
    pub fn trusted(&self, mode: &str, plugins: &str) -> String {
        format!("mode: {mode}\nkeys:\n  - key: {}\n    plugins: [{plugins}]\n", self.key())
    }
}
