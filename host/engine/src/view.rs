//! What expressions see of an execution, by lookups on its state. A map of everything is built only when everything is asked for.

use std::sync::Arc;

use expr::{Lookup, Map, Memo, Scope, Value};
use jiff::Timestamp;
use model::condition::ExecutionFacts;
use model::execution::{Execution, TaskRun};
use model::ids::{FlowKey, TaskId, TaskRunId};
use model::state::State as Status;

use crate::apart::{Outputs, Show};
use crate::command::RenderScope;
use crate::flowable::items::batches_of;
use crate::state::State;

pub use crate::apart::STORED_OUTPUTS;

/// The variables an expression of a task run, or of the execution, sees. `envs`, `globals` and functions come from the shell.
#[derive(Clone, Copy, Debug)]
pub struct View<'a> {
    state: &'a State,
    run: Option<&'a TaskRunId>,
    /// Of a ForEachItem.
    batch: Option<u32>,
}

/// The names a view may know.
const NAMES: [&str; 13] = [
    "execution",
    "flow",
    "inputs",
    "labels",
    "outputs",
    "parent",
    "parents",
    "task",
    "taskrun",
    "tasks",
    "trigger",
    "vars",
    "workerTaskrun",
];

impl<'a> View<'a> {
    /// In the eyes of the execution.
    pub fn of_execution(state: &'a State) -> Self {
        Self { state, run: None, batch: None }
    }

    /// In the eyes of a task run.
    pub fn of_run(state: &'a State, run: &'a TaskRunId) -> Self {
        Self { state, run: Some(run), batch: None }
    }

    /// In the eyes of a task run, for one batch of a ForEachItem.
    pub fn of_batch(state: &'a State, run: &'a TaskRunId, batch: u32) -> Self {
        Self { state, run: Some(run), batch: Some(batch) }
    }

    /// In whose eyes a render happens. `state` is that of the execution whose eyes they are, with `RenderScope::Child` the child's.
    pub fn in_scope(state: &'a State, scope: &'a RenderScope) -> Self {
        match scope {
            RenderScope::Execution | RenderScope::Child(_) => Self::of_execution(state),
            RenderScope::Run(run) => Self::of_run(state, run),
            RenderScope::Batch { run, batch } => Self::of_batch(state, run, *batch),
        }
    }

    /// The flow it runs.
    pub fn flow(&self) -> Option<&'a FlowKey> {
        self.execution().map(|execution| &execution.flow)
    }

    fn execution(&self) -> Option<&'a Execution> {
        self.state.execution().map(Arc::as_ref)
    }

    fn task_run(&self) -> Option<&'a TaskRun> {
        self.run.and_then(|run| self.state.run(run))
    }

    /// A task run's outputs or state by its task and iteration values; how many steps of the path were used.
    fn of_task(&self, path: &[&str], show: Show<'_>) -> Option<(Value, usize)> {
        let (task, keys) = path.split_first()?;
        let task = TaskId::trusted(*task);
        for taken in (0..=keys.len()).rev() {
            let values: Vec<String> = keys.iter().take(taken).map(|key| (*key).to_owned()).collect();
            if let Some(shown) = self.state.run_of(&task, &values).and_then(|run| show(run, keys.get(taken).copied())) {
                return Some((shown, taken + 1));
            }
            // The sibling in the same iteration comes before the map of all iterations, for a path that goes on past the task.
            if taken == 0
                && !keys.is_empty()
                && let Some(sibling) = self.sibling(&task).and_then(|run| show(run, keys.first().copied()))
            {
                return Some((sibling, 1));
            }
            if let Some(map) = self.iterations(&task, &values, show) {
                return Some((map, taken + 1));
            }
        }
        None
    }

    // The WorkingDirectory around a task run.
    fn worker_run(&self) -> Option<&'a TaskRun> {
        let parent = self.state.run(self.task_run()?.parent.as_ref()?)?;
        let task = self.state.flow().task(&parent.task)?;
        task.is_unit().then_some(parent)
    }

    fn of_its_batch(&self, mut shown: Map) -> Value {
        if let (Some(run), Some(batch)) = (self.run, self.batch) {
            let uri = batches_of(self.state, run).map(|batches| batches.uri(batch)).unwrap_or_default();
            shown.insert(Arc::from("items"), Value::text(uri));
            shown.insert(Arc::from("iteration"), Value::Int(batch.into()));
        }
        Value::from(shown)
    }

    fn sibling(&self, task: &TaskId) -> Option<&'a TaskRun> {
        let run = self.task_run()?;
        let mut values = self.state.values_path(run.parent.as_ref(), run.value.as_ref());
        while !values.is_empty() {
            if let Some(run) = self.state.run_of(task, &values) {
                return Some(run);
            }
            values.pop();
        }
        None
    }

    /// Value -> ... -> outputs, of all iterations below these values, in the order they were created.
    fn iterations(&self, task: &TaskId, prefix: &[String], show: Show<'_>) -> Option<Value> {
        let start = Arc::new((task.clone(), prefix.to_vec()));
        let below = self.state.index.range(start..).take_while(|(key, _)| key.0 == *task && key.1.starts_with(prefix));
        let mut found: Vec<(u64, &[String], Value)> = below
            .filter_map(|(key, id)| {
                let node = self.state.node(id)?;
                Some((node.seq, key.1.get(prefix.len()..)?, show(&node.run, None)?))
            })
            .collect();
        found.sort_by_key(|(seq, _, _)| *seq);
        (!found.is_empty()).then(|| nest(found.into_iter().map(|(_, values, shown)| (values.to_vec(), shown))))
    }

    fn all_tasks(&self, show: Show<'_>) -> Value {
        let mut tasks = Map::new();
        for run in self.state.runs() {
            if !tasks.contains_key(run.task.as_str())
                && let Some((shown, _)) = self.of_task(&[run.task.as_str()], show)
            {
                tasks.insert(Arc::from(run.task.as_str()), shown);
            }
        }
        Value::from(tasks)
    }

    // The tasks that have outputs, without them: a flow has few tasks and may have many task runs.
    fn task_names(&self) -> Value {
        let has_outputs = |task: &&TaskId| {
            let start = Arc::new(((*task).clone(), Vec::new()));
            let first = self.state.index.range(start..).next().filter(|(key, _)| key.0 == **task);
            first.and_then(|(_, id)| self.state.run(id)).is_some_and(TaskRun::has_outputs)
        };
        Value::map(
            self.state.flow().all.keys().filter(has_outputs).map(|task| (Arc::<str>::from(task.as_str()), Value::Null)),
        )
    }

    fn parents(&self, show: Show<'_>) -> Vec<Value> {
        let mut parents = Vec::new();
        let mut next = self.task_run().and_then(|run| run.parent.as_ref());
        while let Some(run) = next.and_then(|id| self.state.run(id)) {
            if let Some(value) = &run.value {
                let mut entry = Map::new();
                entry.insert(Arc::from("taskrun"), Value::map([("value", Value::text(value.as_str()))]));
                if let Some(outputs) = show(run, None) {
                    entry.insert(Arc::from("outputs"), outputs);
                }
                parents.push(Value::from(entry));
            }
            next = run.parent.as_ref();
        }
        parents
    }
}

