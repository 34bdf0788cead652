//! A node of its own behind the HTTP API on a port of its own, and a client of it. Everything started is awaited at the end.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use catalog::{Catalog, Check, Host, Origin, Source, Trust};
use reqwest::Method;
use runtime::{Compiler, Runtime};
use serde_json::Value;
use server::{Access, Node, PluginSource, Times};
use store::{MemoryStore, Store};
use tokio::sync::oneshot;

use crate::described::{self, Exchange};
use crate::{data_dir, registry};

/// Longest a request may take.
const TIME_MAX: Duration = Duration::from_secs(120);
/// Longest a source of plugins may say nothing.
const STALL_MAX: Duration = Duration::from_secs(2);
/// How often something that is waited for is looked at, and how many times.
const LOOK: Duration = Duration::from_millis(50);
const LOOKS_MAX: usize = 600;
/// Longest the end of a server may take.
const END_MAX: Duration = Duration::from_secs(30);

/// The policy file in a node's folder.
pub const POLICY: &str = "policy.yaml";

/// What is served.
pub struct Options {
    /// The shipped registry.
    pub registry: PathBuf,
    /// Components beside it.
    pub plugins: Vec<PathBuf>,
    /// Name and password.
    pub credentials: Option<(&'static str, &'static str)>,
    /// Compiled code; by default shared by all tests.
    pub compiled: PathBuf,
    pub store: Arc<dyn Store>,
    /// Most executions under way; by default as a server has it.
    pub live_max: Option<usize>,
    /// Stand-ins that plugins may reach.
    pub outside: Vec<std::net::SocketAddr>,
    /// The policy file: written when the node is made, by default there is none.
    pub policy: Option<String>,
    /// `secret()` by upper-case name.
    pub secrets: BTreeMap<String, String>,
    /// By default one of its own, with `compiled`.
    pub runtime: Option<Arc<Runtime>>,
    /// What one run may use; by default as a server has it.
    pub limits: runtime::Limits,
    /// Installed plugins; by default a folder that is gone at the end.
    pub installed: Option<PathBuf>,
    /// Where plugins may be installed from, and whose signatures are good.
    pub plugin_sources: Vec<PluginSource>,
    pub trust: Trust,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            registry: registry(),
            plugins: Vec::new(),
            credentials: None,
            compiled: data_dir().join("compiled"),
            store: Arc::new(MemoryStore::default()),
            live_max: None,
            outside: Vec::new(),
            policy: None,
            secrets: BTreeMap::new(),
            runtime: None,
            limits: runtime::Limits::default(),
            installed: None,
            plugin_sources: Vec::new(),
            trust: Trust::nobody("trust.yaml"),
        }
    }
}

/// A served node.
pub struct Api {
    pub address: SocketAddr,
    pub node: Arc<Node>,
    /// Where it has what it makes.
    pub folder: PathBuf,
    client: reqwest::Client,
}

/// What the server said.
#[derive(Debug)]
pub struct Answer {
    pub status: u16,
    pub headers: reqwest::header::HeaderMap,
    pub text: String,
}

/// One server-sent event.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Event {
    pub name: String,
    pub id: String,
    pub data: String,
}

/// Runs a test against a server that has nothing but the registry.
pub async fn serving(test: impl AsyncFnOnce(&Api)) {
    serving_with(Options::default(), test).await;
}

/// Runs a test against a server.
pub async fn serving_with(options: Options, test: impl AsyncFnOnce(&Api)) {
    let scratch = tempfile::tempdir().expect("tests have a temporary folder");
    let node = Node::open(config(options, scratch.path())).await.expect("the store opens");
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("loopback has free ports");
    let address = listener.local_addr().expect("a bound listener has an address");
    let (end, ended) = oneshot::channel::<()>();
    let serving = tokio::spawn(server::http::serve(listener, node.clone(), async move {
        let _ = ended.await;
    }));
    let client = reqwest::Client::builder().no_proxy().timeout(TIME_MAX).build().expect("a client");
    let api = Api { address, node, folder: scratch.path().to_owned(), client };
    test(&api).await;
    let Api { node, client, .. } = api;
    drop(client);
    let _ = end.send(());
    let served = tokio::time::timeout(END_MAX, serving).await.expect("the server ends when asked to");
    served.expect("the server does not panic").expect("the server ends well");
    node.shutdown().await;
}

