//! Where each row is kept, and which index entries point to it. Stored by the embedded backend: tags and layouts never
//! change, a new index gets a new tag.

use jiff::Timestamp;
use model::execution::Kind as ExecutionKind;
use model::flow::Label;
use model::ids::{ExecutionId, FlowKey};
use model::state::State;
use model::task::LogLevel;

use super::encode::{KeyBuf, KeyBytes};
use crate::rows::{Execution, Holder, Job, JobKey, Key, Kind, LogLine, NamespaceKey, Row, Target, UniqueName};

/// Tags of index entries. Rows have the code of their kind as tag, below 64.
pub mod tag {
    pub const EXECUTIONS: u8 = 64;
    pub const EXECUTIONS_FLOW: u8 = 65;
    pub const EXECUTIONS_TREE: u8 = 66;
    pub const EXECUTIONS_STATE: u8 = 67;
    pub const EXECUTIONS_LABEL: u8 = 68;
    pub const EXECUTIONS_PARENT: u8 = 69;
    pub const TASK_RUNS: u8 = 70;
    pub const CLAIMABLE: u8 = 71;
    pub const LEASES_UNTIL: u8 = 72;
    pub const LEASES_NODE: u8 = 73;
    pub const TIMERS_DUE: u8 = 74;
    pub const TRIGGERS_DUE: u8 = 75;
    pub const INBOX: u8 = 76;
    pub const HELD_BY: u8 = 77;
    pub const UNIQUE_EXPIRES: u8 = 78;
    pub const KV_EXPIRES: u8 = 79;
    pub const LOGS: u8 = 80;
    pub const FILES_BLOB: u8 = 81;
    pub const LOGS_LEVEL: u8 = 82;
    pub const LOGS_TARGET_LEVEL: u8 = 83;
}

/// The key of a row.
pub fn key_bytes(key: &Key) -> KeyBuf {
    let bytes = KeyBytes::new(key.kind().code());
    match key {
        Key::Flow(key, revision) => flow(bytes, key).u32(!revision),
        Key::Execution(id) => bytes.text(id.as_str()),
        Key::Snapshot(id, sequence) => bytes.text(id.as_str()).u64(!sequence),
        Key::Change(id, sequence) => bytes.text(id.as_str()).u64(*sequence),
        Key::TaskRun(execution, id) => bytes.text(execution.as_str()).text(id.as_str()),
        Key::Job(key) => job(bytes, key),
        Key::Timer(key) => target(bytes, &key.target).text(&key.name),
        Key::Trigger(key, id) => flow(bytes, key).text(id.as_str()),
        Key::Kv(at, key) => place(bytes, at).text(key),
        Key::Message(key) => target(bytes, &key.to).text(&key.unique),
        Key::Unique(name) => unique(bytes, name),
        Key::Secret(at, name) => place(bytes, at).text(name),
        Key::Log(of, position) => target(bytes, of).u64(*position),
        Key::Metric(execution, position) => bytes.text(execution.as_str()).u64(*position),
        Key::File(path) => bytes.text(path),
        Key::Node(id) => bytes.text(&id.0),
        Key::Audit(at, id) => bytes.newest(*at).text(id),
        Key::Document(key) => place(bytes.text(&key.kind), &key.place).text(&key.id),
        Key::Setting(name) => bytes.text(name),
    }
    .done()
}

/// What the keys of a kind begin with.
pub fn kind(kind: Kind) -> KeyBytes {
    KeyBytes::new(kind.code())
}

pub fn flow(bytes: KeyBytes, key: &FlowKey) -> KeyBytes {
    bytes.text(&key.tenant).text(key.namespace.as_str()).text(key.id.as_str())
}

pub fn place(bytes: KeyBytes, at: &NamespaceKey) -> KeyBytes {
    bytes.text(&at.tenant).text(at.namespace.as_str())
}

pub fn target(bytes: KeyBytes, of: &Target) -> KeyBytes {
    match of {
        Target::Execution(id) => bytes.byte(1).text(id.as_str()),
        Target::Trigger(key, id) => flow(bytes.byte(2), key).text(id.as_str()),
        Target::Service(name) => bytes.byte(3).text(name),
    }
}

