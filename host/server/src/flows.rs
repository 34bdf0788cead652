//! Flows of a node: validated, resolved to a lock, saved as revisions, found again. Never rewrites a lock.

use std::collections::HashMap;
use std::sync::{Arc, PoisonError};

use catalog::Catalog;
use expr::Value;
use jiff::Timestamp;
use model::flow::Flow;
use model::ids::{FlowId, FlowKey, Namespace, TENANT};
use model::lock::Lock;
use model::problem::Problem;
use store::query::NamespaceMatch;
use store::rows::{self, Key, NamespaceKey};
use store::{Batch, Page, Query, View};

use crate::error::Error;
use crate::node::Node;
use crate::plugins::{Draft, Ground};
use crate::policy::Refusal;
use crate::revisions::Change;
use crate::worker::Standings;

/// Most flows of one answer.
pub(crate) const FLOWS_MAX: usize = 100_000;
/// Parsed revisions kept in memory; when there are more, all are dropped and read again as needed.
const CACHED_MAX: usize = 4_096;

/// A saved revision of a flow, ready to run.
#[derive(Clone, Debug)]
pub struct SavedFlow {
    pub flow: Arc<Flow>,
    /// What each of its tasks runs on, for ever.
    pub lock: Arc<Lock>,
    /// The source as a value, for those who show it.
    pub document: Value,
    pub created: Timestamp,
    pub deleted: bool,
    /// What was doubtful when it was saved; empty when it was read back.
    pub warnings: Vec<Problem>,
    /// What runs of its tasks have in common.
    pub(crate) standings: Arc<Standings>,
}

/// What saving expects to find.
#[derive(Clone, Debug)]
pub enum Save {
    /// No flow of this id.
    New,
    /// This flow, at this revision if one is named: it gets a new one.
    Existing { flow: FlowKey, revision: Option<u32> },
    /// A flow whose newest revision this is: what was worked out from it must not undo what somebody else has saved since.
    Revision(u32),
    /// Either.
    Any,
}

/// What is to be said of a source.
#[derive(Debug)]
pub struct Validation {
    pub namespace: Option<String>,
    pub id: Option<String>,
    /// Errors and warnings, in the order of the source. Without an error it can be saved.
    pub problems: Vec<Problem>,
}

impl Node {
    /// Says everything that is wrong with a source. Saves nothing.
    pub async fn validate_flow(&self, source: &str) -> Validation {
        match self.read_flow(source) {
            Ok(draft) => Validation {
                namespace: Some(draft.flow.key.namespace.to_string()),
                id: Some(draft.flow.key.id.to_string()),
                problems: draft.warnings,
            },
            Err(problems) => {
                let document = model::read_yaml(source).ok();
                let text = |name: &str| {
                    let value = document.as_ref().and_then(|document| document.get(name));
                    value.and_then(|value| value.as_str().map(str::to_owned))
                };
                Validation { namespace: text("namespace"), id: text("id"), problems }
            }
        }
    }

    /// A source that could be saved, as a flow and as values; or all that is wrong with it.
    pub(crate) fn drafted(&self, source: &str) -> Result<(Flow, Value), Error> {
        let draft = self.read_flow(source).map_err(|problems| Error::flow(&problems))?;
        Ok((draft.flow, model::read_yaml(source).unwrap_or(Value::Null)))
    }

    /// Saves a flow as its next revision, with the lock of what its tasks mean from now on. The same source and lock again are no
    /// new revision.
    pub async fn save_flow(&self, source: &str, expected: Save) -> Result<Arc<SavedFlow>, Error> {
        let _resolving = self.resolving.read().await;
        let draft = self.read_flow(source).map_err(|problems| Error::flow(&problems))?;
        self.save_draft(draft, expected).await
    }

    /// Reads a flow as it would be saved now.
    pub(crate) fn read_flow(&self, source: &str) -> Result<Draft, Vec<Problem>> {
        self.on_ground(|ground| ground.read(source))
    }

    /// What a flow that is saved needs, and may not have.
    pub(crate) fn refusals(&self, flow: &Flow, lock: &Lock) -> Vec<Refusal> {
        self.on_ground(|ground| ground.refusals(flow, lock))
    }

    /// What a source that is valid needs, and may not have.
    pub fn refused(&self, source: &str) -> Vec<Refusal> {
        self.on_ground(|ground| ground.refused(source))
    }

