//! What people do to triggers: look at them, switch them, free them, have them go through a past.

use std::sync::Arc;

use expr::Map;
use jiff::Timestamp;
use model::flow::Label;
use model::ids::{FlowKey, Namespace, TriggerId};
use model::trigger::{Trigger, TriggerKind};
use store::query::NamespaceMatch;
use store::rows::{Backfill, NamespaceKey, TriggerState};
use store::{Batch, Query, View};

use super::rows::{plan_of, take_plan};
use super::{TRIES, find, is_on};
use crate::error::Error;
use crate::flows::SavedFlow;
use crate::node::Node;

/// Most triggers of one answer.
const TRIGGERS_MAX: usize = 100_000;

/// A trigger as readers see it.
#[derive(Clone, Debug)]
pub struct TriggerSeen {
    pub state: TriggerState,
    /// The newest revision of its flow.
    pub saved: Arc<SavedFlow>,
}

impl TriggerSeen {
    /// What its flow says of it.
    pub fn trigger(&self) -> Option<&Trigger> {
        find(&self.saved, &self.state.trigger)
    }
}

/// A past a schedule is to go through.
#[derive(Clone, Debug)]
pub struct BackfillAsk {
    pub start: Timestamp,
    /// `None`: up to now.
    pub end: Option<Timestamp>,
    pub inputs: Map,
    pub labels: Vec<Label>,
}

/// What is done to a trigger.
#[derive(Clone, Debug)]
pub(crate) enum Deed {
    Switch { enabled: bool },
    Unlock,
    Restart,
    Backfill(BackfillAsk),
    PauseBackfill { paused: bool },
    EndBackfill,
    Forget,
}

impl Node {
    /// The triggers of a flow, of a namespace and those below it, or of all, by flow and id.
    pub async fn triggers_seen(&self, namespace: Option<&str>, flow: Option<&str>) -> Result<Vec<TriggerSeen>, Error> {
        let query = match (namespace, flow) {
            (Some(namespace), Some(flow)) => {
                Query::Triggers { namespace: NamespaceMatch::Any, flow: Some(crate::flows::key(namespace, flow)) }
            }
            (Some(namespace), None) => {
                let place = NamespaceKey::main(Namespace::trusted(namespace));
                Query::Triggers { namespace: NamespaceMatch::Tree(place), flow: None }
            }
            (None, _) => Query::Triggers { namespace: NamespaceMatch::Any, flow: None },
        };
        let rows = self.store.all::<TriggerState>(View::Durable, query, TRIGGERS_MAX).await?;
        let seen = rows.iter().filter_map(|row| self.seen((*row.row).clone()));
        Ok(seen.filter(|seen| flow.is_none_or(|flow| seen.state.flow.id.as_str() == flow)).collect())
    }

    fn seen(&self, state: TriggerState) -> Option<TriggerSeen> {
        let saved = self.triggers.flow(&state.flow)?;
        Some(TriggerSeen { state, saved })
    }

    /// Switches a trigger on or off.
    pub async fn switch_trigger(
        &self,
        namespace: &str,
        flow: &str,
        trigger: &str,
        enabled: bool,
    ) -> Result<TriggerSeen, Error> {
        self.change_trigger(namespace, flow, trigger, Deed::Switch { enabled }).await
    }

    /// Frees a trigger of the execution it waits for.
    pub async fn unlock_trigger(&self, namespace: &str, flow: &str, trigger: &str) -> Result<TriggerSeen, Error> {
        self.change_trigger(namespace, flow, trigger, Deed::Unlock).await
    }

    /// Lets a trigger begin anew: nothing holds it, and it waits for its next date from now on.
    pub async fn restart_trigger(&self, namespace: &str, flow: &str, trigger: &str) -> Result<TriggerSeen, Error> {
        self.change_trigger(namespace, flow, trigger, Deed::Restart).await
    }

    /// Has a schedule go through a past.
    pub async fn backfill(
        &self,
        namespace: &str,
        flow: &str,
        trigger: &str,
        ask: BackfillAsk,
    ) -> Result<TriggerSeen, Error> {
        self.change_trigger(namespace, flow, trigger, Deed::Backfill(ask)).await
    }

    /// Holds the way through a past.
    pub async fn pause_backfill(&self, namespace: &str, flow: &str, trigger: &str) -> Result<TriggerSeen, Error> {
        self.change_trigger(namespace, flow, trigger, Deed::PauseBackfill { paused: true }).await
    }

    /// Goes on through a past.
    pub async fn resume_backfill(&self, namespace: &str, flow: &str, trigger: &str) -> Result<TriggerSeen, Error> {
        self.change_trigger(namespace, flow, trigger, Deed::PauseBackfill { paused: false }).await
    }

    /// Ends the way through a past where it is.
    pub async fn end_backfill(&self, namespace: &str, flow: &str, trigger: &str) -> Result<TriggerSeen, Error> {
        self.change_trigger(namespace, flow, trigger, Deed::EndBackfill).await
    }

