//! What triggers are told: that an execution reached a state, that one of theirs has ended, that they are switched. Each is a message row of
//! the commit that it comes from, taken in once, in order. No end of an execution is lost or counted twice.

use std::sync::Arc;

use engine::State;
use jiff::Timestamp;
use model::execution::{Execution, Kind};
use model::ids::{ExecutionId, FlowKey, TriggerId};
use model::state::State as Status;
use serde::{Deserialize, Serialize};
use store::rows::{self, Key, MessageKey, Payload, Target, TriggerState};
use store::{Batch, Page, Query, View};

use super::{TRIES, find, is_on};
use crate::apply::FORMAT;
use crate::error::Error;
use crate::node::Node;

/// Messages read at once.
const PAGE: usize = 256;
/// How long mail waits that the store did not take in.
const AGAIN: std::time::Duration = std::time::Duration::from_millis(500);

/// Longest that is waited for triggers to hear of an end, and how often is looked.
const HEARD_MAX: std::time::Duration = std::time::Duration::from_millis(500);
const HEARD_EVERY: std::time::Duration = std::time::Duration::from_millis(2);

/// What triggers are told.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Mail {
    /// An execution of any flow entered a state that Flow triggers look at.
    Reached { execution: ExecutionId, flow: FlowKey, state: Status },
    /// An execution that a trigger started has ended.
    Ended { flow: FlowKey, trigger: TriggerId, execution: ExecutionId, state: Status },
    /// A task switches a trigger on or off.
    Switch { flow: FlowKey, trigger: TriggerId, enabled: bool },
}

/// Whom mail for triggers is addressed to.
fn target() -> Target {
    Target::Service("triggers".into())
}

fn send(batch: &mut Batch, unique: String, mail: &Mail, now: Timestamp) -> Result<(), Error> {
    let key = MessageKey { to: target(), unique: unique.into() };
    let body = Payload::of(FORMAT, mail).map_err(|error| Error::Internal(error.to_string()))?;
    batch.send(rows::Message::new(key, now, body));
    Ok(())
}

/// Puts what triggers must hear of an execution into the commit that makes it so; says whether there is anything.
pub(crate) fn report(
    node: &Node,
    state: &State,
    before: Option<&Arc<Execution>>,
    batch: &mut Batch,
) -> Result<bool, Error> {
    let Some(execution) = state.execution().filter(|execution| execution.kind == Kind::Normal) else {
        return Ok(false);
    };
    let known = before.map_or(0, |before| before.history.entries().len());
    let mut sent = false;
    for (index, (entered, at)) in execution.history.entries().iter().enumerate().skip(known) {
        if node.triggers.listens(*entered) {
            let (id, flow) = (execution.id.clone(), execution.flow.clone());
            let mail = Mail::Reached { execution: id, flow, state: *entered };
            send(batch, format!("{}/{index}", execution.id), &mail, *at)?;
            sent = true;
        }
        if let Some(by) = execution.trigger.as_ref().filter(|_| entered.is_terminal())
            && node.triggers.has(&execution.flow, &by.id)
        {
            let (flow, trigger) = (execution.flow.clone(), by.id.clone());
            let mail = Mail::Ended { flow, trigger, execution: execution.id.clone(), state: *entered };
            send(batch, format!("{}/{index}/end", execution.id), &mail, *at)?;
            sent = true;
        }
    }
    Ok(sent)
}

/// Puts the wish to switch a trigger into a commit.
pub(crate) fn post_switch(
    batch: &mut Batch,
    unique: String,
    flow: FlowKey,
    trigger: TriggerId,
    enabled: bool,
    now: Timestamp,
) -> Result<(), Error> {
    send(batch, unique, &Mail::Switch { flow, trigger, enabled }, now)
}

impl Node {
    /// Waits until triggers have heard of an execution that has ended, and what they start by that is there; a moment at most. Who waited
    /// for its end looks for that next.
    pub(crate) async fn let_triggers_hear(&self, execution: &Execution) -> Result<(), Error> {
        if !self.triggers.listens(execution.state()) {
            return Ok(());
        }
        let own = format!("{}/", execution.id);
        let hearing = async {
            while self.is_mail_under_way(&own).await? {
                tokio::time::sleep(HEARD_EVERY).await;
            }
            Ok(self.store.durable(self.store.head()).await?)
        };
        tokio::time::timeout(HEARD_MAX, hearing).await.unwrap_or(Ok(()))
    }

    /// Whether triggers have mail of an execution, or any execution has mail: its start, perhaps.
    async fn is_mail_under_way(&self, own: &str) -> Result<bool, Error> {
        let page = || Page::first(PAGE);
        let heard = self.store.list::<rows::Message>(View::Newest, Query::Inbox(target()), page()).await?;
        if heard.items.iter().any(|message| message.key.unique.starts_with(own)) {
            return Ok(true);
        }
        let waiting = self.store.list::<rows::Message>(View::Newest, Query::Recipients, page()).await?;
        Ok(waiting.items.iter().any(|message| matches!(message.key.to, Target::Execution(_))))
    }

