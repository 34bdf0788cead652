//! `/api/v1/{tenant}/executions/…/by-ids` and `…/by-query`: one thing done to many executions, in Kestra 1.0's paths and shapes. All of them
//! are looked at before the first is touched: one that it cannot be done to keeps it from all.

mod by_ids;
mod by_query;

use axum::Json;
use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use futures::StreamExt as _;
use model::execution::Execution;
use model::flow::Label;
use model::ids::ExecutionId;
use model::state::State as Status;
use serde::Deserialize;
use utoipa::IntoParams;
use utoipa_axum::router::OpenApiRouter;

use super::App;
use super::filters::{self, PLAIN};
use super::openapi::tagged;
use super::wire::Count;
use super::wire::named::StateName;
use crate::error::{Error, Issue};
use crate::life::Replay;
use crate::purge::Parts;
use crate::search::Search;

pub fn routes() -> OpenApiRouter<App> {
    let one = OpenApiRouter::new().routes(utoipa_axum::routes!(delete_one));
    tagged("Executions", one.merge(by_ids::routes()).merge(by_query::routes()))
}

/// Most executions of one request.
const EXECUTIONS_MAX: usize = 10_000;
/// How many are done at once.
const AT_ONCE: usize = 16;
/// Longest that is waited for an execution that is to be deleted and runs.
const END_MAX: std::time::Duration = std::time::Duration::from_secs(30);

/// What is done.
#[derive(Clone, Debug)]
pub(super) enum Action {
    Kill,
    Pause,
    Resume,
    Restart,
    Replay { on_latest: bool },
    Unqueue(Status),
    ForceRun,
    ChangeStatus(Status),
    SetLabels(Vec<Label>),
    Delete(Deletion),
}

/// What goes with deleted executions. Their logs and metrics always do: nothing leads to them any more.
#[derive(Clone, Copy, Debug, Deserialize, IntoParams)]
#[serde(rename_all = "camelCase")]
#[into_params(parameter_in = Query)]
pub struct Deletion {
    /// Those that run are killed first; by default they are refused.
    #[serde(default)]
    include_non_terminated: bool,
    /// Whether their files go as well, which is the default.
    #[serde(default = "yes")]
    delete_storage: bool,
}

fn yes() -> bool {
    true
}

impl Action {
    /// Why it cannot be done to an execution, or nothing.
    fn misfit(&self, execution: &Execution) -> Option<String> {
        let state = execution.state();
        let fits = match self {
            Self::Kill => !state.is_terminal(),
            Self::Pause => state == Status::Running,
            Self::Resume => matches!(state, Status::Paused | Status::Breakpoint),
            Self::Restart => state.is_terminal() && state != Status::Retried,
            Self::Unqueue(_) => state == Status::Queued,
            Self::ForceRun => {
                matches!(
                    state,
                    Status::Created | Status::Queued | Status::Paused | Status::Running | Status::Breakpoint
                )
            }
            Self::Replay { .. } | Self::ChangeStatus(_) | Self::SetLabels(_) => state.is_terminal(),
            Self::Delete(deletion) => deletion.include_non_terminated || state.is_terminal(),
        };
        (!fits).then(|| format!("execution `{}` is {state}", execution.id))
    }

    async fn act(&self, app: &App, execution: &Execution) -> Result<(), Error> {
        let (node, id) = (&app.node, execution.id.as_str());
        match self {
            Self::Kill => node.kill(id).await?,
            Self::Pause => node.pause(id).await?,
            Self::Resume => node.resume(id, Vec::new()).await?,
            Self::Restart => node.restart(id, None).await?,
            Self::Replay { on_latest } => {
                let revision = match on_latest {
                    true => {
                        let key = &execution.flow;
                        Some(node.flow(key.namespace.as_str(), key.id.as_str(), None).await?.flow.revision)
                    }
                    false => None,
                };
                node.replay(id, Replay { revision, ..Replay::default() }).await?
            }
            Self::Unqueue(state) => node.unqueue(id, *state).await?,
            Self::ForceRun => node.force_run(id).await?,
            Self::ChangeStatus(state) => node.change_state(id, None, *state).await?,
            Self::SetLabels(labels) => node.set_labels(id, labels.clone()).await?,
            Self::Delete(deletion) => return delete(app, &execution.id, *deletion).await,
        };
        Ok(())
    }

