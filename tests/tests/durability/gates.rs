//! External synchrony, gate by gate, on a store whose commits become durable only when the test says so.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use futures::StreamExt as _;
use model::ids::ExecutionId;
use model::state::State;
use reqwest::Method;
use store::embedded::{EmbeddedStore, Options as StoreOptions};
use store::{Durability, MemoryStore, Query, Store, View, rows};
use tests::served::{Answer, Api, Options, serving_with};
use tests::stand_in::StandIn;

use super::{LOOK, only_execution, state_of, until};

/// How long nothing must come while the disk stands still.
const STILL: std::time::Duration = std::time::Duration::from_millis(150);

/// A store, and a disk that stands still or not.
struct Disk {
    store: Arc<MemoryStore>,
    still: Arc<AtomicBool>,
}

impl Disk {
    fn stands_still(&self) {
        self.still.store(true, Ordering::SeqCst);
    }

    fn goes_on(&self) {
        self.still.store(false, Ordering::SeqCst);
    }
}

/// Runs a test against a node on such a disk.
async fn on_disk(test: impl AsyncFnOnce(&Api, &Disk)) {
    let store = Arc::new(MemoryStore::new(Durability::OnCommand));
    let disk = Disk { store: store.clone(), still: Arc::new(AtomicBool::new(false)) };
    let still = disk.still.clone();
    let syncing = tokio::spawn(async move {
        loop {
            if !still.load(Ordering::SeqCst) {
                store.make_durable(store.head());
            }
            tokio::time::sleep(LOOK).await;
        }
    });
    let options = Options { store: disk.store.clone(), ..Options::default() };
    serving_with(options, async |api| {
        test(api, &disk).await;
        disk.goes_on();
    })
    .await;
    syncing.abort();
}

