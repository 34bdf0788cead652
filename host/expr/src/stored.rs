//! The stored form of values: what serde reads and writes. Lossless, and never a secret in clear.
//!
//! JSON-like data is itself. Everything else is a map with one key that begins with `$`:
//! `{"$number": ["long", "1"]}`, `{"$time": ["zoned", "…"]}`, and text with secrets as a list of spans,
//! `{"$text": ["plain", {"$secret": "NAME"}, {"$derived": {operation, inputs, at}}]}`. A map that itself looks like
//! one of these is written as `{"$map": {…}}`. Secrets come back sealed; `Value::unseal` gives them their values.
use std::fmt;
use std::sync::Arc;

use serde::de::{Error as _, MapAccess, SeqAccess, Visitor};
use serde::ser::{SerializeMap, SerializeSeq};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::number::{Kind, Number};
use crate::text::{Origin, Recipe, Secret, Span, Step, Text};
use crate::time::Time;
use crate::value::{Map, Value};

const NUMBER: &str = "$number";
const TIME: &str = "$time";
const TEXT: &str = "$text";
const MAP: &str = "$map";
const SECRET: &str = "$secret";
const DERIVED: &str = "$derived";

fn tagged<S: Serializer, T: Serialize + ?Sized>(serializer: S, tag: &str, content: &T) -> Result<S::Ok, S::Error> {
    let mut map = serializer.serialize_map(Some(1))?;
    map.serialize_entry(tag, content)?;
    map.end()
}

fn looks_tagged(map: &Map) -> bool {
    map.len() == 1 && map.keys().all(|key| key.starts_with('$'))
}

struct Entries<'a>(&'a Map);

impl Serialize for Entries<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().map(|(key, value)| (key.as_ref(), value)))
    }
}

impl Serialize for Value {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Value::Null => serializer.serialize_unit(),
            Value::Bool(value) => serializer.serialize_bool(*value),
            Value::Int(value) => serializer.serialize_i64(*value),
            Value::Float(value) => serializer.serialize_f64(*value),
            Value::Number(number) => tagged(serializer, NUMBER, &(number.kind().name(), number.as_str())),
            Value::Text(text) => text.serialize(serializer),
            Value::List(items) => serializer.collect_seq(items.iter()),
            Value::Map(map) if looks_tagged(map) => tagged(serializer, MAP, &Entries(map)),
            Value::Map(map) => Entries(map).serialize(serializer),
            Value::Time(time) => tagged(serializer, TIME, &(time.kind(), time.stored_text())),
        }
    }
}

impl Serialize for Text {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.as_plain() {
            Some(plain) => serializer.serialize_str(plain),
            None => tagged(serializer, TEXT, &Spans(self)),
        }
    }
}

struct Spans<'a>(&'a Text);

impl Serialize for Spans<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut spans = serializer.serialize_seq(None)?;
        for span in self.0.spans() {
            spans.serialize_element(span.as_ref())?;
        }
        spans.end()
    }
}

impl Serialize for Span {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Span::Plain(text) => serializer.serialize_str(text),
            Span::Secret(secret) => match secret.origin() {
                Origin::Named(name) => tagged(serializer, SECRET, name.as_ref()),
                Origin::Derived(recipe) => tagged(serializer, DERIVED, recipe.as_ref()),
            },
        }
    }
}

impl Serialize for Recipe {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        (self.operation.as_ref(), &self.inputs, &self.at).serialize(serializer)
    }
}

impl Serialize for Step {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Step::Index(index) => serializer.serialize_u64(*index as u64),
            Step::Key(key) => serializer.serialize_str(key),
        }
    }
}

impl<'de> Deserialize<'de> for Value {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(ValueVisitor)
    }
}

impl<'de> Deserialize<'de> for Text {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match Value::deserialize(deserializer)? {
            Value::Text(text) => Ok(text),
            other => Err(D::Error::custom(format!("expected text, found {}", other.kind()))),
        }
    }
}

struct ValueVisitor;

