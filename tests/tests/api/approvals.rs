//! Versions that ask for more than the approved ones: held until somebody approves them, over the API and from the command line.

use reqwest::Method;
use serde_json::{Value, json};
use tests::program::{command, end, written};
use tests::registered::{by, core_as, core_asking};
use tests::served::{Answer, Api, Options, send, serving_with};

use super::command_line::sluice;
use super::versions::{uninstall, upload};

/// What the versions here ask for is the policy's to give, once they are approved.
const PROGRAMS: &str = "plugins: {core: {processes: true}}\n";
const AT: &str = "/api/v1/cluster/versioned-plugins";
const RETURN: &str = "io.kestra.plugin.core.debug.Return";

fn flow(id: &str, version: &str) -> String {
    format!("{{id: {id}, namespace: tests.api, tasks: [{{id: t, type: {RETURN}, version: '{version}', format: x}}]}}")
}

async fn decide(api: &Api, method: Method, version: &str, reason: &str) -> Answer {
    let decided = json!({ "plugin": "core", "version": version, "reason": reason });
    let request = api.request(method, &format!("{AT}/approvals")).header("content-type", "application/json");
    send(request.body(decided.to_string())).await
}

async fn save(api: &Api, id: &str, version: &str) -> Answer {
    api.post("flows", "application/x-yaml", flow(id, version)).await
}

fn with_programs() -> Options {
    Options { policy: Some(PROGRAMS.to_owned()), ..Options::default() }
}

