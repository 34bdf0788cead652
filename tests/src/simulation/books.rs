//! Compares the ledger with what is in the store: after every life of the machine, and, more strictly, when all is over.

use std::collections::{BTreeMap, BTreeSet};

use engine::LOSSES_PER_ATTEMPT;
use engine::ids::retry_id;
use jiff::{SignedDuration, Timestamp};
use model::execution::{Execution, TaskRun};
use model::ids::{ExecutionId, FlowKey};
use model::state::State;
use server::{LogLine, Seen};
use store::query::{ExecutionFilter, LogFilter, NamespaceMatch};
use store::rows::{self, Holder, Key, NodeId, Target, TriggerState, UniqueKey};
use store::{Page, Query, Store, View};

use super::clients::CALL;
use super::flows::{Drawn, Fires};
use super::ledger::{Call, Ledger, Who, of_unit, taken_back};
use super::oracle::{Ending, Oracle};

/// How long saving a flow takes at most, with all that a machine does in between.
const SAVING: SignedDuration = SignedDuration::from_secs(2);
/// More rows of a kind than any world has.
const ROWS: usize = 100_000;

type Problem = Result<(), String>;

/// Everything that is stored of executions, read at once.
pub struct Books {
    pub executions: BTreeMap<ExecutionId, Seen>,
    slots: Vec<(FlowKey, Vec<UniqueKey>)>,
    triggers: Vec<TriggerState>,
    /// When each flow was saved.
    saved: BTreeMap<FlowKey, Timestamp>,
}

impl Books {
    /// Reads the store as it is after a crash: nothing runs, so newest and durable are the same.
    pub async fn read(store: &dyn Store, flows: &[Drawn]) -> Result<Self, store::Error> {
        let every = ExecutionFilter { kinds: Vec::new(), ..ExecutionFilter::default() };
        let found = store.all::<rows::Execution>(View::Newest, Query::Executions(every), ROWS).await?;
        let mut executions = BTreeMap::new();
        for row in found {
            let id = row.record.id.clone();
            let runs = store.all::<rows::TaskRun>(View::Newest, Query::TaskRuns(id.clone()), ROWS).await?;
            let newest = runs.iter().map(|run| run.version.0).max().unwrap_or(0);
            let seen = Seen {
                execution: row.record.clone(),
                runs: runs.iter().map(|run| run.record.clone()).collect(),
                position: newest.max(row.version.0),
            };
            executions.insert(id, seen);
        }
        let mut slots = Vec::new();
        for drawn in flows {
            let key = drawn.key();
            let taken = store.all::<UniqueKey>(View::Newest, Query::SlotsOf(key.clone()), ROWS).await?;
            slots.push((key, taken.iter().map(|slot| UniqueKey::clone(slot)).collect()));
        }
        let every = Query::Triggers { namespace: NamespaceMatch::Any, flow: None };
        let triggers = store.all::<TriggerState>(View::Newest, every, ROWS).await?;
        let triggers = triggers.iter().map(|row| TriggerState::clone(row)).collect();
        let every = Query::Flows { namespace: NamespaceMatch::Any, deleted: true };
        let saved = store.all::<rows::Flow>(View::Newest, every, ROWS).await?;
        let saved = saved.iter().map(|row| (row.key.clone(), row.created)).collect();
        Ok(Self { executions, slots, triggers, saved })
    }

    /// Whether every execution has ended, with all that comes after its end.
    pub fn are_closed(&self) -> bool {
        self.executions.values().all(Seen::is_over) && self.triggers.iter().all(|trigger| trigger.next.is_none())
    }

    /// Executions that have not, in words.
    pub fn open(&self) -> Vec<String> {
        let open = self.executions.values().filter(|seen| !seen.is_over());
        open.map(|seen| {
            let runs = seen.runs.iter().filter(|run| !run.state().is_terminal());
            let runs: Vec<String> = runs.map(|run| format!("{} {}", run.task, run.state())).collect();
            format!("{} of {} is {} with {runs:?}", seen.execution.id, seen.execution.flow.id, seen.execution.state())
        })
        .collect()
    }

    /// What must hold at any time.
    pub fn check(&self, ledger: &Ledger, flows: &[Drawn]) -> Problem {
        self.nothing_lost(ledger)?;
        self.nothing_doubled(ledger, flows)?;
        self.slots_held(flows)
    }

