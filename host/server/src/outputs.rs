//! Outputs of task runs that are large: the state of an execution, its changes and its snapshots name them, the stored row of the task run
//! has them. So an execution takes as much memory as it has task runs, not as much as they give.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use expr::{Answer, Call, Map, Value};
use model::change::{Apart, Change};
use model::execution::TaskRun;
use model::ids::{ExecutionId, TaskRunId};
use store::View;
use store::rows::{self, Key};

use crate::error::Error;
use crate::node::Node;

/// An output is large from so many bytes on (design.md, section 4).
const APART_FROM_BYTES: usize = 4 << 10;
/// Most bytes of large outputs that one lookup of an expression brings into memory.
const AT_ONCE_MAX_BYTES: usize = 64 << 20;
/// What a value counts for beside its texts.
const VALUE_BYTES: usize = 8;

/// Large outputs that are decided on and not yet in the store: what is decided in the same turn may ask for them.
#[derive(Default)]
pub(crate) struct Undurable(Mutex<HashMap<(ExecutionId, TaskRunId), Held>>);

impl Undurable {
    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<(ExecutionId, TaskRunId), Held>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// All outputs of a task run of which some are large.
#[derive(Clone)]
enum Held {
    Here(Value),
    /// Those of the task run that it is a copy of.
    Of(ExecutionId, TaskRunId),
}

/// The large outputs of one turn. Once it is dropped only the store has them.
pub(crate) struct OfTurn {
    node: Arc<Node>,
    execution: ExecutionId,
    held: HashMap<TaskRunId, Held>,
}

impl OfTurn {
    pub fn new(node: Arc<Node>, execution: ExecutionId) -> Self {
        Self { node, execution, held: HashMap::new() }
    }

    /// The change as it is recorded: without outputs that are large.
    pub fn without_large(&mut self, change: Change) -> Change {
        let Change::Outputs { run, outputs, apart } = change else { return change };
        if let Some((execution, original)) = apart.as_ref().and_then(|apart| apart.of.clone()) {
            self.hold(&run, Held::Of(execution, original));
            return Change::Outputs { run, outputs, apart };
        }
        let is_large = |(_, value): &(&Arc<str>, &Value)| bytes(value, APART_FROM_BYTES) >= APART_FROM_BYTES;
        let large = outputs.as_map().into_iter().flatten().filter(is_large);
        let names: Vec<Arc<str>> = large.map(|(name, _)| name.clone()).collect();
        if names.is_empty() {
            return Change::Outputs { run, outputs, apart: None };
        }
        let mut small = outputs.as_map().cloned().unwrap_or_default();
        small.retain(|name, _| !names.contains(name));
        self.hold(&run, Held::Here(outputs));
        Change::Outputs { run, outputs: Value::from(small), apart: Some(Apart { names, of: None }) }
    }

    fn hold(&mut self, run: &TaskRunId, held: Held) {
        self.node.undurable.lock().insert((self.execution.clone(), run.clone()), held.clone());
        self.held.insert(run.clone(), held);
    }

    /// The task run as its row shows it: with all outputs.
    pub async fn whole(&self, run: &TaskRun) -> Result<TaskRun, Error> {
        let mut shown = run.clone();
        if !run.apart.is_empty() {
            shown.apart = Vec::new();
            shown.outputs = self.node.whole_outputs(&self.execution, &run.id).await?;
        }
        Ok(shown)
    }
}

impl Drop for OfTurn {
    fn drop(&mut self) {
        if self.held.is_empty() {
            return;
        }
        let mut undurable = self.node.undurable.lock();
        for run in std::mem::take(&mut self.held).into_keys() {
            undurable.remove(&(self.execution.clone(), run));
        }
    }
}

impl Node {
    /// All outputs of a task run: what a turn has decided, else what its row has.
    async fn whole_outputs(&self, execution: &ExecutionId, run: &TaskRunId) -> Result<Value, Error> {
        let held = self.undurable.lock().get(&(execution.clone(), run.clone())).cloned();
        let key = match held {
            Some(Held::Here(outputs)) => return Ok(outputs),
            Some(Held::Of(execution, original)) => Key::TaskRun(execution, original),
            None => Key::TaskRun(execution.clone(), run.clone()),
        };
        let found = self.store.find::<rows::TaskRun>(View::Newest, key.clone()).await?;
        let found = found.ok_or_else(|| {
            Error::NotFound(format!(
                "the outputs of {key} are gone (hint: its execution was deleted while it was replayed)"
            ))
        })?;
        Ok(found.record.outputs.clone())
    }

    /// The answer to [`engine::view::STORED_OUTPUTS`].
    pub(crate) async fn answer_outputs(&self, call: &Call) -> Answer {
        let execution = ExecutionId::trusted(call.arg_text("execution").unwrap_or_default());
        let mut found = Map::new();
        let mut left_bytes = AT_ONCE_MAX_BYTES;
        for id in call.arg("runs").and_then(Value::as_list).unwrap_or_default() {
            let run = TaskRunId::trusted(id.as_str().unwrap_or_default());
            let outputs = match self.whole_outputs(&execution, &run).await {
                Ok(outputs) => outputs,
                Err(error) => return Answer::Failed(error.to_string()),
            };
            left_bytes = match left_bytes.checked_sub(bytes(&outputs, left_bytes + 1)) {
                Some(left) => left,
                None => {
                    return Answer::Failed(format!(
                        "the outputs that this asks for have more than {} MiB (hint: name the task, iteration and output that are needed)",
                        AT_ONCE_MAX_BYTES >> 20
                    ));
                }
            };
            found.insert(Arc::from(run.as_str()), outputs);
        }
        Answer::Value(Value::from(found))
    }
}

/// About how long a value is as JSON; counting ends at `most`.
fn bytes(value: &Value, most: usize) -> usize {
    let mut sum = VALUE_BYTES;
    match value {
        Value::Text(text) => sum += text.masked().len(),
        Value::List(items) => {
            for item in items.iter() {
                if sum >= most {
                    break;
                }
                sum += bytes(item, most - sum);
            }
        }
        Value::Map(map) => {
            for (name, item) in map.iter() {
                if sum >= most {
                    break;
                }
                sum += name.len() + bytes(item, most - sum);
            }
        }
        _ => {}
    }
    sum
}
