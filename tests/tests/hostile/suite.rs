//! Runs the tables: all attacks and twins on one server, under one policy file, beside tasks that want no harm.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use futures::StreamExt as _;
use runtime::{Compiler, Limits, Runtime};
use serde_json::{Value, json};
use tests::served::{Api, Options, POLICY, serving_with};

use crate::attack::{Attack, End, Twin, flow};
use crate::world::{Names, Server};
use crate::{bombs, components, files, http, inside, secrets};

/// Attacks at one time.
const AT_ONCE: usize = 6;
/// Everything is open while flows are saved: what is refused later, a run is refused.
const OPEN: &str = "plugins: {hostile: {network: ['*'], files: write, kv: ['write *'], secrets: true, reveal: true, processes: ['*'], objects: true, models: true, insecureTls: true}}\n";
const HARMLESS: &str = "{id: harmless, namespace: kind, tasks: [{id: a, type: io.kestra.plugin.core.debug.Return, format: x}, {id: b, type: io.kestra.plugin.core.log.Log, message: y}]}";
/// In the value of every secret, and to be seen nowhere.
const CANARY: &str = "a-key-that-nobody-guesses";
/// What lies beside the working directories.
const SECRET: &str = "nobody reads this";

/// What only a run knows, as it stands in the tables.
pub struct Given(Vec<(&'static str, String)>);

impl Given {
    fn fill(&self, text: &str) -> String {
        self.0.iter().fold(text.to_owned(), |text, (name, value)| text.replace(name, value))
    }
}

/// What may be used is little, so that too much of it is soon reached.
pub fn limits() -> Limits {
    Limits {
        working_dir_bytes: 8 << 20,
        working_dir_entries: 500,
        storage_bytes: 8 << 20,
        storage_files: 50,
        http_request_bytes: 1 << 20,
        http_response_bytes: 1 << 20,
        http_requests: 50,
        http_concurrent: 8,
        ..Limits::default()
    }
}

/// The guest with a manifest that asks for everything there is.
pub fn guest() -> Vec<u8> {
    let folder = tests::root().join("tests/guests/hostile");
    let recorded = std::fs::read_to_string(folder.with_extension("sha256")).expect("the guest is committed");
    let found = xtask::source_hash::of_test_guest(&folder).expect("its sources can be read");
    assert_eq!(recorded.trim(), found, "the guest is stale; hint: `cargo xtask guests --no-pack hostile`");
    let component = std::fs::read(folder.with_extension("wasm")).expect("the guest is committed");
    let kinds = [
        "File", "Storage", "Around", "Sleep", "Socket", "Kv", "Object", "Process", "Model", "Secret", "Template",
        "Http", "Bomb",
    ];
    let tasks: Vec<Value> = kinds.iter().map(|kind| json!({ "type": format!("com.example.hostile.{kind}") })).collect();
    let manifest = json!({
        "abi": "1.0", "name": "hostile", "version": "1.0.0", "title": "Hostile", "effects": "none", "tasks": tasks,
        "capabilities": {
            "http": [{ "hosts": "flow" }], "kv": ["get", "set", "delete", "keys"], "files": true, "secrets": true,
            "reveal": true, "process": ["*"], "models": ["*"],
            "objects": ["file", "flow", "execution", "log", "execution:delete", "log:delete"],
        },
    });
    catalog::embed(&component, manifest.to_string().as_bytes()).expect("it is a component")
}

fn table() -> Vec<Attack> {
    let all: Vec<Attack> = [files::TABLE, inside::TABLE, http::TABLE, secrets::TABLE, bombs::TABLE]
        .iter()
        .flat_map(|part| part.iter().copied())
        .collect();
    let names: std::collections::BTreeSet<&str> = all.iter().map(|attack| attack.name).collect();
    assert_eq!(names.len(), all.len(), "each attack has a name of its own");
    all
}

/// What came of one task.
struct Ended {
    state: String,
    code: String,
    message: String,
    value: String,
    /// All that a client is shown of it: the execution, and the beginning of its log with its warnings.
    shown: String,
}

async fn run(api: &Api, namespace: &str) -> Ended {
    let ended = api.run(&format!("{namespace}/tries")).await;
    let task = &ended["taskRunList"][0];
    let attempts = task["attempts"].as_array().cloned().unwrap_or_default();
    let failure = attempts.last().map(|attempt| attempt["failure"].clone()).unwrap_or_default();
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let mut shown = ended.to_string();
    let id = text(&ended["id"]);
    for part in [format!("logs/{id}"), format!("logs/{id}?minLevel=WARN")] {
        shown.push_str(&api.get(&part).await.text);
    }
    Ended {
        state: text(&ended["state"]["current"]),
        code: text(&failure["code"]),
        message: text(&failure["message"]),
        value: text(&task["outputs"]["value"]),
        shown,
    }
}

/// What is wrong with how an attack ended.
async fn judged(api: &Api, attack: &Attack, given: &Given) -> Vec<String> {
    let namespace = attack.namespace();
    let ended = run(api, &namespace).await;
    let (expected, told) = match attack.end {
        End::Failed(code) => (("FAILED", code), ended.message.clone()),
        End::CutOff => (("SUCCESS", ""), ended.shown.clone()),
    };
    let mut wrong = Vec::new();
    if ended.shown.contains(CANARY) {
        wrong.push("a secret is shown".to_owned());
    }
    if (ended.state.as_str(), ended.code.as_str()) != expected {
        wrong.push(format!("{} with `{}`, not {expected:?}; `{}`", ended.state, ended.code, ended.value));
    }
    let mut words: Vec<String> = attack.words.iter().map(|words| given.fill(words)).collect();
    if let Twin::Line(line) | Twin::Past(line, _) = attack.twin {
        words.push(format!("add `{}` under `namespaces: {namespace}: plugins: hostile:` in `", given.fill(line)));
    }
    wrong.extend(words.iter().filter(|words| !told.contains(*words)).map(|words| format!("not told: {words}")));
    if !wrong.is_empty() {
        // The end of it has the warnings.
        let end: Vec<char> = told.chars().rev().take(2_000).collect();
        wrong.push(format!("told: {}", end.iter().rev().collect::<String>()));
    }
    wrong
}

/// What is wrong with how its twin ended.
async fn judged_twin(api: &Api, attack: &Attack) -> Vec<String> {
    let ended = run(api, &attack.twin_namespace()).await;
    let past = matches!(attack.twin, Twin::Past(_, code) if ended.state == "FAILED" && ended.code == code);
    let well = ended.state == "SUCCESS" && !matches!(attack.twin, Twin::Past(..));
    // What was refused before is not refused again.
    let leaked = if ended.shown.contains(CANARY) { " a secret is shown" } else { "" };
    let again = past && matches!(attack.twin, Twin::Past(line, _) if ended.message.contains(&format!("add `{line}`")));
    match (well || past) && !again && leaked.is_empty() {
        true => Vec::new(),
        false => vec![format!("its twin:{leaked} {} `{}` {}", ended.state, ended.code, ended.message)],
    }
}

/// Saves all flows, lays out what is to be stolen, and puts the policy in force.
async fn prepared(api: &Api, table: &[Attack], given: &mut Given) {
    let uploaded = components::upload(api, guest()).await;
    assert_eq!(uploaded.status, 200, "{}", uploaded.text);
    api.save(HARMLESS).await;
    let victim = async |id: &str, task: &str, with: &[&str]| {
        api.save(&flow("victim", task, with, "").replace("id: tries", &format!("id: {id}"))).await;
        let ended = api.run(&format!("victim/{id}")).await;
        assert_eq!(ended["state"]["current"], "SUCCESS", "{ended}");
        ended
    };
    victim("keeps", "Kv", &["set", "", "token", "\"kept\""]).await;
    victim("notes", "Storage", &["write", "hidden:/note.txt"]).await;
    let filed = victim("files", "Storage", &["write", "given.txt"]).await;
    let text = |value: &Value| value.as_str().expect("a text").to_owned();
    given.0.push(("{victim-file}", text(&filed["taskRunList"][0]["outputs"]["value"])));
    given.0.push(("{victim}", text(&filed["id"])));
    for attack in table {
        let filled = |with: &[&str]| with.iter().map(|text| given.fill(text)).collect::<Vec<_>>();
        let (task, with, more) = attack.twin_task();
        for (namespace, task, with, more) in [
            (attack.namespace(), attack.task, filled(attack.with), attack.more),
            (attack.twin_namespace(), task, filled(with), more),
        ] {
            let with: Vec<&str> = with.iter().map(String::as_str).collect();
            api.save(&flow(&namespace, task, &with, &given.fill(more))).await;
        }
    }
    let sections: String = table.iter().map(Attack::policy).collect();
    let bound = "secrets: {BOUND_KEY: {hosts: ['http://{other}']}}";
    put_policy(api, &given.fill(&format!("{bound}\nnamespaces:\n{sections}"))).await;
}

/// Puts a policy in force in place of the one that was.
async fn put_policy(api: &Api, policy: &str) {
    let noticing = tokio::spawn({
        let node = api.node.clone();
        async move { node.notice_plugins().await }
    });
    std::fs::write(api.folder.join(POLICY), policy).expect("a file is written");
    let at = "/api/v1/cluster/versioned-plugins/audit";
    api.until(at, |log| {
        log["results"].as_array().is_some_and(|all| all.iter().any(|one| one["action"] == "policy.change"))
    })
    .await;
    noticing.abort();
}

/// Runs harmless tasks until it is told to end; how many, and what went wrong.
async fn harmless(api: &Api, over: &AtomicBool) -> (usize, Vec<String>) {
    let (mut count, mut wrong) = (0, Vec::new());
    while !over.load(Ordering::SeqCst) {
        let ended = api.run("kind/harmless").await;
        count += 1;
        if ended["state"]["current"] != "SUCCESS" {
            wrong.push(ended.to_string());
        }
    }
    (count, wrong)
}

fn entries(folder: &Path) -> Vec<String> {
    let all = std::fs::read_dir(folder).expect("the folder is there");
    let mut names: Vec<String> =
        all.map(|entry| entry.expect("an entry").file_name().to_string_lossy().into_owned()).collect();
    names.sort();
    names
}

/// Files below a folder that this process has open.
fn open_below(folder: &Path) -> usize {
    let all = std::fs::read_dir("/proc/self/fd").into_iter().flatten().flatten();
    all.filter(|entry| std::fs::read_link(entry.path()).is_ok_and(|to| to.starts_with(folder))).count()
}

/// Waits until nothing is left of the runs: directories are removed behind their back.
async fn nothing_is_left(scratch: &Path, runtime: &Runtime, before: &[String]) {
    for _ in 0..600 {
        let status = runtime.status();
        let live = status.pool_used + status.on_demand_used;
        if live == 0 && open_below(scratch) == 0 && entries(scratch) == before {
            return;
        }
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    panic!("left: {:?}, {} files, {:?}", entries(scratch), open_below(scratch), runtime.status());
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_gets_out_and_what_is_granted_does() {
    let names = Arc::new(Names::default());
    names.teach("open.test", &[&["127.0.0.1"]]);
    names.teach("localhost", &[&["127.0.0.1"]]);
    names.teach("metadata.test", &[&["169.254.169.254"]]);
    names.teach("turning.test", &[&["127.0.0.1"], &["169.254.169.254"]]);
    let (open, other) = (Server::open("127.0.0.1").await, Server::open("127.0.0.1").await);
    let mut given = Given(vec![
        ("{open}", open.address.to_string()),
        ("{port}", open.address.port().to_string()),
        ("{other}", other.address.to_string()),
    ]);
    let mut config = runtime::Config::new(tests::data_dir().join("compiled"), Compiler::InProcess);
    config.outside = names.clone();
    let runtime = Runtime::new(config).expect("a runtime");
    let options = Options {
        policy: Some(OPEN.to_owned()),
        secrets: ["API_KEY", "OTHER_KEY", "BOUND_KEY"].map(|name| (name.to_owned(), format!("{name}-{CANARY}"))).into(),
        runtime: Some(runtime.clone()),
        limits: limits(),
        ..Options::default()
    };
    serving_with(options, async |api| {
        let table = table();
        let scratch = api.folder.join("scratch");
        std::fs::create_dir_all(scratch.join("neighbour")).expect("a folder");
        std::fs::write(scratch.join("secret.txt"), SECRET).expect("a file");
        std::fs::write(scratch.join("neighbour/given.txt"), SECRET).expect("a file");
        prepared(api, &table, &mut given).await;
        let before = entries(&scratch);
        assert_eq!(before, ["neighbour", "secret.txt"]);

        let (over, twins) = (AtomicBool::new(false), AtomicUsize::new(0));
        let attacks = async {
            let wrong: Vec<String> = futures::stream::iter(&table)
                .map(async |attack| {
                    let mut wrong = judged(api, attack, &given).await;
                    wrong.extend(judged_twin(api, attack).await);
                    twins.fetch_add(1, Ordering::SeqCst);
                    wrong.into_iter().map(|wrong| format!("{}: {wrong}", attack.name)).collect::<Vec<_>>()
                })
                .buffer_unordered(AT_ONCE)
                .concat()
                .await;
            over.store(true, Ordering::SeqCst);
            wrong
        };
        let (wrong, (kind, unkind)) = tokio::join!(attacks, harmless(api, &over));
        assert!(wrong.is_empty(), "{}", wrong.join("\n"));
        assert!(unkind.is_empty() && kind > 0, "{kind} harmless runs, of which went wrong: {unkind:?}");

        // Nothing was stolen, moved, cut or left.
        for file in ["secret.txt", "neighbour/given.txt"] {
            assert_eq!(std::fs::read_to_string(scratch.join(file)).expect("it is there"), SECRET);
        }
        nothing_is_left(&scratch, &runtime, &before).await;
        api.get(&format!("executions/{}", given.fill("{victim}"))).await.ok();
        let audit = api.get("/api/v1/cluster/versioned-plugins/audit").await.text;
        let alarms = audit.matches("secret.alarm").count();
        assert!(alarms > 0 && !audit.contains(CANARY), "{audit}");
        assert_eq!(api.get("/health/ready").await.status, 200);
        assert_eq!(runtime.status().connections_refused, 0);
        let reached = names.connected();
        let strangers: Vec<_> =
            reached.iter().filter(|peer| ![open.address.port(), other.address.port()].contains(&peer.port())).collect();
        assert!(strangers.is_empty(), "{strangers:?}");
        eprintln!(
            "{} attacks, {} twins, {alarms} alarms, {kind} harmless runs meanwhile; {} connections, {} requests arrived",
            table.len(),
            twins.load(Ordering::SeqCst),
            reached.len(),
            open.count() + other.count()
        );
    })
    .await;
    open.end().await;
    other.end().await;
}
