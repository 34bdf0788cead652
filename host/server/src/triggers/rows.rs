//! The stored state of triggers: made, kept and removed with the flows that have them, and found again at a start.

use std::borrow::Cow;
use std::collections::BTreeMap;

use expr::{Map, Value};
use jiff::Timestamp;
use model::execution::Failure;
use model::flow::Flow;
use model::ids::{FlowKey, TriggerId};
use model::schedule::{Calendar, Plan, Recover, Replay};
use model::trigger::{Dates, Schedule, Trigger, TriggerKind};
use store::query::NamespaceMatch;
use store::rows::{self, Backfill, Key, Payload, TriggerState};
use store::{Batch, Page, Query, Stored, View};

use super::{Due, TRIES, find, is_on};
use crate::error::Error;
use crate::flows::SavedFlow;
use crate::inputs::FlowScope;
use crate::node::Node;

/// Triggers of one flow.
const TRIGGERS_MAX: usize = 10_000;
/// Rows of one page of a start.
const PAGE: usize = 500;

pub(super) type Row = Stored<std::sync::Arc<TriggerState>>;

impl Node {
    /// What saving a flow does to its triggers, in the commit that saves it.
    pub(crate) async fn save_triggers(
        &self,
        batch: &mut Batch,
        before: Option<&SavedFlow>,
        flow: &Flow,
    ) -> Result<(), Error> {
        let mut rows = self.trigger_rows(&flow.key).await?;
        for trigger in &flow.triggers {
            let found = rows.remove(&trigger.id);
            let old = before.and_then(|before| Some((&*before.flow, find(before, &trigger.id)?)));
            let row = self.row_of(flow, trigger, old, found.as_ref().map(|row| &*row.row)).await;
            match found {
                Some(found) if *found.row == row => {}
                Some(found) => drop(batch.replace(found.version, row)),
                None => drop(batch.create(row)),
            }
        }
        for gone in rows.into_values() {
            batch.require(gone.unchanged()).delete(Key::Trigger(gone.flow.clone(), gone.trigger.clone()));
        }
        Ok(())
    }

    /// What deleting a flow does to its triggers.
    pub(crate) async fn delete_triggers(&self, batch: &mut Batch, flow: &FlowKey) -> Result<(), Error> {
        for id in self.trigger_rows(flow).await?.into_keys() {
            batch.delete(Key::Trigger(flow.clone(), id));
        }
        Ok(())
    }

    /// A flow was saved: its triggers are looked at when their time comes.
    pub(crate) async fn watch_triggers(&self, flow: &FlowKey) -> Result<(), Error> {
        for row in self.trigger_rows(flow).await?.into_values() {
            self.note_due(&row);
        }
        Ok(())
    }

    pub(super) async fn trigger_rows(&self, flow: &FlowKey) -> Result<BTreeMap<TriggerId, Row>, Error> {
        let query = Query::Triggers { namespace: NamespaceMatch::Any, flow: Some(flow.clone()) };
        let rows = self.store.all::<TriggerState>(View::Newest, query, TRIGGERS_MAX).await?;
        Ok(rows.into_iter().map(|row| (row.trigger.clone(), row)).collect())
    }

    pub(super) async fn trigger_row(&self, flow: &FlowKey, trigger: &TriggerId) -> Result<Option<Row>, Error> {
        let key = Key::Trigger(flow.clone(), trigger.clone());
        Ok(self.store.find::<TriggerState>(View::Newest, key).await?)
    }

    /// Notes when to look at a trigger, if it waits for a time and nothing holds it.
    pub(super) fn note_due(&self, row: &TriggerState) {
        let backfilled = row.backfill.as_ref().is_some_and(|backfill| !backfill.paused);
        let at = if backfilled { Some(self.now()) } else { row.next };
        let Some(at) = at.filter(|_| !row.disabled && row.locked_by.is_none()) else { return };
        self.triggers.set(Due { at, noted: self.now(), flow: row.flow.clone(), trigger: row.trigger.clone() });
    }