/// How the attempts of all task runs ended, for conditions.
pub fn attempts(state: &State) -> Vec<Status> {
    state.runs().flat_map(|run| run.attempts.iter().map(|attempt| attempt.history.current())).collect()
}

/// What conditions may ask about the execution. `attempts` are those of [`attempts`].
pub fn execution_facts<'a>(state: &'a State, attempts: &'a [Status]) -> Option<ExecutionFacts<'a>> {
    let execution = state.execution()?;
    Some(ExecutionFacts {
        flow: &execution.flow,
        state: execution.state(),
        labels: &execution.labels,
        outputs: &execution.outputs,
        attempts,
    })
}

impl View<'_> {
    fn variable(&self, name: &str, outputs: Show<'_>) -> Option<Value> {
        match name {
            "outputs" => Some(self.all_tasks(outputs)),
            "tasks" => Some(self.all_tasks(&shown_state)),
            "taskrun" => self.task_run().map(|run| self.of_its_batch(task_run(run))),
            "task" => {
                let task = self.state.flow().task(&self.task_run()?.task)?;
                Some(Value::map([
                    ("id", Value::text(task.id.as_str())),
                    ("type", Value::text(task.type_name.as_str())),
                ]))
            }
            "workerTaskrun" => self.worker_run().map(|run| Value::from(task_run(run))),
            "parents" => self.run.map(|_| Value::list(self.parents(outputs))),
            "parent" => self.parents(outputs).into_iter().next(),
            "execution" => self.execution().map(execution),
            "flow" => Some(flow(self.state)),
            "inputs" => self
                .execution()
                .map(|execution| nested(execution.inputs.iter().map(|(key, value)| (key.as_ref(), value.clone())))),
            "labels" => self.execution().map(|execution| {
                nested(execution.labels.iter().map(|label| (label.key.as_str(), Value::text(label.value.as_str()))))
            }),
            "vars" => self.execution().map(|execution| Value::from(execution.variables.clone())),
            "trigger" => self.execution()?.trigger.as_ref().map(|trigger| Value::from(trigger.variables.clone())),
            _ => None,
        }
    }

    fn path(&self, path: &[&str], outputs: Show<'_>) -> Option<(Value, usize)> {
        let (first, rest) = path.split_first()?;
        let indexed = match *first {
            "outputs" if !rest.is_empty() => self.of_task(rest, outputs),
            "tasks" if !rest.is_empty() => self.of_task(rest, &shown_state),
            "vars" => {
                rest.first().and_then(|name| self.execution()?.variables.get(*name).cloned()).map(|value| (value, 1))
            }
            name => return Some((self.variable(name, outputs)?, 1)),
        };
        match indexed {
            Some((value, used)) => Some((value, used + 1)),
            // No name, or nothing by that name: what is there, so that an error can name it.
            None if *first == "vars" => self.variable(first, outputs).map(|value| (value, 1)),
            None => Some((self.task_names(), 1)),
        }
    }
}