/// How long the target at the beginning of a key is.
pub fn target_len(key: &[u8]) -> Option<usize> {
    let (first, rest) = key.split_first()?;
    let texts = match first {
        2 => 4,
        _ => 1,
    };
    super::encode::texts_len(rest, texts).map(|len| len + 1)
}

pub fn job(bytes: KeyBytes, key: &JobKey) -> KeyBytes {
    bytes.text(key.execution.as_str()).text(key.task_run.as_str()).u32(key.attempt)
}

fn unique(bytes: KeyBytes, name: &UniqueName) -> KeyBytes {
    match name {
        UniqueName::Slot(key, slot) => slots(bytes, key).u32(*slot),
        UniqueName::Idempotency(at, key) => bytes.byte(2).text(at).text(key),
        UniqueName::Scheduled(key, trigger, at) => flow(bytes.byte(3), key).text(trigger.as_str()).oldest(*at),
        UniqueName::Named(name) => bytes.byte(4).text(name),
    }
}

/// What the slots of a flow begin with.
pub fn slots(bytes: KeyBytes, key: &FlowKey) -> KeyBytes {
    flow(bytes.byte(1), key)
}

pub fn holder(bytes: KeyBytes, holder: &Holder) -> KeyBytes {
    match holder {
        Holder::Execution(id) => bytes.byte(1).text(id.as_str()),
        Holder::Named(name) => bytes.byte(2).text(name),
    }
}

fn execution_kind(kind: ExecutionKind) -> u8 {
    match kind {
        ExecutionKind::Normal => 1,
        ExecutionKind::Test => 2,
        ExecutionKind::Playground => 3,
    }
}

/// Prefixes of the lists of executions. All lists have the same order, so that they can be intersected.
pub mod executions {
    use super::*;

    pub const KINDS: [ExecutionKind; 3] = [ExecutionKind::Normal, ExecutionKind::Test, ExecutionKind::Playground];

    pub fn all(kind: ExecutionKind) -> KeyBytes {
        KeyBytes::new(tag::EXECUTIONS).byte(execution_kind(kind))
    }

    pub fn of_flow(kind: ExecutionKind, key: &FlowKey) -> KeyBytes {
        flow(KeyBytes::new(tag::EXECUTIONS_FLOW).byte(execution_kind(kind)), key)
    }

    pub fn in_tree(kind: ExecutionKind, tenant: &str, namespace: &str) -> KeyBytes {
        KeyBytes::new(tag::EXECUTIONS_TREE).byte(execution_kind(kind)).text(tenant).text(namespace)
    }

    pub fn in_state(kind: ExecutionKind, state: State) -> KeyBytes {
        KeyBytes::new(tag::EXECUTIONS_STATE).byte(execution_kind(kind)).text(state.as_str())
    }

    pub fn labelled(kind: ExecutionKind, label: &Label) -> KeyBytes {
        KeyBytes::new(tag::EXECUTIONS_LABEL).byte(execution_kind(kind)).text(&label.key).text(&label.value)
    }

    pub fn children(kind: ExecutionKind, parent: &ExecutionId) -> KeyBytes {
        KeyBytes::new(tag::EXECUTIONS_PARENT).byte(execution_kind(kind)).text(parent.as_str())
    }

    /// Where an execution stands in each list.
    pub fn suffix(bytes: KeyBytes, created: Timestamp, id: &ExecutionId) -> KeyBuf {
        bytes.newest(created).text(id.as_str()).done()
    }
}

/// Prefixes of the lists of log lines that matter.
pub mod lines {
    use super::*;

    /// Levels that have lists of their own: what is looked for in a million lines. Of the others there are too many, and they are near.
    pub const LISTED: [LogLevel; 2] = [LogLevel::Warn, LogLevel::Error];

    fn level(bytes: KeyBytes, level: LogLevel) -> KeyBytes {
        bytes.byte(match level {
            LogLevel::Trace => 1,
            LogLevel::Debug => 2,
            LogLevel::Info => 3,
            LogLevel::Warn => 4,
            LogLevel::Error => 5,
        })
    }

    /// Of all targets, newest first.
    pub fn all(of: LogLevel) -> KeyBytes {
        level(KeyBytes::new(tag::LOGS_LEVEL), of)
    }

