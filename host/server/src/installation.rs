//! Plugin versions come and go while the server runs. What is installed is compiled before any flow can use it; what a flow revision or a
//! live execution needs is not taken away.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use catalog::{By, Held, Index, Installed, Reference};
use jiff::SignedDuration;
use model::execution::Kind as ExecutionKind;
use model::ids::FlowKey;
use model::lock::Lock;
use model::state::State;
use semver::Version;
use store::query::{ExecutionFilter, NamespaceMatch};
use store::rows;
use store::{Query, Store, View};

use crate::candidates::{Candidate, look_at};
use crate::error::Error;
use crate::node::Node;
use crate::sources::{Fetcher, PluginSource, Wanted};

/// How often the registries are looked at for what others have put there.
const LOOK: SignedDuration = SignedDuration::from_secs(2);
/// Flows, revisions of a flow and live executions looked through before a version is taken away.
const LOOKED_AT_MAX: usize = 1_000_000;

/// A plugin version that was offered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Offered {
    pub plugin: String,
    pub version: Version,
    /// Whether these very bytes were installed already.
    pub was_there: bool,
    /// Why flows cannot use it yet.
    pub held: Option<Held>,
}

impl Node {
    /// Installs packed components, all or none, and returns once flows can use those that are not held.
    pub async fn install_plugins(
        self: &Arc<Self>,
        candidates: Vec<Candidate>,
        by: &str,
    ) -> Result<Vec<Offered>, Error> {
        let _one = self.installing.lock().await;
        let (mut offers, mut named) = (Vec::new(), Vec::new());
        for candidate in candidates {
            let (offer, manifest) = look_at(self.runtime.as_ref(), &self.config.trust, candidate).await?;
            named.push((manifest.name.to_string(), manifest.version));
            offers.push(offer);
        }
        let (catalog, actor, at) = (self.catalog(), by.to_owned(), self.now());
        let installed = self.blocking(move || catalog.install(&offers, By { actor: &actor, at })).await?;
        let (catalog, how) = installed.map_err(refused)?;
        self.set_catalog(catalog.clone());
        let offered = |((plugin, version), how): ((String, Version), Installed)| {
            tracing::info!(%plugin, %version, "a plugin version is installed");
            let held = catalog.package(&plugin, &version).and_then(|package| catalog.held(package)).cloned();
            Offered { plugin, version, was_there: how == Installed::AlreadyThere, held }
        };
        Ok(named.into_iter().zip(how).map(offered).collect())
    }

    /// Fetches plugins from the sources that are configured, or from the one of them that is named, and installs them, all or none.
    pub async fn install_from_sources(
        self: &Arc<Self>,
        wanted: &[Wanted],
        from: Option<&str>,
        approval: Option<String>,
        by: &str,
    ) -> Result<Vec<Offered>, Error> {
        let configured = self.config.plugin_sources.as_slice();
        let unusable = |code, message| Error::Invalid { code, message, issues: Vec::new() };
        if configured.is_empty() {
            let message = "no source of plugins is configured; hint: start the server with --plugin-source URL";
            return Err(unusable("plugin.no_source", message.to_owned()));
        }
        let sources = match from {
            None => configured,
            Some(text) => {
                // Never an address that a client makes up: it only says which of the configured ones.
                let named = PluginSource::parse(text).ok();
                let found = configured.iter().find(|source| Some(*source) == named.as_ref());
                let names: Vec<String> = configured.iter().map(ToString::to_string).collect();
                let unknown = || {
                    let message = format!("`{text}` is no source of this server; hint: there are {}", names.join(", "));
                    unusable("plugin.unknown_source", message)
                };
                std::slice::from_ref(found.ok_or_else(unknown)?)
            }
        };
        let fetcher = Fetcher::new(self.config.fetch_times).map_err(refused)?;
        let host = self.catalog().host().version.clone();
        let fetched = fetcher.fetch_all(sources, wanted, &host, None).await.map_err(refused)?;
        let candidates = fetched.into_iter().map(|fetched| Candidate::fetched(fetched, approval.clone()));
        self.install_plugins(candidates.collect(), by).await
    }

    /// What each source that is configured offers, or why it does not say.
    pub async fn available_plugins(&self) -> Result<Vec<(String, Result<Index, catalog::Error>)>, Error> {
        let fetcher = Fetcher::new(self.config.fetch_times).map_err(refused)?;
        let mut offered = Vec::new();
        for source in &self.config.plugin_sources {
            offered.push((source.to_string(), fetcher.list(source).await));
        }
        Ok(offered)
    }

    /// Takes a plugin version away, unless somebody needs it.
    pub async fn uninstall_plugin(self: &Arc<Self>, plugin: &str, version: &Version, by: &str) -> Result<(), Error> {
        let name = catalog::PluginName::parse(plugin);
        let name = name.ok_or_else(|| Error::NotFound(format!("no plugin is called `{plugin}`")))?;
        let _one = self.installing.lock().await;
        let _alone = self.resolving.write().await;
        let references = self.plugin_needed_by(plugin, version).await?;
        let (catalog, gone) = (self.catalog(), version.clone());
        let (actor, at) = (by.to_owned(), self.now());
        let uninstall = move || catalog.uninstall(&name, &gone, &references, By { actor: &actor, at });
        self.set_catalog(self.blocking(uninstall).await?.map_err(refused)?);
        tracing::info!(%plugin, %version, "a plugin version is uninstalled");
        Ok(())
    }