    /// What its query says beside filters.
    fn parameters(&self) -> &'static [&'static str] {
        match self {
            Self::Replay { .. } => &["latestRevision"],
            Self::ChangeStatus(_) => &["newStatus"],
            Self::Unqueue(_) => &["newState"],
            Self::Delete(_) => &["includeNonTerminated", "deleteLogs", "deleteMetrics", "deleteStorage"],
            Self::Kill | Self::Pause | Self::Resume | Self::Restart | Self::ForceRun | Self::SetLabels(_) => &[],
        }
    }

    /// Does it to all of these, or says why it can be done to none.
    async fn to_all(&self, app: &App, executions: Vec<Execution>) -> Result<Json<Count>, Error> {
        let misfits = executions.iter().filter_map(|execution| self.misfit(execution));
        let issues: Vec<Issue> = misfits.map(|message| issue("execution.state", message)).collect();
        if !issues.is_empty() {
            let message = "nothing was done: these executions are in other states".to_owned();
            return Err(Error::Invalid { code: "executions.refused", message, issues });
        }
        self.to_each(app, executions).await
    }

    async fn to_each(&self, app: &App, executions: Vec<Execution>) -> Result<Json<Count>, Error> {
        let count = executions.len();
        let doing = futures::stream::iter(executions).map(|execution| {
            let (action, app) = (self.clone(), app.clone());
            async move { action.act(&app, &execution).await }
        });
        let done: Vec<Result<(), Error>> = doing.buffered(AT_ONCE).collect().await;
        // Something else was done to them in the meantime.
        let issues: Vec<Issue> =
            done.into_iter().filter_map(Result::err).map(|error| issue(error.code(), error.to_string())).collect();
        if issues.is_empty() {
            return Ok(Json(Count { count }));
        }
        let message = format!("it was done to {} of {count} executions", count - issues.len());
        Err(Error::Invalid { code: "executions.partly", message, issues })
    }

    async fn by_ids(&self, app: &App, ids: Vec<String>) -> Result<Json<Count>, Error> {
        if ids.len() > EXECUTIONS_MAX {
            let message = format!("there are {} ids, at most {EXECUTIONS_MAX} are taken", ids.len());
            return Err(Error::bad_request("executions.refused", message));
        }
        let (mut executions, mut issues) = (Vec::new(), Vec::new());
        let mut seen = std::collections::HashSet::new();
        for id in ids.iter().filter(|id| seen.insert(id.as_str())) {
            match app.node.stored_execution(&ExecutionId::trusted(id.as_str())).await? {
                Some(row) => executions.push(row.record.clone()),
                None => issues.push(issue("not_found", format!("no execution `{id}`"))),
            }
        }
        if !issues.is_empty() {
            let message = "nothing was done: these executions are not there".to_owned();
            return Err(Error::Invalid { code: "executions.refused", message, issues });
        }
        self.to_all(app, executions).await
    }

    /// Does it to those of what is found that it can be done to.
    async fn by_query(&self, app: &App, query: Option<&str>) -> Result<Json<Count>, Error> {
        let query = query.unwrap_or_default();
        let known: Vec<&str> = PLAIN.iter().chain(&["labels"]).chain(self.parameters()).copied().collect();
        filters::only_meant(query, &known)?;
        let search = Search::parse(query, app.node.now())?;
        let mut executions = app.node.found_executions(&search, EXECUTIONS_MAX).await?;
        executions.retain(|execution| self.misfit(execution).is_none());
        self.to_each(app, executions).await
    }
}

fn issue(code: &str, message: String) -> Issue {
    Issue { path: String::new(), line: None, code: code.to_owned(), message, hint: None }
}

async fn delete(app: &App, id: &ExecutionId, deletion: Deletion) -> Result<(), Error> {
    let gone = || Error::NotFound(format!("no execution `{id}`"));
    let mut record = app.node.stored_execution(id).await?.ok_or_else(gone)?.record.clone();
    if !record.state().is_terminal() {
        if !deletion.include_non_terminated {
            let message = format!("execution `{id}` is {}; hint: kill it first", record.state());
            return Err(Error::Conflict { code: "execution.state", message });
        }
        app.node.kill(id.as_str()).await?;
        match tokio::time::timeout(END_MAX, app.node.ended(id)).await {
            Ok(ended) => record = ended?.execution,
            Err(_) => {
                let message = format!("execution `{id}` is being killed and has not ended yet; try again");
                return Err(Error::Busy { message, retry_after_s: 5 });
            }
        }
    }
    let parts = Parts { execution: true, logs: true, metrics: true, files: deletion.delete_storage };
    app.node.delete_execution(&record, parts).await
}

/// Deletes an execution.
#[utoipa::path(
    delete, path = "/executions/{executionId}", operation_id = "deleteExecution",
    params(Deletion),
    responses((status = 204, description = "it is gone")),
)]
async fn delete_one(
    State(app): State<App>,
    Path((_, id)): Path<(String, String)>,
    Query(deletion): Query<Deletion>,
) -> Result<StatusCode, Error> {
    delete(&app, &ExecutionId::trusted(id.as_str()), deletion).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Whether the newest revision is run, and not the one it ran on.
#[derive(Deserialize, IntoParams)]
#[serde(rename_all = "camelCase")]
#[into_params(parameter_in = Query)]
struct ReplayAsk {
    /// By default it is the one it ran on.
    #[serde(default)]
    latest_revision: bool,
}

impl ReplayAsk {
    fn action(&self) -> Action {
        Action::Replay { on_latest: self.latest_revision }
    }
}

/// The state that executions are to have.
#[derive(Deserialize, IntoParams)]
#[serde(rename_all = "camelCase")]
#[into_params(parameter_in = Query)]
struct StatusAsk {
    #[param(inline, value_type = StateName)]
    new_status: Status,
}
