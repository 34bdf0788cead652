//! Plugin versions that come and go while the server runs.

use catalog::Offer;
use reqwest::Method;
use serde_json::{Value, json};
use tests::registered::{by, core_as};
use tests::served::{Answer, Api, send, serving};

const AT: &str = "/api/v1/cluster/versioned-plugins";
const RETURN: &str = "io.kestra.plugin.core.debug.Return";

/// A form of one field, a file if it has a name.
async fn form(api: &Api, file: Option<&str>, content: &[u8]) -> Answer {
    let name = file.map(|name| format!("; filename=\"{name}\"")).unwrap_or_default();
    let head = format!("--edge\r\nContent-Disposition: form-data; name=\"file\"{name}\r\n\r\n");
    let body = [head.as_bytes(), content, b"\r\n--edge--\r\n"].concat();
    api.post(&format!("{AT}/upload"), "multipart/form-data; boundary=edge", body).await
}

pub(super) async fn upload(api: &Api, component: Vec<u8>) -> Answer {
    form(api, Some("plugin.wasm"), &component).await
}

async fn named(api: &Api, method: Method, what: &str, plugins: &Value) -> Answer {
    let request = api.request(method, &format!("{AT}/{what}")).header("content-type", "application/json");
    send(request.body(json!({ "plugins": plugins }).to_string())).await
}

pub(super) async fn uninstall(api: &Api, plugins: &[&str]) -> Answer {
    named(api, Method::DELETE, "uninstall", &json!(plugins)).await
}

fn flow(version: &str) -> String {
    format!("{{id: pinned, namespace: tests.api, tasks: [{{id: t, type: {RETURN}, version: '{version}', format: x}}]}}")
}

