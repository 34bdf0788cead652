//! `state.Set`, `state.Get` and `state.Delete`: what a flow remembers from one execution to the next, kept as keys.

use serde_json::{Map, Value};
use sluice_sdk::kv::{self, SetOptions};
use sluice_sdk::prelude::*;

/// Name of the state that is meant if none is named.
const DEFAULT_NAME: &str = "default";

#[properties]
pub struct Set {
    /// The name of the state.
    #[default(DEFAULT_NAME)]
    name: String,
    /// Whether all flows of the namespace share it; otherwise it is the flow's own.
    #[default(false)]
    namespace: bool,
    /// Whether each value of an iteration has a state of its own.
    #[default(true)]
    taskrun_value: bool,
    /// What is remembered. It is merged into what is there: maps key by key, anything else replaces.
    data: Option<Map<String, Value>>,
}

#[outputs]
pub struct Kept {
    /// How many entries the state has now.
    count: u64,
    /// The key it is kept under.
    key: String,
}

/// Remember something.
///
/// What is set is merged into what the state holds already.
///
/// # Count runs
/// ```yaml
/// id: count
/// type: io.kestra.plugin.core.state.Set
/// data:
///   runs: "{{ (outputs.before.data.runs ?? 0) + 1 }}"
/// ```
#[task("io.kestra.plugin.core.state.Set", aliases = ["io.kestra.core.tasks.states.Set"])]
pub fn set(properties: Set, cx: &Context) -> Result<Kept, Failure> {
    let key = key_of(cx, &properties.name, properties.namespace, properties.taskrun_value);
    let mut data = stored(&key)?.unwrap_or_default();
    merge(&mut data, properties.data.unwrap_or_default());
    let count = data.len() as u64;
    kv::set(None, &key, &Value::Object(data), &SetOptions::default())?;
    Ok(Kept { count, key })
}

#[properties]
pub struct Get {
    /// The name of the state.
    #[default(DEFAULT_NAME)]
    name: String,
    /// Whether all flows of the namespace share it; otherwise it is the flow's own.
    #[default(false)]
    namespace: bool,
    /// Whether each value of an iteration has a state of its own.
    #[default(true)]
    taskrun_value: bool,
    /// Whether a state that is not there fails the task.
    #[default(false)]
    error_on_missing: bool,
}

#[outputs]
pub struct Got {
    /// How many entries it has.
    count: u64,
    /// What is remembered; empty where nothing is.
    data: Map<String, Value>,
}

/// Look up what was remembered.
///
/// Failure codes: `STATE_NOT_FOUND`.
///
/// # What the last run left
/// ```yaml
/// id: before
/// type: io.kestra.plugin.core.state.Get
/// ```
#[task("io.kestra.plugin.core.state.Get", aliases = ["io.kestra.core.tasks.states.Get"])]
pub fn get(properties: Get, cx: &Context) -> Result<Got, Failure> {
    let key = key_of(cx, &properties.name, properties.namespace, properties.taskrun_value);
    match stored(&key)? {
        None if properties.error_on_missing => Err(missing(&properties.name)),
        data => {
            let data = data.unwrap_or_default();
            Ok(Got { count: data.len() as u64, data })
        }
    }
}

#[properties]
pub struct Delete {
    /// The name of the state.
    #[default(DEFAULT_NAME)]
    name: String,
    /// Whether all flows of the namespace share it; otherwise it is the flow's own.
    #[default(false)]
    namespace: bool,
    /// Whether each value of an iteration has a state of its own.
    #[default(true)]
    taskrun_value: bool,
    /// Whether a state that is not there fails the task.
    #[default(false)]
    error_on_missing: bool,
}

#[outputs]
pub struct Deleted {
    /// Whether there was something to forget.
    deleted: bool,
}

/// Forget what was remembered.
///
/// Failure codes: `STATE_NOT_FOUND`.
///
/// # Begin anew
/// ```yaml
/// id: forget
/// type: io.kestra.plugin.core.state.Delete
/// ```
#[task("io.kestra.plugin.core.state.Delete", aliases = ["io.kestra.core.tasks.states.Delete"])]
pub fn delete(properties: Delete, cx: &Context) -> Result<Deleted, Failure> {
    let key = key_of(cx, &properties.name, properties.namespace, properties.taskrun_value);
    let deleted = stored(&key)?.is_some() && kv::delete(None, &key)?;
    if !deleted && properties.error_on_missing {
        return Err(missing(&properties.name));
    }
    Ok(Deleted { deleted })
}

fn missing(name: &str) -> Failure {
    Failure::new("STATE_NOT_FOUND", format!("there is no state `{name}`, and `errorOnMissing` is true"))
        .retryable(false)
}

