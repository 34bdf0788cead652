//! `sluice:host/objects` for one run: flows, executions and logs of the namespaces that the run reaches. Each document is checked.

use std::sync::Arc;

use jiff::Timestamp;
use model::ids::{ExecutionId, FlowId, FlowKey, Namespace, TENANT, TaskId};
use model::state::State;
use model::task::LogLevel;
use runtime::HostError;
use serde::Deserialize;
use serde_json::{Value as Json, json};
use store::query::{ExecutionFilter, LogFilter, LogScope, NamespaceMatch, Within};
use store::rows::{self, Holder, Key, NamespaceKey, UniqueKey, UniqueName};
use store::{Batch, Count, Page, Position, Query, View};

use super::{RunServices, host};
use crate::purge::{Parts, Purged};
use crate::worker::grants::DELETE;

/// Documents of one page.
const PAGE: usize = 500;
/// Documents that are counted at most.
const COUNT_MAX: usize = 10_000_000;
/// Changes of one plan.
const CHANGES_MAX: usize = 1_000;
/// How long a plan that was carried out is remembered: longer than attempts of one task run go on.
const REMEMBERED: jiff::SignedDuration = jiff::SignedDuration::from_hours(7 * 24);

/// What is looked for.
#[derive(Default, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
struct Asked {
    kind: String,
    after: Option<String>,
    count: bool,
    namespace: Option<String>,
    flow: Option<String>,
    execution: Option<String>,
    states: Vec<String>,
    level: Option<String>,
    task: Option<String>,
    from: Option<Timestamp>,
    until: Option<Timestamp>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Plan {
    sequence: u64,
    changes: Vec<Change>,
}

/// One change of a plan, as written.
#[derive(Default, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields, default)]
struct Change {
    op: String,
    kind: String,
    id: Option<String>,
    parts: Option<Vec<String>>,
    namespace: Option<String>,
    flow: Option<String>,
    execution: Option<String>,
    levels: Vec<String>,
    from: Option<Timestamp>,
    until: Option<Timestamp>,
}

/// One change that was found allowed.
enum Deed {
    Execution(Arc<rows::Execution>, Parts),
    /// It is gone already: a plan that broke off is carried out again.
    Nothing,
    Logs(Box<LogFilter>, Vec<LogLevel>),
}

fn unreadable(what: &str, error: impl std::fmt::Display) -> HostError {
    HostError::bad_argument(format!("{what}: {error}"))
}

/// A state or a level by its name.
fn named<T: serde::de::DeserializeOwned>(name: &str, what: &str) -> Result<T, HostError> {
    serde_json::from_value(Json::from(name.to_ascii_uppercase()))
        .map_err(|_| HostError::bad_argument(format!("`{}` is no {what}", name.escape_debug())))
}

impl RunServices {
    pub(super) async fn find_objects(&self, query: String) -> Result<String, HostError> {
        let asked: Asked = serde_json::from_str(&query).map_err(|error| unreadable("the query", error))?;
        let question = match asked.kind.as_str() {
            "flow" => Query::Flows { namespace: self.tree(asked.namespace.as_deref())?, deleted: false },
            "execution" => Query::Executions(self.executions(&asked)?),
            "log" => Query::Logs(self.logs(&asked).await?),
            other => return Err(unknown_kind(other)),
        };
        if asked.count {
            let count = self.node.store.count(View::Newest, question, COUNT_MAX).await.map_err(host)?;
            let (Count::Exactly(number) | Count::AtLeast(number)) = count;
            return Ok(json!({ "count": number }).to_string());
        }
        let after = match asked.after.as_deref().map(str::parse::<Position>) {
            None => None,
            Some(Ok(position)) => Some(position),
            Some(Err(error)) => return Err(unreadable("the cursor", error)),
        };
        let page = Page { size: PAGE, after };
        let found = self.node.store.scan(View::Newest, question, page).await.map_err(host)?;
        let items: Vec<Json> = found.items.iter().filter_map(|row| shown(&row.row)).collect();
        Ok(json!({ "items": items, "next": found.next.map(|next| next.to_string()) }).to_string())
    }

    pub(super) async fn read_object(
        &self,
        kind: String,
        namespace: String,
        id: String,
    ) -> Result<Option<String>, HostError> {
        if !self.reach.may_read(&namespace) {
            return Err(super::kv::refused(&namespace));
        }
        match kind.as_str() {
            "flow" => {
                let query = Query::Revisions(flow_key(&namespace, &id));
                let rows =
                    self.node.store.list::<rows::Flow>(View::Newest, query, Page::first(1)).await.map_err(host)?;
                let newest = rows.items.into_iter().next().filter(|flow| !flow.deleted);
                Ok(newest.map(|flow| flow.source.to_string()))
            }
            "execution" => {
                let found = self.stored_object(&id).await?;
                let found = found.filter(|row| row.record.flow.namespace.as_str() == namespace);
                Ok(found.map(|row| whole(&row).to_string()))
            }
            other => Err(unknown_kind(other)),
        }
    }

