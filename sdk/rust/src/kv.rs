//! The key-value store. What a run writes is seen by others only when the run has succeeded.

use serde::Serialize;
use serde_json::Value;

use crate::{Failure, host};

/// How a value is set.
#[derive(Debug, Clone, Default, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct SetOptions {
    /// Seconds until the value expires.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ttl_s: Option<u64>,
    /// `STRING`, `NUMBER`, `BOOLEAN`, `DATETIME`, `DATE`, `DURATION` or `JSON`.
    #[serde(rename = "type", skip_serializing_if = "Option::is_none")]
    pub kind: Option<String>,
    /// Whether an existing value may be replaced; the host's default is yes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub overwrite: Option<bool>,
    /// A note shown beside the key.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
}

/// The value of `key`. Without a namespace: the flow's own, then its parents.
pub fn get(namespace: Option<&str>, key: &str) -> Result<Option<Value>, Failure> {
    let Some(text) = host::kv_get(namespace, key)? else {
        return Ok(None);
    };
    let value = serde_json::from_str(&text)
        .map_err(|error| Failure::new("HOST", format!("the value of `{key}` is no JSON: {error}")))?;
    Ok(Some(value))
}

/// Sets `key`.
pub fn set(namespace: Option<&str>, key: &str, value: &Value, options: &SetOptions) -> Result<(), Failure> {
    let options = serde_json::to_string(options).expect("options are plain JSON");
    Ok(host::kv_set(namespace, key, &value.to_string(), &options)?)
}

/// Deletes `key`; says whether there was something to delete.
pub fn delete(namespace: Option<&str>, key: &str) -> Result<bool, Failure> {
    Ok(host::kv_delete(namespace, key)?)
}

/// A page of up to 1,000 keys that begin with `prefix`, in order, behind `after`.
pub fn keys(namespace: Option<&str>, prefix: &str, after: Option<&str>) -> Result<Vec<String>, Failure> {
    Ok(host::kv_keys(namespace, prefix, after)?)
}

/// Which keys [`find`] is asked for. Without namespaces and pattern: those of the flow's own.
#[derive(Debug, Clone, Default, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Query {
    /// These.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub namespaces: Vec<String>,
    /// Those of flows that fit a pattern with `*` and `?`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub namespace_pattern: Option<String>,
    /// And those below them.
    pub children: bool,
    /// What the keys begin with.
    pub prefix: String,
    /// Where the last page ended.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub after: Option<String>,
}

/// What is known of a key beside its value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub key: String,
    /// From 1.
    pub revision: u64,
    /// Whether its time is over; it is gone soon.
    pub expired: bool,
}

/// All keys that a query means, page by page. Values that this run has written are not among them.
pub fn find(mut query: Query) -> Result<Vec<Entry>, Failure> {
    let broken = || Failure::new("HOST", "the host's list of keys has not the shape it should have");
    let mut entries = Vec::new();
    loop {
        let asked = serde_json::to_string(&query).expect("a query is plain JSON");
        let page: Value = serde_json::from_str(&host::kv_find(&asked)?).map_err(|_| broken())?;
        for item in page.get("items").and_then(Value::as_array).ok_or_else(broken)? {
            let text = |name: &str| item.get(name).and_then(Value::as_str).map(str::to_owned).ok_or_else(broken);
            entries.push(Entry {
                namespace: text("namespace")?,
                key: text("key")?,
                revision: item.get("revision").and_then(Value::as_u64).unwrap_or_default(),
                expired: item.get("expired").and_then(Value::as_bool).unwrap_or_default(),
            });
        }
        match page.get("next").and_then(Value::as_str) {
            Some(next) => query.after = Some(next.to_owned()),
            None => return Ok(entries),
        }
    }
}
