//! The side of the engine: what it has, and one plan that changes it or does not.

use std::io::{Read, Write};

use serde_json::{Map, Value, json};
use sluice_sdk::{Failure, files, objects};

use super::model::{Key, Kind, Side, Version};
use crate::failures::{self, fault};

/// Bytes of files of one side that are in memory to be compared.
const CONTENT_BYTES_MAX: u64 = 96 << 20;
/// Longest content that travels within a plan; longer ones are stored first and named.
const INLINE_BYTES_MAX: usize = 16 * 1024;

/// What of the engine is kept in step.
#[derive(Clone, Debug)]
pub enum Scope {
    /// All of it.
    Tenant,
    /// One namespace, with those below it or not.
    Namespace { name: String, children: bool },
}

impl Scope {
    fn query(&self, kind: &str) -> Map<String, Value> {
        let mut query = Map::new();
        query.insert("kind".to_owned(), json!(kind));
        match self {
            Self::Tenant => {
                query.insert("everywhere".to_owned(), json!(true));
            }
            Self::Namespace { name, children } => {
                query.insert("namespace".to_owned(), json!(name));
                if !children {
                    query.insert("exact".to_owned(), json!(true));
                }
            }
        }
        query
    }
}

/// What the engine has of these kinds.
pub fn side(scope: &Scope, kinds: &[Kind], wanted: impl Fn(&Key) -> bool) -> Result<Side, Failure> {
    let mut side = Side::new();
    for kind in kinds.iter().filter(|kind| **kind != Kind::File) {
        let mut query = scope.query(kind.name());
        query.insert("sources".to_owned(), json!(true));
        for item in objects::find(Value::Object(query)) {
            let item = item?;
            let key = Key { kind: *kind, namespace: text(&item, "namespace"), id: text(&item, "id") };
            if wanted(&key) {
                let content = text(&item, "source").into_bytes();
                side.insert(key, Version { content, etag: Some(text(&item, "etag")), path: None });
            }
        }
    }
    if kinds.contains(&Kind::File) {
        for namespace in namespaces(scope)? {
            namespace_files(&namespace, &mut side, &wanted)?;
        }
    }
    Ok(side)
}

fn namespaces(scope: &Scope) -> Result<Vec<String>, Failure> {
    match scope {
        Scope::Namespace { name, children: false } => Ok(vec![name.clone()]),
        scope => {
            let found = objects::find(Value::Object(scope.query("namespace")));
            found.map(|item| Ok(text(&item?, "namespace"))).collect()
        }
    }
}

fn namespace_files(namespace: &str, side: &mut Side, wanted: &impl Fn(&Key) -> bool) -> Result<(), Failure> {
    let mut total = 0;
    for item in objects::find(json!({"kind": "file", "namespace": namespace})) {
        let item = item?;
        let key = Key { kind: Kind::File, namespace: namespace.to_owned(), id: text(&item, "id") };
        if !wanted(&key) {
            continue;
        }
        total += item.get("size").and_then(Value::as_u64).unwrap_or_default();
        if total > CONTENT_BYTES_MAX {
            let message = format!(
                "the files of namespace `{namespace}` are more than {} MiB; hint: keep fewer of them in step",
                CONTENT_BYTES_MAX >> 20
            );
            return Err(fault(failures::TOO_LARGE, message));
        }
        let mut content = Vec::new();
        files::open(&format!("nsfile://{namespace}/{}", key.id))?.read_to_end(&mut content)?;
        side.insert(key, Version { content, etag: Some(text(&item, "etag")), path: None });
    }
    Ok(())
}

fn text(item: &Value, name: &str) -> String {
    item.get(name).and_then(Value::as_str).unwrap_or_default().to_owned()
}

/// What becomes of a thing in the engine.
#[derive(Clone, Debug)]
pub struct Change {
    pub key: Key,
    /// What it is from now on; `None`: it goes.
    pub content: Option<Vec<u8>>,
    /// What it has to be until then; `None`: it is not there.
    pub etag: Option<String>,
}

/// A thing that cannot be as it is to be.
#[derive(Clone, Debug)]
pub struct Refusal {
    pub index: usize,
    pub code: String,
    pub message: String,
    pub line: Option<u32>,
    pub hint: Option<String>,
}

/// Changes as the engine takes them. Contents that are long or no text are stored first.
pub fn written(changes: &[Change]) -> Result<Vec<Value>, Failure> {
    let mut plan = Vec::with_capacity(changes.len());
    for (number, change) in changes.iter().enumerate() {
        let op = if change.content.is_some() { "save" } else { "delete" };
        let mut json = json!({
            "op": op, "kind": change.key.kind.name(), "namespace": change.key.namespace, "id": change.key.id,
            "etag": change.etag.clone().unwrap_or_default(),
        });
        if let (Some(content), Some(fields)) = (&change.content, json.as_object_mut()) {
            match std::str::from_utf8(content) {
                Ok(text) if change.key.kind.is_yaml() || text.len() <= INLINE_BYTES_MAX => {
                    fields.insert("source".to_owned(), json!(text));
                }
                Err(_) if change.key.kind.is_yaml() => {
                    let message = format!("{} `{}` is no UTF-8", change.key.kind.name(), change.key);
                    return Err(fault(failures::INVALID, message));
                }
                _ => {
                    let mut file = files::create(&format!("git-{number}"))?;
                    file.write_all(content)?;
                    fields.insert("uri".to_owned(), json!(file.finish()?));
                }
            }
        }
        plan.push(json);
    }
    Ok(plan)
}

/// Says what is wrong with changes, and changes nothing.
pub fn try_out(plan: &[Value]) -> Result<Vec<Refusal>, Failure> {
    let problems = objects::try_out(plan)?;
    let refusal = |problem: objects::Problem| Refusal {
        index: problem.index,
        code: problem.code,
        message: problem.message,
        line: problem.line,
        hint: problem.hint,
    };
    Ok(problems.into_iter().map(refusal).collect())
}

/// What tells plans of one run apart: what they say.
fn digest_of(plan: &[Value]) -> Result<u64, Failure> {
    let mut hasher = gix_hash::hasher(gix_hash::Kind::Sha1);
    plan.iter().for_each(|change| hasher.update(change.to_string().as_bytes()));
    let digest =
        hasher.try_finalize().map_err(|error| fault(failures::CORRUPT, format!("a plan cannot be hashed: {error}")))?;
    Ok(digest.as_slice().iter().take(7).fold(0, |number, byte| number << 8 | u64::from(*byte)))
}

/// Carries changes out, all or none. The revisions of flows by key.
pub fn apply(plan: &[Value]) -> Result<Vec<(Key, u64)>, Failure> {
    if plan.is_empty() {
        return Ok(Vec::new());
    }
    // A plan that was carried out, by an attempt that ended before it could say so, is not carried out again; another plan is.
    let digest = digest_of(plan)?;
    let answer = objects::apply(digest, plan)?;
    let items = answer.get("items").and_then(Value::as_array).cloned().unwrap_or_default();
    let kinds = [Kind::Flow, Kind::File, Kind::App, Kind::Test, Kind::Dashboard, Kind::Blueprint];
    let revision = |item: &Value| {
        let kind = kinds.into_iter().find(|kind| item.get("kind").and_then(Value::as_str) == Some(kind.name()))?;
        let key = Key { kind, namespace: text(item, "namespace"), id: text(item, "id") };
        Some((key, item.get("revision").and_then(Value::as_u64)?))
    };
    Ok(items.iter().filter_map(revision).collect())
}
