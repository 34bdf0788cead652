//! The life of nodes: an end in good order, a sudden one, and a node that comes back too late.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use model::ids::{FlowId, FlowKey, Namespace, TENANT};
use model::state::State;
use server::{Clock, Config, Given, Node, Save, Seen, Start, SystemClock};
use store::embedded::{EmbeddedStore, Options as StoreOptions};
use store::rows::{self, NodeId};
use store::{MemoryStore, Query, Store, View};
use tests::held::Held;
use tests::served::Options;
use tests::stand_in::StandIn;

use super::{only_execution, until};

pub(super) const ASK: &str = "id: ask\nnamespace: life\ninputs:\n  - {id: uri, type: URI}\ntasks:\n  - {id: ask, type: io.kestra.plugin.core.http.Request, uri: \"{{ inputs.uri }}\", headers: {x-key: \"{{ taskrun.id }}\"}}\n  - {id: after, type: io.kestra.plugin.core.debug.Return, format: done}\n";

pub(super) fn config(store: Arc<dyn Store>, scratch: &tempfile::TempDir, outside: &StandIn) -> Config {
    Config {
        allow_net: vec![server::allow_net(&outside.address.to_string()).expect("an address")],
        grace: Duration::from_millis(50),
        encryption_keys: vec![[7; server::ENCRYPTION_KEY_BYTES]],
        ..tests::served::config(Options { store, ..Options::default() }, scratch.path())
    }
}

pub(super) async fn started(node: &Arc<Node>, flow: &str, inputs: Vec<(String, Given)>) -> String {
    let saved = node.save_flow(flow, Save::Any).await.expect("the flow is right");
    let start = Start { inputs, ..Start::of(saved.flow.key.namespace.to_string(), saved.flow.key.id.to_string()) };
    node.start(start).await.expect("it starts").to_string()
}

pub(super) fn uri(outside: &StandIn) -> Vec<(String, Given)> {
    vec![("uri".to_owned(), Given::Text(format!("http://{}/", outside.address)))]
}

pub(super) async fn ended(node: &Arc<Node>, id: &str) -> Seen {
    let id = model::ids::ExecutionId::trusted(id);
    tokio::time::timeout(super::WAIT, node.ended(&id)).await.expect("it ends").expect("it is there")
}

pub(super) fn embedded(folder: &tempfile::TempDir) -> Arc<EmbeddedStore> {
    let opened = EmbeddedStore::open_folder(folder.path(), StoreOptions::default());
    Arc::new(opened.expect("the folder opens").0)
}

pub(super) async fn close(store: Arc<EmbeddedStore>) {
    // What a node has begun lets go of the store a little after it was told to end, and later on a busy machine.
    let began = std::time::Instant::now();
    while Arc::strong_count(&store) > 1 && began.elapsed() < super::WAIT {
        tokio::time::sleep(super::LOOK).await;
    }
    Arc::into_inner(store).expect("nobody else has it").close().expect("it closes");
}

/// F28: an end in good order gives running attempts back; none of them is lost, and the next life runs them once more.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn f28_unfinished_attempts_are_given_back() {
    let (folder, scratch) = (tempfile::tempdir().expect("a folder"), tempfile::tempdir().expect("a folder"));
    let outside = StandIn::holding().await;
    let store = embedded(&folder);
    let node = Node::open(config(store.clone(), &scratch, &outside)).await.expect("it opens");
    let id = started(&node, ASK, uri(&outside)).await;
    outside.came(1).await;
    node.shutdown().await;
    drop(node);
    close(store).await;

    outside.answer();
    let store = embedded(&folder);
    let node = Node::open(config(store.clone(), &scratch, &outside)).await.expect("it opens");
    let seen = ended(&node, &id).await;
    assert_eq!(seen.execution.state(), State::Success);
    let ask = seen.runs.first().expect("a task run");
    assert_eq!(ask.attempts.len(), 1, "an attempt that was given back is not a lost one: {ask:?}");
    assert_eq!(outside.count(), 2);
    let keys = outside.keys();
    assert_eq!(keys[0], keys[1], "both bear the same idempotency key");
    node.shutdown().await;
    drop(node);
    close(store).await;
    outside.end().await;
}

