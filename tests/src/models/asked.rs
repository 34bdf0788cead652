//! What a request asks a model, whatever the provider's form of it, and what is answered where no rule says anything.

use serde_json::{Map, Value, json};

use super::Provider;
use super::script::{Answer, Call};

/// How deep a schema is followed: one that refers to itself has no end.
const DEPTH_MAX: usize = 24;

/// A question.
#[derive(Clone, Debug)]
pub(super) struct Asked {
    pub provider: Provider,
    pub model: String,
    /// The text of the last message of the user.
    pub said: String,
    pub tool_results: usize,
    pub streamed: bool,
    pub wants: Wants,
    pub tools: Vec<Tool>,
    pub choice: Choice,
    /// The request as it came, for what only its provider knows.
    pub body: Value,
}

/// The form of answer that is asked for.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Wants {
    Text,
    Json,
    Schema(Value),
}

/// A tool that may be called.
#[derive(Clone, Debug)]
pub(super) struct Tool {
    pub name: String,
    pub schema: Value,
}

/// Whether tools are called.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Choice {
    Free,
    Any,
    Named(String),
}

impl Asked {
    /// A question of one text.
    pub fn of(provider: Provider, model: &str, body: &Value) -> Self {
        Self {
            provider,
            model: model.to_owned(),
            said: String::new(),
            tool_results: 0,
            streamed: false,
            wants: Wants::Text,
            tools: Vec::new(),
            choice: Choice::Free,
            body: body.clone(),
        }
    }

    /// The answer without a rule: an echo, or the least that fits what was asked for.
    pub fn echo(&self) -> Answer {
        let forced = match &self.choice {
            Choice::Free => None,
            Choice::Any => self.tools.first(),
            Choice::Named(name) => self.tools.iter().find(|tool| tool.name == *name),
        };
        if let Some(tool) = forced {
            let arguments = least(&tool.schema);
            let call = Call { id: None, name: tool.name.clone(), arguments };
            return Answer { tool_calls: vec![call], ..Answer::default() };
        }
        match &self.wants {
            Wants::Text => Answer::of(format!("You said: {}", self.said)),
            Wants::Json => Answer::of(json!({ "said": self.said }).to_string()),
            Wants::Schema(schema) => Answer::of(least(schema).to_string()),
        }
    }
}

/// The texts of a content that is a text or a list of pieces with one.
pub(super) fn text(content: &Value) -> String {
    match content {
        Value::String(text) => text.clone(),
        Value::Array(pieces) => pieces.iter().filter_map(|piece| piece["text"].as_str()).collect::<Vec<_>>().join("\n"),
        _ => String::new(),
    }
}

/// Items of a list, or none.
pub(super) fn list(value: &Value) -> &[Value] {
    value.as_array().map(Vec::as_slice).unwrap_or_default()
}

/// The smallest value that a schema allows.
pub(super) fn least(schema: &Value) -> Value {
    least_of(schema, schema, 0)
}

fn least_of(schema: &Value, root: &Value, depth: usize) -> Value {
    if depth > DEPTH_MAX {
        return Value::Null;
    }
    if let Some(place) = schema["$ref"].as_str().and_then(|place| place.strip_prefix('#')) {
        return root.pointer(place).map_or(Value::Null, |schema| least_of(schema, root, depth + 1));
    }
    if let Some(value) = schema.get("const").or_else(|| list(&schema["enum"]).first()) {
        return value.clone();
    }
    let one = ["anyOf", "oneOf", "allOf"].into_iter().find_map(|word| list(&schema[word]).first());
    if let Some(one) = one {
        return least_of(one, root, depth + 1);
    }
    let of_list = list(&schema["type"]).iter().filter_map(Value::as_str).find(|name| *name != "null");
    let name = schema["type"].as_str().or(of_list).unwrap_or(match schema["properties"].is_object() {
        true => "object",
        false => "string",
    });
    match name.to_ascii_lowercase().as_str() {
        "object" => object(schema, root, depth),
        "array" => {
            let count = schema["minItems"].as_u64().unwrap_or(0).min(16);
            (0..count).map(|_| least_of(&schema["items"], root, depth + 1)).collect()
        }
        "integer" => json!(schema["minimum"].as_i64().unwrap_or(0)),
        "number" => json!(schema["minimum"].as_f64().unwrap_or(0.0)),
        "boolean" => false.into(),
        "null" => Value::Null,
        _ => string(schema),
    }
}

/// All its properties: strict schemas ask for each, and others allow them.
fn object(schema: &Value, root: &Value, depth: usize) -> Value {
    let properties = schema["properties"].as_object().into_iter().flatten();
    let mut made: Map<String, Value> =
        properties.map(|(name, schema)| (name.clone(), least_of(schema, root, depth + 1))).collect();
    for name in list(&schema["required"]).iter().filter_map(Value::as_str) {
        made.entry(name).or_insert_with(|| "text".into());
    }
    made.into()
}

fn string(schema: &Value) -> Value {
    let text = match schema["format"].as_str() {
        Some("date-time") => "2026-01-01T00:00:00Z",
        Some("date") => "2026-01-01",
        Some("time") => "00:00:00Z",
        Some("email") => "me@example.com",
        Some("uri") => "https://example.com",
        Some("uuid") => "00000000-0000-4000-8000-000000000000",
        _ => "text",
    };
    let length = |word: &str| schema[word].as_u64().and_then(|length| usize::try_from(length).ok());
    let mut text = text.to_owned();
    while length("minLength").is_some_and(|least| text.len() < least.min(4_096)) {
        text.push('x');
    }
    text.truncate(length("maxLength").unwrap_or(text.len()));
    text.into()
}