impl<'de> Visitor<'de> for ValueVisitor {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a stored value")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_none<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        Value::deserialize(deserializer)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(Value::Int(value))
    }

    fn visit_u64<E: serde::de::Error>(self, value: u64) -> Result<Value, E> {
        match i64::try_from(value) {
            Ok(value) => Ok(Value::Int(value)),
            Err(_) => stored_number("integer", &value.to_string()),
        }
    }

    fn visit_f64<E: serde::de::Error>(self, value: f64) -> Result<Value, E> {
        Value::float(value).ok_or_else(|| E::custom("a stored number must be finite"))
    }

    fn visit_str<E>(self, text: &str) -> Result<Value, E> {
        Ok(Value::text(text))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Value, A::Error> {
        let mut items = Vec::new();
        while let Some(item) = seq.next_element()? {
            items.push(item);
        }
        Ok(Value::List(Arc::new(items)))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut access: A) -> Result<Value, A::Error> {
        let mut map = Map::new();
        while let Some(key) = access.next_key::<String>()? {
            let tagged = if map.is_empty() { tagged_value(&key, &mut access)? } else { None };
            if let Some(value) = tagged {
                return Ok(value);
            }
            let value = access.next_value()?;
            map.insert(key.into(), value);
        }
        Ok(map.into())
    }
}

/// The value behind a tag, or `None` when `key` is no tag.
fn tagged_value<'de, A: MapAccess<'de>>(key: &str, access: &mut A) -> Result<Option<Value>, A::Error> {
    let value = match key {
        NUMBER => {
            let (kind, text) = access.next_value::<(String, String)>()?;
            stored_number(&kind, &text)?
        }
        TIME => {
            let (kind, text) = access.next_value::<(String, String)>()?;
            let time = Time::from_stored(&kind, &text);
            Value::time(time.ok_or_else(|| A::Error::custom(format!("stored {kind} `{text}` is no time")))?)
        }
        TEXT => Value::Text(Text::from_spans(access.next_value::<Vec<Span>>()?)),
        MAP => access.next_value::<PlainMap>()?.0.into(),
        _ => return Ok(None),
    };
    Ok(Some(value))
}

fn stored_number<E: serde::de::Error>(kind: &str, text: &str) -> Result<Value, E> {
    let number = Kind::from_name(kind).and_then(|kind| Number::new(kind, text));
    number.map(Value::Number).ok_or_else(|| E::custom(format!("stored {kind} `{text}` is no number")))
}

/// A map whose only key may begin with `$`.
struct PlainMap(Map);

impl<'de> Deserialize<'de> for PlainMap {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let entries = indexmap::IndexMap::<String, Value>::deserialize(deserializer)?;
        Ok(PlainMap(entries.into_iter().map(|(key, value)| (key.into(), value)).collect()))
    }
}

impl<'de> Deserialize<'de> for Span {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum Stored {
            Plain(String),
            Secret {
                #[serde(rename = "$secret")]
                name: String,
            },
            Derived {
                #[serde(rename = "$derived")]
                recipe: Recipe,
            },
        }
        Ok(match Stored::deserialize(deserializer)? {
            Stored::Plain(text) => Span::Plain(text.into()),
            Stored::Secret { name } => Span::Secret(Secret::sealed(Origin::Named(name.into()))),
            Stored::Derived { recipe } => Span::Secret(Secret::sealed(Origin::Derived(Arc::new(recipe)))),
        })
    }
}

impl<'de> Deserialize<'de> for Recipe {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let (operation, inputs, at) = <(String, Vec<(Arc<str>, Value)>, Vec<Step>)>::deserialize(deserializer)?;
        Ok(Recipe { operation: operation.into(), inputs: inputs.into(), at })
    }
}

