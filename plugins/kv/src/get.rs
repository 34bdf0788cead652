//! `kv.Get`, `kv.GetKeys`, `kv.Version` and `kv.Delete`.

use serde_json::Value;
use sluice_sdk::kv;
use sluice_sdk::prelude::*;

use crate::set::named;

#[properties]
pub struct Get {
    /// The key.
    key: String,
    /// The namespace. If not given, the flow's own is looked at, and then those above it.
    namespace: Option<String>,
    /// Whether a key that is not set fails the task.
    #[default(false)]
    error_on_missing: bool,
}

#[outputs]
pub struct Got {
    /// The value, with the type it was set with; null where the key is not set.
    value: Option<Value>,
}

/// Get the value of a key.
///
/// The function `kv()` does the same in an expression.
///
/// Failure codes: `KEY_NOT_FOUND`.
///
/// # Get a value
/// ```yaml
/// id: last
/// type: io.kestra.plugin.core.kv.Get
/// key: last_order
/// errorOnMissing: true
/// ```
#[task("io.kestra.plugin.core.kv.Get")]
pub fn get(properties: Get) -> Result<Got, Failure> {
    let value = kv::get(named(&properties.namespace), &properties.key)?;
    match value {
        None if properties.error_on_missing => Err(missing(&properties.key, &properties.namespace)),
        value => Ok(Got { value }),
    }
}

#[properties]
pub struct GetKeys {
    /// What the keys begin with; all keys if not given.
    prefix: Option<String>,
    /// The namespace; the flow's own if not given.
    namespace: Option<String>,
}

#[outputs]
pub struct Keys {
    /// The keys, in order.
    keys: Vec<String>,
    /// How many there are.
    size: u64,
}

/// List the keys of a namespace.
///
/// # Clean up one after the other
/// ```yaml
/// id: temporary
/// type: io.kestra.plugin.core.kv.GetKeys
/// prefix: tmp_
/// ```
#[task("io.kestra.plugin.core.kv.GetKeys")]
pub fn get_keys(properties: GetKeys) -> Result<Keys, Failure> {
    let prefix = properties.prefix.unwrap_or_default();
    let mut keys: Vec<String> = Vec::new();
    loop {
        let page = kv::keys(named(&properties.namespace), &prefix, keys.last().map(String::as_str))?;
        if page.is_empty() {
            return Ok(Keys { size: keys.len() as u64, keys });
        }
        keys.extend(page);
    }
}

#[properties]
pub struct Version {
    /// The key.
    key: String,
    /// The namespace; the flow's own if not given.
    namespace: Option<String>,
    /// Whether a key that is not set fails the task.
    #[default(false)]
    error_on_missing: bool,
}

#[outputs]
pub struct Versioned {
    /// How often the key was set, from 1; null where it is not set.
    version: Option<u64>,
}

/// Get the version of a key.
///
/// It grows with each time the key is set.
///
/// Failure codes: `KEY_NOT_FOUND`.
///
/// # Look whether a value is new
/// ```yaml
/// id: version
/// type: io.kestra.plugin.core.kv.Version
/// key: model
/// ```
#[task("io.kestra.plugin.core.kv.Version")]
pub fn version(properties: Version) -> Result<Versioned, Failure> {
    let namespaces = named(&properties.namespace).map(str::to_owned).into_iter().collect();
    let query = kv::Query { namespaces, prefix: properties.key.clone(), ..kv::Query::default() };
    let found = kv::find(query)?.into_iter().find(|entry| entry.key == properties.key && !entry.expired);
    match found {
        None if properties.error_on_missing => Err(missing(&properties.key, &properties.namespace)),
        found => Ok(Versioned { version: found.map(|entry| entry.revision) }),
    }
}

#[properties]
pub struct Delete {
    /// The key.
    key: String,
    /// The namespace; the flow's own if not given.
    namespace: Option<String>,
    /// Whether a key that is not set fails the task.
    #[default(false)]
    error_on_missing: bool,
}

#[outputs]
pub struct Deleted {
    /// Whether there was something to delete.
    deleted: bool,
}

