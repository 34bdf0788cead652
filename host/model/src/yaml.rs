//! YAML text to values: the only file that knows serde_yaml.
//!
//! YAML 1.2's core schema, which is close to what Kestra's reader (Jackson) does: only `true`/`false` are booleans (`yes`, `no`, `on`,
//! `off` stay text), dates and times stay text, `012` and `1_000` stay text. Keys are always text. Anchors and aliases work within
//! limits; tags, merge keys, several documents, NaN and the infinities are refused in words. Never does IO.

use std::fmt;
use std::sync::Arc;

use expr::{Map, Number, NumberKind, Value};
use serde::de::{DeserializeSeed, Error as _, MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};

use crate::outline::{self, Outline};
use crate::problem::{Position, Problem, Problems};

/// A source as values, with the places of all of them.
pub(crate) struct Document {
    pub value: Value,
    pub outline: Option<Arc<Outline>>,
}

/// Reads a source. What is wrong goes to `problems`; with nothing to read on with, the answer is `None`.
pub(crate) fn read(source: &str, problems: &mut Problems) -> Option<Document> {
    // A byte order mark is no part of the text; the stored source keeps it.
    let source = source.strip_prefix('\u{feff}').unwrap_or(source);
    let read =
        outline::scan(source, problems).and_then(|outline| Ok(Document { value: parse_value(source)?, outline }));
    match read {
        Ok(document) => Some(document),
        Err(problem) => {
            // serde_yaml stumbles again over what was told already: tags, NaN.
            if !problems.has_error() {
                problems.push(problem);
            }
            None
        }
    }
}

/// Reads a text that is data, not a flow (a YAML input, an output of a task). The same limits hold.
pub fn read_value(text: &str) -> Result<Value, Problem> {
    let mut problems = Problems::default();
    let document = read(text, &mut problems);
    let problem = problems.finish().into_iter().find(Problem::is_error);
    match (problem, document) {
        (Some(problem), _) => Err(problem),
        (None, Some(document)) => Ok(document.value),
        (None, None) => Ok(Value::Null),
    }
}

fn parse_value(source: &str) -> Result<Value, Problem> {
    if source.trim().is_empty() {
        return Ok(Value::Null);
    }
    Read::deserialize(serde_yaml::Deserializer::from_str(source)).map(|read| read.0).map_err(|error| {
        let at = error.location().map_or(Position::default(), |location| Position {
            line: u32::try_from(location.line()).unwrap_or(u32::MAX),
            column: u32::try_from(location.column()).unwrap_or(u32::MAX),
        });
        Problem::error("yaml.syntax", error.to_string()).at(at)
    })
}

// Not `Value`'s own `Deserialize`: that one reads the stored form, in which `{"$secret": …}` has a meaning.
struct Read(Value);

impl<'de> Deserialize<'de> for Read {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Plain.deserialize(deserializer).map(Read)
    }
}

struct Plain;

impl<'de> DeserializeSeed<'de> for Plain {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Plain {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a YAML value")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_none<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        self.deserialize(deserializer)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(Value::Int(value))
    }

    fn visit_u64<E: serde::de::Error>(self, value: u64) -> Result<Value, E> {
        self.visit_u128(value.into())
    }

    fn visit_i128<E: serde::de::Error>(self, value: i128) -> Result<Value, E> {
        integer(&value.to_string(), i64::try_from(value).ok())
    }

    fn visit_u128<E: serde::de::Error>(self, value: u128) -> Result<Value, E> {
        integer(&value.to_string(), i64::try_from(value).ok())
    }

    fn visit_f64<E: serde::de::Error>(self, value: f64) -> Result<Value, E> {
        Value::float(value).ok_or_else(|| E::custom("a number must be finite"))
    }

    fn visit_str<E>(self, text: &str) -> Result<Value, E> {
        Ok(Value::text(text))
    }

    fn visit_string<E>(self, text: String) -> Result<Value, E> {
        Ok(Value::text(text))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        let mut list = Vec::new();
        while let Some(item) = items.next_element_seed(Plain)? {
            list.push(item);
        }
        Ok(Value::list(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Value, A::Error> {
        let mut map = Map::new();
        while let Some(key) = entries.next_key::<String>()? {
            map.insert(key.into(), entries.next_value_seed(Plain)?);
        }
        Ok(map.into())
    }

    fn visit_enum<A: serde::de::EnumAccess<'de>>(self, _: A) -> Result<Value, A::Error> {
        Err(A::Error::custom("tags are not supported"))
    }
}

fn integer<E: serde::de::Error>(text: &str, small: Option<i64>) -> Result<Value, E> {
    match small {
        Some(value) => Ok(Value::Int(value)),
        None => Number::new(NumberKind::BigInteger, text)
            .map(Value::Number)
            .ok_or_else(|| E::custom(format!("`{text}` is no number"))),
    }
}

/// A value as YAML text, for people to read and edit.
pub fn write_value(value: &Value) -> String {
    // What JSON can say, YAML can.
    serde_yaml::to_string(&value.to_json()).unwrap_or_default()
}
