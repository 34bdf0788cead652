//! Plugin versions come and go while the server runs. What is installed is compiled before any flow can use it; what a flow revision or a
//! live execution needs is not taken away.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use catalog::{Installed, Published, Reference};
use jiff::SignedDuration;
use model::execution::Kind as ExecutionKind;
use model::ids::FlowKey;
use model::lock::Lock;
use model::state::State;
use runtime::PluginSource;
use semver::Version;
use store::query::{ExecutionFilter, NamespaceMatch};
use store::rows;
use store::{Query, Store, View};

use crate::error::Error;
use crate::node::Node;
use crate::runs::Runs;

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
}

impl Node {
    /// Installs a packed component, and returns once flows can use it. `origin` names it in messages.
    pub async fn install_plugin(
        self: &Arc<Self>,
        component: Vec<u8>,
        origin: &str,
        by: &str,
    ) -> Result<Offered, Error> {
        let _one = self.installing.lock().await;
        let published = prepare(self.runtime.as_ref(), &component, origin).await?;
        let (plugin, version) = (published.manifest.name.to_string(), published.manifest.version.clone());
        let (catalog, origin) = (self.catalog(), origin.to_owned());
        let installed = self.blocking(move || catalog.install(&component, None, &origin)).await?;
        let (catalog, how) = installed.map_err(refused)?;
        self.set_catalog(catalog);
        tracing::info!(%plugin, %version, "a plugin version is installed");
        if how == Installed::New {
            let details = serde_json::json!({ "sha256": published.digest.to_string() });
            self.keep(self.audited(by, "plugin.install", &format!("{plugin} {version}"), &details)?).await?;
        }
        Ok(Offered { plugin, version, was_there: how == Installed::AlreadyThere })
    }

    /// Takes a plugin version away, unless somebody needs it.
    pub async fn uninstall_plugin(self: &Arc<Self>, plugin: &str, version: &Version, by: &str) -> Result<(), Error> {
        let name = catalog::PluginName::parse(plugin);
        let name = name.ok_or_else(|| Error::NotFound(format!("no plugin is called `{plugin}`")))?;
        let _one = self.installing.lock().await;
        let _alone = self.resolving.write().await;
        let references = self.plugin_needed_by(plugin, version).await?;
        let (catalog, gone) = (self.catalog(), version.clone());
        let uninstalled = self.blocking(move || catalog.uninstall(&name, &gone, &references)).await?;
        self.set_catalog(uninstalled.map_err(refused)?);
        tracing::info!(%plugin, %version, "a plugin version is uninstalled");
        self.keep(self.audited(by, "plugin.uninstall", &format!("{plugin} {version}"), &serde_json::json!({}))?).await
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

/// Looks at a packed component and compiles it, so that one that cannot run is refused before it is installed. `origin` names it in messages.
pub async fn prepare(runtime: &dyn Runs, component: &[u8], origin: &str) -> Result<Published, Error> {
    let published = Published::of(component, None, origin).map_err(refused)?;
    let (plugin, version) = (published.manifest.name.as_str(), published.manifest.version.to_string());
    let source = PluginSource::of_bytes(plugin, &version, component);
    runtime.prepare(&source).await.map_err(|message| {
        let message = format!("plugin `{plugin}` {version} cannot run here: {message}");
        Error::Invalid { code: "PLUGIN_CANNOT_RUN", message, issues: Vec::new() }
    })?;
    Ok(published)
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
    let mut all = lock.tasks.values().chain(lock.triggers.values());
    all.any(|locked| locked.plugin == plugin && locked.version == *version)
}

pub(crate) fn refused(error: catalog::Error) -> Error {
    use catalog::Error as Of;
    let (code, message) = (error.code(), error.to_string());
    match error {
        Of::Io { .. } | Of::Damaged { .. } => Error::Internal(message),
        Of::NotInstalled { .. } => Error::NotFound(message),
        Of::StillNeeded { .. } | Of::OtherBytes { .. } | Of::Taken { .. } | Of::NoRegistry => {
            Error::Conflict { code, message }
        }
        _ => Error::Invalid { code, message, issues: Vec::new() },
    }
}