    /// Flow revisions and live executions that need a plugin version.
    pub async fn plugin_needed_by(&self, plugin: &str, version: &Version) -> Result<Vec<Reference>, Error> {
        needed_by(self.store.as_ref(), plugin, version).await
    }

    /// Looks at the registries until the node ends: `sluice plugin install` and others write there as well.
    pub async fn notice_plugins(self: &Arc<Self>) {
        while !self.is_ending() {
            let next = self.now().saturating_add(LOOK).unwrap_or(jiff::Timestamp::MAX);
            tokio::select! {
                biased;
                () = self.end.notified() => return,
                () = self.clock.until(next) => {}
            }
            self.notice_policy().await;
            let _one = self.installing.lock().await;
            let catalog = self.catalog();
            let looked = self.blocking(move || catalog.is_outdated().then(|| catalog.reload())).await;
            if let Ok(Some(catalog)) = looked {
                tracing::info!("the registries have changed");
                self.set_catalog(catalog);
            }
        }
    }

    /// Puts the policy in force that its file has now. One that cannot be used changes nothing.
    async fn notice_policy(&self) {
        let policies = self.policies();
        let looked = {
            let policies = policies.clone();
            self.blocking(move || policies.again()).await
        };
        let Ok(Some(read)) = looked else { return };
        let file = policies.file().map(|file| file.display().to_string()).unwrap_or_default();
        match read {
            Err(error) => {
                tracing::error!("{error}\nthe policy that was read before goes on");
                self.set_policies(policies.looked_at());
            }
            Ok(read) => {
                tracing::info!(%file, "the policy has changed");
                self.set_policies(read);
                let entry = self.audited("file", "policy.change", &file, &serde_json::json!({}));
                if let Err(error) = async { self.keep(entry?).await }.await {
                    tracing::error!(%error, "a change of the policy is not in the audit log");
                }
            }
        }
    }

    pub(crate) async fn blocking<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, Error> {
        tokio::task::spawn_blocking(work).await.map_err(|error| Error::Internal(error.to_string()))
    }
}

/// Flow revisions and live executions whose lock has a plugin version.
pub async fn needed_by(store: &dyn Store, plugin: &str, version: &Version) -> Result<Vec<Reference>, Error> {
    let reference = |holder: String| Reference { holder, plugin: plugin.to_owned(), version: version.clone() };
    let live = live_revisions(store).await?;
    let query = Query::Flows { namespace: NamespaceMatch::Any, deleted: true };
    let mut found = Vec::new();
    for newest in store.all::<rows::Flow>(View::Newest, query, LOOKED_AT_MAX).await? {
        let revisions = Query::Revisions(newest.key.clone());
        for row in store.all::<rows::Flow>(View::Newest, revisions, LOOKED_AT_MAX).await? {
            if !has(&row.lock, plugin, version) {
                continue;
            }
            // Of a flow that is gone, only what still runs.
            if !newest.deleted {
                found.push(reference(format!("flow {}, revision {}", row.key, row.revision)));
            }
            let running = live.get(&(row.key.clone(), row.revision)).into_iter().flatten();
            found.extend(running.map(|id| reference(format!("execution {id} of flow {}", row.key))));
        }
    }
    Ok(found)
}

/// Executions that have not ended, by the flow revision they run.
async fn live_revisions(store: &dyn Store) -> Result<BTreeMap<(FlowKey, u32), BTreeSet<String>>, Error> {
    let states = State::ALL.into_iter().filter(|state| state.is_active()).collect();
    let kinds = vec![ExecutionKind::Normal, ExecutionKind::Test, ExecutionKind::Playground];
    let query = Query::Executions(ExecutionFilter { kinds, states, ..ExecutionFilter::default() });
    let mut live: BTreeMap<(FlowKey, u32), BTreeSet<String>> = BTreeMap::new();
    for row in store.all::<rows::Execution>(View::Newest, query, LOOKED_AT_MAX).await? {
        let revision = (row.record.flow.clone(), row.record.revision);
        live.entry(revision).or_default().insert(row.record.id.to_string());
    }
    Ok(live)
}

fn has(lock: &Lock, plugin: &str, version: &Version) -> bool {
    lock.each().any(|(_, locked)| locked.plugin == plugin && locked.version == *version)
}

pub(crate) fn refused(error: catalog::Error) -> Error {
    use catalog::Error as Of;
    let (code, message) = (error.code(), error.to_string());
    match error {
        Of::Io { .. } | Of::Damaged { .. } => Error::Internal(message),
        Of::NotInstalled { .. } => Error::NotFound(message),
        Of::StillNeeded { .. } | Of::OtherBytes { .. } | Of::Taken { .. } | Of::NoRegistry | Of::Held { .. } => {
            Error::Conflict { code, message }
        }
        _ => Error::Invalid { code, message, issues: Vec::new() },
    }
}
