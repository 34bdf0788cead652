//! `debug.Return` and `debug.Echo`.

use sluice_sdk::prelude::*;

use crate::log::LogLevel;

#[properties]
pub struct Return {
    /// The text to return.
    format: Option<String>,
}

#[outputs]
pub struct Returned {
    /// The text.
    value: Option<String>,
}

/// Return a value.
///
/// Hands a rendered text to the tasks behind it, and logs it at DEBUG. Useful to look at an expression, or to compute a value once.
///
/// Metrics: `length` (counter) in characters.
///
/// # Compute a value
/// ```yaml
/// id: day
/// type: io.kestra.plugin.core.debug.Return
/// format: "{{ execution.startDate | date('yyyy-MM-dd') }}"
/// ```
#[task("io.kestra.plugin.core.debug.Return", aliases = ["io.kestra.core.tasks.debugs.Return"])]
pub fn hand_on(properties: Return, cx: &Context) -> Result<Returned, Failure> {
    let value = properties.format;
    cx.debug(value.as_deref().unwrap_or_default());
    let length = value.as_deref().map_or(0, |value| value.chars().count());
    cx.counter("length", length as f64, &[]);
    Ok(Returned { value })
}

#[properties]
pub struct Echo {
    /// The text to log.
    format: String,
    /// The level of the line.
    #[default(LogLevel::Info)]
    level: LogLevel,
}

/// Log a text.
///
/// Deprecated: `io.kestra.plugin.core.log.Log` does the same and takes lists.
///
/// # Log a text at DEBUG
/// ```yaml
/// id: echo
/// type: io.kestra.plugin.core.debug.Echo
/// format: "{{ taskrun.startDate }}"
/// level: DEBUG
/// ```
#[task("io.kestra.plugin.core.debug.Echo", aliases = ["io.kestra.core.tasks.debugs.Echo"])]
pub fn echo(properties: Echo, cx: &Context) -> Result<(), Failure> {
    cx.log(properties.level.into(), properties.format);
    Ok(())
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use serde_json::json;
    use sluice_sdk::testing::MockHost;

    use super::*;

    #[test]
    fn return_hands_on_its_format_as_text() {
        let host = MockHost::new();
        assert_eq!(host.run_task::<hand_on>(json!({"format": "höm"})).unwrap(), json!({"value": "höm"}));
        assert_eq!(host.logs()[0].message, "höm");
        assert_eq!(host.logs()[0].level, Level::Debug);
        assert_eq!((host.metrics()[0].name.as_str(), host.metrics()[0].value), ("length", 3.0));
        assert_eq!(host.run_task::<hand_on>(json!({"format": 12})).unwrap(), json!({"value": "12"}));
        assert_eq!(host.run_task::<hand_on>(json!({})).unwrap(), json!({"value": null}));
    }

    #[test]
    fn echo_logs_at_its_level() {
        let host = MockHost::new();
        assert_eq!(host.run_task::<echo>(json!({"format": "a", "level": "WARN"})).unwrap(), json!(null));
        assert_eq!((host.logs()[0].level, host.logs()[0].message.as_str()), (Level::Warn, "a"));
        assert_eq!(host.run_task::<echo>(json!({"level": "WARN"})).unwrap_err().code(), "BAD_PROPERTY");
    }
}
