//! Who uses the machine from outside: starts executions, ends them, waits for them, follows them. Everything a client is told or shown goes
//! into the ledger.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use model::flow::Label;
use model::ids::ExecutionId;
use server::{Clock as _, Error, Given, Node, Save, Search, Start};

use super::dice::Dice;
use super::flows::{Drawn, NAMESPACE};
use super::ledger::{Call, Ledger};
use super::power::SimulatedClock;

/// The label that says which call an execution came from.
pub const CALL: &str = "call";
/// How soon a client tries again what was refused.
const AGAIN: Duration = Duration::from_secs(1);
/// Lines of a log a reader asks for.
const LINES: usize = 1_000;
/// Longest a follower waits for a hint.
const LOOK: Duration = Duration::from_secs(5);
/// Actions of one world.
const ACTIONS: u64 = 9;
/// How long the clients of a world are busy.
const BUSY_MS: u64 = 30_000;

/// What a client is going to do.
#[derive(Clone, Debug)]
pub enum What {
    /// Start an execution of a flow.
    Start { flow: String, n: i64 },
    /// End an execution that somebody was told of.
    Kill { which: usize },
    /// Save a flow again as it is.
    Save { flow: usize },
    /// Look through the list.
    List { flow: String },
}

/// An action, when, and how far it is.
#[derive(Clone, Debug)]
pub struct Action {
    pub at_ms: u64,
    pub what: What,
    pub state: Progress,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Progress {
    Planned,
    Sent,
    Done,
}

/// What the clients of a world will do.
pub fn plan(dice: &Dice, flows: &[Drawn]) -> Vec<Action> {
    let mut actions: Vec<Action> = (0..dice.within(1, ACTIONS + 1))
        .map(|_| {
            let flow = dice.below(flows.len() as u64) as usize;
            let id = flows.get(flow).map(|flow| flow.id.clone()).unwrap_or_default();
            let what = match dice.below(11) {
                0 | 10 => What::Kill { which: dice.below(8) as usize },
                1 => What::Save { flow },
                2 => What::List { flow: id },
                _ => What::Start { flow: id, n: dice.below(6) as i64 },
            };
            let at_ms = if dice.percent(50) { dice.spread(1_000) } else { dice.below(BUSY_MS) };
            Action { at_ms, what, state: Progress::Planned }
        })
        .collect();
    actions.sort_by_key(|action| action.at_ms);
    actions
}

/// The clients in one life of the machine.
#[derive(Clone)]
pub struct Clients {
    pub node: Arc<Node>,
    pub ledger: Arc<Ledger>,
    pub clock: SimulatedClock,
    pub dice: Dice,
    pub flows: Arc<Vec<Drawn>>,
    pub actions: Arc<std::sync::Mutex<Vec<Action>>>,
    /// When the world began.
    pub epoch: Timestamp,
}

impl Clients {
    /// Begins everything that is to be done or to be looked at in this life.
    pub fn begin(&self) {
        let known: Vec<ExecutionId> = self.ledger.pages().shown.keys().cloned().collect();
        for id in known {
            self.look_after(id);
        }
        let count = self.with_actions(|actions| actions.len());
        for number in 0..count {
            let state = self.with_actions(|actions| actions.get(number).map(|action| action.state));
            match state {
                Some(Progress::Planned) => {}
                // The machine went down while the client waited. Some try again, and do not know what became of it.
                Some(Progress::Sent) if self.dice.percent(60) => {}
                Some(Progress::Sent) => {
                    self.set(number, Progress::Done);
                    continue;
                }
                _ => continue,
            }
            let clients = self.clone();
            tokio::spawn(async move { clients.act(number).await });
        }
    }

    /// Whether every action is done.
    pub fn are_done(&self) -> bool {
        self.with_actions(|actions| actions.iter().all(|action| action.state == Progress::Done))
    }

    fn with_actions<T>(&self, work: impl FnOnce(&mut Vec<Action>) -> T) -> T {
        work(&mut self.actions.lock().unwrap_or_else(std::sync::PoisonError::into_inner))
    }

    fn set(&self, number: usize, state: Progress) {
        self.with_actions(|actions| {
            if let Some(action) = actions.get_mut(number) {
                action.state = state;
            }
        });
    }

    async fn act(&self, number: usize) {
        let Some(action) = self.with_actions(|actions| actions.get(number).cloned()) else { return };
        let at = self.epoch.saturating_add(Duration::from_millis(action.at_ms)).expect("within the calendar");
        self.clock.until(at).await;
        self.set(number, Progress::Sent);
        match &action.what {
            What::Start { flow, n } => self.start(flow, *n).await,
            What::Kill { which } => self.kill(*which).await,
            What::Save { flow } => self.save(*flow).await,
            What::List { flow } => self.list(flow).await,
        }
        self.set(number, Progress::Done);
    }

