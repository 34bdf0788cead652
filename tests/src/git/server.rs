//! A server of repositories on loopback: git's own `http-backend`, with accounts, faults and a memory for requests. Ended by [`Server::end`].

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::serve::ListenerExt as _;
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio::sync::watch;

use super::access::Account;
use super::answer::asked;
use super::cgi::Programs;
use super::command::backend;
use super::faults::{Fault, Faults, Gate, When};
use super::repository::Repository;
use super::requests::{Seen, Step};
use crate::models::listening::{Encrypted, Pems, Tls};

/// How long the end waits for connections that others hold open.
const END_MAX: Duration = Duration::from_secs(5);
/// How many requests are remembered: a client that asks for ever is not to fill the memory.
const SEEN_MAX: usize = 10_000;

/// How a server is.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// HTTPS as `localhost`, with a certificate of a CA of its own.
    pub tls: bool,
    /// Who may ask; nobody is asked for a name without them.
    pub accounts: Vec<Account>,
    /// Whether whoever only reads needs no account.
    pub public: bool,
    /// Nobody may push: 403.
    pub read_only: bool,
    /// Settings of git on the server, `receive.denyNonFastForwards` for one.
    pub settings: Vec<(String, String)>,
    /// A folder whose repositories are served, in place of a temporary one.
    pub folder: Option<PathBuf>,
}

/// A server.
pub struct Server {
    shared: Arc<Shared>,
    pems: Option<Pems>,
    ended: watch::Sender<bool>,
    serving: Option<tokio::task::JoinHandle<()>>,
}

/// What requests have in common.
pub(super) struct Shared {
    pub origin: String,
    pub address: SocketAddr,
    pub options: Options,
    pub root: PathBuf,
    /// For what is needed beside the repositories: hooks, certificates.
    pub beside: TempDir,
    pub backend: &'static Path,
    pub faults: Faults,
    pub gate: Gate,
    pub programs: Arc<Programs>,
    pub ended: watch::Receiver<bool>,
    seen: Mutex<Vec<Seen>>,
}

impl Server {
    /// Starts one. There has to be a git: see [`super::available`].
    pub async fn start(options: Options) -> Self {
        let backend = backend().unwrap_or_else(|reason| panic!("{reason}; hint: ask `git::available` first"));
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("loopback has free ports");
        let address = listener.local_addr().expect("a bound listener has an address");
        let origin = match options.tls {
            true => format!("https://localhost:{}", address.port()),
            false => format!("http://{address}"),
        };
        let beside = tempfile::tempdir().expect("a temporary folder");
        let root = options.folder.clone().unwrap_or_else(|| beside.path().join("repositories"));
        std::fs::create_dir_all(&root).expect("a folder for repositories");
        let pems = options.tls.then(Pems::new);
        if let Some(pems) = &pems {
            std::fs::write(beside.path().join("ca.pem"), &pems.ca).expect("a temporary folder takes a file");
        }
        let (sender, ended) = watch::channel(false);
        let shared = Arc::new(Shared {
            origin,
            address,
            options,
            root,
            beside,
            backend,
            faults: Faults::default(),
            gate: Gate::new(ended.clone()),
            programs: Arc::default(),
            ended,
            seen: Mutex::default(),
        });
        let serving = match &pems {
            None => {
                // Small pieces are to arrive as such.
                let listener = listener.tap_io(|socket| drop(socket.set_nodelay(true)));
                tokio::spawn(serve(listener, shared.clone()))
            }
            Some(pems) => tokio::spawn(serve(Encrypted::new(listener, pems, Tls::default()), shared.clone())),
        };
        Self { shared, pems, ended: sender, serving: Some(serving) }
    }

    /// Serves a copy of a repository under a name, `name.git`, and hands the copy over.
    pub fn add(&self, name: &str, repository: &Repository) -> Repository {
        let path = self.shared.root.join(name);
        repository.copy(&path);
        Repository::open(path)
    }

