//! Answers what the engine asks to be rendered, and renders the properties of tasks. Evaluation is pure; only here calls are made.

mod answers;
mod coerce;
mod written;

use std::sync::Arc;

use engine::view::View;
use engine::{RenderScope, Rendering, State};
use expr::{Error as ExprError, Lookup, MAX_CALLS, Map, Memo, Scope, Settings, Value};
use model::execution::{Failure, TaskRun};
use model::ids::{ExecutionId, FlowKey, TaskRunId};
use model::lock::Locked;

use crate::flows::SavedFlow;
use crate::node::Node;
use crate::sealing::{Sealer, Unopened};

/// What is said of a secret input that another server's key has sealed.
const SEALED: &str = "a secret input cannot be opened: it was sealed with another encryption key; hint: start the server with the key it had (SLUICE_ENCRYPTION_KEY, or `encryption.key` in its data directory)";

/// How a tree of templates becomes values.
#[derive(Clone, Copy)]
enum Mode {
    Typed,
    Text,
}

impl Node {
    /// The answer to `Command::Render`: values by name, or the first failure.
    pub(crate) async fn render(
        &self,
        state: &State,
        saved: &SavedFlow,
        scope: &RenderScope,
        templates: Vec<(&'static str, Value, Rendering)>,
    ) -> Result<Map, Failure> {
        let other;
        let (state, view) = match scope {
            RenderScope::Execution => (state, View::of_execution(state)),
            RenderScope::Run(run) => (state, View::of_run(state, run)),
            RenderScope::Batch { run, batch } => (state, View::of_batch(state, run, *batch)),
            RenderScope::Child(child) => {
                other = crate::apply::stored_state(self, child)
                    .await
                    .map_err(|error| Failure::new("RENDER", error.to_string()))?;
                (&other, View::of_execution(&other))
            }
        };
        let execution = state.execution().map(|execution| execution.id.clone());
        let scope = RunScope { node: self, view };
        let mut memo = Memo::new();
        let mut values = Map::new();
        for (site, (name, template, rendering)) in templates.into_iter().enumerate() {
            let mode = match rendering {
                Rendering::Typed => Mode::Typed,
                Rendering::Text => Mode::Text,
                Rendering::Conditions => {
                    let holds = crate::conditions::all_hold(self, state, &scope, &template, &saved.flow.key).await?;
                    values.insert(name.into(), Value::Bool(holds));
                    continue;
                }
            };
            let flow = &saved.flow.key;
            let asked = Asked { scope: &scope, mode, site, flow, execution: execution.as_ref(), may: None };
            values.insert(name.into(), self.evaluate(asked, &template, &mut memo).await?);
        }
        Ok(values)
    }

    /// One expression in the eyes of an execution.
    pub(crate) async fn holds(&self, state: &State, saved: &SavedFlow, condition: &Value) -> Result<Value, Failure> {
        let templates = vec![("condition", condition.clone(), Rendering::Typed)];
        let values = self.render(state, saved, &RenderScope::Execution, templates).await?;
        Ok(values.get("condition").cloned().unwrap_or(Value::Null))
    }

    /// What expressions of an execution see.
    pub(crate) fn scope_of<'a>(&'a self, state: &'a State) -> impl Scope + 'a {
        RunScope { node: self, view: View::of_execution(state) }
    }

    /// Renders a value with any variables, typed or as text.
    pub(crate) async fn render_in(
        &self,
        scope: &dyn Scope,
        template: &Value,
        typed: bool,
        flow: &FlowKey,
        execution: Option<&ExecutionId>,
    ) -> Result<Value, Failure> {
        let mode = if typed { Mode::Typed } else { Mode::Text };
        let asked = Asked { scope, mode, site: 0, flow, execution, may: None };
        self.evaluate(asked, template, &mut Memo::new()).await
    }

    /// Renders a text in the eyes of a flow that is not started yet, with these variables in front.
    pub(crate) async fn render_before(&self, saved: &SavedFlow, front: &Map, text: &str) -> Result<Value, Failure> {
        let back = crate::inputs::FlowScope { node: self, flow: &saved.flow };
        let scope = expr::Layered { front, back: &back };
        self.render_in(&scope, &Value::from(text), true, &saved.flow.key, None).await
    }

    /// Renders a text that is not the flow's: each call is made only if it may be.
    pub(crate) async fn render_asking(
        &self,
        scope: &dyn Scope,
        template: &Value,
        flow: &FlowKey,
        execution: Option<&ExecutionId>,
        may: &May<'_>,
    ) -> Result<Value, Failure> {
        let asked = Asked { scope, mode: Mode::Text, site: 0, flow, execution, may: Some(may) };
        self.evaluate(asked, template, &mut Memo::new()).await
    }

    /// The properties of a plugin's task as its schema wants them. Those the plugin renders itself, or never, stay as written.
    pub(crate) async fn render_properties(
        &self,
        state: &State,
        saved: &SavedFlow,
        run: &TaskRun,
        properties: &Map,
        locked: &Locked,
    ) -> Result<Value, Failure> {
        let execution = state.execution().map(|execution| execution.id.clone());
        let scope = RunScope::of_run(self, state, &run.id);
        self.render_properties_in(&scope, &saved.flow.key, execution.as_ref(), properties, locked).await
    }

    /// The same with any variables: of a task, or of a trigger.
    pub(crate) async fn render_properties_in(
        &self,
        scope: &dyn Scope,
        flow: &FlowKey,
        execution: Option<&ExecutionId>,
        properties: &Map,
        locked: &Locked,
    ) -> Result<Value, Failure> {
        let catalog = self.catalog();
        let package = catalog.locked(locked).map_err(crate::plugins::unusable)?;
        let task = package.manifest().task(&locked.task_type);
        let mut memo = Memo::new();
        let mut rendered = Map::new();
        for (site, (name, value)) in properties.iter().enumerate() {
            let unrendered = task.into_iter().flat_map(|task| {
                let markers = &task.markers;
                markers.render_never.iter().chain(&markers.render_later)
            });
            let known = || task.is_some_and(|task| task.properties.pointer("/properties/description").is_some());
            if name.as_ref() == "description" && !known() {
                // Of the task alone.
                continue;
            }
            let as_written = written::of_property(unrendered, name);
            if written::is_here(&as_written) {
                rendered.insert(name.clone(), value.clone());
                continue;
            }
            let asked = Asked { scope, mode: Mode::Typed, site, flow, execution, may: None };
            let typed = self
                .evaluate(asked, &written::taken_out(value, &as_written), &mut memo)
                .await
                .map_err(|failure| Failure { message: format!("property `{name}`: {}", failure.message), ..failure })?;
            let fitted = match task {
                // A text was written: a template of it that gives nothing gives an empty text, where text fits.
                Some(task)
                    if typed.is_null() && value.as_str().is_some() && coerce::takes_text(&task.properties, name) =>
                {
                    Value::from("")
                }
                Some(task) => coerce::property(&task.properties, name, value, typed),
                None => typed,
            };
            rendered.insert(name.clone(), written::put_back(value, fitted, &as_written));
        }
        Ok(Value::from(rendered))
    }

    /// Evaluates, answers what is missing, and evaluates again. Bounded.
    async fn evaluate(&self, asked: Asked<'_>, template: &Value, memo: &mut Memo) -> Result<Value, Failure> {
        let settings = Settings { site: u32::try_from(asked.site).unwrap_or(u32::MAX), ..Settings::default() };
        for _ in 0..MAX_CALLS {
            let result = match asked.mode {
                Mode::Typed => expr::render_value(template, asked.scope, memo, &settings),
                Mode::Text => text(template, asked.scope, memo, &settings),
            };
            match result {
                Ok(value) => return self.unsealed(value),
                Err(ExprError::Missing(call)) => {
                    if let Some(Err(refused)) = asked.may.map(|may| may(&call)) {
                        return Err(Failure::new(&refused.code, refused.message));
                    }
                    let answer = self.answer(&call, asked.flow, asked.execution).await;
                    memo.insert(*call, answer);
                }
                Err(error) => return Err(failure_of(&error)),
            }
        }
        Err(Failure::new("expression.limit.calls", format!("an expression makes more than {MAX_CALLS} calls")))
    }

    /// Gives secrets that were read back from the store their values again.
    pub(crate) fn unsealed(&self, value: Value) -> Result<Value, Failure> {
        match value.has_secret() {
            true => value.unseal(&|name| self.clear(name)).map_err(|error| failure_of(&error)),
            false => Ok(value),
        }
    }

    /// The value of a stored secret: one that was sealed by this server, or one that is looked up by its name.
    fn clear(&self, name: &str) -> Option<Arc<str>> {
        match self.config.sealer.open(name) {
            Err(Unopened::NotSealed) => self.called_secret(name).map(|found| found.value),
            opened => opened.ok().map(Arc::from),
        }
    }

    /// Variables that are the server's or the namespace's, not the execution's.
    pub(crate) fn shell_variable(&self, name: &str, namespace: &str) -> Option<Value> {
        match name {
            "namespace" => Some(Value::from(self.namespaces.all().variables_for(namespace))),
            "envs" => {
                let entries = self.config.environment.iter();
                Some(Value::map(entries.map(|(name, value)| (name.as_str(), Value::from(value.as_str())))))
            }
            "globals" => Some(Value::from(self.config.globals.clone())),
            _ => None,
        }
    }
}

/// One evaluation.
#[derive(Clone, Copy)]
struct Asked<'a> {
    scope: &'a dyn Scope,
    mode: Mode,
    site: usize,
    flow: &'a FlowKey,
    execution: Option<&'a ExecutionId>,
    /// Asked before each call; none: every call may be made.
    may: Option<&'a May<'a>>,
}