    fn nothing_lost(&self, ledger: &Ledger) -> Problem {
        let pages = ledger.pages();
        for (id, shown) in &pages.shown {
            let Some(now) = self.executions.get(id) else {
                return Err(format!("execution {id} was told of and is lost"));
            };
            if let Some(problem) = shown.seen.as_ref().and_then(|seen| taken_back(seen, now)) {
                return Err(format!("execution {id}: {problem}"));
            }
        }
        for acts in pages.acts.values() {
            let who = &acts.who;
            let run =
                self.executions.get(&who.execution).and_then(|seen| seen.runs.iter().find(|run| run.id == who.run));
            // The task runs of a unit that is begun anew are made anew.
            if run.is_none() && !of_unit(&who.task) {
                return Err(format!("{who} has acted, and its task run is lost"));
            }
            if run.is_some_and(|run| run.attempts.len() + 1 < who.attempt as usize) {
                return Err(format!("{who} has acted, and its attempt is lost"));
            }
        }
        Ok(())
    }

    fn nothing_doubled(&self, ledger: &Ledger, flows: &[Drawn]) -> Problem {
        let pages = ledger.pages();
        let mut by_call: BTreeMap<&str, Vec<&ExecutionId>> = BTreeMap::new();
        let mut by_trigger = BTreeSet::new();
        let mut by_run: BTreeMap<(&ExecutionId, &str), usize> = BTreeMap::new();
        for seen in self.executions.values() {
            let execution = &seen.execution;
            let first = execution.original.is_none();
            match &execution.parent {
                Some(parent) if first => {
                    *by_run.entry((&parent.execution, parent.task_run.as_str())).or_default() += 1;
                }
                None if first && execution.trigger.is_some() => {
                    let wanted = call_of(execution).unwrap_or_default();
                    if !self.was_to_fire(execution, wanted, flows) {
                        return Err(format!("{} of {} was started for {wanted:?}", execution.id, execution.flow.id));
                    }
                    if !by_trigger.insert((&execution.flow, wanted)) {
                        return Err(format!("{} was started twice for {wanted:?}", execution.flow.id));
                    }
                }
                None if first => by_call.entry(call_of(execution).unwrap_or_default()).or_default().push(&execution.id),
                _ => {}
            }
            let mut places = BTreeSet::new();
            for run in &seen.runs {
                let place = (&run.task, &run.parent, run.iteration);
                if !places.insert(place) && run.iteration.is_some() {
                    return Err(format!("{} has two task runs of {place:?}", execution.id));
                }
            }
        }
        for (call, ids) in by_call {
            let told = call.parse::<usize>().ok().and_then(|number| pages.calls.get(number));
            match told {
                None => return Err(format!("nobody asked for {ids:?}")),
                Some(_) if ids.len() > 1 => return Err(format!("call {call} made {ids:?}")),
                Some(told) if told.told.as_ref().is_some_and(|told| !ids.contains(&told)) => {
                    return Err(format!("call {call} was told {:?} and made {ids:?}", told.told));
                }
                Some(_) => {}
            }
        }
        for ((parent, run), children) in by_run {
            let attempts = self.executions.get(parent).and_then(|seen| {
                seen.runs.iter().find(|known| known.id.as_str() == run).map(|known| known.attempts.len())
            });
            match attempts {
                None => return Err(format!("{children} children of {parent}/{run}, which is not there")),
                Some(attempts) if children > attempts => {
                    return Err(format!("{children} children of {parent}/{run} in {attempts} attempts"));
                }
                Some(_) => {}
            }
        }
        Ok(())
    }

    /// Whether a trigger has a reason to start such an execution.
    fn was_to_fire(&self, execution: &Execution, wanted: &str, flows: &[Drawn]) -> bool {
        let drawn = flows.iter().find(|flow| flow.key() == execution.flow);
        match drawn.and_then(|drawn| drawn.trigger.as_ref()) {
            Some(Fires::At(dates)) => dates.iter().any(|date| wanted == format!("{}{date}", Fires::AT)),
            Some(Fires::After(flow)) => self.executions.values().any(|seen| {
                let before = &seen.execution;
                before.flow.id.as_str() == flow
                    && before.state().is_terminal()
                    && wanted == format!("{}{}", Fires::AFTER, before.id)
            }),
            None => false,
        }
    }

