//! What is done to many flows at once: saved, imported, deleted, switched. All of them are looked at before the first is touched, and all go
//! into one commit.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use expr::Value;
use model::ids::{FlowKey, Namespace};
use store::query::{ExecutionFilter, NamespaceMatch};
use store::rows::{self, Key, NamespaceKey};
use store::{Batch, Page, Query, View};

use crate::error::{Error, Issue};
use crate::flows::{FLOWS_MAX, Save, SavedFlow, key};
use crate::node::{Node, unfinished_states};
use crate::plugins::Draft;
use crate::revisions::Change;
use crate::secrets::place;

/// A source among others.
#[derive(Clone, Debug)]
pub struct Source {
    /// What it is called where it comes from: a file, or the number of a document.
    pub name: String,
    pub text: String,
    /// The line of that file on which it begins, from 1.
    pub first_line: u32,
}

/// The place that a set of flows is for.
#[derive(Clone, Debug)]
pub struct Destination {
    pub namespace: String,
    /// Whether they may be in namespaces below it as well.
    pub children: bool,
    /// Whether they are put into it whatever they say.
    pub rename: bool,
    /// Whether flows of it that are not among them are deleted.
    pub delete: bool,
}

impl Source {
    /// The documents of a YAML stream.
    pub fn documents(text: &str) -> Vec<Self> {
        let documents = model::survey::documents(text).into_iter().enumerate();
        let source = |(index, (first_line, text)): (usize, (u32, &str))| {
            // The mark is of the stream, not of the flow.
            let (text, first_line) = match text.split_once('\n') {
                Some((mark, rest)) if mark.trim_end() == "---" => (rest, first_line + 1),
                _ => (text, first_line),
            };
            Self { name: index.to_string(), text: text.to_owned(), first_line }
        };
        documents.map(source).collect()
    }
}

impl Node {
    /// Saves flows, those that are there and those that are not, in one commit; `into`: as the flows of a namespace. Their newest revisions.
    pub async fn save_flows(
        &self,
        sources: &[Source],
        into: Option<&Destination>,
    ) -> Result<Vec<Arc<SavedFlow>>, Error> {
        let _resolving = self.resolving.read().await;
        let (drafts, issues) = self.drafts(sources, into);
        if !issues.is_empty() {
            return Err(refused(issues));
        }
        let kept: BTreeSet<&FlowKey> = drafts.iter().map(|draft| &draft.flow.key).collect();
        let mut gone = Vec::new();
        if let Some(into) = into.filter(|into| into.delete) {
            let place = place(&into.namespace)?;
            let namespace = if into.children { NamespaceMatch::Tree(place) } else { NamespaceMatch::Exact(place) };
            let query = Query::Flows { namespace, deleted: false };
            let rows = self.store.all::<rows::Flow>(View::Newest, query, FLOWS_MAX).await?;
            gone.extend(rows.iter().filter(|row| !kept.contains(&row.key)).map(|row| Change::Delete(row.key.clone())));
        }
        let mut changes: Vec<Change> =
            drafts.into_iter().map(|draft| Change::Save(Box::new(draft), Save::Any)).collect();
        changes.extend(gone);
        Ok(self.change_flows(&changes, Batch::new).await?.into_iter().flatten().collect())
    }

    /// Saves those flows that are valid, in one commit. The names of the others.
    pub async fn import_flows(&self, sources: &[Source]) -> Result<Vec<String>, Error> {
        let _resolving = self.resolving.read().await;
        let (mut changes, mut others) = (BTreeMap::new(), Vec::new());
        for source in sources {
            match self.read_flow(&source.text) {
                // Of the same flow, the last counts.
                Ok(draft) => drop(changes.insert(draft.flow.key.clone(), Change::Save(Box::new(draft), Save::Any))),
                Err(_) => others.push(source.name.clone()),
            }
        }
        let changes: Vec<Change> = changes.into_values().collect();
        self.change_flows(&changes, Batch::new).await?;
        Ok(others)
    }

    /// Deletes flows, all or none. How many.
    pub async fn delete_flows(&self, flows: &[FlowKey]) -> Result<usize, Error> {
        let flows: BTreeSet<&FlowKey> = flows.iter().collect();
        let changes: Vec<Change> = flows.into_iter().cloned().map(Change::Delete).collect();
        Ok(self.change_flows(&changes, Batch::new).await?.len())
    }

    /// Switches flows off or on, all or none: in their sources, which stay as they are otherwise. What they run on stays. How many.
    pub async fn switch_flows(&self, flows: &[FlowKey], disabled: bool) -> Result<usize, Error> {
        let flows: BTreeSet<&FlowKey> = flows.iter().collect();
        let (mut changes, mut issues) = (Vec::new(), Vec::new());
        for flow in &flows {
            let row = self.newest_row(flow).await?.filter(|row| !row.deleted);
            let Some(row) = row else {
                issues.push(told(format!("no flow `{flow}`"), "not_found"));
                continue;
            };
            if row.disabled == disabled {
                continue;
            }
            let source = model::edit::set(&row.source, "disabled", &Value::Bool(disabled));
            let flow = source
                .map_err(|problem| vec![problem])
                .and_then(|source| crate::plugins::reread(&source, &row.inherited_defaults));
            match flow {
                Ok(flow) => {
                    let draft = Draft { flow, lock: row.lock.clone(), warnings: Vec::new() };
                    changes.push(Change::Save(Box::new(draft), Save::Revision(row.revision)));
                }
                Err(problems) => issues.extend(problems.iter().map(Issue::from)),
            }
        }
        if !issues.is_empty() {
            return Err(refused(issues));
        }
        self.change_flows(&changes, Batch::new).await?;
        Ok(flows.len())
    }

