//! Plays cases: saves the flows, starts the execution, does what the case says, waits, and has the outcome checked.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures::StreamExt as _;
use jiff::{SignedDuration, Timestamp};
use model::flow::Label;
use model::ids::ExecutionId;
use model::state::State;
use serde_json::{Value as Json, json};
use server::{Given, Node, Save, SavedFlow, Search, Seen, Start};

use super::action::{Action, Overlap, Paused, action};
use super::afterwards::{afterwards, first_run};
use super::check::{Scene, check, check_inputs};
use super::stage::value_of;
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
/// Larger files of outputs are not looked into.
const FILE_BYTES_MAX: usize = 16 << 20;
/// What a type nobody has is refused with.
const UNKNOWN_TYPE: &[&str] = &["flow.unknown_type", "flow.missing_plugin", "flow.not_supported"];

/// Plays all cases, many at a time; the verdicts are in the order of the cases.
pub async fn play_all(stage: &Stage, cases: &[Case]) -> Vec<Verdict> {
    futures::stream::iter(cases).map(|case| play(stage, case)).buffered(AT_ONCE).collect().await
}

async fn play(stage: &Stage, case: &Case) -> Verdict {
    if case.needs_test_task {
        return Verdict::Skipped("a task type of the corpus' own test tree".to_owned());
    }
    if !case.clock.is_empty() {
        return verdict(super::timed::play(stage, case));
    }
    let (node, _folder) = match stage.node(case).await {
        Ok(node) => node,
        Err(miss) => return verdict(Err(miss)),
    };
    let result = match tokio::time::timeout(CASE_MAX, attempt(&node, case)).await {
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

fn verdict(result: Result<(), Miss>) -> Verdict {
    match result {
        Ok(()) => Verdict::Passed,
        Err(Miss::Wrong(why)) => Verdict::Failed(why),
        Err(Miss::Beyond(why)) => Verdict::Skipped(why),
    }
}

/// Whether the last thing that a case does must be refused.
pub(super) fn is_refused(case: &Case) -> bool {
    let expect = &case.expect;
    expect.get("error").is_some_and(|error| *error == json!(true))
        || expect.get("error_contains").is_some_and(|texts| !texts.is_null())
        || expect.get("http_status").and_then(Json::as_u64).is_some_and(|status| status >= 400)
}

/// Compares an answer with the refusal, or its absence, that a case expects. `None`: it was refused, as it should be.
pub(super) fn answered<T>(case: &Case, answer: Result<T, server::Error>) -> Result<Option<T>, Miss> {
    match (answer, is_refused(case)) {
        (Ok(answer), false) => Ok(Some(answer)),
        (Ok(_), true) => wrong("it is done, and should be refused"),
        (Err(error), false) => wrong(format!("it is refused: {error} {:?}", error.issues())),
        (Err(error), true) => {
            let status = u64::from(error.status().as_u16());
            match case.expect.get("http_status").and_then(Json::as_u64) {
                Some(wanted) if wanted != status => {
                    wrong(format!("it is refused with {status}, not {wanted}: {error}"))
                }
                _ if error.status().is_client_error() => Ok(None),
                _ => wrong(format!("it fails: {error}")),
            }
        }
    }
}

async fn attempt(node: &Arc<Node>, case: &Case) -> Result<(), Miss> {
    if case.action == "webhook" {
        return super::webhook::play(node, case).await;
    }
    let action = action(&case.action)?;
    if case.lets_missing_inputs_through {
        return beyond("it starts without an input that is required");
    }
    // What is refused is the last thing that is done.
    let at_start = matches!(action, Action::Resolve | Action::Run(None) | Action::Schedule(_) | Action::Twice(None));
    let mut others = Vec::new();
    for source in &case.others {
        others.push(save(node, source).await?);
    }
    let saved = match save(node, &case.source).await {
        Ok(saved) => saved,
        Err(Miss::Wrong(_)) if is_refused(case) && at_start => return Ok(()),
        // A type that nobody has is what the case is about.
        Err(Miss::Beyond(_)) if is_refused(case) && case.is_own => return Ok(()),
        Err(miss) => return Err(miss),
    };
    let mut start = start(&saved, case)?;
    if let Action::Schedule(seconds) = action {
        start.scheduled = Some(Timestamp::now() + SignedDuration::from_secs(seconds));
    }
    let mut beside = None;
    if let Action::BesidePaused(flow) = &action {
        let other = others.iter().find(|other| other.flow.key.id.as_str() == flow);
        let Some(other) = other else { return beyond(format!("the flow `{flow}` is not there")) };
        let id = node.start(plain(other)).await.map_err(gone)?;
        paused(node, &id).await?;
        name_execution(&mut start, flow, &id);
        beside = Some(id);
    }
    if action == Action::Resolve && !is_refused(case) {
        let Start { namespace, id, inputs, .. } = start.clone();
        let resolved = node.check_inputs(&namespace, &id, None, inputs).await.map_err(gone)?;
        check_inputs(&case.expect, &resolved)?;
    }
    let begun = node.start(start.clone()).await;
    let id = match at_start {
        true => match answered(case, begun)? {
            Some(id) => id,
            None => return Ok(()),
        },
        false => begun.map_err(gone)?,
    };
    if let Some(expect) = case.expect.get("paused").and_then(Json::as_object) {
        paused(node, &id).await?;
        check(expect, &scene(node, &saved, &[&id]).await?)?;
    }
    let mut ids = vec![id.clone()];
    match &action {
        Action::Resolve => return check(&case.expect, &scene(node, &saved, &[&id]).await?),
        Action::Schedule(_) => {
            let before = node.execution(id.as_str()).await.map_err(gone)?;
            if before.execution.state() != State::Created {
                return wrong(format!("before its time it is {}", before.execution.state()));
            }
        }
        Action::Paused(how) => {
            paused(node, &id).await?;
            let answer = match how {
                Paused::Kill => node.kill(id.as_str()).await,
                Paused::Resume => node.resume(id.as_str(), resume_inputs(case)?).await,
            };
            if answered(case, answer)?.is_none() {
                return check(&case.expect, &scene(node, &saved, &[&id]).await?);
            }
        }
        Action::Twice(overlap) => ids.push(second(node, case, start, &id, *overlap).await?),
        Action::Run(_) | Action::BesidePaused(_) => {}
    }
    for id in ids.iter().chain(&beside) {
        node.ended(id).await.map_err(gone)?;
    }
    if action == Action::Twice(Some(Overlap::RestartFirst)) {
        // The first had to wait for the second: both have ended by now.
        node.ended(&id).await.map_err(gone)?;
    }
    if let Action::Run(Some(after)) = &action {
        first_run(case, &scene(node, &saved, &[&id]).await?)?;
        match afterwards(node, case, &id, after).await? {
            Some(last) => ids = vec![last],
            None => return Ok(()),
        }
    }
    let ids: Vec<&ExecutionId> = ids.iter().collect();
    settled(node, &saved, &ids, case).await
}

/// Starts the flow again while it runs, and does what is done then.
async fn second(
    node: &Arc<Node>,
    case: &Case,
    start: Start,
    first: &ExecutionId,
    overlap: Option<Overlap>,
) -> Result<ExecutionId, Miss> {
    // The first one must have its slot before the second one asks for it.
    reached(node, first, |state| state != State::Created).await?;
    let id = node.start(start).await.map_err(gone)?;
    let answer = match overlap {
        None => return Ok(id),
        Some(Overlap::RestartFirst) => {
            node.ended(first).await.map_err(gone)?;
            reached(node, &id, |state| state == State::Running).await?;
            node.restart(first.as_str(), None).await
        }
        Some(Overlap::UnqueueSecond) => {
            reached(node, &id, |state| state == State::Queued).await?;
            node.unqueue(id.as_str(), State::Running).await
        }
        Some(Overlap::ForceRunSecond) => {
            reached(node, &id, |state| state == State::Queued).await?;
            node.force_run(id.as_str()).await
        }
    };
    let Some(seen) = answered(case, answer)? else { return Ok(id) };
    let state = seen.execution.state();
    match case.expect.get("state_not").and_then(Json::as_str) {
        Some(unwanted) if unwanted == state.as_str() => wrong(format!("it is {state}")),
        _ => Ok(id),
    }
}

/// Checks, and for a while checks again as long as children or retries may still change the outcome.
pub(super) async fn settled(
    node: &Arc<Node>,
    saved: &SavedFlow,
    ids: &[&ExecutionId],
    case: &Case,
) -> Result<(), Miss> {
    let retried = case.expect.contains_key("all_executions_of_flow");
    let alone = case.others.is_empty() && !retried;
    let end = tokio::time::Instant::now() + if alone { LOG_MAX } else { FOLLOWS_MAX };
    loop {
        let mut scene = scene(node, saved, ids).await?;
        if retried {
            // Each execution takes the place of the one before it; the outcome is that of the last.
            scene.main = scene.all.last().cloned().into_iter().collect();
        }
        let result = check(&case.expect, &scene).and_then(|()| others_ended(case, &scene));
        match result {
            Err(Miss::Wrong(_)) if tokio::time::Instant::now() < end => tokio::time::sleep(LOOK).await,
            Err(Miss::Wrong(why)) => return wrong(format!("{why} of {}", shown(node).await)),
            result => return result,
        }
    }
}

/// `other`: executions of other flows that must have ended.
fn others_ended(case: &Case, scene: &Scene) -> Result<(), Miss> {
    let others = case.expect.get("other").and_then(Json::as_object);
    others.into_iter().flatten().try_for_each(|(flow, wanted)| {
        if *wanted != json!({ "terminated": true }) {
            return beyond(format!("what is expected of `{flow}`: {wanted}"));
        }
        let mut executions = scene.all.iter().filter(|seen| seen.execution.flow.id.as_str() == flow).peekable();
        match executions.peek().is_some() && executions.all(|seen| seen.execution.state().is_terminal()) {
            true => Ok(()),
            false => wrong(format!("`{flow}` has not ended")),
        }
    })
}

pub(super) async fn save(node: &Node, source: &str) -> Result<Arc<SavedFlow>, Miss> {
    node.save_flow(source, Save::Any).await.map_err(|error| {
        let issues = error.issues();
        let types: Vec<String> = issues
            .iter()
            .filter(|issue| UNKNOWN_TYPE.contains(&issue.code.as_str()))
            .map(|issue| issue.message.clone())
            .collect();
        match types.first() {
            Some(first) if types.len() == issues.len() => Miss::Beyond(first.clone()),
            _ => {
                let said: Vec<String> = issues.iter().map(ToString::to_string).collect();
                Miss::Wrong(format!("the flow is refused: {error} {}", said.join("; ")))
            }
        }
    })
}

/// A start with nothing given.
fn plain(saved: &SavedFlow) -> Start {
    Start::of(saved.flow.key.namespace.to_string(), saved.flow.key.id.to_string())
}

fn start(saved: &SavedFlow, case: &Case) -> Result<Start, Miss> {
    Ok(Start { inputs: given(case, &case.inputs)?, labels: labels(&case.labels), ..plain(saved) })
}

/// Labels as a case writes them.
pub(super) fn labels(written: &serde_json::Map<String, Json>) -> Vec<Label> {
    let label = |(key, value): (&String, &Json)| Label {
        key: key.clone(),
        value: value.as_str().unwrap_or_default().to_owned(),
    };
    written.iter().map(label).collect()
}

fn given(case: &Case, inputs: &serde_json::Map<String, Json>) -> Result<Vec<(String, Given)>, Miss> {
    let mut all = Vec::new();
    for (name, value) in inputs {
        let given = match value {
            Json::Null => continue,
            Json::String(text) if text == "$file" => file(case)?,
            Json::String(text) => Given::Text(text.clone()),
            Json::Object(_) => Given::Text(generated(value)?),
            other => Given::Value(value_of(other)),
        };
        all.push((name.clone(), given));
    }
    Ok(all)
}

fn resume_inputs(case: &Case) -> Result<Vec<(String, Given)>, Miss> {
    let mut all = given(case, &case.resume_inputs)?;
    let files = case.resume_files.iter().map(|(name, content)| {
        let bytes = Bytes::from(content.as_str().unwrap_or_default().to_owned());
        (name.clone(), Given::File { name: "file.txt".to_owned(), bytes })
    });
    all.extend(files);
    Ok(all)
}

/// Puts the id of another execution where an input names it: `{{flow.execution.id}}`.
fn name_execution(start: &mut Start, flow: &str, id: &ExecutionId) {
    let name = format!("{{{{{flow}.execution.id}}}}");
    for (_, given) in &mut start.inputs {
        if let Given::Text(text) = given {
            *text = text.replace(&name, id.as_str());
        }
    }
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

pub(super) async fn scene(node: &Arc<Node>, saved: &SavedFlow, ids: &[&ExecutionId]) -> Result<Scene, Miss> {
    let mut main = Vec::new();
    for id in ids {
        main.push(node.execution(id.as_str()).await.map_err(gone)?);
    }
    let all = all(node).await;
    let mut logs = Vec::new();
    for seen in &all {
        logs.extend(node.logs(seen.execution.id.as_str(), 0, super::check::LINES_MAX).await.map_err(gone)?);
    }
    let files = files(node, &all).await;
    Ok(Scene { main, all, logs, files, flow: saved.flow.key.id.to_string() })
}

/// What is in the files that outputs name.
async fn files(node: &Arc<Node>, all: &[Seen]) -> BTreeMap<String, String> {
    let mut files = BTreeMap::new();
    for seen in all {
        let outputs = seen.runs.iter().map(|run| run.outputs.to_json());
        for uri in outputs.flat_map(|outputs| uris(&outputs)) {
            if let Ok(content) = node.read_file(&seen.execution.id, &uri, FILE_BYTES_MAX).await {
                files.insert(uri, String::from_utf8_lossy(&content).into_owned());
            }
        }
    }
    files
}

fn uris(value: &Json) -> Vec<String> {
    match value {
        Json::String(text) if text.starts_with("kestra:///") => vec![text.clone()],
        Json::Array(items) => items.iter().flat_map(uris).collect(),
        Json::Object(entries) => entries.values().flat_map(uris).collect(),
        _ => Vec::new(),
    }
}

/// Every execution of the node, oldest first.
pub(super) async fn all(node: &Arc<Node>) -> Vec<Seen> {
    let found = node.search_executions(&Search::default(), 0, EXECUTIONS_MAX).await;
    let mut all = Vec::new();
    for execution in found.iter().flat_map(|found| found.executions.iter().rev()) {
        all.extend(node.execution(execution.id.as_str()).await.ok());
    }
    all
}

pub(super) async fn shown(node: &Arc<Node>) -> String {
    let all = all(node).await;
    all.iter().map(super::check::shown).collect::<Vec<_>>().join("; ")
}

pub(super) fn gone(error: server::Error) -> Miss {
    Miss::Wrong(error.to_string())
}
