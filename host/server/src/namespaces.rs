//! What is set for namespaces: a description, variables (`{{ namespace.… }}`) and plugin defaults, which their flows and those of the namespaces
//! below them get. All of it is kept in memory. Plugin defaults become part of a flow's revision when it is saved; changing them makes new
//! revisions of the flows they change something for, so that nothing that runs is changed under its feet.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, PoisonError, RwLock};

use expr::{Map, Value};
use model::flow::PluginDefault;
use model::ids::Namespace;
use serde::{Deserialize, Serialize};
use store::query::NamespaceMatch;
use store::rows::{self, DocumentKey, Key, NamespaceKey};
use store::{Batch, Query, View};

use crate::error::{Error, Issue};
use crate::flows::{FLOWS_MAX, Save};
use crate::kv::ancestors;
use crate::node::Node;
use crate::plugins::{Draft, Ground};
use crate::policy::Refusal;
use crate::revisions::{AT_ONCE_MAX, Change};
use crate::secrets::place;

/// The kind of the documents they are stored as.
const KIND: &str = "namespace";
/// Most namespaces for which something is set.
const NAMESPACES_MAX: usize = 10_000;
/// Longest that is stored of one, in bytes.
const BYTES_MAX: usize = 1 << 20;
/// The property of a default that asks for a plugin's version.
const VERSION: &str = "version";

/// What is set for a namespace.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct NamespaceSettings {
    #[serde(default)]
    pub description: Option<String>,
    #[serde(default)]
    pub variables: Map,
    #[serde(default)]
    pub plugin_defaults: Vec<PluginDefault>,
}

/// What is set for each namespace.
#[derive(Clone, Debug, Default)]
pub struct Namespaces(BTreeMap<Namespace, Arc<NamespaceSettings>>);

/// The settings as they are now.
#[derive(Debug, Default)]
pub(crate) struct Known(RwLock<Arc<Namespaces>>);

impl Known {
    /// All of them. What is done with them sees no change.
    pub(crate) fn all(&self) -> Arc<Namespaces> {
        self.0.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn set(&self, settings: Namespaces) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(settings);
    }
}

impl Namespaces {
    /// What is set for one.
    pub(crate) fn get(&self, namespace: &Namespace) -> Option<&Arc<NamespaceSettings>> {
        self.0.get(namespace)
    }

    /// The names of those for which something is set.
    pub(crate) fn names(&self) -> impl Iterator<Item = &Namespace> {
        self.0.keys()
    }

    /// The defaults that a flow of a namespace gets, nearest first, each with the namespace that has it.
    pub(crate) fn inherited(&self, namespace: &str) -> Vec<(Namespace, PluginDefault)> {
        let places = ancestors(&Namespace::trusted(namespace)).into_iter().map(|place| place.namespace);
        let of = |place: Namespace| {
            let defaults = self.0.get(&place).map(|found| found.plugin_defaults.clone()).unwrap_or_default();
            defaults.into_iter().map(move |default| (place.clone(), default))
        };
        places.flat_map(of).collect()
    }

    /// The same without the versions: those are heard after what a flow asks for.
    pub(crate) fn defaults_for(&self, namespace: &str) -> Vec<PluginDefault> {
        let mut defaults: Vec<PluginDefault> =
            self.inherited(namespace).into_iter().map(|(_, default)| default).collect();
        for default in &mut defaults {
            default.values.shift_remove(VERSION);
        }
        defaults.retain(|default| !default.values.is_empty());
        defaults
    }

    /// The version of a type's plugin that is asked for, by the nearest namespace that asks.
    pub(crate) fn version_for(&self, namespace: &str, type_name: &str) -> Option<&str> {
        ancestors(&Namespace::trusted(namespace)).iter().find_map(|place| {
            let defaults = &self.0.get(&place.namespace)?.plugin_defaults;
            let fitting = defaults.iter().filter(|default| type_name.starts_with(&default.type_prefix));
            fitting.filter_map(|default| default.values.get(VERSION)?.as_str()).next()
        })
    }

    /// The variables of a namespace, with those of the namespaces above it where it has none of that name. Maps are merged.
    pub(crate) fn variables_for(&self, namespace: &str) -> Map {
        let places = ancestors(&Namespace::trusted(namespace));
        let set = places.iter().rev().filter_map(|place| self.0.get(&place.namespace));
        set.fold(Map::new(), |above, own| over(above, &own.variables))
    }

