//! `sluice run`: one flow, in this process, from file to exit code.

use std::collections::HashSet;
use std::io::{IsTerminal as _, Read as _};
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::{Context as _, Result, anyhow, bail};
use model::flow::Label;
use model::lock::Lock;
use model::state::State;
use server::{Given, LogLine, Node, Save, Seen, Start};
use tokio::signal::unix::{SignalKind, signal};

use crate::args::{Global, Output, Run};
use crate::screen::Screen;
use crate::setup::{self, Kept};

/// How often a live tree is drawn again when nothing happened, so that its clocks run.
const REDRAW: std::time::Duration = std::time::Duration::from_millis(100);
/// Log lines fetched at once.
const LINES: usize = 1_000;

/// Exit code for what could not be started.
const NOT_STARTED: u8 = 2;

pub async fn run(global: &Global, arguments: &Run) -> Result<ExitCode> {
    let (kept, node, asked) = match prepare(global, arguments).await {
        Ok(ready) => ready,
        Err(error) => {
            crate::complain(&format!("error: {error:#}"));
            return Ok(ExitCode::from(NOT_STARTED));
        }
    };
    let outcome = start_and_show(&node, arguments, asked).await;
    kept.end(node).await?;
    outcome
}

/// Asks whoever sits at the terminal about the hosts that a flow names and the policy does not open.
fn ask_for_hosts(node: &Node, source: &str) -> Result<()> {
    for refusal in node.refused(source) {
        let Some(host) = &refusal.host else { continue };
        let terminal = console::Term::stderr();
        terminal.write_str(&format!(
            "{}: plugin {} wants to reach `{host}`. Let it? [y/N] ",
            refusal.needed_by, refusal.plugin
        ))?;
        if matches!(terminal.read_line()?.trim(), "y" | "Y" | "yes") {
            node.open_host(server::allow_net(host).map_err(|error| anyhow!(error))?);
        }
    }
    Ok(())
}

/// What is to be run, read and taken apart.
struct Asked {
    source: String,
    inputs: Vec<(String, Given)>,
    labels: Vec<Label>,
}

async fn prepare(global: &Global, arguments: &Run) -> Result<(Kept, Arc<Node>, Asked)> {
    let source = read(&arguments.file)?;
    let inputs = arguments.inputs.iter().map(|text| input(text)).collect::<Result<Vec<_>>>()?;
    if let [name, ..] = repeated(&inputs).as_slice() {
        bail!("input `{name}` is given twice");
    }
    let labels = arguments.labels.iter().map(|text| label(text)).collect::<Result<Vec<_>>>()?;
    let kept = Kept::open(global, arguments.store.as_deref())?;
    let node = setup::node(global, &kept, &arguments.plugins, &arguments.allow_net).await?;
    Ok((kept, node, Asked { source, inputs, labels }))
}

async fn start_and_show(node: &Arc<Node>, arguments: &Run, asked: Asked) -> Result<ExitCode> {
    if arguments.output != Output::Json && std::io::stdin().is_terminal() && std::io::stderr().is_terminal() {
        ask_for_hosts(node, &asked.source)?;
    }
    let saved = match node.save_flow(&asked.source, Save::Any).await {
        Ok(saved) => saved,
        Err(error) => return refuse(arguments, &error),
    };
    for warning in &saved.warnings {
        tracing::warn!("{}: {warning}", arguments.file.display());
    }
    // Listened to from before the start: an interrupt at any later moment is then heard.
    let mut interrupted = signal(SignalKind::interrupt())?;
    let start = Start {
        inputs: asked.inputs,
        labels: asked.labels,
        ..Start::of(saved.flow.key.namespace.to_string(), saved.flow.key.id.to_string())
    };
    let id = match node.start(start).await {
        Ok(id) => id,
        Err(error) => return refuse(arguments, &error),
    };
    let mut screen = match arguments.output {
        Output::Json => Screen::Silent,
        Output::Auto if std::io::stdout().is_terminal() => Screen::live(saved.lock.clone()),
        Output::Auto | Output::Plain => Screen::plain(saved.lock.clone()),
    };
    let mut watch = node.watch(id.as_str());
    let mut logs: Vec<LogLine> = Vec::new();
    let mut after = 0;
    let mut interrupts = 0;
    loop {
        let seen = node.execution(id.as_str()).await?;
        let new = node.logs(id.as_str(), after, LINES).await?;
        after = new.last().map_or(after, |line| line.position);
        let more = new.len() == LINES;
        or_unread(screen.show(&seen, &new, node.now()))?;
        if arguments.output == Output::Json {
            logs.extend(new);
        }
        if seen.is_over() && !more {
            or_unread(screen.finish(&seen, node.now()))?;
            if arguments.output == Output::Json {
                print_json(&seen, &logs, &saved.lock, node)?;
            }
            return Ok(exit_code(seen.execution.state()));
        }
        if more {
            continue;
        }
        tokio::select! {
            () = watch.changed() => {}
            () = tokio::time::sleep(REDRAW) => {}
            _ = interrupted.recv() => {
                interrupts += 1;
                if interrupts > 1 {
                    bail!("interrupted twice: leaving execution `{id}` as it is");
                }
                node.kill(id.as_str()).await?;
            }
        }
    }
}

