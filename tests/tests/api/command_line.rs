//! `sluice` where it asks a server: which versions flows run on, moving them, and what operators decide.

use tests::program::{Ran, command, end};
use tests::registered::core_as;
use tests::served::{Api, serving};

use super::versions::upload;

pub(super) async fn sluice(api: &Api, arguments: &[&str]) -> Ran {
    let server = format!("http://{}", api.address);
    let mut asked = command(arguments);
    asked.args(["--server", &server]);
    tokio::task::spawn_blocking(move || end(asked.spawn().expect("the program was just built")))
        .await
        .expect("no panic")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 3)]
async fn flows_are_moved_from_the_command_line() {
    serving(async |api| {
        let flow = |id: &str| format!("{{id: {id}, namespace: tests.api, tasks: [{{id: t, type: io.kestra.plugin.core.debug.Return, format: x}}]}}");
        api.save(&flow("a")).await;
        api.save(&flow("b")).await;
        sluice(api, &["plugin", "outdated"]).await.exits(0).says(&["every flow runs on what it would be saved with now"]);
        upload(api, core_as("7.0.0")).await.ok();
        let moves = "t  io.kestra.plugin.core.debug.Return  core 1.1.0 -> 7.0.0";
        sluice(api, &["plugin", "outdated"]).await.exits(0).says(&["tests.api/a  revision 1", moves, "tests.api/b", moves]);
        let rehearsed = sluice(api, &["flow", "upgrade", "--all", "--dry-run"]).await.exits(0);
        rehearsed.says(&["tests.api/a  revision 1", moves, "tests.api/b", "nothing was changed"]);
        sluice(api, &["flow", "upgrade", "tests.api/a"]).await.exits(0).says(&["tests.api/a  revision 2", moves]);
        sluice(api, &["flow", "upgrade", "tests.api/a"]).await.exits(0).says(&["tests.api/a  revision 2: nothing changes"]);
        let lock = sluice(api, &["flow", "lock", "tests.api/a"]).await.exits(0);
        lock.says(&["t  io.kestra.plugin.core.debug.Return  core 7.0.0  asked for LATEST  sha256 "]);
        let why = sluice(api, &["plugin", "why", "core"]).await.exits(0);
        why.says(&["core 7.0.0  needed by 1", "flow tests.api.a, revision 2", "core 1.1.0  needed by 2", "core 1.0.0  needed by 0"]);
        sluice(api, &["flow", "rollback", "tests.api/a", "1"]).await.exits(0).says(&["tests.api/a  revision 3", "core 7.0.0 -> 1.1.0"]);
        sluice(api, &["flow", "upgrade", "tests.api/b", "--plugin", "core@1.0.0"]).await.exits(0).says(&["core 1.1.0 -> 1.0.0"]);
        // One that is not there does not keep the others.
        let some = sluice(api, &["flow", "upgrade", "tests.api/none", "tests.api/b"]).await.exits(1);
        some.says(&["core 1.0.0 -> 7.0.0"]).complains(&["tests.api/none: no flow `tests.api.none`"]);
        sluice(api, &["flow", "upgrade", "none"]).await.exits(1).complains(&["`none` is not NAMESPACE/ID"]);
        sluice(api, &["flow", "lock", "tests.api/../a"]).await.exits(1).complains(&["is not NAMESPACE/ID"]);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 3)]
async fn operators_decide_from_the_command_line() {
    serving(async |api| {
        sluice(api, &["plugin", "pin", "core@1.0.0", "--reason", "until the audit"])
            .await
            .exits(0)
            .says(&["pin core 1.0.0: until the audit"]);
        sluice(api, &["plugin", "block", "http@<1.1", "--reason", "it leaks"]).await.exits(0);
        let rules = sluice(api, &["plugin", "rules"]).await.exits(0);
        rules.says(&["pin  core 1.0.0  until the audit  (local, ", "block  http <1.1  it leaks"]);
        sluice(api, &["plugin", "lift", "pin", "core@1.0.0"]).await.exits(0).says(&["lifted: pin core 1.0.0"]);
        sluice(api, &["plugin", "lift", "pin", "core@1.0.0"])
            .await
            .exits(1)
            .complains(&["there is no pin of plugin `core` 1.0.0"]);
        let log = sluice(api, &["plugin", "audit"]).await.exits(0);
        log.says(&["local  plugin.lift-pin  core 1.0.0", "local  plugin.block  http <1.1", "plugin.pin  core 1.0.0"]);
        sluice(api, &["plugin", "yank", "core", "--reason", "r"])
            .await
            .exits(1)
            .complains(&["`core` is not NAME@VERSIONS", "hint:"]);
        sluice(api, &["plugin", "yank", "core@1.0.0"]).await.exits(2).complains(&["--reason"]);
    })
    .await;
}

#[test]
fn server_that_is_not_there_is_told_of() {
    let ran = end(command(&["plugin", "rules", "--server", "http://127.0.0.1:9"])
        .spawn()
        .expect("the program was just built"));
    ran.exits(1).complains(&["cannot ask `http://127.0.0.1:9`", "hint: is `sluice server` running there?"]);
}
