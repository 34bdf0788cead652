//! Answers that have to be JSON: schemas as authors write them, what the model is told where the provider holds it to nothing, and the JSON in
//! what it then says.

use serde_json::{Deserializer, Value};

use crate::message::{Message, ResponseFormat, Schema};

/// How many places of a text are tried as the beginning of JSON. A text full of brackets has none worth finding.
const ATTEMPTS_MAX: usize = 256;
/// Longest name of a schema that providers take.
const NAME_CHARS_MAX: usize = 64;

/// A schema as its author wrote it, which is not always one. Neither case is an error: flows with such schemas run elsewhere.
#[derive(Debug, Clone, PartialEq)]
pub enum WrittenSchema {
    Schema(Value),
    /// JSON with something behind it, which does not count. Worth a warning.
    WithRest {
        schema: Value,
        rest: String,
    },
    /// No JSON object at all: text that only the model can make something of. Worth a warning.
    Text {
        text: String,
        problem: String,
    },
}

/// Reads the first value; what is behind it does not matter.
pub fn read_schema(text: &str) -> WrittenSchema {
    let mut values = Deserializer::from_str(text).into_iter::<Value>();
    let schema = match values.next() {
        Some(Ok(schema)) if schema.is_object() => schema,
        Some(Err(error)) => return WrittenSchema::Text { text: text.to_owned(), problem: error.to_string() },
        _ => return WrittenSchema::Text { text: text.to_owned(), problem: "not a JSON object".to_owned() },
    };
    match text.get(values.byte_offset()..).unwrap_or_default().trim() {
        "" => WrittenSchema::Schema(schema),
        rest => WrittenSchema::WithRest { schema, rest: rest.to_owned() },
    }
}

impl WrittenSchema {
    /// What to ask for, and what to warn the author of.
    pub fn response_format(self, name: &str, strict: bool) -> (ResponseFormat, Option<String>) {
        let format =
            |schema| ResponseFormat::Schema(Schema { name: name.to_owned(), description: None, schema, strict });
        match self {
            Self::Schema(schema) => (format(schema), None),
            Self::WithRest { schema, rest } => {
                let rest: String = rest.chars().take(20).collect();
                (format(schema), Some(format!("the JSON Schema ends before `{rest}`: what follows is left out")))
            }
            Self::Text { text, problem } => {
                let warning = format!("the JSON Schema is not valid JSON ({problem}): the model is shown it as text");
                (ResponseFormat::Described(text), Some(warning))
            }
        }
    }
}

/// What the model is told about the form of its answer, where nobody holds it to it.
pub fn instruction(format: &ResponseFormat) -> Option<String> {
    let schema = match format {
        ResponseFormat::Text => return None,
        ResponseFormat::Json => return Some("Answer with one JSON value and nothing else.".to_owned()),
        ResponseFormat::Schema(schema) => schema.schema.to_string(),
        ResponseFormat::Described(text) => text.clone(),
    };
    Some(format!("Answer with one JSON value and nothing else. It has to fit this JSON schema:\n{schema}"))
}

/// The conversation with that before it.
pub(crate) fn instructed(messages: &[Message], format: &ResponseFormat) -> Vec<Message> {
    let instruction = instruction(format).map(Message::system);
    instruction.into_iter().chain(messages.iter().cloned()).collect()
}

/// The first JSON object or list in a text: the whole text, what is fenced as code, or what follows the first bracket that begins some. A
/// scalar counts only if it is all there is. One that ends with the text before it is whole is none, nor is anything inside it.
pub fn first_json(text: &str) -> Option<Value> {
    let text = text.trim().trim_start_matches('\u{feff}');
    if let Ok(value) = serde_json::from_str(text) {
        return Some(value);
    }
    let fenced = text.split("```").skip(1).step_by(2).find_map(|block| {
        let code = block.trim_start_matches(|letter: char| letter.is_ascii_alphanumeric());
        serde_json::from_str::<Value>(code.trim()).ok()
    });
    if fenced.is_some() {
        return fenced;
    }
    for (at, _) in text.match_indices(['{', '[']).take(ATTEMPTS_MAX) {
        match Deserializer::from_str(text.get(at..)?).into_iter::<Value>().next()? {
            Ok(value) => return Some(value),
            Err(error) if error.is_eof() => return None,
            Err(_) => {}
        }
    }
    None
}

