//! `execution.Fail`.

use serde_json::Value;
use sluice_sdk::prelude::*;

#[properties]
pub struct Fail {
    /// Fail only if this is true. False are `false`, `0`, `-0` and the empty text; everything else is true.
    #[schemars(extend("type" = ["string", "boolean", "number"]))]
    condition: Option<Value>,
    /// What to say.
    #[default("Task failure")]
    error_message: String,
}

/// Fail the execution.
///
/// Ends the branch it stands in with a failure, always or on a condition.
///
/// Failure codes: `TASK_FAILURE`.
///
/// # Fail on a condition
/// ```yaml
/// id: refuse
/// type: io.kestra.plugin.core.execution.Fail
/// condition: "{{ inputs.amount > 1000 }}"
/// errorMessage: Amounts over 1000 need an approval.
/// ```
#[task("io.kestra.plugin.core.execution.Fail", aliases = ["io.kestra.core.tasks.executions.Fail"])]
pub fn fail(properties: Fail) -> Result<(), Failure> {
    if properties.condition.as_ref().is_some_and(|condition| !is_true(condition)) {
        return Ok(());
    }
    Err(Failure::new("TASK_FAILURE", properties.error_message))
}

fn is_true(condition: &Value) -> bool {
    match condition {
        Value::Null => false,
        Value::Bool(flag) => *flag,
        Value::Number(number) => number.as_f64() != Some(0.0),
        Value::String(text) => !matches!(text.trim().to_ascii_lowercase().as_str(), "" | "0" | "-0" | "false"),
        Value::Array(_) | Value::Object(_) => true,
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use serde_json::json;
    use sluice_sdk::testing::MockHost;

    use super::*;

    #[track_caller]
    fn check(properties: Value, expected: Option<&str>) {
        let failure = MockHost::new().run_task::<fail>(properties).err();
        assert_eq!(failure.as_ref().map(Failure::message), expected);
    }

    #[test]
    fn without_a_condition_it_always_fails() {
        check(json!({}), Some("Task failure"));
        check(json!({"errorMessage": "no more"}), Some("no more"));
    }

    #[test]
    fn condition_decides() {
        for falsy in
            [json!(""), json!("0"), json!("-0"), json!("false"), json!(" False "), json!(false), json!(0), json!(-0.0)]
        {
            check(json!({"condition": falsy}), None);
        }
        for truthy in [json!("true"), json!("no"), json!(true), json!(2), json!("[]")] {
            check(json!({"condition": truthy, "errorMessage": "x"}), Some("x"));
        }
    }

    #[test]
    fn failure_leaves_the_retry_to_the_task() {
        let failure = MockHost::new().run_task::<fail>(json!({})).unwrap_err();
        assert_eq!((failure.code(), failure.is_retryable()), ("TASK_FAILURE", None));
    }
}