    fn with(&self, namespace: &Namespace, new: Option<NamespaceSettings>) -> Self {
        let mut all = self.0.clone();
        match new {
            Some(new) => drop(all.insert(namespace.clone(), Arc::new(new))),
            None => drop(all.remove(namespace)),
        }
        Self(all)
    }
}

fn over(mut under: Map, over_it: &Map) -> Map {
    for (key, value) in over_it {
        let merged = match (under.get(key), value) {
            (Some(Value::Map(below)), Value::Map(above)) => over((**below).clone(), above).into(),
            (_, value) => value.clone(),
        };
        under.insert(key.clone(), merged);
    }
    under
}

impl Node {
    /// Takes up what earlier lives have set.
    pub(crate) async fn load_namespaces(&self) -> Result<(), Error> {
        let query = Query::Documents { kind: KIND.into(), namespace: NamespaceMatch::Any };
        let mut settings = Namespaces::default();
        for row in self.store.all::<rows::Document>(View::Newest, query, NAMESPACES_MAX).await? {
            let read = serde_json::from_str(&row.source).map_err(|error| {
                Error::Internal(format!("what is set for namespace `{}` cannot be read: {error}", row.key.id))
            })?;
            settings.0.insert(row.key.place.namespace.clone(), Arc::new(read));
        }
        self.namespaces.set(settings);
        Ok(())
    }

    /// What is set for namespaces.
    pub fn namespace_settings(&self) -> Arc<Namespaces> {
        self.namespaces.all()
    }

    /// The names of all namespaces: those for which something is set, those with flows, and those above them.
    pub async fn namespace_names(&self) -> Result<BTreeSet<Namespace>, Error> {
        let query = Query::Flows { namespace: NamespaceMatch::Any, deleted: false };
        let rows = self.store.all::<rows::Flow>(View::Durable, query, FLOWS_MAX).await?;
        let settings = self.namespaces.all();
        let mut names: BTreeSet<Namespace> = BTreeSet::new();
        let direct: BTreeSet<&Namespace> = rows.iter().map(|row| &row.key.namespace).chain(settings.names()).collect();
        for name in direct {
            names.extend(ancestors(name).into_iter().map(|place| place.namespace));
        }
        Ok(names)
    }

    /// Reads plugin defaults as they would be set for a namespace.
    pub fn read_plugin_defaults(&self, namespace: &str, source: &str) -> Result<Vec<PluginDefault>, Error> {
        self.on_ground(|ground| ground.defaults(namespace, source)).map_err(|problems| {
            let issues: Vec<Issue> = problems.iter().map(Issue::from).collect();
            let message = format!("{} problems with the plugin defaults of namespace `{namespace}`", issues.len());
            Error::Invalid { code: "namespace.invalid", message, issues }
        })
    }

    /// Sets what a namespace has (`None`: nothing any more), and saves the flows that get other plugin defaults by that: all, or nothing.
    pub async fn set_namespace(&self, name: &str, new: Option<NamespaceSettings>, by: &str) -> Result<(), Error> {
        let place = place(name)?;
        let source = new.as_ref().map(serde_json::to_string).transpose();
        let source = source.map_err(|error| Error::Internal(error.to_string()))?;
        if let Some(source) = source.as_ref().filter(|source| source.len() > BYTES_MAX) {
            let message = format!("namespace `{name}` would have {} bytes, at most {BYTES_MAX} are kept", source.len());
            return Err(Error::TooLarge(message));
        }
        let _alone = self.resolving.write().await;
        let before = self.namespaces.all();
        let after = before.with(&place.namespace, new);
        if after.0.len() > NAMESPACES_MAX {
            let message = format!("something is set for {NAMESPACES_MAX} namespaces, and there may be no more");
            return Err(Error::bad_request("namespace.limit", message));
        }
        let changes = self.flows_in_other_light(&place, &before, &after).await?;
        let key = DocumentKey { place: place.clone(), kind: KIND.into(), id: name.into() };
        let action = if source.is_some() { "namespace.set" } else { "namespace.delete" };
        let audit = self.audit_entry(by, action, name, &serde_json::json!({ "flows": changes.len() }))?;
        let updated = self.now();
        let also = || {
            let mut batch = Batch::new();
            match &source {
                Some(source) => {
                    let source = source.as_str().into();
                    batch.put(rows::Document { key: key.clone(), revision: 1, source, updated })
                }
                None => batch.delete(Key::Document(key.clone())),
            };
            batch.put(audit.clone());
            batch
        };
        self.change_flows(&changes, also).await?;
        self.namespaces.set(after);
        Ok(())
    }

