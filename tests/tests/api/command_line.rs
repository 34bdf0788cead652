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

/// A server elsewhere gets what it runs on from the command line, too.
#[tokio::test(flavor = "multi_thread", worker_threads = 3)]
async fn versions_come_and_go_from_the_command_line() {
    serving(async |api| {
        let folder = tempfile::tempdir().expect("a folder");
        let put = |name: &str, bytes: Vec<u8>| {
            let path = folder.path().join(name);
            std::fs::write(&path, bytes).expect("the folder takes files");
            path.to_string_lossy().into_owned()
        };
        let (seven, eight) = (put("seven.wasm", core_as("7.0.0")), put("eight.wasm", core_as("8.0.0")));
        let none = put("none.wasm", b"no component".to_vec());
        let refused = sluice(api, &["plugin", "install", &seven, &none]).await.exits(1);
        refused.complains(&["none.wasm` is not a plugin"]);
        let mixed = sluice(api, &["plugin", "install", &seven, "core@1.0.0"]).await.exits(1);
        mixed.complains(&["files are installed in a command of their own"]);
        sluice(api, &["plugin", "list"]).await.exits(0).says(&["core  1.1.0, 1.0.0  "]);

        let installed = sluice(api, &["plugin", "install", &seven, &eight]).await.exits(0);
        installed.says(&["installed core 7.0.0", "installed core 8.0.0"]);
        sluice(api, &["plugin", "install", &seven]).await.exits(0).says(&["already installed core 7.0.0"]);
        sluice(api, &["plugin", "list"]).await.exits(0).says(&["core  8.0.0, 7.0.0, 1.1.0, 1.0.0", "core.log.Log"]);
        let listed = sluice(api, &["plugin", "list", "--json", "--all"]).await.exits(0).json();
        let core =
            listed.as_array().and_then(|all| all.iter().find(|one| one["name"] == "core")).expect("core is there");
        assert_eq!(core["versions"][0], "8.0.0", "{listed}");

        // What an operator took back is not what a flow would get.
        sluice(api, &["plugin", "resolve", "core"]).await.exits(0).says(&["core  core 8.0.0  sha256 "]);
        sluice(api, &["plugin", "yank", "core@8.0.0", "--reason", "it is slow"]).await.exits(0);
        let resolved = sluice(api, &["plugin", "resolve", "core", "core@8.0.0", "core@^1"]).await.exits(1);
        resolved
            .says(&["core  core 7.0.0  sha256 ", "core@^1  core 1.1.0  sha256 "])
            .complains(&["core@8.0.0: ", "it is slow"]);

        sluice(api, &["plugin", "uninstall", "core@8.0.0"]).await.exits(0).says(&["uninstalled core 8.0.0"]);
        sluice(api, &["plugin", "uninstall", "core@1.0.0"]).await.exits(1).complains(&["it comes with Sluice"]);
        sluice(api, &["plugin", "list"]).await.exits(0).says(&["core  7.0.0, 1.1.0, 1.0.0"]);
    })
    .await;
}
