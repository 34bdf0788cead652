//! Rows to test with.

use std::collections::BTreeMap;
use std::sync::Arc;

use expr::{Map, Value};
use jiff::{SignedDuration, Timestamp};
use model::execution::{self, Kind};
use model::flow::Label;
use model::ids::{ExecutionId, FlowId, FlowKey, Namespace, TENANT, TaskId, TaskRunId, TriggerId};
use model::state::{History, State};
use model::task::LogLevel;

use crate::rows::*;

/// A time, in seconds after the epoch.
pub fn at(seconds: i64) -> Timestamp {
    Timestamp::from_second(seconds).unwrap()
}

pub fn flow_key(namespace: &str, id: &str) -> FlowKey {
    FlowKey { tenant: TENANT.into(), namespace: Namespace::trusted(namespace), id: FlowId::trusted(id) }
}

pub fn place(namespace: &str) -> NamespaceKey {
    NamespaceKey::main(Namespace::trusted(namespace))
}

pub fn execution_id(id: &str) -> ExecutionId {
    ExecutionId::trusted(id)
}

pub fn flow(namespace: &str, id: &str, revision: u32) -> Flow {
    Flow {
        key: flow_key(namespace, id),
        revision,
        source: format!("id: {id}\nnamespace: {namespace}\n# {revision}\n").into(),
        lock: Arc::default(),
        inherited_defaults: Vec::new(),
        labels: Vec::new(),
        disabled: false,
        deleted: false,
        created: at(revision.into()),
    }
}

/// An execution of `flow` that began at a time, in seconds.
pub fn execution(id: &str, flow: &FlowKey, created: i64, state: State) -> Execution {
    let mut history = History::new(State::Created, at(created));
    history.enter(state, at(created + 1));
    Execution {
        record: execution::Execution {
            id: execution_id(id),
            flow: flow.clone(),
            revision: 1,
            kind: Kind::Normal,
            semantics: execution::SEMANTICS,
            history,
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
        },
        sequence: 0,
        snapshot: 0,
        lock: None,
        created: at(created),
    }
}

pub fn label(key: &str, value: &str) -> Label {
    Label { key: key.into(), value: value.into() }
}

pub fn task_run(execution: &str, id: &str, order: u64) -> TaskRun {
    TaskRun {
        execution: execution_id(execution),
        record: execution::TaskRun {
            id: TaskRunId::trusted(id),
            task: TaskId::trusted("task"),
            parent: None,
            value: None,
            iteration: None,
            history: History::new(State::Created, at(0)),
            attempts: Vec::new(),
            apart: Vec::new(),
            outputs: Value::Null,
        },
        order,
    }
}

pub fn job_key(execution: &str, task_run: &str) -> JobKey {
    JobKey { execution: execution_id(execution), task_run: TaskRunId::trusted(task_run), attempt: 1 }
}

pub fn job(execution: &str, task_run: &str, due: i64) -> Job {
    Job::waiting(job_key(execution, task_run), "default", at(due), payload("work"))
}

pub fn payload(text: &str) -> Payload {
    Payload::of(1, text).unwrap()
}

pub fn message(to: &Target, unique: &str) -> Message {
    Message::new(MessageKey { to: to.clone(), unique: unique.into() }, at(0), payload(unique))
}

pub fn to(execution: &str) -> Target {
    Target::Execution(execution_id(execution))
}

pub fn timer(target: Target, name: &str, due: i64) -> Timer {
    Timer { key: TimerKey { target, name: name.into() }, due: at(due), body: payload(name) }
}

pub fn unique(name: UniqueName, holder: &str) -> UniqueKey {
    UniqueKey { name, holder: Holder::Execution(execution_id(holder)), created: at(0), expires: None }
}

pub fn kv(namespace: &str, key: &str, value: i64) -> Kv {
    Kv {
        place: place(namespace),
        key: key.into(),
        revision: 1,
        value: Value::Int(value),
        declared: None,
        description: None,
        created: at(0),
        updated: at(0),
        expires: None,
    }
}

pub fn line(of: Target, seconds: i64, level: LogLevel, message: &str) -> LogLine {
    LogLine {
        of,
        position: 0,
        at: at(seconds),
        level,
        flow: None,
        task: None,
        task_run: None,
        attempt: 0,
        message: message.into(),
        fields: Vec::new(),
    }
}

pub fn metric(execution: &str, name: &str, value: f64) -> Metric {
    Metric {
        execution: execution_id(execution),
        position: 0,
        at: at(0),
        flow: flow_key("a", "f"),
        task: TaskId::trusted("task"),
        task_run: TaskRunId::trusted("run"),
        name: name.into(),
        kind: MetricKind::Counter,
        value,
        tags: BTreeMap::new(),
    }
}

pub fn node(id: &str) -> Node {
    Node {
        id: NodeId(id.into()),
        boot: Boot("boot".into()),
        version: "0.1.0".into(),
        started: at(0),
        heartbeat: at(1),
        draining: false,
    }
}

pub fn audit(seconds: i64, id: &str) -> Audit {
    Audit {
        at: at(seconds),
        id: id.into(),
        actor: "admin".into(),
        action: "plugin.pin".into(),
        subject: "http".into(),
        details: Payload::empty(),
        chain: None,
    }
}

pub fn document(namespace: &str, kind: &str, id: &str) -> Document {
    let key = DocumentKey { place: place(namespace), kind: kind.into(), id: id.into() };
    Document { key, revision: 1, source: "title: x\n".into(), updated: at(0) }
}

pub fn setting(name: &str) -> Setting {
    Setting { name: name.into(), value: payload("1.0.0"), updated: at(0) }
}

pub fn secret(namespace: &str, name: &str) -> Secret {
    Secret {
        place: place(namespace),
        name: name.into(),
        sealed: "c2VhbGVk".into(),
        scheme: "xchacha20-1".into(),
        description: None,
        updated: at(0),
        tags: Vec::new(),
        hosts: Vec::new(),
    }
}

pub fn file(path: &str, content: BlobInfo) -> File {
    File { path: path.into(), content, created: at(0), updated: at(0), metadata: BTreeMap::new() }
}

pub fn trigger(namespace: &str, flow: &str, id: &str, next: Option<i64>) -> TriggerState {
    TriggerState {
        flow: flow_key(namespace, flow),
        trigger: TriggerId::trusted(id),
        next: next.map(at),
        fired: None,
        locked_by: None,
        disabled: false,
        backfill: None,
        memory: Payload::empty(),
        updated: at(0),
    }
}

pub fn snapshot(execution: &str, sequence: u64) -> Snapshot {
    Snapshot { execution: execution_id(execution), sequence, state: payload("state") }
}

/// A claim of all due jobs by a node, for ten seconds.
pub fn claim(node: &str, now: i64, limit: usize) -> crate::Claim {
    crate::Claim {
        node: NodeId(node.into()),
        boot: Boot("boot".into()),
        queue: "default".into(),
        limit,
        now: at(now),
        lease: SignedDuration::from_secs(10),
    }
}

/// What a commit with these rows puts.
pub fn puts(rows: impl IntoIterator<Item = Row>) -> crate::Batch {
    let mut batch = crate::Batch::new();
    rows.into_iter().for_each(|row| {
        batch.put(row);
    });
    batch
}
