//! Requests to where nobody may go, in every spelling we know: each is refused, no connection stands, and what differs only in being granted
//! arrives. Driven through a guest's own requests; looked at where sockets are really dialled, and by who listens.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use futures::StreamExt as _;
use runtime::{
    Cancel, Compiler, Facts, Grants, HostPattern, Limits, NetworkRule, NoServices, NoSink, PluginSource, Ports,
    Request, Runtime, SpecialRanges,
};
use serde_json::json;

use crate::suite;
use crate::world::{Names, Server};

const VECTORS: &str = include_str!("ssrf.txt");
/// The fewest there may be.
const VECTORS_MIN: usize = 200;
/// At one time.
const AT_ONCE: usize = 4;
/// The longest one may take; nothing is waited for, so it takes none of it.
const TIME_MAX: Duration = Duration::from_secs(60);
/// What names that were granted end with.
const NAMED: &str = "named.test";

/// One request that must be refused.
struct Vector {
    line: usize,
    code: &'static str,
    url: String,
    more: Vec<String>,
}

/// Ports of those who listen.
struct Ports4 {
    open: u16,
    trap: u16,
}

impl Vector {
    /// Reads a line, and teaches the names in it.
    fn read(line: usize, text: &'static str, ports: &Ports4, names: &Names) -> Self {
        let mut words = text.split(' ');
        let code = words.next().expect("a code");
        let fill =
            |text: &str| text.replace("{open}", &ports.open.to_string()).replace("{trap}", &ports.trap.to_string());
        let url = fill(words.next().expect("a URL"));
        let mut more = Vec::new();
        for word in words {
            match word.split_once('=') {
                Some((name, answers)) if !name.contains(['{', '_']) || name.starts_with('_') => {
                    let rounds: Vec<Vec<&str>> = answers.split('/').map(|all| all.split(',').collect()).collect();
                    names.teach(name, &rounds.iter().map(Vec::as_slice).collect::<Vec<_>>());
                }
                _ => more.push(fill(&word.replace('_', " "))),
            }
        }
        Self { line, code, url, more }
    }

    /// The same with a host that is granted, at the port of the server that may be reached.
    fn twin(&self, open: u16) -> (String, Vec<String>) {
        let allowed = format!("http://twin{}.{NAMED}:{open}/", self.line);
        let follows = self.more.iter().any(|more| more == "follow");
        let hops = self.url.matches("/to?").count();
        let url = if follows { format!("http://open.test:{open}/to?").repeat(hops) + &allowed } else { allowed };
        let keeps = |more: &&String| *more == "follow" || more.starts_with("times") || more.starts_with("header x-");
        (url, self.more.iter().filter(keeps).cloned().collect())
    }
}

/// Any public host, and by name the server that may be reached. That is as much as a careless operator opens without opening everything.
fn grants() -> Grants {
    let rule = |host, special| NetworkRule { host, ports: Ports::Any, scheme: None, methods: None, special };
    Grants {
        network: vec![
            rule(HostPattern::Any, SpecialRanges::Refused),
            rule(HostPattern::Name("open.test".to_owned()), SpecialRanges::Allowed),
            rule(HostPattern::Below(NAMED.to_owned()), SpecialRanges::Allowed),
        ],
        proxies: vec!["*".to_owned()],
        ..Grants::none()
    }
}

/// What a guest's request came to: `Ok` with the answer, or the code and the words of the refusal.
async fn ask(runtime: &Runtime, plugin: &PluginSource, url: &str, more: &[String]) -> Result<String, (String, String)> {
    let with: Vec<&str> = ["GET", url].into_iter().chain(more.iter().map(String::as_str)).collect();
    let outcome = runtime
        .run(Request {
            plugin: plugin.clone(),
            task_type: "com.example.hostile.Http".to_owned(),
            input: json!({ "with": with }).to_string(),
            facts: Facts::default(),
            grants: Arc::new(grants()),
            limits: Limits { wall: Some(TIME_MAX), ..Limits::default() },
            working_dir: None,
            services: Arc::new(NoServices),
            sink: Arc::new(NoSink),
            cancel: Cancel::new(),
        })
        .await;
    outcome
        .result
        .map_err(|failure| (failure.code, format!("{} {}", failure.message, failure.hint.unwrap_or_default())))
}

