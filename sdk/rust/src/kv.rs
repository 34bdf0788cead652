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
