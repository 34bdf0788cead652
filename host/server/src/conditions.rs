//! Conditions of listeners and of triggers. What they mean is the model's; here the calls that they make are answered.

use engine::{State, view};
use expr::{Error as ExprError, Layered, MAX_CALLS, Map, Memo, Scope, Settings, Value};
use model::condition::{Facts, Unusable};
use model::execution::Failure;
use model::ids::{ExecutionId, FlowKey};
use model::trigger::Preconditions;

use crate::node::Node;

/// Why an evaluation stopped.
enum Stop {
    /// A call must be answered first.
    Missing(Box<expr::Call>),
    Failed(Failure),
}

impl From<Unusable> for Stop {
    fn from(unusable: Unusable) -> Self {
        Self::Failed(Failure::new("condition", unusable.to_string()))
    }
}

/// Whether all conditions of a list hold for an execution.
pub(crate) async fn all_hold(
    node: &Node,
    state: &State,
    scope: &dyn Scope,
    conditions: &Value,
    flow: &FlowKey,
) -> Result<bool, Failure> {
    let attempts = view::attempts(state);
    let facts = Facts { flow, execution: view::execution_facts(state, &attempts) };
    let conditions = conditions.as_list().unwrap_or_default();
    let id = state.execution().map(|execution| execution.id.clone());
    facts_hold(node, &facts, scope, conditions, id.as_ref()).await
}

/// Whether all conditions of a list hold.
pub(crate) async fn facts_hold(
    node: &Node,
    facts: &Facts<'_>,
    scope: &dyn Scope,
    conditions: &[Value],
    execution: Option<&ExecutionId>,
) -> Result<bool, Failure> {
    tell(node, scope, facts.flow, execution, |render| model::condition::all_hold(conditions, facts, render)).await
}

/// The names of what comes to pass with an execution.
pub(crate) async fn preconditions_met(
    node: &Node,
    facts: &Facts<'_>,
    scope: &dyn Scope,
    preconditions: &Preconditions,
    execution: &ExecutionId,
) -> Result<Vec<String>, Failure> {
    let Some(found) = facts.execution else { return Ok(Vec::new()) };
    tell(node, scope, facts.flow, Some(execution), |render| preconditions.met(&found, render)).await
}

/// Renders a template with variables in front of the usual ones.
type Render<'r> = dyn FnMut(&Value, &Map) -> Result<Value, Stop> + 'r;

/// Evaluates, answers what is missing, and evaluates again. Bounded.
async fn tell<T>(
    node: &Node,
    scope: &dyn Scope,
    flow: &FlowKey,
    execution: Option<&ExecutionId>,
    evaluate: impl Fn(&mut Render<'_>) -> Result<T, Stop>,
) -> Result<T, Failure> {
    let mut memo = Memo::new();
    for _ in 0..MAX_CALLS {
        let mut render = |template: &Value, variables: &Map| {
            let scope = Layered { front: variables, back: scope };
            expr::render_value(template, &scope, &memo, &Settings::default()).map_err(|error| match error {
                ExprError::Missing(call) => Stop::Missing(call),
                error => Stop::Failed(Failure::new(error.code(), error.to_string())),
            })
        };
        match evaluate(&mut render) {
            Ok(told) => return Ok(told),
            Err(Stop::Failed(failure)) => return Err(failure),
            Err(Stop::Missing(call)) => {
                let answer = node.answer(&call, flow, execution).await;
                memo.insert(*call, answer);
            }
        }
    }
    Err(Failure::new("expression.limit.calls", format!("conditions make more than {MAX_CALLS} calls")))
}