    /// A repository that is served: what a push has left, or what somebody else has pushed meanwhile.
    pub fn repository(&self, name: &str) -> Repository {
        Repository::open(self.shared.root.join(name))
    }

    /// The address of a repository.
    pub fn url(&self, name: &str) -> String {
        format!("{}/{name}", self.shared.origin)
    }

    /// The same with a name and a password or token in it.
    pub fn url_with(&self, name: &str, user: &str, password: &str) -> String {
        self.url(name).replacen("://", &format!("://{user}:{password}@"), 1)
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.shared.address
    }

    /// Its address with the scheme.
    pub fn origin(&self) -> &str {
        &self.shared.origin
    }

    /// The certificate of the CA, of a server that speaks HTTPS.
    pub fn ca_pem(&self) -> &str {
        &self.pems.as_ref().expect("the server was started with `tls`").ca
    }

    /// A file with the same.
    pub fn ca_file(&self) -> PathBuf {
        assert!(self.pems.is_some(), "the server was started with `tls`");
        self.shared.beside.path().join("ca.pem")
    }

    /// Something is wrong from now on.
    pub fn fault(&self, when: When, fault: Fault) {
        self.shared.faults.add(when, fault);
    }

    /// Nothing is wrong from now on. Answers that hang hang on.
    pub fn heal(&self) {
        self.shared.faults.clear();
    }

    /// Lets all answers that hang go on.
    pub fn release(&self) {
        self.shared.gate.release();
    }

    /// Waits until so many answers have come to hang, counted from the start.
    pub async fn hung(&self, count: usize) {
        self.shared.gate.hung(count).await;
    }

    /// Every request, in the order in which they came.
    pub fn seen(&self) -> Vec<Seen> {
        self.shared.seen.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// How many requests there were at a step.
    pub fn count(&self, step: Step) -> usize {
        self.seen().iter().filter(|seen| seen.step == step).count()
    }

    /// What git has complained about, on the server.
    pub fn complaints(&self) -> String {
        self.shared.programs.complaints()
    }

    /// Waits until all programs that have been started have ended: with their requests, or with the clients of these.
    pub async fn idle(&self) {
        self.shared.programs.end().await;
    }

    /// Ends it and its programs, and waits until they have ended. Who still waits for an answer gets none.
    pub async fn end(mut self) {
        self.ended.send_replace(true);
        if let Some(mut serving) = self.serving.take()
            && tokio::time::timeout(END_MAX, &mut serving).await.is_err()
        {
            serving.abort();
        }
        self.shared.programs.end().await;
    }
}

impl Drop for Server {
    /// Who has failed wants to know what the server saw.
    #[expect(clippy::print_stderr, reason = "what a failed test shows")]
    fn drop(&mut self) {
        self.ended.send_replace(true);
        if std::thread::panicking() {
            for seen in self.seen() {
                let query = if seen.query.is_empty() { String::new() } else { format!("?{}", seen.query) };
                eprintln!("git server: {} {}{query}: {}", seen.method, seen.path, seen.status);
            }
            eprintln!("git server: {}", self.complaints());
        }
    }
}

impl Shared {
    /// Remembers a request, and says its number.
    pub fn record(&self, seen: &Seen) -> usize {
        let mut all = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        let at = all.len();
        if at < SEEN_MAX {
            all.push(seen.clone());
        }
        at
    }

    /// What was answered to it.
    pub fn answered(&self, at: usize, status: u16, user: Option<String>) {
        let mut all = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(seen) = all.get_mut(at) {
            (seen.status, seen.user) = (status, user);
        }
    }
}

async fn serve<L: axum::serve::Listener<Addr = SocketAddr>>(listener: L, shared: Arc<Shared>) {
    let mut ended = shared.ended.clone();
    let routes = axum::Router::new().fallback(asked).with_state(shared);
    let served = axum::serve(listener, routes);
    let served = served.with_graceful_shutdown(async move { drop(ended.wait_for(|ended| *ended).await) });
    served.await.expect("the server serves");
}
