//! Secrets: those of namespaces, sealed in the store, and those of the server's environment. Set, listed, taken away; found by what uses them,
//! the nearest namespace first; sealed again when there is another key. Nobody is ever shown a value.

use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError, RwLock};

use jiff::Timestamp;
use model::ids::Namespace;
use store::query::NamespaceMatch;
use store::rows::{self, Key, NamespaceKey, SecretTag};
use store::{Batch, Query, View};

use crate::error::{Error, Issue};
use crate::node::Node;
use crate::sealing::SCHEME;
use crate::worker::Bound;

/// Most secrets of all namespaces: all of them are kept in memory, sealed.
const SECRETS_MAX: usize = 100_000;
/// Longest name of a namespace, in bytes (Kestra's rule).
const NAMESPACE_MAX_BYTES: usize = 150;
/// Longest name, in bytes.
const NAME_MAX_BYTES: usize = 256;
/// Longest value, in bytes: a service account or a chain of certificates has some thousands.
const VALUE_MAX_BYTES: usize = 64 << 10;
/// Longest description, and most tags and hosts.
const DESCRIPTION_MAX_BYTES: usize = 1_000;
const LISTED_MAX: usize = 64;
/// Secrets that are sealed again in one commit.
const RESEALED_AT_ONCE: usize = 100;

/// Between a namespace and a name where a secret of a namespace is called by both: neither has it.
const BETWEEN: char = '/';

/// A secret that is set.
#[derive(Clone, Debug, Default)]
pub struct NewSecret {
    pub name: String,
    pub value: String,
    pub description: Option<String>,
    pub tags: Vec<(String, String)>,
    /// Hosts it may go to, and no others; none: those that stand in the source of a flow.
    pub hosts: Vec<String>,
}

/// A secret as it is shown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SecretSeen {
    pub namespace: String,
    pub name: String,
    pub description: Option<String>,
    pub tags: Vec<(String, String)>,
    pub hosts: Vec<String>,
    pub updated: Timestamp,
}

/// A secret that was found.
#[derive(Clone)]
pub(crate) struct Found {
    /// What it is called where its value must not be: `NAME`, or `namespace/NAME`.
    pub called: Arc<str>,
    pub value: Arc<str>,
}

type Of = BTreeMap<Arc<str>, Arc<rows::Secret>>;

/// The secrets of all namespaces, sealed, by namespace and name.
#[derive(Default)]
pub(crate) struct Secrets(RwLock<BTreeMap<Namespace, Of>>);

impl Secrets {
    fn get(&self, namespace: &str, name: &str) -> Option<Arc<rows::Secret>> {
        let all = self.0.read().unwrap_or_else(PoisonError::into_inner);
        all.get(&Namespace::trusted(namespace))?.get(name).cloned()
    }

    fn count(&self) -> usize {
        self.0.read().unwrap_or_else(PoisonError::into_inner).values().map(BTreeMap::len).sum()
    }

    fn put(&self, row: Arc<rows::Secret>) {
        let mut all = self.0.write().unwrap_or_else(PoisonError::into_inner);
        all.entry(row.place.namespace.clone()).or_default().insert(row.name.clone(), row);
    }

    fn remove(&self, place: &NamespaceKey, name: &str) {
        let mut all = self.0.write().unwrap_or_else(PoisonError::into_inner);
        if let Some(of) = all.get_mut(&place.namespace) {
            of.remove(name);
        }
    }

    fn of(&self, namespace: &str) -> Vec<Arc<rows::Secret>> {
        let all = self.0.read().unwrap_or_else(PoisonError::into_inner);
        all.get(&Namespace::trusted(namespace)).map(|of| of.values().cloned().collect()).unwrap_or_default()
    }
}

/// What is said where a secret is not there.
pub(crate) fn no_secret(namespace: &str, name: &str) -> String {
    let upper = name.to_ascii_uppercase();
    format!(
        "there is no secret `{name}` for namespace `{namespace}`; hint: `sluice secret set {namespace}/{upper}`, or start the server with \
         SECRET_{upper} set to its base64"
    )
}

/// The base of what a secret is called: policies speak of names, whatever namespace has them.
pub(crate) fn name_of(called: &str) -> &str {
    called.rsplit_once(BETWEEN).map_or(called, |(_, name)| name)
}

