//! What a guest may ask of the server while it runs: files of its execution, values, rendering, secrets. One per run.

mod acting;
mod files;
mod kv;
mod objects;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use engine::{Event, JobId, State};
use model::execution::Execution;
use model::ids::{ExecutionId, TaskRunId};
use model::task::TaskKind;
use runtime::{Answer, Effect, FileTarget, FileWriter, Grants, HostError, Secrets, Services, Soon};
use store::rows;
use store::{Page, Query, View};

use super::Ready;
use super::kept::Keeping;
use super::models::{Asking, Models, Question};
use super::outgoing::{FULL_AGAIN, Outgoing};
use super::reach::Reach;
use super::templates::{Author, Templates};
use crate::error::Error;
use crate::flows::SavedFlow;
use crate::node::Node;
use crate::readable::{folder_of, task_folder};
use crate::render::RunScope;
use acting::Acting;

/// The services of one run.
pub struct RunServices {
    node: Arc<Node>,
    state: State,
    saved: Arc<SavedFlow>,
    execution: Execution,
    run: TaskRunId,
    effects: Arc<Effects>,
    models: Models,
    /// Where files of this run go: `<namespace>/<flow>/executions/<id>/tasks/<task>/<run>`.
    folder: String,
    outgoing: Arc<Outgoing>,
    /// What it writes that waits for its good end.
    keeping: Arc<Keeping>,
    reach: Reach,
    grants: Arc<Grants>,
    acting: Acting,
    author: Author,
}

pub(super) use kv::refused;

/// What a run may do.
pub(super) struct Allowed<'a> {
    /// As the guest has them: what they name, it may reach.
    pub properties: &'a expr::Value,
    pub grants: Arc<Grants>,
}

impl RunServices {
    pub fn new(
        node: Arc<Node>,
        ready: &Ready<'_>,
        outgoing: Arc<Outgoing>,
        keeping: Arc<Keeping>,
        allowed: Allowed<'_>,
        models: Models,
    ) -> Self {
        let Allowed { properties, grants } = allowed;
        let nothing = expr::Map::new();
        let written = match &ready.task.kind {
            TaskKind::Plugin(written) => written,
            _ => &nothing,
        };
        let reach = Reach::of(&ready.execution.flow.namespace, properties);
        let flow = &ready.execution.flow;
        let own = folder_of(flow, &ready.execution.id);
        let folder = format!("{own}tasks/{}/{}", task_folder(ready.task.id.as_str()), ready.run.id);
        Self {
            outgoing,
            effects: Arc::new(Effects {
                node: node.clone(),
                execution: ready.execution.id.clone(),
                job: ready.job.clone(),
                epoch: ready.epoch,
                began: AtomicBool::new(false),
            }),
            models,
            node,
            state: ready.state.clone(),
            saved: Arc::new(ready.saved.clone()),
            execution: ready.execution.clone(),
            run: ready.run.id.clone(),
            folder,
            keeping,
            author: Author::new(grants.clone(), reach.clone(), written),
            reach,
            grants,
            acting: Acting::default(),
        }
    }
}

fn host(error: store::Error) -> HostError {
    HostError::host(error.to_string())
}

