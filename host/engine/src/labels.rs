//! Labels as tasks write them.

use expr::{Map, Value};
use model::execution::Failure;
use model::flow::Label;

use crate::draft::failure;

/// Prefix of labels that only the system sets.
const RESERVED: &str = "system.";

/// Labels from a map, a list of `{key, value}`, or the JSON text of either. Values become text.
pub(crate) fn labels_of(value: &Value) -> Result<Vec<Label>, Failure> {
    let invalid =
        |what: &str| failure("invalid-labels", format!("{what} (hint: write a map, or a list of `key` and `value`)"));
    let labels = match value {
        Value::Map(map) => from_map(map),
        Value::List(list) => list
            .iter()
            .map(from_entry)
            .collect::<Option<Vec<_>>>()
            .ok_or_else(|| invalid("a label in the list lacks `key` or `value`"))?,
        Value::Text(text) => {
            let text = text.reveal().map_err(|_| invalid("labels cannot be read"))?;
            let parsed = Value::parse_json(&text).map_err(|_| invalid("labels are text that is no JSON"))?;
            match parsed {
                Value::Text(_) => return Err(invalid("labels are text that is no JSON map or list")),
                parsed => labels_of(&parsed)?,
            }
        }
        other => return Err(invalid(&format!("labels must be a map, found {}", other.kind()))),
    };
    match labels.iter().find(|label| label.key.starts_with(RESERVED)) {
        Some(label) => Err(failure(
            "invalid-labels",
            format!("label `{}` is reserved (hint: choose a key that does not begin with `{RESERVED}`)", label.key),
        )),
        None => Ok(labels),
    }
}

fn from_map(map: &Map) -> Vec<Label> {
    map.iter().map(|(key, value)| Label { key: key.to_string(), value: plain(value) }).collect()
}

fn from_entry(entry: &Value) -> Option<Label> {
    Some(Label { key: plain(entry.get("key")?), value: plain(entry.get("value")?) })
}

fn plain(value: &Value) -> String {
    match value {
        Value::Text(text) => text.masked().into_owned(),
        Value::Null => String::new(),
        other => other.to_json().to_string(),
    }
}
