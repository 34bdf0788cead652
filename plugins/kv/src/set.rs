//! `kv.Set`.

use serde_json::Value;
use sluice_sdk::duration::IsoDuration;
use sluice_sdk::kv::{self, SetOptions};
use sluice_sdk::prelude::*;

/// What a value is.
#[properties]
#[derive(Clone, Copy)]
pub enum KvType {
    String,
    Number,
    Boolean,
    Datetime,
    Date,
    Duration,
    Json,
}

impl KvType {
    fn name(self) -> &'static str {
        match self {
            Self::String => "STRING",
            Self::Number => "NUMBER",
            Self::Boolean => "BOOLEAN",
            Self::Datetime => "DATETIME",
            Self::Date => "DATE",
            Self::Duration => "DURATION",
            Self::Json => "JSON",
        }
    }
}

#[properties]
pub struct Set {
    /// The key: letters, digits, `.`, `_` and `-`.
    key: String,
    /// The value. An expression keeps its type.
    #[schemars(extend("type" = ["string", "number", "boolean", "object", "array"]))]
    value: Value,
    /// The namespace; the flow's own if not given.
    namespace: Option<String>,
    /// Whether a value that is there already is replaced; otherwise the task fails.
    #[default(true)]
    overwrite: bool,
    /// How long the value lives, as `PT1H` or `P30D`; for ever if not given.
    ttl: Option<IsoDuration>,
    /// What a text is read as; without it, it stays text.
    kv_type: Option<KvType>,
    /// A note shown beside the key.
    kv_description: Option<String>,
}

/// Set a key.
///
/// The value is there for other tasks and flows, and for the function `kv()`, when the task has succeeded. A task that fails leaves
/// nothing.
///
/// Failure codes: `EXISTS` where `overwrite` is false and the key is set.
///
/// # Remember a file for a week
/// ```yaml
/// id: remember
/// type: io.kestra.plugin.core.kv.Set
/// key: orders_file
/// value: "{{ outputs.download.uri }}"
/// ttl: P7D
/// ```
///
/// # Set a number
/// ```yaml
/// id: counted
/// type: io.kestra.plugin.core.kv.Set
/// key: rows
/// value: "{{ outputs.query.size }}"
/// kvType: NUMBER
/// ```
#[task("io.kestra.plugin.core.kv.Set", aliases = ["io.kestra.plugin.core.kv.Put"])]
pub fn set(properties: Set) -> Result<(), Failure> {
    let ttl_s = properties.ttl.map(seconds).transpose()?;
    let options = SetOptions {
        ttl_s,
        kind: properties.kv_type.map(|kind| kind.name().to_owned()),
        // What the host does anyway need not be said.
        overwrite: (!properties.overwrite).then_some(false),
        description: properties.kv_description,
    };
    kv::set(named(&properties.namespace), &properties.key, &properties.value, &options)
}

/// A namespace that was named.
pub fn named(namespace: &Option<String>) -> Option<&str> {
    namespace.as_deref().map(str::trim).filter(|name| !name.is_empty())
}

/// Seconds of a duration; a part of one counts as a whole.
fn seconds(IsoDuration(duration): IsoDuration) -> Result<u64, Failure> {
    match duration.as_secs() + u64::from(duration.subsec_nanos() > 0) {
        0 => Err(Failure::bad_property("property `ttl`: a value cannot live for no time")),
        seconds => Ok(seconds),
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use serde_json::json;
    use sluice_sdk::testing::MockHost;

    use super::*;

    #[track_caller]
    fn check(properties: Value, namespace: &str, value: Value, options: Value) {
        let host = MockHost::new();
        host.run_task::<set>(properties).unwrap();
        assert_eq!(host.kv_value_of(namespace, "k"), Some(value));
        assert_eq!(host.kv_options_of(namespace, "k"), Some(options));
    }

    #[test]
    fn values_keep_their_type() {
        check(json!({"key": "k", "value": "1"}), "", json!("1"), json!({}));
        check(json!({"key": "k", "value": 1}), "", json!(1), json!({}));
        check(json!({"key": "k", "value": {"a": [true]}}), "", json!({"a": [true]}), json!({}));
    }

    #[test]
    fn all_of_it_goes_to_the_host() {
        check(
            json!({
                "key": "k", "value": "1", "namespace": "a.b", "overwrite": "false", "ttl": "PT1M0.5S", "kvType": "NUMBER",
                "kvDescription": "how many",
            }),
            "a.b",
            json!("1"),
            json!({"ttl-s": 61, "type": "NUMBER", "overwrite": false, "description": "how many"}),
        );
    }

    #[test]
    fn what_makes_no_sense_is_refused() {
        let refused = |properties: Value| MockHost::new().run_task::<set>(properties).unwrap_err().message().to_owned();
        assert!(refused(json!({"value": 1})).contains("missing field `key`"));
        assert!(refused(json!({"key": "k"})).contains("missing field `value`"));
        assert!(refused(json!({"key": "k", "value": 1, "ttl": "soon"})).starts_with("property `ttl`: "));
        assert!(refused(json!({"key": "k", "value": 1, "ttl": "PT0S"})).contains("no time"));
        assert!(refused(json!({"key": "k", "value": 1, "kvType": "ION"})).starts_with("property `kvType`: "));
    }
}
