//! Plans that purge: executions that have ended, and lines of logs. Bounded in each step, and so not one commit; what broke off is carried out
//! again.

use std::sync::Arc;

use model::task::LogLevel;
use runtime::HostError;
use serde_json::json;
use store::query::{LogFilter, LogScope, NamespaceMatch};
use store::rows::{self, Holder, Key, UniqueKey};
use store::{Batch, View};

use super::find::Asked;
use super::{Change, Plan, RunServices, failed, host, named, unknown_kind, unreadable};
use crate::plans::remember;
use crate::purge::{Parts, Purged};

/// Changes of one plan.
const CHANGES_MAX: usize = 1_000;

/// One change that was found allowed.
enum Deed {
    Execution(Arc<rows::Execution>, Parts),
    /// It is gone already: a plan that broke off is carried out again.
    Nothing,
    Logs(Box<LogFilter>, Vec<LogLevel>),
}

impl RunServices {
    pub(super) async fn purge(&self, plan: Plan) -> Result<String, HostError> {
        if plan.changes.len() > CHANGES_MAX {
            let message = format!("{} changes in one plan, at most {CHANGES_MAX} are carried out", plan.changes.len());
            return Err(HostError::limit(message));
        }
        let name = self.plan_name(plan.sequence);
        let done = self.node.store.find::<UniqueKey>(View::Newest, Key::Unique(name.clone())).await.map_err(host)?;
        if let Some(done) = done.filter(|_| !plan.dry) {
            return match &done.holder {
                Holder::Named(answer) => Ok(answer.to_string()),
                Holder::Execution(_) => Err(HostError::host("the memory of a plan is not one")),
            };
        }
        // Everything is looked at before anything is done.
        let (mut deeds, mut problems) = (Vec::new(), Vec::new());
        for change in &plan.changes {
            match self.allowed(change).await {
                Ok(deed) => deeds.push(deed),
                Err(problem) => problems.push(problem),
            }
        }
        if let Some(first) = problems.first() {
            let all: Vec<&str> = problems.iter().map(|problem| problem.message.as_str()).collect();
            return Err(HostError::new(&first.code, all.join("; ")));
        }
        let mut purged = Purged::default();
        if plan.dry {
            return Ok(json!(purged).to_string());
        }
        for deed in deeds {
            match deed {
                Deed::Nothing => {}
                Deed::Execution(row, parts) => {
                    purged.add(self.node.purge_execution(&row.record, parts).await.map_err(failed)?);
                }
                Deed::Logs(filter, levels) => {
                    purged.logs += self.node.purge_logs(*filter, &levels).await.map_err(failed)?;
                }
            }
        }
        let answer = json!(purged).to_string();
        let mut batch = Batch::new();
        remember(&mut batch, &name, &answer, self.node.now());
        self.node.store.commit(batch).await.map_err(host)?;
        Ok(answer)
    }

    async fn allowed(&self, change: &Change) -> Result<Deed, HostError> {
        if change.op != "delete" {
            let message = format!("`{}` is nothing a plan can do; hint: `delete`", change.op.escape_debug());
            return Err(HostError::bad_argument(message));
        }
        self.may_change(&change.kind, "delete")?;
        match change.kind.as_str() {
            "execution" => self.allowed_execution(change).await,
            "log" => {
                let asked = Asked {
                    namespace: change.namespace.clone(),
                    flow: change.flow.clone(),
                    execution: change.execution.clone(),
                    from: change.from,
                    until: change.until,
                    ..Asked::default()
                };
                let levels: Result<_, _> = change.levels.iter().map(|name| named::<LogLevel>(name, "level")).collect();
                let filter = self.logs(&asked).await?;
                if let LogScope::Flows { namespace: NamespaceMatch::Tree(place), .. } = &filter.of {
                    self.must_reach(place.namespace.as_str())?;
                }
                Ok(Deed::Logs(Box::new(filter), levels?))
            }
            other => Err(unknown_kind(other, "execution, log")),
        }
    }

    async fn allowed_execution(&self, change: &Change) -> Result<Deed, HostError> {
        let id = change.id.as_deref().unwrap_or_default();
        let Some(row) = self.stored_object(id).await? else { return Ok(Deed::Nothing) };
        let namespace = row.record.flow.namespace.as_str();
        self.must_reach(namespace)?;
        if !row.record.state().is_terminal() || row.record.id == self.execution.id {
            let message = format!("execution `{id}` has not ended; hint: purge those with an end");
            return Err(HostError::new("CONFLICT", message));
        }
        let all = ["execution", "logs", "metrics", "files"].map(str::to_owned).to_vec();
        let wanted = change.parts.as_ref().unwrap_or(&all);
        if let Some(other) = wanted.iter().find(|part| !all.contains(part)) {
            return Err(unreadable("the parts", format!("`{}` is none of {}", other.escape_debug(), all.join(", "))));
        }
        let wants = |part: &str| wanted.iter().any(|wanted| wanted == part);
        let parts = Parts {
            execution: wants("execution"),
            logs: wants("logs"),
            metrics: wants("metrics"),
            files: wants("files"),
        };
        Ok(Deed::Execution(row, parts))
    }
}
