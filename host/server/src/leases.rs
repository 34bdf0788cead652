//! Leases of the attempts a node has taken: kept while they run, given back at its end, and those of nodes that are gone found.
//!
//! An attempt's result carries its epoch; the engine refuses one whose lease is over, however late it comes.

use std::sync::Arc;

use engine::{Event, JobId, State};
use jiff::SignedDuration;
use model::ids::{ExecutionId, TaskId};
use model::task::Effects;
use model::task::{FlowTask, TaskKind};
use store::rows::{self, Fence, JobKey};
use store::{MAX_CLAIM, Page, Query, View};

use crate::flows::SavedFlow;
use crate::mailbox::{Envelope, Mail};
use crate::node::Node;

/// How long a lease lasts without being renewed.
pub const LEASE: SignedDuration = SignedDuration::from_secs(30);
/// How often leases are renewed, and those of others looked at: several chances before one is over.
const RENEW_EVERY: SignedDuration = SignedDuration::from_secs(5);
/// Expired leases looked at in one round; the rest follows in the next.
const EXPIRED_AT_ONCE: usize = 500;

/// What names the lease of an attempt.
pub(crate) fn fence(execution: &ExecutionId, job: &JobId, epoch: u64) -> Fence {
    let key = JobKey { execution: execution.clone(), task_run: job.run.clone(), attempt: job.attempt };
    Fence { job: key, epoch: u32::try_from(epoch).unwrap_or(u32::MAX) }
}

impl Node {
    /// Renews what this node holds, and takes over what others have let go, until the node ends.
    pub(crate) async fn keep_leases(self: &Arc<Self>) {
        while !self.is_ending() {
            let next = self.now().saturating_add(RENEW_EVERY).unwrap_or(jiff::Timestamp::MAX);
            tokio::select! {
                biased;
                () = self.end.notified() => return,
                () = self.clock.until(next) => {}
            }
            self.renew_leases().await;
            self.take_over().await;
        }
    }

    async fn renew_leases(&self) {
        let fences = self.workers.fences();
        let mut over = Vec::new();
        for some in fences.chunks(MAX_CLAIM) {
            match self.store.renew(some.to_vec(), self.now() + LEASE).await {
                Ok(some) => over.extend(some),
                Err(error) => tracing::warn!(%error, "leases were not renewed"),
            }
        }
        // Somebody else decides about them now: what they still do is of no use to anybody.
        if !over.is_empty() {
            self.workers.cancel_fences(&over);
        }
    }

    /// Executions whose attempts were leased to a node that no longer renews.
    async fn take_over(self: &Arc<Self>) {
        let query = Query::ExpiredLeases { now: self.now() };
        let page = Page::first(EXPIRED_AT_ONCE);
        match self.store.list::<rows::Job>(View::Newest, query, page).await {
            Ok(jobs) => {
                for job in jobs.items {
                    if job.lease.as_ref().is_some_and(|lease| lease.boot != self.boot) {
                        self.post(&job.key.execution, Envelope::new(Mail::Recover));
                    }
                }
            }
            Err(error) => tracing::warn!(%error, "expired leases were not looked for"),
        }
    }

    /// Gives an attempt back that was stopped because the node ends. One that had begun and must not be repeated is told to be lost:
    /// nobody knows what it did.
    pub(crate) async fn give_back(
        self: &Arc<Self>,
        execution: &ExecutionId,
        saved: &SavedFlow,
        job: &JobId,
        epoch: u64,
    ) {
        let state = self.peek(execution).await;
        let began = state.as_ref().is_some_and(|state| state.effects_began(job));
        let event = match state {
            Some(state) if began && self.at_most_once(&state, saved, job) => {
                Event::TaskLost { job: job.clone(), epoch, effects: engine::Effects::Unknown }
            }
            _ => Event::TaskReturned { job: job.clone(), epoch },
        };
        if let Err(error) = self.tell(execution, event).await {
            tracing::debug!(%execution, %error, "an attempt had nothing to give back");
        }
        if let Err(error) = self.store.release(vec![fence(execution, job, epoch)]).await {
            tracing::warn!(%execution, %error, "a lease was not given back; it is void at the next start");
        }
    }

    /// Whether an attempt has a task whose effects must not happen twice. One whose plugin is gone is taken for such a one.
    pub(crate) fn at_most_once(&self, state: &State, saved: &SavedFlow, job: &JobId) -> bool {
        let Some(run) = state.run(&job.run) else { return true };
        match saved.flow.task(&run.task).map(|task| &task.kind) {
            Some(TaskKind::Flow(flow)) => match flow.as_ref() {
                FlowTask::WorkingDirectory { block, .. } => block.tasks.iter().any(|task| self.task_once(saved, task)),
                _ => false,
            },
            _ => self.task_once(saved, &run.task),
        }
    }

    fn task_once(&self, saved: &SavedFlow, task: &TaskId) -> bool {
        if let Some(said) = saved.flow.task(task).and_then(|task| task.effects) {
            return said == Effects::AtMostOnce;
        }
        // Tasks of the engine itself are not in the lock, and have no effects outside.
        let Some(locked) = saved.lock.tasks.get(task) else { return false };
        let catalog = self.catalog();
        let Ok(package) = catalog.locked(locked) else { return true };
        let known = package.manifest().task(&locked.task_type);
        known.is_none_or(|task| task.effects == Effects::AtMostOnce)
    }
}