const QUIET: &str =
    "id: quiet\nnamespace: gates\ntasks:\n  - {id: say, type: io.kestra.plugin.core.log.Log, message: hello}\n";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn answers_and_readers_wait_for_the_disk() {
    on_disk(async |api, disk| {
        api.save(QUIET).await;
        disk.stands_still();
        let mut start = Box::pin(api.post("executions/gates/quiet", "application/json", "{}"));
        let mut ended = None;
        // The execution runs to its end inside.
        let inside = async {
            until("the execution ends inside", async || {
                ended = only_execution(disk.store.as_ref()).await.filter(|(_, state)| state.is_terminal());
                ended.is_some()
            })
            .await;
            tokio::time::sleep(STILL).await;
        };
        tokio::select! {
            biased;
            answer = &mut start => panic!("the start was acknowledged: {}", answer.text),
            () = inside => {}
        }
        let (id, _) = ended.expect("it was seen");
        assert_eq!(api.get(&format!("executions/{id}")).await.status, 404, "a reader saw what could be lost");
        assert_eq!(api.get("executions/search?namespace=gates").await.ok()["total"], 0);
        assert_eq!(api.get(&format!("logs/{id}")).await.status, 404);
        disk.goes_on();
        let shown = start.await.ok();
        assert_eq!(shown["id"], id.as_str());
        assert_eq!(api.get(&format!("executions/{id}")).await.ok()["state"]["current"], "SUCCESS");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn saving_a_flow_waits_for_the_disk() {
    on_disk(async |api, disk| {
        disk.stands_still();
        let mut save = Box::pin(api.post("flows", "application/x-yaml", QUIET));
        tokio::select! {
            biased;
            answer = &mut save => panic!("the flow was acknowledged: {}", answer.text),
            () = tokio::time::sleep(STILL) => {}
        }
        disk.goes_on();
        save.await.ok();
    })
    .await;
}

/// Runs a request while the disk stands still, until something has happened inside: it must not be answered before the disk goes on.
async fn withheld(disk: &Disk, request: impl Future<Output = Answer>, inside: impl Future<Output = ()>) -> Answer {
    let mut request = Box::pin(request);
    let inside = async {
        inside.await;
        tokio::time::sleep(STILL).await;
    };
    tokio::select! {
        biased;
        answer = &mut request => panic!("it was answered before it was durable: {} {}", answer.status, answer.text),
        () = inside => {}
    }
    disk.goes_on();
    request.await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn webhooks_wait_for_the_disk() {
    on_disk(async |api, disk| {
        api.save(&format!(
            "{QUIET}triggers:\n  - {{id: hook, type: io.kestra.plugin.core.trigger.Webhook, key: open-sesame}}\n"
        ))
        .await;
        disk.stands_still();
        let call = api.post("executions/webhook/gates/quiet/open-sesame", "application/json", "{}");
        let begun = until("it runs inside", async || only_execution(disk.store.as_ref()).await.is_some());
        let id = withheld(disk, call, begun).await.ok()["id"].as_str().expect("an id").to_owned();
        assert_eq!(only_execution(disk.store.as_ref()).await.map(|(only, _)| only), Some(id));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_other_change_waits_for_the_disk() {
    on_disk(async |api, disk| {
        api.save(&format!(
            "{QUIET}triggers:\n  - {{id: daily, type: io.kestra.plugin.core.trigger.Schedule, cron: '0 3 * * *'}}\n"
        ))
        .await;
        let ended = api.run("gates/quiet").await["id"].as_str().expect("an id").to_owned();
        let cut =
            "--cut\r\nContent-Disposition: form-data; name=\"fileContent\"; filename=\"x\"\r\n\r\nx\r\n--cut--\r\n";
        let (json, yaml, form) = ("application/json", "application/x-yaml", "multipart/form-data; boundary=cut");
        let ids = "[{\"namespace\": \"gates\", \"id\": \"quiet\"}]";
        let (logs, execution) = (format!("logs/{ended}"), format!("executions/{ended}"));
        let changes: [(Method, &str, &str, &str); 13] = [
            (Method::POST, "namespaces", json, "{\"id\": \"gates\", \"variables\": {\"a\": 1}}"),
            (Method::PUT, "namespaces/gates", json, "{\"description\": \"d\"}"),
            (Method::DELETE, "namespaces/gates", json, ""),
            (Method::PUT, "namespaces/gates/kv/a", "text/plain", "1"),
            (Method::DELETE, "namespaces/gates/kv/a", json, ""),
            (Method::POST, "namespaces/gates/files?path=a", form, cut),
            (Method::PUT, "namespaces/gates/files?from=a&to=b", json, ""),
            (Method::DELETE, "namespaces/gates/files?path=b", json, ""),
            (Method::POST, "flows/disable/by-ids", json, ids),
            (
                Method::POST,
                "flows/bulk?delete=false",
                yaml,
                "id: other\nnamespace: gates\ntasks: [{id: t, type: io.kestra.plugin.core.log.Log, message: x}]\n",
            ),
            (Method::DELETE, "triggers/gates/quiet/daily", json, ""),
            (Method::DELETE, &logs, json, ""),
            (Method::DELETE, &execution, json, ""),
        ];
        for (method, path, content_type, body) in changes {
            disk.stands_still();
            let request = api.request(method.clone(), path).header("content-type", content_type).body(body.to_owned());
            let answer = withheld(disk, tests::served::send(request), async {}).await;
            assert!(answer.status < 300, "{method} {path}: {} {}", answer.status, answer.text);
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_done_to_executions_waits_for_the_disk() {
    on_disk(async |api, disk| {
        api.save("id: fails\nnamespace: gates\ntasks:\n  - {id: no, type: io.kestra.plugin.core.execution.Fail}\n")
            .await;
        let id = api.run("gates/fails").await["id"].as_str().expect("an id").to_owned();
        disk.stands_still();
        let path = format!("executions/{id}/restart");
        let restart = api.post(&path, "application/json", "");
        let store: &dyn Store = disk.store.as_ref();
        let runs = Query::TaskRuns(ExecutionId::trusted(&*id));
        let again = until("it ran again inside", async || {
            let runs = store.all::<rows::TaskRun>(View::Newest, runs.clone(), 10).await.expect("the store reads");
            runs.iter().any(|run| run.record.attempts.len() == 2)
        });
        assert_eq!(withheld(disk, restart, again).await.ok()["state"]["current"], "RESTARTED");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn events_wait_for_the_disk() {
    on_disk(async |api, disk| {
        api.save("id: slow\nnamespace: gates\ntasks:\n  - {id: nap, type: io.kestra.plugin.core.flow.Sleep, duration: PT0.3S}\n")
            .await;
        let started = api.post("executions/gates/slow", "application/json", "{}").await.ok();
        disk.stands_still();
        let id = started["id"].as_str().expect("an id").to_owned();
        let response = api.request(Method::GET, &format!("executions/{id}/follow")).send().await.expect("it answers");
        let mut stream = response.bytes_stream();
        let mut text = String::new();
        // All that comes while the disk stands still.
        loop {
            match tokio::time::timeout(STILL * 6, stream.next()).await {
                Ok(Some(piece)) => text.push_str(&String::from_utf8_lossy(&piece.expect("the stream goes on"))),
                Ok(None) => panic!("the stream ended: {text}"),
                Err(_) => break,
            }
        }
        assert_eq!(state_of(disk.store.as_ref(), View::Newest, &id).await, Some(State::Success), "it ended inside");
        assert!(!text.contains("SUCCESS"), "an event told what could be lost: {text}");
        disk.goes_on();
        while let Some(piece) = stream.next().await {
            text.push_str(&String::from_utf8_lossy(&piece.expect("the stream goes on")));
        }
        assert!(text.contains("event: end") && text.contains("SUCCESS"), "{text}");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn requests_of_guests_wait_for_the_disk() {
    let outside = StandIn::open().await;
    let address = outside.address;
    let store = Arc::new(MemoryStore::new(Durability::OnCommand));
    let scratch = tempfile::tempdir().expect("tests have a temporary folder");
    let options = Options { store: store.clone(), ..Options::default() };
    let config = server::Config {
        allow_net: vec![server::allow_net(&address.to_string()).expect("an address")],
        ..tests::served::config(options, scratch.path())
    };
    let node = server::Node::open(config).await.expect("an empty store opens");
    let saving = node.save_flow(
        "id: ask\nnamespace: gates\ninputs:\n  - {id: uri, type: URI}\ntasks:\n  - {id: ask, type: io.kestra.plugin.core.http.Request, uri: \"{{ inputs.uri }}?said={{ kv('said') }}\"}\n",
        server::Save::Any,
    );
    let durable = async {
        loop {
            tokio::time::sleep(LOOK).await;
            store.make_durable(store.head());
        }
    };
    tokio::select! {
        saved = saving => drop(saved.expect("the flow is right")),
        () = durable => {}
    }
    // A value that is not durable, which the request would tell.
    let mut batch = store::Batch::new();
    let now = node.now();
    let place = store::rows::NamespaceKey::main(model::ids::Namespace::trusted("gates"));
    batch.put(store::rows::Kv {
        place,
        key: "said".into(),
        revision: 1,
        value: expr::Value::from("secretly"),
        declared: None,
        description: None,
        created: now,
        updated: now,
        expires: None,
    });
    store.commit(batch).await.expect("it commits");
    let given = server::Given::Text(format!("http://{address}/"));
    let start = server::Start { inputs: vec![("uri".into(), given)], ..server::Start::of("gates", "ask") };
    let starter = node.clone();
    let running = tokio::spawn(async move { starter.run_to_end(start, super::WAIT).await });
    until("the guest asks to leave", async || {
        let changes = changes(store.as_ref()).await;
        changes.iter().any(|change| change.contains("effects_began"))
    })
    .await;
    tokio::time::sleep(STILL).await;
    assert_eq!(outside.count(), 0, "a request left before what it may tell was durable");
    store.make_durable(store.head());
    outside.came(1).await;
    until("the rest is durable", async || {
        store.make_durable(store.head());
        running.is_finished()
    })
    .await;
    let seen = running.await.expect("no panic").expect("it runs");
    assert_eq!(seen.execution.state(), State::Success);
    let ending = async {
        node.shutdown().await;
    };
    let durable = async {
        loop {
            store.make_durable(store.head());
            tokio::time::sleep(LOOK).await;
        }
    };
    tokio::select! {
        () = ending => {}
        () = durable => {}
    }
    outside.end().await;
}

/// The stored changes of the one execution, as their JSON.
async fn changes(store: &MemoryStore) -> Vec<String> {
    let Some((id, _)) = only_execution(store).await else { return Vec::new() };
    let query = store::Query::Changes { execution: model::ids::ExecutionId::trusted(id), after: 0 };
    let store: &dyn store::Store = store;
    let rows = store.all::<store::rows::Change>(View::Newest, query, 10_000).await.expect("the store reads");
    rows.iter().map(|row| row.change.json.to_string()).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn children_are_shown_when_they_are_durable() {
    on_disk(async |api, disk| {
        api.save(QUIET).await;
        api.save("id: parent\nnamespace: gates\ntasks:\n  - {id: sub, type: io.kestra.plugin.core.flow.Subflow, namespace: gates, flowId: quiet, wait: true}\n")
            .await;
        disk.stands_still();
        let mut run = Box::pin(api.run("gates/parent"));
        let inside = async {
            until("both end inside", async || {
                let filter = store::query::ExecutionFilter { kinds: Vec::new(), ..store::query::ExecutionFilter::default() };
                let store: &dyn store::Store = disk.store.as_ref();
                let query = store::Query::Executions(filter);
                let rows = store.all::<store::rows::Execution>(View::Newest, query, 10).await.expect("it reads");
                rows.len() == 2 && rows.iter().all(|row| row.record.state().is_terminal())
            })
            .await;
            tokio::time::sleep(STILL).await;
        };
        tokio::select! {
            biased;
            answer = &mut run => panic!("the end was told: {answer}"),
            () = inside => {}
        }
        assert_eq!(api.get("executions/search?namespace=gates").await.ok()["total"], 0);
        disk.goes_on();
        assert_eq!(run.await["state"]["current"], "SUCCESS");
        assert_eq!(api.get("executions/search?namespace=gates").await.ok()["total"], 2);
    })
    .await;
}

/// Nobody waits in between, so the journal is synced when the answer is, or when its time has come on a slow machine.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn flow_without_effects_needs_one_sync() {
    let folder = tempfile::tempdir().expect("tests have a temporary folder");
    // So long that on the slowest machine no sync comes by itself.
    let (store, _) = EmbeddedStore::open_folder(folder.path(), StoreOptions::default()).expect("an empty folder opens");
    let store = Arc::new(store);
    let options = Options { store: store.clone(), ..Options::default() };
    serving_with(options, async |api| {
        let mut source = String::from("id: forty\nnamespace: gates\ntasks:\n");
        for task in 0..40 {
            source.push_str(&format!("  - {{id: t{task}, type: io.kestra.plugin.core.debug.Return, format: x}}\n"));
        }
        api.save(&source).await;
        api.run("gates/forty").await;
        // By themselves commits are synced every 50 ms: the best of some rounds is the one that nothing held up.
        let mut fewest = u64::MAX;
        for _ in 0..10 {
            store.durable(store.head()).await.expect("the disk works");
            let before = store.stats().syncs;
            assert_eq!(api.run("gates/forty").await["state"]["current"], "SUCCESS");
            fewest = fewest.min(store.stats().syncs - before);
        }
        assert_eq!(fewest, 1, "a flow of 40 effect-free tasks");
    })
    .await;
}
