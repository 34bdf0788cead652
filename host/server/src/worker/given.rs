//! What one run is given: its properties with placeholders in place of secrets, what it may do, and its way out. Of tasks and of polls alike.

use std::sync::Arc;

use catalog::PropertyPath;
use expr::Value;
use model::execution::Failure;
use model::flow::Flow;
use model::ids::{ExecutionId, FlowKey, TaskId};
use model::lock::Locked;
use runtime::{Grants, Limits, PluginSource};

use super::alarms::About;
use super::outgoing::Outgoing;
use super::secrets::RunSecrets;
use super::{grants, secret};
use crate::flows::SavedFlow;
use crate::node::Node;

/// What one run is given.
pub(super) struct Given {
    pub source: PluginSource,
    /// As the guest gets them.
    pub properties: Value,
    pub grants: Grants,
    pub limits: Limits,
    /// Kinds of documents that may be deleted.
    pub deletes: Vec<String>,
    pub secrets: Arc<RunSecrets>,
    pub outgoing: Arc<Outgoing>,
}

/// Whose run it is.
pub(super) struct Whose<'a> {
    pub flow: &'a Flow,
    pub key: &'a FlowKey,
    pub locked: &'a Locked,
    /// A poll has none.
    pub execution: Option<&'a ExecutionId>,
    /// Or the trigger.
    pub task: &'a str,
}

impl Node {
    /// Makes ready what a run is given, or says why it must not begin. `properties`: rendered.
    pub(super) fn given(self: &Arc<Self>, whose: &Whose<'_>, properties: &Value) -> Result<Given, Failure> {
        let Whose { flow, key, locked, execution, task } = *whose;
        let catalog = self.catalog();
        let missing = crate::plugins::unusable;
        let package = catalog.locked(locked).map_err(missing)?;
        let source = crate::plugins::source_of(&catalog, locked).map_err(missing)?;
        let manifest = package.manifest();
        let marked: &[PropertyPath] =
            manifest.task(&locked.task_type).map_or(&[], |task| task.markers.secret.as_slice());
        let properties =
            secret::marked(properties, marked, &|clear| self.config.sealer.seal(clear, self.entropy.number()));
        let grants::Granted { grants, limits, deletes } =
            grants::of_run(self, flow, manifest, &locked.task_type, &properties)?;
        let secrets = Arc::new(RunSecrets::default());
        let concealed = secrets.conceal(&properties);
        secrets.remember_written(&concealed, marked);
        let about = About {
            plugin: locked.plugin.clone(),
            version: locked.version.to_string(),
            flow: key.clone(),
            execution: execution.cloned(),
            task: task.to_owned(),
        };
        let outgoing = Arc::new(Outgoing::new(self.clone(), flow, secrets.clone(), about));
        Ok(Given { source, properties: concealed, grants, limits, deletes, secrets, outgoing })
    }
}

/// What is done around the run of a task for its grants and its secrets, and nothing else: for the bench that measures it.
#[doc(hidden)]
pub struct Around(Given);

impl Around {
    /// Before the run.
    pub fn begin(node: &Arc<Node>, saved: &SavedFlow, task: &str, properties: &Value) -> Result<Self, Failure> {
        let Some(locked) = saved.lock.tasks.get(&TaskId::trusted(task)) else {
            return Err(super::unknown_task(&TaskId::trusted(task)));
        };
        let whose = Whose { flow: &saved.flow, key: &saved.flow.key, locked, execution: None, task };
        node.given(&whose, properties).map(Self)
    }

    /// What the guest gets.
    pub fn input(&self) -> String {
        self.0.properties.to_json().to_string()
    }

    /// What it may do.
    pub fn grants(&self) -> Grants {
        self.0.grants.clone()
    }

    /// After the run: its outputs, with secrets again.
    pub fn end(&self, outputs: &str) -> Option<Value> {
        Value::parse_json(outputs).ok().map(|outputs| self.0.secrets.recognise(&outputs))
    }
}
