//! Workers: run one attempt of one task, from its properties to its outcome. Knows nothing of what comes after.

mod alarms;
mod directory;
mod given;
mod grants;
mod hiding;
pub(crate) mod kept;
mod models;
mod outgoing;
mod polling;
pub(crate) mod reach;
mod secret;
mod secrets;
mod services;
mod signing;
mod sink;
mod standing;
mod templates;
mod unit;

#[doc(hidden)]
pub use given::Around;
pub(crate) use outgoing::Bound;
pub(crate) use polling::{Happened, Question};
pub(crate) use secret::url_of;
pub(crate) use standing::Standings;

use std::collections::{BTreeMap, HashSet};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use engine::{Event, JobId, Outcome, State};
use expr::Value;
use indexmap::IndexMap;
use jiff::SignedDuration;
use model::execution::{Execution, Failure, TaskRun};
use model::ids::{ExecutionId, TaskId};
use model::lock::Locked;
use model::task::{Task, TaskKind};
use runtime::{Cancel, Class, Facts, Request};
use store::rows::Fence;
use tokio::runtime::RuntimeFlavor;
use tokio::sync::{Notify, Semaphore};

use crate::flows::SavedFlow;
use crate::leases::fence;
use crate::mailbox::Envelope;
use crate::node::Node;
use alarms::Place;
use given::Given;
use kept::{Keeping, Kept};
use sink::RunSink;

/// How long a result waits that the store did not take; doubled each time, up to the second.
const REPORT_AGAIN: std::time::Duration = std::time::Duration::from_millis(50);
const REPORT_AGAIN_MAX: std::time::Duration = std::time::Duration::from_secs(2);
/// Where a guest finds its working directory: it has no other.
const WORKING_DIR: &str = ".";

/// One attempt to run.
pub struct Assignment {
    pub execution: ExecutionId,
    /// The state the job was decided in: what the task's expressions see.
    pub state: State,
    pub saved: Arc<SavedFlow>,
    pub job: JobId,
    pub task: TaskId,
    pub timeout: Option<SignedDuration>,
    pub epoch: u64,
}

/// An attempt that is waiting or running.
struct Taken {
    cancel: Cancel,
    fence: Fence,
}

/// The workers of a node.
pub struct Workers {
    slots: Arc<Semaphore>,
    /// In an order that does not change from run to run: it is the order in which they are cancelled.
    running: Mutex<IndexMap<(JobId, u64), Taken>>,
    /// The node ends: nothing is begun any more.
    stopping: AtomicBool,
    /// Attempts taken in and not yet reported.
    busy: AtomicUsize,
    idle: Notify,
}

