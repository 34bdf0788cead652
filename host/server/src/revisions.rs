//! Revisions of flows as they are written: of one flow, or of many in one commit, all or none. Decides nothing about what they say.

use std::sync::Arc;

use model::flow::Flow;
use model::ids::FlowKey;
use store::rows::{self, Key};
use store::{Batch, Precondition};

use crate::error::{Error, Issue};
use crate::flows::{Save, SavedFlow};
use crate::node::Node;
use crate::plugins::Draft;

/// Times a commit is tried again when somebody else saved one of the flows in between.
pub(crate) const TRIES: usize = 5;
/// Most flows of one commit: each is a row of up to 1 MiB, and all of them are in memory.
pub(crate) const AT_ONCE_MAX: usize = 10_000;
/// Flows that a message names.
const NAMED_MAX: usize = 5;

/// What is to become of a flow.
#[derive(Clone, Debug)]
pub(crate) enum Change {
    Save(Box<Draft>, Save),
    Delete(FlowKey),
}

impl Change {
    fn flow(&self) -> &FlowKey {
        match self {
            Self::Save(draft, _) => &draft.flow.key,
            Self::Delete(flow) => flow,
        }
    }
}

/// What a commit that went well leaves to be told to triggers.
pub(crate) enum Outcome {
    Unchanged(FlowKey, u32),
    Saved(FlowKey, u32),
    Deleted(FlowKey),
}

impl Outcome {
    /// The newest revision of a flow that is there.
    pub(crate) fn revision(&self) -> Option<u32> {
        match self {
            Self::Unchanged(_, revision) | Self::Saved(_, revision) => Some(*revision),
            Self::Deleted(_) => None,
        }
    }

    pub(crate) fn is_change(&self) -> bool {
        !matches!(self, Self::Unchanged(..))
    }
}

impl Node {
    /// Saves a flow as its next revision. Who calls holds `resolving` since the lock was made. The same source and lock again are no new
    /// revision.
    pub(crate) async fn save_draft(&self, draft: Draft, expected: Save) -> Result<Arc<SavedFlow>, Error> {
        let warnings = draft.warnings.clone();
        let saved = self
            .change_flows(&[Change::Save(Box::new(draft), expected)], Batch::new)
            .await?
            .into_iter()
            .flatten()
            .next();
        let saved = saved.ok_or_else(|| Error::Internal("a flow that was saved is not there".to_owned()))?;
        Ok(Arc::new(SavedFlow { warnings, ..(*saved).clone() }))
    }

    /// Saves and deletes flows in one commit, with the rows that `also` begins it with: all, or nothing. The newest revisions in the order
    /// of the changes; `None`: deleted.
    pub(crate) async fn change_flows(
        &self,
        changes: &[Change],
        also: impl Fn() -> Batch,
    ) -> Result<Vec<Option<Arc<SavedFlow>>>, Error> {
        if changes.len() > AT_ONCE_MAX {
            let message = format!("{} flows are to be changed at once, at most {AT_ONCE_MAX} are", changes.len());
            return Err(Error::bad_request("flows.too_many", message));
        }
        for _ in 0..TRIES {
            let mut batch = also();
            let (mut outcomes, mut refused) = (Vec::with_capacity(changes.len()), Vec::new());
            for change in changes {
                let outcome = match change {
                    Change::Save(draft, expected) => self.stage_save(&mut batch, draft, expected).await,
                    Change::Delete(flow) => self.stage_end(&mut batch, flow, None).await,
                };
                match outcome {
                    Ok(outcome) => outcomes.push(outcome),
                    Err(error) if error.is_of_the_store() => return Err(error),
                    Err(error) => refused.push(error),
                }
            }
            if let Some(first) = refused.first() {
                return Err(if changes.len() == 1 { first.clone() } else { together(&refused) });
            }
            match self.store.commit(batch).await {
                Ok(_) => {
                    let mut saved = Vec::with_capacity(outcomes.len());
                    for outcome in outcomes {
                        saved.push(self.settle(outcome).await?);
                    }
                    // Up to the head: what was there already was perhaps saved just now.
                    self.store.durable(self.store.head()).await?;
                    return Ok(saved);
                }
                Err(store::Error::Conflict(_)) => continue,
                Err(error) => return Err(error.into()),
            }
        }
        let names: Vec<String> = changes.iter().take(NAMED_MAX).map(|change| change.flow().to_string()).collect();
        Err(saved_meanwhile(&names.join("`, `")))
    }