/// Whether a call may be made.
pub(crate) type May<'a> = dyn Fn(&expr::Call) -> Result<(), runtime::HostError> + Send + Sync + 'a;

fn failure_of(error: &ExprError) -> Failure {
    match error {
        ExprError::Sealed { names } if names.iter().any(|name| Sealer::made(name)) => {
            Failure::new("SECRET_SEALED", SEALED)
        }
        error => Failure::new(error.code(), error.to_string()),
    }
}

fn text(template: &Value, scope: &dyn Scope, memo: &Memo, settings: &Settings) -> Result<Value, ExprError> {
    match template.as_str() {
        Some(source) => expr::render_text(source, scope, memo, settings).map(Value::Text),
        None => expr::render_map(template, scope, memo, settings),
    }
}

/// An execution's variables, with the server's behind them.
pub(crate) struct RunScope<'a> {
    node: &'a Node,
    view: View<'a>,
}

impl<'a> RunScope<'a> {
    /// The variables of an execution.
    pub(crate) fn of_execution(node: &'a Node, state: &'a State) -> Self {
        Self { node, view: View::of_execution(state) }
    }

    /// The variables in the eyes of a task run.
    pub(crate) fn of_run(node: &'a Node, state: &'a State, run: &'a TaskRunId) -> Self {
        Self { node, view: View::of_run(state, run) }
    }

