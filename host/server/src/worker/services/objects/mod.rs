//! `sluice:host/objects` for one run: what the engine keeps of the namespaces that the run reaches. Each thing that is asked for is checked; what
//! kinds may be asked for, the granter has said.

mod find;
mod namespaces;
mod plan;
mod purge;
mod shown;

use std::sync::Arc;

use jiff::Timestamp;
use model::ids::{ExecutionId, FlowKey};
use runtime::{HostError, Need};
use serde::Deserialize;
use serde_json::Value as Json;
use store::rows::{self, UniqueName};

use super::{RunServices, host};
use crate::flows::key;
use crate::plans::Kind;

/// A plan, as written.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Plan {
    sequence: u64,
    /// It is only looked at.
    dry: bool,
    changes: Vec<Change>,
}

/// One change of a plan, as written.
#[derive(Default, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
struct Change {
    op: String,
    kind: String,
    id: Option<String>,
    namespace: Option<String>,
    source: Option<String>,
    uri: Option<String>,
    etag: Option<String>,
    parts: Option<Vec<String>>,
    flow: Option<String>,
    execution: Option<String>,
    levels: Vec<String>,
    from: Option<Timestamp>,
    until: Option<Timestamp>,
}

/// The kinds that are purged and not saved.
const PURGED: [&str; 2] = ["execution", "log"];

/// Longest plan, in bytes: it is read whole, and its texts are in memory once more until the commit that has all of them.
const PLAN_BYTES_MAX: usize = 64 << 20;

fn unreadable(what: &str, error: impl std::fmt::Display) -> HostError {
    HostError::bad_argument(format!("{what}: {error}"))
}

fn failed(error: crate::error::Error) -> HostError {
    HostError::host(error.to_string())
}

/// A state or a level by its name.
fn named<T: serde::de::DeserializeOwned>(name: &str, what: &str) -> Result<T, HostError> {
    serde_json::from_value(Json::from(name.to_ascii_uppercase()))
        .map_err(|_| HostError::bad_argument(format!("`{}` is no {what}", name.escape_debug())))
}

fn unknown_kind(kind: &str, known: &str) -> HostError {
    HostError::bad_argument(format!("there are no documents of kind `{}`; hint: {known}", kind.escape_debug()))
}

fn flow_key(namespace: &str, id: &str) -> FlowKey {
    key(namespace, id)
}

impl RunServices {
    /// A plan is of one sort: it purges, or it saves and deletes what is kept.
    pub(super) async fn apply_plan(&self, plan: String) -> Result<String, HostError> {
        if plan.len() > PLAN_BYTES_MAX {
            let message = format!(
                "the plan has {} bytes, at most {PLAN_BYTES_MAX} are carried out; hint: give contents of files by their `uri`",
                plan.len()
            );
            return Err(HostError::limit(message));
        }
        let plan: Plan = serde_json::from_str(&plan).map_err(|error| unreadable("the plan", error))?;
        let purges = |change: &Change| PURGED.contains(&change.kind.as_str());
        match (plan.changes.iter().any(purges), plan.changes.iter().all(purges)) {
            (true, true) => self.purge(plan).await,
            (true, false) => Err(HostError::bad_argument(
                "one plan does not purge executions or logs and change other things; hint: make a plan of each",
            )),
            (false, _) => self.change_documents(plan).await,
        }
    }

    /// The name under which a plan that was carried out is remembered.
    fn plan_name(&self, sequence: u64) -> UniqueName {
        UniqueName::Named(format!("objects/{}/{sequence}", self.run).into())
    }

    /// Leave to do something to documents of a kind.
    fn may_change(&self, kind: &str, op: &str) -> Result<(), HostError> {
        match Kind::named(kind) {
            Some(Kind::File) => self.grants.allow(&Need::NamespaceFiles),
            _ => self.grants.allow(&Need::ObjectsChange(&format!("{kind}:{op}"))),
        }
    }

    fn named_or_own(&self, asked: Option<&str>) -> String {
        asked.map_or_else(|| self.reach.own().to_string(), str::to_owned)
    }

    async fn stored_object(&self, id: &str) -> Result<Option<Arc<rows::Execution>>, HostError> {
        self.node.stored_execution(&ExecutionId::trusted(id)).await.map_err(failed)
    }
}
