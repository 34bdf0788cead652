//! One node: what its parts share, how it starts, recovers and ends. Decides nothing about executions.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use catalog::Catalog;
use jiff::Timestamp;
use model::ids::{ExecutionId, FlowKey};
use store::rows::{self, Boot, NodeId};
use store::{Health, Page, Query, Store, View};
use tokio::sync::Notify;
use tokio_util::task::TaskTracker;

use crate::access::Access;
use crate::clock::Clock;
use crate::config::Config;
use crate::entropy::Entropy;
use crate::error::Error;
use crate::flows::SavedFlow;
use crate::mailbox::{Envelope, Mail, Mailboxes};
use crate::namespaces;
use crate::outputs::Undurable;
use crate::policy::Policies;
use crate::runs::Runs;
use crate::sealing::{KEY_BYTES, Sealer};
use crate::secrets::Secrets;
use crate::timers::Timers;
use crate::triggers::Triggers;
use crate::worker::Workers;

/// How long the parts of a node may take to end, once they are told to.
const END_MAX: std::time::Duration = std::time::Duration::from_secs(5);
/// How often the store is asked whether it still works.
const HEALTH_EVERY: std::time::Duration = std::time::Duration::from_millis(200);
/// Rows looked at in one page while recovering.
const RECOVERY_PAGE: usize = 500;

/// A running node.
pub struct Node {
    pub(crate) store: Arc<dyn Store>,
    pub(crate) runtime: Arc<dyn Runs>,
    catalog: RwLock<Catalog>,
    policies: RwLock<Arc<Policies>>,
    /// Held by who resolves a flow until its lock is stored, and alone by who takes versions away: no lock names one that is gone.
    pub(crate) resolving: tokio::sync::RwLock<()>,
    /// Held while versions come or go: one at a time.
    pub(crate) installing: tokio::sync::Mutex<()>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) entropy: Arc<dyn Entropy>,
    pub(crate) config: Parts,
    pub(crate) id: NodeId,
    pub(crate) boot: Boot,
    pub(crate) mailboxes: Mailboxes,
    pub(crate) timers: Timers,
    /// What is set for namespaces. Changed by who holds `resolving` alone: no flow is saved with what is just not true any more.
    pub(crate) namespaces: namespaces::Known,
    /// Those of namespaces.
    pub(crate) secrets: Secrets,
    /// Held while they are changed: what is in memory is what is stored.
    pub(crate) changing_secrets: tokio::sync::Mutex<()>,
    pub(crate) triggers: Triggers,
    pub(crate) workers: Workers,
    pub(crate) undurable: Undurable,
    /// Parsed flow revisions, most of them needed again and again.
    pub(crate) flows: Mutex<HashMap<(FlowKey, u32), Arc<SavedFlow>>>,
    /// Every task this node started: awaited at its end.
    pub(crate) tasks: TaskTracker,
    ending: AtomicBool,
    pub(crate) end: Notify,
}

/// The plain settings of a node.
pub(crate) struct Parts {
    pub scratch: std::path::PathBuf,
    pub limits: runtime::Limits,
    pub live_max: usize,
    pub grace: std::time::Duration,
    pub plugin_sources: Vec<crate::sources::PluginSource>,
    pub trust: catalog::Trust,
    pub fetch_times: crate::sources::Times,
    pub secrets: std::collections::BTreeMap<String, String>,
    pub sealer: Sealer,
    pub environment: std::collections::BTreeMap<String, String>,
    pub globals: expr::Map,
    pub access: Access,
}

