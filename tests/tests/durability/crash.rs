//! Moments at which a server is gone without a word, between what it has committed and what it would have done next.

use std::sync::Arc;
use std::time::Duration;

use model::state::State;
use server::{Config, Given, Node, Start};
use store::{Query, Store, View, rows};
use tests::stand_in::StandIn;
use tokio::runtime::Runtime;

use super::life::{ASK, config, embedded, ended, started, uri};
use super::until;

const TWO: &str = "
id: two
namespace: life
inputs:
  - {id: first, type: URI}
  - {id: second, type: URI}
tasks:
  - {id: first, type: io.kestra.plugin.core.http.Request, uri: '{{ inputs.first }}'}
  - {id: second, type: io.kestra.plugin.core.http.Request, uri: '{{ inputs.second }}'}
  - {id: last, type: io.kestra.plugin.core.debug.Return, format: '{{ outputs.first.code }}'}
";

fn threads() -> Runtime {
    tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().expect("threads")
}

/// A life that ends in the middle of whatever it does.
fn cut_off<T>(life: impl Future<Output = T>) -> T {
    let threads = threads();
    let done = threads.block_on(life);
    threads.shutdown_timeout(Duration::from_secs(5));
    done
}

fn folders() -> (tempfile::TempDir, tempfile::TempDir) {
    (tempfile::tempdir().expect("a folder"), tempfile::tempdir().expect("a folder"))
}

/// F4: an attempt has its lease, and its guest has not started: there was no worker free. The next life runs it, and it ran in no other.
#[test]
fn f04_leased_work_that_never_began_runs_once() {
    let (folder, scratch) = folders();
    let outer = threads();
    let outside = outer.block_on(StandIn::holding());
    let (busy, waiting) = cut_off(async {
        let store = embedded(&folder);
        let one_worker = Config { workers: 1, ..config(store.clone(), &scratch, &outside) };
        let node = Node::open(one_worker).await.expect("it opens");
        let busy = started(&node, ASK, uri(&outside)).await;
        outside.came(1).await;
        let ask = Start { inputs: uri(&outside), ..Start::of("life", "ask") };
        let waiting = node.start(ask).await.expect("it starts").to_string();
        let store: Arc<dyn Store> = store;
        let leased = async || {
            let query = Query::LeasesOf(rows::NodeId("node".into()));
            store.all::<rows::Job>(View::Newest, query, 10).await.expect("the store reads").len() == 2
        };
        until("both are leased", leased).await;
        (busy, waiting)
    });
    outside.answer();
    threads().block_on(async {
        let node = Node::open(config(embedded(&folder), &scratch, &outside)).await.expect("it opens");
        for id in [&busy, &waiting] {
            assert_eq!(ended(&node, id).await.execution.state(), State::Success);
        }
        let keys = outside.keys();
        let run = ended(&node, &waiting).await.runs[0].id.to_string();
        assert_eq!(keys.iter().filter(|key| **key == run).count(), 1, "it asked outside once: {keys:?}");
        assert_eq!(outside.count(), 3, "the other one began in both lives");
        node.shutdown().await;
    });
    outer.block_on(outside.end());
}

/// F10: the result of a task is committed, and its server is gone before the next one is over. What is done stays done.
#[test]
fn f10_results_that_were_committed_are_not_made_again() {
    let (folder, scratch) = folders();
    let outer = threads();
    let (quick, slow) = outer.block_on(async { (StandIn::open().await, StandIn::holding().await) });
    let reaching = |store: Arc<dyn Store>| {
        let both = [&quick, &slow].map(|outside| server::allow_net(&outside.address.to_string()).expect("an address"));
        Config { allow_net: both.to_vec(), ..config(store, &scratch, &quick) }
    };
    let id = cut_off(async {
        let node = Node::open(reaching(embedded(&folder))).await.expect("it opens");
        let to = |name: &str, outside: &StandIn| (name.to_owned(), Given::Text(format!("http://{}/", outside.address)));
        let id = started(&node, TWO, vec![to("first", &quick), to("second", &slow)]).await;
        slow.came(1).await;
        id
    });
    slow.answer();
    threads().block_on(async {
        let node = Node::open(reaching(embedded(&folder))).await.expect("it opens");
        let seen = ended(&node, &id).await;
        assert_eq!(seen.execution.state(), State::Success);
        assert_eq!(quick.count(), 1, "the first was asked again");
        assert_eq!(slow.count(), 2, "the second runs once in each life");
        assert_eq!(seen.runs.last().map(|run| run.outputs.to_json()["value"].clone()), Some("200".into()));
        node.shutdown().await;
    });
    outer.block_on(async {
        quick.end().await;
        slow.end().await;
    });
}