    /// The row of a trigger after its flow was saved. `old`: the flow before and the trigger in it.
    pub(super) async fn row_of(
        &self,
        flow: &Flow,
        trigger: &Trigger,
        old: Option<(&Flow, &Trigger)>,
        row: Option<&TriggerState>,
    ) -> TriggerState {
        let now = self.now();
        let blank = || TriggerState {
            flow: flow.key.clone(),
            trigger: trigger.id.clone(),
            next: None,
            fired: None,
            locked_by: None,
            disabled: false,
            backfill: None,
            memory: Payload::empty(),
            updated: now,
        };
        let same = old.filter(|(_, old)| old.kind == trigger.kind).zip(row);
        let mut next = match (same, row) {
            (Some((_, row)), _) => row.clone(),
            // Something else is meant by it now: it begins anew, but is held and switched off as before.
            (None, Some(row)) => {
                TriggerState { locked_by: row.locked_by.clone(), disabled: row.disabled, fired: row.fired, ..blank() }
            }
            (None, None) => blank(),
        };
        match same {
            None => next.next = self.first_look(flow, trigger).await,
            Some(((old_flow, old), row)) if !is_on(old_flow, old, row) && is_on(flow, trigger, &next) => {
                self.switch_on(flow, trigger, &mut next).await;
            }
            Some(_) => {}
        }
        if row != Some(&next) {
            next.updated = now;
        }
        next
    }

    /// When a new trigger is looked at for the first time.
    pub(super) async fn first_look(&self, flow: &Flow, trigger: &Trigger) -> Option<Timestamp> {
        match &trigger.kind {
            TriggerKind::Schedule(schedule) => match self.calendar(flow, schedule).await {
                Ok(calendar) => Plan::begin(&calendar, self.now()).next,
                Err(failure) => {
                    self.log_trigger(&flow.key, &trigger.id, &failure.message).await;
                    None
                }
            },
            TriggerKind::Polling(_) => Some(self.now()),
            TriggerKind::Webhook(_) | TriggerKind::Flow(_) => None,
        }
    }

    /// A trigger was switched on again: what passed in the meantime fires only if the trigger says so.
    pub(super) async fn switch_on(&self, flow: &Flow, trigger: &Trigger, row: &mut TriggerState) {
        let TriggerKind::Schedule(schedule) = &trigger.kind else { return };
        let recover = schedule.rules.recover.unwrap_or(Recover::None);
        if let Ok(calendar) = self.calendar(flow, schedule).await {
            let mut plan = plan_of(row);
            plan.resume(&calendar, recover, self.now());
            take_plan(row, plan);
        }
    }

