//! What one run is given: its properties with placeholders in place of secrets, what it may do, and its way out. Of tasks and of polls alike.

use std::borrow::Cow;
use std::sync::Arc;

use catalog::PropertyPath;
use expr::Value;
use model::execution::Failure;
use model::ids::{ExecutionId, FlowKey, TaskId};
use model::lock::Locked;
use runtime::{Grants, Limits, PluginSource};

use super::alarms::About;
use super::outgoing::Outgoing;
use super::secret;
use super::secrets::RunSecrets;
use super::standing::Standing;
use crate::flows::SavedFlow;
use crate::node::Node;
use crate::plugins::providers_in;

/// What one run is given.
pub(super) struct Given {
    pub source: PluginSource,
    /// As the guest gets them.
    pub properties: Value,
    /// With the secrets in them.
    pub rendered: Value,
    pub grants: Arc<Grants>,
    pub limits: Limits,
    pub secrets: Arc<RunSecrets>,
    pub outgoing: Arc<Outgoing>,
    /// Whether it asks models of language.
    pub asks_models: bool,
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
        let marks = self.marks(saved, &standing, properties)?;
        let rendered = secret::marked(properties, &marks, &seal);
        let grants = standing.layers.of_run(&rendered)?;
        let secrets = Arc::new(RunSecrets::default());
        let concealed = secrets.conceal(&rendered);
        secrets.remember_written(&concealed, &marks);
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
            rendered,
            grants,
            limits: standing.layers.limits.clone(),
            secrets,
            outgoing,
            asks_models: standing.asks_models,
        })
    }

    /// Which properties are secret: by the schema of the task's type, and by those of the providers that it names.
    fn marks<'s>(
        &self,
        saved: &SavedFlow,
        standing: &'s Standing,
        properties: &Value,
    ) -> Result<Cow<'s, [PropertyPath]>, Failure> {
        let (Value::Map(named), false) = (properties, saved.lock.providers.is_empty()) else {
            return Ok(Cow::Borrowed(&standing.marked));
        };
        let mut marks = standing.marked.clone();
        for one in providers_in(named, |name| saved.lock.providers.contains_key(name)) {
            let Some(locked) = saved.lock.providers.get(&one.type_name) else { continue };
            let provider = self.standing(&saved.standings, &saved.flow, locked)?;
            marks.extend(provider.marked.iter().map(|mark| mark.below(&one.path)));
        }
        Ok(Cow::Owned(marks))
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