/// Whether a provider that is strict takes the schema: every object names all its properties as required and allows no others.
pub fn fits_strict(schema: &Value) -> bool {
    let Some(fields) = schema.as_object() else { return !schema.is_boolean() };
    let properties = fields.get("properties").and_then(Value::as_object);
    if properties.is_some() || fields.get("type").is_some_and(|kind| kind == "object") {
        let required = fields.get("required").and_then(Value::as_array);
        let is_required =
            |name: &String| required.is_some_and(|names| names.iter().any(|known| known == name.as_str()));
        let closed = fields.get("additionalProperties") == Some(&Value::Bool(false));
        if !closed || !properties.is_none_or(|properties| properties.keys().all(is_required)) {
            return false;
        }
    }
    let named = ["properties", "$defs", "definitions"].iter().filter_map(|name| fields.get(*name)?.as_object());
    let listed = ["anyOf"].iter().filter_map(|name| fields.get(*name)?.as_array());
    named.flat_map(|schemas| schemas.values()).chain(listed.flatten()).chain(fields.get("items")).all(fits_strict)
}

/// A name as all providers take it.
pub(crate) fn name(name: &str) -> String {
    let known = |letter: char| letter.is_ascii_alphanumeric() || matches!(letter, '_' | '-');
    let name: String =
        name.chars().take(NAME_CHARS_MAX).map(|letter| if known(letter) { letter } else { '_' }).collect();
    if name.is_empty() { "answer".to_owned() } else { name }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[track_caller]
    fn check(text: &str, expected: Option<Value>) {
        assert_eq!(first_json(text), expected, "{text}");
    }

    #[test]
    fn json_is_found_where_models_put_it() {
        let found = Some(json!({ "a": [1] }));
        check("{\"a\": [1]}", found.clone());
        check("\n ```json\n{\"a\": [1]}\n```\n", found.clone());
        check("Here you are (see {this}):\n```\n{\"a\": [1]}\n```\nHave fun!", found.clone());
        check("Sure: {\"a\": [1]} is it. {\"b\": 2}", found.clone());
        check("I tried {x} first. {\"a\": [1]}", found);
        check("[1, 2] then {}", Some(json!([1, 2])));
        check("\"text\"", Some(json!("text")));
        check("It holds `{\"code\": \"```\"}`", Some(json!({ "code": "```" })));
    }

    #[test]
    fn unfinished_json_is_none_and_neither_is_its_inside() {
        check("{\"a\": {\"b\": 1}, \"c\": ", None);
        check("```json\n[{\"b\": 1}, ", None);
        check("no json, 42 or true", None);
        check("", None);
        check(&"{ ".repeat(10_000), None);
    }

    #[test]
    fn schema_ends_with_its_first_value() {
        let text = r#"{"type": "object", "properties": {"a": {"type": "string"}}}}"#;
        let schema = json!({ "type": "object", "properties": { "a": { "type": "string" } } });
        assert_eq!(read_schema(text), WrittenSchema::WithRest { schema: schema.clone(), rest: "}".into() });
        let (format, warning) = read_schema(text).response_format("x", true);
        assert!(matches!(format, ResponseFormat::Schema(found) if found.schema == schema && found.strict));
        assert!(warning.expect("a warning").contains("`}`"));
        assert_eq!(read_schema(&text[..text.len() - 1]).response_format("x", true).1, None);
    }

    #[test]
    fn invalid_schema_is_shown_as_it_was_written() {
        for text in ["{ tasks: [\"a\" \"b\"], }", "a list of names", "[1]", ""] {
            let (format, warning) = read_schema(text).response_format("x", false);
            assert_eq!(format, ResponseFormat::Described(text.into()));
            assert!(warning.is_some());
            assert!(instruction(&format).expect("words").ends_with(text));
        }
    }

    #[test]
    fn strict_schema_is_closed_and_complete_all_the_way_down() {
        let object = |inner: Value| json!({ "type": "object", "properties": { "a": inner }, "required": ["a"], "additionalProperties": false });
        assert!(fits_strict(&object(json!({ "type": "array", "items": object(json!({ "type": "string" })) }))));
        assert!(fits_strict(&json!({ "type": "object", "additionalProperties": false })));
        for loose in [
            json!({ "type": "object" }),
            object(json!({ "type": "object", "properties": {} })),
            object(json!({ "anyOf": [{ "type": "string" }, { "type": "object" }] })),
            object(json!({ "type": "array", "items": { "properties": { "b": {} }, "additionalProperties": false } })),
            object(json!(true)),
        ] {
            assert!(!fits_strict(&loose), "{loose}");
        }
    }

    #[test]
    fn name_is_one_that_providers_take() {
        assert_eq!(name("my schema/ü"), "my_schema__");
        assert_eq!(name(""), "answer");
        assert_eq!(name(&"x".repeat(100)).len(), 64);
    }
}
