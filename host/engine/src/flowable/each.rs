//! ForEach and its older names: one lane of children per value.

use expr::{Map, Value};
use model::change::Evaluated;
use model::ids::TaskRunId;

use crate::draft::{Draft, failure};

/// Values one ForEach may have: each is a lane whose children are kept in the state.
pub const VALUES_PER_EACH: usize = 100_000;

impl Draft {
    pub(crate) fn each(&mut self, run: &TaskRunId, values: &Map) {
        match list_of(values.get("values")) {
            Ok(values) => {
                self.evaluated(run, Evaluated::Values { values: Value::list(values) });
                self.open_frame(run);
            }
            Err(message) => self.fail(run, failure("invalid-values", message)),
        }
    }
}

fn list_of(values: Option<&Value>) -> Result<Vec<Value>, String> {
    let parsed = match values {
        Some(Value::Text(text)) => {
            let text = text.reveal().map_err(|problem| format!("`values` cannot be read: {problem}"))?;
            Value::parse_json(&text).map_err(|_| "`values` is neither a list nor the JSON text of one".to_owned())?
        }
        Some(other) => other.clone(),
        None => Value::Null,
    };
    let list = match &parsed {
        Value::List(list) => list.as_ref().clone(),
        // A map is gone through entry by entry.
        Value::Map(map) => map
            .iter()
            .map(|(key, value)| Value::map([("key", Value::text(key.clone())), ("value", value.clone())]))
            .collect(),
        other => {
            return Err(format!(
                "`values` must be a list, found {} (hint: write a list, or JSON text of one)",
                other.kind()
            ));
        }
    };
    let nulls = list.iter().filter(|value| value.is_null()).count();
    if nulls > 0 {
        return Err(format!(
            "Found '{nulls}' null values on Each, with values={} (hint: every value names an iteration, leave them out)",
            java_text(&parsed)
        ));
    }
    if list.len() > VALUES_PER_EACH {
        return Err(format!(
            "`values` has {} values, more than {VALUES_PER_EACH} (hint: use batches, with ForEachItem)",
            list.len()
        ));
    }
    Ok(list)
}

/// A value as Java prints collections: the words of Kestra's message, which people look for in logs. Secrets stay masked.
fn java_text(value: &Value) -> String {
    match value {
        Value::List(list) => format!("[{}]", list.iter().map(java_text).collect::<Vec<_>>().join(", ")),
        Value::Map(map) => {
            let entries = map.iter().map(|(key, value)| format!("{key}={}", java_text(value)));
            format!("{{{}}}", entries.collect::<Vec<_>>().join(", "))
        }
        Value::Null => "null".to_owned(),
        Value::Text(text) => text.masked().into_owned(),
        other => other.to_json().to_string(),
    }
}

/// The name of an iteration: text as it is, anything else as JSON.
pub(crate) fn value_text(value: &Value) -> String {
    match value {
        Value::Text(text) => text.as_plain().map_or_else(|| text.masked().into_owned(), str::to_owned),
        other => other.to_json().to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(values: &Value, problem: &str) {
        let found = list_of(Some(values)).err().unwrap_or_default();
        assert!(found.starts_with(problem) && found.is_empty() == problem.is_empty(), "{found}, expected {problem}");
    }

    #[test]
    fn values_are_as_many_as_there_may_be() {
        let values = |count: usize| Value::list((0..count).map(|value| Value::Int(value as i64)));
        check(&values(VALUES_PER_EACH), "");
        check(&values(VALUES_PER_EACH + 1), "`values` has 100001 values, more than 100000");
    }

    #[test]
    fn nulls_are_counted_and_shown_as_java_does() {
        let map = Value::map([("a", Value::list([Value::text("b"), Value::Int(1), Value::Null]))]);
        check(
            &Value::list([map, Value::Null, Value::Null]),
            "Found '2' null values on Each, with values=[{a=[b, 1, null]}, null, null]",
        );
        let secret = Value::Text(expr::Text::secret("name", "hidden"));
        check(&Value::list([secret, Value::Null]), "Found '1' null values on Each, with values=[******, null]");
    }
}
