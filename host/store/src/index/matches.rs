//! Whether a row answers a question: the whole truth about it, whatever the lists have already sorted out.

use crate::query::{ExecutionFilter, LogFilter, LogScope, Query};
use crate::rows::{Execution, LogLine, Row};

/// Whether a row answers a question. Rows of another kind never do.
pub fn matches(query: &Query, row: &Row) -> bool {
    match (query, row) {
        (Query::Flows { namespace, deleted }, Row::Flow(flow)) => {
            (*deleted || !flow.deleted) && namespace.holds(&flow.key)
        }
        (Query::Executions(filter), Row::Execution(execution)) => execution_matches(filter, execution),
        (Query::Triggers { namespace, flow }, Row::Trigger(state)) => {
            namespace.holds(&state.flow) && flow.as_ref().is_none_or(|flow| *flow == state.flow)
        }
        (Query::Documents { namespace, .. }, Row::Document(document)) => {
            let place = &document.key.place;
            namespace.holds_in(&place.tenant, place.namespace.as_str())
        }
        (Query::Kv(namespace), Row::Kv(value)) => {
            namespace.holds_in(&value.place.tenant, value.place.namespace.as_str())
        }
        (Query::Secrets(namespace), Row::Secret(secret)) => {
            namespace.holds_in(&secret.place.tenant, secret.place.namespace.as_str())
        }
        (Query::Logs(filter), Row::Log(line)) => line_matches(filter, line),
        // The rest is served by its list alone.
        (query, row) => query.kind() == row.kind(),
    }
}

fn execution_matches(filter: &ExecutionFilter, execution: &Execution) -> bool {
    let record = &execution.record;
    (filter.kinds.is_empty() || filter.kinds.contains(&record.kind))
        && filter.namespace.holds(&record.flow)
        && filter.flow.as_ref().is_none_or(|flow| *flow == record.flow)
        && (filter.states.is_empty() || filter.states.contains(&record.state()))
        && filter.labels.iter().all(|label| record.labels.contains(label))
        && filter.created.holds(execution.created)
        && filter.parent.as_ref().is_none_or(|id| record.parent.as_ref().is_some_and(|parent| parent.execution == *id))
        && filter.trigger.as_ref().is_none_or(|id| record.trigger.as_ref().is_some_and(|by| by.id == *id))
        && filter.text.as_ref().is_none_or(|text| {
            let within = [record.id.as_str(), record.flow.id.as_str(), record.flow.namespace.as_str()];
            within.iter().any(|part| contains(part, text))
        })
}

fn line_matches(filter: &LogFilter, line: &LogLine) -> bool {
    let in_scope = match &filter.of {
        LogScope::Target { target, after } => *target == line.of && line.position > *after,
        LogScope::Flows { namespace, flow } => match &line.flow {
            Some(of) => namespace.holds(of) && flow.as_ref().is_none_or(|flow| flow == of),
            None => *namespace == crate::query::NamespaceMatch::Any && flow.is_none(),
        },
    };
    in_scope
        && line.level >= filter.least
        && filter.task.as_ref().is_none_or(|task| line.task.as_ref() == Some(task))
        && filter.task_run.as_ref().is_none_or(|run| line.task_run.as_ref() == Some(run))
        && filter.attempt.is_none_or(|attempt| attempt == line.attempt)
        && filter.at.holds(line.at)
        && filter.text.as_ref().is_none_or(|text| contains(&line.message, text))
}

/// Whether a text has a part, without regard to case.
fn contains(text: &str, part: &str) -> bool {
    text.to_lowercase().contains(&part.to_lowercase())
}
