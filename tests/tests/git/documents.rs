//! The flows of the documents, as they stand but for the repository's address: `SLUICE_DOCS_FLOWS` names their folder. Without it nothing is tested, and
//! it says so.

use serde_json::json;
use tests::document::document;
use tests::git::{Options, Repository, Server, available};
use tests::served::{self, serving_with};

use crate::world::{diff, ended, flow, flows, namespace_files, put_file, serve, told};

#[tokio::test(flavor = "multi_thread")]
async fn tenant_git_sync_pushes_everything() {
    if !available() {
        return;
    }
    let server = Server::start(Options::default()).await;
    let served =
        serve(&server, "repo.git", &[("README.md", "ours"), ("gone/flows/old.yaml", "id: old\nnamespace: gone\n")]);
    let secrets = [("KESTRA_PASSWORD".to_owned(), "secret-1".to_owned())];
    let options = served::Options {
        outside: vec![server.address()],
        secrets: secrets.into(),
        credentials: Some(("admin@kestra.io", "secret-1")),
        ..served::Options::default()
    };
    serving_with(options, async |api| {
        let Some(source) = document("tenant_git_sync.yaml", &[("https://github.com/org/repo", server.url("repo.git"))])
        else {
            return;
        };
        let save = async |source: &str| {
            let request = api.request(reqwest::Method::POST, "flows").basic_auth("admin@kestra.io", Some("secret-1"));
            served::send(request.header("content-type", "application/x-yaml").body(source.to_owned())).await.ok()
        };
        save(&source).await;
        save(&flow("company.team", "hello", "hi")).await;
        let request = api.request(reqwest::Method::POST, "executions/system/tenant_git_sync?wait=true");
        let request =
            request.basic_auth("admin@kestra.io", Some("secret-1")).header("content-type", "application/json");
        let execution = served::send(request.body("{}")).await.ok();
        ended(&execution, "SUCCESS");
        let files: Vec<String> = served.checkout("main").into_keys().collect();
        assert_eq!(files, ["README.md", "company.team/flows/hello.yaml", "system/flows/tenant_git_sync.yaml"]);
        assert_eq!(served.fsck_strict(), Ok(()));
        let log = served.log("main");
        assert_eq!(log.len(), 2);
        assert_eq!(log[0].message.trim(), "Tenant sync from Kestra");
        // With another password it is nobody's to ask.
        let wrong = source.replace("{{ secret('KESTRA_PASSWORD') }}", "wrong").replace("tenant_git_sync", "wrong");
        save(&wrong).await;
        let request = api.request(reqwest::Method::POST, "executions/system/wrong?wait=true");
        let request =
            request.basic_auth("admin@kestra.io", Some("secret-1")).header("content-type", "application/json");
        let execution = served::send(request.body("{}")).await.ok();
        assert_eq!(crate::world::failed(&execution).0, "NOT_GRANTED");
        assert_eq!(served.log("main").len(), 2);
    })
    .await;
    server.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn namespace_git_sync_brings_a_namespace() {
    if !available() {
        return;
    }
    let server = Server::start(Options::default()).await;
    let hello = flow("company.team", "hello", "hi");
    serve(
        &server,
        "repo.git",
        &[
            ("company.team/flows/hello.yaml", &hello),
            ("company.team/files/scripts/a.py", "print(1)\n"),
            ("company.other/flows/other.yaml", &flow("company.other", "other", "x")),
        ],
    );
    let options = served::Options { outside: vec![server.address()], ..served::Options::default() };
    serving_with(options, async |api| {
        let Some(source) =
            document("namespace_git_sync.yaml", &[("https://github.com/org/repo", server.url("repo.git"))])
        else {
            return;
        };
        api.save(&source).await;
        api.save(&flow("company.team", "mine", "stays")).await;
        put_file(api, "company.team", "mine.txt", b"stays").await;
        let execution = api.run("system/namespace_git_sync").await;
        let outputs = ended(&execution, "SUCCESS");
        let rows = diff(api, &execution, &outputs["diff"]).await;
        assert_eq!(told(&rows), ["ADDED company.team/flows/hello.yaml", "ADDED company.team/files/scripts/a.py"]);
        let now: Vec<String> = flows(api, "company").await.into_keys().collect();
        assert_eq!(now, ["company.team/hello", "company.team/mine"]);
        assert_eq!(flows(api, "company").await["company.team/hello"], hello.trim());
        let files = namespace_files(api, "company.team").await;
        assert_eq!(files.keys().collect::<Vec<_>>(), ["mine.txt", "scripts/a.py"]);
        // Again there is nothing to do.
        let execution = api.run("system/namespace_git_sync").await;
        assert_eq!(ended(&execution, "SUCCESS")["summary"]["unchanged"], 2);
        assert_eq!(api.get("flows/company.team/hello").await.ok()["revision"], 1);
    })
    .await;
    server.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn ai_summarize_weekly_git_commits_has_its_clone() {
    if !available() {
        return;
    }
    let server = Server::start(Options::default()).await;
    let served = serve(&server, "blueprints.git", &[("a/b.yaml", "one: 1\n"), ("README.md", "hi\n")]);
    let options = served::Options { outside: vec![server.address()], ..served::Options::default() };
    serving_with(options, async |api| {
        let address = [("https://github.com/kestra-io/blueprints", server.url("blueprints.git"))];
        let Some(source) = document("ai-summarize-weekly-git-commits.yaml", &address) else { return };
        // Its other tasks run programs in containers: the clone stands alone, and what it has cloned is stored.
        let mut source: serde_json::Value = serde_yaml::from_str(&source).expect("YAML");
        let unit = source["tasks"][0].as_object_mut().expect("a task");
        unit["tasks"].as_array_mut().expect("tasks").truncate(1);
        unit.insert("outputFiles".to_owned(), json!(["**"]));
        source["tasks"].as_array_mut().expect("tasks").truncate(1);
        source.as_object_mut().expect("a flow").remove("triggers");
        api.save(&source.to_string()).await;
        let execution = api.run("company.ai/ai-summarize-weekly-git-commits").await;
        assert_eq!(execution["state"]["current"], "SUCCESS", "{execution:#}");
        let runs = execution["taskRunList"].as_array().expect("task runs");
        let clone = runs.iter().find(|run| run["taskId"] == "clone_repo").expect("the clone ran");
        assert_eq!(clone["outputs"]["commitId"], json!(served.hash("main")));
        let stored = runs.iter().find_map(|run| run["outputs"]["outputFiles"].as_object()).expect("stored files");
        assert!(stored.contains_key("a/b.yaml") && stored.contains_key("README.md"), "{stored:?}");
        assert!(Repository::open(served.path()).fsck_strict().is_ok());
    })
    .await;
    server.end().await;
}
