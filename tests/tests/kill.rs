//! `kill -9` of a real server under load, again and again: nothing acknowledged is lost, nothing is doubled, nothing is stuck.
//!
//! A few kills with every `cargo test`; `KILLS=200 cargo test --release --workspace --locked --test kill -- --nocapture` is the whole campaign.
#![expect(clippy::print_stdout, reason = "a campaign says what it counted")]

use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufRead as _, BufReader};
use std::process::{Child, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use serde_json::Value;
use tests::program::command;
use tests::stand_in::StandIn;
use tokio::sync::Mutex;

/// Clients that start executions at the same time.
const CLIENTS: usize = 8;
/// Longest a server may take to say that it listens.
const START_MAX: Duration = Duration::from_secs(30);
/// Longest a server may take to end what was started.
const END_MAX: Duration = Duration::from_secs(120);
/// With so many executions under way the clients wait: a server that lives for half a second at a time ends fewer than it is given.
const UNDER_WAY_MAX: usize = 1_500;
/// And go on when so few are left.
const UNDER_WAY_LEFT: usize = 300;

/// Flows, and how many task runs each must have at its end.
const FLOWS: [(&str, usize, &str); 4] = [
    (
        "quick",
        2,
        "id: quick\nnamespace: kill\ntasks:\n  - {id: a, type: io.kestra.plugin.core.debug.Return, format: x}\n  - {id: b, type: io.kestra.plugin.core.debug.Return, format: \"{{ outputs.a.value }}\"}\n",
    ),
    (
        "naps",
        3,
        "id: naps\nnamespace: kill\ntasks:\n  - {id: a, type: io.kestra.plugin.core.flow.Sleep, duration: PT0.15S}\n  - {id: b, type: io.kestra.plugin.core.debug.Return, format: x}\n  - {id: c, type: io.kestra.plugin.core.flow.Sleep, duration: PT0.05S}\n",
    ),
    (
        "parent",
        1,
        "id: parent\nnamespace: kill\ntasks:\n  - {id: sub, type: io.kestra.plugin.core.flow.Subflow, namespace: kill, flowId: quick, wait: true, transmitFailed: true}\n",
    ),
    (
        "asks",
        1,
        "id: asks\nnamespace: kill\ninputs:\n  - {id: uri, type: URI}\ntasks:\n  - {id: ask, type: io.kestra.plugin.core.http.Request, uri: \"{{ inputs.uri }}\", headers: {x-key: \"{{ taskrun.id }}\"}}\n",
    ),
];

struct Server {
    child: Child,
    base: String,
    /// From the start of the process to its first line.
    ready: Duration,
}

fn start(store: &str, outside: &str) -> Server {
    // What has to be built first is no part of a start.
    let mut server = command(&["server", "--listen", "127.0.0.1:0", "--store", store, "--allow-net", outside]);
    let began = Instant::now();
    let spawned = server.stdout(Stdio::piped()).stderr(Stdio::inherit()).spawn();
    let mut child = spawned.expect("the program was just built");
    let mut line = String::new();
    let mut out = BufReader::new(child.stdout.take().expect("standard output is a pipe"));
    out.read_line(&mut line).expect("a line comes");
    let ready = began.elapsed();
    let address = line.split("http://").nth(1).unwrap_or_else(|| panic!("`{line}` names no address")).trim().to_owned();
    assert!(ready < START_MAX, "it took {ready:?} to start");
    Server { child, base: format!("http://{address}/api/v1/main"), ready }
}

fn kills() -> usize {
    std::env::var("KILLS").ok().and_then(|number| number.parse().ok()).unwrap_or(4)
}

/// Starts executions until told to stop; notes what was acknowledged.
async fn load(
    client: reqwest::Client,
    base: String,
    outside: String,
    stop: Arc<AtomicBool>,
    turn: Arc<AtomicUsize>,
    acknowledged: Arc<Mutex<BTreeMap<String, usize>>>,
) {
    while !stop.load(Ordering::SeqCst) {
        let which = turn.fetch_add(1, Ordering::SeqCst) % FLOWS.len();
        let Some((flow, _, _)) = FLOWS.get(which) else { return };
        let body = match *flow {
            "asks" => serde_json::json!({ "uri": format!("http://{outside}/") }).to_string(),
            _ => "{}".to_owned(),
        };
        let request = client.post(format!("{base}/executions/kill/{flow}"));
        let sent = request.header("content-type", "application/json").body(body).send().await;
        // An answer that breaks off was none.
        let Ok(response) = sent else { continue };
        let status = response.status();
        let Ok(text) = response.text().await else { continue };
        assert!(status.is_success(), "{status}: {text}");
        let answer: Value = serde_json::from_str(&text).expect("a whole answer is JSON");
        acknowledged.lock().await.insert(answer["id"].as_str().expect("an id").to_owned(), which);
    }
}

/// Looks at executions that were acknowledged until only so many are not over; those that are, ended well and once.
async fn look_until(client: &reqwest::Client, base: &str, left: &mut BTreeMap<String, usize>, few: usize) {
    let began = Instant::now();
    while left.len() > few {
        assert!(began.elapsed() < END_MAX, "{} executions are stuck, such as {:?}", left.len(), left.iter().next());
        for (id, which) in left.clone() {
            let answer = client.get(format!("{base}/executions/{id}")).send().await.expect("it answers");
            assert_eq!(answer.status().as_u16(), 200, "execution {id} was acknowledged and is lost");
            let text = answer.text().await.expect("the answer is whole");
            let execution: Value = serde_json::from_str(&text).expect("JSON");
            let state = execution["state"]["current"].as_str().unwrap_or_default().to_owned();
            if !["SUCCESS", "FAILED", "KILLED", "WARNING"].contains(&state.as_str()) {
                continue;
            }
            assert_eq!(state, "SUCCESS", "{execution}");
            let runs = execution["taskRunList"].as_array().map_or(0, Vec::len);
            assert_eq!(Some(runs), FLOWS.get(which).map(|(_, runs, _)| *runs), "doubled or missing: {execution}");
            left.remove(&id);
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_acknowledged_is_lost() {
    let folder = tempfile::tempdir().expect("a folder");
    let store = folder.path().to_str().expect("UTF-8").to_owned();
    let outside = StandIn::open().await;
    let address = outside.address.to_string();
    // Saying so twice is no error.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let client = reqwest::Client::builder().no_proxy().timeout(Duration::from_secs(20)).build().expect("a client");
    let acknowledged: Arc<Mutex<BTreeMap<String, usize>>> = Arc::default();
    let turn = Arc::new(AtomicUsize::new(0));
    let mut recoveries = Vec::new();
    let (mut known, mut left) = (BTreeSet::new(), BTreeMap::new());
    let mut server = start(&store, &address);
    for (_, _, source) in FLOWS {
        let saved = client.post(format!("{}/flows", server.base)).header("content-type", "application/x-yaml");
        let saved = saved.body(source).send().await.expect("it answers");
        assert!(saved.status().is_success(), "{}", saved.text().await.unwrap_or_default());
    }
    for kill in 0..kills() {
        let stop = Arc::new(AtomicBool::new(false));
        let clients: Vec<_> = (0..CLIENTS)
            .map(|_| {
                let (client, base, outside) = (client.clone(), server.base.clone(), address.clone());
                tokio::spawn(load(client, base, outside, stop.clone(), turn.clone(), acknowledged.clone()))
            })
            .collect();
        // Moments spread over what a server does: from the first answers to well under way.
        tokio::time::sleep(Duration::from_millis(20 + (kill as u64 * 137) % 400)).await;
        server.child.kill().expect("it runs");
        server.child.wait().expect("it was ours");
        stop.store(true, Ordering::SeqCst);
        for client in clients {
            client.await.expect("no client panics");
        }
        server = start(&store, &address);
        recoveries.push(server.ready);
        for (id, which) in acknowledged.lock().await.iter() {
            if known.insert(id.clone()) {
                left.insert(id.clone(), *which);
            }
        }
        if left.len() > UNDER_WAY_MAX {
            look_until(&client, &server.base, &mut left, UNDER_WAY_LEFT).await;
        }
    }
    let acknowledged = acknowledged.lock().await.clone();
    // All of them once more: what had ended well must be there after the kills that followed, too.
    left = acknowledged.clone();
    look_until(&client, &server.base, &mut left, 0).await;
    server.child.kill().expect("it runs");
    server.child.wait().expect("it was ours");
    recoveries.sort();
    let p99 = recoveries.get(recoveries.len() * 99 / 100).copied().unwrap_or_default();
    println!(
        "{} kills, {} executions acknowledged: 0 lost, 0 doubled, 0 stuck; recovery p99 {} ms; {} requests left for {} task runs",
        kills(),
        acknowledged.len(),
        p99.as_millis(),
        outside.count(),
        acknowledged.values().filter(|which| **which == 3).count(),
    );
    assert!(!acknowledged.is_empty(), "no load came through");
    outside.end().await;
}
