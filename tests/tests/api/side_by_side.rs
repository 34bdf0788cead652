//! Many versions of one plugin at once, under load: each task runs on the version its flow is locked to, and installing, upgrading and taking
//! away what nobody needs disturb none of it.

use std::collections::BTreeMap;

use serde_json::json;
use tests::guests::answering;
use tests::served::{Api, serving};

use super::versions::{uninstall, upload};

const PLUGIN: &str = "sidebyside";
const TYPE: &str = "com.example.sidebyside.Which";
/// Versions that are there from the beginning, and that come while work is under way.
const VERSIONS: u32 = 10;
const LATER: u32 = 5;
/// Executions of each flow in one round, and rounds.
const EACH: usize = 4;
const ROUNDS: usize = 5;

/// A version of a plugin that says which it is.
fn version(minor: u32) -> Vec<u8> {
    let manifest = json!({
        "abi": "1.0", "name": PLUGIN, "version": format!("1.{minor}.0"), "title": "Which",
        "tasks": [{ "type": TYPE, "effects": "none" }],
    });
    answering(&format!("{{\"says\":{minor}}}"), &manifest)
}

/// A flow whose two tasks run on two versions.
fn flow(first: u32) -> String {
    let second = (first + 1) % VERSIONS;
    let task = |id: &str, minor: u32| format!("{{id: {id}, type: {TYPE}, version: 1.{minor}.0}}");
    let tasks = format!("{}, {}", task("a", first), task("b", second));
    format!("{{id: f{first}, namespace: tests.api, tasks: [{tasks}]}}")
}

/// What the tasks of an execution said, or how it ended.
async fn said(api: &Api, flow: &str) -> Vec<i64> {
    let ended = api.run(&format!("tests.api/{flow}")).await;
    assert_eq!(ended["state"]["current"], "SUCCESS", "{ended}");
    let runs = ended["taskRunList"].as_array().cloned().unwrap_or_default();
    runs.iter().map(|run| run["outputs"]["says"].as_i64().expect("a number")).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
#[expect(clippy::print_stdout, reason = "figures of the bars")]
async fn ten_versions_run_beside_each_other_while_others_come_and_go() {
    serving(async |api| {
        for minor in 0..VERSIONS {
            upload(api, version(minor)).await.ok();
        }
        for first in 0..VERSIONS {
            api.save(&flow(first)).await;
        }
        let newest = format!("{{id: newest, namespace: tests.api, tasks: [{{id: a, type: {TYPE}}}]}}");
        api.save(&newest).await;
        let load = async {
            let mut ran = 0;
            for _ in 0..ROUNDS {
                let round = (0..VERSIONS).flat_map(|first| std::iter::repeat_n(first, EACH)).map(async |first| {
                    let expected = [i64::from(first), i64::from((first + 1) % VERSIONS)];
                    assert_eq!(said(api, &format!("f{first}")).await, expected, "flow f{first}");
                });
                ran += futures::future::join_all(round).await.len();
            }
            ran
        };
        let changes = async {
            // What a flow without a wish runs on: only ever what it was locked to, and never an older one again.
            let mut seen = BTreeMap::new();
            for minor in VERSIONS..VERSIONS + LATER {
                upload(api, version(minor)).await.ok();
                let before = said(api, "newest").await;
                api.post("flows/tests.api/newest/upgrade", "application/json", "").await.ok();
                seen.insert(minor, (before, said(api, "newest").await));
                if minor > VERSIONS {
                    // Still named by a revision of `newest`: not to be had.
                    uninstall(api, &[&format!("{PLUGIN}:1.{}.0", minor - 1)]).await.refused(409, "PLUGIN_STILL_NEEDED");
                }
            }
            seen
        };
        let (ran, seen) = futures::join!(load, changes);
        assert_eq!(ran, VERSIONS as usize * EACH * ROUNDS);
        for (minor, (before, after)) in seen {
            assert_eq!((before, after), (vec![i64::from(minor) - 1], vec![i64::from(minor)]));
        }
        println!("{ran} executions on {VERSIONS} versions, two in each, while {LATER} came: 0 dropped");
        // Nobody needs what only a flow that is gone had.
        api.delete("flows/tests.api/newest").await;
        uninstall(api, &[&format!("{PLUGIN}:1.{}.0", VERSIONS + LATER - 1)]).await.ok();
    })
    .await;
}