    async fn start(&self, flow: &str, n: i64) {
        loop {
            let call = {
                let mut pages = self.ledger.pages();
                pages.calls.push(Call { flow: flow.to_owned(), n, told: None });
                pages.calls.len() - 1
            };
            let start = Start {
                inputs: vec![("n".to_owned(), Given::Text(n.to_string()))],
                labels: vec![Label { key: CALL.to_owned(), value: call.to_string() }],
                ..Start::of(NAMESPACE, flow)
            };
            match self.node.start(start).await {
                Ok(id) => {
                    self.ledger.note(|| format!("call {call} of {flow} is told {id}"));
                    let mut pages = self.ledger.pages();
                    if let Some(call) = pages.calls.get_mut(call) {
                        call.told = Some(id.clone());
                    }
                    pages.shown.entry(id.clone()).or_default();
                    drop(pages);
                    return self.look_after(id);
                }
                // The disk is full, or the server ends. Whether something was begun nobody knows.
                Err(Error::Store(reason) | Error::Full(reason) | Error::Busy { message: reason, .. }) => {
                    self.ledger.note(|| format!("call {call} of {flow} is refused: {reason}"));
                    tokio::time::sleep(AGAIN).await;
                }
                Err(error) => return self.ledger.breaks(format!("start of {flow}: {error}")),
            }
        }
    }

    async fn kill(&self, which: usize) {
        let told: Vec<ExecutionId> = self.ledger.pages().calls.iter().filter_map(|call| call.told.clone()).collect();
        let Some(id) = told.get(which % told.len().max(1)).cloned() else { return };
        self.ledger.pages().maybe_killed.insert(id.clone());
        loop {
            match self.node.kill(id.as_str()).await {
                Ok(_) => {
                    self.ledger.note(|| format!("{id} is being killed"));
                    self.ledger.pages().killed.insert(id, self.clock.now());
                    return;
                }
                // It has ended: the client knows that now, so it must stay so.
                Err(Error::Conflict { code: "execution.state", message }) => {
                    self.ledger.note(|| format!("{id} is not killed: {message}"));
                    return self.look(&id, true).await;
                }
                Err(Error::Conflict { .. }) => return,
                Err(Error::Store(_) | Error::Full(_) | Error::Busy { .. }) => tokio::time::sleep(AGAIN).await,
                Err(error) => return self.ledger.breaks(format!("kill of {id}: {error}")),
            }
        }
    }

    async fn save(&self, flow: usize) {
        let Some(drawn) = self.flows.get(flow) else { return };
        match self.node.save_flow(&drawn.source, Save::Any).await {
            Ok(saved) if saved.flow.revision == 1 => {}
            Ok(saved) => {
                let revision = saved.flow.revision;
                self.ledger.breaks(format!("flow {} was saved as it is and got revision {revision}", drawn.id));
            }
            Err(Error::Store(_) | Error::Full(_) | Error::Busy { .. }) => {}
            Err(error) => self.ledger.breaks(format!("saving {}: {error}", drawn.id)),
        }
    }

    async fn list(&self, flow: &str) {
        match self.node.search_executions(&Search::of_flow(NAMESPACE, flow), 0, 100).await {
            Ok(found) => {
                for execution in found.executions {
                    self.look(&execution.id, false).await;
                }
            }
            Err(error) => self.ledger.breaks(format!("list of {flow}: {error}")),
        }
    }

    /// Follows an execution, waits for it, or neither. Never both: two who watch the same are woken in an order that is left to chance.
    fn look_after(&self, id: ExecutionId) {
        let clients = self.clone();
        match self.dice.below(5) {
            0 | 1 => drop(tokio::spawn(async move { clients.follow(&id).await })),
            2 | 3 => drop(tokio::spawn(async move {
                let before = clients.ledger.shown(&id);
                match clients.node.ended(&id).await {
                    Ok(seen) => clients.ledger.sees(&seen, &before),
                    Err(Error::Store(_) | Error::Full(_)) => {}
                    Err(error) => clients.ledger.breaks(format!("waiting for {id}: {error}")),
                }
            })),
            _ => {}
        }
    }

    async fn follow(&self, id: &ExecutionId) {
        let mut changes = self.node.watch(id.as_str());
        loop {
            self.look(id, false).await;
            if self.ledger.shown(id).seen.is_some_and(|seen| seen.is_over()) {
                return;
            }
            let _ = tokio::time::timeout(LOOK, changes.changed()).await;
        }
    }

    /// Looks at an execution once.
    async fn look(&self, id: &ExecutionId, ended: bool) {
        let before = self.ledger.shown(id);
        match self.node.execution(id.as_str()).await {
            Ok(seen) => {
                self.ledger.sees(&seen, &before);
                if ended && !seen.execution.state().is_terminal() {
                    let state = seen.execution.state();
                    self.ledger.breaks(format!("execution {id} was said to have ended and is shown {state}"));
                }
            }
            Err(error) => return self.ledger.breaks(format!("execution {id} cannot be read: {error}")),
        }
        match self.node.logs(id.as_str(), 0, LINES).await {
            Ok(lines) => self.ledger.reads(id, &lines, &before),
            Err(error) => self.ledger.breaks(format!("the log of {id} cannot be read: {error}")),
        }
    }
}