    pub(super) async fn apply_plan(&self, plan: String) -> Result<String, HostError> {
        let plan: Plan = serde_json::from_str(&plan).map_err(|error| unreadable("the plan", error))?;
        if plan.changes.len() > CHANGES_MAX {
            let message = format!("{} changes in one plan, at most {CHANGES_MAX} are carried out", plan.changes.len());
            return Err(HostError::limit(message));
        }
        let name = UniqueName::Named(format!("objects/{}/{}", self.run, plan.sequence).into());
        let done = self.node.store.find::<UniqueKey>(View::Newest, Key::Unique(name.clone())).await.map_err(host)?;
        if let Some(done) = done {
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
        for deed in deeds {
            let failed = |error: crate::error::Error| HostError::host(error.to_string());
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
        let now = self.node.now();
        let expires = Some(now.saturating_add(REMEMBERED).unwrap_or(Timestamp::MAX));
        let mut batch = Batch::new();
        batch.take(UniqueKey { name, holder: Holder::Named(answer.as_str().into()), created: now, expires });
        self.node.store.commit(batch).await.map_err(host)?;
        Ok(answer)
    }

    async fn allowed(&self, change: &Change) -> Result<Deed, HostError> {
        if change.op != "delete" {
            let message = format!("`{}` is nothing a plan can do; hint: `delete`", change.op.escape_debug());
            return Err(HostError::bad_argument(message));
        }
        if !self.deletes.contains(&change.kind) {
            let message = format!(
                "deleting documents of kind `{}` is not granted to this run; hint: the plugin asks for `{}{DELETE}`",
                change.kind, change.kind
            );
            return Err(HostError::not_granted(message));
        }
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
                if let LogScope::Flows { namespace: NamespaceMatch::Tree(place), .. } = &filter.of
                    && !self.reach.allows(place.namespace.as_str())
                {
                    return Err(super::kv::refused(place.namespace.as_str()));
                }
                Ok(Deed::Logs(Box::new(filter), levels?))
            }
            other => Err(unknown_kind(other)),
        }
    }

