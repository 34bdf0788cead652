//! A disk that is full: refused in words, ready again by itself, and nothing of what was acknowledged touched (F20).

use std::sync::Arc;

use store::embedded::disk::simulated::{Faults, SimulatedDisk};
use store::embedded::{EmbeddedStore, Options as StoreOptions, RunsShelf};
use tests::served::{Options, serving_with};

use super::until;

const QUIET: &str =
    "id: quiet\nnamespace: full\ntasks:\n  - {id: say, type: io.kestra.plugin.core.log.Log, message: hello}\n";
/// A flow that is under way when the disk fills up.
const NAP: &str = "id: nap\nnamespace: full\ntasks:\n  - {id: nap, type: io.kestra.plugin.core.flow.Sleep, duration: PT0.5S}\n  - {id: after, type: io.kestra.plugin.core.debug.Return, format: done}\n";

/// More at once than a server takes is refused, to be asked for again; when something has ended there is room.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn too_many_at_once_are_asked_to_come_back() {
    serving_with(Options { live_max: Some(2), ..Options::default() }, async |api| {
        api.save(NAP).await;
        for _ in 0..2 {
            api.post("executions/full/nap", "application/json", "{}").await.ok();
        }
        let refused = api.post("executions/full/nap", "application/json", "{}").await;
        assert_eq!(refused.header("retry-after"), "1");
        refused.refused(429, "busy");
        until("there is room again", async || {
            api.post("executions/full/nap", "application/json", "{}").await.status == 200
        })
        .await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn f20_full_disk_is_said_and_gets_over() {
    let disk = SimulatedDisk::new();
    let options = StoreOptions { reserve_bytes: 0, ..StoreOptions::default() };
    let (store, _) = EmbeddedStore::open(Arc::new(disk.clone()), &RunsShelf, options).expect("an empty disk opens");
    let store = Arc::new(store);
    serving_with(Options { store: store.clone(), ..Options::default() }, async |api| {
        api.save(QUIET).await;
        api.save(NAP).await;
        let before = api.run("full/quiet").await["id"].as_str().expect("an id").to_owned();
        let under_way = api.post("executions/full/nap", "application/json", "{}").await.ok();
        let under_way = under_way["id"].as_str().expect("an id").to_owned();

        disk.set_faults(Faults { capacity_bytes: Some(0), ..Faults::default() });
        // The journal has made some room ahead, which is still there.
        let mut refused = api.post("executions/full/quiet", "application/json", "{}").await;
        let mut taken = 0;
        while refused.status == 200 {
            taken += 1;
            assert!(taken < 10_000, "a full disk takes executions");
            refused = api.post("executions/full/quiet", "application/json", "{}").await;
        }
        assert_eq!(refused.header("retry-after"), "10");
        refused.refused(507, "store.full");
        assert_eq!(api.get("/health").await.status, 503);
        // What was acknowledged is still shown.
        assert_eq!(api.get(&format!("executions/{before}")).await.ok()["state"]["current"], "SUCCESS");

        disk.set_faults(Faults::default());
        until("the server is ready again", async || api.get("/health").await.status == 200).await;
        assert_eq!(api.run("full/quiet").await["state"]["current"], "SUCCESS");
        // What was under way was neither lost nor stuck.
        until("the nap ends", async || {
            api.get(&format!("executions/{under_way}")).await.ok()["state"]["current"] == "SUCCESS"
        })
        .await;
    })
    .await;
}
