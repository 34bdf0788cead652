//! Lines of the failure table (reliability, section 3) that are about a server. F7, F28 are in `life`, F20 in `full`; what is the disk's is
//! tested with the store (`host/store/src/embedded/tests/failure_table.rs`), what needs a moment to be hit exactly, by the simulation.

use std::sync::Arc;

use model::state::State;
use server::{Given, Node, Search};
use store::embedded::EmbeddedStore;
use store::{Durability, MemoryStore, Query, Store, View, rows};
use tests::served::{Options, serving, serving_with};
use tests::stand_in::StandIn;

use super::life::{ASK, close, config, embedded, ended, started, uri};
use super::{only_execution, state_of, until};

const QUIET: &str =
    "id: quiet\nnamespace: life\ntasks:\n  - {id: say, type: io.kestra.plugin.core.log.Log, message: hello}\n";

/// Lives of one server in one folder.
struct Lives {
    folder: tempfile::TempDir,
    scratch: tempfile::TempDir,
    outside: StandIn,
}

impl Lives {
    async fn new(outside: StandIn) -> Self {
        Self {
            folder: tempfile::tempdir().expect("a folder"),
            scratch: tempfile::tempdir().expect("a folder"),
            outside,
        }
    }

    /// One life, ended in good order.
    async fn life<T>(&self, life: impl AsyncFnOnce(&Arc<Node>, &Arc<EmbeddedStore>) -> T) -> T {
        let store = embedded(&self.folder);
        let node = Node::open(config(store.clone(), &self.scratch, &self.outside)).await.expect("it opens");
        let done = life(&node, &store).await;
        node.shutdown().await;
        drop(node);
        close(store).await;
        done
    }
}

/// F1: the power goes before a start is durable. Nothing was told, and nothing is there.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn f01_power_cut_before_the_commit_of_a_start() {
    let scratch = tempfile::tempdir().expect("a folder");
    let outside = StandIn::open().await;
    let store = Arc::new(MemoryStore::new(Durability::OnCommand));
    let node = Node::open(config(store.clone(), &scratch, &outside)).await.expect("it opens");
    let starter = node.clone();
    let starting = tokio::spawn(async move { started(&starter, QUIET, Vec::new()).await });
    until("the flow is saved inside", async || store.head().0 > 0).await;
    store.make_durable(store.head());
    until("it runs inside", async || only_execution(store.as_ref()).await.is_some()).await;
    store.power_cut();
    assert!(starting.await.is_err(), "the start was acknowledged");
    assert!(only_execution(store.as_ref()).await.is_none(), "something is left of it");
    outside.end().await;
}

/// F2: the answer to a start is lost. The client asks again with the same key, and there is one execution.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn f02_start_asked_again_with_its_key() {
    serving(async |api| {
        api.save(QUIET).await;
        let start = async |key: &str| {
            let request = api.request(reqwest::Method::POST, "executions/life/quiet");
            let request = request.header("idempotency-key", key).header("content-type", "application/json").body("{}");
            tests::served::send(request).await
        };
        let (first, second) = tokio::join!(start("one"), start("one"));
        let (first, second) = (first.ok(), second.ok());
        assert_eq!(first["id"], second["id"]);
        assert_ne!(start("two").await.ok()["id"], first["id"]);
        assert_eq!(api.get("executions/search?namespace=life").await.ok()["total"], 2);
        start(&"x".repeat(300)).await.refused(422, "idempotency.key");
    })
    .await;
}

/// F17: a webhook is received, and the power goes before its execution is durable. The sender is not told that it worked, and nothing is there.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn f17_power_cut_before_the_commit_of_a_webhook() {
    let store = Arc::new(MemoryStore::new(Durability::OnCommand));
    let options = Options { store: store.clone(), ..Options::default() };
    serving_with(options, async |api| {
        let hook = "triggers:\n  - {id: hook, type: io.kestra.plugin.core.trigger.Webhook, key: open-sesame}\n";
        let flow = format!("{QUIET}{hook}");
        let save = api.save(&flow);
        let saved = async {
            until("the flow is saved inside", async || store.head().0 > 0).await;
            store.make_durable(store.head());
        };
        tokio::join!(save, saved);
        let call = api.post("executions/webhook/life/quiet/open-sesame", "application/json", "{}");
        let cut = async {
            until("it runs inside", async || only_execution(store.as_ref()).await.is_some()).await;
            store.power_cut();
        };
        let (answer, ()) = tokio::join!(call, cut);
        assert!(answer.status >= 500, "the webhook was acknowledged: {} {}", answer.status, answer.text);
        assert!(only_execution(store.as_ref()).await.is_none(), "something is left of it");
        // What is written behind the cut must not hold up the end of the server.
        tokio::spawn(async move {
            loop {
                store.make_durable(store.head());
                tokio::time::sleep(super::LOOK).await;
            }
        });
    })
    .await;
}

/// F13: a kill is asked for while the worker is dead. The next life ends it and never runs it again.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn f13_killed_work_is_not_run_again() {
    let lives = Lives::new(StandIn::holding().await).await;
    let id = lives
        .life(async |node, _| {
            let id = started(node, ASK, uri(&lives.outside)).await;
            lives.outside.came(1).await;
            node.kill(&id).await.expect("it can be killed");
            id
        })
        .await;
    lives
        .life(async |node, _| {
            let seen = ended(node, &id).await;
            assert_eq!(seen.execution.state(), State::Killed);
        })
        .await;
    assert_eq!(lives.outside.count(), 1, "what was killed ran again");
    lives.outside.end().await;
}