impl Node {
    /// Takes up the secrets of earlier lives; those that another key has sealed are sealed again with the one that seals now.
    pub(crate) async fn load_secrets(&self) -> Result<(), Error> {
        let query = Query::Secrets(NamespaceMatch::Any);
        let rows = self.store.all::<rows::Secret>(View::Newest, query, SECRETS_MAX).await?;
        let sealer = &self.config.sealer;
        let (mut again, mut lost) = (Vec::new(), Vec::new());
        for row in rows {
            let unchanged = row.unchanged();
            let row = row.row;
            match sealer.open_for(&whole(&row.place), &row.name, &row.sealed) {
                Ok(clear) if !sealer.is_current(&row.sealed) => again.push((row.clone(), clear, unchanged)),
                Ok(_) => {}
                Err(why) => lost.push(format!("`{}` of {} ({why:?})", row.name, row.place)),
            }
            self.secrets.put(row);
        }
        if !lost.is_empty() {
            tracing::error!(
                "secrets that none of the keys opens, and that nothing can use: {}\nhint: give the key they were sealed with as well, \
                 behind the one that seals",
                lost.join(", ")
            );
        }
        let count = again.len();
        for part in again.chunks(RESEALED_AT_ONCE) {
            let mut batch = Batch::new();
            for (row, clear, unchanged) in part {
                let sealed = sealer.seal_for(&whole(&row.place), &row.name, clear, self.entropy.number());
                let row = rows::Secret { sealed: sealed.into(), ..(**row).clone() };
                self.secrets.put(Arc::new(row.clone()));
                batch.require(unchanged.clone());
                batch.put(row);
            }
            self.keep(batch).await?;
        }
        if count > 0 {
            let details = serde_json::json!({ "secrets": count });
            self.keep(self.audited("start", "secret.reseal", &format!("key {}", sealer.current()), &details)?).await?;
            tracing::info!(count, key = sealer.current(), "secrets of namespaces were sealed again");
        }
        Ok(())
    }

    /// Sets secrets of a namespace, all or none. All that is wrong is told at once.
    pub async fn set_secrets(&self, namespace: &str, new: Vec<NewSecret>, by: &str) -> Result<(), Error> {
        let issues: Vec<Issue> = new.iter().flat_map(problems).collect();
        if !issues.is_empty() {
            return Err(Error::Invalid {
                code: "secret.invalid",
                message: format!("{} problems with secrets of namespace `{namespace}`", issues.len()),
                issues,
            });
        }
        if self.secrets.count() + new.len() > SECRETS_MAX {
            return Err(Error::bad_request("secret.limit", format!("there are at most {SECRETS_MAX} secrets")));
        }
        let place = place(namespace)?;
        let _one = self.changing_secrets.lock().await;
        let mut batch = Batch::new();
        let mut rows = Vec::new();
        for secret in new {
            let name = secret.name.to_ascii_uppercase();
            let sealer = &self.config.sealer;
            let sealed = sealer.seal_for(&whole(&place), &name, &secret.value, self.entropy.number());
            let row = rows::Secret {
                place: place.clone(),
                name: name.into(),
                sealed: sealed.into(),
                scheme: SCHEME.into(),
                description: secret.description.map(Into::into),
                updated: self.now(),
                tags: tags(secret.tags),
                hosts: secret.hosts.iter().map(|host| host.to_ascii_lowercase().into()).collect(),
            };
            batch.put(row.clone());
            rows.push(row);
        }
        self.changed(batch, &rows, "secret.set", by).await?;
        rows.into_iter().for_each(|row| self.secrets.put(Arc::new(row)));
        Ok(())
    }

    /// Changes what is said about a secret, and not its value.
    pub async fn describe_secret(
        &self,
        namespace: &str,
        name: &str,
        description: Option<String>,
        tags_now: Option<Vec<(String, String)>>,
        hosts: Option<Vec<String>>,
        by: &str,
    ) -> Result<(), Error> {
        let _one = self.changing_secrets.lock().await;
        let before = self.stored_secret(namespace, name)?;
        let hosts = hosts.map(|hosts| hosts.iter().map(|host| host.to_ascii_lowercase().into()).collect());
        let row = rows::Secret {
            description: description.map(Into::into).or_else(|| before.description.clone()),
            tags: tags_now.map_or_else(|| before.tags.clone(), tags),
            hosts: hosts.unwrap_or_else(|| before.hosts.clone()),
            updated: self.now(),
            ..(*before).clone()
        };
        let mut batch = Batch::new();
        batch.put(row.clone());
        self.changed(batch, std::slice::from_ref(&row), "secret.describe", by).await?;
        self.secrets.put(Arc::new(row));
        Ok(())
    }