impl Node {
    /// Starts a node on a store: finds what an earlier life left unfinished, and goes on with it.
    pub async fn open(config: Config) -> Result<Arc<Self>, Error> {
        let boot = format!("{:032x}", config.entropy.number());
        let node = Arc::new(Self {
            store: config.store,
            runtime: config.runtime,
            catalog: RwLock::new(config.catalog),
            policies: RwLock::new(Arc::new(config.policies.opening(config.allow_net))),
            resolving: tokio::sync::RwLock::new(()),
            installing: tokio::sync::Mutex::new(()),
            clock: config.clock,
            config: Parts {
                scratch: config.scratch,
                limits: config.limits,
                live_max: config.live_max,
                grace: config.grace,
                plugin_sources: config.plugin_sources,
                trust: config.trust,
                fetch_times: config.fetch_times,
                secrets: config.secrets,
                sealer: sealer(&config.encryption_keys, config.entropy.as_ref()),
                environment: config.environment,
                globals: config.globals,
                access: config.access,
            },
            entropy: config.entropy,
            id: config.node,
            boot: Boot(boot.into()),
            mailboxes: Mailboxes::default(),
            timers: Timers::default(),
            namespaces: namespaces::Known::default(),
            secrets: Secrets::default(),
            changing_secrets: tokio::sync::Mutex::new(()),
            triggers: Triggers::default(),
            workers: Workers::new(config.workers),
            undurable: Undurable::default(),
            flows: Mutex::default(),
            tasks: TaskTracker::new(),
            ending: AtomicBool::new(false),
            end: Notify::new(),
        });
        // Before anything goes on: what it ends may be waited for by a trigger.
        node.load_rules().await?;
        node.load_namespaces().await?;
        node.load_secrets().await?;
        node.load_triggers().await?;
        node.recover().await?;
        let (clock, keeper, janitor) = (node.clone(), node.clone(), node.clone());
        let (triggers, mail) = (node.clone(), node.clone());
        node.tasks.spawn(async move { triggers.run_triggers().await });
        node.tasks.spawn(async move { mail.take_trigger_mail().await });
        node.tasks.spawn(async move { clock.run_timers().await });
        node.tasks.spawn(async move { keeper.keep_leases().await });
        node.tasks.spawn(async move { janitor.tidy_up().await });
        Ok(node)
    }

