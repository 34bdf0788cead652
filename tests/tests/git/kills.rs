//! `kill -9` of a server in the middle of syncs and pushes: each side has the old state or the new one, never some of both, and nothing is left behind that
//! keeps the next from going on.
//!
//! A few with every `cargo test`; `KILLS=100 cargo test --release --workspace --locked --test git kills -- --nocapture` is the campaign.
#![expect(clippy::print_stdout, reason = "a test says what it counted")]

use std::collections::BTreeSet;
use std::io::{BufRead as _, BufReader};
use std::process::{Child, Stdio};
use std::time::Duration;

use serde_json::{Value, json};
use tests::git::{Commit, Entry, Fault, Options, Repository, Server, When, available};
use tests::program::command;

/// Flows and files of one state.
const FLOWS: usize = 30;
const FILES: usize = 20;
/// Longest an execution may take to end after a kill.
const END_MAX: Duration = Duration::from_secs(60);
/// Moments of kills are spread over so long: what a sync of this size takes, and a little more.
const SPREAD_MS: u64 = 900;

struct Engine {
    child: Child,
    base: String,
}

impl Engine {
    fn start(store: &str, git: &Server) -> Self {
        let outside = git.address().to_string();
        let mut server = command(&["server", "--listen", "127.0.0.1:0", "--store", store, "--allow-net", &outside]);
        let spawned = server.stdout(Stdio::piped()).stderr(Stdio::inherit()).spawn();
        let mut child = spawned.expect("the program was just built");
        let mut line = String::new();
        let mut out = BufReader::new(child.stdout.take().expect("standard output is a pipe"));
        out.read_line(&mut line).expect("a line comes");
        let address = line.split("http://").nth(1).unwrap_or_else(|| panic!("`{line}` names no address")).trim();
        Self { child, base: format!("http://{address}/api/v1/main") }
    }

    fn kill(mut self) {
        self.child.kill().expect("it runs");
        self.child.wait().expect("it was ours");
    }
}

/// A state: each flow and file says its number.
fn flow(number: usize, state: usize) -> String {
    crate::world::flow("team", &format!("flow_{number}"), &format!("state {state}"))
}

fn state(commit: Commit, state: usize) -> Commit {
    let commit = (0..FLOWS)
        .fold(commit, |commit, number| commit.file(format!("team/flows/flow_{number}.yaml"), flow(number, state)));
    (0..FILES).fold(commit, |commit, number| commit.file(format!("team/files/f{number}.txt"), format!("state {state}")))
}

async fn text(client: &reqwest::Client, url: String) -> String {
    let answer = client.get(&url).send().await.expect("it answers");
    assert!(answer.status().is_success(), "{url}: {}", answer.status());
    answer.text().await.expect("the answer is whole")
}

/// Which states the engine's flows and files are of.
async fn states_of_engine(client: &reqwest::Client, base: &str) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    let mut add = |text: &str| {
        let state = text.split("state ").nth(1).and_then(|rest| rest.split(|c: char| !c.is_ascii_digit()).next());
        found.insert(state.expect("each says its state").to_owned());
    };
    for number in 0..FLOWS {
        let flow: Value =
            serde_json::from_str(&text(client, format!("{base}/flows/team/flow_{number}?source=true")).await)
                .expect("JSON");
        add(flow["source"].as_str().expect("a source"));
    }
    for number in 0..FILES {
        add(&text(client, format!("{base}/namespaces/team/files?path=/f{number}.txt")).await);
    }
    found
}

fn states_of_repository(repository: &Repository) -> BTreeSet<String> {
    let states = repository.checkout("main").into_iter().filter(|(path, _)| path.starts_with("team/"));
    states
        .map(|(path, entry)| {
            let Entry::File(bytes) = entry else { panic!("`{path}` is no file") };
            let text = String::from_utf8(bytes).expect("text");
            let state = text.split("state ").nth(1).expect("each says its state");
            state.chars().take_while(char::is_ascii_digit).collect()
        })
        .collect()
}

fn sync(id: &str, url: &str, source: &str) -> String {
    let task = json!({
        "id": "t", "type": "io.kestra.plugin.git.NamespaceSync", "namespace": "team", "sourceOfTruth": source, "url": url, "branch": "main",
    });
    json!({ "id": id, "namespace": "system", "tasks": [task] }).to_string()
}