    /// Forgets all that is known of a trigger: its flow still has it, so it begins as if it had just been saved.
    pub async fn forget_trigger(&self, namespace: &str, flow: &str, trigger: &str) -> Result<TriggerSeen, Error> {
        self.change_trigger(namespace, flow, trigger, Deed::Forget).await
    }

    async fn change_trigger(
        &self,
        namespace: &str,
        flow: &str,
        trigger: &str,
        deed: Deed,
    ) -> Result<TriggerSeen, Error> {
        let (key, id) = (crate::flows::key(namespace, flow), TriggerId::trusted(trigger));
        let unknown = || Error::NotFound(format!("no trigger `{id}` of flow `{key}`"));
        for _ in 0..TRIES {
            let row = self.trigger_row(&key, &id).await?.ok_or_else(unknown)?;
            let saved = self.triggers.flow(&key).ok_or_else(unknown)?;
            let found = find(&saved, &id).ok_or_else(unknown)?;
            let changed = self.done(&key, &saved, found, &row, &deed).await?;
            if changed == *row.row {
                self.store.durable(self.store.head()).await?;
                return Ok(TriggerSeen { state: changed, saved });
            }
            let changed = TriggerState { updated: self.now(), ..changed };
            let mut batch = Batch::new();
            batch.replace(row.version, changed.clone());
            match self.store.commit(batch).await {
                Ok(lsn) => {
                    self.note_due(&changed);
                    self.store.durable(lsn).await?;
                    return Ok(TriggerSeen { state: changed, saved });
                }
                Err(store::Error::Conflict(_)) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Err(conflict("trigger.conflict", format!("trigger `{id}` of flow `{key}` is being changed; hint: ask again")))
    }

    /// The row after a deed.
    async fn done(
        &self,
        key: &FlowKey,
        saved: &SavedFlow,
        trigger: &Trigger,
        row: &TriggerState,
        deed: &Deed,
    ) -> Result<TriggerState, Error> {
        let id = &trigger.id;
        let mut changed = row.clone();
        match deed {
            Deed::Switch { enabled } => {
                if let Some(switched) = self.switch(row, *enabled).await {
                    changed = switched;
                }
            }
            Deed::Unlock if row.locked_by.is_none() => {
                return Err(conflict("trigger.unlocked", format!("trigger `{id}` of flow `{key}` is not locked")));
            }
            Deed::Unlock => changed.locked_by = None,
            Deed::Restart => {
                changed.locked_by = None;
                changed.next = self.first_look(&saved.flow, trigger).await;
            }
            Deed::Backfill(ask) => self.begin_backfill(saved, trigger, &mut changed, ask).await?,
            Deed::PauseBackfill { paused } => match &mut changed.backfill {
                Some(backfill) => backfill.paused = *paused,
                None => return Err(no_backfill(key, id)),
            },
            Deed::EndBackfill if row.backfill.is_none() => return Err(no_backfill(key, id)),
            Deed::EndBackfill => changed.backfill = None,
            Deed::Forget => changed = self.row_of(&saved.flow, trigger, None, None).await,
        }
        Ok(changed)
    }

    async fn begin_backfill(
        &self,
        saved: &SavedFlow,
        trigger: &Trigger,
        row: &mut TriggerState,
        ask: &BackfillAsk,
    ) -> Result<(), Error> {
        let (key, id) = (&saved.flow.key, &trigger.id);
        let TriggerKind::Schedule(schedule) = &trigger.kind else {
            let message = format!("trigger `{id}` of flow `{key}` is no schedule: it has no past to go through");
            return Err(Error::bad_request("backfill.trigger", message));
        };
        if !is_on(&saved.flow, trigger, row) {
            let message = format!("trigger `{id}` of flow `{key}` is switched off; hint: switch it on first");
            return Err(conflict("backfill.disabled", message));
        }
        if row.backfill.is_some() {
            let message =
                format!("trigger `{id}` of flow `{key}` goes through a past already; hint: delete that first");
            return Err(conflict("backfill.exists", message));
        }
        let calendar = self.calendar(&saved.flow, schedule).await;
        let calendar = calendar.map_err(|failure| Error::bad_request("backfill.dates", failure.message))?;
        let end = ask.end.unwrap_or_else(|| self.now());
        let mut plan = plan_of(row);
        if plan.replay(&calendar, ask.start, end).is_none() {
            let message = format!("trigger `{id}` of flow `{key}` has no date from {} to {end}", ask.start);
            return Err(Error::bad_request("backfill.empty", message));
        }
        take_plan(row, plan);
        if let Some(backfill) = &mut row.backfill {
            *backfill = Backfill {
                start: ask.start,
                inputs: ask.inputs.clone(),
                labels: ask.labels.clone(),
                ..backfill.clone()
            };
        }
        Ok(())
    }
}

fn conflict(code: &'static str, message: String) -> Error {
    Error::Conflict { code, message }
}

fn no_backfill(key: &FlowKey, id: &TriggerId) -> Error {
    conflict("backfill.none", format!("trigger `{id}` of flow `{key}` goes through no past"))
}