impl<'de> Deserialize<'de> for Step {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match Value::deserialize(deserializer)? {
            Value::Int(index) => usize::try_from(index).map(Step::Index).map_err(D::Error::custom),
            Value::Text(key) => Ok(Step::Key(key.masked().into())),
            other => Err(D::Error::custom(format!("a step is a number or text, found {}", other.kind()))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Value, String> {
        serde_json::from_str(text).map_err(|error| error.to_string())
    }

    fn check(text: &str, value: Value) {
        assert_eq!(read(text), Ok(value.clone()), "{text}");
        assert_eq!(serde_json::to_string(&value).unwrap(), text);
    }

    #[test]
    fn each_kind_of_value_has_its_form() {
        let number = |kind, text: &str| Value::Number(Number::new(kind, text).unwrap());
        check("null", Value::Null);
        check("[true,false]", Value::list([true.into(), false.into()]));
        check("-5", Value::Int(-5));
        check("1.5", Value::Float(1.5));
        check(r#""a""#, "a".into());
        check(r#"{"b":1,"a":{}}"#, Value::map([("b", Value::Int(1)), ("a", Value::from(Map::new()))]));
        check(r#"{"$number":["long","7"]}"#, number(Kind::Long, "7"));
        check(r#"{"$time":["date","2024-01-02"]}"#, Value::time(Time::from_stored("date", "2024-01-02").unwrap()));
        check(r#"{"$map":{"$x":1}}"#, Value::map([("$x", Value::Int(1))]));
        check(r#"{"$x":1,"$number":2}"#, Value::map([("$x", Value::Int(1)), ("$number", Value::Int(2))]));
        check(r#"{"x":1}"#, Value::map([("x", Value::Int(1))]));
        assert_eq!(read("18446744073709551615"), Ok(number(Kind::BigInteger, "18446744073709551615")));
        assert_eq!(read("9223372036854775807"), Ok(Value::Int(i64::MAX)));
        assert_eq!(read(r#"{"$x":1}"#), Ok(Value::map([("$x", Value::Int(1))])));
    }

    #[test]
    fn text_keeps_its_spans_and_recipes() {
        let recipe = Recipe {
            operation: "filter:jq".into(),
            inputs: [("input".into(), Text::secret("B", "v").into())].into(),
            at: vec![Step::Index(2), Step::Key("k".into())],
        };
        let spans = [
            Span::Plain("a".into()),
            Span::Secret(Secret::sealed(Origin::Named("A".into()))),
            Span::Secret(Secret::sealed(Origin::Derived(Arc::new(recipe)))),
        ];
        let form = r#"{"$text":["a",{"$secret":"A"},{"$derived":["filter:jq",[["input",{"$text":[{"$secret":"B"}]}]],[2,"k"]]}]}"#;
        check(form, Value::Text(Text::from_spans(spans)));
        assert_eq!(serde_json::from_str::<Text>(r#""x""#).unwrap(), Text::plain("x"));
        let error = serde_json::from_str::<Text>("[]").unwrap_err().to_string();
        assert!(error.contains("expected text, found list"), "{error}");
    }

    #[test]
    fn what_is_no_stored_value_is_refused() {
        for (text, message) in [
            (r#"{"$number":["long","1.5"]}"#, "stored long `1.5` is no number"),
            (r#"{"$number":["short","1"]}"#, "stored short `1` is no number"),
            (r#"{"$time":["date","x"]}"#, "stored date `x` is no time"),
            (r#"{"$text":[1]}"#, "did not match"),
            (r#"{"$text":[{"$derived":["o",[],[true]]}]}"#, "did not match"),
            (r#"{"$text":[{"$derived":["o",[],[-1]]}]}"#, "did not match"),
        ] {
            let error = read(text).unwrap_err();
            assert!(error.contains(message), "{text}: {error}");
        }
        let step = |text: &str| serde_json::from_str::<Step>(text).map_err(|error| error.to_string());
        assert!(step("true").is_err_and(|error| error.contains("a step is a number or text, found boolean")));
        assert!(step("-1").is_err());
    }

    #[test]
    fn other_formats_are_read_too() {
        use serde::de::IntoDeserializer;
        use serde::de::value::{BytesDeserializer, Error, F64Deserializer, UnitDeserializer};
        assert!(Value::deserialize(F64Deserializer::<Error>::new(f64::NAN)).is_err());
        assert_eq!(Value::deserialize(UnitDeserializer::<Error>::new()).unwrap(), Value::Null);
        let error = Value::deserialize(BytesDeserializer::<Error>::new(b"x")).unwrap_err().to_string();
        assert!(error.contains("expected a stored value"), "{error}");
        let none: serde_json::Value = None::<i64>.into();
        assert_eq!(Value::deserialize(none.into_deserializer()).unwrap(), Value::Null);
        assert_eq!(ValueVisitor.visit_none::<Error>().unwrap(), Value::Null);
        let some = ValueVisitor.visit_some(serde_json::Value::from(5));
        assert_eq!(some.unwrap(), Value::Int(5));
    }
}
