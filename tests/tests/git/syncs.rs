//! What a sync makes of revisions, of what is not valid, of what is protected, of drift, of documents, and what the older tasks bring.
//!
//! `HISTORIES=200 cargo test --release --workspace --locked --test git any_history -- --nocapture` has 200 histories come and go back.
#![expect(clippy::print_stdout, reason = "a test says what it counted")]

use std::collections::BTreeMap;

use serde_json::{Value, json};
use tests::git::{Commit, Repository, available, history};

use crate::world::{
    Files, diff, ended, failed, flow, flows, namespace_files, put_file, run, run_in, serve, told, world,
};

#[tokio::test(flavor = "multi_thread")]
async fn each_change_is_one_revision_and_nothing_else_is() {
    if !available() {
        return;
    }
    world(async |api, server| {
        api.save(&flow("team", "same", "1")).await;
        api.save(&flow("team", "other", "1")).await;
        let same = flow("team", "same", "1").replace('\n', "\r\n");
        serve(
            server,
            "r.git",
            &[
                ("team/flows/same.yml", &same),
                ("team/flows/other.yaml", &flow("team", "other", "2")),
                ("team/flows/new.yaml", &flow("team", "new", "1")),
            ],
        );
        let properties = json!({ "namespace": "team", "sourceOfTruth": "GIT" });
        let execution = run(api, server, "NamespaceSync", "r.git", properties).await;
        let outputs = ended(&execution, "SUCCESS");
        let rows = diff(api, &execution, &outputs["diff"]).await;
        assert_eq!(told(&rows), ["ADDED team/flows/new.yaml", "UPDATED_KES team/flows/other.yaml"]);
        assert_eq!((&rows[0]["revision"], &rows[1]["revision"]), (&json!(1), &json!(2)));
        assert_eq!(
            (&rows[1]["additions"], &rows[1]["deletions"], &rows[1]["changes"]),
            (&json!(1), &json!(1), &json!(2))
        );
        for (id, revision) in [("same", 1), ("other", 2), ("new", 1)] {
            assert_eq!(api.get(&format!("flows/team/{id}")).await.ok()["revision"], revision, "{id}");
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_destructive_first_run_is_refused_until_it_is_meant() {
    if !available() {
        return;
    }
    world(async |api, server| {
        let served = serve(server, "r.git", &[("team/flows/a.yaml", &flow("team", "a", "1")), ("README.md", "ours")]);
        // The defaults of the task are those of the documents: the engine is right, and what it lacks is deleted.
        let execution = run(api, server, "NamespaceSync", "r.git", json!({ "namespace": "team" })).await;
        let (code, message) = failed(&execution);
        assert_eq!(code, "GIT_DESTRUCTIVE");
        assert!(message.contains("allowDestructive: true") && message.contains("sourceOfTruth"), "{message}");
        let execution =
            run(api, server, "NamespaceSync", "r.git", json!({ "namespace": "team", "dryRun": true })).await;
        ended(&execution, "WARNING");
        assert_eq!(served.log("main").len(), 1);
        let execution =
            run(api, server, "NamespaceSync", "r.git", json!({ "namespace": "team", "allowDestructive": true })).await;
        ended(&execution, "SUCCESS");
        assert_eq!(served.checkout("main").into_keys().collect::<Vec<_>>(), ["README.md"]);
        // And the other way round.
        api.save(&flow("team", "b", "1")).await;
        let properties = json!({ "namespace": "team", "sourceOfTruth": "GIT" });
        assert_eq!(failed(&run(api, server, "NamespaceSync", "r.git", properties).await).0, "GIT_DESTRUCTIVE");
        assert_eq!(flows(api, "team").await.len(), 1);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_valid_stops_all_or_is_left_out() {
    if !available() {
        return;
    }
    world(async |api, server| {
        let bad = "id: bad\nnamespace: team\ntasks:\n  - id: x\n    type: no.such.Task\n";
        let other = "id: elsewhere\nnamespace: other\ntasks:\n  - {id: x, type: io.kestra.plugin.core.debug.Return, format: x}\n";
        serve(
            server,
            "r.git",
            &[
                ("a/team/flows/good.yaml", &flow("team", "good", "1")),
                ("a/team/flows/bad.yaml", bad),
                ("a/team/flows/elsewhere.yaml", other),
                ("a/team/flows/broken.yml", "id: [\n"),
                ("a/team/files/x.txt", "x"),
            ],
        );
        let properties = |own: Value| {
            let mut all = json!({ "namespace": "team", "sourceOfTruth": "GIT", "gitDirectory": "a" });
            all.as_object_mut().expect("an object").extend(own.as_object().expect("an object").clone());
            all
        };
        let execution = run(api, server, "NamespaceSync", "r.git", properties(json!({}))).await;
        let (code, message) = failed(&execution);
        assert_eq!(code, "GIT_INVALID");
        for words in ["a/team/flows/bad.yaml:5", "no.such.Task", "a/team/flows/elsewhere.yaml", "a/team/flows/broken.yml"] {
            assert!(message.contains(words), "`{words}` is not in: {message}");
        }
        assert!(flows(api, "team").await.is_empty() && namespace_files(api, "team").await.is_empty());
        for how in ["SKIP", "WARN"] {
            let execution = run(api, server, "NamespaceSync", "r.git", properties(json!({ "onInvalidSyntax": how }))).await;
            let outputs = ended(&execution, "SUCCESS");
            assert_eq!(outputs["summary"]["skipped"], 3, "{how}: {outputs}");
            assert_eq!(flows(api, "team").await.into_keys().collect::<Vec<_>>(), ["team/good"]);
            assert_eq!(namespace_files(api, "team").await.len(), 1);
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn protected_namespaces_and_the_flow_at_work_stay() {
    if !available() {
        return;
    }
    world(async |api, server| {
        serve(
            server,
            "r.git",
            &[("team/flows/a.yaml", &flow("team", "a", "1")), ("prod.x/flows/a.yaml", &flow("prod.x", "a", "1"))],
        );
        api.save(&flow("prod.x", "mine", "1")).await;
        api.save(&flow("team", "mine", "1")).await;
        let properties = json!({ "sourceOfTruth": "GIT", "protectedNamespaces": ["prod"] });
        let execution = run(api, server, "TenantSync", "r.git", properties).await;
        let outputs = ended(&execution, "SUCCESS");
        let rows = diff(api, &execution, &outputs["diff"]).await;
        let told = told(&rows);
        for row in [
            "ADDED team/flows/a.yaml",
            "DELETED_KES team/flows/mine.yaml",
            "KEPT prod.x/flows/mine.yaml",
            "KEPT system/flows/git_task.yaml",
        ] {
            assert!(told.iter().any(|told| told == row), "`{row}` is not in {told:?}");
        }
        let kept = rows.iter().find(|row| row["file"] == "prod.x/flows/mine.yaml").expect("a row");
        assert!(kept["note"].as_str().is_some_and(|note| note.starts_with("GIT_PROTECTED")), "{kept}");
        let left: Vec<String> = flows(api, "prod").await.into_keys().collect();
        assert_eq!(left, ["prod.x/a", "prod.x/mine"]);
        assert_eq!(flows(api, "team").await.into_keys().collect::<Vec<_>>(), ["team/a"]);
        let logs = api.get(&format!("logs/{}", execution["id"].as_str().expect("an id"))).await.text;
        assert!(logs.contains("GIT_PROTECTED") && logs.contains("prod.x.mine"), "{logs}");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_older_tasks_bring_flows_and_files() {
    if !available() {
        return;
    }
    world(async |api, server| {
        serve(
            server,
            "r.git",
            &[
                ("_flows/one.yml", &flow("dev", "one", "1")),
                ("_flows/sub/two.yaml", &flow("dev", "two", "2")),
                ("_files/a.py", "a"),
                ("_files/skip/b.py", "b"),
                ("_files/.kestraignore", "# not these\nskip/\n*.tmp\n"),
                ("_files/c.tmp", "c"),
                ("_files/.gitkeep", ""),
            ],
        );
        api.save(&flow("prod", "old", "1")).await;
        put_file(api, "prod", "old.txt", b"old").await;
        let properties = json!({ "targetNamespace": "prod", "includeChildNamespaces": true, "delete": true });
        let execution = run(api, server, "SyncFlows", "r.git", properties).await;
        let outputs = ended(&execution, "SUCCESS");
        let rows = diff(api, &execution, &outputs["flows"]).await;
        assert_eq!(told(&rows), ["DELETED_KES _flows/old.yml", "ADDED _flows/one.yml", "ADDED _flows/sub/two.yaml"]);
        let found = flows(api, "prod").await;
        assert_eq!(found.keys().collect::<Vec<_>>(), ["prod.sub/two", "prod/one"]);
        assert_eq!(found["prod.sub/two"], flow("prod.sub", "two", "2").trim());
        let execution = run(api, server, "SyncNamespaceFiles", "r.git", json!({ "namespace": "prod" })).await;
        ended(&execution, "SUCCESS");
        assert_eq!(namespace_files(api, "prod").await.into_keys().collect::<Vec<_>>(), ["a.py", "old.txt"]);
        let properties = json!({ "namespace": "prod", "delete": true });
        ended(&run(api, server, "SyncNamespaceFiles", "r.git", properties).await, "SUCCESS");
        assert_eq!(namespace_files(api, "prod").await.into_keys().collect::<Vec<_>>(), ["a.py"]);
        let properties = json!({ "targetNamespace": "test", "flowPath": "_flows/sub/two.yaml" });
        let execution = run(api, server, "SyncFlow", "r.git", properties).await;
        assert_eq!(ended(&execution, "SUCCESS"), &json!({ "flowId": "two", "namespace": "test", "revision": 1 }));
        // A folder that is not there.
        let properties = json!({ "targetNamespace": "prod", "gitDirectory": "nowhere" });
        assert_eq!(failed(&run(api, server, "SyncFlows", "r.git", properties).await).0, "GIT_MISSING");
        let properties =
            json!({ "targetNamespace": "prod", "gitDirectory": "nowhere", "failOnMissingDirectory": false });
        ended(&run(api, server, "SyncFlows", "r.git", properties).await, "SUCCESS");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_older_sync_brings_both() {
    if !available() {
        return;
    }
    world(async |api, server| {
        serve(server, "r.git", &[("x/_flows/one.yml", &flow("dev", "one", "1")), ("x/a/b.py", "b")]);
        put_file(api, "prod", "from/old.py", b"old").await;
        put_file(api, "prod", "mine.txt", b"mine").await;
        let properties = json!({ "branch": "main", "gitDirectory": "x", "namespaceFilesDirectory": "from" });
        let execution = run_in(api, server, "prod", "Sync", "r.git", properties).await;
        ended(&execution, "SUCCESS");
        assert_eq!(flows(api, "prod").await["prod/one"], flow("prod", "one", "1").trim());
        assert_eq!(namespace_files(api, "prod").await.into_keys().collect::<Vec<_>>(), ["from/a/b.py", "mine.txt"]);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn drift_is_told_as_it_is_wanted() {
    if !available() {
        return;
    }
    world(async |api, server| {
        serve(server, "r.git", &[("team/flows/a.yaml", &flow("team", "a", "1"))]);
        let base = json!({ "namespace": "team", "sourceOfTruth": "GIT", "dryRun": true });
        for (how, state) in
            [(None, "WARNING"), (Some("SUCCESS"), "SUCCESS"), (Some("WARNING"), "WARNING"), (Some("FAIL"), "FAILED")]
        {
            let mut properties = base.clone();
            properties["onDrift"] = json!(how);
            let execution = run(api, server, "NamespaceSync", "r.git", properties).await;
            assert_eq!(execution["state"]["current"], state, "{execution:#}");
            if state == "FAILED" {
                assert_eq!(failed(&execution).0, "GIT_DRIFT");
            }
        }
        ended(
            &run(api, server, "NamespaceSync", "r.git", json!({ "namespace": "team", "sourceOfTruth": "GIT" })).await,
            "SUCCESS",
        );
        let mut properties = base;
        properties["onDrift"] = json!("FAIL");
        assert_eq!(ended(&run(api, server, "NamespaceSync", "r.git", properties).await, "SUCCESS")["drift"], false);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn files_of_any_history_come_and_go_back_unchanged() {
    if !available() {
        return;
    }
    world(async |api, server| {
        let histories = std::env::var("HISTORIES").ok().and_then(|number| number.parse().ok()).unwrap_or(12_u64);
        let mut files_seen = 0;
        for seed in 0..histories {
            let made = history(1_000 + seed, 12);
            let name = format!("h{seed}.git");
            let served = server.add(&name, &made);
            let Ok(branch) = served.tried(&["symbolic-ref", "--short", "HEAD"]) else { continue };
            let branch = branch.trim();
            let namespace = format!("history.n{seed}");
            let properties = json!({ "namespace": namespace, "gitDirectory": ".", "branch": branch });
            ended(&run(api, server, "SyncNamespaceFiles", &name, properties).await, "SUCCESS");
            let back = server.add(&format!("b{seed}.git"), &Repository::new());
            let properties = json!({ "namespace": namespace, "gitDirectory": "." });
            ended(&run(api, server, "PushNamespaceFiles", &format!("b{seed}.git"), properties).await, "SUCCESS");
            let plain = |files: Files| -> BTreeMap<String, Vec<u8>> {
                let content = |(path, entry)| match entry {
                    tests::git::Entry::File(bytes) | tests::git::Entry::Executable(bytes) => Some((path, bytes)),
                    _ => None,
                };
                files.into_iter().filter_map(content).collect()
            };
            let expected = plain(served.checkout("HEAD"));
            files_seen += expected.len();
            match expected.is_empty() {
                true => assert_eq!(back.resolve("main"), None, "seed {seed}"),
                false => assert_eq!(plain(back.checkout("main")), expected, "seed {seed}"),
            }
            assert_eq!(back.fsck_strict(), Ok(()), "seed {seed}");
        }
        println!("{histories} histories came and went back, {files_seen} files unchanged");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn documents_of_namespaces_and_of_the_tenant_come_and_go() {
    if !available() {
        return;
    }
    world(async |api, server| {
        let document = |namespace: &str, id: &str| match namespace {
            "" => format!("id: {id}\ntitle: one\n"),
            namespace => format!("id: {id}\nnamespace: {namespace}\ntitle: one\n"),
        };
        let files = [
            ("team/apps/form.yaml", document("team", "form")),
            ("team/tests/check.yml", document("team", "check")),
            ("other.x/tests/check.yaml", document("other.x", "check")),
            ("_global/dashboards/board.yaml", document("", "board")),
            ("_global/blueprints/print.yaml", document("", "print")),
        ];
        let files: Vec<(&str, &str)> = files.iter().map(|(path, text)| (*path, text.as_str())).collect();
        let first = serve(server, "first.git", &files);
        let properties = json!({ "sourceOfTruth": "GIT", "whenMissingInSource": "KEEP" });
        let execution = run(api, server, "TenantSync", "first.git", properties.clone()).await;
        let outputs = ended(&execution, "SUCCESS");
        assert_eq!(outputs["summary"]["added"], 5, "{outputs}");
        let rows = diff(api, &execution, &outputs["diff"]).await;
        let kinds: Vec<&str> = rows.iter().filter_map(|row| row["kind"].as_str()).collect();
        for kind in ["APP", "TEST", "DASHBOARD", "BLUEPRINT"] {
            assert!(kinds.contains(&kind), "{kind} is not in {kinds:?}");
        }
        // Once more nothing is different, and into an empty repository all of it goes.
        let execution = run(api, server, "TenantSync", "first.git", properties).await;
        assert_eq!(ended(&execution, "SUCCESS")["summary"]["unchanged"], 5);
        let second = server.add("second.git", &Repository::new());
        let execution = run(api, server, "TenantSync", "second.git", json!({ "sourceOfTruth": "KESTRA" })).await;
        ended(&execution, "SUCCESS");
        let mut found = second.checkout("main");
        assert!(found.remove("system/flows/git_task.yaml").is_some());
        let mut expected = first.checkout("main");
        let check = expected.remove("team/tests/check.yml").expect("it is there");
        expected.insert("team/tests/check.yaml".to_owned(), check);
        assert_eq!(found, expected);
        // One namespace alone: its own documents, and what is deleted in the repository goes.
        first.commit(Commit::on("main").delete("team/apps/form.yaml"));
        let properties = json!({ "namespace": "team", "sourceOfTruth": "GIT" });
        let execution = run(api, server, "NamespaceSync", "first.git", properties).await;
        let outputs = ended(&execution, "SUCCESS");
        assert_eq!(told(&diff(api, &execution, &outputs["diff"]).await), ["DELETED_KES team/apps/form.yaml"]);
    })
    .await;
}
