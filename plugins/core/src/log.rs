//! `log.Log`.

use serde_json::{Map, Value};
use sluice_sdk::prelude::*;

/// How much a line matters, as flows write it.
#[properties]
#[derive(Clone, Copy)]
pub enum LogLevel {
    Trace,
    Debug,
    Info,
    Warn,
    Error,
}

impl From<LogLevel> for Level {
    fn from(level: LogLevel) -> Self {
        match level {
            LogLevel::Trace => Self::Trace,
            LogLevel::Debug => Self::Debug,
            LogLevel::Info => Self::Info,
            LogLevel::Warn => Self::Warn,
            LogLevel::Error => Self::Error,
        }
    }
}

#[properties]
pub struct Log {
    /// One message, or a list of messages that become a line each.
    #[schemars(extend("type" = ["string", "array"], "items" = { "type": "string" }))]
    message: Value,
    /// The level of every line.
    #[default(LogLevel::Info)]
    level: LogLevel,
    /// Names and values kept beside every line, by which it can be found again.
    fields: Option<Map<String, Value>>,
}

/// Log one or more messages.
///
/// The lines show in the execution's log while it runs.
///
/// # Log one line
/// ```yaml
/// id: greeting
/// type: io.kestra.plugin.core.log.Log
/// message: "Hello from {{ flow.id }}"
/// ```
///
/// # Log several lines as warnings
/// ```yaml
/// id: warnings
/// type: io.kestra.plugin.core.log.Log
/// level: WARN
/// message:
///   - "{{ inputs.file }} is empty"
///   - Nothing will be loaded.
/// ```
///
/// # Log a line that can be found by its customer
/// ```yaml
/// id: ordered
/// type: io.kestra.plugin.core.log.Log
/// message: "Order received"
/// fields:
///   customer: "{{ inputs.customer }}"
///   amount: "{{ inputs.amount }}"
/// ```
#[task("io.kestra.plugin.core.log.Log", aliases = ["io.kestra.core.tasks.log.Log"])]
pub fn log(properties: Log, cx: &Context) -> Result<(), Failure> {
    let level = properties.level.into();
    let fields: Vec<(String, String)> =
        properties.fields.into_iter().flatten().map(|(name, value)| (name, text(&value))).collect();
    match properties.message {
        Value::Null => {
            return Err(Failure::bad_property("property `message`: there is nothing to log"));
        }
        Value::Array(messages) => messages.iter().for_each(|message| cx.log_with(level, text(message), &fields)),
        message => cx.log_with(level, text(&message), &fields),
    }
    Ok(())
}

/// A value as an expression prints it.
pub fn text(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use serde_json::json;
    use sluice_sdk::testing::MockHost;

    use super::*;

    #[track_caller]
    fn check(properties: Value, expected: &[(Level, &str)]) {
        let host = MockHost::new();
        host.run_task::<log>(properties).unwrap();
        let logs = host.logs();
        let lines: Vec<_> = logs.iter().map(|line| (line.level, line.message.as_str())).collect();
        assert_eq!(lines, expected);
    }

    #[test]
    fn one_message_is_one_line_at_info() {
        check(json!({"message": "hello"}), &[(Level::Info, "hello")]);
    }

    #[test]
    fn list_becomes_a_line_each_at_the_level() {
        check(
            json!({"message": ["a", 1, null], "level": "ERROR"}),
            &[(Level::Error, "a"), (Level::Error, "1"), (Level::Error, "")],
        );
    }

    #[test]
    fn map_is_logged_as_json() {
        check(json!({"message": {"b": 1, "a": 2}}), &[(Level::Info, r#"{"b":1,"a":2}"#)]);
    }

    #[test]
    fn fields_stand_beside_every_line() {
        let host = MockHost::new();
        let fields = json!({"order": 7, "customer": "Ada"});
        host.run_task::<log>(json!({"message": ["a", "b"], "fields": fields})).unwrap();
        let expected = [("order".to_owned(), "7".to_owned()), ("customer".to_owned(), "Ada".to_owned())];
        assert_eq!(host.logs().iter().map(|line| line.fields.as_slice()).collect::<Vec<_>>(), [&expected, &expected]);
    }

    #[test]
    fn missing_message_and_unknown_level_are_refused() {
        let host = MockHost::new();
        assert!(host.run_task::<log>(json!({})).unwrap_err().message().contains("missing field `message`"));
        assert!(host.run_task::<log>(json!({"message": null})).unwrap_err().message().contains("nothing to log"));
        assert!(
            host.run_task::<log>(json!({"message": "a", "level": "LOUD"}))
                .unwrap_err()
                .message()
                .starts_with("property `level`: unknown variant `LOUD`")
        );
        assert_eq!(host.logs(), []);
    }
}
