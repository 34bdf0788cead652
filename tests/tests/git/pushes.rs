//! What tasks push, as real git reads it back.

use serde_json::json;
use tests::git::{Commit, Entry, Repository, available};

use crate::world::{diff, ended, failed, file, flow, put_file, run, run_in, serve, told, world};

#[tokio::test(flavor = "multi_thread")]
async fn flows_are_pushed_with_their_namespace() {
    if !available() {
        return;
    }
    world(async |api, server| {
        let served = serve(server, "r.git", &[("README.md", "ours\n"), ("_flows/old.yml", "id: old\nnamespace: prod\n")]);
        api.save(&flow("dev", "one", "1")).await;
        api.save(&flow("dev", "two", "2")).await;
        api.save(&flow("dev.sub.deep", "three", "3")).await;
        let properties = json!({
            "sourceNamespace": "dev", "targetNamespace": "prod", "includeChildNamespaces": true, "commitMessage": "flows of {{ flow.namespace }}",
            "authorName": "Ada <Lovelace>", "authorEmail": "ada@example.com",
        });
        let execution = run(api, server, "PushFlows", "r.git", properties.clone()).await;
        let outputs = ended(&execution, "SUCCESS");
        let rows = diff(api, &execution, &outputs["flows"]).await;
        assert_eq!(
            told(&rows),
            ["DELETED_GIT _flows/old.yml",
                "ADDED _flows/one.yml", "ADDED _flows/two.yml", "ADDED _flows/sub/deep/three.yml"]
        );
        assert_eq!((&rows[1]["additions"], &rows[1]["deletions"]), (&json!(7), &json!(0)));
        assert_eq!(outputs["commitId"], json!(served.hash("main")));
        assert_eq!(outputs["commitURL"], json!(format!("{}/commit/{}", server.url("r.git").trim_end_matches(".git"), served.hash("main"))));
        let files = served.checkout("main");
        assert_eq!(files.keys().collect::<Vec<_>>(), ["README.md", "_flows/one.yml", "_flows/sub/deep/three.yml", "_flows/two.yml"]);
        assert_eq!(files["_flows/one.yml"], file(&flow("prod", "one", "1")));
        assert_eq!(files["_flows/sub/deep/three.yml"], file(&flow("prod.sub.deep", "three", "3")));
        assert_eq!(served.fsck_strict(), Ok(()));
        let log = served.log("main");
        assert_eq!(log.len(), 2);
        assert_eq!((log[0].author.as_str(), log[0].email.as_str()), ("Ada Lovelace", "ada@example.com"));
        assert_eq!(log[0].message.trim(), "flows of system");
        // Once more there is nothing to commit.
        let execution = run(api, server, "PushFlows", "r.git", properties).await;
        assert_eq!(ended(&execution, "SUCCESS")["commitId"], json!(null));
        assert_eq!(served.log("main").len(), 2);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_branch_that_is_not_there_is_made() {
    if !available() {
        return;
    }
    world(async |api, server| {
        let served = serve(server, "r.git", &[("README.md", "ours\n")]);
        let empty = server.add("empty.git", &Repository::new());
        api.save(&flow("dev", "one", "1")).await;
        for (name, served, commits) in [("r.git", &served, 2), ("empty.git", &empty, 1)] {
            let properties = json!({ "sourceNamespace": "dev", "branch": "feature/new", "gitDirectory": "x/flows" });
            let execution = run(api, server, "PushFlows", name, properties).await;
            ended(&execution, "SUCCESS");
            assert_eq!(served.log("refs/heads/feature/new").len(), commits);
            assert_eq!(served.checkout("refs/heads/feature/new")["x/flows/one.yml"], file(&flow("dev", "one", "1")));
            assert_eq!(served.fsck_strict(), Ok(()));
        }
        assert_eq!(served.log("main").len(), 1);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn files_of_a_namespace_are_pushed_as_they_are() {
    if !available() {
        return;
    }
    world(async |api, server| {
        let repository = Repository::new();
        repository.commit(
            Commit::on("main")
                .executable("_files/run.sh", "old\n")
                .file("_files/gone.py", "x")
                .file("_files/gone.txt", "x"),
        );
        let served = server.add("r.git", &repository);
        let binary: Vec<u8> = (0..100_000_u32).map(|number| (number * 7 % 251) as u8).collect();
        put_file(api, "dev", "run.sh", b"new\n").await;
        put_file(api, "dev", "deep/er/data.bin", &binary).await;
        put_file(api, "dev", "größe.py", "ä".as_bytes()).await;
        put_file(api, "dev", "empty.py", b"").await;
        let properties = json!({ "namespace": "dev", "files": ["*.py", "run.sh", "deep/**"] });
        let execution = run(api, server, "PushNamespaceFiles", "r.git", properties).await;
        let outputs = ended(&execution, "SUCCESS");
        let rows = diff(api, &execution, &outputs["files"]).await;
        let mut rows = told(&rows);
        rows.sort();
        assert_eq!(
            rows,
            [
                "ADDED _files/deep/er/data.bin",
                "ADDED _files/empty.py",
                "ADDED _files/größe.py",
                "DELETED_GIT _files/gone.py",
                "UPDATED_GIT _files/run.sh"
            ]
        );
        let files = served.checkout("main");
        // A program stays one; what no pattern fits is left alone.
        assert_eq!(files["_files/run.sh"], Entry::Executable(b"new\n".to_vec()));
        assert_eq!(files["_files/gone.txt"], file("x"));
        assert_eq!(files["_files/deep/er/data.bin"], Entry::File(binary));
        assert_eq!(files["_files/größe.py"], file("ä"));
        assert_eq!(files["_files/empty.py"], file(""));
        assert_eq!(served.fsck_strict(), Ok(()));
        let properties = json!({ "namespace": "dev", "files": "*.none", "errorOnMissing": true });
        assert_eq!(failed(&run(api, server, "PushNamespaceFiles", "r.git", properties).await).0, "GIT_MISSING");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn files_of_an_execution_are_pushed_by_name_and_by_map() {
    if !available() {
        return;
    }
    world(async |api, server| {
        let served = serve(server, "r.git", &[("_outputs/old.csv", "old"), ("_outputs/keep.txt", "keep")]);
        let git = json!({ "url": server.url("r.git"), "username": "git", "password": "{{ secret('GIT_TOKEN') }}", "branch": "main" });
        let with = |id: &str, own: serde_json::Value| {
            let mut task = git.clone();
            let whole = task.as_object_mut().expect("an object");
            whole.extend(own.as_object().expect("an object").clone());
            whole.insert("id".to_owned(), json!(id));
            whole.insert("type".to_owned(), json!("io.kestra.plugin.git.PushExecutionFiles"));
            task
        };
        let write = |id: &str, content: &str, end: &str| {
            json!({ "id": id, "type": "io.kestra.plugin.core.storage.Write", "content": content, "extension": end })
        };
        let flow = json!({ "id": "report", "namespace": "dev", "tasks": [
            write("a", "one", ".csv"),
            with("map", json!({ "filesMap": { "reports/today.csv": "{{ outputs.a.uri }}" }, "delete": false })),
            with("all", json!({ "files": "*.csv", "gitDirectory": "_outputs" })),
        ]});
        api.save(&flow.to_string()).await;
        let execution = api.run("dev/report").await;
        assert_eq!(execution["state"]["current"], "SUCCESS", "{execution:#}");
        let files = served.checkout("main");
        assert_eq!(served.log("main").len(), 3);
        // `delete` goes by the names that `files` fits: `keep.txt` is none of them, what the map pushed is.
        let names: Vec<&String> = files.keys().collect();
        assert_eq!(names.len(), 2, "{names:?}");
        assert!(names.iter().any(|name| name.starts_with("_outputs/") && name.ends_with(".csv")), "{names:?}");
        assert_eq!(files["_outputs/keep.txt"], file("keep"));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_older_push_pushes_all_of_it() {
    if !available() {
        return;
    }
    world(async |api, server| {
        let served = serve(server, "r.git", &[("README.md", "ours\n")]);
        put_file(api, "dev", "scripts/a.py", b"a").await;
        api.save(&flow("dev", "one", "1")).await;
        let properties = json!({
            "branch": "main", "commitMessage": "all of it", "inputFiles": { "in/x.txt": "x" }, "namespaceFiles": { "enabled": true },
            "author": { "name": "Ada", "email": "ada@example.com" },
        });
        let execution = run_in(api, server, "dev", "Push", "r.git", properties).await;
        ended(&execution, "SUCCESS");
        let names: Vec<String> = served.checkout("main").into_keys().collect();
        assert_eq!(names, ["README.md", "_files/scripts/a.py", "_flows/git_task.yml", "_flows/one.yml", "in/x.txt"]);
        assert_eq!(served.log("main")[0].author, "Ada");
        assert_eq!(served.fsck_strict(), Ok(()));
    })
    .await;
}
