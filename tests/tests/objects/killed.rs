//! `kill -9` of a real server while plans are carried out: what is stored then is all of a plan, or nothing of it.

use std::collections::BTreeSet;
use std::io::{BufRead as _, BufReader};
use std::process::{Child, Stdio};
use std::sync::Arc;
use std::time::Duration;

use model::ids::Namespace;
use serde_json::{Value, json};
use store::embedded::{EmbeddedStore, Options};
use store::query::NamespaceMatch;
use store::rows::{self, NamespaceKey};
use store::{Query, Store, View};
use tests::program::command;

use super::planner;

/// Flows, and as many files, of one plan.
const HALF: usize = 25;
/// Longest that what was begun may take after a start.
const END_MAX: Duration = Duration::from_secs(60);
/// Kills of a campaign.
const KILLS: u64 = 8;

struct Server {
    child: Child,
    base: String,
}

impl Drop for Server {
    /// As `kill -9` does.
    fn drop(&mut self) {
        self.child.kill().expect("it runs");
        self.child.wait().expect("it was ours");
    }
}

/// A server with what is installed in a folder.
fn start(store: &str, data: &std::path::Path) -> Server {
    let mut server = command(&["server", "--listen", "127.0.0.1:0", "--store", store]);
    server.env("SLUICE_DATA_DIR", data);
    let mut child = server.stdout(Stdio::piped()).stderr(Stdio::inherit()).spawn().expect("the program was just built");
    let mut line = String::new();
    let mut out = BufReader::new(child.stdout.take().expect("standard output is a pipe"));
    out.read_line(&mut line).expect("a line comes");
    let address = line.split("http://").nth(1).unwrap_or_else(|| panic!("`{line}` names no address")).trim().to_owned();
    Server { child, base: format!("http://{address}/api/v1/main") }
}

/// A flow whose every execution changes all of 50 things to say its number.
fn changes() -> String {
    let flows = (0..HALF).map(|number| super::save(&format!("f{number}"), "says-{{ inputs.number }}"));
    let files = (0..HALF)
        .map(|number| super::change("save", "file", &format!("{number}.txt"), Some("says-{{ inputs.number }}")));
    let task = json!({
        "id": "all", "type": "test.planner.Apply", "namespaces": ["site"], "sequence": 1,
        "changes": Value::from(flows.chain(files).collect::<Vec<Value>>()).to_string(),
    });
    json!({ "id": "changes", "namespace": "plans", "inputs": [{ "id": "number", "type": "INT" }], "tasks": [task] })
        .to_string()
}

/// What the flows and files say that are stored: how many there are, and the numbers.
async fn stored(folder: &std::path::Path) -> (usize, BTreeSet<String>) {
    let (store, _) = EmbeddedStore::open_folder(folder, Options::default()).expect("the folder opens");
    let store = Arc::new(store);
    let all: Arc<dyn Store> = store.clone();
    let place = NamespaceKey::main(Namespace::trusted("site"));
    let flows = Query::Flows { namespace: NamespaceMatch::Exact(place), deleted: false };
    let flows = all.all::<rows::Flow>(View::Newest, flows, 1_000).await.expect("the store reads");
    let files = all.all::<rows::File>(View::Newest, Query::Files { prefix: "main/site/_files/".into() }, 1_000);
    let files = files.await.expect("the store reads");
    let number = |text: &str| {
        text.split("says-").nth(1).and_then(|rest| rest.split(['}', '\n']).next()).unwrap_or("none").to_owned()
    };
    let mut said: BTreeSet<String> = flows.iter().map(|flow| number(&flow.source)).collect();
    for file in &files {
        let mut reader =
            all.read_blob(file.content.id.clone(), 0).await.expect("it reads").expect("its content is there");
        let mut text = Vec::new();
        while let Some(piece) = reader.read().await.expect("it reads") {
            text.extend_from_slice(&piece);
        }
        said.insert(number(&String::from_utf8_lossy(&text)));
    }
    drop(all);
    Arc::into_inner(store).expect("nobody else has it").close().expect("it closes");
    (flows.len() + files.len(), said)
}

/// Waits until so many executions have ended well.
async fn all_end(client: &reqwest::Client, base: &str, number: usize) {
    let began = std::time::Instant::now();
    loop {
        let shown = client.get(format!("{base}/executions/search?namespace=plans&size=100")).send().await;
        let shown = shown.expect("it answers").text().await.expect("the answer is whole");
        let shown: Value = serde_json::from_str(&shown).expect("JSON");
        let all = shown["results"].as_array().expect("a page of executions");
        let ended = |one: &&Value| one["state"]["current"] == "SUCCESS";
        if all.iter().filter(ended).count() == number {
            return;
        }
        let failed = all.iter().find(|one| one["state"]["current"] == "FAILED");
        assert!(failed.is_none(), "{failed:?}");
        assert!(began.elapsed() < END_MAX, "they do not end: {shown}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_kill_leaves_all_of_a_plan_or_nothing() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().to_str().expect("UTF-8").to_owned();
    let _ = rustls::crypto::ring::default_provider().install_default();
    let client = reqwest::Client::builder().no_proxy().timeout(Duration::from_secs(20)).build().expect("a client");
    let data = tempfile::tempdir().expect("a folder");
    let plugin = planner().to_str().expect("UTF-8").to_owned();
    let mut install = command(&["plugin", "install", &plugin]);
    let installed = install.env("SLUICE_DATA_DIR", data.path()).output().expect("the program was just built");
    assert!(installed.status.success(), "{}", String::from_utf8_lossy(&installed.stderr));
    let mut server = start(&path, data.path());
    let save =
        client.post(format!("{}/flows", server.base)).header("content-type", "application/x-yaml").body(changes());
    let saved = save.send().await.expect("it answers");
    assert!(saved.status().is_success(), "{}", saved.text().await.unwrap_or_default());
    let (mut number, mut seen) = (0, BTreeSet::new());
    for kill in 0..KILLS {
        // Several at once, so that some plan is always being carried out.
        for _ in 0..4 {
            number += 1;
            let form =
                format!("--cut\r\nContent-Disposition: form-data; name=\"number\"\r\n\r\n{number}\r\n--cut--\r\n");
            let started = client.post(format!("{}/executions/plans/changes", server.base));
            let started = started.header("content-type", "multipart/form-data; boundary=cut").body(form).send().await;
            assert!(started.expect("it answers").status().is_success());
        }
        tokio::time::sleep(Duration::from_millis(5 + kill * 31 % 160)).await;
        drop(server);
        let (count, said) = stored(folder.path()).await;
        assert!(count == 0 || count == 2 * HALF, "{count} of {} are there", 2 * HALF);
        assert!(said.len() <= 1, "parts of several plans are there: {said:?}");
        seen.extend(said);
        server = start(&path, data.path());
        // What was begun is carried out by the next life: each plan once, in some order.
        all_end(&client, &server.base, number).await;
    }
    drop(server);
    let (count, said) = stored(folder.path()).await;
    assert_eq!((count, said.len()), (2 * HALF, 1));
    assert!(seen.iter().all(|number| number.parse::<u64>().is_ok()), "{seen:?}");
}