    /// Takes in mail of triggers until the node ends.
    pub(crate) async fn take_trigger_mail(self: &Arc<Self>) {
        while !self.is_ending() {
            match self.take_in().await {
                Ok(true) => continue,
                Ok(false) => {}
                Err(error) => {
                    tracing::warn!(%error, "mail of triggers waits");
                    tokio::select! {
                        biased;
                        () = self.end.notified() => return,
                        () = tokio::time::sleep(AGAIN) => continue,
                    }
                }
            }
            tokio::select! {
                biased;
                () = self.triggers.post.notified() => {}
                () = self.end.notified() => return,
            }
        }
    }

    /// Takes in a page of mail; whether there was any.
    async fn take_in(self: &Arc<Self>) -> Result<bool, Error> {
        let mail = self.store.list::<rows::Message>(View::Newest, Query::Inbox(target()), Page::first(PAGE)).await?;
        for message in &mail.items {
            self.take_message(message).await?;
        }
        Ok(!mail.items.is_empty())
    }

    async fn take_message(self: &Arc<Self>, message: &rows::Message) -> Result<(), Error> {
        let mail = match message.body.read::<Mail>() {
            Ok(mail) => Some(mail),
            Err(error) => {
                tracing::error!(message = %message.key.unique, %error, "a stored message cannot be read");
                None
            }
        };
        for _ in 0..TRIES {
            // Taken in and forgotten at once: its sender's commit cannot be made again.
            let mut batch = Batch::new();
            batch.drain(message.key.clone()).delete(Key::Message(message.key.clone()));
            let mut changed: Vec<TriggerState> = Vec::new();
            let mut begun = Vec::new();
            let result = match &mail {
                None => Ok(()),
                Some(Mail::Reached { execution, flow, state }) => {
                    self.reached(execution, flow, *state, &mut batch, &mut begun).await
                }
                Some(Mail::Ended { flow, trigger, execution, state }) => {
                    self.own_ended(flow, trigger, execution, *state, &mut batch, &mut changed).await
                }
                Some(Mail::Switch { flow, trigger, enabled }) => {
                    self.switched(flow, trigger, *enabled, &mut batch, &mut changed).await
                }
            };
            match result {
                Ok(()) => {}
                Err(error) if error.is_of_the_store() => return Err(error),
                Err(error) => {
                    tracing::error!(message = %message.key.unique, %error, "mail of triggers was of no use");
                    batch = Batch::new();
                    batch.drain(message.key.clone()).delete(Key::Message(message.key.clone()));
                    begun.clear();
                    changed.clear();
                }
            }
            match self.store.commit(batch).await {
                Ok(_) => {
                    for id in &begun {
                        self.begin_sent(id).await;
                    }
                    changed.iter().for_each(|row| self.note_due(row));
                    return Ok(());
                }
                Err(store::Error::Conflict(_)) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Err(Error::Store("triggers are being changed by somebody else".to_owned()))
    }

    /// An execution of a trigger has ended: another may begin, and the trigger may have to stop.
    async fn own_ended(
        &self,
        flow: &FlowKey,
        trigger: &TriggerId,
        execution: &ExecutionId,
        state: Status,
        batch: &mut Batch,
        changed: &mut Vec<TriggerState>,
    ) -> Result<(), Error> {
        let Some(row) = self.trigger_row(flow, trigger).await? else { return Ok(()) };
        let mut next = (*row.row).clone();
        next.locked_by = next.locked_by.filter(|holder| holder != execution);
        let saved = self.triggers.flow(flow);
        let stops =
            saved.as_ref().and_then(|saved| find(saved, trigger)).is_some_and(|t| t.stop_after.contains(&state));
        next.disabled |= stops;
        if next != *row.row {
            next.updated = self.now();
            batch.replace(row.version, next.clone());
            changed.push(next);
        }
        Ok(())
    }

    async fn switched(
        &self,
        flow: &FlowKey,
        trigger: &TriggerId,
        enabled: bool,
        batch: &mut Batch,
        changed: &mut Vec<TriggerState>,
    ) -> Result<(), Error> {
        match self.trigger_row(flow, trigger).await? {
            Some(row) => {
                if let Some(next) = self.switch(&row, enabled).await {
                    batch.replace(row.version, next.clone());
                    changed.push(next);
                }
            }
            None => self.log_trigger(flow, trigger, "it cannot be switched: there is no such trigger").await,
        }
        Ok(())
    }

    /// The row of a trigger that is switched on or off; `None` if it is so already.
    pub(super) async fn switch(&self, row: &TriggerState, enabled: bool) -> Option<TriggerState> {
        if row.disabled != enabled {
            return None;
        }
        let mut next = TriggerState { disabled: !enabled, updated: self.now(), ..row.clone() };
        if let Some(saved) = self.triggers.flow(&row.flow)
            && let Some(trigger) = find(&saved, &row.trigger)
            && is_on(&saved.flow, trigger, &next)
        {
            self.switch_on(&saved.flow, trigger, &mut next).await;
        }
        Some(next)
    }
}