    /// Every date, and every end of an execution that somebody waits for, has started one.
    fn nothing_unfired(&self, flows: &[Drawn]) -> Problem {
        for drawn in flows {
            let key = drawn.key();
            let Some(saved) = self.saved.get(&key) else { continue };
            let has = |wanted: &str| {
                let mine = |seen: &&Seen| seen.execution.flow == key && seen.execution.trigger.is_some();
                self.executions.values().filter(mine).any(|seen| call_of(&seen.execution) == Some(wanted))
            };
            let wanted: Vec<String> = match &drawn.trigger {
                None => continue,
                // What comes while the flow is being saved may be before it or after.
                Some(Fires::At(dates)) => {
                    let due = dates.iter().filter(|date| date.duration_since(*saved) > SAVING);
                    due.map(|date| format!("{}{date}", Fires::AT)).collect()
                }
                Some(Fires::After(flow)) => {
                    let ended = self.executions.values().filter(|seen| seen.execution.flow.id.as_str() == flow);
                    let heard = ended.filter(|seen| {
                        seen.execution.history.ended().is_some_and(|ended| ended.duration_since(*saved) > SAVING)
                    });
                    heard.map(|seen| format!("{}{}", Fires::AFTER, seen.execution.id)).collect()
                }
            };
            if let Some(lost) = wanted.iter().find(|wanted| !has(wanted)) {
                return Err(format!("{} was never started for {lost:?}", drawn.id));
            }
        }
        match self.triggers.iter().find(|trigger| trigger.locked_by.is_some()) {
            Some(trigger) => Err(format!("trigger {} of {} is still locked", trigger.trigger, trigger.flow)),
            None => Ok(()),
        }
    }

    pub fn slots_held(&self, flows: &[Drawn]) -> Problem {
        for (key, taken) in &self.slots {
            let limit = flows.iter().find(|flow| flow.key() == *key).and_then(|flow| flow.concurrency);
            let limit = limit.map_or(0, |(limit, _)| limit as usize);
            if taken.len() > limit {
                return Err(format!("{} slots of {key} are taken, {limit} there are", taken.len()));
            }
            let mut holders = BTreeSet::new();
            for slot in taken {
                let Holder::Execution(id) = &slot.holder else { return Err(format!("{:?} has a slot", slot.holder)) };
                let held = self.executions.get(id).filter(|seen| !seen.execution.state().is_terminal());
                if held.is_none() || !holders.insert(id) {
                    return Err(format!("a slot of {key} is held by {id}, which has ended or holds two"));
                }
            }
        }
        Ok(())
    }

    /// What must hold when everything is over: nothing is left behind, and everything ended as its flow says.
    pub async fn check_end(&self, store: &dyn Store, ledger: &Ledger, flows: &[Drawn], oracle: &mut Oracle) -> Problem {
        self.nothing_left(store).await?;
        self.nothing_unfired(flows)?;
        for seen in self.executions.values() {
            self.check_log(store, ledger, &seen.execution.id).await?;
            if seen.execution.parent.is_none() && seen.execution.original.is_none() {
                self.check_ending(ledger, flows, oracle, seen)?;
            }
        }
        Ok(())
    }

    pub async fn nothing_left(&self, store: &dyn Store) -> Problem {
        let failed = |error: store::Error| error.to_string();
        let slots: usize = self.slots.iter().map(|(_, taken)| taken.len()).sum();
        let timers = Query::TimersDue { until: Timestamp::MAX };
        let timers = store.list::<rows::Timer>(View::Newest, timers, Page::first(1)).await.map_err(failed)?;
        let messages = store.list::<rows::Message>(View::Newest, Query::Recipients, Page::first(1)).await;
        let messages = messages.map_err(failed)?;
        let leased = Query::LeasesOf(NodeId("node".into()));
        let jobs = store.list::<rows::Job>(View::Newest, leased, Page::first(1)).await.map_err(failed)?;
        if let Some(timer) = timers.items.first() {
            return Err(format!("a timer is left: {:?}", timer.key));
        }
        if let Some(message) = messages.items.first() {
            return Err(format!("a message is left: {:?}", message.key));
        }
        if let Some(job) = jobs.items.first() {
            return Err(format!("a job is left: {:?} in epoch {} with {:?}", job.key, job.epoch, job.lease));
        }
        for id in self.executions.keys() {
            let jobs = Query::JobsOf(id.clone());
            let jobs = store.list::<rows::Job>(View::Newest, jobs, Page::first(1)).await.map_err(failed)?;
            if let Some(job) = jobs.items.first() {
                return Err(format!("a job is left: {:?} in epoch {} with {:?}", job.key, job.epoch, job.lease));
            }
        }
        match slots {
            0 => Ok(()),
            slots => Err(format!("{slots} slots are left")),
        }
    }

    async fn check_log(&self, store: &dyn Store, ledger: &Ledger, id: &ExecutionId) -> Problem {
        let query = Query::Logs(LogFilter::of(Target::Execution(id.clone()), 0));
        let rows = store.all::<rows::LogLine>(View::Newest, query, ROWS).await.map_err(|error| error.to_string())?;
        let lines: Vec<LogLine> = rows
            .iter()
            .map(|row| LogLine {
                position: row.position,
                at: row.at,
                level: row.level,
                task: row.task.clone(),
                task_run: row.task_run.clone(),
                attempt: None,
                message: row.message.to_string(),
                fields: Vec::new(),
            })
            .collect();
        ledger.reads(id, &lines, &ledger.shown(id));
        Ok(())
    }