/// A node with these options, that has what it makes in a folder.
pub fn config(options: Options, scratch: &Path) -> server::Config {
    // Saying so twice is no error.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let installed = options.installed.unwrap_or_else(|| scratch.join("plugins"));
    let mut sources = vec![Source::Folder { origin: Origin::Shipped, root: options.registry }];
    sources.push(Source::Folder { origin: Origin::Installed, root: installed });
    sources.extend(options.plugins.into_iter().map(Source::File));
    let version = env!("CARGO_PKG_VERSION").parse().expect("the package has a version");
    let catalog = Catalog::open(sources, Host { version, built_in: Vec::new() }, Check::Sizes);
    let runtime = options.runtime.unwrap_or_else(|| {
        Runtime::new(runtime::Config::new(options.compiled, Compiler::InProcess)).expect("a runtime")
    });
    let config = server::Config::new(options.store, runtime, catalog, scratch.join("scratch"));
    // By its address, and by the name that every machine has for it.
    let named = |address: &SocketAddr| [address.to_string(), format!("localhost:{}", address.port())];
    let allowed = options.outside.iter().flat_map(named);
    let allow_net = allowed.map(|address| server::allow_net(&address).expect("an address"));
    let policies = options.policy.map(|text| {
        let file = scratch.join(POLICY);
        std::fs::write(&file, text).expect("a file is written");
        server::Policies::read(&file).expect("a policy")
    });
    // Short enough for a test of what stalls.
    let fetch_times = Times { stall: STALL_MAX, ..Times::default() };
    let (plugin_sources, trust) = (options.plugin_sources, options.trust);
    server::Config {
        plugin_sources,
        trust,
        fetch_times,
        live_max: options.live_max.unwrap_or(config.live_max),
        allow_net: allow_net.collect(),
        policies: policies.unwrap_or_default(),
        secrets: options.secrets,
        limits: options.limits,
        access: Access::of(options.credentials),
        ..config
    }
}

impl Api {
    /// The URL of a path; one that does not begin with `/` is below `/api/v1/main/`.
    pub fn url(&self, path: &str) -> String {
        match path.starts_with('/') {
            true => format!("http://{}{path}", self.address),
            false => format!("http://{}/api/v1/main/{path}", self.address),
        }
    }

    /// A request, for what the shorter ways do not cover.
    pub fn request(&self, method: Method, path: &str) -> reqwest::RequestBuilder {
        self.client.request(method, self.url(path))
    }

    pub async fn get(&self, path: &str) -> Answer {
        send(self.request(Method::GET, path)).await
    }

    pub async fn delete(&self, path: &str) -> Answer {
        send(self.request(Method::DELETE, path)).await
    }

    pub async fn post(&self, path: &str, content_type: &str, body: impl Into<Vec<u8>>) -> Answer {
        send(self.request(Method::POST, path).header("content-type", content_type).body(body.into())).await
    }

    /// What is downloaded.
    pub async fn bytes(&self, path: &str) -> Vec<u8> {
        let response = self.request(Method::GET, path).send().await.expect("the server answers");
        assert_eq!(response.status().as_u16(), 200, "{path}");
        response.bytes().await.expect("the whole of it").to_vec()
    }

    pub async fn post_json(&self, path: &str, body: &Value) -> Answer {
        self.post(path, "application/json", body.to_string()).await
    }

    /// A form of one file.
    pub async fn form(&self, path: &str, field: &str, name: &str, content: impl AsRef<[u8]>) -> Answer {
        let head = format!(
            "--cut\r\nContent-Disposition: form-data; name=\"{field}\"; filename=\"{name}\"\r\nContent-Type: application/octet-stream\r\n\r\n"
        );
        let body = [head.as_bytes(), content.as_ref(), b"\r\n--cut--\r\n"].concat();
        self.post(path, "multipart/form-data; boundary=cut", body).await
    }