    async fn allowed_execution(&self, change: &Change) -> Result<Deed, HostError> {
        let id = change.id.as_deref().unwrap_or_default();
        let Some(row) = self.stored_object(id).await? else { return Ok(Deed::Nothing) };
        let namespace = row.record.flow.namespace.as_str();
        if !self.reach.allows(namespace) {
            return Err(super::kv::refused(namespace));
        }
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

    fn executions(&self, asked: &Asked) -> Result<ExecutionFilter, HostError> {
        let states: Result<_, _> = asked.states.iter().map(|name| named::<State>(name, "state")).collect();
        let namespace = self.tree(asked.namespace.as_deref())?;
        let flow = asked.flow.as_ref().map(|flow| flow_key(&self.named_or_own(asked.namespace.as_deref()), flow));
        Ok(ExecutionFilter {
            namespace,
            flow,
            states: states?,
            created: Within { from: asked.from, until: asked.until },
            ..ExecutionFilter::default()
        })
    }

    async fn logs(&self, asked: &Asked) -> Result<LogFilter, HostError> {
        let of = match &asked.execution {
            Some(id) => {
                let row = self.stored_object(id).await?;
                let row = row.ok_or_else(|| HostError::not_found(format!("there is no execution `{id}`")))?;
                let flow = &row.record.flow;
                let namespace = flow.namespace.as_str();
                if !self.reach.may_read(namespace) {
                    return Err(super::kv::refused(namespace));
                }
                let other = |asked: &Option<String>, is: &str| asked.as_ref().is_some_and(|asked| asked != is);
                if other(&asked.namespace, namespace) || other(&asked.flow, flow.id.as_str()) {
                    return Err(HostError::not_found(format!("execution `{id}` is of flow `{flow}`, not of that one")));
                }
                LogScope::Target { target: rows::Target::Execution(row.record.id.clone()), after: 0 }
            }
            None => LogScope::Flows {
                namespace: self.tree(asked.namespace.as_deref())?,
                flow: asked.flow.as_ref().map(|flow| flow_key(&self.named_or_own(asked.namespace.as_deref()), flow)),
            },
        };
        let mut filter = LogFilter::within(of);
        if let Some(name) = &asked.level {
            filter.least = named(name, "level")?;
        }
        filter.task = asked.task.as_ref().map(|task| TaskId::trusted(task.as_str()));
        filter.at = Within { from: asked.from, until: asked.until };
        Ok(filter)
    }

    /// A namespace and those below it: the one that is asked for, or the flow's own.
    fn tree(&self, asked: Option<&str>) -> Result<NamespaceMatch, HostError> {
        let name = self.named_or_own(asked);
        match self.reach.may_read(&name) {
            true if self.reach.allows(&name) => Ok(NamespaceMatch::Tree(NamespaceKey::main(Namespace::trusted(name)))),
            // Above the flow's own: what lies beside it is not this run's.
            true => Ok(NamespaceMatch::Exact(NamespaceKey::main(Namespace::trusted(name)))),
            false => Err(super::kv::refused(&name)),
        }
    }

    fn named_or_own(&self, asked: Option<&str>) -> String {
        asked.map_or_else(|| self.reach.own().to_string(), str::to_owned)
    }

    async fn stored_object(&self, id: &str) -> Result<Option<Arc<rows::Execution>>, HostError> {
        let found = self.node.stored_execution(&ExecutionId::trusted(id)).await;
        found.map_err(|error| HostError::host(error.to_string()))
    }
}

fn unknown_kind(kind: &str) -> HostError {
    let message = format!("there are no documents of kind `{}`; hint: flow, execution, log", kind.escape_debug());
    HostError::bad_argument(message)
}

fn flow_key(namespace: &str, id: &str) -> FlowKey {
    FlowKey { tenant: TENANT.into(), namespace: Namespace::trusted(namespace), id: FlowId::trusted(id) }
}

/// A document as one of many.
fn shown(row: &rows::Row) -> Option<Json> {
    match row {
        rows::Row::Flow(flow) => Some(json!({
            "kind": "flow",
            "namespace": flow.key.namespace.as_str(),
            "id": flow.key.id.as_str(),
            "revision": flow.revision,
            "disabled": flow.disabled,
        })),
        rows::Row::Execution(row) => Some(json!({
            "kind": "execution",
            "namespace": row.record.flow.namespace.as_str(),
            "flow": row.record.flow.id.as_str(),
            "id": row.record.id.as_str(),
            "revision": row.record.revision,
            "state": row.record.state().as_str(),
            "created": row.created.to_string(),
            "ended": row.record.history.ended().map(|at| at.to_string()),
        })),
        rows::Row::Log(line) => Some(log_line(line)),
        _ => None,
    }
}

/// A line as Kestra's files of logs have it.
fn log_line(line: &rows::LogLine) -> Json {
    let execution = match &line.of {
        rows::Target::Execution(id) => Some(id.as_str()),
        rows::Target::Trigger(..) | rows::Target::Service(_) => None,
    };
    let mut shown = json!({
        "namespace": line.flow.as_ref().map(|flow| flow.namespace.as_str()),
        "flowId": line.flow.as_ref().map(|flow| flow.id.as_str()),
        "taskId": line.task.as_ref().map(TaskId::as_str),
        "executionId": execution,
        "taskRunId": line.task_run.as_ref().map(|run| run.as_str()),
        "attemptNumber": line.attempt.checked_sub(1),
        "timestamp": line.at.to_string(),
        "level": format!("{:?}", line.level).to_ascii_uppercase(),
        "message": &*line.message,
    });
    if let (Some(entries), false) = (shown.as_object_mut(), line.fields.is_empty()) {
        let fields: serde_json::Map<String, Json> =
            line.fields.iter().map(|(name, value)| (name.clone(), json!(value))).collect();
        entries.insert("fields".to_owned(), Json::from(fields));
    }
    shown
}

/// An execution with what it was given and what it gave; secrets in it are masked.
fn whole(row: &rows::Execution) -> Json {
    let record = &row.record;
    let map = |map: &expr::Map| expr::Value::from(map.clone()).to_json();
    let labels: serde_json::Map<String, Json> =
        record.labels.iter().map(|label| (label.key.clone(), json!(label.value))).collect();
    json!({
        "id": record.id.as_str(),
        "namespace": record.flow.namespace.as_str(),
        "flow": record.flow.id.as_str(),
        "revision": record.revision,
        "state": record.state().as_str(),
        "created": row.created.to_string(),
        "ended": record.history.ended().map(|at| at.to_string()),
        "labels": labels,
        "inputs": map(&record.inputs),
        "variables": map(&record.variables),
        "outputs": map(&record.outputs),
    })
}