impl Workers {
    pub fn new(count: usize) -> Self {
        Self {
            slots: Arc::new(Semaphore::new(count.max(1))),
            running: Mutex::default(),
            stopping: AtomicBool::new(false),
            busy: AtomicUsize::new(0),
            idle: Notify::new(),
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, IndexMap<(JobId, u64), Taken>> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Asks a running or waiting attempt to end.
    pub fn cancel(&self, job: &JobId) {
        self.lock().iter().filter(|((known, _), _)| known == job).for_each(|(_, taken)| taken.cancel.cancel());
    }

    /// Asks the attempts under these leases to end. Many are over at once where thousands wait, most of them because they have ended.
    pub fn cancel_fences(&self, fences: &[Fence]) {
        let over: HashSet<&Fence> = fences.iter().collect();
        self.lock().values().filter(|taken| over.contains(&taken.fence)).for_each(|taken| taken.cancel.cancel());
    }

    /// The node ends: asks all of them to end, and begins no more.
    pub fn stop(&self) {
        self.stopping.store(true, Ordering::SeqCst);
        self.lock().values().for_each(|taken| taken.cancel.cancel());
    }

    /// Whether an attempt is waiting or running here.
    pub fn has(&self, job: &JobId) -> bool {
        self.lock().keys().any(|(known, _)| known == job)
    }

    /// The leases of all that is waiting or running here.
    pub fn fences(&self) -> Vec<Fence> {
        self.lock().values().map(|taken| taken.fence.clone()).collect()
    }

    /// Waits until nothing runs.
    pub async fn idle(&self) {
        loop {
            let notified = self.idle.notified();
            if self.busy.load(Ordering::SeqCst) == 0 {
                return;
            }
            notified.await;
        }
    }

    /// Takes an attempt in; nothing, if it is here already or the node ends.
    fn begin(&self, execution: &ExecutionId, job: &JobId, epoch: u64) -> Option<Cancel> {
        let mut running = self.lock();
        let key = (job.clone(), epoch);
        if self.stopping.load(Ordering::SeqCst) || running.contains_key(&key) {
            return None;
        }
        let cancel = Cancel::new();
        running.insert(key, Taken { cancel: cancel.clone(), fence: fence(execution, job, epoch) });
        self.busy.fetch_add(1, Ordering::SeqCst);
        Some(cancel)
    }

    fn end(&self, job: &JobId, epoch: u64) {
        self.lock().swap_remove(&(job.clone(), epoch));
        if self.busy.fetch_sub(1, Ordering::SeqCst) == 1 {
            self.idle.notify_waiters();
        }
    }
}

/// A task that is about to run: everything that is known before its properties are rendered.
struct Ready<'a> {
    state: &'a State,
    saved: &'a SavedFlow,
    execution: &'a Execution,
    run: &'a TaskRun,
    task: &'a Task,
    /// The attempt under its lease; of a task in a WorkingDirectory, the attempt of the unit.
    job: &'a JobId,
    epoch: u64,
    attempt: u32,
    timeout: Option<SignedDuration>,
    working_dir: Option<PathBuf>,
    cancel: Cancel,
}

impl Node {
    /// Takes a task in; it runs as soon as a worker is free.
    pub(crate) fn run_task(self: &Arc<Self>, assignment: Assignment) {
        let Some(cancel) = self.workers.begin(&assignment.execution, &assignment.job, assignment.epoch) else { return };
        let node = self.clone();
        self.tasks.spawn(async move {
            let Assignment { execution, state, saved, job, task, timeout, epoch } = assignment;
            let outcome = if let Some(_slot) = node.slot(&cancel).await {
                node.post(&execution, Envelope::event(Event::TaskStarted { job: job.clone(), epoch }));
                match (state.execution(), state.run(&job.run), saved.flow.task(&task)) {
                    (Some(record), Some(run), Some(task)) => {
                        let ready = Ready {
                            state: &state,
                            saved: &saved,
                            execution: record,
                            run,
                            task,
                            job: &job,
                            epoch,
                            attempt: job.attempt,
                            timeout,
                            working_dir: None,
                            cancel,
                        };
                        node.attempt(ready).await
                    }
                    _ => Done::failed(unknown_task(&task)),
                }
            } else {
                Done::of(engine::End::Killed)
            };
            node.conclude(&execution, &saved, &job, epoch, outcome).await;
            node.workers.end(&job, epoch);
        });
    }

    /// Runs the tasks of a WorkingDirectory one after the other in one directory, on this worker.
    pub(crate) fn run_unit(self: &Arc<Self>, assignment: Assignment, tasks: Vec<TaskId>) {
        let Some(cancel) = self.workers.begin(&assignment.execution, &assignment.job, assignment.epoch) else { return };
        let node = self.clone();
        self.tasks.spawn(async move {
            let Assignment { execution, saved, job, epoch, .. } = &assignment;
            let done = match node.slot(&cancel).await {
                None => Done::of(engine::End::Killed),
                Some(_slot) => {
                    node.post(execution, Envelope::event(Event::TaskStarted { job: job.clone(), epoch: *epoch }));
                    node.unit(&assignment, &tasks, &cancel).await
                }
            };
            node.conclude(execution, saved, job, *epoch, done).await;
            node.workers.end(job, *epoch);
        });
    }

    /// Reports how an attempt ended. One that was stopped because the node ends has not ended: it is given back.
    async fn conclude(
        self: &Arc<Self>,
        execution: &ExecutionId,
        saved: &SavedFlow,
        job: &JobId,
        epoch: u64,
        done: Done,
    ) {
        if done.outcome.end == engine::End::Killed && self.workers.stopping.load(Ordering::SeqCst) {
            return self.give_back(execution, saved, job, epoch).await;
        }
        let event = Event::TaskEnded { job: job.clone(), epoch, outcome: done.outcome };
        self.report(execution, event, done.kept).await;
    }

    async fn slot(&self, cancel: &Cancel) -> Option<tokio::sync::OwnedSemaphorePermit> {
        tokio::select! {
            biased;
            () = cancel.cancelled() => None,
            slot = self.workers.slots.clone().acquire_owned() => slot.ok(),
        }
    }

