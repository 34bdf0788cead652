//! `output.OutputValues`.

use serde_json::{Map, Value};
use sluice_sdk::prelude::*;

#[properties]
pub struct OutputValues {
    /// The values by name. Texts in them are rendered; every value keeps its type.
    values: Option<Map<String, Value>>,
}

#[outputs]
pub struct Values {
    /// The values by name.
    values: Map<String, Value>,
}

/// Output one or more values.
///
/// Tasks behind it read them as `{{ outputs.task_id.values.name }}`.
///
/// # Name two values
/// ```yaml
/// id: result
/// type: io.kestra.plugin.core.output.OutputValues
/// values:
///   started: "{{ execution.startDate }}"
///   flow: "{{ flow.id }}"
/// ```
#[task("io.kestra.plugin.core.output.OutputValues")]
pub fn output_values(properties: OutputValues) -> Result<Values, Failure> {
    Ok(Values { values: properties.values.unwrap_or_default() })
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]
    use serde_json::json;
    use sluice_sdk::testing::MockHost;

    use super::*;

    #[test]
    fn values_keep_their_types_and_order() {
        let values = json!({"values": {"z": "text", "a": 9_223_372_036_854_775_807_i64, "list": [true, null]}});
        let outputs = MockHost::new().run_task::<output_values>(values.clone()).unwrap();
        assert_eq!(outputs.to_string(), values.to_string());
    }

    #[test]
    fn no_values_are_an_empty_map() {
        assert_eq!(MockHost::new().run_task::<output_values>(json!({})).unwrap(), json!({"values": {}}));
    }
}