/// Waits for the end of an execution that a kill may have met; those that the kill came before are started again.
async fn ended(client: &reqwest::Client, base: &str, id: Option<String>, flow: &str) {
    let id = match id {
        Some(id) => id,
        None => start(client, base, flow).await.expect("nobody kills it"),
    };
    let began = std::time::Instant::now();
    loop {
        let execution: Value =
            serde_json::from_str(&text(client, format!("{base}/executions/{id}")).await).expect("JSON");
        match execution["state"]["current"].as_str().expect("a state") {
            "SUCCESS" => return,
            "FAILED" | "KILLED" | "WARNING" => panic!("{execution:#}"),
            _ => assert!(began.elapsed() < END_MAX, "stuck: {execution:#}"),
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

async fn start(client: &reqwest::Client, base: &str, flow: &str) -> Option<String> {
    let request = client.post(format!("{base}/executions/system/{flow}")).header("content-type", "application/json");
    let answer = request.body("{}").send().await.ok()?;
    let started: Value = serde_json::from_str(&answer.text().await.ok()?).ok()?;
    Some(started["id"].as_str().expect("an id").to_owned())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_kill_leaves_the_old_state_or_the_new_one() {
    if !available() {
        return;
    }
    let kills = std::env::var("KILLS").ok().and_then(|number| number.parse().ok()).unwrap_or(6_usize);
    let git = Server::start(Options::default()).await;
    let repository = Repository::new();
    repository.commit(state(Commit::on("main"), 0));
    let served = git.add("r.git", &repository);
    let folder = tempfile::tempdir().expect("a folder");
    let store = folder.path().to_str().expect("UTF-8").to_owned();
    let _ = rustls::crypto::ring::default_provider().install_default();
    let client = reqwest::Client::builder().no_proxy().timeout(Duration::from_secs(20)).build().expect("a client");
    let mut engine = Engine::start(&store, &git);
    for (id, source) in [("pull", "GIT"), ("push", "KESTRA")] {
        let saved = client.post(format!("{}/flows", engine.base)).header("content-type", "application/x-yaml");
        let saved = saved.body(sync(id, &git.url("r.git"), source)).send().await.expect("it answers");
        assert!(saved.status().is_success(), "{}", saved.text().await.unwrap_or_default());
    }
    ended(&client, &engine.base, None, "pull").await;
    let mut counts = [[0, 0]; 2];
    for kill in 0..kills {
        let (before, after) = (kill.to_string(), (kill + 1).to_string());
        let pulls = kill % 2 == 0;
        if pulls {
            served.commit(state(Commit::on("main"), kill + 1));
        } else {
            // All flows and files of the engine in one request each: the engine is the side that is ahead.
            for number in 0..FLOWS {
                let url = format!("{}/flows/team/flow_{number}", engine.base);
                let put = client.put(url).header("content-type", "application/x-yaml").body(flow(number, kill + 1));
                assert!(put.send().await.expect("it answers").status().is_success());
            }
            for number in 0..FILES {
                let form = reqwest::multipart::Form::new()
                    .part("fileContent", reqwest::multipart::Part::text(format!("state {}", kill + 1)).file_name("f"));
                let url = format!("{}/namespaces/team/files?path=/f{number}.txt", engine.base);
                assert!(client.post(url).multipart(form).send().await.expect("it answers").status().is_success());
            }
        }
        let flow = if pulls { "pull" } else { "push" };
        let id = start(&client, &engine.base, flow).await;
        tokio::time::sleep(Duration::from_millis(kill as u64 * 137 % SPREAD_MS)).await;
        engine.kill();
        // What the kill left, before anybody goes on: whoever asks the repository waits until both sides were looked at.
        git.fault(When::always(), Fault::HangBefore);
        let left_there = states_of_repository(&served);
        engine = Engine::start(&store, &git);
        let left_here = states_of_engine(&client, &engine.base).await;
        git.heal();
        git.release();
        let (left, other) = if pulls { (left_here, left_there) } else { (left_there, left_here) };
        assert_eq!(other, BTreeSet::from([after.clone()]), "kill {kill} of {flow} changed the side that is right");
        assert!(left.len() == 1, "kill {kill} of {flow} left some of both: {left:?}");
        counts[usize::from(pulls)][usize::from(left.contains(&after))] += 1;
        assert!(left.contains(&before) || left.contains(&after), "kill {kill}: {left:?}");
        ended(&client, &engine.base, id, flow).await;
        assert_eq!(
            states_of_engine(&client, &engine.base).await,
            BTreeSet::from([after.clone()]),
            "kill {kill} of {flow}"
        );
        assert_eq!(states_of_repository(&served), BTreeSet::from([after]), "kill {kill} of {flow}");
        assert_eq!(served.fsck_strict(), Ok(()));
        let locks = served.git(&["count-objects", "-v"]);
        assert!(locks.contains("garbage: 0"), "{locks}");
    }
    engine.kill();
    let [[push_old, push_new], [pull_old, pull_new]] = counts;
    println!(
        "{kills} kills: pushes left the old state {push_old} times and the new one {push_new} times, pulls {pull_old} and {pull_new}; \
         0 some of both, every execution ended well afterwards"
    );
    git.end().await;
}