    /// Hands a result over until the store has taken it: a full disk may take as long as it likes. Only the end of the node ends that.
    async fn report(self: &Arc<Self>, execution: &ExecutionId, event: Event, kept: Option<Arc<Kept>>) {
        let mut wait = REPORT_AGAIN;
        loop {
            match self.tell_and_keep(execution, event.clone(), kept.clone()).await {
                Err(error) if again(&error) && !self.workers.stopping.load(Ordering::SeqCst) => {
                    tracing::warn!(%execution, %error, "a result was not taken; offering it again");
                    tokio::time::sleep(wait).await;
                    wait = (wait * 2).min(REPORT_AGAIN_MAX);
                }
                Err(error) if again(&error) => {
                    return tracing::error!(%execution, %error, "a result was lost; the attempt is found lost at the next start");
                }
                Err(error) => return tracing::debug!(%execution, %error, "a result was refused"),
                Ok(_) => return,
            }
        }
    }

    /// One attempt: render, run, read the answer.
    async fn attempt(self: &Arc<Self>, ready: Ready<'_>) -> Done {
        let TaskKind::Plugin(properties) = &ready.task.kind else {
            return Done::failed(Failure::new("TASK_TYPE", format!("task `{}` is not a plugin's task", ready.task.id)));
        };
        let Some(locked) = ready.saved.lock.tasks.get(&ready.task.id) else {
            let message =
                format!("task `{}` is not in the lock of its flow revision; hint: save the flow again", ready.task.id);
            return Done::failed(Failure::new("LOCK_MISSING", message));
        };
        let rendered = match self.render_properties(ready.state, ready.saved, ready.run, properties, locked).await {
            Ok(rendered) => rendered,
            Err(failure) => return Done::failed(failure),
        };
        let keeping = Arc::new(Keeping::new(ready.run.id.clone()));
        match self.run_plugin(&ready, locked, rendered, &keeping).await {
            Ok((end, outputs)) => Done { outcome: Outcome { end, outputs }, kept: keeping.take() },
            Err(Stopped::Killed) => Done::of(engine::End::Killed),
            Err(Stopped::Failed(failure)) => Done::failed(failure),
        }
    }

    async fn run_plugin(
        self: &Arc<Self>,
        ready: &Ready<'_>,
        locked: &Locked,
        properties: Value,
        keeping: &Arc<Keeping>,
    ) -> Result<(engine::End, Value), Stopped> {
        let whose = given::Whose {
            saved: ready.saved,
            key: &ready.execution.flow,
            locked,
            execution: Some(&ready.execution.id),
            task: ready.task.id.as_str(),
        };
        let Given { source, properties, rendered, grants, mut limits, secrets, outgoing, asks_models } =
            self.given(&whose, &properties).map_err(Stopped::Failed)?;
        if asks_models {
            let may = self.may_spend(ready.saved.flow.models, &ready.execution.id, models::Spent::default()).await;
            may.map_err(|refused| {
                Stopped::Failed(Failure { retryable: Some(false), ..Failure::new(&refused.code, refused.message) })
            })?;
        }
        let input = properties.to_json().to_string();
        // Making a directory and removing it costs more than most tasks: only who may see it gets one.
        let directory = match &ready.working_dir {
            None if grants.working_dir() != runtime::Access::None => {
                Some(self.working_dir(ready.run.id.as_str()).map_err(Stopped::Failed)?)
            }
            _ => None,
        };
        let working_dir = ready.working_dir.clone().or_else(|| directory.as_ref().map(|dir| dir.path().to_owned()));
        if let Some(timeout) = ready.timeout.and_then(|timeout| std::time::Duration::try_from(timeout).ok()) {
            limits.wall = Some(limits.wall.map_or(timeout, |wall| wall.min(timeout)));
        }
        let sink = Arc::new(RunSink::new(self.clone(), ready, secrets.clone(), outgoing.alarms().clone()));
        let wall = limits.wall;
        let mut facts = facts(ready, locked);
        if grants.working_dir() != runtime::Access::None {
            facts.keys.insert("working-dir".to_owned(), WORKING_DIR.to_owned());
        }
        let services = services::RunServices::new(
            self.clone(),
            ready,
            outgoing.clone(),
            keeping.clone(),
            services::Allowed { properties: &properties, grants: grants.clone() },
            models::Models::new(rendered, facts.clone(), sink.clone(), ready.cancel.clone()),
        );
        let request = Request {
            plugin: source,
            task_type: locked.task_type.clone(),
            input,
            facts,
            grants,
            limits,
            working_dir,
            services: Arc::new(services),
            sink: sink.clone(),
            cancel: ready.cancel.clone(),
        };
        let outcome = sink.flushing(self.runtime.run(request)).await;
        if let Err(failure) = &outcome.result {
            outgoing.alarms().hear(&failure.message, Place::Error);
        }
        outgoing.alarms().settle().await;
        let end = if outcome.metrics.ends_in_warning { engine::End::Warning } else { engine::End::Success };
        match outcome.result {
            Ok(outputs) => match Value::parse_json(&outputs) {
                Ok(outputs) => Ok((end, secrets.recognise(&outputs))),
                Err(error) => {
                    let message = format!("plugin `{}` gave outputs that are not JSON: {error}", locked.plugin);
                    Err(Stopped::Failed(Failure::new("BAD_OUTPUTS", message)))
                }
            },
            Err(_) if ready.cancel.is_cancelled() => Err(Stopped::Killed),
            // The engine has a timer for the same moment: whoever is first says the same.
            Err(failure)
                if failure.class == Class::Deadline && ready.timeout.is_some_and(|most| is_wall(most, wall)) =>
            {
                Err(Stopped::Failed(engine::timed_out(ready.timeout)))
            }
            // The engine has the failure logged as the run's last line.
            Err(failure) => {
                let hint = failure.hint.as_ref().map(|hint| format!("\nhint: {hint}")).unwrap_or_default();
                let message = secrets.masked(&format!("{}{hint}", failure.message));
                let code = secrets.masked(&failure.code);
                Err(Stopped::Failed(Failure { code, message, retryable: failure.retryable }))
            }
        }
    }