    fn check_ending(&self, ledger: &Ledger, flows: &[Drawn], oracle: &mut Oracle, seen: &Seen) -> Problem {
        let execution = &seen.execution;
        let id = &execution.id;
        let pages = ledger.pages();
        let state = execution.state();
        if state == State::Killed && pages.maybe_killed.contains(id) {
            return Ok(());
        }
        // A kill also ends what comes after the end of an execution; then its state is what it was.
        if let Some(at) = pages.killed.get(id) {
            return match execution.history.ended() {
                Some(ended) if ended <= *at => Ok(()),
                _ => Err(format!("{id} was promised to be killed at {at} and is {state}")),
            };
        }
        let over = flows.iter().find(|flow| flow.id == execution.flow.id.as_str()).and_then(|flow| flow.concurrency);
        let last = self.last_of(seen);
        let refused = last.execution.failure.as_ref().is_some_and(|failure| failure.code == "no-slot");
        if refused {
            return match (over, last.execution.state()) {
                (Some((_, "CANCEL")), State::Cancelled) | (Some((_, "FAIL")), State::Failed) => Ok(()),
                other => Err(format!("{id} was refused a slot: {other:?}")),
            };
        }
        let call = match execution.trigger {
            Some(_) => Some(Call { flow: execution.flow.id.to_string(), n: Fires::N, told: None }),
            None => {
                let number = call_of(execution).and_then(|call| call.parse::<usize>().ok());
                number.and_then(|number| pages.calls.get(number)).cloned()
            }
        };
        let Some(call) = call else { return Err(format!("nobody asked for {id}")) };
        let maybe_killed = pages.maybe_killed.contains(id);
        drop(pages);
        let expected = oracle.ending(&call.flow, call.n);
        let found = self.ending_of(id);
        // A kill nobody was promised may have met what comes after the end.
        let killed = maybe_killed && found.states == expected.states;
        match killed || found == expected || self.may_differ(ledger, id) {
            true => Ok(()),
            false => {
                Err(format!("{id} of {} with n={} ended {found:?}, its flow says {expected:?}", call.flow, call.n))
            }
        }
    }

    /// The last of the executions that took an execution's place.
    fn last_of<'a>(&'a self, first: &'a Seen) -> &'a Seen {
        let mut last = first;
        while let Some(next) = self.executions.get(&retry_id(&last.execution.id)) {
            last = next;
        }
        last
    }

    fn ending_of(&self, id: &ExecutionId) -> Ending {
        let mut chain = Vec::new();
        let mut next = self.executions.get(id);
        while let Some(seen) = next {
            chain.push((seen.execution.state(), seen.runs.iter().collect::<Vec<&TaskRun>>()));
            next = self.executions.get(&retry_id(&seen.execution.id));
        }
        Ending::of(chain)
    }

    /// An execution that lost a worker where that is told: a task that must not run twice, or one that lost too many.
    fn may_differ(&self, ledger: &Ledger, root: &ExecutionId) -> bool {
        let pages = ledger.pages();
        let mut family = BTreeSet::from([root.clone()]);
        // Children, and what took their places, and their children: a few rounds reach all of them.
        for _ in 0..self.executions.len() {
            let before = family.len();
            for seen in self.executions.values() {
                let execution = &seen.execution;
                let parent = execution.parent.as_ref().map(|parent| &parent.execution);
                if parent.into_iter().chain(&execution.original).any(|id| family.contains(id)) {
                    family.insert(execution.id.clone());
                }
            }
            if family.len() == before {
                break;
            }
        }
        let told = |code: &str| matches!(code, "outcome-unknown" | "workers-lost");
        let lost = |run: &TaskRun| {
            run.attempts.iter().filter_map(|attempt| attempt.failure.as_ref()).any(|failure| told(&failure.code))
        };
        // Of a unit the effects are told together, whichever of its tasks had them.
        let excused = |who: &Who| (who.kind == "Once" || of_unit(&who.task)) && family.contains(&who.execution);
        let asked = pages.asked.values().any(|(who, life)| excused(who) && *life < pages.life);
        let runs = family.iter().filter_map(|id| self.executions.get(id)).flat_map(|seen| &seen.runs);
        runs.into_iter().any(lost) && (asked || pages.life >= LOSSES_PER_ATTEMPT)
    }
}

fn call_of(execution: &Execution) -> Option<&str> {
    execution.labels.iter().find(|label| label.key == CALL).map(|label| label.value.as_str())
}

/// Whether the task run that acts is durable.
pub async fn is_durable(store: &dyn Store, who: &Who) -> bool {
    let key = Key::TaskRun(who.execution.clone(), who.run.clone());
    matches!(store.get(View::Durable, key).await, Ok(Some(_)))
}
