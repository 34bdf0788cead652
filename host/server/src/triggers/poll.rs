//! Polling triggers: a plugin is asked in intervals, one question at a time. What it brings fires in the commit that moves its cursor.

use std::sync::{Arc, PoisonError};

use expr::Map;
use jiff::Timestamp;
use model::execution::Failure;
use model::inputs::Missing;
use model::trigger::{Polling, Trigger};
use serde::{Deserialize, Serialize};
use store::Batch;
use store::rows::{Payload, TriggerState};

use super::fire::Firing;
use super::rows::Row;
use super::{Due, TRIES, find, is_on};
use crate::apply::FORMAT;
use crate::error::Error;
use crate::flows::SavedFlow;
use crate::inputs::FlowScope;
use crate::node::Node;
use crate::worker::{Happened, Question};

/// What is kept between polls.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
struct Kept {
    cursor: Option<String>,
}

impl Node {
    /// A poll is due: it is asked beside everything else, unless it is being asked.
    pub(super) fn poll(self: &Arc<Self>, due: &Due, row: &Row) {
        if row.next.is_some_and(|next| next > self.now()) {
            return self.note_due(row);
        }
        let key = (due.flow.clone(), due.trigger.clone());
        if !self.triggers.asked.lock().unwrap_or_else(PoisonError::into_inner).insert(key.clone()) {
            return;
        }
        let (node, row) = (self.clone(), row.clone());
        self.tasks.spawn(async move {
            let asking = async {
                if let Err(error) = node.ask(&row).await {
                    tracing::error!(flow = %row.flow, trigger = %row.trigger, %error, "what a poll brought was not taken");
                }
            };
            // A question that the end of the node cuts off is asked again at the next start.
            tokio::select! {
                biased;
                () = node.end.notified() => {}
                () = asking => {}
            }
            node.triggers.asked.lock().unwrap_or_else(PoisonError::into_inner).remove(&key);
            if let Ok(Some(row)) = node.trigger_row(&key.0, &key.1).await {
                node.note_due(&row);
            }
        });
    }

    async fn ask(self: &Arc<Self>, row: &Row) -> Result<(), Error> {
        let Some(saved) = self.triggers.flow(&row.flow) else { return Ok(()) };
        let Some(trigger) = find(&saved, &row.trigger) else { return Ok(()) };
        let model::trigger::TriggerKind::Polling(polling) = &trigger.kind else { return Ok(()) };
        let kept: Kept = row.memory.read().unwrap_or_default();
        let question = Question { saved: &saved, trigger, polling, cursor: kept.cursor };
        let answer = self.ask_plugin(question).await;
        for _ in 0..TRIES {
            match self.take_answer(&saved, trigger, polling, &answer).await {
                Err(Error::Conflict { .. }) => {}
                done => return done,
            }
        }
        Err(Error::Store("the trigger is being changed by somebody else".to_owned()))
    }

    async fn take_answer(
        self: &Arc<Self>,
        saved: &Arc<SavedFlow>,
        trigger: &Trigger,
        polling: &Polling,
        answer: &Result<Option<Happened>, Failure>,
    ) -> Result<(), Error> {
        let Some(row) = self.trigger_row(&saved.flow.key, &trigger.id).await? else { return Ok(()) };
        let now = self.now();
        let next = now.checked_add(polling.interval).unwrap_or(Timestamp::MAX);
        let mut changed = TriggerState { next: Some(next), updated: now, ..(*row.row).clone() };
        let mut batch = Batch::new();
        let mut begun = None;
        match answer {
            Ok(None) => {}
            Err(failure) => self.log_trigger(&saved.flow.key, &trigger.id, &failure.message).await,
            // Somebody switched it off, or it is held, since it was asked: the same is brought again.
            Ok(Some(_)) if !is_on(&saved.flow, trigger, &row) || row.locked_by.is_some() => return Ok(()),
            Ok(Some(happened)) => {
                let kept = Kept { cursor: happened.cursor.clone() };
                changed.memory = Payload::of(FORMAT, &kept).map_err(|error| Error::Internal(error.to_string()))?;
                if self.holds_on(saved, trigger, &happened.outputs).await {
                    let firing = Firing {
                        saved,
                        trigger,
                        variables: happened.outputs.clone(),
                        scope: &FlowScope { node: self, flow: &saved.flow },
                        inputs: &Map::new(),
                        labels: &[],
                        missing: Missing::Wrong,
                        depth: 0,
                    };
                    if let Some(execution) = self.execution_of(firing).await {
                        let id = self.start_in(&mut batch, execution)?;
                        changed.fired = Some(now);
                        changed.locked_by = (!trigger.allow_concurrent).then(|| id.clone());
                        begun = Some(id);
                    }
                }
            }
        }
        batch.replace(row.version, changed);
        self.store.commit(batch).await?;
        if let Some(id) = begun {
            self.begin_sent(&id).await;
        }
        Ok(())
    }
}
