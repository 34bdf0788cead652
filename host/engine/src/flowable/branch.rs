//! If and Switch: which branch runs.

use expr::{Map, Value};
use model::change::{Branch, Evaluated};
use model::ids::{TaskId, TaskRunId};

use crate::draft::{Draft, failure};
use crate::task::text_of;

impl Draft {
    pub(crate) fn branch_if(&mut self, run: &TaskRunId, values: &Map) {
        let holds = values.get("condition").is_some_and(Value::truthy);
        self.evaluated(run, Evaluated::If { holds });
        self.outputs(run, Value::map([("evaluationResult", Value::Bool(holds))]));
        self.open_frame(run);
    }

    pub(crate) fn branch_switch(
        &mut self,
        run: &TaskRunId,
        cases: &[(String, Vec<TaskId>)],
        defaults: &[TaskId],
        values: &Map,
    ) {
        let value = text_of(values, "value").unwrap_or_default();
        let case = cases.iter().position(|(case, _)| *case == *value);
        let branch = match case {
            Some(case) => Branch::Case(case as u32),
            None if !defaults.is_empty() => Branch::Defaults,
            None => {
                let message =
                    format!("no case for the value `{value}`, and no defaults (hint: add a case or `defaults`)");
                return self.fail(run, failure("no-case", message));
            }
        };
        self.evaluated(run, Evaluated::Switch { branch });
        self.outputs(
            run,
            Value::map([("value", Value::text(value)), ("defaults", Value::Bool(branch == Branch::Defaults))]),
        );
        self.open_frame(run);
    }
}