fn print_json(seen: &Seen, logs: &[LogLine], lock: &Lock, node: &Node) -> Result<()> {
    let mut body =
        serde_json::to_value(server::wire::ExecutionBody::new(&seen.execution, seen.runs.iter(), node.now()))?;
    let lines: Vec<serde_json::Value> = logs
        .iter()
        .map(|line| {
            serde_json::json!({
                "timestamp": line.at, "level": line.level, "message": line.message,
                "taskId": line.task, "taskRunId": line.task_run, "attemptNumber": line.attempt,
            })
        })
        .collect();
    if let Some(entries) = body.as_object_mut() {
        entries.insert("logs".to_owned(), lines.into());
        entries.insert("lock".to_owned(), serde_json::to_value(&lock.tasks)?);
    }
    crate::print(&serde_json::to_string_pretty(&body)?);
    Ok(())
}

/// A reader that went away (`sluice run … | head`) is no reason to leave an execution half done.
fn or_unread(shown: std::io::Result<()>) -> std::io::Result<()> {
    match shown {
        Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => Ok(()),
        other => other,
    }
}

/// Says why nothing was started, every problem with its line.
fn refuse(arguments: &Run, error: &server::Error) -> Result<ExitCode> {
    if arguments.output == Output::Json {
        let body = serde_json::json!({
            "message": error.to_string(), "code": error.code(), "problems": error.issues(),
        });
        crate::print(&serde_json::to_string_pretty(&body)?);
        return Ok(ExitCode::from(NOT_STARTED));
    }
    if error.issues().is_empty() {
        crate::complain(&format!("{}: {error}", arguments.file.display()));
    }
    for issue in error.issues() {
        crate::complain(&format!("{}:{issue}", arguments.file.display()));
    }
    Ok(ExitCode::from(NOT_STARTED))
}

fn exit_code(state: State) -> ExitCode {
    match state {
        State::Success | State::Warning | State::Skipped => ExitCode::SUCCESS,
        _ => ExitCode::FAILURE,
    }
}

fn read(file: &std::path::Path) -> Result<String> {
    if file.as_os_str() == "-" {
        let mut source = String::new();
        std::io::stdin().read_to_string(&mut source).context("cannot read the flow from standard input")?;
        return Ok(source);
    }
    std::fs::read_to_string(file).with_context(|| format!("cannot read the flow `{}`", file.display()))
}

fn input(text: &str) -> Result<(String, Given)> {
    let Some((name, value)) = text.split_once('=') else {
        bail!("`{text}` is not an input\n  hint: write NAME=VALUE, or NAME=@FILE for the content of a file");
    };
    let Some(path) = value.strip_prefix('@') else { return Ok((name.to_owned(), Given::Text(value.to_owned()))) };
    let bytes = std::fs::read(path).with_context(|| format!("cannot read the file of input `{name}`: `{path}`"))?;
    let file = std::path::Path::new(path)
        .file_name()
        .map_or_else(|| name.to_owned(), |name| name.to_string_lossy().into_owned());
    Ok((name.to_owned(), Given::File { name: file, bytes: bytes.into() }))
}

fn label(text: &str) -> Result<Label> {
    match text.split_once('=') {
        Some((key, value)) if !key.is_empty() => Ok(Label { key: key.to_owned(), value: value.to_owned() }),
        _ => bail!("`{text}` is not a label\n  hint: write KEY=VALUE"),
    }
}

/// Input names given twice: the last would silently win.
fn repeated(inputs: &[(String, Given)]) -> Vec<&str> {
    let mut known = HashSet::new();
    inputs.iter().filter(|(name, _)| !known.insert(name.as_str())).map(|(name, _)| name.as_str()).collect()
}
