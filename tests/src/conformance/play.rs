//! Plays cases: saves the flows, starts the execution, does what the case says, waits, and has the outcome checked.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures::StreamExt as _;
use jiff::{SignedDuration, Timestamp};
use model::execution::Kind;
use model::flow::Label;
use model::ids::ExecutionId;
use model::state::State;
use serde_json::{Value as Json, json};
use server::{Given, Node, Save, SavedFlow, Seen, Start};
use store::MemoryStore;

use super::check::{Scene, check};
use super::stage::{stored_text, value_of};
use super::{Case, Miss, Stage, Verdict, beyond, wrong};

/// Cases at once: most of them wait rather than compute.
const AT_ONCE: usize = 24;
/// Wall time of one case. The longest flow of the corpus takes a few seconds.
const CASE_MAX: Duration = Duration::from_secs(30);
/// How long what follows an execution (children, retries) may take after its end.
const FOLLOWS_MAX: Duration = Duration::from_secs(5);
/// How long the last lines of a log may take after its execution has ended: they are written behind the commit.
const LOG_MAX: Duration = Duration::from_secs(1);
/// How often what follows is looked at.
const LOOK: Duration = Duration::from_millis(50);
/// Executions of one case.
const EXECUTIONS_MAX: usize = 1_000;
/// Lines of an uploaded file, and repetitions of a text, that a case may ask for.
const REPEAT_MAX: usize = 1 << 20;
/// Largest file that is looked into.
const FILE_MAX_BYTES: u64 = 1 << 20;
/// What a type nobody has is refused with.
const UNKNOWN_TYPE: &str = "flow.unknown_type";

/// Plays all cases, many at a time; the verdicts are in the order of the cases.
pub async fn play_all(stage: &Stage, cases: &[Case]) -> Vec<Verdict> {
    futures::stream::iter(cases).map(|case| play(stage, case)).buffered(AT_ONCE).collect().await
}

async fn play(stage: &Stage, case: &Case) -> Verdict {
    if case.needs_test_task {
        return Verdict::Skipped("a task type of the corpus' own test tree".to_owned());
    }
    let (node, store) = match stage.node(case).await {
        Ok(ready) => ready,
        Err(miss) => return verdict(Err(miss)),
    };
    let played = Played { node: node.clone(), store };
    let result = match tokio::time::timeout(CASE_MAX, attempt(&played, case)).await {
        Ok(result) => result,
        Err(_) => wrong(format!("it takes more than {} s: {}", CASE_MAX.as_secs(), shown(&node).await)),
    };
    // What a case leaves running must not outlive it.
    for seen in all(&node).await.iter().filter(|seen| !seen.is_over()) {
        let _ = node.kill(seen.execution.id.as_str()).await;
    }
    node.shutdown().await;
    verdict(result)
}

/// What a case is played on.
struct Played {
    node: Arc<Node>,
    store: Arc<MemoryStore>,
}

fn verdict(result: Result<(), Miss>) -> Verdict {
    match result {
        Ok(()) => Verdict::Passed,
        Err(Miss::Wrong(why)) => Verdict::Failed(why),
        Err(Miss::Beyond(why)) => Verdict::Skipped(why),
    }
}

/// What is done with a flow.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Action {
    Run,
    /// Only until the inputs are typed.
    Resolve,
    Twice,
    KillPaused,
    Schedule,
}

fn action(name: &str) -> Result<Action, Miss> {
    match name {
        "run" | "api_create(wait=true)" => Ok(Action::Run),
        "resolve_inputs" => Ok(Action::Resolve),
        "run_twice_overlapping" => Ok(Action::Twice),
        "run_until_paused+kill" => Ok(Action::KillPaused),
        "schedule_at(now+1s)" => Ok(Action::Schedule),
        other => beyond(format!("the action `{other}`")),
    }
}

