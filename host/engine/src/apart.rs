//! Outputs that are stored apart from the state, while one lookup of an expression goes on: taken from the answers that are known, or asked
//! for all at once.

use std::cell::RefCell;
use std::sync::Arc;

use expr::{Answer, Call, Error, Lookup, Memo, Value};
use model::execution::{Execution, TaskRun};

/// What is shown of a task run, and which name of it is looked at, if only that one is.
pub(crate) type Show<'s> = &'s dyn Fn(&TaskRun, Option<&str>) -> Option<Value>;

/// The call that gives the outputs of task runs that are stored apart: a map, by the id of the task run. `execution` has them, `runs` is
/// the list of their ids.
pub const STORED_OUTPUTS: &str = "storedOutputs";

/// Outputs while one lookup goes on: those that are stored apart are taken from the answers, or noted as missing.
pub(crate) struct Outputs<'a> {
    known: &'a Memo,
    missing: RefCell<Vec<Value>>,
    failed: RefCell<Option<Error>>,
}

impl<'a> Outputs<'a> {
    pub fn new(known: &'a Memo) -> Self {
        Self { known, missing: RefCell::default(), failed: RefCell::default() }
    }

    /// The outputs of a task run. With a name only that one is wanted.
    pub fn show(&self, run: &TaskRun, name: Option<&str>) -> Option<Value> {
        let is_apart = |name: &str| run.apart.iter().any(|apart| apart.as_ref() == name);
        if !run.apart.is_empty() && name.is_none_or(is_apart) {
            match self.answered(run) {
                Some(Ok(outputs)) => return Some(outputs),
                Some(Err(error)) => drop(self.failed.borrow_mut().get_or_insert(error)),
                None => self.missing.borrow_mut().push(Value::text(run.id.as_str())),
            }
        }
        run.has_outputs().then(|| run.outputs.clone())
    }

    fn answered(&self, run: &TaskRun) -> Option<Result<Value, Error>> {
        let answers = self.known.iter().filter(|(call, _)| &*call.function == STORED_OUTPUTS);
        let mut of_run = answers.filter_map(|(call, answer)| match answer {
            Answer::Value(outputs) => outputs.get(run.id.as_str()).cloned().map(Ok),
            Answer::Absent(why) | Answer::Failed(why) => {
                let asked = call.arg("runs").and_then(Value::as_list).unwrap_or_default();
                let is_of_run = asked.iter().any(|id| id.as_str() == Some(run.id.as_str()));
                is_of_run.then(|| Err(Error::invalid(why.as_str())))
            }
        });
        of_run.next()
    }

    /// What was found, unless something was missing.
    pub fn found<T>(self, execution: Option<&Execution>, found: Option<T>) -> Lookup<T> {
        if let Some(error) = self.failed.into_inner() {
            return Err(error);
        }
        let missing = self.missing.into_inner();
        if missing.is_empty() {
            return Ok(found);
        }
        let execution = execution.map(|execution| Value::text(execution.id.as_str())).unwrap_or_default();
        let args = vec![(Arc::from("execution"), execution), (Arc::from("runs"), Value::list(missing))];
        Err(Error::Missing(Box::new(Call { args, ..Call::new(STORED_OUTPUTS) })))
    }
}