#[tokio::test(flavor = "multi_thread")]
async fn version_is_installed_used_and_uninstalled_while_the_server_runs() {
    serving(async |api| {
        let save = async || api.post("flows", "application/x-yaml", flow("7.0.0")).await;
        save().await.refused(422, "flow.invalid");
        let installed = upload(api, core_as("7.0.0")).await.ok();
        assert_eq!(installed["results"], json!([{ "name": "core", "version": "7.0.0", "alreadyInstalled": false }]));
        assert_eq!(upload(api, core_as("7.0.0")).await.ok()["results"][0]["alreadyInstalled"], true);
        save().await.ok();
        let ended = api.run("tests.api/pinned").await;
        assert_eq!(
            (&ended["state"]["current"], &ended["taskRunList"][0]["outputs"]["value"]),
            (&json!("SUCCESS"), &json!("x"))
        );
        assert_eq!(api.get("flows/tests.api/pinned/lock").await.ok()["tasks"]["t"]["version"], "7.0.0");

        // Who looks finds it, and the newest first.
        let newest = |list: &Value| list["versions"][0].clone();
        assert_eq!(newest(&api.get(&format!("plugins/{RETURN}/versions")).await.ok()), "7.0.0");
        api.get("plugins/no.such.Type/versions").await.refused(404, "not_found");
        let of_core = newest(&api.get(&format!("{AT}/core")).await.ok());
        assert_eq!(
            (&of_core["artifact"]["version"], &of_core["artifact"]["installed"]),
            (&json!("7.0.0"), &json!(true))
        );
        let manifest = api.get(&format!("{AT}/core/7.0.0")).await.ok();
        assert_eq!(manifest["manifest"]["version"], "7.0.0");
        api.get(&format!("{AT}/core/8.0.0")).await.refused(404, "not_found");
        let list = api.get(AT).await.ok();
        assert!(
            list["results"]
                .as_array()
                .is_some_and(|all| all.iter().any(|one| one["name"] == "core" && one["versions"][0] == "7.0.0")),
            "{list}"
        );

        // As long as the flow is there it stays.
        let refused = uninstall(api, &["core:7.0.0"]).await;
        assert!(refused.text.contains("flow tests.api.pinned, revision 1"), "{}", refused.text);
        refused.refused(409, "PLUGIN_STILL_NEEDED");
        assert_eq!(api.delete("flows/tests.api/pinned").await.status, 204);
        assert_eq!(
            uninstall(api, &["core:7.0.0"]).await.ok()["results"],
            json!([{ "name": "core", "version": "7.0.0" }])
        );
        uninstall(api, &["core:7.0.0"]).await.refused(404, "not_found");
        save().await.refused(422, "flow.invalid");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn live_execution_of_a_deleted_flow_keeps_its_version() {
    serving(async |api| {
        upload(api, core_as("7.0.0")).await.ok();
        let source = flow("7.0.0").replace("tasks: [", "tasks: [{id: gate, type: io.kestra.plugin.core.flow.Pause}, ");
        api.save(&source).await;
        let begun = api.post("executions/tests.api/pinned", "application/json", "").await.ok();
        let id = begun["id"].as_str().expect("an id");
        let path = format!("executions/{id}");
        api.until(&path, |shown| shown["state"]["current"] == "PAUSED").await;
        assert_eq!(api.delete("flows/tests.api/pinned").await.status, 204);
        let refused = uninstall(api, &["core:7.0.0"]).await;
        assert!(refused.text.contains(&format!("execution {id} of flow tests.api.pinned")), "{}", refused.text);
        api.post(&format!("{path}/resume"), "application/json", "").await;
        api.until(&path, |shown| shown["state"]["current"] == "SUCCESS").await;
        uninstall(api, &["core:7.0.0"]).await.ok();
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_installed_leaves_nothing() {
    serving(async |api| {
        let before = api.get(AT).await.ok();
        upload(api, b"no component".to_vec()).await.refused(422, "PLUGIN_NOT_A_COMPONENT");
        let whole = core_as("7.0.0");
        upload(api, whole[..whole.len() / 2].to_vec()).await.refused(422, "PLUGIN_NOT_A_COMPONENT");
        // A version that is there with other bytes, and a task type that is another's.
        let shipped = core_as("1.1.0");
        let manifest = String::from_utf8_lossy(catalog::manifest_section(&shipped).expect("a manifest")).into_owned();
        let changed = manifest.replacen("Return a value", "Return something", 1);
        assert_ne!(manifest, changed);
        upload(api, catalog::embed(&shipped, changed.as_bytes()).expect("a component"))
            .await
            .refused(409, "PLUGIN_VERSION_CHANGED");
        let thief = manifest.replacen("\"name\":\"core\"", "\"name\":\"thief\"", 1);
        assert_ne!(manifest, thief);
        upload(api, catalog::embed(&shipped, thief.as_bytes()).expect("a component"))
            .await
            .refused(409, "TASK_TYPE_TAKEN");
        form(api, None, b"true").await.refused(422, "plugin.no_file");
        assert_eq!(api.get(AT).await.ok(), before);
    })
    .await;
}

#[tokio::test]
async fn coordinates_are_resolved_and_all_that_are_wrong_are_told() {
    serving(async |api| {
        let resolve = async |plugins: Value| named(api, Method::POST, "resolve", &plugins).await;
        let found =
            resolve(json!(["core", "core:^1.0, <1.1", "core:OLDEST", "core:9.9.9", "nosuch:LATEST"])).await.ok();
        let versions: Vec<&Value> =
            found["results"].as_array().expect("a list").iter().map(|one| &one["resolvedVersion"]).collect();
        assert_eq!(versions, [&json!("1.1.0"), &json!("1.0.0"), &json!("1.0.0"), &Value::Null, &Value::Null]);
        let problems = resolve(json!(["core:^x", "core:1.0.0", "core:>"])).await.refused(422, "plugins.refused");
        assert_eq!(problems.iter().map(|one| &one["path"]).collect::<Vec<_>>(), ["plugins[0]", "plugins[2]"]);
        resolve(json!([])).await.refused(422, "plugin.coordinate");
        let problems = uninstall(api, &["core", "core:1"]).await.refused(422, "plugins.refused");
        assert_eq!(problems.len(), 2);
        let problems = uninstall(api, &["core:1.0.0", "http:1.0.0"]).await.refused(422, "plugins.refused");
        assert!(
            problems.iter().all(|one| one["message"].as_str().is_some_and(|text| text.contains("comes with Sluice"))),
            "{problems:?}"
        );
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn version_that_another_process_installs_is_noticed() {
    serving(async |api| {
        let node = api.node.clone();
        let looking = tokio::spawn(async move { node.notice_plugins().await });
        api.node.catalog().install(&[Offer::new(core_as("7.0.0"), "test")], by()).expect("it can be installed");
        let path = format!("plugins/{RETURN}/versions");
        api.until(&path, |list| list["versions"][0] == "7.0.0").await;
        looking.abort();
        assert!(looking.await.is_err_and(|error| error.is_cancelled()));
    })
    .await;
}