/// F14 in part, F3: what waits for its time goes on in the next life.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn f03_timers_are_armed_again() {
    let (folder, scratch) = (tempfile::tempdir().expect("a folder"), tempfile::tempdir().expect("a folder"));
    let outside = StandIn::open().await;
    let store = embedded(&folder);
    let node = Node::open(config(store.clone(), &scratch, &outside)).await.expect("it opens");
    let flow = "id: nap\nnamespace: life\ntasks:\n  - {id: nap, type: io.kestra.plugin.core.flow.Sleep, duration: PT0.4S}\n  - {id: after, type: io.kestra.plugin.core.debug.Return, format: done}\n";
    let id = started(&node, flow, Vec::new()).await;
    node.shutdown().await;
    drop(node);
    close(store).await;
    let store = embedded(&folder);
    let node = Node::open(config(store.clone(), &scratch, &outside)).await.expect("it opens");
    assert_eq!(ended(&node, &id).await.execution.state(), State::Success);
    node.shutdown().await;
    drop(node);
    close(store).await;
    outside.end().await;
}

/// A clock whose alarms never ring: a node that is held up and renews nothing.
struct Stuck;

impl Clock for Stuck {
    fn now(&self) -> Timestamp {
        SystemClock.now()
    }

    fn until(&self, _due: Timestamp) -> std::pin::Pin<Box<dyn Future<Output = ()> + Send + '_>> {
        Box::pin(std::future::pending())
    }
}

/// A clock that is a minute ahead and rings often.
struct Ahead;

impl Clock for Ahead {
    fn now(&self) -> Timestamp {
        SystemClock.now() + jiff::SignedDuration::from_secs(60)
    }

    fn until(&self, _due: Timestamp) -> std::pin::Pin<Box<dyn Future<Output = ()> + Send + '_>> {
        Box::pin(tokio::time::sleep(Duration::from_millis(20)))
    }
}

/// F7: a node is held up beyond its leases; another takes its work over, and what the first one reports later is refused.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn f07_late_result_is_refused() {
    let scratch = tempfile::tempdir().expect("a folder");
    let outside = StandIn::holding().await;
    let store = Arc::new(MemoryStore::default());
    let late =
        Config { node: NodeId("late".into()), clock: Arc::new(Stuck), ..config(store.clone(), &scratch, &outside) };
    let late = Node::open(late).await.expect("it opens");
    let id = started(&late, ASK, uri(&outside)).await;
    outside.came(1).await;

    let other =
        Config { node: NodeId("other".into()), clock: Arc::new(Ahead), ..config(store.clone(), &scratch, &outside) };
    let other = Node::open(other).await.expect("it opens");
    outside.came(2).await;
    outside.answer();
    let seen = ended(&other, &id).await;
    assert_eq!(seen.execution.state(), State::Success);
    assert_eq!(seen.runs.len(), 2, "{:?}", seen.runs);
    // The late node has reported, or will: nothing of it may show.
    late.shutdown().await;
    let after = other.execution(&id).await.expect("it is there");
    assert_eq!(after.position, seen.position, "a late result changed something");
    assert_eq!(outside.count(), 2, "each node asked once");
    other.shutdown().await;
    outside.end().await;
}

