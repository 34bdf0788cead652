//! What every execution must come to, from the engine alone: the same flows with the same tasks, in a world without a store, a crash or a
//! wait for each other.

use std::collections::BTreeMap;
use std::sync::Arc;

use engine::ids::retry_id;
use engine::sim::{Fake, Sim, flow};
use engine::{End, Outcome};
use expr::{Map, Value};
use jiff::SignedDuration;
use model::execution::{Failure, TaskRun};
use model::ids::ExecutionId;
use model::state::State;
use model::task::TaskKind;

use super::flows::{Drawn, NAMESPACE};
use super::guests::{Deed, outputs};

/// Executions that may take each other's place: more than any drawn retry makes.
const RETRIES: usize = 10;

/// How an execution ends: its state, those of the executions made in its place, and how often each task run ended how.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ending {
    pub states: Vec<State>,
    /// Of the last of them; empty where it did not end well, since what has begun by then is a matter of time.
    pub runs: BTreeMap<(String, Option<String>, State, usize), usize>,
}

impl Ending {
    /// Of executions as they are, the first and those in its place.
    pub fn of<'a>(chain: impl IntoIterator<Item = (State, Vec<&'a TaskRun>)>) -> Self {
        let mut ending = Self { states: Vec::new(), runs: BTreeMap::new() };
        for (state, runs) in chain {
            ending.states.push(state);
            ending.runs.clear();
            if matches!(state, State::Success | State::Warning) {
                for run in runs {
                    let key = (run.task.to_string(), run.value.clone(), run.state(), run.attempts.len());
                    *ending.runs.entry(key).or_default() += 1;
                }
            }
        }
        ending
    }
}

/// Tells endings.
pub struct Oracle {
    flows: Arc<Vec<Drawn>>,
    known: BTreeMap<(String, i64), Ending>,
}

impl Oracle {
    pub fn new(flows: Arc<Vec<Drawn>>) -> Self {
        Self { flows, known: BTreeMap::new() }
    }

    /// How an execution of a flow with this input ends.
    pub fn ending(&mut self, id: &str, n: i64) -> Ending {
        let asked = (id.to_owned(), n);
        if let Some(known) = self.known.get(&asked) {
            return known.clone();
        }
        let mut sim = Sim::new();
        for drawn in self.flows.iter() {
            let flow = flow(&drawn.source);
            for task in flow.all.values() {
                let TaskKind::Plugin(properties) = &task.kind else { continue };
                let properties = Value::Map(properties.clone()).to_json();
                sim.script(task.id.as_str(), move |attempt| fake(&properties, attempt));
            }
            sim.add(flow);
        }
        let mut inputs = Map::new();
        inputs.insert("n".into(), Value::Int(n));
        let first = sim.start(NAMESPACE, id, inputs);
        sim.run();
        let mut chain = vec![first];
        while let Some(last) = chain.last().filter(|_| chain.len() < RETRIES) {
            let next = retry_id(last);
            match sim.made.contains(&next) {
                true => chain.push(next),
                false => break,
            }
        }
        let ending = Ending::of(chain.iter().map(|id| state_of(&sim, id)));
        self.known.insert(asked, ending.clone());
        ending
    }
}

fn state_of<'a>(sim: &'a Sim, id: &ExecutionId) -> (State, Vec<&'a TaskRun>) {
    let state = sim.state(id);
    (state.status().unwrap_or(State::Created), state.runs().collect())
}

fn fake(properties: &serde_json::Value, attempt: u32) -> Fake {
    let deed = Deed::of(properties, attempt);
    let end = match deed.fails {
        true => End::Failed(Failure::new("FAILS", "it was drawn to fail")),
        false => End::Success,
    };
    let outputs = Value::from_json(&outputs(attempt)).unwrap_or_default();
    let outputs = if deed.fails { Value::Null } else { outputs };
    let takes = SignedDuration::try_from(deed.takes).unwrap_or(SignedDuration::MAX);
    Fake { takes, outcome: Some(Outcome { end, outputs }) }
}