/// F14: a kill while a retry waits. Its timer and its slot are gone at once, in this life and in the next.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn f14_kill_during_a_retry_frees_the_slot() {
    const HOPELESS: &str = "id: hopeless\nnamespace: life\nconcurrency: {limit: 1, behavior: QUEUE}\ntasks:\n  - {id: fail, type: io.kestra.plugin.core.execution.Fail, retry: {type: constant, interval: PT1H, maxAttempts: 5}}\n";
    let lives = Lives::new(StandIn::open().await).await;
    let (first, second) = lives
        .life(async |node, store| {
            let first = started(node, HOPELESS, Vec::new()).await;
            until("it waits to try again", async || {
                let seen = node.execution(&first).await.expect("it is there");
                seen.runs.first().is_some_and(|run| run.state() == State::Retrying)
            })
            .await;
            let second = started(node, HOPELESS, Vec::new()).await;
            assert_eq!(state_of(store.as_ref(), View::Newest, &second).await, Some(State::Queued));
            node.kill(&first).await.expect("it can be killed");
            let killed = ended(node, &first).await;
            assert_eq!(killed.execution.state(), State::Killed);
            until("the second has the slot", async || {
                state_of(store.as_ref(), View::Newest, &second).await != Some(State::Queued)
            })
            .await;
            (first, second)
        })
        .await;
    lives
        .life(async |node, store| {
            assert_eq!(state_of(store.as_ref(), View::Newest, &first).await, Some(State::Killed));
            node.kill(&second).await.expect("it can be killed");
            ended(node, &second).await;
            let store: &dyn Store = store.as_ref();
            let flow = model::ids::FlowKey {
                tenant: model::ids::TENANT.into(),
                namespace: model::ids::Namespace::trusted("life"),
                id: model::ids::FlowId::trusted("hopeless"),
            };
            let slots = store.all::<rows::UniqueKey>(View::Newest, Query::SlotsOf(flow), 10).await.expect("it reads");
            assert!(slots.is_empty(), "slots leaked: {slots:?}");
            let timers = Query::TimersDue { until: jiff::Timestamp::MAX };
            let timers = store.all::<rows::Timer>(View::Newest, timers, 10).await.expect("it reads");
            assert!(timers.is_empty(), "timers leaked: {timers:?}");
        })
        .await;
    lives.outside.end().await;
}

/// F18: the parent's life ends while its subflow runs. The next life has the same child, once.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn f18_parent_finds_its_child_again() {
    const PARENT: &str = "id: parent\nnamespace: life\ninputs:\n  - {id: uri, type: URI}\ntasks:\n  - {id: sub, type: io.kestra.plugin.core.flow.Subflow, namespace: life, flowId: ask, wait: true, transmitFailed: true, inputs: {uri: \"{{ inputs.uri }}\"}}\n";
    let lives = Lives::new(StandIn::holding().await).await;
    let id = lives
        .life(async |node, _| {
            node.save_flow(ASK, server::Save::Any).await.expect("the flow is right");
            let id = started(node, PARENT, uri(&lives.outside)).await;
            lives.outside.came(1).await;
            id
        })
        .await;
    lives.outside.answer();
    lives
        .life(async |node, _| {
            assert_eq!(ended(node, &id).await.execution.state(), State::Success);
            let found = node.search_executions(&Search::default(), 0, 10).await.expect("it reads");
            assert_eq!(found.total, 2, "{found:?}");
        })
        .await;
    lives.outside.end().await;
}

/// F19: a crash in the middle of a ForEach. What is done is not done again.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn f19_done_iterations_are_not_run_again() {
    const EACH: &str = "id: each\nnamespace: life\ninputs:\n  - {id: uri, type: URI}\ntasks:\n  - id: each\n    type: io.kestra.plugin.core.flow.ForEach\n    concurrencyLimit: 1\n    values: [1, 2, 3, 4, 5, 6]\n    tasks:\n      - {id: ask, type: io.kestra.plugin.core.http.Request, uri: \"{{ inputs.uri }}\", headers: {x-key: \"{{ taskrun.value }}\"}}\n";
    let lives = Lives::new(StandIn::open().await).await;
    let id = lives
        .life(async |node, _| {
            let id = started(node, EACH, uri(&lives.outside)).await;
            lives.outside.came(3).await;
            id
        })
        .await;
    lives.life(async |node, _| assert_eq!(ended(node, &id).await.execution.state(), State::Success)).await;
    let mut keys = lives.outside.keys();
    assert!(keys.len() <= 7, "only the one that was under way may run again: {keys:?}");
    keys.dedup();
    assert_eq!(keys, ["1", "2", "3", "4", "5", "6"]);
    lives.outside.end().await;
}

/// F29: a flow is saved anew while an execution of its old revision waits for the next life: that one keeps revision and plugin bytes.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn f29_executions_keep_their_revision() {
    let naps = |version: &str| {
        format!(
            "id: naps\nnamespace: life\ntasks:\n  - {{id: nap, type: io.kestra.plugin.core.flow.Sleep, duration: PT0.3S}}\n  - {{id: say, type: io.kestra.plugin.core.debug.Return, version: \"{version}\", format: \"{version}\"}}\n"
        )
    };
    let lives = Lives::new(StandIn::open().await).await;
    let id = lives
        .life(async |node, _| {
            let id = started(node, &naps("1.0.0"), Vec::<(String, Given)>::new()).await;
            node.save_flow(&naps("1.1.0"), server::Save::Any).await.expect("the flow is right");
            id
        })
        .await;
    lives
        .life(async |node, _| {
            let seen = ended(node, &id).await;
            assert_eq!((seen.execution.state(), seen.execution.revision), (State::Success, 1));
            let said = seen.runs.last().expect("a task run").outputs.to_json();
            assert_eq!(said["value"], "1.0.0");
        })
        .await;
    lives.outside.end().await;
}