    fn shell_variable(&self, name: &str) -> Option<Value> {
        let namespace = self.view.flow().map(|flow| flow.namespace.as_str());
        self.node.shell_variable(name, namespace.unwrap_or_default())
    }

    /// What is stored of a secret is what it is called. One that cannot be opened stays sealed: whoever needs its value is told.
    fn opened(&self, value: Value) -> Value {
        match value.has_secret() {
            true => value.unseal(&|name| self.node.clear(name)).unwrap_or(value),
            false => value,
        }
    }
}

impl Scope for RunScope<'_> {
    fn lookup(&self, name: &str, known: &Memo) -> Lookup<Value> {
        let found = self.view.lookup(name, known)?.map(|value| self.opened(value));
        Ok(found.or_else(|| self.shell_variable(name)))
    }

    fn lookup_path(&self, path: &[&str], known: &Memo) -> Lookup<(Value, usize)> {
        let shell = || path.first().and_then(|name| self.shell_variable(name)).map(|value| (value, 1));
        let found = self.view.lookup_path(path, known)?.map(|(value, steps)| (self.opened(value), steps));
        Ok(found.or_else(shell))
    }

    fn names(&self) -> Vec<Arc<str>> {
        let mut names = self.view.names();
        names.extend(["envs", "globals", "namespace"].map(Arc::from));
        names
    }
}
