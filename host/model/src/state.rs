//! The states of executions and task runs, with Kestra's names.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// The state of an execution or a task run (kestra-model.md a.4).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum State {
    /// Made, nothing done yet.
    Created,
    /// Under way.
    Running,
    /// Waits for somebody or for a time.
    Paused,
    /// Was ended or paused and is about to run again.
    Restarted,
    /// Somebody asked to end it; what runs is being ended.
    Killing,
    /// Ended well.
    Success,
    /// Ended, with something worth a look.
    Warning,
    /// Ended badly.
    Failed,
    /// Ended by request.
    Killed,
    /// Ended before its time by a rule (concurrency, SLA, fail-fast).
    Cancelled,
    /// Waits for a concurrency slot.
    Queued,
    /// Failed, and waits for its next attempt.
    Retrying,
    /// Failed, and another execution was made in its place.
    Retried,
    /// Not run, because its condition was false.
    Skipped,
    /// Stopped before a task somebody put a breakpoint on.
    Breakpoint,
}

impl State {
    /// Every state.
    pub const ALL: [State; 15] = {
        use State::*;
        [
            Created, Running, Paused, Restarted, Killing, Success, Warning, Failed, Killed, Cancelled, Queued,
            Retrying, Retried, Skipped, Breakpoint,
        ]
    };

    /// Whether nothing more happens in this state by itself.
    pub fn is_terminal(self) -> bool {
        use State::*;
        matches!(self, Success | Warning | Failed | Killed | Cancelled | Retried | Skipped)
    }

    /// Whether it ended in a way that stops what comes after it.
    pub fn is_failed(self) -> bool {
        matches!(self, State::Failed | State::Killed | State::Cancelled)
    }

    /// Whether it has begun and not ended: what a kill must reach.
    pub fn is_active(self) -> bool {
        !self.is_terminal()
    }

    /// Kestra's name.
    pub fn as_str(self) -> &'static str {
        use State::*;
        match self {
            Created => "CREATED",
            Running => "RUNNING",
            Paused => "PAUSED",
            Restarted => "RESTARTED",
            Killing => "KILLING",
            Success => "SUCCESS",
            Warning => "WARNING",
            Failed => "FAILED",
            Killed => "KILLED",
            Cancelled => "CANCELLED",
            Queued => "QUEUED",
            Retrying => "RETRYING",
            Retried => "RETRIED",
            Skipped => "SKIPPED",
            Breakpoint => "BREAKPOINT",
        }
    }
}

impl std::fmt::Display for State {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A state and how it came to it. Never empty: the first entry is where it began.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct History {
    /// Every state it has had, oldest first.
    entries: Vec<(State, Timestamp)>,
}

impl History {
    /// Begins a history.
    pub fn new(state: State, at: Timestamp) -> Self {
        Self { entries: vec![(state, at)] }
    }

    /// The state now.
    pub fn current(&self) -> State {
        self.entries.last().map_or(State::Created, |(state, _)| *state)
    }

    /// Enters a state. Entering the current state again changes nothing.
    pub fn enter(&mut self, state: State, at: Timestamp) {
        if self.current() != state {
            self.entries.push((state, at));
        }
    }

    /// When it began.
    pub fn started(&self) -> Timestamp {
        self.entries.first().map_or(Timestamp::UNIX_EPOCH, |(_, at)| *at)
    }

    /// When it entered its present state.
    pub fn since(&self) -> Timestamp {
        self.entries.last().map_or(Timestamp::UNIX_EPOCH, |(_, at)| *at)
    }

    /// When it ended, if it has.
    pub fn ended(&self) -> Option<Timestamp> {
        self.current().is_terminal().then(|| self.since())
    }

    /// Every state with its time, oldest first.
    pub fn entries(&self) -> &[(State, Timestamp)] {
        &self.entries
    }
}