/// Delete a key.
///
/// Failure codes: `KEY_NOT_FOUND`.
///
/// # Forget a value
/// ```yaml
/// id: forget
/// type: io.kestra.plugin.core.kv.Delete
/// key: last_order
/// ```
#[task("io.kestra.plugin.core.kv.Delete")]
pub fn delete(properties: Delete) -> Result<Deleted, Failure> {
    let deleted = kv::delete(named(&properties.namespace), &properties.key)?;
    if !deleted && properties.error_on_missing {
        return Err(missing(&properties.key, &properties.namespace));
    }
    Ok(Deleted { deleted })
}

fn missing(key: &str, namespace: &Option<String>) -> Failure {
    let place = match named(namespace) {
        Some(name) => format!("namespace `{name}`"),
        None => "the flow's namespace".to_owned(),
    };
    Failure::new("KEY_NOT_FOUND", format!("no value found for key `{key}` in {place}, and `errorOnMissing` is true"))
        .retryable(false)
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use serde_json::json;
    use sluice_sdk::testing::MockHost;

    use super::*;

    #[test]
    fn values_are_got_as_they_were_set() {
        let host = MockHost::new().kv("k", &json!({"a": [1, null]}));
        assert_eq!(host.run_task::<get>(json!({"key": "k"})).unwrap(), json!({"value": {"a": [1, null]}}));
        assert_eq!(host.run_task::<get>(json!({"key": "x"})).unwrap(), json!({"value": null}));
        assert_eq!(host.run_task::<get>(json!({"key": "k", "namespace": "other"})).unwrap(), json!({"value": null}));
    }

    #[test]
    fn missing_keys_fail_on_demand() {
        let host = MockHost::new();
        let failed = |result: Result<Value, Failure>| result.unwrap_err();
        let asked = json!({"key": "x", "errorOnMissing": true});
        assert_eq!(failed(host.run_task::<get>(asked.clone())).code(), "KEY_NOT_FOUND");
        assert_eq!(failed(host.run_task::<delete>(asked)).code(), "KEY_NOT_FOUND");
        let named = failed(host.run_task::<get>(json!({"key": "x", "namespace": "a.b", "errorOnMissing": true})));
        assert!(named.message().contains("key `x` in namespace `a.b`"), "{named}");
    }

    #[test]
    fn keys_come_in_order_over_all_pages() {
        let host = (0..2_500).fold(MockHost::new(), |host, number| host.kv(&format!("k{number:04}"), &json!(1)));
        let host = host.kv("other", &json!(1));
        let found = host.run_task::<get_keys>(json!({"prefix": "k"})).unwrap();
        assert_eq!((found["size"].as_u64(), &found["keys"][2_499]), (Some(2_500), &json!("k2499")));
        assert_eq!(host.run_task::<get_keys>(json!({})).unwrap()["size"], json!(2_501));
    }

    #[test]
    fn version_is_of_the_very_key() {
        let item = |key: &str, revision: u64, expired: bool| json!({"namespace": "a", "key": key, "revision": revision, "expired": expired});
        let page = json!({"items": [item("k", 3, false), item("k2", 7, false), item("old", 2, true)], "next": null});
        let host = MockHost::new().answer_call("kv.find", &page).answer_call("kv.find", &page);
        assert_eq!(host.run_task::<version>(json!({"key": "k", "namespace": "a"})).unwrap(), json!({"version": 3}));
        assert_eq!(host.asked("kv.find"), [json!({"namespaces": ["a"], "children": false, "prefix": "k"})]);
        assert_eq!(host.run_task::<version>(json!({"key": "old"})).unwrap(), json!({"version": null}));
    }

    #[test]
    fn delete_says_whether_there_was_one() {
        let host = MockHost::new().kv("k", &json!(1));
        assert_eq!(host.run_task::<delete>(json!({"key": "k"})).unwrap(), json!({"deleted": true}));
        assert_eq!(host.run_task::<delete>(json!({"key": "k"})).unwrap(), json!({"deleted": false}));
    }
}
