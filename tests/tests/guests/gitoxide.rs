//! gitoxide as a guest, in the working directory: what it writes it reads back, real git agrees, and a packed repository of real
//! git's making is checked out.

use crate::support::*;
use runtime::{Class, Grants, PluginSource, Request, Runtime};
use serde_json::{Value, json};
use std::path::Path;
use std::process::Command;
use std::sync::Arc;

fn plugin() -> Option<PluginSource> {
    built("proof-gix", "`cargo xtask guests --no-pack proof-gix`")
}

fn ask(plugin: &PluginSource, directory: &Path, grants: Grants, task: &str, input: &Value) -> Request {
    let mut request = request(plugin, task, &input.to_string());
    request.working_dir = Some(directory.to_owned());
    request.grants = Arc::new(grants);
    request
}

async fn write(runtime: &Runtime, plugin: &PluginSource, directory: &Path, files: Value) -> Value {
    let input = json!({"directory": "repository", "files": files, "message": "From a guest"});
    outputs(runtime.run(ask(plugin, directory, writing(), "proof.gix.Write", &input)).await)
}

async fn check_out(runtime: &Runtime, plugin: &PluginSource, directory: &Path) -> Value {
    let input = json!({"directory": "repository", "into": "out"});
    outputs(runtime.run(ask(plugin, directory, writing(), "proof.gix.Checkout", &input)).await)
}

/// Real git's answer, or `None` where there is no git.
fn git(directory: &Path, arguments: &[&str]) -> Option<String> {
    let settings = ["-c", "user.name=Ada", "-c", "user.email=ada@example.com", "-c", "init.defaultBranch=main"];
    let output = match Command::new("git").args(settings).args(arguments).current_dir(directory).output() {
        Ok(output) => output,
        Err(error) => {
            eprintln!("skipped: git cannot be run: {error}");
            return None;
        }
    };
    assert!(output.status.success(), "git {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    Some(String::from_utf8(output.stdout).unwrap().trim().to_owned())
}

#[tokio::test]
async fn gitoxide_reads_back_what_it_wrote() {
    let Some(plugin) = plugin() else { return };
    let (runtime, directory) = (runtime(), tempfile::tempdir().unwrap());
    let first =
        write(&runtime, &plugin, directory.path(), json!({"README.md": "# hello\n", "flows/a.yaml": "id: a\n"})).await;
    let second = write(&runtime, &plugin, directory.path(), json!({"flows/deep/b.yaml": "id: b\n"})).await;
    assert_ne!(first["commit"], second["commit"]);

    let done = check_out(&runtime, &plugin, directory.path()).await;
    assert_eq!(done, json!({"commit": second["commit"], "files": 3, "bytes": 20}));
    let read = |path: &str| std::fs::read_to_string(directory.path().join("out").join(path)).unwrap();
    assert_eq!((read("README.md").as_str(), read("flows/a.yaml").as_str()), ("# hello\n", "id: a\n"));
    assert_eq!(read("flows/deep/b.yaml"), "id: b\n");

    // Real git finds nothing wrong and the same history.
    let repository = directory.path().join("repository");
    let Some(_) = git(&repository, &["fsck", "--strict"]) else { return };
    assert_eq!(
        git(&repository, &["rev-parse", "main", "main~1"]),
        Some(format!("{}\n{}", text(&second["commit"]), text(&first["commit"])))
    );
    assert_eq!(git(&repository, &["rev-parse", "main^{tree}"]), Some(text(&second["tree"])));
    assert_eq!(
        git(&repository, &["log", "-1", "--format=%an %ae %s"]),
        Some("Sluice sluice@example.com From a guest".to_owned())
    );
}

fn text(value: &Value) -> String {
    value.as_str().unwrap().to_owned()
}

/// Loose objects are one thing; a clone is packs with deltas, packed refs and an index of packs.
#[tokio::test]
async fn gitoxide_checks_out_a_packed_repository() {
    let Some(plugin) = plugin() else { return };
    let (runtime, directory) = (runtime(), tempfile::tempdir().unwrap());
    let repository = directory.path().join("repository");
    std::fs::create_dir_all(repository.join("sub")).unwrap();
    let Some(_) = git(&repository, &["init", "-q"]) else { return };
    let mut long: String = (0..2000).map(|line| format!("line {line}\n")).collect();
    for round in 0..5 {
        long.push_str(&format!("round {round}\n"));
        std::fs::write(repository.join("sub/größe.txt"), &long).unwrap();
        std::fs::write(repository.join("empty"), "").unwrap();
        std::fs::write(repository.join("bytes"), [0, 159, 146, 150, round]).unwrap();
        git(&repository, &["add", "."]);
        git(&repository, &["commit", "-q", "-m", "a round"]);
    }
    git(&repository, &["gc", "-q", "--aggressive"]);
    git(&repository, &["pack-refs", "--all"]);

    let done = check_out(&runtime, &plugin, directory.path()).await;
    assert_eq!(done["files"], 3);
    assert_eq!(Some(text(&done["commit"])), git(&repository, &["rev-parse", "HEAD"]));
    let read = |path: &str| std::fs::read(directory.path().join("out").join(path)).unwrap();
    assert_eq!(read("sub/größe.txt"), long.as_bytes());
    assert_eq!((read("empty"), read("bytes")), (vec![], vec![0, 159, 146, 150, 4]));
}

#[tokio::test]
async fn no_file_is_touched_without_a_grant() {
    let Some(plugin) = plugin() else { return };
    let (runtime, directory) = (runtime(), tempfile::tempdir().unwrap());
    let input = json!({"directory": "repository", "files": {"a": "b"}, "message": "never"});
    let read_only = Grants { working_dir: runtime::Access::Read, ..Grants::none() };
    for grants in [Grants::none(), read_only] {
        let failure = failure(runtime.run(ask(&plugin, directory.path(), grants, "proof.gix.Write", &input)).await);
        assert_failure(&failure, Class::Guest, "GIT");
        assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 0);
    }
}