async fn attempt(played: &Played, case: &Case) -> Result<(), Miss> {
    let node = &played.node;
    let action = action(&case.action)?;
    if case.lets_missing_inputs_through {
        return beyond("it starts without an input that is required");
    }
    let refused = case.expects_unknown_type()
        || case.expect.get("error").is_some_and(|error| *error == json!(true))
        || case.expect.get("error_contains").is_some_and(|texts| !texts.is_null());
    for source in &case.others {
        save(node, source).await?;
    }
    let saved = match save(node, &case.source).await {
        Ok(saved) => saved,
        Err(Miss::Wrong(_)) if refused => return Ok(()),
        // A case may be about a type that nobody has.
        Err(Miss::Beyond(_)) if case.expects_unknown_type() => return Ok(()),
        Err(miss) => return Err(miss),
    };
    let mut start = start(&saved, case)?;
    if action == Action::Schedule {
        start.scheduled = Some(Timestamp::now() + SignedDuration::from_secs(1));
    }
    let begun = node.start(start.clone()).await;
    let id = match (begun, refused) {
        (Ok(id), false) => id,
        (Err(server::Error::Invalid { .. }), true) => return Ok(()),
        (Ok(_), true) => return wrong("it starts, and should be refused"),
        (Err(error), _) => return wrong(format!("it does not start: {error} {:?}", error.issues())),
    };
    match action {
        Action::Resolve => return check(&case.expect, &scene(played, &saved, &[&id]).await?),
        Action::Schedule => {
            let before = node.execution(id.as_str()).await.map_err(gone)?;
            if before.execution.state() != State::Created {
                return wrong(format!("before its time it is {}", before.execution.state()));
            }
        }
        Action::KillPaused => {
            paused(node, &id).await?;
            node.kill(id.as_str()).await.map_err(gone)?;
        }
        Action::Twice | Action::Run => {}
    }
    if let Some(expect) = case.expect.get("paused").and_then(Json::as_object) {
        paused(node, &id).await?;
        check(expect, &scene(played, &saved, &[&id]).await?)?;
    }
    let mut ids = vec![id];
    if action == Action::Twice {
        // The first one must have its slot before the second one asks for it.
        reached(node, &ids[0], |state| state != State::Created).await?;
        ids.push(node.start(start).await.map_err(gone)?);
    }
    for id in &ids {
        node.ended(id).await.map_err(gone)?;
    }
    let ids: Vec<&ExecutionId> = ids.iter().collect();
    settled(played, &saved, &ids, case).await
}

/// Checks, and for a while checks again as long as children or retries may still change the outcome.
async fn settled(played: &Played, saved: &SavedFlow, ids: &[&ExecutionId], case: &Case) -> Result<(), Miss> {
    let node = &played.node;
    let retried = case.expect.contains_key("all_executions_of_flow");
    let alone = case.others.is_empty() && !retried;
    let end = tokio::time::Instant::now() + if alone { LOG_MAX } else { FOLLOWS_MAX };
    loop {
        let mut scene = scene(played, saved, ids).await?;
        if retried {
            // Each execution takes the place of the one before it; the outcome is that of the last.
            scene.main = scene.all.last().cloned().into_iter().collect();
        }
        let result = check(&case.expect, &scene);
        match result {
            Err(Miss::Wrong(_)) if tokio::time::Instant::now() < end => tokio::time::sleep(LOOK).await,
            Err(Miss::Wrong(why)) => return wrong(format!("{why} of {}", shown(node).await)),
            result => return result,
        }
    }
}

async fn save(node: &Node, source: &str) -> Result<Arc<SavedFlow>, Miss> {
    node.save_flow(source, Save::Any).await.map_err(|error| {
        let issues = error.issues();
        let types: Vec<String> =
            issues.iter().filter(|issue| issue.code == UNKNOWN_TYPE).map(|issue| issue.message.clone()).collect();
        match types.first() {
            Some(first) if types.len() == issues.len() => Miss::Beyond(first.clone()),
            _ => {
                let said: Vec<String> = issues.iter().map(ToString::to_string).collect();
                Miss::Wrong(format!("the flow is refused: {error} {}", said.join("; ")))
            }
        }
    })
}

fn start(saved: &SavedFlow, case: &Case) -> Result<Start, Miss> {
    let mut inputs = Vec::new();
    for (name, value) in &case.inputs {
        let given = match value {
            Json::Null => continue,
            Json::String(text) if text == "$file" => file(case)?,
            Json::String(text) if text.contains("{{") && text.contains(".execution.id") => {
                return beyond("an input that is another execution");
            }
            Json::String(text) => Given::Text(text.clone()),
            Json::Object(_) => Given::Text(generated(value)?),
            other => Given::Value(value_of(other)),
        };
        inputs.push((name.clone(), given));
    }
    let label = |(key, value): (&String, &Json)| Label {
        key: key.clone(),
        value: value.as_str().unwrap_or_default().to_owned(),
    };
    Ok(Start {
        namespace: saved.flow.key.namespace.to_string(),
        id: saved.flow.key.id.to_string(),
        revision: None,
        inputs,
        labels: case.labels.iter().map(label).collect(),
        kind: Kind::Normal,
        scheduled: None,
        trigger: None,
        idempotency_key: None,
    })
}