/// Somebody who listens where nobody may knock.
async fn trap(at: IpAddr, port: u16, heard: Arc<AtomicUsize>) -> Option<(u16, tokio::task::JoinHandle<()>)> {
    let listener = tokio::net::TcpListener::bind(SocketAddr::new(at, port)).await.ok()?;
    let port = listener.local_addr().expect("a bound listener has an address").port();
    let listening = tokio::spawn(async move {
        while listener.accept().await.is_ok() {
            heard.fetch_add(1, Ordering::SeqCst);
        }
    });
    Some((port, listening))
}

#[tokio::test(flavor = "multi_thread")]
async fn no_request_reaches_what_it_may_not() {
    let names = Arc::new(Names::default());
    names.teach("open.test", &[&["127.0.0.1"]]);
    let server = Server::open("127.0.0.1").await;
    let heard = Arc::new(AtomicUsize::new(0));
    let four = trap(IpAddr::from([127, 0, 0, 1]), 0, heard.clone()).await.expect("loopback has free ports");
    // A machine without IPv6 has nobody there either.
    let six = trap("::1".parse().expect("an address"), four.0, heard.clone()).await;
    let ports = Ports4 { open: server.address.port(), trap: four.0 };
    let lines = VECTORS.lines().enumerate().filter(|(_, line)| !line.is_empty() && !line.starts_with('#'));
    let vectors: Vec<Vector> = lines.map(|(at, line)| Vector::read(at + 1, line, &ports, &names)).collect();
    assert!(vectors.len() >= VECTORS_MIN, "{} vectors", vectors.len());

    let mut config = runtime::Config::new(tests::data_dir().join("compiled"), Compiler::InProcess);
    config.outside = names.clone();
    let runtime = Runtime::new(config).expect("a runtime");
    let plugin = PluginSource::of_bytes("hostile", "1.0.0", suite::guest());
    let wrong: Vec<String> = futures::stream::iter(&vectors)
        .map(async |vector| {
            let ended = ask(&runtime, &plugin, &vector.url, &vector.more).await;
            match ended {
                Err((code, _)) if code == vector.code => Vec::new(),
                other => vec![format!("line {}: {} {other:?}", vector.line, vector.url)],
            }
        })
        .buffer_unordered(AT_ONCE)
        .concat()
        .await;
    assert!(wrong.is_empty(), "{} of {}:\n{}", wrong.len(), vectors.len(), wrong.join("\n"));

    // At the socket: what stood leads to the one server that may be reached, and who listens elsewhere heard nobody.
    let connected = names.connected();
    let refused: Vec<&SocketAddr> = connected.iter().filter(|peer| **peer != server.address).collect();
    assert!(refused.is_empty(), "connections to refused addresses: {refused:?}");
    let admitted = names.admitted();
    let handed_out: Vec<_> = admitted.iter().filter(|(_, ip)| *ip != server.address.ip()).collect();
    assert!(handed_out.is_empty(), "handed out to be dialled: {handed_out:?}");
    assert_eq!((heard.load(Ordering::SeqCst), runtime.status().connections_refused), (0, 0));

    let arrived: Vec<String> = futures::stream::iter(&vectors)
        .map(async |vector| {
            let (url, more) = vector.twin(ports.open);
            names.teach(&format!("twin{}.{NAMED}", vector.line), &[&["127.0.0.1"]]);
            match ask(&runtime, &plugin, &url, &more).await {
                Ok(answer) if answer.contains("200 arrived") => Vec::new(),
                other => vec![format!("twin of line {}: {url} {more:?} {other:?}", vector.line)],
            }
        })
        .buffer_unordered(AT_ONCE)
        .concat()
        .await;
    assert!(arrived.is_empty(), "{}", arrived.join("\n"));
    eprintln!(
        "{} vectors refused, {} twins arrived; {} connections, all to the server that is granted ({} requests), 0 to others",
        vectors.len(),
        vectors.len(),
        names.connected().len(),
        server.count()
    );
    four.1.abort();
    if let Some((_, listening)) = six {
        listening.abort();
    }
    server.end().await;
}
