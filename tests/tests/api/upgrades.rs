//! Flows that move to other plugin versions, and back, a revision each time.

use serde_json::{Value, json};
use tests::registered::core_as;
use tests::served::{Api, serving};

use super::versions::{uninstall, upload};

const FLOW: &str = "
id: moving
namespace: tests.api
tasks:
  - {id: t, type: io.kestra.plugin.core.debug.Return, format: x}
  - {id: asks, type: io.kestra.plugin.core.http.Request, uri: 'https://api.example.com', disabled: true}
";

const HELD: &str = "{id: held, namespace: tests.api, tasks: [{id: t, type: io.kestra.plugin.core.debug.Return, version: ^1, format: x}]}";

async fn change(api: &Api, what: &str) -> Value {
    api.post(&format!("flows/tests.api/moving/{what}"), "application/json", "").await.ok()
}

async fn locked(api: &Api) -> Value {
    api.get("flows/tests.api/moving/lock").await.ok()["tasks"]["t"]["version"].clone()
}

fn moves(from: &str, to: &str) -> Value {
    json!([{ "id": "t", "type": "io.kestra.plugin.core.debug.Return", "plugin": "core", "from": from, "to": to }])
}

#[tokio::test(flavor = "multi_thread")]
async fn flow_is_upgraded_and_rolled_back() {
    serving(async |api| {
        api.save(FLOW).await;
        api.save(HELD).await;
        assert_eq!(api.get("flows/outdated").await.ok()["total"], 0);
        upload(api, core_as("7.0.0")).await.ok();
        // Installing changes no flow. The one that asks for ^1 stays where it is.
        let outdated = api.get("flows/outdated").await.ok();
        assert_eq!(outdated["results"], json!([{ "namespace": "tests.api", "id": "moving", "revision": 1, "changes": moves("1.1.0", "7.0.0"), "message": null }]));
        assert_eq!(locked(api).await, "1.1.0");

        let told = change(api, "upgrade?dryRun=true").await;
        assert_eq!((&told["revision"], &told["changes"]), (&json!(1), &moves("1.1.0", "7.0.0")));
        // Of another plugin there is nothing to upgrade.
        let other = change(api, "upgrade?plugin=http").await;
        assert_eq!((&other["revision"], &other["changes"]), (&json!(1), &json!([])));
        let done = change(api, "upgrade").await;
        assert_eq!((&done["revision"], &done["changes"]), (&json!(2), &moves("1.1.0", "7.0.0")));
        assert_eq!(locked(api).await, "7.0.0");
        assert_eq!(api.run("tests.api/moving").await["flowRevision"], 2);
        assert_eq!(change(api, "upgrade").await["revision"], 2, "there is nothing more to do");

        let back = change(api, "rollback?revision=1").await;
        assert_eq!((&back["revision"], &back["changes"]), (&json!(3), &moves("7.0.0", "1.1.0")));
        let chosen = change(api, "upgrade?plugin=core@1.0.0").await;
        assert_eq!((&chosen["revision"], &chosen["changes"]), (&json!(4), &moves("1.1.0", "1.0.0")));
        assert_eq!(api.run("tests.api/moving").await["state"]["current"], "SUCCESS");
        // The second revision can be gone back to: it still needs the version.
        uninstall(api, &["core:7.0.0"]).await.refused(409, "PLUGIN_STILL_NEEDED");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn upgrades_that_cannot_be_change_nothing() {
    serving(async |api| {
        api.save(HELD).await;
        upload(api, core_as("7.0.0")).await.ok();
        let post = async |what: &str| api.post(&format!("flows/tests.api/held/{what}"), "application/json", "").await;
        let problems = post("upgrade?plugin=core@7.0.0").await.refused(422, "flow.upgrade");
        assert!(problems[0]["message"].as_str().is_some_and(|text| text.contains("asks for `^1`")), "{problems:?}");
        let problems = post("upgrade?plugin=core@1.5.0").await.refused(422, "flow.upgrade");
        assert_eq!((&problems[0]["path"], &problems[0]["code"]), (&json!("`t`"), &json!("PLUGIN_NO_MATCHING_VERSION")));
        post("upgrade?plugin=core@seven").await.refused(422, "plugin.coordinate");
        post("upgrade?plugin=nosuch").await.refused(404, "not_found");
        post("rollback?revision=9").await.refused(404, "not_found");
        post("rollback").await.refused(400, "request.invalid");
        api.post("flows/tests.api/nosuch/upgrade", "application/json", "").await.refused(404, "not_found");
        assert_eq!(api.get("flows/tests.api/held").await.ok()["revision"], 1);

        // Where a flow was deleted there is nothing to go back to; before that there is.
        assert_eq!(api.delete("flows/tests.api/held").await.status, 204);
        api.save(&HELD.replace("format: x", "format: y")).await;
        post("rollback?revision=2").await.refused(422, "flow.rollback");
        let back = post("rollback?revision=1").await.ok();
        assert_eq!((&back["revision"], &back["changes"]), (&json!(4), &json!([])));
        assert!(api.get("flows/tests.api/held?source=true").await.text.contains("format: x"));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn upgrade_keeps_to_rules_and_undoes_nobodys_work() {
    serving(async |api| {
        api.save(FLOW).await;
        upload(api, core_as("7.0.0")).await.ok();
        let rule = json!({ "action": "yank", "plugin": "core", "versions": "7.0.0", "reason": "it loses mail" });
        let path = "/api/v1/cluster/versioned-plugins/rules";
        api.put(path, "application/json", rule.to_string()).await.ok();
        let named = api.post("flows/tests.api/moving/upgrade?plugin=core@7.0.0", "application/json", "").await;
        let problems = named.refused(422, "flow.upgrade");
        assert_eq!((&problems[0]["code"], &problems[0]["path"]), (&json!("PLUGIN_YANKED"), &json!("`t`")));
        assert_eq!(change(api, "upgrade").await["changes"], json!([]));

        // What was worked out from a revision is not saved on top of another.
        api.put("flows/tests.api/moving", "application/x-yaml", FLOW.replace("format: x", "format: y")).await.ok();
        let late = api.node.save_flow(FLOW, server::Save::Revision(1)).await.expect_err("it is the second by now");
        assert_eq!(late.code(), "flow.conflict");
        assert!(api.get("flows/tests.api/moving?source=true").await.text.contains("format: y"));
    })
    .await;
}
