//! `sluice:host/kv` for one run: what is stored, with what the run has written before it.

use std::collections::BTreeMap;
use std::sync::Arc;

use expr::Value;
use jiff::SignedDuration;
use model::ids::Namespace;
use runtime::HostError;
use serde::Deserialize;
use serde_json::json;
use store::rows::{self, Key, NamespaceKey};
use store::{Query, View};

use super::{RunServices, host};
use crate::kv::{self, NewValue};
use crate::worker::kept::{ValueKey, ValueWrite, Write};
use crate::worker::reach;

/// Keys of one answer (`wit/host`, kv.keys and kv.find).
const KEYS_MAX: usize = 1_000;
/// Values of one namespace that are looked through for an answer.
const VALUES_MAX: usize = 100_000;
/// Flows looked through for their namespaces.
const FLOWS_MAX: usize = 100_000;
/// Longest time a value lives: a hundred years. More is a mistake in a unit.
const TTL_MAX_S: u64 = 100 * 366 * 24 * 3_600;

/// How a value is set.
#[derive(Default, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
struct Options {
    ttl_s: Option<u64>,
    #[serde(rename = "type")]
    kind: Option<String>,
    overwrite: Option<bool>,
    description: Option<String>,
}

/// Which keys are asked for.
#[derive(Default, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
struct Asked {
    namespaces: Vec<String>,
    namespace_pattern: Option<String>,
    children: bool,
    prefix: String,
    after: Option<String>,
}

impl RunServices {
    pub(super) async fn get_value(&self, namespace: Option<String>, key: String) -> Result<Option<String>, HostError> {
        for place in self.places(namespace)? {
            let value = match self.keeping.value(&(place.clone(), key.as_str().into())) {
                Some(Write::Put(new)) => Some(new.value),
                Some(Write::Delete) => None,
                None => self.node.kv_value(&place, &key).await.map_err(|error| HostError::host(error.to_string()))?,
            };
            if let Some(value) = value {
                let clear = self.node.unsealed(value).map_err(|failure| HostError::host(failure.message))?;
                return Ok(Some(self.outgoing.secrets().conceal(&clear).to_json().to_string()));
            }
        }
        Ok(None)
    }

    pub(super) async fn set_value(
        &self,
        namespace: Option<String>,
        key: String,
        value: String,
        options: String,
    ) -> Result<(), HostError> {
        let place = self.place(namespace)?;
        if let Some(problem) = kv::key_problem(&key) {
            return Err(HostError::bad_argument(problem));
        }
        let bad = |what: String| HostError::bad_argument(format!("the value of `{key}`: {what}"));
        let options: Options = serde_json::from_str(&options)
            .map_err(|error| HostError::bad_argument(format!("the options of `{key}`: {error}")))?;
        let size_bytes = key.len() + value.len() + options.description.as_ref().map_or(0, String::len);
        let value = Value::parse_json(&value).map_err(|error| bad(error.to_string()))?;
        let kind = options.kind.map(|kind| kind.to_ascii_uppercase());
        let (value, declared) = kv::typed(value, kind.as_deref()).map_err(bad)?;
        let expires = match options.ttl_s {
            Some(0) => return Err(bad("it would live no second; hint: leave the ttl out".to_owned())),
            Some(ttl) => {
                let ttl = SignedDuration::from_secs(i64::try_from(ttl.min(TTL_MAX_S)).unwrap_or(i64::MAX));
                Some(self.node.now().saturating_add(ttl).unwrap_or(jiff::Timestamp::MAX))
            }
            None => None,
        };
        let full = (place.clone(), Arc::from(key.as_str()));
        let must_be_new = options.overwrite == Some(false);
        if must_be_new && self.is_set(&full).await? {
            // Kestra's words, in our order.
            return Err(HostError::new(
                "EXISTS",
                format!("key `{key}` already exists in namespace `{}` and `overwrite` is false", place.namespace),
            ));
        }
        let new = NewValue {
            value: self.outgoing.secrets().recognise(&value),
            declared,
            description: options.description.map(Arc::from),
            expires,
        };
        self.keeping.set(full, ValueWrite { write: Write::Put(new), must_be_new }, size_bytes)
    }

    pub(super) async fn delete_value(&self, namespace: Option<String>, key: String) -> Result<bool, HostError> {
        let place = self.place(namespace)?;
        let full = (place, Arc::from(key.as_str()));
        let there = match self.keeping.value(&full) {
            Some(Write::Put(_)) => true,
            Some(Write::Delete) => false,
            // One that has expired is removed as well, and was there for whoever purges.
            None => self.stored(&full).await?.is_some(),
        };
        if there {
            let size_bytes = key.len();
            self.keeping.set(full, ValueWrite { write: Write::Delete, must_be_new: false }, size_bytes)?;
        }
        Ok(there)
    }

    pub(super) async fn list_keys(
        &self,
        namespace: Option<String>,
        prefix: String,
        after: Option<String>,
    ) -> Result<Vec<String>, HostError> {
        let place = match namespace {
            Some(named) => self.readable_place(named)?,
            None => NamespaceKey::main(self.reach.own().clone()),
        };
        let mut keys = BTreeMap::new();
        let now = self.node.now();
        for row in self.values_in(&place, &prefix).await? {
            keys.insert(row.key.clone(), kv::is_alive(&row, now));
        }
        for (key, write) in self.keeping.values_in(&place) {
            if key.starts_with(&prefix) {
                keys.insert(key, write != Write::Delete);
            }
        }
        let wanted = keys.into_iter().filter(|(_, alive)| *alive).map(|(key, _)| key.to_string());
        Ok(wanted.filter(|key| after.as_ref().is_none_or(|after| key > after)).take(KEYS_MAX).collect())
    }