    pub(crate) fn on_ground<T>(&self, work: impl FnOnce(&Ground<'_>) -> T) -> T {
        let (catalog, policies, namespaces) = (self.catalog(), self.policies(), self.namespaces.all());
        work(&Ground { catalog: &catalog, policies: &policies, namespaces: &namespaces, usual: &self.config.limits })
    }

    /// A revision of a flow, the newest if none is named.
    pub async fn flow(&self, namespace: &str, id: &str, revision: Option<u32>) -> Result<Arc<SavedFlow>, Error> {
        let key = key(namespace, id);
        match revision {
            Some(revision) => self.flow_revision(&key, revision).await,
            None => {
                let row = self.newest_row(&key).await?.filter(|row| !row.deleted);
                let row = row.ok_or_else(|| Error::NotFound(format!("no flow `{key}`")))?;
                self.flow_revision(&key, row.revision).await
            }
        }
    }

    /// The newest revision of a flow, be it its end.
    pub async fn last_flow(&self, namespace: &str, id: &str) -> Result<Arc<SavedFlow>, Error> {
        let key = key(namespace, id);
        let row = self.newest_row(&key).await?.ok_or_else(|| Error::NotFound(format!("no flow `{key}`")))?;
        self.flow_revision(&key, row.revision).await
    }

    /// The newest revision of every flow, or of those of one namespace, by namespace and id.
    pub async fn flows(&self, namespace: Option<&str>) -> Result<Vec<Arc<SavedFlow>>, Error> {
        let namespace = match namespace {
            None => NamespaceMatch::Any,
            Some(name) => NamespaceMatch::Exact(NamespaceKey::main(Namespace::trusted(name))),
        };
        let query = Query::Flows { namespace, deleted: false };
        let rows = self.store.all::<rows::Flow>(View::Durable, query, FLOWS_MAX).await?;
        let mut flows = Vec::with_capacity(rows.len());
        for row in rows {
            flows.push(self.flow_revision(&row.key, row.revision).await?);
        }
        Ok(flows)
    }

    /// All revisions of a flow, oldest first.
    pub async fn flow_revisions(&self, namespace: &str, id: &str) -> Result<Vec<Arc<SavedFlow>>, Error> {
        let key = key(namespace, id);
        let rows = self.store.all::<rows::Flow>(View::Durable, Query::Revisions(key.clone()), FLOWS_MAX).await?;
        if rows.is_empty() {
            return Err(Error::NotFound(format!("no flow `{key}`")));
        }
        let mut flows = Vec::with_capacity(rows.len());
        for row in rows.iter().rev() {
            flows.push(self.flow_revision(&key, row.revision).await?);
        }
        Ok(flows)
    }

    /// Deletes a flow: one more revision that says so. Executions keep the revision they run.
    pub async fn delete_flow(&self, namespace: &str, id: &str) -> Result<(), Error> {
        self.change_flows(&[Change::Delete(key(namespace, id))], Batch::new).await.map(drop)
    }

    pub(crate) async fn newest_row(&self, key: &FlowKey) -> Result<Option<store::Stored<Arc<rows::Flow>>>, Error> {
        let query = Query::Revisions(key.clone());
        Ok(self.store.list::<rows::Flow>(View::Newest, query, Page::first(1)).await?.items.into_iter().next())
    }

    /// One revision, parsed. It was valid when it was saved, so only a defect makes it invalid now.
    pub(crate) async fn flow_revision(&self, key: &FlowKey, revision: u32) -> Result<Arc<SavedFlow>, Error> {
        let at = (key.clone(), revision);
        if let Some(saved) = self.flows.lock().unwrap_or_else(PoisonError::into_inner).get(&at) {
            return Ok(saved.clone());
        }
        let row = self.store.find::<rows::Flow>(View::Newest, Key::Flow(key.clone(), revision)).await?;
        let row = row.ok_or_else(|| Error::NotFound(format!("no revision {revision} of flow `{key}`")))?;
        let mut flow = crate::plugins::reread(&row.source, &row.inherited_defaults).map_err(|problems| {
            let first = problems.first().map(ToString::to_string).unwrap_or_default();
            Error::Internal(format!("revision {revision} of flow `{key}` cannot be read any more: {first}"))
        })?;
        flow.revision = revision;
        let document = model::read_yaml(&row.source).unwrap_or(Value::Null);
        let saved = Arc::new(SavedFlow {
            flow: Arc::new(flow),
            lock: row.lock.clone(),
            document,
            created: row.created,
            deleted: row.deleted,
            warnings: Vec::new(),
            standings: Arc::default(),
        });
        let mut cached = self.flows.lock().unwrap_or_else(PoisonError::into_inner);
        if cached.len() >= CACHED_MAX {
            *cached = HashMap::new();
        }
        cached.insert(at, saved.clone());
        Ok(saved)
    }

    /// The catalog, for those who list plugins.
    pub fn plugins(&self) -> Catalog {
        self.catalog()
    }
}

/// A flow's key from what a client wrote; one that is not well-formed names no flow.
pub(crate) fn key(namespace: &str, id: &str) -> FlowKey {
    FlowKey { tenant: TENANT.into(), namespace: Namespace::trusted(namespace), id: FlowId::trusted(id) }
}