impl Services for RunServices {
    fn kv_get<'a>(&'a self, namespace: Option<String>, key: String) -> Soon<'a, Result<Option<String>, HostError>> {
        Box::pin(self.get_value(namespace, key))
    }

    fn kv_set<'a>(
        &'a self,
        namespace: Option<String>,
        key: String,
        value: String,
        options: String,
    ) -> Soon<'a, Result<(), HostError>> {
        Box::pin(self.set_value(namespace, key, value, options))
    }

    fn kv_delete<'a>(&'a self, namespace: Option<String>, key: String) -> Soon<'a, Result<bool, HostError>> {
        Box::pin(self.delete_value(namespace, key))
    }

    fn kv_keys<'a>(
        &'a self,
        namespace: Option<String>,
        prefix: String,
        after: Option<String>,
    ) -> Soon<'a, Result<Vec<String>, HostError>> {
        Box::pin(self.list_keys(namespace, prefix, after))
    }

    fn kv_find<'a>(&'a self, query: String) -> Soon<'a, Result<String, HostError>> {
        Box::pin(self.find_values(query))
    }

    fn file_size<'a>(&'a self, uri: String) -> Soon<'a, Result<u64, HostError>> {
        Box::pin(async move { Ok(self.file(&uri).await?.content.size_bytes) })
    }

    fn file_read<'a>(&'a self, uri: String, offset: u64, length: u32) -> Soon<'a, Result<Vec<u8>, HostError>> {
        Box::pin(self.read_file(uri, offset, length))
    }

    fn file_create<'a>(&'a self, target: FileTarget) -> Soon<'a, Result<Box<dyn FileWriter>, HostError>> {
        Box::pin(self.create_file(target))
    }

    fn file_copy<'a>(&'a self, source: String, target: FileTarget) -> Soon<'a, Result<String, HostError>> {
        Box::pin(self.copy_file(source, target))
    }

    fn file_delete<'a>(&'a self, uri: String) -> Soon<'a, Result<bool, HostError>> {
        Box::pin(self.delete_file(uri))
    }

    fn file_find<'a>(&'a self, prefix: String, after: Option<String>) -> Soon<'a, Result<Vec<String>, HostError>> {
        Box::pin(self.find_files(prefix, after))
    }

    fn render<'a>(&'a self, template: String, variables: String) -> Soon<'a, Result<String, HostError>> {
        Box::pin(async move {
            let scope = RunScope::of_run(&self.node, &self.state, &self.run);
            self.templates(&scope).render(&template, &variables).await
        })
    }

    fn render_each<'a>(
        &'a self,
        template: String,
        variables: Vec<String>,
    ) -> Soon<'a, Result<Vec<Result<String, HostError>>, HostError>> {
        Box::pin(async move {
            let scope = RunScope::of_run(&self.node, &self.state, &self.run);
            self.templates(&scope).render_each(&template, &variables).await
        })
    }

    fn objects_find<'a>(&'a self, query: String) -> Soon<'a, Result<String, HostError>> {
        Box::pin(self.find_objects(query))
    }

    fn objects_read<'a>(
        &'a self,
        kind: String,
        namespace: String,
        id: String,
    ) -> Soon<'a, Result<Option<String>, HostError>> {
        Box::pin(self.read_object(kind, namespace, id))
    }

    fn objects_act_as<'a>(&'a self, user: String) -> Soon<'a, Result<String, HostError>> {
        Box::pin(async move { self.act_as(&user) })
    }

    fn objects_apply<'a>(&'a self, plan: String) -> Soon<'a, Result<String, HostError>> {
        Box::pin(self.apply_plan(plan))
    }

    fn chat<'a>(
        &'a self,
        provider: String,
        configuration: String,
        request: String,
    ) -> Soon<'a, Result<Box<dyn Answer>, runtime::Failure>> {
        Box::pin(async move {
            let may = self.node.may_spend(self.saved.flow.models, &self.execution.id, self.models.untold()).await;
            may.map_err(runtime::Failure::denied)?;
            let asking = Asking {
                node: &self.node,
                saved: &self.saved,
                outgoing: &self.outgoing,
                effects: self.effects.clone(),
            };
            self.models.ask(asking, Question { provider, configuration, request }).map_err(|failure| *failure)
        })
    }

    fn before_effect<'a>(&'a self, _effect: Effect) -> Soon<'a, Result<(), HostError>> {
        // External synchrony: nothing leaves before everything it may depend on is durable. The first time, so is the word that effects
        // begin: after a crash, "ran without effect" and "outcome unknown" can then be told apart.
        Box::pin(async move {
            self.effects.begin().await?;
            self.outgoing.gate().await
        })
    }

    fn secrets(&self) -> &dyn Secrets {
        self.outgoing.as_ref()
    }
}

impl RunServices {
    fn templates<'a>(&'a self, back: &'a dyn expr::Scope) -> Templates<'a> {
        let (flow, execution) = (&self.saved.flow.key, Some(&self.execution.id));
        Templates { node: &self.node, secrets: self.outgoing.secrets(), back, flow, execution, author: &self.author }
    }
}

/// Whether the store knows that the effects of an attempt have begun.
pub(super) struct Effects {
    node: Arc<Node>,
    execution: ExecutionId,
    job: JobId,
    epoch: u64,
    began: AtomicBool,
}

impl Effects {
    /// Before the first effect.
    pub async fn begin(&self) -> Result<(), HostError> {
        if !self.began.load(Ordering::Acquire) {
            self.commit().await?;
            self.began.store(true, Ordering::Release);
        }
        Ok(())
    }

    /// Commits that effects begin. An attempt whose lease is over has none.
    async fn commit(&self) -> Result<(), HostError> {
        loop {
            let event = Event::EffectsBegan { job: self.job.clone(), epoch: self.epoch };
            match self.node.tell(&self.execution, event).await {
                // A task before this one in the same WorkingDirectory may have told.
                Ok(_) | Err(Error::Conflict { code: "execution.duplicate", .. }) => return Ok(()),
                Err(error @ Error::Full(_)) => {
                    tracing::debug!(%error, "an effect waits for the store");
                    tokio::time::sleep(FULL_AGAIN).await;
                }
                Err(error) => return Err(HostError::host(format!("the effect was not allowed: {error}"))),
            }
        }
    }
}

impl Node {
    /// The first page of an execution's error lines, oldest first.
    pub(crate) async fn error_lines(
        &self,
        id: &model::ids::ExecutionId,
        limit: usize,
    ) -> Result<Vec<Arc<rows::LogLine>>, crate::error::Error> {
        let mut filter = store::query::LogFilter::of(rows::Target::Execution(id.clone()), 0);
        filter.least = model::task::LogLevel::Error;
        let rows = self.store.list::<rows::LogLine>(View::Newest, Query::Logs(filter), Page::first(limit)).await?;
        Ok(rows.items.into_iter().map(|row| row.row).collect())
    }
}
