//! The message a flow writes itself, and the parts of one that a plugin makes.

use serde_json::{Map, Value};
use sluice_sdk::prelude::*;

/// Longest line of a payload that a failure shows whole.
const LINE_MAX_BYTES: usize = 200;
/// Bytes shown on either side of what is wrong in a longer one.
const AROUND_BYTES: usize = 60;

/// The message of the property `payload`: JSON as text, or a map. Nothing but spaces is no message.
pub fn payload(value: Option<Value>) -> Result<Option<Map<String, Value>>, Failure> {
    let read = match value {
        None | Some(Value::Null) => return Ok(None),
        Some(Value::String(text)) if text.trim().is_empty() => return Ok(None),
        Some(Value::String(text)) => serde_json::from_str(&text).map_err(|error| broken(&text, &error))?,
        Some(other) => other,
    };
    match read {
        Value::Object(message) => Ok(Some(message)),
        _ => Err(Failure::bad_property("property `payload` is JSON, but no object: a message begins with `{`")),
    }
}

/// Where the text breaks. Whoever reads it has the rendered text nowhere else.
fn broken(text: &str, error: &serde_json::Error) -> Failure {
    let line = text.lines().nth(error.line().saturating_sub(1)).unwrap_or_default();
    let shown = match line.len() <= LINE_MAX_BYTES {
        true => line.trim(),
        false => {
            let from = line.floor_char_boundary(error.column().saturating_sub(AROUND_BYTES));
            let until = line.ceil_char_boundary(error.column() + AROUND_BYTES);
            line.get(from..until).unwrap_or_default()
        }
    };
    Failure::bad_property(format!(
        "property `payload` is no JSON: {error}, in `{shown}`; hint: `{{{{ value | toJson }}}}` writes a text as JSON, quotes included"
    ))
    .detail("line", error.line())
    .detail("column", error.column())
}

/// Puts what a flow wrote over what was made for it.
pub fn merge(message: &mut Map<String, Value>, written: Option<Map<String, Value>>) {
    for (name, value) in written.into_iter().flatten() {
        message.insert(name, value);
    }
}

/// A text that says something.
pub fn written(text: &Option<String>) -> Option<&str> {
    text.as_deref().filter(|text| !text.trim().is_empty())
}

/// Puts a text that says something into a message.
pub fn put(message: &mut Map<String, Value>, name: &str, text: &Option<String>) {
    if let Some(text) = written(text) {
        message.insert(name.to_owned(), text.into());
    }
}

/// Names and values of the property `customFields`, in order, without those that are empty.
pub fn custom_fields(fields: &Option<Map<String, Value>>) -> Vec<(String, String)> {
    let fields = fields.iter().flatten().map(|(name, value)| (name.clone(), text(value)));
    fields.filter(|(name, value)| !name.trim().is_empty() && !value.trim().is_empty()).collect()
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

    use super::*;

    #[test]
    fn text_and_map_are_the_same_message() {
        let expected = Some(Map::from_iter([("text".to_owned(), json!("hi"))]));
        assert_eq!(payload(Some(json!("\n{\"text\": \"hi\"}\n"))).unwrap(), expected);
        assert_eq!(payload(Some(json!({"text": "hi"}))).unwrap(), expected);
        for nothing in [None, Some(Value::Null), Some(json!(" \n"))] {
            assert_eq!(payload(nothing).unwrap(), None);
        }
    }

    #[test]
    fn numbers_keep_their_digits() {
        let message = payload(Some(json!(r#"{"id": 18446744073709551615, "z": 1, "a": 2}"#))).unwrap().unwrap();
        assert_eq!(Value::Object(message).to_string(), r#"{"id":18446744073709551615,"z":1,"a":2}"#);
    }

    #[test]
    fn broken_text_shows_where() {
        let failure = payload(Some(json!("{\n  \"text\": \"say \"hi\"\"\n}"))).unwrap_err();
        let expected = "property `payload` is no JSON: expected `,` or `}` at line 2 column 17, in `\"text\": \"say \"hi\"\"`; \
                        hint: `{{ value | toJson }}` writes a text as JSON, quotes included";
        assert_eq!((failure.code(), failure.message()), ("BAD_PROPERTY", expected));
        assert_eq!((&failure.details()["line"], &failure.details()["column"]), (&json!(2), &json!(17)));
        let early = payload(Some(json!("{\"text\": "))).unwrap_err();
        assert!(early.message().contains("EOF while parsing"), "{}", early.message());
    }

    #[test]
    fn long_line_is_shown_around_the_place() {
        let text = format!("{{\"a\": \"{}\", ü}}", "ä".repeat(500));
        let failure = payload(Some(json!(text))).unwrap_err();
        assert!(failure.message().contains("ä\", ü}`"), "{}", failure.message());
        assert!(failure.message().len() < 400, "{}", failure.message());
    }

    #[test]
    fn other_json_is_no_message() {
        for other in [json!("[1]"), json!("1"), json!([1]), json!("\"text\"")] {
            assert!(payload(Some(other)).unwrap_err().message().contains("no object"));
        }
    }

    #[test]
    fn empty_fields_are_left_out() {
        let fields = json!({"b": 1, "a": {"x": true}, "c": null, "d": " ", " ": "x"});
        let expected = [("b".to_owned(), "1".to_owned()), ("a".to_owned(), r#"{"x":true}"#.to_owned())];
        assert_eq!(custom_fields(&fields.as_object().cloned()), expected);
        assert_eq!(custom_fields(&None), []);
    }
}