    /// The time now.
    pub fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// The plugins that flows saved from now on can use.
    pub fn catalog(&self) -> Catalog {
        self.catalog.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// What runs components.
    pub fn runtime(&self) -> &Arc<dyn Runs> {
        &self.runtime
    }

    /// The catalog that is used from now on.
    pub(crate) fn set_catalog(&self, catalog: Catalog) {
        *self.catalog.write().unwrap_or_else(PoisonError::into_inner) = catalog;
    }

    /// What an operator allows plugins.
    pub(crate) fn policies(&self) -> Arc<Policies> {
        self.policies.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(crate) fn set_policies(&self, policies: Policies) {
        *self.policies.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(policies);
    }

    /// Opens a host for flows that are saved and tasks that run from now on.
    pub fn open_host(&self, rule: runtime::NetworkRule) {
        self.set_policies((*self.policies()).clone().opening([rule]));
    }

    /// Returns, with the reason, once the store has failed for good: the process must end then, and start again on what is durable.
    pub async fn failed(&self) -> String {
        loop {
            if let Health::Failed { reason } = self.store.health() {
                return reason;
            }
            tokio::time::sleep(HEALTH_EVERY).await;
        }
    }

    /// Whether it can take work; otherwise why not.
    pub async fn ready(&self) -> Result<(), String> {
        if self.is_ending() {
            return Err("the server is shutting down".to_owned());
        }
        match self.store.health() {
            Health::Ready => Ok(()),
            Health::ReadOnly { reason } | Health::Failed { reason } => Err(reason),
        }
    }

    pub(crate) fn is_ending(&self) -> bool {
        self.ending.load(Ordering::SeqCst)
    }

    /// Ends the node: takes no more work, waits a while for what runs, and gives back what still does: the next start takes it up again.
    pub async fn shutdown(&self) {
        self.ending.store(true, Ordering::SeqCst);
        self.end.notify_waiters();
        self.tasks.close();
        if tokio::time::timeout(self.config.grace, self.workers.idle()).await.is_err() {
            tracing::warn!("work is still running at the end; it is stopped, and taken up again at the next start");
        }
        // Attempts that wait for a worker end here too, and their leases are given back.
        self.workers.stop();
        if tokio::time::timeout(END_MAX, self.workers.idle()).await.is_err() {
            tracing::warn!("some work did not stop; its leases are void at the next start");
        }
        self.mailboxes.close();
        if tokio::time::timeout(END_MAX, self.tasks.wait()).await.is_err() {
            tracing::warn!("some tasks did not end in time");
        }
        if let Err(error) = self.store.durable(self.store.head()).await {
            tracing::error!(%error, "the last commits may be lost");
        }
    }

    /// Everything an earlier life left: executions that have not ended, their timers and their mail.
    async fn recover(self: &Arc<Self>) -> Result<(), Error> {
        // Who has a timer may be over but for what comes after its end, which no state tells.
        for id in self.load_timers().await? {
            self.post(&id, Envelope::new(Mail::Recover));
        }
        let filter = store::query::ExecutionFilter {
            kinds: Vec::new(),
            states: unfinished_states(),
            ..store::query::ExecutionFilter::default()
        };
        let mut after = None;
        loop {
            let page = Page { size: RECOVERY_PAGE, after };
            let rows =
                self.store.list::<rows::Execution>(View::Newest, Query::Executions(filter.clone()), page).await?;
            for row in &rows.items {
                self.post(&row.record.id, Envelope::new(Mail::Recover));
            }
            match rows.next {
                Some(next) => after = Some(next),
                None => break,
            }
        }
        let mut after = None;
        loop {
            let page = Page { size: RECOVERY_PAGE, after };
            let rows = self.store.list::<rows::Message>(View::Newest, Query::Recipients, page).await?;
            for row in &rows.items {
                if let rows::Target::Execution(id) = &row.key.to {
                    self.deliver_inbox(id).await?;
                }
            }
            match rows.next {
                Some(next) => after = Some(next),
                None => return Ok(()),
            }
        }
    }

    /// Hands over what waits in the store for an execution.
    pub(crate) async fn deliver_inbox(self: &Arc<Self>, id: &ExecutionId) -> Result<(), Error> {
        let target = rows::Target::Execution(id.clone());
        let page = Page::first(RECOVERY_PAGE);
        let rows = self.store.list::<rows::Message>(View::Newest, Query::Inbox(target), page).await?;
        for row in rows.items {
            self.deliver(&row);
        }
        Ok(())
    }
}

/// The first key seals; without one, one is drawn.
fn sealer(keys: &[[u8; KEY_BYTES]], entropy: &dyn Entropy) -> Sealer {
    match keys {
        [current, former @ ..] => Sealer::new(current, former),
        [] => Sealer::new(&drawn_key(entropy), &[]),
    }
}

/// Two numbers make a key.
fn drawn_key(entropy: &dyn Entropy) -> [u8; KEY_BYTES] {
    let mut key = [0; KEY_BYTES];
    let numbers = [entropy.number(), entropy.number()];
    let bytes = numbers.iter().flat_map(|number| number.to_be_bytes());
    key.iter_mut().zip(bytes).for_each(|(place, byte)| *place = byte);
    key
}

pub(crate) fn unfinished_states() -> Vec<model::state::State> {
    use model::state::State::*;
    vec![Created, Running, Paused, Restarted, Killing, Queued, Retrying, Breakpoint]
}

impl From<store::Error> for Error {
    fn from(error: store::Error) -> Self {
        match error {
            store::Error::Full { .. } => Self::Full(error.to_string()),
            store::Error::Limit { .. } => Self::TooLarge(error.to_string()),
            store::Error::ReadOnly { .. } | store::Error::Lost { .. } => Self::Store(error.to_string()),
            store::Error::Conflict(conflict) => {
                Self::Conflict { code: "store.conflict", message: conflict.to_string() }
            }
            other => Self::Internal(other.to_string()),
        }
    }
}
