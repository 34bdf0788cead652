//! `kv.PurgeKV`.

use sluice_sdk::kv;
use sluice_sdk::prelude::*;

use crate::glob::matches;

/// What is purged.
#[properties]
pub struct Behavior {
    /// `key`: keys as they are. There are no other kinds.
    #[serde(rename = "type")]
    #[default("key")]
    kind: String,
    /// Only keys whose time is over.
    #[default(true)]
    expired_only: bool,
}

#[properties]
pub struct Purge {
    /// Which keys, as `AI_*`; all of them if not given.
    key_pattern: Option<String>,
    /// Which namespaces. Without them and without `namespacePattern`: the flow's own.
    namespaces: Option<Vec<String>>,
    /// Which namespaces of flows, as `team-*`. Not together with `namespaces`.
    namespace_pattern: Option<String>,
    /// Whether namespaces below those that are named are meant too.
    #[default(true)]
    include_child_namespaces: bool,
    /// What is purged: keys whose time is over, if not given.
    behavior: Option<Behavior>,
    /// Deprecated: `behavior` says it. If given, it counts.
    expired_only: Option<bool>,
}

#[outputs]
pub struct Purged {
    /// How many keys were removed.
    size: u64,
}

/// Remove keys that are not needed any more.
///
/// Keys whose time is over count as missing at once and are collected by themselves; this removes them now, or removes others by a
/// pattern.
///
/// # Remove every key of a namespace that begins with `tmp_`
/// ```yaml
/// id: purge
/// type: io.kestra.plugin.core.kv.PurgeKV
/// namespaces: [company.team]
/// keyPattern: tmp_*
/// behavior:
///   type: key
///   expiredOnly: false
/// ```
#[task("io.kestra.plugin.core.kv.PurgeKV")]
pub fn purge(properties: Purge, cx: &Context) -> Result<Purged, Failure> {
    let namespaces = properties.namespaces.unwrap_or_default();
    let pattern = properties.namespace_pattern.filter(|pattern| !pattern.is_empty());
    if !namespaces.is_empty() && pattern.is_some() {
        return Err(Failure::bad_property("`namespaces` and `namespacePattern` exclude each other: give one of them"));
    }
    if let Some(behavior) = properties.behavior.as_ref().filter(|behavior| behavior.kind != "key") {
        let message = format!("property `behavior.type`: `{}` is not known; `key` is", behavior.kind);
        return Err(Failure::bad_property(message));
    }
    let expired_only = properties.expired_only.or(properties.behavior.map(|behavior| behavior.expired_only));
    let expired_only = expired_only.unwrap_or(true);
    let found = kv::find(kv::Query {
        namespaces,
        namespace_pattern: pattern,
        children: properties.include_child_namespaces,
        ..kv::Query::default()
    })?;
    let mut size = 0;
    for entry in found {
        let meant = properties.key_pattern.as_deref().is_none_or(|pattern| matches(pattern, &entry.key));
        if meant && (entry.expired || !expired_only) && kv::delete(Some(&entry.namespace), &entry.key)? {
            size += 1;
        }
    }
    cx.info(format!("purged {size} keys"));
    Ok(Purged { size })
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use serde_json::{Value, json};
    use sluice_sdk::testing::MockHost;

    use super::*;

    /// A host with four keys of namespace `a`, of which two have expired. They are known by name there, as the host answers.
    fn host() -> MockHost {
        let item = |key: &str, expired: bool| json!({"namespace": "a", "key": key, "revision": 1, "expired": expired});
        let items = [item("tmp_1", true), item("tmp_2", false), item("x", true), item("y", false)];
        let host = MockHost::new().answer_call("kv.find", &json!({"items": items, "next": null}));
        host.with(|_| {
            for key in ["tmp_1", "tmp_2", "x", "y"] {
                kv::set(Some("a"), key, &json!(1), &kv::SetOptions::default()).unwrap();
            }
        });
        host
    }

    #[track_caller]
    fn check(properties: Value, left: &[&str]) {
        let host = host();
        let purged = host.run_task::<purge>(properties).unwrap();
        let there: Vec<&str> =
            ["tmp_1", "tmp_2", "x", "y"].into_iter().filter(|key| host.kv_value_of("a", key).is_some()).collect();
        assert_eq!(there, left);
        assert_eq!(purged["size"], json!(4 - left.len()));
    }

    #[test]
    fn what_has_expired_goes() {
        check(json!({}), &["tmp_2", "y"]);
        check(json!({"keyPattern": "tmp_*"}), &["tmp_2", "x", "y"]);
        check(json!({"behavior": {"type": "key", "expiredOnly": false}, "keyPattern": "tmp_*"}), &["x", "y"]);
        check(json!({"expiredOnly": false}), &[]);
        check(json!({"expiredOnly": true, "behavior": {"expiredOnly": false}}), &["tmp_2", "y"]);
    }

    #[test]
    fn namespaces_are_the_hosts_to_find() {
        let host = host();
        host.run_task::<purge>(json!({"namespaces": ["a"], "includeChildNamespaces": false})).unwrap();
        assert_eq!(host.asked("kv.find"), [json!({"namespaces": ["a"], "children": false, "prefix": ""})]);
        let failure = host.run_task::<purge>(json!({"namespaces": ["a"], "namespacePattern": "b*"})).unwrap_err();
        assert!(failure.message().contains("exclude each other"));
        let failure = host.run_task::<purge>(json!({"behavior": {"type": "version"}})).unwrap_err();
        assert!(failure.message().contains("`version` is not known"));
    }
}
