//! What plugin versions ask for, approved and withdrawn while the server runs. What is decided is in the registry's journal, where the command
//! line finds it too; this never decides anything itself.

use std::sync::Arc;

use catalog::{By, Catalog, PluginName};
use semver::Version;

use crate::error::Error;
use crate::installation::refused;
use crate::node::Node;

/// What is decided about a version.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    Approve,
    Withdraw,
}

impl Node {
    /// Approves what a version asks for, or takes that back.
    pub async fn decide_on_plugin(
        self: &Arc<Self>,
        verdict: Verdict,
        plugin: &str,
        version: &Version,
        reason: &str,
        by: &str,
    ) -> Result<(), Error> {
        let name = PluginName::parse(plugin);
        let name = name.ok_or_else(|| Error::NotFound(format!("no plugin is called `{plugin}`")))?;
        let _one = self.installing.lock().await;
        let (catalog, version, reason) = (self.catalog(), version.clone(), reason.to_owned());
        let (actor, at) = (by.to_owned(), self.now());
        let decide = move || -> Result<Catalog, catalog::Error> {
            let by = By { actor: &actor, at };
            match verdict {
                Verdict::Approve => catalog.approve(&name, &version, &reason, by),
                Verdict::Withdraw => catalog.withdraw(&name, &version, &reason, by),
            }
        };
        self.set_catalog(self.blocking(decide).await?.map_err(refused)?);
        tracing::info!(%plugin, ?verdict, "something was decided about a plugin version");
        Ok(())
    }
}