/// F5: a node that is gone without a word. What it had begun is found by the next one and runs once more.
#[test]
fn f05_crash_while_a_guest_runs() {
    let (folder, scratch) = (tempfile::tempdir().expect("a folder"), tempfile::tempdir().expect("a folder"));
    let threads =
        || tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().expect("threads");
    let outer = threads();
    let outside = outer.block_on(StandIn::holding());
    let first = threads();
    let id = first.block_on(async {
        let node = Node::open(config(embedded(&folder), &scratch, &outside)).await.expect("it opens");
        let id = started(&node, ASK, uri(&outside)).await;
        outside.came(1).await;
        id
    });
    // Everything of the first node stops where it is.
    first.shutdown_timeout(Duration::from_secs(5));
    outside.answer();
    let second = threads();
    second.block_on(async {
        let store = embedded(&folder);
        let node = Node::open(config(store.clone(), &scratch, &outside)).await.expect("it opens");
        let seen = ended(&node, &id).await;
        assert_eq!(seen.execution.state(), State::Success);
        assert_eq!(outside.count(), 2, "it ran once in each life");
        let store: Arc<dyn Store> = store;
        until("nothing is left to do", async || {
            only_execution(store.as_ref()).await.is_some_and(|(_, state)| state.is_terminal())
        })
        .await;
        node.shutdown().await;
    });
    outer.block_on(outside.end());
}

/// F6: a crash after an effect. A task whose effects must not happen twice fails, and is never run again.
#[test]
fn f06_unknown_outcome_is_not_repeated() {
    let once = ASK.replace("{id: ask, type:", "{id: ask, effects: at-most-once, type:");
    let (folder, scratch) = (tempfile::tempdir().expect("a folder"), tempfile::tempdir().expect("a folder"));
    let threads =
        || tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().expect("threads");
    let outer = threads();
    let outside = outer.block_on(StandIn::holding());
    let first = threads();
    let id = first.block_on(async {
        let node = Node::open(config(embedded(&folder), &scratch, &outside)).await.expect("it opens");
        let id = started(&node, &once, uri(&outside)).await;
        outside.came(1).await;
        id
    });
    first.shutdown_timeout(Duration::from_secs(5));
    outside.answer();
    threads().block_on(async {
        let node = Node::open(config(embedded(&folder), &scratch, &outside)).await.expect("it opens");
        let seen = ended(&node, &id).await;
        assert_eq!(seen.execution.state(), State::Failed);
        let failure = seen.runs.first().and_then(|run| run.attempts.last()).and_then(|attempt| attempt.failure.clone());
        assert_eq!(failure.expect("it says why").code, "outcome-unknown");
        assert_eq!(outside.count(), 1, "its effect happened twice");
        node.shutdown().await;
    });
    outer.block_on(outside.end());
}

/// A slot is given back just after an execution looked for one, and before it is in the queue: who gave it back finds nobody to wake.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_execution_that_looked_too_early_does_not_stay_in_the_queue() {
    let scratch = tempfile::tempdir().expect("a folder");
    let outside = StandIn::holding().await;
    let store = Arc::new(Held::default());
    let node = Node::open(config(store.clone(), &scratch, &outside)).await.expect("it opens");
    let flow = format!("{ASK}concurrency: {{limit: 1, behavior: QUEUE}}\n");
    let first = started(&node, &flow, uri(&outside)).await;
    outside.came(1).await;

    store.hold();
    let second = tokio::spawn({
        let (node, inputs) = (node.clone(), uri(&outside));
        async move { node.start(Start { inputs, ..Start::of("life", "ask") }).await.expect("it starts").to_string() }
    });
    store.held().await;
    outside.answer();
    assert_eq!(ended(&node, &first).await.execution.state(), State::Success);
    until("the slot is back", async || {
        let flow = FlowKey { tenant: TENANT.into(), namespace: Namespace::trusted("life"), id: FlowId::trusted("ask") };
        let page = store::Page::first(10);
        let slots = (&*store as &dyn Store).list::<rows::UniqueKey>(View::Newest, Query::SlotsOf(flow), page).await;
        slots.expect("the store reads").items.is_empty()
    })
    .await;
    // Time for who gave it back to look into the queue.
    tokio::time::sleep(Duration::from_millis(100)).await;
    store.lets_go();

    let second = second.await.expect("it is told");
    let seen = ended(&node, &second).await;
    assert_eq!(seen.execution.state(), State::Success);
    let entries = seen.execution.history.entries();
    assert!(entries.iter().any(|(state, _)| *state == State::Queued), "{entries:?}");
    node.shutdown().await;
}