    /// Takes a secret away.
    pub async fn delete_secret(&self, namespace: &str, name: &str, by: &str) -> Result<(), Error> {
        let _one = self.changing_secrets.lock().await;
        let before = self.stored_secret(namespace, name)?;
        let mut batch = Batch::new();
        batch.delete(Key::Secret(before.place.clone(), before.name.clone()));
        self.changed(batch, std::slice::from_ref(&before), "secret.delete", by).await?;
        self.secrets.remove(&before.place, &before.name);
        Ok(())
    }

    /// The secrets of a namespace, by name.
    pub fn secrets_of(&self, namespace: &str) -> Vec<SecretSeen> {
        self.secrets.of(namespace).iter().map(|row| seen(row)).collect()
    }

    /// Names that flows of a namespace can use, by the namespace that has them: its own and those above it.
    pub fn inherited_secrets(&self, namespace: &str) -> BTreeMap<String, Vec<String>> {
        let places = above(namespace).map(|place| {
            (place.to_owned(), self.secrets.of(place).iter().map(|row| row.name.to_string()).collect::<Vec<_>>())
        });
        places.filter(|(_, names)| !names.is_empty()).collect()
    }

    /// A secret for what runs in a namespace: the namespace's own, else the nearest above it, else the environment's. Names are not
    /// case-sensitive (Kestra's rule).
    pub(crate) fn find_secret(&self, namespace: &str, name: &str) -> Option<Found> {
        let name = name.to_ascii_uppercase();
        let kept = above(namespace).find_map(|place| self.secrets.get(place, &name));
        match kept {
            Some(row) => self.found(&row),
            None => self
                .config
                .secrets
                .get(&name)
                .map(|value| Found { called: name.as_str().into(), value: value.as_str().into() }),
        }
    }

    /// A secret by what it is called: in what is stored, that stands in its place.
    pub(crate) fn called_secret(&self, called: &str) -> Option<Found> {
        match called.rsplit_once(BETWEEN) {
            Some((namespace, name)) => self.found(&*self.secrets.get(namespace, name)?),
            None => self.find_secret("", called),
        }
    }

    /// Hosts that a secret is bound to, by whoever set it and by the policy; `None`: it is not bound. `called`: in upper case.
    pub(crate) fn bound_hosts(&self, called: &str) -> Option<Vec<Bound>> {
        let mut hosts: Vec<String> = Vec::new();
        if let Some((namespace, name)) = called.rsplit_once(BETWEEN)
            && let Some(row) = self.secrets.get(&namespace.to_ascii_lowercase(), name)
        {
            hosts.extend(row.hosts.iter().map(ToString::to_string));
        }
        hosts.extend(self.policies().secret_hosts(name_of(called)).into_iter().flatten().cloned());
        // What was stored and read was looked at before; what cannot be read all the same opens nothing.
        (!hosts.is_empty()).then(|| hosts.iter().filter_map(|host| Bound::parse(host).ok()).collect())
    }

    fn found(&self, row: &rows::Secret) -> Option<Found> {
        match self.config.sealer.open_for(&whole(&row.place), &row.name, &row.sealed) {
            Ok(clear) => Some(Found {
                called: format!("{}{BETWEEN}{}", row.place.namespace, row.name).into(),
                value: clear.into(),
            }),
            Err(why) => {
                tracing::error!(secret = %row.name, place = %row.place, ?why, "a secret cannot be used");
                None
            }
        }
    }

    fn stored_secret(&self, namespace: &str, name: &str) -> Result<Arc<rows::Secret>, Error> {
        let found = self.secrets.get(namespace, &name.to_ascii_uppercase());
        found.ok_or_else(|| Error::NotFound(format!("namespace `{namespace}` has no secret `{name}`")))
    }