/// The file that is uploaded.
fn file(case: &Case) -> Result<Given, Miss> {
    let Some(file) = case.files.get("file") else { return beyond("a file that the case does not describe") };
    let name = file["name"].as_str().unwrap_or("file.txt").to_owned();
    let text = match file["content"].as_str() {
        Some(text) => text.to_owned(),
        None => generated(file)?,
    };
    Ok(Given::File { name, bytes: Bytes::from(text) })
}

/// Text that is described rather than written out.
fn generated(value: &Json) -> Result<String, Miss> {
    let number = |value: &Json| value.as_u64().and_then(|number| usize::try_from(number).ok());
    if let Some(lines) = value.get("$padded_lines")
        && let (Some(from), Some(to), Some(pad)) = (number(&lines["from"]), number(&lines["to"]), number(&lines["pad"]))
        && to.saturating_mul(pad) < REPEAT_MAX
    {
        return Ok((from..=to).map(|line| format!("{line:>pad$}\n")).collect());
    }
    if let Some(repeat) = value.get("$repeat")
        && let (Some(text), Some(times)) = (repeat[0].as_str(), number(&repeat[1]))
        && times < REPEAT_MAX
    {
        return Ok(text.repeat(times));
    }
    beyond(format!("a text described as {value}"))
}

async fn paused(node: &Arc<Node>, id: &ExecutionId) -> Result<(), Miss> {
    let state = reached(node, id, |state| state == State::Paused).await?;
    if state == State::Paused { Ok(()) } else { wrong(format!("it ends {state} and never pauses")) }
}

/// Waits for a state, or for the end.
async fn reached(node: &Arc<Node>, id: &ExecutionId, wanted: impl Fn(State) -> bool) -> Result<State, Miss> {
    let mut watch = node.watch(id.as_str());
    loop {
        let state = node.execution(id.as_str()).await.map_err(gone)?.execution.state();
        if wanted(state) || state.is_terminal() {
            return Ok(state);
        }
        // A hint may be about an earlier change, and may be missed: looking again costs little.
        let _ = tokio::time::timeout(LOOK, watch.changed()).await;
    }
}

async fn scene(played: &Played, saved: &SavedFlow, ids: &[&ExecutionId]) -> Result<Scene, Miss> {
    let node = &played.node;
    let mut main = Vec::new();
    for id in ids {
        main.push(node.execution(id.as_str()).await.map_err(gone)?);
    }
    let all = all(node).await;
    let mut logs = Vec::new();
    for seen in &all {
        logs.extend(node.logs(seen.execution.id.as_str(), 0, super::check::LINES_MAX).await.map_err(gone)?);
    }
    let mut files = BTreeMap::new();
    for run in all.iter().flat_map(|seen| &seen.runs) {
        for uri in uris(&run.outputs.to_json()) {
            if let Some(text) = stored_text(&played.store, &uri, FILE_MAX_BYTES).await {
                files.insert(uri, text);
            }
        }
    }
    Ok(Scene { main, all, logs, flow: saved.flow.key.id.to_string(), files })
}

/// The URIs of stored files in outputs.
fn uris(outputs: &Json) -> Vec<String> {
    match outputs {
        Json::String(text) if text.starts_with("kestra:///") => vec![text.clone()],
        Json::Array(items) => items.iter().flat_map(uris).collect(),
        Json::Object(entries) => entries.values().flat_map(uris).collect(),
        _ => Vec::new(),
    }
}

/// Every execution of the node, oldest first.
async fn all(node: &Arc<Node>) -> Vec<Seen> {
    let (listed, _) = node.executions(None, None, 0, EXECUTIONS_MAX).await.unwrap_or_default();
    let mut all = Vec::new();
    for execution in listed.iter().rev() {
        all.extend(node.execution(execution.id.as_str()).await.ok());
    }
    all
}

async fn shown(node: &Arc<Node>) -> String {
    let all = all(node).await;
    all.iter().map(super::check::shown).collect::<Vec<_>>().join("; ")
}

fn gone(error: server::Error) -> Miss {
    Miss::Wrong(error.to_string())
}
