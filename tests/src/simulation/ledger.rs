//! What the world outside of the machine knows: who was told what, what was shown, what was done outside. It survives every crash, and says
//! so when the machine takes something back. Never asks the machine.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use jiff::Timestamp;
use model::execution::TaskRun;
use model::ids::{ExecutionId, TaskRunId};
use model::state::History;
use runtime::Request;
use server::{Clock as _, LogLine, Seen};

use super::flows::PREFIX;
use super::power::SimulatedClock;

/// Lines of a trace that are kept.
const TRACE_MAX: usize = 200_000;

/// One attempt, in the eyes of its guest.
#[derive(Clone, Debug)]
pub struct Who {
    pub execution: ExecutionId,
    pub run: TaskRunId,
    pub task: String,
    pub attempt: u32,
    pub kind: String,
    pub key: String,
}

impl Who {
    pub fn of(request: &Request) -> Self {
        let fact = |name: &str| request.facts.keys.get(name).cloned().unwrap_or_default();
        Self {
            execution: ExecutionId::trusted(fact("execution.id")),
            run: TaskRunId::trusted(fact("taskrun.id")),
            task: fact("task.id"),
            attempt: request.facts.attempt,
            kind: request.task_type.trim_start_matches(PREFIX).to_owned(),
            key: request.facts.idempotency_key.clone(),
        }
    }
}

impl fmt::Display for Who {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}({})#{} {}", self.execution, self.task, self.run, self.attempt, self.kind)
    }
}

/// An execution that somebody asked for.
#[derive(Clone, Debug)]
pub struct Call {
    pub flow: String,
    pub n: i64,
    /// What the client was told.
    pub told: Option<ExecutionId>,
}

/// What readers have seen of an execution.
#[derive(Clone, Debug, Default)]
pub struct Shown {
    pub seen: Option<Seen>,
    pub lines: BTreeMap<u64, String>,
}

/// What one attempt did outside.
#[derive(Clone, Debug)]
pub struct Acts {
    pub who: Who,
    /// In which lives of the machine.
    pub lives: Vec<u32>,
}

/// The ledger's pages.
#[derive(Default)]
pub struct Pages {
    pub life: u32,
    pub calls: Vec<Call>,
    /// Executions whose end somebody asked for and was promised, and when.
    pub killed: BTreeMap<ExecutionId, Timestamp>,
    /// Executions whose end somebody may have asked for.
    pub maybe_killed: BTreeSet<ExecutionId>,
    pub shown: BTreeMap<ExecutionId, Shown>,
    pub acts: BTreeMap<(TaskRunId, u32), Acts>,
    /// Attempts that asked whether they may act, with the life they did in.
    pub asked: BTreeMap<(TaskRunId, u32), (Who, u32)>,
    running: BTreeMap<TaskRunId, Who>,
    keys: BTreeMap<TaskRunId, String>,
    /// The first thing that was wrong.
    pub broken: Option<String>,
    trace: Option<Vec<String>>,
    /// Of everything that happened, in its order: the same seed gives the same.
    pub digest: u64,
    /// The clock of the life that is lived now.
    pub clock: Option<SimulatedClock>,
}

/// The ledger.
pub struct Ledger(Mutex<Pages>);

impl Ledger {
    pub fn new(traced: bool) -> Arc<Self> {
        let pages = Pages { trace: traced.then(Vec::new), digest: 0xcbf2_9ce4_8422_2325, ..Pages::default() };
        Arc::new(Self(Mutex::new(pages)))
    }

    pub fn pages(&self) -> MutexGuard<'_, Pages> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes that something happened.
    pub fn note(&self, what: impl FnOnce() -> String) {
        self.pages().note(&what());
    }

    /// Notes that something is wrong.
    pub fn breaks(&self, what: String) {
        self.pages().breaks(what);
    }

    pub fn trace(&self) -> Vec<String> {
        self.pages().trace.clone().unwrap_or_default()
    }

    /// A guest begins; it runs until what this gives is dropped.
    pub fn begins(self: &Arc<Self>, who: &Who) -> Running {
        let mut pages = self.pages();
        pages.note(&format!("guest {who} begins"));
        if let Some(other) = pages.running.insert(who.run.clone(), who.clone()) {
            pages.breaks(format!("{who} begins while {other} runs"));
        }
        let key = pages.keys.entry(who.run.clone()).or_insert_with(|| who.key.clone()).clone();
        if key != who.key {
            pages.breaks(format!("{who} has the key `{}`, and had `{key}` before", who.key));
        }
        if let Some(run) = pages.shown_run(who)
            && let Some(attempt) = run.attempts.get(who.attempt.saturating_sub(1) as usize)
            && attempt.history.current().is_terminal()
        {
            let end = attempt.history.current();
            pages.breaks(format!("{who} begins after its end was shown: {end}"));
        }
        Running { ledger: self.clone(), run: who.run.clone() }
    }

    /// A guest asks whether it may act.
    pub fn asks(&self, who: &Who) {
        let mut pages = self.pages();
        let life = pages.life;
        pages.asked.insert((who.run.clone(), who.attempt), (who.clone(), life));
    }