    /// Commits a change with its entries in the audit log.
    async fn changed<R: std::borrow::Borrow<rows::Secret>>(
        &self,
        mut batch: Batch,
        rows: &[R],
        action: &str,
        by: &str,
    ) -> Result<(), Error> {
        for row in rows {
            let row = row.borrow();
            let subject = format!("{}{BETWEEN}{}", row.place.namespace, row.name);
            let hosts: Vec<&str> = row.hosts.iter().map(AsRef::as_ref).collect();
            batch.put(self.audit_entry(by, action, &subject, &serde_json::json!({ "hosts": hosts }))?);
        }
        self.keep(batch).await
    }
}

fn seen(row: &rows::Secret) -> SecretSeen {
    SecretSeen {
        namespace: row.place.namespace.to_string(),
        name: row.name.to_string(),
        description: row.description.as_ref().map(ToString::to_string),
        tags: row.tags.iter().map(|tag| (tag.key.to_string(), tag.value.to_string())).collect(),
        hosts: row.hosts.iter().map(ToString::to_string).collect(),
        updated: row.updated,
    }
}

fn tags(tags: Vec<(String, String)>) -> Vec<SecretTag> {
    tags.into_iter().map(|(key, value)| SecretTag { key: key.into(), value: value.into() }).collect()
}

pub(crate) fn place(namespace: &str) -> Result<NamespaceKey, Error> {
    let good = (1..=NAMESPACE_MAX_BYTES).contains(&namespace.len())
        && namespace.split('.').all(|part| {
            !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-'))
        });
    match good {
        true => Ok(NamespaceKey::main(Namespace::trusted(namespace))),
        false => {
            let shown: String = namespace.chars().take(NAMESPACE_MAX_BYTES).collect();
            Err(Error::bad_request("namespace.invalid", format!("`{}` is no namespace", shown.escape_debug())))
        }
    }
}

/// A place as it is bound into what is sealed for it.
fn whole(place: &NamespaceKey) -> String {
    format!("{}{BETWEEN}{}", place.tenant, place.namespace)
}

/// A namespace, and those above it, nearest first.
fn above(namespace: &str) -> impl Iterator<Item = &str> {
    let ends = std::iter::once(namespace.len()).chain(namespace.rmatch_indices('.').map(|(at, _)| at));
    ends.filter_map(|end| namespace.get(..end)).filter(|name| !name.is_empty())
}

fn problems(secret: &NewSecret) -> Vec<Issue> {
    let mut found = Vec::new();
    let mut add = |message: String| {
        found.push(Issue {
            path: secret.name.clone(),
            line: None,
            code: "secret.invalid".to_owned(),
            message,
            hint: None,
        });
    };
    let is_name = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.');
    if secret.name.is_empty() || secret.name.len() > NAME_MAX_BYTES || !secret.name.bytes().all(is_name) {
        add(format!(
            "`{}` is no name of a secret: it holds letters, digits, `_`, `-` and `.`, at most {NAME_MAX_BYTES}",
            secret.name.escape_debug()
        ));
    }
    if secret.value.is_empty() || secret.value.len() > VALUE_MAX_BYTES {
        add(format!("the value has {} bytes, not 1 to {VALUE_MAX_BYTES}", secret.value.len()));
    }
    if secret.description.as_ref().is_some_and(|text| text.len() > DESCRIPTION_MAX_BYTES) {
        add(format!("the description has more than {DESCRIPTION_MAX_BYTES} bytes"));
    }
    if secret.tags.len() > LISTED_MAX || secret.hosts.len() > LISTED_MAX {
        add(format!("there are at most {LISTED_MAX} tags and {LISTED_MAX} hosts"));
    }
    for host in &secret.hosts {
        if let Err(problem) = Bound::parse(host) {
            add(problem);
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_comes_first() {
        assert_eq!(above("a.b.c").collect::<Vec<_>>(), ["a.b.c", "a.b", "a"]);
        assert_eq!(above("").count(), 0);
        assert_eq!((name_of("a.b/KEY"), name_of("KEY")), ("KEY", "KEY"));
    }

    #[test]
    fn what_is_wrong_with_a_secret_is_told() {
        let check = |name: &str, value: &str, host: &str, expected: usize| {
            let hosts = vec![host.to_owned()];
            let secret = NewSecret { name: name.into(), value: value.into(), hosts, ..NewSecret::default() };
            assert_eq!(problems(&secret).len(), expected, "{name} {value} {host}");
        };
        check("A_b-c.1", "x", "*.example.com", 0);
        check("a/b", "", "http://a/b", 3);
        check("", "x", "a", 1);
    }
}