    /// What saving a flow does, into a commit that is refused if somebody else saves it before.
    pub(crate) async fn stage_save(&self, batch: &mut Batch, draft: &Draft, expected: &Save) -> Result<Outcome, Error> {
        let Draft { flow, lock, .. } = draft;
        let before = self.newest_row(&flow.key).await?;
        let live = before.as_ref().filter(|row| !row.deleted);
        check_expected(flow, live.map(|row| &***row), expected)?;
        if let Some(row) = live
            && *row.source == *flow.source
            && row.lock == *lock
            && row.inherited_defaults == flow.inherited_defaults
        {
            batch.require(Precondition::Absent(Key::Flow(flow.key.clone(), row.revision + 1)));
            return Ok(Outcome::Unchanged(flow.key.clone(), row.revision));
        }
        let revision = before.as_ref().map_or(0, |row| row.revision) + 1;
        batch.create(rows::Flow {
            key: flow.key.clone(),
            revision,
            source: flow.source.clone(),
            lock: lock.clone(),
            inherited_defaults: flow.inherited_defaults.clone(),
            labels: flow.labels.clone(),
            disabled: flow.disabled,
            deleted: false,
            created: self.now(),
        });
        let old = match live {
            Some(row) => self.flow_revision(&flow.key, row.revision).await.ok(),
            None => None,
        };
        self.save_triggers(batch, old.as_deref(), flow).await?;
        Ok(Outcome::Saved(flow.key.clone(), revision))
    }

    /// What deleting a flow does, at this revision if one is named, into a commit that is refused if somebody else saves it before.
    pub(crate) async fn stage_end(
        &self,
        batch: &mut Batch,
        flow: &FlowKey,
        expected: Option<u32>,
    ) -> Result<Outcome, Error> {
        let row = self.newest_row(flow).await?.filter(|row| !row.deleted);
        let row = row.ok_or_else(|| Error::NotFound(format!("no flow `{flow}`")))?;
        if expected.is_some_and(|expected| row.revision != expected) {
            return Err(saved_meanwhile(&flow.to_string()));
        }
        batch.create(rows::Flow { revision: row.revision + 1, deleted: true, created: self.now(), ..(**row).clone() });
        self.delete_triggers(batch, flow).await?;
        Ok(Outcome::Deleted(flow.clone()))
    }

    /// Tells triggers what a commit has done.
    pub(crate) async fn settle(&self, outcome: Outcome) -> Result<Option<Arc<SavedFlow>>, Error> {
        match outcome {
            Outcome::Unchanged(flow, revision) => self.flow_revision(&flow, revision).await.map(Some),
            Outcome::Saved(flow, revision) => {
                let saved = self.flow_revision(&flow, revision).await?;
                self.triggers.learn(&saved);
                self.watch_triggers(&flow).await?;
                Ok(Some(saved))
            }
            Outcome::Deleted(flow) => {
                self.triggers.forget(&flow);
                Ok(None)
            }
        }
    }
}

/// Several refusals as one.
fn together(refused: &[Error]) -> Error {
    let issue = |error: &Error| Issue {
        path: String::new(),
        line: None,
        code: error.code().to_owned(),
        message: error.to_string(),
        hint: None,
    };
    Error::Invalid {
        code: "flows.refused",
        message: format!("nothing was done: {} flows are refused", refused.len()),
        issues: refused.iter().map(issue).collect(),
    }
}

fn saved_meanwhile(flow: &str) -> Error {
    Error::Conflict {
        code: "flow.conflict",
        message: format!("flow `{flow}` is being saved by somebody else; hint: look at it and save again"),
    }
}

fn check_expected(flow: &Flow, live: Option<&rows::Flow>, expected: &Save) -> Result<(), Error> {
    let newest = live.map(|row| row.revision);
    match (expected, live) {
        (Save::New, Some(_)) => Err(Error::Conflict {
            code: "flow.exists",
            message: format!("flow `{}` exists already; hint: update it with PUT", flow.key),
        }),
        (Save::Revision(expected), _) if newest != Some(*expected) => Err(saved_meanwhile(&flow.key.to_string())),
        (Save::Existing { flow: named, .. }, _) if *named != flow.key => Err(Error::bad_request(
            "flow.update",
            format!("the source is of flow `{}`, not of `{named}`: id and namespace cannot change", flow.key),
        )),
        (Save::Existing { flow: named, .. }, None) => {
            Err(Error::NotFound(format!("no flow `{named}`; hint: create it with POST")))
        }
        (Save::Existing { revision: Some(expected), flow: named }, Some(row)) if row.revision != *expected => {
            let message = format!(
                "flow `{named}` is at revision {}, not at {expected}; hint: look at what changed, then send its ETag",
                row.revision
            );
            Err(Error::Changed(message))
        }
        _ => Ok(()),
    }
}