    pub(super) async fn find_values(&self, query: String) -> Result<String, HostError> {
        let asked: Asked = serde_json::from_str(&query)
            .map_err(|error| HostError::bad_argument(format!("the query for keys: {error}")))?;
        let now = self.node.now();
        let (from, behind) = match asked.after.as_deref().and_then(|after| after.split_once('/')) {
            Some((namespace, key)) => (namespace.to_owned(), key.to_owned()),
            None => (String::new(), String::new()),
        };
        let mut items = Vec::new();
        let mut next = None;
        'namespaces: for place in self.asked_places(&asked).await? {
            let name = place.namespace.to_string();
            if name < from {
                continue;
            }
            for row in self.values_in(&place, &asked.prefix).await? {
                let behind_cursor = name > from || *row.key > *behind;
                let deleted = self.keeping.value(&(place.clone(), row.key.clone())) == Some(Write::Delete);
                if !behind_cursor || deleted {
                    continue;
                }
                if items.len() == KEYS_MAX {
                    break 'namespaces;
                }
                next = Some(format!("{name}/{}", row.key));
                items.push(json!({
                    "namespace": name,
                    "key": &*row.key,
                    "revision": row.revision,
                    "type": kv::type_of(&row),
                    "description": row.description.as_deref(),
                    "created": row.created.to_string(),
                    "updated": row.updated.to_string(),
                    "expires": row.expires.map(|at| at.to_string()),
                    "expired": !kv::is_alive(&row, now),
                }));
            }
        }
        let next = next.filter(|_| items.len() == KEYS_MAX);
        Ok(json!({ "items": items, "next": next }).to_string())
    }

    /// The namespaces of a question, in order. A pattern, and `children`, look among those that have flows.
    async fn asked_places(&self, asked: &Asked) -> Result<Vec<NamespaceKey>, HostError> {
        let mut names: Vec<String> = asked.namespaces.clone();
        if names.is_empty() && asked.namespace_pattern.is_none() {
            names.push(self.reach.own().to_string());
        }
        if asked.children || asked.namespace_pattern.is_some() {
            let query = Query::Flows { namespace: store::query::NamespaceMatch::Any, deleted: true };
            let flows = self.node.store.all::<rows::Flow>(View::Newest, query, FLOWS_MAX).await.map_err(host)?;
            let known = flows.iter().map(|flow| flow.key.namespace.as_str());
            let wanted = |name: &str| {
                let child = asked.children && names.iter().any(|named| reach::below(name, named));
                child || asked.namespace_pattern.as_ref().is_some_and(|pattern| reach::matches(pattern, name))
            };
            let more: Vec<String> = known.filter(|name| wanted(name)).map(str::to_owned).collect();
            names.extend(more);
        }
        names.sort();
        names.dedup();
        names.into_iter().map(|name| self.readable_place(name)).collect()
    }

    async fn values_in(
        &self,
        place: &NamespaceKey,
        prefix: &str,
    ) -> Result<Vec<store::rows::Stored<Arc<rows::Kv>>>, HostError> {
        let query = Query::KvIn { place: place.clone(), prefix: prefix.into() };
        self.node.store.all::<rows::Kv>(View::Newest, query, VALUES_MAX).await.map_err(host)
    }

    async fn stored(&self, key: &ValueKey) -> Result<Option<Arc<rows::Kv>>, HostError> {
        let key = Key::Kv(key.0.clone(), key.1.clone());
        let found = self.node.store.find::<rows::Kv>(View::Newest, key).await.map_err(host)?;
        Ok(found.map(|found| found.row))
    }

    async fn is_set(&self, key: &ValueKey) -> Result<bool, HostError> {
        match self.keeping.value(key) {
            Some(write) => Ok(write != Write::Delete),
            None => Ok(self.stored(key).await?.is_some_and(|row| kv::is_alive(&row, self.node.now()))),
        }
    }

    /// Where a value is looked for: in the namespace that is named, or in the flow's own and then above it.
    fn places(&self, asked: Option<String>) -> Result<Vec<NamespaceKey>, HostError> {
        match asked {
            Some(named) => Ok(vec![self.readable_place(named)?]),
            None => Ok(kv::ancestors(self.reach.own())),
        }
    }

    fn readable_place(&self, name: String) -> Result<NamespaceKey, HostError> {
        match self.reach.may_read(&name) {
            true => Ok(NamespaceKey::main(Namespace::trusted(name))),
            false => Err(refused(&name)),
        }
    }

    /// Where a value is written.
    fn place(&self, asked: Option<String>) -> Result<NamespaceKey, HostError> {
        match asked {
            Some(name) if !self.reach.allows(&name) => Err(refused(&name)),
            Some(name) => Ok(NamespaceKey::main(Namespace::trusted(name))),
            None => Ok(NamespaceKey::main(self.reach.own().clone())),
        }
    }
}

pub(in crate::worker) fn refused(namespace: &str) -> HostError {
    HostError::not_granted(format!(
        "namespace `{namespace}` is neither this flow's nor named by the task; hint: name it in the property `namespace`"
    ))
}