    /// Of one target, in the order of its log.
    pub fn of_target(of: LogLevel, target: &Target) -> KeyBytes {
        super::target(level(KeyBytes::new(tag::LOGS_TARGET_LEVEL), of), target)
    }
}

/// The index entries of a row: each points to the row's key.
pub fn entries(row: &Row) -> Vec<KeyBuf> {
    match row {
        Row::Execution(execution) => execution_entries(execution),
        Row::TaskRun(run) => {
            let key = KeyBytes::new(tag::TASK_RUNS).text(run.execution.as_str());
            vec![key.u64(run.order).text(run.record.id.as_str()).done()]
        }
        Row::Job(job) => job_entries(job),
        Row::Timer(timer) => {
            let key = KeyBytes::new(tag::TIMERS_DUE).oldest(timer.due);
            vec![target(key, &timer.key.target).text(&timer.key.name).done()]
        }
        Row::Trigger(state) => state
            .next
            .map(|next| {
                flow(KeyBytes::new(tag::TRIGGERS_DUE).oldest(next), &state.flow).text(state.trigger.as_str()).done()
            })
            .into_iter()
            .collect(),
        Row::Message(message) if !message.drained => {
            vec![target(KeyBytes::new(tag::INBOX), &message.key.to).u64(message.sent).text(&message.key.unique).done()]
        }
        Row::Unique(key) => {
            let held = unique(holder(KeyBytes::new(tag::HELD_BY), &key.holder), &key.name).done();
            let expires = key.expires.map(|at| unique(KeyBytes::new(tag::UNIQUE_EXPIRES).oldest(at), &key.name).done());
            std::iter::once(held).chain(expires).collect()
        }
        Row::Kv(kv) => kv
            .expires
            .map(|at| place(KeyBytes::new(tag::KV_EXPIRES).oldest(at), &kv.place).text(&kv.key).done())
            .into_iter()
            .collect(),
        Row::Log(line) => line_entries(line),
        Row::File(file) => vec![KeyBytes::new(tag::FILES_BLOB).text(&file.content.id.0).text(&file.path).done()],
        Row::Message(_)
        | Row::Flow(_)
        | Row::Snapshot(_)
        | Row::Change(_)
        | Row::Secret(_)
        | Row::Metric(_)
        | Row::Node(_)
        | Row::Audit(_)
        | Row::Document(_)
        | Row::Setting(_) => Vec::new(),
    }
}

fn line_entries(line: &LogLine) -> Vec<KeyBuf> {
    let newest = |bytes: KeyBytes| bytes.newest(line.at).u64(!line.position).done();
    let mut keys = vec![newest(KeyBytes::new(tag::LOGS))];
    if lines::LISTED.contains(&line.level) {
        keys.push(newest(lines::all(line.level)));
        keys.push(lines::of_target(line.level, &line.of).u64(line.position).done());
    }
    keys
}

fn execution_entries(execution: &Execution) -> Vec<KeyBuf> {
    let record = &execution.record;
    let (kind, tenant, namespace) = (record.kind, &record.flow.tenant, record.flow.namespace.as_str());
    let mut keys = vec![
        executions::all(kind),
        executions::of_flow(kind, &record.flow),
        executions::in_state(kind, record.state()),
        executions::in_tree(kind, tenant, namespace),
    ];
    let above = namespace.match_indices('.').filter_map(|(dot, _)| namespace.get(..dot));
    keys.extend(above.map(|above| executions::in_tree(kind, tenant, above)));
    keys.extend(record.labels.iter().map(|label| executions::labelled(kind, label)));
    keys.extend(record.parent.iter().map(|parent| executions::children(kind, &parent.execution)));
    keys.into_iter().map(|key| executions::suffix(key, execution.created, &record.id)).collect()
}

fn job_entries(row: &Job) -> Vec<KeyBuf> {
    match &row.lease {
        None => vec![job(KeyBytes::new(tag::CLAIMABLE).text(&row.queue).oldest(row.due), &row.key).done()],
        Some(lease) => vec![
            job(KeyBytes::new(tag::LEASES_UNTIL).oldest(lease.until), &row.key).done(),
            job(KeyBytes::new(tag::LEASES_NODE).text(&lease.node.0), &row.key).done(),
        ],
    }
}
