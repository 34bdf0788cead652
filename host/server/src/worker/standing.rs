//! What the runs of a task type in one flow have in common: made once for a revision of the flow, and again when the policy or the plugins have
//! changed.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use catalog::{Catalog, Digest, PropertyPath};
use model::execution::Failure;
use model::flow::Flow;
use model::lock::Locked;
use runtime::PluginSource;

use super::grants::Layers;
use super::outgoing::Hosts;
use crate::node::Node;
use crate::policy::{self, Policies};

/// What runs have in common.
pub(super) struct Standing {
    /// What it was made of.
    catalog: Catalog,
    policies: Arc<Policies>,
    pub plugin: Arc<str>,
    pub version: Arc<str>,
    pub source: PluginSource,
    /// Which properties are secret.
    pub marked: Vec<PropertyPath>,
    /// Whether its runs ask models of language.
    pub asks_models: bool,
    pub layers: Layers,
    pub hosts: Arc<Hosts>,
}

/// Those of one flow revision.
#[derive(Default)]
pub(crate) struct Standings(Mutex<HashMap<(Digest, String), Arc<Standing>>>);

impl fmt::Debug for Standings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Standings").finish_non_exhaustive()
    }
}

impl Node {
    /// What runs on a lock have in common now, or why none may begin.
    pub(super) fn standing(&self, all: &Standings, flow: &Flow, locked: &Locked) -> Result<Arc<Standing>, Failure> {
        let (catalog, policies) = (self.catalog(), self.policies());
        let key = (locked.digest.clone(), locked.task_type.clone());
        let known = all.0.lock().unwrap_or_else(PoisonError::into_inner).get(&key).cloned();
        if let Some(known) = known
            && known.catalog.is_same(&catalog)
            && Arc::ptr_eq(&known.policies, &policies)
        {
            return Ok(known);
        }
        let missing = crate::plugins::unusable;
        let manifest = catalog.locked(locked).map_err(missing)?.manifest();
        let task = manifest.task(&locked.task_type);
        let standing = Arc::new(Standing {
            plugin: locked.plugin.as_str().into(),
            version: locked.version.to_string().into(),
            source: crate::plugins::source_of(&catalog, locked).map_err(missing)?,
            marked: task.map(|task| task.markers.secret.clone()).unwrap_or_default(),
            asks_models: manifest.tasks.iter().any(|task| task.role == model::Role::Provider)
                || !manifest.capabilities.models.is_empty(),
            layers: Layers::of(&policies, &self.config.limits, flow, manifest, &locked.task_type),
            hosts: Arc::new(Hosts::of(&flow.source, &policy::listed(manifest.capabilities_of(&locked.task_type)))),
            catalog: catalog.clone(),
            policies,
        });
        all.0.lock().unwrap_or_else(PoisonError::into_inner).insert(key, standing.clone());
        Ok(standing)
    }
}
