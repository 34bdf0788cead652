//! Who owns a task type. One plugin owns a type or alias, over all its versions; `io.kestra.*` and `sluice.*` belong to
//! first-party plugins, and the engine's own types to nobody else. Whoever comes later is refused, whole.

use std::collections::{BTreeMap, BTreeSet};

use crate::error::Error;
use crate::manifest::{Manifest, TaskType};
use crate::name::{PluginName, is_reserved};

/// Task types and aliases with their owners.
#[derive(Clone, Debug, Default)]
pub(crate) struct Owners {
    plugins: BTreeMap<String, PluginName>,
    /// Types the engine carries out itself.
    built_in: BTreeSet<String>,
}

impl Owners {
    pub(crate) fn new(built_in: &[String]) -> Self {
        Self { plugins: BTreeMap::new(), built_in: built_in.iter().cloned().collect() }
    }

    pub(crate) fn of(&self, task_type: &str) -> Option<&PluginName> {
        self.plugins.get(task_type)
    }

    /// Types and aliases of plugins, in order.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&str, &PluginName)> {
        self.plugins.iter().map(|(task_type, owner)| (task_type.as_str(), owner))
    }

    /// Everything a flow may name, the engine's own types among them.
    pub(crate) fn names(&self) -> impl Iterator<Item = &str> {
        self.plugins.keys().chain(&self.built_in).map(String::as_str)
    }

    /// Whether this plugin may have all the task types it claims.
    pub(crate) fn check(&self, manifest: &Manifest) -> Result<(), Error> {
        manifest.tasks.iter().flat_map(TaskType::names).try_for_each(|name| self.check_one(manifest, name))
    }

    fn check_one(&self, manifest: &Manifest, task_type: &str) -> Result<(), Error> {
        let taken = |owner: String, hint: &str| {
            Err(Error::Taken {
                claimant: manifest.name.to_string(),
                task_type: task_type.to_owned(),
                owner,
                hint: hint.to_owned(),
            })
        };
        if self.built_in.contains(task_type) {
            return taken("Sluice itself".to_owned(), "give it another name");
        }
        if is_reserved(task_type) && !manifest.name.is_first_party() {
            return taken(
                "the plugins of Sluice".to_owned(),
                "name task types after your own domain, as `com.example.mail.Send`",
            );
        }
        match self.plugins.get(task_type) {
            Some(owner) if *owner != manifest.name => {
                taken(format!("plugin `{owner}`"), "give it another name, or uninstall the other plugin")
            }
            _ => Ok(()),
        }
    }

    /// Gives this plugin what it claims, if all of it is free.
    pub(crate) fn claim(&mut self, manifest: &Manifest) -> Result<(), Error> {
        self.check(manifest)?;
        for name in manifest.tasks.iter().flat_map(TaskType::names) {
            self.plugins.insert(name.to_owned(), manifest.name.clone());
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use super::*;
    use crate::testing;
    use serde_json::json;

    fn manifest(name: &str, task_types: &[&str]) -> Manifest {
        Manifest::read(&testing::manifest(name, "1.0.0", task_types), name).unwrap()
    }

    fn refused(owners: &Owners, manifest: &Manifest, expected: &str) {
        let message = owners.check(manifest).unwrap_err().to_string();
        assert!(message.contains(expected), "{message}");
    }

    #[test]
    fn a_type_and_an_alias_have_one_owner() {
        let mut raw = testing::manifest("mail", "1.0.0", &["com.example.Send"]);
        raw["tasks"][0]["aliases"] = json!(["com.example.Old"]);
        let mut owners = Owners::new(&[]);
        owners.claim(&Manifest::read(&raw, "mail").unwrap()).unwrap();
        refused(
            &owners,
            &manifest("thief", &["com.example.Send"]),
            "`com.example.Send`, which belongs to plugin `mail`",
        );
        refused(
            &owners,
            &manifest("thief", &["com.thief.Own", "com.example.Old"]),
            "`com.example.Old`, which belongs to plugin `mail`",
        );
        assert!(owners.check(&manifest("mail", &["com.example.Old", "com.example.New"])).is_ok());
    }

    #[test]
    fn a_refused_claim_leaves_nothing() {
        let mut owners = Owners::new(&[]);
        owners.claim(&manifest("mail", &["com.example.Send"])).unwrap();
        assert!(owners.claim(&manifest("thief", &["com.thief.Own", "com.example.Send"])).is_err());
        assert_eq!(owners.of("com.thief.Own"), None);
    }

    #[test]
    fn reserved_types_are_for_first_party_plugins() {
        let owners = Owners::new(&["io.kestra.plugin.core.flow.If".to_owned()]);
        refused(&owners, &manifest("mail", &["io.kestra.plugin.x.Y"]), "belongs to the plugins of Sluice");
        refused(&owners, &manifest("mail", &["sluice.Y"]), "belongs to the plugins of Sluice");
        refused(&owners, &manifest("core", &["io.kestra.plugin.core.flow.If"]), "belongs to Sluice itself");
        assert!(owners.check(&manifest("core", &["io.kestra.plugin.core.log.Log"])).is_ok());
    }
}