    pub async fn put(&self, path: &str, content_type: &str, body: impl Into<Vec<u8>>) -> Answer {
        send(self.request(Method::PUT, path).header("content-type", content_type).body(body.into())).await
    }

    /// Saves a flow.
    pub async fn save(&self, source: &str) -> Value {
        self.post("flows", "application/x-yaml", source).await.ok()
    }

    /// Runs a flow without inputs to its end.
    pub async fn run(&self, flow: &str) -> Value {
        self.post(&format!("executions/{flow}?wait=true"), "application/json", "{}").await.ok()
    }

    /// Asks until something holds, for half a minute.
    pub async fn until(&self, path: &str, holds: impl Fn(&Value) -> bool) -> Value {
        for _ in 0..LOOKS_MAX {
            let shown = self.get(path).await.ok();
            if holds(&shown) {
                return shown;
            }
            tokio::time::sleep(LOOK).await;
        }
        panic!("`{path}` did not come to what was waited for: {}", self.get(path).await.text);
    }

    /// Events of a stream until the server ends it.
    pub async fn events(&self, path: &str, last_id: Option<&str>) -> Vec<Event> {
        let mut request = self.request(Method::GET, path);
        if let Some(id) = last_id {
            request = request.header("last-event-id", id);
        }
        let answer = send(request).await;
        assert_eq!(answer.status, 200, "{}", answer.text);
        assert_eq!(answer.header("content-type"), "text/event-stream");
        events(&answer.text)
    }
}

/// Sends a request and reads the whole answer, which must be one that the API's description has.
pub async fn send(request: reqwest::RequestBuilder) -> Answer {
    let (client, request) = request.build_split();
    let request = request.expect("a request");
    let (method, path) = (request.method().clone(), request.url().path().to_owned());
    let asked = request.body().and_then(reqwest::Body::as_bytes).and_then(|body| serde_json::from_slice(body).ok());
    let is_json = request.headers().get("content-type").is_some_and(|kind| kind == "application/json");
    let response = client.execute(request).await.expect("the server answers");
    let (status, headers) = (response.status().as_u16(), response.headers().clone());
    let answer = Answer { status, headers, text: response.text().await.expect("the answer is whole") };
    described::check(&Exchange {
        method: method.as_str(),
        path: &path,
        asked: asked.filter(|_| is_json),
        status,
        content_type: answer.header("content-type"),
        answer: &answer.text,
    });
    answer
}

fn events(text: &str) -> Vec<Event> {
    let mut events = Vec::new();
    for block in text.split("\n\n").filter(|block| !block.trim().is_empty()) {
        let mut event = Event::default();
        for line in block.lines() {
            match line.split_once(':').map(|(name, value)| (name, value.strip_prefix(' ').unwrap_or(value))) {
                Some(("event", value)) => event.name = value.to_owned(),
                Some(("id", value)) => event.id = value.to_owned(),
                Some(("data", value)) => event.data.push_str(value),
                _ => {}
            }
        }
        // Comments keep the connection alive.
        if event != Event::default() {
            events.push(event);
        }
    }
    events
}

impl Answer {
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
    }

    #[track_caller]
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_else(|error| panic!("not JSON: {error}: {}", self.text))
    }

    /// The body of what worked.
    #[track_caller]
    pub fn ok(self) -> Value {
        assert_eq!(self.status, 200, "{}", self.text);
        self.json()
    }

    /// The problems of what was refused, in the one shape of refusals.
    #[track_caller]
    pub fn refused(self, status: u16, code: &str) -> Vec<Value> {
        assert_eq!(self.status, status, "{}", self.text);
        let body = self.json();
        let mut names: Vec<&str> = body.as_object().expect("an object").keys().map(String::as_str).collect();
        names.sort_unstable();
        assert_eq!(names, ["code", "message", "problems"]);
        assert_eq!(body["code"], code, "{body}");
        assert!(body["message"].as_str().is_some_and(|message| !message.is_empty()), "{body}");
        body["problems"].as_array().expect("a list of problems").clone()
    }
}
