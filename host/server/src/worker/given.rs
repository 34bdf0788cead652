//! What one run is given: its properties with placeholders in place of secrets, what it may do, and its way out. Of tasks and of polls alike.

use std::sync::Arc;

use expr::Value;
use model::execution::Failure;
use model::ids::{ExecutionId, FlowKey, TaskId};
use model::lock::Locked;
use runtime::{Grants, Limits, PluginSource};

use super::alarms::About;
use super::outgoing::Outgoing;
use super::secret;
use super::secrets::RunSecrets;
use crate::flows::SavedFlow;
use crate::node::Node;

/// What one run is given.
pub(super) struct Given {
    pub source: PluginSource,
    /// As the guest gets them.
    pub properties: Value,
    pub grants: Arc<Grants>,
    pub limits: Limits,
    /// Kinds of documents that may be deleted.
    pub deletes: Vec<String>,
    pub secrets: Arc<RunSecrets>,
    pub outgoing: Arc<Outgoing>,
}

/// Whose run it is.
pub(super) struct Whose<'a> {
    pub saved: &'a SavedFlow,
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
        let Whose { saved, key, locked, execution, task } = *whose;
        let standing = self.standing(&saved.standings, &saved.flow, locked)?;
        let seal = |clear: &str| self.config.sealer.seal(clear, self.entropy.number());
        let properties = secret::marked(properties, &standing.marked, &seal);
        let grants = standing.layers.of_run(&properties)?;
        let secrets = Arc::new(RunSecrets::default());
        let concealed = secrets.conceal(&properties);
        secrets.remember_written(&concealed, &standing.marked);
        let about = About {
            plugin: standing.plugin.clone(),
            version: standing.version.clone(),
            flow: key.clone(),
            execution: execution.cloned(),
            task: task.to_owned(),
        };
        let outgoing = Arc::new(Outgoing::new(self.clone(), standing.hosts.clone(), secrets.clone(), about));
        Ok(Given {
            source: standing.source.clone(),
            properties: concealed,
            grants,
            limits: standing.layers.limits.clone(),
            deletes: standing.layers.deletes.clone(),
            secrets,
            outgoing,
        })
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
        let whose = Whose { saved, key: &saved.flow.key, locked, execution: None, task };
        node.given(&whose, properties).map(Self)
    }

    /// What the guest gets.
    pub fn input(&self) -> String {
        self.0.properties.to_json().to_string()
    }

    /// What it may do.
    pub fn grants(&self) -> Arc<Grants> {
        self.0.grants.clone()
    }

    /// After the run: its outputs, with secrets again.
    pub fn end(&self, outputs: &str) -> Option<Value> {
        Value::parse_json(outputs).ok().map(|outputs| self.0.secrets.recognise(&outputs))
    }
}
