//! Rows for stores that are filled directly: a million executions are there in seconds, without having run.

use std::sync::Arc;

use expr::{Map, Value};
use jiff::Timestamp;
use model::execution::{Attempt, Kind, SEMANTICS};
use model::flow::Label;
use model::ids::{ExecutionId, FlowId, FlowKey, Namespace, TENANT, TaskId, TaskRunId};
use model::state::{History, State};
use model::task::LogLevel;
use store::rows::{Execution, Flow, LogLine, Target, TaskRun};

/// A moment, in seconds after 1970.
pub fn at(seconds: i64) -> Timestamp {
    Timestamp::from_second(seconds).expect("a moment that can be written")
}

/// A flow's key.
pub fn flow_key(namespace: &str, id: &str) -> FlowKey {
    FlowKey { tenant: TENANT.into(), namespace: Namespace::trusted(namespace), id: FlowId::trusted(id) }
}

/// The first revision of a flow.
pub fn flow(key: &FlowKey, source: &str) -> Flow {
    Flow {
        key: key.clone(),
        revision: 1,
        source: source.into(),
        lock: Arc::default(),
        inherited_defaults: Vec::new(),
        labels: Vec::new(),
        disabled: false,
        deleted: false,
        created: at(0),
    }
}

fn history(state: State, seconds: i64) -> History {
    let mut history = History::new(State::Created, at(seconds));
    for (later, next) in [(1, State::Running), (2, state)] {
        if history.current() != next {
            history.enter(next, at(seconds + later));
        }
    }
    history
}

/// An execution that was created at a moment, in seconds, and is in a state since.
pub fn execution(id: &str, flow: &FlowKey, seconds: i64, state: State) -> Execution {
    let record = model::execution::Execution {
        id: ExecutionId::trusted(id),
        flow: flow.clone(),
        revision: 1,
        kind: Kind::Normal,
        semantics: SEMANTICS,
        history: history(state, seconds),
        labels: Vec::new(),
        inputs: Map::new(),
        variables: Map::new(),
        outputs: Map::new(),
        trigger: None,
        parent: None,
        original: None,
        retried_since: None,
        attempt: 1,
        generation: 0,
        scheduled: None,
        failure: None,
        breakpoints: Vec::new(),
    };
    Execution { record, sequence: 0, snapshot: 0, lock: None, created: at(seconds) }
}

/// A label.
pub fn label(key: &str, value: &str) -> Label {
    Label { key: key.to_owned(), value: value.to_owned() }
}

/// A task run of an iteration, with one attempt.
pub fn task_run(execution: &str, number: u32, state: State) -> TaskRun {
    let record = model::execution::TaskRun {
        id: TaskRunId::trusted(format!("run-{number:08}")),
        task: TaskId::trusted("each"),
        parent: None,
        value: Some(number.to_string()),
        iteration: Some(number),
        history: history(state, 0),
        attempts: vec![Attempt { history: history(state, 0), failure: None }],
        outputs: Value::Null,
        apart: Vec::new(),
    };
    TaskRun { execution: ExecutionId::trusted(execution), record, order: number.into() }
}

/// A line of an execution's log.
pub fn line(execution: &str, flow: &FlowKey, seconds: i64, level: LogLevel, message: &str) -> LogLine {
    LogLine {
        of: Target::Execution(ExecutionId::trusted(execution)),
        position: 0,
        at: at(seconds),
        level,
        flow: Some(flow.clone()),
        task: Some(TaskId::trusted("say")),
        task_run: None,
        attempt: 1,
        message: message.into(),
        fields: Vec::new(),
    }
}