impl Scope for View<'_> {
    fn lookup(&self, name: &str, known: &Memo) -> Lookup<Value> {
        let outputs = Outputs::new(known);
        let found = self.variable(name, &|run, name| outputs.show(run, name));
        outputs.found(self.execution(), found)
    }

    fn lookup_path(&self, path: &[&str], known: &Memo) -> Lookup<(Value, usize)> {
        let outputs = Outputs::new(known);
        let found = self.path(path, &|run, name| outputs.show(run, name));
        outputs.found(self.execution(), found)
    }

    fn names(&self) -> Vec<Arc<str>> {
        NAMES
            .iter()
            .filter(|name| self.run.is_some() || !matches!(**name, "parent" | "parents" | "task" | "taskrun"))
            .filter(|name| **name != "workerTaskrun" || self.worker_run().is_some())
            .map(|name| Arc::from(*name))
            .collect()
    }
}

fn shown_state(run: &TaskRun, _: Option<&str>) -> Option<Value> {
    Some(Value::map([("state", Value::text(run.state().as_str()))]))
}

fn task_run(run: &TaskRun) -> Map {
    let ended = run.attempts.iter().filter(|attempt| attempt.history.current().is_terminal()).count();
    let mut map = Map::new();
    map.insert(Arc::from("id"), Value::text(run.id.as_str()));
    map.insert(Arc::from("startDate"), instant(run.history.started()));
    map.insert(Arc::from("attemptsCount"), Value::Int(ended as i64));
    if let Some(parent) = &run.parent {
        map.insert(Arc::from("parentId"), Value::text(parent.as_str()));
    }
    if let Some(value) = &run.value {
        map.insert(Arc::from("value"), Value::text(value.as_str()));
    }
    if let Some(iteration) = run.iteration {
        map.insert(Arc::from("iteration"), Value::Int(iteration.into()));
    }
    map
}

fn execution(execution: &Execution) -> Value {
    let mut map = Map::new();
    map.insert(Arc::from("id"), Value::text(execution.id.as_str()));
    map.insert(Arc::from("startDate"), instant(execution.history.started()));
    map.insert(Arc::from("state"), Value::text(execution.state().as_str()));
    let original = execution.original.as_ref().unwrap_or(&execution.id);
    map.insert(Arc::from("originalId"), Value::text(original.as_str()));
    if execution.state() != Status::Running || !execution.outputs.is_empty() {
        map.insert(Arc::from("outputs"), Value::from(execution.outputs.clone()));
    }
    Value::from(map)
}

fn flow(state: &State) -> Value {
    let flow = state.flow();
    Value::map([
        ("id", Value::text(flow.key.id.as_str())),
        ("namespace", Value::text(flow.key.namespace.as_str())),
        ("revision", Value::Int(flow.revision.into())),
        ("tenantId", Value::text(flow.key.tenant.clone())),
    ])
}

fn instant(at: Timestamp) -> Value {
    Value::text(at.strftime("%Y-%m-%dT%H:%M:%S%.3fZ").to_string())
}

/// Keys with dots in them nest.
fn nested<'a>(entries: impl Iterator<Item = (&'a str, Value)>) -> Value {
    nest(entries.map(|(key, value)| (key.split('.').map(str::to_owned).collect(), value)))
}

fn nest(entries: impl Iterator<Item = (Vec<String>, Value)>) -> Value {
    let mut root = Branch::default();
    for (path, value) in entries {
        root.insert(&path, value);
    }
    root.into_value()
}

#[derive(Default)]
struct Branch {
    entries: indexmap::IndexMap<String, Entry>,
}

enum Entry {
    Leaf(Value),
    Branch(Branch),
}

impl Branch {
    fn insert(&mut self, path: &[String], value: Value) {
        match path {
            [] => {}
            [last] => drop(self.entries.insert(last.clone(), Entry::Leaf(value))),
            [first, rest @ ..] => {
                let entry = self.entries.entry(first.clone()).or_insert_with(|| Entry::Branch(Branch::default()));
                if let Entry::Leaf(_) = entry {
                    *entry = Entry::Branch(Branch::default());
                }
                if let Entry::Branch(branch) = entry {
                    branch.insert(rest, value);
                }
            }
        }
    }

    fn into_value(self) -> Value {
        let entries = self.entries.into_iter().map(|(key, entry)| match entry {
            Entry::Leaf(value) => (Arc::<str>::from(key), value),
            Entry::Branch(branch) => (Arc::<str>::from(key), branch.into_value()),
        });
        Value::Map(Arc::new(entries.collect()))
    }
}