    /// New revisions of the flows that get other defaults. What they run on stays, unless another version is asked for.
    async fn flows_in_other_light(
        &self,
        place: &NamespaceKey,
        before: &Namespaces,
        after: &Namespaces,
    ) -> Result<Vec<Change>, Error> {
        let query = Query::Flows { namespace: NamespaceMatch::Tree(place.clone()), deleted: false };
        let rows = self.store.all::<rows::Flow>(View::Newest, query, AT_ONCE_MAX + 1).await?;
        let (catalog, policies) = (self.catalog(), self.policies());
        let ground = Ground { catalog: &catalog, policies: &policies, namespaces: after, usual: &self.config.limits };
        let (mut changes, mut issues) = (Vec::new(), Vec::new());
        for row in rows {
            let namespace = row.key.namespace.as_str();
            let asks_for_others = row.lock.each().any(|(_, locked)| {
                before.version_for(namespace, &locked.task_type) != after.version_for(namespace, &locked.task_type)
            });
            if after.defaults_for(namespace) == row.inherited_defaults && !asks_for_others {
                continue;
            }
            let drafted = ground.resolve(&row.source).and_then(|mut draft| {
                leave_versions(&mut draft, &row, before, after);
                let refused = ground.refusals(&draft.flow, &draft.lock);
                match refused.is_empty() {
                    true => Ok(draft),
                    false => Err(refused.iter().map(Refusal::problem).collect()),
                }
            });
            match drafted {
                Ok(draft) => changes.push(Change::Save(Box::new(draft), Save::Revision(row.revision))),
                Err(problems) => issues.extend(problems.iter().filter(|problem| problem.is_error()).map(|problem| {
                    let mut issue = Issue::from(problem);
                    issue.path = format!("{}: {}", row.key, issue.path);
                    issue
                })),
            }
        }
        if issues.is_empty() {
            return Ok(changes);
        }
        let message =
            format!("nothing was changed: flows of namespace `{}` would not be valid with it", place.namespace);
        Err(Error::Invalid { code: "namespace.refused", message, issues })
    }
}

/// A lock is never rewritten in silence: only what another version is asked for gets another.
fn leave_versions(draft: &mut Draft, row: &rows::Flow, before: &Namespaces, after: &Namespaces) {
    let namespace = row.key.namespace.as_str();
    let stays = |type_name: &str| before.version_for(namespace, type_name) == after.version_for(namespace, type_name);
    let lock = Arc::make_mut(&mut draft.lock);
    for (_, locked, old) in lock.each_with(&row.lock) {
        if let Some(old) = old.filter(|old| old.task_type == locked.task_type && stays(&old.task_type)) {
            *locked = old.clone();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(of: &[(&str, serde_json::Value)]) -> Namespaces {
        let read = |(name, json): &(&str, serde_json::Value)| {
            let set = serde_json::from_value(json.clone()).expect("they are settings");
            (Namespace::trusted(*name), Arc::new(set))
        };
        Namespaces(of.iter().map(read).collect())
    }

    #[test]
    fn variables_of_the_nearest_namespace_win_and_maps_are_merged() {
        let all = settings(&[
            ("a", serde_json::json!({ "variables": { "x": 1, "y": { "p": 1, "q": 2 } } })),
            ("a.b", serde_json::json!({ "variables": { "x": 2, "y": { "q": 3 } } })),
        ]);
        let found = Value::from(all.variables_for("a.b.c")).to_json();
        assert_eq!(found, serde_json::json!({ "x": 2, "y": { "p": 1, "q": 3 } }));
        assert_eq!(Value::from(all.variables_for("ab")).to_json(), serde_json::json!({}));
    }

    #[test]
    fn defaults_come_nearest_first_and_their_versions_apart() {
        let all = settings(&[
            ("a", serde_json::json!({ "pluginDefaults": [{ "type": "t.X", "values": { "version": "1", "n": 1 } }] })),
            ("a.b", serde_json::json!({ "pluginDefaults": [{ "type": "t.X", "values": { "n": 2 } }] })),
        ]);
        let found: Vec<Value> =
            all.defaults_for("a.b").iter().map(|default| Value::from(default.values.clone())).collect();
        assert_eq!(
            found.iter().map(Value::to_json).collect::<Vec<_>>(),
            [serde_json::json!({"n": 2}), serde_json::json!({"n": 1})]
        );
        assert_eq!(all.version_for("a.b", "t.X.Y"), Some("1"));
        assert_eq!(all.version_for("b", "t.X"), None);
    }
}