    /// Deletes revisions of a flow that are not its newest and that nothing runs on, all or none. They cannot be rolled back to any more.
    pub async fn delete_revisions(&self, namespace: &str, id: &str, revisions: &[u32]) -> Result<(), Error> {
        let flow = key(namespace, id);
        let newest = self.newest_row(&flow).await?.ok_or_else(|| Error::NotFound(format!("no flow `{flow}`")))?;
        let running = self.revisions_under_way(&flow).await?;
        let (mut batch, mut issues) = (Batch::new(), Vec::new());
        let wanted: BTreeSet<u32> = revisions.iter().copied().collect();
        for revision in &wanted {
            let at = Key::Flow(flow.clone(), *revision);
            let row = self.store.find::<rows::Flow>(View::Newest, at.clone()).await?;
            let issue = match row {
                None => format!("flow `{flow}` has no revision {revision}"),
                Some(_) if *revision == newest.revision => {
                    format!("revision {revision} is the newest of flow `{flow}`")
                }
                Some(_) if running.contains(revision) => {
                    format!("executions of revision {revision} of flow `{flow}` have not ended")
                }
                Some(row) => {
                    batch.require(row.unchanged()).delete(at);
                    continue;
                }
            };
            issues.push(told(issue, "flow.revision"));
        }
        if !issues.is_empty() {
            return Err(refused(issues));
        }
        self.keep(batch).await?;
        let mut cached = self.flows.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        cached.retain(|(of, revision), _| *of != flow || !wanted.contains(revision));
        Ok(())
    }

    async fn revisions_under_way(&self, flow: &FlowKey) -> Result<BTreeSet<u32>, Error> {
        let filter = ExecutionFilter {
            kinds: Vec::new(),
            flow: Some(flow.clone()),
            states: unfinished_states(),
            ..ExecutionFilter::default()
        };
        let (mut revisions, mut after) = (BTreeSet::new(), None);
        loop {
            let page = Page { size: store::query::MAX_PAGE, after };
            let query = Query::Executions(filter.clone());
            let rows = self.store.list::<rows::Execution>(View::Newest, query, page).await?;
            revisions.extend(rows.items.iter().map(|row| row.record.revision));
            match rows.next {
                Some(next) => after = Some(next),
                None => return Ok(revisions),
            }
        }
    }

    /// What all of them say; or everything that is wrong with any, with the lines of where it comes from.
    fn drafts(&self, sources: &[Source], into: Option<&Destination>) -> (Vec<Draft>, Vec<Issue>) {
        let (mut drafts, mut issues) = (Vec::<Draft>::new(), Vec::new());
        let mut seen = BTreeSet::new();
        for source in sources {
            let text = match into.filter(|into| into.rename) {
                None => Ok(source.text.clone()),
                Some(into) => model::edit::set(&source.text, "namespace", &into.namespace.as_str().into()),
            };
            let draft = match text.map_err(|problem| vec![problem]).and_then(|text| self.read_flow(&text)) {
                Ok(draft) => draft,
                Err(problems) => {
                    let errors = problems.iter().filter(|problem| problem.is_error()).map(Issue::from);
                    issues.extend(errors.map(|issue| Issue {
                        path: format!("{}: {}", source.name, issue.path),
                        line: issue.line.map(|line| line.saturating_add(source.first_line).saturating_sub(1)),
                        ..issue
                    }));
                    continue;
                }
            };
            let mut wrong = |message: String| {
                let line = Some(source.first_line);
                issues.push(Issue { path: source.name.clone(), line, ..told(message, "flow.update") });
            };
            let flow = &draft.flow.key;
            if into.is_some_and(|into| !into.takes(&flow.namespace)) {
                let namespace = into.map(|into| into.namespace.as_str()).unwrap_or_default();
                wrong(format!("flow `{flow}` is not in namespace `{namespace}`"));
            } else if !seen.insert(flow.clone()) {
                wrong(format!("flow `{flow}` is there twice"));
            } else {
                drafts.push(draft);
            }
        }
        (drafts, issues)
    }
}

impl Destination {
    fn takes(&self, namespace: &Namespace) -> bool {
        let place = NamespaceKey::main(Namespace::trusted(self.namespace.as_str()));
        let tenant = place.tenant.clone();
        let within = if self.children { NamespaceMatch::Tree(place) } else { NamespaceMatch::Exact(place) };
        within.holds_in(&tenant, namespace.as_str())
    }
}

fn told(message: String, code: &str) -> Issue {
    Issue { path: String::new(), line: None, code: code.to_owned(), message, hint: None }
}

fn refused(issues: Vec<Issue>) -> Error {
    let message = format!("nothing was done: {} problems", issues.len());
    Error::Invalid { code: "flows.refused", message, issues }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stream_is_cut_into_documents_with_their_lines() {
        let found = Source::documents("---\nid: a\n---\n# nothing\n---\nid: b\n");
        let found: Vec<(&str, u32)> = found.iter().map(|source| (&*source.text, source.first_line)).collect();
        assert_eq!(found, [("id: a\n", 2), ("id: b\n", 6)]);
    }
}