    /// A directory of its own for one run, gone when it ends.
    fn working_dir(&self, run: &str) -> Result<Scratch, Failure> {
        let make = || {
            std::fs::create_dir_all(&self.config.scratch)?;
            tempfile::Builder::new().prefix(run).tempdir_in(&self.config.scratch)
        };
        make().map(|directory| Scratch(Some(directory))).map_err(|error| {
            let message = format!("no working directory in `{}`: {error}", self.config.scratch.display());
            Failure::new("WORKING_DIRECTORY", message)
        })
    }
}

/// A directory for one run. Removed on a thread that may wait for the disk, and nobody waits for that: it takes many times as long as
/// making it. In a simulation, where all is one thread, at once.
struct Scratch(Option<tempfile::TempDir>);

impl Scratch {
    fn path(&self) -> &Path {
        self.0.as_ref().map_or_else(|| Path::new(""), tempfile::TempDir::path)
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        if let Some(directory) = self.0.take() {
            match tokio::runtime::Handle::try_current() {
                Ok(handle) if handle.runtime_flavor() != RuntimeFlavor::CurrentThread => {
                    drop(handle.spawn_blocking(move || drop(directory)));
                }
                _ => drop(directory),
            }
        }
    }
}

/// How an attempt ended, and what it wants kept if that is well.
struct Done {
    outcome: Outcome,
    kept: Option<Arc<Kept>>,
}

impl Done {
    fn of(end: engine::End) -> Self {
        Self { outcome: Outcome { end, outputs: Value::Null }, kept: None }
    }

    fn failed(failure: Failure) -> Self {
        Self::of(engine::End::Failed(failure))
    }
}

/// Whether a result that was not taken is to be offered again: the store had no room, or others wrote at the same moment what this one
/// writes.
fn again(error: &crate::error::Error) -> bool {
    error.is_of_the_store() || matches!(error, crate::error::Error::Conflict { code: "store.conflict", .. })
}

/// Whether the limit of a run is its task's own timeout.
fn is_wall(timeout: SignedDuration, wall: Option<std::time::Duration>) -> bool {
    std::time::Duration::try_from(timeout).ok() == wall
}

/// Why a run gave no outputs.
enum Stopped {
    Killed,
    Failed(Failure),
}

fn failed(failure: Failure) -> Outcome {
    Outcome { end: engine::End::Failed(failure), outputs: Value::Null }
}

fn unknown_task(id: &TaskId) -> Failure {
    Failure::new("TASK_UNKNOWN", format!("the flow revision has no task `{id}`"))
}

fn facts(ready: &Ready<'_>, locked: &Locked) -> Facts {
    let flow = &ready.execution.flow;
    let mut keys = BTreeMap::from(
        [
            ("tenant", flow.tenant.to_string()),
            ("flow.namespace", flow.namespace.to_string()),
            ("flow.id", flow.id.to_string()),
            ("flow.revision", ready.execution.revision.to_string()),
            ("execution.id", ready.execution.id.to_string()),
            ("task.id", ready.task.id.to_string()),
            ("task.type", ready.task.type_name.clone()),
            ("taskrun.id", ready.run.id.to_string()),
            ("plugin.name", locked.plugin.clone()),
            ("plugin.version", locked.version.to_string()),
        ]
        .map(|(key, value)| (key.to_owned(), value)),
    );
    if let Some(value) = &ready.run.value {
        keys.insert("taskrun.value".to_owned(), value.clone());
    }
    Facts { keys, attempt: ready.attempt, idempotency_key: format!("{}/{}", ready.execution.id, ready.run.id) }
}