#[tokio::test(flavor = "multi_thread")]
async fn version_that_asks_for_more_is_held_until_it_is_approved() {
    serving_with(with_programs(), async |api| {
        let beyond = json!({ "beyond": ["program `git`"], "withdrawn": null });
        let installed = upload(api, core_asking("7.0.0", "git")).await.ok();
        assert_eq!(installed["results"][0]["held"], beyond);
        upload(api, core_as("6.0.0")).await.ok();

        // What is looked at shows it; what chooses passes over it; who names it is told.
        let all = api.get(AT).await.ok();
        let core = all["results"].as_array().and_then(|all| all.iter().find(|one| one["name"] == "core")).cloned();
        assert_eq!(core.expect("core is there")["held"], json!(["7.0.0"]));
        let of_core = api.get(&format!("{AT}/core")).await.ok();
        assert_eq!(of_core["versions"][0]["artifact"]["held"], beyond);
        assert_eq!(of_core["versions"][1]["artifact"]["held"], Value::Null);
        let version = api.get(&format!("{AT}/core/7.0.0")).await.ok();
        assert!(
            version["asks"]
                .as_array()
                .expect("a list")
                .contains(&json!({ "capability": "program `git`", "beyond": true })),
            "{version}"
        );
        let held = api.get(&format!("{AT}/approvals")).await.ok();
        assert_eq!((&held["total"], &held["results"][0]["version"]), (&json!(1), &json!("7.0.0")));
        assert_eq!(api.get(&format!("plugins/{RETURN}/versions")).await.ok()["versions"][0], "6.0.0");
        save(api, "free", "LATEST").await.ok();
        assert_eq!(api.get("flows/tests.api/free/lock").await.ok()["tasks"]["t"]["version"], "6.0.0");
        let refused = save(api, "exact", "7.0.0").await;
        assert!(refused.text.contains("plugin `core` 7.0.0 is held"), "{}", refused.text);
        assert!(refused.text.contains("sluice plugin approve core@7.0.0"), "{}", refused.text);
        refused.refused(422, "flow.invalid");

        assert_eq!(decide(api, Method::POST, "7.0.0", "we have read it").await.ok()["total"], 0);
        save(api, "exact", "7.0.0").await.ok();
        assert_eq!(api.run("tests.api/exact").await["state"]["current"], "SUCCESS");

        assert_eq!(decide(api, Method::DELETE, "7.0.0", "it is loud").await.ok()["total"], 1);
        let ended = api.run("tests.api/exact").await;
        let failure = &ended["taskRunList"][0]["attempts"][0]["failure"];
        assert_eq!(failure["code"], "PLUGIN_HELD", "{ended}");
        assert!(failure["message"].as_str().is_some_and(|text| text.contains("it is loud")), "{failure}");

        let log = api.get(&format!("{AT}/audit")).await.ok();
        let actions: Vec<&Value> =
            log["results"].as_array().expect("a list").iter().map(|one| &one["action"]).collect();
        assert_eq!(actions, ["plugin.withdraw", "plugin.approve", "plugin.install", "plugin.install"]);
        assert_eq!(log["results"][1]["details"]["reason"], "we have read it");
        assert_eq!(log["results"][1]["details"]["beyond"], json!(["program `git`"]));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_decided_is_refused() {
    serving_with(with_programs(), async |api| {
        decide(api, Method::POST, "7.0.0", "").await.refused(404, "not_found");
        decide(api, Method::DELETE, "1.1.0", "").await.refused(422, "PLUGIN_UNDECIDABLE");
        upload(api, core_as("7.0.0")).await.ok();
        decide(api, Method::POST, "7.0.0", &"x".repeat(1001)).await.refused(422, "PLUGIN_UNDECIDABLE");
        let nameless = json!({ "plugin": "../core", "version": "1.0.0" }).to_string();
        let request = api.request(Method::POST, &format!("{AT}/approvals")).header("content-type", "application/json");
        send(request.body(nameless)).await.refused(404, "not_found");
        assert_eq!(uninstall(api, &["core:7.0.0"]).await.ok()["total"], 1);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn decision_of_another_process_is_noticed() {
    serving_with(with_programs(), async |api| {
        upload(api, core_asking("7.0.0", "git")).await.ok();
        let node = api.node.clone();
        let looking = tokio::spawn(async move { node.notice_plugins().await });
        let core = catalog::PluginName::parse("core").expect("a name");
        api.node.catalog().approve(&core, &"7.0.0".parse().expect("a version"), "", by()).expect("it is installed");
        api.until(&format!("plugins/{RETURN}/versions"), |list| list["versions"][0] == "7.0.0").await;
        looking.abort();
        assert!(looking.await.is_err_and(|error| error.is_cancelled()));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 3)]
async fn versions_of_a_server_are_approved_from_the_command_line() {
    serving_with(with_programs(), async |api| {
        upload(api, core_asking("7.0.0", "git")).await.ok();
        let approve = ["plugin", "approve", "core@7.0.0", "--reason", "read"];
        sluice(api, &approve).await.exits(0).says(&["approved: core 7.0.0"]);
        save(api, "exact", "7.0.0").await.ok();
        sluice(api, &["plugin", "withdraw", "core@7.0.0"]).await.exits(0).says(&["withdrawn: core 7.0.0"]);
        save(api, "exact", "7.0.0").await.refused(422, "flow.invalid");
        sluice(api, &["plugin", "approve", "core@9.0.0"]).await.exits(1).complains(&["core` 9.0.0 is not installed"]);
    })
    .await;
}

#[test]
fn versions_of_a_data_directory_are_approved_without_a_server() {
    let data = tempfile::tempdir().expect("tests have a temporary folder");
    let sluice = |arguments: &[&str]| {
        let mut asked = command(arguments);
        asked.env("SLUICE_DATA_DIR", data.path());
        end(asked.spawn().expect("the program was just built"))
    };
    let seven = written("seven.wasm", core_asking("7.0.0", "git"));
    let installed = sluice(&["plugin", "install", &seven.path]).exits(0);
    installed.says(&[
        "installed core 7.0.0",
        "held: core 7.0.0 asks for more",
        "  program `git`",
        "hint: `sluice plugin approve core@7.0.0`",
    ]);
    sluice(&["plugin", "list"]).exits(0).says(&["core", "7.0.0 (held), 1.1.0"]);
    let listed = sluice(&["plugin", "list", "--json"]).exits(0).json();
    let core =
        listed.as_array().expect("a list").iter().find(|plugin| plugin["name"] == "core").expect("it is shipped");
    assert_eq!(core["held"], json!(["7.0.0"]));
    let grants = sluice(&["plugin", "grants", "core@7.0.0"]).exits(0);
    grants.says(&[
        "core 7.0.0 (held)",
        "not granted  program `git`  (beyond the approved versions)",
        "hint: add `processes: [\"git\"]` under `plugins: core:` in a policy file",
    ]);
    let kv = sluice(&["plugin", "grants", "kv@1.0.0"]).exits(0);
    kv.says(&["kv 1.0.0", "granted      `delete` on the key-value store"]);
    let grants = sluice(&["plugin", "grants", "core@7.0.0", "--json"]).exits(0).json();
    assert_eq!(grants["held"], true);
    let git = &grants["asks"][0];
    assert_eq!(
        (&git["capability"], &git["beyond"], &git["granted"]),
        (&json!("program `git`"), &json!(true), &json!(false))
    );
    assert!(git["remedy"].as_str().is_some_and(|remedy| remedy.contains("processes")));

    std::fs::write(data.path().join("policy.yaml"), PROGRAMS).expect("a file is written");
    let exact = written("exact.yaml", flow("exact", "7.0.0"));
    sluice(&["run", &exact.path]).exits(2).complains(&["core` 7.0.0 is held"]);
    sluice(&["plugin", "approve", "core@7.0.0", "--reason", "read"]).exits(0).says(&["approved: core 7.0.0"]);
    sluice(&["run", &exact.path]).exits(0);
    sluice(&["plugin", "withdraw", "core@7.0.0"]).exits(0);
    sluice(&["run", &exact.path]).exits(2).complains(&["its approval was withdrawn"]);
    let eight = written("eight.wasm", core_asking("8.0.0", "hg"));
    let approved = sluice(&["plugin", "install", "--approve", "--reason", "read", &eight.path]).exits(0);
    assert!(!approved.out.contains("held"), "{}", approved.out);

    let journal = std::fs::read_to_string(data.path().join("plugins/journal.jsonl")).expect("there is one");
    let entries = journal.lines().map(|line| serde_json::from_str::<Value>(line).expect("a line is JSON"));
    let said: Vec<String> =
        entries.map(|one| format!("{} {} {}", one["actor"], one["action"], one["subject"])).collect();
    let expected = [("install", "7"), ("approve", "7"), ("withdraw", "7"), ("install", "8"), ("approve", "8")];
    assert_eq!(said, expected.map(|(action, major)| format!("\"cli\" \"plugin.{action}\" \"core {major}.0.0\"")));
}