    /// A guest acts outside.
    pub fn acts(&self, who: &Who) {
        let mut pages = self.pages();
        pages.note(&format!("guest {who} acts"));
        let life = pages.life;
        let acts = pages.acts.entry((who.run.clone(), who.attempt));
        let acts = acts.or_insert_with(|| Acts { who: who.clone(), lives: Vec::new() });
        acts.lives.push(life);
        let lives = acts.lives.clone();
        let twice = lives.len() > 1;
        // A unit is begun anew from its first task.
        if twice && (who.kind == "Once" || lives.iter().filter(|known| **known == life).count() > 1) {
            pages.breaks(format!("{who} acts twice, in lives {lives:?}"));
        }
    }

    /// What has been shown of an execution so far: what a reader who begins now must find at least.
    pub fn shown(&self, id: &ExecutionId) -> Shown {
        self.pages().shown.get(id).cloned().unwrap_or_default()
    }

    /// A reader sees an execution, and knew what was shown before it looked.
    pub fn sees(&self, seen: &Seen, before: &Shown) {
        let mut pages = self.pages();
        let id = seen.execution.id.clone();
        if let Some(problem) = before.seen.as_ref().and_then(|before| taken_back(before, seen)) {
            pages.breaks(format!("execution {id}: {problem}"));
        }
        let shown = pages.shown.entry(id.clone()).or_default();
        // Another may have looked later and be done earlier.
        if shown.seen.as_ref().is_none_or(|known| known.position < seen.position) {
            shown.seen = Some(seen.clone());
            let (state, position) = (seen.execution.state(), seen.position);
            pages.note(&format!("shown {id} {state} with {} runs at {position}", seen.runs.len()));
        }
    }

    /// A reader sees all lines of an execution's log.
    pub fn reads(&self, id: &ExecutionId, lines: &[LogLine], before: &Shown) {
        let mut pages = self.pages();
        let lines: BTreeMap<u64, String> = lines.iter().map(|line| (line.position, line.message.clone())).collect();
        let gone = before.lines.iter().find(|(position, line)| lines.get(position) != Some(line));
        if let Some((position, line)) = gone {
            pages.breaks(format!("execution {id}: the line at {position} is gone: {line}"));
        }
        pages.shown.entry(id.clone()).or_default().lines.extend(lines);
    }
}

/// While it lives, a guest runs.
pub struct Running {
    ledger: Arc<Ledger>,
    run: TaskRunId,
}

impl Drop for Running {
    fn drop(&mut self) {
        self.ledger.pages().running.remove(&self.run);
    }
}

impl Pages {
    pub fn note(&mut self, what: &str) {
        let moment =
            self.clock.map_or_else(|| "-".to_owned(), |clock| clock.now().strftime("%H:%M:%S%.3f").to_string());
        let line = format!("{} {moment} {what}", self.life);
        for byte in line.bytes() {
            self.digest = (self.digest ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3);
        }
        if let Some(trace) = self.trace.as_mut().filter(|trace| trace.len() < TRACE_MAX) {
            trace.push(line);
        }
    }

    pub fn breaks(&mut self, what: String) {
        self.note(&format!("BROKEN: {what}"));
        if self.broken.is_none() {
            self.broken = Some(what);
        }
    }

    fn shown_run(&self, who: &Who) -> Option<&TaskRun> {
        // A unit that was lost is begun anew, its tasks with it.
        let seen = self.shown.get(&who.execution)?.seen.as_ref()?;
        seen.runs.iter().find(|run| run.id == who.run).filter(|run| !of_unit(run.task.as_str()))
    }
}

/// Whether a task is part of a WorkingDirectory: the drawn flows name them so.
pub fn of_unit(task: &str) -> bool {
    task.starts_with('w')
}

/// What of a state that was shown is not in a later one.
pub fn taken_back(before: &Seen, after: &Seen) -> Option<String> {
    if after.position < before.position {
        return Some(format!("it was shown at {}, now at {}", before.position, after.position));
    }
    if let Some(problem) = not_continued(&before.execution.history, &after.execution.history) {
        return Some(problem);
    }
    if before.is_over() && after.execution.history != before.execution.history {
        return Some("it was over and has gone on".to_owned());
    }
    for run in &before.runs {
        let now = after.runs.iter().find(|now| now.id == run.id);
        let problem = match now {
            _ if of_unit(run.task.as_str()) && !before.is_over() => continue,
            None => Some("is gone".to_owned()),
            Some(now) => not_continued(&run.history, &now.history).or_else(|| attempts_taken_back(run, now)),
        };
        if let Some(problem) = problem {
            return Some(format!("task run {} of `{}` {problem}", run.id, run.task));
        }
    }
    None
}

fn attempts_taken_back(before: &TaskRun, after: &TaskRun) -> Option<String> {
    if after.attempts.len() < before.attempts.len() {
        return Some(format!("had {} attempts, now {}", before.attempts.len(), after.attempts.len()));
    }
    let pairs = before.attempts.iter().zip(&after.attempts);
    pairs.filter_map(|(before, after)| not_continued(&before.history, &after.history)).next()
}

/// A later history begins with all of an earlier one.
fn not_continued(before: &History, after: &History) -> Option<String> {
    match after.entries().starts_with(before.entries()) {
        true => None,
        false => {
            let shown = |history: &History| -> String {
                history.entries().iter().map(|(state, at)| format!("{state}@{at} ")).collect()
            };
            Some(format!("was shown {}and is now {}", shown(before), shown(after)))
        }
    }
}
