//! Schedules: what is due is looked at, and fires if its conditions hold. The stored row says what is due; the list here only when to look.

use std::sync::{Arc, PoisonError};

use expr::{Map, Value};
use jiff::{SignedDuration, Timestamp};
use model::condition::Facts;
use model::execution::Failure;
use model::inputs::Missing;
use model::schedule::{Calendar, Look, Recover, shown};
use model::trigger::{Schedule, Trigger, TriggerKind};
use store::rows::{Holder, Key, TriggerState, UniqueKey, UniqueName};
use store::{Batch, View};

use super::fire::Firing;
use super::rows::{Row, plan_of, take_plan};
use super::{Due, TRIES, find, is_on};
use crate::error::Error;
use crate::flows::SavedFlow;
use crate::inputs::FlowScope;
use crate::node::Node;

/// Triggers looked at before the clock is.
const AT_ONCE: usize = 256;
/// How long the key of a firing is kept: the row alone tells that a date has passed, and this outlives a row that was made anew.
const KEY_LASTS: SignedDuration = SignedDuration::from_hours(24 * 7);
/// How late a look may be before what passed was missed: a busy machine is later than a clock that was moved.
const SLEPT: SignedDuration = SignedDuration::from_mins(1);
/// Dates looked at for `trigger.next` and `trigger.previous`: conditions that hold more seldom give none.
const LOOK_FOR: usize = 1_000;
/// How long a look waits that the store did not serve.
const AGAIN: SignedDuration = SignedDuration::from_secs(1);

impl Node {
    /// Looks at triggers until the node ends.
    pub(crate) async fn run_triggers(self: &Arc<Self>) {
        while !self.is_ending() {
            let (due, next) = self.due_triggers();
            if !due.is_empty() {
                for due in due {
                    self.look_at(due).await;
                }
                continue;
            }
            self.until_due(next, &self.triggers.sooner).await;
        }
    }

    fn due_triggers(&self) -> (Vec<Due>, Option<Timestamp>) {
        let now = self.now();
        let mut waiting = self.triggers.due.lock().unwrap_or_else(PoisonError::into_inner);
        let mut due: Vec<Due> = Vec::new();
        while due.len() < AT_ONCE && waiting.first().is_some_and(|first| first.at <= now) {
            due.extend(waiting.pop_first());
        }
        (due, waiting.first().map(|first| first.at))
    }

    async fn look_at(self: &Arc<Self>, due: Due) {
        for _ in 0..TRIES {
            match self.try_look(&due).await {
                Ok(()) => return,
                Err(Error::Conflict { .. }) => {}
                Err(error) => {
                    tracing::error!(flow = %due.flow, trigger = %due.trigger, %error, "a trigger could not be looked at");
                    if error.is_of_the_store() {
                        let at = self.now().checked_add(AGAIN).unwrap_or(Timestamp::MAX);
                        self.triggers.set(Due { at, ..due });
                    }
                    return;
                }
            }
        }
        // Somebody writes the row all the time; whoever does notes when to look.
        tracing::warn!(flow = %due.flow, trigger = %due.trigger, "a trigger is being changed by somebody else");
        self.triggers.set(Due { at: self.now().checked_add(AGAIN).unwrap_or(Timestamp::MAX), ..due });
    }

    async fn try_look(self: &Arc<Self>, due: &Due) -> Result<(), Error> {
        let Some(row) = self.trigger_row(&due.flow, &due.trigger).await? else { return Ok(()) };
        let Some(saved) = self.triggers.flow(&due.flow) else { return Ok(()) };
        let Some(trigger) = find(&saved, &due.trigger) else { return Ok(()) };
        // What holds it up says when it ends.
        if !is_on(&saved.flow, trigger, &row) || row.locked_by.is_some() {
            return Ok(());
        }
        match &trigger.kind {
            TriggerKind::Schedule(schedule) => self.look_at_schedule(due, &row, &saved, trigger, schedule).await,
            TriggerKind::Polling(_) => {
                self.poll(due, &row);
                Ok(())
            }
            TriggerKind::Webhook(_) | TriggerKind::Flow(_) => Ok(()),
        }
    }