fn stored(key: &str) -> Result<Option<Map<String, Value>>, Failure> {
    match kv::get(None, key)? {
        None => Ok(None),
        Some(Value::Object(data)) => Ok(Some(data)),
        Some(_) => Err(Failure::new(
            "BAD_STATE",
            format!("key `{key}` holds something else than a state; hint: delete the key"),
        )),
    }
}

/// Maps are merged key by key; anything else replaces what is there.
fn merge(into: &mut Map<String, Value>, from: Map<String, Value>) {
    for (name, value) in from {
        match (into.get_mut(&name), value) {
            (Some(Value::Object(inner)), Value::Object(value)) => merge(inner, value),
            (_, value) => drop(into.insert(name, value)),
        }
    }
}

/// The key of a state. A name may hold what a key may not: what is special is written as its number, so that no two names meet.
fn key_of(cx: &Context, name: &str, shared: bool, per_value: bool) -> String {
    let mut key = String::new();
    if !shared {
        key.push_str(&spelled(&cx.get("flow.id").unwrap_or_default()));
        key.push('.');
    }
    key.push_str("states.");
    key.push_str(&spelled(name));
    if let Some(value) = cx.get("taskrun.value").filter(|_| per_value) {
        key.push_str(&format!(".{:016x}", hashed(&value)));
    }
    key
}

/// Letters, digits and `-` as they are, anything else as `_` and two digits for each byte.
fn spelled(text: &str) -> String {
    let mut spelled = String::new();
    for byte in text.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' => spelled.push(char::from(byte)),
            other => spelled.push_str(&format!("_{other:02x}")),
        }
    }
    spelled
}

/// FNV-1a over a value of an iteration, which may be longer than a key.
fn hashed(text: &str) -> u64 {
    text.bytes().fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3))
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use serde_json::json;
    use sluice_sdk::testing::MockHost;

    use super::*;

    fn host() -> MockHost {
        MockHost::new().context("flow.id", "my_flow")
    }

    #[test]
    fn states_are_merged() {
        let host = host();
        let kept = host.run_task::<set>(json!({"data": {"a": {"x": 1}, "b": [1]}})).unwrap();
        assert_eq!(kept, json!({"count": 2, "key": "my_5fflow.states.default"}));
        host.run_task::<set>(json!({"data": {"a": {"y": 2}, "b": [2], "c": null}})).unwrap();
        let got = host.run_task::<get>(json!({})).unwrap();
        assert_eq!(got, json!({"count": 3, "data": {"a": {"x": 1, "y": 2}, "b": [2], "c": null}}));
    }

    #[test]
    fn each_value_has_a_state_unless_told_otherwise() {
        let host = host();
        host.run_task::<set>(json!({"data": {"v": "all"}})).unwrap();
        let host = host.context("taskrun.value", "a");
        assert_eq!(host.run_task::<get>(json!({})).unwrap()["count"], json!(0));
        assert_eq!(host.run_task::<get>(json!({"taskrunValue": false})).unwrap()["data"], json!({"v": "all"}));
        host.run_task::<set>(json!({"data": {"v": "a"}})).unwrap();
        let host = host.context("taskrun.value", "b");
        assert_eq!(host.run_task::<get>(json!({})).unwrap()["count"], json!(0));
    }

    #[test]
    fn flows_of_a_namespace_share_a_state_if_they_want_to() {
        let host = host();
        let kept = host.run_task::<set>(json!({"name": "a/b", "namespace": true, "data": {"v": 1}})).unwrap();
        assert_eq!(kept["key"], json!("states.a_2fb"));
        let other = host.context("flow.id", "another");
        assert_eq!(other.run_task::<get>(json!({"name": "a/b", "namespace": true})).unwrap()["count"], json!(1));
        assert_eq!(other.run_task::<get>(json!({"name": "a/b"})).unwrap()["count"], json!(0));
    }

    #[test]
    fn what_is_not_there_fails_on_demand() {
        let host = host();
        assert_eq!(host.run_task::<delete>(json!({})).unwrap(), json!({"deleted": false}));
        let asked = json!({"errorOnMissing": true});
        assert_eq!(host.run_task::<get>(asked.clone()).unwrap_err().code(), "STATE_NOT_FOUND");
        assert_eq!(host.run_task::<delete>(asked.clone()).unwrap_err().code(), "STATE_NOT_FOUND");
        host.run_task::<set>(json!({})).unwrap();
        assert_eq!(host.run_task::<get>(asked).unwrap(), json!({"count": 0, "data": {}}));
        assert_eq!(host.run_task::<delete>(json!({})).unwrap(), json!({"deleted": true}));
        let host = host.kv("my_5fflow.states.default", &json!(7));
        assert_eq!(host.run_task::<get>(json!({})).unwrap_err().code(), "BAD_STATE");
    }
}