    /// The dates of a schedule.
    pub(super) async fn calendar<'s>(&self, flow: &Flow, schedule: &'s Schedule) -> Result<Cow<'s, Calendar>, Failure> {
        match &schedule.dates {
            Dates::Known(calendar) => Ok(Cow::Borrowed(calendar)),
            Dates::Rendered { dates, zone } => {
                let scope = FlowScope { node: self, flow };
                let rendered = self.render_in(&scope, &dates.0, true, &flow.key, None).await?;
                let rendered = match rendered.as_str().map(Value::parse_json) {
                    Some(Ok(list)) => list,
                    _ => rendered,
                };
                Dates::of_list(&rendered, zone).map(Cow::Owned).map_err(|reason| Failure::new("flow.date", reason))
            }
        }
    }

    /// What an earlier life of the node left of triggers: every flow that has some is known, and what was missed is made up for as each
    /// trigger says.
    pub(crate) async fn load_triggers(&self) -> Result<(), Error> {
        let mut after = None;
        loop {
            let query = Query::Flows { namespace: NamespaceMatch::Any, deleted: false };
            let rows = self.store.list::<rows::Flow>(View::Newest, query, Page { size: PAGE, after }).await?;
            for row in &rows.items {
                // Most flows have none, and reading a source takes a while.
                if row.source.contains("triggers") {
                    self.load_flow(row).await?;
                }
            }
            match rows.next {
                Some(next) => after = Some(next),
                None => return Ok(()),
            }
        }
    }

    async fn load_flow(&self, row: &rows::Flow) -> Result<(), Error> {
        let saved = match self.flow_revision(&row.key, row.revision).await {
            Ok(saved) => saved,
            Err(error) => {
                tracing::error!(flow = %row.key, %error, "the triggers of a flow are not looked at");
                return Ok(());
            }
        };
        self.triggers.learn(&saved);
        for _ in 0..TRIES {
            let mut batch = Batch::new();
            let rows = self.trigger_rows(&row.key).await?;
            for trigger in &saved.flow.triggers {
                match rows.get(&trigger.id) {
                    // Saved by a version that knew no triggers.
                    None => drop(batch.create(self.row_of(&saved.flow, trigger, None, None).await)),
                    Some(row) => {
                        if let Some(changed) = self.row_after_start(&saved, trigger, row).await? {
                            batch.replace(row.version, changed);
                        }
                    }
                }
            }
            let done = match batch.is_empty() {
                true => Ok(()),
                false => self.store.commit(batch).await.map(|_| ()),
            };
            match done {
                Ok(()) => return self.watch_triggers(&row.key).await,
                Err(store::Error::Conflict(_)) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }

    async fn row_after_start(
        &self,
        saved: &SavedFlow,
        trigger: &Trigger,
        row: &TriggerState,
    ) -> Result<Option<TriggerState>, Error> {
        let mut changed = row.clone();
        if let Some(execution) = &row.locked_by
            && self.store.get(View::Newest, Key::Execution(execution.clone())).await?.is_none()
            && !self.is_to_begin(execution).await?
        {
            // Whoever it waits for is gone, and will never tell.
            changed.locked_by = None;
        }
        if let TriggerKind::Schedule(schedule) = &trigger.kind
            && row.next.is_some_and(|next| next < self.now())
            // What is held up by a running execution was not missed.
            && row.locked_by.is_none()
            && is_on(&saved.flow, trigger, row)
            && let Ok(calendar) = self.calendar(&saved.flow, schedule).await
        {
            let mut plan = plan_of(&changed);
            plan.resume(&calendar, schedule.rules.recover.unwrap_or(Recover::All), self.now());
            take_plan(&mut changed, plan);
        }
        Ok((changed != *row).then_some(changed))
    }

    /// Whether the start of an execution waits in the store.
    async fn is_to_begin(&self, execution: &model::ids::ExecutionId) -> Result<bool, Error> {
        let target = rows::Target::Execution(execution.clone());
        let waiting = self.store.list::<rows::Message>(View::Newest, Query::Inbox(target), Page::first(1)).await?;
        Ok(!waiting.items.is_empty())
    }

    /// A line in the log of a trigger.
    pub(super) async fn log_trigger(&self, flow: &FlowKey, trigger: &TriggerId, message: &str) {
        tracing::warn!(%flow, %trigger, message, "a trigger did not fire");
        let line = rows::LogLine {
            of: rows::Target::Trigger(flow.clone(), trigger.clone()),
            position: 0,
            at: self.now(),
            level: model::task::LogLevel::Error,
            flow: Some(flow.clone()),
            task: None,
            task_run: None,
            attempt: 0,
            message: message.into(),
            fields: Vec::new(),
        };
        if let Err(error) = self.store.append_logs(vec![line]).await {
            tracing::warn!(%error, "a log line was lost");
        }
    }
}

/// Where the schedule of a row stands.
pub(super) fn plan_of(row: &TriggerState) -> Plan {
    let replay = row.backfill.as_ref().map(|backfill| Replay {
        end: backfill.end,
        current: backfill.current,
        paused: backfill.paused,
    });
    Plan { next: row.next, replay }
}

/// Puts where the schedule stands now into its row.
pub(super) fn take_plan(row: &mut TriggerState, plan: Plan) {
    row.next = plan.next;
    match (plan.replay, &mut row.backfill) {
        (Some(replay), Some(backfill)) => {
            backfill.end = replay.end;
            backfill.current = replay.current;
            backfill.paused = replay.paused;
            backfill.resume_at = row.next;
        }
        (None, backfill) => *backfill = None,
        (Some(replay), None) => {
            row.backfill = Some(Backfill {
                start: replay.current,
                end: replay.end,
                current: replay.current,
                paused: replay.paused,
                inputs: Map::new(),
                labels: Vec::new(),
                resume_at: row.next,
            });
        }
    }
}