    async fn look_at_schedule(
        self: &Arc<Self>,
        due: &Due,
        row: &Row,
        saved: &Arc<SavedFlow>,
        trigger: &Trigger,
        schedule: &Schedule,
    ) -> Result<(), Error> {
        let now = self.now();
        let calendar = match self.calendar(&saved.flow, schedule).await {
            Ok(calendar) => calendar,
            Err(failure) => {
                self.log_trigger(&saved.flow.key, &trigger.id, &failure.message).await;
                return Ok(());
            }
        };
        let mut plan = plan_of(row);
        if due.noted < due.at && now.duration_since(due.at) > SLEPT {
            plan.resume(&calendar, schedule.rules.recover.unwrap_or(Recover::All), now);
        }
        let look = plan.look(&schedule.rules, now);
        let mut changed = TriggerState { updated: now, ..(*row.row).clone() };
        let mut batch = Batch::new();
        let mut begun = None;
        match look {
            Look::Idle | Look::Wait(_) => {}
            Look::Late { date } => {
                tracing::info!(flow = %saved.flow.key, trigger = %trigger.id, %date, "a date is too late")
            }
            Look::Due { date, replayed } => {
                let name = UniqueName::Scheduled(saved.flow.key.clone(), trigger.id.clone(), date);
                let fired_before =
                    !replayed && self.store.get(View::Newest, Key::Unique(name.clone())).await?.is_some();
                if !fired_before && self.holds_on(saved, trigger, &only_date(&calendar, date)).await {
                    let variables = self.dates_of(saved, trigger, &calendar, date).await;
                    let backfill = row.backfill.as_ref().filter(|_| replayed);
                    let nothing = Map::new();
                    let firing = Firing {
                        saved,
                        trigger,
                        variables,
                        scope: &FlowScope { node: self, flow: &saved.flow },
                        inputs: backfill.map_or(&nothing, |backfill| &backfill.inputs),
                        labels: backfill.map_or(&[], |backfill| &backfill.labels),
                        missing: Missing::Wrong,
                        depth: 0,
                    };
                    if let Some(execution) = self.execution_of(firing).await {
                        let id = self.start_in(&mut batch, execution)?;
                        if !replayed {
                            let holder = Holder::Execution(id.clone());
                            let expires = now.checked_add(KEY_LASTS).ok();
                            batch.take(UniqueKey { name, holder, created: now, expires });
                        }
                        changed.fired = Some(date);
                        changed.locked_by = (!trigger.allow_concurrent).then(|| id.clone());
                        begun = Some(id);
                    }
                }
            }
        }
        plan.pass(&calendar, look);
        take_plan(&mut changed, plan);
        let unchanged = TriggerState { updated: row.updated, ..changed.clone() } == *row.row;
        if !unchanged {
            batch.replace(row.version, changed.clone());
            self.store.commit(batch).await?;
        }
        if let Some(id) = begun {
            self.begin_sent(&id).await;
        }
        self.note_due(&changed);
        Ok(())
    }

    /// `date`, and the dates before and after it for which the conditions hold as well.
    async fn dates_of(&self, saved: &SavedFlow, trigger: &Trigger, calendar: &Calendar, date: Timestamp) -> Map {
        let mut variables = only_date(calendar, date);
        let mut next = Value::Null;
        let mut candidate = calendar.after(date);
        for _ in 0..LOOK_FOR {
            let Some(found) = candidate else { break };
            if self.conditions_hold(saved, trigger, &only_date(calendar, found)).await == Ok(true) {
                next = Value::from(shown(&calendar.local(found)));
                break;
            }
            candidate = calendar.after(found);
        }
        let mut previous = Value::Null;
        let mut candidate = calendar.before(date);
        for _ in 0..LOOK_FOR {
            let Some(found) = candidate else { break };
            if self.conditions_hold(saved, trigger, &only_date(calendar, found)).await == Ok(true) {
                previous = Value::from(shown(&calendar.local(found)));
                break;
            }
            candidate = calendar.before(found);
        }
        for (name, value) in [("next", next), ("previous", previous)] {
            // There may be none: then it is not there (Kestra's rule).
            if !value.is_null() {
                variables.insert(name.into(), value);
            }
        }
        variables
    }

    /// Whether the conditions of a trigger hold with such variables. Those that cannot be told do not, and the trigger's log says why.
    pub(super) async fn holds_on(&self, saved: &SavedFlow, trigger: &Trigger, variables: &Map) -> bool {
        match self.conditions_hold(saved, trigger, variables).await {
            Ok(holds) => holds,
            Err(failure) => {
                self.log_trigger(&saved.flow.key, &trigger.id, &failure.message).await;
                false
            }
        }
    }

    async fn conditions_hold(&self, saved: &SavedFlow, trigger: &Trigger, variables: &Map) -> Result<bool, Failure> {
        let front = [("trigger".into(), Value::from(variables.clone()))].into_iter().collect::<Map>();
        let back = FlowScope { node: self, flow: &saved.flow };
        let scope = expr::Layered { front: &front, back: &back };
        let facts = Facts { flow: &saved.flow.key, execution: None };
        crate::conditions::facts_hold(self, &facts, &scope, &trigger.conditions, None).await
    }
}

fn only_date(calendar: &Calendar, date: Timestamp) -> Map {
    [("date".into(), Value::from(shown(&calendar.local(date))))].into_iter().collect()
}
