//! What a run shows while it goes on: on a terminal a live tree under the log, elsewhere one line per event. Only draws.

use std::collections::HashMap;
use std::io::Write as _;
use std::sync::Arc;

use console::{Style, Term};
use jiff::Timestamp;
use model::execution::TaskRun;
use model::ids::TaskRunId;
use model::lock::Lock;
use model::state::State;
use model::task::LogLevel;
use server::{LogLine, Seen};

use crate::tree;

/// Shows a run.
pub enum Screen {
    /// Redraws the tree below the lines already printed.
    Live { term: Term, drawn: usize, lock: Arc<Lock> },
    /// Prints what is new.
    Plain { known: HashMap<TaskRunId, State>, lock: Arc<Lock> },
    /// Prints nothing on the way.
    Silent,
}

impl Screen {
    pub fn live(lock: Arc<Lock>) -> Self {
        Self::Live { term: Term::stdout(), drawn: 0, lock }
    }

    pub fn plain(lock: Arc<Lock>) -> Self {
        Self::Plain { known: HashMap::new(), lock }
    }

    /// Takes what is known now, and the log lines that are new.
    pub fn show(&mut self, seen: &Seen, lines: &[LogLine], now: Timestamp) -> std::io::Result<()> {
        match self {
            Self::Live { term, drawn, lock } => {
                term.clear_last_lines(*drawn)?;
                for line in lines {
                    term.write_line(&log_line(line))?;
                }
                let (height, width) = term.size();
                let tree = tree::lines(&seen.execution, &seen.runs, lock, now);
                // Only what fits can be drawn again: the newest lines of a tall tree, the whole of it at the end.
                let room = usize::from(height).saturating_sub(2).max(1);
                let over = seen.execution.state().is_terminal();
                let skipped = if over { 0 } else { tree.len().saturating_sub(room) };
                *drawn = 0;
                for line in tree.iter().skip(skipped) {
                    let line = if over { line.clone() } else { cut(line, usize::from(width)) };
                    term.write_line(&line)?;
                    *drawn += 1;
                }
                term.flush()
            }
            Self::Plain { known, lock } => {
                let mut out = std::io::stdout().lock();
                let changed = seen.runs.iter().filter(|run| {
                    known.insert(run.id.clone(), run.state()) != Some(run.state()) && run.state() != State::Created
                });
                let (begun, ended): (Vec<&TaskRun>, Vec<&TaskRun>) =
                    changed.partition(|run| !run.state().is_terminal());
                let tell = |run: &&TaskRun| (when(run, lines), run_line(run, lock, now));
                // A stable sort: of what has one time, beginnings come first and ends last.
                let mut told: Vec<(Timestamp, String)> = begun.iter().map(tell).collect();
                told.extend(lines.iter().map(|line| (line.at, log_line(line))));
                told.extend(ended.iter().map(tell));
                told.sort_by_key(|(at, _)| *at);
                for (_, line) in told {
                    writeln!(out, "{line}")?;
                }
                Ok(())
            }
            Self::Silent => Ok(()),
        }
    }

    /// The last words: the outputs, and why it failed.
    pub fn finish(&self, seen: &Seen, now: Timestamp) -> std::io::Result<()> {
        if matches!(self, Self::Silent) {
            return Ok(());
        }
        let mut out = std::io::stdout().lock();
        let execution = &seen.execution;
        if let Some(failure) = &execution.failure {
            writeln!(out, "{} {}", tree::mark(State::Failed), tree::short(&failure.message))?;
        }
        if !execution.outputs.is_empty() {
            writeln!(out, "{}", Style::new().bold().apply_to("outputs"))?;
            for (name, value) in &execution.outputs {
                let json = value.to_json();
                let shown = json.as_str().map_or_else(|| json.to_string(), str::to_owned);
                writeln!(out, "  {name}: {}", tree::short(&shown))?;
            }
        }
        writeln!(
            out,
            "{} {} in {}",
            tree::mark(execution.state()),
            execution.state(),
            tree::duration(execution.history.started(), execution.history.ended(), now)
        )
    }
}

/// When a task run came into its state; one that ended, only after the last of what it said.
fn when(run: &TaskRun, lines: &[LogLine]) -> Timestamp {
    let since = run.history.since();
    if !run.state().is_terminal() {
        return since;
    }
    let own = lines.iter().filter(|line| line.task_run.as_ref() == Some(&run.id));
    own.map(|line| line.at).fold(since, Timestamp::max)
}

fn run_line(run: &TaskRun, lock: &Lock, now: Timestamp) -> String {
    let value = run.value.as_deref().map(|value| format!(" [{}]", tree::short(value))).unwrap_or_default();
    let mut line = format!("{} {}{value} {}", tree::mark(run.state()), run.task, run.state());
    if run.state().is_terminal() {
        line.push_str(&format!("  {}", tree::duration(run.history.started(), run.history.ended(), now)));
        line.push_str(&tree::plugin(run, lock));
        if let Some(failure) = run.attempts.last().and_then(|attempt| attempt.failure.as_ref())
            && run.state().is_failed()
        {
            line.push_str(&format!("  {}: {}", failure.code, tree::short(&failure.message)));
        }
    }
    line
}

fn log_line(line: &LogLine) -> String {
    let (name, style) = match line.level {
        LogLevel::Trace => ("TRACE", Style::new().dim()),
        LogLevel::Debug => ("DEBUG", Style::new().dim()),
        LogLevel::Info => ("INFO ", Style::new().cyan()),
        LogLevel::Warn => ("WARN ", Style::new().yellow()),
        LogLevel::Error => ("ERROR", Style::new().red()),
    };
    let task = line.task.as_ref().map(|id| format!("{id}: ")).unwrap_or_default();
    let message: String = line.message.chars().flat_map(tree::visible).collect();
    // Lines of one message are indented: none of them can be taken for a line of ours.
    format!("{} {task}{}", style.apply_to(name), message.replace('\n', "\n      "))
}

/// The part of a line that fits the width, colours kept.
fn cut(line: &str, width: usize) -> String {
    console::truncate_str(line, width.saturating_sub(1), "…").into_owned()
}
