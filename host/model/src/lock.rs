//! The lock of a flow revision: which plugin bytes each of its task types means, for ever.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::ids::{TaskId, TriggerId};

/// sha256 of a component, as 64 lower-case hexadecimal digits.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Digest(pub String);

impl std::fmt::Display for Digest {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

/// One task's plugin.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Locked {
    /// The task type as the plugin's manifest names it (never an alias).
    pub task_type: String,
    /// The plugin's name.
    pub plugin: String,
    /// Its exact version.
    pub version: semver::Version,
    /// Its bytes.
    pub digest: Digest,
    /// What the flow asked for, as written: `1.2.0`, `^1`, `LATEST`.
    pub requirement: String,
}

/// What every task and trigger of a plugin in one flow revision resolves to. Made when the flow is saved and never rewritten.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lock {
    /// By task id. Tasks of the engine itself (flow control) are not in it: their version is Sluice's own.
    pub tasks: BTreeMap<TaskId, Locked>,
    /// By trigger id. Those of the engine itself are not in it.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub triggers: BTreeMap<TriggerId, Locked>,
    /// Providers that properties of tasks name, by their type as written.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub providers: BTreeMap<String, Locked>,
}

impl Lock {
    /// All of them, each with what runs on it: the id of a task or trigger, or the type of a provider.
    pub fn each(&self) -> impl Iterator<Item = (&str, &Locked)> {
        let tasks = self.tasks.iter().map(|(id, locked)| (id.as_str(), locked));
        let triggers = self.triggers.iter().map(|(id, locked)| (id.as_str(), locked));
        tasks.chain(triggers).chain(self.providers.iter().map(|(name, locked)| (name.as_str(), locked)))
    }

    /// All of them, each with what runs the same on `before`.
    pub fn each_with<'a>(
        &'a mut self,
        before: &'a Lock,
    ) -> impl Iterator<Item = (&'a str, &'a mut Locked, Option<&'a Locked>)> {
        let tasks = self.tasks.iter_mut().map(|(id, locked)| (id.as_str(), locked, before.tasks.get(id)));
        let triggers = self.triggers.iter_mut().map(|(id, locked)| (id.as_str(), locked, before.triggers.get(id)));
        let providers =
            self.providers.iter_mut().map(|(name, locked)| (name.as_str(), locked, before.providers.get(name)));
        tasks.chain(triggers).chain(providers)
    }
}
